//! What the tests of MAOF share: the checks that hold the architecture together ([`house`]), and ways to die
//! at a named point ([`crash`]).

pub mod crash;
pub mod house;
