//! Who is asked beside whom, who wins, and what the policy is told.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use maof_core::{Clock as _, Delta, Error, ErrorKind, Event, Hedge, Name, Reply, Result};
use parking_lot::Mutex;
use tower::ServiceExt as _;

use super::{Answer, Paused, answers, call, down, fails, house, streams};

/// Waits for a second, and allows so many hedges; notes what it is told.
#[derive(Debug)]
struct Policy {
    left: Mutex<u32>,
    told: Mutex<Vec<String>>,
}

impl Hedge for Policy {
    fn patience(&self, _: &Name) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn spend(&self, _: &Name, _: &Name) -> bool {
        let mut left = self.left.lock();
        let spent = *left > 0;
        *left = left.saturating_sub(1);
        spent
    }

    fn began(&self) {
        self.told.lock().push("began".to_owned());
    }

    fn answered(&self, endpoint: &Name, waited: Duration) {
        self.told.lock().push(format!("{endpoint} {}", waited.as_millis()));
    }

    fn failed(&self, endpoint: &Name, error: &Error) {
        self.told.lock().push(format!("{endpoint} {}", error.kind()));
    }
}

fn after(ms: u64, answer: Answer) -> Answer {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        answer.await
    })
}

/// Who answers a streamed call of these endpoints, after how many milliseconds, where so many hedges are allowed;
/// what the policy and what the others were told.
async fn check(
    hedges: u32,
    script: Vec<Answer>,
    expect: (Result<u32, ErrorKind>, u128),
    policy: &[&str],
    others: &[&str],
) {
    let told = Arc::new(Policy { left: Mutex::new(hedges), told: Mutex::default() });
    let (fallback, _, log) = house(script);
    let fallback = fallback.hedged_by(Some(Arc::clone(&told) as Arc<dyn Hedge>));
    let mut call = call();
    call.stream = true;
    let began = Paused.instant();
    let found = fallback.oneshot(call).await;
    let found = found.map(|reply| reply.head.chosen.clone().unwrap().fallbacks).map_err(|e| e.kind());
    assert_eq!((found, Paused.instant().duration_since(began).as_millis()), expect);
    assert_eq!(*told.told.lock(), policy);
    assert_eq!(log.take(), others);
}

#[tokio::test(start_paused = true)]
async fn who_is_quick_is_asked_alone() {
    let script = vec![after(900, answers()), answers()];
    check(9, script, (Ok(0), 900), &["began", "E0 900"], &["E0: complete"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_reply_wins_and_the_other_one_is_dropped() {
    let script = vec![after(60_000, answers()), after(200, answers())];
    // The loser is not counted as quicker than it was.
    let policy = ["began", "E1 200", "E0 1200"];
    check(9, script, (Ok(1), 1_200), &policy, &["E0 & E1", "E0: dropped", "E1: complete"]).await;
    let script = vec![after(1_100, answers()), after(200, answers())];
    let told = ["E0 & E1", "E1: dropped", "E0: complete"];
    check(9, script, (Ok(0), 1_100), &["began", "E0 1100"], &told).await;
}

#[tokio::test(start_paused = true)]
async fn who_may_spend_nothing_goes_on_waiting() {
    let script = vec![after(60_000, answers()), answers()];
    check(0, script, (Ok(0), 60_000), &["began", "E0 60000"], &["E0: complete"]).await;
}

#[tokio::test(start_paused = true)]
async fn where_one_of_two_fails_the_other_is_waited_for() {
    let script = vec![after(1_500, answers()), after(100, fails(down()))];
    let told = ["E0 & E1", "E1: unavailable", "E0: complete"];
    check(9, script, (Ok(0), 1_500), &["began", "E1 unavailable", "E0 1500"], &told).await;
    let script = vec![after(1_100, fails(down())), after(500, answers())];
    let told = ["E0 & E1", "E0: unavailable", "E1: complete"];
    check(9, script, (Ok(1), 1_500), &["began", "E0 unavailable", "E1 500"], &told).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_and_stalls_is_hedged_and_one_that_said_something_is_not() {
    let start = || Event { frame: None, deltas: vec![Delta::Start { id: "1".into(), model: "m".into() }] };
    let text = || Event { frame: None, deltas: vec![Delta::Text { choice: 0, text: "hi".into() }] };
    let stalls = |events: Vec<Event>| -> Answer {
        let events = futures::stream::iter(events.into_iter().map(Ok));
        let reply = Reply::stream(Box::pin(events.chain(futures::stream::pending())));
        Box::pin(async { Ok(reply) })
    };
    let script = vec![stalls(vec![start()]), after(200, streams(vec![Ok(text())]))];
    let told = ["E0 & E1", "E0: dropped", "E1: dropped"];
    check(9, script, (Ok(1), 1_200), &["began", "E1 200", "E0 1200"], &told).await;
    let script = vec![stalls(vec![start(), text()]), answers()];
    check(9, script, (Ok(0), 0), &["began", "E0 0"], &["E0: dropped"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_help_is_not_waited_out() {
    let script = vec![after(1_100, fails(Error::invalid_request("x"))), after(60_000, answers())];
    let told = ["E0 & E1", "E0: invalid_request", "E1: dropped"];
    let refused = (Err(ErrorKind::InvalidRequest), 1_100);
    check(9, script, refused, &["began", "E0 invalid_request"], &told).await;
}

#[tokio::test(start_paused = true)]
async fn where_both_fail_the_one_after_them_is_asked() {
    let script = vec![after(1_500, fails(down())), after(100, fails(down())), answers()];
    let policy = ["began", "E1 unavailable", "E0 unavailable", "E2 0"];
    let told = [
        "E0 & E1",
        "E1: unavailable",
        "E0: unavailable",
        "A0 > A1: unavailable",
        "A1 > A2: unavailable",
        "E2: complete",
    ];
    check(9, script, (Ok(2), 1_500), &policy, &told).await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_reply_is_never_hedged() {
    let (fallback, seen, _) = house(vec![after(60_000, answers()), answers()]);
    let policy = Arc::new(Policy { left: Mutex::new(9), told: Mutex::default() });
    let fallback = fallback.hedged_by(Some(Arc::clone(&policy) as Arc<dyn Hedge>));
    assert!(fallback.oneshot(call()).await.is_ok());
    assert_eq!((seen.lock().len(), policy.told.lock().len()), (1, 0));
}
