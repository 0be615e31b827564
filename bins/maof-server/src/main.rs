//! The maof server.

fn main() {}
