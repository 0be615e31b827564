//! A stream that is kept: its events pass as they come, and are folded into a whole answer beside.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use maof_core::fold::Fold;
use maof_core::{Delta, Event, Events, Response, Result, Usage};

/// Passes the events on, and gives `keep` the whole answer once it is complete, if it takes at most `most` bytes.
pub(crate) fn record(events: Events, most: u64, keep: impl FnOnce(Response) + Send + 'static) -> Events {
    let draft = Draft { fold: Fold::default(), usage: None, left: most, keep: Box::new(keep) };
    Box::pin(Recorded { events, draft: Some(draft) })
}

struct Recorded {
    events: Events,
    /// None once it is kept, or never will be.
    draft: Option<Draft>,
}

struct Draft {
    fold: Fold,
    usage: Option<Usage>,
    left: u64,
    keep: Box<dyn FnOnce(Response) + Send>,
}

impl Draft {
    /// The draft with one more event; none where it has become too large.
    fn add(mut self, event: &Event) -> Option<Draft> {
        for delta in &event.deltas {
            if let Delta::Usage(usage) = delta {
                self.usage = Some(*usage);
                continue;
            }
            // Each delta that begins a part takes some room, however little it says.
            self.left = self.left.checked_sub(1 + bytes(delta))?;
            self.fold.push(delta.clone()).ok()?;
        }
        Some(self)
    }

    fn keep(self) {
        let mut response = self.fold.finish();
        response.usage = self.usage;
        (self.keep)(response);
    }
}

fn bytes(delta: &Delta) -> u64 {
    match delta {
        Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text, .. } => {
            text.len() as u64
        }
        Delta::Signature { signature, .. } => signature.len() as u64,
        Delta::Part { part, .. } => part.bytes(),
        Delta::ToolCall { arguments, .. } => arguments.len() as u64,
        Delta::Start { .. } | Delta::Next { .. } | Delta::Finish { .. } | Delta::Usage(_) => 0,
    }
}

impl Stream for Recorded {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.events.as_mut().poll_next(cx));
        match &item {
            Some(Ok(event)) => self.draft = self.draft.take().and_then(|draft| draft.add(event)),
            Some(Err(_)) => self.draft = None,
            None => {
                if let Some(draft) = self.draft.take() {
                    draft.keep();
                }
            }
        }
        Poll::Ready(item)
    }
}
