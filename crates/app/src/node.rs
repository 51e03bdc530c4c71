//! This node's number, by which the numbers it makes differ from every other node's.
//!
//! The number is leased from the store (`store::node`) and renewed long before the lease ends. A node that could not
//! renew in time settles nothing until it holds a number again, the same one or another.

use crate::app::App;
use crate::error::Result;
use crate::secrets::random;
use headwater_domain::ids::NODES_MAX;
use headwater_store::Store;
use headwater_store::node::{LEASE_SECONDS, node_release, node_renew, node_take};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

const RENEW_EVERY: Duration = Duration::from_secs(10);
/// What a lease is short of at its end: our clock may run a little slower than the server's.
const MARGIN_SECONDS: u64 = 5;

/// The number that this process holds.
#[derive(Debug)]
pub struct Node {
    holder: String,
    number: AtomicI64,
    held_until: Mutex<Instant>,
}

impl Node {
    /// Takes a number.
    pub(crate) async fn take(store: &Store) -> Result<Self> {
        let holder = hex::encode(random::<16>());
        let asked_at = Instant::now();
        let number = take(store, &holder).await?;
        Ok(Self { holder, number: AtomicI64::new(number), held_until: Mutex::new(held_until(asked_at)) })
    }

    /// The number, below [`NODES_MAX`].
    pub(crate) fn number(&self) -> u8 {
        u8::try_from(self.number.load(Ordering::Relaxed)).expect("the store gives numbers below 64")
    }

    /// Whether the number is surely ours at this moment.
    pub(crate) fn is_held(&self) -> bool {
        Instant::now() < *self.held_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the number longer, or takes another where this one was given away. `changed` hears of the other one before
    /// anything is settled under it.
    async fn renew(&self, store: &Store, changed: impl FnOnce(u8)) -> Result<()> {
        let (number, holder) = (i64::from(self.number()), self.holder.clone());
        let asked_at = Instant::now();
        let is_ours = store.money.write(async move |tx| node_renew(tx, number, &holder).await).await?;
        if !is_ours {
            *self.held_until.lock().unwrap_or_else(PoisonError::into_inner) = asked_at;
            self.number.store(take(store, &self.holder).await?, Ordering::Relaxed);
            changed(self.number());
        }
        *self.held_until.lock().unwrap_or_else(PoisonError::into_inner) = held_until(asked_at);
        Ok(())
    }
}

async fn take(store: &Store, holder: &str) -> Result<i64> {
    let holder = holder.to_owned();
    Ok(store.money.write(async move |tx| node_take(tx, &holder, i64::from(NODES_MAX)).await).await?)
}

fn held_until(asked_at: Instant) -> Instant {
    asked_at + Duration::from_secs(LEASE_SECONDS.unsigned_abs() - MARGIN_SECONDS)
}

impl App {
    /// Gives the node's number back, when nothing is settled any more.
    pub async fn leave(&self) -> Result<()> {
        let (number, holder) = (i64::from(self.node.number()), self.node.holder.clone());
        Ok(self.store.money.write(async move |tx| node_release(tx, number, &holder).await).await?)
    }

    /// Holds the node's number longer.
    pub async fn stay(&self) -> Result<()> {
        let changed = |number| {
            tracing::warn!(number, "the node's number was given away; it has another now");
            self.renumber(number);
        };
        self.node.renew(&self.store, changed).await
    }
}

/// Renews until the application is gone.
pub(crate) async fn run(app: Weak<App>) {
    let mut every = tokio::time::interval(RENEW_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else { return };
        if let Err(error) = app.stay().await {
            tracing::warn!(%error, "the node's number could not be renewed");
        }
    }
}
