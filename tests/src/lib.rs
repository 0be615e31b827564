//! What the tests of MAOF share: the checks that hold the architecture together ([`house`]), and ways to die
//! at a named point ([`crash`]), a server of its own for each test ([`served`]), what the fuzzer feeds ([`fuzz`]), the
//! failure wall ([`wall`]), and what spends in every way that could overspend ([`money`]).

pub mod crash;
pub mod fuzz;
pub mod house;
pub mod money;
mod programs;
pub mod served;
pub mod spoken;
pub mod wall;
