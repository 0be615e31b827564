//! The scripted upstream's HTTP side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State as Shared};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::answer::{Answer, Frame, Question, Shape, complaint};
use super::connection::{Fuse, Fused};
use super::faults::{self, bomb};
use super::script::{Act, Script};
use super::stats::{Counters, Open, Received, Stats};
use super::{anthropic, gemini, openai, responses};

const JSON: &str = "application/json";
const STREAM: &str = "text/event-stream";
const HTML: &str = "text/html";

/// What all connections share.
#[derive(Debug)]
pub(super) struct State {
    script: Mutex<Script>,
    /// Who is being answered, of models that answer only so many at once.
    desks: Mutex<BTreeMap<String, Arc<Desk>>>,
    pub(super) counters: Counters,
}

/// Where a model answers only so many at once.
#[derive(Debug)]
struct Desk {
    places: Semaphore,
    served: AtomicU64,
}

impl State {
    pub(super) fn new(script: Script) -> Self {
        State { script: Mutex::new(script), desks: Mutex::default(), counters: Counters::default() }
    }

    pub(super) fn play(&self, script: Script) {
        *self.script.lock() = script;
    }

    /// What is done with a request.
    pub(super) fn next(&self, question: &Question) -> Act {
        self.script.lock().next(&question.model, &question.prompt)
    }

