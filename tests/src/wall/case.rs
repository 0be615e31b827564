//! What a row of the wall is made of: who asks what, how the upstreams behave, and what must be seen.
//!
//! A row is data. A new fault is an entry in [`mod@super::rows`], a new expectation a [`Check`].

use std::fmt;

use maof_testkit::Act;
use serde_json::{Value, json};

/// The words of the question; with `echo: ` before them the answer has 60 tokens, as the upstream counts.
pub const WORDS: usize = 59;
/// What the endpoints of the wall charge for a token, in nano-dollars: input, output.
pub const PRICE: (i64, i64) = (1_000, 2_000);

/// A wire format, of a door or of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// Gemini's contents.
    Contents,
}

/// How a question comes in and goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The door that the caller asks at.
    pub door: Speech,
    /// What the upstreams speak.
    pub upstream: Speech,
    /// Whether a stream is asked for.
    pub stream: bool,
}

/// The chat door in front of OpenAI's dialect, whole and streamed.
pub const BOTH: [Way; 2] = [WHOLE, STREAM];
/// The chat door, whole.
pub const WHOLE: Way = Way { door: Speech::Chat, upstream: Speech::Chat, stream: false };
/// The chat door, streamed.
pub const STREAM: Way = Way { stream: true, ..WHOLE };
/// Streams at every door, each in front of its own dialect and of another.
pub const STREAMS: [Way; 6] = [
    STREAM,
    Way { upstream: Speech::Messages, ..STREAM },
    Way { upstream: Speech::Contents, ..STREAM },
    Way { door: Speech::Messages, ..STREAM },
    Way { door: Speech::Messages, upstream: Speech::Messages, ..STREAM },
    Way { door: Speech::Contents, upstream: Speech::Contents, ..STREAM },
];

impl Speech {
    /// The provider profile that speaks it.
    pub fn profile(self) -> &'static str {
        match self {
            Speech::Chat => "openai",
            Speech::Messages => "anthropic",
            Speech::Contents => "gemini",
        }
    }

    /// The frames that a stream of it has before the first token.
    fn frames_before_text(self) -> usize {
        match self {
            Speech::Chat => 1,
            Speech::Messages => 3,
            Speech::Contents => 0,
        }
    }

    /// The body of a refusal in its words.
    pub fn failure(self, code: &str, message: &str) -> String {
        let said = match self {
            Speech::Chat => {
                json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}})
            }
            Speech::Messages => {
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
            }
            Speech::Contents => {
                json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
            }
        };
        said.to_string()
    }
}

impl Way {
    /// The number of the upstream's frame that comes after `tokens` tokens.
    pub fn after(self, tokens: usize) -> usize {
        self.upstream.frames_before_text() + tokens
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |speech| match speech {
            Speech::Chat => "chat",
            Speech::Messages => "messages",
            Speech::Contents => "contents",
        };
        let how = if self.stream { "stream" } else { "whole" };
        write!(f, "{} > {}, {how}", name(self.door), name(self.upstream))
    }
}

/// What may be on the bill of an attempt that failed. One that succeeded costs exactly what its usage says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bill {
    /// The provider said no before any work: nothing.
    #[default]
    Nothing,
    /// Nobody waited for the answer: the provider may bill it or not.
    Perhaps,
    /// Tokens came: something, and at most the estimate of everything.
    Part,
}

/// One upstream of a case.
#[derive(Clone, Debug, Default)]
pub struct Up {
    /// What it does, request by request; the last act is repeated.
    pub acts: Vec<Act>,
    /// What its failed attempts may cost.
    pub bill: Bill,
    /// How it is reached.
    pub line: Line,
    /// What it speaks, where that is not what [`Way::upstream`] says.
    pub speech: Option<Speech>,
}

/// How an upstream is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// In clear text.
    #[default]
    Plain,
    /// Over TLS and HTTP/2.
    Tls,
    /// Not at all: what asks to be connected is dropped.
    Deaf,
}

