//! Batches: one action on up to a thousand objects. A few are done within the call, more in the background.
//!
//! An action that has a transaction marks its items in it, so each item moves exactly once, also where the process dies half
//! way; every other action has to be one that changes nothing when it is repeated. On several nodes a lease decides who works
//! on a batch. Leaves what each action does to its noun (`action`).

mod action;
mod people;

pub use action::BatchAction;

use crate::app::App;
use crate::error::{Error, Result};
use crate::secrets;
use action::Outcome;
use headwater_domain::ids::AccountId;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
pub use headwater_store::batch_process::BatchRow;
use headwater_store::batch_process::{
    ItemDone, NewItem, WaitingItem, batch_by_id, batch_claim, batch_count, batch_errors, batch_insert, batch_list,
    batch_lock, batches_forget, items_done, items_waiting,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Objects of one batch.
pub const OBJECTS_MAX: usize = 1000;
/// Up to this many are done within the call.
pub const AT_ONCE_MAX: usize = 5;
/// Items of one transaction.
const ITEMS_AT_ONCE: i64 = 20;
/// How long a node may be silent before another one takes its batch.
const LEASE_SECONDS: i64 = 30;
/// How long a batch that is over can be read.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// What is asked.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the thing of its own name")]
pub struct BatchRequest {
    pub action: BatchAction,
    /// Each counts once, in the order given.
    pub ids: Vec<i64>,
    /// What the action needs beside them.
    pub parameters: Map<String, Value>,
    pub actor: String,
}

/// A batch and why some of its items were not moved.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the thing of its own name")]
pub struct BatchStory {
    pub batch: BatchRow,
    /// The object's number, and the words.
    pub errors: Vec<(i64, String)>,
}

impl BatchStory {
    /// Whether nothing at all was moved.
    pub fn is_refused(&self) -> bool {
        self.batch.failed >= self.batch.total
    }

    /// From 0 to 100.
    pub fn progress(&self) -> i64 {
        self.batch.processed * 100 / self.batch.total.max(1)
    }
}

/// A batch as one transaction works on it.
struct Work {
    row: BatchRow,
    action: BatchAction,
    parameters: Map<String, Value>,
}

impl Work {
    fn of(row: BatchRow) -> Option<Self> {
        let action = BatchAction::parse(&row.action)?;
        let parameters = serde_json::from_str(&row.parameters).ok()?;
        Some(Self { row, action, parameters })
    }
}

impl App {
    /// Starts an action on objects; gives the batch, which is over already where they are few.
    pub async fn batch_start(self: &Arc<Self>, account: AccountId, request: BatchRequest) -> Result<BatchStory> {
        let mut seen = BTreeSet::new();
        let ids: Vec<i64> = request.ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        if ids.is_empty() || ids.len() > OBJECTS_MAX {
            return Err(Error::invalid("ids", format!("must be a list of 1 to {OBJECTS_MAX} ids")));
        }
        let now = self.clock.now();
        let row = BatchRow {
            id: self.next_id(now),
            account_id: account.0,
            action: request.action.label().to_owned(),
            parameters: Value::Object(request.parameters).to_string(),
            actor: request.actor,
            status: "in_progress".into(),
            total: i64::try_from(ids.len()).expect("at most a thousand"),
            processed: 0,
            failed: 0,
            created_at: now.0,
            updated_at: now.0,
            finished_at: None,
        };
        let items = (0..).zip(&ids).map(|(number, id)| NewItem { number, object_id: *id });
        let (items, id) = (items.collect::<Vec<_>>(), row.id);
        let at_once = ids.len() <= AT_ONCE_MAX;
        let token = hex::encode(secrets::random::<16>());
        if at_once && request.action.has_transaction() {
            let app = Arc::clone(self);
            let written = self.store.money.write(async move |tx| {
                batch_insert(tx, &row, Some((&token, now.0)), &items).await?;
                chunk(tx, &app, row.id, &token, i64::MAX, now).await
            });
            if written.await?.1 {
                self.outbox.ring();
            }
            return self.batch_read(account, id).await;
        }
        let lease = at_once.then(|| (token.clone(), now.plus_seconds(LEASE_SECONDS).0));
        let begun = row.clone();
        let write = async move |tx: &Tx<'_>| {
            batch_insert(tx, &row, lease.as_ref().map(|(token, until)| (token.as_str(), *until)), &items).await
        };
        self.store.money.write(write).await?;
        if at_once {
            self.work_off(account, id, request.action, &token).await?;
            return self.batch_read(account, id).await;
        }
        self.batches.notify_one();
        // As it was when it was stored: whoever asks for many is told so in the same way, however fast they are done.
        Ok(BatchStory { batch: begun, errors: Vec::new() })
    }

    /// A batch of this account.
    pub async fn batch_read(&self, account: AccountId, id: i64) -> Result<BatchStory> {
        let read = async move |tx: &Tx<'_>| {
            let Some(batch) = batch_by_id(tx, account.0, id).await? else { return Ok(None) };
            Ok(Some(BatchStory { batch, errors: batch_errors(tx, account.0, id).await? }))
        };
        self.store.money.read(read).await?.ok_or(Error::NotFound("batch process"))
    }

    /// How many batches of this account there are: those of statuses, each between commas, or those that are not over.
    pub async fn batch_count(&self, account: AccountId, statuses: Option<String>) -> Result<i64> {
        Ok(self.store.money.read(async move |tx| batch_count(tx, account.0, statuses.as_deref()).await).await?)
    }

    /// Batches of this account, newest first: those of statuses, each between commas, or those that are not over; `page` counts
    /// from 1.
    pub async fn batch_list(
        &self,
        account: AccountId,
        statuses: Option<String>,
        page: i64,
        per_page: i64,
    ) -> Result<Vec<BatchStory>> {
        let offset = (page.max(1) - 1).saturating_mul(per_page);
        let read = async move |tx: &Tx<'_>| {
            let mut stories = Vec::new();
            for batch in batch_list(tx, account.0, statuses.as_deref(), per_page, offset).await? {
                let errors = batch_errors(tx, account.0, batch.id).await?;
                stories.push(BatchStory { batch, errors });
            }
            Ok(stories)
        };
        Ok(self.store.money.read(read).await?)
    }

    /// Works off every batch that nobody works on.
    pub async fn batches_run(self: &Arc<Self>) -> Result<()> {
        loop {
            let (now, token) = (self.clock.now(), hex::encode(secrets::random::<16>()));
            let (held, until) = (token.clone(), now.plus_seconds(LEASE_SECONDS).0);
            let claimed = self.store.money.write(async move |tx| batch_claim(tx, now.0, &held, until).await).await?;
            let Some(batch) = claimed else { return Ok(()) };
            let Some(action) = BatchAction::parse(&batch.action) else {
                tracing::error!(
                    batch = batch.id,
                    action = batch.action,
                    "a batch has an action that is not known here"
                );
                return Ok(());
            };
            self.work_off(AccountId(batch.account_id), batch.id, action, &token).await?;
        }
    }

    /// Works off one batch whose lease `token` holds.
    async fn work_off(self: &Arc<Self>, account: AccountId, id: i64, action: BatchAction, token: &str) -> Result<()> {
        if !action.has_transaction() {
            return self.work_off_outside(account, id, token).await;
        }
        let mut limit = if action.is_one_piece() { i64::MAX } else { ITEMS_AT_ONCE };
        loop {
            let now = self.clock.now();
            let (app, held) = (Arc::clone(self), token.to_owned());
            let done = self.store.money.write(async move |tx| chunk(tx, &app, id, &held, limit, now).await).await;
            match done {
                Ok((goes_on, delivers)) => {
                    if delivers {
                        self.outbox.ring();
                    }
                    if !goes_on {
                        return Ok(());
                    }
                }
                // One by one they would come to something else: the lease brings them back as they were.
                Err(error) if action.is_one_piece() => return Err(error.into()),
                // One item must not hold up the others: they are tried one by one, and it is given up.
                Err(error) if error.left_nothing() && limit > 1 => limit = 1,
                Err(error) if error.left_nothing() => {
                    tracing::warn!(batch = id, %error, "an item of a batch was given up");
                    let (held, text) = (token.to_owned(), format!("could not be done: {error}"));
                    let give_up = async move |tx: &Tx<'_>| {
                        if batch_lock(tx, id, &held).await?.is_none() {
                            return Ok(());
                        }
                        let first = items_waiting(tx, id, 1).await?;
                        let failed =
                            first.iter().map(|item| ItemDone { number: item.number, error: Some(text.clone()) });
                        items_done(tx, id, &failed.collect::<Vec<_>>(), now.0, now.plus_seconds(LEASE_SECONDS).0).await
                    };
                    self.store.money.write(give_up).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same for an action that has transactions of its own.
    async fn work_off_outside(self: &Arc<Self>, account: AccountId, id: i64, token: &str) -> Result<()> {
        loop {
            let held = token.to_owned();
            let next = async move |tx: &Tx<'_>| {
                let Some(row) = batch_lock(tx, id, &held).await? else { return Ok(None) };
                Ok(Some((row, items_waiting(tx, id, ITEMS_AT_ONCE).await?)))
            };
            let Some((row, items)) = self.store.money.write(next).await? else { return Ok(()) };
            let Some(work) = Work::of(row) else { return Ok(()) };
            if items.is_empty() {
                return Ok(());
            }
            let ids: Vec<i64> = items.iter().map(|item| item.object_id).collect();
            let asked_at = Instant(work.row.created_at);
            let outcomes =
                action::outside(self, account, work.action, &ids, &work.parameters, &work.row.actor, asked_at).await?;
            let (done, now, held) = (items_of(&items, &outcomes), self.clock.now(), token.to_owned());
            let mark = async move |tx: &Tx<'_>| {
                if batch_lock(tx, id, &held).await?.is_none() {
                    return Ok(());
                }
                items_done(tx, id, &done, now.0, now.plus_seconds(LEASE_SECONDS).0).await
            };
            self.store.money.write(mark).await?;
        }
    }
}

