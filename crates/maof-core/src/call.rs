//! A call: one question to whatever can answer it, on its way through the stack.
//!
//! ```
//! use maof_core::{Body, Call, CallId, ChatRequest, Operation, Principal, Target};
//! let call = Call::new(
//!     CallId::from_uuid(uuid::Uuid::nil()),
//!     Target::Name("analyst".parse()?),
//!     Principal::local(),
//!     Body::from(ChatRequest::user("hello")),
//! );
//! assert_eq!(call.operation(), Operation::Chat);
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cache::CacheControl;
use crate::chat::{ChatRequest, EmbedRequest, OutputFormat, Part};
use crate::dialect::{Ask, Dialect, Header, Unsupported};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{CallId, DecisionId, Name, RunId};
use crate::measure::Measure;
use crate::media::{ImageRequest, SpeechRequest, TranscribeRequest};
use crate::money::Tariff;
use crate::principal::Principal;
use crate::usage::{Unit, Usage};
use crate::waits::Waits;

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The next message of a conversation.
    Chat,
    /// Vectors for texts.
    Embed,
    /// Pictures from a text.
    Image,
    /// The text of what is said.
    Transcribe,
    /// A text said.
    Speech,
    /// How many input tokens a conversation has.
    CountTokens,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 6] =
        [Self::Chat, Self::Embed, Self::Image, Self::Transcribe, Self::Speech, Self::CountTokens];

    /// The operation's name in OpenTelemetry's GenAI conventions (`gen_ai.operation.name`), or in their manner.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embeddings",
            Self::Image => "image_generation",
            Self::Transcribe => "transcription",
            Self::Speech => "speech",
            Self::CountTokens => "count_tokens",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom the caller asks for; the router turns it into endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An agent's name, an endpoint's name, or `provider/model`.
    Name(Name),
    /// Whoever the agent map names for this type of task.
    TaskType(Name),
    /// Whoever can do this.
    Capability(Name),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::TaskType(name) => write!(f, "task type {name}"),
            Self::Capability(name) => write!(f, "capability {name}"),
        }
    }
}

/// What the router chose for one attempt's way down; set before an endpoint is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The decision that it belongs to.
    pub decision: DecisionId,
    /// The agent that answers.
    pub agent: Name,
    /// The endpoint that is called.
    pub endpoint: Name,
    /// Standing instructions of the agent, to be put before the conversation.
    pub instructions: Option<Arc<str>>,
    /// How many candidates were passed over before this one.
    pub fallbacks: u32,
    /// The one before this one, and why it did not answer.
    pub instead_of: Option<(Name, ErrorKind)>,
}

/// Where a call belongs, for journals, ledgers and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The run that makes it.
    pub run: Option<RunId>,
    /// The step within the run.
    pub step: Option<Arc<str>>,
    /// Constant over attempts and restarts: what happens under one key happens once.
    pub effect: Option<Arc<str>>,
    /// The type of the task it serves.
    pub task_type: Option<Name>,
    /// The caller's own id of its request: short, and of letters, digits and plain signs.
    pub request: Option<Arc<str>>,
    /// The session that it belongs to, as the caller names it.
    pub session: Option<Arc<str>>,
    /// What else the caller says of it, for rules of routing.
    pub tags: Option<Arc<BTreeMap<Name, Name>>>,
}

impl Provenance {
    /// What the caller says under this tag.
    pub fn tag(&self, tag: &str) -> Option<&Name> {
        self.tags.as_ref()?.get(tag)
    }
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The caller.
    #[default]
    Answer,
    /// To see how somebody else does; nobody gets it.
    Shadow,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 2] = [Self::Answer, Self::Shadow];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Shadow => "shadow",
        }
    }

    /// Whether it is for the caller.
    pub fn is_answer(&self) -> bool {
        *self == Self::Answer
    }
}

/// What is held for a call, whoever answers it.
#[derive(Debug)]
pub struct Held {
    amounts: [i64; Measure::ALL.len()],
    touched: AtomicBool,
}

impl Held {
    /// So much of each measure, in the order of [`Measure::ALL`]; nothing of it is spent yet.
    pub const fn new(amounts: [i64; Measure::ALL.len()]) -> Held {
        Held { amounts, touched: AtomicBool::new(false) }
    }

    /// How much of a measure.
    pub const fn of(&self, measure: Measure) -> i64 {
        self.amounts[measure as usize]
    }

    /// True once: for the first request that is made of the call, which finds all of it there.
    pub fn is_whole(&self) -> bool {
        !self.touched.swap(true, Ordering::Relaxed)
    }
}

/// An account of the caller's that is near its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The account's name.
    pub account: Name,
    /// How much of it is spent and held, in percent of its limit.
    pub percent: u8,
}

