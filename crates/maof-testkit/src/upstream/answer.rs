//! What is asked and what is answered, whatever the dialect. Pure: a request in, JSON out; each dialect's
//! file says how its requests are read and its answers are written.

use std::fmt::Debug;

use axum::http::Uri;
use serde_json::{Value, json};

use super::schema;

/// How one endpoint of a provider reads and writes.
pub(super) trait Shape: Debug + Sync {
    /// Reads a request as far as the answer needs it; else says what is wrong with it.
    fn question(&self, uri: &Uri, body: Value) -> Result<Question, String>;

    /// The whole answer.
    fn whole(&self, question: &Question, answer: &Answer) -> Value;

    /// The answer as a stream; its last frame tells the end. None for endpoints that do not stream.
    fn frames(&self, _question: &Question, _answer: &Answer) -> Vec<Frame> {
        Vec::new()
    }

    /// The body of a failure with this status.
    fn failure(&self, status: u16, message: &str) -> Value;

    /// A failure amid a stream, after `_sent` frames.
    fn broken_off(&self, status: u16, message: &str, _sent: usize) -> Frame {
        Frame::bare(&self.failure(status, message))
    }

    /// What ends a line of a stream.
    fn line_end(&self) -> &'static str {
        "\n"
    }
}

/// What a failure says. It holds what no caller may see: a key, and the address of a host.
pub(super) fn complaint(status: u16) -> String {
    format!("the script says {status}, key sk-upstream-secret, see http://10.0.0.7:9/secret")
}

/// A request, read as far as the answer needs it.
#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) model: String,
    /// The text of the last message, or the first text to embed.
    pub(super) prompt: String,
    pub(super) stream: bool,
    /// The words that were asked, which count as tokens.
    pub(super) input: usize,
    /// The most words of the answer.
    pub(super) limit: Option<u64>,
    /// The tool that is to be called.
    pub(super) tool: Option<Tool>,
    /// The JSON that the answer's text is, where the request gives its schema.
    pub(super) object: Option<Value>,
    /// Whether the answer shows its thinking.
    pub(super) thinks: bool,
    /// Whether the last message is the assistant's.
    pub(super) after_answer: bool,
    pub(super) body: Value,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// What is thought before, in pieces.
    pub(super) thought: Vec<String>,
    /// The words, with the spaces after them. Where a tool is called they only count.
    pub(super) words: Vec<String>,
    pub(super) tool: Option<Tool>,
    /// Whether the limit has cut the words.
    pub(super) cut: bool,
}

impl Question {
    /// `echo: ` and the prompt, an object with it, or the call of a tool with it.
    pub(super) fn answer(&self) -> Answer {
        let mut words = match &self.object {
            Some(object) => pieces(&object.to_string()),
            None => pieces(&format!("echo: {}", self.prompt)),
        };
        let limit = self.limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let cut = self.tool.is_none() && words.len() > limit;
        words.truncate(limit);
        let thought = match self.thinks {
            true => pieces(&format!("asked: {}", self.prompt)),
            false => Vec::new(),
        };
        Answer { thought, words, tool: self.tool.clone(), cut }
    }
}

impl Answer {
    /// `frames` texts `tok0 `, `tok1 ` ….
    pub(super) fn long(frames: usize) -> Answer {
        let words = (0..frames).map(|n| format!("tok{n} ")).collect();
        Answer { thought: Vec::new(), words, tool: None, cut: false }
    }

    /// All that was written, thinking included.
    pub(super) fn output(&self) -> usize {
        self.thought.len() + self.words.len()
    }
}

impl Tool {
    /// The arguments as text, and the same in two pieces.
    pub(super) fn written(&self) -> (String, [String; 2]) {
        let text = self.arguments.to_string();
        let (head, tail) = text.split_at(text.floor_char_boundary(text.len() / 2));
        let halves = [head.to_owned(), tail.to_owned()];
        (text, halves)
    }
}

/// Which tool the request wants called.
pub(super) enum Choice<'a> {
    /// Whatever suits: the first on offer, unless the last message is a tool's result.
    Auto,
    Never,
    /// The first on offer.
    Any,
    Named(&'a str),
}

/// The call that `choice` makes of the tools on offer, which are names with the schemas of their arguments.
pub(super) fn call(
    choice: &Choice<'_>,
    tools: &[(&str, &Value)],
    after_result: bool,
    prompt: &str,
) -> Option<Tool> {
    let first = tools.first().copied();
    let (name, schema) = match choice {
        Choice::Never => None,
        Choice::Auto => first.filter(|_| !after_result),
        Choice::Any => first,
        Choice::Named(name) => {
            let known = tools.iter().find(|(known, _)| known == name).copied();
            known.or(Some((name, &Value::Null)))
        }
    }?;
    Some(Tool { name: name.to_owned(), arguments: schema::arguments(schema, prompt) })
}

/// The answer's text as an object, where the request gives its `schema`.
pub(super) fn object(schema: &Value, prompt: &str) -> Option<Value> {
    schema.is_object().then(|| schema::arguments(schema, prompt))
}

/// A frame of a stream.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) name: Option<&'static str>,
    pub(super) data: String,
}

impl Frame {
    /// Data without a name.
    pub(super) fn bare(data: &Value) -> Frame {
        Frame { name: None, data: data.to_string() }
    }

    /// Data that says its own name as `type`.
    pub(super) fn named(name: &'static str, mut data: Value) -> Frame {
        data["type"] = json!(name);
        Frame { name: Some(name), data: data.to_string() }
    }

    /// The frame, with its data broken off in the middle.
    pub(super) fn broken(&self) -> Frame {
        let half = self.data.floor_char_boundary(self.data.len() / 2);
        Frame { name: self.name, data: self.data[..half].to_owned() }
    }

    /// Whether it says why the answer ends.
    pub(super) fn says_why_it_ends(&self) -> bool {
        const SAID: [&str; 4] =
            ["\"finish_reason\":\"", "\"stop_reason\":\"", "\"finishReason\":\"", "\"response.completed\""];
        SAID.iter().any(|said| self.data.contains(said))
    }

    /// As it is sent.
    pub(super) fn written(&self, line_end: &str) -> String {
        let name = self.name.map(|name| format!("event: {name}{line_end}")).unwrap_or_default();
        format!("{name}data: {}{line_end}{line_end}", self.data)
    }
}

/// The items of a list; none where it is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The text of a content: itself, or that of its parts (of a tool's result: of what is in it).
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part["text"].as_str() {
                Some(text) => text.to_owned(),
                None => text_of(&part["content"]),
            })
            .collect(),
        _ => String::new(),
    }
}

/// How many words there are.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The words, with the spaces after them.
fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
}
