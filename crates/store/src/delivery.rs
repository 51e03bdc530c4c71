//! The outbox: deliveries are written with what causes them, claimed by lease, and finished once.
//!
//! A claim reads the head of each endpoint's queue, never the whole backlog, so a dead receiver's backlog costs one
//! look and delays nobody. The head has [`HEAD`] places, one for a failing endpoint; leased rows keep their place, so
//! the head is also the bound on what is in flight per endpoint, over all nodes. Nothing polls by "id greater than".
//!
//! Invariant: a delivery is finished by the worker whose lease token is on it, and by no other.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

/// How many deliveries of one healthy endpoint are in flight at most: one more than the offset in [`delivery_claim`].
pub const HEAD: usize = 8;

batch! {
    /// A delivery to add, with the exact body; due at once. `payout_id`: the reward that its answer says is delivered.
    pub struct NewDelivery {
        id: i64 = "int8", account_id: i64 = "int8", endpoint_id: i64 = "int8", event_id: Option<i64> = "int8",
        event_type: String = "text", body: String = "text", is_test: bool = "bool", created_at: i64 = "int8",
        payout_id: Option<i64> = "int8",
    }
}
batch! {
    /// A delivery by its number, and until when it is leased.
    pub struct DeliveryLease { id: i64 = "int8", lease_until: i64 = "int8" }
}
record! {
    /// A delivery that is due, with what is needed to send it.
    pub struct DueRow {
        id: i64, account_id: i64, endpoint_id: i64, event_type: String, body: String, attempts: i64, attempts_before: i64,
        is_test: bool, created_at: i64, url: String, payload_style: String, sealed_secret: String,
        sealed_previous: Option<String>, previous_until: Option<i64>, rotated_at: Option<i64>, is_failing: bool,
        sealed_at_creation: Option<String>, dialect: String, timeout_seconds: i64, retry_profile: String, max_retries: i64,
        headers: String, basic_auth_user: Option<String>, sealed_basic_auth: Option<String>, basic_auth_enabled: bool,
        payout_id: Option<i64>,
    }
}
record! {
    /// A delivery as its owner sees it.
    pub struct DeliveryRow {
        id: i64, account_id: i64, endpoint_id: i64, event_id: Option<i64>, event_type: String, body: String, status: String,
        attempts: i64, due_at: i64, is_test: bool, last_status: Option<i64>, last_error: Option<String>,
        reason: Option<String>, created_at: i64, finished_at: Option<i64>,
    }
}
record! {
    /// One attempt.
    pub struct AttemptRow {
        number: i64, at: i64, status: Option<i64>, duration_millis: i64, response: Option<String>, error: Option<String>,
    }
}

/// Adds deliveries, in the transaction of what causes them.
pub async fn deliveries_insert(tx: &Tx<'_>, new: &[NewDelivery]) -> Result<()> {
    let statement = batch_sql!(
        NewDelivery,
        0,
        "INSERT INTO delivery (id, account_id, endpoint_id, event_id, event_type, body, status, attempts, attempts_before, \
         due_at, is_test, created_at, payout_id) \
         SELECT id, account_id, endpoint_id, event_id, event_type, body, 'pending', 0, 0, created_at, is_test, created_at, payout_id \
         FROM {batch}"
    );
    tx.batch(statement, &[], new).await?;
    Ok(())
}

