//! Recorded traffic of Google's Gemini.

use super::*;

/// Every exchange of this dialect: the operation, and whether a stream is wanted, as its path says.
fn recorded() -> Vec<(Operation, bool, Exchange)> {
    let of = |exchange: &Exchange| {
        let path = exchange.path.split('?').next().unwrap_or_default();
        let (_, verb) = path.rsplit_once(':')?;
        match verb {
            "generateContent" => Some((Operation::Chat, false)),
            "streamGenerateContent" => Some((Operation::Chat, true)),
            "countTokens" => Some((Operation::CountTokens, false)),
            "batchEmbedContents" => Some((Operation::Embed, false)),
            _ => None,
        }
    };
    let all = exchanges("gemini");
    all.into_iter()
        .filter_map(|exchange| {
            let (operation, stream) = of(&exchange)?;
            Some((operation, stream, exchange))
        })
        .collect()
}

fn read(operation: Operation, stream: bool, exchange: &Exchange) -> Call {
    let body = exchange.request.clone();
    let incoming =
        Incoming { model: Some("m".to_owned()), stream: Some(stream), ..Incoming::json(operation, body) };
    call(GEMINI.read(incoming).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source)))
}

#[test]
fn of_a_request_nothing_changes() {
    let all = recorded();
    for (operation, stream, exchange) in all.iter().filter(|(operation, ..)| *operation != Operation::Embed) {
        let sent = GEMINI.encode(&read(*operation, *stream, exchange), ask("other-model")).unwrap();
        assert_eq!(sent.body, exchange.request, "{}", exchange.source);
        assert!(sent.path.starts_with("/models/other-model:"), "{}", sent.path);
        let verb = exchange.path.rsplit_once(':').unwrap().1.split('?').next().unwrap();
        assert!(sent.path.contains(verb), "{}", exchange.source);
    }
    println!("{} requests", all.len());
    enough(all.len(), 150, &all);
}

#[test]
fn a_request_survives_being_understood_and_written_anew() {
    for (operation, stream, exchange) in &recorded() {
        let original = value(&exchange.request);
        let body = read(*operation, *stream, exchange).body.typed().unwrap().clone();
        let mut call = call(body);
        call.stream = *stream;
        let sent = value(&GEMINI.encode(&call, ask("m")).unwrap().body);
        match operation {
            Operation::Chat => assert_eq!(normal(sent), normal(original), "{}", exchange.source),
            Operation::Embed => {
                let texts = |body: &Value| -> Vec<Value> {
                    let requests = body["requests"].as_array().unwrap();
                    requests.iter().map(|request| request["content"]["parts"][0]["text"].clone()).collect()
                };
                assert_eq!(texts(&sent), texts(&original), "{}", exchange.source);
            }
            _ => assert!(sent["generateContentRequest"]["contents"].is_array()),
        }
    }
}

/// What two spellings of one request have in common.
fn normal(value: Value) -> Value {
    let mut value = camel(value);
    strip(&mut value);
    let object = value.as_object_mut().unwrap();
    if let Some(system) = object.get_mut("systemInstruction") {
        system.as_object_mut().unwrap().remove("role");
        let parts: Vec<Value> = system["parts"].as_array().unwrap().iter().map(part).collect();
        system["parts"] = json!(parts);
    }
    let mut turns: Vec<(Value, Vec<Value>)> = Vec::new();
    for content in object["contents"].as_array().unwrap() {
        let role = content.get("role").cloned().unwrap_or_else(|| json!("user"));
        let mut parts: Vec<Value> = content["parts"].as_array().unwrap().iter().map(part).collect();
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.append(&mut parts),
            _ => turns.push((role, parts)),
        }
    }
    object["contents"] = json!(turns);
    let off = |setting: &Value| setting["threshold"] == "OFF" || setting["threshold"] == "BLOCK_NONE";
    if object.get("safetySettings").and_then(Value::as_array).is_some_and(|settings| settings.iter().all(off))
    {
        object.remove("safetySettings");
    }
    for empty in ["tools", "safetySettings"] {
        if object.get(empty) == Some(&json!([])) {
            object.remove(empty);
        }
    }
    if let Some(config) = object.get_mut("generationConfig").and_then(Value::as_object_mut) {
        if config.get("responseModalities") == Some(&json!(["TEXT"])) {
            config.remove("responseModalities");
        }
        if let Some(level) = config.get_mut("thinkingConfig").and_then(|c| c.get_mut("thinkingLevel")) {
            *level = json!(level.as_str().unwrap().to_lowercase());
        }
        if let Some(schema) = config.remove("responseSchema") {
            config.insert("responseJsonSchema".to_owned(), schema);
        }
        if config.is_empty() {
            object.remove("generationConfig");
        }
    }
    for tool in object.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        for function in
            tool.get_mut("functionDeclarations").and_then(Value::as_array_mut).into_iter().flatten()
        {
            let function = function.as_object_mut().unwrap();
            if let Some(schema) = function.remove("parameters") {
                function.insert("parametersJsonSchema".to_owned(), schema);
            }
        }
    }
    lower_types(&mut value);
    value
}

