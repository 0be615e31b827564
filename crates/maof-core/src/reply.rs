//! A reply: whole or streamed, with an ordered list of guards and one source of its end.
//!
//! Every reply ends exactly once: when it is finished, when it fails, or when it is dropped. Guards that
//! layers put on it on the way back are told then, innermost first, so that a stream is judged when it
//! ends and not when its headers arrive.
//!
//! ```
//! use maof_core::{ChatAnswer, End, Guard, Guarded as _, Reply, Response};
//! use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
//! struct Seen(Arc<AtomicBool>);
//! impl Guard for Seen {
//!     fn end(self: Box<Self>, end: &mut End) { self.0.store(end.is_complete(), Ordering::SeqCst) }
//! }
//! let seen = Arc::new(AtomicBool::new(false));
//! let mut reply = Reply::whole(Response::chat(ChatAnswer::text("hi")));
//! reply.guard(Box::new(Seen(seen.clone())));
//! drop(reply);
//! assert!(seen.load(Ordering::SeqCst));
//! ```

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::cache::CacheStatus;
use crate::call::{Chosen, Near, Operation};
use crate::chat::{ChatAnswer, EmbedAnswer, Finish, Part};
use crate::dialect::{Content, Dialect};
use crate::error::{Error, Failure, Result};
use crate::event::{Delta, Event};
use crate::ids::Name;
use crate::media::{ImageAnswer, SpeechAnswer, TranscribeAnswer};
use crate::money::Money;
use crate::usage::Usage;
use crate::waits::Waits;

mod held;

/// A typed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a conversation.
    Chat(ChatAnswer),
    /// To texts to embed.
    Embed(EmbedAnswer),
    /// Pictures.
    Image(ImageAnswer),
    /// What was said.
    Transcribe(TranscribeAnswer),
    /// A text said.
    Speech(SpeechAnswer),
    /// How many input tokens a conversation has.
    CountTokens(u64),
}

impl Answer {
    /// What it answers.
    pub const fn operation(&self) -> Operation {
        match self {
            Answer::Chat(_) => Operation::Chat,
            Answer::Embed(_) => Operation::Embed,
            Answer::Image(_) => Operation::Image,
            Answer::Transcribe(_) => Operation::Transcribe,
            Answer::Speech(_) => Operation::Speech,
            Answer::CountTokens(_) => Operation::CountTokens,
        }
    }
}

/// A whole answer: bytes of a dialect, or typed; each made from the other when it is asked for.
#[derive(Clone, Debug)]
pub struct Response {
    /// What it answers.
    pub operation: Operation,
    /// What was used.
    pub usage: Option<Usage>,
    /// Why it ended (the first choice).
    pub finish: Option<Finish>,
    /// The upstream's id of it.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    wire: Option<(&'static dyn Dialect, Content)>,
    answer: OnceLock<Answer>,
}

impl Response {
    /// A conversation's answer that MAOF made or assembled itself.
    pub fn chat(answer: ChatAnswer) -> Self {
        let finish = answer.choices.first().and_then(|c| c.finish.clone());
        Self { finish, ..Self::typed(Answer::Chat(answer)) }
    }

    /// An answer that MAOF made itself.
    pub fn typed(answer: Answer) -> Self {
        let operation = answer.operation();
        Self { answer: OnceLock::from(answer), ..Self::empty(operation) }
    }

    fn empty(operation: Operation) -> Self {
        Self {
            operation,
            usage: None,
            finish: None,
            id: None,
            model: None,
            wire: None,
            answer: OnceLock::new(),
        }
    }

    /// An answer in the bytes of `dialect`, which has checked that they are well-formed.
    pub fn wire(operation: Operation, dialect: &'static dyn Dialect, content: Content) -> Self {
        Self { wire: Some((dialect, content)), ..Self::empty(operation) }
    }

    /// The body, if the answer came in that of the dialect called `dialect`.
    pub fn content_of(&self, dialect: &str) -> Option<&Content> {
        self.wire.as_ref().filter(|(d, _)| d.name() == dialect).map(|(_, content)| content)
    }

    /// The body as it came from upstream; none where it did not.
    pub fn content(&self) -> Option<&Content> {
        self.wire.as_ref().map(|(_, content)| content)
    }

