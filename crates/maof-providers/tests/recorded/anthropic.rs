//! Recorded traffic of Anthropic's messages.

use super::*;

/// Every exchange of this dialect.
fn recorded() -> Vec<(Operation, Exchange)> {
    let operation = |exchange: &Exchange| {
        let path = exchange.path.split('?').next().unwrap_or_default();
        match path {
            _ if path.ends_with("/v1/messages") => Some(Operation::Chat),
            _ if path.ends_with("/v1/messages/count_tokens") => Some(Operation::CountTokens),
            _ => None,
        }
    };
    let all = exchanges("anthropic");
    let all: Vec<_> =
        all.into_iter().filter_map(|exchange| Some((operation(&exchange)?, exchange))).collect();
    let (read, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|(operation, exchange)| {
        ANTHROPIC.read(Incoming::json(*operation, exchange.request.clone())).is_ok()
    });
    // What is refused here was refused there.
    assert!(refused.iter().all(|(_, exchange)| exchange.status >= 400));
    read
}

fn read(operation: Operation, exchange: &Exchange) -> Call {
    call(ANTHROPIC.read(Incoming::json(operation, exchange.request.clone())).unwrap())
}

#[test]
fn of_a_request_only_the_model_changes() {
    let all = recorded();
    for (operation, exchange) in &all {
        let sent = ANTHROPIC.encode(&read(*operation, exchange), ask("other-model")).unwrap();
        let mut expect = value(&exchange.request);
        expect["model"] = json!("other-model");
        assert_eq!(value(&sent.body), expect, "{}", exchange.source);
        let path = exchange.path.split('?').next().unwrap_or_default();
        assert!(path.ends_with(&*sent.path), "{}", exchange.source);
    }
    println!("{} requests", all.len());
    enough(all.len(), 200, &all);
}

#[test]
fn a_request_survives_being_understood_and_written_anew() {
    let all = recorded();
    for (operation, exchange) in &all {
        let original = value(&exchange.request);
        let body = read(*operation, exchange).body.typed().unwrap().clone();
        let mut call = call(body);
        call.stream = original["stream"] == json!(true);
        let model = original["model"].as_str().unwrap();
        let sent = ANTHROPIC.encode(&call, ask(model)).unwrap();
        assert_eq!(normal(value(&sent.body)), normal(original), "{}", exchange.source);
    }
}

/// What two spellings of one request have in common.
fn normal(mut value: Value) -> Value {
    let object = value.as_object_mut().unwrap();
    if object.get("stream") == Some(&json!(false)) {
        object.remove("stream");
    }
    if let Some(system) = object.get_mut("system") {
        *system = blocks(system);
    }
    if object.get("system") == Some(&json!([])) {
        object.remove("system");
    }
    if object.get("tools").is_some_and(|tools| tools == &json!([])) {
        object.remove("tools");
    }
    let mut turns: Vec<(Value, Vec<Value>)> = Vec::new();
    for message in object["messages"].as_array().unwrap() {
        let mut said = blocks(&message["content"]).as_array().unwrap().clone();
        match turns.last_mut() {
            Some((role, last)) if *role == message["role"] => last.append(&mut said),
            _ => turns.push((message["role"].clone(), said)),
        }
    }
    object["messages"] = json!(turns);
    for tool in object.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        if tool["type"] == "custom" {
            tool["type"] = Value::Null;
        }
    }
    if object.get("tool_choice").is_some_and(|choice| choice["disable_parallel_tool_use"] == json!(false)) {
        object["tool_choice"]["disable_parallel_tool_use"] = Value::Null;
    }
    hints(&mut value);
    strip(&mut value);
    value
}

fn blocks(content: &Value) -> Value {
    match content {
        Value::String(text) if text.is_empty() => json!([]),
        Value::String(text) => json!([{"type": "text", "text": text}]),
        Value::Array(blocks) => {
            let empty = |block: &&Value| block["type"] != "text" || block["text"] != "";
            blocks.iter().filter(empty).map(block).collect()
        }
        other => other.clone(),
    }
}