fn part(part: &Value) -> Value {
    let mut part = part.clone();
    if part["thought"] == json!(false) {
        part.as_object_mut().unwrap().remove("thought");
    }
    let response = &part["functionResponse"]["response"];
    if let Some(name) = part["functionResponse"]["name"].as_str() {
        let name = name.to_owned();
        let result = match response.as_object().filter(|object| object.len() == 1) {
            // An object that a tool gives as text is an object again.
            Some(object) => object.get("output").map_or_else(
                || response.clone(),
                |text| {
                    serde_json::from_str(text.as_str().unwrap_or_default())
                        .unwrap_or_else(|_| response.clone())
                },
            ),
            None => response.clone(),
        };
        return json!({"functionResponse": name, "response": result});
    }
    part
}

/// Names of fields in camel case, but for those of the caller's own: schemas, arguments and answers.
fn camel(value: Value) -> Value {
    let own = [
        "parameters",
        "parametersJsonSchema",
        "parameters_json_schema",
        "args",
        "response",
        "responseJsonSchema",
    ];
    match value {
        Value::Object(object) => {
            let name = |name: &str| {
                let mut words = name.split('_');
                let first = words.next().unwrap_or_default().to_owned();
                words.fold(first, |sum, word| sum + &word[..1].to_uppercase() + &word[1..])
            };
            let field = |(key, value): (String, Value)| match own.contains(&key.as_str()) {
                true => (name(&key), value),
                false => (if key.starts_with('_') { key } else { name(&key) }, camel(value)),
            };
            Value::Object(object.into_iter().map(field).collect())
        }
        Value::Array(items) => items.into_iter().map(camel).collect(),
        other => other,
    }
}

fn lower_types(value: &mut Value) {
    match value {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| match value {
            Value::String(text) if key == "type" => *text = text.to_lowercase(),
            other => lower_types(other),
        }),
        Value::Array(items) => items.iter_mut().for_each(lower_types),
        _ => {}
    }
}

#[test]
fn every_whole_answer_is_measured_and_survives_being_written_anew() {
    let all = recorded();
    let mut seen = 0;
    for (operation, stream, exchange) in all.iter().filter(|(_, stream, e)| e.status == 200 && !stream) {
        let original = value(&exchange.response);
        let asked = read(*operation, *stream, exchange);
        let reply = GEMINI.decode(&asked, Content::json(exchange.response.clone())).unwrap();
        assert_eq!(reply.content_of("gemini").map(|c| &c.bytes), Some(&exchange.response));
        let answer = reply.answer().unwrap();
        match answer {
            Answer::CountTokens(tokens) => assert_eq!(json!(tokens), original["totalTokens"]),
            Answer::Embed(vectors) => assert!(!vectors.vectors.is_empty()),
            _ => {
                check_usage(reply.usage.unwrap(), &original["usageMetadata"], &exchange.source);
                let mut typed = Response::typed(answer.clone());
                (typed.id, typed.model, typed.usage) = (reply.id.clone(), reply.model.clone(), reply.usage);
                let anew = GEMINI.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
                assert_eq!(answer_of(value(&anew.bytes)), answer_of(original), "{}", exchange.source);
                for other in [&OPENAI as &dyn Dialect, &ANTHROPIC] {
                    let written = other.encode_reply(&asked, &typed, &Envelope::default()).unwrap();
                    let back = other.decode_answer(Operation::Chat, &written).unwrap();
                    assert_eq!(gist(&back), gist(answer), "{}", exchange.source);
                }
            }
        }
        seen += 1;
    }
    println!("{seen} whole answers");
    enough(seen, 100, &all);
}

fn check_usage(usage: maof_core::Usage, told: &Value, source: &str) {
    assert_eq!(usage.total_tokens(), told["totalTokenCount"].as_u64().unwrap_or(0), "{source}");
    assert_eq!(usage.get(Unit::Reasoning), told["thoughtsTokenCount"].as_u64().unwrap_or(0), "{source}");
}

