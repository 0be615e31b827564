//! What the tests of MAOF share: the checks that hold the architecture together ([`house`]), and ways to die
//! at a named point ([`crash`]), a server of its own for each test ([`served`]), what the fuzzer feeds ([`fuzz`]), and the
//! failure wall ([`wall`]).

pub mod crash;
pub mod fuzz;
pub mod house;
pub mod served;
pub mod spoken;
pub mod wall;
