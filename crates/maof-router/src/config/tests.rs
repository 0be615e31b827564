//! Which settings are refused, by the field's name.
#![allow(clippy::unwrap_used)]

use super::*;

fn check(json: &str, expect: Result<(), &str>) {
    let config: Config = serde_json::from_str(json).unwrap();
    let found = config.validate();
    assert_eq!(found.as_ref().map_err(|e| e.field().unwrap()), expect.as_ref().map_err(|f| *f), "{json}");
}

#[test]
fn a_wrong_setting_is_refused_by_name() {
    check("{}", Ok(()));
    check(r#"{"strategy":"capability","agent_map":{"a":["x","y"],"b":["x"]}}"#, Ok(()));
    check(r#"{"agent_map":{"a":[]}}"#, Err("agent_map.a"));
    check(r#"{"agent_map":{"a":["x","y","x"]}}"#, Err("agent_map.a[2]"));
    check(r#"{"default_agents":["x","x"]}"#, Err("default_agents[1]"));
    check(r#"{"warm_up_ms":3600001}"#, Err("warm_up_ms"));
    check(r#"{"decay_ms":99}"#, Err("decay_ms"));
    check(r#"{"tags":[{"tag":"team","agents":[]}]}"#, Err("tags[0].agents"));
    check(r#"{"learned":{"quality":0.95,"cost_weight":1}}"#, Err("learned.quality"));
    check(r#"{"learned":{"quality":0}}"#, Err("learned.quality"));
    check(r#"{"learned":{"cost_weight":-1}}"#, Err("learned.cost_weight"));
    check(r#"{"thompson":{"cost_weight":-1}}"#, Err("thompson.cost_weight"));
    check(r#"{"linear_thompson":{"cost_weight":11}}"#, Err("linear_thompson.cost_weight"));
    check(r#"{"linear_thompson":{"ridge":0}}"#, Err("linear_thompson.ridge"));
    check(r#"{"linear_thompson":{"noise":-1}}"#, Err("linear_thompson.noise"));
    check(r#"{"thompson":{"belief":{"discount":0.5}}}"#, Err("thompson.belief.discount"));
}

#[test]
fn a_strategy_without_what_it_needs_is_refused() {
    check(r#"{"strategy":"complexity"}"#, Err("tiers"));
    check(r#"{"strategy":{"filter":["tags"]}}"#, Err("tags"));
    check(r#"{"strategy":"learned"}"#, Err("learned.model"));
    check(r#"{"strategy":"learned","learned":{"model":"m","quality":0.95}}"#, Ok(()));
    check(r#"{"strategy":{"rank":["latency","cheapest","latency"]}}"#, Err("strategy.rank[2]"));
    check(r#"{"strategy":{"filter":["context","context"]}}"#, Err("strategy.filter[1]"));
}

#[test]
fn shares_are_of_somebody_and_do_not_sum_to_zero() {
    let (agents, endpoints) =
        (["a", "b"].map(|n| Name::new(n).unwrap()), ["e", "f"].map(|n| Name::new(n).unwrap()));
    let check = |weights: &str, expect: Result<(), &str>| {
        let config: Config = serde_json::from_str(&format!(r#"{{"weights":{weights}}}"#)).unwrap();
        let pairs = agents.iter().zip(endpoints.chunks(1));
        let found = config.validate_weights(pairs);
        assert_eq!(
            found.as_ref().map_err(|e| e.field().unwrap()),
            expect.as_ref().map_err(|f| *f),
            "{weights}"
        );
    };
    check("{}", Ok(()));
    check(r#"{"a":0}"#, Ok(()));
    check(r#"{"a":0,"f":0}"#, Err("weights"));
    check(r#"{"a":0,"b":0,"f":1}"#, Ok(()));
    check(r#"{"c":1}"#, Err("weights.c"));
}

#[test]
fn tiers_rise_and_share_nobody() {
    let tiers = |tiers: &str| format!(r#"{{"strategy":"complexity","tiers":{tiers}}}"#);
    check(&tiers(r#"[{"up_to":0.5,"agents":["x"]},{"agents":["y"]}]"#), Ok(()));
    check(&tiers(r#"[{"agents":["x"]},{"agents":["y"]}]"#), Err("tiers[1].up_to"));
    check(&tiers(r#"[{"up_to":0,"agents":["x"]}]"#), Err("tiers[0].up_to"));
    check(&tiers(r#"[{"up_to":0.5,"agents":["x"]},{"agents":["y","x"]}]"#), Err("tiers[1].agents[1]"));
}

#[test]
fn an_unknown_field_strategy_or_stage_is_refused() {
    let refused = |json: &str, named: &str| {
        let error = serde_json::from_str::<Config>(json).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    };
    refused(r#"{"agents":{}}"#, "`agents`");
    refused(r#"{"strategy":"luck"}"#, "`luck`");
    refused(r#"{"strategy":{"ranks":[]}}"#, "`ranks`");
    refused(r#"{"strategy":{"rank":["luck"]}}"#, "`luck`");
    refused(r#"{"strategy":{"spread":"luck"}}"#, "`luck`");
    refused(r#"{"strategy":7}"#, "the name of a strategy, or its `filter`, `rank` and `spread`");
}

#[test]
fn every_name_stands_for_stages_and_is_written_as_it_is_read() {
    for name in [
        "priority",
        "capability",
        "weighted",
        "round_robin",
        "least_busy",
        "latency",
        "cheapest",
        "performance",
        "complexity",
        "sticky",
        "learned",
        "thompson",
        "linear_thompson",
    ] {
        let strategy: Strategy = serde_json::from_value(name.into()).unwrap();
        assert_eq!(strategy.as_str(), name);
        assert_eq!(serde_json::to_value(&strategy).unwrap(), name);
    }
    let composed = r#"{"filter":["capability"],"rank":["priority","cheapest"],"spread":"sticky"}"#;
    let strategy: Strategy = serde_json::from_str(composed).unwrap();
    assert_eq!(serde_json::to_string(&strategy).unwrap(), composed);
    assert_eq!(strategy.stages().rank, [Rank::Priority, Rank::Cheapest]);
}

#[test]
fn every_named_agent_is_told_with_its_field() {
    let config = r#"{"agent_map":{"a":["x","y"]},"default_agents":["z"],"tags":[{"tag":"t","agents":["u"]}],
        "tiers":[{"agents":["v"]}]}"#;
    let config: Config = serde_json::from_str(config).unwrap();
    let named: Vec<_> = config.agents_named().map(|(field, agent)| format!("{field}={agent}")).collect();
    let expect = [
        "agent_map.a[0]=x",
        "agent_map.a[1]=y",
        "default_agents[0]=z",
        "tags[0].agents[0]=u",
        "tiers[0].agents[0]=v",
    ];
    assert_eq!(named, expect);
    assert_eq!(config.task_types().map(Name::as_str).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_cascade_goes_by_hand_or_by_a_model_that_says_what_to_keep() {
    let cascade = |rest: &str| format!(r#"{{"cascade":[{{"of":"x","first":"y"{rest}}}]}}"#);
    for (rest, expect) in [
        ("", Ok(())),
        (r#","confidence":0.5"#, Ok(())),
        (r#","confidence":1.5"#, Err("cascade[0].confidence")),
        (r#","model":"m","quality":0.95"#, Ok(())),
        (r#","model":"m","cost_weight":0"#, Ok(())),
        (r#","model":"m""#, Err("cascade[0].model")),
        (r#","model":"m","quality":0.95,"confidence":0.5"#, Err("cascade[0].confidence")),
        (r#","model":"m","quality":0.95,"cost_weight":1"#, Err("cascade[0].quality")),
        (r#","model":"m","quality":0"#, Err("cascade[0].quality")),
        (r#","model":"m","cost_weight":101"#, Err("cascade[0].cost_weight")),
        (r#","quality":0.95"#, Err("cascade[0].quality")),
        (r#","cost_weight":1"#, Err("cascade[0].cost_weight")),
    ] {
        check(&cascade(rest), expect);
    }
}
