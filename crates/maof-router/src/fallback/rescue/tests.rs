//! Who goes on, with what, and what the caller sees of it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use maof_core::{
    CallId, Candidate, ChatRequest, Clock, Decision, DecisionId, ErrorKind, Finish, Frame, Name, Observe,
    Observed, Outcome, Principal, Route, Signal, Target, Timestamp, ToolSpec, Unit,
};
use tower::{ServiceExt as _, util::BoxCloneSyncService};

use super::*;
use crate::Fallback;

type Service = BoxCloneSyncService<Call, Reply, Error>;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Everything that was told, in words.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<String>>);

impl Observe for Log {
    fn on(&self, signal: Signal<'_>) {
        if let Signal::FellBack { from, to, error } = signal {
            self.0.lock().push(format!("{from} > {to}: {error}"));
        }
    }
}

/// Decides on `E0`, `E1` … in order.
#[derive(Debug)]
struct InOrder(usize, Arc<Log>);

impl Route for InOrder {
    fn decide(&self, _: &Call) -> Result<Decision> {
        let candidate = |n| Candidate {
            agent: name(&format!("A{n}")),
            endpoint: name(&format!("E{n}")),
            instructions: None,
        };
        let id = DecisionId::from_uuid(uuid::Uuid::nil());
        Ok(Decision::in_order(id, (0..self.0).map(candidate).collect(), "in order"))
    }

    fn candidates(&self, call: &Call) -> Result<Vec<Candidate>> {
        Ok(self.decide(call)?.candidates().cloned().collect())
    }

    fn observe(&self, observed: Observed<'_>) {
        let endpoint = &observed.candidate.endpoint;
        let how = match &observed.end.outcome {
            Outcome::Complete => "complete",
            Outcome::Failed(failure) => failure.kind.as_str(),
            Outcome::Dropped => "dropped",
        };
        self.1.0.lock().push(format!("{endpoint}: {how}"));
    }
}

#[derive(Debug)]
struct Paused;

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    #[allow(clippy::disallowed_methods, reason = "this is the port, over the runtime's paused time")]
    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// What one endpoint does.
enum Does {
    /// Streams words such as `hello|~think|+tool|!stop|$3` (text, a thought, a tool call, an end, usage), and
    /// ends well, or in this error.
    Streams(&'static str, Option<Error>),
    Fails(Error),
    /// A second later.
    Later(Box<Does>),
}

fn delta(word: &str) -> Delta {
    let choice = 0;
    match (word.get(..1), word.get(1..)) {
        (Some("~"), Some(text)) => Delta::Reasoning { choice, text: text.to_owned() },
        (Some("+"), Some(text)) => Delta::ToolCall {
            choice,
            index: 0,
            id: Some("t".to_owned()),
            name: Some(text.to_owned()),
            arguments: String::new(),
            signature: None,
        },
        (Some("!"), _) => Delta::Finish { choice, reason: Finish::Stop },
        (Some("$"), Some(n)) => Delta::Usage(Usage::default().with(Unit::Output, n.parse().unwrap())),
        (Some("^"), Some(id)) => Delta::Start { id: id.to_owned(), model: id.to_owned() },
        _ => Delta::Text { choice, text: word.to_owned() },
    }
}

/// Estimates what was not said, and prices it at a nano-dollar a token, as the attempt's guard does.
struct Priced;

impl Guard for Priced {
    fn end(self: Box<Self>, end: &mut End) {
        let usage = end.usage.unwrap_or_else(|| Usage::default().with(Unit::Output, 100));
        (end.usage, end.cost) = (Some(usage), Some(Money::from_nanos(usage.output_tokens() as i64)));
    }
}

async fn play(does: Does) -> Result<Reply> {
    match does {
        Does::Fails(error) => Err(error),
        Does::Later(does) => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Box::pin(play(*does)).await
        }
        Does::Streams(words, then) => {
            let frame = |word: &str| Frame { dialect: "x", bytes: word.to_owned().into() };
            let event = |word| Ok(Event { frame: Some(frame(word)), deltas: vec![delta(word)] });
            let events = words.split('|').filter(|word| !word.is_empty()).map(event);
            let events: Vec<_> = events.chain(then.map(Err)).collect();
            let mut reply = Reply::stream(Box::pin(futures::stream::iter(events)));
            reply.guard(Box::new(Priced));
            Ok(reply)
        }
    }
}

