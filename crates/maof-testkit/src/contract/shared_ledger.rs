//! What a ledger must do that several processes share. The store is two handles, as two processes have them.

use std::sync::Arc;

use maof_core::{Charge, ErrorKind, Ledger};

use super::ledger::{NOW, Store, attempt, balance, charge};

/// Two handles of one ledger.
#[derive(Clone, Debug)]
pub struct Nodes([Store; 2]);

impl From<[Arc<dyn Ledger>; 2]> for Nodes {
    fn from(nodes: [Arc<dyn Ledger>; 2]) -> Nodes {
        Nodes(nodes.map(Store::from))
    }
}

/// M01, over two nodes: whatever they ask for at once, no more is admitted than there is.
pub async fn two_hundred_callers_of_two_nodes_never_overspend(Nodes(nodes): Nodes) {
    #[allow(clippy::disallowed_methods, reason = "a test waits for its own tasks")]
    let calls = (0..200_u128).map(|number| {
        let ledger = nodes[number as usize % 2].clone();
        tokio::spawn(async move {
            let key: Arc<str> = number.to_string().into();
            // In both orders: whoever locked them as they come would wait for ever.
            let mut charges = [charge("first", 7, 500), charge("second", 7, 400)];
            if number % 3 == 0 {
                charges.reverse();
            }
            let held = ledger.hold(&key, &charges, NOW).await.is_ok();
            // Some calls are under way at the end.
            if held && number % 5 != 0 {
                ledger.charge(&key, attempt(number, 7));
                ledger.close(&key);
            }
            (held, held && number % 5 != 0)
        })
    });
    let (mut admitted, mut ended) = (0, 0);
    for call in calls {
        let (held, done) = call.await.unwrap();
        (admitted, ended) = (admitted + i64::from(held), ended + i64::from(done));
    }
    assert_eq!(admitted, 400 / 7);
    for node in &nodes {
        node.flush().await.unwrap();
    }
    for account in ["first", "second"] {
        let now = balance(&nodes[0], account, maof_core::Measure::Money).await;
        assert_eq!(now, (7 * ended, 7 * (admitted - ended)), "{account}");
    }
}

/// M01: of two nodes that ask for the last of a budget at the same moment, one gets it. Again and again, on one account.
pub async fn one_of_two_that_ask_at_once_gets_the_last(Nodes(nodes): Nodes) {
    for round in 0..60 {
        let key: Arc<str> = round.to_string().into();
        let charges = [charge("a", 4, 4 * round + 7)];
        let [a, b] = &nodes;
        let (a, b) = tokio::join!(a.hold(&key, &charges, NOW), b.hold(&key, &charges, NOW));
        assert!(a.is_ok() != b.is_ok(), "round {round}: {a:?}, {b:?}");
        let now = balance(&nodes[0], "a", maof_core::Measure::Money).await;
        assert_eq!(now, (0, 4 * round + 4), "round {round}");
    }
}

/// M01: caps do not leak from one node to the next.
pub async fn what_one_node_holds_and_spends_the_other_does_not_have(Nodes(nodes): Nodes) {
    let [a, b] = &nodes;
    let key: Arc<str> = "k".into();
    let hold =
        async |node: &Store, key: &Arc<str>, amount| node.hold(key, &[charge("a", amount, 10)], NOW).await;
    hold(a, &key, 6).await.unwrap();
    let error = hold(b, &"l".into(), 5).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::BudgetExceeded, Some("a")));
    assert!(error.message().contains("$0.000000004 of $0.00000001 left"), "{error}");
    hold(b, &"l".into(), 4).await.unwrap();
    a.charge(&key, attempt(1, 3));
    a.close(&key);
    a.flush().await.unwrap();
    hold(b, &"l".into(), 7).await.unwrap();
    assert!(hold(a, &"m".into(), 1).await.is_err());
    let read = b.attempts(&attempt(1, 3).tenant, None, 9).await.unwrap();
    assert_eq!(read, [attempt(1, 3)]);
}

/// Two nodes that work under one key may both ask an upstream: each of them pays.
pub async fn a_key_means_another_hold_on_another_node(Nodes(nodes): Nodes) {
    let key: Arc<str> = "k".into();
    let charges: [Charge; 1] = [charge("a", 5, 10)];
    for node in &nodes {
        node.hold(&key, &charges, NOW).await.unwrap();
    }
    assert_eq!(balance(&nodes[0], "a", maof_core::Measure::Money).await, (0, 10));
    nodes[1].close(&key);
    nodes[1].flush().await.unwrap();
    assert_eq!(balance(&nodes[0], "a", maof_core::Measure::Money).await, (0, 5));
}
