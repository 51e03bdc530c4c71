//! Postback endpoints: their configuration, their secrets (sealed before they come here) and their health.
//!
//! Reading for decisions is in `directory`; here is what the owner sees and changes. Health (`slow_until`,
//! `slow_answers`, `failing_since`) is written by deliveries and is no configuration: it does not move `version`.
//! Invariant: a deleted endpoint never changes again, and nothing of it waits.

use crate::backend::{Result, Tx};
use crate::directory::EndpointRow;
use crate::{counter, sql};

/// An endpoint to add; `enabled_events` and `metadata` are JSON.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct NewEndpoint {
    pub account_id: i64,
    pub url: String,
    pub enabled_events: String,
    pub description: Option<String>,
    pub metadata: String,
    pub payload_style: String,
    pub created_at: i64,
}

/// The number of the next endpoint: needed before its row, because its secret is sealed for that number.
pub async fn endpoint_number(tx: &Tx<'_>) -> Result<i64> {
    counter::next(tx, "endpoint").await
}

/// Adds an endpoint of the referral dialect, enabled.
pub async fn endpoint_insert(tx: &Tx<'_>, id: i64, new: &NewEndpoint, sealed: &str, hint: &str) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "INSERT INTO endpoint (id, account_id, url, enabled_events, description, metadata, payload_style, status, \
         sealed_secret, secret_hint, slow_answers, created_at, updated_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'enabled', $8, $9, 0, $10, $10, $11)"
    );
    tx.execute(
        statement,
        &[
            &id,
            &new.account_id,
            &new.url,
            &new.enabled_events,
            &new.description,
            &new.metadata,
            &new.payload_style,
            &sealed,
            &hint,
            &new.created_at,
            &version,
        ],
    )
    .await?;
    Ok(())
}

