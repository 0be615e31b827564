//! What is in the pool, who takes from it, and who gets it back.

use super::*;

/// What a node holds and does not use, another one takes without asking PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_take_from_one_pool() {
    let Some(services) = services().await else { return };
    let nodes = [services.open("one").await, services.open("two").await];
    assert_eq!(nodes[0].shared().current().id(), nodes[1].shared().current().id());
    hold(&nodes[0], "first", 10, 3_210).await.unwrap();
    hold(&nodes[0], "second", 10, 3_210).await.unwrap();
    // A thirty-second of 3,200, most of it in the pool.
    assert_eq!(services.held(), 10 + 10 + 100);
    hold(&nodes[1], "third", 60, 3_210).await.unwrap();
    assert_eq!(services.held(), 10 + 10 + 100, "it was there");
    assert!(hold(&nodes[1], "low", 10, 100).await.is_err(), "it was asked for under a higher limit");
    assert_eq!(
        balance(&nodes[0], "a").await.1,
        80 + nodes[1].shared().slack(&account("a"), Window::Day.start(NOW))
    );
}

/// Who ends gives all back, and the last one what is in the pool.
#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_leaves_nothing() {
    let Some(services) = services().await else { return };
    let tracker = TaskTracker::new();
    let (database, redis) = (services.database.url(), services.redis.url());
    let nodes =
        [open(database, &redis, "one", &tracker).await, open(database, &redis, "two", &tracker).await];
    for number in 0..20_u128 {
        let (node, key) = (&nodes[number as usize % 2], key(&number.to_string()));
        node.hold(&key, &[charge("a", 10, 3_200)], HoldMode::Batched, NOW).await.unwrap();
        node.charge(&key, attempt(number, 7));
        node.close(&key);
    }
    drop(nodes);
    tracker.close();
    tracker.wait().await;
    assert_eq!((services.spent(), services.held(), services.lost()), (140, 0, 0));
    assert_eq!(services.database.number("SELECT count(*) FROM node WHERE ended IS NULL"), 0);
    let again = services.open("one").await;
    hold(&again, "all", 3_200 - 140, 3_200).await.unwrap();
}

/// What is left in the pool and of the account is enough together.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_used_to_its_end() {
    let Some(services) = services().await else { return };
    let nodes = [services.open("one").await, services.open("two").await];
    let mut held = 0;
    for number in 0..100 {
        held += i64::from(hold(&nodes[number % 2], &number.to_string(), 70, 1_000).await.is_ok());
    }
    assert_eq!(held, 1_000 / 70);
}

/// What nobody uses is given back by the last node that used it.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_window_is_given_back() {
    let Some(services) = services().await else { return };
    let nodes = [services.open("one").await, services.open("two").await];
    for number in 0..4 {
        hold(&nodes[number % 2], &number.to_string(), 10, 3_200).await.unwrap();
    }
    (0..3).for_each(|number| nodes[number % 2].close(&key(&number.to_string())));
    nodes[0].retire().await.unwrap();
    assert!(services.held() > 80, "the other one still uses it");
    nodes[1].close(&key("3"));
    nodes[1].retire().await.unwrap();
    assert_eq!(services.held(), 0);
    nodes[0].hold(&key("all"), &[charge("a", 3_200, 3_200)], HoldMode::Strict, NOW).await.unwrap();
}

