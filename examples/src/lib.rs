//! The examples of MAOF.
