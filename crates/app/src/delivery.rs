//! Deliveries: claimed by lease, judged and finished; listed, retried and made up by their owner.
//!
//! Sending is between [`delivery_claim`] and [`delivery_finish`], outside any transaction. What a failure means is
//! decided by `postback::retry`; here it becomes rows. Invariant: a late worker, whose lease went to another, writes
//! nothing; a made-up delivery is tried once and touches neither the endpoint's health nor any money.

use crate::endpoint::{EndpointError, endpoint_get, endpoint_or_tombstone};
use crate::outbox::Outbox;
use crate::secrets::random;
use headwater_domain::event::{Event, State};
use headwater_domain::ids::{AccountId, DeliveryId, EndpointId, EventId, ProgramId, from_prefixed};
use headwater_domain::postback::envelope::{self, Message};
use headwater_domain::postback::retry::{self, Next, Outcome, Receiver, Schedule};
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus, PayloadStyle};
use headwater_domain::postback::{DELIVERY_PREFIX, delivery_public_id};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Tx};

/// What goes wrong in the store, for callers that do not know it.
pub use headwater_store::backend::Error as StoreError;

use headwater_store::delivery::{self as rows, AttemptRow, DeliveryRow, DueRow, Finish, NewDelivery};
use headwater_store::endpoint::{self as endpoint_rows, Health};
use std::time::Duration;

/// How long a claim lasts: longer than any attempt, short enough that a dead node's work moves on soon.
const LEASE_SECONDS: i64 = 30;
/// Dead letters of a deleted endpoint are visible for 30 days.
const TOMBSTONE_SECONDS: i64 = 30 * 86_400;
/// How long a test waits for its attempt: the attempt's own ten seconds and some.
const TEST_STEP: Duration = Duration::from_millis(25);
const TEST_STEPS_MAX: u32 = 600;

/// A delivery that this worker may send.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// `pbd_…`.
    pub public_id: String,
    /// Whose it is.
    pub endpoint: EndpointId,
    /// Where to.
    pub url: String,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// e.g. `FIRST_DEPOSIT`.
    pub event_type: String,
    /// The envelope that the body is in.
    pub payload_style: PayloadStyle,
    /// The number of the attempt to make, from 1.
    pub attempt: u32,
    /// Attempts that a manual retry has forgiven.
    pub attempts_before: u32,
    /// The endpoint's secret.
    pub secret: Secret,
    /// The one before it, during the grace of a rotation.
    pub previous_secret: Option<Secret>,
    /// The secret of the time when the delivery was made.
    pub secret_at_creation: Secret,
    /// Proof of the claim.
    pub lease_token: String,
    /// Made up by the owner.
    pub is_test: bool,
    /// The endpoint's last attempt failed.
    pub is_failing: bool,
}

/// One attempt, as the worker saw it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The status, where headers arrived.
    pub status: Option<u16>,
    /// Milliseconds in all.
    pub duration_ms: u64,
    /// The beginning of the answer.
    pub response: String,
    /// Why there is no complete answer.
    pub error: Option<String>,
    /// What the receiver asked for.
    pub retry_after_seconds: Option<i64>,
}

/// How many deliveries to claim.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// In all.
    pub total: usize,
    /// Of them, to endpoints whose last attempt failed.
    pub failing: usize,
}

/// Leases what is due, fair to every endpoint, to the holder of `worker_token`.
///
/// # Errors
/// The store.
pub async fn delivery_claim(
    outbox: &Outbox,
    worker_token: &str,
    room: Room,
    now: Instant,
) -> Result<Vec<ClaimedDelivery>, Error> {
    let token = worker_token.to_owned();
    let (total, failing) = (i64::try_from(room.total).unwrap_or(0), i64::try_from(room.failing).unwrap_or(0));
    let until = now.plus_seconds(LEASE_SECONDS);
    let due = outbox
        .store
        .money
        .write(async move |tx| rows::delivery_claim(tx, now.0, until.0, &token, total, failing).await)
        .await?;
    // One secret that does not open must not stop the others; its delivery stays where it is.
    let opened = due.into_iter().filter_map(|row| {
        let id = row.id;
        claimed(outbox, row, worker_token, now).map_err(|error| tracing::error!(delivery = id, %error, "not sent")).ok()
    });
    Ok(opened.collect())
}

