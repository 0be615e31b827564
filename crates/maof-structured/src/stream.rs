//! A streamed answer: passed on as it comes, judged before it is said to be over.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use futures::Stream;
use maof_core::{End, Error, Event, Guard, Guarded as _, Parts, Reply, ReplyStream, Result};

use crate::answer::{Gathered, Said};
use crate::config::Invalid;
use crate::outputs::Plan;

/// The reply, judged as it goes.
pub(crate) fn judged(plan: Plan, mut reply: Reply) -> Reply {
    let head = reply.head.clone();
    // Outermost of those inside: it is told of the end when it is known what it cost.
    let end = Arc::new(OnceLock::new());
    reply.guard(Box::new(Keeps(Arc::clone(&end))));
    let (_, parts) = reply.into_parts();
    let events = match parts {
        Parts::Stream(events) => events,
        // Nobody asks it of one that is whole.
        Parts::Whole(response, _) => return Reply::whole(*response),
    };
    let gathered = Gathered::new(plan.schema.most_answer());
    let mut judged = Reply::stream(Box::pin(Judged { events, gathered, plan, refused: None, over: false }));
    judged.head = head;
    judged.guard(Box::new(Tells(end)));
    judged
}

/// The events of an answer that is judged.
struct Judged {
    events: ReplyStream,
    gathered: Gathered,
    plan: Plan,
    /// Why the answer is refused, once it is.
    refused: Option<Error>,
    over: bool,
}

impl Stream for Judged {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.over {
            let next = ready!(Pin::new(&mut this.events).poll_next(cx));
            match (next, &this.refused) {
                (Some(Ok(event)), None) => {
                    this.refused = this.hear(&event);
                    if this.refused.is_none() {
                        return Poll::Ready(Some(Ok(event)));
                    }
                }
                // What follows the text is what was used: it is paid for, and counted.
                (Some(Ok(_)), Some(_)) => {}
                (Some(Err(error)), None) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                (Some(Err(_)) | None, _) => {
                    this.over = true;
                    let refused = this.refused.take().or_else(|| this.judge_rest());
                    return Poll::Ready(refused.map(Err));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Judged {
    /// Adds what an event says. Why the answer is refused, if a choice ends with it that breaks the schema: then the
    /// event is not passed on, since readers take it for a good end.
    fn hear(&mut self, event: &Event) -> Option<Error> {
        let Judged { gathered, plan, .. } = self;
        event.deltas.iter().find_map(|delta| judge(plan, gathered.push(delta)?))
    }

    fn judge_rest(&self) -> Option<Error> {
        self.gathered.open().find_map(|said| judge(&self.plan, said))
    }
}

/// Why the answer is refused, if it is.
fn judge(plan: &Plan, said: &Said) -> Option<Error> {
    let broken = plan.judge(said)?.err()?;
    match plan.invalid {
        Invalid::Refuse | Invalid::Repair => Some(broken.refusal()),
        Invalid::Pass => {
            tracing::warn!(why = broken.why, "a streamed answer breaks its JSON schema and is passed on");
            None
        }
    }
}

/// Keeps how the stream inside ended.
struct Keeps(Arc<OnceLock<End>>);

impl Guard for Keeps {
    fn end(self: Box<Self>, end: &mut End) {
        // Told once.
        let _ = self.0.set(end.clone());
    }
}

/// Tells those outside what those inside have found out: what was used, and what it cost.
struct Tells(Arc<OnceLock<End>>);

impl Guard for Tells {
    fn end(self: Box<Self>, end: &mut End) {
        if let Some(inside) = self.0.get() {
            let outcome = end.outcome.clone();
            *end = End { outcome, ..inside.clone() };
        }
    }
}
