//! What the scripted upstream does with each request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is done with one request. In JSON: `"ok"`, `{"status": {"status": 429, "retry_after": "1"}}` …
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A proper answer.
    #[default]
    Ok,
    /// A failure with this status.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header, as it is.
        #[serde(default)]
        retry_after: Option<String>,
        /// The body; none makes an error in the shape of the dialect.
        #[serde(default)]
        body: Option<String>,
    },
    /// The connection is reset before any byte.
    Reset,
    /// No answer, ever.
    Hang,
    /// A proper answer after this many milliseconds.
    Delay(u64),
    /// Proper answers, this many of the model's at once; further requests wait in line. An answer takes half of `ms` to
    /// half as much again.
    Busy {
        /// How many are answered at once.
        at_once: usize,
        /// How long they take in the mean.
        ms: u64,
    },
    /// The head at once; the first frame, or the whole body, after this many milliseconds.
    Late(u64),
    /// Nothing more after this many frames, or after this many bytes of a whole answer; the connection stays.
    Stall(usize),
    /// A proper answer, head included, of which one byte leaves in each of these milliseconds.
    Dribble(u64),
    /// From the model's first request on: 503 for `down_ms`, then 503 and proper answers by turns of `ms`
    /// milliseconds, 503 first; only proper ones once `for_ms` have passed.
    Flap {
        /// How long it only fails.
        #[serde(default)]
        down_ms: u64,
        /// How long a turn lasts.
        ms: u64,
        /// When it ends.
        for_ms: u64,
    },
    /// A stream of `frames` texts `tok0 `, `tok1 ` …, with `ms` milliseconds before each.
    Drip {
        /// How many texts.
        frames: usize,
        /// Milliseconds before each.
        ms: u64,
    },
    /// The connection is cut after this many frames, or after this many bytes of a whole answer.
    Cut(usize),
    /// The frame after this many, or the whole answer, is broken JSON.
    Malformed(usize),
    /// The transfer's chunk after this many frames has no length; of a whole answer: the only one.
    MalformedChunk(usize),
    /// The frame after this many, or the whole answer, holds NUL bytes.
    Nul(usize),
    /// The frame after this many, or the whole answer, holds bytes that are no UTF-8, in two writes.
    InvalidUtf8(usize),
    /// The frame that says why the answer ends comes twice. A whole answer: [`Act::Ok`].
    DuplicateEnd,
    /// An answer that says that it is compressed, and unpacks to this many MiB.
    GzipBomb(usize),
    /// A whole answer, or one frame, of this many MiB.
    Huge(usize),
    /// Over HTTP/2, GOAWAY after this many frames, and the connection ends ([`super::Upstream::start_tls`]).
    GoAway(usize),
    /// 400 where the last message is the assistant's, which some models refuse to go on with; else a proper
    /// answer.
    RefusePrefill,
    /// A stream without its last frame (`[DONE]`, `message_stop`, `response.completed`; of Gemini's: the one
    /// that says why it ends).
    NoTerminator,
    /// A proper answer whose bytes leave in pieces of this many, also amid a line or a character.
    Split(usize),
    /// A proper answer under `text/html`.
    WrongContentType,
    /// A status of success, and an error as the body, or as the frame after this many.
    ErrorInside(usize),
    /// This, word for word.
    Raw {
        /// The status.
        status: u16,
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
    },
}

impl Act {
    /// A failure with this status and an error in the shape of the dialect.
    pub fn status(status: u16) -> Act {
        Act::Status { status, retry_after: None, body: None }
    }

    /// A failure with this status that says when to come back.
    pub fn retry_after(status: u16, retry_after: &str) -> Act {
        Act::Status { status, retry_after: Some(retry_after.to_owned()), body: None }
    }
}

/// Which request is met with what: by the exact text of the last message, else by model, else in order of
/// arrival. Each list is played one act a request; its last act is repeated. No list: [`Act::Ok`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// By the text of the last message (of an embedding: of the first text).
    pub prompts: BTreeMap<String, Vec<Act>>,
    /// By model.
    pub models: BTreeMap<String, Vec<Act>>,
    /// For every other request.
    pub any: Vec<Act>,
}

impl Script {
    /// The same acts for every request, in order of arrival.
    pub fn any(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { any: acts.into_iter().collect(), ..Self::default() }
    }

    /// Adds acts for requests that name `model`.
    #[must_use]
    pub fn model(mut self, model: &str, acts: impl IntoIterator<Item = Act>) -> Self {
        self.models.insert(model.to_owned(), acts.into_iter().collect());
        self
    }

    /// Adds acts for requests whose last message says `text`.
    #[must_use]
    pub fn prompt(mut self, text: &str, acts: impl IntoIterator<Item = Act>) -> Self {
        self.prompts.insert(text.to_owned(), acts.into_iter().collect());
        self
    }

    /// The act for the next request; the list moves on.
    pub(super) fn next(&mut self, model: &str, prompt: &str) -> Act {
        let acts = match (self.prompts.get_mut(prompt), self.models.get_mut(model)) {
            (Some(acts), _) | (None, Some(acts)) => acts,
            (None, None) => &mut self.any,
        };
        match acts.len() {
            0 => Act::Ok,
            1 => acts[0].clone(),
            _ => acts.remove(0),
        }
    }
}
