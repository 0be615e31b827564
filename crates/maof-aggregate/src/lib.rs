//! Folds several answers into one: first, majority, weighted vote.
