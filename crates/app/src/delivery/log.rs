//! Deliveries as their owner sees them: listed, looked at, retried, and made up to test an endpoint.
//!
//! Leaves to others: claiming and finishing (the file above). Invariant: nothing of a deleted endpoint is sent again,
//! and a made-up delivery is tried once.

use crate::endpoint::{EndpointError, endpoint_get, endpoint_or_tombstone};
use crate::outbox::Outbox;
use headwater_domain::event::{Event, State};
use headwater_domain::ids::{AccountId, DeliveryId, EndpointId, EventId, ProgramId, from_prefixed};
use headwater_domain::postback::envelope::{self, Message};
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus};
use headwater_domain::postback::{DELIVERY_PREFIX, delivery_public_id};
use headwater_domain::time::Instant;
use headwater_store::backend::Error;
pub use headwater_store::delivery::DeadLetterFilter;
use headwater_store::delivery::{self as rows, AttemptRow, DeliveryRow, NewDelivery};
use std::time::Duration;

/// Dead letters of a deleted endpoint are visible for 30 days.
const TOMBSTONE_SECONDS: i64 = 30 * 86_400;
/// How long a test waits for its attempt: the attempt's own ten seconds and some.
const TEST_STEP: Duration = Duration::from_millis(25);
const TEST_STEPS_MAX: u32 = 600;

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
        Some(text) => delivery_get(outbox, account, endpoint_id, text, now).await?.row.id,
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

/// Queues an endpoint's dead letters again, due now, each with a fresh row of attempts; gives how many.
///
/// # Errors
/// [`DeliveryError`].
pub async fn dead_letters_retry(
    outbox: &Outbox,
    account: AccountId,
    endpoint_id: &str,
    filter: DeadLetterFilter,
    now: Instant,
) -> Result<u64, DeliveryError> {
    let (endpoint, status) = visible(outbox, account, endpoint_id, now).await?;
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
                return Ok(None);
            }
            rows::dead_letters_requeue(tx, account.0, endpoint.0, &filter, now.0).await.map(Some)
        })
        .await?;
    outbox.ring();
    queued.ok_or(DeliveryError::EndpointDeleted)
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
        payout_id: None,
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
