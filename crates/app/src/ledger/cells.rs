//! Cells while commissions of them are decided: what was posted, how much of that is denied, and whether a decision leaves a
//! debt that no fact knows of.
//!
//! Reading and writing them is `store::cell`; this follows the decisions of one transaction, each of which is judged by what
//! the one before it left. Invariant: what stands of a cell (all that earns and was not denied, less all that takes back and
//! was approved) is never less than the facts say, or than nothing where they say more.

use super::moves::{Refusal, refusal};
use crate::commission::Verdict;
use headwater_domain::ledger::Stage;
use headwater_domain::money::Decimal;
use headwater_store::cell::CellStanding;
use headwater_store::commission::LifeRow;
use std::collections::BTreeMap;

/// The cells of a transaction, by whose they are and by name.
#[derive(Debug, Default)]
pub(super) struct Cells(BTreeMap<(i64, String), CellStanding>);

impl Cells {
    pub(super) fn of(rows: Vec<CellStanding>) -> Self {
        Self(rows.into_iter().map(|row| ((row.person_id, row.cell.clone()), row)).collect())
    }

    /// Whether the payee of a commission then owes nothing that it never had, and is owed nothing that the facts took back.
    pub(super) fn may_be_decided(&self, row: &LifeRow, verdict: Verdict) -> Result<(), Refusal> {
        let Some(cell) = self.0.get(&(row.person_id, row.cell.clone())) else { return Ok(()) };
        let (id, earns) = (row.id, row.amount > 0);
        // What it takes away from what stands: denied, what it earned; approved, what it takes back.
        let left = match verdict {
            Verdict::Deny if earns => standing(cell).saturating_sub(row.amount),
            Verdict::Approve if !earns => standing(cell).saturating_add(row.amount),
            Verdict::Approve if row.status == Stage::Denied.status() && cell.denied < row.amount => {
                return Err(refusal("given_up", "A posting that takes it back was denied with it."));
            }
            Verdict::Deny | Verdict::Approve => return Ok(()),
        };
        let debt = cell.posted.min(0).saturating_sub(left);
        if debt <= 0 {
            return Ok(());
        }
        let debt = format!("{} {}", Decimal(debt), row.unit);
        if !earns {
            return Err(refusal(
                "corrects_denied",
                format!(
                    "Commission {id} takes back {debt} more than is owed, because that was denied. Deny {id} too, or approve \
                     first what was denied."
                ),
            ));
        }
        let by = cell.taken_back_by.map_or_else(|| "a later one".to_owned(), |by| format!("commission {by}"));
        Err(refusal(
            "taken_back",
            format!(
                "Commission {id} and others of its client, rule and period were taken back by {by}, which was approved: with \
                 {id} denied, the payee would owe {debt} that it never had. Approve {id}, or deny {by} too."
            ),
        ))
    }

    /// A commission of it moved.
    pub(super) fn decided(&mut self, row: &LifeRow, was: Stage, next: Stage) {
        let Some(cell) = self.0.get_mut(&(row.person_id, row.cell.clone())) else { return };
        let amount_if = |is: bool| if is { row.amount } else { 0 };
        let denied = amount_if(next == Stage::Denied).saturating_sub(amount_if(was == Stage::Denied));
        cell.denied = cell.denied.saturating_add(denied);
        if row.amount < 0 {
            let waits = amount_if(next == Stage::Pending).saturating_sub(amount_if(was == Stage::Pending));
            cell.taken_back_pending = cell.taken_back_pending.saturating_add(waits);
            if next.decision() == "approved" {
                cell.taken_back_by = cell.taken_back_by.max(Some(row.id));
            }
        }
    }
}

/// What the payee can come to have of a cell.
fn standing(cell: &CellStanding) -> i64 {
    cell.posted.saturating_sub(cell.denied).saturating_sub(cell.taken_back_pending)
}
