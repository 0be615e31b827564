//! The events of a streamed answer, as they are read from its body: silences timed, and what is missing at the
//! end made up for.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use maof_core::{Decoder, Delta, Event, Result};

use crate::asked::Asked;
use crate::client::{BodyStream, Events};
use crate::exchange::{next_bytes, too_large};

/// How long the end of a body is waited for after the last frame, so that its connection can be used again.
const LINGER: Duration = Duration::from_millis(100);
/// How long usage and the terminator are waited for once the answer has said why it ends. Servers send them in the
/// same moment; one that does not has forgotten them.
const LAST_WORDS: Duration = Duration::from_millis(1_500);

/// Where the reading of a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Frames may come.
    Open,
    /// No frame comes any more; the decoder has not been asked whether the answer is complete.
    Ended,
    /// The answer is complete; its usage may be missing.
    Complete,
    /// Nothing comes any more.
    Over,
}

/// The events of a streamed answer. Dropping it closes the connection.
pub(super) struct Frames {
    pub(super) body: BodyStream,
    pub(super) events: Events,
    pub(super) decoder: Box<dyn Decoder>,
    /// How long it may be silent.
    pub(super) idle: Duration,
    /// Bytes that it may still have.
    pub(super) left: u64,
    pub(super) asked: Asked,
    state: State,
}

impl Frames {
    pub(super) fn new(
        body: BodyStream,
        events: Events,
        decoder: Box<dyn Decoder>,
        idle: Duration,
        left: u64,
        asked: Asked,
    ) -> Frames {
        Frames { body, events, decoder, idle, left, asked, state: State::Open }
    }

    /// The next event. None after the last one; nothing comes after an error.
    pub(super) async fn next(&mut self) -> Option<Result<Event>> {
        let item = self.try_next().await;
        match &item {
            Ok(Some(event)) => self.asked.note(event),
            _ => self.state = State::Over,
        }
        item.transpose()
    }

    /// All further events.
    pub(super) fn rest(self) -> impl Stream<Item = Result<Event>> + Send {
        stream::unfold(self, |mut frames| async move {
            let item = frames.next().await?;
            Some((item, frames))
        })
    }

    async fn try_next(&mut self) -> Result<Option<Event>> {
        while self.state == State::Open {
            while let Some(frame) = self.events.next()? {
                let event = self.decoder.frame(frame.name.as_deref(), &frame.data, frame.raw)?;
                if event.is_some() {
                    return Ok(event);
                }
            }
            // Servers need not close after their last word.
            if self.decoder.is_over() {
                self.linger().await;
                self.state = State::Ended;
            }
            if self.state == State::Open
                && let Some(event) = self.read().await?
            {
                return Ok(Some(event));
            }
        }
        if self.state == State::Ended {
            self.state = State::Complete;
            if let Some(event) = self.decoder.close()? {
                return Ok(Some(event));
            }
        }
        if self.state == State::Complete {
            self.state = State::Over;
            let usage = self.asked.estimate();
            return Ok(usage.map(|usage| Event { frame: None, deltas: vec![Delta::Usage(usage)] }));
        }
        Ok(None)
    }

    /// Takes more bytes; at their end, the event whose blank line is missing.
    async fn read(&mut self) -> Result<Option<Event>> {
        let answered = self.decoder.is_answered();
        // Of several choices, one may begin after another has ended.
        let last_words = answered && self.asked.choices == 1;
        let patience = if last_words { self.idle.min(LAST_WORDS) } else { self.idle };
        match next_bytes(&mut self.body, patience).await {
            Some(Ok(bytes)) => {
                let most = self.left;
                self.left = most.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(most))?;
                self.events.push(&bytes);
                Ok(None)
            }
            // An answer that was all there is not lost because the end of its body was not proper, or does not come.
            Some(Err(error)) => {
                self.state = State::Complete;
                self.decoder.close().map_err(|_| error)
            }
            None => {
                self.state = State::Ended;
                match self.events.rest() {
                    Some(frame) => self.decoder.frame(frame.name.as_deref(), &frame.data, frame.raw),
                    None => Ok(None),
                }
            }
        }
    }

    async fn linger(&mut self) {
        let body = &mut self.body;
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        let _ = tokio::time::timeout(LINGER, rest).await;
    }
}

#[cfg(test)]
mod tests;
