//! Each dialect's answers, without a socket: what is echoed, called, thought, counted and cut.

use serde_json::{Value, json};

use super::answer::Shape;
use super::{anthropic, gemini, openai, responses};

const GENERATE: &str = "/v1beta/models/m:generateContent";

/// The places of a whole answer that its dialect tells the same thing in.
struct Places {
    shape: &'static dyn Shape,
    uri: &'static str,
    text: &'static str,
    end: &'static str,
    input: &'static str,
    output: &'static str,
}

const CHAT: Places = Places {
    shape: &openai::Chat,
    uri: "/v1/chat/completions",
    text: "/choices/0/message/content",
    end: "/choices/0/finish_reason",
    input: "/usage/prompt_tokens",
    output: "/usage/completion_tokens",
};
const MESSAGES: Places = Places {
    shape: &anthropic::Messages,
    uri: "/v1/messages",
    text: "/content/0/text",
    end: "/stop_reason",
    input: "/usage/input_tokens",
    output: "/usage/output_tokens",
};
const CONTENTS: Places = Places {
    shape: &gemini::Generate,
    uri: GENERATE,
    text: "/candidates/0/content/parts/0/text",
    end: "/candidates/0/finishReason",
    input: "/usageMetadata/promptTokenCount",
    output: "/usageMetadata/candidatesTokenCount",
};
const RESPONSES: Places = Places {
    shape: &responses::Responses,
    uri: "/v1/responses",
    text: "/output/0/content/0/text",
    end: "/status",
    input: "/usage/input_tokens",
    output: "/usage/output_tokens",
};

fn whole(places: &Places, body: &Value) -> Value {
    let question = places.shape.question(&places.uri.parse().unwrap(), body.clone()).unwrap();
    places.shape.whole(&question, &question.answer())
}

/// The data of the stream's frames; `[DONE]` is left out.
fn frames(places: &Places, body: &Value) -> Vec<Value> {
    let question = places.shape.question(&places.uri.parse().unwrap(), body.clone()).unwrap();
    let frames = places.shape.frames(&question, &question.answer());
    let data = frames.iter().filter(|frame| frame.data != "[DONE]");
    data.map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

/// What a stream's frames hold at `place`, together.
fn joined(frames: &[Value], place: &str) -> String {
    frames.iter().filter_map(|frame| frame.pointer(place)?.as_str()).collect()
}

fn ask(places: &Places, text: &str, extra: &Value) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    let mut body = match places.uri {
        "/v1/responses" => json!({"model": "m", "input": text}),
        GENERATE => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        _ => json!({"model": "m", "max_tokens": 9, "messages": messages}),
    };
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn the_last_message_is_echoed_and_words_are_counted() {
    let check = |places: &Places, end: &str, body: &Value| {
        let answer = whole(places, body);
        let at = |place: &str| answer.pointer(place).cloned().unwrap_or_default();
        assert_eq!(at(places.text), "echo: größer 🦀", "{answer}");
        assert_eq!(at(places.end), end, "{answer}");
        assert_eq!((at(places.input), at(places.output)), (json!(4), json!(3)), "{answer}");
    };
    let turns = json!([
        {"role": "system", "content": "be"}, {"role": "user", "content": "brief"},
        {"role": "user", "content": [{"type": "text", "text": "größer 🦀"}]},
    ]);
    check(&CHAT, "stop", &json!({"model": "m", "messages": turns}));
    let turns = [&turns[1], &turns[2]];
    let messages = json!({"model": "m", "max_tokens": 9, "system": "be", "messages": turns});
    check(&MESSAGES, "end_turn", &messages);
    let contents = json!([{"parts": [{"text": "brief"}]}, {"parts": [{"text": "größer 🦀"}]}]);
    let system = json!({"parts": [{"text": "be"}]});
    check(&CONTENTS, "STOP", &json!({"contents": contents, "systemInstruction": system}));
    let input = json!([
        {"role": "user", "content": "brief"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "größer 🦀"}]},
    ]);
    check(&RESPONSES, "completed", &json!({"model": "m", "instructions": "be", "input": input}));
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let check = |places: &Places, delta: &str| {
        let body = ask(places, "größer 🦀 ok", &json!({}));
        let streamed = joined(&frames(places, &body), delta);
        assert_eq!(streamed, "echo: größer 🦀 ok", "{}", places.uri);
        let whole = whole(places, &body);
        assert_eq!(whole.pointer(places.text).unwrap(), streamed.as_str());
    };
    check(&CHAT, "/choices/0/delta/content");
    check(&MESSAGES, "/delta/text");
    check(&CONTENTS, "/candidates/0/content/parts/0/text");
    check(&RESPONSES, "/delta");
}

