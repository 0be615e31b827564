//! The failure wall's own judge, on made-up answers: it must turn red for everything that it looks for. The
//! wall itself is a program, `just wall`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use maof_testkit::{Act, ModelStats};
use maof_tests::wall::caller::{Ended, Raw};
use maof_tests::wall::case::{Case, Check, Line, STREAM, Speech, WHOLE, Way};
use maof_tests::wall::judge::{Played, judge, most_within};
use maof_tests::wall::seen::Seen;
use maof_tests::wall::{self, layers};
use serde_json::{Value, json};

fn raw(status: u16, kind: &str, body: &str, ended: Ended) -> Raw {
    Raw {
        status,
        headers: vec![
            ("content-type".to_owned(), kind.to_owned()),
            ("x-maof-endpoint".to_owned(), "x-a".to_owned()),
            ("x-maof-cost-usd".to_owned(), "0.000179".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
        ended,
        first: Duration::from_millis(10),
        took: Duration::from_millis(20),
    }
}

/// A whole chat answer, or a refusal.
fn whole(status: u16, body: &Value) -> Seen {
    Seen::of(WHOLE, raw(status, "application/json", &body.to_string(), Ended::Properly))
}

fn answer(text: &str) -> Value {
    let choice = json!({"message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    json!({"model": "x-a", "choices": [choice], "usage": {"completion_tokens": 60}})
}

fn refusal() -> Value {
    json!({"error": {"message": "no", "type": "server_error", "code": "unavailable"}})
}

/// A case of one upstream and one call that went well.
fn well() -> (Case, Played) {
    let case = Case::new(WHOLE).up([Act::Ok]);
    let played = Played {
        calls: vec![whole(200, &answer(&case.answer()))],
        ups: vec![ModelStats { at_ms: vec![0], max_open: 1, finished: 1, ..ModelStats::default() }],
        rows: vec![Vec::new()],
        names: vec!["x-a".to_owned()],
        healthy: true,
        settled: true,
        grown_kib: 0,
    };
    (case, played)
}

/// What is wrong beside the ledger, which has no row here.
fn wrong(check: Check, change: impl Fn(&mut Played)) -> Vec<String> {
    let (mut case, mut played) = well();
    case.checks = vec![check];
    change(&mut played);
    judge(&case, &played).into_iter().filter(|why| !why.contains("rows")).collect()
}

#[test]
fn every_check_can_turn_red() {
    let check = |check: Check, bad: &dyn Fn(&mut Played)| {
        let good = |_: &mut Played| {};
        let fits = !matches!(
            check,
            Check::Refused(_) | Check::SaysWhen | Check::Says(_) | Check::Told | Check::Sheds(_)
        );
        assert_eq!(wrong(check, good).is_empty(), fits, "{check:?} of what is well");
        assert_eq!(wrong(check, bad).len(), 1, "{check:?}: {:?}", wrong(check, bad));
    };
    let refused = |played: &mut Played| played.calls = vec![whole(503, &refusal())];
    let cut = |played: &mut Played| played.calls = vec![whole(200, &answer("echo: w1"))];
    let slow = |played: &mut Played| played.calls[0].raw.took = Duration::from_secs(9);
    let late = |played: &mut Played| played.calls[0].raw.first = Duration::from_secs(9);
    let hammered = |played: &mut Played| played.ups[0].at_ms = vec![0, 10, 20, 30, 40];
    let other = |played: &mut Played| played.calls[0].model = Some("x-b".to_owned());
    check(Check::Answer, &refused);
    check(Check::Answer, &cut);
    check(Check::Refused(&[429]), &refused);
    check(Check::SaysWhen, &refused);
    check(Check::Says("context_length"), &refused);
    check(Check::Told, &refused);
    check(Check::AnswerOrRefused, &cut);
    check(Check::AnswerOrTold, &cut);
    check(Check::RescuedOrTold, &cut);
    check(Check::Within(1_000), &slow);
    check(Check::FirstWithin(1_000), &late);
    check(Check::Attempts(0, 1, 3), &hammered);
    check(Check::AttemptsIn(4, 3_000), &hammered);
    check(Check::Gap(1_000), &hammered);
    check(Check::AnsweredBy(0), &other);
    check(Check::ReturnsTo(0, 1), &other);
    check(Check::Spared(0, 100), &hammered);
    check(Check::Costs, &|played| played.calls[0].raw.headers.clear());
    check(Check::Header("x-maof-endpoint", "x-a"), &|played| played.calls[0].raw.headers.clear());
    check(Check::Memory(8), &|played| played.grown_kib = 9 << 10);
    check(Check::AtOnce(0, 1), &|played| played.ups[0].max_open = 2);
    check(Check::Sheds(50), &refused);
}

#[test]
fn what_is_too_much_is_refused_at_once_and_says_when_to_come_back() {
    let check = |took: u64, wait: Option<&str>, expect: bool| {
        let found = wrong(Check::Sheds(50), |played| {
            let mut shed = whole(503, &refusal());
            shed.raw.took = Duration::from_millis(took);
            shed.raw.headers.extend(wait.map(|wait| ("retry-after".to_owned(), wait.to_owned())));
            played.calls.push(shed);
        });
        assert_eq!(found.is_empty(), expect, "{found:?}");
    };
    check(10, Some("1"), true);
    check(60, Some("1"), false);
    check(10, None, false);
    check(10, Some("121"), false);
}

#[test]
fn who_was_never_reached_has_no_bill() {
    let (mut case, mut played) = well();
    case.ups[0].line = Line::Deaf;
    let wrong = judge(&case, &played);
    assert!(wrong.iter().any(|why| why.contains("never reached")), "{wrong:?}");
    played.ups[0].at_ms.clear();
    assert!(judge(&case, &played).is_empty());
}

#[test]
fn whatever_a_row_expects_the_server_stays_well_and_leaks_nothing() {
    let check = |change: &dyn Fn(&mut Played), expect: &str| {
        let wrong = wrong(Check::Within(60_000), change);
        assert!(wrong.len() == 1 && wrong[0].contains(expect), "{wrong:?}");
    };
    check(&|played| played.healthy = false, "not ready");
    check(&|played| played.settled = false, "left open");
    let told = json!({"error": {"message": "see http://10.0.0.7:9", "code": "unavailable"}});
    check(&|played| played.calls = vec![whole(503, &told)], "10.0.0.7");
    let html = raw(502, "text/html", "<html>", Ended::Properly);
    check(&|played| played.calls = vec![Seen::of(WHOLE, html.clone())], "garbage");
    let (case, played) = well();
    assert!(judge(&case, &played).iter().any(|why| why.contains("asked 1 times and has 0 rows")));
}

const MESSAGES: Way = Way { door: Speech::Messages, upstream: Speech::Messages, stream: true };

#[test]
fn an_end_is_clean_only_with_its_reason_its_sign_and_its_last_byte() {
    let word = r#"data: {"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":null}]}"#;
    let end = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let usage = r#"data: {"choices":[],"usage":{"completion_tokens":1}}"#;
    let error = r#"data: {"error":{"message":"torn","code":"protocol"}}"#;
    let done = "data: [DONE]";
    let seen = |lines: &[&str], ended: Ended| {
        Seen::of(STREAM, raw(200, "text/event-stream", &(lines.join("\n\n") + "\n\n"), ended))
    };
    let is_answer = |lines: &[&str], ended, expect: bool| {
        assert_eq!(seen(lines, ended).is_answer("a").is_ok(), expect, "{lines:?}");
    };
    is_answer(&[word, end, usage, done], Ended::Properly, true);
    is_answer(&[word, end, usage, done], Ended::Cut, false);
    is_answer(&[word, end, usage], Ended::Properly, false);
    is_answer(&[word, end, done], Ended::Properly, false);
    is_answer(&[word, usage, done], Ended::Properly, false);
    is_answer(&[word, end, end, usage, done], Ended::Properly, false);
    is_answer(&[word, word, end, usage, done], Ended::Properly, false);
    let is_told = |lines: &[&str], expect: bool| {
        assert_eq!(seen(lines, Ended::Properly).is_told("a b").is_ok(), expect, "{lines:?}");
    };
    is_told(&[word, error], true);
    is_told(&[word, error, done], false);
    is_told(&[word, done], false);
    is_told(&[word], false);
    is_told(&[word, word, error], false);
    assert!(seen(&[word, "data: {\"choi"], Ended::Properly).garbage.is_some());
    let torn = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"torn\"}}\n\n";
    let torn = Seen::of(MESSAGES, raw(200, "text/event-stream", torn, Ended::Properly));
    assert_eq!(torn.is_told("a").unwrap().code, "api_error");
}

#[test]
fn every_fault_has_its_row_and_every_layer_rows_that_guard_it() {
    let rows = wall::rows();
    let codes: BTreeSet<&str> = rows.iter().map(|row| row.code).collect();
    assert_eq!(codes.len(), rows.len(), "a code is used once");
    assert!((1..=16).all(|n| codes.contains(format!("F{n:02}").as_str())), "{codes:?}");
    assert!(rows.len() >= 35, "{codes:?}");
    for row in &rows {
        assert!(row.cases.iter().all(|case| !case.checks.is_empty() && !case.ups.is_empty()), "{}", row.code);
    }
    for layer in layers::LAYERS {
        assert!(
            !layer.guards.is_empty() && layer.guards.iter().all(|code| codes.contains(code)),
            "{layer:?}"
        );
    }
}

#[test]
fn the_busiest_window_is_found() {
    let check = |times: &[u64], ms, expect| assert_eq!(most_within(times, ms), expect, "{times:?}");
    check(&[], 10, 0);
    check(&[5], 10, 1);
    check(&[0, 9, 10, 19], 10, 2);
    check(&[0, 1, 2, 50, 51, 52, 53], 10, 4);
}
