//! The gateway through real sockets: every door in front of an upstream of every dialect.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use futures::StreamExt as _;
use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use serde_json::{Value, json};

/// A name, the profile, and what its base URL has after the upstream's address.
const UPSTREAMS: [(&str, &str, &str); 4] = [
    ("chat", "openai_compatible", "/v1"),
    ("responses", "openai_responses", "/v1"),
    ("messages", "anthropic", "/v1"),
    ("contents", "gemini", "/v1beta"),
];

const DOORS: [Door; 4] = [Door::Chat, Door::Responses, Door::Messages, Door::Contents];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Chat,
    Responses,
    Messages,
    Contents,
}

impl Door {
    fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Door::Chat, _) => "/v1/chat/completions".to_owned(),
            (Door::Responses, _) => "/v1/responses".to_owned(),
            (Door::Messages, _) => "/v1/messages".to_owned(),
            (Door::Contents, false) => format!("/v1beta/models/{model}:generateContent"),
            (Door::Contents, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }

    fn body(self, model: &str, text: &str, stream: bool, tool: bool) -> Value {
        let schema =
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let mut body = match self {
            Door::Chat => {
                json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})
            }
            Door::Responses => json!({"model": model, "stream": stream, "input": text}),
            Door::Messages => {
                json!({"model": model, "stream": stream, "max_tokens": 64, "messages": [{"role": "user", "content": text}]})
            }
            Door::Contents => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        };
        if tool {
            body["tools"] = match self {
                Door::Chat => {
                    json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}])
                }
                Door::Responses => json!([{"type": "function", "name": "weather", "parameters": schema}]),
                Door::Messages => json!([{"name": "weather", "input_schema": schema}]),
                Door::Contents => {
                    json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}]}])
                }
            };
        }
        body
    }

    /// The text of a whole answer.
    fn text(self, answer: &Value) -> String {
        let texts = |items: &Value, at: &str| -> String {
            items.as_array().into_iter().flatten().filter_map(|item| item[at].as_str()).collect()
        };
        match self {
            Door::Chat => answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
            Door::Responses => {
                let items = answer["output"].as_array().into_iter().flatten();
                items.map(|item| texts(&item["content"], "text")).collect()
            }
            Door::Messages => texts(&answer["content"], "text"),
            Door::Contents => texts(&answer["candidates"][0]["content"]["parts"], "text"),
        }
    }

    /// The tool that a whole answer wants, and its arguments.
    fn call(self, answer: &Value) -> (String, Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let parsed = |value: &Value| serde_json::from_str(value.as_str().unwrap_or("null")).unwrap();
        let among = |items: &Value, is: &dyn Fn(&Value) -> bool| {
            items.as_array().into_iter().flatten().find(|item| is(item)).cloned().unwrap_or_default()
        };
        match self {
            Door::Chat => {
                let function = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
                (text(&function["name"]), parsed(&function["arguments"]))
            }
            Door::Responses => {
                let item = among(&answer["output"], &|item| item["type"] == "function_call");
                (text(&item["name"]), parsed(&item["arguments"]))
            }
            Door::Messages => {
                let block = among(&answer["content"], &|block| block["type"] == "tool_use");
                (text(&block["name"]), block["input"].clone())
            }
            Door::Contents => {
                let parts = &answer["candidates"][0]["content"]["parts"];
                let part = among(parts, &|part| part["functionCall"].is_object());
                (text(&part["functionCall"]["name"]), part["functionCall"]["args"].clone())
            }
        }
    }

    /// The text that a frame of a stream adds.
    fn piece(self, frame: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self {
            Door::Chat => text(&frame["choices"][0]["delta"]["content"]),
            Door::Responses if frame["type"] == "response.output_text.delta" => text(&frame["delta"]),
            Door::Responses => String::new(),
            Door::Messages => text(&frame["delta"]["text"]),
            Door::Contents => self.text(frame),
        }
    }

    /// Whether a stream has ended as it should.
    fn is_over(self, stream: &str) -> bool {
        match self {
            Door::Chat => stream.ends_with("data: [DONE]\n\n"),
            Door::Responses => stream.contains("event: response.completed\n"),
            Door::Messages => stream.contains("event: message_stop\n"),
            Door::Contents => stream.contains("\"finishReason\":\"STOP\""),
        }
    }
}

