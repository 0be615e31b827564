//! Never overspends: what a call may cost at worst is held before it, and what it cost is settled after it.
//!
//! Two layers do it. [`hold`] goes round the whole call: it holds the worst cost at the cheapest candidate on
//! the caller's accounts, and closes the hold at the reply's end, whatever that is. [`attempt`] goes round each
//! request to an upstream: it raises the hold to what that endpoint may cost, on the agent's accounts too,
//! and writes down what it did cost. A refusal there sends the router to the next candidate.
//!
//! A hold counts tokens by their bound (a token is at least a byte). Only where that would refuse are they
//! counted exactly, see [`tokens`].

pub mod attempt;
pub mod hold;
mod limits;
mod price;
pub mod tokens;
mod worst;

pub use limits::{BudgetConfig, Limits};
pub use price::{Dollars, TariffConfig};
pub use worst::{Quote, Worst, worst_cost};
