//! What every cache must do.

use std::sync::Arc;
use std::time::Duration;

use maof_core::{
    Cache, CacheKey, ChatAnswer, Chosen, DecisionId, Head, Kept, Name, Response, Timestamp, Usage,
};

type Store = Arc<dyn Cache>;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

const fn key(n: u8) -> CacheKey {
    [n; 32]
}

/// An answer of `text` that `agent` gave to `tenant`, asked for after so many seconds, good for an hour.
pub fn kept(tenant: &str, agent: &str, text: &str, asked: u64) -> Kept {
    let chosen = Chosen {
        decision: DecisionId::from_uuid(uuid::Uuid::nil()),
        agent: name(agent),
        endpoint: name(&format!("{agent}-endpoint")),
        instructions: None,
        fallbacks: 0,
        instead_of: None,
    };
    let mut response = Response::chat(ChatAnswer::text(text));
    response.usage = Some(Usage::default());
    Kept {
        tenant: name(tenant),
        head: Head { chosen: Some(Arc::new(chosen)), ..Head::default() },
        response,
        asked: after(asked),
        until: after(asked + 3_600),
    }
}

/// What a tenant has under a key at a time.
async fn found(store: &Store, tenant: &str, n: u8, seconds: u64) -> Option<String> {
    let kept = store.get(&name(tenant), &key(n), after(seconds)).await.unwrap()?;
    Some(kept.response.text().unwrap())
}

/// Answers have an end, and a newer one takes the place of an older.
pub async fn what_is_kept_is_found_until_its_time_is_over(store: Store) {
    assert_eq!(found(&store, "t", 1, 0).await, None);
    store.put(key(1), kept("t", "a", "one", 0));
    store.put(key(2), kept("t", "a", "two", 10));
    assert_eq!(found(&store, "t", 1, 3_599).await.as_deref(), Some("one"));
    assert_eq!(found(&store, "t", 1, 3_600).await, None);
    assert_eq!(found(&store, "t", 2, 3_600).await.as_deref(), Some("two"));
    store.put(key(2), kept("t", "a", "newer", 20));
    assert_eq!(found(&store, "t", 2, 3_600).await.as_deref(), Some("newer"));
}

/// Not even under the same key.
pub async fn nothing_is_given_to_another_tenant(store: Store) {
    store.put(key(1), kept("t", "a", "one", 0));
    assert_eq!(found(&store, "other", 1, 1).await, None, "even under the same key");
    assert_eq!(store.forget(&name("other"), None, after(1)).await.unwrap(), 0);
    assert_eq!(found(&store, "t", 1, 1).await.as_deref(), Some("one"));
}

/// All of a tenant's answers, or those of one agent or endpoint.
pub async fn what_is_forgotten_is_found_no_more(store: Store) {
    store.put(key(1), kept("t", "a", "one", 0));
    store.put(key(2), kept("t", "b", "two", 0));
    store.put(key(3), kept("t", "c", "three", 0));
    store.put(key(4), kept("other", "a", "four", 0));
    assert_eq!(store.forget(&name("t"), Some(&name("a")), after(1)).await.unwrap(), 1);
    assert_eq!(store.forget(&name("t"), Some(&name("b-endpoint")), after(1)).await.unwrap(), 1);
    assert_eq!(found(&store, "t", 1, 1).await, None);
    assert_eq!(found(&store, "t", 2, 1).await, None);
    assert_eq!(found(&store, "t", 3, 1).await.as_deref(), Some("three"));
    assert_eq!(store.forget(&name("t"), None, after(1)).await.unwrap(), 1);
    assert_eq!(found(&store, "t", 3, 1).await, None);
    assert_eq!(found(&store, "other", 4, 1).await.as_deref(), Some("four"));
}

/// An answer that was under way then comes too late.
pub async fn what_was_asked_before_all_was_forgotten_is_not_kept(store: Store) {
    store.forget(&name("t"), None, after(5)).await.unwrap();
    store.put(key(1), kept("t", "a", "late", 5));
    assert_eq!(found(&store, "t", 1, 6).await, None);
    store.put(key(1), kept("t", "a", "new", 6));
    assert_eq!(found(&store, "t", 1, 6).await.as_deref(), Some("new"));
}
