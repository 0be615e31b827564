//! Shares of the calls that go another way, at a real server: arms of a split, and a shadow.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use maof_tests::served::Server;
use reqwest::StatusCode;
use serde_json::json;

const AGENTS: &str = "agents: [{name: helper, endpoints: [lexicon]}, {name: other, endpoints: [bayes]}]\n";

/// The endpoint that answers `helper` in a session.
async fn ask(server: &Server, session: &str) -> String {
    let question = json!({"model": "helper", "messages": [{"role": "user", "content": "A lovely day."}]});
    let request = server.post("/v1/chat/completions", &question).header("x-maof-session", session);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.headers()["x-maof-endpoint"].to_str().unwrap().to_owned()
}

async fn metrics(server: &Server) -> String {
    server.get("/metrics/prometheus").send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_sessions_is_answered_by_another_agent() {
    let split = "routing: {split: [{name: b, share: 0.5, agent: other, of: helper}]}";
    let server = Server::start(&format!("{AGENTS}{split}")).await;
    let mut of = BTreeMap::new();
    for session in 0..40 {
        let session = format!("s{session}");
        let endpoint = ask(&server, &session).await;
        assert_eq!(ask(&server, &session).await, endpoint, "{session} moved");
        *of.entry(endpoint).or_insert(0) += 2;
    }
    assert!(of["lexicon"] >= 20 && of["bayes"] >= 20, "{of:?}");
    let text = metrics(&server).await;
    for (arm, endpoint) in [("control", "lexicon"), ("b", "bayes")] {
        let line = format!("\nmaof_split_total{{arm=\"{arm}\"}} {}\n", of[endpoint]);
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_billed_by_itself_within_its_agents_budget_and_changes_no_answer() {
    let more = "routing: {shadow: {agent: other, share: 1, of: helper}}\n\
                budgets: [{account: 'agent:other', limit_requests: 3, window: total}]";
    let server = Server::start(&format!("{AGENTS}{more}")).await;
    for n in 0..8 {
        assert_eq!(ask(&server, &format!("s{n}")).await, "lexicon");
        // So that not all of them hold the agent's budget at once.
        let asked =
            |text: &str| text.contains(&format!("maof_shadows_total{{result=\"asked\"}} {}\n", n + 1));
        assert!(asked(&metrics(&server).await));
    }
    let tenant = "acme".parse().unwrap();
    let all_rows = async {
        loop {
            server.maof.ledger().flush().await.unwrap();
            let rows = server.maof.ledger().attempts(&tenant, None, 100).await.unwrap();
            let (answers, shadows): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|row| row.purpose.is_answer());
            assert_eq!(answers.iter().filter(|row| row.agent == "helper").count(), 8);
            if shadows.len() >= 3 {
                return shadows;
            }
            tokio::task::yield_now().await;
        }
    };
    let of_shadows = tokio::time::timeout(Duration::from_secs(10), all_rows).await.unwrap();
    assert_eq!(of_shadows.len(), 3, "the budget holds: {of_shadows:?}");
    assert!(of_shadows.iter().all(|row| row.agent == "other" && row.endpoint == "bayes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_fails_or_hangs_is_not_noticed() {
    let broken = "providers: {away: {profile: openai_compatible, base_url: 'http://127.0.0.1:9/v1'}}\n\
                  endpoints: [{name: gone, provider: away, model: m}, {name: lexicon, local: lexicon}]\n\
                  agents: [{name: helper, endpoints: [lexicon]}, {name: other, endpoints: [gone]}]\n\
                  routing: {shadow: {agent: other, share: 1, timeout_ms: 500}}";
    let server = Server::start(broken).await;
    for n in 0..20 {
        assert_eq!(ask(&server, &format!("s{n}")).await, "lexicon");
    }
    let text = metrics(&server).await;
    assert!(text.contains("maof_calls_total{operation=\"chat\",outcome=\"ok\"} 20\n"), "{text}");
}