fn claimed(outbox: &Outbox, row: DueRow, token: &str, now: Instant) -> Result<ClaimedDelivery, Error> {
    let (id, endpoint, created_at) = (DeliveryId(row.id), EndpointId(row.endpoint_id), Instant(row.created_at));
    let secret = outbox.open(endpoint, &row.sealed_secret)?;
    let previous = row.sealed_previous.as_deref().map(|sealed| outbox.open(endpoint, sealed)).transpose()?;
    let was_before_rotation = row.rotated_at.is_some_and(|at| row.created_at < at);
    let secret_at_creation = previous.clone().filter(|_| was_before_rotation).unwrap_or_else(|| secret.clone());
    let in_grace = row.previous_until.is_some_and(|until| now.0 < until);
    let counted = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(ClaimedDelivery {
        id,
        public_id: delivery_public_id(id, created_at),
        endpoint,
        url: row.url,
        body: row.body.into_bytes(),
        event_type: row.event_type,
        payload_style: PayloadStyle::parse(&row.payload_style).unwrap_or_default(),
        attempt: counted(row.attempts).saturating_add(1),
        attempts_before: counted(row.attempts_before),
        secret,
        previous_secret: previous.filter(|_| in_grace),
        secret_at_creation,
        lease_token: token.to_owned(),
        is_test: row.is_test,
        is_failing: row.is_failing,
    })
}

/// Writes down an attempt that ended at `now`. `false` where the lease went to another worker in the meantime: then
/// that one's result counts.
///
/// # Errors
/// The store.
pub async fn delivery_finish(
    outbox: &Outbox,
    claimed: &ClaimedDelivery,
    attempt: Attempt,
    now: Instant,
) -> Result<bool, Error> {
    let claimed = claimed.clone();
    let random = u64::from_le_bytes(random());
    outbox
        .store
        .money
        .write(async move |tx| {
            let finish = judge(tx, &claimed, &attempt, now, random).await?;
            rows::delivery_finish(tx, &finish).await
        })
        .await
}

/// What an attempt means for its delivery, and for its endpoint, whose row is locked first where it changes.
async fn judge(
    tx: &Tx<'_>,
    claimed: &ClaimedDelivery,
    attempt: &Attempt,
    now: Instant,
    random: u64,
) -> Result<Finish, Error> {
    let answered = attempt.status.filter(|_| attempt.error.is_none());
    let outcome = retry::classify(Receiver::Subscriber, answered);
    let ended = |status: DeliveryStatus, reason: Option<&str>| finish(claimed, attempt, now, status, now, reason);
    if outcome == Outcome::Delivered {
        if !claimed.is_test {
            endpoint_rows::endpoint_health(tx, claimed.endpoint.0, Health::Well).await?;
        }
        return Ok(ended(DeliveryStatus::Delivered, None));
    }
    if claimed.is_test {
        return Ok(ended(DeliveryStatus::Failed, Some("test")));
    }
    let status = rows::delivery_endpoint_status(tx, claimed.endpoint.0).await?;
    if status.as_deref().is_none_or(|name| name == EndpointStatus::Deleted.name()) {
        return Ok(ended(DeliveryStatus::Cancelled, Some("endpoint_deleted")));
    }
    note_failure(tx, claimed.endpoint, outcome, attempt.retry_after_seconds, now).await?;
    if outcome == Outcome::Disable {
        return Ok(ended(DeliveryStatus::Failed, Some("gone")));
    }
    let made = claimed.attempt.saturating_sub(claimed.attempts_before);
    Ok(match retry::after_failure(Schedule::LONG, made, now, attempt.retry_after_seconds, random) {
        Next::RetryAt(at) => finish(claimed, attempt, now, DeliveryStatus::Pending, at, None),
        Next::DeadLetter => ended(DeliveryStatus::Failed, Some("attempts_exhausted")),
    })
}

async fn note_failure(
    tx: &Tx<'_>,
    endpoint: EndpointId,
    outcome: Outcome,
    retry_after_seconds: Option<i64>,
    now: Instant,
) -> Result<(), Error> {
    endpoint_rows::endpoint_health(tx, endpoint.0, Health::Failed(now.0)).await?;
    let Some((failing_since, slow_answers)) = endpoint_rows::endpoint_failures(tx, endpoint.0).await? else {
        return Ok(());
    };
    if outcome == Outcome::Disable {
        endpoint_rows::endpoint_disable(tx, endpoint.0, "gone").await?;
    } else if failing_since.is_some_and(|since| retry::is_hopeless(Instant(since), now)) {
        endpoint_rows::endpoint_disable(tx, endpoint.0, "failing_for_five_days").await?;
    }
    if outcome == Outcome::RetrySlowly {
        let answers = slow_answers.saturating_add(1);
        let until = retry::paused_until(now, u32::try_from(answers).unwrap_or(u32::MAX), retry_after_seconds);
        endpoint_rows::endpoint_slow(tx, endpoint.0, until.0, answers).await?;
    }
    Ok(())
}

