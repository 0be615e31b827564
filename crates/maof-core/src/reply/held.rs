//! Waiting for a stream to say something, without losing what it said before.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{Delta, Event, Events, Inside, Reply};
use crate::error::Result;

/// The most events that are held back until one says something.
const MOST_HELD: usize = 64;

impl Reply {
    /// The same reply once it has said something: more than that it begins. What came until then is held back and comes
    /// with it; so does an error or the end. A whole reply has.
    pub async fn once_said(mut self) -> Self {
        if let Inside::Stream(events) = &mut self.content {
            let mut held = VecDeque::new();
            while held.len() < MOST_HELD {
                let item = poll_fn(|cx| events.as_mut().poll_next(cx)).await;
                let Some(item) = item else { break };
                let says = item.as_ref().map_or(true, Event::says);
                held.push_back(item);
                if says {
                    break;
                }
            }
            let rest = std::mem::replace(events, Box::pin(Held { held: VecDeque::new(), rest: None }));
            *events = Box::pin(Held { held, rest: Some(rest) });
        }
        self
    }
}

impl Event {
    /// Whether it says something of the answer, rather than that one begins or what was used.
    pub fn says(&self) -> bool {
        let says = |delta: &Delta| match delta {
            Delta::Start { .. } | Delta::Usage(_) | Delta::Next { .. } => false,
            Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text, .. } => {
                !text.is_empty()
            }
            Delta::Signature { .. } | Delta::Part { .. } | Delta::ToolCall { .. } | Delta::Finish { .. } => {
                true
            }
        };
        self.deltas.iter().any(says)
    }
}

/// Events that were waited for, and those after them.
struct Held {
    held: VecDeque<Result<Event>>,
    rest: Option<Events>,
}

impl Stream for Held {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(item) = self.held.pop_front() {
            return Poll::Ready(Some(item));
        }
        match &mut self.rest {
            Some(rest) => rest.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}