async fn server(script: Script) -> (Server, Upstream) {
    served(script, "").await
}

async fn served(script: Script, more: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(script).await;
    let mut config = format!("{more}\nresilience: {{retry: {{max_attempts: 1}}}}\nproviders:\n");
    let origin = upstream.origin();
    for (name, profile, path) in UPSTREAMS {
        config += &format!("  {name}: {{profile: {profile}, base_url: '{origin}{path}', api_key: k}}\n");
    }
    config += "endpoints:\n";
    for (name, ..) in UPSTREAMS {
        config += &format!("  - {{name: {name}, provider: {name}, model: up}}\n");
    }
    (Server::start(&config).await, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_is_answered_by_an_upstream_of_every_dialect() {
    let (server, _upstream) = server(Script::default()).await;
    for door in DOORS {
        for (model, ..) in UPSTREAMS {
            let what = format!("{door:?} in front of {model}");
            let ask = |stream, tool| {
                let body = door.body(model, "schöne Grüße, 世界", stream, tool);
                server.post(&door.path(model, stream), &body)
            };
            let (status, whole) = json_of(ask(false, false)).await;
            assert!(status.is_success(), "{what}: {whole}");
            assert_eq!(door.text(&whole), "echo: schöne Grüße, 世界", "{what}");

            let stream = ask(true, false).send().await.unwrap().text().await.unwrap();
            let data = stream
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .filter(|data| *data != "[DONE]");
            let said: String = data.map(|data| door.piece(&serde_json::from_str(data).unwrap())).collect();
            assert_eq!(said, "echo: schöne Grüße, 世界", "{what}: {stream}");
            assert!(door.is_over(&stream), "{what}: {stream}");

            let (status, wish) = json_of(ask(false, true)).await;
            assert!(status.is_success(), "{what}: {wish}");
            let (name, arguments) = door.call(&wish);
            assert_eq!(name, "weather", "{what}: {wish}");
            assert!(arguments["city"].is_string(), "{what}: {wish}");
        }
    }
}

/// S05: errors speak the dialect of their door, after the first byte too.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_says_so_in_the_doors_own_words() {
    let (server, _upstream) = server(Script::any([Act::Cut(2)])).await;
    for door in DOORS {
        for (model, ..) in UPSTREAMS {
            let what = format!("{door:?} in front of {model}");
            let body = door.body(model, "one two three four five six", true, false);
            let stream =
                server.post(&door.path(model, true), &body).send().await.unwrap().text().await.unwrap();
            assert!(!door.is_over(&stream), "{what}: {stream}");
            let told = match door {
                Door::Chat | Door::Contents => stream.contains("data: {\"error\":{"),
                Door::Responses | Door::Messages => stream.contains("event: error\ndata: {"),
            };
            assert!(told, "{what}: {stream}");
        }
    }
}

/// S06: within a second, streaming or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_leaves_takes_the_upstream_along() {
    let (server, upstream) = server(Script::any([Act::Hang])).await;
    let mut aborted = 0;
    for door in DOORS {
        for stream in [false, true] {
            let body = door.body("chat", "hello", stream, false);
            let request = server.post(&door.path("chat", stream), &body);
            let left = tokio::time::timeout(Duration::from_millis(300), request.send()).await;
            assert!(left.is_err(), "{door:?}: nobody answered");
            aborted += 1;
            tokio::time::timeout(Duration::from_secs(1), upstream.until(|stats| stats.aborted == aborted))
                .await
                .unwrap();
        }
    }
}

/// Asks at the chat door, and leaves before the answer's end.
async fn leave(server: &Server, stream: bool) {
    let body = Door::Chat.body("chat", "hello", stream, false);
    let asked = server.post(&Door::Chat.path("chat", stream), &body).send();
    let _ =
        tokio::time::timeout(Duration::from_millis(100), async { asked.await.unwrap().bytes().await }).await;
}

