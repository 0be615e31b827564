//! How one endpoint does of late: what is under way, how quick it is, how often it fails, and whether it may be asked.
//!
//! Shared by every call, so nothing here takes a lock. Each number stands for itself: two that are read one after the
//! other may be of two moments, which costs a decision that was as good a moment ago.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use maof_core::CircuitState;

/// How often an endpoint that rests is asked all the same, in milliseconds: its breaker can only notice that the time
/// has come when it is asked, and refuses at no cost until then.
const LOOK_MS: u64 = 1_000;
/// What an endpoint of which nothing is known counts as while its first call is under way, in milliseconds.
const UNKNOWN_MS: f32 = 60_000.0;
/// The longest that an answer is taken to have taken, in milliseconds.
const LONGEST_MS: f32 = 600_000.0;
/// What a call weighs after the next one, in the share of those that succeed: the last fifty count.
const FADE: f32 = 0.98;
/// The part of its share that an endpoint gets when it has just come.
const COLD: f32 = 0.1;
/// Milliseconds in a tick; 32 bits of them are two years.
const TICK_MS: u64 = 16;

/// One endpoint's state.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    in_flight: AtomicU32,
    /// Milliseconds until an answer begins (f32) and the tick of the last one.
    pace: AtomicU64,
    /// Successes and calls (f32 each), faded.
    record: AtomicU64,
    /// Its circuit breaker is open.
    rested: AtomicBool,
    /// Its probe failed.
    sick: AtomicBool,
    drained: AtomicBool,
    /// When it was last let through while it rests.
    looked_ms: AtomicU64,
    /// When it came, or came back, plus one; 0 for one that was always there.
    came_ms: AtomicU64,
}

impl Pulse {
    /// One that comes at `now`.
    pub(crate) fn fresh(now: u64) -> Self {
        Pulse { came_ms: AtomicU64::new(now + 1), ..Pulse::default() }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self) {
        // Never below none, whatever is told.
        let _ = self.in_flight.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// An answer has begun after `waited`.
    pub(crate) fn answered(&self, waited: Duration, now: u64, decay_ms: u64) {
        self.learn(|_| waited.as_secs_f32() * 1_000.0, now, decay_ms);
        self.count(true);
    }

    /// The endpoint has failed after `waited`. It counts as one that took twice as long as usual, lest who fails quickly
    /// look quick.
    pub(crate) fn failed(&self, waited: Duration, now: u64, decay_ms: u64) {
        let waited = waited.as_secs_f32() * 1_000.0;
        self.learn(|usual| waited.max((2.0 * usual).min(UNKNOWN_MS)).max(1.0), now, decay_ms);
        self.count(false);
    }

    /// Peak EWMA, as Finagle has it: up at once, down slowly
    /// (<https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded>).
    fn learn(&self, sample: impl Fn(f32) -> f32, now: u64, decay_ms: u64) {
        let tick = (now / TICK_MS) as u32;
        let _ = self.pace.fetch_update(Relaxed, Relaxed, |packed| {
            let (usual, last) = unpack(packed);
            let sample = sample(usual).clamp(0.001, LONGEST_MS);
            let keeps = kept(u64::from(tick.saturating_sub(last)) * TICK_MS, decay_ms);
            let next = if sample > usual { sample } else { usual * keeps + sample * (1.0 - keeps) };
            Some(pack(next, tick))
        });
    }

    fn count(&self, good: bool) {
        let _ = self.record.fetch_update(Relaxed, Relaxed, |packed| {
            let (successes, calls) = (f32::from_bits((packed >> 32) as u32), f32::from_bits(packed as u32));
            let successes = successes * FADE + f32::from(u8::from(good));
            Some(u64::from(successes.to_bits()) << 32 | u64::from((calls * FADE + 1.0).to_bits()))
        });
    }

    /// Milliseconds until an answer begins, fading while nobody asks, so that who was slow once is tried again; 0 where
    /// nothing is known.
    pub(crate) fn pace(&self, now: u64, decay_ms: u64) -> f32 {
        let (usual, last) = unpack(self.pace.load(Relaxed));
        let idle = now.saturating_sub(u64::from(last) * TICK_MS);
        usual * kept(idle, decay_ms)
    }

    /// The pace, times the calls that one more would wait beside.
    pub(crate) fn load(&self, now: u64, decay_ms: u64) -> f32 {
        let (pace, under_way) = (self.pace(now, decay_ms), self.in_flight() as f32);
        if pace == 0.0 && under_way > 0.0 { UNKNOWN_MS + under_way } else { pace * (under_way + 1.0) }
    }

    /// Milliseconds for one answer that is right, where a failure is followed by another try: the pace over the share of
    /// calls that succeed, which is taken to be nearly all where little is known.
    pub(crate) fn performance(&self, now: u64, decay_ms: u64) -> f32 {
        let (usual, last) = unpack(self.pace.load(Relaxed));
        let idle = now.saturating_sub(u64::from(last) * TICK_MS);
        let packed = self.record.load(Relaxed);
        let (successes, calls) = (f32::from_bits((packed >> 32) as u32), f32::from_bits(packed as u32));
        // With as few divisions as there can be: this is done a hundred times for a decision.
        usual * (calls + 1.0) / (fading(idle, decay_ms) * (successes + 1.0))
    }

    /// Its breaker is in another state. One that is half open is asked as usual: it lets its probes through, and refuses
    /// the other calls itself.
    pub(crate) fn circuit(&self, state: CircuitState, now: u64) {
        self.rested.store(state == CircuitState::Open, Relaxed);
        self.looked_ms.store(now, Relaxed);
        if state == CircuitState::Closed {
            self.come(now);
        }
    }

    /// Its probe says that it is well, or is not.
    pub(crate) fn probe(&self, well: bool, now: u64) {
        if self.sick.swap(!well, Relaxed) && well {
            self.come(now);
        }
    }

    /// It gets nothing new from now on, or does again.
    pub(crate) fn drain(&self, drained: bool, now: u64) {
        if self.drained.swap(drained, Relaxed) && !drained {
            self.come(now);
        }
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Relaxed)
    }

