//! The deterministic answers of the scripted upstream. Pure: a request in, JSON out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The numbers in a vector when a request does not say.
const DIMENSIONS: usize = 8;
/// When every answer was made, in seconds since 1970.
const CREATED: i64 = 1_767_225_600;

/// A request, read as far as the answer needs it.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) model: String,
    /// The text of the last message, or the first text to embed.
    pub(super) prompt: String,
    pub(super) stream: bool,
    body: Value,
}

impl Question {
    pub(super) fn read(body: &[u8]) -> Option<Question> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let last = body["messages"].as_array().and_then(|messages| messages.last());
        let prompt = match last {
            Some(message) => text_of(&message["content"]),
            None => texts(&body).first().cloned().unwrap_or_default(),
        };
        Some(Question {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            prompt,
            body,
        })
    }

    fn include_usage(&self) -> bool {
        self.body["stream_options"]["include_usage"].as_bool().unwrap_or(false)
    }

    /// The words of the answer, with the spaces after them, and why it ends.
    fn words(&self) -> (Vec<String>, &'static str) {
        let text = format!("echo: {}", self.prompt);
        let mut words: Vec<String> = text.split_inclusive(char::is_whitespace).map(str::to_owned).collect();
        let limit = ["max_tokens", "max_completion_tokens"].iter().find_map(|key| self.body[key].as_u64());
        match limit.and_then(|n| usize::try_from(n).ok()) {
            Some(n) if words.len() > n => {
                words.truncate(n);
                (words, "length")
            }
            _ => (words, "stop"),
        }
    }

    /// The tool that is to be called, if one is: the named one, else the first on offer.
    fn tool(&self) -> Option<(String, String)> {
        let choice = &self.body["tool_choice"];
        let named = choice["function"]["name"].as_str();
        let first = self.body["tools"][0]["function"]["name"].as_str();
        let name = named.or(first).filter(|_| choice.as_str() != Some("none"))?;
        Some((name.to_owned(), json!({"text": self.prompt}).to_string()))
    }

    fn usage(&self, output: usize) -> Value {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let words = |m: &Value| text_of(&m["content"]).split_whitespace().count();
        let input = messages.iter().map(words).sum::<usize>().max(1);
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    /// A chat's whole answer.
    pub(super) fn chat(&self) -> Value {
        let (words, finish) = self.words();
        let (message, finish) = match self.tool() {
            Some((name, arguments)) => {
                let function = json!({"name": name, "arguments": arguments});
                let call = json!({"id": "call_1", "type": "function", "function": function});
                (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
            }
            None => (json!({"role": "assistant", "content": words.concat()}), finish),
        };
        json!({
            "id": "chatcmpl-upstream", "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": null}],
            "usage": self.usage(words.len()),
        })
    }

    /// A chat's answer in chunks; the terminator is not among them.
    pub(super) fn chunks(&self) -> Vec<Value> {
        let (words, finish) = self.words();
        let output = words.len();
        match self.tool() {
            None => self.text_chunks(words, finish, output),
            Some((name, arguments)) => {
                let (head, tail) = arguments.split_at(arguments.len() / 2);
                let function = json!({"name": name, "arguments": ""});
                let begin = json!([{"index": 0, "id": "call_1", "type": "function", "function": function}]);
                let more = |part: &str| json!([{"index": 0, "function": {"arguments": part}}]);
                let deltas = [begin, more(head), more(tail)];
                let deltas = deltas.into_iter().map(|calls| json!({"tool_calls": calls}));
                self.stream(json!({"role": "assistant", "content": null}), deltas, "tool_calls", output)
            }
        }
    }

    /// `frames` texts `tok0 `, `tok1 ` … in chunks.
    pub(super) fn long_chunks(&self, frames: usize) -> Vec<Value> {
        self.text_chunks((0..frames).map(|n| format!("tok{n} ")).collect(), "stop", frames)
    }

    fn text_chunks(&self, words: Vec<String>, finish: &str, output: usize) -> Vec<Value> {
        let deltas = words.into_iter().map(|word| json!({"content": word}));
        self.stream(json!({"role": "assistant", "content": ""}), deltas, finish, output)
    }

    fn stream(
        &self,
        first: Value,
        deltas: impl Iterator<Item = Value>,
        finish: &str,
        output: usize,
    ) -> Vec<Value> {
        let chunk = |delta: Value, finish: Option<&str>| {
            json!({
                "id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": CREATED,
                "model": self.model, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            })
        };
        let mut chunks = vec![chunk(first, None)];
        chunks.extend(deltas.map(|delta| chunk(delta, None)));
        chunks.push(chunk(json!({}), Some(finish)));
        if self.include_usage() {
            let mut last = chunk(json!({}), None);
            last["choices"] = json!([]);
            last["usage"] = self.usage(output);
            chunks.push(last);
        }
        chunks
    }

    /// The vectors of an embedding.
    pub(super) fn embeddings(&self) -> Value {
        let texts = texts(&self.body);
        let dimensions = self.body["dimensions"].as_u64().and_then(|n| usize::try_from(n).ok());
        let as_text = self.body["encoding_format"].as_str() == Some("base64");
        let data = texts.iter().enumerate().map(|(index, text)| {
            let vector = vector(text, dimensions.unwrap_or(DIMENSIONS));
            let embedding = match as_text {
                true => {
                    json!(STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()))
                }
                false => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        });
        let words = texts.iter().map(|t| t.split_whitespace().count()).sum::<usize>().max(1);
        json!({
            "object": "list", "model": self.model, "data": data.collect::<Vec<_>>(),
            "usage": {"prompt_tokens": words, "total_tokens": words},
        })
    }
}

/// The vector of a text: `dimensions` numbers in 0 to 1 that follow from its hash (FNV-1a, 64 bits).
pub fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step);
    let mut next = || {
        hash = step(hash, 0x5d);
        // Sixteen bits are exact in an f32.
        ((hash >> 48) as u16) as f32 / f32::from(u16::MAX)
    };
    (0..dimensions).map(|_| next()).collect()
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

/// An error in OpenAI's shape.
pub(super) fn error(status: u16) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        _ => ("server_error", None),
    };
    let message = format!("the script says {status}, key sk-upstream-secret, see http://10.0.0.7:9/secret");
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn texts(body: &Value) -> Vec<String> {
    match &body["input"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => {
            items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
