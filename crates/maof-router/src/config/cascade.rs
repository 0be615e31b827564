//! Cascades: a cheap agent is asked first.

use std::path::PathBuf;

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
    /// a wrong equation, a broken schema and disagreement always do. Not beside `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// A file of `maof route train`, relative to the configuration, that weighs the signs as its outcomes bore them out: whose cheap
    /// model is `first`, and trained with the cheap model's answers. A broken schema, disagreement and an end that the provider cut
    /// always send an answer on. Say `quality` or `cost_weight` too. Default: none, by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// With `model`: the part of the strong model's quality to keep, with as few calls of it as held-out outcomes tell: 0.95 is
    /// 95 %. Above 0, at most 1.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f32>,
    /// With `model`, in place of `quality`: how much quality (0 to 1) a mean call of the strong model must add to be worth its cost; 0
    /// asks it wherever it is more probably right. At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_weight: Option<f32>,
    /// Whether streams are cascaded too: then nothing is seen of one until the first answer is whole. Default false: they go to
    /// whom they ask for.
    #[serde(default)]
    pub hold_streams: bool,
}

impl Cascade {
    /// The least confidence, where nothing else is said.
    pub(crate) const CONFIDENCE: f32 = 0.25;

    pub(super) fn validate(&self, at: &str) -> Result<()> {
        let wrong =
            |why: &'static str, field: &str| Err(Error::invalid_request(why).param(format!("{at}.{field}")));
        if self.first == self.of {
            return wrong("is whom the calls ask for anyway; name a cheaper agent", "first");
        }
        if self.second.as_ref() == Some(&self.first) {
            return wrong("agrees with itself; name another agent than `first`", "second");
        }
        let outside =
            |value: Option<f32>, most: f32| value.is_some_and(|value| !(0.0..=most).contains(&value));
        if outside(self.confidence, 1.0) {
            return wrong("must be 0 to 1", "confidence");
        }
        if outside(self.quality, 1.5) || self.quality == Some(0.0) {
            return wrong("must be above 0 and at most 1.5", "quality");
        }
        if outside(self.cost_weight, 100.0) {
            return wrong("must be 0 to 100", "cost_weight");
        }
        match (&self.model, self.confidence, self.quality, self.cost_weight) {
            (Some(_), Some(_), ..) => {
                wrong("a model goes by `quality` or `cost_weight`; say one of them instead", "confidence")
            }
            (_, _, Some(_), Some(_)) => wrong("say `quality` or `cost_weight`, not both", "quality"),
            (Some(_), None, None, None) => wrong(
                "says nothing of how much to keep; say `quality`, such as 0.95, or `cost_weight`",
                "model",
            ),
            (None, _, Some(_), _) => wrong("needs `model`, a file of `maof route train`", "quality"),
            (None, _, _, Some(_)) => wrong("needs `model`, a file of `maof route train`", "cost_weight"),
            _ => Ok(()),
        }
    }
}
