//! What a batch will touch of persons, as far as its commands tell before they are decided.
//!
//! Leaves to `window` what is read for it, and to `part` whether it came true. Invariant: whoever may change in another way than
//! by facts of its own is foreseen as whole.

use super::account::says_otherwise;
use super::revision::moment;
use super::view::View;
use super::{Command, Track, again};
use crate::ingest::{CustomerRecord, FactRecord, Field, Ingest, Record};
use headwater_domain::fact::{Fact, FactBody, MoneyKind, MoneyStatus};
use headwater_domain::ids::{CustomerId, FactId, PersonId, ProgramId};
use headwater_domain::source::Source;
use headwater_domain::time::Instant;
use headwater_store::backend::Result;
use headwater_store::ingest::NamedFactRow;
use headwater_store::person_state::FactRow;
use std::collections::{BTreeMap, BTreeSet};

const REGISTRATION: &str = "REGISTRATION";

/// How much may be left unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// What the plans allow.
    Parts,
    /// Nothing: what was foreseen did not come true.
    Whole,
}

/// What a batch will touch, as far as its commands tell before they are decided.
pub(super) struct Foreseen<'a> {
    pub commands: &'a [Command],
    /// The facts that are named, as they stand.
    pub facts: &'a [NamedFactRow],
    pub reading: Reading,
    pub now: Instant,
}

/// What is foreseen of persons.
#[derive(Default)]
pub(super) struct Touched {
    pub whole: BTreeSet<PersonId>,
    /// Each with the way by which it comes.
    pub facts: BTreeMap<PersonId, Vec<(Fact, Source)>>,
}

impl Foreseen<'_> {
    pub(super) fn touched(&self, view: &View) -> Result<Touched> {
        let mut touched = Touched::default();
        if self.reading == Reading::Whole {
            touched.whole = view.persons.keys().copied().collect();
            return Ok(touched);
        }
        for row in self.facts {
            let row = row_of(row);
            let body = FactBody::from_stored(&row.kind, &row.body);
            let body = body.ok_or_else(|| super::load::unreadable("fact", row.id))?;
            let fact = Fact {
                id: FactId(row.id),
                key: row.fact_key,
                revision: row.revision,
                customer: CustomerId(row.customer_id),
                at: Instant(row.at),
                body,
            };
            let source = Source::parse(&row.source).ok_or_else(|| super::load::unreadable("source of fact", row.id))?;
            touched.facts.entry(PersonId(row.person_id)).or_default().push((fact, source));
        }
        for command in self.commands {
            touched.whole.extend(again::persons(command).iter().map(|number| PersonId(number.id)));
            match command {
                Command::Track(track) => self.track(track, view, &mut touched),
                Command::Confirm { event, .. } => {
                    let person = view.events.get(event).and_then(|row| row.person_id);
                    touched.whole.extend(person.map(PersonId));
                }
                Command::Record(ingest) => self.ingest(ingest, view, &mut touched),
                Command::Reject { .. } | Command::Reprice { .. } => {}
            }
        }
        Ok(touched)
    }

    /// An event of a client that it neither binds nor registers is felt when it happened.
    fn track(&self, track: &Track, view: &View, touched: &mut Touched) {
        let named = |email: &String| view.person_by_email.get(&(track.program, email.clone()));
        let Some(person) = track.email_key.as_ref().and_then(named).and_then(|id| view.persons.get(id)) else { return };
        let at = track.occurred_at.unwrap_or(self.now);
        let has_all = person.customers.iter().all(|customer| person.bindings.contains_key(&customer.customer));
        let is_first = |registered_at: Instant| at < registered_at;
        if track.event_type == REGISTRATION
            || !person.unverified.is_empty()
            || (track.touch.is_some() && !has_all)
            || person.customers.iter().any(|customer| is_first(customer.registered_at))
        {
            touched.whole.insert(person.id);
            return;
        }
        let Some(customer) = person.customers.first().map(|customer| customer.customer) else { return };
        let fact =
            |body| (Fact { id: FactId(0), key: String::new(), revision: None, customer, at, body }, Source::Events);
        let facts = touched.facts.entry(person.id).or_default();
        facts.push(fact(FactBody::Event { event: track.event_type.clone(), amount: None, currency: None }));
        if let (Some((amount, _)), Some(currency)) = (&track.amount, track.currency) {
            let (kind, status) = (MoneyKind::Deposit, MoneyStatus::Approved);
            facts.push(fact(FactBody::Money { kind, amount: *amount, currency, status, payee: None }));
        }
    }

    fn ingest(&self, ingest: &Ingest, view: &View, touched: &mut Touched) {
        for record in &ingest.records {
            match record {
                Record::Customer(customer) => customer_changes(ingest.program, customer, view, touched),
                Record::Fact(fact) => self.fact(ingest, fact, view, touched),
            }
        }
    }

    fn fact(&self, ingest: &Ingest, record: &FactRecord, view: &View, touched: &mut Touched) {
        let Some(customer) = view.known.customers.get(&(ingest.program, record.customer.clone())) else { return };
        let Some(account) = view.known.accounts.get(customer) else { return };
        let fact = Fact {
            id: FactId(0),
            key: String::new(),
            revision: record.revision,
            customer: *customer,
            at: moment(record, None).unwrap_or(self.now),
            body: record.body.clone(),
        };
        touched.facts.entry(PersonId(account.person_id)).or_default().push((fact, ingest.source));
    }
}

/// Whoever's accounts change, or turns out to be somebody else, is read whole.
fn customer_changes(program: ProgramId, record: &CustomerRecord, view: &View, touched: &mut Touched) {
    let mut names = Vec::new();
    if let Field::Set(email) = &record.email {
        names.push(super::names::by_email(email));
    }
    names.extend(record.person.as_deref().map(super::names::by_person));
    let by_name = |name: String| view.person_by_email.get(&(program, name)).copied();
    let mut persons: BTreeSet<PersonId> = names.into_iter().filter_map(by_name).collect();
    let known = view.known.customers.get(&(program, record.customer.clone()));
    let account = known.and_then(|id| view.known.accounts.get(id));
    persons.extend(account.map(|account| PersonId(account.person_id)));
    let is_same = account.is_some_and(|account| {
        let person = view.persons.get(&PersonId(account.person_id));
        let is_bound = person.is_some_and(|person| person.bindings.contains_key(&CustomerId(account.id)));
        !says_otherwise(account, record) && (is_bound || !record.referrer.names_somebody())
    });
    if !is_same || persons.len() > 1 {
        touched.whole.extend(persons);
    }
}

/// The fact that a record names, as it is stored.
pub(super) fn row_of(named: &NamedFactRow) -> FactRow {
    FactRow {
        id: named.id,
        person_id: named.person_id,
        customer_id: named.customer_id,
        kind: named.kind.clone(),
        fact_key: named.fact_key.clone(),
        revision: named.revision,
        at: named.at,
        body: named.body.clone(),
        source: named.source.clone(),
    }
}
