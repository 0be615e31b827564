//! Who may be asked at all, and who only after everybody else.

use maof_core::{Call, Error, LeftOut, Operation, Result, Target};

use super::draft::{Draft, place};
use crate::config::{Config, Filter};
use crate::pool::{Pool, Seat};
use crate::prompt;

/// What is sifted by.
pub(crate) struct Sieve<'a> {
    pub(crate) config: &'a Config,
    pub(crate) filters: &'a [Filter],
    /// Numbers that each candidate will have.
    pub(crate) stages: usize,
    /// Milliseconds on the router's clock; none where nothing is to be asked, so that how anybody does is of no matter.
    pub(crate) now: Option<u64>,
}

/// Everybody of `pool` who may answer `call`, in the configured order, those who rest behind the others.
///
/// # Errors
/// `permission_denied`, `invalid_request` or `unavailable` when that is nobody.
pub(crate) fn sift<'a>(pool: &'a Pool, call: &Call, sieve: &Sieve<'_>) -> Result<Draft<'a>> {
    let mut draft = Draft::new(pool, sieve.stages);
    let operation = call.operation();
    for (at, (candidate, seat)) in (0_u16..).zip(pool.candidates.iter().zip(&pool.seats)) {
        match first_obstacle(call, operation, candidate.agent.as_str(), seat, sieve.now) {
            Some(why) => draft.left_out.push((at, why)),
            // To ask an endpoint again under another agent's name would only repeat its failure.
            None if pool.has_twins && is_there(&draft, at) => draft.left_out.push((at, LeftOut::Twice)),
            None => draft.rows.push(u64::from(at)),
        }
    }
    if draft.rows.is_empty() {
        return Err(nobody(&draft.left_out, &call.target, operation));
    }
    for filter in sieve.filters {
        match filter {
            // The pool is of those who can.
            Filter::Capability => {}
            Filter::Tags => by_tags(&mut draft, call, sieve.config),
            Filter::Context => by_context(&mut draft, call),
        }
    }
    if let Some(now) = sieve.now {
        rest(&mut draft, now);
    }
    Ok(draft)
}

fn first_obstacle(
    call: &Call,
    operation: Operation,
    agent: &str,
    seat: &Seat,
    now: Option<u64>,
) -> Option<LeftOut> {
    if !call.principal.grant.allows(agent) {
        return Some(LeftOut::Grant);
    }
    if !seat.offers(operation) {
        return Some(LeftOut::Operation);
    }
    (now.is_some() && seat.pulse.is_drained()).then_some(LeftOut::Drained)
}

fn is_there(draft: &Draft<'_>, at: u16) -> bool {
    let endpoint = |at: u16| draft.pool.candidates.get(usize::from(at)).map(|candidate| &candidate.endpoint);
    draft.places().any(|earlier| endpoint(earlier) == endpoint(at))
}

/// Leaves out those who are not kept, unless that is everybody: then the filter does not fit this call.
fn keep(draft: &mut Draft<'_>, why: LeftOut, keeps: impl Fn(u16) -> bool) {
    let kept = draft.rows.iter().filter(|row| keeps(place(**row))).count();
    if kept == 0 || kept == draft.rows.len() {
        return;
    }
    let left_out = &mut draft.left_out;
    draft.rows.retain(|row| {
        let kept = keeps(place(*row));
        if !kept {
            left_out.push((place(*row), why));
        }
        kept
    });
}

fn by_tags(draft: &mut Draft<'_>, call: &Call, config: &Config) {
    let pool = draft.pool;
    let agent = |at: u16| pool.candidates.get(usize::from(at)).map(|candidate| &candidate.agent);
    let rule = config.tags.iter().find(|rule| {
        let said = call.provenance.tag(rule.tag.as_str());
        let fits = said.is_some_and(|said| rule.is.as_ref().is_none_or(|is| is == said));
        fits && draft.places().any(|at| agent(at).is_some_and(|agent| rule.agents.contains(agent)))
    });
    if let Some(rule) = rule {
        keep(draft, LeftOut::Tags, |at| agent(at).is_some_and(|agent| rule.agents.contains(agent)));
    }
}

fn by_context(draft: &mut Draft<'_>, call: &Call) {
    let pool = draft.pool;
    let takes = |at: u16| pool.seat(at).and_then(|seat| seat.context);
    let Some(least) = draft.places().filter_map(takes).min() else { return };
    // Looked at closely only where it may matter: that reads the whole request.
    if prompt::tokens(&call.body) <= least as f32 {
        return;
    }
    let tokens = prompt::text_tokens(&call.body);
    keep(draft, LeftOut::Context, |at| takes(at).is_none_or(|takes| tokens <= takes as f32));
}

/// Puts those who rest behind the others.
fn rest(draft: &mut Draft<'_>, now: u64) {
    let pool = draft.pool;
    let mut any = false;
    for row in &mut draft.rows {
        let Some(seat) = pool.seat(place(*row)) else { continue };
        let (down, looked_at) = seat.pulse.is_down(now);
        if down {
            *row |= 1 << 48;
            any = true;
        }
        if looked_at {
            draft.looked_at = Some(place(*row));
        }
    }
    if any {
        draft.regroup();
    }
}

/// The error of a call that nobody may answer.
fn nobody(left_out: &[(u16, LeftOut)], target: &Target, operation: Operation) -> Error {
    let all = |why: LeftOut| left_out.iter().all(|(_, other)| *other == why);
    if all(LeftOut::Grant) {
        let why = format!("you may use none of the agents that answer {target}; ask for a grant of one");
        return Error::permission_denied(why).param(field(target));
    }
    if left_out.iter().any(|(_, why)| *why == LeftOut::Drained) {
        let why = format!("everybody who answers {target} is drained; ask again once somebody is back");
        return Error::unavailable(why).param(field(target));
    }
    let why = match operation {
        Operation::Chat => format!("no endpoint of {target} answers conversations (`chat`)"),
        Operation::Embed => format!("no endpoint of {target} embeds texts (`embed`)"),
        Operation::Image => format!("no endpoint of {target} makes pictures (`image`)"),
        Operation::Transcribe => format!("no endpoint of {target} writes down sound (`transcribe`)"),
        Operation::Speech => format!("no endpoint of {target} speaks (`speech`)"),
        Operation::CountTokens => format!("no endpoint of {target} counts tokens (`count_tokens`)"),
    };
    Error::invalid_request(why).param(field(target))
}

/// The field of a request that says the target.
pub(crate) fn field(target: &Target) -> &'static str {
    match target {
        Target::Name(_) => "model",
        Target::TaskType(_) => "task_type",
        Target::Capability(_) => "capability",
    }
}
