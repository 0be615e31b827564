//! Several processes that count in one PostgreSQL: what an administrator changes at one of them holds at all.
//! Without `MAOF_TEST_POSTGRES_URL` this prints SKIP and passes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use maof::costs::NewLimit;
use maof::{Config, Costs, Maof, Principal, Role};
use maof_testkit::services;

fn config(dir: &std::path::Path, node: &str, url: &str) -> Config {
    let text = format!(
        "store: {{path: {}}}\nledger: {{node: {node}, postgres: {{url: '{url}'}}}}\n\
         endpoints: [{{name: clerk, local: summary, price: {{request: 1}}}}]\n\
         budgets: [{{account: tenant, limit_usd: 10, window: month}}, {{account: user, limit_usd: 5, window: month}}]\n",
        dir.join(node).display()
    );
    Config::parse(&text).unwrap()
}

async fn limit(costs: &Costs, who: &Principal) -> i64 {
    let all = costs.budgets(who).await.unwrap();
    all.iter().find(|one| one.account.as_str().starts_with("user:")).unwrap().limit.amount
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "the other process looks from time to time")]
async fn a_changed_limit_holds_in_every_process_and_the_next() {
    let Some(database) = services::postgres().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let start =
        async |node: &str| Maof::builder(config(dir.path(), node, database.url())).build().await.unwrap();
    let (one, two) = (start("one").await, start("two").await);
    let admin = Principal { roles: vec![Role::Admin], ..(*Principal::local()).clone() };
    let to = |dollars: u32| -> NewLimit {
        let account = format!("user:{}", admin.user);
        serde_json::from_value(
            serde_json::json!({"account": account, "window": "month", "limit_usd": dollars}),
        )
        .unwrap()
    };
    one.change_budget(&admin, &to(3)).await.unwrap();
    let since = Instant::now();
    while limit(&two.costs(), &admin).await != 3_000_000_000 {
        assert!(since.elapsed() < Duration::from_secs(30), "it holds at the other as well");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // At once for who changes it next: what was changed elsewhere is not undone.
    two.change_budget(&admin, &to(4)).await.unwrap();
    let looked = Costs::open(&config(dir.path(), "three", database.url())).await.unwrap();
    assert_eq!(limit(&looked, &admin).await, 4_000_000_000, "who only looks on sees it too");
    let three = start("three").await;
    assert_eq!(limit(&three.costs(), &admin).await, 4_000_000_000);
    for maof in [one, two, three] {
        maof.shutdown().await;
    }
}
