//! Dialects: wire formats, spoken in both directions. Pure: no clock, no I/O, no state of their own.

pub mod anthropic;
mod field;
pub(crate) mod gate;
pub mod gemini;
pub(crate) mod huggingface;
mod multipart;
mod object;
mod oneway;
pub mod openai;
pub mod openai_responses;
mod picture;
pub(crate) mod said;
mod scan;
mod scrub;
mod sealed;
pub(crate) mod stability;
mod strict;
mod thinking;

pub use scrub::scrub;
