//! One exchange with a provider.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// A recorded exchange with a provider.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Who recorded it: what the file's name says before its first `__`.
    pub suite: String,
    /// The test that was recorded: the rest of the file's name.
    pub test: String,
    /// Its position in the file, from 0.
    pub index: usize,
    /// The request's method.
    pub method: String,
    /// The path that was asked, without host; with the query, as recorded.
    pub path: String,
    /// The request's headers, names in lower case. Recorders leave out secrets and more.
    pub request_headers: Vec<(String, String)>,
    /// The request's body; empty: none.
    pub request: Bytes,
    /// The answer's status.
    pub status: u16,
    /// The answer's headers, names in lower case.
    pub response_headers: Vec<(String, String)>,
    /// The answer's body.
    pub response: Bytes,
}

impl Exchange {
    /// Where it comes from, for messages: `suite__test#index`.
    pub fn source(&self) -> String {
        format!("{}__{}#{}", self.suite, self.test, self.index)
    }

    /// The path without the query.
    pub fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The answer's content type in lower case, with its parameters; empty: none.
    pub fn content_type(&self) -> String {
        header(&self.response_headers, "content-type").unwrap_or_default().to_lowercase()
    }

    /// Whether the answer is a stream of server-sent events.
    pub fn is_stream(&self) -> bool {
        self.content_type().starts_with("text/event-stream")
    }

    /// The answer's server-sent events, as [`super::events`] reads them.
    pub fn sse(&self) -> Vec<(String, String)> {
        super::events(&self.response)
    }

    /// The request's body, if it is JSON.
    pub fn request_json(&self) -> Option<Value> {
        serde_json::from_slice(&self.request).ok()
    }

    /// The answer's body, if it is JSON.
    pub fn response_json(&self) -> Option<Value> {
        serde_json::from_slice(&self.response).ok()
    }

    /// Refuses what was recorded as it was compressed: such bytes would be taken for the message itself.
    pub(super) fn checked(self) -> Result<Exchange, String> {
        for (side, headers) in [("request", &self.request_headers), ("response", &self.response_headers)] {
            match header(headers, "content-encoding") {
                None | Some("identity") => {}
                Some(coding) => return Err(format!("the {side} to {} is in `{coding}`", self.path)),
            }
        }
        Ok(self)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {}: {})", self.source(), self.method, self.path, self.status)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What is written in base64, over one line or many.
pub(super) fn decoded(text: &str) -> Result<Bytes, String> {
    let packed: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(packed).map(Bytes::from).map_err(|e| format!("a body that is no base64: {e}"))
}
