//! Who charges less for the same: other endpoints that may answer for an agent, at the usage that was measured.

use std::sync::Arc;

use maof_core::{Money, Name, Spending, Spent, Timestamp};

use super::suggestion::{Evidence, Kind, Suggestion, days};
use crate::price::Prices;

/// Attempts of a group that must have been answered before it is worth a suggestion.
const ENOUGH: u64 = 20;
/// Scores that say how good an endpoint is.
const SCORES: f64 = 30.0;
/// Standard errors of a difference within which two endpoints count as equal: what is that much better is so by chance
/// once in twenty times (one-sided).
const SIGMAS: f64 = 1.64;

/// An endpoint that may be asked.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its name.
    pub endpoint: Name,
    /// Its agent.
    pub agent: Name,
    /// What that agent can do.
    pub capabilities: Vec<Name>,
    /// What it charges; none where nobody knows.
    pub prices: Option<Arc<Prices>>,
    /// The most tokens that it takes at once.
    pub context: Option<u64>,
}

/// How good an agent's answers at an endpoint were, by callers' feedback.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The mean score, 0 to 1.
    pub mean: f64,
    /// How many scores that is the mean of; older ones count for less.
    pub scores: f64,
}

impl Quality {
    fn is_known(&self) -> bool {
        self.scores >= SCORES
    }

    /// The square of the mean's standard error, as of one that is right or wrong, and never quite sure.
    fn variance(&self) -> f64 {
        let mean = (self.mean * self.scores + 1.0) / (self.scores + 2.0);
        mean * (1.0 - mean) / self.scores
    }

    /// Whether it is no worse than `other`, as far as can be told.
    fn equals(&self, other: &Quality) -> bool {
        self.mean >= other.mean - SIGMAS * (self.variance() + other.variance()).sqrt()
    }
}

/// What cheaper endpoints would have saved, one suggestion for each agent and endpoint of `spending`, which is by
/// [`maof_core::Dimension::Agent`] and [`maof_core::Dimension::Endpoint`].
///
/// Whoever else has an agent of at least the same capabilities, or is another endpoint of the same agent, and takes as large
/// inputs. The saving is what the attempts cost less what their own usage costs at the other one's prices of `now`, at the
/// rate for inputs of the mean size. Where feedback measured both, only one that is no worse is suggested, and before all
/// others; one that was measured to be worse never.
pub fn cheaper(
    spending: &Spending,
    offers: &[Offer],
    quality: impl Fn(&Offer) -> Option<Quality>,
    now: Timestamp,
) -> Vec<Suggestion> {
    let measured = |offer: &Offer| quality(offer).filter(Quality::is_known);
    let each = spending.groups.iter().filter_map(|group| {
        let [Some(agent), Some(endpoint)] = &group.values[..] else { return None };
        let own = offers.iter().find(|offer| offer.agent == **agent && offer.endpoint == **endpoint)?;
        best(&group.spent, own, offers, &measured, now)
    });
    each.collect()
}

fn best(
    spent: &Spent,
    own: &Offer,
    offers: &[Offer],
    measured: &dyn Fn(&Offer) -> Option<Quality>,
    now: Timestamp,
) -> Option<Suggestion> {
    let answered = spent.attempts - spent.failed;
    if answered < ENOUGH {
        return None;
    }
    let ours = measured(own);
    let others = offers.iter().filter(|other| may_stand_in(other, own, spent)).filter_map(|other| {
        let saves = spent.cost.minus(cost_at(other.prices.as_deref()?, spent, now)?);
        let equal = match (ours, measured(other)) {
            (Some(ours), Some(theirs)) if theirs.equals(&ours) => Some((ours, theirs)),
            (Some(_), Some(_)) => return None,
            _ => None,
        };
        (saves > Money::ZERO).then_some((equal, saves, other))
    });
    // What is measured goes before what is not.
    let (equal, saves, other) =
        others.max_by(|(a, one, _), (b, two, _)| (a.is_some(), one).cmp(&(b.is_some(), two)))?;
    Some(told(spent, own, other, saves, equal))
}

/// Whether an endpoint may be asked instead of another one, and takes what that one was sent.
fn may_stand_in(other: &Offer, own: &Offer, spent: &Spent) -> bool {
    let as_able = || {
        !own.capabilities.is_empty() && own.capabilities.iter().all(|can| other.capabilities.contains(can))
    };
    other.endpoint != own.endpoint
        && (other.agent == own.agent || as_able())
        && other.context.is_none_or(|context| spent.largest <= context)
}

/// What the usage of these attempts costs elsewhere.
fn cost_at(prices: &Prices, spent: &Spent, now: Timestamp) -> Option<Money> {
    let mean = spent.usage.input_tokens() / (spent.attempts - spent.failed).max(1);
    prices.tariff(now, None, mean).cost(&spent.usage).ok()
}

fn told(
    spent: &Spent,
    own: &Offer,
    other: &Offer,
    saves: Money,
    equal: Option<(Quality, Quality)>,
) -> Suggestion {
    let (from, to) = (&own.endpoint, &other.endpoint);
    let who = match other.agent == own.agent {
        true => format!("Put {to} before {from} among the endpoints of {}", own.agent),
        false => format!("Ask {} ({to}) instead of {} ({from})", other.agent, own.agent),
    };
    let (advice, assumes) = match equal {
        Some((ours, theirs)) => {
            let score = |q: Quality| format!("{:.3} of {:.0} scores", q.mean, q.scores);
            let why = format!("feedback finds it no worse: {} against {}", score(theirs), score(ours));
            (format!("{who}: {why}."), "The same text is as many tokens to both.")
        }
        None => {
            let why =
                "it has the same capabilities by configuration; how good it is nobody has measured here";
            (
                format!("{who}: {why}, so try it on a share first (routing.split)."),
                "Its answers are as good and as long, and the same text is as many tokens to both.",
            )
        }
    };
    let says = format!(
        "{} attempts on {} day(s) cost {}; their usage ({} input and {} output tokens) costs {} there",
        spent.attempts,
        days(spent),
        spent.cost,
        spent.usage.input_tokens(),
        spent.usage.output_tokens(),
        spent.cost.minus(saves),
    );
    Suggestion {
        kind: Kind::Cheaper,
        of: own.agent.as_str().into(),
        advice,
        saves,
        frees: Money::ZERO,
        evidence: Evidence::of(spent, says),
        assumes: assumes.to_owned(),
    }
}
