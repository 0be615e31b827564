//! The dialect by tables; recorded traffic is in `tests/recorded.rs`.

use std::sync::Arc;

use maof_core::{
    Answer, Ask, Body, Call, CallId, ChatAnswer, ChatRequest, Chosen, Content, DecisionId, Delta, Dialect,
    EmbedAnswer, EmbedRequest, Envelope, Error, ErrorKind, Event, Finish, Incoming, Name, Operation, Origin,
    OutputFormat, Principal, Response, Result, Retry, Target, ToolChoice, Unit, Unsupported, Usage, Wire,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{COMPATIBLE, OPENAI};

mod errors;
mod streams;

fn read(body: &Value) -> Result<Body> {
    OPENAI.read(Incoming::json(Operation::Chat, body.to_string()))
}

pub(super) fn call(body: Body) -> Call {
    let id = CallId::from_uuid(uuid::Uuid::nil());
    Call::new(id, Target::Name(Name::new("a").unwrap()), Principal::local(), body)
}

/// A call of an operation, of which only that matters.
fn asked(operation: Operation) -> Call {
    let wire = Wire::new(&OPENAI, operation, "{}".into(), "m".to_owned());
    call(Body::Wire(Arc::new(wire)))
}

fn ask(model: &str) -> Ask<'_> {
    Ask { model, unsupported: Unsupported::Refuse, max_output: 4096 }
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn bad_input_is_refused_naming_the_field() {
    let check = |change: Value, field: &str| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = read(&body).expect_err(field);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)), "{error}");
        assert_eq!(error.origin(), Origin::Caller);
    };
    check(json!({"model": null}), "model");
    check(json!({"model": ""}), "model");
    check(json!({"model": 7}), "model");
    check(json!({"messages": []}), "messages");
    check(json!({"messages": "hi"}), "messages");
    check(json!({"messages": null}), "messages");
    check(json!({"messages": [{"role": "user"}, "hi"]}), "messages[1]");
    check(json!({"messages": [{"content": "hi"}]}), "messages[0]");
    check(json!({"messages": [{"role": "alien"}]}), "messages[0].role");
    check(json!({"temperature": 99}), "temperature");
    check(json!({"temperature": -0.1}), "temperature");
    check(json!({"temperature": "hot"}), "temperature");
    check(json!({"top_p": 1.1}), "top_p");
    check(json!({"max_tokens": -5}), "max_tokens");
    check(json!({"max_tokens": 0}), "max_tokens");
    check(json!({"max_completion_tokens": 1.5}), "max_completion_tokens");
    check(json!({"n": 0}), "n");
    check(json!({"n": 129}), "n");
    check(json!({"stream": "yes"}), "stream");
    check(json!({"stream_options": {"include_usage": 1}}), "stream_options");
    check(json!({"tool_choice": {"type": "function", "function": {"name": "nope"}}}), "tool_choice");
    check(
        json!({
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "tool_choice": {"type": "function", "function": {"name": "g"}},
        }),
        "tool_choice",
    );
}

#[test]
fn bad_embeddings_are_refused_naming_the_field() {
    let check = |change: Value, field: &str| {
        let mut body = json!({"model": "m", "input": "x"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = OPENAI.read(Incoming::json(Operation::Embed, body.to_string())).expect_err(field);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)));
    };
    check(json!({"input": null}), "input");
    check(json!({"input": []}), "input");
    check(json!({"input": {"a": 1}}), "input");
    check(json!({"dimensions": 0}), "dimensions");
    check(json!({"encoding_format": "binary"}), "encoding_format");
    let tokens = OPENAI.read(Incoming::json(Operation::Embed, r#"{"model":"m","input":[[1,2]]}"#)).unwrap();
    assert_eq!(tokens.embed().unwrap_err().field(), Some("input"), "only a provider knows its tokens");
}

#[test]
fn a_malformed_body_is_the_callers_fault() {
    for body in ["", "{", "[]", "{\"model\":", "\"x\"", "nul", "{\"model\":\"m\"}}"] {
        let error = OPENAI.read(Incoming::json(Operation::Chat, body)).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, None), "{body}");
    }
}

#[test]
fn what_is_routed_on_is_read() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true, "n": 2,
        "stream_options": {"include_usage": true}, "max_tokens": 5, "max_completion_tokens": 7,
    });
    let body = read(&body).unwrap();
    let Body::Wire(wire) = &body else { panic!("a wire") };
    assert_eq!((wire.model.as_str(), wire.stream, wire.include_usage), ("m", true, true));
    assert_eq!(body.max_output(0), 14);
    let plain = read(&json!({"model": "m", "messages": [{"role": "user"}]})).unwrap();
    let Body::Wire(wire) = &plain else { panic!("a wire") };
    assert_eq!((wire.stream, wire.include_usage, wire.max_output), (false, false, None));
}

