//! What the scripted upstream writes has the shape of what providers were recorded to write: no key that
//! they do not send, and every key that they nearly always send.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Question, Shape};
use super::{anthropic, gemini, responses};
use crate::cassette::{Cassettes, Exchange, events};

/// What the request or the model decides, not the shape of the dialect.
const OPEN: [&str; 7] = ["tools", "input", "args", "metadata", "reasoning", "tool_usage", "text"];

/// Objects by place: how many there were, and how many of them had each key.
type Seen = BTreeMap<String, (usize, BTreeMap<String, usize>)>;

/// Counts the objects in `value`. A place is the way of keys to it, with the `type` of each object.
fn see(value: &Value, place: &str, seen: &mut Seen) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| see(item, &format!("{place}[]"), seen)),
        Value::Object(fields) => {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            let place = format!("{place}<{kind}>");
            let (count, keys) = seen.entry(place.clone()).or_default();
            *count += 1;
            for key in fields.keys() {
                *keys.entry(key.clone()).or_default() += 1;
            }
            let closed = fields.iter().filter(|(key, _)| !OPEN.contains(&key.as_str()));
            closed.for_each(|(key, value)| see(value, &format!("{place}.{key}"), seen));
        }
        _ => {}
    }
}

fn see_stream(stream: &[u8], seen: &mut Seen) {
    for (name, data) in events(stream) {
        if let Ok(data) = serde_json::from_str(&data) {
            see(&data, &format!("stream {name}"), seen);
        }
    }
}

fn recorded(folders: &[&str], of: impl Fn(&Exchange) -> bool) -> Seen {
    let cassettes = Cassettes::open();
    let mut seen = Seen::new();
    for exchange in folders.iter().flat_map(|folder| cassettes.exchanges(folder)).filter(of) {
        match exchange.response_json() {
            Some(body) if exchange.status >= 400 => see(&body, "failure", &mut seen),
            Some(body) => see(&body, "whole", &mut seen),
            None => see_stream(&exchange.response, &mut seen),
        }
    }
    seen
}

fn question(shape: &dyn Shape, uri: &str, body: &Value) -> Question {
    shape.question(&uri.parse().unwrap(), body.clone()).unwrap()
}

/// What `shape` writes to each of the bodies, and as it fails.
fn written(shape: &dyn Shape, uri: &str, bodies: &[Value]) -> Seen {
    let mut seen = Seen::new();
    for body in bodies {
        let question = question(shape, uri, body);
        let answer = question.answer();
        see(&shape.whole(&question, &answer), "whole", &mut seen);
        let frames = shape.frames(&question, &answer);
        let stream: String = frames.iter().map(|frame| frame.written(shape.line_end())).collect();
        assert_eq!(events(stream.as_bytes()).len(), frames.len(), "{stream}");
        see_stream(stream.as_bytes(), &mut seen);
    }
    see(&shape.failure(404, "no"), "failure", &mut seen);
    seen
}

/// Each place and key that differs from what was recorded.
fn differences(ours: &Seen, recorded: &Seen) -> Vec<String> {
    let mut differences = Vec::new();
    for (place, (objects, keys)) in ours {
        let Some((count, known)) = recorded.get(place) else {
            differences.push(format!("{place} was never recorded"));
            continue;
        };
        let strange = keys.keys().filter(|key| !known.contains_key(*key));
        differences.extend(strange.map(|key| format!("{place} never has `{key}`")));
        let usual = known.iter().filter(|(_, n)| **n * 10 > count * 9);
        let missing = usual.filter(|(key, _)| keys.get(*key) != Some(objects));
        differences.extend(missing.map(|(key, n)| format!("{place} has `{key}` in {n} of {count}")));
    }
    differences
}

