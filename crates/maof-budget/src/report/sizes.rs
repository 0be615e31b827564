//! Questions that are much larger than others, and room for answers that nobody needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use maof_core::{Group, Money, Spending, Spent, Tariff, Unit, Usage};

use super::suggestion::{Evidence, Kind, Suggestion};

/// Attempts of an agent that must have been made before their sizes say something.
const ENOUGH: u64 = 100;
/// How much larger than the median a question must be.
const LARGER: u64 = 8;
/// How much more room than the longest answer had must be asked for.
const ROOMIER: u64 = 2;

/// What large questions cost more than those of a usual size, one suggestion for each agent of `spending`, which is by
/// [`maof_core::Dimension::Agent`] and [`maof_core::Dimension::InputSize`].
///
/// Usual is the size that the median of an agent's attempts has; large are those of more than eight times that, where they make a
/// fifth of the cost or more. The saving is what they cost beyond as many attempts of the usual size: the most that can be
/// had.
pub fn oversized(spending: &Spending) -> Vec<Suggestion> {
    let mut agents: BTreeMap<&Arc<str>, Vec<(u64, Spent)>> = BTreeMap::new();
    for Group { values, spent } in &spending.groups {
        let [Some(agent), size] = &values[..] else { continue };
        let size = size.as_deref().and_then(|size| size.parse().ok()).unwrap_or(u64::MAX);
        agents.entry(agent).or_default().push((size, *spent));
    }
    agents.into_iter().filter_map(|(agent, sizes)| large(agent, sizes)).collect()
}

fn large(agent: &Arc<str>, mut sizes: Vec<(u64, Spent)>) -> Option<Suggestion> {
    sizes.sort_unstable_by_key(|(size, _)| *size);
    let all: u64 = sizes.iter().map(|(_, spent)| spent.attempts).sum();
    let cost: Money = sizes.iter().map(|(_, spent)| spent.cost).sum();
    let mut so_far = 0;
    let (usual, of) = sizes.iter().find(|(_, spent)| {
        so_far += spent.attempts;
        so_far * 2 >= all
    })?;
    let mut much = Spent::default();
    let over = sizes.iter().filter(|(size, _)| *size / LARGER >= *usual);
    over.for_each(|(_, spent)| much += *spent);
    if all < ENOUGH || much.attempts == 0 || i128::from(much.cost.nanos()) * 5 < i128::from(cost.nanos()) {
        return None;
    }
    let as_usual = i128::from(of.cost.nanos()) * i128::from(much.attempts) / i128::from(of.attempts.max(1));
    let saves = much.cost.minus(Money::from_nanos(i64::try_from(as_usual).unwrap_or(i64::MAX)));
    let says = format!(
        "{} of {all} attempts had more than {} input tokens and cost {} of {cost}; half of all have at most {usual}, and those of \
         that size cost {} for {}",
        much.attempts,
        usual.saturating_mul(LARGER) / 2,
        much.cost,
        of.cost,
        of.attempts,
    );
    (saves > Money::ZERO).then(|| Suggestion {
        kind: Kind::OversizedContext,
        of: Arc::clone(agent),
        advice: format!("Send {agent} less: cut old turns and documents that the question does not need."),
        saves,
        frees: Money::ZERO,
        evidence: Evidence::of(&much, says),
        assumes: "All of them can do with what most have: the most that can be saved.".to_owned(),
    })
}

/// What is held for output that no answer had, one suggestion for each agent and endpoint of `spending`, which is by
/// [`maof_core::Dimension::Agent`] and [`maof_core::Dimension::Endpoint`].
///
/// Where callers ask on average for more than twice the room that the longest of a hundred or more answers took. It saves
/// nothing: room that is not used is not billed. It frees budget while a call is under way.
pub fn unused_room(spending: &Spending, tariff: impl Fn(&str) -> Option<Tariff>) -> Vec<Suggestion> {
    let each = spending.groups.iter().filter_map(|Group { values, spent }| {
        let [Some(agent), Some(endpoint)] = &values[..] else { return None };
        let mean = spent.asked / spent.bounded.max(1);
        if spent.bounded < ENOUGH || mean <= spent.longest.saturating_mul(ROOMIER) {
            return None;
        }
        let unused = Usage::default().with(Unit::Output, mean - spent.longest);
        let frees = tariff(endpoint)?.cost(&unused).ok().filter(|frees| *frees > Money::ZERO)?;
        let says = format!(
            "{} answers at {endpoint} were allowed {mean} output tokens on average; the longest had {}, the mean {}",
            spent.bounded,
            spent.longest,
            spent.given / spent.bounded.max(1),
        );
        Some(Suggestion {
            kind: Kind::UnusedMaxTokens,
            of: Arc::clone(agent),
            advice: format!("Ask {agent} for less room (`max_tokens`): nearer to {} than to {mean}.", spent.longest),
            saves: Money::ZERO,
            frees,
            evidence: Evidence::of(spent, says),
            assumes: "Answers to come are no longer than those so far.".to_owned(),
        })
    });
    each.collect()
}
