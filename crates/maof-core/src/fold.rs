//! Assembles a streamed answer: the fold of its deltas equals the whole reply.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;
use serde_json::Map;

use crate::chat::{ChatAnswer, Choice, Message, Part, Speaker, ToolCall};
use crate::error::{Error, Result};
use crate::reply::{Delta, End, ReplyStream, Response};

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
                self.id.get_or_insert(id);
                self.model.get_or_insert(model);
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
