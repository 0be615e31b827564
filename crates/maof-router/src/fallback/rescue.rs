//! Rescue: a stream that dies after its first byte is continued by the next candidate.
//!
//! Whoever goes on is given the conversation, what was said, and the wish to go on from there. The caller sees one answer:
//! one beginning, one end, and the usage of all who took part. Not every call allows it ([`allows`]), nor every point
//! at which a stream can die ([`Said`]); then it ends in the error that it died of.
//!
//! The words are an instruction and not an answer that is left open for the model to finish: every dialect can say an
//! instruction, and some models refuse a conversation that ends with their own words.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use maof_core::{
    Body, Call, Delta, End, Error, Event, Guard, Guarded as _, Message, Money, Operation, OutputFormat,
    Parts, Reply, ReplyStream, Result, Retry, Speaker, Usage,
};
use parking_lot::Mutex;

/// What the model is told after its own words.
const GO_ON: &str = "Your answer was cut off. Go on exactly where it stops, even in the middle of a sentence or a word. \
                     Repeat nothing, and say nothing about the interruption.";

/// Bytes of an answer that are remembered for whoever goes on.
const MOST: usize = 1 << 20;

/// Asks the next candidate to go on, after this error; none where nobody is left.
pub(super) type Next = dyn FnMut(Call, &Error) -> Option<BoxFuture<'static, Result<Reply>>> + Send;

/// Whether an answer to this call could be continued by another: a stream of one plain text. An answer by a schema, one
/// that stops at certain texts, and several choices cannot: what is wrong with two halves shows only when they are whole.
pub(super) fn allows(call: &Call) -> bool {
    if !call.stream || call.operation() != Operation::Chat || call.body.choices() != 1 {
        return false;
    }
    matches!(call.body.output(), None | Some(OutputFormat::Text))
        && call.body.chat().is_ok_and(|chat| chat.stop.is_empty())
}

/// The reply, which `next` continues should it die. Its events are MAOF's own from the first on: frames of two upstreams
/// would not fit together.
pub(super) fn rescued(call: Call, mut reply: Reply, next: Box<Next>) -> Reply {
    let head = reply.head.clone();
    let spent = Arc::<Mutex<Spent>>::default();
    reply.guard(Box::new(Adds(Arc::clone(&spent))));
    let events = match reply.into_parts() {
        (_, Parts::Stream(events)) => events,
        // Nobody asks it of one that is whole.
        (_, Parts::Whole(response, _)) => return Reply::whole(*response),
    };
    let said = Said::default();
    let now = Now::Said(Box::new(events));
    let stream = Rescued { call, next, said, spent: Arc::clone(&spent), now, first: true, told: false };
    let mut whole = Reply::stream(Box::pin(stream));
    whole.head = head;
    whole.guard(Box::new(Tells(spent)));
    whole
}

/// What was said so far.
#[derive(Debug, Default)]
struct Said {
    text: String,
    /// Whether something was said that nobody else can continue: a tool call, a refusal, an end, too much.
    closed: bool,
}

impl Said {
    fn hear(&mut self, delta: &Delta) {
        match delta {
            Delta::Text { text, .. } if self.text.len() + text.len() <= MOST => self.text.push_str(text),
            Delta::Start { .. } | Delta::Usage(_) | Delta::Next { .. } => {}
            // Thoughts may be thought anew.
            Delta::Reasoning { .. } | Delta::Signature { .. } => {}
            Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Part { .. }
            | Delta::ToolCall { .. }
            | Delta::Finish { .. } => {
                self.closed = true;
            }
        }
    }

    /// The call of whoever goes on.
    fn continued(&self, call: &Call) -> Result<Call> {
        if self.text.is_empty() {
            return Ok(call.clone());
        }
        /// English text has about so many bytes to a token.
        const BYTES: u64 = 4;
        let mut chat = (*call.body.chat()?).clone();
        chat.messages.push(Message::text(Speaker::Assistant, self.text.clone()));
        chat.messages.push(Message::text(Speaker::User, GO_ON));
        let used = self.text.len() as u64 / BYTES;
        chat.max_tokens = chat.max_tokens.map(|most| most.saturating_sub(used).max(1));
        let body: Body = call.body.with_chat(chat)?;
        Ok(Call { body, ..call.clone() })
    }
}

/// What all who took part have used and cost.
#[derive(Debug, Default)]
struct Spent {
    usage: Option<Usage>,
    cost: Option<Money>,
}

