//! Serves it: REST API and OpenAI-compatible gateway on axum.
