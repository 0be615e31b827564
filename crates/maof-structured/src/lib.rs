//! Structured output: answers of conversations are held against the JSON schema that was asked for.
//!
//! The provider is asked for the schema in its own words where it has them (that is its dialect's work); here the answer
//! is judged, whoever gave it. One that breaks the schema is refused, sent back once, or passed on and marked
//! ([`Invalid`]). An agent may declare a schema for all its answers, and where in them to find the fields
//! ([`OutputConfig`]).
//!
//! Not judged are answers that are no attempt at it: calls of tools, refusals, and what was cut off by a limit or a
//! filter. They are passed on as what they are. A call without a schema passes through without anything being read of it.
//!
//! A caller's schema costs no more than it may: its size, its nesting, how often its parts judge one value, and its
//! regular expressions are bounded, and it refers to nothing outside of itself.
//!
//! ```
//! use maof_core::{Body, CallId, Call, ChatAnswer, ChatRequest, OutputFormat, Principal, Reply, Response, Target};
//! use maof_structured::{Config, Layer, Outputs};
//! use std::sync::Arc;
//! use tower::{Layer as _, ServiceExt as _};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> maof_core::Result<()> {
//! let model = tower::service_fn(|_: Call| async {
//!     Ok(Reply::whole(Response::chat(ChatAnswer::text(r#"{"answer": "up", "confidence": 2}"#))))
//! });
//! let outputs = Outputs::new(&Config::default(), [])?;
//! let service = Layer::new(Arc::new(outputs)).layer(model);
//!
//! let mut chat = ChatRequest::user("Up or down?");
//! let schema = serde_json::json!({"properties": {"confidence": {"type": "number", "maximum": 1}}});
//! chat.output = Some(OutputFormat::JsonSchema { name: "verdict".into(), schema, strict: None });
//! # let id = CallId::from_uuid(Default::default());
//! let call = Call::new(id, Target::Name("model".parse()?), Principal::local(), Body::from(chat));
//! let refused = service.oneshot(call).await.unwrap_err();
//! assert!(refused.message().ends_with("it breaks `/properties/confidence/maximum`"));
//! # Ok(())
//! # }
//! ```

mod answer;
mod cache;
mod config;
mod fields;
mod graph;
mod layer;
mod outputs;
mod repair;
mod schema;
mod stream;
#[cfg(test)]
mod tests;

pub use config::{Config, Invalid, OutputConfig};
pub use layer::{Layer, Structured};
pub use outputs::Outputs;
