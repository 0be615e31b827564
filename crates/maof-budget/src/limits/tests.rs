//! Whose accounts a call is charged to, and what is refused of a budget.
#![allow(clippy::unwrap_used)]

use super::*;
use maof_core::Money;

fn budget(text: &str) -> BudgetConfig {
    serde_json::from_str(text).unwrap()
}

fn call_of(principal: Arc<Principal>) -> Call {
    let target = maof_core::Target::Name(Name::new("a").unwrap());
    let body = maof_core::Body::from(maof_core::ChatRequest::user("q"));
    Call::new(maof_core::CallId::from_uuid(uuid::Uuid::nil()), target, principal, body)
}

#[test]
fn a_calls_team_session_task_and_tags_have_accounts_of_their_own() {
    let limits = Limits::new(&[
        budget(r#"{"account": "session", "limit_usd": 1}"#),
        budget(r#"{"account": "team", "limit_usd": 1}"#),
        budget(r#"{"account": "task", "limit_usd": 1}"#),
        budget(r#"{"account": "tag:project", "limit_usd": 1}"#),
    ])
    .unwrap();
    let team = Some(Name::new("red").unwrap());
    let mut call = call_of(Arc::new(Principal { team, ..(*Principal::local()).clone() }));
    let names = |call: &Call| -> Vec<String> {
        let charges = limits.charges(call, None, &Worst::default()).unwrap();
        charges.iter().map(|charge| charge.account.name.to_string()).collect()
    };
    assert_eq!(names(&call), ["team:red"]);
    call.provenance.session = Some("s-1".into());
    call.provenance.run = Some(maof_core::RunId::from_uuid(uuid::Uuid::nil()));
    let tags =
        [("project", "apollo"), ("other", "x")].map(|(k, v)| (Name::new(k).unwrap(), Name::new(v).unwrap()));
    call.provenance.tags = Some(Arc::new(tags.into()));
    let task = "task:00000000-0000-0000-0000-000000000000";
    assert_eq!(names(&call), ["team:red", "session:s-1", task, "tag:project:apollo"]);
    call.provenance.session = Some("a b".into());
    let refused = limits.charges(&call, None, &Worst::default()).unwrap_err();
    assert_eq!(refused.field(), Some("session"), "nobody spends uncounted");
}

#[test]
fn a_wrong_budget_is_refused_by_field() {
    let check = |text: &str, field: &str| {
        assert_eq!(budget(text).validate().unwrap_err().field(), Some(field), "{text}");
    };
    check(r#"{"account": "agents:x", "limit_usd": 1}"#, "account");
    check(r#"{"account": "agent:", "limit_usd": 1}"#, "account");
    check(r#"{"account": "tier:", "limit_usd": 1}"#, "account");
    check(r#"{"account": "tag:", "limit_usd": 1}"#, "account");
    check(r#"{"account": "teams", "limit_usd": 1}"#, "account");
    check(r#"{"account": "user:alice", "limit_usd": 1}"#, "account");
    let long = "a".repeat(Name::MAX_LEN - 3);
    check(&format!(r#"{{"account": "agent:{long}", "limit_usd": 1}}"#), "account");
    check(r#"{"account": "tenant"}"#, "limit_usd");
    check(r#"{"account": "tenant", "limit_usd": 0}"#, "limit_usd");
    check(r#"{"account": "tenant", "limit_usd": -3}"#, "limit_usd");
    check(r#"{"account": "tenant", "limit_tokens": 0}"#, "limit_tokens");
    check(r#"{"account": "tenant", "limit_requests": 18446744073709551615}"#, "limit_requests");
    assert!(serde_json::from_str::<BudgetConfig>(r#"{"account": "tenant", "window": "week"}"#).is_err());
    let second = [budget(r#"{"account": "tenant", "limit_usd": 1}"#), budget(r#"{"account": "tenant"}"#)];
    assert_eq!(Limits::new(&second).unwrap_err().field(), Some("budgets[1].limit_usd"));
}

#[test]
fn a_call_is_charged_to_its_own_accounts_only() {
    let limits = Limits::new(&[
        budget(r#"{"account": "agent:a", "limit_usd": 1, "window": "day"}"#),
        budget(r#"{"account": "agent:b", "limit_usd": 1}"#),
        budget(r#"{"account": "user", "limit_tokens": 10, "limit_requests": 2}"#),
        budget(r#"{"account": "key", "limit_usd": 1}"#),
        budget(r#"{"account": "tier:gold", "limit_usd": 1}"#),
        budget(r#"{"account": "tier:local", "limit_requests": 9}"#),
    ])
    .unwrap();
    let worst = Worst { cost: Money::from_nanos(7), input: 2, output: 1, tool_calls: 0 };
    let said = |agent: Option<&str>| -> Vec<(String, i64)> {
        let agent = agent.map(|a| Name::new(a).unwrap());
        let charges = limits.charges(&call_of(Principal::local()), agent.as_ref(), &worst).unwrap();
        charges.iter().map(|c| (c.account.to_string(), c.amount)).collect()
    };
    let user = [
        ("user:local (tokens per total)".to_owned(), 3),
        ("user:local (requests per total)".to_owned(), 1),
        ("tier:local (requests per total)".to_owned(), 1),
    ];
    assert_eq!(said(None), user);
    let with_agent: Vec<_> = [("agent:a (money per day)".to_owned(), 7)].into_iter().chain(user).collect();
    assert_eq!(said(Some("a")), with_agent);
}

#[test]
fn a_budget_counts_each_measure_that_it_limits() {
    let limits = Limits::new(&[budget(
        r#"{"account": "tenant", "window": "rolling:24h", "limit_usd": 1, "limit_tokens": 2, "limit_input_tokens": 3,
            "limit_output_tokens": 4, "limit_requests": 5, "limit_tool_calls": 6, "limit_concurrency": 7}"#,
    )])
    .unwrap();
    let worst = Worst { cost: Money::from_nanos(70), input: 20, output: 10, tool_calls: 16 };
    let charges = |call: &Call| -> Vec<(String, i64)> {
        let charges = limits.charges(call, None, &worst).unwrap();
        charges.iter().map(|c| (c.account.to_string(), c.amount)).collect()
    };
    let mut call = call_of(Principal::local());
    let all = [
        ("money per rolling:1d", 70),
        ("tokens per rolling:1d", 30),
        ("input_tokens per rolling:1d", 20),
        ("output_tokens per rolling:1d", 10),
        ("requests per rolling:1d", 1),
        ("tool_calls per rolling:1d", 16),
        ("concurrency per total", 1),
    ]
    .map(|(counted, amount)| (format!("tenant ({counted})"), amount));
    assert_eq!(charges(&call), all);
    call.beside = true;
    assert_eq!(charges(&call), all[..6], "what is asked beside another is one call with it");
}

#[test]
fn a_tiers_budget_is_for_callers_of_that_tier() {
    let limits = Limits::new(&[budget(r#"{"account": "tier:gold", "limit_usd": 1}"#)]).unwrap();
    let check = |tier: &str, user: &str, charged: &[&str]| {
        let (tier, user) = (Name::new(tier).unwrap(), Name::new(user).unwrap());
        let principal = Principal { tier, user, ..(*Principal::local()).clone() };
        let charges = limits.charges(&call_of(Arc::new(principal)), None, &Worst::default()).unwrap();
        let names: Vec<&str> = charges.iter().map(|c| c.account.name.as_str()).collect();
        assert_eq!(names, charged);
    };
    check("gold", "alice", &["tier:gold"]);
    check("gold", "bob", &["tier:gold"]);
    check("free", "gold", &[]);
}

#[test]
fn each_principal_is_charged_on_its_own_accounts_however_many_there_are() {
    let limits = Limits::new(&[budget(r#"{"account": "user", "limit_usd": 1}"#)]).unwrap();
    let charged = |user: usize| {
        let user = Name::new(&format!("u{user}")).unwrap();
        let principal = Arc::new(Principal { user, ..(*Principal::local()).clone() });
        let twice = [(); 2]
            .map(|()| limits.charges(&call_of(Arc::clone(&principal)), None, &Worst::default()).unwrap());
        assert_eq!(twice[0], twice[1]);
        twice[0][0].account.name.to_string()
    };
    for user in 0..REMEMBERED + 10 {
        assert_eq!(charged(user), format!("user:u{user}"));
    }
    assert!(limits.known.read().len() <= REMEMBERED);
}

#[test]
fn a_name_too_long_for_an_account_is_refused_not_left_uncounted() {
    let limits = Limits::new(&[budget(r#"{"account": "user", "limit_usd": 1}"#)]).unwrap();
    let check = |length: usize, counted: bool| {
        let user = Name::new(&"u".repeat(length)).unwrap();
        let principal = Principal { user, ..(*Principal::local()).clone() };
        let charges = limits.charges(&call_of(Arc::new(principal)), None, &Worst::default());
        assert_eq!(charges.as_ref().map(Vec::len).ok(), counted.then_some(1));
        assert!(counted || charges.unwrap_err().field() == Some("user"));
    };
    check(123, true);
    check(124, false);
    check(128, false);
}
