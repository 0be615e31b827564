//! Assembles a streamed answer: the fold of its deltas equals the whole reply.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;
use serde_json::Map;

use crate::chat::{ChatAnswer, Choice, Finish, Message, Part, Speaker, ToolCall};
use crate::error::{Error, Result};
use crate::event::Delta;
use crate::reply::{End, ReplyStream, Response};

/// Choices and tool calls that an assembled answer may have at most.
const MOST: u32 = 1024;

pub(crate) async fn assemble(stream: &mut ReplyStream) -> Result<(Response, End)> {
    let mut fold = Fold::default();
    while let Some(event) = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await {
        for delta in event?.deltas {
            fold.push(delta)?;
        }
    }
    let end = stream.end().clone();
    let mut response = fold.finish();
    response.usage = end.usage;
    Ok((response, end))
}

/// The fold over an answer's deltas.
#[derive(Debug, Default)]
pub struct Fold {
    id: Option<String>,
    model: Option<String>,
    choices: Vec<Draft>,
}

#[derive(Debug, Default)]
struct Draft {
    parts: Vec<Part>,
    /// Where each tool call is among the parts.
    calls: Vec<Option<usize>>,
    /// Whether what comes next begins a part, whatever the last one was.
    closed: bool,
    finish: Option<crate::chat::Finish>,
}

impl Fold {
    /// Adds one delta.
    ///
    /// # Errors
    /// `protocol` when the answer has more than 1024 choices, parts or tool calls.
    pub fn push(&mut self, delta: Delta) -> Result<()> {
        match delta {
            Delta::Start { id, model } => {
                keep(&mut self.id, id);
                keep(&mut self.model, model);
            }
            Delta::Text { choice, text } => self.draft(choice)?.push(Part::Text { text })?,
            Delta::Reasoning { choice, text } => {
                self.draft(choice)?.push(Part::Reasoning { text, signature: None })?;
            }
            Delta::Signature { choice, signature } => {
                let part = Part::Reasoning { text: String::new(), signature: Some(signature) };
                self.draft(choice)?.push(part)?;
            }
            Delta::Refusal { choice, text } => self.draft(choice)?.push(Part::Refusal { text })?,
            Delta::Part { choice, part } => {
                let draft = self.draft(choice)?;
                draft.closed = true;
                draft.push(*part)?;
                draft.closed = true;
            }
            Delta::Next { choice } => self.draft(choice)?.closed = true,
            Delta::ToolCall { choice, index, id, name, arguments, signature } => {
                let call = self.draft(choice)?.call(index)?;
                // Some providers repeat the id or send the name in pieces; the id is said once.
                if let Some(id) = id.filter(|_| call.id.is_empty()) {
                    call.id = id;
                }
                if let Some(name) = name {
                    call.name.push_str(&name);
                }
                call.arguments.push_str(&arguments);
                call.signature = call.signature.take().or(signature);
            }
            Delta::Finish { choice, reason } => self.draft(choice)?.finish = Some(reason),
            Delta::Usage(_) => {}
        }
        Ok(())
    }

    fn draft(&mut self, choice: u32) -> Result<&mut Draft> {
        slot(&mut self.choices, choice, Draft::default)
    }

    /// The answer so far, as a whole.
    pub fn finish(self) -> Response {
        let choices = self.choices.into_iter().map(|draft| Choice {
            message: Message::of(Speaker::Assistant, draft.parts),
            finish: draft.finish,
            rest: Map::new(),
        });
        let mut response = Response::chat(ChatAnswer { choices: choices.collect(), ..ChatAnswer::default() });
        response.id = self.id;
        response.model = self.model;
        response
    }
}

/// Keeps the first name that has something in it.
fn keep(place: &mut Option<String>, name: String) {
    if place.is_none() && !name.is_empty() {
        *place = Some(name);
    }
}

