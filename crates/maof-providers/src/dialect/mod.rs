//! Dialects: wire formats, spoken in both directions. Pure: no clock, no I/O, no state of their own.

pub mod openai;
mod scrub;

pub use scrub::scrub;
