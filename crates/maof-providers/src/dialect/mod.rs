//! Dialects: wire formats, spoken in both directions. Pure: no clock, no I/O, no state of their own.

pub mod anthropic;
mod field;
mod gate;
pub mod gemini;
mod multipart;
mod object;
pub mod openai;
pub mod openai_responses;
mod said;
mod scrub;
mod sealed;
mod thinking;

pub use scrub::scrub;