fn block(block: &Value) -> Value {
    let mut block = block.clone();
    if block["type"] == "tool_result" {
        block["content"] = blocks(&block["content"]);
        if block["content"] == json!([]) {
            block["content"] = Value::Null;
        }
        if block["is_error"] == json!(false) {
            block["is_error"] = Value::Null;
        }
    }
    if block["citations"] == json!([]) {
        block["citations"] = Value::Null;
    }
    block
}

/// Hints to caches are named in what the request leaves out, not carried; who called a tool is not either.
fn hints(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let is_call = object.get("type") == Some(&json!("tool_use"));
            let is_tool = object.contains_key("input_schema") && !object.contains_key("defer_loading");
            let top = object.contains_key("messages");
            let said = ["text", "tool_use", "image", "document", "tool_result"];
            let spoken = object.get("type").and_then(Value::as_str).is_some_and(|kind| said.contains(&kind));
            object.retain(|key, _| {
                !(key == "cache_control" && (spoken || is_tool) && !top) && !(key == "caller" && is_call)
            });
            object.values_mut().for_each(hints);
        }
        Value::Array(items) => items.iter_mut().for_each(hints),
        _ => {}
    }
}

#[test]
fn every_whole_answer_is_measured_and_survives_being_written_anew() {
    let all = recorded();
    let mut seen = 0;
    for (operation, exchange) in all.iter().filter(|(_, e)| e.status == 200 && !e.is_stream()) {
        let original = value(&exchange.response);
        let asked = read(*operation, exchange);
        let reply = ANTHROPIC.decode(&asked, Content::json(exchange.response.clone())).unwrap();
        assert_eq!(reply.content_of("anthropic").map(|c| &c.bytes), Some(&exchange.response));
        let answer = reply.answer().unwrap();
        if let Answer::CountTokens(tokens) = answer {
            assert_eq!(json!(tokens), original["input_tokens"]);
            continue;
        }
        check_usage(reply.usage.unwrap(), &original["usage"], &exchange.source);
        let mut typed = Response::typed(answer.clone());
        (typed.id, typed.model, typed.usage) = (reply.id.clone(), reply.model.clone(), reply.usage);
        let anew = ANTHROPIC.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
        assert_eq!(answer_of(value(&anew.bytes)), answer_of(original), "{}", exchange.source);
        // And in the words of the other dialect.
        let other = OPENAI.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
        let back = OPENAI.decode_answer(Operation::Chat, &other).unwrap();
        assert_eq!(gist(&back), gist(answer), "{}", exchange.source);
        seen += 1;
    }
    println!("{seen} whole answers");
    enough(seen, 140, &all);
}

pub(super) fn check_usage(usage: maof_core::Usage, told: &Value, source: &str) {
    let count = |name: &str| told[name].as_u64().unwrap_or(0);
    let input =
        count("input_tokens") + count("cache_creation_input_tokens") + count("cache_read_input_tokens");
    assert_eq!(usage.input_tokens(), input, "{source}");
    assert_eq!(usage.output_tokens(), count("output_tokens"), "{source}");
    assert_eq!(usage.get(Unit::CachedInput), count("cache_read_input_tokens"), "{source}");
}

/// An answer without what the typed one does not keep.
pub(super) fn answer_of(mut answer: Value) -> Value {
    answer["usage"] = Value::Null;
    answer["content"] = blocks(&answer["content"]);
    if answer["stop_reason"] == "stop_sequence" {
        answer["stop_reason"] = json!("end_turn");
    }
    hints(&mut answer);
    strip(&mut answer);
    answer
}

