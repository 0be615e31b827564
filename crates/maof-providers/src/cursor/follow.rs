//! Following one agent: what the machine commands is done here.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::{HeaderMap, Method};
use maof_core::{Error, Result};
use tokio::sync::mpsc;

use super::step::{Command, Event, Run};
use super::wire::{self, Outcome};
use crate::client::Request;
use crate::exchange::Exchange;

/// How long deleting an agent may take.
const DELETE: Duration = Duration::from_secs(10);

/// Cursor's API.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) base_url: String,
    pub(super) headers: HeaderMap,
    pub(super) exchange: Exchange,
}

impl Api {
    pub(super) async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let url = format!("{}/v0/agents{path}", self.base_url);
        let request = Request { method, url, headers: self.headers.clone(), body };
        Ok(self.exchange.ask(request).await?.bytes)
    }
}

/// One agent being followed.
#[derive(Debug)]
pub(super) struct Follow {
    run: Run,
    api: Api,
    launch: Bytes,
    poll: Duration,
    id: Option<String>,
    /// Where agents go that nobody waits for; none where they are left to work on.
    left: Option<mpsc::Sender<String>>,
}

impl Follow {
    /// An agent that is launched with the body `launch` and looked at so many times at most, each `poll` after the last.
    pub(super) fn new(
        api: Api,
        looks: u64,
        launch: Bytes,
        poll: Duration,
        left: Option<mpsc::Sender<String>>,
    ) -> Self {
        Follow { run: Run::new(looks), api, launch, poll, id: None, left }
    }

    /// The agent's id, once it has been launched.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Launches the agent; gives what is to be done next.
    pub(super) async fn begin(&mut self) -> Result<Command> {
        let command = self.run.step(Event::Begin);
        let launched = self.perform(command).await?;
        match self.run.step(launched) {
            Command::Fail(error) => Err(error),
            next => Ok(next),
        }
    }

    /// Launches the agent and follows it to its end.
    pub(super) async fn whole(&mut self) -> Result<Outcome> {
        let next = self.begin().await?;
        self.end(next).await
    }

    /// Follows the agent to its end.
    pub(super) async fn end(&mut self, mut command: Command) -> Result<Outcome> {
        loop {
            let event = match command {
                Command::Finish(outcome) => return Ok(*outcome),
                other => self.perform(other).await?,
            };
            command = self.run.step(event);
        }
    }

    /// Does one thing and says what came of it.
    async fn perform(&mut self, command: Command) -> Result<Event> {
        let event = match command {
            Command::Launch => {
                let body = self.launch.clone();
                let answer = self.api.ask(Method::POST, "", body).await;
                answer.and_then(|bytes| wire::agent(&bytes)).map(Event::Agent)
            }
            Command::Look(id) => {
                let answer = self.api.ask(Method::GET, &format!("/{id}"), Bytes::new()).await;
                answer.and_then(|bytes| wire::agent(&bytes)).map(Event::Agent)
            }
            Command::Read(id) => {
                let path = format!("/{id}/conversation");
                let answer = self.api.ask(Method::GET, &path, Bytes::new()).await;
                answer.and_then(|bytes| wire::last_message(&bytes)).map(Event::Told)
            }
            Command::Wait(least) => {
                tokio::time::sleep(self.poll.max(least)).await;
                Ok(Event::Waited)
            }
            Command::Fail(error) => return Err(error),
            Command::Finish(_) => return Err(Error::internal("a result is nothing to do")),
        };
        let event = event.unwrap_or_else(Event::Failed);
        if let Event::Agent(agent) = &event {
            self.id = Some(agent.id.clone());
        }
        Ok(event)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        if let (true, Some(id), Some(left)) = (self.run.at_work(), self.id.take(), &self.left) {
            // One too many works on.
            let _ = left.try_send(id);
        }
    }
}

/// Deletes agents that nobody waits for any more.
#[derive(Debug)]
pub struct Tidy {
    pub(super) api: Api,
    pub(super) left: mpsc::Receiver<String>,
}

impl Tidy {
    /// Works until `closing` ends or the endpoint is gone; what was left until then is still deleted.
    pub async fn run(mut self, closing: impl Future<Output = ()>) {
        let mut closing = pin!(closing);
        loop {
            let next = match select(pin!(self.left.recv()), closing.as_mut()).await {
                Either::Left((id, _)) => id,
                Either::Right(_) => None,
            };
            match next {
                Some(id) => self.delete(&id).await,
                None => break,
            }
        }
        self.left.close();
        while let Ok(id) = self.left.try_recv() {
            self.delete(&id).await;
        }
    }

    async fn delete(&self, id: &str) {
        let path = format!("/{id}");
        // Nobody is left to be told whether it worked.
        let _ = tokio::time::timeout(DELETE, self.api.ask(Method::DELETE, &path, Bytes::new())).await;
    }
}
