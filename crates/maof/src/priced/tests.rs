//! Whose price an endpoint takes.
#![allow(clippy::unwrap_used, clippy::panic)]

use maof_core::{Timestamp, Unit};

use super::*;

/// A configuration of one endpoint.
fn config(endpoint: &str, more: &str) -> Result<Config> {
    let providers = "{openai: {profile: openai, api_key: k}, g: {profile: gemini, api_key: k}, h: {profile: huggingface, api_key: k}, \
                     own: {profile: openai_compatible, base_url: 'http://127.0.0.1:1/v1'}, o: {profile: ollama}}";
    Config::parse(&format!("providers: {providers}\nendpoints:\n  - {{name: e, {endpoint}}}\n{more}\n"))
}

/// What the endpoint charges for input, in nano-dollars per million tokens; its context; whether that is unknown.
fn priced(endpoint: &str, more: &str) -> (u64, Option<u64>, bool) {
    let config = config(endpoint, more).unwrap();
    let priced = Pricing::new(&config).of(&config.endpoints[0]).unwrap();
    let now = Timestamp::from_micros(1_793_966_400_000_000);
    (priced.prices.tariff(now, None, 1).price(Unit::Input), priced.context, priced.unknown)
}

#[test]
fn an_endpoint_takes_its_own_price_then_the_files_then_the_policys() {
    let check = |endpoint: &str, more: &str, expect: (u64, Option<u64>, bool)| {
        assert_eq!(priced(endpoint, more), expect, "{endpoint} {more}");
    };
    let known = Some(128_000);
    check("provider: openai, model: gpt-4o-mini", "", (150_000_000, known, false));
    check("provider: openai, model: gpt-4o-mini, price: {input: 7}", "", (7_000_000_000, known, false));
    check("provider: openai, model: gpt-4o-mini, price: {}, context: 9", "", (0, Some(9), false));
    check(
        "provider: openai, model: gpt-4o-mini, price: [{price: {input: 3}}, {over: 0, price: {input: 4}}]",
        "",
        (4_000_000_000, known, false),
    );
    check("provider: g, model: gemini-2.5-flash", "", (300_000_000, Some(1_048_576), false));
    check("provider: h, model: 'openai/gpt-oss-120b:groq'", "", (150_000_000, Some(131_072), false));
    // M10: what nobody knows is told to be unknown, whatever is charged.
    check("provider: openai, model: gpt-99", "", (0, None, true));
    check("provider: own, model: mine", "", (0, None, true));
    check("provider: own, model: mine, price: {}", "", (0, None, false));
    let (most, _, unknown) = priced("provider: openai, model: gpt-99", "prices: {unknown: assume_max}");
    assert!(unknown && most >= 30_000_000_000, "{most}");
    // One's own machine and code cost nothing.
    check("provider: o, model: llama3.2", "prices: {unknown: deny}", (0, None, false));
    check("local: lexicon", "prices: {unknown: deny}", (0, None, false));
}

#[test]
fn wrong_prices_are_named_with_their_endpoint() {
    let check = |endpoint: &str, more: &str, field: &str, part: &str| {
        let error = config(endpoint, more).err().unwrap_or_else(|| panic!("{endpoint} {more} is taken"));
        assert_eq!(error.field(), Some(field), "{}", error.message());
        assert!(error.message().contains(part), "{}", error.message());
    };
    let model = "provider: openai, model: gpt-4o";
    check(&format!("{model}, price: {{output: -1}}"), "", "endpoints[0].price.output", "negative");
    check(&format!("{model}, price: []"), "", "endpoints[0].price", "gap");
    check(
        &format!("{model}, price: [{{price: {{input: 1, output: 2}}}}, {{over: 9, price: {{input: 2}}}}]"),
        "",
        "endpoints[0].price[1].price.output",
        "gap",
    );
    check(
        "provider: openai, model: gpt-99",
        "prices: {unknown: deny}",
        "endpoints[0].price",
        "`gpt-99` is not known",
    );
    check(
        "provider: own, model: mine",
        "routing: {strategy: cheapest}",
        "endpoints[0].price",
        "goes by price",
    );
    check(model, "prices: {file: /nowhere/prices.jsonl}", "prices.file", "cannot be read");
    assert!(config("provider: openai, model: gpt-4o", "routing: {strategy: cheapest}").is_ok());
    for unreadable in ["prices: {unknown: free}", "prices: {files: x}"] {
        assert!(config(model, unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn the_examples_of_the_page_of_prices_are_right() {
    let page = include_str!("../../../../docs/prices.md");
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let providers =
        "providers: {openai: {profile: openai, api_key: k}, gemini: {profile: gemini, api_key: k}}";
    let config =
        Config::parse(&format!("{providers}\n{example}")).unwrap_or_else(|e| panic!("{}", e.message()));
    let pro = Pricing::new(&config).of(&config.endpoints[1]).unwrap().prices;
    let price = |micros: i64, service: Option<&str>, input: u64| {
        pro.tariff(Timestamp::from_micros(micros), service, input).price(Unit::Input) / 1_000_000
    };
    let noon = 12 * 3_600 * 1_000_000;
    let asked = [(noon, None, 200_000), (noon, None, 200_001), (noon, Some("batch"), 1), (0, None, 1)];
    assert_eq!(asked.map(|(at, service, input)| price(at, service, input)), [1_250, 2_500, 625, 500]);
    let line = page.lines().find(|line| line.contains("\"claude-2\"")).unwrap();
    let bundled = maof_budget::Catalogue::bundled().unwrap();
    let sold = bundled.find("anthropic", "claude-2").unwrap();
    assert_eq!(
        line,
        serde_json::to_string(sold).unwrap(),
        "the line that the page shows of the built-in file"
    );
    assert!(page.contains(&format!("\"models\":{}", bundled.models().len())));
}
