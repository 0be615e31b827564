//! Hugging Face's task inference: classification, text to text, generation, pictures, speech recognition and vectors.
//!
//! The shapes are those of Hugging Face's documentation (<https://huggingface.co/docs/inference-providers/tasks/index>,
//! read 2026-11-21). A model has one task, and its answers are told apart by their shape. Models that converse are asked
//! through the profile `huggingface`, which speaks as OpenAI does.
//!
//! A model takes one text: an agent's and the caller's instructions, then the user's message. A caller's field
//! `parameters` is passed on as it is, whatever dialect it came in, for no other one has a field of that name.

mod decode;
mod encode;

use maof_core::{Ask, Call, Content, Outgoing, Response, Result};

use super::oneway::{OneWay, Upstream};

const NAME: &str = "huggingface_tasks";

/// How tasks are asked.
#[derive(Debug)]
pub(crate) struct Tasks;

/// As Hugging Face's inference speaks.
pub(crate) static HUGGINGFACE_TASKS: OneWay<Tasks> = OneWay(Tasks);

impl Upstream for Tasks {
    const NAME: &'static str = NAME;

    fn encode(&self, call: &Call, ask: Ask<'_>) -> Result<Outgoing> {
        encode::encode(call, ask)
    }

    fn decode(&self, call: &Call, content: Content) -> Result<Response> {
        decode::decode(call.operation(), &content)
    }
}

#[cfg(test)]
mod tests;
