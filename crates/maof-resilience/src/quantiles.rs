//! Quantiles of durations as they are of late: counts in buckets that grow, older ones fading.

use std::time::Duration;

/// What durations are counted in.
const UNIT: Duration = Duration::from_micros(8);
/// Buckets to each doubling, as bits: eight, so that a bucket is at most an eighth wide.
const BITS: u32 = 3;
const SIDE: u64 = 1 << BITS;
/// Enough buckets for nine hours.
const BUCKETS: usize = 240;

/// Durations that were seen, each within an eighth.
#[derive(Clone, Debug)]
pub(crate) struct Quantiles {
    counts: Box<[u32]>,
    total: u32,
    /// Once so many are counted, every count is halved.
    most: u32,
}

impl Quantiles {
    /// Remembers about `last` durations.
    pub(crate) fn new(last: u32) -> Self {
        Quantiles { counts: vec![0; BUCKETS].into(), total: 0, most: last.max(2) }
    }

    /// How many are remembered.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Counts one.
    pub(crate) fn add(&mut self, duration: Duration) {
        if self.total >= self.most {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        if let Some(count) = self.counts.get_mut(bucket(duration)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// What `percent` of those that are remembered do not exceed; none where none is.
    pub(crate) fn percentile(&self, percent: u32) -> Option<Duration> {
        let wanted = (u64::from(self.total) * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        })?;
        Some(end_of(at))
    }
}

/// The bucket of a duration: log-linear, as in HdrHistogram (<https://hdrhistogram.github.io/HdrHistogram/>).
fn bucket(duration: Duration) -> usize {
    let units = u64::try_from(duration.as_nanos() / UNIT.as_nanos()).unwrap_or(u64::MAX);
    let at = match units.checked_ilog2() {
        Some(log) if log >= BITS => u64::from(log - BITS + 1) * SIDE + ((units >> (log - BITS)) & (SIDE - 1)),
        _ => units,
    };
    usize::try_from(at).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn end_of(at: usize) -> Duration {
    let (row, column) = ((at as u64) / SIDE, (at as u64) % SIDE);
    let units = match row {
        0 => column + 1,
        row => (SIDE + column + 1) << (row - 1),
    };
    UNIT.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_percentile_is_right_within_an_eighth(
            mut micros in prop::collection::vec(0..30_000_000_000u64, 1..200), percent in 1..=100u32,
        ) {
            let mut quantiles = Quantiles::new(1_000);
            micros.iter().for_each(|m| quantiles.add(Duration::from_micros(*m)));
            micros.sort_unstable();
            let at = (micros.len() * percent as usize).div_ceil(100).max(1) - 1;
            let exact = Duration::from_micros(micros[at]);
            let found = quantiles.percentile(percent).unwrap();
            prop_assert!(found >= exact && found <= exact + exact / 8 + UNIT, "{found:?}, not {exact:?}");
        }
    }

    #[test]
    fn what_is_long_past_fades() {
        let mut quantiles = Quantiles::new(100);
        assert_eq!(quantiles.percentile(50), None);
        (0..1_000).for_each(|_| quantiles.add(Duration::from_secs(10)));
        (0..200).for_each(|_| quantiles.add(Duration::from_millis(10)));
        assert!(quantiles.total() <= 100);
        assert!(quantiles.percentile(50).unwrap() < Duration::from_millis(12));
    }

    #[test]
    fn what_is_too_long_to_count_counts_as_the_longest() {
        let mut quantiles = Quantiles::new(100);
        quantiles.add(Duration::MAX);
        assert!(quantiles.percentile(100).unwrap() > Duration::from_secs(9 * 3_600));
    }
}
