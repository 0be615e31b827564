//! What becomes of answers by each policy, whole and streamed, and what is told of them outside.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use maof_core::{
    Body, Call, Chosen, Conformity, DecisionId, Delta, End, Endpoint as _, Error, ErrorKind, Event, Finish,
    Guard, Guarded as _, Money, Name, Outcome, OutputFormat, Reply, Result, Retry, Speaker,
};
use maof_testkit::endpoint::{Play, ScriptedEndpoint, call};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};

use super::{Config, Invalid, Layer, OutputConfig, Outputs};

const GOOD: &str = r#"{"answer": "up", "confidence": 0.5}"#;
const BAD: &str = r#"{"answer": "up", "confidence": 7}"#;

fn schema() -> Value {
    json!({"type": "object", "required": ["answer", "confidence"],
           "properties": {"answer": {"type": "string"}, "confidence": {"type": "number", "maximum": 1}}})
}

fn asking(stream: bool) -> Call {
    let mut call = call("Up or down?");
    let mut chat = (*call.body.chat().unwrap()).clone();
    chat.output = Some(OutputFormat::JsonSchema { name: "a".into(), schema: schema(), strict: None });
    call.body = Body::from(chat);
    call.stream = stream;
    call
}

fn says(texts: &[&str]) -> Arc<ScriptedEndpoint> {
    let endpoint = ScriptedEndpoint::new("model");
    let plays = texts.iter().map(|text| Play::Say((*text).to_owned()));
    Arc::new(plays.fold(endpoint, ScriptedEndpoint::then))
}

/// What each attempt's guard was told, and costs.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Outcome>>>);

impl Guard for Told {
    fn end(self: Box<Self>, end: &mut End) {
        end.cost = Some(Money::from_nanos(5));
        self.0.lock().push(end.outcome.clone());
    }
}

/// The reply to a call at an endpoint whose every attempt costs 5 nano-dollars.
async fn reply(invalid: Invalid, endpoint: &Arc<ScriptedEndpoint>, call: Call, told: &Told) -> Result<Reply> {
    declared(invalid, endpoint, call, told, None).await
}

async fn declared(
    invalid: Invalid,
    endpoint: &Arc<ScriptedEndpoint>,
    call: Call,
    told: &Told,
    output: Option<OutputConfig>,
) -> Result<Reply> {
    let config = Config { invalid, ..Config::default() };
    let agents = output.map(|output| (Name::new("analyst").unwrap(), output));
    let outputs = Outputs::new(&config, agents)?;
    let (endpoint, told) = (Arc::clone(endpoint), told.clone());
    let service = tower::service_fn(move |call: Call| {
        let (endpoint, told) = (Arc::clone(&endpoint), told.clone());
        async move {
            let mut reply = endpoint.call(call).await?;
            reply.head.attempts = 1;
            reply.guard(Box::new(told));
            Ok(reply)
        }
    });
    Layer::new(Arc::new(outputs)).layer(service).oneshot(call).await
}

/// The texts that a model says one after the other; the text that the caller gets, what is said of it, how many requests
/// were made, and what they cost; or the error's kind.
async fn check(invalid: Invalid, texts: &[&str], expect: Result<(&str, Conformity, u32, i64), &str>) {
    let endpoint = says(texts);
    let reply = reply(invalid, &endpoint, asking(false), &Told::default()).await;
    let found = match reply {
        Err(error) => {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Elsewhere));
            Err(error.message().rsplit(": ").next().unwrap().to_owned())
        }
        Ok(reply) => {
            let (schema, attempts) = (reply.head.schema.unwrap(), reply.head.attempts);
            let (response, end) = reply.collect().await.unwrap();
            Ok((response.text().unwrap(), schema, attempts, end.cost.unwrap().nanos()))
        }
    };
    let found = found.as_ref().map(|(text, schema, n, cost)| (text.as_str(), *schema, *n, *cost));
    assert_eq!(found.map_err(String::as_str), expect, "{texts:?}");
    assert_eq!(endpoint.counts().calls, texts.len() as u64, "each is asked for");
}

