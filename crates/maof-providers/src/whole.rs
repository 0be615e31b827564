//! Answers that come whole, for callers who wait for one or for a stream.

use futures::stream;
use maof_core::{
    Answer, Call, Card, ChatAnswer, Choice, Delta, Event, Finish, Operation, Part, Reply, Response, Result,
    Unit, Usage,
};

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
        response.usage = Some(estimate(call, response.said_bytes(), card));
    }
    response
}

/// A quarter of the bytes of English text are tokens, and there are no more than may come. Only who charges by
/// characters is told of them.
fn estimate(call: &Call, said: u64, card: &Card) -> Usage {
    let asked = call.token_bound();
    let output = said.div_ceil(4).min(call.body.max_output(card.max_output));
    let characters = if card.tariff.price(Unit::Character) > 0 { asked } else { 0 };
    let usage = Usage::default().with(Unit::Input, asked.div_ceil(4)).with(Unit::Output, output);
    usage.with(Unit::Character, characters).estimate()
}

/// A conversation's answer of plain text.
pub(crate) fn text(text: String, usage: Option<Usage>) -> Response {
    let mut response = Response::chat(ChatAnswer::text(text));
    response.usage = usage;
    response
}

fn deltas(response: &Response) -> Result<Vec<Delta>> {
    let mut deltas = vec![Delta::Start {
        id: response.id.clone().unwrap_or_default(),
        model: response.model.clone().unwrap_or_default(),
    }];
    let answer = response.answer()?;
    if let Answer::Transcribe(heard) = answer {
        deltas.push(Delta::Text { choice: 0, text: heard.text.clone() });
        deltas.push(Delta::Finish { choice: 0, reason: Finish::Stop });
    }
    if let Answer::Chat(chat) = answer {
        for (choice, at) in chat.choices.iter().zip(0..) {
            deltas.extend(choice.message.parts.iter().map(|part| said(at, part)));
            deltas.push(Delta::Finish { choice: at, reason: finish(choice) });
        }
    }
    deltas.extend(response.usage.map(Delta::Usage));
    Ok(deltas)
}

fn said(choice: u32, part: &Part) -> Delta {
    match part {
        Part::Text { text } => Delta::Text { choice, text: text.clone() },
        part => Delta::Part { choice, part: Box::new(part.clone()) },
    }
}

fn finish(choice: &Choice) -> Finish {
    choice.finish.clone().unwrap_or(Finish::Stop)
}
