//! Calls that fit and calls that do not.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Cx, Waker};

use maof_core::{
    Body, CallId, ChatRequest, Chosen, DecisionId, ErrorKind, Message, Name, Principal, Speaker, Target,
    Tariff,
};

use super::*;

fn card(model: &str, context: Option<u64>) -> Card {
    let name = Name::new("a").unwrap();
    Card {
        name: name.clone(),
        provider: name,
        model: model.into(),
        operations: vec![Operation::Chat],
        tariff: Tariff::default(),
        context,
        max_output: 100,
    }
}

fn call(body: Body, instructions: Option<&str>) -> Call {
    let name = Name::new("a").unwrap();
    let mut call = Call::new(
        CallId::from_uuid(Default::default()),
        Target::Name(name.clone()),
        Principal::local(),
        body,
    );
    call.chosen = Some(Arc::new(Chosen {
        decision: DecisionId::from_uuid(Default::default()),
        agent: name.clone(),
        endpoint: name,
        instructions: instructions.map(Arc::from),
        fallbacks: 0,
        instead_of: None,
    }));
    call
}

/// What becomes of a call, and how often it gave way.
fn checked(call: &Call, card: &Card) -> (Result<()>, usize) {
    let mut work = pin!(check(call, card));
    for gave_way in 0.. {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Cx::from_waker(Waker::noop())) {
            return (done, gave_way);
        }
    }
    unreachable!()
}

#[test]
fn a_call_is_refused_exactly_where_its_texts_alone_are_too_long() {
    // Each word is a token.
    let words = |n: usize| Body::from(ChatRequest::user(" hello".repeat(n)));
    let refused = |body: Body, instructions: Option<&str>, model: &str, context: u64| {
        checked(&call(body, instructions), &card(model, Some(context))).0.is_err()
    };
    assert!(!refused(words(100), None, "gpt-4o", 100));
    assert!(refused(words(101), None, "gpt-4o", 100));
    assert!(!refused(words(99), Some(" hello"), "gpt-4o", 100));
    assert!(refused(words(100), Some(" hello"), "gpt-4o", 100), "the agent's instructions count");
    // An estimate refuses nobody.
    assert!(!refused(words(5_000), None, "claude-sonnet-4-5", 100));
    assert!(checked(&call(words(5_000), None), &card("gpt-4o", None)).0.is_ok());
    // What is not answered as a conversation is not counted as one.
    let counted = Body::CountTokens(Arc::new(ChatRequest::user(" hello".repeat(500))));
    assert!(!refused(counted, None, "gpt-4o", 100));
}

#[test]
fn whoever_is_refused_is_told_so_and_sent_elsewhere_unbilled() {
    let (refused, _) =
        checked(&call(Body::from(ChatRequest::user("x y ".repeat(99))), None), &card("gpt-4o", Some(50)));
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::ContextLength, Some("messages")));
    assert_eq!(error.retry(), Retry::Elsewhere);
    assert!(error.is_before_sending(), "it leaves no row");
    assert!(error.message().contains("takes 50"), "{}", error.message());
}

#[test]
fn long_texts_are_counted_in_turns() {
    let mut chat = ChatRequest::user(" hello".repeat(10_000));
    chat.messages.push(Message::text(Speaker::User, "天気".repeat(10_000)));
    let (done, gave_way) = checked(&call(Body::from(chat), None), &card("gpt-4o", Some(1_000)));
    assert!(done.is_err());
    assert!(gave_way >= 60_000 / AT_A_TIME, "{gave_way}");
    let (done, gave_way) =
        checked(&call(Body::from(ChatRequest::user("short")), None), &card("gpt-4o", Some(1_000)));
    assert!(done.is_ok() && gave_way == 0, "what fits by its length is not counted");
}

#[test]
fn some_of_a_context_is_left_free() {
    assert_eq!(prudent(128_000), 121_600);
    assert_eq!(prudent(0), 0);
}
