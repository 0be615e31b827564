//! Serves MAOF over HTTP: the REST API for tasks and an OpenAI-compatible gateway for calls.
//!
//! This is the only crate that serves HTTP, and the only one that knows a status code. Handlers are thin:
//! they read a request into nouns of maof-core, ask the [`maof::Maof`] handle, and write what comes back.
//!
//! ```no_run
//! # async fn example() -> maof_core::Result<()> {
//! let maof = maof::Maof::start(maof::Config::default()).await?;
//! let listener = maof_http::bind("127.0.0.1:8000").await?;
//! maof_http::serve(listener, maof, async { /* until ctrl-c */ }).await
//! # }
//! ```

mod auth;
mod body;
mod departure;
mod dto;
mod error;
mod front;
mod routes;
mod serve;

pub use routes::router;
pub use serve::{bind, serve, stop_signal};
