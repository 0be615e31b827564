//! Rates and their conditions.

use maof_core::{Error, Tariff, Unit, Usage};
use proptest::prelude::*;

use super::*;
use crate::price::{Hours, RateConfig};

#[test]
fn the_last_rate_whose_conditions_hold_is_charged() {
    let prices = prices(
        r#"[
            {"price": {"input": 1}},
            {"over": 100, "price": {"input": 2}},
            {"from": "2026-03-01", "price": {"input": 3}},
            {"from": "2026-03-01", "over": 200, "price": {"input": 4}},
            {"hours": "23:30-01:00", "price": {"input": 5}},
            {"service": "flex", "price": {"input": 6}},
            {"service": "flex", "over": 100, "from": "2026-04-01", "price": {"input": 7}}
        ]"#,
    );
    let check = |when: Timestamp, service: Option<&str>, input: u64, dollars: u64| {
        let tariff = prices.tariff(when, service, input);
        assert_eq!(tariff.price(Unit::Input), dollars * 1_000_000_000, "{when:?} {service:?} {input}");
    };
    let (before, after) = (at("2026-02-28", 12, 0), at("2026-03-01", 12, 0));
    check(before, None, 100, 1);
    check(before, None, 101, 2);
    check(after, None, 101, 3);
    check(after, None, 201, 4);
    // The first moment of the day, and the last of the hours, which go over midnight.
    check(at("2026-02-28", 23, 29), None, 1, 1);
    check(at("2026-02-28", 23, 30), None, 1, 5);
    check(at("2026-03-01", 0, 59), None, 1, 5);
    check(at("2026-03-01", 1, 0), None, 1, 3);
    check(after, Some("flex"), 500, 6);
    check(at("2026-04-01", 12, 0), Some("flex"), 101, 7);
    // A service without a rate of its own costs what the standard one does.
    check(after, Some("priority"), 1, 3);
    check(after, Some("default"), 1, 3);
}

#[test]
fn cached_tokens_count_towards_the_long_context() {
    let prices = prices(
        r#"[{"price": {"input": 1, "cached_input": 0.1}}, {"over": 10, "price": {"input": 2, "cached_input": 0.2}}]"#,
    );
    let cost = |cached: u64| {
        let usage = Usage::default().with(Unit::Input, 5).with(Unit::CachedInput, cached);
        prices.cost(&usage, at("2026-01-01", 0, 0), None).unwrap().nanos()
    };
    assert_eq!(cost(5), 5_500);
    assert_eq!(cost(6), 11_200);
}

#[test]
fn gaps_and_wrong_amounts_are_refused_by_name() {
    let check = |json: &str, field: &str, why: &str| {
        let read = serde_json::from_str::<PriceConfig>(json);
        let error: Error = match read {
            Ok(config) => config.prices().unwrap_err(),
            Err(error) => panic!("{json}: {error}"),
        };
        assert_eq!(error.field(), Some(field), "{json}: {}", error.message());
        assert!(error.message().contains(why), "{json}: {}", error.message());
    };
    check("[]", "price", "gap");
    check(r#"[{"from": "2026-01-01", "price": {"input": 1}}]"#, "price[0]", "gap");
    check(r#"[{"service": "flex", "price": {"input": 1}}]"#, "price[0]", "gap");
    check(
        r#"[{"price": {"input": 1, "output": 2}}, {"over": 9, "price": {"input": 2}}]"#,
        "price[1].price.output",
        "gap",
    );
    check(r#"[{"price": {"input": 1}}, {"over": 9, "price": {}}]"#, "price[1].price.input", "gap");
    check(r#"{"input": -1}"#, "price.input", "negative");
    check(
        r#"[{"price": {"input": 1}}, {"over": 9, "price": {"input": "-0.000000001"}}]"#,
        "price[1].price.input",
        "negative",
    );
    check(r#"{"request": 9000000000}"#, "price.request", "astronomical");
    check(&format!("[{}]", vec![r#"{"price": {}}"#; 257].join(",")), "price", "256");
    for malformed in [
        r#"[{"price": {"inputs": 1}}]"#,
        r#"[{"form": "2026-01-01", "price": {}}]"#,
        r#"[{"from": "2026-02-30", "price": {}}]"#,
        r#"[{"from": "26-1-1", "price": {}}]"#,
        r#"[{"from": "2026-01-0x", "price": {}}]"#,
        r#"[{"hours": "24:00-01:00", "price": {}}]"#,
        r#"[{"hours": "1:00-2:00", "price": {}}]"#,
        r#"[{"hours": "01:00-01:00", "price": {}}]"#,
        r#"[{"over": -1, "price": {}}]"#,
        r#"{"input": "99999999999"}"#,
        r#"{"input": 1e300}"#,
        "7",
    ] {
        assert!(serde_json::from_str::<PriceConfig>(malformed).is_err(), "{malformed}");
    }
}

#[test]
fn days_and_hours_are_read_as_they_are_written() {
    for day in ["1970-01-01", "2000-02-29", "2026-10-19", "2100-03-01", "9999-12-31"] {
        assert_eq!(day.parse::<Day>().unwrap().to_string(), day);
    }
    for hours in ["00:00-23:59", "23:30-01:00"] {
        assert_eq!(hours.parse::<Hours>().unwrap().to_string(), hours);
    }
}

fn rates() -> impl Strategy<Value = Vec<(u64, bool, [u64; 5])>> {
    prop::collection::vec((0_u64..2_000, any::<bool>(), prop::array::uniform5(1_u64..1 << 40)), 1..6)
}

proptest! {
    /// M02: what is held at the dearest rate that so many tokens may reach is no less than what any usage within them costs.
    #[test]
    fn no_usage_within_a_bound_costs_more_than_the_dearest_rate_up_to_it(
        rates in rates(), flex in any::<bool>(), bound in 0_u64..3_000, share in 0_u64..=100, output in 0_u64..500,
    ) {
        const UNITS: [Unit; 5] = [Unit::Input, Unit::CachedInput, Unit::CacheWrite, Unit::Output, Unit::Request];
        let tariff = |prices: &[u64; 5]| UNITS.iter().zip(prices).fold(Tariff::FREE, |t, (u, p)| t.with(*u, *p));
        let configs: Vec<RateConfig> = rates.iter().enumerate().map(|(i, (over, flex, _))| RateConfig {
            over: if i == 0 { 0 } else { *over },
            service: (i > 0 && *flex).then(|| "flex".to_owned()),
            ..RateConfig::default()
        }).collect();
        let prices = Prices::new(configs.iter().zip(rates.iter().map(|(.., prices)| tariff(prices))));
        let (now, service) = (at("2026-01-01", 0, 0), flex.then_some("flex"));
        let used = bound * share / 100;
        let usage = Usage::default()
            .with(Unit::Input, used / 2)
            .with(Unit::CachedInput, used - used / 2)
            .with(Unit::Output, output)
            .with(Unit::Request, 1);
        let held = prices.up_to(now, service, bound).map(|tariff| {
            let dearest = UNITS[..3].iter().copied().max_by_key(|unit| tariff.price(*unit)).unwrap();
            let most = Usage::default().with(dearest, bound).with(Unit::Output, output).with(Unit::Request, 1);
            tariff.cost(&most).unwrap()
        }).max().unwrap();
        prop_assert!(prices.cost(&usage, now, service).unwrap() <= held);
    }
}
