//! MAOF in front of a real model: callers at every door, behind it a local server in each dialect that it speaks.
//! Protocol, usage and money are checked, against the server's own counters too; never what the model says.
//!
//! `scripts/model` installs the model, serves it and runs these tests, one after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;
mod model;

use futures::StreamExt as _;
use maof::{Account, Measure, Window};
use maof_tests::served::json_of;
use serde_json::{Value, json};

use door::Door;
use model::{Model, UPSTREAMS, counts, nanos, rows};

/// Tokens of an answer that is cut.
const MOST: u64 = 8;
const QUESTION: &str = "Tell me a long story about a fox, a goose and a schöne 世界.";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn every_door_is_told_and_billed_what_the_model_used() {
    let (model, server) = Model::served("").await;
    let mut calls = 0;
    for (upstream, _) in UPSTREAMS {
        for (door, stream) in Door::ALL.into_iter().flat_map(|door| [(door, false), (door, true)]) {
            let what = format!("{door:?} in front of {upstream}, stream {stream}");
            let before = model.counted().await;
            let body = door.body(upstream, QUESTION, MOST, stream);
            let response = server.post(&door.path(upstream, stream), &body).send().await.unwrap();
            assert!(response.status().is_success(), "{what}: {}", response.text().await.unwrap());
            let cost =
                response.headers().get("x-maof-cost-usd").map(|cost| cost.to_str().unwrap().to_owned());
            let text = response.text().await.unwrap();
            let told =
                if stream { door.stream(&text) } else { door.whole(&serde_json::from_str(&text).unwrap()) };
            assert!(!told.text.is_empty(), "{what}: {text}");
            let [done, cut] = door.done_and_cut();
            // The server itself calls a response complete that it has cut: nobody behind it can know.
            assert_eq!(told.finish, if upstream == "responses" { done } else { cut }, "{what}: {text}");

            assert_eq!(told.usage, model.counted_since(before).await, "{what}: {text}");
            assert_eq!(told.usage[2], MOST, "{what}: {text}");
            calls += 1;
            let row = rows(&server, calls).await.swap_remove(0);
            assert_eq!(counts(&row.usage), told.usage, "{what}: {row:?}");
            assert!(!row.usage.estimated && row.failure.is_none(), "{what}: {row:?}");
            assert_eq!(row.endpoint.as_str(), upstream, "{what}");
            assert_eq!(row.cost.nanos(), nanos(told.usage), "{what}: {row:?}");
            let header = (!stream).then(|| row.cost.to_string().replace('$', ""));
            assert_eq!(cost, header, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn an_answer_has_the_shape_of_the_schema_at_every_door() {
    // Of its dialects the server heeds a schema in chat completions only.
    let (_model, server) = Model::served("").await;
    let schema = json!({
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Lyon"]}, "large": {"type": "boolean"}},
        "required": ["city", "large"],
        "additionalProperties": false,
    });
    for (door, stream) in Door::ALL.into_iter().flat_map(|door| [(door, false), (door, true)]) {
        let what = format!("{door:?}, stream {stream}");
        let mut body = door.body("chat", "What is the capital of France?", 512, stream);
        door.shape(&mut body, &schema);
        let response = server.post(&door.path("chat", stream), &body).send().await.unwrap();
        assert!(response.status().is_success(), "{what}: {}", response.text().await.unwrap());
        let text = response.text().await.unwrap();
        let told =
            if stream { door.stream(&text) } else { door.whole(&serde_json::from_str(&text).unwrap()) };
        let place: Value = serde_json::from_str(&told.text).unwrap_or_else(|e| panic!("{what}: {e}: {text}"));
        assert!(place["city"] == "Paris" || place["city"] == "Lyon", "{what}: {place}");
        assert!(place["large"].is_boolean(), "{what}: {place}");
        assert_eq!(place.as_object().unwrap().len(), 2, "{what}: {place}");
        assert_eq!(told.finish, door.done_and_cut()[0], "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn a_budget_that_is_used_up_refuses_before_the_model_is_asked() {
    let limit = 400_000;
    let (model, server) = Model::served("budgets: [{account: tenant, limit_usd: 0.0004}]").await;
    let tenant = server.maof.authenticate(&server.key).unwrap().tenant.clone();
    let account =
        Account { tenant, name: "tenant".parse().unwrap(), measure: Measure::Money, window: Window::Total };
    let (mut answered, mut before) = (0, model.counted().await);
    let (status, refused) = loop {
        let body = Door::Chat.body("chat", QUESTION, MOST, false);
        let (status, answer) = json_of(server.post("/v1/chat/completions", &body)).await;
        if !status.is_success() {
            break (status, answer);
        }
        (answered, before) = (answered + 1, model.counted().await);
        assert!(answered < 100, "it never ends");
    };
    assert!(answered > 0, "{refused}");
    assert_eq!(
        (status.as_u16(), &refused["error"]["code"]),
        (429, &json!("insufficient_quota")),
        "{refused}"
    );
    for door in Door::ALL {
        let body = door.body("chat", QUESTION, MOST, true);
        let (status, refused) = json_of(server.post(&door.path("chat", true), &body)).await;
        assert_eq!(status.as_u16(), 429, "{door:?}: {refused}");
    }
    assert_eq!(model.counted_since(before).await, [0; 3], "nobody asked the model any more");

    let rows = rows(&server, answered).await;
    let now = rows[0].began;
    let balance = server.maof.ledger().balance(&account, now).await.unwrap();
    assert_eq!(balance.spent, rows.iter().map(|row| row.cost.nanos()).sum::<i64>());
    assert_eq!(balance.held, 0);
    assert!(0 < balance.spent && balance.spent <= limit, "{balance:?}");
}

/// More tokens than any machine makes before the caller is gone.
const ENDLESS: u64 = 1900;

/// Streams only: the server itself does not always notice who leaves while it makes a whole answer
/// (<https://github.com/ggml-org/llama.cpp/issues/9273>, measured November 2026).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn a_caller_who_leaves_stops_the_model() {
    let (model, server) = Model::served("").await;
    let mut calls = 0;
    // Doors and upstreams of one dialect: there a field of the server's own reaches it, which keeps it from ending.
    for (door, upstream) in [(Door::Chat, "chat"), (Door::Responses, "responses")] {
        let before = model.counted().await;
        let mut body = door.body(upstream, QUESTION, ENDLESS, true);
        body["ignore_eos"] = json!(true);
        let asked = server.post(&door.path(upstream, true), &body);
        let mut pieces = asked.send().await.unwrap().bytes_stream();
        for _ in 0..3 {
            pieces.next().await.unwrap().unwrap();
        }
        model.until_busy_with(1).await;
        drop(pieces);
        model.until_busy_with(0).await;
        let [input, _, output] = model.counted_since(before).await;
        assert!(input > 0 && output < ENDLESS, "{door:?}: {output} tokens");

        calls += 1;
        let row = rows(&server, calls).await.swap_remove(0);
        assert!(row.cost.nanos() > 0 && row.usage.estimated, "{door:?}: what was asked for is paid: {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn vectors_are_given_and_billed_at_either_door() {
    let (model, server) = Model::served("").await;
    let texts = ["Paris", "The capital of France"];
    let content = |text: &str| json!({"model": "models/chat", "content": {"parts": [{"text": text}]}});
    let requests = texts.map(content);
    let doors = [
        (
            "/v1/embeddings",
            json!({"model": "chat", "input": texts}),
            "/data/0/embedding",
            "/data/1/embedding",
        ),
        (
            "/v1beta/models/chat:batchEmbedContents",
            json!({"requests": requests}),
            "/embeddings/0/values",
            "/embeddings/1/values",
        ),
    ];
    let mut calls = 0;
    for (path, body, first, second) in doors {
        let before = model.counted().await;
        let (status, answer) = json_of(server.post(path, &body)).await;
        assert!(status.is_success(), "{path}: {answer}");
        let vector = |at: &str| answer.pointer(at).and_then(Value::as_array).unwrap().clone();
        assert_eq!([vector(first).len(), vector(second).len()], [576, 576], "{path}");
        assert_ne!(vector(first), vector(second), "{path}");
        calls += 1;
        let row = rows(&server, calls).await.swap_remove(0);
        let counted = model.counted_since(before).await;
        assert_eq!(counts(&row.usage), counted, "{path}: {row:?}");
        assert_eq!(row.cost.nanos(), nanos(counted), "{path}: {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn tokens_are_counted_as_they_are_billed() {
    let (_model, server) = Model::served("").await;
    let mut body = Door::Messages.body("messages", QUESTION, 1, false);
    let (_, answer) = json_of(server.post("/v1/messages", &body)).await;
    let [billed, ..] = Door::Messages.whole(&answer).usage;
    body.as_object_mut().unwrap().retain(|key, _| key == "model" || key == "messages");
    let (status, count) = json_of(server.post("/v1/messages/count_tokens", &body)).await;
    assert!(status.is_success(), "{count}");
    assert_eq!(count["input_tokens"], json!(billed));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a local model: scripts/model"]
async fn what_is_too_long_for_the_model_is_refused_as_such() {
    let (_model, server) = Model::served("").await;
    for (upstream, _) in UPSTREAMS {
        for (door, stream) in Door::ALL.into_iter().flat_map(|door| [(door, false), (door, true)]) {
            let what = format!("{door:?} in front of {upstream}, stream {stream}");
            let body = door.body(upstream, &"a ".repeat(2100), MOST, stream);
            let (status, refused) = json_of(server.post(&door.path(upstream, stream), &body)).await;
            let (at, expect) = match door {
                Door::Chat | Door::Responses => ("/error/code", "context_length_exceeded"),
                Door::Messages => ("/error/type", "invalid_request_error"),
                Door::Contents => ("/error/status", "INVALID_ARGUMENT"),
            };
            assert_eq!(
                (status.as_u16(), refused.pointer(at)),
                (400, Some(&json!(expect))),
                "{what}: {refused}"
            );
        }
    }
}
