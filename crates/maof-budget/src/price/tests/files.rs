//! Price files.

use maof_core::{Tariff, Unit};

use super::*;
use crate::price::{Catalogue, Config, Model, Source, Unknown, convert};

const HEAD: &str =
    r#"{"format":"maof-prices/1","source":"s","version":"1","licence":"MIT","sha256":"0","models":1}"#;
const LINE: &str = r#"{"provider":"p","model":"m","prices":[{"price":{"input":"1"}}]}"#;

#[test]
fn the_bundled_prices_are_whole_and_come_back_as_they_were_read() {
    let bundled = Catalogue::bundled().unwrap();
    assert!(bundled.models().len() > 2_000);
    assert_eq!(bundled.source().licence, "MIT");
    assert_eq!(bundled.source().sha256.len(), 64);
    assert_eq!(Catalogue::read(&bundled.write().unwrap()).unwrap(), *bundled);
}

#[test]
fn a_wrong_file_is_refused_by_line_and_field() {
    let check = |text: &str, parts: &[&str]| {
        let error = Catalogue::read(text).unwrap_err();
        let said = format!("{}: {}", error.field().unwrap_or_default(), error.message());
        for part in parts {
            assert!(said.contains(part), "{said} does not say {part}");
        }
    };
    let with = |line: &str| format!("{HEAD}\n{line}\n");
    assert!(Catalogue::read(&with(LINE)).is_ok());
    check("", &["line 1", "empty"]);
    check("{}", &["line 1", "missing field"]);
    check(&HEAD.replace("prices/1", "prices/2"), &["line 1", "`format`", "maof-prices/1"]);
    check(HEAD, &["models", "gap", "was the file cut"]);
    check(&format!("{HEAD}\n{LINE}\n{LINE}\n"), &["models", "2 are there"]);
    check(&format!("{}\n{LINE}\n{LINE}\n", HEAD.replace(":1}", ":2}")), &["model", "there twice"]);
    check(&with(&LINE.replace("\"1\"", "\"-1\"")), &["line 2", "`price.input`", "negative"]);
    check(&with(&LINE.replace("\"1\"", "99999999999")), &["line 2", "99999999999"]);
    check(&with(&LINE.replace("input", "inputs")), &["line 2", "inputs"]);
    check(&with(&LINE.replace("[{\"price\":{\"input\":\"1\"}}]", "[]")), &["line 2", "gap"]);
    check(&with(&LINE.replace("\"p\"", "\"\"")), &["line 2", "`provider`"]);
    check(&with(&LINE.replace("\"prices\"", "\"context\":0,\"prices\"")), &["line 2", "`context`"]);
    check(
        &with(&LINE.replace("{\"price\"", "{\"from\":\"2026-01-01\",\"price\"")),
        &["line 2", "price[0]", "gap"],
    );
    check(&with("{\"provider\":\"p\""), &["line 2"]);
}

