//! Commissions: reading what was posted and why, deciding what waits, and the end of holds.
//!
//! Leaves which move is allowed to the domain (`ledger::Stage`) and writing the books to `ledger::book`. Invariant: a
//! commission's status and the account that its amount is in change in one transaction.

use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::book::{Booking, book};
use headwater_domain::ids::{AccountId, CommissionId, CustomerId, PartnerId};
use headwater_domain::ledger::{AccountName, Act, Owner, Stage, Transfer};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::{Result as StoreResult, Tx};
pub use headwater_store::commission::{CommissionFilter, CommissionRow};
use headwater_store::commission::{
    LifePut, LifeRow, any_fall_due, commission_by_id, commission_list, commission_owners, commissions_by_id,
    commissions_decide, commissions_fall_due, commissions_lock,
};
use headwater_store::settlement::{Number, persons_lock, programs_lock};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Postings whose hold ends in one transaction.
const FALL_DUE_BATCH: i64 = 500;
/// Such transactions that a read waits for.
const READ_BATCHES_MAX: usize = 20;

/// What somebody decides about a pending commission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is owed.
    Approve,
    /// It is not.
    Deny,
}

impl Verdict {
    fn status(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Deny => "denied",
        }
    }
}

/// A commission that could not be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// Its number, as it was asked for.
    pub id: i64,
    /// A stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

/// What became of a call that decides several.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Those that now have the status asked for.
    pub done: Vec<CommissionRow>,
    /// The others, in the order asked for.
    pub failed: Vec<Undecided>,
}

impl App {
    /// At most `limit` postings, newest first, after the posting `before_id` of the filter.
    pub async fn commission_list(
        self: &Arc<Self>,
        account: AccountId,
        mut filter: CommissionFilter,
        limit: i64,
    ) -> Result<Vec<CommissionRow>> {
        if filter.status.as_deref() == Some("payable") {
            // No status of its own: approved, and the hold is over.
            self.fall_due_to_read(account).await?;
            filter.status = Some(Stage::Payable.status().into());
            filter.is_due = Some(true);
        }
        let list = async move |tx: &Tx<'_>| {
            if let Some(after) = filter.before_id
                && commission_by_id(tx, account.0, after).await?.is_none()
            {
                return Ok(None);
            }
            commission_list(tx, account.0, &filter, limit).await.map(Some)
        };
        self.store.money.read(list).await?.ok_or(Error::UnknownCursor)
    }

    /// A posting of this account.
    pub async fn commission_read(&self, account: AccountId, id: CommissionId) -> Result<CommissionRow> {
        let found = self.store.money.read(async move |tx| commission_by_id(tx, account.0, id.0).await).await?;
        found.ok_or(Error::NotFound("commission"))
    }

    /// Approves or denies pending commissions. Who has the status already is done: a retry is safe.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the account has none of them; some that it lacks are listed in `failed`.
    pub async fn commissions_decide(
        self: &Arc<Self>,
        account: AccountId,
        ids: Vec<i64>,
        verdict: Verdict,
        actor: String,
    ) -> Result<Decided> {
        let app = Arc::clone(self);
        let now = self.clock.now();
        let decide = async move |tx: &Tx<'_>| decide_all(tx, &app, account, &ids, verdict, &actor, now).await;
        self.store.money.write(decide).await?.ok_or(Error::NotFound("commission"))
    }

    /// Moves approved amounts whose hold is over from `held` to `payable`, of one account or of all; gives how many.
    pub async fn fall_due(self: &Arc<Self>, account: Option<AccountId>) -> Result<usize> {
        self.fall_due_batches(account, usize::MAX).await
    }

    /// The same before a read, which waits for no more than [`READ_BATCHES_MAX`] of them: the others follow on their own.
    pub(crate) async fn fall_due_to_read(self: &Arc<Self>, account: AccountId) -> Result<usize> {
        self.fall_due_batches(Some(account), READ_BATCHES_MAX).await
    }

    async fn fall_due_batches(self: &Arc<Self>, account: Option<AccountId>, batches_max: usize) -> Result<usize> {
        let account_id = account.map(|account| account.0);
        let now = self.clock.now();
        let mut moved = 0;
        for _ in 0..batches_max {
            if !self.store.money.read(async move |tx| any_fall_due(tx, account_id, now.0).await).await? {
                break;
            }
            let app = Arc::clone(self);
            moved += self.store.money.write(async move |tx| fall_due(tx, &app, account_id, now).await).await?;
        }
        Ok(moved)
    }
}

