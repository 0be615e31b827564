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
}

impl Fair {
    /// The place of a tenant's next task: lower goes first.
    pub(crate) fn place(&mut self, tenant: &Name, priority: i16) -> i64 {
        if self.last.len() > REMEMBERED {
            let now = self.now;
            self.last.retain(|_, last| *last > now);
        }
        let last = self.last.entry(tenant.clone()).or_insert(0);
        *last = (*last).max(self.now) + 1;
        *last - i64::from(priority) * HEAD_START
    }

    /// A task of this place and priority was claimed.
    pub(crate) fn claimed(&mut self, place: i64, priority: i16) {
        self.now = self.now.max(place + i64::from(priority) * HEAD_START);
    }

    /// Takes up a queue that was there before.
    pub(crate) fn seen(&mut self, tenant: &Name, place: i64, priority: i16) {
        let start = place + i64::from(priority) * HEAD_START;
        let last = self.last.entry(tenant.clone()).or_insert(0);
        *last = (*last).max(start);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_does_not_starve_others_and_priority_goes_first() {
        let (flood, other) = (Name::new("flood").unwrap(), Name::new("other").unwrap());
        let mut fair = Fair::default();
        let places: Vec<i64> = (0..1000).map(|_| fair.place(&flood, 0)).collect();
        for place in &places[..10] {
            fair.claimed(*place, 0);
        }
        let late = fair.place(&other, 0);
        assert!(late < places[12], "{late} waits behind the flood");
        assert!(fair.place(&other, 9) < late, "priority is a head start");
    }
}