    /// Waits in line at a model that answers `at_once`, then `ms` milliseconds.
    async fn queue(&self, model: &str, at_once: usize, ms: u64) {
        let desk = Arc::clone(self.desks.lock().entry(model.to_owned()).or_insert_with(|| {
            Arc::new(Desk { places: Semaphore::new(at_once), served: AtomicU64::new(0) })
        }));
        let _place = desk.places.acquire().await.expect("nobody closes it");
        // Steps of the golden ratio spread evenly, and look like chance to whoever waits.
        let step = desk.served.fetch_add(1, Ordering::Relaxed) as f64 * 0.618_033_988_749_895;
        tokio::time::sleep(Duration::from_millis(ms).mul_f64(0.5 + step.fract())).await;
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
    let router = Router::new()
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/__stats", get(stats))
        .route("/{*path}", post(answered))
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

/// Who answers at `path`; the version before it may be left out.
fn shape(path: &str) -> Option<&'static dyn Shape> {
    let rest = path.strip_prefix("/v1beta").or_else(|| path.strip_prefix("/v1")).unwrap_or(path);
    Some(match (rest, rest.rsplit_once(':')) {
        ("/chat/completions", _) => &openai::Chat,
        ("/embeddings", _) => &openai::Embeddings,
        ("/responses", _) => &responses::Responses,
        ("/messages", _) => &anthropic::Messages,
        ("/messages/count_tokens", _) => &anthropic::CountTokens,
        (_, Some((_, "generateContent" | "streamGenerateContent"))) => &gemini::Generate,
        (_, Some((_, "countTokens"))) => &gemini::CountTokens,
        _ => return None,
    })
}

async fn answered(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(fuse): ConnectInfo<Fuse>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(shape) = shape(uri.path()) else {
        let message = format!("nothing answers at {}", uri.path());
        return whole(404, JSON, openai::failure(404, &message).to_string());
    };
    let read = serde_json::from_slice(&body).map_err(|e| format!("the body is no JSON: {e}"));
    let question = match read.and_then(|body| shape.question(&uri, body)) {
        Ok(question) => question,
        Err(message) => return whole(400, JSON, shape.failure(400, &message).to_string()),
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let received = Received { path: uri.path().to_owned(), headers, body };
    let open = state.counters.begin(received, &question.model, &question.prompt);
    let act = state.next(&question);
    if let Act::Busy { at_once, ms } = act {
        state.queue(&question.model, at_once, ms).await;
    }
    perform(act, shape, &question, &fuse, open).await
}

async fn perform(
    act: Act,
    shape: &'static dyn Shape,
    question: &Question,
    fuse: &Fuse,
    mut open: Open,
) -> Response {
    if let Act::Hang | Act::Delay(_) = act {
        open.bills(question.input, 0);
    }
    match act {
        Act::Hang => std::future::pending().await,
        Act::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Act::Reset => fuse.blow(),
        Act::Dribble(ms) => {
            fuse.dribble(Duration::from_millis(ms), open);
            return whole(200, JSON, shape.whole(question, &question.answer()).to_string());
        }
        Act::Raw { status, content_type, body } => {
            open.finish();
            return whole(status, &content_type, body);
        }
        Act::Status { status, retry_after, body } => {
            open.finish();
            let body = body.unwrap_or_else(|| shape.failure(status, &complaint(status)).to_string());
            let mut response = whole(status, JSON, body);
            if let Some(value) = retry_after.and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(RETRY_AFTER, value);
            }
            return response;
        }
        Act::Flap { down_ms, ms, for_ms } if is_down(open.age_ms, down_ms, ms, for_ms) => {
            open.finish();
            return whole(503, JSON, shape.failure(503, &complaint(503)).to_string());
        }
        Act::RefusePrefill if question.after_answer => {
            open.finish();
            let why = "this model does not support assistant message prefill; end with a user message";
            return whole(400, JSON, shape.failure(400, why).to_string());
        }
        Act::GzipBomb(mib) => {
            open.finish();
            let kind = if question.stream { STREAM } else { JSON };
            let mut response = respond(200, kind, Body::from(bomb(mib)));
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
        _ => {}
    }
    match question.stream {
        true => streamed(&act, shape, question, fuse, open),
        false => at_once(&act, shape, question, fuse, open),
    }
}

/// Whether what flaps is down when it was first asked `age` milliseconds ago.
fn is_down(age: u64, down: u64, turn: u64, until: u64) -> bool {
    age < down || age < until && ((age - down) / turn.max(1)).is_multiple_of(2)
}

/// A whole answer.
fn at_once(
    act: &Act,
    shape: &'static dyn Shape,
    question: &Question,
    fuse: &Fuse,
    mut open: Open,
) -> Response {
    let answer = question.answer();
    // Nothing leaves after a reset.
    if *act != Act::Reset {
        open.bills(question.input, answer.output());
        open.sent_all();
    }
    let body = shape.whole(question, &answer).to_string();
    let kind = if *act == Act::WrongContentType { HTML } else { JSON };
    if let Some(steps) = faults::whole(act, &body) {
        let mut response = respond(200, kind, faults::play(steps, Duration::ZERO, fuse, open));
        if let Act::Cut(_) = act {
            response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        }
        return response;
    }
    open.finish();
    let body = match act {
        Act::ErrorInside(_) => shape.failure(500, &complaint(500)).to_string(),
        Act::Malformed(_) => body[..body.floor_char_boundary(body.len() / 2)].to_owned(),
        _ => body,
    };
    whole(200, kind, body)
}

fn streamed(act: &Act, shape: &dyn Shape, question: &Question, fuse: &Fuse, mut open: Open) -> Response {
    let (answer, pause) = match act {
        Act::Drip { frames, ms } => (Answer::long(*frames), Duration::from_millis(*ms)),
        _ => (question.answer(), Duration::ZERO),
    };
    if *act != Act::Reset {
        open.bills(question.input, answer.output());
    }
    let mut frames = shape.frames(question, &answer);
    let end = frames.len().saturating_sub(1);
    match act {
        Act::NoTerminator => frames.truncate(end),
        Act::Cut(after) => frames.truncate(end.min(*after)),
        Act::ErrorInside(after) => {
            frames.truncate(end.min(*after));
            frames.push(shape.broken_off(500, &complaint(500), frames.len()));
        }
        Act::Malformed(after) => {
            let at = end.min(*after);
            frames.insert(at, frames[at].broken());
        }
        Act::DuplicateEnd => {
            let at = frames.iter().position(Frame::says_why_it_ends).unwrap_or(end);
            frames.insert(at, frames[at].clone());
        }
        _ => {}
    }
    let texts = frames.iter().map(|frame| frame.written(shape.line_end())).collect();
    let kind = if *act == Act::WrongContentType { HTML } else { STREAM };
    respond(200, kind, faults::play(faults::stream(act, texts), pause, fuse, open))
}

fn whole(status: u16, content_type: &str, body: String) -> Response {
    respond(status, content_type, Body::from(body))
}

fn respond(status: u16, content_type: &str, body: Body) -> Response {
    let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    response.body(body).expect("the script's status and content type can be sent")
}
