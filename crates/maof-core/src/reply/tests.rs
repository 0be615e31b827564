//! A reply ends exactly once, whatever happens to it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::*;
use crate::usage::Unit;

/// Yields its items, then stays pending for ever if told so.
struct Script(std::vec::IntoIter<Result<Event>>, bool);

impl Stream for Script {
    type Item = Result<Event>;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.next() {
            None if self.1 => Poll::Pending,
            item => Poll::Ready(item),
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u8, End)>>>);

struct Note(u8, Log);

impl Guard for Note {
    fn end(self: Box<Self>, end: &mut End) {
        self.1.0.lock().unwrap().push((self.0, end.clone()));
        end.cost = Some(Money::from_nanos(i64::from(self.0)));
    }
}

fn text(text: &str) -> Result<Event> {
    Ok(Event { frame: None, deltas: vec![Delta::Text { choice: 0, text: text.into() }] })
}

fn guarded(mut reply: Reply) -> (Reply, Log) {
    let log = Log::default();
    reply.guard(Box::new(Note(1, log.clone())));
    reply.guard(Box::new(Note(2, log.clone())));
    (reply, log)
}

fn stream(items: Vec<Result<Event>>, hangs: bool) -> (Reply, Log) {
    guarded(Reply::stream(Box::pin(Script(items.into_iter(), hangs))))
}

fn now<F: Future>(future: F) -> Option<F::Output> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => Some(out),
        Poll::Pending => None,
    }
}

fn check(log: &Log, expect: &Outcome) -> End {
    let log = log.0.lock().unwrap();
    assert_eq!(log.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2], "innermost first, once each");
    assert_eq!(log[1].1.cost, Some(Money::from_nanos(1)), "what the inner one adds, the outer one sees");
    for (_, end) in log.iter() {
        assert_eq!(&end.outcome, expect);
    }
    log[0].1.clone()
}

#[test]
fn a_finished_stream_is_complete_and_equals_the_whole_answer() {
    let usage = Usage::default().with(Unit::Output, 2);
    let finish = Event {
        frame: None,
        deltas: vec![Delta::Finish { choice: 0, reason: Finish::Stop }, Delta::Usage(usage)],
    };
    let (reply, log) = stream(vec![text("a"), text("b"), Ok(finish)], false);
    let (response, end) = now(reply.collect()).unwrap().unwrap();
    assert_eq!(response.text().unwrap(), "ab");
    assert_eq!((end.usage, end.finish, end.streamed_bytes), (Some(usage), Some(Finish::Stop), 2));
    check(&log, &Outcome::Complete);
}

#[test]
fn a_failing_stream_tells_its_failure_and_yields_nothing_more() {
    let error = Error::protocol("cut");
    let failure = error.failure();
    let (reply, log) = stream(vec![text("a"), Err(error), text("never")], false);
    let (_, Parts::Stream(mut events)) = reply.into_parts() else { panic!("a stream") };
    let mut seen = 0;
    while let Some(item) = now(std::future::poll_fn(|cx| Pin::new(&mut events).poll_next(cx))).unwrap() {
        seen += usize::from(item.is_ok());
    }
    assert_eq!(seen, 1);
    drop(events);
    check(&log, &Outcome::Failed(failure));
}

#[test]
fn a_reply_dropped_at_any_point_ends_once() {
    let (reply, log) = stream(vec![text("abc")], true);
    drop(reply);
    assert_eq!(check(&log, &Outcome::Dropped).streamed_bytes, 0);

    let (reply, log) = stream(vec![text("abc")], true);
    assert!(now(reply.collect()).is_none(), "pending, then dropped");
    assert_eq!(check(&log, &Outcome::Dropped).streamed_bytes, 3);

    let (reply, log) = guarded(Reply::whole(Response::chat(ChatAnswer::text("x"))));
    let (_, parts) = reply.into_parts();
    assert!(log.0.lock().unwrap().is_empty(), "the parts still hold the end");
    drop(parts);
    check(&log, &Outcome::Complete);
}

#[test]
fn what_came_is_at_least_a_token_a_piece_and_a_quarter_of_its_bytes() {
    let check = |pieces: &[&str], expect: u64| {
        let (reply, log) = stream(pieces.iter().map(|piece| text(piece)).collect(), true);
        assert!(now(reply.collect()).is_none(), "pending, then dropped");
        assert_eq!(check(&log, &Outcome::Dropped).estimated_output(), expect, "{pieces:?}");
    };
    check(&[], 0);
    check(&["a", "b", "c", "d", "e"], 5);
    check(&["a", "", "b"], 2);
    check(&["twelve bytes", "a"], 4);
    let (reply, log) = guarded(Reply::whole(Response::chat(ChatAnswer::text("twelve bytes"))));
    drop(reply);
    assert_eq!(log.0.lock().unwrap()[0].1.estimated_output(), 3);
}

#[test]
fn a_model_without_a_name_is_none() {
    let start = |model: &str| {
        let deltas = vec![Delta::Start { id: String::new(), model: model.to_owned() }];
        Ok(Event { frame: None, deltas })
    };
    let (reply, _) = stream(vec![start("")], false);
    let (response, end) = now(reply.collect()).unwrap().unwrap();
    assert_eq!((response.id, response.model, end.model), (None, None, None));
    let (reply, _) = stream(vec![start("m")], false);
    assert_eq!(now(reply.collect()).unwrap().unwrap().1.model.as_deref(), Some("m"));
}

#[test]
fn once_a_stream_says_something_everything_is_there_and_nothing_was_told_too_early() {
    let start =
        || Ok(Event { frame: None, deltas: vec![Delta::Start { id: "1".into(), model: "m".into() }] });
    let check = |items: Vec<Result<Event>>, hangs: bool, waits: bool| {
        let expect = items.len();
        let (reply, log) = stream(items, hangs);
        let Some(reply) = now(reply.once_said()) else {
            assert!(waits);
            // Who leaves while it waits is told of.
            return assert_eq!(log.0.lock().unwrap()[0].1.outcome, Outcome::Dropped);
        };
        assert!(!waits && log.0.lock().unwrap().is_empty());
        let (_, Parts::Stream(mut events)) = reply.into_parts() else { panic!("it is a stream") };
        let mut found = 0;
        while let Some(Some(_)) = now(poll_fn(|cx| Pin::new(&mut events).poll_next(cx))) {
            found += 1;
        }
        assert_eq!(found, expect);
    };
    check(vec![start(), text("a"), text("b")], true, false);
    check(vec![start(), text(""), start()], true, true);
    check(vec![start(), Err(Error::unavailable("x"))], true, false);
    check(vec![start()], false, false);
    check((0..100).map(|_| start()).collect(), true, false);
    let (whole, _) = guarded(Reply::whole(Response::chat(ChatAnswer::text("hi"))));
    assert!(now(whole.once_said()).is_some());
}
