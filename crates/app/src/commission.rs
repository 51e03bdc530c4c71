//! Commissions: reading what was posted and why, deciding what waits, and the end of holds.
//!
//! Leaves which move is allowed to the domain (`ledger::Stage`), what can be asked of one to `acts`, and writing to
//! `ledger::moves`.

pub(crate) mod acts;
pub mod custom;
pub mod shown;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::book::{Booking, book};
use crate::ledger::moves::{Moves, numbers};
pub(crate) use acts::Finality;
use headwater_domain::ids::{AccountId, CommissionId};
use headwater_domain::ledger::{Act, Stage, Transfer};
use headwater_domain::money::Decimal;
use headwater_domain::payout::payee;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
pub use headwater_store::commission::{CommissionFilter, CommissionRow};
use headwater_store::commission::{
    any_fall_due, commission_by_id, commission_list, commissions_by_id, commissions_fall_due,
};
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
        let (decided, delivers) = self.store.money.write(decide).await?.ok_or(Error::NotFound("commission"))?;
        if delivers {
            self.outbox.ring();
        }
        Ok(decided)
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
) -> StoreResult<Option<(Decided, bool)>> {
    let wanted: BTreeSet<i64> = ids.iter().copied().collect();
    let mut moves = Moves::new(app, Some(actor), now);
    moves.load_to_decide(tx, account.0, &wanted, verdict).await?;
    if !wanted.iter().any(|id| moves.commission(*id).is_some()) {
        return Ok(None);
    }
    let (mut done, mut failed) = (vec![], vec![]);
    for id in moves.in_order_of(wanted, verdict) {
        match moves.decide(id, verdict, Finality::Final, now) {
            Ok(_) => done.push(id),
            Err((code, message)) => failed.push(Undecided { id, code, message }),
        }
    }
    failed.sort_by_key(|undecided| undecided.id);
    let delivers = moves.write(tx).await?;
    let done = commissions_by_id(tx, account.0, &numbers(done)).await?;
    Ok(Some((Decided { done, failed }, delivers)))
}

async fn fall_due(tx: &Tx<'_>, app: &App, account_id: Option<i64>, now: Instant) -> StoreResult<usize> {
    let mut fallen = commissions_fall_due(tx, account_id, now.0, FALL_DUE_BATCH).await?;
    fallen.sort_by_key(|row| row.id);
    let (_, accounts) = Stage::Held.after(Act::FallDue).map_err(|error| StoreError::Abandoned(error.to_string()))?;
    let accounts = accounts.ok_or(StoreError::Missing)?;
    let bookings: Vec<_> = fallen
        .iter()
        .map(|row| {
            let payee = payee(row.partner_id, row.customer_id);
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
