//! Survives failure: timeout, retry, circuit breaker, as generic tower layers.
