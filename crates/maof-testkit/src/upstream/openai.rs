//! OpenAI's chat completions and embeddings: <https://platform.openai.com/docs/api-reference/chat>,
//! <https://platform.openai.com/docs/api-reference/embeddings> (as of 2026-11-21).

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Choice, Frame, Question, Shape, call, items, object, text_of, words};

/// The numbers in a vector when a request does not say.
const DIMENSIONS: usize = 8;
/// When every answer was made, in seconds since 1970.
pub(super) const CREATED: i64 = 1_767_225_600;

/// `POST /v1/chat/completions`.
#[derive(Debug)]
pub(super) struct Chat;

impl Shape for Chat {
    fn question(&self, _uri: &Uri, body: Value) -> Result<Question, String> {
        let messages = items(&body["messages"]);
        let last = messages.last().unwrap_or(&Value::Null);
        let prompt = text_of(&last["content"]);
        let choice = match (body["tool_choice"].as_str(), body["tool_choice"]["function"]["name"].as_str()) {
            (_, Some(name)) => Choice::Named(name),
            (Some("none"), _) => Choice::Never,
            (Some("required"), _) => Choice::Any,
            _ => Choice::Auto,
        };
        let functions = items(&body["tools"]).iter().map(|tool| &tool["function"]);
        let tools: Vec<_> = functions.filter_map(|f| Some((f["name"].as_str()?, &f["parameters"]))).collect();
        let limit = ["max_tokens", "max_completion_tokens"].iter().find_map(|key| body[key].as_u64());
        Ok(Question {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            input: messages.iter().map(|m| words(&text_of(&m["content"]))).sum::<usize>().max(1),
            limit,
            tool: call(&choice, &tools, last["role"] == "tool", &prompt),
            object: object(&body["response_format"]["json_schema"]["schema"], &prompt),
            thinks: false,
            after_answer: last["role"] == "assistant",
            prompt,
            body,
        })
    }

    fn whole(&self, question: &Question, answer: &Answer) -> Value {
        let message = match &answer.tool {
            Some(tool) => {
                let function = json!({"name": tool.name, "arguments": tool.arguments.to_string()});
                let call = json!({"id": "call_1", "type": "function", "function": function});
                json!({"role": "assistant", "content": null, "tool_calls": [call]})
            }
            None => json!({"role": "assistant", "content": answer.words.concat()}),
        };
        json!({
            "id": "chatcmpl-upstream", "object": "chat.completion", "created": CREATED, "model": question.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish(answer), "logprobs": null}],
            "usage": usage(question, answer),
        })
    }

    fn frames(&self, question: &Question, answer: &Answer) -> Vec<Frame> {
        let chunk = |delta: Value, finish: Option<&str>| {
            json!({
                "id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": CREATED,
                "model": question.model, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            })
        };
        let mut chunks: Vec<Value> = deltas(answer).into_iter().map(|delta| chunk(delta, None)).collect();
        chunks.push(chunk(json!({}), Some(finish(answer))));
        if question.body["stream_options"]["include_usage"].as_bool().unwrap_or(false) {
            let mut last = chunk(json!({}), None);
            last["choices"] = json!([]);
            last["usage"] = usage(question, answer);
            chunks.push(last);
        }
        let mut frames: Vec<Frame> = chunks.iter().map(Frame::bare).collect();
        frames.push(Frame { name: None, data: "[DONE]".to_owned() });
        frames
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }
}

fn deltas(answer: &Answer) -> Vec<Value> {
    let Some(tool) = &answer.tool else {
        let first = json!({"role": "assistant", "content": ""});
        return std::iter::once(first).chain(answer.words.iter().map(|w| json!({"content": w}))).collect();
    };
    let (_, [head, tail]) = tool.written();
    let function = json!({"name": tool.name, "arguments": ""});
    let begin = json!([{"index": 0, "id": "call_1", "type": "function", "function": function}]);
    let more = |part: String| json!({"tool_calls": [{"index": 0, "function": {"arguments": part}}]});
    vec![json!({"role": "assistant", "content": null}), json!({"tool_calls": begin}), more(head), more(tail)]
}

fn finish(answer: &Answer) -> &'static str {
    match answer {
        Answer { tool: Some(_), .. } => "tool_calls",
        Answer { cut: true, .. } => "length",
        _ => "stop",
    }
}

fn usage(question: &Question, answer: &Answer) -> Value {
    let (input, output) = (question.input, answer.output());
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

/// An error in OpenAI's shape.
pub(super) fn failure(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        _ => ("server_error", None),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// `POST /v1/embeddings`.
#[derive(Debug)]
pub(super) struct Embeddings;

impl Shape for Embeddings {
    fn question(&self, _uri: &Uri, body: Value) -> Result<Question, String> {
        let texts = texts(&body);
        Ok(Question {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            prompt: texts.first().cloned().unwrap_or_default(),
            input: texts.iter().map(|text| words(text)).sum::<usize>().max(1),
            body,
            ..Question::default()
        })
    }

    fn whole(&self, question: &Question, _answer: &Answer) -> Value {
        let body = &question.body;
        let dimensions = body["dimensions"].as_u64().and_then(|n| usize::try_from(n).ok());
        let as_text = body["encoding_format"].as_str() == Some("base64");
        let texts = texts(body);
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
        json!({
            "object": "list", "model": question.model, "data": data.collect::<Vec<_>>(),
            "usage": {"prompt_tokens": question.input, "total_tokens": question.input},
        })
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }
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
