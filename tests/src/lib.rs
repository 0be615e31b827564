//! What the tests of MAOF share: the checks that hold the architecture together ([`house`]).

pub mod house;
