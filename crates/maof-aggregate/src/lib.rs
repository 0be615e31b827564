//! Folds several answers into one, and says how much they agreed.
//!
//! ```
//! # use maof_aggregate::{Config, build};
//! # use maof_core::{Answered, Money, Name};
//! # use serde_json::json;
//! let config: Config = serde_json::from_value(json!({"strategy": "majority", "key": "/label"}))?;
//! let says = |agent: &str, label: &str| -> maof_core::Result<Answered> {
//!     Ok(Answered { agent: Name::new(agent)?, value: json!({"label": label}), cost: Money::ZERO })
//! };
//! let answers = vec![says("a", "yes")?, says("b", "no")?, says("c", "Yes.")?];
//! let verdict = wait(build(&config)?.aggregate(answers))?;
//! assert_eq!(verdict.value, json!({"label": "yes"}));
//! assert_eq!((verdict.agreement_ppm, verdict.dissent.len()), (666_667, 1));
//! # fn wait<F: Future>(f: F) -> F::Output {
//! #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f)
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ballot;
mod config;
mod first;
mod verdict;
mod vote;

use std::sync::Arc;

use maof_core::{Aggregate, Result};

pub use config::Config;

use first::First;
use vote::Vote;

/// Makes the strategy that a configuration names.
///
/// # Errors
/// `invalid_request` naming the field that is wrong.
pub fn build(config: &Config) -> Result<Arc<dyn Aggregate>> {
    config.validate()?;
    Ok(match config.clone() {
        Config::First { key } => Arc::new(First { key }),
        Config::Majority { key, priors } => Arc::new(Vote::plain(key, &priors)),
        Config::Weighted { key, confidence, classes, .. } if !confidence.is_empty() => {
            Arc::new(Vote::pooled(key, confidence, classes))
        }
        Config::Weighted { key, accuracies, classes, .. } if !accuracies.is_empty() => {
            Arc::new(Vote::accurate(key, &accuracies, classes))
        }
        Config::Weighted { key, weights, .. } => Arc::new(Vote::weighted(key, &weights)),
    })
}

#[cfg(test)]
mod tests;
