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
    /// Sound.
    Audio {
        /// The sound, in base64.
        data: String,
        /// Its media type, such as `audio/wav`.
        media_type: String,
    },
    /// A document, by URL or as a `data:` URL.
    File {
        /// Where it is.
        url: String,
        /// The name it goes by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// What the model thought, with the provider's signature over it. A signature that stands without a
    /// thought has an empty text.
    Reasoning {
        /// The thought, verbatim.
        text: String,
        /// The signature, verbatim.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// What the model thought and its provider hides.
    Redacted {
        /// The thought, sealed, verbatim.
        data: String,
    },
    /// A refusal, in the model's words.
    Refusal {
        /// The words.
        text: String,
    },
    /// A model's wish to use a tool.
    ToolCall(ToolCall),
    /// A part that only its dialect knows, verbatim.
    Other {
        /// The part as it came.
        value: Value,
    },
}

impl Part {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text { text: text.into() }
    }

    /// How many bytes it says: no fewer than it has tokens, but for what a URL stands for.
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Part::Text { text } | Part::Refusal { text } => text.len(),
            Part::Reasoning { text, signature } => text.len() + signature.as_ref().map_or(0, String::len),
            Part::Redacted { data } | Part::Audio { data, .. } => data.len(),
            Part::Image { url, .. } | Part::File { url, .. } => url.len(),
            Part::ToolCall(call) => call.name.len() + call.arguments.len(),
            Part::Other { value } => value.to_string().len(),
        };
        bytes as u64
    }
}

/// A model's wish to use a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id that the result will name.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: JSON text, verbatim.
    pub arguments: String,
    /// The provider's signature over it, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The call that a tool's result answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Whether a tool's result is of a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
    /// The speaker's name; of a tool's result, the tool's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What only its dialect knows.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    pub fn text(speaker: Speaker, text: impl Into<String>) -> Self {
        Self::of(speaker, vec![Part::text(text)])
    }

    /// A message of these parts.
    pub fn of(speaker: Speaker, parts: Vec<Part>) -> Self {
        Message { speaker, parts, tool_call_id: None, is_error: false, name: None, rest: Map::new() }
    }

    /// The tools that an assistant wants to use, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
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

/// How much a model shall think before it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thinking {
    /// How hard, in the providers' common words: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Most tokens to think with; 0 for no thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    /// Whether the answer shall tell the thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<bool>,
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
    /// Among how many of the likeliest tokens one is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// Against what has been said at all, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Against what has been said often, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Whether several tools may be wanted at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How much to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// The end user, as the provider is to know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What only its dialect knows.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
    /// The dialect whose words `rest` and parts of the kind `other` are in; none for words that are meant for
    /// whoever answers.
    #[serde(skip)]
    pub spoken: Option<&'static str>,
    /// Fields of that dialect that are not carried because they change no answer, such as a hint to a cache.
    #[serde(skip)]
    pub unspoken: Vec<String>,
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
    /// The dialect whose words each `rest` and parts of the kind `other` are in.
    #[serde(skip)]
    pub spoken: Option<&'static str>,
}

impl ChatAnswer {
    /// An answer of plain text that ended by itself.
    pub fn text(text: impl Into<String>) -> Self {
        let choice = Choice {
            message: Message::text(Speaker::Assistant, text),
            finish: Some(Finish::Stop),
            rest: Map::new(),
        };
        ChatAnswer { choices: vec![choice], ..ChatAnswer::default() }
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
