//! Streams: quirks of servers on the way in, promises to callers on the way out.

use super::*;

/// What a stream of these payloads adds, and how it ends.
fn fold(payloads: &[Value]) -> Result<Vec<Delta>> {
    let mut decoder = OPENAI.decoder(&call(Body::from(ChatRequest::user("x"))));
    let mut deltas = Vec::new();
    for payload in payloads {
        let data = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
        let event = decoder.frame(None, data.as_bytes(), format!("data: {data}\n\n").into())?;
        deltas.extend(event.into_iter().flat_map(|event| event.deltas));
    }
    decoder.close()?;
    Ok(deltas)
}

fn chunk(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// S02: an index of -1 or none, no id, arguments only in the last event.
#[test]
fn tool_calls_are_told_apart_whatever_the_server_calls_them() {
    let check = |calls: &[Value], expect: &[(u32, Option<&str>, Option<&str>, &str)]| {
        let mut payloads: Vec<Value> =
            calls.iter().map(|call| chunk(json!({"tool_calls": [call]}))).collect();
        payloads.push(end("tool_calls"));
        let deltas = fold(&payloads).unwrap();
        let got = deltas.iter().filter_map(|delta| match delta {
            Delta::ToolCall { index, id, name, arguments, .. } => {
                Some((*index, id.as_deref(), name.as_deref(), arguments.as_str()))
            }
            _ => None,
        });
        assert_eq!(got.collect::<Vec<_>>(), expect, "{calls:?}");
    };
    let begin =
        |index: Value, id: Value, name: &str| json!({"index": index, "id": id, "function": {"name": name}});
    let more = |index: Value, text: &str| json!({"index": index, "function": {"arguments": text}});
    let two = [
        (0, Some("a"), Some("f"), ""),
        (0, None, None, "1"),
        (1, Some("b"), Some("g"), ""),
        (1, None, None, "2"),
    ];
    // As OpenAI does it.
    check(
        &[
            begin(json!(0), json!("a"), "f"),
            more(json!(0), "1"),
            begin(json!(1), json!("b"), "g"),
            more(json!(1), "2"),
        ],
        &two,
    );
    // One index for all; -1; none.
    for index in [json!(0), json!(-1), Value::Null] {
        let calls = [
            begin(index.clone(), json!("a"), "f"),
            more(index.clone(), "1"),
            begin(index.clone(), json!("b"), "g"),
            more(index.clone(), "2"),
        ];
        check(&calls, &two);
    }
    // Neither index nor id.
    check(
        &[begin(Value::Null, Value::Null, "f"), more(Value::Null, "1"), begin(Value::Null, json!(""), "g")],
        &[(0, None, Some("f"), ""), (0, None, None, "1"), (1, None, Some("g"), "")],
    );
    // The id in every piece, and arguments that are no text.
    let whole = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}});
    check(
        &[begin(json!(0), json!("a"), "f"), whole],
        &[(0, Some("a"), Some("f"), ""), (0, Some("a"), Some("f"), "{\"x\":1}")],
    );
}

/// S02, the other half.
#[test]
fn a_text_and_a_tool_call_in_one_chunk_are_both_kept() {
    let call = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}});
    let deltas = fold(&[chunk(json!({"content": "so", "tool_calls": [call]})), end("tool_calls")]).unwrap();
    let said = deltas.iter().any(|d| matches!(d, Delta::Text { text, .. } if text == "so"));
    let called = deltas.iter().any(|d| matches!(d, Delta::ToolCall { name: Some(name), .. } if name == "f"));
    assert!(said && called, "{deltas:?}");
}

#[test]
fn a_stream_is_complete_when_its_reason_or_its_terminator_has_come() {
    let text = || chunk(json!({"content": "a"}));
    let done = || json!("[DONE]");
    assert!(fold(&[text(), end("stop"), done()]).is_ok());
    assert!(fold(&[text(), end("stop")]).is_ok(), "some servers send no terminator");
    assert!(fold(&[text(), done()]).is_ok(), "some servers give no reason");
    let two = json!({"choices": [{"index": 1, "delta": {"content": "b"}}]});
    for cut in [vec![], vec![text()], vec![done()], vec![text(), two, end("stop")]] {
        let error = fold(&cut).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Here), "{cut:?}");
    }
}

