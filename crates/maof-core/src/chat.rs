//! A conversation in MAOF's own words, which every dialect translates from and to. What a dialect says
//! beyond it is kept verbatim in `rest`, so that unknown fields survive a round trip.
//!
//! ```
//! use maof_core::ChatRequest;
//! let chat = ChatRequest::user("How is the weather?");
//! assert_eq!(chat.last_user_text().as_deref(), Some("How is the weather?"));
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Standing instructions.
    System,
    /// Standing instructions, by the application's developer.
    Developer,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture, by URL or as a `data:` URL.
    Image {
        /// Where it is.
        url: String,
        /// How closely to look, in the dialect's word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// What the model thought, with the provider's signature over it.
    Reasoning {
        /// The thought, verbatim.
        text: String,
        /// The signature, verbatim.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A refusal, in the model's words.
    Refusal {
        /// The words.
        text: String,
    },
    /// A part that only its dialect knows, verbatim.
    Other {
        /// The part as it came.
        value: Value,
    },
}

/// A model's wish to use a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id that the result will name.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: JSON text, verbatim.
    pub arguments: String,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The tools that an assistant wants to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's result answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The speaker's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What only its dialect knows.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    pub fn text(speaker: Speaker, text: impl Into<String>) -> Self {
        Message {
            speaker,
            parts: vec![Part::Text { text: text.into() }],
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            rest: Map::new(),
        }
    }

    /// All its text parts, one after the other.
    pub fn plain_text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// A tool that a model may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// Whether arguments must follow the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Which tool a model must use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// None.
    None,
    /// As it likes.
    Auto,
    /// At least one.
    Required,
    /// This one.
    Tool(String),
}

/// The shape that an answer must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether it must be followed exactly.
        strict: Option<bool>,
    },
}

/// A request for the next message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatRequest {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tools on offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Which tool must be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// The shape of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
    /// Most tokens in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Randomness, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// How many answers; 1 when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<u32>,
    /// A seed for repeatable sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// What only its dialect knows.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

impl ChatRequest {
    /// A conversation that begins with one message of the user.
    pub fn user(text: impl Into<String>) -> Self {
        ChatRequest { messages: vec![Message::text(Speaker::User, text)], ..Self::default() }
    }

    /// The text of the last message of a user.
    pub fn last_user_text(&self) -> Option<String> {
        let last = self.messages.iter().rev().find(|m| m.speaker == Speaker::User)?;
        Some(last.plain_text())
    }
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It reached the most tokens allowed.
    Length,
    /// It wants tools used.
    ToolCalls,
    /// A filter stopped it.
    ContentFilter,
    /// For a reason in its dialect's own word.
    Other(String),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The message.
    pub message: Message,
    /// Why it ended; none when the provider did not say.
    pub finish: Option<Finish>,
    /// What only its dialect knows.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

/// The answers to a [`ChatRequest`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatAnswer {
    /// One for each choice asked for, in order.
    pub choices: Vec<Choice>,
    /// What only its dialect knows.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

impl ChatAnswer {
    /// An answer of plain text that ended by itself.
    pub fn text(text: impl Into<String>) -> Self {
        let choice = Choice {
            message: Message::text(Speaker::Assistant, text),
            finish: Some(Finish::Stop),
            rest: Map::new(),
        };
        ChatAnswer { choices: vec![choice], rest: Map::new() }
    }

    /// The text of the first choice.
    pub fn plain_text(&self) -> String {
        self.choices.first().map(|c| c.message.plain_text()).unwrap_or_default()
    }
}

/// A request for vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbedRequest {
    /// The texts, in order.
    pub input: Vec<String>,
    /// The length of each vector, where the model lets one choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// What only its dialect knows.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

/// The vectors, in the order of the texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbedAnswer {
    /// One vector a text.
    pub vectors: Vec<Vec<f32>>,
}
