//! The heart: a batch of events in, answers out.
//!
//! Requests queue here. One task takes what waits, and settles it in one transaction: claim the callers' keys, load
//! what the events touch, decide each in order (pure), write everything, answer. An answer goes out after the commit.
//! Two events of one batch see each other; two nodes meet at unique keys and row locks (`store::settlement`).

mod account;
mod again;
mod bind;
mod books;
mod circle;
mod confirm;
mod decide;
mod deliver;
mod facts;
mod foreseen;
mod load;
mod merge;
mod names;
mod origin;
mod part;
mod persons;
mod price;
mod queue;
mod reaches;
mod record;
mod referrals;
mod refund;
mod refuse;
mod revision;
pub(crate) mod rewards;
mod same_click;
mod sources;
pub mod sweep;
mod terms;
mod view;
mod waiting;
mod wide;
mod window;

pub(crate) use books::Concerned;
pub(crate) use deliver::event_of;
pub(crate) use persons::{common_cells, people, people_unposted};
pub(crate) use queue::{Queue, queue, run};
pub(crate) use same_click::by_click;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::{Ingest, Recorded};
use decide::Decision;
use foreseen::Reading;
use headwater_domain::attribution::Touch;
use headwater_domain::ids::{AccountId, EventId, KeyId, PersonId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Tx};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a caller may say of an event beside what we read (`data`): it is kept, and read with every event of the client.
const DATA_BYTES_MAX: usize = 16 * 1024;

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

/// How often settlements read less than everything, since the start of this process.
#[derive(Debug, Default)]
pub struct PricedSinceStart {
    /// Persons, or programs where rules look further, that were priced by what a part of their facts tells.
    pub by_part: AtomicU64,
    /// Those that were priced by all of their facts.
    pub by_all: AtomicU64,
    /// Settlements that were undone and decided anew, because too little had been read.
    pub again: AtomicU64,
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
    /// Record customers and facts, together.
    Record(Box<Ingest>),
    /// Price persons of one program again, after a dated change.
    Reprice {
        /// Whose they are.
        account: AccountId,
        /// In which program.
        program: ProgramId,
        /// Each with the mark that asks for it; `None`: without one.
        persons: Vec<(PersonId, Option<i64>)>,
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
    /// What became of each record.
    Recorded(Vec<Recorded>),
    /// The persons are priced.
    Repriced,
}

impl Command {
    /// What it holds in memory, about.
    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let held = match self {
            Self::Track(track) => {
                let idempotency = track.idempotency.as_ref().map_or(0, |i| i.scope.len() + i.fingerprint.len());
                let texts = [&track.email_key, &track.name, &track.metadata, &track.data, &track.event_key];
                idempotency + texts.into_iter().map(text).sum::<usize>()
            }
            Self::Confirm { .. } | Self::Reject { .. } => 0,
            Self::Record(ingest) => ingest.bytes(),
            Self::Reprice { persons, .. } => persons.len() * size_of::<(PersonId, Option<i64>)>(),
        };
        held + size_of::<Track>()
    }

    /// What no dialect may ask, whatever it parses.
    fn check(&self) -> Result<()> {
        match self {
            Self::Track(track) if track.data.as_ref().is_some_and(|data| data.len() > DATA_BYTES_MAX) => {
                Err(Error::invalid("data", format!("must have at most {DATA_BYTES_MAX} bytes")))
            }
            Self::Record(ingest) => ingest.check(),
            Self::Confirm { amount: Some((amount, _)), .. } if *amount < Decimal::ZERO => {
                Err(Error::invalid("amount", "must not be negative: the event says the direction"))
            }
            Self::Confirm { amount: Some(_), currency: None, .. } => {
                Err(Error::invalid("currency", "is required with amount: send an ISO 4217 code"))
            }
            _ => Ok(()),
        }
    }
}

impl App {
    /// Settles one command; answers after it is durable.
    pub async fn settle(&self, command: Command) -> Result<Answer> {
        command.check()?;
        if !self.node.is_held() {
            return Err(Error::Busy);
        }
        self.settlements.ask(command).await
    }
}

/// Keeps the answers about records under their callers' keys. In the order of the keys, so that two nodes that keep
/// several cannot wait for each other.
async fn keep_answers(tx: &Tx<'_>, commands: &[Command], answers: &[Answer]) -> Result<(), StoreError> {
    let mut keeps = Vec::new();
    for both in commands.iter().zip(answers) {
        if let (Command::Record(ingest), Answer::Recorded(recorded)) = both {
            keeps.push((&ingest.keep, recorded));
        }
    }
    keeps.sort_by_key(|(keep, _)| keep.attempt().map(|attempt| (attempt.key, attempt.scope.clone())));
    for (keep, recorded) in keeps {
        keep.keep(tx, recorded).await?;
    }
    Ok(())
}

/// Settles the whole batch; answers in the order of the commands. What less than everything does not tell is decided on
/// everything.
async fn settle_batch(app: &Arc<App>, commands: Arc<Vec<Command>>) -> Result<Vec<Answer>> {
    let is_unsure = Arc::new(AtomicBool::new(false));
    let first = settle_reading(app, Arc::clone(&commands), Reading::Parts, &is_unsure).await;
    if first.is_err() && is_unsure.load(Ordering::Relaxed) {
        app.priced.again.fetch_add(1, Ordering::Relaxed);
        return settle_reading(app, commands, Reading::Whole, &is_unsure).await;
    }
    first
}

/// One transaction for the whole batch; tells where it was undone because too little was read.
async fn settle_reading(
    app: &Arc<App>,
    commands: Arc<Vec<Command>>,
    reading: Reading,
    is_unsure: &Arc<AtomicBool>,
) -> Result<Vec<Answer>> {
    let (shared, is_unsure) = (Arc::clone(app), Arc::clone(is_unsure));
    let now = app.clock.now();
    let (answers, delivers, priced) = app
        .store
        .money
        .write(async move |tx| {
            let mut view = load::load(tx, &shared, &commands, reading, now).await?;
            shared.observe(view.greatest_fact());
            let decided = {
                let directory = Arc::clone(&view.directory);
                let mut next_id = || shared.next_id(now);
                let mut decision = Decision { view: &mut view, directory: &directory, next_id: &mut next_id, now };
                decision.all(&commands)
            };
            is_unsure.store(view.is_unsure, Ordering::Relaxed);
            let answers = decided?;
            let (delivers, priced) = (!view.outcome.deliveries.is_empty(), view.priced);
            let announces = books::commit(tx, &shared, view, now).await?;
            keep_answers(tx, &commands, &answers).await?;
            Ok((answers, delivers || announces, priced))
        })
        .await?;
    app.priced.by_part.fetch_add(priced.by_part, Ordering::Relaxed);
    app.priced.by_all.fetch_add(priced.by_all, Ordering::Relaxed);
    if delivers {
        app.outbox.ring();
    }
    Ok(answers)
}