/// One question on its way through the stack. Cheap to clone: a retry copies pointers.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// Whom the caller asks for.
    pub target: Target,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// When the answer is of no more use.
    pub deadline: Option<Instant>,
    /// Whether the answer should come as a stream.
    pub stream: bool,
    /// What the caller says of kept answers.
    pub cache: CacheControl,
    /// Where it belongs.
    pub provenance: Provenance,
    /// What the router chose; none above the router.
    pub chosen: Option<Arc<Chosen>>,
    /// Which attempt this is, from 1; set by the retry layer.
    pub attempt: u32,
    /// Which turn of the call's own conversation this is, from 1; raised by who answers an answer.
    pub turn: u32,
    /// How long endpoints have been waited for; one for all copies of the call.
    pub waits: Arc<Waits>,
    /// Whether it is made beside another one of the same call, as a hedge; set by the router.
    pub beside: bool,
    /// What the answer is for.
    pub purpose: Purpose,
    /// What is held for it on the caller's accounts; set where it is held, one for all copies of the call.
    pub held: Option<Arc<Held>>,
    /// The account that is nearest to its limit, if one has passed its soft limit: who is cheaper is asked first. Set where
    /// the call is held.
    pub near: Option<Arc<Near>>,
    /// The question.
    pub body: Body,
}

impl Call {
    /// A call without deadline, not streamed.
    pub fn new(id: CallId, target: Target, principal: Arc<Principal>, body: Body) -> Self {
        Call {
            id,
            target,
            principal,
            deadline: None,
            stream: false,
            cache: CacheControl::default(),
            provenance: Provenance::default(),
            chosen: None,
            attempt: 1,
            turn: 1,
            waits: Arc::default(),
            beside: false,
            purpose: Purpose::Answer,
            held: None,
            near: None,
            body,
        }
    }

    /// What kind of answer is wanted.
    pub fn operation(&self) -> Operation {
        self.body.operation()
    }

    /// No fewer input tokens than the endpoint will count: the body's bound, and what the agent's standing
    /// instructions add.
    pub fn token_bound(&self) -> u64 {
        let instructions = self.chosen.as_ref().and_then(|c| c.instructions.as_ref());
        self.body.token_bound().saturating_add(instructions.map_or(0, |i| i.len() as u64 + 64))
    }

    /// What its input probably is, in the classes that `tariff` charges for, where nobody says: a quarter of the bytes of
    /// English text are tokens. Of sound, four bytes are at most a millisecond, since speech is mostly sent at 32 kbit/s or
    /// more, and a second is 32 tokens to Gemini (<https://ai.google.dev/gemini-api/docs/audio>), fewer to others. Never
    /// more than [`Call::token_bound`].
    pub fn likely_input(&self, tariff: &Tariff) -> Usage {
        let bytes = self.token_bound();
        let (tokens, heard) = match self.operation() {
            Operation::Transcribe => {
                (bytes.div_ceil(4).saturating_mul(32).div_ceil(1_000), bytes.div_ceil(4))
            }
            _ => (bytes.div_ceil(4), 0),
        };
        let charged = |unit: Unit, units: u64| if tariff.price(unit) > 0 { units } else { 0 };
        Usage::default()
            .with(Unit::Input, tokens)
            .with(Unit::Character, charged(Unit::Character, bytes))
            .with(Unit::AudioMs, charged(Unit::AudioMs, heard))
    }

    /// The key under which a provider takes the same request twice for once: the effect, if there is one, and
    /// the turn after the first.
    pub fn idempotency_key(&self) -> Option<Cow<'_, str>> {
        let effect = self.provenance.effect.as_deref()?;
        Some(match self.turn {
            1 => Cow::Borrowed(effect),
            turn => Cow::Owned(format!("{effect}/{turn}")),
        })
    }

    /// The key of this call's hold: the effect where there is one, else the call's id. What is made beside another one has
    /// a hold of its own, since both may be billed.
    pub fn hold_key(&self) -> Arc<str> {
        match (&self.provenance.effect, self.beside) {
            (Some(effect), false) => Arc::clone(effect),
            (Some(effect), true) => format!("{effect}/beside").into(),
            (None, false) => Arc::from(&*self.id.uuid().hyphenated().encode_lower(&mut [0; 36])),
            (None, true) => format!("{}/beside", self.id).into(),
        }
    }
}

/// The question itself.
#[derive(Clone, Debug)]
pub enum Body {
    /// A conversation in MAOF's words.
    Chat(Arc<ChatRequest>),
    /// Texts to embed, in MAOF's words.
    Embed(Arc<EmbedRequest>),
    /// Pictures to make.
    Image(Arc<ImageRequest>),
    /// Sound to write down.
    Transcribe(Arc<TranscribeRequest>),
    /// A text to say.
    Speech(Arc<SpeechRequest>),
    /// A conversation whose tokens are to be counted.
    CountTokens(Arc<ChatRequest>),
    /// As a caller spoke it.
    Wire(Arc<Wire>),
}