fn finish(
    claimed: &ClaimedDelivery,
    attempt: &Attempt,
    now: Instant,
    status: DeliveryStatus,
    due_at: Instant,
    reason: Option<&str>,
) -> Finish {
    Finish {
        id: claimed.id.0,
        lease_token: claimed.lease_token.clone(),
        status: status.name().to_owned(),
        due_at: due_at.0,
        reason: reason.map(str::to_owned),
        finished_at: (status != DeliveryStatus::Pending).then_some(now.0),
        attempt: AttemptRow {
            number: 0,
            at: now.0,
            status: attempt.status.map(i64::from),
            duration_millis: i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
            response: Some(attempt.response.clone()),
            error: attempt.error.clone(),
        },
    }
}

/// Gives back the leases of a worker that stops in order.
///
/// # Errors
/// The store.
pub async fn leases_release_of(outbox: &Outbox, worker_token: &str) -> Result<u64, Error> {
    let token = worker_token.to_owned();
    outbox.store.money.write(async move |tx| rows::leases_release_of(tx, &token).await).await
}

/// Gives back every lease: the start of a single node, whose predecessor is gone.
///
/// # Errors
/// The store.
pub async fn leases_release(outbox: &Outbox) -> Result<u64, Error> {
    outbox.store.money.write(async |tx| rows::leases_release(tx).await).await
}

/// A token that no other worker has.
pub fn worker_token() -> String {
    hex::encode(random::<16>())
}

/// Why an operation on deliveries failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No such delivery of the endpoint.
    #[error("no such delivery")]
    NotFound,
    /// The endpoint is deleted: nothing of it is sent again.
    #[error("the endpoint is deleted")]
    EndpointDeleted,
    /// It is being sent, or it was a test.
    #[error("the delivery cannot be retried now")]
    NotRetryable,
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A delivery and its attempts, as the owner sees them.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `pbd_…`.
    pub public_id: String,
    /// The row.
    pub row: DeliveryRow,
    /// In order; empty in lists.
    pub attempts: Vec<AttemptRow>,
}

impl Delivery {
    fn new(row: DeliveryRow, attempts: Vec<AttemptRow>) -> Self {
        Self { public_id: delivery_public_id(DeliveryId(row.id), Instant(row.created_at)), row, attempts }
    }
}

/// Deliveries of an endpoint, newest first, at most `limit`, and whether there are more. A deleted endpoint shows them
/// for 30 days.
///
/// # Errors
/// [`DeliveryError`].
pub async fn delivery_list(
    outbox: &Outbox,
    account: AccountId,
    endpoint_id: &str,
    status: Option<DeliveryStatus>,
    starting_after: Option<&str>,
    limit: usize,
    now: Instant,
) -> Result<(Vec<Delivery>, bool), DeliveryError> {
    let (endpoint, _) = visible(outbox, account, endpoint_id, now).await?;
    let before = match starting_after {
        Some(text) => from_prefixed(DELIVERY_PREFIX, text).ok_or(DeliveryError::NotFound)?,
        None => i64::MAX,
    };
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut found = outbox
        .store
        .money
        .read(async move |tx| {
            rows::delivery_list(tx, account.0, endpoint.0, status.map(DeliveryStatus::name), before, one_more).await
        })
        .await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok((found.into_iter().map(|row| Delivery::new(row, Vec::new())).collect(), has_more))
}

/// One delivery with its attempts.
///
/// # Errors
/// [`DeliveryError`].
pub async fn delivery_get(
    outbox: &Outbox,
    account: AccountId,
    endpoint_id: &str,
    delivery_id: &str,
    now: Instant,
) -> Result<Delivery, DeliveryError> {
    let (endpoint, _) = visible(outbox, account, endpoint_id, now).await?;
    let id = from_prefixed(DELIVERY_PREFIX, delivery_id).ok_or(DeliveryError::NotFound)?;
    let found = outbox
        .store
        .money
        .read(async move |tx| {
            let Some(row) = rows::delivery_get(tx, account.0, endpoint.0, id).await? else { return Ok(None) };
            Ok(Some(Delivery::new(row, rows::delivery_attempts(tx, id).await?)))
        })
        .await?;
    found.filter(|delivery| delivery.public_id == delivery_id).ok_or(DeliveryError::NotFound)
}

