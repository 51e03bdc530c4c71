//! Batches of one action on many objects: made, leased, worked off item by item, forgotten.
//!
//! An item is marked in the transaction of its move, under the lock of its batch's row, so it is moved once whatever stops in
//! between. Which actions there are is the operations'.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

record! {
    /// A batch; `parameters` is JSON.
    pub struct BatchRow {
        id: i64, account_id: i64, action: String, parameters: String, actor: String, status: String, total: i64, processed: i64, failed: i64,
        created_at: i64, updated_at: i64, finished_at: Option<i64>,
    }
}
record! {
    /// An item that waits.
    pub struct WaitingItem { number: i64, object_id: i64 }
}
batch! {
    /// An item to add.
    pub struct NewItem { number: i64 = "int8", object_id: i64 = "int8" }
}
batch! {
    /// What became of an item; `error` where it was not moved.
    pub struct ItemDone { number: i64 = "int8", error: Option<String> = "text" }
}

/// Adds a batch with its items. With a lease its maker works it off itself.
pub async fn batch_insert(tx: &Tx<'_>, row: &BatchRow, lease: Option<(&str, i64)>, items: &[NewItem]) -> Result<()> {
    let statement = sql!(
        "INSERT INTO batch_process (id, account_id, action, parameters, actor, status, total, processed, failed, lease_token, \
         lease_until, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, $10, $10)"
    );
    let (token, until) = (lease.map(|(token, _)| token), lease.map(|(_, until)| until));
    let parameters: &[&dyn crate::backend::Parameter] = &[
        &row.id,
        &row.account_id,
        &row.action,
        &row.parameters,
        &row.actor,
        &row.status,
        &row.total,
        &token,
        &until,
        &row.created_at,
    ];
    tx.execute(statement, parameters).await?;
    let statement = batch_sql!(
        NewItem,
        1,
        "INSERT INTO batch_item (batch_id, number, object_id, is_done) SELECT CAST($1 AS BIGINT), number, object_id, false FROM {batch} WHERE true"
    );
    tx.batch(statement, &[&row.id], items).await?;
    Ok(())
}

/// Leases the oldest batch that waits and that nobody works on.
pub async fn batch_claim(tx: &Tx<'_>, now: i64, token: &str, lease_until: i64) -> Result<Option<BatchRow>> {
    let statement = sql!(
        "UPDATE batch_process SET lease_token = $2, lease_until = $3 WHERE id = (SELECT id FROM batch_process \
         WHERE finished_at IS NULL AND (lease_until IS NULL OR lease_until <= $1) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) \
         RETURNING id, account_id, action, parameters, actor, status, total, processed, failed, created_at, updated_at, finished_at"
    );
    tx.maybe(statement, &[&now, &token, &lease_until]).await
}

/// Locks a batch that the holder of the lease still has.
pub async fn batch_lock(tx: &Tx<'_>, id: i64, token: &str) -> Result<Option<BatchRow>> {
    let statement = sql!(
        "SELECT id, account_id, action, parameters, actor, status, total, processed, failed, created_at, updated_at, finished_at \
         FROM batch_process WHERE id = $1 AND lease_token = $2 AND finished_at IS NULL FOR UPDATE"
    );
    tx.maybe(statement, &[&id, &token]).await
}

/// The next items that wait.
pub async fn items_waiting(tx: &Tx<'_>, batch_id: i64, limit: i64) -> Result<Vec<WaitingItem>> {
    let statement = sql!(
        "SELECT number, object_id FROM batch_item WHERE batch_id = $1 AND NOT is_done ORDER BY number LIMIT CAST($2 AS BIGINT)"
    );
    tx.all(statement, &[&batch_id, &limit]).await
}