/// Leases up to `limit` due deliveries to the holder of `token`, each for `grace_micros` more than its attempt may take.
/// Tests come first, then healthy endpoints, then at most `failing_limit` deliveries to endpoints whose last attempt failed.
pub async fn delivery_claim(
    tx: &Tx<'_>,
    now: i64,
    grace_micros: i64,
    token: &str,
    limit: i64,
    failing_limit: i64,
) -> Result<Vec<DueRow>> {
    let tests = sql!(
        "SELECT d.id, d.account_id, d.endpoint_id, d.event_type, d.body, d.attempts, d.attempts_before, d.is_test, \
         d.created_at, e.url, e.payload_style, e.sealed_secret, e.sealed_previous, e.previous_until, e.rotated_at, \
         e.failing_since IS NOT NULL, d.sealed_secret, e.dialect, e.timeout_seconds, e.retry_profile, e.max_retries, e.headers, \
         e.basic_auth_user, e.sealed_basic_auth, e.basic_auth_enabled, d.payout_id \
         FROM delivery d JOIN endpoint e ON e.id = d.endpoint_id \
         WHERE d.status = 'pending' AND d.is_test AND e.deleted_at IS NULL AND (d.lease_until IS NULL OR d.lease_until <= $1) \
         ORDER BY d.id LIMIT $2"
    );
    let mut due: Vec<DueRow> = tx.all(tests, &[&now, &limit]).await?;
    let healthy = sql!(
        "WITH head AS (SELECT e.id, \
           COALESCE((SELECT d.due_at FROM delivery d WHERE d.endpoint_id = e.id AND d.status = 'pending' AND NOT d.is_test \
             AND d.due_at <= $1 ORDER BY d.due_at, d.id LIMIT 1 OFFSET 7), $1) AS last_due, \
           COALESCE((SELECT d.id FROM delivery d WHERE d.endpoint_id = e.id AND d.status = 'pending' AND NOT d.is_test \
             AND d.due_at <= $1 ORDER BY d.due_at, d.id LIMIT 1 OFFSET 7), 9007199254740992) AS last_id \
           FROM endpoint e WHERE e.status = 'enabled' AND e.failing_since IS NULL \
           AND EXISTS (SELECT 1 FROM delivery d WHERE d.endpoint_id = e.id AND d.status = 'pending' AND NOT d.is_test \
             AND d.due_at <= $1)) \
         SELECT d.id, d.account_id, d.endpoint_id, d.event_type, d.body, d.attempts, d.attempts_before, d.is_test, \
         d.created_at, e.url, e.payload_style, e.sealed_secret, e.sealed_previous, e.previous_until, e.rotated_at, \
         e.failing_since IS NOT NULL, d.sealed_secret, e.dialect, e.timeout_seconds, e.retry_profile, e.max_retries, e.headers, \
         e.basic_auth_user, e.sealed_basic_auth, e.basic_auth_enabled, d.payout_id \
         FROM head CROSS JOIN delivery d JOIN endpoint e ON e.id = d.endpoint_id \
         WHERE d.endpoint_id = head.id AND d.status = 'pending' AND NOT d.is_test \
         AND (d.due_at, d.id) <= (head.last_due, head.last_id) AND (d.lease_until IS NULL OR d.lease_until <= $1) \
         ORDER BY d.due_at, d.id LIMIT $2"
    );
    let room = limit - count(&due);
    if room > 0 {
        due.extend(tx.all::<DueRow>(healthy, &[&now, &room]).await?);
    }
    let failing = sql!(
        "WITH head AS (SELECT (SELECT d.id FROM delivery d WHERE d.endpoint_id = e.id AND d.status = 'pending' \
           AND NOT d.is_test AND d.due_at <= $1 ORDER BY d.due_at, d.id LIMIT 1) AS id \
           FROM endpoint e WHERE e.status = 'enabled' AND e.failing_since IS NOT NULL \
           AND (e.slow_until IS NULL OR e.slow_until <= $1)) \
         SELECT d.id, d.account_id, d.endpoint_id, d.event_type, d.body, d.attempts, d.attempts_before, d.is_test, \
         d.created_at, e.url, e.payload_style, e.sealed_secret, e.sealed_previous, e.previous_until, e.rotated_at, \
         e.failing_since IS NOT NULL, d.sealed_secret, e.dialect, e.timeout_seconds, e.retry_profile, e.max_retries, e.headers, \
         e.basic_auth_user, e.sealed_basic_auth, e.basic_auth_enabled, d.payout_id \
         FROM head JOIN delivery d ON d.id = head.id JOIN endpoint e ON e.id = d.endpoint_id \
         WHERE d.lease_until IS NULL OR d.lease_until <= $1 ORDER BY d.due_at, d.id LIMIT $2"
    );
    let room = (limit - count(&due)).min(failing_limit);
    if room > 0 {
        due.extend(tx.all::<DueRow>(failing, &[&now, &room]).await?);
    }
    let until = |row: &DueRow| now + row.timeout_seconds * 1_000_000 + grace_micros;
    let claims: Vec<_> = due.iter().map(|row| DeliveryLease { id: row.id, lease_until: until(row) }).collect();
    let lease = batch_sql!(
        DeliveryLease,
        2,
        "UPDATE delivery SET lease_until = batch.lease_until, lease_token = $2 FROM {batch} WHERE delivery.id = batch.id \
         AND delivery.status = 'pending' AND (delivery.lease_until IS NULL OR delivery.lease_until <= $1) \
         RETURNING delivery.id"
    );
    let leased: Vec<(i64,)> = tx.batch_all(lease, &[&now, &token], &claims).await?;
    // Another node may have leased some of them since they were read: the guarded update decides.
    due.retain(|row| leased.iter().any(|(id,)| *id == row.id));
    Ok(due)
}

