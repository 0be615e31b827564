//! The benches of MAOF.
