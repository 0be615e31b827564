//! Whether a call fits its endpoint's context, known before it is sent.
//!
//! A token is at least a byte, so most calls fit by their length alone. Only where that does not tell are the texts
//! counted, and only for models whose encoding is published: what is refused here is sure not to fit. What is a little
//! too long with what a provider adds of its own is refused by the provider, unbilled.

use std::future::poll_fn;
use std::task::Poll;

use maof_core::{Call, Card, Error, Operation, Part, Result, Retry};

use crate::tokens::{Encoding, Stream};

/// So much is counted before others get their turn on the thread, in bytes: a millisecond's work at worst.
const AT_A_TIME: usize = 4 * 1024;

/// As much of a context as may be planned with, where a request's tokens are only estimated: a twentieth is left free.
pub fn prudent(context: u64) -> u64 {
    context - context / 20
}

/// # Errors
/// `context_length` where the call's texts alone are more tokens than the endpoint takes; another one may take them.
pub(crate) async fn check(call: &Call, card: &Card) -> Result<()> {
    let Some(context) = card.context else { return Ok(()) };
    if call.operation() != Operation::Chat || call.token_bound() <= context {
        return Ok(());
    }
    let Some(tokens) = least(call, card, context).await else { return Ok(()) };
    let why = format!(
        "the conversation has at least {tokens} tokens, and `{}` takes {context}; shorten it, or ask a model that takes more",
        card.name
    );
    Err(Error::context_length(why).param("messages").retry_is(Retry::Elsewhere).before_sending())
}

/// No more tokens than the conversation has, once that is more than `limit`; none where it is not, or cannot be told.
async fn least(call: &Call, card: &Card, limit: u64) -> Option<u64> {
    let encoding = Encoding::of(&card.model)?;
    let chat = call.body.chat().ok()?;
    let standing = call.chosen.as_ref().and_then(|chosen| chosen.instructions.as_deref());
    let parts = chat.messages.iter().flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        _ => None,
    });
    let mut tokens = 0;
    for text in standing.into_iter().chain(texts) {
        tokens += count(encoding.stream(), text).await?;
        if tokens > limit {
            return Some(tokens);
        }
    }
    None
}

/// Counts a text, giving way between its parts; none where the count is not exact.
async fn count(mut stream: Stream, mut text: &str) -> Option<u64> {
    while !text.is_empty() {
        let (part, rest) = text.split_at(text.floor_char_boundary(AT_A_TIME));
        stream.push(part);
        text = rest;
        if !text.is_empty() {
            give_way().await;
        }
    }
    stream.is_exact().then(|| stream.tokens())
}

async fn give_way() {
    let mut gave = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
#[path = "context/tests.rs"]
mod tests;
