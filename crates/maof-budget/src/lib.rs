//! Never overspends: what a call may cost at worst is held before it, and what it cost is settled after it.
//!
//! Two layers do it. [`hold`] goes round the whole call: it holds the worst cost at the cheapest candidate on
//! the caller's accounts, and closes the hold at the reply's end, whatever that is. [`attempt`] goes round each
//! request to an upstream: it raises the hold to what that endpoint may cost, on the agent's accounts too,
//! and writes down what it did cost. A refusal there sends the router to the next candidate.
//!
//! A hold counts tokens by their bound (a token is at least a byte). Only where that would refuse are they
//! counted exactly, see [`tokens`].
//!
//! # What is promised
//!
//! - **Nothing is begun that may not be afforded.** A request leaves only after its worst case is held on every
//!   account at once. So an account goes beyond its limit only by what a provider bills beyond that worst case:
//!   - output beyond the card's `max_output`, where neither the caller nor the provider bounds it;
//!   - input that bytes do not bound, such as a picture given by its address;
//!   - a price that the provider has raised and the tariff has not.
//!
//!   What was billed is charged all the same, so the account refuses the next call.
//! - **What a provider may have billed is charged.** A whole answer costs what its usage says. A stream that was
//!   cut, and a request that was dropped or timed out before its answer, cost what their usage says or, where
//!   there is none, an estimate that is flagged as such: a quarter of the bytes sent, and of those streamed. A
//!   request that failed before its answer costs nothing. Either way it is one row.
//! - **A hold is given back once**, at whatever point the call ends or is dropped.
//! - **A process that dies spends what it held.** Holds are written down before calls go on, one by one or a part of an account
//!   beforehand ([`Holds`]); charging and closing only send. What was not settled counts as spent.
//! - **Nobody is surprised.** From a soft limit on cheaper agents are asked first, and the caller is told; passing parts of a
//!   limit is told once in a window ([`Alerts`]). Service levels are [`TierConfig`]s.
//!
//! ```
//! # use maof_budget::{BudgetConfig, Holds, Limits, TariffConfig};
//! let budget: BudgetConfig = serde_json::from_str(r#"{"account": "tenant", "limit_usd": "2.50", "window": "day"}"#)?;
//! let limits = Limits::new(&[budget])?;
//! let price: TariffConfig = serde_json::from_str(r#"{"input": 0.15, "output": 0.60}"#)?;
//! price.validate()?;
//! # let _ = limits;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alert;
pub mod attempt;
mod changes;
mod context;
pub mod hold;
mod limits;
#[cfg(feature = "planted")]
mod planted;
pub mod price;
mod prints;
pub mod report;
mod tier;
pub mod tokens;
mod tool_calls;
mod update;
mod worst;

pub use alert::{Alert, AlertConfig, Alerts};
pub use changes::NewLimit;
pub use context::prudent;
pub use limits::{BudgetConfig, Holds, Limits};
pub use price::{Catalogue, Dollars, PriceConfig, Prices, RateConfig, TariffConfig};
pub use tier::TierConfig;
pub use worst::{Quote, Terms, Worst, counted_cost, worst_cost};
