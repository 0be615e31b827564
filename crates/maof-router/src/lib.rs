//! Decides who should answer: registry, strategies, fallback.
