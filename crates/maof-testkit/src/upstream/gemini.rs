//! Gemini's contents: <https://ai.google.dev/api/generate-content>,
//! <https://ai.google.dev/api/tokens> (as of 2026-11-21).

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Choice, Frame, Question, Shape, call, items, object, words};

/// `POST /v1beta/models/{model}:generateContent`, and `:streamGenerateContent?alt=sse`.
#[derive(Debug)]
pub(super) struct Generate;

impl Shape for Generate {
    fn question(&self, uri: &Uri, body: Value) -> Result<Question, String> {
        let question = read(uri, body)?;
        let asked = uri.query().unwrap_or_default().split('&');
        if question.stream && !asked.into_iter().any(|pair| pair == "alt=sse") {
            return Err("this upstream streams with `alt=sse` only".to_owned());
        }
        Ok(question)
    }

    fn whole(&self, question: &Question, answer: &Answer) -> Value {
        let parts = thought(answer).into_iter().chain(said(answer, answer.words.concat()));
        let mut whole = chunk(question, answer, answer.output(), parts.collect());
        finish(&mut whole, answer);
        whole
    }

    fn frames(&self, question: &Question, answer: &Answer) -> Vec<Frame> {
        let mut sent = 0;
        let mut frames = Vec::new();
        if let Some(part) = thought(answer) {
            sent += answer.thought.len();
            frames.push(Frame::bare(&chunk(question, answer, sent, vec![part])));
        }
        if answer.tool.is_none() {
            for word in &answer.words {
                sent += 1;
                let part = json!({"text": word});
                frames.push(Frame::bare(&chunk(question, answer, sent, vec![part])));
            }
        }
        // A call comes whole, with the end; after words the end comes with an empty text.
        let last = said(answer, String::new()).into_iter().collect();
        let mut last = chunk(question, answer, answer.output(), last);
        finish(&mut last, answer);
        frames.push(Frame::bare(&last));
        frames
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }

    fn line_end(&self) -> &'static str {
        "\r\n"
    }
}

/// `POST /v1beta/models/{model}:countTokens`.
#[derive(Debug)]
pub(super) struct CountTokens;

impl Shape for CountTokens {
    fn question(&self, uri: &Uri, body: Value) -> Result<Question, String> {
        let body = match body["generateContentRequest"].is_object() {
            true => body["generateContentRequest"].clone(),
            false => body,
        };
        read(uri, body)
    }

    fn whole(&self, question: &Question, _answer: &Answer) -> Value {
        let details = json!([{"modality": "TEXT", "tokenCount": question.input}]);
        json!({"totalTokens": question.input, "promptTokensDetails": details})
    }

    fn failure(&self, status: u16, message: &str) -> Value {
        failure(status, message)
    }
}

fn read(uri: &Uri, body: Value) -> Result<Question, String> {
    let called = uri.path().rsplit('/').next().unwrap_or_default();
    let (model, method) = called.split_once(':').unwrap_or((called, ""));
    let contents = items(&body["contents"]);
    let Some(last) = contents.last() else {
        return Err("* GenerateContentRequest.contents: contents is not specified".to_owned());
    };
    let prompt = text(last);
    let calling = either(
        either(&body, "toolConfig", "tool_config"),
        "functionCallingConfig",
        "function_calling_config",
    );
    let named = either(calling, "allowedFunctionNames", "allowed_function_names")[0].as_str();
    let choice = match (calling["mode"].as_str(), named) {
        (Some("NONE"), _) => Choice::Never,
        (Some("ANY"), Some(name)) => Choice::Named(name),
        (Some("ANY"), None) => Choice::Any,
        _ => Choice::Auto,
    };
    let groups =
        items(&body["tools"]).iter().map(|t| either(t, "functionDeclarations", "function_declarations"));
    let declared = groups.flat_map(items).filter_map(|f| Some((f["name"].as_str()?, schema(f))));
    let tools: Vec<_> = declared.collect();
    let after_result = items(&last["parts"])
        .iter()
        .any(|part| !either(part, "functionResponse", "function_response").is_null());
    let system = either(&body, "systemInstruction", "system_instruction");
    let settings = either(&body, "generationConfig", "generation_config");
    let shape = match either(settings, "responseJsonSchema", "response_json_schema") {
        Value::Null => either(settings, "responseSchema", "response_schema"),
        schema => schema,
    };
    let thinking = either(settings, "thinkingConfig", "thinking_config");
    Ok(Question {
        model: model.to_owned(),
        stream: method == "streamGenerateContent",
        input: contents.iter().chain([system]).map(|c| words(&text(c))).sum::<usize>().max(1),
        limit: either(settings, "maxOutputTokens", "max_output_tokens").as_u64(),
        tool: call(&choice, &tools, after_result, &prompt),
        object: object(shape, &prompt),
        after_answer: last["role"] == "model",
        thinks: either(thinking, "includeThoughts", "include_thoughts").as_bool().unwrap_or(false),
        prompt,
        body: Value::Null,
    })
}

/// The provider takes each name in both spellings.
fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    match value.get(camel) {
        Some(found) => found,
        None => &value[snake],
    }
}

/// The schema of a function's arguments.
fn schema(function: &Value) -> &Value {
    match either(function, "parametersJsonSchema", "parameters_json_schema") {
        Value::Null => &function["parameters"],
        schema => schema,
    }
}

/// The text of a content's parts; of a function's response its only text, else all of it.
fn text(content: &Value) -> String {
    let part = |part: &Value| {
        let response = &either(part, "functionResponse", "function_response")["response"];
        match (part["text"].as_str(), response.as_object()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(fields)) => match fields.values().next() {
                Some(Value::String(only)) if fields.len() == 1 => only.clone(),
                _ => response.to_string(),
            },
            (None, None) => String::new(),
        }
    };
    items(&content["parts"]).iter().map(part).collect()
}

fn thought(answer: &Answer) -> Option<Value> {
    (!answer.thought.is_empty()).then(|| json!({"text": answer.thought.concat(), "thought": true}))
}

/// What is said: a call with the signature of the thought before it, or `text`.
fn said(answer: &Answer, text: String) -> Option<Value> {
    let Some(tool) = &answer.tool else { return Some(json!({"text": text})) };
    let signature = STANDARD.encode(format!("signed: {}", tool.name));
    let call = json!({"name": tool.name, "args": tool.arguments});
    Some(json!({"functionCall": call, "thoughtSignature": signature}))
}

/// A piece of the answer, after which `sent` words of it are out.
fn chunk(question: &Question, answer: &Answer, sent: usize, parts: Vec<Value>) -> Value {
    let thoughts = answer.thought.len().min(sent);
    let mut usage = json!({
        "promptTokenCount": question.input, "candidatesTokenCount": sent - thoughts,
        "totalTokenCount": question.input + sent, "serviceTier": "standard",
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": question.input}],
    });
    if thoughts > 0 {
        usage["thoughtsTokenCount"] = json!(thoughts);
    }
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
        "usageMetadata": usage, "modelVersion": question.model, "responseId": "upstream",
    })
}

fn finish(chunk: &mut Value, answer: &Answer) {
    let candidate = &mut chunk["candidates"][0];
    candidate["finishReason"] = json!(if answer.cut { "MAX_TOKENS" } else { "STOP" });
    if answer.tool.is_some() {
        candidate["finishMessage"] = json!("Model generated function call(s).");
    }
}

fn failure(status: u16, message: &str) -> Value {
    let word = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": word}})
}