    /// Whether it stands behind all others; and whether it would, but is looked at now, so that it can be seen to be well
    /// again.
    pub(crate) fn is_down(&self, now: u64) -> (bool, bool) {
        if !self.rested.load(Relaxed) && !self.sick.load(Relaxed) {
            return (false, false);
        }
        let looked = self.looked_ms.load(Relaxed);
        let due = now.saturating_sub(looked) >= LOOK_MS;
        let looked_at = due && self.looked_ms.compare_exchange(looked, now, Relaxed, Relaxed).is_ok();
        (!looked_at, looked_at)
    }

    fn come(&self, now: u64) {
        self.came_ms.store(now + 1, Relaxed);
    }

    /// The part of its share that it gets now, above 0: all of it once it is warm.
    pub(crate) fn warmth(&self, now: u64, warm_up_ms: u64) -> f32 {
        let Some(came) = self.came_ms.load(Relaxed).checked_sub(1) else { return 1.0 };
        let since = now.saturating_sub(came);
        if since >= warm_up_ms { 1.0 } else { COLD + (1.0 - COLD) * since as f32 / warm_up_ms as f32 }
    }
}

/// What is left of what was known so long ago.
fn kept(idle_ms: u64, decay_ms: u64) -> f32 {
    1.0 / fading(idle_ms, decay_ms)
}

/// Its inverse: an exponential, nearly, which a hundred times for a decision would be too dear. After one `decay_ms` 0.38
/// is left instead of 0.37, after three 0.06 instead of 0.05.
fn fading(idle_ms: u64, decay_ms: u64) -> f32 {
    // By way of 32 bits: from 64 without a sign a conversion takes several steps.
    let f32_of = |ms: u64| ms.min(u64::from(u32::MAX)) as u32 as f32;
    let part = 1.0 + f32_of(idle_ms) / (16.0 * f32_of(decay_ms.max(1)));
    let second = part * part;
    let fourth = second * second;
    let eighth = fourth * fourth;
    eighth * eighth
}

