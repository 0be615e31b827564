//! Conversations in the words of each dialect, written and read after the providers' documentation and apart from
//! the code under test: what goes in at one door is written here, what an upstream receives and what a caller gets
//! back is read here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::field_reassign_with_default, reason = "it is for tests")]

mod answer;
mod assemble;
mod generate;
mod read;
mod write;

use serde_json::{Value, json};

pub use answer::Heard;
pub use assemble::assembled;
pub use generate::Generator;

/// A dialect of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// OpenAI's chat completions: <https://platform.openai.com/docs/api-reference/chat>.
    Chat,
    /// OpenAI's responses: <https://platform.openai.com/docs/api-reference/responses>.
    Responses,
    /// Anthropic's messages: <https://platform.claude.com/docs/en/api/messages>.
    Messages,
    /// Gemini's contents: <https://ai.google.dev/api/generate-content>.
    Contents,
}

impl Tongue {
    /// All of them.
    pub const ALL: [Tongue; 4] = [Tongue::Chat, Tongue::Responses, Tongue::Messages, Tongue::Contents];

    /// The path that asks `model`.
    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Tongue::Chat, _) => "/v1/chat/completions".to_owned(),
            (Tongue::Responses, _) => "/v1/responses".to_owned(),
            (Tongue::Messages, _) => "/v1/messages".to_owned(),
            (Tongue::Contents, false) => format!("/v1beta/models/{model}:generateContent"),
            (Tongue::Contents, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }
}

/// The turn of an assistant as a caller sends it back, word for word as it was received whole.
pub fn returned(tongue: Tongue, answer: &Value) -> Vec<Value> {
    match tongue {
        Tongue::Chat => vec![answer["choices"][0]["message"].clone()],
        Tongue::Responses => answer["output"].as_array().cloned().unwrap_or_default(),
        Tongue::Messages => vec![json!({"role": "assistant", "content": answer["content"]})],
        Tongue::Contents => vec![answer["candidates"][0]["content"].clone()],
    }
}

/// What was said before, and what is asked now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// Instructions.
    pub system: Option<String>,
    /// Who said what; the last turn waits for an answer.
    pub turns: Vec<Turn>,
    /// The tools on offer.
    pub tools: Vec<Tool>,
    /// Whether the answer may think.
    pub thinks: bool,
}

/// What one side said.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// The user.
    User(Vec<Said>),
    /// The assistant: a text, empty for none, and calls of tools.
    Assistant(String, Vec<ToolCall>),
    /// What tools gave back.
    Results(Vec<Outcome>),
}

/// A part of what a user said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A text.
    Text(String),
    /// A picture: its media type, and its bytes in base64.
    Image(String, String),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// What its result refers to.
    pub id: String,
    /// The tool.
    pub name: String,
    /// An object.
    pub arguments: Value,
}

/// What a tool gave back.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The call.
    pub id: String,
    /// A text.
    pub text: String,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The schema of its arguments.
    pub parameters: Value,
}

impl Conversation {
    /// The same, with calls named by their order, so that dialects with ids of their own compare.
    #[must_use]
    pub fn numbered(mut self) -> Conversation {
        let mut ids: Vec<String> = Vec::new();
        for turn in &mut self.turns {
            match turn {
                Turn::Assistant(_, calls) => {
                    for call in calls {
                        let id = format!("call {}", ids.len());
                        ids.push(std::mem::replace(&mut call.id, id));
                    }
                }
                Turn::Results(results) => {
                    for result in results {
                        let at = ids.iter().rposition(|id| *id == result.id);
                        result.id = at.map_or_else(|| "nobody's".to_owned(), |at| format!("call {at}"));
                    }
                }
                Turn::User(_) => {}
            }
        }
        self
    }
}
