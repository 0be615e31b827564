//! Reports on ledgers whose answers are worked out by hand.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use maof_core::{
    Dimension, Group, Money, Name, Spending, SpendingQuery, Spent, Tariff, Timestamp, Unit, Usage,
};
use serde_json::json;

use super::*;
use crate::price::Prices;

/// 2026-11-21T12:00:00Z
const NOON: Timestamp = Timestamp::from_micros(1_795_262_400_000_000);
const DOLLAR: u64 = 1_000_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn spending(groups: &[(&[&str], Spent)]) -> Spending {
    let value = |text: &&str| (!text.is_empty()).then(|| Arc::from(*text));
    let group = |(values, spent): &(&[&str], Spent)| Group {
        values: values.iter().map(value).collect(),
        spent: *spent,
    };
    Spending { groups: groups.iter().map(group).collect(), ..Spending::default() }
}

/// So many attempts within so many seconds, which cost so many millionths of a dollar.
fn spent(attempts: u64, seconds: i64, micro_dollars: i64) -> Spent {
    Spent {
        attempts,
        cost: Money::from_nanos(micro_dollars * 1_000),
        first: Some(NOON),
        last: Some(Timestamp::from_micros(NOON.micros() + seconds * 1_000_000)),
        ..Spent::default()
    }
}

fn with_usage(mut spent: Spent, input: u64, cached: u64, output: u64) -> Spent {
    spent.usage =
        Usage::default().with(Unit::Input, input).with(Unit::CachedInput, cached).with(Unit::Output, output);
    spent
}

/// Dollars a million of input, read from a cache, written to one, and of output.
fn tariff([input, cached, write, output]: [u64; 4]) -> Tariff {
    Tariff::default()
        .with(Unit::Input, input * DOLLAR)
        .with(Unit::CachedInput, cached * DOLLAR)
        .with(Unit::CacheWrite, write * DOLLAR)
        .with(Unit::Output, output * DOLLAR)
}

fn offer(agent: &str, endpoint: &str, can: &[&str], price: u64, context: Option<u64>) -> Offer {
    Offer {
        endpoint: name(endpoint),
        agent: name(agent),
        capabilities: can.iter().map(|can| name(can)).collect(),
        prices: Some(Arc::new(Prices::from(tariff([price, price, price, price])))),
        context,
    }
}

#[test]
fn a_breakdown_is_written_as_json_and_as_csv() {
    let mut query = SpendingQuery::new(name("t"), Timestamp::default(), NOON);
    query.by = vec![Dimension::Model, Dimension::Tag(name("team"))];
    let first = with_usage(spent(2, 1, 1_500_000), 7, 3, 5);
    let mut all = spending(&[(&["a \"b\", c", ""], first), (&["-x", "@y"], spent(1, 0, 1))]);
    all.others = 4;
    all.rest = Spent { failed: 1, estimated: 2, ..spent(9, 0, 2) };
    let told = Breakdown { query: &query, spending: &all };
    let csv = "model,tag:team,attempts,failed,estimated,cost_usd,input_tokens,cached_input_tokens,cache_write_tokens,output_tokens
\"a \"\"b\"\", c\",,2,0,0,1.50,10,3,0,5
'-x,'@y,1,0,0,0.000001,0,0,0,0
(other),(other),9,1,2,0.000002,0,0,0,0
";
    assert_eq!(told.csv(), csv);
    let json = json!(told);
    assert_eq!(
        json["rows"][0],
        json!({
            "model": "a \"b\", c", "tag:team": null, "attempts": 2, "failed": 0, "estimated": 0, "cost_usd": "1.50",
            "input_tokens": 10, "output_tokens": 5, "usage": {"input": 7, "cached_input": 3, "output": 5},
        })
    );
    assert_eq!((&json["other"]["groups"], &json["other"]["attempts"]), (&json!(4), &json!(9)));
    assert_eq!((&json["total"]["attempts"], &json["total"]["cost_usd"]), (&json!(12), &json!("1.500003")));
    assert_eq!((&json["by"], &json["until"]), (&json!(["model", "tag:team"]), &json!(NOON.to_string())));
}