/// An answer without what the typed one does not keep.
fn answer_of(mut answer: Value) -> Value {
    strip(&mut answer);
    let object = answer.as_object_mut().unwrap();
    object.retain(|key, _| {
        ["candidates", "modelVersion", "responseId", "promptFeedback"].contains(&key.as_str())
    });
    for candidate in object.get_mut("candidates").and_then(Value::as_array_mut).into_iter().flatten() {
        candidate.as_object_mut().unwrap().entry("index").or_insert(json!(0));
        let content = candidate.as_object_mut().unwrap().entry("content").or_insert(json!({}));
        content["role"] = json!("model");
        if content["parts"].is_null() {
            content["parts"] = json!([]);
        }
        for part in content["parts"].as_array_mut().unwrap() {
            if part["functionCall"].is_object() && part["functionCall"]["args"].is_null() {
                part["functionCall"]["args"] = json!({});
            }
        }
    }
    if object.get("candidates").is_none() {
        let content = json!({"role": "model", "parts": []});
        object.insert(
            "candidates".to_owned(),
            json!([{"index": 0, "content": content, "finishReason": "SAFETY"}]),
        );
    }
    answer
}

#[test]
fn every_stream_passes_as_it_came_and_assembles_to_what_its_frames_say() {
    let all = recorded();
    let mut seen = 0;
    for (operation, stream, exchange) in all.iter().filter(|(_, stream, e)| e.status == 200 && *stream) {
        let asked = read(*operation, *stream, exchange);
        let events =
            events(&GEMINI, &asked, exchange).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.source));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned();
        assert_eq!(text(&encoded(&GEMINI, &asked, &events)), text(&exchange.response), "{}", exchange.source);

        let frames: Vec<Value> = text(&exchange.response)
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| value(data.as_bytes()))
            .collect();
        let parts: Vec<&Value> = frames
            .iter()
            .filter_map(|f| f["candidates"][0]["content"]["parts"].as_array())
            .flatten()
            .collect();
        let said = |thought: bool| -> String {
            let parts = parts.iter().filter(|part| (part["thought"] == json!(true)) == thought);
            parts.filter_map(|part| part["text"].as_str()).collect()
        };
        let whole = folded(&events);
        let answer = whole.answer().unwrap();
        assert_eq!(gist(answer).0, said(false), "{}", exchange.source);
        let Answer::Chat(chat) = answer else { panic!("a chat") };
        let thoughts = chat.choices[0].message.parts.iter().filter_map(|part| match part {
            Part::Reasoning { text, .. } => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(thoughts.collect::<String>(), said(true), "{}", exchange.source);
        let calls = parts.iter().filter(|part| part["functionCall"].is_object()).count();
        assert_eq!(gist(answer).1.len(), calls, "{}", exchange.source);
        let usage = events.iter().flat_map(|event| &event.deltas).filter_map(|delta| match delta {
            Delta::Usage(usage) => Some(*usage),
            _ => None,
        });
        let last = frames.iter().rev().find(|frame| frame["usageMetadata"].is_object()).unwrap();
        check_usage(usage.last().unwrap(), &last["usageMetadata"], &exchange.source);

        for dialect in [&GEMINI as &dyn Dialect, &ANTHROPIC, &OPENAI] {
            let out = encoded(dialect, &asked, &unframed(&events));
            let ours = Exchange { response: out.into(), ..exchange.clone() };
            let again = folded(&super::events(dialect, &asked, &ours).unwrap());
            let ids = |(text, calls): (String, Vec<(String, String, Value)>)| {
                (text, calls.into_iter().map(|(_, name, arguments)| (name, arguments)).collect::<Vec<_>>())
            };
            assert_eq!(ids(gist(again.answer().unwrap())), ids(gist(answer)), "{}", exchange.source);
            assert_eq!((&again.id, &again.finish), (&whole.id, &whole.finish), "{}", exchange.source);
        }
        seen += 1;
    }
    println!("{seen} streams");
    enough(seen, 40, &all);
}

#[test]
fn errors_are_told_apart() {
    for (_, _, exchange) in recorded().iter().filter(|(_, _, e)| e.status >= 400) {
        let error = GEMINI.decode_error(exchange.status, &exchange.response);
        let expect = match exchange.status {
            400 => ErrorKind::InvalidRequest,
            _ => ErrorKind::Unavailable,
        };
        assert_eq!(error.kind(), expect, "{}: {error:?}", exchange.source);
        let told = value(&GEMINI.encode_error(&error));
        assert!(told["error"]["status"].is_string());
    }
}