    /// Bytes that it takes in memory, about: as it came, and as it was decoded.
    pub fn bytes(&self) -> u64 {
        let wire = self.wire.as_ref().map_or(0, |(_, content)| content.bytes.len() as u64);
        let typed = match self.answer.get() {
            Some(Answer::Chat(chat)) => {
                chat.choices.iter().flat_map(|choice| &choice.message.parts).map(Part::bytes).sum()
            }
            Some(Answer::Embed(embed)) => embed.vectors.iter().map(|vector| 4 * vector.len() as u64).sum(),
            Some(Answer::Image(_) | Answer::Transcribe(_) | Answer::Speech(_)) => wire,
            Some(Answer::CountTokens(_)) | None => 0,
        };
        wire + typed
    }

    /// The typed answer, decoded at most once.
    ///
    /// # Errors
    /// `protocol` when the dialect cannot read its own bytes.
    pub fn answer(&self) -> Result<&Answer> {
        if let Some(answer) = self.answer.get() {
            return Ok(answer);
        }
        let Some((dialect, content)) = &self.wire else {
            return Err(Error::internal("a response has neither bytes nor an answer"));
        };
        let decoded = dialect.decode_answer(self.operation, content)?;
        Ok(self.answer.get_or_init(|| decoded))
    }

    /// Bytes of text and arguments that a conversation's answer says; 0 for other answers.
    pub fn said_bytes(&self) -> u64 {
        match self.answer() {
            Ok(Answer::Chat(chat)) => {
                chat.choices.iter().flat_map(|choice| &choice.message.parts).map(Part::bytes).sum()
            }
            _ => 0,
        }
    }

    /// Calls of tools that a conversation's answer asks for; 0 for other answers.
    pub fn tool_calls(&self) -> u64 {
        match self.answer() {
            Ok(Answer::Chat(chat)) => {
                chat.choices.iter().map(|choice| choice.message.tool_calls().count() as u64).sum()
            }
            _ => 0,
        }
    }

    /// What a conversation's answer says, as a stream says it: the fold over these is the answer again. Nothing for
    /// other answers.
    ///
    /// # Errors
    /// As [`Response::answer`].
    pub fn deltas(&self) -> Result<Vec<Delta>> {
        match self.answer()? {
            Answer::Chat(chat) => Ok(crate::fold::unfold(self, chat)),
            _ => Ok(Vec::new()),
        }
    }

    /// The text of a conversation's first choice.
    ///
    /// # Errors
    /// As [`Response::answer`]; `protocol` when the answer is no conversation's.
    pub fn text(&self) -> Result<String> {
        match self.answer()? {
            Answer::Chat(chat) => Ok(chat.plain_text()),
            Answer::Transcribe(said) => Ok(said.text.clone()),
            other => {
                let came = other.operation();
                Err(Error::protocol(format!("an answer to `{came}` came where text was expected")))
            }
        }
    }
}

/// How a reply ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer was there.
    Complete,
    /// It failed on the way.
    Failed(Failure),
    /// Nobody wanted the rest.
    Dropped,
}

/// The end of a reply: what every guard is told, and may add to for those further out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// What was used, as far as the provider said.
    pub usage: Option<Usage>,
    /// Bytes of text and arguments that came: all that were streamed, or those of a whole answer without usage.
    pub streamed_bytes: u64,
    /// Pieces in which they came.
    pub streamed_deltas: u64,
    /// Calls of tools that the answer asks for.
    pub tool_calls: u64,
    /// Why the answer ended.
    pub finish: Option<Finish>,
    /// The model that answered.
    pub model: Option<String>,
    /// What it cost; added by the attempt's guard.
    pub cost: Option<Money>,
}

impl End {
    /// An end of which only the outcome is known.
    pub fn of(outcome: Outcome) -> Self {
        End {
            outcome,
            usage: None,
            streamed_bytes: 0,
            streamed_deltas: 0,
            tool_calls: 0,
            finish: None,
            model: None,
            cost: None,
        }
    }

