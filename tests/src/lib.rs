//! What the tests of MAOF share: the checks that hold the architecture together ([`house`]), and ways to die
//! at a named point ([`crash`]), and a server of its own for each test ([`served`]).

pub mod crash;
pub mod house;
pub mod served;
