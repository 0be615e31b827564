//! Anthropic's messages: <https://platform.claude.com/docs/en/api/messages>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>,
//! <https://platform.claude.com/docs/en/api/errors> (as of 2026-11-21).

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Choice, Frame, Question, Shape, Tool, call, items, object, text_of, words};

/// `POST /v1/messages`.
#[derive(Debug)]
pub(super) struct Messages;

impl Shape for Messages {
    fn question(&self, _uri: &Uri, body: Value) -> Result<Question, String> {
        let Some(limit) = body["max_tokens"].as_u64() else {
            return Err("max_tokens: Field required".to_owned());
        };
        Ok(Question { limit: Some(limit), ..read(body)? })
    }

    fn whole(&self, question: &Question, answer: &Answer) -> Value {
        let content: Vec<Value> = blocks(answer).into_iter().map(|block| block.whole).collect();
        let mut usage = usage(question, answer.output());
        if question.thinks {
            usage["output_tokens_details"] = json!({"thinking_tokens": answer.thought.len()});
        }
        let mut message = message(question, usage);
        message["content"] = json!(content);
        message["stop_reason"] = json!(stop_reason(answer));
        message
    }

    fn frames(&self, question: &Question, answer: &Answer) -> Vec<Frame> {
        let first = message(question, usage(question, 1));
        let mut frames = vec![Frame::named("message_start", json!({"message": first}))];
        for (index, block) in blocks(answer).into_iter().enumerate() {
            let start = json!({"index": index, "content_block": block.start});
            frames.push(Frame::named("content_block_start", start));
            if index == 0 {
                frames.push(Frame::named("ping", json!({})));
            }
            let deltas = block.deltas.into_iter();
            frames.extend(
                deltas.map(|d| Frame::named("content_block_delta", json!({"index": index, "delta": d}))),
            );
            frames.push(Frame::named("content_block_stop", json!({"index": index})));
        }
        let (input, output) = (question.input, answer.output());
        let end = json!({
            "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null, "stop_details": null},
            "usage": {
                "input_tokens": input, "output_tokens": output,
                "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            },
        });
        frames.push(Frame::named("message_delta", end));
        frames.push(Frame::named("message_stop", json!({})));
        frames
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }

    fn broken_off(&self, status: u16, message: &str, _sent: usize) -> Frame {
        Frame::named("error", failure(status, message))
    }
}

/// `POST /v1/messages/count_tokens`.
#[derive(Debug)]
pub(super) struct CountTokens;

impl Shape for CountTokens {
    fn question(&self, _uri: &Uri, body: Value) -> Result<Question, String> {
        Ok(Question { stream: false, ..read(body)? })
    }

    fn whole(&self, question: &Question, _answer: &Answer) -> Value {
        json!({"input_tokens": question.input})
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }
}

fn read(body: Value) -> Result<Question, String> {
    let messages = items(&body["messages"]);
    let Some(last) = messages.last() else {
        return Err("messages: at least one message is required".to_owned());
    };
    let prompt = text_of(&last["content"]);
    let choice = match body["tool_choice"]["type"].as_str() {
        Some("none") => Choice::Never,
        Some("any") => Choice::Any,
        Some("tool") => Choice::Named(body["tool_choice"]["name"].as_str().unwrap_or_default()),
        _ => Choice::Auto,
    };
    // The provider's own tools have no schema: it calls those itself.
    let own = items(&body["tools"]).iter().filter(|tool| tool["input_schema"].is_object());
    let tools: Vec<_> = own.filter_map(|t| Some((t["name"].as_str()?, &t["input_schema"]))).collect();
    let after_result = items(&last["content"]).iter().any(|part| part["type"] == "tool_result");
    let asked = messages.iter().map(|m| words(&text_of(&m["content"]))).sum::<usize>();
    Ok(Question {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"].as_bool().unwrap_or(false),
        input: (asked + words(&text_of(&body["system"]))).max(1),
        limit: None,
        tool: call(&choice, &tools, after_result, &prompt),
        object: object(&body["output_config"]["format"]["schema"], &prompt),
        after_answer: last["role"] == "assistant",
        thinks: matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive")),
        prompt,
        body,
    })
}

/// A message before its content.
fn message(question: &Question, usage: Value) -> Value {
    json!({
        "id": "msg_upstream", "type": "message", "role": "assistant", "model": question.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "stop_details": null, "usage": usage,
    })
}

fn usage(question: &Question, output: usize) -> Value {
    json!({
        "input_tokens": question.input, "output_tokens": output,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard", "inference_geo": "global",
    })
}

/// A block of content: whole, as it starts in a stream, and what is added to it there.
struct Block {
    whole: Value,
    start: Value,
    deltas: Vec<Value>,
}

fn blocks(answer: &Answer) -> Vec<Block> {
    let thinking = (!answer.thought.is_empty()).then(|| thinking(&answer.thought));
    let said = match &answer.tool {
        Some(tool) => tool_use(tool),
        None => Block {
            whole: json!({"type": "text", "text": answer.words.concat()}),
            start: json!({"type": "text", "text": ""}),
            deltas: answer.words.iter().map(|word| json!({"type": "text_delta", "text": word})).collect(),
        },
    };
    thinking.into_iter().chain([said]).collect()
}

fn thinking(thought: &[String]) -> Block {
    let text = thought.concat();
    // As opaque as a real one, but it follows from the thought, so that a test can tell whose it is.
    let signature = STANDARD.encode(format!("signed: {text}"));
    let mut deltas: Vec<Value> =
        thought.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece})).collect();
    deltas.push(json!({"type": "signature_delta", "signature": signature}));
    Block {
        whole: json!({"type": "thinking", "thinking": text, "signature": signature}),
        start: json!({"type": "thinking", "thinking": "", "signature": ""}),
        deltas,
    }
}

fn tool_use(tool: &Tool) -> Block {
    let (_, [head, tail]) = tool.written();
    let block = |input: &Value| {
        json!({
            "type": "tool_use", "id": "toolu_1", "name": tool.name, "input": input,
            "caller": {"type": "direct"},
        })
    };
    // The first piece is empty, as it is on the real wire.
    let pieces = [String::new(), head, tail];
    Block {
        whole: block(&tool.arguments),
        start: block(&json!({})),
        deltas: pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).to_vec(),
    }
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer {
        Answer { tool: Some(_), .. } => "tool_use",
        Answer { cut: true, .. } => "max_tokens",
        _ => "end_turn",
    }
}

fn failure(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"})
}
