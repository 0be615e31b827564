//! Structured output through real sockets: asked for in each provider's own words, held against the schema whoever
//! answers, refused, repaired or passed on, and paid for to the last turn.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof::{Name, Principal, RunState, TaskRequest};
use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use serde_json::{Value, json};

/// A name, the profile, what its base URL has after the upstream's address, and where its requests hold the schema.
const UPSTREAMS: [(&str, &str, &str, &str); 4] = [
    ("chat", "openai_compatible", "/v1", "/response_format/json_schema/schema"),
    ("responses", "openai_responses", "/v1", "/text/format/schema"),
    ("messages", "anthropic", "/v1", "/output_config/format/schema"),
    ("contents", "gemini", "/v1beta", "/generationConfig/responseJsonSchema"),
];

const GOOD: &str = r#"{"answer":"up","confidence":0.5}"#;
const BAD: &str = r#"{"answer":"up","confidence":7}"#;

fn schema() -> Value {
    json!({"type": "object", "required": ["answer", "confidence"], "additionalProperties": false,
           "properties": {"answer": {"type": "string"}, "confidence": {"type": "number", "maximum": 1}}})
}

/// A path and a request for an answer by `schema`, in the words of a door.
fn asked(door: &str, model: &str, schema: &Value, stream: bool) -> (String, Value) {
    let text = "Up or down?";
    let format = json!({"type": "json_schema", "name": "a", "schema": schema});
    match door {
        "chat" => (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}],
                   "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}),
        ),
        "responses" => (
            "/v1/responses".to_owned(),
            json!({"model": model, "stream": stream, "input": text, "text": {"format": format}}),
        ),
        "messages" => (
            "/v1/messages".to_owned(),
            json!({"model": model, "stream": stream, "max_tokens": 64,
                   "messages": [{"role": "user", "content": text}],
                   "output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ),
        _ => {
            let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (
                format!("/v1beta/models/{model}:{verb}"),
                json!({"contents": [{"role": "user", "parts": [{"text": text}]}],
                       "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}),
            )
        }
    }
}

/// Where a door's whole answers hold the text.
fn text_at(door: &str) -> &'static str {
    match door {
        "chat" => "/choices/0/message/content",
        "responses" => "/output/0/content/0/text",
        "messages" => "/content/0/text",
        _ => "/candidates/0/content/parts/0/text",
    }
}

/// Whether a reader of any dialect could take a stream for one that is over as it should be.
fn ends_well(stream: &str) -> bool {
    let ends = [
        "data: [DONE]",
        "\"response.completed\"",
        "\"message_stop\"",
        "\"STOP\"",
        "\"finish_reason\":\"stop\"",
    ];
    ends.iter().any(|end| stream.contains(end))
}

async fn server(script: Script, more: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(script).await;
    let mut config = format!("resilience: {{retry: {{max_attempts: 1}}}}\n{more}\nproviders:\n");
    let origin = upstream.origin();
    for (name, profile, path, _) in UPSTREAMS {
        config += &format!("  {name}: {{profile: {profile}, base_url: '{origin}{path}', api_key: k}}\n");
    }
    config += &format!("  deep: {{profile: deepseek, base_url: '{origin}/v1', api_key: k}}\n");
    config += &format!(
        "  told: {{profile: deepseek, base_url: '{origin}/v1', api_key: k, json_schema: instruct}}\n"
    );
    config += "endpoints:\n";
    for name in ["chat", "responses", "messages", "contents", "deep", "told"] {
        config += &format!(
            "  - {{name: {name}, provider: {name}, model: up, price: {{input: 1000000, output: 1000000}}}}\n"
        );
    }
    (Server::start(&config).await, upstream)
}

/// A whole answer of OpenAI's, with spaces that nobody else would set.
fn whole(text: &str) -> Act {
    let body = format!(
        "{{ \"id\":\"c1\", \"object\": \"chat.completion\",\"created\": 1,  \"model\": \"up\", \"choices\": [ {{\"index\": 0, \
         \"message\": {{\"role\": \"assistant\", \"content\": {}}}, \"finish_reason\": \"stop\" }} ], \
         \"usage\": {{\"prompt_tokens\": 3, \"completion_tokens\": 2, \"total_tokens\": 5}} }}",
        Value::from(text)
    );
    Act::Raw { status: 200, content_type: "application/json".to_owned(), body }
}

/// A streamed answer of OpenAI's in two pieces.
fn streamed(text: &str) -> Act {
    let (head, tail) = text.split_at(text.len() / 2);
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk =
            json!({"id": "c1", "object": "chat.completion.chunk", "model": "up", "choices": [choice]});
        format!("data:  {chunk}\n\n")
    };
    let mut body = chunk(json!({"role": "assistant", "content": head}), Value::Null);
    body += &chunk(json!({"content": tail}), Value::Null);
    body += &chunk(json!({}), json!("stop"));
    body += "data: [DONE]\n\n";
    Act::Raw { status: 200, content_type: "text/event-stream".to_owned(), body }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_asks_every_upstream_in_its_own_words() {
    let (server, upstream) = server(Script::default(), "").await;
    for (door, ..) in UPSTREAMS {
        for (model, _, _, place) in UPSTREAMS {
            let what = format!("{door} in front of {model}");
            for stream in [false, true] {
                let (path, body) = asked(door, model, &schema(), stream);
                let answer = server.post(&path, &body).send().await.unwrap();
                assert!(answer.status().is_success(), "{what}: {}", answer.text().await.unwrap());
                let told = answer.headers().get("x-maof-schema").map(|v| v.to_str().unwrap().to_owned());
                assert_eq!(told.as_deref(), (!stream).then_some("valid"), "{what}");
                let answer = answer.text().await.unwrap();
                let sent: Value = serde_json::from_slice(&upstream.received().last().unwrap().body).unwrap();
                let mut expect = schema();
                if model == "messages" && door != model {
                    // Which takes no bounds, but may be told of them.
                    expect["properties"]["confidence"] =
                        json!({"type": "number", "description": "(maximum: 1)"});
                }
                assert_eq!(sent.pointer(place), Some(&expect), "{what}: {sent}");
                if stream {
                    assert!(ends_well(&answer), "{what}: {answer}");
                    continue;
                }
                let answer: Value = serde_json::from_str(&answer).unwrap();
                let text = answer.pointer(text_at(door)).unwrap_or_else(|| panic!("{what}: {answer}"));
                let object: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
                assert_eq!(object, json!({"answer": "Up or down?", "confidence": 1}), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_answer_leaves_byte_for_byte() {
    for (act, stream) in [(whole(GOOD), false), (streamed(GOOD), true)] {
        let Act::Raw { body: expect, .. } = act.clone() else { panic!("raw") };
        let (server, _upstream) = server(Script::any([act]), "structured: {invalid: repair}").await;
        let (path, body) = asked("chat", "chat", &schema(), stream);
        let answer = server.post(&path, &body).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer, expect);
    }
}

/// The status, the text, what `x-maof-schema` says, the requests and the dollars of an answer at each door.
async fn check(invalid: &str, acts: &[Act], expect: (u16, &str, Option<&str>, usize, Option<&str>)) {
    for (door, ..) in UPSTREAMS {
        let what = format!("{invalid} at {door}");
        let (server, upstream) =
            server(Script::any(acts.to_vec()), &format!("structured: {{invalid: {invalid}}}")).await;
        let (path, body) = asked(door, "chat", &schema(), false);
        let answer = server.post(&path, &body).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let (status, told, cost) = (answer.status(), header("x-maof-schema"), header("x-maof-cost-usd"));
        let answer: Value = answer.json().await.unwrap();
        let text = match status.is_success() {
            true => answer.pointer(text_at(door)).unwrap().as_str().unwrap().to_owned(),
            false => answer["error"]["message"].as_str().unwrap().to_owned(),
        };
        let found =
            (status.as_u16(), text.as_str(), told.as_deref(), upstream.received().len(), cost.as_deref());
        assert_eq!(found, expect, "{what}: {answer}");
        server.maof.ledger().flush().await.unwrap();
        let tenant = Name::new("acme").unwrap();
        let attempts = server.maof.ledger().attempts(&tenant, None, 10).await.unwrap();
        assert_eq!(attempts.len(), expect.3, "{what}: each turn is written down");
        assert!(attempts.iter().all(|a| a.usage.total_tokens() == 5 && a.failure.is_none()), "{attempts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_its_schema_is_refused() {
    let why = "the answer does not follow the JSON schema that was asked for: it breaks `/properties/confidence/maximum`";
    check("refuse", &[whole(BAD)], (502, why, None, 1, None)).await;
    check("repair", &[whole(BAD)], (502, why, None, 2, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_its_schema_is_mended_or_passed_on_and_both_turns_are_paid() {
    check("repair", &[whole(BAD), whole(GOOD)], (200, GOOD, Some("repaired"), 2, Some("10.00"))).await;
    check("pass", &[whole(BAD)], (200, BAD, Some("invalid"), 1, Some("5.00"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_its_schema_never_ends_well() {
    for (invalid, expect) in [("refuse", false), ("repair", false), ("pass", true)] {
        for (door, ..) in UPSTREAMS {
            let (server, upstream) =
                server(Script::any([streamed(BAD)]), &format!("structured: {{invalid: {invalid}}}")).await;
            let (path, body) = asked(door, "chat", &schema(), true);
            let stream = server.post(&path, &body).send().await.unwrap().text().await.unwrap();
            assert_eq!(ends_well(&stream), expect, "{invalid} at {door}: {stream}");
            assert_eq!(stream.contains("/properties/confidence/maximum"), !expect, "{door}: {stream}");
            assert_eq!(upstream.received().len(), 1, "a stream that has begun is not begun anew");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_schema_is_the_callers_fault_and_asks_nobody() {
    let (server, upstream) = server(Script::default(), "").await;
    let bad = json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}});
    for (door, ..) in UPSTREAMS {
        let (path, body) = asked(door, "chat", &bad, false);
        let (status, told) = json_of(server.post(&path, &body)).await;
        assert_eq!(status.as_u16(), 400, "{door}: {told}");
        let told = told.to_string();
        assert!(
            told.contains("/properties/a") && told.contains("https://example.com/a.json"),
            "{door}: {told}"
        );
        if door == "chat" {
            assert!(told.contains("\"param\":\"response_format.json_schema.schema\""), "{told}");
        }
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_schemas_is_refused_or_told_in_its_instructions() {
    let (server, upstream) = server(Script::any([whole(GOOD), whole(BAD)]), "").await;
    let (path, body) = asked("chat", "deep", &schema(), false);
    let (status, told) = json_of(server.post(&path, &body)).await;
    assert_eq!((status.as_u16(), &told["error"]["param"]), (400, &json!("response_format")), "{told}");
    assert!(told.to_string().contains("json_schema: instruct"), "{told}");
    assert!(upstream.received().is_empty());
    for (door, ..) in UPSTREAMS {
        upstream.play(Script::any([whole(GOOD), whole(BAD)]));
        let (path, body) = asked(door, "told", &schema(), false);
        let answer = server.post(&path, &body).send().await.unwrap();
        let told = answer.headers().get("x-maof-schema").cloned();
        let shown = answer.text().await.unwrap();
        assert_eq!(told.as_ref().and_then(|v| v.to_str().ok()), Some("valid"), "{door}: {shown}");
        let sent: Value = serde_json::from_slice(&upstream.received().last().unwrap().body).unwrap();
        assert_eq!(sent["response_format"], json!({"type": "json_object"}), "{door}");
        let first = &sent["messages"][0];
        assert_eq!(first["role"], "system", "{door}: {sent}");
        assert!(first["content"].as_str().unwrap().ends_with(&schema().to_string()), "{door}: {sent}");
        // What it makes of its instructions is judged all the same.
        assert_eq!(json_of(server.post(&path, &body)).await.0.as_u16(), 502, "{door}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_declares_holds_for_tasks_and_callers_alike() {
    let schema = schema().to_string();
    let agents = format!(
        "structured: {{invalid: repair}}\nagents:\n  - {{name: analyst, endpoints: [chat], output: {{schema: {schema}}}}}\n\
         routing: {{agent_map: {{verdict: [analyst]}}}}"
    );
    let (server, upstream) = server(Script::any([whole(BAD), whole(GOOD)]), &agents).await;
    let request = TaskRequest {
        task_type: Name::new("verdict").unwrap(),
        content: json!("Up or down?"),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: None,
    };
    let who = Principal::local();
    let run = server.maof.submit(&who, request).await.unwrap();
    let run = server.maof.wait(&who, run.id).await.unwrap();
    assert_eq!(run.state, RunState::Completed, "{:?}", run.failure);
    assert_eq!(run.result.unwrap(), json!({"answer": {"answer": "up", "confidence": 0.5}}));
    let (_, answers) = server.maof.report_with_answers(&who, run.id).await.unwrap();
    let answer = &answers[0].answer;
    assert_eq!((answer.attempts, answer.usage.total_tokens(), answer.cost.nanos()), (2, 10, 10_000_000_000));
    // Both turns bore keys of their own, or the provider would have given the first answer twice.
    let received = upstream.received();
    let keys: Vec<_> = received.iter().map(|r| r.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys[1], format!("{}/2", keys[0]));

    upstream.play(Script::any([whole(GOOD)]));
    let plain = json!({"model": "analyst", "messages": [{"role": "user", "content": "Up or down?"}], "logit_bias": {"1": 2}});
    let answer = server.post("/v1/chat/completions", &plain).send().await.unwrap();
    assert_eq!(answer.headers()["x-maof-schema"], "valid");
    let sent: Value = serde_json::from_slice(&upstream.received().last().unwrap().body).unwrap();
    assert_eq!(
        sent["response_format"]["json_schema"]["schema"],
        json!(serde_json::from_str::<Value>(&schema).unwrap())
    );
    assert_eq!(sent["logit_bias"], json!({"1": 2}), "what only the dialect knows stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steps_schema_is_asked_for_judged_and_repaired_and_checked_when_it_is_read() {
    let more = "structured: {invalid: repair}\nagents:\n  - {name: analyst, endpoints: [chat], output: {schema: {type: string}}}";
    let (server, upstream) = server(Script::any([whole(BAD), whole(GOOD)]), more).await;
    let spec = |schema: &Value| {
        let steps = json!([{"id": "judge", "agent": "analyst", "schema": schema}]);
        serde_json::from_value(json!({"name": "w", "steps": steps})).unwrap()
    };
    let bad = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
    let refused = server.maof.compile(spec(&bad)).unwrap_err();
    assert_eq!(refused.field(), Some("steps.judge.schema"), "{refused}");

    let workflow = server.maof.compile(spec(&schema())).unwrap();
    let request = TaskRequest {
        task_type: workflow.name.clone(),
        content: json!("Up or down?"),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: Some(workflow),
    };
    let who = Principal::local();
    let run = server.maof.submit(&who, request).await.unwrap();
    let run = server.maof.wait(&who, run.id).await.unwrap();
    assert_eq!(run.state, RunState::Completed, "{:?}", run.failure);
    assert_eq!(run.result.unwrap(), json!({"judge": {"answer": "up", "confidence": 0.5}}));
    let sent: Vec<Value> =
        upstream.received().iter().map(|sent| serde_json::from_slice(&sent.body).unwrap()).collect();
    assert_eq!(sent.len(), 2, "sent back once");
    for sent in sent {
        assert_eq!(sent["response_format"]["json_schema"]["schema"], schema(), "the step's, not the agent's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_other_shapes_answer_in_the_declared_one() {
    let config = json!({
        "endpoints": [{"name": "lexicon", "local": "lexicon"}],
        "agents": [{"name": "judge", "endpoints": ["lexicon"],
                    "output": {"schema": schema(), "fields": {"answer": "/label", "confidence": "/confidence"}}}],
    });
    let server = Server::start(&config.to_string()).await;
    for stream in [false, true] {
        let body = json!({"model": "judge", "stream": stream,
                          "messages": [{"role": "user", "content": "A wonderful quarter."}]});
        let answer = server.post("/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.headers()["x-maof-schema"], "valid");
        let answer = answer.text().await.unwrap();
        assert!(answer.contains(r#"{\"answer\":\"positive\",\"confidence\":"#), "{answer}");
        assert_eq!(answer.ends_with("data: [DONE]\n\n"), stream, "{answer}");
    }
}