struct House {
    service: Fallback<Service>,
    seen: Arc<Mutex<Vec<Call>>>,
    log: Arc<Log>,
}

fn house(script: Vec<Does>) -> House {
    let (seen, log) = (Arc::<Mutex<Vec<Call>>>::default(), Arc::<Log>::default());
    let route = InOrder(script.len(), Arc::clone(&log));
    let services: HashMap<_, _> = script
        .into_iter()
        .enumerate()
        .map(|(n, does)| {
            let (script, seen) = (Arc::new(Mutex::new(VecDeque::from([does]))), Arc::clone(&seen));
            let service = tower::service_fn(move |call: Call| {
                seen.lock().push(call);
                play(script.lock().pop_front().unwrap())
            });
            (name(&format!("E{n}")), Service::new(service))
        })
        .collect();
    let observe = Arc::clone(&log);
    let service = Fallback::new(Arc::new(route), services, Arc::new(Paused), observe).rescuing();
    House { service, seen, log }
}

fn call() -> Call {
    let body = Body::from(ChatRequest { max_tokens: Some(20), ..ChatRequest::user("hi") });
    let target = Target::Name(name("any"));
    let mut call = Call::new(CallId::from_uuid(uuid::Uuid::nil()), target, Principal::local(), body);
    call.stream = true;
    call
}

fn torn() -> Option<Error> {
    Some(Error::protocol("torn"))
}

/// What a reader sees: words as in [`Does::Streams`], and how it ends.
async fn read(house: &House, call: Call) -> (String, std::result::Result<End, Error>) {
    let (_, Parts::Stream(mut events)) = house.service.clone().oneshot(call).await.unwrap().into_parts()
    else {
        panic!("a stream was asked for")
    };
    let mut words = Vec::new();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return (words.join("|"), Err(error)),
        };
        assert_eq!(event.frame, None, "frames of two upstreams do not fit together");
        words.extend(event.deltas.iter().map(|delta| match delta {
            Delta::Start { id, .. } => format!("^{id}"),
            Delta::Text { text, .. } => text.clone(),
            Delta::Reasoning { text, .. } => format!("~{text}"),
            Delta::ToolCall { name, .. } => format!("+{}", name.as_deref().unwrap_or_default()),
            Delta::Finish { .. } => "!".to_owned(),
            Delta::Usage(usage) => format!("${}", usage.output_tokens()),
            other => panic!("{other:?}"),
        }));
    }
    (words.join("|"), Ok(events.end().clone()))
}

/// What a reader sees of these endpoints.
async fn check(script: Vec<Does>, expect: &str, ends: Option<ErrorKind>) {
    let house = house(script);
    let (words, end) = read(&house, call()).await;
    assert_eq!((words.as_str(), end.err().map(|e| e.kind())), (expect, ends));
}

#[tokio::test]
async fn a_stream_that_dies_goes_on_elsewhere_with_one_start_one_end_and_the_sum_of_usage() {
    use Does::{Fails, Streams};
    let down = || Fails(Error::unavailable("down"));
    // The first did not say what it used: 100 by estimate.
    check(
        vec![Streams("^a|Hel|lo", torn()), Streams("^b| world|!|$7", None)],
        "^a|Hel|lo| world|!|$107",
        None,
    )
    .await;
    check(vec![Streams("^a|$1|Hel", torn()), Streams("^b|lo|!", None)], "^a|$1|Hel|lo|!|$101", None).await;
    check(
        vec![Streams("a", torn()), down(), Streams("b", torn()), Streams("c|!|$1", None)],
        "a|b|c|!|$201",
        None,
    )
    .await;
    check(vec![Streams("~thought|a", torn()), Streams("~again|b|!|$1", None)], "~thought|a|b|!|$101", None)
        .await;
    check(vec![Streams("^a|a|!|$3", None)], "^a|a|!|$3", None).await;
}

#[tokio::test]
async fn what_cannot_be_continued_ends_in_what_it_died_of() {
    use Does::{Fails, Streams};
    let well = || Streams("b|!", None);
    check(vec![Streams("a", torn())], "a", Some(ErrorKind::Protocol)).await;
    check(vec![Streams("a|+tool", torn()), well()], "a|+tool", Some(ErrorKind::Protocol)).await;
    check(vec![Streams("a|!", torn()), well()], "a|!", Some(ErrorKind::Protocol)).await;
    let refused = Error::content_filtered("no");
    check(vec![Streams("a", Some(refused)), well()], "a", Some(ErrorKind::ContentFiltered)).await;
    let wrong = Error::invalid_request("x");
    check(vec![Streams("a", torn()), Fails(wrong), well()], "a", Some(ErrorKind::Protocol)).await;
    check(vec![Streams("a", torn()), Fails(Error::unavailable("down"))], "a", Some(ErrorKind::Protocol))
        .await;
}

