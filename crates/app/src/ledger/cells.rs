//! Cells while commissions of them are decided: each decision of a transaction is judged by what the one before it left.
//!
//! Reading them is `store::cell`; what a decision may be is the domain's (`ledger::Shares`), which this puts into words.
//! Whoever's cells they are is locked.

use super::moves::{Refusal, refusal};
use crate::commission::Verdict;
use headwater_domain::ids::CommissionId;
use headwater_domain::ledger::{Contradiction, Decided, Origin, Share, Shares, Stage};
use headwater_domain::money::Decimal;
use headwater_store::backend::{Error, Result as StoreResult};
use headwater_store::cell::CellShare;
use headwater_store::commission::LifeRow;
use std::collections::BTreeMap;

/// The cells of a transaction, by whose they are and by name.
#[derive(Debug, Default)]
pub(crate) struct Cells(BTreeMap<(i64, String), Shares>);

impl Cells {
    /// Reads the commissions of some cells.
    pub(crate) fn of(rows: Vec<CellShare>) -> StoreResult<Self> {
        let mut cells: BTreeMap<(i64, String), Shares> = BTreeMap::new();
        for row in rows {
            let share = share(&row).ok_or_else(|| Error::Abandoned(format!("commission {} cannot be read", row.id)))?;
            cells.entry((row.person_id, row.cell)).or_default().push(share);
        }
        Ok(Self(cells))
    }

    /// The same by their places.
    pub(crate) fn into_shares(self) -> impl Iterator<Item = ((i64, String), Shares)> {
        self.0.into_iter()
    }

    /// What is decided like this one together with it, where it may be decided so.
    pub(super) fn may_be_decided(&self, row: &LifeRow, verdict: Verdict) -> Result<Vec<i64>, Refusal> {
        let Some(cell) = self.0.get(&(row.person_id, row.cell.clone())) else { return Ok(Vec::new()) };
        let id = CommissionId(row.id);
        let judged = match verdict {
            Verdict::Deny => cell.deny(id),
            Verdict::Approve => cell.approve(id),
        };
        let judged = judged.map(|with| with.into_iter().map(|id| id.0).collect());
        judged.map_err(|contradiction| told(row, contradiction))
    }

    /// A commission of it moved.
    pub(super) fn decided(&mut self, row: &LifeRow, next: Stage) {
        if let Some(cell) = self.0.get_mut(&(row.person_id, row.cell.clone())) {
            cell.decide(CommissionId(row.id), next.decided());
        }
    }
}

fn share(row: &CellShare) -> Option<Share> {
    let decided = match row.status.as_str() {
        "pending" => Decided::Pending,
        "denied" => Decided::Denied,
        _ => Decided::Approved,
    };
    let origins = match (&row.origins, &row.key) {
        (Some(stored), _) => Origin::from_stored(stored)?,
        (None, Some(key)) => vec![Origin::of(key)],
        (None, None) => Vec::new(),
    };
    Some(Share { id: CommissionId(row.id), amount: Decimal(row.amount), decided, origins })
}

fn told(row: &LifeRow, contradiction: Contradiction) -> Refusal {
    let (id, unit) = (row.id, &row.unit);
    match contradiction {
        Contradiction::CorrectsDenied { debt } => refusal(
            "corrects_denied",
            format!(
                "Commission {id} takes back {debt} {unit} more than is owed, because that was denied. Deny {id} too, or approve \
                 first what was denied."
            ),
        ),
        Contradiction::TakenBack { by, debt } => {
            let by = by.map_or_else(|| "a later one".to_owned(), |by| format!("commission {by}"));
            refusal(
                "taken_back",
                format!(
                    "Commission {id}, alone or with others of its client, rule and period, was taken back by {by}, which was \
                     approved: with {id} denied, the payee would owe {debt} {unit} that it never had. Approve {id}, or deny {by} \
                     too."
                ),
            )
        }
        Contradiction::GivenUp => refusal(
            "given_up",
            format!("What commission {id} was for was taken back while it was denied: nothing of it is owed any more."),
        ),
    }
}