#[test]
fn every_stream_passes_as_it_came_and_assembles_to_what_its_frames_say() {
    let all = recorded();
    let mut seen = 0;
    for (operation, exchange) in all.iter().filter(|(_, e)| e.status == 200 && e.is_stream()) {
        let asked = read(*operation, exchange);
        let events =
            events(&ANTHROPIC, &asked, exchange).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source));
        let data = |bytes: &[u8]| -> Vec<Value> {
            let text = std::str::from_utf8(bytes).unwrap();
            text.lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .filter(|data| !data.contains("[DONE]"))
                .map(|data| value(data.as_bytes()))
                .collect()
        };
        let frames = data(&exchange.response);
        assert_eq!(data(&encoded(&ANTHROPIC, &asked, &events)), frames, "{}", exchange.source);

        let whole = folded(&events);
        let answer = whole.answer().unwrap();
        let said = |kind: &str, field: &str| -> String {
            let deltas = frames.iter().filter(|frame| frame["delta"]["type"] == kind);
            deltas.filter_map(|frame| frame["delta"][field].as_str()).collect()
        };
        assert_eq!(gist(answer).0, said("text_delta", "text"), "{}", exchange.source);
        let Answer::Chat(chat) = answer else { panic!("a chat") };
        let parts = &chat.choices[0].message.parts;
        let thought = parts.iter().filter_map(|part| match part {
            Part::Reasoning { text, signature } => {
                Some((text.as_str(), signature.as_deref().unwrap_or_default()))
            }
            _ => None,
        });
        let (thoughts, signatures): (Vec<_>, Vec<_>) = thought.unzip();
        assert_eq!(thoughts.concat(), said("thinking_delta", "thinking"), "{}", exchange.source);
        assert_eq!(
            signatures.concat().replace("anthropic:", ""),
            said("signature_delta", "signature"),
            "{}",
            exchange.source
        );
        let begun = frames.iter().filter(|frame| frame["type"] == "content_block_start");
        let kinds: Vec<_> = begun.filter_map(|frame| frame["content_block"]["type"].as_str()).collect();
        let calls = kinds.iter().filter(|kind| **kind == "tool_use").count();
        assert_eq!(gist(answer).1.len(), calls, "{}", exchange.source);
        assert!(
            gist(answer)
                .1
                .iter()
                .all(|(id, name, input)| !id.is_empty() && !name.is_empty() && input.is_object())
        );
        let last = frames.iter().rev().find(|frame| frame["type"] == "message_delta").unwrap();
        let usage = events.iter().flat_map(|event| &event.deltas).find_map(|delta| match delta {
            Delta::Usage(usage) => Some(*usage),
            _ => None,
        });
        assert_eq!(usage.unwrap().output_tokens(), last["usage"]["output_tokens"].as_u64().unwrap());
        seen += 1;
    }
    println!("{seen} streams");
    enough(seen, 60, &all);
}

#[test]
fn a_stream_that_is_written_by_us_says_the_same_in_either_dialect() {
    let all = recorded();
    for (operation, exchange) in all.iter().filter(|(_, e)| e.status == 200 && e.is_stream()) {
        let asked = read(*operation, exchange);
        let events = events(&ANTHROPIC, &asked, exchange).unwrap();
        let whole = folded(&events);
        let Answer::Chat(chat) = whole.answer().unwrap() else { panic!("a chat") };
        let foreign = |part: &Part| matches!(part, Part::Other { .. });
        for dialect in [&ANTHROPIC as &dyn Dialect, &OPENAI] {
            let out = encoded(dialect, &asked, &unframed(&events));
            let ours = Exchange { response: out.into(), ..exchange.clone() };
            let again = folded(&super::events(dialect, &asked, &ours).unwrap());
            assert_eq!(gist(again.answer().unwrap()), gist(whole.answer().unwrap()), "{}", exchange.source);
            assert_eq!((&again.id, &again.finish), (&whole.id, &whole.finish), "{}", exchange.source);
            if dialect.name() == "anthropic" && !chat.choices[0].message.parts.iter().any(foreign) {
                assert_eq!(again.answer().unwrap(), whole.answer().unwrap(), "{}", exchange.source);
            }
        }
    }
}

#[test]
fn errors_are_told_apart() {
    let all = recorded();
    for (_, exchange) in all.iter().filter(|(_, e)| e.status >= 400) {
        let error = ANTHROPIC.decode_error(exchange.status, &exchange.response);
        let expect = match exchange.status {
            400 => ErrorKind::InvalidRequest,
            _ => ErrorKind::Unavailable,
        };
        assert_eq!(error.kind(), expect, "{}: {error:?}", exchange.source);
        let told = value(&ANTHROPIC.encode_error(&error));
        assert_eq!(told["type"], "error");
        assert!(told["error"]["message"].as_str().unwrap().contains(error.message()));
    }
}
