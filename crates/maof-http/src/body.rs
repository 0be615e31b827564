//! Streamed bodies: frames that are ready together leave together, and nothing is held back.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use futures::Stream;
use maof_core::{Encoder, ReplyStream};

/// One write to the socket carries at most about this many bytes.
const FULL: usize = 16 << 10;

/// A reply's events in the bytes of the caller's dialect. Dropping it aborts the upstream.
struct Frames {
    events: ReplyStream,
    encoder: Box<dyn Encoder>,
    over: bool,
}

/// The body of a streamed reply.
pub(crate) fn frames(events: ReplyStream, encoder: Box<dyn Encoder>) -> Body {
    Body::from_stream(Frames { events, encoder, over: false })
}

impl Stream for Frames {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut out = Vec::new();
        while !this.over && out.len() < FULL {
            match Pin::new(&mut this.events).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => this.encoder.event(&event, &mut out),
                Poll::Ready(Some(Err(error))) => {
                    tracing::warn!(error = ?error, "a stream failed after its first byte");
                    this.encoder.error(&error, &mut out);
                    this.over = true;
                }
                Poll::Ready(None) => {
                    this.encoder.finish(&mut out);
                    this.over = true;
                }
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        match out.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Ready(Some(Ok(out.into()))),
        }
    }
}
