//! What `just money` found once, small enough for every run of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use maof::{Config, Maof, Principal};
use maof_core::{Tariff, Unit};
use maof_testkit::{ScriptedEndpoint, endpoint, services};

/// A server was not to be stopped: its shutdown waited for a task that waited for the server to go. And what a node has ready
/// for its calls is given back, or each stop would cost a part of every account.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_counts_in_postgres_ends_and_leaves_nothing_held() {
    let Some(database) = services::postgres().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "{{store: {{path: '{}'}}, ledger: {{node: n, holds: batched, postgres: {{url: '{}'}}}}, \
         budgets: [{{account: tenant, limit_usd: 1}}]}}",
        dir.path().join("maof.db").display(),
        database.url(),
    );
    let priced = ScriptedEndpoint::new("test").tariff(Tariff::default().with(Unit::Output, 1_000_000));
    let maof =
        Maof::builder(Config::parse(&config).unwrap()).endpoint(Arc::new(priced)).build().await.unwrap();
    maof.work();
    for _ in 0..3 {
        let asked = endpoint::call("a question");
        let call = maof_core::Call::new(asked.id, asked.target, Principal::local(), asked.body);
        maof.call(call).await.unwrap().collect().await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(10), maof.shutdown()).await.unwrap();
    assert!(database.number("SELECT sum(spent) FROM account") > 0);
    assert_eq!(database.number("SELECT sum(held) FROM account"), 0);
    drop(maof);
}