/// M08: or it is drained to a bound, by policy.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_drained_without_its_caller_within_a_bound() {
    let policy = |ms: u32| format!("server: {{on_disconnect: drain, drain_ms: {ms}}}");
    for stream in [false, true] {
        let (first, script) = match stream {
            true => (
                "streamed",
                Script::any([Act::Drip { frames: 6, ms: 60 }, Act::Drip { frames: 400, ms: 60 }]),
            ),
            false => ("whole", Script::any([Act::Delay(400), Act::Hang])),
        };
        let (server, upstream) = served(script.clone(), &policy(20_000)).await;
        leave(&server, stream).await;
        let stats = upstream.until(|stats| stats.open == 0 && stats.requests == 1).await;
        assert_eq!((stats.finished, stats.aborted), (1, 0), "{first}: it was let finish");

        let (server, upstream) = served(script, &policy(200)).await;
        leave(&server, stream).await;
        leave(&server, stream).await;
        let stats = upstream.until(|stats| stats.open == 0 && stats.requests == 2).await;
        assert!(stats.aborted >= 1, "{first}: but not for ever");
    }
}

/// S05: nothing that was asked for is lost in silence.
#[tokio::test(flavor = "multi_thread")]
async fn fields_that_cannot_be_said_are_refused_by_name_or_left_out_and_reported() {
    let (server, _upstream) = server(Script::default()).await;
    let mut body = Door::Chat.body("messages", "hi", false, false);
    body["logit_bias"] = json!({"1": 5});
    let (status, refused) = json_of(server.post("/v1/chat/completions", &body)).await;
    assert_eq!((status.as_u16(), &refused["error"]["param"]), (400, &json!("logit_bias")), "{refused}");
    body.as_object_mut().unwrap().remove("logit_bias");
    body["store"] = json!(true);
    let told = server.post("/v1/chat/completions", &body).send().await.unwrap();
    assert!(told.status().is_success());
    assert_eq!(told.headers()["x-maof-dropped"], "store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thought_that_a_provider_has_kept_is_left_out_for_others() {
    let (server, upstream) = server(Script::default()).await;
    let said = |text: &str| json!({"type": "message", "role": "user", "content": text});
    for (model, ..) in UPSTREAMS {
        let input = json!([said("hi"), {"type": "item_reference", "id": "rs_1"}, said("and now")]);
        let body = json!({"model": model, "input": input});
        let (status, answer) = json_of(server.post("/v1/responses", &body)).await;
        assert!(status.is_success(), "{model}: {answer}");
        let sent = upstream.received().pop().unwrap().body;
        let told = String::from_utf8_lossy(&sent).contains("rs_1");
        assert_eq!(told, model == "responses", "{model}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_by_the_provider_or_here() {
    let (server, _upstream) = server(Script::default()).await;
    for (model, ..) in UPSTREAMS {
        let mut body = Door::Messages.body(model, "one two three", false, false);
        body.as_object_mut().unwrap().remove("max_tokens");
        let (status, count) = json_of(server.post("/v1/messages/count_tokens", &body)).await;
        assert!(status.is_success(), "{model}: {count}");
        assert!(count["input_tokens"].as_u64().unwrap() >= 3, "{model}: {count}");
        let body = Door::Contents.body(model, "one two three", false, false);
        let (_, count) = json_of(server.post(&format!("/v1beta/models/{model}:countTokens"), &body)).await;
        assert!(count["totalTokens"].as_u64().unwrap() >= 3, "{model}: {count}");
    }
}

/// S03: nothing is buffered.
#[tokio::test(flavor = "multi_thread")]
async fn frames_are_not_held_back() {
    let (server, _upstream) = server(Script::any([Act::Drip { frames: 4, ms: 80 }])).await;
    let body = Door::Messages.body("chat", "one two three four", true, false);
    let mut stream = server.post("/v1/messages", &body).send().await.unwrap().bytes_stream();
    let mut pieces = 0;
    while let Some(bytes) = stream.next().await {
        pieces += usize::from(String::from_utf8_lossy(&bytes.unwrap()).contains("text_delta"));
    }
    assert!(pieces >= 3, "each word comes by itself: {pieces}");
}
