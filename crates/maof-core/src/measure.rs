//! What an account counts.
//!
//! ```
//! use maof_core::{Measure, Money, Unit, Usage};
//! let usage = Usage::default().with(Unit::Input, 3).with(Unit::Output, 2);
//! assert_eq!(Measure::Tokens.of(Money::ZERO, &usage, 1), 5);
//! assert_eq!("output_tokens".parse::<Measure>()?.show(2), "2 output tokens");
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::money::Money;
use crate::usage::{Unit, Usage};

/// What an account counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Measure {
    /// Nano-dollars.
    Money,
    /// Input and output tokens.
    Tokens,
    /// Input tokens, cached or not.
    InputTokens,
    /// Output tokens, reasoning included.
    OutputTokens,
    /// Requests to upstreams.
    Requests,
    /// Calls of tools that replies ask for.
    ToolCalls,
    /// Calls that are under way. They are held and never spent, so they have no window but the whole time.
    Concurrency,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Measure; 7] = [
        Self::Money,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Requests,
        Self::ToolCalls,
        Self::Concurrency,
    ];

    /// The measure's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Requests => "requests",
            Self::ToolCalls => "tool_calls",
            Self::Concurrency => "concurrency",
        }
    }

    /// How much of it a usage is that cost so much, over so many requests; never negative.
    pub fn of(self, cost: Money, usage: &Usage, requests: u64) -> i64 {
        let whole = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        match self {
            Self::Money => cost.nanos().max(0),
            Self::Tokens => whole(usage.total_tokens()),
            Self::InputTokens => whole(usage.input_tokens()),
            Self::OutputTokens => whole(usage.output_tokens()),
            Self::Requests => whole(requests),
            Self::ToolCalls => whole(usage.get(Unit::ToolCall)),
            Self::Concurrency => 0,
        }
    }

    /// An amount as people read it: `$0.25`, `300 tokens`.
    pub fn show(self, amount: i64) -> String {
        match self {
            Self::Money => Money::from_nanos(amount).to_string(),
            Self::Tokens => format!("{amount} tokens"),
            Self::InputTokens => format!("{amount} input tokens"),
            Self::OutputTokens => format!("{amount} output tokens"),
            Self::Requests => format!("{amount} requests"),
            Self::ToolCalls => format!("{amount} tool calls"),
            Self::Concurrency => format!("{amount} calls at a time"),
        }
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Measure> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == text).ok_or_else(|| {
            let why = format!("`{text}` is none of {}", Self::ALL.map(Self::as_str).join(", "));
            Error::invalid_request(why).param("measure")
        })
    }
}