fn count(rows: &[DueRow]) -> i64 {
    i64::try_from(rows.len()).expect("a claim is small")
}

/// How a delivery continues after an attempt.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct Finish {
    pub id: i64,
    pub lease_token: String,
    /// `pending`, `delivered`, `failed` or `cancelled`.
    pub status: String,
    pub due_at: i64,
    pub reason: Option<String>,
    pub finished_at: Option<i64>,
    /// The attempt itself; its `number` is set by the row.
    pub attempt: AttemptRow,
}

/// Writes down an attempt and gives the delivery back. `false` where the lease is no longer the holder's: nothing is
/// written then.
pub async fn delivery_finish(tx: &Tx<'_>, finish: &Finish) -> Result<bool> {
    let Finish { id, lease_token, status, due_at, reason, finished_at, attempt } = finish;
    let statement = sql!(
        "UPDATE delivery SET status = $3, due_at = $4, reason = $5, finished_at = $6, last_status = $7, last_error = $8, \
         attempts = attempts + 1, lease_until = NULL, lease_token = NULL \
         WHERE id = $1 AND lease_token = $2 AND status = 'pending' RETURNING attempts"
    );
    let taken: Option<(i64,)> = tx
        .maybe(statement, &[id, lease_token, status, due_at, reason, finished_at, &attempt.status, &attempt.error])
        .await?;
    let Some((number,)) = taken else { return Ok(false) };
    let statement = sql!(
        "INSERT INTO delivery_attempt (delivery_id, number, at, status, duration_millis, response, error) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    tx.execute(
        statement,
        &[id, &number, &attempt.at, &attempt.status, &attempt.duration_millis, &attempt.response, &attempt.error],
    )
    .await?;
    Ok(true)
}

/// Whether the endpoint of a delivery takes new attempts: gone is `None`.
pub async fn delivery_endpoint_status(tx: &Tx<'_>, endpoint_id: i64) -> Result<Option<String>> {
    let statement = sql!("SELECT status FROM endpoint WHERE id = $1 FOR UPDATE");
    Ok(tx.maybe::<(String,)>(statement, &[&endpoint_id]).await?.map(|(status,)| status))
}

/// Gives back every lease: a single node's start, whose predecessor cannot be running any more.
pub async fn leases_release(tx: &Tx<'_>) -> Result<u64> {
    let statement = sql!(
        "UPDATE delivery SET lease_until = NULL, lease_token = NULL WHERE status = 'pending' AND lease_until IS NOT NULL"
    );
    tx.execute(statement, &[]).await
}

/// Gives back the leases of one worker: an orderly stop.
pub async fn leases_release_of(tx: &Tx<'_>, token: &str) -> Result<u64> {
    let statement = sql!(
        "UPDATE delivery SET lease_until = NULL, lease_token = NULL WHERE status = 'pending' AND lease_token = $1"
    );
    tx.execute(statement, &[&token]).await
}

/// One delivery of an endpoint of the account.
pub async fn delivery_get(tx: &Tx<'_>, account_id: i64, endpoint_id: i64, id: i64) -> Result<Option<DeliveryRow>> {
    let statement = sql!(
        "SELECT id, account_id, endpoint_id, event_id, event_type, body, status, attempts, due_at, is_test, last_status, \
         last_error, reason, created_at, finished_at FROM delivery WHERE account_id = $1 AND endpoint_id = $2 AND id = $3"
    );
    tx.maybe(statement, &[&account_id, &endpoint_id, &id]).await
}

