//! Tiers: what callers of a service level may spend, and whom they may ask.
//!
//! ```
//! use maof_budget::TierConfig;
//! let free: TierConfig = serde_json::from_str(
//!     r#"{"agents": ["fast"], "budgets": [{"account": "user", "limit_usd": 5, "window": "month"}]}"#,
//! )?;
//! free.validate()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::BudgetConfig;

/// What callers of a tier may do. A caller's tier is its key's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TierConfig {
    /// Further names of the tier. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub aliases: Vec<Name>,
    /// The only agents that its callers may ask; a key that names agents itself is held to both. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub agents: Option<Vec<Name>>,
    /// What its callers may spend, beside what `budgets` says of everybody; `user` is each of its users. Default: no limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetConfig>,
}

impl TierConfig {
    /// Checks its budgets.
    ///
    /// # Errors
    /// `invalid_request` naming the budget and its field.
    pub fn validate(&self) -> Result<()> {
        for (i, budget) in self.budgets.iter().enumerate() {
            budget.validate().map_err(|e| {
                let field = e.field().unwrap_or_default().to_owned();
                e.param(format!("budgets[{i}].{field}"))
            })?;
            if budget.account.starts_with("tier:") {
                let why = "a tier's budget is about its own callers: write `tenant` for all of them in a tenant together";
                return Err(Error::invalid_request(why).param(format!("budgets[{i}].account")));
            }
        }
        Ok(())
    }
}