fn check(shape: &dyn Shape, uri: &str, bodies: &[Value], recorded: &Seen) {
    if recorded.is_empty() {
        assert!(Cassettes::open().is_absent(), "no exchange of this dialect is recorded");
        return;
    }
    let ours = written(shape, uri, bodies);
    assert!(ours.keys().any(|place| place.starts_with("stream")), "{:?}", ours.keys());
    assert_eq!(differences(&ours, recorded), Vec::<String>::new());
}

#[test]
fn anthropic_messages_have_the_recorded_shape() {
    let recorded = recorded(&["anthropic"], |e| e.bare_path() == "/v1/messages");
    let ask = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "a b"}]});
    let with = |key: &str, value: Value| {
        let mut body = ask.clone();
        body[key] = value;
        body
    };
    let tool = json!([{"name": "t", "input_schema": {"type": "object", "properties": {}}}]);
    let bodies = [
        ask.clone(),
        with("tools", tool),
        with("thinking", json!({"type": "enabled", "budget_tokens": 1024})),
        with("max_tokens", json!(1)),
    ];
    check(&anthropic::Messages, "/v1/messages", &bodies, &recorded);
}

#[test]
fn gemini_contents_have_the_recorded_shape() {
    let generated = |e: &Exchange| e.status >= 400 || e.bare_path().ends_with("enerateContent");
    let recorded = recorded(&["gemini"], generated);
    let contents = json!([{"role": "user", "parts": [{"text": "a b"}]}]);
    let bodies = [
        json!({"contents": contents}),
        json!({"contents": contents, "tools": [{"functionDeclarations": [{"name": "t"}]}]}),
        json!({"contents": contents, "generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
        json!({"contents": contents, "generationConfig": {"maxOutputTokens": 1}}),
    ];
    check(&gemini::Generate, "/v1beta/models/m:streamGenerateContent?alt=sse", &bodies, &recorded);
}

#[test]
fn openai_responses_have_the_recorded_shape() {
    let own = |e: &Exchange| e.bare_path() == "/v1/responses";
    let recorded = recorded(&["openai", "openai_responses"], own);
    let reasoning = json!({"effort": "low", "summary": "auto"});
    let bodies = [
        json!({"model": "m", "input": "a b"}),
        json!({"model": "m", "input": "a b", "tools": [{"type": "function", "name": "t"}]}),
        json!({"model": "m", "input": "a b", "reasoning": reasoning, "include": ["reasoning.encrypted_content"]}),
    ];
    check(&responses::Responses, "/v1/responses", &bodies, &recorded);
}

#[test]
fn counts_of_tokens_have_the_recorded_shape() {
    let check = |shape: &dyn Shape, uri: &str, body: Value, folder: &str, method: &str| {
        let known = recorded(&[folder], |e| e.status == 200 && e.bare_path().ends_with(method));
        let question = question(shape, uri, &body);
        let mut ours = Seen::new();
        see(&shape.whole(&question, &question.answer()), "whole", &mut ours);
        if !Cassettes::open().is_absent() {
            assert_eq!(differences(&ours, &known), Vec::<String>::new(), "{method}");
        }
    };
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "a b"}]});
    check(&anthropic::CountTokens, "/v1/messages/count_tokens", messages, "anthropic", "/count_tokens");
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "a b"}]}]});
    check(&gemini::CountTokens, "/v1beta/models/m:countTokens", contents, "gemini", ":countTokens");
}

#[test]
fn a_strange_and_a_missing_key_are_found() {
    let seen = |value: Value| {
        let mut seen = Seen::new();
        see(&value, "whole", &mut seen);
        seen
    };
    let recorded = seen(json!({"type": "a", "b": {"c": 1}}));
    let ours = seen(json!({"type": "a", "b": {"d": 1}, "e": [{}]}));
    let expect = [
        "whole<a> never has `e`",
        "whole<a>.b<> never has `d`",
        "whole<a>.b<> has `c` in 1 of 1",
        "whole<a>.e[]<> was never recorded",
    ];
    assert_eq!(differences(&ours, &recorded), expect);
}
