//! OpenAI's responses: <https://platform.openai.com/docs/api-reference/responses>,
//! <https://platform.openai.com/docs/api-reference/responses-streaming> (as of 2026-11-21).

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Choice, Frame, Question, Shape, Tool, call, items, object, text_of, words};
use super::openai::{self, CREATED};

/// `POST /v1/responses`.
#[derive(Debug)]
pub(super) struct Responses;

impl Shape for Responses {
    fn question(&self, _uri: &Uri, body: Value) -> Result<Question, String> {
        let input = items(&body["input"]);
        let last = input.last().unwrap_or_else(|| &body["input"]);
        let prompt = text(last);
        let choice = match (body["tool_choice"].as_str(), body["tool_choice"]["name"].as_str()) {
            (_, Some(name)) => Choice::Named(name),
            (Some("none"), _) => Choice::Never,
            (Some("required"), _) => Choice::Any,
            _ => Choice::Auto,
        };
        let own = items(&body["tools"]).iter().filter(|tool| tool["type"] == "function");
        let tools: Vec<_> = own.filter_map(|t| Some((t["name"].as_str()?, &t["parameters"]))).collect();
        let asked = match input {
            [] => words(&prompt),
            items => items.iter().map(|item| words(&text(item))).sum(),
        };
        Ok(Question {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            input: (asked + words(&text_of(&body["instructions"]))).max(1),
            limit: body["max_output_tokens"].as_u64(),
            tool: call(&choice, &tools, last["type"] == "function_call_output", &prompt),
            object: object(&body["text"]["format"]["schema"], &prompt),
            thinks: body["reasoning"].is_object(),
            after_answer: last["role"] == "assistant",
            prompt,
            body,
        })
    }

    fn whole(&self, question: &Question, answer: &Answer) -> Value {
        let mut output = Vec::new();
        if question.thinks {
            output.push(reasoning(question, answer));
        }
        output.push(match &answer.tool {
            Some(tool) => function_call(tool, "completed"),
            None => message(answer, ended(answer)),
        });
        let mut response = response(question, ended(answer));
        response["output"] = json!(output);
        response["usage"] = usage(question, answer);
        match answer.cut {
            true => response["incomplete_details"] = json!({"reason": "max_output_tokens"}),
            false => response["completed_at"] = json!(CREATED),
        }
        response
    }

    fn frames(&self, question: &Question, answer: &Answer) -> Vec<Frame> {
        let mut events = Events::default();
        for name in ["response.created", "response.in_progress"] {
            events.push(name, json!({"response": response(question, "in_progress")}));
        }
        if question.thinks {
            events.thought(question, answer);
        }
        match &answer.tool {
            Some(tool) => events.call(tool),
            None => events.words(answer),
        }
        let name = if answer.cut { "response.incomplete" } else { "response.completed" };
        events.push(name, json!({"response": self.whole(question, answer)}));
        events.frames
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        openai::failure(status, message)
    }

    fn broken_off(&self, status: u16, message: &str, sent: usize) -> Frame {
        let code = if status == 429 { "rate_limit_exceeded" } else { "server_error" };
        Frame::named(
            "error",
            json!({"code": code, "message": message, "param": null, "sequence_number": sent}),
        )
    }
}

/// The text of an item: a message's content, a tool's output, or the item itself.
fn text(item: &Value) -> String {
    [item, &item["content"], &item["output"]].into_iter().map(text_of).collect()
}

fn ended(answer: &Answer) -> &'static str {
    if answer.cut { "incomplete" } else { "completed" }
}

/// A response before its output. What the request says is given back, as the provider does.
fn response(question: &Question, status: &str) -> Value {
    let body = &question.body;
    let asked = |key: &str, default: Value| match &body[key] {
        Value::Null => default,
        value => value.clone(),
    };
    json!({
        "id": "resp_upstream", "object": "response", "created_at": CREATED, "completed_at": null,
        "status": status, "model": question.model, "output": [], "usage": null, "error": null,
        "incomplete_details": null, "background": false,
        "frequency_penalty": 0.0, "presence_penalty": 0.0, "moderation": null,
        "instructions": asked("instructions", Value::Null),
        "max_output_tokens": asked("max_output_tokens", Value::Null),
        "max_tool_calls": asked("max_tool_calls", Value::Null),
        "metadata": asked("metadata", json!({})),
        "parallel_tool_calls": asked("parallel_tool_calls", json!(true)),
        "previous_response_id": asked("previous_response_id", Value::Null),
        "prompt_cache_key": asked("prompt_cache_key", Value::Null), "prompt_cache_retention": null,
        "reasoning": asked("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": asked("safety_identifier", Value::Null), "service_tier": "default",
        "store": asked("store", json!(true)), "temperature": asked("temperature", json!(1.0)),
        "text": asked("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        "tool_choice": asked("tool_choice", json!("auto")), "tools": asked("tools", json!([])),
        "tool_usage": {"web_search": {"num_requests": 0}},
        "top_logprobs": 0, "top_p": asked("top_p", json!(1.0)),
        "truncation": asked("truncation", json!("disabled")), "user": asked("user", Value::Null),
    })
}

fn usage(question: &Question, answer: &Answer) -> Value {
    let (input, output) = (question.input, answer.output());
    json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": answer.thought.len()},
        "total_tokens": input + output,
    })
}

