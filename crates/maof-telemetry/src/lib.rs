//! Tells: spans, metrics and health, every name in one file.
