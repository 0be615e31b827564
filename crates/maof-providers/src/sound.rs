//! Sound that is passed on as it is made: a file's bytes, of no dialect, as a stream.

use std::borrow::Cow;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use maof_core::{Body, Call, Delta, Error, Event, Frame, Reply, Result, Unit, Usage};

use crate::client::Answer;
use crate::exchange::{Exchange, next_bytes, too_large};

/// The reply that an answer becomes. Its first bytes are waited for, so that an upstream that fails before them can be
/// asked again; what it is billed by is known before.
///
/// # Errors
/// `protocol` when there is no sound; `timeout` when none comes.
pub(crate) async fn reply(
    exchange: &Exchange,
    call: &Call,
    answer: Answer,
    dialect: &'static str,
) -> Result<Reply> {
    let Answer { mut body, headers, .. } = answer;
    let (idle, most) = (exchange.idle, exchange.most);
    let first = next_bytes(&mut body, idle).await.transpose()?;
    let first =
        first.ok_or_else(|| Error::protocol("the upstream's answer is empty where sound was expected"))?;
    let mut left = most;
    let mut piece = move |bytes: Bytes, deltas: Vec<Delta>| {
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(most))?;
        Ok(Event { frame: Some(Frame { dialect, bytes }), deltas })
    };
    let first = piece(first, characters(call).map(Delta::Usage).into_iter().collect())?;
    let rest = stream::unfold((body, piece), move |(mut body, mut piece)| async move {
        let bytes = next_bytes(&mut body, idle).await?;
        Some((bytes.and_then(|bytes| piece(bytes, Vec::new())), (body, piece)))
    });
    let mut reply = Reply::stream(Box::pin(stream::iter([Ok(first)]).chain(rest)));
    let given = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    reply.head.media_type = Some(Cow::Owned(given.unwrap_or("application/octet-stream").to_owned()));
    Ok(reply)
}

/// What a speech is billed by where nobody tells of tokens.
pub(crate) fn characters(call: &Call) -> Option<Usage> {
    match call.body.typed().ok()? {
        Body::Speech(ask) => Some(Usage::default().with(Unit::Character, ask.input.chars().count() as u64)),
        _ => None,
    }
}
