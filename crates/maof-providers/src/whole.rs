//! Answers that come whole, for callers who wait for one or for a stream.

use futures::stream;
use maof_core::{
    Answer, Call, Card, ChatAnswer, Delta, Event, Finish, Operation, Reply, Response, Result, Usage,
};

use crate::asked::Asked;

/// The reply to a call of an upstream that does not stream: a caller who wants a stream gets one of a single event.
/// What the upstream does not say of a conversation's usage is estimated.
///
/// # Errors
/// `protocol` when the answer cannot be read.
pub(crate) fn reply(call: &Call, mut response: Response, card: &Card) -> Result<Reply> {
    response.model.get_or_insert_with(|| card.model.to_string());
    let response = measured(call, response, card);
    if !call.stream || !matches!(call.operation(), Operation::Chat | Operation::Transcribe) {
        return Ok(Reply::whole(response));
    }
    let event = Event { frame: None, deltas: deltas(&response)? };
    Ok(Reply::stream(Box::pin(stream::iter([Ok(event)]))))
}

/// A conversation's answer with what it used, which is estimated where the upstream does not say.
pub(crate) fn measured(call: &Call, mut response: Response, card: &Card) -> Response {
    if call.operation() == Operation::Chat && response.usage.is_none() {
        response.usage = Some(Asked::of(call, card).used(response.said_bytes(), 0));
    }
    response
}

/// A conversation's answer of plain text.
pub(crate) fn text(text: String, usage: Option<Usage>) -> Response {
    let mut response = Response::chat(ChatAnswer::text(text));
    response.usage = usage;
    response
}

fn deltas(response: &Response) -> Result<Vec<Delta>> {
    let Answer::Transcribe(heard) = response.answer()? else { return response.deltas() };
    let (id, model) = (response.id.clone().unwrap_or_default(), response.model.clone().unwrap_or_default());
    let mut deltas = vec![
        Delta::Start { id, model },
        Delta::Text { choice: 0, text: heard.text.clone() },
        Delta::Finish { choice: 0, reason: Finish::Stop },
    ];
    deltas.extend(response.usage.map(Delta::Usage));
    Ok(deltas)
}
