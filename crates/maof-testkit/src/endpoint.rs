//! A scripted endpoint in process, for tests of layers and stacks.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> maof_core::Result<()> {
//! use maof_core::{Endpoint as _, Error};
//! use maof_testkit::{Play, ScriptedEndpoint, endpoint::call};
//! let endpoint = ScriptedEndpoint::new("flaky").then(Play::fail(Error::unavailable("down")));
//! assert!(endpoint.call(call("hello")).await.is_err());
//! let (response, _) = endpoint.call(call("hello")).await?.collect().await?;
//! assert_eq!(response.text()?, "echo: hello");
//! assert_eq!(endpoint.counts().calls, 2);
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use maof_core::{
    Answer, Body, Call, CallId, Card, ChatAnswer, ChatRequest, Delta, EmbedAnswer, End, Endpoint, Error,
    Event, Failure, Finish, Guard, Guarded as _, Name, Operation, Principal, Reply, Response, Result, Target,
    Tariff, Unit, Usage,
};
use parking_lot::Mutex;

use crate::upstream::vector;

/// What is done with one call.
#[derive(Clone, Debug, Default)]
pub enum Play {
    /// Answers `echo: ` and the user's last text.
    #[default]
    Echo,
    /// Answers this.
    Say(String),
    /// Fails.
    Fail(Failure),
    /// Streams this many words of the echo, then fails.
    Break(usize, Failure),
    /// Waits on tokio's clock, then goes on.
    After(Duration, Box<Play>),
    /// Never answers.
    Hang,
}

impl Play {
    /// Fails with this error.
    pub fn fail(error: Error) -> Play {
        Play::Fail(error.failure())
    }
}

/// What a scripted endpoint has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were begun.
    pub calls: u64,
    /// Calls whose reply was complete.
    pub completed: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were dropped before their end.
    pub dropped: u64,
    /// Calls that have not ended.
    pub open: u64,
    /// The most that were open at once.
    pub max_open: u64,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Play>,
    otherwise: Play,
    counts: Counts,
    calls: Vec<Call>,
}

/// An endpoint that does what it is told; see the [module](self).
#[derive(Debug)]
pub struct ScriptedEndpoint {
    card: Card,
    keep: bool,
    state: Arc<Mutex<State>>,
}

impl ScriptedEndpoint {
    /// An endpoint that echoes, free of charge, for every operation.
    ///
    /// # Panics
    /// When `name` is none.
    pub fn new(name: &str) -> Self {
        let name = Name::new(name).expect("a name");
        let card = Card {
            provider: Name::new("test").expect("a name"),
            model: name.as_str().into(),
            name,
            operations: vec![Operation::Chat, Operation::Embed],
            tariff: Tariff::default(),
            context: None,
            max_output: 100,
        };
        Self { card, keep: true, state: Arc::default() }
    }

    /// With this tariff.
    #[must_use]
    pub fn tariff(mut self, tariff: Tariff) -> Self {
        self.card.tariff = tariff;
        self
    }

    /// With this card changed.
    #[must_use]
    pub fn card_with(mut self, change: impl FnOnce(&mut Card)) -> Self {
        change(&mut self.card);
        self
    }

    /// Does this with the next call that has nothing to do yet.
    #[must_use]
    pub fn then(self, play: Play) -> Self {
        self.state.lock().script.push_back(play);
        self
    }

    /// Does this with every call after the script has ended; without it, echoes.
    #[must_use]
    pub fn otherwise(self, play: Play) -> Self {
        self.state.lock().otherwise = play;
        self
    }

    /// Does not keep the calls that it receives, for benches.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        self.keep = false;
        self
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts.clone()
    }

    /// The calls that it received.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().calls.clone()
    }

    fn begin(&self, call: &Call) -> (Play, Open) {
        let mut state = self.state.lock();
        state.counts.calls += 1;
        state.counts.open += 1;
        state.counts.max_open = state.counts.max_open.max(state.counts.open);
        if self.keep {
            state.calls.push(call.clone());
        }
        let play = state.script.pop_front().unwrap_or_else(|| state.otherwise.clone());
        (play, Open { state: Arc::clone(&self.state), how: How::Dropped })
    }
}

#[async_trait]
impl Endpoint for ScriptedEndpoint {
    fn card(&self) -> &Card {
        &self.card
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        let (mut play, mut open) = self.begin(&call);
        while let Play::After(wait, next) = play {
            tokio::time::sleep(wait).await;
            play = *next;
        }
        let mut reply = match play {
            Play::Hang => std::future::pending().await,
            Play::Fail(failure) => Err(failure.into()),
            Play::Break(words, failure) => echo(&call).map(|text| broken(&text, words, failure)),
            Play::Say(text) => Ok(self.answer(&call, &text)),
            Play::Echo | Play::After(..) if call.operation() == Operation::Embed => self.vectors(&call),
            Play::Echo | Play::After(..) => echo(&call).map(|text| self.answer(&call, &text)),
        };
        match &mut reply {
            Ok(reply) => reply.guard(Box::new(open)),
            Err(_) => open.how = How::Failed,
        }
        reply
    }
}