#[test]
fn a_name_that_comes_twice_means_one_thing_to_us_and_to_the_upstream() {
    let twice = r#"{"model":"cheap","messages":[{"role":"user","content":"x"}],"mod\u0065l":"dear"}"#;
    let body = OPENAI.read(Incoming::json(Operation::Chat, twice)).unwrap();
    let Body::Wire(wire) = &body else { panic!("a wire") };
    assert_eq!(wire.model, "dear");
    let sent = OPENAI.encode(&call(body.clone()), ask("upstream")).unwrap();
    assert_eq!(std::str::from_utf8(&sent.body).unwrap().matches("model").count(), 1);
}

#[test]
fn bytes_of_the_same_dialect_are_patched_and_nothing_else() {
    let text = r#"{ "x" : 1e2, "messages":[ {"role":"user","content":"é"}], "model" : "a","stream":true }"#;
    let mut asked = call(OPENAI.read(Incoming::json(Operation::Chat, text)).unwrap());
    asked.stream = true;
    let sent = OPENAI.encode(&asked, ask("b")).unwrap();
    let expect = r#"{ "x" : 1e2, "messages":[ {"role":"user","content":"é"}], "model" : "b","stream":true ,"stream_options":{"include_usage":true}}"#;
    assert_eq!((&*sent.path, &sent.body[..]), ("/chat/completions", expect.as_bytes()));
    let name = Name::new("a").unwrap();
    asked.chosen = Some(Arc::new(Chosen {
        decision: DecisionId::from_uuid(uuid::Uuid::nil()),
        agent: name.clone(),
        endpoint: name,
        instructions: Some("Be \"terse\".".into()),
        fallbacks: 0,
        instead_of: None,
    }));
    asked.stream = false;
    let sent = value(&OPENAI.encode(&asked, ask("b")).unwrap().body);
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "Be \"terse\"."}));
    assert_eq!((sent["messages"][1]["role"].as_str(), sent["stream"].as_bool()), (Some("user"), Some(false)));
}

#[test]
fn other_options_of_the_stream_are_kept() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true,
        "stream_options": {"include_usage": false, "include_obfuscation": false},
    });
    let mut asked = call(read(&body).unwrap());
    asked.stream = true;
    let sent = value(&OPENAI.encode(&asked, ask("m")).unwrap().body);
    assert_eq!(sent["stream_options"], json!({"include_usage": true, "include_obfuscation": false}));
    asked.stream = false;
    assert_eq!(value(&OPENAI.encode(&asked, ask("m")).unwrap().body)["stream_options"], Value::Null);
}

#[test]
fn a_request_of_our_own_is_written_in_full() {
    let mut chat = ChatRequest::user("hi");
    chat.max_tokens = Some(9);
    chat.temperature = Some(0.1);
    chat.stop = vec!["END".to_owned()];
    chat.tool_choice = Some(ToolChoice::Tool("f".to_owned()));
    chat.output = Some(OutputFormat::Json);
    chat.rest.insert("user".to_owned(), json!("u"));
    chat.rest.insert("model".to_owned(), json!("not this one"));
    let asked = call(Body::from(chat));
    let sent = value(&OPENAI.encode(&asked, ask("m")).unwrap().body);
    let expect = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 9,
        "temperature": 0.1, "stop": ["END"], "user": "u", "response_format": {"type": "json_object"},
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    });
    assert_eq!(sent, expect);
    assert_eq!(value(&COMPATIBLE.encode(&asked, ask("m")).unwrap().body)["max_tokens"], 9);
    let texts = EmbedRequest { input: vec!["a".to_owned()], dimensions: Some(2), ..EmbedRequest::default() };
    let sent = OPENAI.encode(&call(Body::from(texts)), ask("e")).unwrap();
    assert_eq!(sent.path, "/embeddings");
    assert_eq!(value(&sent.body), json!({"model": "e", "input": ["a"], "dimensions": 2}));
}

