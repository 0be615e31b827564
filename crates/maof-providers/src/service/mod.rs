//! A service of one's own that answers over HTTP: a URL, a body with placeholders, and where the answer stands.
//!
//! It takes the text of a conversation and gives text; an answer that is other JSON is given as its text.
//!
//! ```
//! use maof_providers::ServiceConfig;
//! let json = r#"{"url": "http://127.0.0.1:8000/predict", "body": {"text": "{{ text }}"}, "result": "/label"}"#;
//! let service: ServiceConfig = serde_json::from_str(json)?;
//! service.validate()?;
//!
//! let json = r#"{"url": "http://127.0.0.1:8000/predict", "body": {"text": ["{{ txet }}"]}}"#;
//! let service: ServiceConfig = serde_json::from_str(json)?;
//! assert_eq!(service.validate().unwrap_err().field(), Some("body.text[0]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod endpoint;
mod template;

pub use config::{Method, ServiceConfig, UsagePointers};
pub use endpoint::ServiceEndpoint;

#[cfg(test)]
mod tests;
