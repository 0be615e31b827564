//! Cascades in the live path: a cheap agent answers first, its answer is looked at, and only where it is doubtful the call goes on to
//! whom it asked for (L. Chen, M. Zaharia and J. Zou, "FrugalGPT", arXiv 2305.05176).
//!
//! Both calls are made within the one hold and deadline of the caller's, and each attempt is billed and judged as any. What is kept is the
//! cheap agent's reply; what is escalated tells what both cost.
//!
//! Not for streams whose beginning matters: one can be verified only when it is whole, so streams pass unless they are to be held
//! ([`crate::Cascade::hold_streams`]). Not for answers that call tools.
//!
//! The verifiers are [`crate::learned::verify`]'s. A [`Judge`] weighs them by hand or by a trained model.

mod judge;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use maof_core::{
    Call, Conformity, End, Error, ErrorKind, Event, Finish, Guard, Guarded as _, Head, Money, Name, Observe,
    Operation, Purpose, Reply, Response, Result, Signal, Target,
};
use tower_service::Service;

use crate::choose::asks_for;
use crate::config::Cascade as Config;
use crate::fallback::ready_and_call;
use crate::learned::Answer;
use crate::prompt;
use judge::Verdict;

pub use judge::Judge;

/// Makes [`Cascaded`] services.
#[derive(Clone)]
pub struct Layer {
    shared: Arc<Shared>,
}

struct Shared {
    cascades: Vec<(Config, Judge)>,
    observe: Arc<dyn Observe>,
}

impl Layer {
    /// Cascades as configured, each with who judges; tells `observe` of each answer that was looked at.
    pub fn new(cascades: Vec<(Config, Judge)>, observe: Arc<dyn Observe>) -> Layer {
        Layer { shared: Arc::new(Shared { cascades, observe }) }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Cascaded<S>;

    fn layer(&self, inner: S) -> Cascaded<S> {
        Cascaded { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A call path with cascades.
#[derive(Clone)]
pub struct Cascaded<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Cascaded<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(at) = self.shared.cascades.iter().position(|(cascade, _)| fits(cascade, &call)) else {
            return Box::pin(self.inner.call(call));
        };
        // Readied anew for each that is asked: who is asked first is not who was readied for.
        let (service, shared) = (self.inner.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            match shared.cascades.get(at) {
                Some((cascade, judge)) => shared.ask(service, (cascade, judge), call).await,
                None => ready_and_call(service, call).await,
            }
        })
    }
}

/// Whom a call is put to before it goes to whom it asks for; none where it is not cascaded.
pub fn first<'a>(cascades: &'a [Config], call: &Call) -> Option<&'a Name> {
    cascades.iter().find(|cascade| fits(cascade, call)).map(|cascade| &cascade.first)
}

/// Whether a call is to be cascaded so.
fn fits(cascade: &Config, call: &Call) -> bool {
    let Config { of, first, hold_streams, .. } = cascade;
    asks_for(call, of)
        && call.operation() == Operation::Chat
        && call.purpose == Purpose::Answer
        && (*hold_streams || !call.stream)
        && call.principal.grant.allows(first.as_str())
        && call.body.chat().is_ok_and(|chat| chat.tools.is_empty() && chat.choices.unwrap_or(1) == 1)
}

