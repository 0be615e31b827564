//! Recorded traffic of real providers through the OpenAI dialect: nothing is lost, nothing is refused.
use super::*;

/// The providers whose recordings are of this dialect.
const PROVIDERS: [&str; 7] =
    ["openai", "groq", "deepseek", "mistral", "openrouter", "llamacpp", "huggingface"];

fn operation(exchange: &Exchange) -> Option<Operation> {
    match exchange.path.rsplit('/').next()? {
        "completions" if exchange.path.ends_with("/chat/completions") => Some(Operation::Chat),
        "embeddings" => Some(Operation::Embed),
        _ => None,
    }
}

/// Every exchange of this dialect whose request is JSON.
fn recorded() -> Vec<(Operation, Exchange)> {
    let all = PROVIDERS.into_iter().flat_map(exchanges);
    all.filter_map(|exchange| Some((operation(&exchange)?, exchange)))
        .filter(|(_, exchange)| serde_json::from_slice::<Value>(&exchange.request).is_ok())
        .collect()
}

#[test]
fn of_a_request_only_the_model_and_the_usage_option_change() {
    let all = recorded();
    for (operation, exchange) in &all {
        let Ok(body) = OPENAI.read(Incoming::json(*operation, exchange.request.clone())) else {
            assert!(exchange.status >= 400, "{} is refused here only", exchange.source);
            continue;
        };
        let sent = OPENAI.encode(&call(body), ask("other-model")).unwrap();
        let mut expect = value(&exchange.request);
        expect["model"] = json!("other-model");
        if expect["stream"] == json!(true) {
            expect["stream_options"]["include_usage"] = json!(true);
        }
        assert_eq!(value(&sent.body), expect, "{}", exchange.source);
        assert!(exchange.path.ends_with(&*sent.path), "{}", exchange.source);
    }
    enough(all.len(), 500, &all);
}

#[test]
fn a_request_survives_being_understood_and_written_anew() {
    let all = recorded();
    for (operation, exchange) in &all {
        let original = value(&exchange.request);
        let read = OPENAI.read(Incoming::json(*operation, exchange.request.clone()));
        let body = match read.and_then(|body| body.typed().cloned()) {
            Ok(body) => body,
            Err(error) => {
                assert!(exchange.status >= 400, "{}: {error}", exchange.source);
                continue;
            }
        };
        let mut call = call(body);
        call.stream = original["stream"] == json!(true);
        let dialect = if original.get("max_tokens").is_some() { &COMPATIBLE } else { &OPENAI };
        let sent = dialect.encode(&call, ask(original["model"].as_str().unwrap())).unwrap();
        let mut expect = normal(original);
        if call.stream {
            expect["stream_options"] = json!({"include_usage": true});
        }
        assert_eq!(normal(value(&sent.body)), expect, "{}", exchange.source);
    }
}

/// What two spellings of one request have in common.
fn normal(mut value: Value) -> Value {
    let object = value.as_object_mut().unwrap();
    if object.get("stream") == Some(&json!(false)) {
        object.remove("stream");
    }
    if object.get("tools") == Some(&json!([])) {
        object.remove("tools");
    }
    if let Some(stop) = object.get_mut("stop").filter(|stop| stop.is_string()) {
        *stop = json!([stop]);
    }
    if let Some(input) = object.get_mut("input").filter(|input| input.is_string()) {
        *input = json!([input]);
    }
    if let Some(new) =
        object.contains_key("max_tokens").then(|| object.remove("max_completion_tokens")).flatten()
    {
        object.insert("max_tokens".to_owned(), new);
    }
    let format = object.get_mut("response_format").and_then(|format| format.get_mut("json_schema"));
    if let Some(format) = format.and_then(Value::as_object_mut)
        && let Some(description) = format.remove("description")
    {
        format["schema"].as_object_mut().unwrap().entry("description").or_insert(description);
    }
    for message in object.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        normal_message(message);
    }
    strip(&mut value);
    value
}

fn normal_message(message: &mut Value) {
    let parts = message["content"].as_array().map(Vec::as_slice);
    match parts {
        Some([part]) if part["type"] == "text" => message["content"] = part["text"].clone(),
        Some([]) => message["content"] = Value::Null,
        _ => {}
    }
    if let Some(Value::String(text)) = message.as_object_mut().unwrap().remove("reasoning") {
        message["reasoning_content"] = json!(text);
    }
    if message["reasoning_content"] == "" {
        message["reasoning_content"] = Value::Null;
    }
    if message["tool_calls"] == json!([]) {
        message["tool_calls"] = Value::Null;
    }
    for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
        let call = call.as_object_mut().unwrap();
        // Where a provider tells them apart by position, or has signed them, only its own bytes say so.
        call.retain(|key, _| ["id", "type", "function"].contains(&key.as_str()));
        call.entry("type").or_insert(json!("function"));
        call.entry("id").or_insert(json!(""));
    }
}

