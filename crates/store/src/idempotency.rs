//! Answers kept under callers' keys, one at a time. Batches of events have their own statements (`settlement`).
//!
//! Invariant: an answer that is kept is never replaced; the key's first request decides.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// An answer with the request that it belongs to; `status` 0 is a claim whose answer is being made.
    pub struct KeptAnswer { key_id: i64, scope: String, fingerprint: String, status: i64, body: String, created_at: i64 }
}

/// Keeps an answer; gives whether it is the first under its key. Waits for another node that is writing one.
pub async fn answer_insert(tx: &Tx<'_>, row: &KeptAnswer) -> Result<bool> {
    let statement = sql!(
        "INSERT INTO idempotency (key_id, scope, fingerprint, status, body, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (key_id, scope) DO NOTHING"
    );
    let parameters: &[&dyn crate::backend::Parameter] =
        &[&row.key_id, &row.scope, &row.fingerprint, &row.status, &row.body, &row.created_at];
    Ok(tx.execute(statement, parameters).await? > 0)
}

/// What is kept under a key.
pub async fn answer_read(tx: &Tx<'_>, key_id: i64, scope: &str) -> Result<Option<KeptAnswer>> {
    let statement = sql!(
        "SELECT key_id, scope, fingerprint, status, body, created_at FROM idempotency \
         WHERE key_id = $1 AND scope = $2 AND status <> 0"
    );
    tx.maybe(statement, &[&key_id, &scope]).await
}
