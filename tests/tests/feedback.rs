//! Feedback by the id of a decision, and what callers say of their calls for the router to go by.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use maof::{DecisionId, Principal, Role};
use maof_tests::served::{Server, json_of};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

const PAIR: &str = "agents: [{name: helper, endpoints: [lexicon, bayes]}]\n";

async fn pair(routing: &str) -> Server {
    Server::start(&format!("{PAIR}routing: {routing}")).await
}

fn ask(server: &Server) -> RequestBuilder {
    let question = json!({"model": "helper", "messages": [{"role": "user", "content": "A lovely day."}]});
    server.post("/v1/chat/completions", &question)
}

/// The decision and the endpoint of an answer.
async fn told(request: RequestBuilder) -> (String, String) {
    let response = request.send().await.unwrap();
    let text = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    (text("x-maof-decision"), text("x-maof-endpoint"))
}

async fn score(server: &Server, decision: &str, score: f64) -> StatusCode {
    let body = json!({"decision": decision, "score": score});
    server.post("/feedback", &body).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_by_decision_id_moves_the_choice() {
    for (strategy, right, wrong) in [
        ("thompson", "lexicon", "bayes"),
        ("thompson", "bayes", "lexicon"),
        ("linear_thompson", "lexicon", "bayes"),
        ("linear_thompson", "bayes", "lexicon"),
    ] {
        let server = pair(&format!("{{strategy: {strategy}, {strategy}: {{learn_from: feedback}}}}")).await;
        for _ in 0..80 {
            let (decision, endpoint) = told(ask(&server)).await;
            let worth = f64::from(u8::from(endpoint == right));
            assert_eq!(score(&server, &decision, worth).await, StatusCode::NO_CONTENT);
            // What comes again is taken and changes nothing.
            assert_eq!(score(&server, &decision, 1.0 - worth).await, StatusCode::NO_CONTENT);
        }
        let mut wrongly = 0;
        for _ in 0..30 {
            wrongly += u32::from(told(ask(&server)).await.1 == wrong);
        }
        assert!(wrongly <= 6, "{wrong} was asked {wrongly} times of 30");
        let metrics = server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("\nmaof_feedback_total 160\n"), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_feedback_taught_outlives_the_server_and_so_do_decisions_that_wait_for_it() {
    for (strategy, right) in [("thompson", "lexicon"), ("thompson", "bayes"), ("linear_thompson", "bayes")] {
        let routing =
            format!("{PAIR}routing: {{strategy: {strategy}, {strategy}: {{learn_from: feedback}}}}");
        let mut server = Server::start(&routing).await;
        let mut waiting = Vec::new();
        for _ in 0..60 {
            let (decision, endpoint) = told(ask(&server)).await;
            waiting.push((decision, f64::from(u8::from(endpoint == right))));
        }
        let (first, late) = waiting.split_at(30);
        for (decision, worth) in first {
            assert_eq!(score(&server, decision, *worth).await, StatusCode::NO_CONTENT);
        }
        server = server.restart(&routing).await;
        for (decision, worth) in late {
            assert_eq!(score(&server, decision, *worth).await, StatusCode::NO_CONTENT, "{decision}");
        }
        let again = 1.0 - first[0].1;
        assert_eq!(
            score(&server, &first[0].0, again).await,
            StatusCode::NO_CONTENT,
            "taken, changes nothing"
        );
        server = server.restart(&routing).await;
        let mut rightly = 0;
        for _ in 0..40 {
            rightly += u32::from(told(ask(&server)).await.1 == right);
        }
        assert!(rightly >= 30, "{right} was asked {rightly} times of 40");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_that_cannot_be_taken_is_refused_by_field() {
    let server = pair("{strategy: thompson}").await;
    let (decision, _) = told(ask(&server)).await;
    let id = format!(r#""decision": "{decision}""#);
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (body, status, param) in [
        ("{".to_owned(), 400, "body"),
        ("[]".to_owned(), 400, "body"),
        (format!(r#"{{{id}, "score": 1, "scorn": 2}}"#), 400, "body"),
        (r#"{"score": 1}"#.to_owned(), 400, "decision"),
        (r#"{"decision": 7, "score": 1}"#.to_owned(), 400, "decision"),
        (r#"{"decision": "first", "score": 1}"#.to_owned(), 400, "decision"),
        (format!(r#"{{"decision": "{unknown}", "score": 1}}"#), 404, "decision"),
        (format!("{{{id}}}"), 400, "score"),
        (format!(r#"{{{id}, "score": null}}"#), 400, "score"),
        (format!(r#"{{{id}, "score": "1"}}"#), 400, "score"),
        (format!(r#"{{{id}, "score": 1.01}}"#), 400, "score"),
        (format!(r#"{{{id}, "score": -0.01}}"#), 400, "score"),
        (format!(r#"{{{id}, "score": 1e999}}"#), 400, "score"),
        (format!(r#"{{{id}, "score": NaN}}"#), 400, "body"),
    ] {
        let to = server.client.post(format!("{}/feedback", server.base)).body(body.clone());
        let (got, error) = json_of(to.bearer_auth(&server.key)).await;
        assert_eq!((got.as_u16(), &error["error"]["param"]), (status, &json!(param)), "{body}: {error}");
    }
    let body = json!({"decision": decision, "score": 1});
    let (status, _) = json_of(server.client.post(format!("{}/feedback", server.base)).json(&body)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // None of these was taken for the decision's feedback.
    assert_eq!(score(&server, &decision, 1.0).await, StatusCode::NO_CONTENT);

    let idle = pair("{strategy: priority}").await;
    let (decision, _) = told(ask(&idle)).await;
    let body = json!({"decision": decision, "score": 1});
    let (status, error) = json_of(idle.post("/feedback", &body)).await;
    assert_eq!((status, &error["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("strategy")));
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_is_the_tenants_own_and_stands_in_its_audit_trail() {
    let server = pair("{strategy: thompson}").await;
    let (decision, _) = told(ask(&server)).await;
    let id: DecisionId = decision.parse().unwrap();
    let check = |who: Principal, expect: Option<&str>| {
        let refused = server.maof.feedback(&who, id, 0.5).err();
        assert_eq!(refused.map(|error| error.kind().as_str()), expect, "{who:?}");
    };
    let tenant =
        |tenant: &str| Principal { tenant: tenant.parse().unwrap(), ..(*Principal::local()).clone() };
    check(tenant("other"), Some("not_found"));
    check(Principal { roles: vec![Role::Readonly], ..tenant("acme") }, Some("permission_denied"));
    check(tenant("acme"), None);
    server.maof.ledger().flush().await.unwrap();
    let trail = server.maof.audit().trail(&"acme".parse().unwrap(), 10).await.unwrap();
    let rows: Vec<_> = trail.iter().filter(|row| row.action == "feedback").map(|row| &row.subject).collect();
    assert_eq!(rows, [&decision]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tasks_answers_name_their_decisions() {
    let server = Server::start("routing: {strategy: thompson, agent_map: {sentiment: [lexicon]}}").await;
    let task = json!({"task_type": "sentiment", "content": "A wonderful day."});
    let (_, shown) = json_of(server.post("/tasks?wait=30", &task)).await;
    let decision = shown["agent_responses"][0]["decision"].as_str().unwrap();
    assert_eq!(score(&server, decision, 1.0).await, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_or_a_tag_keeps_to_its_endpoint() {
    for (sticky, header, value) in
        [("session", "x-maof-session", "s"), ("{tag: team}", "x-maof-tags", "lang=en,team=t")]
    {
        let server = pair(&format!("{{strategy: sticky, sticky: {sticky}}}")).await;
        let mut asked = BTreeSet::new();
        for n in 0..12 {
            let said = format!("{value}{n}");
            let mut of_one = BTreeSet::new();
            for _ in 0..3 {
                of_one.insert(told(ask(&server).header(header, &said)).await.1);
            }
            assert_eq!(of_one.len(), 1, "{said} was served by {of_one:?}");
            asked.append(&mut of_one);
        }
        assert_eq!(asked.len(), 2, "{header} decides nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_wrongly_of_a_call_or_a_task_is_refused_by_name() {
    let server = pair("{default_agents: [helper]}").await;
    for (header, value) in
        [("x-maof-session", "two words"), ("x-maof-tags", "team"), ("x-maof-tags", "team=two words")]
    {
        let (status, error) = json_of(ask(&server).header(header, value)).await;
        assert_eq!((status, &error["error"]["param"]), (StatusCode::BAD_REQUEST, &json!(header)), "{error}");
    }
    let many: Value =
        (0..17).map(|n| (format!("t{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (field, value, param) in [
        ("session", json!("two words"), "session"),
        ("session", json!(""), "session"),
        ("tags", many, "tags"),
        ("tags", json!({"team": "two words"}), "body"),
    ] {
        let mut task = json!({"task_type": "any", "content": "A day."});
        task[field] = value;
        let (status, error) = json_of(server.post("/tasks", &task)).await;
        assert_eq!((status, &error["error"]["param"]), (StatusCode::BAD_REQUEST, &json!(param)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tasks_tags_choose_who_answers() {
    let routing = "{strategy: {filter: [tags]}, default_agents: [quick, thorough],\n\
                   tags: [{tag: team, is: finance, agents: [thorough]}]}";
    let agents = "agents: [{name: quick, endpoints: [lexicon]}, {name: thorough, endpoints: [bayes]}]";
    let server = Server::start(&format!("{agents}\nrouting: {routing}")).await;
    for (tags, agent) in [(json!({}), "quick"), (json!({"team": "finance"}), "thorough")] {
        let task = json!({"task_type": "any", "content": "A day.", "session": "s-1", "tags": tags});
        let (_, shown) = json_of(server.post("/tasks?wait=30", &task)).await;
        assert_eq!(shown["agent_responses"][0]["agent"], agent, "{shown}");
    }
}