#[test]
fn every_whole_answer_is_measured_and_survives_being_written_anew() {
    let all = recorded();
    let mut seen = 0;
    for (operation, exchange) in all.iter().filter(|(_, e)| e.status == 200 && !e.is_stream()) {
        let asked = call(OPENAI.read(Incoming::json(*operation, exchange.request.clone())).unwrap());
        let Ok(original) = serde_json::from_slice::<Value>(&exchange.response) else {
            let error = OPENAI.decode(&asked, Content::json(exchange.response.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{}", exchange.source);
            continue;
        };
        let reply = OPENAI
            .decode(&asked, Content::json(exchange.response.clone()))
            .unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source));
        assert_eq!(
            reply.content_of("openai").map(|c| &c.bytes),
            Some(&exchange.response),
            "bytes pass as they came"
        );
        assert_eq!(reply.model.as_deref(), original["model"].as_str());
        check_usage(&reply, &original, &exchange.source);
        let answer = reply.answer().unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source)).clone();
        let typed = match answer {
            Answer::Chat(chat) => Response::chat(chat),
            other => Response::typed(other),
        };
        assert_eq!(typed.finish, reply.finish, "{}", exchange.source);
        let mut named = typed;
        (named.id, named.model, named.usage) = (reply.id.clone(), reply.model.clone(), reply.usage);
        let envelope = Envelope { created: original["created"].as_i64().unwrap_or(0), ..Envelope::default() };
        let anew = OPENAI.encode_reply(&asked, &named, &envelope).unwrap();
        assert_eq!(answer_of(value(&anew.bytes)), answer_of(original), "{}", exchange.source);
        seen += 1;
    }
    enough(seen, 300, &all);
}

/// An answer without what the typed one does not keep: the details of usage, and positions that go without saying.
pub(super) fn answer_of(mut answer: Value) -> Value {
    let object = answer.as_object_mut().unwrap();
    object.remove("usage");
    object.insert("object".to_owned(), json!(""));
    for choice in object.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let message = &mut choice["message"];
        normal_message(message);
        message["role"] = json!("assistant");
    }
    for vector in object.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
        let numbers = vector["embedding"].as_array().unwrap();
        vector["embedding"] = numbers.iter().map(|n| json!(n.as_f64().unwrap() as f32)).collect();
    }
    strip(&mut answer);
    answer
}

pub(super) fn check_usage(reply: &Response, original: &Value, source: &str) {
    let Some(told) = original.get("usage").filter(|usage| !usage.is_null()) else { return };
    let usage = reply.usage.unwrap_or_else(|| panic!("{source}: usage is lost"));
    assert_eq!(usage.input_tokens(), told["prompt_tokens"].as_u64().unwrap(), "{source}");
    if let Some(total) = told["total_tokens"].as_u64() {
        assert_eq!(usage.total_tokens(), total, "{source}: the classes are disjoint and sum to the total");
    }
    let cached = told["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
    assert_eq!(usage.get(Unit::CachedInput), cached, "{source}");
}

#[tokio::test]
async fn every_stream_passes_as_it_came_and_assembles_to_what_its_frames_say() {
    let all = recorded();
    let mut seen = 0;
    for (_, exchange) in all.iter().filter(|(_, e)| e.status == 200 && e.is_stream()) {
        let call = call(OPENAI.read(Incoming::json(Operation::Chat, exchange.request.clone())).unwrap());
        let events =
            events(&OPENAI, &call, exchange).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source));
        let mut encoder = OPENAI.encoder(&call, Envelope { include_usage: true, ..Envelope::default() });
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.finish(&mut out);
        let chunks = chunks(&exchange.response);
        assert_eq!(self::chunks(&out), chunks, "{}", exchange.source);
        assert!(out.ends_with(b"data: [DONE]\n\n"));

        let events: Vec<Result<Event, Error>> = events.into_iter().map(Ok).collect();
        let (reply, end) = Reply::stream(Box::pin(futures::stream::iter(events))).collect().await.unwrap();
        let Answer::Chat(answer) = reply.answer().unwrap() else { panic!("a chat") };
        let text: String = chunks.iter().map(said).collect();
        let refused = answer.choices[0].message.parts.iter().filter_map(|part| match part {
            Part::Refusal { text } => Some(text.as_str()),
            _ => None,
        });
        let told = answer.plain_text() + &refused.collect::<String>();
        assert_eq!(told, text, "{}", exchange.source);
        let arguments: String = chunks.iter().flat_map(arguments).collect();
        let calls =
            answer.choices[..1].iter().flat_map(|choice| choice.message.tool_calls()).collect::<Vec<_>>();
        assert_eq!(calls.iter().map(|call| call.arguments.as_str()).collect::<String>(), arguments);
        assert!(calls.iter().all(|call| !call.name.is_empty() && !call.id.is_empty()), "{}", exchange.source);
        if let Some(usage) = chunks.iter().rev().find_map(|chunk| chunk["usage"]["total_tokens"].as_u64()) {
            assert_eq!(end.usage.unwrap().total_tokens(), usage, "{}", exchange.source);
        }
        assert!(end.finish.is_some(), "{}", exchange.source);
        seen += 1;
    }
    enough(seen, 150, &all);
}

