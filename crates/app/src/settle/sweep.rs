//! What time alone decides: events that nobody confirmed are refused, and old answers to idempotency keys forgotten.
//!
//! A settlement judges the age itself, so a late sweep changes no answer.

use crate::app::App;
use crate::error::Result;
use headwater_store::delivery::deliveries_forget;
use headwater_store::event::events_expire;
use headwater_store::inbox::idempotency_purge;
use std::sync::Weak;
use std::time::Duration;

/// After 30 days without confirmation an event is refused (`referral-api.md` §10).
pub(super) const UNVERIFIED_SECONDS_MAX: i64 = 30 * 86_400;
/// Answers are kept for 72 hours (`conventions.md` §6).
const IDEMPOTENCY_SECONDS: i64 = 72 * 3600;
/// A dead letter is kept for 30 days (`postbacks.md` §7), and what was delivered as long.
const DELIVERY_SECONDS: i64 = 30 * 86_400;
/// Rows of one transaction, so that nothing waits long behind it.
const ROWS_MAX: i64 = 1000;
const EVERY: Duration = Duration::from_mins(10);

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Events that are refused now.
    pub events: u64,
    /// Idempotency keys that are free again.
    pub idempotency_keys: u64,
    /// Deliveries that ended long ago and are forgotten.
    pub deliveries: u64,
}

impl App {
    /// Refuses and forgets what is too old.
    pub async fn sweep(&self) -> Result<Swept> {
        let now = self.clock.now();
        let (confirmable, answered) =
            (now.plus_seconds(-UNVERIFIED_SECONDS_MAX).0, now.plus_seconds(-IDEMPOTENCY_SECONDS).0);
        let mut swept = Swept { events: 0, idempotency_keys: 0, deliveries: 0 };
        loop {
            let ended = now.plus_seconds(-DELIVERY_SECONDS).0;
            let (events, keys, deliveries) = self
                .store
                .money
                .write(async move |tx| {
                    let events = events_expire(tx, confirmable, ROWS_MAX).await?;
                    let keys = idempotency_purge(tx, answered, ROWS_MAX).await?;
                    Ok((events, keys, deliveries_forget(tx, ended, ROWS_MAX).await?))
                })
                .await?;
            swept.events += events;
            swept.idempotency_keys += keys;
            swept.deliveries += deliveries;
            let full = u64::try_from(ROWS_MAX).expect("a positive constant");
            if events < full && keys < full && deliveries < full {
                return Ok(swept);
            }
        }
    }
}

/// Sweeps until the application is gone.
pub async fn run(app: Weak<App>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else { return };
        match app.sweep().await {
            Ok(Swept { events: 0, idempotency_keys: 0, deliveries: 0 }) => {}
            Ok(swept) => tracing::info!(
                swept.events,
                swept.idempotency_keys,
                swept.deliveries,
                "refused and forgot what is too old"
            ),
            Err(error) => tracing::warn!(%error, "the sweep failed; the next one does its work"),
        }
    }
}
