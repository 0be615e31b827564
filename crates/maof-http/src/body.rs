//! Streamed bodies: frames that are ready together leave together, and nothing is held back.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::Stream;
use maof_core::{Encoder, Error, ReplyStream};
use tokio::time::Sleep;

use crate::departure::Drain;

/// One write to the socket carries at most about this many bytes.
const FULL: usize = 16 << 10;

/// A reply's events in the bytes of the caller's dialect. Dropping it aborts the upstream, unless the rest is to be drained.
struct Frames {
    /// Taken when it is dropped before its end, to be read elsewhere.
    events: Option<ReplyStream>,
    drain: Drain,
    encoder: Box<dyn Encoder>,
    /// Whether nothing may be said beside the reply's own bytes.
    raw: bool,
    over: bool,
    silence: Option<Silence>,
}

/// How long nothing has been said. The timer is looked at only when there is nothing else to do, and moved on only
/// when it rings: a busy stream does not touch it.
struct Silence {
    most: Duration,
    timer: Pin<Box<Sleep>>,
    spoken: bool,
}

/// The body of a streamed reply; a sign of life is sent after one to two times `keep_alive` of silence, unless that is zero.
pub(crate) fn frames(
    events: ReplyStream,
    encoder: Box<dyn Encoder>,
    keep_alive: Duration,
    drain: Drain,
) -> Body {
    let timer = || Box::pin(tokio::time::sleep(keep_alive));
    let silence =
        (!keep_alive.is_zero()).then(|| Silence { most: keep_alive, timer: timer(), spoken: false });
    Body::from_stream(Frames { events: Some(events), drain, encoder, raw: false, over: false, silence })
}

/// The body of a streamed reply that is a file's bytes, such as sound: there is no room for signs of life, and where it
/// fails the connection is broken, so that nobody takes it for the whole.
pub(crate) fn bytes(events: ReplyStream, encoder: Box<dyn Encoder>, drain: Drain) -> Body {
    Body::from_stream(Frames { events: Some(events), drain, encoder, raw: true, over: false, silence: None })
}

impl Silence {
    /// Whether it has lasted.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let next = self.timer.deadline() + self.most;
            self.timer.as_mut().reset(next);
            if !std::mem::replace(&mut self.spoken, false) {
                return Poll::Ready(());
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let (false, Some(drain), Some(events)) = (self.over, self.drain.take(), self.events.take()) {
            // Where nobody takes it, the server is going down, and the rest is dropped.
            let _ = drain.send(events);
        }
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut out = Vec::new();
        while !this.over && out.len() < FULL {
            let Some(events) = &mut this.events else { break };
            match Pin::new(events).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => this.encoder.event(&event, &mut out),
                Poll::Ready(Some(Err(error))) => {
                    tracing::warn!(error = ?error, "a stream failed after its first byte");
                    this.over = true;
                    if this.raw {
                        return Poll::Ready(Some(Err(error)));
                    }
                    this.encoder.error(&error, &mut out);
                }
                Poll::Ready(None) => {
                    if !this.raw {
                        this.encoder.finish(&mut out);
                    }
                    this.over = true;
                }
                Poll::Pending => {
                    let Some(silence) = &mut this.silence else { break };
                    if out.is_empty() && silence.poll(cx).is_ready() {
                        this.encoder.keep_alive(&mut out);
                    }
                    break;
                }
            }
        }
        if let Some(silence) = this.silence.as_mut().filter(|_| !out.is_empty()) {
            silence.spoken = true;
        }
        match (out.is_empty(), this.over) {
            (false, _) => Poll::Ready(Some(Ok(out.into()))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::StreamExt as _;
    use maof::dialects;
    use maof_core::{Body as Question, Call, CallId, ChatRequest, Delta, Envelope, Event, Principal, Target};
    use maof_core::{Parts, Reply};

    use super::*;

    /// What a caller receives of a word, forty seconds of silence, and another word.
    async fn received(keep_alive: Duration) -> Vec<String> {
        let say = |text: &str| {
            let deltas = vec![Delta::Text { choice: 0, text: text.to_owned() }];
            Ok(Event { frame: None, deltas })
        };
        let (first, second) = (say("one"), say("two"));
        let events = futures::stream::iter([first]).chain(futures::stream::once(async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            second
        }));
        let (_, Parts::Stream(events)) = Reply::stream(Box::pin(events)).into_parts() else {
            return Vec::new();
        };
        let target = Target::Name("a".parse().unwrap());
        let body = Question::from(ChatRequest::user("x"));
        let call = Call::new(CallId::from_uuid(uuid::Uuid::nil()), target, Principal::local(), body);
        let encoder = dialects::openai().encoder(&call, Envelope::default());
        let body = frames(events, encoder, keep_alive, None).into_data_stream();
        body.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap()).collect().await
    }

    /// S03: a silent stream shows signs of life.
    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_by_signs_of_life_and_by_nothing_else() {
        let got = received(Duration::from_secs(15)).await;
        let signs = got.iter().filter(|text| *text == ": keep-alive\n\n").count();
        assert_eq!((signs, got.len()), (1, 3), "{got:?}");
        assert!(got.first().unwrap().contains("one"));
        assert!(got.last().unwrap().ends_with("data: [DONE]\n\n"));
        let never = received(Duration::ZERO).await;
        assert!(never.iter().all(|text| !text.contains("keep-alive")), "{never:?}");
    }
}
