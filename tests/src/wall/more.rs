//! The faults beside the sixteen: each ends in the right answer or a typed error, in bounded memory, with
//! nothing left behind.

use maof_testkit::Act;
use serde_json::json;

use super::case::Check::*;
use super::case::{BOTH, Bill, Case, Row, STREAM, STREAMS, Speech, WHOLE, Way};
use super::layers::providers;
use super::rows::{AWAY, each};

/// MiB by which the server may grow over an answer without end: twice the bytes that a whole answer may have,
/// while a buffer grows, and as much again for the allocator.
const BOUND: u64 = 128;

/// The added rows.
pub fn added() -> Vec<Row> {
    vec![
        bomb(),
        huge(),
        dribbled(),
        go_away(),
        content_type(),
        error_inside(),
        html(),
        duplicate_end(),
        nul(),
        invalid_utf8(),
        dropped(),
    ]
}

/// One upstream that always does `act`.
fn always(way: Way, act: Act) -> Case {
    Case::new(way).billed(Bill::Perhaps, [act])
}

fn bomb() -> Row {
    let case = |way| always(way, Act::GzipBomb(256)).see([Refused(AWAY), Memory(BOUND), Within(20_000)]);
    let must = "a typed error, in bounded memory";
    Row::new("bomb", "gzip bomb: 256 KiB that unpack to 256 MiB", must, each(&BOTH, case))
}

fn huge() -> Row {
    let case = |way| always(way, Act::Huge(100)).see([Memory(BOUND), Within(20_000)]);
    let whole = case(WHOLE).see([Refused(AWAY)]);
    let stream = case(STREAM).see([AnswerOrTold]).note("in one frame");
    Row::new("100mib", "a body of 100 MiB", "a typed error, in bounded memory", [whole, stream])
}

fn dribbled() -> Row {
    let alone = |way| always(way, Act::Dribble(1_000)).see([Refused(&[504]), Within(8_000)]);
    let elsewhere = |way| {
        let case = always(way, Act::Dribble(1_000)).up([Act::Ok]).note("with a fallback");
        case.see([Answer, AnsweredBy(1), Within(8_000)])
    };
    let cases = each(&BOTH, alone).chain(each(&BOTH, elsewhere));
    Row::new("dribble", "headers dribbled one byte a second", "a typed error, or elsewhere", cases)
        .set(|config| providers(config, "headers_timeout_ms", &json!(3_000)))
}

fn go_away() -> Row {
    let amid = Case::new(STREAM).over_tls(Bill::Part, [Act::GoAway(20)]).up([Act::Ok]);
    let amid = amid.see([RescuedOrTold, Within(8_000)]);
    let before = Case::new(STREAM).over_tls(Bill::Perhaps, [Act::GoAway(0)]).up([Act::Ok]);
    let before = before.see([Answer, AnsweredBy(1), Within(8_000)]).note("before the first frame");
    let well = Case::new(STREAM).over_tls(Bill::Nothing, [Act::Ok]).see([Answer, Within(8_000)]);
    let well = well.note("no fault: HTTP/2 is spoken");
    let must = "an in-band error, or elsewhere before the first frame";
    Row::new("goaway", "HTTP/2 GOAWAY mid-stream", must, [amid, before, well])
}

fn content_type() -> Row {
    let case = |way| always(way, Act::WrongContentType).see([Refused(AWAY), Within(12_000)]);
    Row::new("type", "a proper answer under text/html", "a typed error", each(&BOTH, case))
}

fn error_inside() -> Row {
    let case = |way| always(way, Act::ErrorInside(0)).see([Refused(AWAY), Within(12_000)]);
    let amid = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::ErrorInside(way.after(20))]).up([Act::Ok]);
        case.see([RescuedOrTold, Within(12_000)]).note("amid a stream")
    };
    let cases = each(&BOTH, case).chain(each(&STREAMS, amid));
    Row::new("inside", "200 with an error body", "a typed error", cases)
}

fn html() -> Row {
    let page = || Act::Raw {
        status: 200,
        content_type: "text/html; charset=utf-8".to_owned(),
        body: "<html><body>Please sign in to the network</body></html>".to_owned(),
    };
    let case = move |way| always(way, page()).see([Refused(AWAY), Within(12_000)]);
    Row::new("html", "200 with HTML", "a typed error", each(&BOTH, case))
}

fn duplicate_end() -> Row {
    let case = |way| always(way, Act::DuplicateEnd).see([AnswerOrTold, Within(8_000)]);
    let must = "one clean end, or a typed error";
    Row::new("twice", "duplicate final chunk", must, each(&STREAMS, case))
}

fn nul() -> Row {
    let amid = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::Nul(way.after(20))]);
        case.see([Told, Within(8_000)])
    };
    let whole = always(WHOLE, Act::Nul(0)).see([Refused(AWAY), Within(12_000)]);
    Row::new("nul", "NUL bytes", "a typed error", each(&STREAMS, amid).chain([whole]))
}

fn invalid_utf8() -> Row {
    let amid = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::InvalidUtf8(way.after(20))]);
        case.see([Told, Within(8_000)])
    };
    let whole = always(WHOLE, Act::InvalidUtf8(0)).see([Refused(AWAY), Within(12_000)]);
    let must = "a typed error, nothing of it passed on";
    Row::new("utf8", "invalid UTF-8 split over two chunks", must, each(&STREAMS, amid).chain([whole]))
}

/// F14 under the other policy.
fn dropped() -> Row {
    let case = |way: Way| {
        let mut case = Case::new(way).up([Act::status(503)]).speaking(Speech::Messages, [Act::Ok]);
        case.extra = json!({"logit_bias": {"50256": -100}});
        case.see([Answer, AnsweredBy(1), Header("x-maof-dropped", "logit_bias"), Within(8_000)])
    };
    let fault = "the fallback has no such parameter, and `unsupported` is `drop_and_report`";
    let row = Row::new("drop", fault, "dropped, and reported in a header", each(&BOTH, case));
    row.set(|config| providers(config, "unsupported", &json!("drop_and_report")))
}
