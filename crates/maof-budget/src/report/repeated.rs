//! What was asked again: prompts that begin in the same way, and whole questions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Attempt, Group, Money, Spending, Spent, Tariff, Unit};

use super::suggestion::{Evidence, Kind, Suggestion};

/// The fewest tokens that providers keep of a prompt (<https://platform.openai.com/docs/guides/prompt-caching>;
/// Anthropic's larger models also 1,024, others 2,048 and more:
/// <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>).
const LEAST: u64 = 1_024;
/// How long providers keep it at least after it was last used: five minutes, by the same pages.
const KEPT: Duration = Duration::from_secs(300);

/// What providers would have kept of prompts, one suggestion for each endpoint of `spending`, which is by
/// [`maof_core::Dimension::Endpoint`], [`maof_core::Dimension::Day`] and [`maof_core::Dimension::Opening`].
///
/// An opening counts on a day on which it came again within five minutes, on average. Of each time but the first 1,024 tokens
/// count, less what was read from the cache already: at least so many are in [`Attempt::OPENING`] bytes of text, and the rest of
/// a prompt is not known to be the same. They would have cost what the endpoint's tariff charges for reading from the
/// cache, and the first time what it charges for writing to it. Endpoints that charge no less for that are passed by.
pub fn repeated_openings(spending: &Spending, tariff: impl Fn(&str) -> Option<Tariff>) -> Vec<Suggestion> {
    let mut found: BTreeMap<Arc<str>, (Spent, u64, Money)> = BTreeMap::new();
    for Group { values, spent } in &spending.groups {
        let [Some(endpoint), _, Some(_)] = &values[..] else { continue };
        let again = again(spent, KEPT);
        let Some(tariff) = tariff(endpoint).filter(|_| again > 0) else { continue };
        let missed = (again * LEAST).saturating_sub(spent.usage.get(Unit::CachedInput));
        let (input, cached) = (tariff.price(Unit::Input), tariff.price(Unit::CachedInput));
        let kept = u128::from(input.saturating_sub(cached)) * u128::from(missed);
        let dearer = tariff.price(Unit::CacheWrite).saturating_sub(input);
        let nanos = kept.saturating_sub(u128::from(dearer) * u128::from(LEAST)) / 1_000_000;
        let saves = Money::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
        if saves > Money::ZERO {
            let sum = found.entry(Arc::clone(endpoint)).or_default();
            sum.0 += *spent;
            sum.1 += missed;
            sum.2 = sum.2.plus(saves);
        }
    }
    let told = |(endpoint, (spent, missed, saves)): (Arc<str>, (Spent, u64, Money))| {
        let says = format!(
            "{} attempts began as others did within five minutes ({} bytes); {} of their {} input tokens were read from the \
             cache, and at least {missed} more could have been",
            spent.attempts,
            Attempt::OPENING,
            spent.usage.get(Unit::CachedInput),
            spent.usage.input_tokens(),
        );
        Suggestion {
            kind: Kind::PromptCache,
            advice: format!(
                "Let {endpoint} keep what prompts begin with: put what is always the same first, and mark it where the \
                 provider wants that (Anthropic: `cache_control`)."
            ),
            of: endpoint,
            saves,
            frees: Money::ZERO,
            evidence: Evidence::of(&spent, says),
            assumes: "The provider keeps prompts of 1,024 tokens for five minutes.".to_owned(),
        }
    };
    found.into_iter().map(told).collect()
}

/// What kept answers would have saved, one suggestion for each agent of `spending`, which is by
/// [`maof_core::Dimension::Agent`], [`maof_core::Dimension::Day`] and [`maof_core::Dimension::Question`], of answers for
/// callers only.
///
/// A question counts on a day on which it came again within `kept`, on average; each time but the first, at what it cost on
/// average.
pub fn repeated_questions(spending: &Spending, kept: Duration) -> Vec<Suggestion> {
    let mut found: BTreeMap<Arc<str>, (Spent, u64, Money)> = BTreeMap::new();
    for Group { values, spent } in &spending.groups {
        let [Some(agent), _, Some(_)] = &values[..] else { continue };
        let again = again(spent, kept);
        // Attempts that failed may have cost something too: at the average of all.
        let saves = part(spent.cost, again, spent.attempts);
        if saves > Money::ZERO {
            let sum = found.entry(Arc::clone(agent)).or_default();
            sum.0 += *spent;
            sum.1 += again;
            sum.2 = sum.2.plus(saves);
        }
    }
    let told = |(agent, (spent, again, saves)): (Arc<str>, (Spent, u64, Money))| {
        let says = format!(
            "{again} of {} attempts asked what was asked within {} minutes before",
            spent.attempts,
            kept.as_secs() / 60
        );
        Suggestion {
            kind: Kind::ResponseCache,
            advice: format!(
                "Keep the answers of {agent} (`cache`, with `when: always` where questions do not say `temperature: 0`)."
            ),
            of: agent,
            saves,
            frees: Money::ZERO,
            evidence: Evidence::of(&spent, says),
            assumes: "Who asks again may be given the answer of before.".to_owned(),
        }
    };
    found.into_iter().map(told).collect()
}

/// How often something came again, if it did so within `most` on average.
fn again(spent: &Spent, most: Duration) -> u64 {
    let again = (spent.attempts - spent.failed).saturating_sub(1);
    let (Some(first), Some(last)) = (spent.first, spent.last) else { return 0 };
    match last.since(first).as_micros() <= most.as_micros() * u128::from(again) {
        true => again,
        false => 0,
    }
}

/// So many parts of an amount, rounded down.
fn part(of: Money, parts: u64, all: u64) -> Money {
    let nanos = i128::from(of.nanos()) * i128::from(parts) / i128::from(all.max(1));
    Money::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
