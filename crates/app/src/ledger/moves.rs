//! What one transaction moves: commissions, the payouts that they are in, the ledger, the audit and the announcements,
//! gathered first and written together.
//!
//! Which move follows what is the domain's (`ledger::Stage`, `payout::PayoutStatus`); who asks for one is in `commission`,
//! `payout` and `settle`; how payouts move is in `payouts`. Invariants: a commission's status and the account that its amount is in change in one transaction;
//! an approved reward has a payout of its own; locks are taken in the order programs, persons, commissions, payouts, ledger
//! accounts.

mod payouts;

use super::book::{Booking, book};
use super::cells::Cells;
use crate::announce::{Told, announce};
use crate::app::App;
use crate::commission::Verdict;
use crate::payout::payments;
use headwater_domain::ids::{AccountId, PartnerId};
use headwater_domain::ledger::{Act, Stage, Transfer};
use headwater_domain::money::Decimal;
use headwater_domain::payout::{PayoutStatus, payee};
use headwater_domain::time::Instant;
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::{Error, Result as StoreResult, Tx};
use headwater_store::cell::{CellShare, cell_shares, cells_last};
use headwater_store::commission::{LifePut, LifeRow, commission_owners, commissions_lock, commissions_move};
use headwater_store::payout::{
    PayoutItem, PayoutNew, PayoutPut, PayoutRow, payout_items, payout_items_beside, payout_items_live, payouts_insert,
    payouts_lock, payouts_move,
};
use headwater_store::payout_shown::{PayoutSent, payouts_send};
use headwater_store::settlement::{Number, persons_lock, programs_lock};
use std::collections::{BTreeMap, BTreeSet};

/// Why one of several was not moved: a stable code, and a sentence for the operator.
pub type Refusal = (&'static str, String);

/// A refusal.
pub(crate) fn refusal(code: &'static str, message: impl Into<String>) -> Refusal {
    (code, message.into())
}

/// The moves of one transaction.
pub(crate) struct Moves<'a> {
    app: &'a App,
    /// Who asks; `None`: nobody, it follows from a settlement, and is no deed.
    actor: Option<&'a str>,
    now: Instant,
    commissions: BTreeMap<i64, LifeRow>,
    payouts: BTreeMap<i64, PayoutRow>,
    items: BTreeMap<i64, Vec<i64>>,
    /// As they stand with what was moved so far.
    cells: Cells,
    puts: BTreeMap<i64, LifePut>,
    payout_puts: BTreeMap<i64, PayoutPut>,
    new: Vec<PayoutNew>,
    new_items: Vec<PayoutItem>,
    claims: BTreeMap<i64, bool>,
    payments: BTreeSet<i64>,
    bookings: Vec<Booking>,
    deeds: Vec<AuditRow>,
    told: Vec<Told>,
}