/// Deliveries of an endpoint below the number `before`, newest first; `status` filters.
pub async fn delivery_list(
    tx: &Tx<'_>,
    account_id: i64,
    endpoint_id: i64,
    status: Option<&str>,
    before: i64,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let statement = sql!(
        "SELECT id, account_id, endpoint_id, event_id, event_type, body, status, attempts, due_at, is_test, last_status, \
         last_error, reason, created_at, finished_at FROM delivery \
         WHERE account_id = $1 AND endpoint_id = $2 AND id < $3 AND (CAST($4 AS TEXT) IS NULL OR status = $4) \
         ORDER BY id DESC LIMIT $5"
    );
    tx.all(statement, &[&account_id, &endpoint_id, &before, &status, &limit]).await
}

/// The attempts of a delivery, in order.
pub async fn delivery_attempts(tx: &Tx<'_>, delivery_id: i64) -> Result<Vec<AttemptRow>> {
    let statement = sql!(
        "SELECT number, at, status, duration_millis, response, error FROM delivery_attempt WHERE delivery_id = $1 ORDER BY number"
    );
    tx.all(statement, &[&delivery_id]).await
}

/// Queues a delivery again, with a fresh row of attempts. `false` where it is in flight, a test, cancelled or erased.
pub async fn delivery_requeue(tx: &Tx<'_>, account_id: i64, endpoint_id: i64, id: i64, due_at: i64) -> Result<bool> {
    let statement = sql!(
        "UPDATE delivery SET status = 'pending', due_at = $4, attempts_before = attempts, reason = NULL, finished_at = NULL \
         WHERE account_id = $1 AND endpoint_id = $2 AND id = $3 AND NOT is_test AND status <> 'cancelled' \
         AND lease_token IS NULL AND body <> ''"
    );
    Ok(tx.execute(statement, &[&account_id, &endpoint_id, &id, &due_at]).await? > 0)
}

/// What of an endpoint's dead letters is queued again.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the filter of its own name")]
pub struct DeadLetterFilter {
    pub event_type: Option<String>,
    pub from_at: Option<i64>,
    pub to_at: Option<i64>,
}

/// Queues the dead letters of an endpoint again, each with a fresh row of attempts; gives how many.
pub async fn dead_letters_requeue(
    tx: &Tx<'_>,
    account_id: i64,
    endpoint_id: i64,
    filter: &DeadLetterFilter,
    due_at: i64,
) -> Result<u64> {
    let statement = sql!(
        "UPDATE delivery SET status = 'pending', due_at = $3, attempts_before = attempts, reason = NULL, finished_at = NULL \
         WHERE account_id = $1 AND endpoint_id = $2 AND status = 'failed' AND NOT is_test AND lease_token IS NULL AND body <> '' \
         AND (CAST($4 AS TEXT) IS NULL OR event_type = CAST($4 AS TEXT)) \
         AND (CAST($5 AS BIGINT) IS NULL OR created_at >= CAST($5 AS BIGINT)) \
         AND (CAST($6 AS BIGINT) IS NULL OR created_at < CAST($6 AS BIGINT))"
    );
    tx.execute(statement, &[&account_id, &endpoint_id, &due_at, &filter.event_type, &filter.from_at, &filter.to_at])
        .await
}

/// Forgets deliveries that ended before this instant, with their attempts; gives how many.
pub async fn deliveries_forget(tx: &Tx<'_>, before: i64, rows_max: i64) -> Result<u64> {
    let attempts = sql!(
        "DELETE FROM delivery_attempt WHERE delivery_id IN \
         (SELECT id FROM delivery WHERE finished_at < $1 AND status <> 'pending' ORDER BY id LIMIT CAST($2 AS BIGINT))"
    );
    tx.execute(attempts, &[&before, &rows_max]).await?;
    let deliveries = sql!(
        "DELETE FROM delivery WHERE id IN \
         (SELECT id FROM delivery WHERE finished_at < $1 AND status <> 'pending' ORDER BY id LIMIT CAST($2 AS BIGINT))"
    );
    tx.execute(deliveries, &[&before, &rows_max]).await
}
