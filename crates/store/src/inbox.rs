//! Callers' own keys: idempotency keys with what was answered, and callers' event ids with the event they stand for.
//!
//! A key is claimed by its unique row before anything is decided, so two nodes never decide the same request twice. A
//! key that is known already stays locked to the end of the transaction. Invariant: no committed claim is without what
//! it claims; what a refused request had claimed is deleted with it.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A caller's idempotency key.
    pub struct IdempotencyClaim { key_id: i64 = "int8", scope: String = "text", fingerprint: String = "text", created_at: i64 = "int8" }
}
record! {
    /// What is known of an idempotency key; `status` 0 is a claim of this very transaction.
    pub struct IdempotencyRow { key_id: i64, scope: String, fingerprint: String, status: i64, body: String }
}
batch! {
    /// What was answered, and to which request.
    pub struct IdempotencyAnswer {
        key_id: i64 = "int8", scope: String = "text", fingerprint: String = "text", status: i64 = "int8", body: String = "text",
        created_at: i64 = "int8",
    }
}
batch! {
    /// A caller's own id of an event.
    pub struct EventClaim { program_id: i64 = "int8", event_key: String = "text", event_id: i64 = "int8", fingerprint: String = "text" }
}
record! {
    /// Which event a caller's id stands for.
    pub struct EventClaimRow { program_id: i64, event_key: String, event_id: i64, fingerprint: String }
}

/// Claims idempotency keys, sorted. Waits for another node that holds one.
pub async fn idempotency_claim(tx: &Tx<'_>, rows: &[IdempotencyClaim]) -> Result<()> {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| (a.key_id, &a.scope).cmp(&(b.key_id, &b.scope)));
    let statement = batch_sql!(
        IdempotencyClaim,
        0,
        "INSERT INTO idempotency (key_id, scope, fingerprint, status, body, created_at) \
         SELECT key_id, scope, fingerprint, 0, '', created_at FROM {batch} WHERE true ON CONFLICT (key_id, scope) DO NOTHING"
    );
    tx.batch(statement, &[], &rows).await?;
    Ok(())
}

/// What is known of these keys.
pub async fn idempotency_read(tx: &Tx<'_>, rows: &[IdempotencyClaim]) -> Result<Vec<IdempotencyRow>> {
    let statement = batch_sql!(
        IdempotencyClaim,
        0,
        "SELECT i.key_id, i.scope, i.fingerprint, i.status, i.body FROM {batch} CROSS JOIN idempotency i \
         WHERE i.key_id = batch.key_id AND i.scope = batch.scope"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Keeps what was answered, and frees the keys of these claims that were not answered.
pub async fn idempotency_finish(tx: &Tx<'_>, claims: &[IdempotencyClaim], answers: &[IdempotencyAnswer]) -> Result<()> {
    let answer = batch_sql!(
        IdempotencyAnswer,
        0,
        "INSERT INTO idempotency (key_id, scope, fingerprint, status, body, created_at) \
         SELECT key_id, scope, fingerprint, status, body, created_at FROM {batch} WHERE true ON CONFLICT (key_id, scope) \
         DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body"
    );
    tx.batch(answer, &[], answers).await?;
    if answers.len() == claims.len() {
        return Ok(());
    }
    let free = batch_sql!(
        IdempotencyClaim,
        0,
        "DELETE FROM idempotency WHERE status = 0 AND (key_id, scope) IN (SELECT key_id, scope FROM {batch} WHERE true)"
    );
    tx.batch(free, &[], claims).await?;
    Ok(())
}

/// Forgets at most `limit` answers that were given before `before`; gives how many.
pub async fn idempotency_purge(tx: &Tx<'_>, before: i64, limit: i64) -> Result<u64> {
    let statement = sql!(
        "DELETE FROM idempotency WHERE (key_id, scope) IN (SELECT key_id, scope FROM idempotency WHERE created_at < $1 \
         ORDER BY created_at, key_id, scope LIMIT $2 FOR UPDATE SKIP LOCKED)"
    );
    tx.execute(statement, &[&before, &limit]).await
}

/// Claims callers' event ids, sorted; gives the numbers of the events that were claimed. An id that is taken keeps its
/// event.
pub async fn event_claim(tx: &Tx<'_>, rows: &[EventClaim]) -> Result<Vec<i64>> {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| (a.program_id, &a.event_key).cmp(&(b.program_id, &b.event_key)));
    let statement = batch_sql!(
        EventClaim,
        0,
        "INSERT INTO inbox (program_id, event_key, event_id, fingerprint) \
         SELECT program_id, event_key, event_id, fingerprint FROM {batch} WHERE true \
         ON CONFLICT (program_id, event_key) DO NOTHING RETURNING event_id"
    );
    let made: Vec<(i64,)> = tx.batch_all(statement, &[], &rows).await?;
    Ok(made.into_iter().map(|(event_id,)| event_id).collect())
}

/// Locks these ids, sorted, and gives the events that they stand for.
pub async fn event_claims_lock(tx: &Tx<'_>, rows: &[EventClaim]) -> Result<Vec<EventClaimRow>> {
    let statement = batch_sql!(
        EventClaim,
        0,
        "SELECT i.program_id, i.event_key, i.event_id, i.fingerprint FROM {batch} CROSS JOIN inbox i \
         WHERE i.program_id = batch.program_id AND i.event_key = batch.event_key \
         ORDER BY i.program_id, i.event_key FOR UPDATE"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Lets ids stand for another event or other content.
pub async fn event_claims_move(tx: &Tx<'_>, rows: &[EventClaim]) -> Result<()> {
    let statement = batch_sql!(
        EventClaim,
        0,
        "UPDATE inbox SET event_id = batch.event_id, fingerprint = batch.fingerprint FROM {batch} \
         WHERE inbox.program_id = batch.program_id AND inbox.event_key = batch.event_key"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}

/// Frees ids that this transaction claimed and that no event took.
pub async fn event_claims_free(tx: &Tx<'_>, rows: &[EventClaim]) -> Result<()> {
    let statement = batch_sql!(
        EventClaim,
        0,
        "DELETE FROM inbox WHERE (program_id, event_key, event_id) IN \
         (SELECT program_id, event_key, event_id FROM {batch} WHERE true)"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}