fn message(answer: &Answer, status: &str) -> Value {
    let part = part(&answer.words.concat());
    json!({"id": "msg_upstream", "type": "message", "role": "assistant", "status": status, "content": [part]})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn function_call(tool: &Tool, status: &str) -> Value {
    json!({
        "id": "fc_upstream", "type": "function_call", "call_id": "call_1", "name": tool.name,
        "arguments": tool.arguments.to_string(), "status": status,
    })
}

/// The thinking: a summary where it was asked for, and what only the provider reads where that was.
fn reasoning(question: &Question, answer: &Answer) -> Value {
    let text = answer.thought.concat();
    let mut item = json!({"id": "rs_upstream", "type": "reasoning", "summary": [], "content": []});
    if !question.body["reasoning"]["summary"].is_null() {
        item["summary"] = json!([{"type": "summary_text", "text": text}]);
    }
    if items(&question.body["include"]).iter().any(|wanted| wanted == "reasoning.encrypted_content") {
        item["encrypted_content"] = json!(STANDARD.encode(format!("sealed: {text}")));
    }
    item
}

/// The frames of a stream, numbered as they come.
#[derive(Default)]
struct Events {
    frames: Vec<Frame>,
    /// The output item that is being written.
    item: usize,
}

impl Events {
    fn push(&mut self, name: &'static str, mut fields: Value) {
        if name.ends_with(".delta") {
            // Fills every piece to the same length, against who listens to lengths.
            fields["obfuscation"] = json!("x");
        }
        fields["sequence_number"] = json!(self.frames.len());
        self.frames.push(Frame::named(name, fields));
    }

    fn item(&mut self, name: &'static str, item: &Value) {
        self.push(name, json!({"output_index": self.item, "item": item}));
    }

    fn thought(&mut self, question: &Question, answer: &Answer) {
        let done = reasoning(question, answer);
        let mut begun = done.clone();
        begun["summary"] = json!([]);
        self.item("response.output_item.added", &begun);
        if let Some(part) = done["summary"].get(0) {
            let at = json!({"item_id": "rs_upstream", "output_index": self.item, "summary_index": 0});
            let with = |key: &str, value: &Value| {
                let mut fields = at.clone();
                fields[key] = value.clone();
                fields
            };
            let empty = json!({"type": "summary_text", "text": ""});
            self.push("response.reasoning_summary_part.added", with("part", &empty));
            for piece in &answer.thought {
                self.push("response.reasoning_summary_text.delta", with("delta", &json!(piece)));
            }
            self.push("response.reasoning_summary_text.done", with("text", &part["text"]));
            self.push("response.reasoning_summary_part.done", with("part", part));
        }
        self.item("response.output_item.done", &done);
        self.item += 1;
    }

    fn call(&mut self, tool: &Tool) {
        let (text, halves) = tool.written();
        let mut begun = function_call(tool, "in_progress");
        begun["arguments"] = json!("");
        self.item("response.output_item.added", &begun);
        let at = |key: &str, value: &str, item: usize| json!({"item_id": "fc_upstream", "output_index": item, key: value});
        for half in &halves {
            self.push("response.function_call_arguments.delta", at("delta", half, self.item));
        }
        self.push("response.function_call_arguments.done", at("arguments", &text, self.item));
        self.item("response.output_item.done", &function_call(tool, "completed"));
    }

    fn words(&mut self, answer: &Answer) {
        let text = answer.words.concat();
        let done = message(answer, ended(answer));
        let mut begun = message(answer, "in_progress");
        begun["content"] = json!([]);
        self.item("response.output_item.added", &begun);
        let at = json!({"item_id": "msg_upstream", "output_index": self.item, "content_index": 0});
        let with = |key: &str, value: Value| {
            let mut fields = at.clone();
            fields[key] = value;
            fields
        };
        let text_with = |key: &str, text: &str| {
            let mut fields = with(key, json!(text));
            fields["logprobs"] = json!([]);
            fields
        };
        self.push("response.content_part.added", with("part", part("")));
        for word in &answer.words {
            self.push("response.output_text.delta", text_with("delta", word));
        }
        self.push("response.output_text.done", text_with("text", &text));
        self.push("response.content_part.done", with("part", part(&text)));
        self.item("response.output_item.done", &done);
    }
}