#[tokio::test]
async fn whoever_goes_on_is_told_what_was_said() {
    let house = house(vec![Does::Streams("Hello, my ", torn()), Does::Streams("dear|!", None)]);
    let (_, end) = read(&house, call()).await;
    let seen = house.seen.lock();
    let chat = seen[1].body.chat().unwrap();
    let said: Vec<_> = chat.messages.iter().map(|m| (m.speaker, m.plain_text())).collect();
    assert_eq!(said[0], (Speaker::User, "hi".to_owned()));
    assert_eq!(said[1], (Speaker::Assistant, "Hello, my ".to_owned()));
    assert_eq!(said[2], (Speaker::User, GO_ON.to_owned()));
    assert_eq!(chat.max_tokens, Some(18), "a token for every four bytes");
    assert_eq!(seen[1].chosen.as_ref().unwrap().instead_of, Some((name("A0"), ErrorKind::Protocol)));
    assert_eq!(end.unwrap().cost, Some(Money::from_nanos(200)));
    assert_eq!(*house.log.0.lock(), ["E0: protocol", "A0 > A1: protocol", "E1: complete"]);
}

#[tokio::test]
async fn where_nothing_was_said_the_question_is_asked_as_it_was() {
    let house = house(vec![Does::Streams("^a|~hm", torn()), Does::Streams("^b|b|!", None)]);
    assert_eq!(read(&house, call()).await.0, "^a|~hm|b|!|$200");
    assert_eq!(house.seen.lock()[1].body.chat().unwrap().messages.len(), 1);
}

#[test]
fn only_a_stream_of_one_plain_text_can_be_continued() {
    let check = |change: fn(&mut ChatRequest), expect: bool| {
        let mut chat = ChatRequest::user("hi");
        change(&mut chat);
        assert_eq!(allows(&Call { body: Body::from(chat), ..call() }), expect);
    };
    check(|_| {}, true);
    check(|chat| chat.output = Some(OutputFormat::Text), true);
    check(|chat| chat.output = Some(OutputFormat::Json), false);
    check(|chat| chat.choices = Some(2), false);
    check(|chat| chat.stop = vec!["x".to_owned()], false);
    let tool = |chat: &mut ChatRequest| {
        let parameters = serde_json::json!({});
        chat.tools = vec![ToolSpec { name: "f".to_owned(), description: None, parameters, strict: None }];
    };
    check(tool, true);
    assert!(!allows(&Call { stream: false, ..call() }));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_to_go_on_after_the_deadline() {
    let late = Does::Later(Box::new(Does::Fails(Error::unavailable("down"))));
    let house = house(vec![Does::Streams("a", torn()), late, Does::Streams("b|!", None)]);
    let mut call = call();
    call.deadline = Some(Paused.instant() + Duration::from_millis(500));
    assert_eq!(read(&house, call).await.1.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(house.seen.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_somebody_is_asked_to_go_on_ends_all_of_it_once() {
    let late = Does::Later(Box::new(Does::Streams("b|!", None)));
    let house = house(vec![Does::Streams("a", torn()), late]);
    let left = tokio::time::timeout(Duration::from_millis(500), read(&house, call())).await;
    assert!(left.is_err());
    assert_eq!(*house.log.0.lock(), ["E0: protocol", "A0 > A1: protocol", "E1: dropped"]);
}

#[tokio::test]
async fn without_the_wish_frames_pass_and_the_stream_ends_in_its_error() {
    let log = Arc::<Log>::default();
    let service = Service::new(tower::service_fn(|_| play(Does::Streams("a", torn()))));
    let services = HashMap::from([(name("E0"), service.clone()), (name("E1"), service)]);
    let route = Arc::new(InOrder(2, Arc::clone(&log)));
    let plain = Fallback::new(route, services, Arc::new(Paused), log);
    let (_, Parts::Stream(events)) = plain.oneshot(call()).await.unwrap().into_parts() else {
        panic!("a stream was asked for")
    };
    let events: Vec<_> = events.collect().await;
    assert!(events[0].as_ref().is_ok_and(|event| event.frame.is_some()) && events[1].is_err());
}
