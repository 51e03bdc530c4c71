//! Deliveries as the worker sees them: claimed by lease, judged and finished. The owner's side is in `log`.
//!
//! Sending is between [`delivery_claim`] and [`delivery_finish`], outside any transaction. What a failure means is
//! decided by `postback::retry`; here it becomes rows. Invariant: a late worker, whose lease went to another, writes
//! nothing; a made-up delivery is tried once and touches neither the endpoint's health nor any money.

mod log;

pub use log::{
    DeadLetterFilter, Delivery, DeliveryError, dead_letters_retry, delivery_get, delivery_list, delivery_retry,
    endpoint_test,
};

use crate::app::App;
use crate::directory::REWARDS_DIALECT;
use crate::fulfilment::{self, Said};
use crate::outbox::Outbox;
use crate::secrets::random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_domain::ids::{AccountId, DeliveryId, EndpointId};
use headwater_domain::postback::delivery_public_id;
use headwater_domain::postback::retry::{
    self, Next, Outcome, PROBE_SECONDS, PROBE_UNTIL_SECONDS, Profile, Receiver, Schedule,
};
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus, PayloadStyle};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Tx};

/// What goes wrong in the store, for callers that do not know it.
pub use headwater_store::backend::Error as StoreError;

use headwater_store::delivery::{self as rows, AttemptRow, DueRow, Finish};
use headwater_store::endpoint::{self as endpoint_rows, Health};
use headwater_store::webhook as webhook_rows;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much longer than its attempt a claim lasts: short enough that a dead node's work moves on soon.
const LEASE_GRACE_MICROS: i64 = 20_000_000;

/// A delivery that this worker may send.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// `pbd_…`.
    pub public_id: String,
    /// Whose it is.
    pub endpoint: EndpointId,
    /// Whose endpoint that is.
    pub account: AccountId,
    /// The payout of the reward that its answer says is delivered.
    pub payout: Option<i64>,
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
    /// How long the attempt may take in all; only a webhook of the rewards dialect says so.
    pub timeout_seconds: Option<u64>,
    /// When it is tried again.
    pub schedule: Schedule,
    /// Whether an exhausted delivery is probed with later.
    pub is_probed: bool,
    /// The owner's headers, and its Basic authentication.
    pub own_headers: Vec<(String, String)>,
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
    let (probe_at, probed) = (now.plus_seconds(PROBE_SECONDS), now.plus_seconds(-PROBE_UNTIL_SECONDS));
    let due = outbox
        .store
        .money
        .write(async move |tx| {
            webhook_rows::probes_start(tx, now.0, probe_at.0, probed.0).await?;
            rows::delivery_claim(tx, now.0, LEASE_GRACE_MICROS, &token, total, failing).await
        })
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
    let own = row.sealed_at_creation.as_deref().map(|sealed| outbox.open(endpoint, sealed)).transpose()?;
    let before = previous.clone().filter(|_| was_before_rotation);
    let secret_at_creation = own.or(before).unwrap_or_else(|| secret.clone());
    let in_grace = row.previous_until.is_some_and(|until| now.0 < until);
    let counted = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    let own_headers = own_headers(outbox, endpoint, &row)?;
    let profile = Profile::parse(&row.retry_profile).unwrap_or_default();
    let is_webhook = row.dialect == REWARDS_DIALECT;
    // Whether a reward was delivered is asked for a day, and then somebody has to look.
    let is_asked = row.payout_id.is_some();
    Ok(ClaimedDelivery {
        own_headers,
        schedule: if is_asked { Schedule::FULFILMENT } else { profile.schedule(counted(row.max_retries)) },
        is_probed: is_webhook && row.max_retries > 0 && !is_asked,
        account: AccountId(row.account_id),
        payout: row.payout_id,
        timeout_seconds: is_webhook.then(|| u64::try_from(row.timeout_seconds).unwrap_or(1)),
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

/// The headers that the owner set, of which Basic authentication takes the place of another.
fn own_headers(outbox: &Outbox, endpoint: EndpointId, row: &DueRow) -> Result<Vec<(String, String)>, Error> {
    let own: BTreeMap<String, String> = serde_json::from_str(&row.headers).unwrap_or_default();
    let mut own: Vec<_> = own.into_iter().collect();
    if let (true, Some(user), Some(sealed)) = (row.basic_auth_enabled, &row.basic_auth_user, &row.sealed_basic_auth) {
        let password = outbox.open_password(endpoint, sealed)?;
        own.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        own.push(("Authorization".to_owned(), value));
    }
    Ok(own)
}

/// Writes down an attempt that ended at `now`. `false` where the lease went to another worker in the meantime: then
/// that one's result counts.
///
/// # Errors
/// The store.
pub async fn delivery_finish(
    app: &Arc<App>,
    claimed: &ClaimedDelivery,
    attempt: Attempt,
    now: Instant,
) -> Result<bool, Error> {
    let (own, claimed) = (Arc::clone(app), claimed.clone());
    let random = u64::from_le_bytes(random());
    let finish = async move |tx: &Tx<'_>| {
        let mut finish = judge(tx, &claimed, &attempt, now, random).await?;
        let is_again = finish.status == DeliveryStatus::Pending.name();
        if let Some(payout) = claimed.payout.filter(|_| is_again)
            && !fulfilment::waits(tx, &own, claimed.account, payout, now).await?
        {
            finish.status = DeliveryStatus::Cancelled.name().into();
            finish.reason = Some("payout_moved".into());
            finish.finished_at = Some(now.0);
        }
        if !rows::delivery_finish(tx, &finish).await? {
            return Ok((false, false));
        }
        let Some(payout) = claimed.payout.filter(|_| finish.status != DeliveryStatus::Pending.name()) else {
            return Ok((true, false));
        };
        let said = Said::of(attempt.status.filter(|_| attempt.error.is_none()));
        let delivers = fulfilment::answered(tx, &own, claimed.account, (claimed.endpoint, payout), said, now).await?;
        Ok((true, delivers))
    };
    let (is_written, delivers) = app.store.money.write(finish).await?;
    if delivers {
        app.outbox.ring();
    }
    Ok(is_written)
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
            if claimed.timeout_seconds.is_some() {
                let made_after = now.plus_seconds(-PROBE_UNTIL_SECONDS);
                webhook_rows::dead_letters_revive(tx, claimed.endpoint.0, made_after.0, now.0).await?;
            }
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
    Ok(match retry::after_failure(claimed.schedule, made, now, attempt.retry_after_seconds, random) {
        Next::RetryAt(at) => finish(claimed, attempt, now, DeliveryStatus::Pending, at, None),
        Next::DeadLetter => {
            if claimed.is_probed {
                webhook_rows::probe_plan(tx, claimed.endpoint.0, now.plus_seconds(PROBE_SECONDS).0).await?;
            }
            // A dead letter of this name is sent again by a probe; the question whether a reward was delivered is not.
            let reason = if claimed.payout.is_some() { "unconfirmed" } else { "attempts_exhausted" };
            ended(DeliveryStatus::Failed, Some(reason))
        }
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
