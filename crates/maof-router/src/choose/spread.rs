//! Who is asked first among equals; the others of the group follow in a circle.

use std::sync::atomic::Ordering::Relaxed;

use maof_core::{Call, Random};

use super::draft::{Draft, group, place};
use crate::config::{Config, Spread, Sticky};
use crate::learned::bandit::Drawn;
use crate::learned::{Context, hash, uniform};
use crate::learner::{Bandit, Linear};
use crate::pool::{Pool, Seat};

/// What is drawn with.
pub(crate) struct Drawing<'a> {
    pub(crate) config: &'a Config,
    pub(crate) call: &'a Call,
    pub(crate) random: &'a dyn Random,
    pub(crate) now: u64,
    pub(crate) bandit: Option<&'a Bandit>,
    /// With what it sees of the prompt.
    pub(crate) linear: Option<(&'a Linear, &'a Context)>,
}

/// Spreads every group, and tells how probable it was that the first would be the first, where that is known.
pub(crate) fn spread(draft: &mut Draft<'_>, stage: usize, how: Spread, with: &Drawing<'_>) -> Option<f64> {
    let pool = draft.pool;
    let turn = if how == Spread::RoundRobin { pool.turn.fetch_add(1, Relaxed) } else { 0 };
    let mut propensity = Some(1.0);
    let mut rows = std::mem::take(&mut draft.rows);
    for members in rows.chunk_by_mut(|a, b| group(*a) == group(*b)).filter(|members| members.len() > 1) {
        let is_first = members.first().is_some_and(|row| group(*row) == 0);
        let mut one = Group { draft, members, stage, with };
        let chance = match one.looked_at(how) {
            Some(at) => {
                one.members.rotate_left(at);
                None
            }
            None => one.spread(how, turn),
        };
        if is_first {
            propensity = chance;
        }
    }
    draft.rows = rows;
    propensity
}

/// Candidates that are equal.
struct Group<'d, 'p, 'w> {
    draft: &'d mut Draft<'p>,
    members: &'d mut [u64],
    stage: usize,
    with: &'w Drawing<'w>,
}

impl<'p> Group<'_, 'p, '_> {
    fn spread(&mut self, how: Spread, turn: u64) -> Option<f64> {
        let members = self.members.len();
        let (at, chance) = match how {
            Spread::None => (0, Some(1.0)),
            Spread::Random => self.unless_cold(self.with.random.below(members as u64) as usize),
            Spread::RoundRobin => self.unless_cold((turn % members as u64) as usize),
            Spread::Weighted => self.weighted(),
            Spread::LeastBusy => (self.least_busy(), Some(1.0)),
            Spread::Latency => (self.quicker_of_two(), None),
            Spread::Sticky => {
                self.sticky();
                (0, Some(1.0))
            }
            Spread::Thompson => self.drawn(|group, seats, tokens| {
                let Drawing { bandit, random, .. } = group.with;
                bandit.as_ref()?.draw(&group.draft.pool.class, seats, tokens, *random)
            }),
            Spread::LinearThompson => self.drawn(|group, seats, tokens| {
                let Drawing { linear, random, .. } = group.with;
                linear.and_then(|(linear, context)| linear.draw(context, seats, tokens, *random))
            }),
        };
        self.members.rotate_left(at.min(members));
        chance
    }