#[test]
fn the_limit_cuts_and_says_so() {
    let check = |places: &Places, limit: Value, end: &str| {
        let answer = whole(places, &ask(places, "a b c", &limit));
        assert_eq!(answer.pointer(places.text).unwrap(), "echo: a ");
        assert_eq!(answer.pointer(places.end).unwrap(), end);
    };
    check(&CHAT, json!({"max_tokens": 2}), "length");
    check(&MESSAGES, json!({"max_tokens": 2}), "max_tokens");
    check(&CONTENTS, json!({"generationConfig": {"maxOutputTokens": 2}}), "MAX_TOKENS");
    check(&RESPONSES, json!({"max_output_tokens": 2}), "incomplete");
    let streamed = frames(&RESPONSES, &ask(&RESPONSES, "a b c", &json!({"max_output_tokens": 2})));
    assert_eq!(streamed.last().unwrap()["type"], "response.incomplete");
    assert_eq!(streamed.last().unwrap()["response"]["incomplete_details"]["reason"], "max_output_tokens");
}

/// The tools `first` and `second`, each with a text `city`, and the choice, in the words of each dialect.
fn offer(places: &Places, choice: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let names = ["first", "second"];
    let named = !["auto", "none", "any"].contains(&choice);
    let required = if choice == "any" { "required" } else { choice };
    match places.uri {
        "/v1/chat/completions" => {
            let functions = names.map(|n| json!({"function": {"name": n, "parameters": schema}}));
            let named_choice = json!({"type": "function", "function": {"name": choice}});
            json!({"tools": functions, "tool_choice": if named { named_choice } else { json!(required) }})
        }
        "/v1/messages" => {
            let tools = names.map(|n| json!({"name": n, "input_schema": schema}));
            let kind = if named { "tool" } else { choice };
            json!({"tools": tools, "tool_choice": {"type": kind, "name": choice}})
        }
        "/v1/responses" => {
            let tools = names.map(|n| json!({"type": "function", "name": n, "parameters": schema}));
            let named_choice = json!({"type": "function", "name": choice});
            json!({"tools": tools, "tool_choice": if named { named_choice } else { json!(required) }})
        }
        _ => {
            let declared = names.map(|n| json!({"name": n, "parameters": schema}));
            let mode = if named { "ANY".to_owned() } else { choice.to_uppercase() };
            let allowed = if named { json!([choice]) } else { Value::Null };
            let config = json!({"mode": mode, "allowedFunctionNames": allowed});
            json!({"tools": [{"functionDeclarations": declared}], "toolConfig": {"functionCallingConfig": config}})
        }
    }
}

/// The name and the arguments of the call in a whole answer.
fn called(answer: &Value) -> Option<(String, Value)> {
    let places = [
        ("/choices/0/message/tool_calls/0/function", "arguments"),
        ("/content/0", "input"),
        ("/candidates/0/content/parts/0/functionCall", "args"),
        ("/output/0", "arguments"),
    ];
    let (call, key) = places.iter().find_map(|(place, key)| Some((answer.pointer(place)?, *key)))?;
    let arguments = match &call[key] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        other => other.clone(),
    };
    Some((call["name"].as_str()?.to_owned(), arguments))
}

#[test]
fn the_tool_that_is_chosen_is_called_by_its_schema() {
    for places in [CHAT, MESSAGES, CONTENTS, RESPONSES] {
        let check = |choice: &str, expect: Option<&str>| {
            let answer = whole(&places, &ask(&places, "größer", &offer(&places, choice)));
            let expect = expect.map(|name| (name.to_owned(), json!({"city": "größer"})));
            assert_eq!(called(&answer), expect, "{choice}: {answer}");
        };
        check("auto", Some("first"));
        check("any", Some("first"));
        check("second", Some("second"));
        check("none", None);
    }
}

