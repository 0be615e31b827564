//! An account that passes a part of its limit is told of once in its window: to an address, the audit trail and the metric,
//! also by the next process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use maof::{Body, ChatRequest, Config, Maof, Principal, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Takes what is posted; says 500 to the first, so that it comes again.
async fn address() -> (String, mpsc::UnboundedReceiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    #[allow(clippy::disallowed_methods, reason = "a test's own server")]
    tokio::spawn(async move {
        let mut refused = false;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut got, mut part) = (Vec::new(), [0; 4_096]);
            let body = loop {
                let read = stream.read(&mut part).await.unwrap();
                got.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&got).into_owned();
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                if let Some(event) = body.and_then(|body| serde_json::from_str(&body).ok()) {
                    break event;
                }
            };
            let status = if std::mem::replace(&mut refused, true) { "200 OK" } else { "500 No" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            if status == "200 OK" {
                tell.send(body).unwrap();
            }
        }
    });
    (url, told)
}

async fn start(dir: &Path, webhook: &str) -> Maof {
    let config = format!(
        "
store: {{path: {}}}
endpoints: [{{name: clerk, local: summary, price: {{request: 1}}}}]
budgets: [{{account: user, limit_usd: 10, window: month}}]
alerts: {{at_percent: [20, 30], webhook: '{webhook}'}}
",
        dir.join("maof.db").display()
    );
    Maof::builder(Config::parse(&config).unwrap()).build().await.unwrap()
}

async fn ask(maof: &Maof) {
    let body = Body::from(ChatRequest::user("Growth slows. Prices rise."));
    let call = maof.new_call(Target::Name("clerk".parse().unwrap()), Principal::local(), body);
    maof.call(call).await.unwrap().collect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_passed_is_told_once_also_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let (url, mut told) = address().await;
    let maof = Arc::new(start(dir.path(), &url).await);
    for _ in 0..2 {
        ask(&maof).await;
    }
    let event = told.recv().await.unwrap();
    let said =
        ["event", "tenant", "account", "measure", "window"].map(|field| event[field].as_str().unwrap());
    assert_eq!(said, ["budget.alert", "local", "user:local", "money", "month"]);
    assert_eq!(event["percent"], 20);
    let trail = maof.audit().trail(&Principal::local().tenant, 9).await.unwrap();
    let alerts = trail.iter().filter(|row| row.action == "budget.alert").count();
    assert_eq!(alerts, 1, "{trail:?}");
    assert!(maof.metrics().contains("maof_budget_alerts_total 1"));
    maof.shutdown().await;
    drop(maof);

    // Three dollars: the next part, and the one before is not told again.
    let maof = start(dir.path(), &url).await;
    ask(&maof).await;
    ask(&maof).await;
    assert_eq!(told.recv().await.unwrap()["percent"], 30);
    assert!(maof.metrics().contains("maof_budget_alerts_total 1"));
    maof.shutdown().await;
    assert!(told.try_recv().is_err(), "nothing else was told");
}