#[test]
fn usage_is_split_into_disjoint_classes_that_sum_to_the_total() {
    let check = |usage: Value, expect: [u64; 4]| {
        let body = json!({"choices": [{"message": {}, "finish_reason": "stop"}], "usage": usage});
        let usage = OPENAI
            .decode(&asked(Operation::Chat), Content::json(body.to_string()))
            .unwrap()
            .usage
            .unwrap_or_default();
        let got = [Unit::Input, Unit::CachedInput, Unit::Output, Unit::Reasoning].map(|unit| usage.get(unit));
        assert_eq!(got, expect, "{body}");
    };
    let details = json!({
        "prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 5},
    });
    check(details, [6, 4, 3, 5]);
    check(json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}), [35, 0, 12, 62]);
    check(json!({"prompt_tokens": 3, "completion_tokens": 2}), [3, 0, 2, 0]);
    check(json!({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}), [0, 3, 0, 0]);
    check(json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 0}), [3, 0, 2, 0]);
    check(json!({"prompt_tokens": -3}), [0, 0, 0, 0]);
    check(Value::Null, [0, 0, 0, 0]);
}

#[test]
fn an_answer_that_is_none_is_refused() {
    let chat =
        ["", "{", "null", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"index":0}]}"#, r#"{"choices":7}"#];
    let check = |operation, body: &str| {
        let error = OPENAI.decode(&asked(operation), Content::json(body.to_owned())).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Here), "{body}");
    };
    chat.into_iter().for_each(|body| check(Operation::Chat, body));
    ["{}", r#"{"data":[{}]}"#].into_iter().for_each(|body| check(Operation::Embed, body));
}

#[test]
fn vectors_are_written_as_the_caller_asked() {
    let mut response =
        Response::typed(Answer::Embed(EmbedAnswer { vectors: vec![vec![0.5, -1.25], vec![2.0, 0.1]] }));
    response.usage = Some(Usage::default().with(Unit::Input, 3));
    let envelope = Envelope { model: "e".to_owned(), ..Envelope::default() };
    let check = |format: Option<&str>, first: Value| {
        let mut body = json!({"model": "e", "input": ["a", "b"]});
        if let Some(format) = format {
            body["encoding_format"] = json!(format);
        }
        let asked = call(OPENAI.read(Incoming::json(Operation::Embed, body.to_string())).unwrap());
        let bytes = OPENAI.encode_reply(&asked, &response, &envelope).unwrap();
        let reply = value(&bytes.bytes);
        assert_eq!((&reply["data"][0]["embedding"], &reply["data"][1]["index"]), (&first, &json!(1)));
        assert_eq!(reply["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
        let back = OPENAI.decode_answer(Operation::Embed, &bytes).unwrap();
        assert_eq!(&back, response.answer().unwrap());
    };
    check(None, json!([0.5, -1.25]));
    check(Some("float"), json!([0.5, -1.25]));
    check(Some("base64"), json!("AAAAPwAAoL8="));
}

#[test]
fn an_answer_of_our_own_bears_the_envelopes_id_and_model() {
    let mut response = Response::chat(ChatAnswer::text("hi"));
    response.usage =
        Some(Usage::default().with(Unit::Input, 2).with(Unit::CachedInput, 1).with(Unit::Output, 1));
    let envelope =
        Envelope { id: "chatcmpl-1".to_owned(), model: "agent".to_owned(), created: 7, include_usage: false };
    let reply = OPENAI.encode_reply(&call(Body::from(ChatRequest::user("x"))), &response, &envelope).unwrap();
    let expect = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "agent",
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop", "logprobs": null,
        }],
        "usage": {
            "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 1},
        },
    });
    assert_eq!(value(&reply.bytes), expect);
    let Answer::Chat(back) = OPENAI.decode_answer(Operation::Chat, &reply).unwrap() else { panic!("a chat") };
    assert_eq!(back.choices[0].finish, Some(Finish::Stop));
    assert_eq!(back.plain_text(), "hi");
}

proptest! {
    #[test]
    fn no_bytes_make_the_dialect_panic(
        text in r#"(\{|\}|\[|\]|:|,|"|"messages"|"choices"|"model"|"error"|"delta"|"usage"|"tool_calls"|null|1|-1|é){0,24}"#,
        bytes in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        for bytes in [text.into_bytes(), bytes] {
            let mut decoder = OPENAI.decoder(&call(Body::from(ChatRequest::user("x"))));
            let _ = decoder.frame(None, &bytes, bytes.clone().into());
            let _ = (decoder.close(), OPENAI.decode_error(400, &bytes));
            for operation in Operation::ALL {
                let content = Content::json(bytes.clone());
                let _ = OPENAI.decode_answer(operation, &content);
                let _ = OPENAI.decode(&asked(operation), content);
                if let Ok(body) = OPENAI.read(Incoming::json(operation, bytes.clone())) {
                    let _ = body.typed();
                }
            }
        }
    }
}
