//! Heads, neighbours and forest in one: each errs in another way, so that together they err less.

use super::heads::{log_odds, logistic};

/// How much neighbours and forest count, 0 to 1 each; the rest is the heads'.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shares {
    pub(super) near: f32,
    pub(super) forest: f32,
}

impl Shares {
    /// What is left for the heads.
    pub(super) fn heads(self) -> f32 {
        1.0 - self.near - self.forest
    }
}

/// What came of few prompts is never taken to be certain.
const CERTAIN: f32 = 0.02;

/// What an arm's head, its neighbours and the forest say together: the mean of their log odds, by their shares. Who knows
/// nothing (NaN) leaves its share to the head.
pub(super) fn blend(head: f32, near: f32, forest: f32, shares: Shares) -> f32 {
    let head_says = log_odds(head);
    let moved = |said: f32, share: f32| match said.is_nan() || share <= 0.0 {
        true => 0.0,
        false => share * (log_odds(said.clamp(CERTAIN, 1.0 - CERTAIN)) - head_says),
    };
    let moved = moved(near, shares.near) + moved(forest, shares.forest);
    if moved == 0.0 { head } else { logistic(head_says + moved) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_lies_between_and_who_knows_nothing_says_nothing() {
        let said = |near, forest, shares| blend(0.3, near, forest, shares);
        let shares = |near, forest| Shares { near, forest };
        assert_eq!(said(0.9, 0.9, Shares::default()), 0.3);
        assert_eq!(said(f32::NAN, f32::NAN, shares(0.5, 0.3)), 0.3);
        let (near, both) = (said(0.9, 0.1, shares(0.5, 0.0)), said(0.9, 0.9, shares(0.5, 0.3)));
        assert!(0.3 < near && near < both && both < 0.9, "{near} {both}");
        assert_eq!(said(0.9, f32::NAN, shares(0.5, 0.3)), near);
        assert!(said(0.9, 0.1, shares(0.5, 0.3)) < near);
        assert!((said(0.9, 0.1, shares(1.0, 0.0)) - 0.9).abs() < 1e-5);
        assert!(blend(0.5, 0.0, 0.0, shares(0.5, 0.5)) > 0.0);
        assert!((shares(0.5, 0.3).heads() - 0.2).abs() < 1e-6);
    }
}
