//! The recorded traffic of [`crate::cassette`], as the first tests of a dialect took it: less of each exchange.

use std::fmt;

use bytes::Bytes;

use crate::cassette::{self, Cassettes};

/// A recorded exchange with a provider.
#[derive(Clone)]
pub struct Exchange {
    /// Where it comes from: the file's name, and the position in it.
    pub source: String,
    /// The path that was asked, without host and query.
    pub path: String,
    /// The request's body.
    pub request: Bytes,
    /// The answer's status.
    pub status: u16,
    /// The answer's content type, in lower case.
    pub content_type: String,
    /// The answer's body.
    pub response: Bytes,
}

impl Exchange {
    /// Whether the answer is a stream of server-sent events.
    pub fn is_stream(&self) -> bool {
        self.content_type.starts_with("text/event-stream")
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("source", &self.source)
            .field("path", &self.path)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl From<cassette::Exchange> for Exchange {
    fn from(exchange: cassette::Exchange) -> Self {
        Exchange {
            source: exchange.source(),
            path: exchange.bare_path().to_owned(),
            content_type: exchange.content_type(),
            request: exchange.request,
            status: exchange.status,
            response: exchange.response,
        }
    }
}

/// Every exchange that was recorded with the dialect or provider called `name`, in the order of the files.
///
/// # Panics
/// When there is no folder of recordings although `CI` is set, and when it holds none of that name.
pub fn exchanges(name: &str) -> Vec<Exchange> {
    Cassettes::open().exchanges(name).map(Exchange::from).collect()
}
