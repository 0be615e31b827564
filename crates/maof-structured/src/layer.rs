//! The layer: asks for the declared schema, judges the answer, and sends a wrong one back once where that is the policy.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either, Ready, ready};
use maof_core::{
    Answer, Call, ChatAnswer, Conformity, End, Error, Event, Guard, Guarded as _, Head, Money, Reply,
    Response, Result,
};
use serde_json::Value;
use tower_service::Service;

use crate::answer::Said;
use crate::config::Invalid;
use crate::fields;
use crate::outputs::{Outputs, Plan};
use crate::repair;
use crate::schema::Broken;
use crate::stream;

/// Makes [`Structured`] services.
#[derive(Clone, Debug)]
pub struct Layer {
    outputs: Arc<Outputs>,
}

impl Layer {
    /// By what `outputs` know.
    pub fn new(outputs: Arc<Outputs>) -> Self {
        Layer { outputs }
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Structured<S>;

    fn layer(&self, inner: S) -> Structured<S> {
        Structured { inner, outputs: Arc::clone(&self.outputs) }
    }
}

/// A service whose answers follow the schema that was asked for.
#[derive(Clone, Debug)]
pub struct Structured<S> {
    inner: S,
    outputs: Arc<Outputs>,
}

impl<S> Service<Call> for Structured<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    /// A call without a schema is the service's own future: it costs no allocation.
    type Future = Either<S::Future, Either<Ready<Result<Reply>>, BoxFuture<'static, Result<Reply>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let plan = match self.outputs.plan(&call) {
            Ok(None) => return Either::Left(self.inner.call(call)),
            Ok(Some(plan)) => plan,
            Err(error) => return Either::Right(Either::Left(ready(Err(error)))),
        };
        // The instance that was readied is the one that is called.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        Either::Right(Either::Right(Box::pin(answered(inner, plan, call))))
    }
}

async fn answered<S>(mut inner: S, mut plan: Plan, call: Call) -> Result<Reply>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    let streamed = call.stream;
    let call = plan.ask(call)?;
    let reply = inner.call(call.clone()).await?;
    if reply.is_stream() {
        return Ok(stream::judged(plan, reply));
    }
    let first = Whole::of(reply).await?;
    let broken = match plan.judge_all(&first)? {
        Verdict::NoAttempt => return first.reply(None, streamed),
        Verdict::Valid(None) => return first.reply(Some(Conformity::Valid), streamed),
        Verdict::Valid(Some(shaped)) => {
            return first.shaped(&shaped).reply(Some(Conformity::Valid), streamed);
        }
        Verdict::Broken(broken) => broken,
    };
    match plan.invalid {
        Invalid::Pass => {
            tracing::warn!(why = broken.why, "an answer breaks its JSON schema and is passed on");
            first.reply(Some(Conformity::Invalid), streamed)
        }
        Invalid::Refuse => Err(broken.refusal()),
        Invalid::Repair => repaired(inner, plan, call, first, broken).await,
    }
}

/// Sends the wrong answer back, and passes on the next one if it is better.
async fn repaired<S>(mut inner: S, plan: Plan, call: Call, first: Whole, broken: Broken) -> Result<Reply>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    let Some(text) = first.only_text(&plan)? else { return Err(broken.refusal()) };
    let again = match repair::turn(&call, &text, &broken) {
        Ok(Some(again)) => again,
        Ok(None) => return Err(broken.refusal()),
        Err(error) => return Err(broken.refusal().because(error)),
    };
    tracing::info!(why = broken.why, "an answer breaks its JSON schema and is sent back");
    let asked = async {
        poll_fn(|cx| inner.poll_ready(cx)).await?;
        Whole::of(inner.call(again).await?).await
    };
    // What is wrong with the answer says more than why it could not be mended.
    let second = asked.await.map_err(|error| broken.refusal().because(error))?.after(&first);
    match plan.judge_all(&second)? {
        Verdict::NoAttempt => second.reply(None, false),
        Verdict::Valid(_) => second.reply(Some(Conformity::Repaired), false),
        Verdict::Broken(broken) => Err(broken.refusal()),
    }
}

