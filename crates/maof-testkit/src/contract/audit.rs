//! What every audit trail must do.

use std::sync::Arc;

use maof_core::{Audit, AuditRow, Name, Timestamp};

type Store = Arc<dyn Audit>;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn row(tenant: &str, number: i64) -> AuditRow {
    AuditRow {
        at: Timestamp::from_micros(number),
        tenant: name(tenant),
        user: name("u"),
        action: "task.submit".to_owned(),
        subject: number.to_string(),
        outcome: "ok".to_owned(),
    }
}

/// Every fact is kept.
pub async fn lines_come_newest_first_and_whole(store: Store) {
    for number in 1..=3 {
        store.note(row("a", number));
    }
    assert_eq!(store.trail(&name("a"), 9).await.unwrap(), [row("a", 3), row("a", 2), row("a", 1)]);
    assert_eq!(store.trail(&name("a"), 1).await.unwrap(), [row("a", 3)]);
    assert!(store.trail(&name("a"), 0).await.unwrap().is_empty());
}

/// Invariant: no read without a tenant.
pub async fn a_trail_shows_its_tenant_only(store: Store) {
    store.note(row("a", 1));
    store.note(row("b", 2));
    assert_eq!(store.trail(&name("a"), 9).await.unwrap(), [row("a", 1)]);
    assert!(store.trail(&name("c"), 9).await.unwrap().is_empty());
}

/// What happens at the same moment, or with a clock that goes back, is in the order in which it was noted.
pub async fn the_order_is_that_of_noting(store: Store) {
    for subject in ["first", "second", "third"] {
        let at = Timestamp::from_micros(if subject == "third" { 1 } else { 5 });
        store.note(AuditRow { at, subject: subject.to_owned(), ..row("a", 5) });
    }
    let said: Vec<String> =
        store.trail(&name("a"), 9).await.unwrap().into_iter().map(|r| r.subject).collect();
    assert_eq!(said, ["third", "second", "first"]);
}

/// Nothing is lost in a crowd.
pub async fn many_note_side_by_side_and_nothing_is_lost(store: Store) {
    let noting: Vec<_> = (0..8)
        .map(|thread| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || (0..250).for_each(|n| store.note(row("a", thread * 250 + n))))
        })
        .collect();
    for thread in noting {
        thread.join().unwrap();
    }
    let mut said: Vec<i64> =
        store.trail(&name("a"), 9_999).await.unwrap().iter().map(|r| r.at.micros()).collect();
    said.sort_unstable();
    assert_eq!(said, (0..2_000).collect::<Vec<_>>());
}
