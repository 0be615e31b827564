//! Agents that run in process, by published methods and without any network: honest work for a first run,
//! for tests, and as the cheap candidate behind a dear model.
//!
//! | agent | what it does | method |
//! |---|---|---|
//! | `lexicon` | sentiment of a text | VADER: a rated lexicon and rules |
//! | `bayes` | the same | multinomial naive Bayes over words and word pairs |
//! | `linear` | the same | logistic regression over hashed n-grams |
//! | `summary` | the most central sentences | TextRank |
//! | `keyphrases` | the phrases that stand out | RAKE |
//! | `forecast` | the next values of a series | exponential smoothing (ETS), with its error on a held-out tail |
//!
//! Each takes text (the forecast: `{"series": [numbers], "horizon": 6}`) and gives JSON:
//!
//! - sentiment: `{"label": "positive", "confidence": 0.87, "score": 0.74}`, see [`sentiment`];
//! - summary: `{"summary": "…", "sentences": ["…"], "considered": 12, "of": 12}`;
//! - key phrases: `{"phrases": [{"phrase": "…", "score": 9.5}]}`;
//! - forecast: `{"forecast": [1.5], "horizon": 1, "model": "AAN", "holdout_mape": 3.1, "baseline_mape": 4.2,
//!   "holdout_mase": 0.8, "baseline_mase": 1.1}`.
//!
//! [`LocalEndpoint`] makes an [`Endpoint`](maof_core::Endpoint) of one.
//!
//! ```
//! let lexicon = maof_local::find("lexicon").ok_or("no lexicon")?;
//! let answer = lexicon.answer("A wonderful quarter.")?;
//! assert_eq!(answer["label"], "positive");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod endpoint;
mod forecast;
mod keyphrases;
pub mod sentiment;
mod summary;
mod text;

use std::fmt;

use maof_core::{Error, Result};
use serde_json::Value;

pub use endpoint::LocalEndpoint;

/// Bytes that a question may have.
pub const MAX_INPUT: usize = 1 << 20;

/// An agent that runs in process.
#[derive(Clone, Copy)]
pub struct Agent {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it can do.
    pub capabilities: &'static [&'static str],
    run: fn(&str) -> Result<Value>,
}

impl Agent {
    /// Answers. Takes tens of microseconds for a sentence, about a millisecond for ten thousand characters,
    /// and up to a third of a second for [`MAX_INPUT`]; a forecast takes about 40 µs for each value. It does not
    /// wait for anything, so whoever runs many long texts beside latency-sensitive work gives it a thread.
    ///
    /// # Errors
    /// `too_large` beyond [`MAX_INPUT`]; `invalid_request`, naming the field, when there is nothing to answer
    /// or a forecast's question is malformed.
    pub fn answer(&self, question: &str) -> Result<Value> {
        if question.len() > MAX_INPUT {
            return Err(Error::too_large("a local agent takes at most 1 MiB of text").param("content"));
        }
        if question.trim().is_empty() {
            return Err(Error::invalid_request("the text is empty").param("content"));
        }
        (self.run)(question)
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("name", &self.name).finish_non_exhaustive()
    }
}

static AGENTS: [Agent; 6] = [
    Agent {
        name: "lexicon",
        description: "Sentiment by a rated lexicon and rules (VADER)",
        capabilities: &["sentiment"],
        run: sentiment::by_lexicon,
    },
    Agent {
        name: "bayes",
        description: "Sentiment by naive Bayes over words and word pairs",
        capabilities: &["sentiment"],
        run: sentiment::by_bayes,
    },
    Agent {
        name: "linear",
        description: "Sentiment by logistic regression over hashed n-grams",
        capabilities: &["sentiment"],
        run: sentiment::by_linear,
    },
    Agent {
        name: "summary",
        description: "The most central sentences of a text (TextRank)",
        capabilities: &["summarise"],
        run: summary::answer,
    },
    Agent {
        name: "keyphrases",
        description: "The phrases that stand out in a text (RAKE)",
        capabilities: &["keyphrases"],
        run: keyphrases::answer,
    },
    Agent {
        name: "forecast",
        description: "The next values of a series, with the error on a held-out tail (ETS)",
        capabilities: &["forecast"],
        run: forecast::answer,
    },
];

/// Every local agent.
pub fn agents() -> &'static [Agent] {
    &AGENTS
}

/// The local agent of this name.
pub fn find(name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name)
}