/// What is thought of a whole answer.
enum Verdict {
    /// It calls tools, refuses or was cut off.
    NoAttempt,
    /// It follows the schema; with the declared shape that it was put into.
    Valid(Option<Value>),
    Broken(Broken),
}

impl Plan {
    /// What is thought of one choice; none where it is no attempt.
    pub(crate) fn judge(&self, said: &Said) -> Option<Result<Value, Broken>> {
        let text = said.attempt()?;
        Some(match &self.fields {
            _ if said.too_long => Err(self.schema.too_long()),
            Some(fields) => self.schema.judge_value(fields::collect(fields, text)),
            None => self.schema.judge(text),
        })
    }

    fn judge_all(&self, whole: &Whole) -> Result<Verdict> {
        let mut verdict = Verdict::NoAttempt;
        for choice in &whole.chat()?.choices {
            match self.judge(&Said::of(choice, self.schema.most_answer())) {
                None => {}
                Some(Ok(value)) => verdict = Verdict::Valid(self.fields.is_some().then_some(value)),
                Some(Err(broken)) => return Ok(Verdict::Broken(broken)),
            }
        }
        Ok(verdict)
    }
}

/// A whole answer whose attempt has ended.
struct Whole {
    head: Head,
    response: Response,
    end: End,
}

impl Whole {
    async fn of(reply: Reply) -> Result<Whole> {
        let head = reply.head.clone();
        let (response, end) = reply.collect().await?;
        Ok(Whole { head, response, end })
    }

    fn chat(&self) -> Result<&ChatAnswer> {
        match self.response.answer()? {
            Answer::Chat(chat) => Ok(chat),
            _ => Err(Error::protocol("an answer came that is none to a conversation")),
        }
    }

    /// The text that is sent back: none of several choices, and none of an agent that answers in its own shape, which
    /// would not know what it is told.
    fn only_text(&self, plan: &Plan) -> Result<Option<String>> {
        Ok(match self.chat()?.choices.as_slice() {
            [only] if plan.fields.is_none() => Some(only.message.plain_text()),
            _ => None,
        })
    }

    /// The answer in the declared shape.
    fn shaped(self, shape: &Value) -> Whole {
        let mut response = Response::chat(ChatAnswer::text(shape.to_string()));
        response.usage = self.response.usage;
        response.id = self.response.id;
        response.model = self.response.model;
        Whole { response, ..self }
    }

    /// The same with what the turn before it used and cost.
    fn after(mut self, first: &Whole) -> Whole {
        self.head.attempts = self.head.attempts.max(1) + first.head.attempts.max(1);
        if let Some(before) = first.end.usage {
            *self.end.usage.get_or_insert_default() += before;
        }
        self.end.cost = [self.end.cost, first.end.cost].into_iter().flatten().reduce(Money::plus);
        self
    }

    /// The reply, which tells those outside what those inside have found out; as a stream of one event, if one is
    /// waited for.
    fn reply(self, schema: Option<Conformity>, streamed: bool) -> Result<Reply> {
        let Whole { head, response, end } = self;
        let mut reply = match streamed {
            false => Reply::whole(response),
            true => {
                let event = Event { frame: None, deltas: response.deltas()? };
                Reply::stream(Box::pin(futures::stream::iter([Ok(event)])))
            }
        };
        reply.head = Head { schema, ..head };
        reply.guard(Box::new(Tells(end)));
        Ok(reply)
    }
}

/// Tells those outside what was used and what it cost, over all turns.
struct Tells(End);

impl Guard for Tells {
    fn end(self: Box<Self>, end: &mut End) {
        (end.usage, end.cost) = (self.0.usage, self.0.cost);
    }
}