/// `None` where the account has none of them.
async fn decide_all(
    tx: &Tx<'_>,
    app: &App,
    account: AccountId,
    ids: &[i64],
    verdict: Verdict,
    actor: &str,
    now: Instant,
) -> StoreResult<Option<Decided>> {
    let wanted: BTreeSet<i64> = ids.iter().copied().collect();
    let numbers: Vec<_> = wanted.iter().map(|id| Number { id: *id }).collect();
    lock_owners(tx, account, &numbers).await?;
    let rows = commissions_lock(tx, account.0, &numbers).await?;
    if !rows.iter().any(|row| wanted.contains(&row.id)) {
        return Ok(None);
    }
    let (mut puts, mut bookings, mut deeds, mut done, mut failed) = (vec![], vec![], vec![], vec![], vec![]);
    for id in wanted {
        let Some(row) = rows.iter().find(|row| row.id == id) else {
            let message = "No commission has this id.".to_owned();
            failed.push(Undecided { id, code: "commission_not_found", message });
            continue;
        };
        match decide(row, verdict, now) {
            Ok(None) => done.push(id),
            Ok(Some((put, booking))) => {
                deeds.push(AuditRow {
                    id: app.next_id(now),
                    account_id: account.0,
                    at: now.0,
                    actor: actor.to_owned(),
                    action: format!("commission.{}", put.status),
                    object: format!("commission:{id}"),
                    detail: "{}".into(),
                });
                puts.push(put);
                bookings.push(booking);
                done.push(id);
            }
            Err((code, message)) => failed.push(Undecided { id, code, message }),
        }
    }
    commissions_decide(tx, account.0, now.0, &puts).await?;
    book(tx, app, &bookings, now).await?;
    audit_insert(tx, &deeds).await?;
    let done: Vec<_> = done.into_iter().map(|id| Number { id }).collect();
    Ok(Some(Decided { done: commissions_by_id(tx, account.0, &done).await?, failed }))
}

/// A settlement reads how much of a cell was denied under the lock of whoever's cell it is, and takes back as much less: who
/// decides holds that lock too. Its places are those of a settlement: programs, persons, and then postings.
async fn lock_owners(tx: &Tx<'_>, account: AccountId, commissions: &[Number]) -> StoreResult<()> {
    let mut locked = BTreeSet::new();
    // Persons may be merged while their locks are waited for: then the cells are another's.
    loop {
        let mut open: BTreeSet<i64> = commission_owners(tx, account.0, commissions).await?.into_iter().collect();
        open.retain(|owner| locked.insert(*owner));
        if open.is_empty() {
            return Ok(());
        }
        let programs = open.iter().rev().filter(|owner| **owner < 0).map(|owner| Number { id: -owner });
        programs_lock(tx, &programs.collect::<Vec<_>>()).await?;
        let persons = open.iter().filter(|owner| **owner >= 0).map(|owner| Number { id: *owner });
        persons_lock(tx, &persons.collect::<Vec<_>>()).await?;
    }
}

type Refusal = (&'static str, String);

/// The move of one locked row; `None` where there is nothing to do.
fn decide(row: &LifeRow, verdict: Verdict, now: Instant) -> Result<Option<(LifePut, Booking)>, Refusal> {
    if row.status == verdict.status() {
        return Ok(None);
    }
    let is_due = row.payable_at <= now.0;
    let act = match verdict {
        // What was denied is not owed; taking it back would take what the payee never had.
        Verdict::Approve if row.amount < 0 && row.corrects_denied => {
            let message = "It takes back a commission that was denied: deny it too.";
            return Err(("corrects_denied", message.into()));
        }
        Verdict::Approve => Act::Approve { due: is_due },
        // What took it back stands: with it denied as well, the payee would owe what it never had.
        Verdict::Deny if row.is_taken_back => {
            let message = "A posting that takes it back was approved: approve it too.";
            return Err(("taken_back", message.into()));
        }
        Verdict::Deny => Act::Deny,
    };
    let not_pending = || ("commission_not_pending", format!("A commission that is {} cannot be changed.", row.status));
    let stage = Stage::of(&row.status, row.is_due).ok_or_else(not_pending)?;
    let (next, accounts) = stage.after(act).map_err(|_| not_pending())?;
    let accounts = accounts.expect("both verdicts move the amount");
    let due_at = (next == Stage::Payable).then_some(now.0);
    let put = LifePut { id: row.id, was: row.status.clone(), status: next.status().into(), due_at };
    let booking = Booking {
        account_id: row.account_id,
        program_id: row.program_id,
        unit: row.unit.clone(),
        transfer: Transfer::between(payee(row.partner_id, row.customer_id), accounts, Decimal(row.amount)),
        commission: Some(row.id),
        payout: None,
    };
    Ok(Some((put, booking)))
}

/// A commission is a partner's, or a customer's.
fn payee(partner: Option<i64>, customer: Option<i64>) -> Owner {
    match (partner, customer) {
        (Some(partner), _) => Owner::Partner(PartnerId(partner)),
        (None, Some(customer)) => Owner::Customer(CustomerId(customer)),
        (None, None) => Owner::Program,
    }
}

async fn fall_due(tx: &Tx<'_>, app: &App, account_id: Option<i64>, now: Instant) -> StoreResult<usize> {
    let mut fallen = commissions_fall_due(tx, account_id, now.0, FALL_DUE_BATCH).await?;
    fallen.sort_by_key(|row| row.id);
    let bookings: Vec<_> = fallen
        .iter()
        .map(|row| {
            let payee = payee(row.partner_id, row.customer_id);
            let accounts = (AccountName::Held, AccountName::Payable);
            Booking {
                account_id: row.account_id,
                program_id: row.program_id,
                unit: row.unit.clone(),
                transfer: Transfer::between(payee, accounts, Decimal(row.amount)),
                commission: Some(row.id),
                payout: None,
            }
        })
        .collect();
    book(tx, app, &bookings, now).await?;
    Ok(fallen.len())
}

/// Holds end on time, whether or not somebody looks.
pub(crate) async fn fall_due_every_second(app: Weak<App>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else { return };
        if let Err(error) = app.fall_due(None).await {
            tracing::warn!(%error, "approved amounts could not be made payable");
        }
    }
}
