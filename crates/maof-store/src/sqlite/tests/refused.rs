//! What cannot be opened, or not by two, is refused by name and left as it was.

use std::path::PathBuf;

use maof_core::{Audit as _, Error, ErrorKind, Journal as _, Ledger as _, Origin, RunFilter, RunState};
use rusqlite::Connection;

use super::*;

async fn refused(path: &std::path::Path) -> Error {
    let config = Config { path: path.to_owned(), ..Config::default() };
    let error = SqliteStore::open(&config).await.unwrap_err();
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    assert_eq!((error.field(), error.origin()), (Some("store.path"), Origin::Store));
    error
}

/// A database with another program's or another version's content.
async fn made(sql: &str) -> (PathBuf, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = config(&dir).path;
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (path, dir)
}

#[tokio::test]
async fn one_process_works_with_a_file_and_others_look_and_cancel() {
    let (store, dir) = store().await;
    let run = store.accept(new(NOW, 1, "t")).await.unwrap();
    let error = SqliteStore::open(&config(&dir)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for part in ["maof.db", &format!("process {}", std::process::id())] {
        assert!(error.message().contains(part), "{error}");
    }
    let looker = SqliteStore::open_shared(&config(&dir)).await.unwrap();
    let filter = RunFilter { limit: 9, ..RunFilter::default() };
    assert_eq!(looker.runs(&name("t"), filter).await.unwrap(), std::slice::from_ref(&run));
    assert!(looker.trail(&name("t"), 9).await.unwrap().is_empty());
    assert_eq!(
        looker.hold(&"k".into(), &[], HoldMode::Strict, NOW).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(looker.accept(new(NOW, 2, "t")).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(looker.cancel(&name("t"), run.id, NOW).await.unwrap());
    assert_eq!(store.run(&name("t"), run.id).await.unwrap().state, RunState::Cancelled);
    assert_eq!(looker.cancel(&name("u"), run.id, NOW).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_no_database_is_left_as_it_was() {
    for text in ["x", "", &"this is a diary, not a database ".repeat(100)] {
        let dir = tempfile::tempdir().unwrap();
        let path = config(&dir).path;
        std::fs::write(&path, text).unwrap();
        if text.is_empty() {
            SqliteStore::open(&config(&dir)).await.unwrap();
            continue;
        }
        assert!(refused(&path).await.message().contains("is no database of MAOF"));
        let shared = SqliteStore::open_shared(&config(&dir)).await.unwrap_err();
        assert!(shared.message().contains("is no database of MAOF"), "{shared}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}

#[tokio::test]
async fn another_programs_database_is_left_as_it_was() {
    let (path, dir) = made("CREATE TABLE diary (x); CREATE TABLE run (y)").await;
    let before = std::fs::read(&path).unwrap();
    assert_eq!(refused(&path).await.kind(), ErrorKind::InvalidRequest);
    let shared = SqliteStore::open_shared(&config(&dir)).await.unwrap_err();
    assert_eq!(shared.kind(), ErrorKind::InvalidRequest);
    assert!(std::fs::read(&path).unwrap() == before);
}

/// What a process leaves that was killed while it made the file: the migrations' own table and nothing in it.
#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_made_whole() {
    let made_so_far = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
                       installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
                       checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)";
    let (_, dir) = made(made_so_far).await;
    let store = SqliteStore::open(&config(&dir)).await.unwrap();
    drop(store);
    // Another program's migrations are another program's.
    let foreign = format!(
        "{made_so_far}; INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (7, 'a diary', 1, x'00', 1)"
    );
    let (path, _dir) = made(&foreign).await;
    assert_eq!(refused(&path).await.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (store, dir) = store().await;
    drop(store);
    let path = config(&dir).path;
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'of the future', 1, x'00', 1)",
        )
        .unwrap();
    assert!(refused(&path).await.message().contains("newer version of MAOF"));
    let shared = SqliteStore::open_shared(&config(&dir)).await.unwrap_err();
    assert!(shared.message().contains("newer version of MAOF"), "{shared}");
}

#[tokio::test]
async fn a_damaged_database_is_called_so() {
    let (store, dir) = store().await;
    drop(store);
    let path = config(&dir).path;
    let c = Connection::open(&path).unwrap();
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    drop(c);
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 8192, "the schema is in the file");
    bytes[100..].fill(0xAA);
    std::fs::write(&path, bytes).unwrap();
    let error = refused(&path).await;
    assert!(error.message().contains("is damaged"), "{error}");
}

#[tokio::test]
async fn places_that_can_hold_no_file_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(refused(dir.path()).await.message().contains("is a folder"));
    assert_eq!(refused(&dir.path().join("file/maof.db")).await.kind(), ErrorKind::Unavailable);
    let missing = SqliteStore::open_shared(&config(&dir)).await.unwrap_err();
    assert_eq!((missing.kind(), missing.field()), (ErrorKind::NotFound, Some("store.path")));
    let nameless = Config { path: "/".into(), ..Config::default() };
    assert_eq!(SqliteStore::open(&nameless).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let deep = Config { path: dir.path().join("a/b/maof.db"), ..Config::default() };
    SqliteStore::open(&deep).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_is_the_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (store, dir) = store().await;
    store.accept(new(NOW, 1, "t")).await.unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
    let modes: Vec<_> =
        files.map(|f| (f.file_name(), f.metadata().unwrap().permissions().mode() & 0o777)).collect();
    assert_eq!(modes.len(), 4, "the database, its log, the log's index, the lock: {modes:?}");
    assert!(modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
}
