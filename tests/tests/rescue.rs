//! A stream that dies after its first byte is continued by another upstream, where that is wished: at every door, one answer.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::Server;
use serde_json::{Value, json};

/// Profiles, and what the base URL of each has after the upstream's address.
const PROFILES: [(&str, &str); 4] =
    [("openai_compatible", "/v1"), ("openai_responses", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta")];

/// A model of the first profile that dies after some frames, and one of the second that goes on.
async fn server(first: (&str, &str), second: (&str, &str), policy: &str) -> (Server, Upstream) {
    let script = Script::default().model("dies", [Act::Cut(6)]).model("lives", [Act::RefusePrefill]);
    let upstream = Upstream::start(script).await;
    let origin = upstream.origin();
    let config = format!(
        "{{resilience: {{after_first_byte: {policy}, retry: {{max_attempts: 1}}}}, providers: {{\
         one: {{profile: {}, base_url: '{origin}{}', api_key: k}}, two: {{profile: {}, base_url: '{origin}{}', api_key: k}}}}, \
         endpoints: [{{name: one, provider: one, model: dies}}, {{name: two, provider: two, model: lives}}], \
         agents: [{{name: both, endpoints: [one, two]}}]}}",
        first.0, first.1, second.0, second.1,
    );
    (Server::start(&config).await, upstream)
}

const TEXT: &str = "one two three four five six seven eight nine ten";

/// The doors, each with a question for a stream.
fn doors() -> [(&'static str, Value); 4] {
    let messages = json!([{"role": "user", "content": TEXT}]);
    [
        (
            "/v1/chat/completions",
            json!({"model": "both", "stream": true, "messages": messages,
                   "stream_options": {"include_usage": true}}),
        ),
        ("/v1/responses", json!({"model": "both", "stream": true, "input": TEXT})),
        ("/v1/messages", json!({"model": "both", "stream": true, "max_tokens": 99, "messages": messages})),
        (
            "/v1beta/models/both:streamGenerateContent?alt=sse",
            json!({"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}),
        ),
    ]
}

/// Each event's payload.
fn payloads(stream: &str) -> Vec<Value> {
    stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

/// The text of a stream at any door.
fn text(stream: &str) -> String {
    let piece = |event: &Value| {
        let places = ["/choices/0/delta/content", "/delta/text", "/candidates/0/content/parts/0/text"];
        let found = places.iter().find_map(|place| event.pointer(place)?.as_str().map(str::to_owned));
        let delta = event["type"] == "response.output_text.delta";
        found.or_else(|| event["delta"].as_str().filter(|_| delta).map(str::to_owned))
    };
    payloads(stream).iter().filter_map(piece).collect()
}

/// How often a stream says this.
fn count(stream: &str, words: &[&str]) -> usize {
    words.iter().map(|word| stream.matches(word).count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_door_a_stream_that_dies_goes_on_elsewhere() {
    for (n, first) in PROFILES.into_iter().enumerate() {
        let second = PROFILES[(n + 1) % 4];
        let (server, upstream) = server(first, second, "rescue").await;
        for (at, (path, body)) in doors().iter().enumerate() {
            let response = server.post(path, body).send().await.unwrap();
            let stream = response.text().await.unwrap();
            let said = text(&stream);
            let context = format!("{} > {} at {path}\n{stream}", first.0, second.0);
            assert!(said.contains("one"), "{context}");
            assert!(
                said.contains("Go on exactly where it stops"),
                "the other echoes what it was told: {context}"
            );
            let starts =
                ["\"role\":\"assistant\"", "event: response.created", "event: message_start", ""][at];
            assert!(starts.is_empty() || count(&stream, &[starts]) == 1, "{context}");
            let ends =
                ["data: [DONE]", "event: response.completed", "event: message_stop", "\"finishReason\""][at];
            assert_eq!(count(&stream, &[ends]), 1, "{context}");
            assert_eq!(count(&stream, &["\"error\":{"]), 0, "{context}");
            // Both read the question: the usage is that of two requests.
            let events = payloads(&stream);
            let used = events.iter().rev().find_map(|event| {
                let places = [
                    "/usage/completion_tokens",
                    "/response/usage/output_tokens",
                    "/usage/output_tokens",
                    "/usageMetadata/candidatesTokenCount",
                ];
                places.iter().find_map(|place| event.pointer(place)?.as_u64())
            });
            assert!(used.unwrap() > 5, "{context}");
        }
        assert_eq!(upstream.stats().models["dies"], 4);
        assert_eq!(upstream.stats().models["lives"], 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_it_ends_in_an_error_and_nobody_else_is_asked() {
    let (server, upstream) = server(PROFILES[0], PROFILES[2], "error").await;
    for (path, body) in doors() {
        let stream = server.post(path, &body).send().await.unwrap().text().await.unwrap();
        assert!(stream.contains("error"), "{path}\n{stream}");
        assert!(!text(&stream).contains("Go on"), "{path}");
    }
    assert!(!upstream.stats().models.contains_key("lives"));
}
