//! The response cache through real sockets: at every door, whole and streamed, with usage, free, and forgotten on demand.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof::{Name, Principal, Role};
use maof_testkit::{Act, Script, Upstream};
use maof_tests::served::{Server, json_of};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const CONFIG: &str = "{cache: {}, providers: {up: {profile: openai_compatible, base_url: 'URL', api_key: k}}, \
                      endpoints: [{name: model, provider: up, model: m, price: {input: 1, output: 1}}]}";

async fn server(config: &str) -> (Server, Upstream) {
    let upstream = Upstream::start(Script::any([Act::default()])).await;
    let server = Server::start(&config.replace("URL", &upstream.base_url())).await;
    (server, upstream)
}

fn question(text: &str, more: Value) -> Value {
    let mut body =
        json!({"model": "model", "temperature": 0, "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn ask(server: &Server, body: &Value, control: &str) -> (String, String) {
    let request = server.post("/v1/chat/completions", body).header("cache-control", control);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    (header(&response, "x-maof-cache").to_owned(), response.text().await.unwrap())
}

fn text_of(answer: &str) -> Value {
    serde_json::from_str::<Value>(answer).unwrap()["choices"][0]["message"]["content"].clone()
}

/// S05: a stream out of the cache returns usage to whom asks for it, and to nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_given_whole_and_streamed_with_usage_when_asked() {
    let (server, upstream) = server(CONFIG).await;
    for (text, first) in [("one", json!({})), ("two", json!({"stream": true}))] {
        let (status, body) = ask(&server, &question(text, first), "").await;
        assert_eq!(status, "miss", "{body}");
        let (status, whole) = ask(&server, &question(text, json!({})), "").await;
        assert_eq!(status, "hit", "{whole}");
        let answer: Value = serde_json::from_str(&whole).unwrap();
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{whole}");
        let stream = question(text, json!({"stream": true}));
        let (status, without) = ask(&server, &stream, "").await;
        assert_eq!((status.as_str(), without.contains("prompt_tokens")), ("hit", false), "{without}");
        let options = json!({"stream": true, "stream_options": {"include_usage": true}});
        let (status, with) = ask(&server, &question(text, options), "").await;
        assert_eq!((status.as_str(), with.contains("prompt_tokens")), ("hit", true), "{with}");
        for stream in [without, with] {
            let said: String = stream
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
                .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
                .collect();
            assert_eq!(text_of(&whole), said);
            assert!(stream.contains("\"finish_reason\":\"stop\"") && stream.ends_with("data: [DONE]\n\n"));
        }
    }
    assert_eq!(upstream.stats().requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_is_free_says_its_age_and_is_counted() {
    let (server, upstream) = server(CONFIG).await;
    let body = question("hi", json!({}));
    let first = server.post("/v1/chat/completions", &body).send().await.unwrap();
    let (cost, attempts) = (header(&first, "x-maof-cost-usd").to_owned(), header(&first, "x-maof-attempts"));
    assert_ne!((cost.as_str(), attempts), ("0", "0"));
    let first = first.text().await.unwrap();
    let again = server.post("/v1/chat/completions", &body).send().await.unwrap();
    assert!(["0", "1"].contains(&header(&again, "age")));
    assert_eq!(header(&again, "x-maof-attempts"), "0");
    assert_eq!(header(&again, "x-maof-cost-usd").parse::<f64>().unwrap(), 0.0);
    assert_eq!(header(&again, "x-maof-endpoint"), "model");
    assert_eq!(again.text().await.unwrap(), first, "byte for byte");
    let metrics = server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap();
    for line in [
        "maof_cache_total{result=\"hit\"} 1",
        "maof_cache_total{result=\"miss\"} 1",
        "maof_calls_total{operation=\"chat\",outcome=\"ok\"} 2",
        "maof_attempts_total{endpoint=\"model\",outcome=\"ok\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    assert_eq!(upstream.stats().requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_want_a_new_answer_and_what_varies_is_asked_each_time() {
    let (server, upstream) = server(CONFIG).await;
    let body = question("hi", json!({}));
    for (control, expect) in [("no-store", "miss"), ("", "miss"), ("no-cache", "bypass"), ("", "hit")] {
        assert_eq!(ask(&server, &body, control).await.0, expect, "{control}");
    }
    let warm = question("hi", json!({"temperature": 1}));
    for (control, expect) in [("", "bypass"), ("max-age=60", "miss"), ("max-age=60", "hit"), ("", "bypass")] {
        assert_eq!(ask(&server, &warm, control).await.0, expect, "{control}");
    }
    assert_eq!(upstream.stats().requests, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_has_answers_of_its_own() {
    let (server, upstream) = server(CONFIG).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
                          "generationConfig": {"temperature": 0}});
    let doors = [
        ("/v1/chat/completions", question("hi", json!({}))),
        ("/v1/responses", json!({"model": "model", "temperature": 0, "input": "hi"})),
        ("/v1/messages", json!({"model": "model", "temperature": 0, "max_tokens": 9, "messages": messages})),
        ("/v1beta/models/model:generateContent", contents),
    ];
    for (path, body) in &doors {
        let mut answers = Vec::new();
        for expect in ["miss", "hit"] {
            let response = server.post(path, body).send().await.unwrap();
            assert_eq!(header(&response, "x-maof-cache"), expect, "{path}");
            answers.push(response.json::<Value>().await.unwrap());
        }
        let text = answers[0].to_string();
        assert!(text.contains("hi"), "{path}: {text}");
        assert_eq!(answers[0]["usage"], answers[1]["usage"], "{path}");
    }
    assert_eq!(upstream.stats().requests, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_forgets_what_is_kept_and_nobody_else_does() {
    let (server, upstream) = server(CONFIG).await;
    let body = question("hi", json!({}));
    ask(&server, &body, "").await;
    let clear =
        |query: &str| server.client.delete(format!("{}/cache{query}", server.base)).bearer_auth(&server.key);
    assert_eq!(json_of(clear("")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(json_of(clear("?agnet=model")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&server, &body, "").await.0, "hit");
    let name = |text: &str| text.parse::<Name>().unwrap();
    let mut admin = (*Principal::local()).clone();
    admin.roles = vec![Role::Admin];
    assert_eq!(server.maof.forget_answers(&admin, None).await.unwrap(), 0, "another tenant's");
    admin.tenant = name("acme");
    assert_eq!(server.maof.forget_answers(&admin, Some(&name("other"))).await.unwrap(), 0);
    assert_eq!(server.maof.forget_answers(&admin, Some(&name("model"))).await.unwrap(), 1);
    assert_eq!(ask(&server, &body, "").await.0, "miss");
    assert_eq!(upstream.stats().requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_is_given_to_whom_nothing_is_left() {
    let budget = "{cache: {}, budgets: [{account: tenant, limit_usd: 0.0002, window: total}],";
    let (server, _upstream) = server(&CONFIG.replace("{cache: {},", budget)).await;
    let mut refused = None;
    for n in 0..50 {
        let body = question(&format!("question {n}"), json!({"max_tokens": 20}));
        let status = server.post("/v1/chat/completions", &body).send().await.unwrap().status();
        if status != StatusCode::OK {
            refused = Some(status);
            break;
        }
    }
    assert_eq!(refused, Some(StatusCode::TOO_MANY_REQUESTS));
    let known = question("question 0", json!({"max_tokens": 20}));
    assert_eq!(ask(&server, &known, "").await.0, "hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cache_nothing_is_said_of_one() {
    let (server, upstream) = server(&CONFIG.replace("cache: {}, ", "")).await;
    for _ in 0..2 {
        assert_eq!(ask(&server, &question("hi", json!({})), "").await.0, "");
    }
    assert_eq!(upstream.stats().requests, 2);
    let error = server.maof.forget_answers(&Principal::local(), None).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_other_words_is_answered_likewise_where_that_is_wished() {
    let asked = "How can I get a refund for my train ticket to Paris?";
    let other = "How do I get the refund for a train ticket to Paris?";
    let (exact, _upstream) = server(CONFIG).await;
    assert_eq!(ask(&exact, &question(asked, json!({})), "").await.0, "miss");
    assert_eq!(ask(&exact, &question(other, json!({})), "").await.0, "miss", "off by default");
    let (server, upstream) = server(&CONFIG.replace("cache: {}", "cache: {semantic: {}}")).await;
    let first = text_of(&ask(&server, &question(asked, json!({})), "").await.1);
    for stream in [false, true] {
        let body = question(other, json!({"stream": stream}));
        let response = server.post("/v1/chat/completions", &body).send().await.unwrap();
        let percent: u32 = header(&response, "x-maof-cache-similarity").parse().unwrap();
        assert_eq!(
            (header(&response, "x-maof-cache"), header(&response, "x-maof-attempts")),
            ("similar", "0")
        );
        assert!((45..100).contains(&percent), "{percent}");
        assert!(response.text().await.unwrap().contains(first.as_str().unwrap()));
    }
    assert_eq!(ask(&server, &question(asked, json!({})), "").await.0, "hit");
    let elsewhere = other.replace("Paris", "Berlin");
    assert_eq!(ask(&server, &question(&elsewhere, json!({})), "").await.0, "miss");
    assert_eq!(ask(&server, &question(other, json!({})), "no-cache").await.0, "bypass");
    // Other instructions, what was said before, or another number of tokens make another question.
    let instructed = json!([{"role": "system", "content": "In French."}, {"role": "user", "content": asked}]);
    assert_eq!(ask(&server, &question("", json!({"messages": instructed})), "").await.0, "miss");
    assert_eq!(
        ask(&server, &question(&other.replace("the refund", "that refund"), json!({"max_tokens": 5})), "")
            .await
            .0,
        "miss"
    );
    assert_eq!(upstream.stats().requests, 5);
    let text = server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("maof_cache_total{result=\"similar\"} 2\n"), "{text}");
    // What an admin forgets is not given in other words either.
    let url = format!("{}/cache", server.base);
    server.client.delete(url).bearer_auth(&server.admin).send().await.unwrap();
    assert_eq!(ask(&server, &question(other, json!({})), "no-store").await.0, "miss");
}