#[test]
fn streamed_arguments_come_in_pieces() {
    let check = |places: &Places, delta: &str| {
        let pieces = joined(&frames(places, &ask(places, "größer", &offer(places, "auto"))), delta);
        assert_eq!(pieces, r#"{"city":"größer"}"#, "{}", places.uri);
    };
    check(&CHAT, "/choices/0/delta/tool_calls/0/function/arguments");
    check(&MESSAGES, "/delta/partial_json");
    check(&RESPONSES, "/delta");
    let frames = frames(&CONTENTS, &ask(&CONTENTS, "größer", &offer(&CONTENTS, "auto")));
    assert_eq!(called(frames.last().unwrap()).unwrap().0, "first");
}

#[test]
fn a_result_of_a_tool_is_echoed_and_ends_the_loop() {
    let check = |places: &Places, key: &str, turns: Value| {
        let mut body = ask(places, "x", &offer(places, "auto"));
        body[key] = turns;
        let answer = whole(places, &body);
        assert_eq!(answer.pointer(places.text), Some(&json!("echo: 18 C")), "{answer}");
    };
    let result = json!({"role": "tool", "tool_call_id": "call_1", "content": "18 C"});
    check(&CHAT, "messages", json!([result]));
    let text = json!([{"type": "text", "text": "18 C"}]);
    let block = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": text});
    check(&MESSAGES, "messages", json!([{"role": "user", "content": [block]}]));
    let response = json!({"functionResponse": {"name": "first", "response": {"result": "18 C"}}});
    check(&CONTENTS, "contents", json!([{"role": "user", "parts": [response]}]));
    let output = json!({"type": "function_call_output", "call_id": "call_1", "output": "18 C"});
    check(&RESPONSES, "input", json!([output]));
}

#[test]
fn the_answer_is_an_object_of_the_schema_that_is_given() {
    let check = |places: &Places, shape: &Value| {
        let answer = whole(places, &ask(places, "größer", shape));
        assert_eq!(answer.pointer(places.text), Some(&json!(r#"{"city":"größer"}"#)), "{answer}");
    };
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
    check(&CHAT, &json!({"response_format": format}));
    let format = json!({"type": "json_schema", "name": "a", "schema": schema});
    check(&MESSAGES, &json!({"output_config": {"format": format}}));
    check(&RESPONSES, &json!({"text": {"format": format}}));
    check(&CONTENTS, &json!({"generationConfig": {"responseJsonSchema": schema}}));
    check(&CONTENTS, &json!({"generationConfig": {"responseSchema": schema}}));
}

#[test]
fn thinking_is_shown_where_it_is_enabled() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let body = ask(&MESSAGES, "größer 🦀", &thinking);
    let answer = whole(&MESSAGES, &body);
    let block = &answer["content"][0];
    assert_eq!((&block["type"], &block["thinking"]), (&json!("thinking"), &json!("asked: größer 🦀")));
    assert_eq!(answer["content"][1]["text"], "echo: größer 🦀");
    assert_eq!(answer["usage"]["output_tokens"], 6, "thinking counts as output");
    let streamed = frames(&MESSAGES, &body);
    assert_eq!(joined(&streamed, "/delta/thinking"), "asked: größer 🦀");
    let signature = joined(&streamed, "/delta/signature");
    assert!(!signature.is_empty() && block["signature"] == signature.as_str(), "{signature}");

    let config = json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}});
    let answer = whole(&CONTENTS, &ask(&CONTENTS, "a b", &config));
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["thought"], true);
    let usage = &answer["usageMetadata"];
    let counts = ["promptTokenCount", "thoughtsTokenCount", "candidatesTokenCount", "totalTokenCount"];
    assert_eq!(counts.map(|key| usage[key].as_u64().unwrap()), [2, 3, 3, 8]);

    let reasoning = json!({"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]});
    let body = ask(&RESPONSES, "a b", &reasoning);
    let answer = whole(&RESPONSES, &body);
    assert_eq!(answer["output"][0]["summary"][0]["text"], "asked: a b");
    assert_eq!(answer["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
    let streamed = frames(&RESPONSES, &body);
    assert_eq!(streamed.last().unwrap()["response"], answer);
    let numbers: Vec<_> = streamed.iter().map(|frame| frame["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
}

#[test]
fn what_a_provider_requires_is_required() {
    let check = |shape: &dyn Shape, uri: &str, body: Value, wanted: &str| {
        let message = shape.question(&uri.parse().unwrap(), body).unwrap_err();
        assert!(message.contains(wanted), "{message}");
    };
    let messages = json!([{"role": "user", "content": "a"}]);
    check(&anthropic::Messages, "/v1/messages", json!({"model": "m", "messages": messages}), "max_tokens");
    check(&anthropic::CountTokens, "/v1/messages/count_tokens", json!({"model": "m"}), "messages");
    check(&gemini::Generate, GENERATE, json!({}), "contents");
    let stream = "/v1beta/models/m:streamGenerateContent";
    check(&gemini::Generate, stream, json!({"contents": [{"parts": []}]}), "alt=sse");
}
