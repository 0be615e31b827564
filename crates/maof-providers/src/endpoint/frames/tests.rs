//! Streams that do not end as they should, in each dialect that passes through: what a caller of the same dialect
//! receives, and when.

use std::time::Duration;

use maof_core::{
    Body, Call, CallId, ChatRequest, Clock as _, Envelope, Error, ErrorKind, Principal, Target, Usage,
};
use maof_testkit::TokioClock;

use super::super::tests::card;
use super::*;
use crate::{ANTHROPIC, GEMINI, OPENAI};

const IDLE: Duration = Duration::from_secs(60);

const TEXT: &str = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"abcdefgh"}}]}"#;
const WHY: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USED: &str =
    r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
const DONE: &str = "data: [DONE]";

/// How a body goes on once its frames have come.
#[derive(Clone, Copy, Debug)]
enum Then {
    Ends,
    Breaks,
    Silence,
}

/// What came of a stream.
#[derive(Debug)]
struct Came {
    /// The bytes for a caller of the same dialect, who asked for usage.
    bytes: String,
    /// What was used.
    usage: Option<Usage>,
    error: Option<ErrorKind>,
    /// How long it took, in milliseconds.
    took: u128,
}

async fn read(dialect: &'static dyn maof_core::Dialect, frames: &[&str], then: Then, choices: u32) -> Came {
    let mut chat = ChatRequest::user("sixteen bytes long");
    chat.choices = Some(choices);
    let id = CallId::from_uuid(uuid::Uuid::nil());
    let call = Call::new(id, Target::Name("a".parse().unwrap()), Principal::local(), Body::from(chat));
    let bytes: String = frames.iter().map(|frame| format!("{frame}\n\n")).collect();
    let begun = stream::iter([Ok(bytes.into())]);
    let body: BodyStream = match then {
        Then::Ends => Box::pin(begun),
        Then::Breaks => Box::pin(begun.chain(stream::iter([Err(Error::protocol("torn"))]))),
        Then::Silence => Box::pin(begun.chain(stream::pending())),
    };
    let envelope = Envelope { id: "own".to_owned(), include_usage: true, ..Envelope::default() };
    let mut encoder = dialect.encoder(&call, envelope);
    let clock = TokioClock::default();
    let (asked, began) = (Asked::of(&call, &card()), clock.instant());
    let mut frames = Frames::new(body, Events::new(1 << 20), dialect.decoder(&call), IDLE, 1 << 20, asked);
    let (mut out, mut usage, mut error) = (Vec::new(), None, None);
    while let Some(item) = frames.next().await {
        match item {
            Ok(event) => {
                encoder.event(&event, &mut out);
                let mut used = event.deltas.iter().filter_map(|delta| match delta {
                    Delta::Usage(used) => Some(*used),
                    _ => None,
                });
                usage = used.next_back().or(usage);
            }
            Err(e) => error = Some(e.kind()),
        }
    }
    if error.is_none() {
        encoder.finish(&mut out);
    }
    let bytes = String::from_utf8(out).unwrap();
    Came { bytes, usage, error, took: (clock.instant() - began).as_millis() }
}

#[tokio::test(start_paused = true)]
async fn last_words_are_waited_for_a_moment_only() {
    let check = async |frames: &[&str], choices: u32, expect: (u128, Option<ErrorKind>)| {
        let came = read(&OPENAI, frames, Then::Silence, choices).await;
        assert_eq!((came.took, came.error), expect, "{frames:?}");
    };
    let timeout = Some(ErrorKind::Timeout);
    check(&[TEXT, WHY, USED, DONE], 1, (100, None)).await;
    check(&[TEXT, WHY, USED], 1, (1_500, None)).await;
    check(&[TEXT, WHY], 1, (1_500, None)).await;
    check(&[TEXT], 1, (60_000, timeout)).await;
    // Another choice may begin after the first has ended; then silence may be that of a model that thinks.
    check(&[TEXT, WHY], 2, (60_000, None)).await;
    // Of a server that gives a reason with every frame, none is the last.
    let wordy = r#"data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
    check(&[wordy, wordy], 1, (60_000, None)).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_upstream_does_not_say_of_usage_is_estimated_and_flagged() {
    for then in [Then::Ends, Then::Breaks, Then::Silence] {
        let came = read(&OPENAI, &[TEXT, WHY], then, 1).await;
        let usage = came.usage.unwrap();
        assert!(usage.estimated && usage.input_tokens() > 0 && came.error.is_none(), "{then:?} {came:?}");
        assert_eq!(usage.output_tokens(), 2, "a quarter of eight bytes");
        let (_, last) = came.bytes.split_once(WHY).unwrap();
        assert!(last.contains(r#""id":"c""#) && last.contains(r#""estimated":true"#), "{last}");
        assert!(came.bytes.ends_with("data: [DONE]\n\n"), "{}", came.bytes);
        let told = read(&OPENAI, &[TEXT, WHY, USED], then, 1).await;
        assert!(!told.usage.unwrap().estimated && !told.bytes.contains("estimated"), "{told:?}");
        assert_eq!(told.bytes.matches("usage").count(), 1, "{told:?}");
    }
}

const BEGIN: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3,"output_tokens":1}}}"#;
const STOP: &str = r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#;
const OVER: &str = r#"event: message_stop
data: {"type":"message_stop"}"#;

#[tokio::test(start_paused = true)]
async fn a_terminator_that_is_missing_is_added() {
    let whole = format!("{BEGIN}\n\n{STOP}\n\n{OVER}\n\n");
    for (frames, then) in [
        (&[BEGIN, STOP, OVER][..], Then::Silence),
        (&[BEGIN, STOP], Then::Ends),
        (&[BEGIN, STOP], Then::Breaks),
        (&[BEGIN, STOP], Then::Silence),
    ] {
        let came = read(&ANTHROPIC, frames, then, 1).await;
        assert_eq!((came.bytes.as_str(), came.error), (whole.as_str(), None), "{then:?}");
        assert!(came.took <= 1_500);
    }
    let cut = read(&ANTHROPIC, &[BEGIN], Then::Ends, 1).await;
    assert_eq!((cut.bytes, cut.error), (format!("{BEGIN}\n\n"), Some(ErrorKind::Protocol)));
}

#[tokio::test]
async fn an_answer_ends_once() {
    let check = async |dialect: &'static dyn maof_core::Dialect, frames: &[&str], expect: &[&str]| {
        let came = read(dialect, frames, Then::Ends, 1).await;
        let expect: String = expect.iter().map(|frame| format!("{frame}\n\n")).collect();
        assert_eq!((came.bytes, came.error), (expect, None), "{}", dialect.name());
        assert!(!came.usage.unwrap().estimated);
    };
    check(&OPENAI, &[TEXT, WHY, WHY, USED, DONE], &[TEXT, WHY, USED, DONE]).await;
    let wordy = r#"data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
    check(&OPENAI, &[TEXT, WHY, wordy, USED, DONE], &[TEXT, WHY, wordy, USED, DONE]).await;
    check(&ANTHROPIC, &[BEGIN, STOP, STOP, OVER], &[BEGIN, STOP, OVER]).await;
    check(&ANTHROPIC, &[BEGIN, STOP, OVER, OVER, STOP], &[BEGIN, STOP, OVER]).await;
    let said = |more: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":"{more}"}}]}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":1}}}}"#
        )
    };
    let (text, end) = (said("a"), said(""));
    check(&GEMINI, &[&text, &end, &end], &[&text]).await;
    check(&GEMINI, &[&text, &text], &[&text, &text]).await;
}