impl ScriptedEndpoint {
    fn answer(&self, call: &Call, text: &str) -> Reply {
        let input = call.body.chat().ok().and_then(|chat| chat.last_user_text()).unwrap_or_default();
        let usage = usage(words(&input).count(), words(text).count());
        if call.stream {
            let mut deltas = vec![Delta::Start { id: String::new(), model: self.card.model.to_string() }];
            deltas.extend(words(text).map(|text| Delta::Text { choice: 0, text: text.to_owned() }));
            deltas.push(Delta::Finish { choice: 0, reason: Finish::Stop });
            deltas.push(Delta::Usage(usage));
            return Reply::stream(Box::pin(stream::iter(deltas).map(|delta| Ok(event(delta)))));
        }
        let mut response = Response::chat(ChatAnswer::text(text));
        response.usage = Some(usage);
        response.model = Some(self.card.model.to_string());
        Reply::whole(response)
    }

    fn vectors(&self, call: &Call) -> Result<Reply> {
        let embed = call.body.embed()?;
        let vectors = embed.input.iter().map(|text| vector(text, embed.dimensions.unwrap_or(8) as usize));
        let mut response = Response::typed(Answer::Embed(EmbedAnswer { vectors: vectors.collect() }));
        response.usage = Some(usage(embed.input.iter().map(|text| words(text).count()).sum(), 0));
        response.model = Some(self.card.model.to_string());
        Ok(Reply::whole(response))
    }
}

/// A call by nobody in particular that asks `text` of the target `test`.
///
/// # Panics
/// Never: its name is one.
pub fn call(text: &str) -> Call {
    let target = Target::Name(Name::new("test").expect("a name"));
    let id = CallId::from_uuid(maof_core::Ids::next(&crate::UniqueIds));
    Call::new(id, target, Principal::local(), Body::from(ChatRequest::user(text)))
}

fn broken(text: &str, count: usize, failure: Failure) -> Reply {
    let said: Vec<_> =
        words(text).take(count).map(|text| Delta::Text { choice: 0, text: text.to_owned() }).collect();
    let said = said.into_iter().map(|delta| Ok(event(delta)));
    Reply::stream(Box::pin(stream::iter(said.chain([Err(failure.into())]))))
}

fn echo(call: &Call) -> Result<String> {
    Ok(format!("echo: {}", call.body.chat()?.last_user_text().unwrap_or_default()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}

fn usage(input: usize, output: usize) -> Usage {
    Usage::default().with(Unit::Input, input as u64).with(Unit::Output, output as u64)
}

fn event(delta: Delta) -> Event {
    Event { frame: None, deltas: vec![delta] }
}

#[derive(Debug)]
enum How {
    Completed,
    Failed,
    Dropped,
}

/// Counts how a call ends.
#[derive(Debug)]
struct Open {
    state: Arc<Mutex<State>>,
    how: How,
}

impl Guard for Open {
    fn end(mut self: Box<Self>, end: &mut End) {
        self.how = match end.outcome {
            maof_core::Outcome::Complete => How::Completed,
            maof_core::Outcome::Failed(_) => How::Failed,
            maof_core::Outcome::Dropped => How::Dropped,
        };
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let counts = &mut self.state.lock().counts;
        counts.open -= 1;
        match self.how {
            How::Completed => counts.completed += 1,
            How::Failed => counts.failed += 1,
            How::Dropped => counts.dropped += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_script_is_played_in_order_and_every_end_is_counted() {
        let endpoint = ScriptedEndpoint::new("e")
            .then(Play::Say("said".to_owned()))
            .then(Play::fail(Error::unavailable("down")))
            .then(Play::Break(1, Error::protocol("cut").failure()))
            .then(Play::Hang);
        let mut streamed = call("a b");
        streamed.stream = true;
        let (first, end) = endpoint.call(streamed.clone()).await.unwrap().collect().await.unwrap();
        assert_eq!((first.text().unwrap().as_str(), end.usage.unwrap().total_tokens()), ("said", 3));
        assert!(endpoint.call(call("x")).await.is_err());
        assert!(endpoint.call(streamed).await.unwrap().collect().await.is_err());
        let hung = tokio::time::timeout(Duration::from_secs(9), endpoint.call(call("x"))).await;
        assert!(hung.is_err());
        let counts = Counts { calls: 4, completed: 1, failed: 2, dropped: 1, open: 0, max_open: 1 };
        assert_eq!(endpoint.counts(), counts);
    }
}
