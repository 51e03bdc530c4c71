//! Referrals that wait for somebody's decision: nothing that is earned of them approves itself.
//!
//! A referral waits while its state is `pending`, because it was bound by an advertisement's click of a program that looks at those first
//! (`click::token::Traffic`), or because a caller says so. One that is disabled while it waits goes on waiting. What is posted of it meanwhile
//! is pending, and where it would have been approved it keeps for whom it waits (`commission.waits_for`): it is approved in the
//! transaction that ends the waiting, whichever record does. Leaves decisions about single commissions to `commission`. Invariant: nothing
//! that waits is approved without a decision about it or about its referral.

use super::decide::Decision;
use super::view::{PersonRecord, View};
use crate::app::App;
use crate::commission::{Finality, Verdict};
use crate::ledger::moves::Moves;
use crate::referral::{DENIED, FRAUD_CHECK, PENDING, STATE};
use headwater_domain::click::token::Traffic;
use headwater_domain::commission::{Payee, Posting, Scope};
use headwater_domain::ids::{AccountId, CustomerId, PersonId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::commission::{WaitedFor, commissions_waiting};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a referral is suspected of that came by an advertisement.
const AD_SOURCE: &str = "ad_source";
/// Stands in the attributes of a referral that was disabled while it waited: it was never approved.
const WAITS: &str = "referral_waits";

/// Whether a referral with these attributes waits.
pub(super) fn waits(attributes: Option<&str>) -> bool {
    attributes.and_then(|text| serde_json::from_str(text).ok()).is_some_and(|attributes| is_waiting(&attributes))
}

fn is_waiting(attributes: &Map<String, Value>) -> bool {
    match attributes.get(STATE).and_then(Value::as_str) {
        Some(PENDING) => true,
        Some(DENIED) => attributes.contains_key(WAITS),
        _ => false,
    }
}

/// Who is disabled while it waits goes on waiting; whose state ends waits no more.
pub(super) fn keep_waiting(was_waiting: bool, attributes: &mut Map<String, Value>) {
    let is_denied = attributes.get(STATE).is_some_and(|state| state == DENIED);
    if was_waiting && is_denied {
        attributes.insert(WAITS.into(), true.into());
    } else {
        attributes.remove(WAITS);
    }
}

/// For which customer a posting waits, of those of the persons that it may be of.
pub(super) fn waits_for(posting: &Posting<'_>, persons: &[&PersonRecord]) -> Option<CustomerId> {
    if persons.iter().all(|person| person.waiting.is_empty()) {
        return None;
    }
    let of_fact = |person: &&PersonRecord| Some(person.facts[person.place_of(posting.fact)?].customer);
    let named = match (&posting.cell.payee, &posting.cell.scope) {
        (Payee::Customer(customer), _)
        | (_, Scope::Customer(customer) | Scope::CustomerPeriod(customer, _) | Scope::Event(customer, _)) => {
            Some(*customer)
        }
        (Payee::Partner(_), Scope::Period(_)) => persons.iter().find_map(of_fact),
        (Payee::Partner(_), Scope::Person(id)) => {
            // The cell of who turned out to be another one is of that one.
            let person = persons.iter().find(|person| person.id == *id).or(persons.first())?;
            // What another one's fact changes of it, or one that is gone, is of one of its accounts, and nothing tells of which.
            of_fact(person).or_else(|| person.waiting.first().copied())
        }
    };
    named.filter(|customer| persons.iter().any(|person| person.waiting.contains(customer)))
}

impl Decision<'_> {
    /// Whom an advertisement has just brought waits.
    pub(super) fn wait_if(&mut self, traffic: Traffic, person: PersonId, bound: &[CustomerId]) {
        if traffic == Traffic::Advertised {
            for customer in bound {
                self.wait(person, *customer, Some(&AD_SOURCE.into()));
            }
        }
    }

    /// Who is bound by what brought another account of the same person waits where that one does.
    pub(super) fn wait_like(&mut self, other: &Waiting, person: PersonId, customer: CustomerId) {
        if other.waits {
            self.wait(person, customer, other.fraud_check.as_ref());
        }
    }

    /// What an account has to hand on to one that is bound as it is.
    pub(super) fn waiting_of(&self, person: PersonId, customer: CustomerId) -> Waiting {
        let waits = self.view.persons.get(&person).is_some_and(|person| person.waiting.contains(&customer));
        let attributes = self.view.known.accounts.get(&customer).and_then(|account| account.attributes.as_deref());
        let attributes: Option<Value> = attributes.and_then(|text| serde_json::from_str(text).ok());
        let fraud_check = attributes.and_then(|attributes| attributes.get(FRAUD_CHECK).cloned());
        Waiting { waits, fraud_check }
    }

    /// What was of an account that turned out to be another one waits for that one.
    pub(super) fn waits_now(&self, customer: CustomerId) -> CustomerId {
        let absorbed = self.view.outcome.absorbed.iter().find(|absorbed| absorbed.from_id == customer.0);
        absorbed.map_or(customer, |absorbed| CustomerId(absorbed.into_id))
    }

    fn wait(&mut self, person: PersonId, customer: CustomerId, fraud_check: Option<&Value>) {
        let Some(record) = self.view.persons.get_mut(&person) else { return };
        record.waiting.insert(customer);
        self.view.freed.remove(&customer);
        let Some(account) = self.view.known.accounts.get_mut(&customer) else { return };
        let stored = account.attributes.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let mut attributes: Map<String, Value> = stored.unwrap_or_default();
        let is_denied = attributes.get(STATE).is_some_and(|state| state == DENIED);
        let (name, value) = if is_denied { (WAITS, Value::Bool(true)) } else { (STATE, PENDING.into()) };
        attributes.insert(name.into(), value);
        if let Some(check) = fraud_check {
            attributes.insert(FRAUD_CHECK.into(), check.clone());
        }
        account.attributes = Some(Value::Object(attributes).to_string());
        self.view.known.changed.insert(customer);
    }
}

/// Whether an account waits, and what it is suspected of.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    waits: bool,
    fraud_check: Option<Value>,
}

/// Approves what waited for referrals that wait no more, each as its own decision would: what cannot be decided stays, and somebody looks.
/// A program that approves nothing by itself now approves nothing of it either. To be written with [`Moves::write`].
pub(super) async fn released<'a>(tx: &Tx<'_>, app: &'a App, view: &View, now: Instant) -> Result<Vec<Moves<'a>>> {
    let of = |customer: &CustomerId| {
        let program = ProgramId(view.known.accounts.get(customer)?.program_id);
        let account_id = view.directory.program_of_any_account(program)?.account.0;
        Some(WaitedFor { account_id, customer_id: customer.0 })
    };
    let freed: Vec<WaitedFor> = view.freed.iter().filter_map(of).collect();
    let mut waiting: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (account, program, commission) in commissions_waiting(tx, &freed).await? {
        let program = view.directory.program(AccountId(account), ProgramId(program));
        if program.is_some_and(|program| program.settings.auto_approve != Some(false)) {
            waiting.entry(account).or_default().insert(commission);
        }
    }
    let mut released = Vec::with_capacity(waiting.len());
    for (account, ids) in waiting {
        let mut moves = Moves::new(app, None, now);
        moves.load_to_decide(tx, account, &ids, Verdict::Approve).await?;
        for id in moves.in_order_of(ids, Verdict::Approve) {
            if let Err((code, _)) = moves.decide(id, Verdict::Approve, Finality::Final, now) {
                tracing::info!(commission = id, code, "a commission stays pending, though its referral was approved");
            }
        }
        released.push(moves);
    }
    Ok(released)
}