    fn seat(&self, at: usize) -> Option<&'p Seat> {
        let pool: &'p Pool = self.draft.pool;
        pool.seat(place(*self.members.get(at)?))
    }

    fn note(&mut self, at: usize, score: f32) {
        if let Some(row) = self.members.get(at) {
            self.draft.score(place(*row), self.stage, score);
        }
    }

    /// Where one stands who rests and is looked at by this call. It goes first, since it refuses at no cost while its
    /// time has not come, and might else not be drawn for long. Not where the order is strict: another one is preferred.
    fn looked_at(&self, how: Spread) -> Option<usize> {
        let looked_at = self.draft.looked_at.filter(|_| !matches!(how, Spread::None | Spread::Sticky))?;
        self.members.iter().position(|row| place(*row) == looked_at)
    }

    fn warmth(&self, seat: &Seat) -> f32 {
        seat.pulse.warmth(self.with.now, self.with.config.warm_up_ms)
    }

    /// The one at `at`; one that is not warm yet only as often as it is warm, else the next one.
    fn unless_cold(&self, at: usize) -> (usize, Option<f64>) {
        let warmth = self.seat(at).map_or(1.0, |seat| self.warmth(seat));
        if warmth >= 1.0 {
            return (at, Some(1.0 / self.members.len() as f64));
        }
        let stays = uniform(self.with.random) < f64::from(warmth);
        (if stays { at } else { (at + 1) % self.members.len() }, None)
    }

    fn weighted(&mut self) -> (usize, Option<f64>) {
        let mut total = 0.0;
        for at in 0..self.members.len() {
            let Some(seat) = self.seat(at) else { continue };
            let weight = seat.weight as f32 * self.warmth(seat);
            self.note(at, weight);
            total += f64::from(weight);
        }
        let weight = |at| self.seat(at).map_or(0.0, |seat| f64::from(seat.weight as f32 * self.warmth(seat)));
        if total <= 0.0 {
            return (0, Some(1.0));
        }
        let mut left = uniform(self.with.random) * total;
        let mut last = 0;
        for at in (0..self.members.len()).filter(|at| weight(*at) > 0.0) {
            last = at;
            left -= weight(at);
            if left < 0.0 {
                break;
            }
        }
        // Who has no share is not to be next in the circle before those who have one.
        let chance = weight(last) / total;
        self.members.rotate_left(last);
        let (pool, members) = (self.draft.pool, &mut *self.members);
        members.sort_by_key(|row| pool.seat(place(*row)).is_none_or(|seat| seat.weight == 0));
        (0, Some(chance))
    }

    fn least_busy(&mut self) -> usize {
        // Beginning anywhere, so that those who are idle are not all asked in the configured order.
        let begin = self.with.random.below(self.members.len() as u64) as usize;
        let mut least = (f32::INFINITY, begin);
        for at in (begin..self.members.len()).chain(0..begin) {
            let Some(seat) = self.seat(at) else { continue };
            let under_way = seat.pulse.in_flight() as f32;
            self.note(at, under_way);
            let busy = (under_way + 1.0) / (seat.weight as f32 * self.warmth(seat));
            if busy < least.0 {
                least = (busy, at);
            }
        }
        least.1
    }

    /// M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 2001.
    fn quicker_of_two(&mut self) -> usize {
        let members = self.members.len() as u64;
        let one = self.with.random.below(members) as usize;
        let other = (one + 1 + self.with.random.below(members - 1) as usize) % members as usize;
        let mut load = |at| {
            let Some(seat) = self.seat(at) else { return f32::INFINITY };
            let load = seat.pulse.load(self.with.now, self.with.config.decay_ms) / self.warmth(seat);
            self.note(at, load);
            load
        };
        if load(other) < load(one) { other } else { one }
    }

    /// D. Thaler and C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM ToN 1998: everybody
    /// draws a number from its own name and the key, and the highest goes first.
    fn sticky(&mut self) {
        let key = key(&self.with.config.sticky, self.with.call);
        let pool = self.draft.pool;
        for row in &mut *self.members {
            let drawn = mixed(pool.seat(place(*row)).map_or(0, |seat| seat.hash) ^ key);
            *row = group(*row) << 48 | (!drawn >> 32) << 16 | u64::from(place(*row));
        }
        self.members.sort_unstable();
    }

    /// Whom a bandit draws.
    fn drawn(&mut self, draw: impl Fn(&Self, &[&Seat], f32) -> Option<Drawn>) -> (usize, Option<f64>) {
        let seats: Vec<&Seat> = (0..self.members.len()).filter_map(|at| self.seat(at)).collect();
        let tokens = crate::prompt::tokens(&self.with.call.body);
        match draw(self, &seats, tokens) {
            None => (0, Some(1.0)),
            Some(drawn) => {
                self.note(drawn.arm, drawn.propensity as f32);
                (drawn.arm, Some(drawn.propensity))
            }
        }
    }
}

/// What a call sticks by. Of a tenant always, so that nobody can aim at another's endpoint.
pub(super) fn key(sticky: &Sticky, call: &Call) -> u64 {
    let (tenant, user) = (call.principal.tenant.as_str(), call.principal.user.as_str());
    let within = match sticky {
        Sticky::Tenant => "",
        Sticky::User => user,
        Sticky::Session => call.provenance.session.as_deref().unwrap_or(user),
        Sticky::Tag(tag) => call.provenance.tag(tag.as_str()).map_or(user, |said| said.as_str()),
    };
    mixed(hash(tenant.as_bytes())) ^ hash(within.as_bytes())
}

/// SplitMix64's last steps (G. Steele, D. Lea and C. Flood, OOPSLA 2014): every bit depends on every bit.
pub(super) fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