/// Works on the next items of a batch; gives whether it goes on, and whether there is something to deliver.
async fn chunk(tx: &Tx<'_>, app: &App, id: i64, token: &str, limit: i64, now: Instant) -> StoreResult<(bool, bool)> {
    let Some(work) = batch_lock(tx, id, token).await?.and_then(Work::of) else { return Ok((false, false)) };
    let items = items_waiting(tx, id, limit).await?;
    let ids: Vec<i64> = items.iter().map(|item| item.object_id).collect();
    let account = AccountId(work.row.account_id);
    let (outcomes, delivers) =
        action::in_transaction(tx, app, account, work.action, &ids, &work.row.actor, now).await?;
    let done = items_of(&items, &outcomes);
    items_done(tx, id, &done, now.0, now.plus_seconds(LEASE_SECONDS).0).await?;
    let processed = i64::try_from(done.len()).unwrap_or(i64::MAX);
    Ok((work.row.processed.saturating_add(processed) < work.row.total && !items.is_empty(), delivers))
}

fn items_of(items: &[WaitingItem], outcomes: &[Outcome]) -> Vec<ItemDone> {
    let error = |object: i64| outcomes.iter().find(|(id, _)| *id == object).and_then(|(_, done)| done.clone().err());
    items.iter().map(|item| ItemDone { number: item.number, error: error(item.object_id) }).collect()
}

/// Batches go on by themselves, also those that another process left; what is long over is forgotten.
pub(crate) async fn run(app: Weak<App>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0_u64;
    loop {
        let Some(bell) = app.upgrade().map(|app| Arc::clone(&app.batches)) else { return };
        tokio::select! {
            _ = every.tick() => {}
            () = bell.notified() => {}
        }
        let Some(app) = app.upgrade() else { return };
        if let Err(error) = app.batches_run().await {
            tracing::warn!(%error, "a batch stands still");
        }
        if ticks.is_multiple_of(3600) {
            let before = app.clock.now().plus_seconds(-KEPT_SECONDS).0;
            if let Err(error) = app.store.money.write(async move |tx| batches_forget(tx, before).await).await {
                tracing::warn!(%error, "old batches could not be forgotten");
            }
        }
        ticks += 1;
    }
}