#[test]
fn a_forecast_goes_on_as_the_last_seven_days_did() {
    let check = |so_far, days: &[i64], expect: Option<(i64, u32, i64)>| {
        let found = Forecast::new(so_far, days, NOON);
        assert_eq!(found.map(|f| (f.per_day, f.days, f.month_end)), expect, "{days:?}");
    };
    // Nine and a half days of November are left.
    check(10, &[], None);
    check(10, &[0], Some((0, 1, 10)));
    check(10, &[2], Some((2, 1, 29)));
    check(10, &[1_000, 7, 7, 7, 7, 7, 7, 7], Some((7, 7, 77)));
    check(10, &[1, 2], Some((2, 2, 25)));
    check(i64::MAX, &[i64::MAX], Some((i64::MAX, 1, i64::MAX)));
}

#[test]
fn what_runs_out_within_the_month_says_when() {
    let forecast = Forecast::new(10, &[2], NOON).unwrap();
    let check = |left, expect: Option<&str>| {
        assert_eq!(forecast.runs_out(left, NOON).map(|at| at.to_string()).as_deref(), expect);
    };
    check(0, Some("2026-11-21T12:00:00.000000Z"));
    check(3, Some("2026-11-23T00:00:00.000000Z"));
    check(18, Some("2026-11-30T12:00:00.000000Z"));
    check(19, None);
    check(i64::MAX, None);
    assert_eq!(Forecast::new(10, &[0], NOON).unwrap().runs_out(0, NOON), None, "nothing is spent");
}

/// A million tokens at $8 cost $8; what else there is charges less.
#[test]
fn the_cheapest_that_is_as_able_is_suggested() {
    let all = spending(&[(&["a", "dear"], with_usage(spent(100, 60, 8_000_000), 600_000, 0, 400_000))]);
    let own = offer("a", "dear", &["sum"], 8, None);
    let check = |others: &[Offer], expect: Option<(&str, i64)>| {
        let offers: Vec<Offer> = [own.clone()].into_iter().chain(others.iter().cloned()).collect();
        let found = cheaper(&all, &offers, |_| None, NOON);
        let found = found.first().map(|one| (one.advice.clone(), one.saves.nanos()));
        assert_eq!(found.as_ref().map(|(_, saves)| *saves), expect.map(|(_, saves)| saves * DOLLAR as i64));
        if let (Some((advice, _)), Some((who, _))) = (found, expect) {
            assert!(advice.contains(who) && advice.contains("nobody has measured"), "{advice}");
        }
    };
    check(&[], None);
    check(&[offer("a", "cheap", &["sum"], 2, None)], Some(("cheap", 6)));
    check(&[offer("b", "cheap", &["sum", "more"], 2, None)], Some(("Ask b (cheap) instead of a", 6)));
    check(&[offer("b", "cheap", &["more"], 2, None)], None);
    check(&[offer("a", "cheap", &[], 3, None), offer("a", "less", &[], 2, None)], Some(("less", 6)));
    check(&[offer("a", "dearer", &[], 9, None)], None);
    check(&[Offer { prices: None, ..offer("a", "unknown", &[], 2, None) }], None);
    let mut wide = all.clone();
    wide.groups[0].spent.largest = 5_000;
    let narrow = [own.clone(), offer("a", "cheap", &[], 2, Some(4_999))];
    assert!(cheaper(&wide, &narrow, |_| None, NOON).is_empty(), "it does not take what was sent");
    let few = spending(&[(&["a", "dear"], with_usage(spent(19, 60, 8_000_000), 600_000, 0, 400_000))]);
    assert!(cheaper(&few, &[own, offer("a", "cheap", &[], 2, None)], |_| None, NOON).is_empty());
}

#[test]
fn measured_quality_decides_before_price() {
    let all = spending(&[(&["a", "dear"], with_usage(spent(100, 60, 8_000_000), 600_000, 0, 400_000))]);
    let offers = [
        offer("a", "dear", &[], 8, None),
        offer("a", "good", &[], 4, None),
        offer("a", "cheap", &[], 2, None),
    ];
    let check = |scores: &[(&str, f64, f64)], expect: &str, part: &str| {
        let quality = |offer: &Offer| {
            let known = scores.iter().find(|(who, ..)| offer.endpoint == **who);
            known.map(|(_, mean, scores)| Quality { mean: *mean, scores: *scores })
        };
        let found = cheaper(&all, &offers, quality, NOON);
        let advice = &found.first().unwrap().advice;
        assert!(advice.contains(&format!("Put {expect} before dear")) && advice.contains(part), "{advice}");
    };
    let nobody = "nobody has measured";
    check(&[], "cheap", nobody);
    check(&[("dear", 0.9, 100.0), ("good", 0.9, 100.0)], "good", "0.900 of 100 scores against");
    check(&[("dear", 0.9, 100.0), ("good", 0.9, 100.0), ("cheap", 0.9, 100.0)], "cheap", "no worse");
    check(&[("dear", 0.9, 100.0), ("good", 0.9, 100.0), ("cheap", 0.5, 100.0)], "good", "no worse");
    check(&[("dear", 0.9, 100.0), ("cheap", 0.5, 100.0)], "good", nobody);
    // Too few scores say nothing.
    check(&[("dear", 0.9, 100.0), ("cheap", 0.5, 20.0)], "cheap", nobody);
}

