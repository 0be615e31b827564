//! Who is a member of which generation: PostgreSQL knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use crate::postgres::{Lost, told};

/// The name of this ledger in a Redis that several use.
pub(super) async fn ledger(c: &mut PgConnection) -> sqlx::Result<String> {
    let read = sqlx::query_as("SELECT id::TEXT FROM pool");
    read.fetch_one(c).await.map(|(id,)| id)
}

/// Joins a generation of this process of Redis that is newer than a known one; and whether it was made for that.
pub(super) async fn next(c: &mut PgConnection, me: i64, known: i64, run: &str) -> sqlx::Result<(i64, bool)> {
    let next = sqlx::query_as("SELECT id, made FROM generation_next($1, $2, $3)");
    next.bind(me).bind(known).bind(run).fetch_one(c).await
}

/// Leaves one, clean if nothing is held; gives how many holds of it count as spent.
pub(super) async fn leave(c: &mut PgConnection, id: i64, me: i64, clean: bool) -> sqlx::Result<usize> {
    let leave = sqlx::query_as::<_, Lost>("SELECT * FROM generation_leave($1, $2, $3)");
    Ok(told(&leave.bind(id).bind(me).bind(clean).fetch_all(c).await?))
}

/// Ends generations whose members all died; gives how many holds of them count as spent.
pub(super) async fn end_dead(c: &mut PgConnection) -> sqlx::Result<usize> {
    let end = sqlx::query_as::<_, Lost>("SELECT * FROM generation_end_dead()");
    Ok(told(&end.fetch_all(c).await?))
}

/// Whether a member died.
pub(super) async fn has_dead(c: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let dead = "SELECT EXISTS (SELECT FROM member m JOIN node n ON n.id = m.node \
                WHERE m.generation = $1 AND n.ended IS NOT NULL)";
    sqlx::query_as(dead).bind(id).fetch_one(c).await.map(|(dead,)| dead)
}

/// Gives back parts of what is held in a generation's name.
pub(super) async fn release(
    c: &mut PgConnection,
    id: i64,
    parts: &BTreeMap<Arc<str>, i64>,
) -> sqlx::Result<()> {
    let keys: Vec<&str> = parts.keys().map(|key| &**key).collect();
    let amounts: Vec<i64> = parts.values().copied().collect();
    let release = sqlx::query("SELECT ledger_release($1, $2, $3)");
    release.bind(id).bind(keys).bind(amounts).execute(c).await.map(drop)
}
