//! Speaks to upstreams: dialects (pure, both directions), profiles (a provider as data) and the HTTP client.
//!
//! An [`HttpEndpoint`] puts the three together: it encodes a call in its provider's dialect, sends it, and
//! decodes the answer, whole or streamed. Dropping its future or its reply aborts the upstream.
//!
//! ```
//! use maof_providers::ProviderConfig;
//! let config: ProviderConfig = serde_json::from_str(
//!     r#"{"profile": "openai_compatible", "base_url": "http://127.0.0.1:8080/v1"}"#,
//! )?;
//! config.validate()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod client;
pub mod dialect;
mod endpoint;
pub mod profile;

pub use dialect::anthropic::{ANTHROPIC, Anthropic};
pub use dialect::gemini::{GEMINI, Gemini};
pub use dialect::openai::{COMPATIBLE, OPENAI, OpenAi};
pub use dialect::openai_responses::{RESPONSES, Responses};
pub use endpoint::HttpEndpoint;
pub use profile::{Auth, Profile, ProviderConfig};
