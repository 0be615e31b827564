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
    text: String,
    reasoning: String,
    calls: Vec<ToolCall>,
    finish: Option<crate::chat::Finish>,
}

impl Fold {
    /// Adds one delta.
    ///
    /// # Errors
    /// `protocol` when the answer has more than 1024 choices or tool calls.
    pub fn push(&mut self, delta: Delta) -> Result<()> {
        match delta {
            Delta::Start { id, model } => {
                self.id.get_or_insert(id);
                self.model.get_or_insert(model);
            }
            Delta::Text { choice, text } => self.draft(choice)?.text.push_str(&text),
            Delta::Reasoning { choice, text } => self.draft(choice)?.reasoning.push_str(&text),
            Delta::ToolCall { choice, index, id, name, arguments } => {
                let calls = &mut self.draft(choice)?.calls;
                let call = slot(calls, index, || ToolCall {
                    id: String::new(),
                    name: String::new(),
                    arguments: String::new(),
                })?;
                // Some providers repeat the id or send the name in pieces; the id is said once.
                if let Some(id) = id.filter(|_| call.id.is_empty()) {
                    call.id = id;
                }
                if let Some(name) = name {
                    call.name.push_str(&name);
                }
                call.arguments.push_str(&arguments);
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
        let choices = self.choices.into_iter().map(|draft| {
            let mut message = Message::text(Speaker::Assistant, "");
            message.parts.clear();
            if !draft.reasoning.is_empty() {
                message.parts.push(Part::Reasoning { text: draft.reasoning, signature: None });
            }
            if !draft.text.is_empty() {
                message.parts.push(Part::Text { text: draft.text });
            }
            message.tool_calls = draft.calls;
            Choice { message, finish: draft.finish, rest: Map::new() }
        });
        let mut response = Response::chat(ChatAnswer { choices: choices.collect(), rest: Map::new() });
        response.id = self.id;
        response.model = self.model;
        response
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