impl From<ChatRequest> for Body {
    fn from(chat: ChatRequest) -> Self {
        Body::Chat(Arc::new(chat))
    }
}

impl From<EmbedRequest> for Body {
    fn from(embed: EmbedRequest) -> Self {
        Body::Embed(Arc::new(embed))
    }
}

impl Body {
    /// The question in MAOF's words: never of the kind [`Body::Wire`]. Decoded at most once.
    ///
    /// # Errors
    /// `invalid_request` naming the field that is malformed.
    pub fn typed(&self) -> Result<&Body> {
        match self {
            Body::Wire(wire) => wire.typed(),
            typed => Ok(typed),
        }
    }

    /// The conversation, whether it is to be answered or counted.
    ///
    /// # Errors
    /// `invalid_request` when it is none or its dialect cannot be expressed.
    pub fn chat(&self) -> Result<Arc<ChatRequest>> {
        match self.typed()? {
            Body::Chat(chat) | Body::CountTokens(chat) => Ok(Arc::clone(chat)),
            other => Err(other.unexpected(Operation::Chat)),
        }
    }

    /// The shape that a conversation's answer is asked to have; none where nothing is said. Decodes nothing.
    pub fn output(&self) -> Option<&OutputFormat> {
        match self {
            Body::Chat(chat) => chat.output.as_ref(),
            Body::Wire(wire) => wire.output.as_ref(),
            _ => None,
        }
    }

    /// The same request with another conversation. One that a caller spoke is spoken anew in its dialect, so
    /// that what came beside the conversation stays with it.
    ///
    /// # Errors
    /// `invalid_request` when its dialect cannot express the conversation.
    pub fn with_chat(&self, chat: ChatRequest) -> Result<Body> {
        match self {
            Body::Wire(wire) => Ok(Body::Wire(Arc::new(wire.with_chat(chat)?))),
            _ => Ok(Body::from(chat)),
        }
    }

    /// The texts to embed.
    ///
    /// # Errors
    /// `invalid_request` when it is something else or its dialect cannot be expressed.
    pub fn embed(&self) -> Result<Arc<EmbedRequest>> {
        match self.typed()? {
            Body::Embed(embed) => Ok(Arc::clone(embed)),
            other => Err(other.unexpected(Operation::Embed)),
        }
    }

    /// The error of a body that is of another operation than `expected`.
    pub fn unexpected(&self, expected: Operation) -> Error {
        let asked = self.operation();
        Error::invalid_request(format!("`{asked}` was asked of an endpoint that answers `{expected}`"))
    }

    fn operation(&self) -> Operation {
        match self {
            Body::Chat(_) => Operation::Chat,
            Body::Embed(_) => Operation::Embed,
            Body::Image(_) => Operation::Image,
            Body::Transcribe(_) => Operation::Transcribe,
            Body::Speech(_) => Operation::Speech,
            Body::CountTokens(_) => Operation::CountTokens,
            Body::Wire(wire) => wire.operation,
        }
    }

    /// No fewer input tokens than this can have: every token is at least one byte, plus what each message
    /// and the reply's opening add.
    pub fn token_bound(&self) -> u64 {
        /// What a message adds beyond its text, with room to spare (OpenAI's cookbook: 3 or 4).
        const PER_MESSAGE: u64 = 16;
        let bytes = |n: usize| n as u64;
        match self {
            Body::Wire(wire) => bytes(wire.bytes.len()) + PER_MESSAGE,
            Body::Embed(embed) => embed.input.iter().map(|t| bytes(t.len()) + PER_MESSAGE).sum(),
            Body::Image(image) => bytes(image.prompt.len()) + PER_MESSAGE,
            Body::Speech(speech) => {
                let how = speech.instructions.as_ref().map_or(0, String::len);
                bytes(speech.input.len() + how) + PER_MESSAGE
            }
            Body::Transcribe(sound) => bytes(sound.audio.len()) + PER_MESSAGE,
            // Counting is not charged for.
            Body::CountTokens(_) => 0,
            Body::Chat(chat) => {
                let messages = chat.messages.iter().map(|m| {
                    let name = m.name.as_ref().map_or(0, String::len);
                    m.parts.iter().map(Part::bytes).sum::<u64>() + bytes(name) + PER_MESSAGE
                });
                let tools = chat.tools.iter().map(|t| {
                    let text = t.parameters.to_string().len() + t.name.len();
                    bytes(text + t.description.as_ref().map_or(0, String::len)) + PER_MESSAGE
                });
                let shape = match &chat.output {
                    Some(OutputFormat::JsonSchema { schema, .. }) => schema.to_string().len(),
                    _ => 0,
                };
                messages.sum::<u64>() + tools.sum::<u64>() + bytes(shape) + PER_MESSAGE
            }
        }
    }