/// The JSON of a stream's frames, the terminator left out.
fn chunks(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| value(data.as_bytes())).collect()
}

/// What a chunk adds to the first choice.
fn delta(chunk: &Value) -> &Value {
    let choices = chunk["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = choices.iter().find(|choice| choice["index"].as_u64().unwrap_or(0) == 0);
    first.map_or(&Value::Null, |choice| &choice["delta"])
}

fn said(chunk: &Value) -> String {
    let delta = delta(chunk);
    let parts = delta["content"].as_array().into_iter().flatten();
    let parts: String = parts.filter_map(|part| part["text"].as_str()).collect();
    let text = |key: &str| delta[key].as_str().unwrap_or_default();
    format!("{}{parts}{}", text("content"), text("refusal"))
}

fn arguments(chunk: &Value) -> Vec<String> {
    let calls = delta(chunk)["tool_calls"].as_array().into_iter().flatten();
    calls.filter_map(|call| call["function"]["arguments"].as_str()).map(str::to_owned).collect()
}

#[test]
fn callers_who_did_not_ask_see_no_usage() {
    let all = recorded();
    let mut seen = 0;
    for (_, exchange) in all.iter().filter(|(_, e)| e.status == 200 && e.is_stream()) {
        let call = call(OPENAI.read(Incoming::json(Operation::Chat, exchange.request.clone())).unwrap());
        let mut encoder = OPENAI.encoder(&call, Envelope::default());
        let mut out = Vec::new();
        events(&OPENAI, &call, exchange).unwrap().iter().for_each(|event| encoder.event(event, &mut out));
        let left = chunks(&out);
        assert!(left.iter().all(|chunk| chunk["usage"].is_null()), "{}", exchange.source);
        let choices = |chunks: &[Value]| {
            let full = chunks.iter().filter(|chunk| chunk["choices"] != json!([]));
            full.map(|chunk| chunk["choices"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(choices(&left), choices(&chunks(&exchange.response)), "{}", exchange.source);
        seen += usize::from(left.len() < chunks(&exchange.response).len());
    }
    enough(seen, 50, &all);
}

#[tokio::test]
async fn a_stream_that_is_written_by_us_says_the_same() {
    let all = recorded();
    for (_, exchange) in all.iter().filter(|(_, e)| e.status == 200 && e.is_stream()) {
        let call = call(OPENAI.read(Incoming::json(Operation::Chat, exchange.request.clone())).unwrap());
        let mut events = events(&OPENAI, &call, exchange).unwrap();
        events.iter_mut().for_each(|event| event.frame = None);
        let mut encoder = OPENAI.encoder(&call, Envelope { include_usage: true, ..Envelope::default() });
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.finish(&mut out);
        let ours = Exchange { response: out.into(), ..exchange.clone() };
        let deltas =
            |events: Vec<Event>| events.into_iter().flat_map(|event| event.deltas).collect::<Vec<_>>();
        let again = deltas(super::events(&OPENAI, &call, &ours).unwrap());
        let fold = |deltas: &[Delta]| {
            let mut fold = maof_core::fold::Fold::default();
            deltas.iter().for_each(|delta| fold.push(delta.clone()).unwrap());
            let reply = fold.finish();
            (reply.answer().unwrap().clone(), reply.id.clone(), reply.finish.clone())
        };
        assert_eq!(fold(&again), fold(&deltas(events)), "{}", exchange.source);
    }
}

#[test]
fn errors_of_providers_are_told_apart_and_leak_nothing() {
    let all = recorded();
    let mut seen = 0;
    for (_, exchange) in all.iter().filter(|(_, e)| e.status >= 400) {
        let error = OPENAI.decode_error(exchange.status, &exchange.response);
        let expect: &[ErrorKind] = match exchange.status {
            400 | 422 => &[ErrorKind::InvalidRequest, ErrorKind::ContextLength, ErrorKind::ContentFiltered],
            429 => &[ErrorKind::RateLimited, ErrorKind::Unavailable],
            _ => &[ErrorKind::Unavailable],
        };
        assert!(expect.contains(&error.kind()), "{}: {error:?}", exchange.source);
        let told = value(&OPENAI.encode_error(&error));
        assert_eq!(told["error"]["message"].as_str(), Some(error.message()));
        for secret in ["sk-", "http://", "https://", "api.openai.com"] {
            assert!(!error.message().contains(secret), "{}: {error}", exchange.source);
        }
        seen += 1;
    }
    enough(seen, 20, &all);
}

#[test]
fn a_body_is_read_only_once_it_is_asked_for() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":{"not":"text"}}]}"#.to_vec();
    let body = OPENAI.read(Incoming::json(Operation::Chat, body)).unwrap();
    assert_eq!(body.chat().unwrap_err().field(), Some("messages[0]"));
    let Body::Wire(wire) = body else { panic!("a wire") };
    assert_eq!(Arc::strong_count(&wire), 1);
}
