//! The gateway: the doors at which callers speak a provider's dialect. A door is a dialect and an operation;
//! everything behind it is the same.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest as _, Path, RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maof::{Maof, dialects};
use maof_core::{
    Body, CacheControl, Call, Dialect, Envelope, Error, Header, Incoming, Name, Operation, Parts, Result,
    Target,
};
use serde_json::json;

use super::headers::{Ids, Told};
use super::{about, openai_error, unreadable};
use crate::body::{bytes, frames};
use crate::error::dialect_error;
use crate::{auth, departure};

/// What a path asks for.
#[derive(Clone, Debug)]
struct Door {
    dialect: &'static dyn Dialect,
    operation: Operation,
    /// The model, where the path names it.
    model: Option<String>,
    /// Whether a stream is wanted, where the path says it.
    stream: Option<bool>,
}

impl Door {
    const fn new(dialect: &'static dyn Dialect, operation: Operation) -> Self {
        Door { dialect, operation, model: None, stream: None }
    }
}

/// A handler of one door.
macro_rules! doors {
    ($($(#[$doc:meta])* $name:ident: $dialect:ident, $operation:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) async fn $name(
            State(maof): State<Maof>,
            request: Request,
        ) -> Response {
            answer(&maof, Door::new(dialects::$dialect(), Operation::$operation), request).await
        }
    )*};
}

doors! {
    /// `POST /v1/chat/completions`.
    chat: openai, Chat;
    /// `POST /v1/responses`.
    responses: responses, Chat;
    /// `POST /v1/embeddings`.
    embeddings: openai, Embed;
    /// `POST /v1/images/generations`.
    images: openai, Image;
    /// `POST /v1/audio/transcriptions`.
    transcriptions: openai, Transcribe;
    /// `POST /v1/audio/speech`.
    speech: openai, Speech;
    /// `POST /v1/messages`.
    messages: anthropic, Chat;
    /// `POST /v1/messages/count_tokens`.
    count_tokens: anthropic, CountTokens;
}

/// `POST /v1beta/models/{model}:{verb}`, and `/v1` as well: the path names the model and what is wanted.
pub(super) async fn gemini(
    State(maof): State<Maof>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let dialect = dialects::gemini();
    let (model, verb) = path.rsplit_once(':').unwrap_or((path.as_str(), ""));
    let (operation, stream) = match verb {
        "generateContent" => (Operation::Chat, false),
        "streamGenerateContent" => (Operation::Chat, true),
        "countTokens" => (Operation::CountTokens, false),
        "embedContent" | "batchEmbedContents" => (Operation::Embed, false),
        _ => {
            let shown: String = path.chars().take(200).collect();
            return dialect_error(&Error::not_found(format!("there is no POST …/models/{shown}")), dialect);
        }
    };
    let sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    if stream && !sse {
        let why = "streams come as server-sent events here: add `alt=sse` to the query";
        return dialect_error(&Error::invalid_request(why).param("alt"), dialect);
    }
    let door = Door { model: Some(model.to_owned()), stream: Some(stream), ..Door::new(dialect, operation) };
    answer(&maof, door, request).await
}

async fn answer(maof: &Maof, door: Door, mut request: Request) -> Response {
    let dialect = door.dialect;
    // Taken, because an extractor would copy them.
    let headers = std::mem::take(request.headers_mut());
    let body = Bytes::from_request(request, &()).await;
    let mut ids = Ids::of(&headers);
    match try_answer(maof, door, &headers, body, &mut ids).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = dialect_error(&error, dialect);
            ids.put(response.headers_mut());
            response
        }
    }
}

