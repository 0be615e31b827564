//! What was spent and on what, what the month will come to, what budgets have left, and how to spend less: the ledger,
//! read through the reports of maof-budget.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use maof::{Config, Dimension, Maof, Principal, Window};
//! let maof = Maof::builder(Config::default()).in_memory().build().await?;
//! let (costs, who) = (maof.costs(), Principal::local());
//! let mut query = costs.query(&who, Window::Month.start(costs.now()), costs.now());
//! query.by = vec![Dimension::Agent, Dimension::Day];
//! assert_eq!(costs.spending(&query).await?.total().attempts, 0);
//! # Ok::<(), maof::Error>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod amount;
mod ledger;
mod outlook;
mod standing;

pub use amount::Amount;
pub use ledger::Costs;
pub use maof_budget::NewLimit;
pub use maof_budget::report::{Billed, Breakdown, Columns, Compared, Evidence, Kind, Side, Suggestion};
pub use outlook::Outlook;
pub use standing::Standing;
