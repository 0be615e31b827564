//! Replies that ask for tools, within what is held.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use maof_core::{
    Body, CallId, ChatAnswer, ChatRequest, Delta, End, ErrorKind, Finish, Guard, Guarded as _, Part,
    Principal, Response, Target, ToolCall, ToolSpec,
};

use super::*;

fn call(change: impl FnOnce(&mut ChatRequest)) -> Call {
    let mut chat = ChatRequest::user("q");
    chat.tools = vec![ToolSpec {
        name: "look".to_owned(),
        description: None,
        parameters: serde_json::Value::Null,
        strict: None,
    }];
    change(&mut chat);
    let target = Target::Name("a".parse().unwrap());
    Call::new(CallId::from_uuid(uuid::Uuid::nil()), target, Principal::local(), Body::from(chat))
}

#[test]
fn as_many_are_held_as_a_reply_may_ask_for() {
    let check = |change: fn(&mut ChatRequest), expected: (u64, u64)| {
        let call = call(change);
        assert_eq!((most(&call), least(&call)), expected);
    };
    check(|_| {}, (16, 1));
    check(|chat| chat.parallel_tool_calls = Some(false), (1, 1));
    check(|chat| chat.choices = Some(3), (48, 3));
    check(|chat| chat.tool_choice = Some(ToolChoice::None), (0, 0));
    check(|chat| chat.tools.clear(), (0, 0));
}

/// What a reply's guard was told.
struct Told(Arc<Mutex<Option<u64>>>);

impl Guard for Told {
    fn end(self: Box<Self>, end: &mut End) {
        *self.0.lock().unwrap() = Some(end.tool_calls);
    }
}

fn told(mut reply: Reply, most: u64) -> (Result<Reply>, Arc<Mutex<Option<u64>>>) {
    let told = Arc::default();
    reply.guard(Box::new(Told(Arc::clone(&told))));
    (within(reply, most), told)
}

#[test]
fn a_whole_reply_that_asks_for_more_fails_and_counts() {
    let reply = || {
        let mut answer = ChatAnswer::text("");
        let choice = &mut answer.choices[0];
        choice.finish = Some(Finish::ToolCalls);
        choice.message.parts = vec![Part::ToolCall(ToolCall::default()), Part::ToolCall(ToolCall::default())];
        Reply::whole(Response::chat(answer))
    };
    let (kept, counted) = told(reply(), 2);
    drop(kept.unwrap());
    assert_eq!(*counted.lock().unwrap(), Some(2));
    let (refused, counted) = told(reply(), 1);
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::BudgetExceeded, Some("limit_tool_calls")));
    assert_eq!(*counted.lock().unwrap(), Some(2), "the provider bills it");
}

#[tokio::test]
async fn a_stream_fails_where_it_asks_for_more() {
    let begin = |index: u32| {
        let (id, name) = (Some(index.to_string()), Some("look".to_owned()));
        Delta::ToolCall { choice: 0, index, id, name, arguments: String::new(), signature: None }
    };
    let more = Delta::ToolCall {
        choice: 0,
        index: 0,
        id: None,
        name: None,
        arguments: "{}".to_owned(),
        signature: None,
    };
    let deltas = [begin(0), more.clone(), more.clone(), begin(1), more];
    let events = deltas.map(|delta| Event { frame: None, deltas: vec![delta] });
    let stream = |most| told(Reply::stream(Box::pin(stream::iter(events.clone().map(Ok)))), most);
    let (kept, counted) = stream(2);
    kept.unwrap().collect().await.unwrap();
    assert_eq!(*counted.lock().unwrap(), Some(2));
    let (cut, counted) = stream(1);
    assert_eq!(cut.unwrap().collect().await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    assert_eq!(*counted.lock().unwrap(), Some(1), "the second was not passed on");
}