#[tokio::test]
async fn an_answer_that_breaks_its_schema_is_refused_repaired_or_passed_on() {
    use Conformity::{Invalid as Marked, Repaired, Valid};
    let broken = "it breaks `/properties/confidence/maximum`";
    check(Invalid::Refuse, &[GOOD], Ok((GOOD, Valid, 1, 5))).await;
    check(Invalid::Refuse, &[BAD], Err(broken)).await;
    check(Invalid::Refuse, &["Up, I think."], Err("it is no JSON")).await;
    check(Invalid::Repair, &[GOOD], Ok((GOOD, Valid, 1, 5))).await;
    check(Invalid::Repair, &[BAD, GOOD], Ok((GOOD, Repaired, 2, 10))).await;
    check(Invalid::Repair, &["", GOOD], Ok((GOOD, Repaired, 2, 10))).await;
    check(Invalid::Repair, &["Up, I think.", BAD], Err(broken)).await;
    check(Invalid::Pass, &[GOOD], Ok((GOOD, Valid, 1, 5))).await;
    check(Invalid::Pass, &[BAD], Ok((BAD, Marked, 1, 5))).await;
}

#[tokio::test]
async fn the_wrong_answer_and_what_is_wrong_with_it_are_sent_back() {
    let endpoint = says(&[BAD, GOOD]);
    let mut call = asking(false);
    call.provenance.effect = Some("run/0/0/0".into());
    let reply = reply(Invalid::Repair, &endpoint, call, &Told::default()).await.unwrap();
    let (_, end) = reply.collect().await.unwrap();
    let calls = endpoint.calls();
    let chat = calls[1].body.chat().unwrap();
    let said: Vec<_> = chat.messages.iter().map(|m| (m.speaker, m.plain_text())).collect();
    assert_eq!(said[1], (Speaker::Assistant, BAD.to_owned()));
    assert!(said[2].1.contains("at `/confidence`: 7 is greater than the maximum of 1"), "{said:?}");
    assert_eq!(chat.output, calls[0].body.chat().unwrap().output, "the schema is asked for again");
    assert_eq!(calls[0].hold_key(), calls[1].hold_key(), "both are paid from one hold");
    let keys = calls.iter().map(|call| call.idempotency_key().unwrap().into_owned());
    assert_eq!(keys.collect::<Vec<_>>(), ["run/0/0/0", "run/0/0/0/2"], "but they are two requests");
    // What both used: the question's words, the complaint's, and both answers'.
    let words = |text: &str| text.split_whitespace().count() as u64;
    let input = words("Up or down?") + words(&said[2].1);
    assert_eq!(end.usage.unwrap().total_tokens(), input + words(BAD) + words(GOOD));
}

#[tokio::test]
async fn a_repair_that_cannot_be_asked_for_leaves_the_refusal() {
    let endpoint = ScriptedEndpoint::new("model").then(Play::Say(BAD.to_owned()));
    let endpoint = Arc::new(endpoint.then(Play::fail(Error::context_length("too long"))));
    let told = Told::default();
    let error = reply(Invalid::Repair, &endpoint, asking(false), &told).await.unwrap_err();
    assert!(error.message().contains("/properties/confidence/maximum"), "{error}");
    assert_eq!(*told.0.lock(), [Outcome::Complete], "the first was an answer, and is paid for");
}

/// The events of a stream in short, and the end as those outside are told of it.
async fn streamed(invalid: Invalid, events: Vec<Event>) -> (String, Option<ErrorKind>, Vec<Outcome>, End) {
    let (inside, outside) = (Told::default(), Arc::new(Mutex::new(None)));
    let told = inside.clone();
    let service = tower::service_fn(move |_: Call| {
        let mut reply = Reply::stream(Box::pin(futures::stream::iter(events.clone()).map(Ok)));
        reply.guard(Box::new(told.clone()));
        std::future::ready(Ok(reply))
    });
    use futures::StreamExt as _;
    let outputs = Outputs::new(&Config { invalid, ..Config::default() }, []).unwrap();
    let mut reply = Layer::new(Arc::new(outputs)).layer(service).oneshot(asking(true)).await.unwrap();
    struct Outside(Arc<Mutex<Option<End>>>);
    impl Guard for Outside {
        fn end(self: Box<Self>, end: &mut End) {
            *self.0.lock() = Some(end.clone());
        }
    }
    reply.guard(Box::new(Outside(Arc::clone(&outside))));
    let (_, maof_core::Parts::Stream(mut events)) = reply.into_parts() else { panic!("a stream") };
    let (mut seen, mut failed) = (String::new(), None);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => seen += &event.deltas.iter().map(short).collect::<String>(),
            Err(error) => failed = Some(error.kind()),
        }
    }
    let end = outside.lock().take().unwrap();
    let told = inside.0.lock().clone();
    (seen, failed, told, end)
}

