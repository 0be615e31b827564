//! Where the money went, what budgets have left and how to spend less, as callers are told.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use maof::{Dimension, Name, Principal, Role, Spending, Target};
use maof_tests::served::{Server, json_of};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A dear endpoint and a cheap one that may both answer; each request has its price.
const CONFIG: &str = "
endpoints:
  - {name: dear, local: lexicon, price: {request: 0.01}}
  - {name: cheap, local: lexicon, price: {request: 0.001}}
agents:
  - {name: analyst, endpoints: [dear, cheap], capabilities: [sentiment]}
budgets:
  - {account: 'agent:analyst', limit_usd: 5, window: month}
  - {account: user, limit_requests: 1000, window: day}
";

async fn asked(server: &Server, times: usize) {
    for _ in 0..times {
        let question = json!({"model": "analyst", "max_tokens": 1000,
            "messages": [{"role": "user", "content": "A lovely day."}]});
        let request = server.post("/v1/chat/completions", &question).header("x-maof-tags", "team=red");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spending_is_broken_down_by_what_is_asked_for() {
    let server = Server::start(CONFIG).await;
    asked(&server, 3).await;
    let told = async |query: &str| {
        let (status, told) = json_of(server.get(&format!("/cost/breakdown?{query}"))).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told
    };
    let row = async |query: &str| told(query).await["rows"][0].clone();
    for (query, by, value) in [
        ("by=agent", "agent", "analyst"),
        ("by=endpoint", "endpoint", "dear"),
        ("by=user", "user", "u"),
        ("by=key", "key", "test"),
        ("by=tier", "tier", "default"),
        ("by=tag:team", "tag:team", "red"),
        ("by=tag:team&agent=analyst", "tag:team", "red"),
    ] {
        let row = row(query).await;
        assert_eq!(
            (&row[by], &row["attempts"], &row["cost_usd"]),
            (&json!(value), &json!(3), &json!("0.03")),
            "{query}"
        );
    }
    assert_eq!(told("by=agent&agent=nobody").await["rows"], json!([]));
    assert_eq!(told("until=2020-01-02&since=2020-01-01").await["total"]["attempts"], 0);
    let csv = server.get("/cost/breakdown?by=agent").header("accept", "text/csv").send().await.unwrap();
    assert!(csv.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let lines = csv.text().await.unwrap();
    assert!(lines.starts_with("agent,attempts,") && lines.contains("\nanalyst,3,0,"), "{lines}");
    let same = server.get("/cost/breakdown?by=agent&format=csv").send().await.unwrap().text().await.unwrap();
    assert_eq!(same, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_refused_by_its_field() {
    let server = Server::start(CONFIG).await;
    let check = async |path: &str, param: &str| {
        let (status, told) = json_of(server.get(path)).await;
        assert_eq!(
            (status, &told["error"]["param"]),
            (StatusCode::BAD_REQUEST, &json!(param)),
            "{path}: {told}"
        );
    };
    check("/cost/breakdown?by=colour", "by").await;
    check("/cost/breakdown?by=tag", "by").await;
    check("/cost/breakdown?by=agent,agent", "by").await;
    check("/cost/breakdown?by=agent,day,user,tier,model", "by").await;
    check("/cost/breakdown?by=agent&by=day", "by").await;
    check("/cost/breakdown?since=yesterday", "since").await;
    check("/cost/breakdown?since=2026-01-02&until=2026-01-01", "until").await;
    check("/cost/breakdown?limit=0", "limit").await;
    check("/cost/breakdown?limit=many", "limit").await;
    check("/cost/breakdown?format=xml", "format").await;
    check("/cost/breakdown?colour=red", "colour").await;
    check("/cost/suggestions?days=3", "days").await;
    check("/cost/suggestions?since=2026-13-01", "since").await;
    for path in ["/cost/breakdown", "/cost/suggestions", "/cost/forecast", "/budget"] {
        let nobody = server.client.get(format!("{}{path}", server.base)).send().await.unwrap();
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_say_what_is_left_and_when_they_begin_anew() {
    let server = Server::start(CONFIG).await;
    asked(&server, 4).await;
    let (_, told) = json_of(server.get("/budget")).await;
    let one = |account: &str| -> Value {
        told["budgets"].as_array().unwrap().iter().find(|one| one["account"] == account).unwrap().clone()
    };
    let agent = one("agent:analyst");
    let amounts = ["limit", "spent", "held", "left"].map(|field| agent[field].as_str().unwrap());
    assert_eq!(amounts, ["5.00", "0.04", "0.00", "4.96"]);
    assert_eq!((&agent["share"], &agent["window"]), (&json!(0.008), &json!("month")));
    assert!(agent["resets"].as_str().unwrap().ends_with("-01T00:00:00.000000Z"));
    let user = one("user:u");
    assert_eq!(
        (&user["measure"], &user["spent"], &user["left"]),
        (&json!("requests"), &json!(4), &json!(996))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_come_with_their_evidence_or_not_at_all() {
    let server = Server::start(CONFIG).await;
    let found = async || {
        let (status, told) = json_of(server.get("/cost/suggestions")).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told["suggestions"].as_array().unwrap().clone()
    };
    assert_eq!(found().await, Vec::<Value>::new(), "nothing was asked");
    asked(&server, 100).await;
    let found = found().await;
    let of = |kind: &str| {
        found.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {found:?}"))
    };
    // A dollar at the dear one is ten cents at the cheap one; the same question a hundred times needs one answer.
    let cheaper = of("cheaper");
    assert_eq!((&cheaper["saves_usd"], &cheaper["evidence"]["attempts"]), (&json!("0.90"), &json!(100)));
    assert!(cheaper["advice"].as_str().unwrap().starts_with("Put cheap before dear"), "{cheaper}");
    assert_eq!(of("response_cache")["saves_usd"], "0.99");
    assert!(
        !found.iter().any(|one| one["kind"] == "unused_max_tokens"),
        "what is not charged for is not held: {found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_was_sent_is_written_down() {
    let server = Server::start(CONFIG).await;
    let says = async |text: &str| {
        let metrics = server.client.get(format!("{}/metrics/prometheus", server.base)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains(text), "{metrics}");
    };
    says("\nmaof_capture_rate 1\n").await;
    asked(&server, 5).await;
    says("\nmaof_upstream_requests_total{endpoint=\"dear\"} 5\n").await;
    says("\nmaof_capture_rate 1\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_all_sees_its_own_and_nobody_sees_another_tenant() {
    let server = Server::start(CONFIG).await;
    asked(&server, 2).await;
    let costs = server.maof.costs();
    let check = async |tenant: &str, user: &str, role: Role, attempts: u64, accounts: usize| {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let roles = vec![role];
        let who =
            Principal { tenant: name(tenant), user: name(user), roles, ..(*Principal::local()).clone() };
        let mut query = costs.query(&who, maof::Timestamp::default(), costs.now());
        query.by = vec![Dimension::User];
        let spending: Spending = costs.spending(&query).await.unwrap();
        assert_eq!(spending.total().attempts, attempts, "{tenant} {user} {role:?}");
        // The agent's, its own, and those of whoever it is told of.
        assert_eq!(costs.budgets(&who).await.unwrap().len(), accounts, "{tenant} {user} {role:?}");
    };
    check("acme", "u", Role::User, 2, 2).await;
    check("acme", "other", Role::User, 0, 2).await;
    check("acme", "other", Role::Service, 0, 2).await;
    check("acme", "other", Role::Readonly, 2, 3).await;
    check("acme", "other", Role::Admin, 2, 3).await;
    check("else", "u", Role::Admin, 0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_forecast_once_there_is_a_complete_day() {
    let server = Server::start(CONFIG).await;
    asked(&server, 2).await;
    let (status, told) = json_of(server.get("/cost/forecast")).await;
    assert_eq!((status, &told), (StatusCode::OK, &json!({"forecasts": []})), "today is not over");
    // Three days ago a dollar was spent, by somebody else and at the same agent.
    let now = server.maof.clock().now();
    let began = maof::Timestamp::from_micros(now.micros() - 3 * 86_400_000_000);
    let target = Target::Name("analyst".parse().unwrap());
    let who = server.maof.authenticate(&server.key).unwrap();
    let call = server.maof.new_call(target, who, maof::Body::from(maof::ChatRequest::user("x")));
    let latest = server.maof.ledger().attempts(&call.principal.tenant, None, 1).await.unwrap().remove(0);
    let id = maof::AttemptId::from_uuid(uuid::Uuid::from_u128(1));
    let cost = maof::Money::from_nanos(1_000_000_000);
    let old = maof::Attempt { id, began, cost, user: "old".parse().unwrap(), ..latest };
    server.maof.ledger().charge(&Arc::from("old"), old);
    let (_, told) =
        json_of(server.client.get(format!("{}/cost/forecast", server.base)).bearer_auth(&server.admin)).await;
    let all = &told["forecasts"][0];
    assert_eq!((&all["days"], &all["per_day"]), (&json!(3), &json!("0.333333334")), "{told}");
    let agent =
        told["forecasts"].as_array().unwrap().iter().find(|one| one["account"] == "agent:analyst").unwrap();
    assert_eq!((&agent["limit"], &agent["per_day"]), (&json!("5.00"), &all["per_day"]), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_changes_a_limit_and_it_is_remembered() {
    let mut server = Server::start(CONFIG).await;
    let change = async |server: &Server, key: &str, body: Value| {
        let path = format!("{}/budget/update", server.base);
        json_of(server.client.post(path).bearer_auth(key).json(&body)).await
    };
    let lower = json!({"account": "user:u", "window": "day", "limit_requests": 1});
    let (status, told) = change(&server, &server.key, lower.clone()).await;
    assert_eq!((status, &told["error"]["code"]), (StatusCode::FORBIDDEN, &json!("permission_denied")));
    for (body, param) in [
        (json!({"account": "user:u", "window": "day", "limit_requests": 0}), "limit_requests"),
        (json!({"account": "user:u", "window": "week", "limit_requests": 1}), "window"),
        (json!({"account": "a b", "limit_usd": 1}), "account"),
        (json!({"limit_usd": 1}), "account"),
        (json!({"account": "user:u", "limit_usd": -1, "window": "day"}), "limit_usd"),
        (json!({"account": "user:u", "limit_usd": 1e40, "window": "day"}), "limit_usd"),
        (json!({"account": "user:u", "colour": 1}), "colour"),
        (json!([]), "body"),
    ] {
        let (status, told) = change(&server, &server.admin, body.clone()).await;
        assert_eq!(
            (status, &told["error"]["param"]),
            (StatusCode::BAD_REQUEST, &json!(param)),
            "{body}: {told}"
        );
    }
    let nobodys = json!({"account": "agent:nobody", "limit_usd": 1});
    assert_eq!(change(&server, &server.admin, nobodys).await.0, StatusCode::NOT_FOUND);

    asked(&server, 1).await;
    let (status, told) = change(&server, &server.admin, lower).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!((&told["limit"], &told["left"]), (&json!(1), &json!(0)), "{told}");
    for _ in 0..2 {
        let question = json!({"model": "analyst", "messages": [{"role": "user", "content": "Again?"}]});
        let (status, refused) = json_of(server.post("/v1/chat/completions", &question)).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{refused}");
        server = server.restart(CONFIG).await;
    }
    let (_, told) = json_of(server.get("/budget")).await;
    let user = told["budgets"].as_array().unwrap().iter().find(|one| one["account"] == "user:u").unwrap();
    assert_eq!(user["limit"], 1, "after two restarts");
    let tenant: Name = "acme".parse().unwrap();
    let trail = server.maof.audit().trail(&tenant, 100).await.unwrap();
    let noted = trail.iter().find(|row| row.action == "budget.update").unwrap();
    assert_eq!(noted.subject, "user:u (requests per day): 1000 to 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_feedback_measured_is_said_of_who_is_cheaper() {
    let routing = "routing: {strategy: thompson, thompson: {learn_from: feedback}}\n";
    let server = Server::start(&format!("{CONFIG}{routing}")).await;
    for number in 0..160 {
        let question =
            json!({"model": "analyst", "messages": [{"role": "user", "content": format!("Day {number}?")}]});
        let answer = server.post("/v1/chat/completions", &question).send().await.unwrap();
        let decision = answer.headers()["x-maof-decision"].to_str().unwrap().to_owned();
        // Neither good nor bad, so that both are asked.
        let score = json!({"decision": decision, "score": 0.5});
        assert_eq!(server.post("/feedback", &score).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    let (_, told) = json_of(server.get("/cost/suggestions")).await;
    let cheaper =
        told["suggestions"].as_array().unwrap().iter().find(|one| one["kind"] == "cheaper").unwrap();
    let advice = cheaper["advice"].as_str().unwrap();
    assert!(
        advice.starts_with("Put cheap before dear") && advice.contains("finds it no worse: 0.500 of"),
        "{advice}"
    );
}
