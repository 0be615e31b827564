//! Tasks as Hugging Face's documentation shows them, each page at
//! `https://huggingface.co/docs/inference-providers/tasks/` (read 2026-11-21), through an endpoint.

use std::sync::Arc;

use maof_core::media::{ImageRequest, TranscribeRequest};
use maof_core::{
    Answer, Body, Call, Card, ChatRequest, Dialect as _, EmbedRequest, Endpoint as _, Envelope, Error,
    ErrorKind, Finish, Incoming, Message, Name, Operation, Reply, Response, Result, Speaker, Tariff,
    Timestamp, Unit,
};
use maof_testkit::FakeClock;
use maof_testkit::endpoint::call;
use serde_json::{Value, json};

use super::HUGGINGFACE_TASKS;
use crate::client::fake::Fake;
use crate::client::{Http, Request};
use crate::{HttpEndpoint, OPENAI, ProviderConfig};

const JSON: &str = "application/json";
const ROUTER: &str = "POST https://router.huggingface.co/hf-inference/models/";

/// What a call is answered, and what was asked for it.
async fn exchange(
    asked: Call,
    unsupported: &str,
    kind: &'static str,
    answer: impl Into<bytes::Bytes>,
) -> (Result<Reply>, Vec<Request>) {
    let card = Card {
        name: Name::new("e").unwrap(),
        provider: Name::new("hf").unwrap(),
        model: "ProsusAI/finbert".into(),
        operations: Operation::ALL.to_vec(),
        tariff: Tariff::default(),
        context: None,
        max_output: 100,
    };
    let config = json!({"profile": "huggingface_tasks", "api_key": "hf_k", "unsupported": unsupported});
    let config: ProviderConfig = serde_json::from_value(config).unwrap();
    let http = Arc::new(Fake::default().then(200, kind, answer));
    let clock = FakeClock::at(Timestamp::default());
    let endpoint = HttpEndpoint::with_http(card, &config, clock, Arc::clone(&http) as Arc<dyn Http>).unwrap();
    let reply = endpoint.call(asked).await;
    (reply, http.asked())
}

fn of(body: Body) -> Call {
    Call { body, ..call("") }
}

async fn answered(asked: Call, kind: &'static str, answer: impl Into<bytes::Bytes>) -> (Response, Request) {
    let (reply, mut requests) = exchange(asked, "refuse", kind, answer).await;
    (reply.unwrap().collect().await.unwrap().0, requests.remove(0))
}

