//! What spans and observers are told, however a call ends.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use maof_core::{
    Body, CallId, Card, ChatAnswer, ChatRequest, Chosen, DecisionId, Delta, Event, Money, Name, Principal,
    Response, Target, Tariff, Timestamp, Unit, Usage,
};
use parking_lot::Mutex;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context as Within, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::*;

/// Every span's name and fields, as they were when it closed.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Closed>>);

type Fields = BTreeMap<&'static str, String>;
type Closed = Vec<(&'static str, Fields)>;
/// None for a beginning, how it failed for an end.
type Calls = Vec<Option<Option<ErrorKind>>>;

struct Write<'a>(&'a mut Fields);

impl Visit for Write<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, within: Within<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Write(&mut fields));
        within.span(id).unwrap().extensions_mut().insert(fields);
    }
    fn on_record(&self, id: &Id, values: &Record<'_>, within: Within<'_, S>) {
        let span = within.span(id).unwrap();
        values.record(&mut Write(span.extensions_mut().get_mut::<Fields>().unwrap()));
    }
    fn on_close(&self, id: Id, within: Within<'_, S>) {
        let span = within.span(&id).unwrap();
        let fields = span.extensions_mut().remove::<Fields>().unwrap();
        self.0.lock().push((span.name(), fields));
    }
}

#[derive(Debug)]
struct Still(Instant);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
    fn instant(&self) -> Instant {
        self.0
    }
}

/// How calls began and ended.
#[derive(Debug, Default)]
struct Heard(Mutex<Calls>);

impl Observe for Heard {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::CallBegan => self.0.lock().push(None),
            Signal::CallEnded { error, took, .. } => {
                assert_eq!(took, Duration::ZERO);
                self.0.lock().push(Some(error));
            }
            _ => {}
        }
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn chosen() -> Arc<Chosen> {
    Arc::new(Chosen {
        decision: DecisionId::from_uuid(Default::default()),
        agent: name("analyst"),
        endpoint: name("fast"),
        instructions: None,
        fallbacks: 0,
        instead_of: None,
    })
}

fn card() -> Arc<Card> {
    Arc::new(Card {
        name: name("fast"),
        provider: name("openai"),
        model: "gpt-4o".into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default(),
        context: None,
        max_output: 1,
    })
}

/// Prices what it is told of, as the attempt's guard does.
struct Priced;

impl Guard for Priced {
    fn end(self: Box<Self>, end: &mut End) {
        end.cost = Some(Money::from_nanos(42));
    }
}

fn priced(mut reply: Reply) -> Reply {
    reply.guard(Box::new(Priced));
    reply.head.chosen = Some(chosen());
    reply
}

fn whole() -> Reply {
    let mut response = Response::chat(ChatAnswer::text("hi"));
    response.usage =
        Some(Usage::default().with(Unit::Input, 3).with(Unit::CachedInput, 2).with(Unit::Output, 7));
    response.model = Some("gpt-4o-2024".into());
    priced(Reply::whole(response))
}

fn streamed(then: Option<Error>) -> Reply {
    let text = Event { frame: None, deltas: vec![Delta::Text { choice: 0, text: "hi".into() }] };
    priced(Reply::stream(Box::pin(futures::stream::iter([Ok(text)].into_iter().chain(then.map(Err))))))
}

/// Answers a call through both layers, does this with the answer, and gives what was told.
fn told(
    answer: impl Fn() -> Option<Result<Reply, Error>> + Clone + Send + 'static,
    with: impl Fn(Result<Reply, Error>),
) -> (Calls, Closed) {
    let (spans, heard) = (Spans::default(), Arc::new(Heard::default()));
    with_default(tracing_subscriber::registry().with(spans.clone()), || {
        let inner = service_fn(move |_: Call| {
            let answer = answer();
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        });
        let inner = crate::attempt::Layer::new(card()).layer(inner);
        let service = Layer::new(Arc::new(Still(Instant::now())), heard.clone()).layer(inner);
        let body = Body::from(ChatRequest::user("q"));
        let id = CallId::from_uuid(Default::default());
        let mut call = Call::new(id, Target::Name(name("analyst")), Principal::local(), body);
        call.chosen = Some(chosen());
        if let Some(answer) = service.oneshot(call).now_or_never() {
            with(answer);
        }
    });
    let (heard, spans) = (heard.0.lock().clone(), spans.0.lock().clone());
    (heard, spans)
}

