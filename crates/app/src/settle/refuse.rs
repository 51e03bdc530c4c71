//! Which records are refused, and why; judged on what is stored and on the records before, before anything is done.
//!
//! Leaves what becomes of the others to `account` and `revision`.

use super::decide::Decision;
use super::names::{fact_key, other_names};
use super::revision::{data_of, moment};
use super::view::Named;
use crate::commission::custom::claimed_by_hand;
use crate::directory::Program;
use crate::ingest::{FactKey, FactRecord, Ingest, OnRepeat, Record, Rejection};
use headwater_domain::fact::{Fact, FactBody, MoneyStatus};
use std::collections::{BTreeMap, BTreeSet};

impl Decision<'_> {
    /// The refusal of each record, in their order.
    pub(super) fn refusals(&self, ingest: &Ingest, program: &Program) -> Vec<Option<Rejection>> {
        let arriving: BTreeSet<&str> = ingest.records.iter().filter_map(arriving).collect();
        let mut earlier: BTreeMap<Named, &FactRecord> = BTreeMap::new();
        let mut refusals = Vec::with_capacity(ingest.records.len());
        for record in &ingest.records {
            let Record::Fact(fact) = record else {
                refusals.push(None);
                continue;
            };
            let customer = (program.id, fact.customer.clone());
            let is_known =
                self.view.known.customers.contains_key(&customer) || arriving.contains(fact.customer.as_str());
            let refused = if is_known || program.settings.holds_unknown_customers {
                self.refusal_of(ingest, fact, &earlier)
            } else {
                Some(Rejection::UnknownCustomer)
            };
            if let (None, Some(name)) = (&refused, named(ingest, fact)) {
                earlier.insert(name, fact);
            }
            refusals.push(refused);
        }
        refusals
    }

    fn refusal_of(
        &self,
        ingest: &Ingest,
        record: &FactRecord,
        earlier: &BTreeMap<Named, &FactRecord>,
    ) -> Option<Rejection> {
        let Some(name) = named(ingest, record) else {
            return (record.key != FactKey::None).then_some(Rejection::Unusable("key"));
        };
        if record.on_repeat == OnRepeat::Replace {
            return None;
        }
        let by_hand = sale_reported_once_of(record).map(|key| (ingest.program, claimed_by_hand(key)));
        if by_hand.is_some_and(|claimed| self.view.given_by_hand.contains(&claimed)) {
            return Some(Rejection::Conflict);
        }
        let counts = |name: &Named| {
            let body = self.standing(name).map(|(fact, _)| &fact.body);
            body.is_some_and(|body| matches!(body, FactBody::Money { status, .. } if *status == MoneyStatus::Approved))
        };
        if other_names(ingest, record).iter().any(counts) {
            return Some(Rejection::Immutable("type"));
        }
        let (is_same_customer, body, at, is_same_data, revision) = if let Some(before) = earlier.get(&name) {
            let is_same_data = before.attributes == record.attributes;
            (before.customer == record.customer, &before.body, moment(before, None), is_same_data, before.revision)
        } else {
            let (fact, data) = self.last_of(&name, ingest, record)?;
            let customer = self.view.known.customers.get(&(ingest.program, record.customer.clone()));
            let is_same_data = data == data_of(record).as_deref();
            (customer == Some(&fact.customer), &fact.body, Some(fact.at), is_same_data, fact.revision)
        };
        if record.revision < revision {
            return None;
        }
        if record.on_repeat == OnRepeat::Transaction {
            return refusal_of_transaction(body, &record.body, is_same_customer);
        }
        let is_same_time = moment(record, at) == at;
        let is_equal = is_same_customer && *body == record.body && is_same_time && is_same_data;
        (!is_equal).then_some(Rejection::Conflict)
    }

    /// What was said last under the record's key: a transaction may have had another type then.
    fn last_of(&self, name: &Named, ingest: &Ingest, record: &FactRecord) -> Option<(&Fact, Option<&str>)> {
        let others = other_names(ingest, record);
        let standing = others.iter().chain(std::iter::once(name)).filter_map(|name| self.standing(name));
        standing.max_by_key(|(fact, _)| fact.id)
    }

    /// The standing fact of this name, and what its record says beside what is read.
    pub(super) fn standing(&self, name: &Named) -> Option<(&Fact, Option<&str>)> {
        let (person, id, data) = self.view.known.facts.get(name)?;
        let person = self.view.persons.get(person)?;
        Some((&person.facts[person.place_of(*id)?], data.as_deref()))
    }
}

fn arriving(record: &Record) -> Option<&str> {
    match record {
        Record::Customer(customer) => Some(&customer.customer),
        Record::Fact(_) => None,
    }
}

/// The caller's key of a sale of which a second report is refused: it is no other sale's, and no commission's by hand.
pub(super) fn sale_reported_once(record: &Record) -> Option<&str> {
    match record {
        Record::Fact(fact) => sale_reported_once_of(fact),
        Record::Customer(_) => None,
    }
}

fn sale_reported_once_of(fact: &FactRecord) -> Option<&str> {
    match (&fact.body, &fact.key, fact.on_repeat) {
        (FactBody::Sale { .. }, FactKey::Own(key), OnRepeat::Refuse) => Some(key),
        _ => None,
    }
}

/// The name that the fact has before it is numbered.
fn named(ingest: &Ingest, record: &FactRecord) -> Option<Named> {
    fact_key(record).map(|key| (ingest.program, ingest.source, record.body.type_name(), key))
}

/// pending → approved, rejected, cancelled; approved → reversed; what was approved stays what it was (`forex-api.md` §4).
fn refusal_of_transaction(before: &FactBody, after: &FactBody, is_same_customer: bool) -> Option<Rejection> {
    use MoneyStatus::{Approved, Cancelled, Pending, Rejected, Reversed};
    let (
        FactBody::Money { amount, currency, status: from, .. },
        FactBody::Money { amount: next_amount, currency: next_currency, status: to, .. },
    ) = (before, after)
    else {
        return None;
    };
    let is_allowed =
        from == to || matches!((from, to), (Pending, Approved | Rejected | Cancelled) | (Approved, Reversed));
    if !is_allowed {
        return Some(Rejection::StatusTransition(from.name(), to.name()));
    }
    if !matches!(from, Approved | Reversed) {
        return None;
    }
    let changes =
        [("customer", !is_same_customer), ("amount", amount != next_amount), ("currency", currency != next_currency)];
    changes.into_iter().find(|(_, changed)| *changed).map(|(field, _)| Rejection::Immutable(field))
}