/// Queues a delivery again, due now, with a fresh row of attempts.
///
/// # Errors
/// [`DeliveryError`].
pub async fn delivery_retry(
    outbox: &Outbox,
    account: AccountId,
    endpoint_id: &str,
    delivery_id: &str,
    now: Instant,
) -> Result<Delivery, DeliveryError> {
    let (endpoint, status) = visible(outbox, account, endpoint_id, now).await?;
    let id = delivery_get(outbox, account, endpoint_id, delivery_id, now).await?.row.id;
    if status == EndpointStatus::Deleted {
        return Err(DeliveryError::EndpointDeleted);
    }
    let queued = outbox
        .store
        .money
        .write(async move |tx| {
            // Under the lock of the endpoint, so that a delete cannot pass in between.
            let status = rows::delivery_endpoint_status(tx, endpoint.0).await?;
            if status.as_deref() == Some(EndpointStatus::Deleted.name()) {
                return Ok(false);
            }
            rows::delivery_requeue(tx, account.0, endpoint.0, id, now.0).await
        })
        .await?;
    if !queued {
        return Err(DeliveryError::NotRetryable);
    }
    outbox.ring();
    delivery_get(outbox, account, endpoint_id, delivery_id, now).await
}

/// The endpoint of an owner's question, deleted ones for 30 days.
async fn visible(
    outbox: &Outbox,
    account: AccountId,
    endpoint_id: &str,
    now: Instant,
) -> Result<(EndpointId, EndpointStatus), DeliveryError> {
    let (endpoint, deleted_at) = endpoint_or_tombstone(outbox, account, endpoint_id).await?;
    if deleted_at.is_some_and(|at| now >= at.plus_seconds(TOMBSTONE_SECONDS)) {
        return Err(EndpointError::NotFound.into());
    }
    Ok((endpoint.id, endpoint.status))
}

/// Makes up a REGISTRATION, queues it before everything else, and waits for its one attempt. `id` is a fresh number.
///
/// # Errors
/// [`DeliveryError`].
pub async fn endpoint_test(
    outbox: &Outbox,
    account: AccountId,
    endpoint_id: &str,
    program: ProgramId,
    id: DeliveryId,
    now: Instant,
) -> Result<Delivery, DeliveryError> {
    let endpoint = endpoint_get(outbox, account, endpoint_id).await?;
    let public_id = delivery_public_id(id, now);
    let event = made_up(id, program, now);
    let message = Message {
        delivery_id: &public_id,
        event_id: id.0,
        event_type: &event.event_type,
        created: now,
        livemode: false,
        event_json: &event.to_json(),
    };
    let new = NewDelivery {
        id: id.0,
        account_id: account.0,
        endpoint_id: endpoint.id.0,
        event_id: None,
        event_type: event.event_type.clone(),
        body: envelope::render(endpoint.payload_style, message),
        is_test: true,
        created_at: now.0,
    };
    outbox.store.money.write(async move |tx| rows::deliveries_insert(tx, std::slice::from_ref(&new)).await).await?;
    outbox.ring();
    for _ in 0..TEST_STEPS_MAX {
        let delivery = delivery_get(outbox, account, endpoint_id, &public_id, now).await?;
        if delivery.row.status != DeliveryStatus::Pending.name() {
            return Ok(delivery);
        }
        tokio::time::sleep(TEST_STEP).await;
    }
    delivery_get(outbox, account, endpoint_id, &public_id, now).await
}

/// An event that never happened, numbered like its delivery.
fn made_up(id: DeliveryId, program: ProgramId, now: Instant) -> Event {
    Event {
        id: EventId(id.0),
        event_type: "REGISTRATION".to_owned(),
        click: None,
        client: None,
        amount: None,
        currency: None,
        is_conversion: false,
        is_duplicate: false,
        occurred_at: now,
        partner: None,
        link: None,
        program,
        attribution: "none".to_owned(),
        state: State::Unverified,
        event_key: None,
        metadata: None,
    }
}