async fn refused(asked: Call, kind: &'static str, answer: &'static str) -> Error {
    let (reply, _) = exchange(asked, "refuse", kind, answer).await;
    match reply {
        Ok(reply) => reply.collect().await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn each_task_of_text_is_understood_by_the_shape_of_its_answer() {
    let check = async |answer: &'static str, text: &str| {
        for stream in [false, true] {
            let asked = Call { stream, ..call("I like you.") };
            let (response, request) = answered(asked, JSON, answer).await;
            assert_eq!(response.text().unwrap(), text, "{answer}");
            assert_eq!(response.model.as_deref(), Some("ProsusAI/finbert"));
            assert_eq!(format!("{} {}", request.method, request.url), format!("{ROUTER}ProsusAI/finbert"));
            assert_eq!(request.headers["authorization"], "Bearer hf_k");
            assert_eq!(request.body, r#"{"inputs":"I like you."}"#);
        }
    };
    let best = r#"{"label":"POSITIVE","score":0.9,"scores":[{"label":"POSITIVE","score":0.9},{"label":"NEGATIVE","score":0.1}]}"#;
    // text-classification
    check(r#"[{"label": "NEGATIVE", "score": 0.1}, {"label": "POSITIVE", "score": 0.9}]"#, best).await;
    check(r#"[[{"label": "POSITIVE", "score": 0.9}, {"label": "NEGATIVE", "score": 0.1}]]"#, best).await;
    // text-generation
    check(r#"[{"generated_text": "And I like you."}]"#, "And I like you.").await;
    check(r#"{"generated_text": "And I like you."}"#, "And I like you.").await;
    // summarization and translation
    check(r#"[{"summary_text": "Liking."}]"#, "Liking.").await;
    check(r#"[{"translation_text": "Je t'aime bien."}]"#, "Je t'aime bien.").await;
    // fill-mask, which has no shape of its own here
    check(r#"[{"score": 1.0, "sequence": "a"}]"#, r#"[{"score":1.0,"sequence":"a"}]"#).await;
    check("[]", "[]").await;
}

#[tokio::test]
async fn text_generation_says_why_it_stopped_where_it_is_asked_for_details() {
    // The members of `TextGenerationOutput` in the npm package `@huggingface/tasks` 0.21.54.
    let check = async |reason: &str, expect: Finish| {
        let details = json!({"finish_reason": reason, "generated_tokens": 2, "prefill": [], "tokens": []});
        let body = json!([{"generated_text": "And I", "details": details}]).to_string();
        let (response, _) = answered(call("I like you."), JSON, body).await;
        let Ok(Answer::Chat(chat)) = response.answer() else { panic!("a chat") };
        assert_eq!(chat.choices[0].finish, Some(expect), "{reason}");
    };
    check("length", Finish::Length).await;
    check("eos_token", Finish::Stop).await;
    check("stop_sequence", Finish::Stop).await;
}

#[tokio::test]
async fn settings_become_parameters_and_instructions_stand_before_the_text() {
    let body = json!({
        "model": "m", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "stop": ["."], "seed": 3, "user": "u",
        "parameters": {"return_full_text": false, "temperature": 2},
        "messages": [{"role": "system", "content": "translate English to German:"}, {"role": "user", "content": "Hi"}],
    });
    let asked = of(OPENAI.read(Incoming::json(Operation::Chat, body.to_string())).unwrap());
    let (reply, requests) = exchange(asked, "refuse", JSON, r#"[{"generated_text": "Hallo"}]"#).await;
    assert_eq!(reply.unwrap().head.dropped, ["user"]);
    let sent: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let expect = json!({"inputs": "translate English to German:\nHi", "parameters": {
        "return_full_text": false, "max_new_tokens": 7, "temperature": 0.5, "top_p": 0.9, "stop": ["."], "seed": 3,
    }});
    assert_eq!(sent, expect);
}

#[tokio::test]
async fn pictures_come_as_bytes() {
    let ask = ImageRequest {
        prompt: "A cat".to_owned(),
        size: Some("512x256".to_owned()),
        seed: Some(9),
        rest: json!({"parameters": {"guidance_scale": 4}, "response_format": "b64_json"})
            .as_object()
            .unwrap()
            .clone(),
        ..ImageRequest::default()
    };
    let asked = of(Body::Image(Arc::new(ask)));
    let (response, request) = answered(asked.clone(), "image/jpeg", &b"\xff\xd8"[..]).await;
    let Answer::Image(made) = response.answer().unwrap() else { panic!("pictures") };
    assert_eq!(made.pictures[0].url, "data:image/jpeg;base64,/9g=");
    assert_eq!(response.usage.unwrap().get(Unit::Image), 1);
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    let parameters = json!({"guidance_scale": 4, "width": 512, "height": 256, "seed": 9});
    assert_eq!(sent, json!({"inputs": "A cat", "parameters": parameters}));
    let told = OPENAI.encode_reply(&asked, &response, &Envelope::default()).unwrap();
    let told: Value = serde_json::from_slice(&told.bytes).unwrap();
    assert_eq!(told["data"][0]["b64_json"], "/9g=");
}

#[tokio::test]
async fn sound_is_sent_as_it_is_unless_parameters_go_with_it() {
    let check = async |sound: TranscribeRequest, kind: &str, body: &[u8]| {
        let asked = of(Body::Transcribe(Arc::new(sound)));
        let answer = r#"{"text": " Hello.", "chunks": [{"text": " Hello.", "timestamp": [0.0, 1.5]}]}"#;
        let (response, request) = answered(asked, JSON, answer).await;
        assert_eq!(response.text().unwrap(), " Hello.");
        let Answer::Transcribe(said) = response.answer().unwrap() else { panic!("a transcript") };
        assert_eq!(said.rest["chunks"][0]["timestamp"][1], 1.5);
        assert_eq!(request.headers["content-type"], kind);
        assert_eq!(request.body, body);
    };
    let sound = TranscribeRequest {
        audio: (&b"fLaC"[..]).into(),
        file_name: "a.FLAC".to_owned(),
        ..TranscribeRequest::default()
    };
    check(sound.clone(), "audio/flac", b"fLaC").await;
    let told = TranscribeRequest { media_type: Some("audio/x-flac".to_owned()), ..sound.clone() };
    check(told, "audio/x-flac", b"fLaC").await;
    let unknown = TranscribeRequest { file_name: String::new(), ..sound.clone() };
    check(unknown, "application/octet-stream", b"fLaC").await;
    let cold = TranscribeRequest { temperature: Some(0.0), ..sound };
    let body = br#"{"inputs":"ZkxhQw==","parameters":{"generation_parameters":{"temperature":0.0}}}"#;
    check(cold, JSON, body).await;
}

#[tokio::test]
async fn vectors_come_one_a_text() {
    let ask = EmbedRequest {
        input: vec!["a".to_owned(), "b".to_owned()],
        rest: json!({"normalize": true, "encoding_format": "base64"}).as_object().unwrap().clone(),
        ..EmbedRequest::default()
    };
    let (response, request) = answered(of(Body::from(ask.clone())), JSON, "[[0.5, 1.0], [0.25, -1.0]]").await;
    let Answer::Embed(answer) = response.answer().unwrap() else { panic!("vectors") };
    assert_eq!(answer.vectors, [[0.5, 1.0], [0.25, -1.0]]);
    let line = format!("{} {}", request.method, request.url);
    assert_eq!(line, format!("{ROUTER}ProsusAI/finbert/pipeline/feature-extraction"));
    assert_eq!(request.body, r#"{"inputs":["a","b"],"normalize":true}"#);
    let error = refused(of(Body::from(ask)), JSON, "[[[0.5]], [[1.0]]]").await;
    assert!(error.message().contains("each token"), "{error}");
}

#[tokio::test]
async fn what_a_model_cannot_be_told_is_refused_by_name() {
    let check = async |body: Body, field: &str| {
        let asked = of(body);
        let error = refused(asked.clone(), JSON, "[]").await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)), "{error}");
    };
    let chat = ChatRequest::user("x");
    check(Body::from(ChatRequest { choices: Some(2), ..chat.clone() }), "n").await;
    check(Body::from(ChatRequest { presence_penalty: Some(1.0), ..chat.clone() }), "presence_penalty").await;
    let turns = [Speaker::User, Speaker::Assistant, Speaker::User].map(|speaker| Message::text(speaker, "x"));
    let long = ChatRequest { messages: turns.to_vec(), ..chat.clone() };
    check(Body::from(long), "messages (3 turns; the model takes one)").await;
    let mut given = chat;
    given.rest.insert("parameters".to_owned(), json!([1]));
    check(Body::from(given), "parameters").await;
    let image = |change: Value| {
        let mut ask = json!({"prompt": "x"});
        ask.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Body::Image(Arc::new(serde_json::from_value(ask).unwrap()))
    };
    check(image(json!({"count": 2})), "n").await;
    check(image(json!({"size": "large"})), "size").await;
    check(image(json!({"quality": "hd"})), "quality").await;
    check(image(json!({"format": "webp"})), "output_format").await;
    check(image(json!({"rest": {"background": "transparent"}})), "background").await;
    check(image(json!({"rest": {"response_format": "url"}})), "response_format").await;
    let sound = TranscribeRequest { language: Some("de".to_owned()), ..TranscribeRequest::default() };
    check(Body::Transcribe(Arc::new(sound)), "language").await;
    let many = EmbedRequest { dimensions: Some(8), ..EmbedRequest::default() };
    check(Body::from(many), "dimensions").await;
}

#[tokio::test]
async fn errors_inside_a_success_and_bodies_of_other_shapes_are_errors() {
    let check = async |body: Body, kind: &'static str, answer: &'static str, expect: ErrorKind| {
        let error = refused(of(body), kind, answer).await;
        assert_eq!(error.kind(), expect, "{answer}: {error:?}");
    };
    let chat = || Body::from(ChatRequest::user("x"));
    let image = || Body::Image(Arc::default());
    check(chat(), JSON, r#"{"error": "Model is overloaded"}"#, ErrorKind::Unavailable).await;
    check(chat(), JSON, "no json", ErrorKind::Protocol).await;
    check(chat(), "text/html", "<p>", ErrorKind::Protocol).await;
    check(image(), JSON, r#"{"a": 1}"#, ErrorKind::Protocol).await;
    check(image(), "text/html", "<p>", ErrorKind::Protocol).await;
    check(Body::Transcribe(Arc::default()), JSON, r#"{"chunks": []}"#, ErrorKind::Protocol).await;
}

#[test]
fn towards_callers_it_is_not_spoken() {
    let error = HUGGINGFACE_TASKS.read(Incoming::json(Operation::Chat, "{}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("not towards callers"), "{error}");
    let response = Response::chat(maof_core::ChatAnswer::text("x"));
    assert!(HUGGINGFACE_TASKS.encode_reply(&call("x"), &response, &Envelope::default()).is_err());
    assert!(HUGGINGFACE_TASKS.decoder(&call("x")).close().is_err());
}
