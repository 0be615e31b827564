//! What a node does now and then: gives a sign of life, ends the dead, forgets what is old.

use sqlx::postgres::PgConnection;

/// Lost holds of one round that are told one by one; the table has all.
const TOLD: usize = 100;

/// What a node that died still held.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Lost {
    node_name: String,
    key: String,
    tenant: String,
    account: String,
    measure: String,
    period: String,
    amount: i64,
}

/// Gives a sign of life. A node that was taken for dead gets its holds back.
pub(crate) async fn live(c: &mut PgConnection, me: i64) -> sqlx::Result<()> {
    let alive = sqlx::query("UPDATE node SET seen = now() WHERE id = $1 AND ended IS NULL");
    if alive.bind(me).execute(&mut *c).await?.rows_affected() == 0 {
        tracing::warn!("this node of the ledger was taken for dead; what it holds is held again");
        sqlx::query("SELECT ledger_revive($1)").bind(me).execute(c).await?;
    }
    Ok(())
}

/// Ends nodes that gave no sign of life for so many seconds, or bear this one's name and began before it. What they
/// held counts as spent; gives how many holds that were on how many accounts.
pub(crate) async fn end_dead(c: &mut PgConnection, me: i64, patience: f64) -> sqlx::Result<usize> {
    let end = sqlx::query_as("SELECT * FROM ledger_end_dead($1, $2)").bind(me).bind(patience);
    Ok(told(&end.fetch_all(c).await?))
}

/// Ends this node: nothing of it comes any more.
pub(crate) async fn leave(c: &mut PgConnection, me: i64) -> sqlx::Result<usize> {
    Ok(told(&sqlx::query_as("SELECT * FROM ledger_end($1)").bind(me).fetch_all(c).await?))
}

/// Forgets what is old.
pub(crate) async fn sweep(c: &mut PgConnection, me: i64, days: u32) -> sqlx::Result<()> {
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    sqlx::query("SELECT ledger_sweep($1, $2)").bind(me).bind(days).execute(c).await.map(drop)
}

/// Tells of holds that count as spent; gives how many.
pub(crate) fn told(lost: &[Lost]) -> usize {
    for Lost { node_name, key, tenant, account, measure, period, amount } in lost.iter().take(TOLD) {
        tracing::warn!(
            node = node_name,
            key,
            tenant,
            account,
            measure,
            period,
            amount,
            "a node ended with an open hold; it counts as spent"
        );
    }
    if lost.len() > TOLD {
        tracing::warn!(
            more = lost.len() - TOLD,
            "further open holds count as spent; see the table lost_hold"
        );
    }
    lost.len()
}
