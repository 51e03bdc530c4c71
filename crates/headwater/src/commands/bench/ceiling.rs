//! The ceiling of the store, the reference of `track`: tasks of this process, each waiting for a commit, again and again.
//!
//! On SQLite each waits for the group commit of one small row: the claim of an idempotency key, the least that the
//! store keeps with a promise. On PostgreSQL, where that would measure round trips, each waits for a settlement
//! ([`Settling`](super::settling::Settling)): the same statements, set-based, one batch after the other, without HTTP.

use super::load::Tally;
use super::settling::Settling;
use anyhow::{Context as _, Result};
use headwater_store::inbox::{IdempotencyClaim, idempotency_claim};
use headwater_store::{Place, Store};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Commands that wait for one PostgreSQL batch: what the settlement takes at once (`app::settle`).
const BATCH_COMMANDS: usize = 256;

/// What is waited for.
#[derive(Debug, Clone)]
enum Wait {
    Row(Store),
    Settlement(Arc<Settling>),
}

/// A store of its own, empty at first.
#[derive(Debug)]
pub struct Ceiling {
    wait: Wait,
    rows: Arc<AtomicI64>,
}

impl Ceiling {
    /// Of a SQLite store in this folder.
    pub async fn of_rows(folder: &Path) -> Result<Self> {
        let store = Store::open(&Place::Folder(folder.to_owned()), |error| eprintln!("headwater: {error}")).await?;
        Ok(Self { wait: Wait::Row(store), rows: Arc::default() })
    }

    /// Of an empty PostgreSQL database.
    pub async fn of_settlements(database_url: &str) -> Result<Self> {
        let settling = Settling::open(&Place::Postgres(database_url.to_owned())).await?;
        Ok(Self { wait: Wait::Settlement(Arc::new(settling)), rows: Arc::default() })
    }

    /// What it is, in the table.
    pub fn name(&self) -> &'static str {
        match self.wait {
            Wait::Row(_) => "one small row in the same store",
            Wait::Settlement(_) => "the same statements, 256 at once",
        }
    }

    /// So many tasks for so long; on PostgreSQL as many as fill a batch.
    pub async fn run(&self, tasks: usize, milliseconds: u64) -> Result<Tally> {
        let started = Instant::now();
        let until = started + Duration::from_millis(milliseconds);
        let tasks = if matches!(self.wait, Wait::Row(_)) { tasks } else { BATCH_COMMANDS };
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            running.spawn(write_until(self.wait.clone(), Arc::clone(&self.rows), until));
        }
        let mut tally = Tally::default();
        while let Some(one) = running.join_next().await {
            tally.join(&one.context("a task panicked")??);
        }
        tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
        Ok(tally)
    }
}

async fn write_until(wait: Wait, rows: Arc<AtomicI64>, until: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    while Instant::now() < until {
        let number = rows.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        match &wait {
            Wait::Row(store) => write_row(store, number).await?,
            Wait::Settlement(settling) => settling.deposit(number).await?,
        }
        tally.acknowledged += 1;
        tally.latencies.record(u64::try_from(asked.elapsed().as_micros())?);
    }
    Ok(tally)
}

async fn write_row(store: &Store, number: i64) -> Result<()> {
    let write = async move |tx: &headwater_store::backend::Tx<'_>| {
        let claim = IdempotencyClaim {
            key_id: number,
            scope: "POST /bench".to_owned(),
            fingerprint: "0123456789abcdef".to_owned(),
            created_at: number,
        };
        idempotency_claim(tx, &[claim]).await
    };
    Ok(store.money.write(write).await?)
}