/// M06: what a node that dies had counts as spent, what lay in the pool too, and the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_member_had_counts_as_spent() {
    let Some(services) = services().await else { return };
    let relay = services::Relay::to(services.database.address()).await;
    let cut = services.database.at_port(relay.port());
    let dying = open(&cut, &services.redis.url(), "dying", &TaskTracker::new()).await;
    let other = services.open("other").await;
    for number in 0..3 {
        hold(&dying, &number.to_string(), 10, 3_200).await.unwrap();
        hold(&other, &number.to_string(), 10, 3_200).await.unwrap();
    }
    dying.charge(&key("0"), attempt(1, 4));
    dying.close(&key("0"));
    dying.flush().await.unwrap();
    relay.cut().await;
    let before = other.shared().current().id();
    services.database.execute("UPDATE node SET seen = seen - interval '1 hour' WHERE name = 'dying'");
    other.resolve_dead().await.unwrap();
    until("the other goes on", || other.shared().current().id() > before).await;
    for number in 0..3_u128 {
        other.charge(&key(&number.to_string()), attempt(10 + number, 10));
        other.close(&key(&number.to_string()));
    }
    until("the old one is left", || !other.shared().has_earlier()).await;
    until("what is lost is written down", || services.lost() > 0).await;
    // Two open holds of the dead one at least, and no more than it and the pool had.
    let lost = services.lost();
    assert!((20..250).contains(&lost), "{lost}");
    assert_eq!(services.spent(), 4 + 30 + lost);
    assert_eq!(balance(&other, "a").await, (34 + lost, 0));
    hold(&other, "rest", 3_200 - 34 - lost, 3_200).await.unwrap();
    assert!(hold(&other, "more", 1, 3_200).await.is_err());
}

/// A generation in which only a dead node was is ended by whoever comes, and not after a while.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_dead_had_is_written_down_at_once() {
    let Some(services) = services().await else { return };
    let relay = services::Relay::to(services.database.address()).await;
    let cut = services.database.at_port(relay.port());
    let dying = open(&cut, &services.redis.url(), "node", &TaskTracker::new()).await;
    hold(&dying, "k", 10, 100).await.unwrap();
    relay.cut().await;
    let tracker = TaskTracker::new();
    let again = open(services.database.url(), &services.redis.url(), "node", &tracker).await;
    assert_ne!(again.shared().current().id(), dying.shared().current().id());
    drop(again);
    tracker.close();
    tracker.wait().await;
    assert_eq!((services.spent(), services.held(), services.lost()), (10, 0, 10));
}

/// A pause is no death: what counted as spent comes back when the member leaves in order, though the others left before.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lives_after_all_leaves_nothing_lost() {
    let Some(services) = services().await else { return };
    let (slow, tracker) = (TaskTracker::new(), TaskTracker::new());
    let (database, redis) = (services.database.url(), services.redis.url());
    let lives = open(database, &redis, "slow", &slow).await;
    let other = open(database, &redis, "other", &tracker).await;
    hold(&lives, "k", 10, 3_200).await.unwrap();
    hold(&lives, "l", 10, 3_200).await.unwrap();
    hold(&other, "k", 10, 3_200).await.unwrap();
    for text in ["k", "l"] {
        lives.close(&key(text));
        other.close(&key(text));
    }
    services.database.execute("UPDATE node SET ended = now() WHERE name = 'slow'");
    drop(other);
    tracker.close();
    tracker.wait().await;
    drop(lives);
    slow.close();
    slow.wait().await;
    assert_eq!((services.spent(), services.held(), services.lost()), (0, 0, 0));
}

/// Several ledgers in one Redis have nothing to do with one another.
#[tokio::test(flavor = "multi_thread")]
async fn two_ledgers_in_one_redis_share_nothing() {
    let Some(services) = services().await else { return };
    let Some(second) = services::postgres().await else { return };
    let one = services.open("n").await;
    let two = open(second.url(), &services.redis.url(), "n", &TaskTracker::new()).await;
    for ledger in [&one, &two] {
        hold(ledger, "k", 40, 100).await.unwrap();
        hold(ledger, "l", 60, 100).await.unwrap();
        assert!(hold(ledger, "m", 1, 100).await.is_err());
    }
}

#[tokio::test]
async fn a_wrong_address_is_refused_without_its_password() {
    for url in ["", "redis://u:hunter2@[bad", "http://u:hunter2@host"] {
        let config = Config { url: Secret::new(url), ..Config::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (maof_core::ErrorKind::InvalidRequest, Some("url")),
            "{url}"
        );
        let shown = format!("{error} {error:?} {config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