/// The deltas of a whole answer. A choice that does not say why it ended has ended by itself.
pub(crate) fn unfold(response: &Response, chat: &ChatAnswer) -> Vec<Delta> {
    let (id, model) = (response.id.clone().unwrap_or_default(), response.model.clone().unwrap_or_default());
    let mut deltas = vec![Delta::Start { id, model }];
    for (answer, choice) in chat.choices.iter().zip(0..) {
        let (mut last, mut index) = (None, 0);
        for part in &answer.message.parts {
            let kind = std::mem::discriminant(part);
            if last.replace(kind) == Some(kind) {
                deltas.push(Delta::Next { choice });
            }
            said(choice, &mut index, part, &mut deltas);
        }
        deltas.push(Delta::Finish { choice, reason: answer.finish.clone().unwrap_or(Finish::Stop) });
    }
    deltas.extend(response.usage.map(Delta::Usage));
    deltas
}

/// What one part says; tool calls are numbered by `index`.
fn said(choice: u32, index: &mut u32, part: &Part, deltas: &mut Vec<Delta>) {
    match part.clone() {
        Part::Text { text } => deltas.push(Delta::Text { choice, text }),
        Part::Refusal { text } => deltas.push(Delta::Refusal { choice, text }),
        Part::Reasoning { text, signature } => {
            deltas.push(Delta::Reasoning { choice, text });
            deltas.extend(signature.map(|signature| Delta::Signature { choice, signature }));
        }
        Part::ToolCall(ToolCall { id, name, arguments, signature }) => {
            let (id, name) = (Some(id), Some(name));
            deltas.push(Delta::ToolCall { choice, index: *index, id, name, arguments, signature });
            *index += 1;
        }
        part => deltas.push(Delta::Part { choice, part: Box::new(part) }),
    }
}

impl Draft {
    /// Adds to the last part, or begins another.
    fn push(&mut self, part: Part) -> Result<()> {
        let last = self.parts.last_mut().filter(|_| !self.closed);
        self.closed = false;
        match (last, part) {
            (Some(Part::Text { text }), Part::Text { text: more })
            | (Some(Part::Refusal { text }), Part::Refusal { text: more }) => text.push_str(&more),
            (
                Some(Part::Reasoning { text, signature }),
                Part::Reasoning { text: more, signature: sealed },
            ) => {
                text.push_str(&more);
                if let Some(sealed) = sealed {
                    signature.get_or_insert_default().push_str(&sealed);
                }
            }
            (_, part) => {
                self.bounded()?;
                self.parts.push(part);
            }
        }
        Ok(())
    }

    fn call(&mut self, index: u32) -> Result<&mut ToolCall> {
        let at = match *slot(&mut self.calls, index, || None)? {
            Some(at) => at,
            None => {
                self.bounded()?;
                self.parts.push(Part::ToolCall(ToolCall::default()));
                let at = self.parts.len() - 1;
                *slot(&mut self.calls, index, || None)? = Some(at);
                at
            }
        };
        match self.parts.get_mut(at) {
            Some(Part::ToolCall(call)) => Ok(call),
            _ => Err(Error::internal("a tool call was just made")),
        }
    }

    fn bounded(&self) -> Result<()> {
        match self.parts.len() < MOST as usize {
            true => Ok(()),
            false => Err(Error::protocol("the upstream's stream has more than 1024 parts")),
        }
    }
}

