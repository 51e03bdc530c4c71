//! Writes click rows behind a bounded queue, so that a stalled store never delays a visitor.
//!
//! One task takes whatever waits and commits it as one set-based insert; it never sleeps to gather more. A visitor waits
//! [`WAIT_MILLIS_MAX`] at most for the row to be on disk; then the redirect goes out and the row follows. Where the queue
//! is full the row is dropped and counted. A lost row costs a count, never an attribution: the token carries link
//! and time. While the store fails the batch is tried again, for as long as it takes, or until the recorder is closed
//! and has waited [`CLOSE_SECONDS_MAX`].

use headwater_store::Store;
use headwater_store::click::{NewClick, click_insert};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long a visitor waits for durability.
pub const WAIT_MILLIS_MAX: u64 = 50;
/// Rows that may wait: at about 2 KiB each, 32 MiB.
const WAITING_ROWS_MAX: usize = 16_384;
/// Rows in one commit.
const BATCH_ROWS_MAX: usize = 512;
const RETRY_MILLIS_MAX: u64 = 1000;
/// How long a process that stops waits for its last rows to be on disk.
pub const CLOSE_SECONDS_MAX: u64 = 10;

/// What became of a row while the visitor waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is on disk.
    Durable,
    /// It is in the queue.
    Follows,
    /// The queue is full.
    Dropped,
}

struct Waiting {
    row: NewClick,
    durable: oneshot::Sender<()>,
}

/// The entry of the queue; clones share it.
#[derive(Debug, Clone)]
pub struct ClickRecorder {
    queue: mpsc::Sender<Waiting>,
    closing: watch::Sender<bool>,
    writing: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({})", self.row.id)
    }
}

impl ClickRecorder {
    /// Starts the writing task. It ends, with every row written, once all recorders are gone or one is closed.
    pub fn start(store: Store) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_ROWS_MAX);
        let (closing, closed) = watch::channel(false);
        let task = tokio::spawn(write_batches(store, waiting, closed));
        Self { queue, closing, writing: Arc::new(Mutex::new(Some(task))) }
    }

    /// Takes no more rows, and waits until those that are queued are on disk; where the store does not take them in
    /// [`CLOSE_SECONDS_MAX`] they are lost.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let task = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return };
        if tokio::time::timeout(Duration::from_secs(CLOSE_SECONDS_MAX), task).await.is_err() {
            tracing::error!("clicks are lost: the store did not take them before the process had to end");
        }
    }

    /// Queues a row and waits for it to be on disk, but not longer than [`WAIT_MILLIS_MAX`].
    pub async fn record(&self, row: NewClick) -> Recorded {
        let (durable, written) = oneshot::channel();
        if self.queue.try_send(Waiting { row, durable }).is_err() {
            metrics::counter!("headwater_clicks_dropped_total").increment(1);
            return Recorded::Dropped;
        }
        if let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(WAIT_MILLIS_MAX), written).await {
            return Recorded::Durable;
        }
        metrics::counter!("headwater_clicks_late_total").increment(1);
        Recorded::Follows
    }
}

async fn write_batches(store: Store, mut waiting: mpsc::Receiver<Waiting>, mut closed: watch::Receiver<bool>) {
    let mut taken = Vec::with_capacity(BATCH_ROWS_MAX);
    loop {
        let count = tokio::select! {
            biased;
            count = waiting.recv_many(&mut taken, BATCH_ROWS_MAX) => count,
            // What is queued by now can still be received. Fails only where all recorders are gone, and closes too.
            _ = closed.wait_for(|closed| *closed), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        if count == 0 {
            return;
        }
        let (rows, visitors): (Vec<_>, Vec<_>) = taken.drain(..).map(|w| (w.row, w.durable)).unzip();
        write_until_durable(&store, Arc::new(rows)).await;
        for visitor in visitors {
            // The visitor may have gone on after the wait.
            let _ = visitor.send(());
        }
    }
}

async fn write_until_durable(store: &Store, rows: Arc<Vec<NewClick>>) {
    let mut pause_millis = 20;
    loop {
        let batch = Arc::clone(&rows);
        match store.clicks.write(async move |tx| click_insert(tx, &batch).await).await {
            Ok(_) => return,
            Err(error) => {
                metrics::counter!("headwater_click_batches_failed_total").increment(1);
                tracing::warn!(%error, rows = rows.len(), "clicks wait: the store does not take them");
                tokio::time::sleep(Duration::from_millis(pause_millis)).await;
                pause_millis = (pause_millis * 2).min(RETRY_MILLIS_MAX);
            }
        }
    }
}