/// One endpoint of the account, deleted ones too.
pub async fn endpoint_get(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<EndpointRow>> {
    let statement = sql!(
        "SELECT id, account_id, url, enabled_events, description, metadata, payload_style, status, sealed_secret, \
         sealed_previous, previous_until, secret_hint, deleted_at, created_at, dialect, programs, timeout_seconds, \
         retry_profile, max_retries, headers, basic_auth_user, sealed_basic_auth, basic_auth_enabled, updated_at \
         FROM endpoint WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// The same, locked until the end of the transaction.
pub async fn endpoint_lock(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<EndpointRow>> {
    let statement = sql!(
        "SELECT id, account_id, url, enabled_events, description, metadata, payload_style, status, sealed_secret, \
         sealed_previous, previous_until, secret_hint, deleted_at, created_at, dialect, programs, timeout_seconds, \
         retry_profile, max_retries, headers, basic_auth_user, sealed_basic_auth, basic_auth_enabled, updated_at \
         FROM endpoint WHERE account_id = $1 AND id = $2 FOR UPDATE"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// The account's endpoints of the referral dialect below the number `before`, newest first, without deleted ones.
pub async fn endpoint_list(tx: &Tx<'_>, account_id: i64, before: i64, limit: i64) -> Result<Vec<EndpointRow>> {
    let statement = sql!(
        "SELECT id, account_id, url, enabled_events, description, metadata, payload_style, status, sealed_secret, \
         sealed_previous, previous_until, secret_hint, deleted_at, created_at, dialect, programs, timeout_seconds, \
         retry_profile, max_retries, headers, basic_auth_user, sealed_basic_auth, basic_auth_enabled, updated_at \
         FROM endpoint WHERE account_id = $1 AND id < $2 AND deleted_at IS NULL AND dialect = 'referral' ORDER BY id DESC LIMIT $3"
    );
    tx.all(statement, &[&account_id, &before, &limit]).await
}

/// Replaces what the owner may change. Enabling forgets the failures that led to the end; a saved endpoint is judged
/// anew.
pub async fn endpoint_update(tx: &Tx<'_>, row: &EndpointRow) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE endpoint SET url = $3, enabled_events = $4, description = $5, metadata = $6, payload_style = $7, status = $8, \
         slow_until = NULL, slow_answers = 0, failing_since = NULL, disabled_reason = NULL, version = $9 \
         WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL"
    );
    tx.execute(
        statement,
        &[
            &row.account_id,
            &row.id,
            &row.url,
            &row.enabled_events,
            &row.description,
            &row.metadata,
            &row.payload_style,
            &row.status,
            &version,
        ],
    )
    .await?;
    Ok(())
}

/// Puts a new secret in the place of the current one, which co-signs until `previous_until` and stays to sign again
/// the single-value header of deliveries made before `rotated_at`. They keep their own secret also over further rotations.
pub async fn endpoint_rotate(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    sealed: &str,
    hint: &str,
    rotated_at: i64,
    previous_until: i64,
) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE delivery SET sealed_secret = (SELECT e.sealed_secret FROM endpoint e WHERE e.id = $2) \
         WHERE account_id = $1 AND endpoint_id = $2 AND sealed_secret IS NULL AND status IN ('pending', 'failed')"
    );
    tx.execute(statement, &[&account_id, &id]).await?;
    let statement = sql!(
        "UPDATE endpoint SET sealed_previous = sealed_secret, sealed_secret = $3, secret_hint = $4, rotated_at = $5, \
         previous_until = $6, version = $7 WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL"
    );
    tx.execute(statement, &[&account_id, &id, &sealed, &hint, &rotated_at, &previous_until, &version]).await?;
    Ok(())
}

/// Deletes an endpoint for good: what waits is cancelled; what is in flight at `at` finishes. Gives whether it was there.
pub async fn endpoint_delete(tx: &Tx<'_>, account_id: i64, id: i64, at: i64) -> Result<bool> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE endpoint SET status = 'deleted', deleted_at = $3, version = $4 \
         WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL"
    );
    if tx.execute(statement, &[&account_id, &id, &at, &version]).await? == 0 {
        return Ok(false);
    }
    let statement = sql!(
        "UPDATE delivery SET status = 'cancelled', reason = 'endpoint_deleted', finished_at = $3, lease_token = NULL, \
         lease_until = NULL WHERE account_id = $1 AND endpoint_id = $2 AND status = 'pending' \
         AND (lease_until IS NULL OR lease_until <= $3)"
    );
    tx.execute(statement, &[&account_id, &id, &at]).await?;
    Ok(true)
}

/// Whether a delivery of the endpoint got through, and what an overload or a failure does to its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// A receiver took a delivery.
    Well,
    /// An attempt failed at this instant.
    Failed(i64),
}

/// Notes a success or a failure; a success of a healthy endpoint writes nothing.
pub async fn endpoint_health(tx: &Tx<'_>, id: i64, health: Health) -> Result<()> {
    match health {
        Health::Well => {
            let statement = sql!(
                "UPDATE endpoint SET slow_until = NULL, slow_answers = 0, failing_since = NULL \
                 WHERE id = $1 AND (failing_since IS NOT NULL OR slow_answers > 0)"
            );
            tx.execute(statement, &[&id]).await?;
        }
        Health::Failed(at) => {
            let statement = sql!("UPDATE endpoint SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL");
            tx.execute(statement, &[&id, &at]).await?;
        }
    }
    Ok(())
}

/// Since when every attempt failed, and how many answers in a row asked for patience.
pub async fn endpoint_failures(tx: &Tx<'_>, id: i64) -> Result<Option<(Option<i64>, i64)>> {
    tx.maybe(sql!("SELECT failing_since, slow_answers FROM endpoint WHERE id = $1 FOR UPDATE"), &[&id]).await
}

/// Leaves the endpoint alone until `until`, after `answers` answers in a row that asked for patience.
pub async fn endpoint_slow(tx: &Tx<'_>, id: i64, until: i64, answers: i64) -> Result<()> {
    let statement = sql!("UPDATE endpoint SET slow_until = $2, slow_answers = $3 WHERE id = $1");
    tx.execute(statement, &[&id, &until, &answers]).await?;
    Ok(())
}

/// Disables an enabled endpoint, with the reason that its owner is told.
pub async fn endpoint_disable(tx: &Tx<'_>, id: i64, reason: &str) -> Result<bool> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE endpoint SET status = 'disabled', disabled_reason = $2, version = $3 WHERE id = $1 AND status = 'enabled'"
    );
    Ok(tx.execute(statement, &[&id, &reason, &version]).await? > 0)
}
