//! The machine by tables and against a naive model; the layer on whole, streamed and dropped replies.
#![allow(clippy::unwrap_used, clippy::panic)]

mod layer;
mod machine;
mod model;
mod orders;
mod rate;
