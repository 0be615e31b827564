//! What a call can cost at worst, before anything is known of the answer.

use std::fmt;

use maof_core::{Call, Card, Measure, Money, Result, Tariff, Unit, Usage};

/// The most that a call can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// Its cost.
    pub cost: Money,
    /// Its tokens, input and output.
    pub tokens: u64,
}

impl Worst {
    pub(crate) fn amount(&self, measure: Measure) -> i64 {
        match measure {
            Measure::Money => self.cost.nanos(),
            Measure::Tokens => i64::try_from(self.tokens).unwrap_or(i64::MAX),
            Measure::Requests => 1,
        }
    }
}

/// Knows the cheapest candidate for a call.
pub trait Quote: Send + Sync + fmt::Debug {
    /// What the call costs at worst at the cheapest endpoint that may answer it; none if none may.
    fn cheapest(&self, call: &Call) -> Option<Money>;
}

/// What a call costs at worst at one endpoint: every input token at the dearest input price, as many output
/// tokens as may come at the dearest output price, every byte as a character, one request.
///
/// # Errors
/// `too_large` when the cost does not fit the range of money.
pub fn worst_cost(call: &Call, card: &Card) -> Result<Money> {
    worst(call, card, call.token_bound()).map(|w| w.cost)
}

/// The same for `input` tokens of input.
pub(crate) fn worst(call: &Call, card: &Card, input: u64) -> Result<Worst> {
    let output = call.body.max_output(card.max_output);
    let dearest = |tariff: &Tariff, units: &[Unit]| {
        units.iter().copied().max_by_key(|u| tariff.price(*u)).unwrap_or(Unit::Input)
    };
    let input_unit = dearest(&card.tariff, &[Unit::Input, Unit::CachedInput, Unit::CacheWrite]);
    let output_unit = dearest(&card.tariff, &[Unit::Output, Unit::Reasoning]);
    let usage = Usage::default()
        .with(input_unit, input)
        .with(output_unit, output)
        // A character is at least a byte.
        .with(Unit::Character, call.body.token_bound())
        .with(Unit::Request, 1);
    Ok(Worst { cost: card.tariff.cost(&usage)?, tokens: input.saturating_add(output) })
}

/// What was probably used where nobody said: a quarter of the bytes of English text are tokens.
pub(crate) fn estimate(call: &Call, streamed_bytes: u64) -> Usage {
    Usage::default()
        .with(Unit::Input, call.token_bound().div_ceil(4))
        .with(Unit::Output, streamed_bytes.div_ceil(4))
        .with(Unit::Request, 1)
        .estimate()
}
