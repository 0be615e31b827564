//! What everything must do that keeps states for the next start.

use std::sync::Arc;

use bytes::Bytes;
use maof_core::{ErrorKind, MAX_SNAPSHOT, Snapshots};

type Store = Arc<dyn Snapshots>;

/// The latest counts, and an empty one is one.
pub async fn what_was_kept_last_is_found(store: Store) {
    assert_eq!(store.kept("a").await.unwrap(), None);
    for bytes in [&b"first"[..], b"", b"second \0 \xff"] {
        store.keep("a", Bytes::copy_from_slice(bytes)).await.unwrap();
        assert_eq!(store.kept("a").await.unwrap().as_deref(), Some(bytes));
    }
}

/// Each has a name of its own.
pub async fn parts_share_nothing(store: Store) {
    store.keep("a", Bytes::from_static(b"one")).await.unwrap();
    store.keep("b", Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(store.kept("a").await.unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(store.kept("c").await.unwrap(), None);
}

/// Everything is bounded.
pub async fn what_is_too_large_is_refused_and_changes_nothing(store: Store) {
    store.keep("a", Bytes::from_static(b"one")).await.unwrap();
    let refused = store.keep("a", vec![0; MAX_SNAPSHOT + 1].into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(store.kept("a").await.unwrap().as_deref(), Some(&b"one"[..]));
}
