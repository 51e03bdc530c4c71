//! The ceiling of the store: tasks of this process, each waiting for the group commit of one small row, again and again.
//!
//! The row is the claim of an idempotency key: the least that the store keeps with a promise.

use super::load::Tally;
use anyhow::{Context as _, Result};
use headwater_store::settlement::{IdempotencyClaim, idempotency_claim};
use headwater_store::{Place, Store};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// A store of its own, empty at first.
#[derive(Debug)]
pub struct Ceiling {
    store: Store,
    rows: Arc<AtomicI64>,
}

impl Ceiling {
    /// Makes the store in this folder.
    pub async fn open(folder: &Path) -> Result<Self> {
        let store = Store::open(&Place::Folder(folder.to_owned()), |error| eprintln!("headwater: {error}")).await?;
        Ok(Self { store, rows: Arc::default() })
    }

    /// So many tasks for so long.
    pub async fn run(&self, tasks: usize, milliseconds: u64) -> Result<Tally> {
        let started = Instant::now();
        let until = started + Duration::from_millis(milliseconds);
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            running.spawn(write_until(self.store.clone(), Arc::clone(&self.rows), until));
        }
        let mut tally = Tally::default();
        while let Some(one) = running.join_next().await {
            tally.join(&one.context("a task panicked")??);
        }
        tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
        Ok(tally)
    }
}

async fn write_until(store: Store, rows: Arc<AtomicI64>, until: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    while Instant::now() < until {
        let number = rows.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let write = async move |tx: &headwater_store::backend::Tx<'_>| {
            let claim = IdempotencyClaim {
                key_id: number,
                scope: "POST /bench".to_owned(),
                fingerprint: "0123456789abcdef".to_owned(),
                created_at: number,
            };
            idempotency_claim(tx, vec![claim]).await
        };
        store.money.write(write).await?;
        tally.acknowledged += 1;
        tally.latencies.record(u64::try_from(asked.elapsed().as_micros())?);
    }
    Ok(tally)
}
