//! Speaks to upstreams: dialects, profiles and the HTTP client.
