//! The examples of MAOF: `examples/embed.rs` (a Rust service with an endpoint of its own and a durable task), and
//! the folders of data and workflows that the command line runs.
