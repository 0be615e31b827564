//! Lets in and keeps out: API keys, roles, which agents a caller may use.