#[test]
fn openings_that_come_again_within_minutes_could_be_kept() {
    let price = tariff([10, 1, 10, 10]);
    let check = |groups: &[(&[&str], Spent)], price: Tariff, expect: Option<i64>| {
        let found = repeated_openings(&spending(groups), |endpoint| (endpoint == "e").then_some(price));
        assert_eq!(found.first().map(|one| one.saves.nanos()), expect, "{found:?}");
    };
    let busy = || with_usage(spent(11, 3_000, 1), 50_000, 0, 1);
    // Ten times 1,024 tokens at $9 a million less.
    check(&[(&["e", "d", "7"], busy())], price, Some(10 * 1_024 * 9_000));
    check(&[(&["e", "d", "7"], busy()), (&["e", "d", "8"], busy())], price, Some(2 * 10 * 1_024 * 9_000));
    check(&[(&["e", "d", "7"], with_usage(spent(11, 3_001, 1), 50_000, 0, 1))], price, None);
    check(
        &[(&["e", "d", "7"], with_usage(spent(11, 9, 1), 50_000, 5_120, 1))],
        price,
        Some(5 * 1_024 * 9_000),
    );
    check(&[(&["e", "d", "7"], with_usage(spent(11, 9, 1), 50_000, 99_999, 1))], price, None);
    check(&[(&["e", "d", ""], busy())], price, None);
    check(&[(&["other", "d", "7"], busy())], price, None);
    check(&[(&["e", "d", "7"], busy())], tariff([10, 10, 10, 10]), None);
    // Writing costs more, once.
    check(&[(&["e", "d", "7"], busy())], tariff([10, 1, 12, 10]), Some(1_024 * (10 * 9_000 - 2_000)));
    check(&[(&["e", "d", "7"], Spent { failed: 10, ..busy() })], price, None);
}

#[test]
fn questions_that_come_again_could_be_answered_from_the_cache() {
    let hour = std::time::Duration::from_secs(3_600);
    let check = |spent: Spent, question: &str, expect: Option<i64>| {
        let found = repeated_questions(&spending(&[(&["a", "d", question], spent)]), hour);
        assert_eq!(found.first().map(|one| one.saves.nanos()), expect);
    };
    check(spent(4, 3 * 3_600, 400), "7", Some(300_000));
    check(spent(4, 3 * 3_600 + 1, 400), "7", None);
    check(spent(1, 0, 400), "7", None);
    check(spent(4, 1, 400), "", None);
    check(spent(4, 1, 0), "7", None);
    check(Spent { failed: 2, ..spent(4, 1, 400) }, "7", Some(100_000));
}

#[test]
fn questions_much_larger_than_most_are_told_where_they_cost_much() {
    let check = |groups: &[(&[&str], Spent)], expect: Option<i64>| {
        let found = oversized(&spending(groups));
        assert_eq!(found.first().map(|one| one.saves.nanos()), expect, "{found:?}");
    };
    let usual: (&[&str], Spent) = (&["a", "1024"], spent(90, 0, 900));
    // Ten of the usual size cost 100 millionths.
    check(&[usual, (&["a", "8192"], spent(10, 0, 5_000))], Some(4_900_000));
    check(&[usual, (&["a", ""], spent(10, 0, 5_000))], Some(4_900_000));
    check(&[usual, (&["a", "4096"], spent(10, 0, 5_000))], None);
    check(&[usual, (&["a", "8192"], spent(10, 0, 200))], None);
    check(&[usual, (&["b", "8192"], spent(10, 0, 5_000))], None);
    check(&[(&["a", "1024"], spent(80, 0, 900)), (&["a", "8192"], spent(10, 0, 5_000))], None);
}

