//! What can be asked of one commission that is locked: approve, deny, fulfil, take back a fulfilment, take out of sight.
//!
//! Each gives whether anything moved: what stands as asked is no error, so a retry is safe. Leaves writing to
//! `ledger::moves`, which this only fills.

use super::Verdict;
use crate::announce::Told;
use crate::ledger::moves::{Moves, Refusal, not_found, refusal};
use headwater_domain::ledger::{Act, Owner, Stage};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::payout::{PayoutOrigin, PayoutSettings, PayoutStatus, payee};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::commission::LifeRow;
use headwater_store::payout::partner_payout;
use serde_json::json;
use std::collections::BTreeMap;

/// Whether what was decided once can be decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finality {
    /// Only what is pending is decided.
    Final,
    /// What was denied can be approved, and what was approved denied, while nothing of it was paid.
    Revisable,
}

/// What is done to one commission together with another, found to be allowed.
struct Step {
    row: LifeRow,
    stage: Stage,
    act: Act,
}

impl Moves<'_> {
    fn seen(&self, id: i64) -> Result<LifeRow, Refusal> {
        self.commission(id).filter(|row| !row.is_hidden).cloned().ok_or_else(not_found)
    }

    /// Approves or denies.
    pub(crate) fn decide(
        &mut self,
        id: i64,
        verdict: Verdict,
        finality: Finality,
        now: Instant,
    ) -> Result<bool, Refusal> {
        let row = if finality == Finality::Final {
            self.commission(id).cloned().ok_or_else(not_found)?
        } else {
            self.seen(id)?
        };
        let stage = self.stage(id)?;
        let stands = match finality {
            Finality::Final => stage.status(),
            Finality::Revisable => stage.decision(),
        };
        if stands == verdict.status() {
            return Ok(false);
        }
        let due = row.payable_at <= now.0;
        let is_final = finality == Finality::Final && stage != Stage::Pending;
        let with = if is_final { Vec::new() } else { self.decided_with(&row, verdict, now)? };
        let act = match (verdict, stage, finality) {
            (Verdict::Approve, Stage::Pending, _) => Act::Approve { due },
            (Verdict::Deny, Stage::Pending, _) => Act::Deny,
            (Verdict::Approve, Stage::Denied, Finality::Revisable) => Act::Reconsider { due },
            (Verdict::Deny, _, Finality::Revisable) => {
                self.release(&row)?;
                Act::Withdraw
            }
            _ => {
                let message = format!("A commission that is {} cannot be changed.", row.status);
                return Err(refusal("commission_not_pending", message));
            }
        };
        self.decide_one(&row, stage, act)?;
        self.decide_all(with)?;
        Ok(true)
    }

    /// What takes a part of it back goes the same way: denied with it, nothing is owed; approved with it, the rest is. Refuses
    /// before anything moved, since what was refused is written with the rest of its transaction.
    fn decided_with(&self, row: &LifeRow, verdict: Verdict, now: Instant) -> Result<Vec<Step>, Refusal> {
        let mut steps = Vec::new();
        for id in self.may_be_decided(row, verdict)? {
            let row = self.commission(id).cloned().ok_or_else(not_found)?;
            let stage = self.stage(id)?;
            let act = match verdict {
                _ if stage.decision() == verdict.status() => continue,
                Verdict::Approve => Act::Reconsider { due: row.payable_at <= now.0 },
                Verdict::Deny => Act::Deny,
            };
            stage.after(act).map_err(|error| refusal("not_allowed", error.to_string()))?;
            steps.push(Step { row, stage, act });
        }
        Ok(steps)
    }

    fn decide_all(&mut self, steps: Vec<Step>) -> Result<(), Refusal> {
        steps.into_iter().try_for_each(|step| self.decide_one(&step.row, step.stage, step.act))
    }

    fn decide_one(&mut self, row: &LifeRow, stage: Stage, act: Act) -> Result<(), Refusal> {
        self.act(row.id, act)?;
        let next = self.stage(row.id)?;
        self.deed("commission", row.id, next.status(), &json!({}));
        // What was deleted was told to be gone, and stays out of sight.
        if !row.is_hidden {
            self.tell(Told::commission_decided(row.account_id, row.program_id, row.id, stage, next));
        }
        self.reward(row.id)
    }

    /// An approved reward has a payout of its own at once.
    pub(crate) fn reward(&mut self, id: i64) -> Result<(), Refusal> {
        let row = self.commission(id).cloned().ok_or_else(not_found)?;
        let is_approved = matches!(self.stage(id)?, Stage::Held | Stage::Payable);
        if is_approved && !Unit::is_money_name(&row.unit) && row.payout_id.is_none() {
            self.issue(&[id], PayoutOrigin::Reward, &PayoutSettings::default(), Instant(row.payable_at))?;
        }
        Ok(())
    }

    /// Cancels the payout that a commission waits in; refused where it is under way or over.
    fn release(&mut self, row: &LifeRow) -> Result<(), Refusal> {
        let Some(payout) = row.payout_id else { return Ok(()) };
        // Read before the lock, it may have been taken by another payout meanwhile.
        let status = self.payout(payout).map_or("elsewhere", |payout| payout.status.as_str());
        if status != PayoutStatus::Pending.name() {
            return Err(refusal("in_payout", format!("its payout {payout} is {status}")));
        }
        self.payout_move(payout, PayoutStatus::Cancelled, None).map(|_| ())
    }

    /// The receiver of a reward has it.
    pub(crate) fn fulfil(&mut self, id: i64) -> Result<bool, Refusal> {
        let row = self.reward_of(id)?;
        match (self.stage(id)?, row.payout_id) {
            (Stage::Fulfilled { .. }, _) => Ok(false),
            (Stage::Held | Stage::Payable, Some(payout)) => {
                let moved = self.payout_move(payout, PayoutStatus::Completed, None)?;
                self.deed("commission", id, "fulfilled", &json!({"payout": payout}));
                Ok(moved)
            }
            (Stage::Held | Stage::Payable, None) => Err(refusal("no_payout", "no payout: generate one")),
            _ => Err(refusal("not_approved", "not approved")),
        }
    }

    /// The receiver of a reward has it not after all.
    pub(crate) fn unfulfil(&mut self, id: i64) -> Result<bool, Refusal> {
        let row = self.reward_of(id)?;
        match (self.stage(id)?, row.payout_id) {
            (Stage::Held | Stage::Payable, _) => Ok(false),
            (Stage::Fulfilled { .. }, Some(payout)) => {
                let moved = self.payout_move(payout, PayoutStatus::Pending, None)?;
                self.deed("commission", id, "unfulfilled", &json!({"payout": payout}));
                Ok(moved)
            }
            _ => Err(refusal("not_approved", "not approved")),
        }
    }

    fn reward_of(&self, id: i64) -> Result<LifeRow, Refusal> {
        let row = self.seen(id)?;
        if Unit::is_money_name(&row.unit) {
            return Err(refusal("not_a_reward", "cash: pay its payout"));
        }
        Ok(row)
    }

    /// Denies what is not denied yet, and takes it out of sight.
    pub(crate) fn destroy(&mut self, id: i64, now: Instant) -> Result<bool, Refusal> {
        let row = self.commission(id).cloned().ok_or_else(not_found)?;
        if row.is_hidden {
            return Ok(false);
        }
        let stage = self.stage(id)?;
        match stage {
            Stage::Paid | Stage::Fulfilled { .. } => return Err(refusal("already_paid", "already paid")),
            Stage::Denied => {}
            Stage::Pending | Stage::Held | Stage::Payable | Stage::InPayout => {
                let with = self.decided_with(&row, Verdict::Deny, now)?;
                let act = if stage == Stage::Pending { Act::Deny } else { Act::Withdraw };
                self.release(&row)?;
                self.act(id, act)?;
                self.decide_all(with)?;
            }
        }
        self.hide(id)?;
        self.deed("commission", id, "deleted", &json!({"amount": Decimal(row.amount).to_string()}));
        self.tell(Told::commission_deleted(row.account_id, row.program_id, id));
        Ok(true)
    }

    /// Puts commissions into payouts: those of one payee, program and unit into one, each reward into one of its own.
    pub(crate) async fn generate_payouts(
        &mut self,
        tx: &Tx<'_>,
        ids: &[i64],
    ) -> StoreResult<Vec<(i64, Result<(), Refusal>)>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        let mut groups: BTreeMap<(i64, Owner, String), Vec<i64>> = BTreeMap::new();
        for id in ids {
            let row = match self.payable(*id) {
                Ok(row) => row,
                Err(refusal) => {
                    outcomes.push((*id, Err(refusal)));
                    continue;
                }
            };
            if Unit::is_money_name(&row.unit) {
                let owner = payee(row.partner_id, row.customer_id);
                groups.entry((row.program_id, owner, row.unit.clone())).or_default().push(*id);
            } else {
                outcomes.push((*id, self.reward(*id)));
            }
        }
        for ((_, owner, _), group) in groups {
            let done = self.generate_one(tx, owner, &group).await?;
            outcomes.extend(group.into_iter().map(|id| (id, done.clone())));
        }
        Ok(outcomes)
    }

    async fn generate_one(&mut self, tx: &Tx<'_>, owner: Owner, group: &[i64]) -> StoreResult<Result<(), Refusal>> {
        let rows: Vec<LifeRow> = group.iter().filter_map(|id| self.commission(*id).cloned()).collect();
        let sum: i128 = rows.iter().map(|row| i128::from(row.amount)).sum();
        if sum <= 0 {
            return Ok(Err(refusal("nothing_due", "nothing is due")));
        }
        let Some(first) = rows.first() else { return Ok(Ok(())) };
        let mut settings = PayoutSettings::default();
        if let Owner::Partner(partner) = owner {
            if self.is_suspended(first.account_id, partner) {
                return Ok(Err(refusal("partner_suspended", "the promoter is suspended")));
            }
            if let Some(text) = partner_payout(tx, first.account_id, partner.0).await? {
                let stored = serde_json::from_str(&text).ok().and_then(|value| PayoutSettings::from_json(&value).ok());
                settings = stored.ok_or_else(|| {
                    StoreError::Abandoned(format!("the stored payout setting of partner {partner} cannot be read"))
                })?;
            }
        }
        let until = rows.iter().map(|row| row.payable_at).max().unwrap_or_default();
        Ok(self.issue(group, PayoutOrigin::Picked, &settings, Instant(until)).map(|_| ()))
    }

    /// A commission that can be put into a payout now.
    fn payable(&self, id: i64) -> Result<LifeRow, Refusal> {
        let row = self.seen(id)?;
        let is_reward = !Unit::is_money_name(&row.unit);
        match self.stage(id)? {
            Stage::Held | Stage::Payable if row.payout_id.is_some() => Err(refusal("has_payout", "has a payout")),
            Stage::Payable => Ok(row),
            Stage::Held if is_reward => Ok(row),
            Stage::Held => Err(refusal("on_hold", format!("on hold until {}", Instant(row.payable_at).iso8601()))),
            Stage::InPayout | Stage::Paid | Stage::Fulfilled { .. } => Err(refusal("has_payout", "has a payout")),
            Stage::Pending | Stage::Denied => Err(refusal("not_approved", "not approved")),
        }
    }
}