#[test]
fn a_model_is_found_by_its_name_before_it_is_by_a_pattern() {
    let model = |name: &str, patterns: &[&str]| Model {
        provider: "p".to_owned(),
        model: name.to_owned(),
        patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
        context: None,
        prices: serde_json::from_str(r#"[{"price": {"input": 1}}]"#).unwrap(),
    };
    let models = vec![model("big", &["big*"]), model("big-small", &["small-####"])];
    let catalogue = Catalogue::new(Source::new("s", "1", "MIT", ""), models).unwrap();
    let check = |provider: &str, name: &str, expect: Option<&str>| {
        let found = catalogue.find(provider, name).map(|model| model.model.as_str());
        assert_eq!(found, expect, "{provider} {name}");
    };
    check("p", "big", Some("big"));
    check("p", "BIG-2", Some("big"));
    check("p", "big-small", Some("big-small"));
    check("p", "small-2026", Some("big-small"));
    check("p", "small", None);
    check("q", "big", None);
    assert!(catalogue.sells("p") && !catalogue.sells("q"));
}

/// M10: an unknown model is not free, unless that is said.
#[test]
fn an_unknown_model_costs_what_the_policy_says() {
    let file = format!(
        "{}\n{}\n{}\n",
        HEAD.replace(":1}", ":2}"),
        LINE.replace(
            "\"1\"}}",
            "\"3\",\"output\":\"1\"}},{\"service\":\"flex\",\"price\":{\"input\":\"90\",\"output\":\"90\"}}"
        ),
        LINE.replace("\"m\"", "\"n\"").replace(
            "\"1\"}}",
            "\"2\",\"output\":\"5\"}},{\"over\":9,\"price\":{\"input\":\"4\",\"output\":\"5\"}}"
        ),
    );
    let catalogue = Catalogue::read(&file).unwrap();
    let by =
        |unknown: Unknown, provider: &str| Config { file: None, unknown }.unknown(&catalogue, provider, "x");
    let tariff = |prices: Prices| *prices.tariff(at("2026-01-01", 0, 0), None, 1);
    assert_eq!(tariff(by(Unknown::ZeroAndAlert, "p").unwrap()), Tariff::FREE);
    for provider in ["p", "nobody"] {
        let dearest = tariff(by(Unknown::AssumeMax, provider).unwrap());
        let dollars =
            [Unit::Input, Unit::CachedInput, Unit::Output].map(|unit| dearest.price(unit) / 1_000_000_000);
        assert_eq!(dollars, [4, 4, 5], "of all models and sizes, of the standard service");
    }
    let error = by(Unknown::Deny, "p").unwrap_err();
    assert_eq!(error.field(), Some("price"));
    assert!(error.message().contains("`x`") && error.message().contains("`deny`"));
}

#[test]
fn a_file_that_is_not_there_is_told_by_its_key() {
    let config = Config { file: Some("/nowhere/prices.jsonl".into()), ..Config::default() };
    let error = config.catalogue().unwrap_err();
    assert_eq!(error.field(), Some("prices.file"));
    assert!(error.message().contains("/nowhere/prices.jsonl"));
}

#[test]
fn foreign_data_is_read_into_rates_or_refused_by_name() {
    let of = |model: &str| convert(&format!(r#"[{{"id": "p", "models": [{model}]}}]"#));
    let read = of(r#"{"id": "m", "match": {"or": [{"equals": "m"}, {"regex": "^m-\\d{8}$"}]}, "context_window": 9,
        "prices": [{"prices": {"input_mtok": {"base": 1.0399999999999998, "tiers": [{"start": 7, "price": 2}]}, "web_searches_kcount": 10}},
                   {"constraint": {"start_date": "2026-01-02"}, "prices": {"input_mtok": 0.08333333333333334, "web_searches_kcount": 10}}],
        "price_variants": [{"when": {"service_tier": "flex"}, "prices": {"input_mtok": 0.5}, "constraint": {"start_date": "2026-01-01"}},
                           {"when": {"route": "eu"}, "prices": {"input_mtok": 9}}]}"#)
    .unwrap();
    assert_eq!(read.left_out, [r#"prices when {"route":"eu"}"#]);
    let model = &read.models[0];
    assert_eq!((model.context, &model.patterns[..]), (Some(9), &["m-########".to_owned()][..]));
    let prices = model.prices().unwrap();
    let check = |when: Timestamp, service: Option<&str>, input: u64, nanos: u64| {
        assert_eq!(
            prices.tariff(when, service, input).price(Unit::Input),
            nanos,
            "{when:?} {service:?} {input}"
        );
        assert_eq!(prices.tariff(when, service, input).price(Unit::ServerTool), 10_000_000_000_000);
    };
    check(at("2025-12-31", 0, 0), None, 7, 1_040_000_000);
    check(at("2025-12-31", 0, 0), None, 8, 2_000_000_000);
    check(at("2025-12-31", 0, 0), Some("flex"), 8, 2_000_000_000);
    check(at("2026-01-01", 0, 0), Some("flex"), 8, 500_000_000);
    check(at("2026-01-02", 0, 0), None, 8, 83_333_334);
    check(at("2026-01-02", 0, 0), Some("flex"), 8, 500_000_000);
    for wrong in [
        r#"{"id": "m", "prices": {"input_mtok": -1}}"#,
        r#"{"id": "m", "prices": {"input_mtok": "1"}}"#,
        r#"{"id": "m", "prices": {"input_mtok": {"base": 1}}}"#,
        r#"{"id": "m"}"#,
        r#"{"id": "m", "prices": {}, "match": {"sounds_like": "m"}}"#,
        r#"{"id": "m", "prices": [{"constraint": {"moon": "full"}, "prices": {}}]}"#,
    ] {
        let error = of(wrong).unwrap_err();
        assert!(error.message().contains("p, m"), "{wrong}: {}", error.message());
    }
    assert!(convert("{}").is_err() && convert("[{}]").is_err());
}