impl Shared {
    async fn ask<S>(&self, service: S, (cascade, judge): (&Config, &Judge), call: Call) -> Result<Reply>
    where
        S: Service<Call, Response = Reply, Error = Error> + Clone + Send,
        S::Future: Send,
    {
        let to = |name: &Name| Call { target: Target::Name(name.clone()), ..call.clone() };
        let first = whole(service.clone(), to(&cascade.first));
        let (first, second) = match &cascade.second {
            None => (first.await, None),
            Some(second) => {
                // Under a hold of its own, since both may be billed at once.
                let beside = Call { beside: true, ..to(second) };
                let (first, second) = tokio::join!(first, whole(service.clone(), beside));
                (first, second.ok())
            }
        };
        let spent = [first.as_ref().ok(), second.as_ref()].into_iter().flatten();
        let spent = spent.filter_map(|whole| whole.end.cost).reduce(Money::plus);
        let kept = first.as_ref().is_ok_and(|first| stands(cascade, judge, &call, first, second.as_ref()));
        // Why it failed stands in the log of whoever failed; whom the call asked for may still answer.
        let (streamed, turn) = (call.stream, call.turn + 1);
        let escalated = match kept {
            true => None,
            false => Some(ready_and_call(service, Call { turn, ..call }).await),
        };
        match (first, escalated) {
            // A doubtful answer that is paid for is more than none, to whom nothing better can be given for the money.
            (Ok(first), Some(Err(error))) if error.kind() == ErrorKind::BudgetExceeded => {
                tracing::info!(first = %cascade.first, "a doubtful answer is kept: the budget has no room for another");
                self.observe.on(Signal::Cascaded { kept: true });
                first.reply(streamed, spent)
            }
            (Ok(first), None) => {
                self.observe.on(Signal::Cascaded { kept: true });
                first.reply(streamed, spent)
            }
            (_, escalated) => {
                self.observe.on(Signal::Cascaded { kept: false });
                let nobody = || Err(Error::internal("a cascade kept an answer that is not there"));
                let mut reply = escalated.unwrap_or_else(nobody)?;
                reply.guard(Box::new(Spent { before: spent, instead: false }));
                Ok(reply)
            }
        }
    }
}

/// Whether the first answer stands.
fn stands(cascade: &Config, judge: &Judge, call: &Call, first: &Whole, second: Option<&Whole>) -> bool {
    let Ok(text) = first.response.text() else { return false };
    let second = second.and_then(|second| second.response.text().ok());
    let answer = Answer {
        truncated: match &first.response.finish {
            Some(Finish::Stop) => Some(false),
            Some(Finish::Length | Finish::ContentFilter) => Some(true),
            _ => None,
        },
        schema: first.head.schema.map(|schema| schema != Conformity::Invalid),
        second: second.as_deref(),
        ..Answer::new(&text)
    };
    let Verdict { stands, right, fails } = judge.judge(&prompt::question(&call.body), &answer);
    tracing::debug!(first = %cascade.first, of = %cascade.of, right, fails, kept = stands, "looked at a first answer");
    stands
}

/// A whole answer whose attempts have ended.
struct Whole {
    head: Head,
    response: Response,
    end: End,
}

async fn whole<S>(service: S, call: Call) -> Result<Whole>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    let reply = ready_and_call(service, call).await?;
    let head = reply.head.clone();
    let (response, end) = reply.collect().await?;
    Ok(Whole { head, response, end })
}

impl Whole {
    /// The reply; as a stream of one event, if one is waited for.
    fn reply(self, streamed: bool, spent: Option<Money>) -> Result<Reply> {
        let mut reply = match streamed {
            false => Reply::whole(self.response),
            true => {
                let event = Event { frame: None, deltas: self.response.deltas()? };
                Reply::stream(Box::pin(Once(Some(event))))
            }
        };
        reply.head = self.head;
        reply.guard(Box::new(Spent { before: spent, instead: true }));
        reply.guard(Box::new(Used(self.end)));
        Ok(reply)
    }
}

/// A stream of one event.
struct Once(Option<Event>);

impl futures_core::Stream for Once {
    type Item = Result<Event>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// Tells those outside what the first answers cost: beside what was asked after them, or instead, where nothing was.
struct Spent {
    before: Option<Money>,
    instead: bool,
}

impl Guard for Spent {
    fn end(self: Box<Self>, end: &mut End) {
        let after = end.cost.filter(|_| !self.instead);
        end.cost = [self.before, after].into_iter().flatten().reduce(Money::plus);
    }
}

/// Tells those outside what the answer that is kept used.
struct Used(End);

impl Guard for Used {
    fn end(self: Box<Self>, end: &mut End) {
        end.usage = self.0.usage;
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("cascades", &self.shared.cascades).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Cascaded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cascaded").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