impl<'a> Moves<'a> {
    /// Nothing loaded and nothing moved.
    pub(crate) fn new(app: &'a App, actor: Option<&'a str>, now: Instant) -> Self {
        Self {
            app,
            actor,
            now,
            commissions: BTreeMap::new(),
            payouts: BTreeMap::new(),
            items: BTreeMap::new(),
            cells: Cells::default(),
            puts: BTreeMap::new(),
            payout_puts: BTreeMap::new(),
            new: Vec::new(),
            new_items: Vec::new(),
            claims: BTreeMap::new(),
            payments: BTreeSet::new(),
            bookings: Vec::new(),
            deeds: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Locks commissions of the account that are to be decided so, after whoever's cells they are in, as [`Self::load`] does,
    /// with those that may have to be decided together with them.
    pub(crate) async fn load_to_decide(
        &mut self,
        tx: &Tx<'_>,
        account_id: i64,
        ids: &BTreeSet<i64>,
        verdict: Verdict,
    ) -> StoreResult<()> {
        let commissions = numbers(ids.iter().copied());
        lock_owners(tx, account_id, &commissions).await?;
        let last = cells_last(tx, account_id, &commissions, verdict == Verdict::Deny).await?;
        let shares = cell_shares(tx, &last).await?;
        let takes_back_in = match verdict {
            Verdict::Approve => Stage::Denied,
            Verdict::Deny => Stage::Pending,
        };
        let follows = |share: &&CellShare| share.amount < 0 && share.status == takes_back_in.status();
        let with = shares.iter().filter(follows).map(|share| share.id);
        let all = ids.iter().copied().chain(with).collect();
        self.cells = Cells::of(shares)?;
        self.load(tx, account_id, &all).await
    }

    /// Locks commissions of the account, and the payouts that they are in with all that those took.
    pub(crate) async fn load(&mut self, tx: &Tx<'_>, account_id: i64, ids: &BTreeSet<i64>) -> StoreResult<()> {
        let beside = payout_items_beside(tx, account_id, &numbers(ids.iter().copied())).await?;
        let all: BTreeSet<i64> = ids.iter().copied().chain(beside.iter().map(|(_, commission)| *commission)).collect();
        self.lock(tx, account_id, &all).await
    }

    /// Locks payouts of the account with all that they took.
    pub(crate) async fn load_payouts(&mut self, tx: &Tx<'_>, account_id: i64, ids: &BTreeSet<i64>) -> StoreResult<()> {
        let items = payout_items(tx, account_id, &numbers(ids.iter().copied())).await?;
        let commissions: BTreeSet<i64> = items.iter().map(|(_, commission)| *commission).collect();
        self.lock(tx, account_id, &commissions).await?;
        self.lock_payouts(tx, account_id, ids).await
    }

    async fn lock(&mut self, tx: &Tx<'_>, account_id: i64, commissions: &BTreeSet<i64>) -> StoreResult<()> {
        let rows = commissions_lock(tx, account_id, &numbers(commissions.iter().copied())).await?;
        let payouts: BTreeSet<i64> = rows.iter().filter_map(|row| row.payout_id).collect();
        self.commissions.extend(rows.into_iter().map(|row| (row.id, row)));
        self.lock_payouts(tx, account_id, &payouts).await
    }

    async fn lock_payouts(&mut self, tx: &Tx<'_>, account_id: i64, ids: &BTreeSet<i64>) -> StoreResult<()> {
        let ids = numbers(ids.iter().copied().filter(|id| !self.payouts.contains_key(id)));
        for row in payouts_lock(tx, account_id, &ids).await? {
            self.payouts.insert(row.id, row);
        }
        for (payout, commission) in payout_items(tx, account_id, &ids).await? {
            self.items.entry(payout).or_default().push(commission);
        }
        Ok(())
    }

    /// Takes in a commission that this transaction has just posted.
    pub(crate) fn posted(&mut self, row: LifeRow) {
        self.commissions.insert(row.id, row);
    }

    /// A commission that was loaded, as it stands now.
    pub(crate) fn commission(&self, id: i64) -> Option<&LifeRow> {
        self.commissions.get(&id)
    }

    /// A payout that was loaded or made, as it stands now.
    pub(crate) fn payout(&self, id: i64) -> Option<&PayoutRow> {
        self.payouts.get(&id)
    }

    /// What a payout that was loaded took.
    pub(crate) fn commissions_of(&self, payout: i64) -> Vec<i64> {
        self.items.get(&payout).cloned().unwrap_or_default()
    }

    /// Where a commission stands.
    pub(crate) fn stage(&self, id: i64) -> Result<Stage, Refusal> {
        let row = self.commission(id).ok_or_else(not_found)?;
        Stage::of(&row.status, row.due_at.is_some())
            .ok_or_else(|| refusal("commission_unreadable", format!("It has the unknown status {}.", row.status)))
    }

    /// Whether it leaves no debt that the facts know nothing of when this commission is decided so; gives what is decided
    /// together with it.
    pub(crate) fn may_be_decided(&self, row: &LifeRow, verdict: Verdict) -> Result<Vec<i64>, Refusal> {
        self.cells.may_be_decided(row, verdict)
    }

    /// These commissions in the order in which they are decided: what takes back is denied before what it took back, and
    /// approved after it, so that of a call that names both the first makes way for the second.
    pub(crate) fn in_order_of(&self, ids: impl IntoIterator<Item = i64>, verdict: Verdict) -> Vec<i64> {
        let mut ids: Vec<i64> = ids.into_iter().collect();
        let takes_back = |id: &i64| self.commission(*id).is_some_and(|row| row.amount < 0);
        ids.sort_by_key(|id| takes_back(id) != (verdict == Verdict::Deny));
        ids
    }

    /// Whether a partner is suspended now.
    pub(crate) fn is_suspended(&self, account_id: i64, partner: PartnerId) -> bool {
        let directory = self.app.directory();
        let partner = directory.partner_by_id(AccountId(account_id), partner);
        partner.is_none_or(|partner| partner.is_suspended_at(self.now))
    }

    /// Says what is announced with this transaction.
    pub(crate) fn tell(&mut self, told: Told) {
        self.told.push(told);
    }

    /// Payments stand where their payouts do when this is written, also where none of those moves.
    pub(crate) fn follow_payments(&mut self, id: i64) {
        self.payments.insert(id);
    }

    /// Moves one commission, and its amount with it.
    pub(crate) fn act(&mut self, id: i64, act: Act) -> Result<(), Refusal> {
        let stage = self.stage(id)?;
        let (next, accounts) = stage.after(act).map_err(|error| refusal("not_allowed", error.to_string()))?;
        let now = self.now;
        let row = self.commissions.get_mut(&id).ok_or_else(not_found)?;
        let was = row.status.clone();
        next.status().clone_into(&mut row.status);
        self.cells.decided(row, next);
        row.due_at = match next {
            Stage::Payable => row.due_at.or(Some(now.0)),
            Stage::Held | Stage::Pending | Stage::Denied => None,
            Stage::InPayout | Stage::Paid | Stage::Fulfilled { .. } => row.due_at,
        };
        let decides = matches!(act, Act::Approve { .. } | Act::Deny | Act::Withdraw | Act::Reconsider { .. });
        let put = self.puts.entry(id).or_insert_with(|| LifePut {
            account_id: row.account_id,
            id,
            was,
            status: String::new(),
            due_at: None,
            decided_at: None,
            hidden_at: None,
        });
        put.status.clone_from(&row.status);
        put.due_at = row.due_at;
        put.decided_at = if decides { Some(now.0) } else { put.decided_at };
        if let Some(accounts) = accounts {
            self.bookings.push(Booking {
                account_id: row.account_id,
                program_id: row.program_id,
                unit: row.unit.clone(),
                transfer: Transfer::between(payee(row.partner_id, row.customer_id), accounts, Decimal(row.amount)),
                commission: Some(id),
                payout: if matches!(act, Act::Fulfil | Act::Unfulfil) { row.payout_id } else { None },
            });
        }
        Ok(())
    }

    /// Takes a commission out of sight.
    pub(crate) fn hide(&mut self, id: i64) -> Result<(), Refusal> {
        let now = self.now.0;
        let row = self.commissions.get_mut(&id).ok_or_else(not_found)?;
        row.is_hidden = true;
        let put = self.puts.entry(id).or_insert_with(|| LifePut {
            account_id: row.account_id,
            id,
            was: row.status.clone(),
            status: row.status.clone(),
            due_at: row.due_at,
            decided_at: None,
            hidden_at: None,
        });
        put.hidden_at = Some(now);
        Ok(())
    }

    /// Notes who did what.
    pub(crate) fn deed(&mut self, noun: &str, id: i64, action: &str, detail: &serde_json::Value) {
        let Some(actor) = self.actor else { return };
        let account_id = self.commissions.values().map(|row| row.account_id).next();
        let account_id = account_id.or_else(|| self.payouts.values().map(|row| row.account_id).next());
        let Some(account_id) = account_id else { return };
        self.deeds.push(AuditRow {
            id: self.app.next_id(self.now),
            account_id,
            at: self.now.0,
            actor: actor.to_owned(),
            action: format!("{noun}.{action}"),
            object: format!("{noun}:{id}"),
            detail: detail.to_string(),
        });
    }

    /// Writes it all; gives whether there is something to deliver.
    pub(crate) async fn write(mut self, tx: &Tx<'_>) -> StoreResult<bool> {
        let puts: Vec<_> = self.puts.values().cloned().collect();
        commissions_move(tx, &puts).await?;
        self.write_claims(tx, false).await?;
        payouts_insert(tx, &self.new, &self.new_items).await?;
        let payout_puts: Vec<_> = self.payout_puts.values().cloned().collect();
        payouts_move(tx, &payout_puts).await?;
        self.write_claims(tx, true).await?;
        self.write_payments(tx).await?;
        let is_told = book(tx, self.app, &self.bookings, self.now).await?;
        audit_insert(tx, &self.deeds).await?;
        Ok(announce(tx, self.app, &self.told, self.now).await? || is_told)
    }
}

impl Moves<'_> {
    /// Claims on commissions that are given up, or taken again: of each account its own.
    async fn write_claims(&self, tx: &Tx<'_>, takes_again: bool) -> StoreResult<()> {
        let mut accounts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (id, _) in self.claims.iter().filter(|(_, again)| **again == takes_again) {
            if let Some(row) = self.payouts.get(id) {
                accounts.entry(row.account_id).or_default().push(*id);
            }
        }
        for (account, ids) in accounts {
            payout_items_live(tx, account, &numbers(ids), takes_again).await?;
        }
        Ok(())
    }

    /// Payments stand where their payouts do; one that can be sent again is in none.
    async fn write_payments(&mut self, tx: &Tx<'_>) -> StoreResult<()> {
        let sent = |id: &i64| self.payouts.get(id).filter(|row| row.payments_batch_id.is_some());
        let moved: Vec<&PayoutRow> = self.payout_puts.keys().filter_map(sent).collect();
        let again = |row: &&&PayoutRow| {
            let was = self.payout_puts.get(&row.id).map(|put| put.was.as_str());
            row.status == PayoutStatus::Cancelled.name()
                || (row.status == PayoutStatus::Pending.name() && was != Some(row.status.as_str()))
        };
        let sent = moved.iter().filter(again);
        let sent = sent.map(|row| PayoutSent {
            account_id: row.account_id,
            id: row.id,
            was: row.payments_batch_id,
            next: None,
            settings: None,
        });
        payouts_send(tx, &sent.collect::<Vec<_>>()).await?;
        let mut payments: BTreeSet<i64> = moved.iter().filter_map(|row| row.payments_batch_id).collect();
        payments.append(&mut self.payments);
        self.told.extend(payments::follow(tx, &payments, self.now).await?);
        Ok(())
    }
}

/// A settlement reads how much of a cell was denied under the lock of whoever's cell it is, and takes back as much less: who
/// decides holds that lock too.
async fn lock_owners(tx: &Tx<'_>, account_id: i64, commissions: &[Number]) -> StoreResult<()> {
    let mut locked = BTreeSet::new();
    // Persons may be merged while their locks are waited for: then the cells are another's.
    loop {
        let mut open: BTreeSet<i64> = commission_owners(tx, account_id, commissions).await?.into_iter().collect();
        open.retain(|owner| locked.insert(*owner));
        if open.is_empty() {
            return Ok(());
        }
        programs_lock(tx, &numbers(open.iter().rev().filter(|owner| **owner < 0).map(|owner| -owner))).await?;
        persons_lock(tx, &numbers(open.iter().copied().filter(|owner| *owner >= 0))).await?;
    }
}

/// No commission of this account has the number.
pub(crate) fn not_found() -> Refusal {
    refusal("commission_not_found", "No commission has this id.")
}

/// What makes an operation give its transaction up although it was allowed.
pub(crate) fn given_up((code, message): Refusal) -> Error {
    Error::Abandoned(format!("{code}: {message}"))
}

pub(crate) fn numbers(ids: impl IntoIterator<Item = i64>) -> Vec<Number> {
    ids.into_iter().map(|id| Number { id }).collect()
}