/// Adds what one of them has used. Outermost of those inside: by then it is known what it cost.
struct Adds(Arc<Mutex<Spent>>);

impl Guard for Adds {
    fn end(self: Box<Self>, end: &mut End) {
        let mut spent = self.0.lock();
        if let Some(usage) = end.usage {
            *spent.usage.get_or_insert_default() += usage;
        }
        spent.cost = [spent.cost, end.cost].into_iter().flatten().reduce(Money::plus);
    }
}

/// Tells those outside.
struct Tells(Arc<Mutex<Spent>>);

impl Guard for Tells {
    fn end(self: Box<Self>, end: &mut End) {
        let spent = self.0.lock();
        (end.usage, end.cost) = (spent.usage, spent.cost);
    }
}

struct Rescued {
    call: Call,
    next: Box<Next>,
    said: Said,
    spent: Arc<Mutex<Spent>>,
    now: Now,
    /// Whether it is still the one who began.
    first: bool,
    /// Whether the one who speaks now has told what it used.
    told: bool,
}

enum Now {
    Said(Box<ReplyStream>),
    /// Somebody is asked to go on; with what the stream died of.
    Asked(BoxFuture<'static, Result<Reply>>, Error),
    Over,
}

impl Stream for Rescued {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.now {
                Now::Over => return Poll::Ready(None),
                Now::Said(events) => match ready!(Pin::new(&mut **events).poll_next(cx)) {
                    Some(Ok(event)) => {
                        if let Some(event) = this.hear(event) {
                            return Poll::Ready(Some(Ok(event)));
                        }
                    }
                    None => {
                        this.now = Now::Over;
                        return Poll::Ready(this.last_usage().map(Ok));
                    }
                    Some(Err(error)) => {
                        if let Err(error) = this.go_on(error, None) {
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                },
                Now::Asked(asked, _) => {
                    let answered = ready!(asked.as_mut().poll(cx));
                    let Now::Asked(_, died) = std::mem::replace(&mut this.now, Now::Over) else { continue };
                    if let Err(error) = this.answered(answered, died) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

impl Rescued {
    /// The event as it is passed on: without its frame, and of those who go on without what was said before them.
    fn hear(&mut self, mut event: Event) -> Option<Event> {
        event.frame = None;
        event.deltas.iter().for_each(|delta| self.said.hear(delta));
        if self.first {
            return Some(event);
        }
        let before = self.spent.lock().usage.unwrap_or_default();
        event.deltas.retain_mut(|delta| match delta {
            Delta::Start { .. } | Delta::Reasoning { .. } | Delta::Signature { .. } | Delta::Next { .. } => {
                false
            }
            Delta::Usage(usage) => {
                self.told = true;
                *usage += before;
                true
            }
            _ => true,
        });
        (!event.deltas.is_empty()).then_some(event)
    }

    /// What all have used, where the one who went on did not say it.
    fn last_usage(&self) -> Option<Event> {
        let usage = self.spent.lock().usage.filter(|_| !self.first && !self.told)?;
        Some(Event { frame: None, deltas: vec![Delta::Usage(usage)] })
    }

    /// Asks the next candidate after `error`; the error to end in where nobody can go on. `died` is what the stream
    /// died of, where that was another.
    fn go_on(&mut self, error: Error, died: Option<Error>) -> Result<(), Error> {
        self.now = Now::Over;
        let asked = match self.said.closed || error.retry() == Retry::Never {
            true => None,
            false => self.said.continued(&self.call).ok().and_then(|call| (self.next)(call, &error)),
        };
        let died = died.unwrap_or(error);
        match asked {
            Some(asked) => {
                self.now = Now::Asked(asked, died);
                Ok(())
            }
            None => Err(died),
        }
    }

    /// Somebody goes on, or cannot either.
    fn answered(&mut self, answered: Result<Reply>, died: Error) -> Result<(), Error> {
        let mut reply = match answered {
            Ok(reply) if reply.is_stream() => reply,
            Ok(_) => return self.go_on(Error::protocol("a whole answer came for a stream"), Some(died)),
            Err(error) => return self.go_on(error, Some(died)),
        };
        reply.guard(Box::new(Adds(Arc::clone(&self.spent))));
        if let (_, Parts::Stream(events)) = reply.into_parts() {
            (self.now, self.first, self.told) = (Now::Said(Box::new(events)), false, false);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