    /// How many choices, or pictures, are asked for; at least 1.
    pub fn choices(&self) -> u64 {
        let choices = match self {
            Body::Chat(chat) => chat.choices.unwrap_or(1),
            Body::Image(image) => image.count.unwrap_or(1),
            Body::Wire(wire) => wire.choices,
            _ => 1,
        };
        u64::from(choices.max(1))
    }

    /// The most output tokens over all choices that the caller asked for; none where it set no bound.
    pub fn asked_output(&self) -> Option<u64> {
        match self {
            Body::Chat(chat) => Some(chat.max_tokens?.saturating_mul(self.choices())),
            Body::Wire(wire) => wire.max_output,
            _ => None,
        }
    }

    /// The most output tokens over all choices, where one that was not bounded has at most `unbounded`.
    pub fn max_output(&self, unbounded: u64) -> u64 {
        match self {
            Body::Chat(chat) => chat.max_tokens.unwrap_or(unbounded).saturating_mul(self.choices()),
            Body::Wire(wire) => {
                wire.max_output.unwrap_or_else(|| unbounded.saturating_mul(u64::from(wire.choices.max(1))))
            }
            Body::Image(_) | Body::Transcribe(_) | Body::Speech(_) => unbounded,
            Body::Embed(_) | Body::CountTokens(_) => 0,
        }
    }
}

/// A request as a caller spoke it: opaque bytes, and the little that is routed on.
#[derive(Debug)]
pub struct Wire {
    /// The dialect it is spoken in.
    pub dialect: &'static dyn Dialect,
    /// What is wanted.
    pub operation: Operation,
    /// The body, byte for byte.
    pub bytes: Bytes,
    /// The body's media type with its parameters, where it is no JSON.
    pub content_type: Option<String>,
    /// Headers that belong to the request.
    pub headers: Vec<Header>,
    /// The model that the caller named.
    pub model: String,
    /// Where `bytes` name the model, if they need no other change for an upstream that is asked for the same, streamed or
    /// not, without instructions of an agent's; none where that is not known.
    pub model_at: Option<Range<usize>>,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// Whether it asked for usage in the stream.
    pub include_usage: bool,
    /// The most output tokens it asked for, over all choices.
    pub max_output: Option<u64>,
    /// How many choices it asked for.
    pub choices: u32,
    /// The shape that it asked its answer to have.
    pub output: Option<OutputFormat>,
    /// The same in MAOF's words, once somebody needed it.
    typed: OnceLock<Body>,
}

impl Wire {
    /// A request whose facts the dialect has read.
    pub fn new(dialect: &'static dyn Dialect, operation: Operation, bytes: Bytes, model: String) -> Self {
        Wire {
            dialect,
            operation,
            bytes,
            content_type: None,
            headers: Vec::new(),
            model,
            model_at: None,
            stream: false,
            include_usage: false,
            max_output: None,
            choices: 1,
            output: None,
            typed: OnceLock::new(),
        }
    }

    /// The same request with another conversation, in the same dialect's words.
    fn with_chat(&self, chat: ChatRequest) -> Result<Wire> {
        let output = chat.output.clone();
        // Only what a dialect writes into a body is asked of it: whose call it is says no body.
        let target = Target::Name(Name::new("any")?);
        let mut call =
            Call::new(CallId::from_uuid(Default::default()), target, Principal::local(), Body::from(chat));
        call.stream = self.stream;
        let max_output = self.max_output.unwrap_or(u32::MAX as u64);
        let ask = Ask { model: &self.model, unsupported: Unsupported::Refuse, max_output };
        let outgoing = self.dialect.encode(&call, ask)?;
        Ok(Wire {
            dialect: self.dialect,
            operation: self.operation,
            bytes: outgoing.body,
            content_type: outgoing.content_type,
            headers: self.headers.clone(),
            model: self.model.clone(),
            model_at: None,
            stream: self.stream,
            include_usage: self.include_usage,
            max_output: self.max_output,
            choices: self.choices,
            output,
            typed: OnceLock::new(),
        })
    }

    fn typed(&self) -> Result<&Body> {
        if let Some(typed) = self.typed.get() {
            return Ok(typed);
        }
        match self.dialect.decode_body(self)? {
            Body::Wire(_) => Err(Error::internal("a dialect decoded a body into bytes")),
            typed => Ok(self.typed.get_or_init(|| typed)),
        }
    }
}
