//! Webhooks of the rewards dialect: endpoints with programs, a time limit, retries and headers of their own.
//!
//! What every endpoint has (secret, health, queue) is in `endpoint` and `delivery`. Invariant: a webhook is in no list of
//! the referral dialect and an endpoint of that dialect in none of these.

use crate::backend::{Result, Tx};
use crate::directory::EndpointRow;
use crate::{counter, record, sql};

record! {
    /// A delivery of a webhook, with the last answer that it got.
    pub struct WebhookDeliveryRow {
        id: i64, event_type: String, body: String, status: String, attempts: i64, attempts_before: i64,
        last_status: Option<i64>, last_error: Option<String>, last_response: Option<String>, created_at: i64,
        finished_at: Option<i64>,
    }
}

/// Adds a webhook under a number that was drawn for it.
pub async fn webhook_insert(tx: &Tx<'_>, row: &EndpointRow) -> Result<()> {
    let version = counter::next_version(tx).await?;
    insert(tx, row, version).await
}

/// Adds a receiver for one made-up delivery. It is no configuration: no node reads it into memory.
pub async fn trial_insert(tx: &Tx<'_>, row: &EndpointRow) -> Result<()> {
    insert(tx, row, 0).await
}

async fn insert(tx: &Tx<'_>, row: &EndpointRow, version: i64) -> Result<()> {
    let statement = sql!(
        "INSERT INTO endpoint (id, account_id, url, enabled_events, description, metadata, payload_style, status, \
         sealed_secret, secret_hint, slow_answers, created_at, dialect, programs, timeout_seconds, retry_profile, max_retries, \
         headers, basic_auth_user, sealed_basic_auth, basic_auth_enabled, updated_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"
    );
    tx.execute(
        statement,
        &[
            &row.id,
            &row.account_id,
            &row.url,
            &row.enabled_events,
            &row.description,
            &row.metadata,
            &row.payload_style,
            &row.status,
            &row.sealed_secret,
            &row.secret_hint,
            &row.created_at,
            &row.dialect,
            &row.programs,
            &row.timeout_seconds,
            &row.retry_profile,
            &row.max_retries,
            &row.headers,
            &row.basic_auth_user,
            &row.sealed_basic_auth,
            &row.basic_auth_enabled,
            &row.updated_at,
            &version,
        ],
    )
    .await?;
    Ok(())
}

/// Forgets a receiver of made-up deliveries, with what it was sent.
pub async fn trial_forget(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<()> {
    let attempts = sql!(
        "DELETE FROM delivery_attempt WHERE delivery_id IN \
         (SELECT d.id FROM delivery d WHERE d.account_id = $1 AND d.endpoint_id = $2)"
    );
    tx.execute(attempts, &[&account_id, &id]).await?;
    tx.execute(sql!("DELETE FROM delivery WHERE account_id = $1 AND endpoint_id = $2"), &[&account_id, &id]).await?;
    tx.execute(sql!("DELETE FROM endpoint WHERE account_id = $1 AND id = $2"), &[&account_id, &id]).await?;
    Ok(())
}

/// Webhooks of the account, newest first, without deleted ones.
pub async fn webhook_list(tx: &Tx<'_>, account_id: i64, limit: i64, offset: i64) -> Result<Vec<EndpointRow>> {
    let statement = sql!(
        "SELECT id, account_id, url, enabled_events, description, metadata, payload_style, status, sealed_secret, \
         sealed_previous, previous_until, secret_hint, deleted_at, created_at, dialect, programs, timeout_seconds, \
         retry_profile, max_retries, headers, basic_auth_user, sealed_basic_auth, basic_auth_enabled, updated_at \
         FROM endpoint WHERE account_id = $1 AND dialect = 'rewards' AND deleted_at IS NULL \
         ORDER BY id DESC LIMIT $2 OFFSET $3"
    );
    tx.all(statement, &[&account_id, &limit, &offset]).await
}

/// How many there are.
pub async fn webhook_count(tx: &Tx<'_>, account_id: i64) -> Result<i64> {
    let statement =
        sql!("SELECT COUNT(*) FROM endpoint WHERE account_id = $1 AND dialect = 'rewards' AND deleted_at IS NULL");
    let (count,): (i64,) = tx.one(statement, &[&account_id]).await?;
    Ok(count)
}

/// Replaces what the owner may change; a saved webhook is judged anew.
pub async fn webhook_update(tx: &Tx<'_>, row: &EndpointRow) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE endpoint SET url = $3, enabled_events = $4, description = $5, status = $6, programs = $7, timeout_seconds = $8, \
         retry_profile = $9, max_retries = $10, headers = $11, basic_auth_user = $12, sealed_basic_auth = $13, \
         basic_auth_enabled = $14, updated_at = $15, \
         slow_until = NULL, slow_answers = 0, failing_since = NULL, disabled_reason = NULL, version = $16 \
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
            &row.status,
            &row.programs,
            &row.timeout_seconds,
            &row.retry_profile,
            &row.max_retries,
            &row.headers,
            &row.basic_auth_user,
            &row.sealed_basic_auth,
            &row.basic_auth_enabled,
            &row.updated_at,
            &version,
        ],
    )
    .await?;
    Ok(())
}

