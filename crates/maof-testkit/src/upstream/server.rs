//! The scripted upstream's HTTP side.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State as Shared};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use futures::stream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::answer::{self, Question};
use super::connection::{Fuse, Fused};
use super::script::{Act, Script};
use super::stats::{Counters, Open, Received, Stats};

const JSON: &str = "application/json";

/// What all connections share.
#[derive(Debug)]
pub(super) struct State {
    script: Mutex<Script>,
    counters: Counters,
}

impl State {
    pub(super) fn new(script: Script) -> Self {
        State { script: Mutex::new(script), counters: Counters::default() }
    }

    pub(super) fn play(&self, script: Script) {
        *self.script.lock() = script;
    }

    pub(super) fn stats(&self) -> Stats {
        self.counters.stats()
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.counters.received()
    }
}

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let counters = state.counters.clone();
    let paths = Router::new()
        .route("/chat/completions", post(answered))
        .route("/embeddings", post(answered))
        .route("/models", get(models));
    let router = Router::new()
        .nest("/v1", paths.clone())
        .merge(paths)
        .route("/__stats", get(stats))
        .layer(DefaultBodyLimit::max(256 << 20))
        .with_state(state);
    let service = router.into_make_service_with_connect_info::<Fuse>();
    let _ = axum::serve(Fused(listener, counters), service).await;
}

async fn stats(Shared(state): Shared<Arc<State>>) -> Response {
    whole(200, JSON, serde_json::to_string(&state.stats()).expect("counts are JSON"))
}

async fn models(Shared(state): Shared<Arc<State>>) -> Response {
    let known: Vec<Value> =
        state.script.lock().models.keys().map(|m| json!({"id": m, "object": "model"})).collect();
    whole(200, JSON, json!({"object": "list", "data": known}).to_string())
}

async fn answered(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(fuse): ConnectInfo<Fuse>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(question) = Question::read(&body) else {
        return whole(400, JSON, answer::error(400).to_string());
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let received = Received { path: uri.path().to_owned(), headers, body };
    let open = state.counters.begin(received, &question.model, &question.prompt);
    let act = state.script.lock().next(&question.model, &question.prompt);
    let embed = uri.path().ends_with("/embeddings");
    perform(act, &question, embed, &fuse, open).await
}

async fn perform(act: Act, question: &Question, embed: bool, fuse: &Fuse, mut open: Open) -> Response {
    match act {
        Act::Hang => std::future::pending().await,
        Act::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Act::Reset => fuse.blow(),
        Act::Raw { status, content_type, body } => {
            open.finish();
            return whole(status, &content_type, body);
        }
        Act::Status { status, retry_after, body } => {
            open.finish();
            let body = body.unwrap_or_else(|| answer::error(status).to_string());
            let mut response = whole(status, JSON, body);
            if let Some(value) = retry_after.and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(RETRY_AFTER, value);
            }
            return response;
        }
        _ => {}
    }
    if question.stream && !embed {
        return streamed(&act, question, open);
    }
    open.finish();
    let body = if embed { question.embeddings() } else { question.chat() }.to_string();
    match act {
        Act::ErrorInside(_) => whole(200, JSON, answer::error(500).to_string()),
        Act::Malformed(_) => whole(200, JSON, body[..body.len() / 2].to_owned()),
        Act::WrongContentType => whole(200, "text/html", body),
        Act::Cut(after) => {
            let sent = Bytes::from(body[..after.min(body.len() - 1)].to_owned());
            let steps = VecDeque::from([Step::Send(sent), Step::Break]);
            let mut response = respond(200, JSON, Body::from_stream(play(steps, Duration::ZERO, None)));
            response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
            response
        }
        _ => whole(200, JSON, body),
    }
}

/// What a streamed body does next.
enum Step {
    Send(Bytes),
    Break,
}

fn streamed(act: &Act, question: &Question, open: Open) -> Response {
    let (chunks, pause) = match act {
        Act::Drip { frames, ms } => (question.long_chunks(*frames), Duration::from_millis(*ms)),
        _ => (question.chunks(), Duration::ZERO),
    };
    let frame = |data: &str| Step::Send(Bytes::from(format!("data: {data}\n\n")));
    let mut steps: VecDeque<Step> = chunks.iter().map(|chunk| frame(&chunk.to_string())).collect();
    match act {
        Act::NoTerminator => {}
        Act::Cut(after) => {
            steps.truncate(*after);
            steps.push_back(Step::Break);
        }
        Act::ErrorInside(after) => {
            steps.truncate(*after);
            steps.push_back(frame(&answer::error(500).to_string()));
        }
        Act::Malformed(after) => {
            steps.insert((*after).min(steps.len()), frame("{\"id\":\"x\",\"choices\":[{"));
            steps.push_back(frame("[DONE]"));
        }
        _ => steps.push_back(frame("[DONE]")),
    }
    let content_type = match act {
        Act::WrongContentType => "text/html",
        _ => "text/event-stream",
    };
    respond(200, content_type, Body::from_stream(play(steps, pause, Some(open))))
}

/// Plays the steps; what was sent is on the wire before the connection breaks.
fn play(
    steps: VecDeque<Step>,
    pause: Duration,
    open: Option<Open>,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send {
    stream::unfold((steps, open), move |(mut steps, mut open)| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let step = steps.pop_front();
        if !matches!(step, Some(Step::Send(_)))
            && let Some(open) = &mut open
        {
            open.finish();
        }
        match step? {
            Step::Send(bytes) => Some((Ok(bytes), (steps, open))),
            Step::Break => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(std::io::ErrorKind::ConnectionAborted.into()), (steps, open)))
            }
        }
    })
}

fn whole(status: u16, content_type: &str, body: String) -> Response {
    respond(status, content_type, Body::from(body))
}

fn respond(status: u16, content_type: &str, body: Body) -> Response {
    let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    response.body(body).expect("the script's status and content type can be sent")
}
