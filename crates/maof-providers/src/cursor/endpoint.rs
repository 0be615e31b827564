//! The endpoint: a call becomes an agent, and what the agent has done becomes the reply.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use maof_core::{
    Call, Card, Clock, Delta, Endpoint, Error, Event, Finish, Operation, OutputFormat, Reply, Result, Retry,
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::config::CursorConfig;
use super::follow::{Api, Follow, Tidy};
use super::step::Command;
use super::wire::{self, Outcome};
use crate::client::Http;
use crate::dialect::gate::Gate;
use crate::exchange::Exchange;
use crate::whole;

/// The name under which refusals speak of agents.
const NAME: &str = "cursor";
/// Bytes that an answer may have; a long conversation has some megabytes.
const MOST: u64 = 32 << 20;
/// How long an answer that has begun may be silent.
const IDLE: Duration = Duration::from_secs(60);
/// Agents that may wait to be deleted; further ones work on.
const LEFT: usize = 1024;

/// Launches an agent for each call.
#[derive(Debug)]
pub struct CursorEndpoint {
    card: Card,
    config: CursorConfig,
    api: Api,
    left: mpsc::Sender<String>,
}

impl CursorEndpoint {
    /// An endpoint with connections of its own, and what deletes agents that nobody waits for. A card whose model is
    /// `auto` leaves the model to Cursor; `clock` tells how far away a date is that Cursor names.
    ///
    /// # Errors
    /// As [`CursorConfig::validate`].
    pub fn new(card: Card, config: &CursorConfig, clock: Arc<dyn Clock>) -> Result<(Self, Tidy)> {
        let http = config.connect(Arc::clone(&clock))?;
        Self::with_http(card, config, clock, Arc::new(http))
    }

    /// An endpoint that reaches Cursor through `http`.
    ///
    /// # Errors
    /// As [`CursorConfig::validate`].
    pub fn with_http(
        card: Card,
        config: &CursorConfig,
        clock: Arc<dyn Clock>,
        http: Arc<dyn Http>,
    ) -> Result<(Self, Tidy)> {
        config.validate()?;
        let api = Api {
            base_url: config.base_url.trim_end_matches('/').to_owned(),
            headers: config.headers()?,
            exchange: Exchange { http, clock, head: None, idle: IDLE, most: MOST },
        };
        let (left, receiver) = mpsc::channel(LEFT);
        let tidy = Tidy { api: api.clone(), left: receiver };
        Ok((CursorEndpoint { card, config: config.clone(), api, left }, tidy))
    }

    fn follow(&self, launch: &Value) -> Follow {
        let left = self.config.cancel_on_drop.then(|| self.left.clone());
        let poll = Duration::from_millis(self.config.poll_ms);
        Follow::new(self.api.clone(), self.config.looks(), launch.to_string().into(), poll, left)
    }
}

#[async_trait]
impl Endpoint for CursorEndpoint {
    fn card(&self) -> &Card {
        &self.card
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        if call.operation() != Operation::Chat {
            return Err(call.body.unexpected(Operation::Chat));
        }
        let chat = call.body.chat()?;
        let mut gate = Gate::new(NAME, self.config.unsupported);
        let launch = wire::launch(&call, &chat, (&self.config, &self.card.model), &mut gate)?;
        let json = matches!(chat.output, Some(OutputFormat::Json));
        let model = self.card.model.to_string();
        let mut follow = self.follow(&launch);
        let limit = Duration::from_millis(self.config.follow_ms);
        let mut reply = match call.stream {
            true => {
                let next = within(limit, follow.begin()).await?;
                streamed(follow, next, model, (json, limit))
            }
            false => {
                let outcome = within(limit, follow.whole()).await?;
                let mut response = whole::text(said(&outcome, json), None);
                response.id = Some(outcome.agent.id);
                whole::reply(&call, response, &self.card)?
            }
        };
        reply.head.dropped = gate.dropped();
        Ok(reply)
    }
}

fn said(outcome: &Outcome, json: bool) -> String {
    match json {
        true => outcome.json().to_string(),
        false => outcome.text(),
    }
}

/// Bounds the whole way, however slowly Cursor answers. An agent may be at work, so nobody asks again by himself.
async fn within<T>(limit: Duration, way: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, way).await.unwrap_or_else(|_| {
        let why = format!("Cursor's agent is not done within the {} ms of `follow_ms`", limit.as_millis());
        Err(Error::timed_out(why).retry_is(Retry::Never))
    })
}

/// A stream that begins when the agent does and says everything at the end.
fn streamed(mut follow: Follow, next: Command, model: String, (json, limit): (bool, Duration)) -> Reply {
    let id = follow.id().unwrap_or_default().to_owned();
    let start = Event { frame: None, deltas: vec![Delta::Start { id, model }] };
    let rest = async move {
        let outcome = within(limit, follow.end(next)).await?;
        let text = Delta::Text { choice: 0, text: said(&outcome, json) };
        let finish = Delta::Finish { choice: 0, reason: Finish::Stop };
        Ok(Event { frame: None, deltas: vec![text, finish] })
    };
    let start = stream::iter([Ok(start)]);
    Reply::stream(Box::pin(start.chain(stream::once(rest))))
}