/// The payouts of rewards that a webhook is still to be asked about.
pub async fn webhook_asked_payouts(tx: &Tx<'_>, account_id: i64, webhook_id: i64) -> Result<Vec<i64>> {
    let statement = sql!(
        "SELECT DISTINCT payout_id FROM delivery \
         WHERE account_id = $1 AND endpoint_id = $2 AND status = 'pending' AND payout_id IS NOT NULL ORDER BY payout_id"
    );
    let rows: Vec<(i64,)> = tx.all(statement, &[&account_id, &webhook_id]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Drops the deliveries of a webhook, but those that are being sent at `now`.
pub async fn webhook_deliveries_drop(tx: &Tx<'_>, account_id: i64, webhook_id: i64, now: i64) -> Result<()> {
    let attempts = sql!(
        "DELETE FROM delivery_attempt WHERE delivery_id IN (SELECT d.id FROM delivery d \
         WHERE d.account_id = $1 AND d.endpoint_id = $2 AND (d.lease_until IS NULL OR d.lease_until <= $3))"
    );
    tx.execute(attempts, &[&account_id, &webhook_id, &now]).await?;
    let deliveries = sql!(
        "DELETE FROM delivery WHERE account_id = $1 AND endpoint_id = $2 AND (lease_until IS NULL OR lease_until <= $3)"
    );
    tx.execute(deliveries, &[&account_id, &webhook_id, &now]).await?;
    Ok(())
}

/// Deliveries of a webhook, newest first.
pub async fn webhook_delivery_list(
    tx: &Tx<'_>,
    account_id: i64,
    webhook_id: i64,
    limit: i64,
    offset: i64,
) -> Result<Vec<WebhookDeliveryRow>> {
    let statement = sql!(
        "SELECT d.id, d.event_type, d.body, d.status, d.attempts, d.attempts_before, d.last_status, d.last_error, \
         (SELECT a.response FROM delivery_attempt a WHERE a.delivery_id = d.id ORDER BY a.number DESC LIMIT 1), \
         d.created_at, d.finished_at \
         FROM delivery d WHERE d.account_id = $1 AND d.endpoint_id = $2 ORDER BY d.id DESC LIMIT $3 OFFSET $4"
    );
    tx.all(statement, &[&account_id, &webhook_id, &limit, &offset]).await
}

/// How many there are.
pub async fn webhook_delivery_count(tx: &Tx<'_>, account_id: i64, webhook_id: i64) -> Result<i64> {
    let statement = sql!("SELECT COUNT(*) FROM delivery WHERE account_id = $1 AND endpoint_id = $2");
    let (count,): (i64,) = tx.one(statement, &[&account_id, &webhook_id]).await?;
    Ok(count)
}

/// One delivery of a webhook.
pub async fn webhook_delivery_get(
    tx: &Tx<'_>,
    account_id: i64,
    webhook_id: i64,
    id: i64,
) -> Result<Option<WebhookDeliveryRow>> {
    let statement = sql!(
        "SELECT d.id, d.event_type, d.body, d.status, d.attempts, d.attempts_before, d.last_status, d.last_error, \
         (SELECT a.response FROM delivery_attempt a WHERE a.delivery_id = d.id ORDER BY a.number DESC LIMIT 1), \
         d.created_at, d.finished_at \
         FROM delivery d WHERE d.account_id = $1 AND d.endpoint_id = $2 AND d.id = $3"
    );
    tx.maybe(statement, &[&account_id, &webhook_id, &id]).await
}

/// Notes that a delivery of a webhook is a dead letter now: unless a probe is planned, the first one is at `at`.
pub async fn probe_plan(tx: &Tx<'_>, webhook_id: i64, at: i64) -> Result<()> {
    let statement =
        sql!("UPDATE endpoint SET probe_at = $2 WHERE id = $1 AND probe_at IS NULL AND dialect = 'rewards'");
    tx.execute(statement, &[&webhook_id, &at]).await?;
    Ok(())
}

/// Queues the oldest dead letter of each webhook whose probe is due, if it was made after `made_after`; its attempts
/// count on, so it is tried once. Where there is none, no further probe is planned.
pub async fn probes_start(tx: &Tx<'_>, now: i64, next_at: i64, made_after: i64) -> Result<()> {
    let due: Vec<(i64,)> = tx
        .all(
            sql!("SELECT id FROM endpoint WHERE probe_at <= $1 AND status = 'enabled' ORDER BY probe_at LIMIT 100"),
            &[&now],
        )
        .await?;
    for (webhook_id,) in due {
        let locked = sql!("SELECT probe_at FROM endpoint WHERE id = $1 AND probe_at <= $2 FOR UPDATE");
        if tx.maybe::<(i64,)>(locked, &[&webhook_id, &now]).await?.is_none() {
            continue;
        }
        let queue = sql!(
            "UPDATE delivery SET status = 'pending', due_at = $2, reason = NULL, finished_at = NULL WHERE id = \
             (SELECT d.id FROM delivery d WHERE d.endpoint_id = $1 AND d.status = 'failed' AND NOT d.is_test \
              AND d.reason = 'attempts_exhausted' AND d.created_at > $3 ORDER BY d.id LIMIT 1)"
        );
        let is_queued = tx.execute(queue, &[&webhook_id, &now, &made_after]).await? > 0;
        let next = is_queued.then_some(next_at);
        tx.execute(sql!("UPDATE endpoint SET probe_at = $2 WHERE id = $1"), &[&webhook_id, &next]).await?;
    }
    Ok(())
}

/// After a success: queues the dead letters that were made after `made_after` again, each with a fresh row of attempts;
/// gives whether there was a probe planned.
pub async fn dead_letters_revive(tx: &Tx<'_>, webhook_id: i64, made_after: i64, now: i64) -> Result<bool> {
    let planned = sql!("UPDATE endpoint SET probe_at = NULL WHERE id = $1 AND probe_at IS NOT NULL");
    if tx.execute(planned, &[&webhook_id]).await? == 0 {
        return Ok(false);
    }
    let statement = sql!(
        "UPDATE delivery SET status = 'pending', due_at = $3, attempts_before = attempts, reason = NULL, finished_at = NULL \
         WHERE endpoint_id = $1 AND status = 'failed' AND NOT is_test AND reason = 'attempts_exhausted' AND created_at > $2"
    );
    tx.execute(statement, &[&webhook_id, &made_after, &now]).await?;
    Ok(true)
}