#[test]
fn room_that_no_answer_needs_is_freed_and_saves_nothing() {
    let check = |bounded, asked, longest, expect: Option<i64>| {
        let spent = Spent { bounded, asked: asked * bounded, longest, ..spent(bounded, 0, 1) };
        let found = unused_room(&spending(&[(&["a", "e"], spent)]), |_| Some(tariff([1, 1, 1, 10])));
        assert_eq!(
            found.first().map(|one| (one.frees.nanos(), one.saves)),
            expect.map(|nanos| (nanos, Money::ZERO))
        );
    };
    check(100, 4_000, 500, Some(3_500 * 10_000));
    check(99, 4_000, 500, None);
    check(100, 1_000, 500, None);
    check(100, 1_001, 500, Some(501 * 10_000));
    check(0, 0, 0, None);
}

#[test]
fn what_saves_most_comes_first_and_says_its_evidence_as_json() {
    let all = spending(&[(&["a", "d", "7"], spent(4, 1, 400)), (&["b", "d", "7"], spent(4, 90_000, 4_000))]);
    let found = dearest_first(repeated_questions(&all, std::time::Duration::from_secs(86_400)));
    assert_eq!(found.iter().map(|one| &*one.of).collect::<Vec<_>>(), ["b", "a"]);
    let json = json!(found[0]);
    assert_eq!(json["kind"], "response_cache");
    assert_eq!(json["saves_usd"], "0.003");
    assert_eq!(json.get("frees_usd"), None);
    let evidence = &json["evidence"];
    let numbers = (&evidence["attempts"], &evidence["days"], &evidence["cost_usd"]);
    assert_eq!(numbers, (&json!(4), &json!(2), &json!("0.004")), "from noon on, 25 hours: {evidence}");
}

#[test]
fn exports_are_read_however_their_rows_lie() {
    let check = |export: serde_json::Value, expect: &[(&str, Option<u64>, Option<&str>)]| {
        let billed = Billed::read(&export, &Columns::default()).unwrap();
        let found: Vec<_> =
            billed.iter().map(|b| (b.model.as_str(), b.input, b.cost.map(|c| c.to_string()))).collect();
        let expect: Vec<_> = expect.iter().map(|(m, i, c)| (*m, *i, c.map(str::to_owned))).collect();
        assert_eq!(found, expect);
    };
    check(json!([{"model": "m", "input_tokens": "12", "cost": ""}]), &[("m", Some(12), None)]);
    check(
        json!([{"model": "m", "cost_usd": 1e-9, "cost": "0.12345678901"}]),
        &[("m", None, Some("$0.12345679"))],
    );
    let deep = json!({"data": [{"results": [{"model": "a", "input_tokens": 1}, {"model": "b", "input_tokens": null}]}]});
    check(deep, &[("a", Some(1), None), ("b", None, None)]);
    let wrong = |export: serde_json::Value, field: &str| {
        assert_eq!(Billed::read(&export, &Columns::default()).unwrap_err().field(), Some(field), "{export}");
    };
    wrong(json!([]), "model");
    wrong(json!([{"Model": "m"}]), "model");
    wrong(json!([{"model": "m", "input_tokens": "a few"}]), "input_tokens");
    wrong(json!([{"model": "m", "input_tokens": -1}]), "input_tokens");
    wrong(json!([{"model": "m", "cost": "free"}]), "cost");
}

#[test]
fn each_model_is_compared_with_what_its_provider_says() {
    let ours = spending(&[
        (&["gpt-4o"], with_usage(spent(2, 0, 500), 70, 30, 10)),
        (&["gpt-4o-mini"], with_usage(spent(1, 0, 100), 9, 0, 1)),
        (&["mine"], spent(3, 0, 7)),
    ]);
    let row = |model: &str, input: u64, cost: i64| Billed {
        model: model.to_owned(),
        input: Some(input),
        output: None,
        cost: Some(Money::from_nanos(cost * 1_000)),
    };
    let theirs = [
        row("gpt-4o-2024-08-06", 60, 400),
        row("gpt-4o", 40, 100),
        row("gpt-4o-mini-x", 10, 101),
        row("o9", 5, 5),
    ];
    let found = reconcile(&ours, &theirs);
    let said: Vec<_> = found.iter().map(|c| (c.model.as_str(), c.agrees(0), c.agrees(100_000))).collect();
    let expect =
        [("gpt-4o", true, true), ("gpt-4o-mini", false, true), ("mine", false, false), ("o9", false, false)];
    assert_eq!(said, expect);
    assert_eq!(
        json!(found[3]),
        json!({"model": "o9", "ours": {}, "theirs": {"input_tokens": 5, "cost_usd": "0.000005"}})
    );
}
