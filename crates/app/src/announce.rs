//! Announcements of the rewards dialect: what changed about a commission, a payout or another entity, as outbox rows with
//! the exact bytes to send, in the transaction of the change (`postbacks.md` §3).
//!
//! Costs nothing where no endpoint listens: entities are read only for those who want them. Leaves to others: the JSON of
//! an entity and of the envelope (`domain::postback`), and sending. Invariant: each name of a change is one delivery with an
//! event id of its own, which its retries keep.

use crate::app::App;
use crate::commission::shown::{commission_entity, reward_names};
use crate::directory::Directory;
use crate::ledger::moves::numbers;
use crate::payout::shown::payout_entity;
use headwater_domain::ids::{AccountId, DeliveryId, ProgramId};
use headwater_domain::ledger::Stage;
use headwater_domain::payout::PayoutStatus;
use headwater_domain::postback::delivery_public_id;
use headwater_domain::postback::entity::{CommissionEntity, PayoutEntity};
use headwater_domain::postback::envelope::{Change, fulfilment_pending, rewards_change};
use headwater_domain::postback::rewards_event;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::commission_shown::commissions_shown_by_id;
use headwater_store::delivery::{NewDelivery, deliveries_insert};
use headwater_store::payout::{PayoutNew, PayoutRow, payout_items, payouts_by_id};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Which entity, and where its data comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A commission, with this status in place of the one that it has at the end of the transaction.
    Commission(&'static str),
    /// A payout, likewise.
    Payout(&'static str),
    /// An approved reward with this payout, to those who answer whether they delivered it.
    Fulfilment(i64),
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
    pub names: Vec<(&'static str, Value)>,
}

impl Told {
    /// A commission was posted; it says `pending` whatever follows in the same transaction.
    pub(crate) fn commission_created(account_id: i64, program_id: i64, id: i64) -> Self {
        let names = vec![("created", json!({})), ("pending", json!({"status": [null, "pending"]}))];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission("pending"), id, names }
    }

    /// What was decided about a commission changed.
    pub(crate) fn commission_decided(account_id: i64, program_id: i64, id: i64, was: Stage, next: Stage) -> Self {
        let changes = json!({"status": [was.decision(), next.decision()]});
        let names = vec![("updated", changes.clone()), (next.decision(), changes)];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission(next.decision()), id, names }
    }

    /// A commission was taken out of sight.
    pub(crate) fn commission_deleted(account_id: i64, program_id: i64, id: i64) -> Self {
        let names = vec![("deleted", json!({}))];
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
        let names = vec![("updated", changes)];
        Self { account_id, program_id: Some(program_id), subject: Subject::Commission(status), id, names }
    }

    /// A payout was made of these commissions.
    pub(crate) fn payout_created(new: &PayoutNew, commissions: &[i64]) -> Self {
        let added = json!({"commission_ids": [[], commissions]});
        let names = vec![
            ("created", json!({})),
            ("pending", json!({"status": [null, "pending"]})),
            ("commissions.created", added.clone()),
            ("commissions.added", added),
        ];
        let subject = Subject::Payout(PayoutStatus::Pending.name());
        Self { account_id: new.account_id, program_id: Some(new.program_id), subject, id: new.id, names }
    }

    /// A reward is to be delivered: it was approved, and has this payout.
    pub(crate) fn fulfilment_pending(new: &PayoutNew, commission: i64) -> Self {
        let subject = Subject::Fulfilment(new.id);
        let names = vec![(rewards_event::FULFILMENT_PENDING, json!({}))];
        Self { account_id: new.account_id, program_id: Some(new.program_id), subject, id: commission, names }
    }

    /// Nobody confirmed that a reward was delivered, or somebody did after all.
    pub(crate) fn payout_issues(row: &PayoutRow) -> Self {
        let subject = Subject::Payout(PayoutStatus::parse(&row.status).unwrap_or(PayoutStatus::Pending).name());
        let names = vec![("updated", json!({"has_issues": [!row.has_issues, row.has_issues]}))];
        Self { account_id: row.account_id, program_id: Some(row.program_id), subject, id: row.id, names }
    }

    /// A payout moved.
    pub(crate) fn payout_moved(row: &PayoutRow, was: PayoutStatus, next: PayoutStatus, commissions: &[i64]) -> Self {
        let changes = json!({"status": [was.name(), next.name()]});
        let mut names = vec![("updated", changes.clone()), (next.name(), changes)];
        let (added, removed): (Value, Value) =
            (json!({"commission_ids": [[], commissions]}), json!({"commission_ids": [commissions, []]}));
        match (was.is_live(), next.is_live()) {
            (true, false) => {
                names.push(("commissions.deleted", removed.clone()));
                names.push(("commissions.removed", removed));
            }
            (false, true) => {
                names.push(("commissions.created", added.clone()));
                names.push(("commissions.added", added));
            }
            _ => {}
        }
        let subject = Subject::Payout(next.name());
        Self { account_id: row.account_id, program_id: Some(row.program_id), subject, id: row.id, names }
    }

    /// Something about another entity changed: its data as it is now, and under which names.
    pub(crate) fn other(
        account: AccountId,
        program: impl Into<Option<ProgramId>>,
        entity: &'static str,
        id: i64,
        data: Value,
        names: Vec<(&'static str, Value)>,
    ) -> Self {
        let program_id = program.into().map(|program| program.0);
        Self { account_id: account.0, program_id, subject: Subject::Other(entity, data), id, names }
    }

    /// A payout was taken out of sight.
    pub(crate) fn payout_deleted(row: &PayoutRow) -> Self {
        let subject = Subject::Payout(PayoutStatus::parse(&row.status).unwrap_or(PayoutStatus::Cancelled).name());
        let names = vec![("deleted", json!({}))];
        Self { account_id: row.account_id, program_id: Some(row.program_id), subject, id: row.id, names }
    }
}

/// Whether any webhook of the account hears of entities of this program.
pub fn listens(app: &App, account_id: i64, program_id: i64) -> bool {
    app.directory().has_webhooks(AccountId(account_id), ProgramId(program_id))
}

/// Writes one delivery for each name and each webhook that wants it; gives whether there is any.
pub async fn announce(tx: &Tx<'_>, app: &App, told: &[Told], now: Instant) -> Result<bool> {
    let directory = app.directory();
    let wanted: Vec<(&Told, Vec<Wanted>)> =
        told.iter().map(|told| (told, wanted(&directory, told))).filter(|(_, wanted)| !wanted.is_empty()).collect();
    let Some((first, _)) = wanted.first() else { return Ok(false) };
    let mut accounts: BTreeMap<i64, Entities> = BTreeMap::from([(first.account_id, Entities::default())]);
    for (told, _) in &wanted {
        let entities = accounts.entry(told.account_id).or_default();
        match told.subject {
            Subject::Commission(_) | Subject::Fulfilment(_) => entities.commission_ids.insert(told.id),
            Subject::Payout(_) => entities.payout_ids.insert(told.id),
            Subject::Other(..) => false,
        };
    }
    for (account_id, entities) in &mut accounts {
        entities.read(tx, &directory, AccountId(*account_id)).await?;
    }
    let mut deliveries = Vec::new();
    // Receivers order by the timestamp: what was told first of one transaction is a moment earlier.
    let mut timestamp = now;
    for (told, wanted) in wanted {
        let Some(data) = accounts.get(&told.account_id).and_then(|entities| entities.data(told)) else { continue };
        let data_json = data.to_string();
        for Wanted { endpoint, event_type, changes_json } in wanted {
            let id = DeliveryId(app.next_id(now));
            let delivery_id = delivery_public_id(id, now);
            let (body, payout_id) = if let Subject::Fulfilment(payout) = told.subject {
                (fulfilment_pending(&delivery_id, timestamp, &data_json), Some(payout))
            } else {
                let change = Change {
                    delivery_id: &delivery_id,
                    event_type: &event_type,
                    entity_id: told.id,
                    changes_json: &changes_json,
                    data_json: &data_json,
                    timestamp,
                };
                (rewards_change(change), None)
            };
            timestamp = Instant(timestamp.0.saturating_add(1));
            deliveries.push(NewDelivery {
                id: id.0,
                account_id: told.account_id,
                endpoint_id: endpoint,
                event_id: None,
                event_type,
                body,
                is_test: false,
                created_at: now.0,
                payout_id,
            });
        }
    }
    deliveries_insert(tx, &deliveries).await?;
    Ok(!deliveries.is_empty())
}

/// One message that a webhook wants.
struct Wanted {
    endpoint: i64,
    event_type: String,
    changes_json: String,
}

fn wanted(directory: &Directory, told: &Told) -> Vec<Wanted> {
    let account = AccountId(told.account_id);
    let entity = match told.subject {
        Subject::Commission(_) => "commission",
        Subject::Payout(_) => "payout",
        Subject::Fulfilment(_) => "",
        Subject::Other(entity, _) => entity,
    };
    let mut out = Vec::new();
    for (name, changes) in &told.names {
        let event_type = if entity.is_empty() { (*name).to_owned() } else { format!("{entity}.{name}") };
        let endpoints: Vec<i64> = match told.program_id {
            Some(program) => {
                directory.webhooks(account, ProgramId(program), &event_type).map(|endpoint| endpoint.id).collect()
            }
            None => directory.webhooks_of_account(account, &event_type).map(|endpoint| endpoint.id).collect(),
        };
        let changes_json = changes.to_string();
        out.extend(endpoints.into_iter().map(|endpoint| Wanted {
            endpoint,
            event_type: event_type.clone(),
            changes_json: changes_json.clone(),
        }));
    }
    out
}

/// What is told of, read once for all names and webhooks.
#[derive(Default)]
struct Entities {
    commission_ids: BTreeSet<i64>,
    payout_ids: BTreeSet<i64>,
    commissions: BTreeMap<i64, CommissionEntity>,
    payouts: BTreeMap<i64, PayoutEntity>,
}

impl Entities {
    async fn read(&mut self, tx: &Tx<'_>, directory: &Directory, account: AccountId) -> Result<()> {
        let ids = numbers(self.commission_ids.iter().copied());
        let rows = commissions_shown_by_id(tx, account.0, &ids).await?;
        let names = reward_names(tx, directory, &rows).await?;
        for row in rows {
            self.commissions.insert(row.id, commission_entity(directory, &names, &row));
        }
        let ids = numbers(self.payout_ids.iter().copied());
        let mut items: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (payout, commission) in payout_items(tx, account.0, &ids).await? {
            items.entry(payout).or_default().push(commission);
        }
        for row in payouts_by_id(tx, account.0, &ids).await? {
            let commissions = items.remove(&row.id).unwrap_or_default();
            self.payouts.insert(row.id, payout_entity(directory, &row, commissions));
        }
        Ok(())
    }

    /// The entity in the status that is told, which a later step of the transaction may have changed.
    fn data(&self, told: &Told) -> Option<Value> {
        let mut data = match &told.subject {
            Subject::Commission(_) => self.commissions.get(&told.id)?.to_json(),
            Subject::Payout(_) => self.payouts.get(&told.id)?.to_json(),
            Subject::Fulfilment(_) => self.commissions.get(&told.id)?.fulfilment_json(),
            Subject::Other(_, data) => data.clone(),
        };
        match &told.subject {
            Subject::Commission(status) if data["status"] != *status => {
                data["status"] = (*status).into();
                if *status == "pending" {
                    (data["status_updated_at"], data["payout_id"]) = (Value::Null, Value::Null);
                }
            }
            Subject::Payout(status) if data["status"] != *status => {
                data["status"] = (*status).into();
                if *status == "pending" {
                    (data["paid_at"], data["failed_at"], data["error"]) = (Value::Null, Value::Null, Value::Null);
                }
            }
            _ => {}
        }
        Some(data)
    }
}
