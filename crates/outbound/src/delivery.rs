//! The delivery worker: claims what is due, signs and sends it, writes down what came of it.
//!
//! A claim is a lease in the store; the POST is outside any transaction; the end is fenced by the lease, so a worker
//! that slept too long cannot overwrite the one that took over. A crash between the receiver's 200 and the written
//! result means a second POST with the same `webhook-id`: at least once, never lost.
//!
//! What is in flight is bounded in all, per endpoint (by the claim), and for failing endpoints, so receivers that hang
//! take no more than their share. Leaves to others: what a failure means (`headwater-app`), where we may connect
//! ([`crate::egress`]).

use crate::egress::{AttemptResult, Egress, Outgoing};
use headwater_app::app::App;
use headwater_app::delivery::{self, Attempt, ClaimedDelivery, Room};
use headwater_app::outbox::Outbox;
use headwater_domain::postback::envelope;
use headwater_domain::postback::signature::{self, Signers};
use headwater_domain::time::Instant;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Deliveries in flight in all.
const IN_FLIGHT_MAX: usize = 256;
/// Of them, to endpoints whose last attempt failed: most of them hang until the deadline.
const FAILING_IN_FLIGHT_MAX: usize = 64;
/// How soon a retry that became due, or another node's delivery, is noticed. New ones of this node ring the bell.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// After a failure of the store.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Runs until `stop` becomes true; then nothing new starts, what is in flight ends, and the leases go back.
pub async fn run(app: Arc<App>, egress: Egress, mut stop: watch::Receiver<bool>) {
    let (outbox, clock) = (app.outbox.clone(), app.clock.clone());
    let token = delivery::worker_token();
    let failing = Arc::new(Semaphore::new(FAILING_IN_FLIGHT_MAX));
    let mut in_flight = JoinSet::new();
    while !*stop.borrow() {
        let room = Room { total: IN_FLIGHT_MAX.saturating_sub(in_flight.len()), failing: failing.available_permits() };
        let mut pause = LOOK_AGAIN;
        match claim(&outbox, &token, room, clock.now()).await {
            Ok(claimed) => {
                for one in claimed {
                    let permit = one.is_failing.then(|| Arc::clone(&failing).try_acquire_owned().ok());
                    let (app, egress) = (Arc::clone(&app), egress.clone());
                    in_flight.spawn(async move {
                        deliver(&app, &egress, &one).await;
                        drop(permit);
                    });
                }
            }
            Err(error) => {
                tracing::error!(%error, "deliveries cannot be claimed");
                pause = STORE_PAUSE;
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = outbox.rung(), if pause == LOOK_AGAIN => {}
            () = tokio::time::sleep(pause) => {}
            Some(_) = in_flight.join_next(), if pause == LOOK_AGAIN => while in_flight.try_join_next().is_some() {},
        }
    }
    while in_flight.join_next().await.is_some() {}
    if let Err(error) = delivery::leases_release_of(&outbox, &token).await {
        tracing::warn!(%error, "leases run out by themselves");
    }
}

async fn claim(
    outbox: &Outbox,
    token: &str,
    room: Room,
    now: Instant,
) -> Result<Vec<ClaimedDelivery>, delivery::StoreError> {
    if room.total == 0 { Ok(Vec::new()) } else { delivery::delivery_claim(outbox, token, room, now).await }
}

/// One attempt, from the claim to its written result. A result that cannot be written is lost, and the lease runs
/// out: the delivery is sent again.
pub async fn deliver(app: &Arc<App>, egress: &Egress, claimed: &ClaimedDelivery) {
    let result = egress.post(outgoing(claimed, app.clock.now())).await;
    metrics::counter!("headwater_delivery_attempts_total", "success" => is_success(&result).to_string()).increment(1);
    match delivery::delivery_finish(app, claimed, attempt(result), app.clock.now()).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(delivery = claimed.public_id, "the lease went to another worker"),
        Err(error) => tracing::error!(delivery = claimed.public_id, %error, "the attempt cannot be written down"),
    }
}

/// The request of one attempt at `now`: stored bytes, fresh signatures.
fn outgoing(claimed: &ClaimedDelivery, now: Instant) -> Outgoing {
    let signers = Signers {
        current: &claimed.secret,
        previous: claimed.previous_secret.as_ref(),
        at_creation: &claimed.secret_at_creation,
    };
    let signed = signature::headers(signers, &claimed.public_id, now.seconds(), &claimed.body);
    let named = envelope::headers(claimed.payload_style, &claimed.public_id, &claimed.event_type, claimed.attempt);
    let ours = named.into_iter().chain(signed).map(|(name, value)| (name.to_owned(), value));
    let headers = ours.chain(claimed.own_headers.iter().cloned()).collect();
    let deadline = claimed.timeout_seconds.map(Duration::from_secs);
    Outgoing { url: claimed.url.clone(), headers, body: claimed.body.clone(), deadline }
}

fn is_success(result: &AttemptResult) -> bool {
    matches!(result.answered(), Some(200..=299))
}

fn attempt(result: AttemptResult) -> Attempt {
    let AttemptResult { status, duration_ms, response, error, retry_after_seconds } = result;
    Attempt { status, duration_ms, response, error, retry_after_seconds }
}