async fn try_answer(
    maof: &Maof,
    door: Door,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    ids: &mut Ids,
) -> Result<Response> {
    let began = maof.clock().instant();
    let principal = auth::authenticate(headers, maof)?;
    let body = body.map_err(|r| unreadable(&r, maof.config().server.body_limit))?;
    let dialect = door.dialect;
    let body = dialect.read(incoming(door, headers, body))?;
    let Body::Wire(wire) = &body else { return Err(Error::internal("a dialect gave no wire body")) };
    let model = Name::new(&wire.model).map_err(|_| unknown_model(&wire.model))?;
    let include_usage = wire.include_usage;
    let envelope = |call: &Call| match &call.target {
        Target::Name(model) => maof.envelope(dialect, model.as_str(), include_usage),
        _ => Envelope::default(),
    };
    let stream = wire.stream;
    let mut call = maof.new_call(Target::Name(model), principal, body);
    call.stream = stream;
    call.provenance.request.clone_from(&ids.request);
    ids.call = Some(call.id);
    about::read(headers, &mut call.provenance)?;
    if let Some(said) = headers.get(CACHE_CONTROL).and_then(|said| said.to_str().ok()) {
        call.cache = CacheControl::parse(said);
    }
    let sent = call.clone();
    let reply = departure::call(maof, call).await?;
    let (head, parts) = reply.into_parts();
    let told = |end, answer: &mut Response| {
        let took = maof.clock().instant().saturating_duration_since(began);
        let litellm = maof.config().server.litellm_headers;
        Told { call: &sent, head: &head, end, took, litellm }.put(answer.headers_mut());
    };
    match parts {
        Parts::Whole(response, ends) => {
            let content = match response.content_of(dialect.name()) {
                Some(content) => content.clone(),
                None => dialect.encode_reply(&sent, &response, &envelope(&sent))?,
            };
            let end = ends.tell();
            let mut answer = Response::new(axum::body::Body::from(content.bytes));
            answer.headers_mut().insert(CONTENT_TYPE, media_type(&content.content_type));
            told(Some(&end), &mut answer);
            Ok(answer)
        }
        Parts::Stream(events) => {
            let encoder = dialect.encoder(&sent, envelope(&sent));
            let drain = departure::drain(maof);
            if let Some(media) = &head.media_type {
                let kind = [(CONTENT_TYPE, media_type(media))];
                let mut answer = (kind, bytes(events, encoder, drain)).into_response();
                told(None, &mut answer);
                return Ok(answer);
            }
            let sse = [
                (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
                (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                // Buffering proxies hold streams back otherwise.
                (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
            ];
            let keep_alive = Duration::from_millis(maof.config().server.keep_alive_ms);
            let frames = frames(events, encoder, keep_alive, drain);
            let mut answer = (sse, frames).into_response();
            told(None, &mut answer);
            Ok(answer)
        }
    }
}

fn incoming(door: Door, headers: &HeaderMap, body: Bytes) -> Incoming {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let travel = door.dialect.headers().iter();
    let travel = travel.filter_map(|name| Some(Header::from(((*name).into(), text(name)?))));
    Incoming {
        operation: door.operation,
        model: door.model,
        stream: door.stream,
        headers: travel.collect(),
        content_type: text(CONTENT_TYPE.as_str()),
        body,
    }
}

fn media_type(content_type: &str) -> HeaderValue {
    match content_type {
        "application/json" => HeaderValue::from_static("application/json"),
        other => HeaderValue::from_str(other).unwrap_or(HeaderValue::from_static("application/octet-stream")),
    }
}

/// `GET /v1/models`: the agents and endpoints that the caller may use.
pub(super) async fn models(State(maof): State<Maof>, headers: HeaderMap) -> Response {
    match auth::authenticate(&headers, &maof) {
        Err(error) => openai_error(&error),
        Ok(principal) => {
            let data: Vec<_> = maof.models(&principal).iter().map(|model| shown(&maof, model)).collect();
            Json(json!({"object": "list", "data": data})).into_response()
        }
    }
}

/// `GET /v1/models/{model}`: one of them.
pub(super) async fn model(
    State(maof): State<Maof>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = auth::authenticate(&headers, &maof).and_then(|principal| {
        let models = maof.models(&principal);
        let model = models.iter().find(|(id, _)| id.as_str() == name).ok_or_else(|| unknown_model(&name))?;
        Ok(shown(&maof, model))
    });
    match found {
        Ok(model) => Json(model).into_response(),
        Err(error) => openai_error(&error),
    }
}

fn shown(maof: &Maof, (id, owner): &(Name, Name)) -> serde_json::Value {
    json!({"id": id, "object": "model", "created": maof.started().as_secs(), "owned_by": owner})
}

/// Anything else below `/v1`.
pub(super) async fn unknown(request: Request) -> Response {
    let path = request.uri().path().chars().take(200).collect::<String>();
    let error = Error::not_found(format!("there is no {} {path}", request.method()));
    dialect_error(&error, spoken_at(request.uri().path()))
}

/// The dialect of those who ask below this path.
fn spoken_at(path: &str) -> &'static dyn Dialect {
    match path {
        path if path.starts_with("/v1/messages") => dialects::anthropic(),
        path if path.starts_with("/v1beta/") || path.contains(':') => dialects::gemini(),
        _ => dialects::openai(),
    }
}

/// A known path asked with another method.
pub(super) async fn wrong_method(request: Request) -> Response {
    let error = Error::invalid_request("this path does not take this method");
    let mut response = dialect_error(&error, spoken_at(request.uri().path()));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn unknown_model(model: &str) -> Error {
    let shown: String = model.chars().take(64).collect();
    Error::not_found(format!("the model `{shown}` does not exist; GET /v1/models lists those that do"))
        .code("model_not_found")
        .param("model")
}