/// Marks items, and moves the figures of their batch; it is over with its last item.
pub async fn items_done(tx: &Tx<'_>, batch_id: i64, done: &[ItemDone], now: i64, lease_until: i64) -> Result<()> {
    let statement = batch_sql!(
        ItemDone,
        1,
        "UPDATE batch_item SET is_done = true, error = batch.error FROM {batch} \
         WHERE batch_item.batch_id = $1 AND batch_item.number = batch.number"
    );
    tx.batch(statement, &[&batch_id], done).await?;
    let processed = i64::try_from(done.len()).unwrap_or(i64::MAX);
    let failed = i64::try_from(done.iter().filter(|item| item.error.is_some()).count()).unwrap_or(i64::MAX);
    let statement = sql!(
        "UPDATE batch_process SET processed = processed + $2, failed = failed + $3, updated_at = $4, \
         status = CASE WHEN processed + $2 < total THEN 'in_progress' WHEN failed + $3 >= total THEN 'failed' ELSE 'completed' END, \
         lease_until = CASE WHEN processed + $2 < total THEN CAST($5 AS BIGINT) END, \
         finished_at = CASE WHEN processed + $2 < total THEN CAST(NULL AS BIGINT) ELSE CAST($4 AS BIGINT) END WHERE id = $1"
    );
    tx.execute(statement, &[&batch_id, &processed, &failed, &now, &lease_until]).await?;
    Ok(())
}

/// A batch of this account.
pub async fn batch_by_id(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<BatchRow>> {
    let statement = sql!(
        "SELECT id, account_id, action, parameters, actor, status, total, processed, failed, created_at, updated_at, finished_at \
         FROM batch_process WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// Why items of a batch were not moved: number of the object, and the words.
pub async fn batch_errors(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Vec<(i64, String)>> {
    let statement = sql!(
        "SELECT i.object_id, i.error FROM batch_item i JOIN batch_process b ON b.id = i.batch_id \
         WHERE b.account_id = $1 AND b.id = $2 AND i.error IS NOT NULL ORDER BY i.number"
    );
    tx.all(statement, &[&account_id, &id]).await
}

/// How many batches of this account there are: those of the statuses that stand between commas, or those that are not over.
pub async fn batch_count(tx: &Tx<'_>, account_id: i64, statuses: Option<&str>) -> Result<i64> {
    let statement = sql!(
        "SELECT COUNT(*) FROM batch_process WHERE account_id = $1 \
         AND ((CAST($2 AS TEXT) IS NULL AND finished_at IS NULL) OR $2 LIKE '%,' || status || ',%')"
    );
    let (count,): (i64,) = tx.one(statement, &[&account_id, &statuses]).await?;
    Ok(count)
}

/// Batches of this account, newest first: those of the statuses that stand between commas, or those that are not over.
pub async fn batch_list(
    tx: &Tx<'_>,
    account_id: i64,
    statuses: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<Vec<BatchRow>> {
    let statement = sql!(
        "SELECT id, account_id, action, parameters, actor, status, total, processed, failed, created_at, updated_at, finished_at \
         FROM batch_process WHERE account_id = $1 AND ((CAST($2 AS TEXT) IS NULL AND finished_at IS NULL) OR $2 LIKE '%,' || status || ',%') \
         ORDER BY id DESC LIMIT CAST($3 AS BIGINT) OFFSET CAST($4 AS BIGINT)"
    );
    tx.all(statement, &[&account_id, &statuses, &limit, &offset]).await
}

/// Gives back what a process held that is no more: a data folder has one.
pub async fn batch_leases_end(tx: &Tx<'_>) -> Result<()> {
    if matches!(tx, Tx::Sqlite(_)) {
        tx.execute(sql!("UPDATE batch_process SET lease_until = NULL WHERE lease_until IS NOT NULL"), &[]).await?;
    }
    Ok(())
}

/// Forgets batches that were over before `finished_before`.
pub async fn batches_forget(tx: &Tx<'_>, finished_before: i64) -> Result<()> {
    let items = sql!(
        "DELETE FROM batch_item WHERE batch_id IN (SELECT id FROM batch_process WHERE finished_at IS NOT NULL AND finished_at < $1)"
    );
    tx.execute(items, &[&finished_before]).await?;
    let batches = sql!("DELETE FROM batch_process WHERE finished_at IS NOT NULL AND finished_at < $1");
    tx.execute(batches, &[&finished_before]).await?;
    Ok(())
}
