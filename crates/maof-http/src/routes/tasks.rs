//! Tasks: the durable door.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{HeaderName, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use maof::{Maof, TaskRequest};
use maof_core::{Error, Result, Run, RunFilter, RunId};
use serde_json::json;

use super::{about, unreadable};
use crate::auth::Caller;
use crate::dto::{After, Listing, NewTask, TaskDetail, TaskLine, Waiting, header};
use crate::error::ApiError;

/// The longest `?wait=`, in seconds.
const LONGEST_WAIT: u64 = 300;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `POST /tasks`: 202 once the task is synced to disk; 200 with the result if `?wait=` saw the end.
pub(super) async fn submit(
    State(maof): State<Maof>,
    caller: Caller,
    query: Result<Query<Waiting>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    caller.may_change()?;
    let Query(waiting) = query.map_err(|e| wrong_query(&e))?;
    let bytes = body.map_err(|r| unreadable(&r, maof.config().server.body_limit))?;
    let task: NewTask = serde_json::from_slice(&bytes)
        .map_err(|e| Error::invalid_request(format!("the body is not a task: {e}")).param("body"))?;
    let request = TaskRequest {
        task_type: task.task_type,
        content: task.content,
        priority: task.priority,
        deadline: task.deadline_ms.map(Duration::from_millis),
        session: task.session.as_deref().map(|said| about::session(said, "session")).transpose()?,
        tags: about::bounded(task.tags, "tags")?,
        idempotency_key: header(&headers, &IDEMPOTENCY_KEY)?.map(str::to_owned),
        workflow: None,
    };
    let run = maof.submit(&caller.0, request).await?;
    let location = [(LOCATION, format!("/tasks/{}", run.id))];
    if let Some(seconds) = waiting.wait {
        let limit = Duration::from_secs(seconds.min(LONGEST_WAIT));
        if let Ok(ended) = tokio::time::timeout(limit, maof.wait(&caller.0, run.id)).await {
            let detail = detail(&maof, &caller, ended?).await?;
            return Ok((StatusCode::OK, location, Json(detail)).into_response());
        }
    }
    Ok((StatusCode::ACCEPTED, location, Json(TaskLine::of(&run))).into_response())
}

/// `GET /tasks`: newest first.
pub(super) async fn list(
    State(maof): State<Maof>,
    caller: Caller,
    query: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.may_look()?;
    let Query(listing) = query.map_err(|e| wrong_query(&e))?;
    let limit = listing.limit.unwrap_or(100).clamp(1, 1000);
    let filter = RunFilter { state: listing.status, before: listing.before, limit };
    let runs = maof.runs(&caller.0, filter).await?;
    let next = (runs.len() as u32 == limit).then(|| runs.last().map(|r| r.id.to_string())).flatten();
    let tasks: Vec<TaskLine> = runs.iter().map(TaskLine::of).collect();
    Ok(Json(json!({"tasks": tasks, "next_before": next})).into_response())
}

/// `GET /tasks/{id}`.
pub(super) async fn show(
    State(maof): State<Maof>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TaskDetail>, ApiError> {
    caller.may_look()?;
    let run = maof.run(&caller.0, id_of(&id)?).await?;
    Ok(Json(detail(&maof, &caller, run).await?))
}

/// `DELETE /tasks/{id}`: cancels; 200 if it had not ended, 409 if it had.
pub(super) async fn cancel(
    State(maof): State<Maof>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.may_change()?;
    let id = id_of(&id)?;
    match maof.cancel(&caller.0, id).await? {
        true => Ok(Json(json!({"id": id.to_string(), "cancelled": true})).into_response()),
        false => Err(Error::conflict("the task had already ended").param("id").into()),
    }
}

/// `GET /tasks/{id}/events`: the journal as server-sent events; `Last-Event-ID` or `?after=` resumes.
pub(super) async fn events(
    State(maof): State<Maof>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<After>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    caller.may_look()?;
    let id = id_of(&id)?;
    let Query(after) = query.map_err(|e| wrong_query(&e))?;
    let last = match header(&headers, &LAST_EVENT_ID)? {
        None => after.after.unwrap_or(0),
        Some(text) => text.parse().map_err(|_| {
            Error::invalid_request("Last-Event-ID is the number of an event").param("Last-Event-ID")
        })?,
    };
    // A run that is not there is told as an error, not as an empty stream.
    maof.run(&caller.0, id).await?;
    let events = maof.events(&caller.0, id, last).map(|event| {
        let made = match event {
            Ok(event) => sse(&event),
            Err(error) => Event::default().event("error").data(
                json!({"error": {"code": error.kind().as_str(), "message": error.message()}}).to_string(),
            ),
        };
        Ok(made)
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn sse(event: &maof::RunEvent) -> Event {
    let json = serde_json::to_value(event).unwrap_or_default();
    let name = json.get("type").and_then(|t| t.as_str()).unwrap_or("event").to_owned();
    Event::default().id(event.seq.to_string()).event(name).data(json.to_string())
}

async fn detail(maof: &Maof, caller: &Caller, run: Run) -> Result<TaskDetail> {
    let (report, answers) = maof.report_with_answers(&caller.0, run.id).await?;
    Ok(TaskDetail::of(run, report, answers))
}

fn id_of(text: &str) -> Result<RunId> {
    text.parse()
}

fn wrong_query(rejection: &QueryRejection) -> Error {
    Error::invalid_request(rejection.body_text()).param("query")
}
