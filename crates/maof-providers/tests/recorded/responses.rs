//! Recorded traffic of OpenAI's responses.

use super::*;

/// Every exchange of this dialect.
fn recorded() -> Vec<Exchange> {
    let all = ["openai", "openai_responses", "deepseek"].into_iter().flat_map(exchanges);
    let is = |exchange: &Exchange| {
        let path = exchange.path.split('?').next().unwrap_or_default();
        path.ends_with("/responses")
            && value_of(&exchange.request).is_some_and(|body| body["background"] != json!(true))
    };
    all.filter(is).collect()
}

fn value_of(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

fn read(exchange: &Exchange) -> Call {
    let incoming = Incoming::json(Operation::Chat, exchange.request.clone());
    call(RESPONSES.read(incoming).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source)))
}

#[test]
fn of_a_request_only_the_model_changes() {
    let all = recorded();
    for exchange in &all {
        let sent = RESPONSES.encode(&read(exchange), ask("other-model")).unwrap();
        let mut expect = value(&exchange.request);
        expect["model"] = json!("other-model");
        assert_eq!(value(&sent.body), expect, "{}", exchange.source);
        assert!(exchange.path.contains(&*sent.path), "{}", exchange.source);
    }
    println!("{} requests", all.len());
    enough(all.len(), 120, &all);
}

#[test]
fn a_request_survives_being_understood_and_written_anew() {
    for exchange in &recorded() {
        let original = value(&exchange.request);
        let mut call = call(read(exchange).body.typed().unwrap().clone());
        call.stream = original["stream"] == json!(true);
        let sent = RESPONSES.encode(&call, ask(original["model"].as_str().unwrap())).unwrap();
        assert_eq!(normal(value(&sent.body)), normal(original), "{}", exchange.source);
    }
}

/// What two spellings of one request have in common.
fn normal(mut value: Value) -> Value {
    let object = value.as_object_mut().unwrap();
    let mut items = Vec::new();
    if let Some(text) = object.remove("instructions").filter(|text| !text.is_null()) {
        items.push(json!({"role": "system", "content": [{"type": "input_text", "text": text}]}));
    }
    match object.remove("input") {
        Some(Value::String(text)) => {
            items.push(json!({"role": "user", "content": [{"type": "input_text", "text": text}]}))
        }
        Some(Value::Array(all)) => items.extend(all.into_iter().map(item)),
        _ => {}
    }
    object.insert("input".to_owned(), items.into());
    if object.get("stream") == Some(&json!(false)) {
        object.remove("stream");
    }
    if object.get("tools") == Some(&json!([])) {
        object.remove("tools");
    }
    for tool in object.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        if tool["type"] == "function" && tool["strict"] == json!(false) {
            tool["strict"] = Value::Null;
        }
    }
    strip(&mut value);
    value
}

fn item(item: Value) -> Value {
    let text = |role: &Value| if role == "assistant" { "output_text" } else { "input_text" };
    if let Some(role) = item.get("role") {
        let content = match &item["content"] {
            Value::String(said) => json!([{"type": text(role), "text": said}]),
            parts => parts
                .as_array()
                .unwrap()
                .iter()
                .map(|part| {
                    let mut part = part.clone();
                    if part["type"] == "output_text" || part["type"] == "input_text" {
                        part = json!({"type": text(role), "text": part["text"]});
                    }
                    part
                })
                .collect(),
        };
        return json!({"role": role, "content": content});
    }
    match item["type"].as_str() {
        Some("function_call") => {
            json!({"type": "function_call", "call_id": item["call_id"], "name": item["name"], "arguments": item["arguments"]})
        }
        Some("function_call_output") => {
            let output = match item["output"].as_array().map(Vec::as_slice) {
                Some([only]) => only["text"].clone(),
                _ => item["output"].clone(),
            };
            json!({"type": "function_call_output", "call_id": item["call_id"], "output": output})
        }
        _ => item,
    }
}