/// How often the case is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// One call.
    Once,
    /// A call in each of these milliseconds, for so many.
    Every(u64, u64),
}

/// What must be seen. Numbers of upstreams are places in [`Case::ups`].
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// Everything that was asked for, with a clean end, its reason and its usage.
    Answer,
    /// A typed error in the door's own envelope, with one of these statuses, before any other word.
    Refused(&'static [u16]),
    /// The whole answer, or a refusal of any status before any word; nothing between the two.
    AnswerOrRefused,
    /// A refusal that says when to come back, in at most 120 seconds.
    SaysWhen,
    /// A refusal that holds this in its code or message.
    Says(&'static str),
    /// The answer is all there, or the stream ends in an error event and without the sign of a clean end.
    RescuedOrTold,
    /// [`Check::RescuedOrTold`] or a refusal.
    AnswerOrTold,
    /// The stream ends in an error event, after some of the answer.
    Told,
    /// The caller has waited at most this many milliseconds.
    Within(u64),
    /// The first byte of the answer came within this many milliseconds.
    FirstWithin(u64),
    /// This upstream was asked at least and at most so many times.
    Attempts(usize, usize, usize),
    /// All upstreams together were asked at most so many times in any so many milliseconds.
    AttemptsIn(usize, u64),
    /// This many milliseconds are between the first and the second request to the first upstream, or it was
    /// asked once.
    Gap(u64),
    /// The reply names this upstream as who answered, in its header and in its body.
    AnsweredBy(usize),
    /// The reply's header says what the answer cost, exactly.
    Costs,
    /// The reply's header of this name says this.
    Header(&'static str, &'static str),
    /// The last so many calls were answered by this upstream.
    ReturnsTo(usize, usize),
    /// This upstream was asked by at most this part of the calls, in percent.
    Spared(usize, usize),
    /// At most so many requests were open at this upstream at once, and that many were.
    AtOnce(usize, u64),
    /// Some calls were answered. The others were refused with a time to come back, half of them within so many
    /// milliseconds.
    Sheds(u64),
    /// The server's memory grew by at most so many MiB while the case was played. Such a case is played alone.
    Memory(u64),
}

/// One way of playing a row.
#[derive(Clone, Debug)]
pub struct Case {
    /// The way.
    pub way: Way,
    /// What is special about it.
    pub note: &'static str,
    /// Who may answer, most preferred first.
    pub ups: Vec<Up>,
    /// What the request has beside the question, in the words of the door.
    pub extra: Value,
    /// Whether the request ends with the beginning of the answer.
    pub prefill: bool,
    /// How often it is played.
    pub drive: Drive,
    /// What must be seen.
    pub checks: Vec<Check>,
}

impl Case {
    /// One call, nothing expected yet.
    pub fn new(way: Way) -> Case {
        Case {
            way,
            note: "",
            ups: Vec::new(),
            extra: json!({}),
            prefill: false,
            drive: Drive::Once,
            checks: Vec::new(),
        }
    }

    /// The next upstream, whose failures cost nothing.
    #[must_use]
    pub fn up(self, acts: impl IntoIterator<Item = Act>) -> Case {
        self.billed(Bill::Nothing, acts)
    }

    /// The next upstream.
    #[must_use]
    pub fn billed(mut self, bill: Bill, acts: impl IntoIterator<Item = Act>) -> Case {
        self.ups.push(Up { acts: acts.into_iter().collect(), bill, ..Up::default() });
        self
    }

    /// The next upstream, asked over HTTP/2.
    #[must_use]
    pub fn over_tls(mut self, bill: Bill, acts: impl IntoIterator<Item = Act>) -> Case {
        self.ups.push(Up { acts: acts.into_iter().collect(), bill, line: Line::Tls, ..Up::default() });
        self
    }

    /// The next upstream, which cannot be connected to.
    #[must_use]
    pub fn deaf(mut self) -> Case {
        self.ups.push(Up { line: Line::Deaf, ..Up::default() });
        self
    }

    /// How often it is played.
    #[must_use]
    pub fn driven(mut self, drive: Drive) -> Case {
        self.drive = drive;
        self
    }

    /// The next upstream, which speaks another dialect than the others.
    #[must_use]
    pub fn speaking(mut self, speech: Speech, acts: impl IntoIterator<Item = Act>) -> Case {
        self.ups.push(Up { acts: acts.into_iter().collect(), speech: Some(speech), ..Up::default() });
        self
    }

    /// What must be seen.
    #[must_use]
    pub fn see(mut self, checks: impl IntoIterator<Item = Check>) -> Case {
        self.checks.extend(checks);
        self
    }

    /// What is special about it.
    #[must_use]
    pub fn note(mut self, note: &'static str) -> Case {
        self.note = note;
        self
    }

    /// The question, and the beginning of the answer where there is one.
    pub fn question(&self) -> String {
        (1..=WORDS).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
    }

    /// The answer that is expected: the upstream's echo of the last message.
    pub fn answer(&self) -> String {
        format!("echo: {}", if self.prefill { PREFILL.to_owned() } else { self.question() })
    }

    /// The nano-dollars of a whole answer.
    pub fn full_cost(&self) -> i64 {
        let words = |text: &str| text.split_whitespace().count() as i64;
        let input = words(&self.question()) + if self.prefill { words(PREFILL) } else { 0 };
        input * PRICE.0 + words(&self.answer()) * PRICE.1
    }

    /// Whether it is played while nothing else is.
    pub fn alone(&self) -> bool {
        self.checks.iter().any(|check| matches!(check, Check::Memory(_)))
    }

    /// The request's body at its door, for the model `name`.
    pub fn body(&self, name: &str) -> Value {
        let question = self.question();
        let mut body = match self.way.door {
            Speech::Contents => json!({"contents": [{"role": "user", "parts": [{"text": question}]}]}),
            _ => {
                json!({"model": name, "stream": self.way.stream, "messages": [{"role": "user", "content": question}]})
            }
        };
        match self.way.door {
            Speech::Messages => body["max_tokens"] = json!(1_000),
            Speech::Chat if self.way.stream => body["stream_options"] = json!({"include_usage": true}),
            _ => {}
        }
        if self.prefill
            && let Some(messages) = body["messages"].as_array_mut()
        {
            messages.push(json!({"role": "assistant", "content": PREFILL}));
        }
        for (key, value) in self.extra.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        body
    }

    /// The door's path.
    pub fn path(&self, name: &str) -> String {
        match (self.way.door, self.way.stream) {
            (Speech::Chat, _) => "/v1/chat/completions".to_owned(),
            (Speech::Messages, _) => "/v1/messages".to_owned(),
            (Speech::Contents, false) => format!("/v1beta/models/{name}:generateContent"),
            (Speech::Contents, true) => format!("/v1beta/models/{name}:streamGenerateContent?alt=sse"),
        }
    }
}

/// The beginning of an answer that a request may end with.
pub const PREFILL: &str = "Once upon a time";

/// A fault, and the ways in which it is played.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its code in the list of cases, or a name.
    pub code: &'static str,
    /// What the upstream does.
    pub fault: &'static str,
    /// What must happen.
    pub must: &'static str,
    /// The ways.
    pub cases: Vec<Case>,
    /// What the server's configuration is changed to; such a row has a server of its own.
    pub setting: Option<fn(&mut Value)>,
}

impl Row {
    /// A row of these cases.
    pub fn new(
        code: &'static str,
        fault: &'static str,
        must: &'static str,
        cases: impl IntoIterator<Item = Case>,
    ) -> Row {
        Row { code, fault, must, cases: cases.into_iter().collect(), setting: None }
    }

    /// Gives it a server of its own, with this configuration.
    #[must_use]
    pub fn set(mut self, setting: fn(&mut Value)) -> Row {
        self.setting = Some(setting);
        self
    }
}