fn pack(value: f32, tick: u32) -> u64 {
    u64::from(value.to_bits()) << 32 | u64::from(tick)
}

fn unpack(packed: u64) -> (f32, u32) {
    (f32::from_bits((packed >> 32) as u32), packed as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: u64 = 10_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_pace_rises_at_once_falls_slowly_and_fades_while_nobody_asks() {
        let pulse = Pulse::default();
        assert_eq!(pulse.pace(0, DECAY), 0.0);
        pulse.answered(ms(100), 0, DECAY);
        pulse.answered(ms(900), 160, DECAY);
        assert_eq!(pulse.pace(160, DECAY), 900.0);
        pulse.answered(ms(100), 1_600, DECAY);
        let slowly = pulse.pace(1_600, DECAY);
        assert!(700.0 < slowly && slowly < 850.0, "{slowly}");
        assert!(pulse.pace(31_600, DECAY) < slowly / 15.0);
    }

    #[test]
    fn who_fails_quickly_does_not_look_quick() {
        let (fails, works) = (Pulse::default(), Pulse::default());
        for n in 0..20 {
            works.answered(ms(100), n * 160, DECAY);
            match n % 2 {
                0 => fails.answered(ms(100), n * 160, DECAY),
                _ => fails.failed(ms(1), n * 160, DECAY),
            }
        }
        assert!(fails.pace(3_200, DECAY) > 1.5 * works.pace(3_200, DECAY));
        assert!(fails.performance(3_200, DECAY) > 2.5 * works.performance(3_200, DECAY));
        let success = |pulse: &Pulse| pulse.pace(3_200, DECAY) / pulse.performance(3_200, DECAY);
        assert!((success(&works) - 1.0).abs() < 1e-6 && success(&fails) < 0.6);
    }

    #[test]
    fn the_load_counts_what_is_under_way_and_the_unknown_get_one_call_at_a_time() {
        let pulse = Pulse::default();
        assert_eq!(pulse.load(0, DECAY), 0.0);
        pulse.begin();
        assert!(pulse.load(0, DECAY) > 60_000.0);
        pulse.answered(ms(100), 0, DECAY);
        assert_eq!(pulse.load(0, DECAY), 200.0);
        pulse.end();
        pulse.end();
        assert_eq!((pulse.in_flight(), pulse.load(0, DECAY)), (0, 100.0));
    }

    #[test]
    fn who_rests_is_looked_at_once_a_second() {
        let pulse = Pulse::default();
        assert_eq!(pulse.is_down(0), (false, false));
        pulse.circuit(CircuitState::Open, 5_000);
        let down: Vec<bool> =
            [5_000, 5_999, 6_000, 6_001, 6_999, 7_000].map(|now| pulse.is_down(now).0).into();
        assert_eq!(down, [true, true, false, true, true, false]);
        pulse.circuit(CircuitState::HalfOpen, 7_100);
        assert_eq!((pulse.is_down(7_100), pulse.warmth(7_100, 1_000)), ((false, false), 1.0));
        pulse.circuit(CircuitState::Closed, 7_100);
        assert_eq!((pulse.is_down(7_100), pulse.warmth(7_100, 1_000)), ((false, false), COLD));
        pulse.probe(false, 7_100);
        assert_eq!((pulse.is_down(7_200), pulse.is_down(9_000)), ((true, false), (false, true)));
    }

    #[test]
    fn who_comes_back_warms_up() {
        let pulse = Pulse::default();
        assert_eq!(pulse.warmth(0, 1_000), 1.0);
        pulse.drain(true, 0);
        assert!(pulse.is_drained());
        pulse.drain(false, 10_000);
        let warmth = |now| (pulse.warmth(now, 1_000) * 100.0).round();
        assert_eq!([10_000, 10_500, 11_000].map(warmth), [10.0, 55.0, 100.0]);
        assert_eq!((Pulse::fresh(0).warmth(0, 1_000), Pulse::fresh(0).warmth(0, 0)), (COLD, 1.0));
    }
}
