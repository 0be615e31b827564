//! What a call can cost at worst, before anything is known of the answer.

use std::fmt;

use maof_core::{
    Call, Card, ChatRequest, Measure, Money, Operation, OutputFormat, Part, Result, Tariff, Timestamp, Unit,
    Usage,
};

use crate::price::{self, Prices};
use crate::tokens::{COUNT_AT_MOST, Count, CountTokens};

/// What the rules of a conversation add to each message at most, in tokens.
const PER_MESSAGE: u64 = 16;

/// By what a call is charged at an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The endpoint.
    pub card: &'a Card,
    /// What it charges when.
    pub prices: &'a Prices,
    /// When it is asked.
    pub now: Timestamp,
}

/// The most that a call can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// Its cost.
    pub cost: Money,
    /// Its input tokens.
    pub input: u64,
    /// Its output tokens.
    pub output: u64,
    /// The calls of tools that its answer may ask for; 0 where no budget counts them.
    pub tool_calls: u64,
}

impl Worst {
    /// The lesser of each of the two: what either candidate needs at least.
    #[must_use]
    pub fn least(self, other: Worst) -> Worst {
        Worst {
            cost: self.cost.min(other.cost),
            input: self.input.min(other.input),
            output: self.output.min(other.output),
            tool_calls: self.tool_calls.min(other.tool_calls),
        }
    }

    pub(crate) fn amount(&self, measure: Measure) -> i64 {
        let whole = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        match measure {
            Measure::Money => self.cost.nanos(),
            Measure::Tokens => whole(self.input.saturating_add(self.output)),
            Measure::InputTokens => whole(self.input),
            Measure::OutputTokens => whole(self.output),
            Measure::ToolCalls => whole(self.tool_calls),
            Measure::Requests | Measure::Concurrency => 1,
        }
    }

    /// In the order of [`Measure::ALL`].
    pub(crate) fn amounts(&self) -> [i64; Measure::ALL.len()] {
        Measure::ALL.map(|measure| self.amount(measure))
    }
}

/// Knows the cheapest candidate for a call.
pub trait Quote: Send + Sync + fmt::Debug {
    /// What the call costs at worst at the cheapest endpoint that may answer it; none if none may.
    fn cheapest(&self, call: &Call) -> Option<Money>;

    /// The [least](Worst::least) of the candidates by [`counted_cost`]; asked only where a budget refused the
    /// bound. None where nobody can count, which is also the default.
    fn counted(&self, call: &Call) -> Option<Worst> {
        let _ = call;
        None
    }
}

/// What a call costs at worst at one endpoint: every input token at the dearest input price, as many output
/// tokens as may come at the dearest output price, every byte as a character, one request; all at the dearest
/// rate that may hold for so many tokens.
///
/// # Errors
/// `too_large` when the cost does not fit the range of money.
pub fn worst_cost(call: &Call, terms: Terms<'_>) -> Result<Money> {
    worst(call, terms, call.token_bound()).map(|w| w.cost)
}

/// What a call costs at worst at one endpoint with its input's tokens counted exactly, instead of bounded by
/// their bytes; none where they cannot be: another model's encoding, a question of more than [`COUNT_AT_MOST`]
/// bytes, or one that is more than plain text.
pub fn counted_cost(call: &Call, terms: Terms<'_>, count: &dyn CountTokens) -> Option<Worst> {
    worst(call, terms, counted(call, terms.card, count)?).ok()
}

/// What a call with `input` tokens of input uses at worst at one endpoint.
pub(crate) fn worst(call: &Call, terms: Terms<'_>, input: u64) -> Result<Worst> {
    let output = call.body.max_output(terms.card.max_output);
    let service = price::service(call, terms.prices);
    let mut cost = Money::ZERO;
    for tariff in terms.prices.up_to(terms.now, service.as_deref(), input) {
        cost = cost.max(tariff.cost(&most(call, tariff, input, output))?);
    }
    Ok(Worst { cost, input, output, tool_calls: 0 })
}

/// The dearest usage of so many tokens.
fn most(call: &Call, tariff: &Tariff, input: u64, output: u64) -> Usage {
    let dearest =
        |units: &[Unit]| units.iter().copied().max_by_key(|u| tariff.price(*u)).unwrap_or(Unit::Input);
    let (pictures, heard) = match call.operation() {
        Operation::Image => (call.body.choices(), 0),
        // Speech takes at least 8 kbit/s in every format that providers take: a byte a millisecond.
        Operation::Transcribe => (0, call.body.token_bound()),
        _ => (0, 0),
    };
    Usage::default()
        .with(dearest(&Unit::INPUT), input)
        .with(dearest(&Unit::OUTPUT), output)
        .with(Unit::Image, pictures)
        .with(Unit::AudioMs, heard)
        // A character is at least a byte.
        .with(Unit::Character, call.token_bound())
        .with(Unit::Request, 1)
}

fn standing(call: &Call) -> Option<&str> {
    call.chosen.as_ref().and_then(|chosen| chosen.instructions.as_deref())
}

/// The input's tokens, no fewer than the model will count; none where only the bound is sure.
pub(crate) fn counted(call: &Call, card: &Card, count: &dyn CountTokens) -> Option<u64> {
    let bound = call.token_bound();
    if bound > COUNT_AT_MOST {
        return None;
    }
    let exact = |text: &str| match count.count(&card.model, text) {
        Count::Exact(tokens) => Some(tokens + PER_MESSAGE),
        Count::Estimate(_) => None,
    };
    let chat = call.body.chat().ok().filter(|chat| is_plain(chat))?;
    let mut tokens = PER_MESSAGE + standing(call).map_or(Some(0), exact)?;
    for message in &chat.messages {
        tokens += PER_MESSAGE + message.name.as_ref().map_or(0, |name| name.len() as u64);
        for part in &message.parts {
            let Part::Text { text } = part else { return None };
            tokens += exact(text)?;
        }
    }
    (tokens < bound).then_some(tokens)
}

/// Whether a conversation's tokens are those of its texts. Tools and schemas are rendered in ways that
/// providers do not publish, and a field that only a dialect knows may be more prompt.
fn is_plain(chat: &ChatRequest) -> bool {
    chat.tools.is_empty()
        && chat.rest.values().all(|v| !v.is_object() && !v.is_array())
        && !matches!(chat.output, Some(OutputFormat::JsonSchema { .. }))
        && chat
            .messages
            .iter()
            .all(|m| m.tool_calls().next().is_none() && m.rest.values().all(|v| v.is_null()))
}

/// What was probably used where nobody said, `output` tokens having come. Never more than the worst case, which is what is
/// held.
pub(crate) fn estimate(call: &Call, card: &Card, output: u64) -> Usage {
    let output = output.min(call.body.max_output(card.max_output));
    call.likely_input(&card.tariff).with(Unit::Output, output).with(Unit::Request, 1).estimate()
}

#[cfg(test)]
#[path = "worst/tests.rs"]
mod tests;
