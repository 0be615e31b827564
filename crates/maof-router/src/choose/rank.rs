//! What comes first, and who is equal.

use super::draft::Draft;
use crate::pool::Seat;

/// Which scores are equal, and which come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Equal {
    /// The least first; only the same are equal.
    Least,
    /// The least first; within about a quarter is equal.
    Nearly,
    /// The most first; only the same are equal.
    Most,
}

/// Orders those who were equal so far by what `score` says of them; who has no score comes last.
pub(crate) fn rank(draft: &mut Draft<'_>, stage: usize, equal: Equal, score: impl Fn(&Seat) -> f32) {
    draft.score_all(stage, score, |score| equal.key(score));
    draft.regroup();
}

impl Equal {
    /// A number that sorts as the scores do.
    fn key(self, score: f32) -> u32 {
        if score.is_nan() {
            return u32::MAX;
        }
        // Floats sort by their bits, once negative ones are turned around. Zero has two sets of them.
        let bits = (score + 0.0).to_bits();
        let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        match self {
            Self::Least => ascending,
            // The exponent and two bits: steps of a quarter of a power of two.
            Self::Nearly => ascending >> 21,
            Self::Most => !ascending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_scores_do_and_no_score_comes_last() {
        let scores = [f32::NEG_INFINITY, -2.0, -0.5, -0.0, 0.0, 1e-9, 0.5, 3.0, 1e20, f32::INFINITY];
        let keys = scores.map(|score| Equal::Least.key(score));
        assert!(keys.is_sorted() && keys[3] == keys[4] && keys[9] < u32::MAX, "{keys:?}");
        let mut turned = scores.map(|score| Equal::Most.key(score));
        turned.reverse();
        assert!(turned.is_sorted() && turned[9] < Equal::Most.key(f32::NAN));
        let nearly = |a, b| Equal::Nearly.key(a) == Equal::Nearly.key(b);
        assert!(nearly(100.0, 110.0) && !nearly(100.0, 130.0));
    }
}
