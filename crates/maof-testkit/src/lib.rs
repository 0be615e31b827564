//! For tests: fake clock, scripted upstream and endpoint, contract suites, wire fixtures, real services.
//!
//! A dev-dependency only. Nothing here is fit for production: it panics where a test should fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

pub mod cassette;
pub mod clock;
pub mod contract;
pub mod endpoint;
pub mod ids;
pub mod services;
pub mod upstream;
pub mod wire;

pub use clock::{FakeClock, TokioClock};
pub use endpoint::{Play, ScriptedEndpoint};
pub use ids::{CountingIds, SeededRandom, UniqueIds};
pub use upstream::{Act, Deaf, ModelStats, Script, Stats, Upstream};
