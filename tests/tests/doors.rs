//! Every door of the gateway: what its responses say beside their bodies, and what it says of requests that cannot be
//! answered.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Whose envelope a door's errors come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envelope {
    OpenAi,
    Anthropic,
    Gemini,
}

/// A door: its path, where `{m}` stands for the model, its errors' envelope, and a request.
struct Door {
    path: &'static str,
    envelope: Envelope,
    body: fn(&str) -> Value,
    /// The field without which nothing is answered.
    needs: &'static str,
}

const DOORS: [Door; 11] = [
    Door {
        path: "/v1/chat/completions",
        envelope: Envelope::OpenAi,
        body: |m| json!({"model": m, "messages": [{"role": "user", "content": "hi"}]}),
        needs: "messages",
    },
    Door {
        path: "/v1/responses",
        envelope: Envelope::OpenAi,
        body: |m| json!({"model": m, "input": "hi"}),
        needs: "input",
    },
    Door {
        path: "/v1/embeddings",
        envelope: Envelope::OpenAi,
        body: |m| json!({"model": m, "input": "hi"}),
        needs: "input",
    },
    Door {
        path: "/v1/images/generations",
        envelope: Envelope::OpenAi,
        body: |m| json!({"model": m, "prompt": "a cat"}),
        needs: "prompt",
    },
    Door {
        path: "/v1/audio/speech",
        envelope: Envelope::OpenAi,
        body: |m| json!({"model": m, "input": "hi", "voice": "alloy"}),
        needs: "input",
    },
    Door {
        path: "/v1/messages",
        envelope: Envelope::Anthropic,
        body: |m| json!({"model": m, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        needs: "messages",
    },
    Door {
        path: "/v1/messages/count_tokens",
        envelope: Envelope::Anthropic,
        body: |m| json!({"model": m, "messages": [{"role": "user", "content": "hi"}]}),
        needs: "messages",
    },
    Door {
        path: "/v1beta/models/{m}:generateContent",
        envelope: Envelope::Gemini,
        body: |_| json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        needs: "contents",
    },
    Door {
        path: "/v1beta/models/{m}:streamGenerateContent?alt=sse",
        envelope: Envelope::Gemini,
        body: |_| json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        needs: "contents",
    },
    Door {
        path: "/v1beta/models/{m}:countTokens",
        envelope: Envelope::Gemini,
        body: |_| json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        needs: "contents",
    },
    Door {
        path: "/v1beta/models/{m}:embedContent",
        envelope: Envelope::Gemini,
        body: |_| json!({"content": {"parts": [{"text": "hi"}]}}),
        needs: "content",
    },
];

impl Door {
    fn ask(&self, server: &Server, model: &str) -> RequestBuilder {
        server.post(&self.path(model), &(self.body)(model))
    }

    fn path(&self, model: &str) -> String {
        self.path.replace("{m}", model)
    }

    /// Whether the scripted upstream knows what this door is for.
    fn is_played(&self) -> bool {
        !self.path.contains("images") && !self.path.contains("audio")
    }
}

impl Envelope {
    /// The message of an error, in an envelope of this kind with the right status in it.
    fn message(self, error: &Value, status: u16) -> Option<String> {
        let message = error["error"]["message"].as_str()?.to_owned();
        let fits = match self {
            Envelope::OpenAi => error["error"]["type"].is_string() && error["error"].get("param").is_some(),
            Envelope::Anthropic => error["type"] == "error" && error["error"]["type"].is_string(),
            Envelope::Gemini => error["error"]["code"] == status && error["error"]["status"].is_string(),
        };
        fits.then_some(message)
    }
}

async fn server(script: Script, more: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(script).await;
    let config = format!(
        "{more}\nresilience: {{retry: {{max_attempts: 1}}, circuit_breaker: {{failure_threshold: 100}}}}\n\
         providers: {{up: {{profile: openai, base_url: '{}', api_key: sk-upstream-secret}}}}\n\
         endpoints:\n  - name: up\n    provider: up\n    model: m\n    operations: [chat, embed, image, transcribe, speech]\n",
        upstream.base_url()
    );
    (Server::start(&config).await, upstream)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

fn number(headers: &HeaderMap, name: &str) -> f64 {
    text(headers, name).unwrap_or_else(|| panic!("no {name} in {headers:?}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_says_who_answered_how_long_it_took_and_under_which_id() {
    let (server, upstream) = server(Script::default(), "").await;
    for door in DOORS.iter().filter(|door| door.is_played()) {
        let response = door.ask(&server, "up").header("x-request-id", "mine-1").send().await.unwrap();
        assert!(response.status().is_success(), "{}: {}", door.path, response.text().await.unwrap());
        let headers = response.headers();
        assert_eq!(text(headers, "x-maof-provider"), Some("up"), "{}", door.path);
        assert_eq!(text(headers, "x-maof-endpoint"), Some("up"), "{}", door.path);
        assert_eq!(text(headers, "x-maof-decision").map(str::len), Some(36), "{}", door.path);
        let overhead = number(headers, "x-maof-overhead-ms");
        assert!(overhead > 0.0, "{}", door.path);
        for name in ["x-request-id", "request-id"] {
            assert_eq!(text(headers, name), Some("mine-1"), "{}", door.path);
        }
        let call = text(headers, "x-maof-call-id").unwrap().to_owned();
        assert!(call.len() >= 32 && call != "mine-1", "{call}");
        assert!(!headers.keys().any(|name| name.as_str().contains("litellm")), "{}: {headers:?}", door.path);
        // What is counted here is asked of nobody.
        if !door.path.ends_with("ountTokens") && !door.path.ends_with("count_tokens") {
            let sent = upstream.received().pop().unwrap().headers;
            assert_eq!(sent.get("x-client-request-id").map(String::as_str), Some("mine-1"), "{}", door.path);
        }
        let unnamed = door.ask(&server, "up").header("x-request-id", "no spaces").send().await.unwrap();
        let headers = unnamed.headers();
        assert_eq!(text(headers, "x-request-id"), text(headers, "x-maof-call-id"), "{}", door.path);
        assert!(!upstream.received().pop().unwrap().headers.contains_key("x-client-request-id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overhead_is_the_time_in_which_no_upstream_was_waited_for() {
    let script = Script::any([Act::status(503), Act::Delay(150), Act::Delay(150)]);
    let more = "server: {litellm_headers: true}\n";
    let upstream = Upstream::start(script).await;
    let config = format!(
        "{more}resilience: {{retry: {{max_attempts: 2, initial_interval_ms: 1, max_interval_ms: 1}}}}\n\
         providers: {{up: {{profile: openai, base_url: '{}', api_key: k}}}}\n\
         endpoints: [{{name: up, provider: up, model: m, price: {{input: 1, output: 1}}}}]\n\
         agents: [{{name: helper, endpoints: [up]}}]\n",
        upstream.base_url()
    );
    let server = Server::start(&config).await;
    for (stream, retries) in [(false, "1"), (true, "0")] {
        let body =
            json!({"model": "helper", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let response = server.post("/v1/chat/completions", &body).send().await.unwrap();
        let headers = response.headers();
        let [total, waited, overhead] = [
            number(headers, "x-litellm-response-duration-ms"),
            number(headers, "x-litellm-timing-llm-api-ms"),
            number(headers, "x-litellm-overhead-duration-ms"),
        ];
        assert!(waited >= 150.0 && waited < total, "{headers:?}");
        assert!((total - waited - overhead).abs() < 0.002, "{headers:?}");
        let same = [
            ("x-litellm-call-id", "x-maof-call-id"),
            ("x-litellm-overhead-duration-ms", "x-maof-overhead-ms"),
            ("x-litellm-model-id", "x-maof-endpoint"),
            ("x-litellm-model-group", "x-maof-agent"),
            ("x-litellm-attempted-fallbacks", "x-maof-fallbacks"),
            ("x-litellm-response-cost", "x-maof-cost-usd"),
        ];
        for (theirs, ours) in same {
            assert_eq!(text(headers, theirs), text(headers, ours), "{theirs}");
        }
        assert_eq!(text(headers, "x-litellm-attempted-retries"), Some(retries));
        assert_eq!(
            headers.contains_key("x-maof-cost-usd"),
            !stream,
            "what a stream costs is known at its end"
        );
        assert_eq!(text(headers, "x-litellm-total-tokens").is_some(), !stream);
    }
}

/// Sends what a door cannot answer; its envelope must say so, with this status and this field, and no key in it.
async fn refused(
    door: &Door,
    request: RequestBuilder,
    status: u16,
    field: Option<&str>,
) -> (HeaderMap, Value) {
    let what = format!("{} {status}", door.path);
    let response = request.header("x-request-id", "mine-2").send().await.unwrap();
    let (got, headers) = (response.status(), response.headers().clone());
    let told = response.text().await.unwrap();
    assert_eq!(got.as_u16(), status, "{what}: {told}");
    assert_eq!(text(&headers, "content-type"), Some("application/json"), "{what}");
    assert_eq!(text(&headers, "x-request-id"), Some("mine-2"), "{what}");
    assert!(!told.contains("secret"), "{what}: {told}");
    let error: Value = serde_json::from_str(&told).unwrap();
    let message = door.envelope.message(&error, status).unwrap_or_else(|| panic!("{what}: {error}"));
    if let Some(field) = field {
        let param = &error["error"]["param"];
        assert!(
            param == field || (param.is_null() && message.contains(field)),
            "{what}: {error}, not {field}"
        );
    }
    (headers, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_refuses_what_is_malformed_in_its_own_words() {
    let (server, upstream) = server(Script::default(), "server: {body_limit: 20000}").await;
    for door in &DOORS {
        let (path, body) = (door.path("up"), (door.body)("up"));
        let raw = |bytes: &str| {
            let post = server.client.post(format!("{}{path}", server.base)).bearer_auth(&server.key);
            post.header("content-type", "application/json").body(bytes.to_owned())
        };
        refused(door, raw("{\"model\": \"up\""), 400, None).await;
        refused(door, raw("[1, 2]"), 400, None).await;
        let mut without = body.clone();
        without.as_object_mut().unwrap().remove(door.needs);
        refused(door, server.post(&path, &without), 400, Some(door.needs)).await;
        let mut wrong = body.clone();
        wrong[door.needs] = json!(7);
        refused(door, server.post(&path, &wrong), 400, Some(door.needs)).await;

        let large = raw(&format!("{{\"pad\": \"{}\"}}", "x".repeat(30_000)));
        refused(door, large, 413, None).await;

        let url = format!("{}{path}", server.base);
        refused(door, server.client.post(&url).json(&body), 401, None).await;
        for name in ["x-api-key", "x-goog-api-key"] {
            let wrong = server.client.post(&url).header(name, "maof_secret").json(&body);
            refused(door, wrong, 401, None).await;
        }
        let (_, error) = refused(door, door.ask(&server, "nobody"), 404, Some("model")).await;
        if door.envelope == Envelope::OpenAi {
            assert_eq!(error["error"]["code"], "model_not_found", "{}", door.path);
        }
    }
    assert!(upstream.received().is_empty(), "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_says_of_a_failing_upstream_what_its_caller_can_do() {
    let check = async |act: Act, status: u16, wait: Option<&str>| {
        let (server, _upstream) = server(Script::any([act.clone()]), "").await;
        let asked = DOORS.iter().filter(|door| door.is_played() && !door.path.contains("ount"));
        for door in asked {
            let response = door.ask(&server, "up");
            let (headers, _) = refused(door, response, status, None).await;
            assert_eq!(text(&headers, "retry-after"), wait, "{} {act:?}", door.path);
            assert!(headers.contains_key("x-maof-call-id"), "{}", door.path);
        }
    };
    check(Act::retry_after(429, "7"), 429, Some("7")).await;
    // Official SDKs give up where they are told to wait for longer than two minutes.
    check(Act::retry_after(429, "3600"), 429, Some("120")).await;
    check(Act::retry_after(503, "86400"), 503, Some("120")).await;
    check(Act::status(500), 503, Some("1")).await;
    // The gateway's own key is no affair of the caller's.
    check(Act::status(401), 503, Some("1")).await;
    check(Act::Malformed(0), 502, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_are_not_there_are_told_in_the_words_of_their_neighbours() {
    let (server, _upstream) = server(Script::default(), "").await;
    let check = async |method: Method, path: &str, status: u16, envelope: Option<Envelope>| {
        let url = format!("{}{path}", server.base);
        let response =
            server.client.request(method.clone(), url).bearer_auth(&server.key).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        let body = response.text().await.unwrap();
        match envelope {
            Some(envelope) => {
                let error: Value = serde_json::from_str(&body).unwrap();
                let fits = envelope.message(&error, status).is_some();
                assert!(fits || status == 405 && envelope == Envelope::Gemini, "{method} {path}: {error}");
            }
            None => assert_eq!(body, "", "{method} {path}"),
        }
    };
    use Envelope::{Anthropic, Gemini, OpenAi};
    check(Method::GET, "/v1/chat/completions", 405, Some(OpenAi)).await;
    check(Method::OPTIONS, "/v1/chat/completions", 405, Some(OpenAi)).await;
    check(Method::DELETE, "/v1/messages", 405, Some(Anthropic)).await;
    check(Method::PUT, "/v1/messages/count_tokens", 405, Some(Anthropic)).await;
    check(Method::GET, "/v1beta/models/up:generateContent", 405, Some(Gemini)).await;
    check(Method::POST, "/v1/nothing", 404, Some(OpenAi)).await;
    check(Method::POST, "/v1/messages/batches", 404, Some(Anthropic)).await;
    check(Method::POST, "/v1beta/models/up:dream", 404, Some(Gemini)).await;
    check(Method::HEAD, "/v1/models", 200, None).await;
    check(Method::HEAD, "/v1/models/up", 200, None).await;
    check(Method::HEAD, "/health/live", 200, None).await;
    check(Method::HEAD, "/v1/chat/completions", 405, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_by_every_name_that_is_answered() {
    let more = "aliases: {gpt-4o: helper, other: up/m}\nagents: [{name: helper, endpoints: [up]}]";
    let (server, _upstream) = server(Script::default(), more).await;
    let (_, listed) = json_of(server.get("/v1/models")).await;
    let mut ids: Vec<&str> =
        listed["data"].as_array().unwrap().iter().filter_map(|m| m["id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["gpt-4o", "helper", "other", "up", "up/m"]);
    for id in ids {
        let (status, answer) = json_of(DOORS[0].ask(&server, id)).await;
        assert!(status.is_success(), "{id}: {answer}");
        let (status, model) = json_of(server.get(&format!("/v1/models/{id}"))).await;
        assert_eq!((status.as_u16(), &model["id"]), (200, &json!(id)), "{id}");
    }
}

/// M09: no kind of request passes beside the budgets.
#[tokio::test(flavor = "multi_thread")]
async fn every_door_is_governed_by_the_same_budget() {
    let budget = "budgets: [{account: tenant, limit_requests: 1}]\nrouting: {default_agents: [up]}";
    let (server, upstream) = server(Script::default(), budget).await;
    let first = DOORS[0].ask(&server, "up").send().await.unwrap();
    assert!(first.status().is_success(), "{}", first.text().await.unwrap());
    // What is counted here costs nothing and is asked of nobody.
    for door in DOORS.iter().filter(|door| !door.path.contains("ount")) {
        let (_, error) = refused(door, door.ask(&server, "up"), 429, None).await;
        let message = door.envelope.message(&error, 429).unwrap();
        assert!(
            message.contains("tenant (requests per total) has 0 requests of 1 requests left"),
            "{message}"
        );
    }
    let form = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n\
                --B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nup\r\n--B--\r\n";
    let heard =
        server.client.post(format!("{}/v1/audio/transcriptions", server.base)).bearer_auth(&server.key);
    let heard = heard.header("content-type", "multipart/form-data; boundary=B").body(form);
    assert_eq!(heard.send().await.unwrap().status(), 429);
    let task = server.post("/tasks?wait=20", &json!({"task_type": "up", "content": "hi"}));
    let (_, run) = json_of(task).await;
    assert_eq!(
        (&run["status"], &run["error"]["kind"]),
        (&json!("failed"), &json!("budget_exceeded")),
        "{run}"
    );
    assert_eq!(upstream.stats().requests, 1);
}
