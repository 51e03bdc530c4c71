//! A fact as its record says: new, or another revision of the one that stands under its key, perhaps of another customer.
//!
//! Leaves refusing to `refuse` and pricing to `record`. Invariant: a key has one standing fact, and all its revisions are
//! kept with the person whose it is now.

use super::decide::Decision;
use super::names::{fact_key, numbered_key, other_names};
use super::record::{Touched, nothing};
use super::view::{Arrival, Named};
use crate::directory::Program;
use crate::ingest::{FactRecord, Ingest, RecordStatus, Recorded, Rejection};
use headwater_domain::fact::{Fact, FactBody, MoneyStatus};
use headwater_domain::ids::{FactId, PersonId};
use headwater_domain::time::Instant;
use headwater_store::circle::PersonPaysTo;
use headwater_store::ingest::FactMove;
use headwater_store::outcome::{HeldMove, NewFact, SUPERSEDED_AT, Superseded};
use serde_json::Value;

impl Decision<'_> {
    /// Takes the record in.
    pub(super) fn record_fact(
        &mut self,
        ingest: &Ingest,
        program: &Program,
        record: &FactRecord,
        touched: &mut Touched,
    ) -> Recorded {
        let known = self.view.known.customers.get(&(program.id, record.customer.clone())).copied();
        let customer = known.or_else(|| self.placeholder(program, &record.customer));
        let account = customer.and_then(|customer| self.view.known.accounts.get(&customer));
        let Some((customer, account)) = customer.zip(account) else {
            return nothing(RecordStatus::Rejected(Rejection::UnknownCustomer));
        };
        let (person, is_placeholder) = (PersonId(account.person_id), account.is_placeholder);
        let id = FactId((self.next_id)());
        let key = fact_key(record).unwrap_or_else(|| numbered_key(id));
        let name = (ingest.program, ingest.source, record.body.type_name(), key.clone());
        let before = self.standing(&name).map(|(fact, data)| (fact.clone(), data.map(str::to_owned)));
        let at = moment(record, before.as_ref().map(|(fact, _)| fact.at)).unwrap_or(self.now);
        let data = data_of(record);
        let told = |status, fact| Recorded { status, warnings: Vec::new(), fact: Some(fact), customer: Some(customer) };
        let fact = Fact { id, key, revision: record.revision, customer, at, body: record.body.clone() };
        if let Some((standing, standing_data)) = &before {
            if record.revision < standing.revision {
                return told(RecordStatus::Stale, standing.id);
            }
            let same = Fact { id: standing.id, revision: standing.revision, ..fact.clone() };
            if same == *standing && *standing_data == data {
                // A greater revision of the same content is remembered: one between the two must not win later.
                if record.revision == standing.revision {
                    return told(RecordStatus::Unchanged, standing.id);
                }
                // Nothing is priced anew: what is held stays so, by its number now.
                let moves = &mut self.view.outcome.held_moves;
                // One statement moves them all: what moved earlier in the batch goes on from where it was stored.
                match moves.iter_mut().find(|earlier| earlier.to_id == standing.id.0) {
                    Some(earlier) => earlier.to_id = id.0,
                    None => moves.push(HeldMove { from_id: standing.id.0, to_id: id.0 }),
                }
                self.put_fact(ingest, name, person, fact, data, touched);
                return told(RecordStatus::Unchanged, id);
            }
        }
        let was_other = self.call_off(ingest, record, touched);
        // Its last revision has the greatest number, whatever it was before.
        let id = if was_other { FactId((self.next_id)()) } else { id };
        let fact = Fact { id, ..fact };
        self.put_fact(ingest, name, person, fact, data, touched);
        touched.entry(person).or_default().push(id);
        let status = match before {
            _ if is_placeholder => RecordStatus::Held,
            None if was_other => RecordStatus::Updated,
            None => RecordStatus::Created,
            Some(_) => RecordStatus::Updated,
        };
        told(status, id)
    }

    /// A transaction that comes again with another type is what it was no more; gives whether it was another.
    fn call_off(&mut self, ingest: &Ingest, record: &FactRecord, touched: &mut Touched) -> bool {
        let mut was_other = false;
        for name in other_names(ingest, record) {
            let Some((standing, data)) = self.standing(&name) else { continue };
            was_other = true;
            let (standing, data) = (standing.clone(), data.map(str::to_owned));
            let FactBody::Money { kind, amount, currency, status, payee } = standing.body else { continue };
            if status == MoneyStatus::Cancelled {
                continue;
            }
            let Some((person, ..)) = self.view.known.facts.get(&name) else { continue };
            let person = *person;
            let id = FactId((self.next_id)());
            let body = FactBody::Money { kind, amount, currency, status: MoneyStatus::Cancelled, payee };
            let fact = Fact { id, revision: record.revision.max(standing.revision), body, ..standing };
            self.put_fact(ingest, name, person, fact, data, touched);
            touched.entry(person).or_default().push(id);
        }
        was_other
    }

    /// The fact stands now; one that stood for another person leaves that one.
    fn put_fact(
        &mut self,
        ingest: &Ingest,
        name: Named,
        person: PersonId,
        fact: Fact,
        data: Option<String>,
        touched: &mut Touched,
    ) {
        let mut first = fact.id;
        let is_of_trading = fact.body.is_of_trading();
        if let Some((owner, standing, _)) = self.view.known.facts.get(&name).cloned() {
            if is_of_trading {
                self.supersede(standing);
            }
            if let Some(record) = self.view.persons.get_mut(&owner) {
                if let Some(place) = record.place_of(standing) {
                    record.facts.remove(place);
                }
                first = record.arrivals.remove(&standing).map_or(first, |arrival| arrival.first);
            }
            if owner != person {
                touched.entry(owner).or_default().push(fact.id);
                self.move_fact(FactMove {
                    program_id: name.0.0,
                    source: name.1.name().into(),
                    kind: name.2.into(),
                    fact_key: name.3.clone(),
                    person_id: person.0,
                });
            }
        }
        self.view.outcome.facts.push(NewFact {
            id: fact.id.0,
            account_id: ingest.account.0,
            program_id: ingest.program.0,
            person_id: person.0,
            customer_id: fact.customer.0,
            kind: fact.body.type_name().to_owned(),
            fact_key: fact.key.clone(),
            revision: fact.revision,
            at: fact.at.0,
            body: fact.body.to_stored(),
            source: ingest.source.name().into(),
            event_id: None,
            received_at: self.now.0,
            data: data.clone(),
            of_sale: match &fact.body {
                FactBody::Refund { sale, .. } => Some(sale.clone()),
                _ => None,
            },
            trading_at: is_of_trading.then_some(fact.at.0),
        });
        if let Some(payee) = fact.body.payee() {
            let (program_id, partner_id, person_id) = (ingest.program.0, payee.0, person.0);
            self.view.outcome.payees.push(PersonPaysTo { program_id, partner_id, person_id });
        }
        self.view.known.facts.insert(name, (person, fact.id, data));
        if let Some(record) = self.view.persons.get_mut(&person) {
            record.note_way(&fact.body, ingest.source);
            record.arrivals.insert(fact.id, Arrival { source: ingest.source, first });
            record.facts.push(fact);
        }
    }

    /// A revision that stood is not read among the days any more on which it did.
    fn supersede(&mut self, standing: FactId) {
        let fresh = self.view.outcome.facts.iter_mut().rev().find(|row| row.id == standing.0);
        match fresh {
            Some(row) => row.trading_at = Some(SUPERSEDED_AT),
            None => self.view.outcome.superseded.push(Superseded { id: standing.0 }),
        }
    }

    /// All revisions of a fact are another person's; what was decided last of them stands.
    pub(super) fn move_fact(&mut self, moved: FactMove) {
        let name =
            |moved: &FactMove| (moved.program_id, moved.source.clone(), moved.kind.clone(), moved.fact_key.clone());
        let all = &mut self.view.outcome.fact_moves;
        all.retain(|earlier| name(earlier) != name(&moved));
        all.push(moved);
    }
}

/// When the fact is, as its record says; else as the standing one does.
pub(super) fn moment(record: &FactRecord, standing: Option<Instant>) -> Option<Instant> {
    match &record.body {
        // Where a day begins is the plan's to say; this only orders days.
        FactBody::TradingDay(day) => Instant::parse(&format!("{}T00:00:00Z", day.date)).or(record.at),
        FactBody::Trade(trade) => Some(trade.closed_at.unwrap_or(trade.opened_at)),
        _ => record.at.or(standing),
    }
}

/// What the record says beside what is read, as it is stored.
pub(super) fn data_of(record: &FactRecord) -> Option<String> {
    (!record.attributes.is_empty()).then(|| Value::Object(record.attributes.clone()).to_string())
}