    /// How many output tokens probably came, where nobody says: a quarter of the bytes of English text are tokens, and no
    /// piece of a stream has less than one.
    pub fn estimated_output(&self) -> u64 {
        self.streamed_bytes.div_ceil(4).max(self.streamed_deltas)
    }

    /// Whether the whole answer was there.
    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }
}

/// Told once how a reply ended. A guard that is dropped without having been told belongs to a call that
/// never had a reply; its `Drop` releases what it holds.
pub trait Guard: Send {
    /// The reply has ended. Must neither block nor panic.
    fn end(self: Box<Self>, end: &mut End);
}

/// What layers need of a reply, so that they are written once for every kind of it.
pub trait Guarded {
    /// Adds a guard outside those already there.
    fn guard(&mut self, guard: Box<dyn Guard>);
}

/// The events of a streamed answer.
pub type Events = Pin<Box<dyn Stream<Item = Result<Event>> + Send>>;

/// What came of holding an answer against the JSON schema that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conformity {
    /// It follows the schema.
    Valid,
    /// It follows the schema since it was asked for again.
    Repaired,
    /// It does not, and is passed on all the same.
    Invalid,
}

impl Conformity {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Repaired => "repaired",
            Self::Invalid => "invalid",
        }
    }
}

/// Who answered.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// What the router chose; none for an endpoint that is called directly.
    pub chosen: Option<Arc<Chosen>>,
    /// The provider of the endpoint that answered, as its card names it.
    pub provider: Option<Name>,
    /// How long the call, or the one whose answer this is a copy of, has waited for endpoints.
    pub waits: Option<Arc<Waits>>,
    /// The media type of a stream that is no server-sent events, such as sound; its bytes pass as they come.
    pub media_type: Option<Cow<'static, str>>,
    /// Requests made to the endpoint that answered.
    pub attempts: u32,
    /// Fields of the request that its upstream could not be told, by name.
    pub dropped: Vec<String>,
    /// Whether a whole answer follows its schema; none where none was asked for, or it cannot be said yet.
    pub schema: Option<Conformity>,
    /// What the cache did for the call; none where there is none.
    pub cache: Option<CacheStatus>,
    /// The account near its limit for which who is cheaper was asked first.
    pub near: Option<Arc<Near>>,
}

enum Inside {
    Whole(Box<Response>),
    Stream(Events),
    Taken,
}

/// A reply; see the [module](self).
pub struct Reply {
    /// Who answered.
    pub head: Head,
    content: Inside,
    ends: Ends,
}

impl Reply {
    /// A whole reply.
    pub fn whole(response: Response) -> Self {
        let mut end = End::of(Outcome::Complete);
        end.usage = response.usage;
        if response.usage.is_none() {
            // Understood for this alone, so only where it is needed.
            end.streamed_bytes = response.said_bytes();
        }
        if response.finish == Some(Finish::ToolCalls) {
            end.tool_calls = response.tool_calls();
        }
        end.finish.clone_from(&response.finish);
        end.model.clone_from(&response.model);
        Self::of(Inside::Whole(Box::new(response)), end)
    }

    /// A streamed reply.
    pub fn stream(events: Events) -> Self {
        Self::of(Inside::Stream(events), End::of(Outcome::Dropped))
    }

    fn of(content: Inside, end: End) -> Self {
        Reply { head: Head::default(), content, ends: Ends(Box::new(Told { end, guards: Vec::new() })) }
    }

    /// Whether it is streamed.
    pub fn is_stream(&self) -> bool {
        matches!(self.content, Inside::Stream(_))
    }

    /// The whole answer; none where it is streamed.
    pub fn response(&self) -> Option<&Response> {
        match &self.content {
            Inside::Whole(response) => Some(response),
            Inside::Stream(_) | Inside::Taken => None,
        }
    }

    /// The same reply with its events passed through `pass`; its guards are told of what comes out of it. A whole one
    /// stays as it is.
    #[must_use]
    pub fn map_events(mut self, pass: impl FnOnce(Events) -> Events) -> Self {
        self.content = match std::mem::replace(&mut self.content, Inside::Taken) {
            Inside::Stream(events) => Inside::Stream(pass(events)),
            other => other,
        };
        self
    }