fn short(delta: &Delta) -> String {
    match delta {
        Delta::Text { text, .. } => text.clone(),
        Delta::Finish { .. } => "|".to_owned(),
        Delta::Usage(_) => "$".to_owned(),
        _ => "?".to_owned(),
    }
}

fn event(deltas: Vec<Delta>) -> Event {
    Event { frame: None, deltas }
}

fn text(text: &str) -> Delta {
    Delta::Text { choice: 0, text: text.to_owned() }
}

fn stop() -> Delta {
    Delta::Finish { choice: 0, reason: Finish::Stop }
}

fn usage() -> Delta {
    Delta::Usage(maof_core::Usage::default().with(maof_core::Unit::Output, 3))
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes_and_judged_before_it_is_over() {
    let pieces = |text_: &str| {
        let (head, tail) = text_.split_at(text_.len() / 2);
        vec![event(vec![text(head)]), event(vec![text(tail)]), event(vec![stop()]), event(vec![usage()])]
    };
    for invalid in [Invalid::Refuse, Invalid::Repair, Invalid::Pass] {
        let (seen, failed, ..) = streamed(invalid, pieces(GOOD)).await;
        assert_eq!((seen, failed), (format!("{GOOD}|$"), None));
    }
    let (seen, failed, ..) = streamed(Invalid::Pass, pieces(BAD)).await;
    assert_eq!((seen, failed), (format!("{BAD}|$"), None));
    for invalid in [Invalid::Refuse, Invalid::Repair] {
        let (seen, failed, inside, end) = streamed(invalid, pieces(BAD)).await;
        // Not even the frame that says why it ends is passed on: readers take it for a good end.
        assert_eq!((seen.as_str(), failed), (BAD, Some(ErrorKind::Protocol)));
        assert_eq!(inside, [Outcome::Complete], "the upstream is heard out, and has done no wrong");
        assert_eq!((end.usage.unwrap().total_tokens(), end.cost.unwrap().nanos()), (3, 5), "it is paid for");
        assert!(matches!(end.outcome, Outcome::Failed(_)));
    }
}

#[tokio::test]
async fn a_stream_that_never_says_that_it_ends_is_judged_at_its_end() {
    let check = async |deltas: Vec<Delta>, expect: Option<ErrorKind>| {
        let (_, failed, ..) = streamed(Invalid::Refuse, vec![event(deltas)]).await;
        assert_eq!(failed, expect);
    };
    check(vec![text(GOOD)], None).await;
    check(vec![text(BAD)], Some(ErrorKind::Protocol)).await;
    check(vec![text(BAD), stop()], Some(ErrorKind::Protocol)).await;
    check(vec![text(BAD), Delta::Finish { choice: 0, reason: Finish::Length }], None).await;
    check(vec![Delta::Refusal { choice: 0, text: "no".to_owned() }, stop()], None).await;
}

fn at(agent: &str, mut call: Call) -> Call {
    let name = |text: &str| Name::new(text).unwrap();
    call.chosen = Some(Arc::new(Chosen {
        decision: DecisionId::from_uuid(Default::default()),
        agent: name(agent),
        endpoint: name("model"),
        instructions: None,
        fallbacks: 0,
        instead_of: None,
    }));
    call
}

fn output(fields: Value) -> OutputConfig {
    serde_json::from_value(json!({"schema": schema(), "fields": fields})).unwrap()
}

#[tokio::test]
async fn what_an_agent_declares_is_asked_for_unless_the_call_asks_for_its_own() {
    let endpoint = says(&[GOOD, BAD, "anything", BAD]);
    let ask = async |call: Call| {
        let output = Some(output(json!({})));
        let reply = declared(Invalid::Refuse, &endpoint, call, &Told::default(), output).await;
        let asked = endpoint.calls().last().unwrap().body.output().cloned();
        (reply.map(|reply| reply.head.schema).map_err(|e| e.kind()), asked.is_some())
    };
    assert_eq!(ask(at("analyst", call("?"))).await, (Ok(Some(Conformity::Valid)), true));
    assert_eq!(ask(at("analyst", call("?"))).await, (Err(ErrorKind::Protocol), true));
    assert_eq!(ask(at("clerk", call("?"))).await, (Ok(None), false));
    let mut own = at("analyst", call("?"));
    let mut chat = (*own.body.chat().unwrap()).clone();
    chat.output = Some(OutputFormat::JsonSchema { name: "a".into(), schema: json!({}), strict: None });
    own.body = Body::from(chat);
    assert_eq!(ask(own).await, (Ok(Some(Conformity::Valid)), true));
}

#[tokio::test]
async fn answers_of_another_shape_are_put_into_the_declared_one() {
    let check = async |said: &str, stream: bool, expect: Result<&str, ErrorKind>| {
        let endpoint = says(&[said]);
        let fields = Some(output(json!({"answer": "/label", "confidence": "/score"})));
        let mut call = at("analyst", call("?"));
        call.stream = stream;
        let reply = declared(Invalid::Repair, &endpoint, call, &Told::default(), fields).await;
        let found = match reply {
            Err(error) => Err(error.kind()),
            Ok(reply) => {
                assert_eq!((reply.is_stream(), reply.head.schema), (stream, Some(Conformity::Valid)));
                let (response, end) = reply.collect().await.unwrap();
                assert_eq!(end.cost.unwrap().nanos(), 5);
                assert!(end.usage.unwrap().total_tokens() > 0 && end.finish == Some(Finish::Stop));
                Ok(response.text().unwrap())
            }
        };
        assert_eq!(found.as_deref().map_err(|kind| *kind), expect, "{said}");
        assert_eq!(endpoint.counts().calls, 1, "who answers in its own shape is not told of another");
        assert!(endpoint.calls()[0].body.output().is_none());
    };
    let shaped = r#"{"answer":"up","confidence":0.25}"#;
    check(r#"{"label": "up", "score": 0.25, "more": []}"#, false, Ok(shaped)).await;
    check(r#"{"label": "up", "score": 0.25}"#, true, Ok(shaped)).await;
    check(r#"{"label": "up", "score": 9}"#, false, Err(ErrorKind::Protocol)).await;
    check("up", false, Err(ErrorKind::Protocol)).await;
}

#[tokio::test]
async fn a_bad_schema_asks_nobody_and_names_the_field() {
    let endpoint = says(&[]);
    let mut call = asking(false);
    let mut chat = (*call.body.chat().unwrap()).clone();
    chat.output =
        Some(OutputFormat::JsonSchema { name: "a".into(), schema: json!({"type": 1}), strict: None });
    call.body = Body::from(chat);
    let error = reply(Invalid::Repair, &endpoint, call, &Told::default()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field(), error.retry()),
        (ErrorKind::InvalidRequest, Some("output"), Retry::Never)
    );
    assert_eq!(endpoint.counts().calls, 0);
}

#[test]
fn what_an_agent_declares_badly_is_named() {
    let check = |output: Value, field: &str| {
        let output: OutputConfig = serde_json::from_value(output).unwrap();
        let error = Outputs::new(&Config::default(), [(Name::new("analyst").unwrap(), output)]).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
        assert!(error.message().starts_with("agent analyst: "), "{error}");
    };
    check(json!({"schema": {"type": "objekt"}}), "output.schema");
    check(json!({"schema": {}, "fields": {"answer": "label"}}), "output.fields.answer");
    let config = Config { max_schema_bytes: 0, ..Config::default() };
    assert_eq!(Outputs::new(&config, []).unwrap_err().field(), Some("max_schema_bytes"));
}
