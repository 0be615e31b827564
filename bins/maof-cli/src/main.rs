//! The maof cli.

fn main() {}
