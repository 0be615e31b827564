//! Pictures as Stability's API reference shows them (<https://platform.stability.ai/docs/api-reference>, "Generate",
//! read 2026-11-21), through an endpoint.

use std::sync::Arc;

use maof_core::Dialect as _;
use maof_core::{Answer, Card, Endpoint as _, Incoming, Name, Reply, Tariff, Timestamp, Unit};
use maof_testkit::FakeClock;
use maof_testkit::endpoint::call;
use serde_json::json;

use super::*;
use crate::client::fake::Fake;
use crate::client::{Http, Request};
use crate::dialect::multipart::Form;
use crate::{HttpEndpoint, OPENAI, ProviderConfig};

const MADE: &str = r#"{"image": "iVBORw0KGgo=", "finish_reason": "SUCCESS", "seed": 343940597}"#;

/// What a caller of OpenAI's dialect is answered by `model`, and what was asked for it.
async fn exchange(
    model: &str,
    change: Value,
    unsupported: &str,
    answer: (u16, &'static str),
) -> (Result<Reply>, Vec<Request>) {
    let card = Card {
        name: Name::new("e").unwrap(),
        provider: Name::new("stability").unwrap(),
        model: model.into(),
        operations: vec![Operation::Image],
        tariff: Tariff::default(),
        context: None,
        max_output: 100,
    };
    let config = json!({"profile": "stability", "api_key": "sk-k", "unsupported": unsupported});
    let config: ProviderConfig = serde_json::from_value(config).unwrap();
    let http = Arc::new(Fake::default().then(answer.0, "application/json", answer.1));
    let clock = FakeClock::at(Timestamp::default());
    let endpoint = HttpEndpoint::with_http(card, &config, clock, Arc::clone(&http) as Arc<dyn Http>).unwrap();
    let mut body = json!({"model": "painter", "prompt": "A lighthouse"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let body = OPENAI.read(Incoming::json(Operation::Image, body.to_string())).unwrap();
    let reply = endpoint.call(Call { body, ..call("") }).await;
    (reply, http.asked())
}

/// The fields of the form that was sent, sorted.
fn form(request: &Request) -> Vec<(String, String)> {
    let kind = request.headers["content-type"].to_str().unwrap();
    let form = Form::parse(Some(kind), request.body.clone()).unwrap();
    let value = |field| String::from_utf8(form.bytes(field).to_vec()).unwrap();
    let mut fields: Vec<_> = form.fields().map(|field| (field.name.clone(), value(field))).collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn each_model_is_asked_at_its_address_with_a_form() {
    let check = async |model: &str, change: Value, path: &str, more: &[(&str, &str)]| {
        let (reply, requests) = exchange(model, change, "refuse", (200, MADE)).await;
        let response = reply.unwrap().collect().await.unwrap().0;
        let Answer::Image(made) = response.answer().unwrap() else { panic!("pictures") };
        assert!(made.pictures[0].url.ends_with(";base64,iVBORw0KGgo="), "{model}");
        assert_eq!(response.usage.unwrap().get(Unit::Image), 1);
        let request = &requests[0];
        let url = format!("https://api.stability.ai/v2beta/stable-image/generate/{path}");
        assert_eq!((request.url.as_str(), request.method.as_str()), (url.as_str(), "POST"));
        assert_eq!(request.headers["accept"], "application/json");
        assert_eq!(request.headers["authorization"], "Bearer sk-k");
        let mut expect: Vec<(String, String)> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        expect.push(("prompt".to_owned(), "A lighthouse".to_owned()));
        expect.sort();
        assert_eq!(form(request), expect, "{model}");
    };
    let png = ("output_format", "png");
    check("core", json!({}), "core", &[png]).await;
    check("ultra", json!({"size": "1024x1024", "n": 1}), "ultra", &[png, ("aspect_ratio", "1:1")]).await;
    check("sd3.5-large", json!({"size": "auto"}), "sd3", &[png, ("model", "sd3.5-large")]).await;
    check(
        "sd3.5-medium",
        json!({"size": "1536x1024"}),
        "sd3",
        &[png, ("model", "sd3.5-medium"), ("aspect_ratio", "3:2")],
    )
    .await;
    let own = json!({"output_format": "webp", "negative_prompt": "fog", "cfg_scale": 4, "aspect_ratio": "21:9",
                     "size": "512x512", "response_format": "b64_json"});
    check(
        "stable-image-core",
        own,
        "core",
        &[
            ("output_format", "webp"),
            ("negative_prompt", "fog"),
            ("cfg_scale", "4"),
            ("aspect_ratio", "21:9"),
        ],
    )
    .await;
}

#[test]
fn a_size_becomes_a_shape_where_there_is_one() {
    let check = |width, height, expect: Option<&str>| {
        assert_eq!(ratio(width, height).as_deref(), expect, "{width}x{height}");
    };
    check(1920, 1080, Some("16:9"));
    check(1080, 1920, Some("9:16"));
    check(2100, 900, Some("21:9"));
    check(1024, 1536, Some("2:3"));
    check(1792, 1024, None);
    check(u32::MAX, 1, None);
}

#[tokio::test]
async fn what_stability_cannot_be_told_is_refused_by_name_or_reported() {
    let check = async |change: Value, field: &str| {
        let (reply, requests) = exchange("core", change.clone(), "refuse", (200, MADE)).await;
        let error = reply.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidRequest, Some(field)), "{change}");
        assert!(requests.is_empty());
        let (reply, _) = exchange("core", change, "drop_and_report", (200, MADE)).await;
        assert_eq!(reply.unwrap().head.dropped, [field]);
    };
    check(json!({"n": 2}), "n").await;
    check(json!({"size": "1792x1024"}), "size").await;
    check(json!({"quality": "hd"}), "quality").await;
    check(json!({"style": "vivid"}), "style").await;
    check(json!({"response_format": "url"}), "response_format").await;
}

#[tokio::test]
async fn filters_and_failures_are_told_apart() {
    let check = async |status: u16, body: &'static str, kind: ErrorKind, retry: Retry| {
        let (reply, _) = exchange("core", json!({}), "refuse", (status, body)).await;
        let error = reply.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}: {error:?}");
    };
    let filtered = r#"{"image": "iVBORw0KGgo=", "finish_reason": "CONTENT_FILTERED", "seed": 1}"#;
    check(200, filtered, ErrorKind::ContentFiltered, Retry::Never).await;
    let failed = r#"{"image": "", "finish_reason": "ERROR", "seed": 1}"#;
    check(200, failed, ErrorKind::Unavailable, Retry::Here).await;
    // Stability's own answer to a prompt that is not allowed; the npm package `stability-ai` 0.7.0 tells a 403 the same.
    let flagged = r#"{"id": "a1", "name": "content_moderation", "errors": ["Your request was flagged"]}"#;
    check(403, flagged, ErrorKind::ContentFiltered, Retry::Never).await;
    let bad = r#"{"id": "a1", "name": "bad_request", "errors": ["some-field: is required"]}"#;
    check(400, bad, ErrorKind::InvalidRequest, Retry::Never).await;
    check(
        403,
        r#"{"id": "a1", "name": "forbidden", "errors": ["no"]}"#,
        ErrorKind::Unavailable,
        Retry::Elsewhere,
    )
    .await;
    check(
        429,
        r#"{"id": "a1", "name": "rate_limit_exceeded", "errors": ["slow"]}"#,
        ErrorKind::RateLimited,
        Retry::Here,
    )
    .await;
    check(200, r#"{"seed": 1}"#, ErrorKind::Protocol, Retry::Here).await;
    check(200, "png", ErrorKind::Protocol, Retry::Here).await;
}

#[test]
fn only_pictures_are_made() {
    let ask = Ask { model: "core", unsupported: Default::default(), max_output: 1 };
    assert_eq!(STABILITY.encode(&call("x"), ask).unwrap_err().kind(), ErrorKind::InvalidRequest);
}