    /// The reply as a whole; the end of a whole reply is told now. A streamed one is assembled first.
    ///
    /// # Errors
    /// What the stream fails with.
    pub async fn collect(self) -> Result<(Response, End)> {
        let Reply { content, ends, .. } = self;
        match content {
            Inside::Whole(response) => Ok((*response, ends.tell())),
            Inside::Stream(events) => {
                let mut events = ReplyStream { events: Some(events), ends };
                crate::fold::assemble(&mut events).await
            }
            Inside::Taken => Err(Error::internal("a reply was taken twice")),
        }
    }

    /// The reply's parts, for whoever passes it on.
    pub fn into_parts(self) -> (Head, Parts) {
        let Reply { head, content, ends } = self;
        let parts = match content {
            Inside::Whole(response) => Parts::Whole(response, ends),
            Inside::Stream(events) => Parts::Stream(ReplyStream { events: Some(events), ends }),
            Inside::Taken => Parts::Stream(ReplyStream { events: None, ends }),
        };
        (head, parts)
    }
}

impl Guarded for Reply {
    fn guard(&mut self, guard: Box<dyn Guard>) {
        self.ends.0.guards.push(guard);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("head", &self.head)
            .field("stream", &self.is_stream())
            .finish_non_exhaustive()
    }
}

/// A reply taken apart.
#[derive(Debug)]
pub enum Parts {
    /// A whole answer; its end is told by [`Ends::tell`] or when the ends are dropped.
    Whole(Box<Response>, Ends),
    /// A stream, which tells its end itself.
    Stream(ReplyStream),
}

/// The guards of a reply and what they will be told. In a box, since replies go from layer to layer.
pub struct Ends(Box<Told>);

struct Told {
    end: End,
    guards: Vec<Box<dyn Guard>>,
}

impl Ends {
    /// Tells every guard, innermost first. What the guards added is in the answer.
    pub fn tell(mut self) -> End {
        self.0.tell();
        std::mem::replace(&mut self.0.end, End::of(Outcome::Dropped))
    }
}

impl Told {
    /// Later calls tell nobody.
    fn tell(&mut self) {
        for guard in std::mem::take(&mut self.guards) {
            guard.end(&mut self.end);
        }
    }

    fn note(&mut self, item: &Option<Result<Event>>) {
        match item {
            Some(Ok(event)) => {
                for delta in &event.deltas {
                    self.note_delta(delta);
                }
            }
            Some(Err(error)) => {
                self.end.outcome = Outcome::Failed(error.failure());
                self.tell();
            }
            None => {
                self.end.outcome = Outcome::Complete;
                self.tell();
            }
        }
    }

    fn note_delta(&mut self, delta: &Delta) {
        match delta.bytes() {
            0 => {}
            bytes => {
                self.end.streamed_bytes += bytes;
                self.end.streamed_deltas += 1;
            }
        }
        self.end.tool_calls += u64::from(delta.begins_tool_call());
        match delta {
            Delta::Start { model, .. } => self.end.model = named(model),
            Delta::Finish { choice: 0, reason } => self.end.finish = Some(reason.clone()),
            Delta::Usage(usage) => self.end.usage = Some(*usage),
            _ => {}
        }
    }
}

/// Some servers send a model's name with nothing in it.
fn named(model: &str) -> Option<String> {
    (!model.is_empty()).then(|| model.to_owned())
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.tell();
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").field("end", &self.0.end).field("guards", &self.0.guards.len()).finish()
    }
}

/// The events of a reply. Tells the reply's end when it ends, fails or is dropped; yields nothing after an error.
pub struct ReplyStream {
    events: Option<Events>,
    ends: Ends,
}

impl ReplyStream {
    /// The end as far as it is known; final once the stream has ended.
    pub fn end(&self) -> &End {
        &self.ends.0.end
    }
}

impl Stream for ReplyStream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = self.events.as_mut() else { return Poll::Ready(None) };
        let item = std::task::ready!(events.as_mut().poll_next(cx));
        if !matches!(item, Some(Ok(_))) {
            // The upstream's connection is let go before anybody is told.
            self.events = None;
        }
        self.ends.0.note(&item);
        Poll::Ready(item)
    }
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").field("ends", &self.ends).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "reply/tests.rs"]
mod tests;
