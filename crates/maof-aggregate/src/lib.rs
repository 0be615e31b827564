//! Folds several answers into one, and says how much they agreed.
//!
//! ```
//! use maof_aggregate::{Config, build};
//! let config: Config = serde_json::from_value(serde_json::json!({"strategy": "majority", "key": "/label"}))?;
//! let vote = build(&config)?;
//! # let _ = vote;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ballot;
mod config;
mod first;
mod vote;

use std::sync::Arc;

use maof_core::{Aggregate, Result};

pub use config::Config;

/// Makes the strategy that a configuration names.
///
/// # Errors
/// `invalid_request` naming the field that is wrong.
pub fn build(config: &Config) -> Result<Arc<dyn Aggregate>> {
    config.validate()?;
    Ok(match config {
        Config::First {} => Arc::new(first::First),
        Config::Majority { key } => Arc::new(vote::Vote::plain(key.clone())),
        Config::Weighted { key, confidence, classes, .. } if !confidence.is_empty() => {
            Arc::new(vote::Vote::pooled(key.clone(), confidence.clone(), *classes))
        }
        Config::Weighted { key, weights, accuracies, classes, .. } => {
            Arc::new(vote::Vote::weighted(key.clone(), weights, accuracies, *classes))
        }
    })
}

#[cfg(test)]
mod tests;
