//! The way out: a port for HTTP, the client behind it, and server-sent events.
//!
//! ```
//! use maof_providers::client::Events;
//! let mut events = Events::new(1 << 20);
//! events.push(b"event: e\ndata: 1\n");
//! assert!(events.next()?.is_none());
//! events.push(b"\n");
//! let frame = events.next()?.ok_or("a frame")?;
//! assert_eq!((frame.name.as_deref(), &frame.data[..]), (Some("e"), &b"1"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connect;
mod direct;
#[cfg(test)]
pub(crate) mod fake;
mod inline;
mod lane;
mod pool;
mod pooled;
mod proxied;
mod sse;

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, Method};
use maof_core::Result;

pub use pooled::Pooled;
pub use sse::{Events, Frame};

/// How we name ourselves to upstreams.
const AGENT: &str = concat!("maof/", env!("CARGO_PKG_VERSION"));

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is to be done there.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// Its headers; credentials are marked sensitive.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// The bytes of an answer, decompressed, as they come.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// An answer: its head, and its body as it comes. Dropping it closes the exchange.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: BodyStream,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Sends requests over the network. Follows no redirects and sends nothing twice.
#[async_trait]
pub trait Http: Send + Sync + fmt::Debug {
    /// Sends a request and waits for the head of its answer. Dropping the future aborts it.
    ///
    /// # Errors
    /// `unavailable` when the upstream cannot be reached or lets go; `timeout` when connecting takes too long.
    async fn send(&self, request: Request) -> Result<Answer>;
}