#[test]
fn every_frame_is_checked() {
    let wrong =
        ["{\"id\":\"x\",\"choices\":[{", "x", "[]", "{} {}", "{\"choices\":[{\"delta\":{\"content\":7}}]}"];
    for payload in wrong {
        let error = fold(&[json!(payload)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{payload}");
    }
    let twice = json!(r#"{"choices":[{"delta":{"content":"a","content":"b"},"finish_reason":"stop"}]}"#);
    assert_eq!(fold(&[twice]).unwrap()[0], Delta::Text { choice: 0, text: "b".to_owned() });
    let many = json!({"choices": [{"index": 1024, "delta": {}}]});
    assert_eq!(fold(&[many]).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn an_error_inside_the_stream_ends_it() {
    let check = |error: Value, kind: ErrorKind, retry: Retry| {
        let got = fold(&[chunk(json!({"content": "a"})), json!({"error": error})]).unwrap_err();
        assert_eq!((got.kind(), got.retry()), (kind, retry));
    };
    check(json!({"message": "boom", "type": "server_error"}), ErrorKind::Unavailable, Retry::Here);
    check(json!({"message": "slow", "code": 429}), ErrorKind::RateLimited, Retry::Here);
    check(json!({"message": "slow", "code": "rate_limit_exceeded"}), ErrorKind::RateLimited, Retry::Here);
    check(json!("boom"), ErrorKind::Unavailable, Retry::Here);
    let mut decoder = OPENAI.decoder(&call(Body::from(ChatRequest::user("x"))));
    assert!(decoder.frame(Some("error"), b"{\"message\":\"x\"}", "".into()).is_err());
}

#[test]
fn thoughts_and_parts_are_understood() {
    let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]);
    let deltas = fold(&[
        chunk(json!({"role": "assistant", "content": "", "reasoning_content": "so"})),
        chunk(json!({"reasoning": " then", "content": null})),
        chunk(json!({"content": thinking})),
        end("length"),
    ]);
    let reasoning = |text: &str| Delta::Reasoning { choice: 0, text: text.to_owned() };
    let expect = [
        reasoning("so"),
        reasoning(" then"),
        Delta::Text { choice: 0, text: "a".to_owned() },
        reasoning("hm"),
        Delta::Finish { choice: 0, reason: Finish::Length },
    ];
    let got = deltas.unwrap();
    assert_eq!(got.len(), expect.len());
    assert!(expect.iter().all(|delta| got.contains(delta)), "{got:?}");
}

fn written(events: &[Event], include_usage: bool) -> Vec<Value> {
    let envelope = Envelope { id: "id".to_owned(), model: "agent".to_owned(), created: 7, include_usage };
    let mut encoder = OPENAI.encoder(&asked(Operation::Chat), envelope);
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let mut frames: Vec<&str> =
        text.split_terminator("\n\n").map(|f| f.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(frames.pop(), Some("[DONE]"));
    frames.into_iter().map(|frame| value(frame.as_bytes())).collect()
}

fn own(deltas: Vec<Delta>) -> Vec<Event> {
    deltas.into_iter().map(|delta| Event { frame: None, deltas: vec![delta] }).collect()
}

#[test]
fn a_stream_of_our_own_keeps_the_dialects_promises() {
    let text = |text: &str| Delta::Text { choice: 0, text: text.to_owned() };
    let finish = || Delta::Finish { choice: 0, reason: Finish::Stop };
    let usage = Usage::default().with(Unit::Input, 1).with(Unit::Output, 2);
    let start = Delta::Start { id: String::new(), model: "m".to_owned() };
    let events = own(vec![start, text("a"), text("b"), finish(), finish(), Delta::Usage(usage)]);
    let chunks = written(&events, true);
    assert!(
        chunks.iter().all(|c| c["id"] == "id" && c["model"] == "m" && c["object"] == "chat.completion.chunk")
    );
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "a"}));
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"content": "b"}));
    assert_eq!(chunks[2]["choices"][0], json!({"index": 0, "delta": {}, "finish_reason": "stop"}));
    assert_eq!((&chunks[3]["choices"], &chunks[3]["usage"]["total_tokens"]), (&json!([]), &json!(3)));
    assert_eq!(chunks.len(), 4, "one reason, one usage");
    assert_eq!(written(&events, false).len(), 3, "no usage for those who did not ask");
    let open = written(&own(vec![text("a")]), false);
    assert_eq!(open[1]["choices"][0]["finish_reason"], "stop", "an end without a reason is given one");
}

#[test]
fn a_tool_call_of_our_own_is_named_once() {
    let piece = |id: Option<&str>, name: Option<&str>, arguments: &str| Delta::ToolCall {
        choice: 0,
        index: 0,
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        arguments: arguments.to_owned(),
        signature: None,
    };
    let chunks = written(&own(vec![piece(Some("a"), Some("f"), "{"), piece(Some("a"), None, "}")]), false);
    let calls: Vec<&Value> = chunks.iter().map(|c| &c["choices"][0]["delta"]["tool_calls"][0]).collect();
    let first =
        json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}});
    assert_eq!((calls[0], calls[1]), (&first, &json!({"index": 0, "function": {"arguments": "}"}})));
}

#[test]
fn usage_beside_choices_is_taken_out_for_those_who_did_not_ask() {
    let payload = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}], "usage":{"prompt_tokens":1}}"#;
    let mut decoder = OPENAI.decoder(&call(Body::from(ChatRequest::user("x"))));
    let raw = format!("data: {payload}\r\n\r\n");
    let event = decoder.frame(None, payload.as_bytes(), raw.clone().into()).unwrap().unwrap();
    let written = |include_usage| {
        let mut out = Vec::new();
        OPENAI
            .encoder(&asked(Operation::Chat), Envelope { include_usage, ..Envelope::default() })
            .event(&event, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(written(true), raw);
    let expect =
        r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}], "usage":null}"#;
    assert_eq!(written(false), format!("{expect}\n\n"));
}

#[test]
fn an_error_after_the_first_byte_has_no_proper_ending() {
    let mut out = Vec::new();
    OPENAI
        .encoder(&asked(Operation::Chat), Envelope::default())
        .error(&Error::unavailable("the upstream failed"), &mut out);
    let text = String::from_utf8(out).unwrap();
    let data = text.strip_prefix("data: ").and_then(|text| text.strip_suffix("\n\n")).unwrap();
    assert_eq!(value(data.as_bytes())["error"]["code"], "unavailable");
}
