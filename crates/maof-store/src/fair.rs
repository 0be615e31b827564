//! Fair order among tenants: who floods the queue waits behind itself.
//!
//! Start-time fair queueing (P. Goyal, H. Vin, H. Cheng, 1996) with one unit a task: a tenant's next task
//! starts after its last one, but never before what is claimed now. A priority is a head start; as virtual
//! time moves on with every claim, what waits grows old and is never starved.

use std::collections::HashMap;

use maof_core::Name;

/// Places that one level of priority is worth.
const HEAD_START: i64 = 100;
/// Tenants that are remembered beyond those who wait.
const REMEMBERED: usize = 10_000;

/// Virtual time.
#[derive(Debug, Default)]
pub(crate) struct Fair {
    now: i64,
    last: HashMap<Name, i64>,
    sweep_at: usize,
}

impl Fair {
    /// Takes up a queue that was there before: each waiting task's tenant, place and priority.
    pub(crate) fn resume(queue: impl IntoIterator<Item = (Name, i64, i16)>) -> Fair {
        let mut fair = Fair::default();
        let mut first = None;
        for (tenant, place, priority) in queue {
            let start = start(place, priority);
            // Time goes on at the first that waits: earlier, who comes new would go before all of them.
            first = Some(first.map_or(start, |first: i64| first.min(start)));
            let last = fair.last.entry(tenant).or_insert(start);
            *last = start.max(*last);
        }
        fair.now = first.map_or(0, |first| first - 1);
        fair
    }

    /// The place of a tenant's next task: lower goes first.
    pub(crate) fn place(&mut self, tenant: &Name, priority: i16) -> i64 {
        self.sweep();
        let last = self.last.entry(tenant.clone()).or_insert(self.now);
        *last = (*last).max(self.now) + 1;
        *last - i64::from(priority) * HEAD_START
    }

    /// A task of this place and priority was claimed.
    pub(crate) fn claimed(&mut self, place: i64, priority: i16) {
        self.now = self.now.max(start(place, priority));
    }

    /// Forgets tenants whose last task was claimed, now and then: they begin at the present as new ones do.
    fn sweep(&mut self) {
        if self.last.len() > self.sweep_at.max(REMEMBERED) {
            let now = self.now;
            self.last.retain(|_, last| *last > now);
            self.sweep_at = self.last.len() * 2;
        }
    }
}

/// A task's start without its head start.
fn start(place: i64, priority: i16) -> i64 {
    place + i64::from(priority) * HEAD_START
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_flood_does_not_starve_others_and_priority_goes_first() {
        let (flood, other) = (name("flood"), name("other"));
        let mut fair = Fair::default();
        let places: Vec<i64> = (0..1000).map(|_| fair.place(&flood, 0)).collect();
        for place in &places[..10] {
            fair.claimed(*place, 0);
        }
        let late = fair.place(&other, 0);
        assert!(late < places[12], "{late} waits behind the flood");
        assert!(fair.place(&other, 9) < late, "priority is a head start");
    }

    #[test]
    fn who_comes_after_a_restart_does_not_overtake_the_queue() {
        let old = name("old");
        let mut fair = Fair::resume((5_000..5_010).map(|place| (old.clone(), place, 0)));
        let new: Vec<i64> = (0..20).map(|_| fair.place(&name("new"), 0)).collect();
        assert!(new[0] >= 5_000 && new[10] > 5_009, "they take turns: {new:?}");
        assert_eq!(fair.place(&old, 0), 5_010, "and the old one goes on where it was");
        assert_eq!(Fair::resume([]).place(&old, 0), 1);
    }

    #[test]
    fn tenants_that_are_done_are_forgotten() {
        let mut fair = Fair::default();
        for number in 0..3 * REMEMBERED {
            let place = fair.place(&name(&format!("t{number}")), 0);
            fair.claimed(place, 0);
        }
        assert!(fair.last.len() <= REMEMBERED + 1, "{} are remembered", fair.last.len());
    }
}