fn slot<T>(items: &mut Vec<T>, index: u32, new: impl Fn() -> T) -> Result<&mut T> {
    if index >= MOST {
        return Err(Error::protocol("the upstream's stream has more than 1024 choices or tool calls"));
    }
    let index = index as usize;
    if items.len() <= index {
        items.resize_with(index + 1, new);
    }
    items.get_mut(index).ok_or_else(|| Error::internal("a slot was just made"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::reply::Answer;

    fn parts(deltas: Vec<Delta>) -> Vec<Part> {
        let mut fold = Fold::default();
        deltas.into_iter().for_each(|delta| fold.push(delta).unwrap());
        let reply = fold.finish();
        let Answer::Chat(answer) = reply.answer().unwrap() else { panic!("a chat") };
        answer.choices[0].message.parts.clone()
    }

    fn text(text: &str) -> Delta {
        Delta::Text { choice: 0, text: text.to_owned() }
    }

    fn thought(text: &str) -> Delta {
        Delta::Reasoning { choice: 0, text: text.to_owned() }
    }

    fn sealed(signature: &str) -> Delta {
        Delta::Signature { choice: 0, signature: signature.to_owned() }
    }

    fn call(index: u32, id: Option<&str>, arguments: &str) -> Delta {
        let (id, name) = (id.map(str::to_owned), id.map(|id| format!("tool {id}")));
        Delta::ToolCall { choice: 0, index, id, name, arguments: arguments.to_owned(), signature: None }
    }

    fn called(id: &str, arguments: &str) -> Part {
        let (id, name) = (id.to_owned(), format!("tool {id}"));
        Part::ToolCall(ToolCall { id, name, arguments: arguments.to_owned(), signature: None })
    }

    #[test]
    fn parts_come_in_the_order_in_which_they_began() {
        let signed = |text: &str, signature: Option<&str>| Part::Reasoning {
            text: text.to_owned(),
            signature: signature.map(str::to_owned),
        };
        let redacted = || Part::Redacted { data: "x".to_owned() };
        let check = |deltas: Vec<Delta>, expect: Vec<Part>| assert_eq!(parts(deltas), expect);
        check(vec![text("a"), text("b")], vec![Part::text("ab")]);
        check(vec![text("a"), Delta::Next { choice: 0 }, text("b")], vec![Part::text("a"), Part::text("b")]);
        check(
            vec![thought("a"), thought("b"), sealed("s"), sealed("t"), text("c")],
            vec![signed("ab", Some("st")), Part::text("c")],
        );
        check(
            vec![thought("a"), sealed("s"), call(0, Some("1"), "{"), text("b"), call(0, None, "}")],
            vec![signed("a", Some("s")), called("1", "{}"), Part::text("b")],
        );
        check(
            vec![call(0, Some("1"), "a"), call(1, Some("2"), "b"), call(0, None, "c")],
            vec![called("1", "ac"), called("2", "b")],
        );
        check(
            vec![text("a"), Delta::Part { choice: 0, part: Box::new(redacted()) }, text("b")],
            vec![Part::text("a"), redacted(), Part::text("b")],
        );
    }

    #[test]
    fn a_whole_answer_said_as_a_stream_is_the_same_answer() {
        let signed = |signature: Option<&str>| Part::Reasoning {
            text: "t".to_owned(),
            signature: signature.map(str::to_owned),
        };
        let refused = || Part::Refusal { text: "no".to_owned() };
        let redacted = || Part::Redacted { data: "x".to_owned() };
        let check = |answers: Vec<Vec<Part>>| {
            let choices = answers.into_iter().map(|parts| Choice {
                message: Message::of(Speaker::Assistant, parts),
                finish: Some(Finish::Length),
                rest: Map::new(),
            });
            let said = ChatAnswer { choices: choices.collect(), ..ChatAnswer::default() };
            let mut fold = Fold::default();
            let deltas = Response::chat(said.clone()).deltas().unwrap();
            deltas.into_iter().for_each(|delta| fold.push(delta).unwrap());
            assert_eq!(fold.finish().answer().unwrap(), &Answer::Chat(said));
        };
        check(vec![vec![Part::text("a")]]);
        check(vec![vec![Part::text("a"), Part::text("b")], vec![Part::text("c")]]);
        check(vec![vec![signed(Some("s")), signed(None), Part::text("a"), refused(), refused()]]);
        check(vec![vec![called("1", "{}"), called("2", ""), Part::text("a"), called("3", "[]")]]);
        check(vec![vec![redacted(), redacted(), Part::text("a")]]);
    }

    #[test]
    fn an_endless_answer_is_refused() {
        let mut fold = Fold::default();
        let mut refused = false;
        for _ in 0..2 * MOST {
            refused =
                refused || fold.push(Delta::Next { choice: 0 }).and_then(|()| fold.push(text("a"))).is_err();
        }
        assert!(refused);
        assert!(Fold::default().push(Delta::Text { choice: MOST, text: String::new() }).is_err());
        assert!(Fold::default().push(call(MOST, Some("1"), "")).is_err());
    }
}
