//! Payouts among the moves of a transaction: made, moved with their commissions, taken out of sight.
//!
//! Which move is allowed is the domain's (`payout::PayoutStatus`). Invariant: a payout and the commissions that it took move
//! together or not at all.

use super::{Moves, Refusal, not_found, refusal};
use crate::announce::Told;
use crate::ledger::book::Booking;
use headwater_domain::ledger::{AccountName, Act, Stage, Transfer};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::payout::{PayoutOrigin, PayoutSettings, PayoutStatus, payee};
use headwater_domain::time::Instant;
use headwater_store::commission::LifeRow;
use headwater_store::payout::{PayoutItem, PayoutNew, PayoutPut, PayoutRow};
use serde_json::json;

impl Moves<'_> {
    /// Makes one payout of these commissions, which have one payee, program and unit.
    pub(crate) fn issue(
        &mut self,
        ids: &[i64],
        origin: PayoutOrigin,
        settings: &PayoutSettings,
        until: Instant,
    ) -> Result<i64, Refusal> {
        let taken: Option<Vec<LifeRow>> = ids.iter().map(|id| self.commissions.get(id).cloned()).collect();
        let taken = taken.filter(|taken| !taken.is_empty()).ok_or_else(not_found)?;
        let sum = taken.iter().try_fold(Decimal::ZERO, |sum, row| sum.checked_add(Decimal(row.amount)));
        let amount = sum.ok_or_else(|| refusal("amount_too_large", "What is due leaves 64 bits."))?;
        let first = &taken[0];
        let is_money = Unit::is_money_name(&first.unit);
        if is_money {
            for id in ids {
                self.act(*id, Act::Take)?;
            }
        }
        let id = self.app.next_id(self.now);
        let new = PayoutNew {
            id,
            account_id: first.account_id,
            program_id: first.program_id,
            partner_id: first.partner_id,
            customer_id: if first.partner_id.is_some() { None } else { first.customer_id },
            promoter_id: first.promoter_id,
            unit: first.unit.clone(),
            amount: amount.0,
            commissions: i64::try_from(ids.len()).expect("a store holds fewer rows"),
            status: PayoutStatus::Pending.name().into(),
            origin: origin.name().into(),
            settings: settings.to_json().to_string(),
            period_start: taken.iter().map(|row| row.created_at).min().unwrap_or(until.0),
            until_at: until.0,
            created_at: self.now.0,
        };
        for commission in ids {
            self.new_items.push(PayoutItem { payout_id: id, commission_id: *commission });
            if let Some(row) = self.commissions.get_mut(commission) {
                row.payout_id = Some(id);
            }
        }
        self.items.insert(id, ids.to_vec());
        self.told.push(Told::payout_created(&new, ids));
        if !is_money {
            self.told.extend(ids.iter().map(|id| Told::fulfilment_pending(&new, *id)));
        }
        let row = payout_row(&new);
        self.deed("payout", id, &new.status, &row_detail(&row));
        self.payouts.insert(id, row);
        self.new.push(new);
        Ok(id)
    }

    /// Moves a payout with its commissions; `false` where it stands there already.
    pub(crate) fn payout_move(&mut self, id: i64, next: PayoutStatus, error: Option<&str>) -> Result<bool, Refusal> {
        let row =
            self.payouts.get(&id).cloned().ok_or_else(|| refusal("payout_not_found", "No payout has this id."))?;
        let was = PayoutStatus::parse(&row.status)
            .ok_or_else(|| refusal("payout_unreadable", format!("It has the unknown status {}.", row.status)))?;
        if was == next {
            return Ok(false);
        }
        if !was.may_become(next) {
            return Err(refusal(
                "payout_not_pending",
                format!("The payout is {}: that does not change any more.", row.status),
            ));
        }
        let commissions = self.commissions_of(id);
        let is_money = Unit::is_money_name(&row.unit);
        let act = was.act(next, is_money);
        let takes_again = next.is_live() && !was.is_live();
        for commission in &commissions {
            let stage = self.stage(*commission)?;
            let place = self.commissions.get(commission).and_then(|row| row.payout_id);
            let is_free = place.is_none() && matches!(stage, Stage::Held | Stage::Payable);
            let may = act.is_none_or(|act| stage.after(act).is_ok());
            if !may || (takes_again && !is_free) {
                return Err(refusal("commission_taken", format!("Its commission {commission} is elsewhere by now.")));
            }
        }
        if let Some(act) = act {
            for commission in &commissions {
                self.act(*commission, act)?;
            }
        }
        if takes_again || (was.is_live() && !next.is_live()) {
            self.claims.insert(id, takes_again);
            for commission in &commissions {
                if let Some(row) = self.commissions.get_mut(commission) {
                    row.payout_id = takes_again.then_some(id);
                }
            }
        }
        let accounts = match (is_money, act) {
            (true, Some(Act::Pay)) => Some((AccountName::Payable, AccountName::Paid)),
            (true, Some(Act::Unpay)) => Some((AccountName::Paid, AccountName::Payable)),
            _ => None,
        };
        if let Some(accounts) = accounts {
            self.bookings.push(Booking {
                account_id: row.account_id,
                program_id: row.program_id,
                unit: row.unit.clone(),
                transfer: Transfer::between(payee(row.partner_id, row.customer_id), accounts, Decimal(row.amount)),
                commission: None,
                payout: Some(id),
            });
        }
        self.payout_put(id, next, error);
        self.told.push(Told::payout_moved(&row, was, next, &commissions));
        let mut detail = row_detail(&row);
        detail["error"] = error.into();
        self.deed("payout", id, next.name(), &detail);
        Ok(true)
    }

    /// Takes a payout that is not under way out of sight; `false` where it was.
    pub(crate) fn payout_hide(&mut self, id: i64) -> Result<bool, Refusal> {
        let row = self.payouts.get(&id).ok_or_else(|| refusal("payout_not_found", "No payout has this id."))?;
        if row.is_hidden {
            return Ok(false);
        }
        let status = PayoutStatus::parse(&row.status);
        match status {
            Some(PayoutStatus::Pending) => {
                self.payout_move(id, PayoutStatus::Cancelled, None)?;
            }
            Some(PayoutStatus::Failed | PayoutStatus::Cancelled) => {}
            _ => return Err(refusal("payout_not_pending", format!("is {}", row.status))),
        }
        let row = self.payouts.get_mut(&id).expect("it was just found");
        row.is_hidden = true;
        let told = Told::payout_deleted(row);
        self.put_of(id).hidden_at = Some(self.now.0);
        self.told.push(told);
        self.deed("payout", id, "deleted", &json!({}));
        Ok(true)
    }

    fn put_of(&mut self, id: i64) -> &mut PayoutPut {
        let row = self.payouts.get(&id).expect("only payouts that were loaded are put");
        self.payout_puts.entry(id).or_insert_with(|| PayoutPut {
            account_id: row.account_id,
            id,
            was: row.status.clone(),
            status: row.status.clone(),
            error: row.error.clone(),
            processing_started_at: row.processing_started_at,
            paid_at: row.paid_at,
            failed_at: row.failed_at,
            finished_at: row.finished_at,
            hidden_at: None,
            has_issues: row.has_issues,
        })
    }

    /// Notes whether nobody confirmed that the reward of a pending payout was delivered; `false` where it says so already.
    pub(crate) fn payout_issues(&mut self, id: i64, has_issues: bool) -> bool {
        let is_pending = |row: &PayoutRow| row.status == PayoutStatus::Pending.name() && row.has_issues != has_issues;
        if !self.payouts.get(&id).is_some_and(is_pending) {
            return false;
        }
        self.put_of(id).has_issues = has_issues;
        let row = self.payouts.get_mut(&id).expect("it was just found");
        row.has_issues = has_issues;
        let told = Told::payout_issues(row);
        self.told.push(told);
        self.deed("payout", id, if has_issues { "unconfirmed" } else { "confirmed" }, &json!({}));
        true
    }

    fn payout_put(&mut self, id: i64, next: PayoutStatus, error: Option<&str>) {
        let now = Some(self.now.0);
        let put = self.put_of(id);
        next.name().clone_into(&mut put.status);
        // It is delivered, or does not have to be.
        put.has_issues = put.has_issues && next == PayoutStatus::Pending;
        match next {
            PayoutStatus::Pending => {
                (put.processing_started_at, put.paid_at, put.failed_at, put.finished_at) = (None, None, None, None);
                put.error = None;
            }
            PayoutStatus::Processing => put.processing_started_at = now,
            PayoutStatus::Completed => (put.paid_at, put.finished_at) = (now, now),
            PayoutStatus::Failed => {
                (put.failed_at, put.finished_at) = (now, now);
                put.error = error.map(str::to_owned);
            }
            PayoutStatus::Cancelled => put.finished_at = now,
        }
        let put = put.clone();
        let row = self.payouts.get_mut(&id).expect("only payouts that were loaded are put");
        row.status = put.status;
        row.error = put.error;
        row.processing_started_at = put.processing_started_at;
        row.paid_at = put.paid_at;
        row.failed_at = put.failed_at;
        row.finished_at = put.finished_at;
        row.has_issues = put.has_issues;
    }
}

fn row_detail(row: &PayoutRow) -> serde_json::Value {
    json!({"amount": Decimal(row.amount).to_string(), "unit": row.unit})
}

fn payout_row(new: &PayoutNew) -> PayoutRow {
    PayoutRow {
        id: new.id,
        account_id: new.account_id,
        program_id: new.program_id,
        partner_id: new.partner_id,
        customer_id: new.customer_id,
        promoter_id: new.promoter_id,
        unit: new.unit.clone(),
        amount: new.amount,
        commissions: new.commissions,
        status: new.status.clone(),
        origin: new.origin.clone(),
        settings: new.settings.clone(),
        period_start: new.period_start,
        until_at: new.until_at,
        error: None,
        payments_batch_id: None,
        created_at: new.created_at,
        processing_started_at: None,
        paid_at: None,
        failed_at: None,
        finished_at: None,
        is_hidden: false,
        has_issues: false,
    }
}
