//! Speaks to upstreams: dialects (pure, both directions), profiles (a provider as data) and the HTTP client.
//!
//! An [`HttpEndpoint`] puts the three together: it encodes a call in its provider's dialect, sends it, and
//! decodes the answer, whole or streamed. Dropping its future or its reply aborts the upstream.
//!
//! A [`ServiceEndpoint`] asks a service of one's own by a template, a [`CursorEndpoint`] launches and follows agents.
//! `docs/providers.md` has a table of all that can be asked.
//!
//! ```
//! use maof_providers::ProviderConfig;
//! let config: ProviderConfig = serde_json::from_str(
//!     r#"{"profile": "openai_compatible", "base_url": "http://127.0.0.1:8080/v1"}"#,
//! )?;
//! config.validate()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asked;
pub mod client;
pub mod cursor;
pub mod dialect;
mod endpoint;
mod exchange;
mod plain;
pub mod profile;
mod schemas;
pub mod service;
mod sound;
mod webhook;
mod whole;

pub use cursor::{CursorConfig, CursorEndpoint};
pub use dialect::anthropic::{ANTHROPIC, Anthropic};
pub use dialect::gemini::{GEMINI, Gemini};
pub use dialect::openai::{COMPATIBLE, OPENAI, OpenAi};
pub use dialect::openai_responses::{RESPONSES, Responses};
pub use endpoint::HttpEndpoint;
pub use profile::{Auth, JsonSchemaMode, Profile, ProviderConfig, Shapes};
pub use service::{ServiceConfig, ServiceEndpoint};
pub use webhook::Webhook;
