//! Whether a command finds things as its sender saw them, before it chose what to record.
//!
//! Who asks first looks for a customer and records what follows from what was found. Between the two another command may
//! have made that customer, or given a sale back: then nothing is recorded, and the sender looks again. Invariant: judged
//! under the locks of everybody whom the records name, on what is stored and on the commands before.

use super::decide::Decision;
use super::names::{by_email, by_person};
use crate::ingest::{Field, Ingest, Record, Seen};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{CustomerId, FactId, PersonId};
use headwater_domain::source::Source;
use std::collections::BTreeSet;

impl Decision<'_> {
    pub(super) fn is_as_seen(&self, ingest: &Ingest) -> bool {
        match &ingest.seen {
            Seen::Anything => true,
            Seen::Nobody => self.named(ingest).is_empty(),
            Seen::NobodyBut(customer) => {
                let own = self.person_of_account(*customer);
                own.is_some_and(|own| self.named(ingest).into_iter().all(|person| person == own))
            }
            Seen::Customer(customer, external_id) => {
                let account = self.view.known.accounts.get(customer);
                account.is_some_and(|account| account.external_id == *external_id)
            }
            Seen::Sales(customer, last) => self.last_sale_or_refund(*customer) == *last,
        }
    }

    /// Persons who are brought by somebody and go by a name of these records.
    fn named(&self, ingest: &Ingest) -> BTreeSet<PersonId> {
        let mut found = BTreeSet::new();
        for record in &ingest.records {
            let Record::Customer(record) = record else { continue };
            let mut names: Vec<String> = record.person.as_deref().map(by_person).into_iter().collect();
            if let Field::Set(email) = &record.email {
                names.push(by_email(email));
            }
            let by_name = |name: String| self.view.person_by_email.get(&(ingest.program, name)).copied();
            found.extend(names.into_iter().filter_map(by_name).map(|person| self.view.known.standing(person)));
            let account = self.view.known.customers.get(&(ingest.program, record.customer.clone()));
            found.extend(account.and_then(|account| self.person_of_account(*account)));
        }
        found.retain(|person| self.is_brought(*person));
        found
    }

    fn person_of_account(&self, customer: CustomerId) -> Option<PersonId> {
        let account = self.view.known.accounts.get(&customer)?;
        Some(self.view.known.standing(PersonId(account.person_id)))
    }

    /// Whether a lookup finds the person: it has an account that is more than a name in facts, and is somebody's.
    fn is_brought(&self, person: PersonId) -> bool {
        let Some(record) = self.view.persons.get(&person) else { return false };
        let is_found =
            |customer: &CustomerId| record.bindings.contains_key(customer) && !record.placeholders.contains(customer);
        record.customers.iter().any(|view| is_found(&view.customer))
    }

    fn last_sale_or_refund(&self, customer: CustomerId) -> Option<FactId> {
        let record = self.view.persons.get(&self.person_of_account(customer)?)?;
        // What was brought along from another program is that program's.
        let is_moved = |fact: FactId| record.arrivals.get(&fact).is_some_and(|arrival| arrival.source == Source::Moved);
        let own = record.facts.iter().filter(|fact| {
            fact.customer == customer
                && !is_moved(fact.id)
                && matches!(fact.body, FactBody::Sale { .. } | FactBody::Refund { .. })
        });
        own.map(|fact| fact.id).max()
    }
}