/// Each span's fields of these names.
fn fields<'a>(spans: &'a [(&'static str, Fields)], span: &str, names: &[&str]) -> Vec<Option<&'a str>> {
    let mut found = spans.iter().filter(|(name, _)| *name == span);
    let (_, fields) = found.next().unwrap();
    assert!(found.next().is_none(), "one span is called {span}");
    names.iter().map(|name| fields.get(*name).map(String::as_str)).collect()
}

#[test]
fn a_whole_answers_figures_are_in_both_spans() {
    let (heard, spans) = told(|| Some(Ok(whole())), |reply| drop(reply.unwrap()));
    assert_eq!(heard, [None, Some(None)]);
    let figures = [
        "gen_ai.operation.name",
        "gen_ai.agent.name",
        "maof.endpoint",
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "maof.cost.nanos",
        "error.type",
    ];
    let expect = ["chat", "analyst", "fast", "gpt-4o-2024", "[\"stop\"]", "5", "7", "42"];
    let expect: Vec<_> = expect.into_iter().map(Some).chain([None]).collect();
    assert_eq!(fields(&spans, "call", &figures), expect);
    assert_eq!(fields(&spans, "attempt", &figures), expect);
    let whom = ["gen_ai.provider.name", "gen_ai.request.model", "maof.attempt"];
    assert_eq!(fields(&spans, "attempt", &whom), [Some("openai"), Some("gpt-4o"), Some("1")]);
    assert_eq!(fields(&spans, "call", &whom), [None, Some("analyst"), None]);
}

#[test]
fn every_end_is_told_once_to_observers_and_spans() {
    let check = |answer: fn() -> Option<Result<Reply, Error>>, read: bool, expect: Option<ErrorKind>| {
        let (heard, spans) = told(answer, move |reply| {
            if let (Ok(reply), true) = (reply, read) {
                let _ = reply.collect().now_or_never();
            }
        });
        assert_eq!(heard, [None, Some(expect)]);
        let error = [expect.map(ErrorKind::as_str)];
        assert_eq!(fields(&spans, "call", &["error.type"]), error);
        assert_eq!(fields(&spans, "attempt", &["error.type"]), error);
    };
    check(|| Some(Err(Error::timed_out("late"))), true, Some(ErrorKind::Timeout));
    check(|| None, true, Some(ErrorKind::Cancelled));
    check(|| Some(Ok(streamed(None))), true, None);
    check(|| Some(Ok(streamed(None))), false, Some(ErrorKind::Cancelled));
    check(|| Some(Ok(streamed(Some(Error::protocol("odd"))))), true, Some(ErrorKind::Protocol));
}

#[test]
fn where_nobody_listens_to_spans_observers_are_told_all_the_same() {
    let heard = Arc::new(Heard::default());
    let service = service_fn(|_: Call| async { Ok(whole()) });
    let service = crate::attempt::Layer::new(card()).layer(service);
    let service = Layer::new(Arc::new(Still(Instant::now())), heard.clone()).layer(service);
    let id = CallId::from_uuid(Default::default());
    let call = Call::new(id, Target::Name(name("a")), Principal::local(), Body::from(ChatRequest::user("q")));
    let reply = service.oneshot(call).now_or_never().unwrap().unwrap();
    let (_, end) = reply.collect().now_or_never().unwrap().unwrap();
    assert_eq!(end.cost, Some(Money::from_nanos(42)));
    assert_eq!(*heard.0.lock(), [None, Some(None)]);
}

#[test]
fn why_a_call_went_where_it_went_is_in_its_span() {
    let spans = Spans::default();
    with_default(tracing_subscriber::registry().with(spans.clone()), || {
        let inner = service_fn(|_: Call| async {
            let one =
                |agent| maof_core::Candidate { agent: name(agent), endpoint: name("e"), instructions: None };
            let id = DecisionId::from_uuid(Default::default());
            let decision = maof_core::Decision::in_order(id, vec![one("zoe"), one("ada")], "they can");
            crate::route::InSpans.on(Signal::Routed { decision: &decision });
            Ok(whole())
        });
        let service = Layer::new(Arc::new(Still(Instant::now())), Arc::new(Heard::default())).layer(inner);
        let body = Body::from(ChatRequest::user("q"));
        let id = CallId::from_uuid(Default::default());
        let call = Call::new(id, Target::Name(name("any")), Principal::local(), body);
        drop(service.oneshot(call).now_or_never());
    });
    let names = ["maof.route.strategy", "maof.route.order", "maof.route.propensity", "maof.route.decision"];
    let expect = ["priority", "zoe@e > ada@e", "1.0", "00000000-0000-0000-0000-000000000000"].map(Some);
    assert_eq!(fields(&spans.0.lock(), "call", &names), expect);
}