#[test]
fn every_whole_answer_is_measured_and_survives_being_written_anew() {
    let all = recorded();
    let mut seen = 0;
    for exchange in all.iter().filter(|e| e.status == 200 && !e.is_stream()) {
        let original = value(&exchange.response);
        let asked = read(exchange);
        let reply = RESPONSES
            .decode(&asked, Content::json(exchange.response.clone()))
            .unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source));
        assert_eq!(reply.content_of("openai_responses").map(|c| &c.bytes), Some(&exchange.response));
        check_usage(reply.usage.unwrap(), &original["usage"], &exchange.source);
        let answer = reply.answer().unwrap();
        let mut typed = Response::typed(answer.clone());
        (typed.id, typed.model, typed.usage) = (reply.id.clone(), reply.model.clone(), reply.usage);
        let anew = RESPONSES.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
        let back = RESPONSES.decode_answer(Operation::Chat, &anew).unwrap();
        assert_eq!(&back, answer, "{}", exchange.source);
        let anew = value(&anew.bytes);
        assert_eq!(anew["status"], original["status"], "{}", exchange.source);
        let kinds = |body: &Value| -> Vec<Value> {
            body["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect()
        };
        assert_eq!(kinds(&anew), kinds(&original), "{}", exchange.source);
        for other in [&OPENAI as &dyn Dialect, &ANTHROPIC, &GEMINI] {
            let written = other.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
            let back = other.decode_answer(Operation::Chat, &written).unwrap();
            assert_eq!(gist(&back), gist(answer), "{}", exchange.source);
        }
        seen += 1;
    }
    println!("{seen} whole answers");
    enough(seen, 80, &all);
}

pub(super) fn check_usage(usage: maof_core::Usage, told: &Value, source: &str) {
    assert_eq!(Some(usage.total_tokens()), told["total_tokens"].as_u64(), "{source}");
    assert_eq!(Some(usage.output_tokens()), told["output_tokens"].as_u64(), "{source}");
    let cached = told["input_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
    assert_eq!(usage.get(Unit::CachedInput), cached, "{source}");
}

#[test]
fn every_stream_passes_as_it_came_and_assembles_to_the_response_that_it_ends_with() {
    let all = recorded();
    let mut seen = 0;
    for exchange in all.iter().filter(|e| e.status == 200 && e.is_stream()) {
        let asked = read(exchange);
        let events =
            events(&RESPONSES, &asked, exchange).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned();
        let came = text(&exchange.response).replace("data: [DONE]", "").trim_end().to_owned();
        assert_eq!(text(&encoded(&RESPONSES, &asked, &events)), came, "{}", exchange.source);
        let last =
            came.lines().rev().find_map(|line| line.strip_prefix("data:")).map(|data| value(data.as_bytes()));
        let last = last.unwrap()["response"].clone();
        let whole = RESPONSES.decode(&asked, Content::json(last.to_string())).unwrap();
        let folded = folded(&events);
        assert_eq!(gist(folded.answer().unwrap()), gist(whole.answer().unwrap()), "{}", exchange.source);
        assert_eq!((&folded.id, &folded.finish), (&whole.id, &whole.finish), "{}", exchange.source);
        for dialect in [&RESPONSES as &dyn Dialect, &ANTHROPIC, &OPENAI, &GEMINI] {
            let out = encoded(dialect, &asked, &unframed(&events));
            let ours = Exchange { response: out.into(), ..exchange.clone() };
            let again = super::folded(&super::events(dialect, &asked, &ours).unwrap());
            assert_eq!(gist(again.answer().unwrap()), gist(folded.answer().unwrap()), "{}", exchange.source);
            assert_eq!((&again.id, &again.finish), (&folded.id, &folded.finish), "{}", exchange.source);
        }
        seen += 1;
    }
    println!("{seen} streams");
    enough(seen, 20, &all);
}
