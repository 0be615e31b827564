//! Cascades: a cheap agent is asked first.

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Conversations that ask for `of` are answered by `first`, unless its answer is doubtful: then they go on to whom they asked
/// for. Both are billed, to the caller. The first that fits a call holds. Not those with tools or several choices, and not of callers
/// who may not use `first`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cascade {
    /// The agent, endpoint, type of task or capability that is asked for.
    #[schemars(with = "String")]
    pub of: Name,
    /// The cheap agent that is asked first.
    #[schemars(with = "String")]
    pub first: Name,
    /// Another cheap agent that is asked beside it, for its answer should agree. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub second: Option<Name>,
    /// How probably right an answer must be, 0 to 1, by its signs: words of doubt, a final answer that is announced, equations that are
    /// right, numbers of the question. Default 0.25: words of doubt send on an answer that has nothing for it. A refusal, a cut end,
    /// a wrong equation, a broken schema and disagreement always do.
    #[serde(default = "a_quarter")]
    pub confidence: f32,
    /// Whether streams are cascaded too: then nothing is seen of one until the first answer is whole. Default false: they go to
    /// whom they ask for.
    #[serde(default)]
    pub hold_streams: bool,
}

const fn a_quarter() -> f32 {
    0.25
}

impl Cascade {
    pub(super) fn validate(&self, at: &str) -> Result<()> {
        let wrong =
            |why: &'static str, field: &str| Err(Error::invalid_request(why).param(format!("{at}.{field}")));
        if self.first == self.of {
            return wrong("is whom the calls ask for anyway; name a cheaper agent", "first");
        }
        if self.second.as_ref() == Some(&self.first) {
            return wrong("agrees with itself; name another agent than `first`", "second");
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            return wrong("must be 0 to 1", "confidence");
        }
        Ok(())
    }
}
