//! Rows about layers that no fault of the others needs: each has a server of its own, on which the layer is set so
//! that seconds show what it does.

use maof_testkit::Act;
use serde_json::{Value, json};

use super::case::Check::*;
use super::case::{BOTH, Bill, Case, Drive, Row, WHOLE, Way};
use super::layers::providers;
use super::rows::each;

/// The rows.
pub fn guarded() -> Vec<Row> {
    vec![refused(), unreachable(), out_of_time(), hammered(), crowded(), spread(), overloaded(), alike()]
}

fn refused() -> Row {
    let case = |way: Way| {
        let acts = if way.stream { [Act::status(425)] } else { [Act::status(409)] };
        // Ten failures in a row would open a breaker, and the tenth call would spare the first upstream.
        let case = Case::new(way).up(acts).up([Act::Ok]).driven(Drive::Every(20, 200));
        case.see([Answer, AnsweredBy(1), Attempts(0, 10, 10), Within(4_000)])
    };
    let must = "asked elsewhere at once, and no breaker opens";
    Row::new("409", "409 and 425 for ever: 10 calls", must, each(&BOTH, case))
}

fn unreachable() -> Row {
    let case = |way: Way| {
        let case = Case::new(way).deaf().up([Act::Ok]);
        case.see([Answer, AnsweredBy(1), Attempts(0, 0, 0), Within(4_000)])
    };
    let must = "given up after `connect_timeout_ms` (1 s), and asked elsewhere";
    let row = Row::new("connect", "connecting takes for ever", must, each(&BOTH, case));
    row.set(|config| providers(config, "connect_timeout_ms", &json!(1_000)))
}

fn out_of_time() -> Row {
    let hangs = |case: Case| case.billed(Bill::Perhaps, [Act::Hang]);
    let case = move |way: Way| {
        let case = hangs(hangs(hangs(Case::new(way))));
        case.see([Refused(&[504]), Within(3_500)])
    };
    let must = "a clear error once `timeout.total_ms` (2.5 s) have passed";
    let row = Row::new("total", "three upstreams that never answer", must, each(&BOTH, case));
    let limits = |config: &mut Value| {
        config["resilience"]["timeout"] =
            json!({"attempt_ms": 1_500, "first_token_ms": 1_500, "total_ms": 2_500});
    };
    row.set(limits)
}

fn hammered() -> Row {
    // 250 calls: at most 1.2 attempts for each, and 10 a second; without a budget three for each.
    let case = Case::new(WHOLE).up([Act::status(503)]).driven(Drive::Every(20, 5_000));
    let case = case.see([Refused(&[503]), AttemptsIn(400, 10_000), Within(8_000)]);
    let must = "over any 10 s at most 1.2 attempts for each call, and 10 a second";
    let row = Row::new("budget", "503 for ever: 50 calls a second, no breaker", must, [case]);
    row.set(|config| config["resilience"]["circuit_breaker"] = json!({"failure_threshold": 1_000_000}))
}

fn crowded() -> Row {
    let case = |way: Way| {
        let case = Case::new(way).up([Act::Delay(300)]).up([Act::Ok]).driven(Drive::Every(5, 60));
        case.see([Answer, AtOnce(0, 3), Attempts(0, 6, 6), Within(6_000)])
    };
    let must = "three at once and three in line; the others are answered elsewhere";
    let row = Row::new("bulkhead", "12 calls at once to a slow upstream", must, each(&BOTH, case));
    row.set(|config| {
        config["resilience"]["bulkhead"] = json!({"max_concurrent": 3, "max_queue": 3, "max_wait_ms": 5_000});
    })
}

fn spread() -> Row {
    let case = |way: Way| {
        let case = Case::new(way).up([Act::Ok]).driven(Drive::Every(5, 100));
        case.see([Answer, AttemptsIn(11, 1_000), Within(6_000)])
    };
    let must = "spread over time, 10 in any second, and all answered";
    let row = Row::new("rate", "20 calls at once, 10 a second are allowed", must, each(&BOTH, case));
    row.set(|config| config["resilience"]["rate_limit"] = json!({"requests": 10, "per_ms": 1_000}))
}

fn overloaded() -> Row {
    let case = |way: Way| {
        let case = Case::new(way).up([Act::Delay(1_500)]).driven(Drive::Every(5, 200));
        case.see([AnswerOrRefused, Sheds(50), AtOnce(0, 4), Within(4_000)])
    };
    let must = "refused within 50 ms, with a time to come back; who was let in is answered";
    // One after the other: the door is that of the whole server.
    let row = Row::new("shed", "40 calls at once where four may be under way", must, [case(WHOLE)]);
    row.set(|config| {
        config["resilience"]["load_shed"] = json!({"min_calls": 4, "initial_calls": 4, "max_calls": 4});
    })
}

fn alike() -> Row {
    let mut case = Case::new(WHOLE).up([Act::Delay(500)]).driven(Drive::Every(5, 50));
    case.extra = json!({"temperature": 0});
    let case = case.see([Answer, Attempts(0, 1, 1), Within(4_000)]);
    let must = "asked and billed once, and all answered";
    let row = Row::new("alike", "10 identical calls at once, at temperature 0", must, [case]);
    row.set(|config| config["resilience"]["single_flight"] = json!({}))
}
