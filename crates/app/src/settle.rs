//! The heart: a batch of events in, answers out.
//!
//! Requests queue here. One task takes what waits, and settles it in one transaction: claim the callers' keys, load
//! what the events touch, decide each in order (pure), write everything, answer. An answer goes out after the commit.
//! Two events of one batch see each other; two nodes meet at unique keys and row locks (`store::settlement`).

mod books;
mod decide;
mod load;
mod price;
mod view;

pub(crate) use decide::event_of;

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::attribution::Touch;
use headwater_domain::ids::{AccountId, EventId, KeyId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use std::sync::{Arc, Weak};
use tokio::sync::{mpsc, oneshot};

/// Events that are settled in one transaction.
const BATCH_COMMANDS_MAX: usize = 256;
/// Requests that may wait; the next one is answered `Busy`.
const WAITING_COMMANDS_MAX: usize = 4096;

/// A caller's `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Method, path and key.
    pub scope: String,
    /// SHA-256 over the canonical request.
    pub fingerprint: String,
}

/// One event to record, its signals already resolved.
#[derive(Debug, Clone)]
pub struct Track {
    /// Whose it is.
    pub account: AccountId,
    /// In which program.
    pub program: ProgramId,
    /// Which credential sent it.
    pub key: KeyId,
    /// Whether the credential can make money events count.
    pub trusted: bool,
    /// One of the event types.
    pub event_type: String,
    /// What its best signal led to.
    pub touch: Option<Touch>,
    /// Why a signal led to nothing.
    pub touch_reason: Option<&'static str>,
    /// The client's email, trimmed and in lower case.
    pub email_key: Option<String>,
    /// The client's name.
    pub name: Option<String>,
    /// The amount and the digits the caller wrote.
    pub amount: Option<(Decimal, String)>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// The caller's JSON text.
    pub metadata: Option<String>,
    /// The caller's `data`.
    pub data: Option<String>,
    /// The caller's own id.
    pub event_key: Option<String>,
    /// SHA-256 over the canonical content.
    pub fingerprint: String,
    /// When it happened; `None`: now.
    pub occurred_at: Option<Instant>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// One thing to settle.
#[derive(Debug, Clone)]
pub enum Command {
    /// Record an event.
    Track(Box<Track>),
    /// Make an unverified event count, with the caller's amount where given.
    Confirm {
        /// Whose it is.
        account: AccountId,
        /// Which event.
        event: EventId,
        /// Replaces the browser's amount.
        amount: Option<(Decimal, String)>,
        /// Replaces the browser's currency.
        currency: Option<Currency>,
    },
    /// Refuse an unverified event.
    Reject {
        /// Whose it is.
        account: AccountId,
        /// Which event.
        event: EventId,
    },
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The Event object; `replayed` by its idempotency key.
    Event {
        /// JSON text.
        json: String,
        /// Whether it was answered before under this key.
        replayed: bool,
    },
    /// The idempotency key was used for another request.
    IdempotencyReused,
    /// The event id was used for other content.
    EventKeyReused,
    /// No such event in this account.
    EventUnknown,
    /// The event is not unverified.
    NotUnverified,
}

#[derive(Debug)]
struct Waiting {
    command: Command,
    answer: oneshot::Sender<Result<Answer>>,
}

/// The entry of the queue.
#[derive(Debug)]
pub struct Queue(mpsc::Sender<Waiting>);

/// The other end of the queue.
#[derive(Debug)]
pub struct Settling(mpsc::Receiver<Waiting>);

/// A bounded queue.
pub fn queue() -> (Queue, Settling) {
    let (entry, waiting) = mpsc::channel(WAITING_COMMANDS_MAX);
    (Queue(entry), Settling(waiting))
}

impl App {
    /// Settles one command; answers after it is durable.
    pub async fn settle(&self, command: Command) -> Result<Answer> {
        let (answer, answered) = oneshot::channel();
        self.settlements.0.try_send(Waiting { command, answer }).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Store(headwater_store::backend::Error::Closed))?
    }
}

/// Settles until the application is gone.
pub async fn run(app: Weak<App>, mut settling: Settling) {
    let mut taken = Vec::with_capacity(BATCH_COMMANDS_MAX);
    while settling.0.recv_many(&mut taken, BATCH_COMMANDS_MAX).await > 0 {
        let Some(app) = app.upgrade() else { return };
        let (commands, answers): (Vec<_>, Vec<_>) = taken.drain(..).map(|w| (w.command, w.answer)).unzip();
        metrics::histogram!("headwater_settlement_events")
            .record(f64::from(u32::try_from(commands.len()).unwrap_or(u32::MAX)));
        match settle_batch(&app, commands.clone()).await {
            Ok(done) => {
                for (answer, outcome) in answers.into_iter().zip(done) {
                    // The caller may have gone away; what it asked for stands all the same.
                    let _ = answer.send(Ok(outcome));
                }
            }
            Err(error) => answer_failed(&app, error, commands, answers).await,
        }
    }
}

/// A batch that certainly left nothing behind is tried event by event, so that one of them cannot fail the others. Where
/// the outcome is unknown nothing is tried again: the callers' retries find their own keys.
async fn answer_failed(
    app: &Arc<App>,
    error: Error,
    commands: Vec<Command>,
    answers: Vec<oneshot::Sender<Result<Answer>>>,
) {
    tracing::warn!(%error, events = commands.len(), "a settlement failed");
    let may_retry = commands.len() > 1 && matches!(&error, Error::Store(store) if store.left_nothing());
    for (answer, command) in answers.into_iter().zip(commands) {
        let outcome = if may_retry {
            let alone = settle_batch(app, vec![command]).await;
            alone.map(|mut one| one.pop().expect("one command has one answer"))
        } else {
            Err(Error::Store(headwater_store::backend::Error::Closed))
        };
        let _ = answer.send(outcome);
    }
}

/// One transaction for the whole batch; answers in the order of the commands.
async fn settle_batch(app: &Arc<App>, commands: Vec<Command>) -> Result<Vec<Answer>> {
    let commands = Arc::new(commands);
    let shared = Arc::clone(app);
    let now = app.clock.now();
    let (answers, delivers) = app
        .store
        .money
        .write(async move |tx| {
            let mut view = load::load(tx, &shared, &commands, now).await?;
            let (answers, remembered) = {
                let directory = shared.directory();
                let mut next_id = || shared.next_id(now);
                decide::decide_all(&mut view, &directory, &commands, &mut next_id, now)
            };
            let delivers = !view.outcome.deliveries.is_empty();
            books::commit(tx, &shared, view, &remembered, now).await?;
            Ok((answers, delivers))
        })
        .await?;
    if delivers {
        app.outbox.ring();
    }
    Ok(answers)
}
