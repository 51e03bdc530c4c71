//! What a verified event says of its client: its type, when the client registered, and the facts that are priced.

use super::decide::Decision;
use super::load::unreadable;
use super::view::PersonRecord;
use crate::directory::Program;
use headwater_domain::event::{REFERRAL_INITIATED, repeats};
use headwater_domain::fact::{Fact, FactBody, MoneyKind, MoneyStatus};
use headwater_domain::ids::{FactId, PersonId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::source::Source;
use headwater_domain::time::Instant;
use headwater_store::backend::Result;
use headwater_store::outcome::{CustomerUpdate, NewFact, PersonUpdate};
use headwater_store::settlement::EventRow;

const REGISTRATION: &str = "REGISTRATION";
/// Before the number of an event without a caller's id; and before a caller's id that would look like one.
const EVENT_NUMBER_PREFIX: &str = "event:";
const CALLERS_PREFIX: &str = "key:";

impl Decision<'_> {
    /// Records the event's type, makes its facts and prices the person; gives whether it is a conversion.
    pub(super) fn settle_person(&mut self, person: PersonId, program: &Program, row: &EventRow) -> Result<bool> {
        let Some(mut record) = self.view.persons.remove(&person) else { return Ok(false) };
        let is_conversion = self.settle_record(&mut record, program, row);
        self.update_person(&record);
        self.view.persons.insert(person, record);
        is_conversion
    }

    fn settle_record(&mut self, person: &mut PersonRecord, program: &Program, row: &EventRow) -> Result<bool> {
        let moved = self.register(person, row);
        person.event_types.insert(row.kind.clone());
        if row.kind == REFERRAL_INITIATED || (row.is_duplicate && !repeats(&row.kind)) {
            if moved {
                self.price(person, program, row, &[])?;
            }
            return Ok(false);
        }
        let changed = self.record_facts(person, row)?;
        self.price(person, program, row, &changed)
    }

    /// A client registered when its earliest REGISTRATION happened; until one is known, the account that was made with the
    /// client did when its earliest event happened. What an account's own record says stands before both. So the order of arrival makes no difference. Gives whether a date moved.
    fn register(&mut self, person: &mut PersonRecord, row: &EventRow) -> bool {
        let occurred_at = Instant(row.occurred_at);
        let is_known = person.event_types.contains(REGISTRATION);
        let is_registration = row.kind == REGISTRATION;
        let mut moved = false;
        for customer in &mut person.customers {
            if person.registered.contains(&customer.customer) {
                continue;
            }
            let at = match (is_registration, is_known) {
                (true, false) => occurred_at,
                (true, true) => customer.registered_at.min(occurred_at),
                (false, false) if customer.customer.0 == person.id.0 => customer.registered_at.min(occurred_at),
                (false, _) => continue,
            };
            if at == customer.registered_at {
                continue;
            }
            moved = true;
            customer.registered_at = at;
            let updates = &mut self.view.outcome.customers;
            updates.retain(|update| update.id != customer.customer.0);
            updates.push(CustomerUpdate { id: customer.customer.0, registered_at: at.0 });
        }
        person.customers.sort_by_key(|customer| (customer.registered_at, customer.customer));
        moved
    }

    /// The facts of a verified event (`referral-api.md` §7); gives their numbers.
    fn record_facts(&mut self, person: &mut PersonRecord, row: &EventRow) -> Result<Vec<FactId>> {
        let Some(customer) = person.customers.first().map(|c| c.customer) else { return Ok(Vec::new()) };
        let key = fact_key(row);
        let mut changed = Vec::new();
        for body in bodies(row)? {
            let id = FactId((self.next_id)());
            self.view.outcome.facts.push(NewFact {
                id: id.0,
                account_id: row.account_id,
                program_id: row.program_id,
                person_id: person.id.0,
                customer_id: customer.0,
                kind: body.type_name().to_owned(),
                fact_key: key.clone(),
                revision: None,
                at: row.occurred_at,
                body: body.to_stored(),
                source: Source::Events.name().into(),
                event_id: Some(row.id),
                received_at: self.now.0,
                data: None,
                of_sale: None,
                trading_at: None,
            });
            let at = Instant(row.occurred_at);
            person.take_in(Fact { id, key: key.clone(), revision: None, customer, at, body }, Source::Events);
            changed.push(id);
        }
        Ok(changed)
    }

    /// The client's record as it is now.
    pub(super) fn update_person(&mut self, person: &PersonRecord) {
        self.view.outcome.persons.push(PersonUpdate {
            id: person.id.0,
            event_types: person.event_types.iter().cloned().collect::<Vec<_>>().join(" "),
            qualified_at: person.qualified_at.map(|at| at.0),
            trading: person.trading_known().map(|ways| ways.into_iter().collect::<Vec<_>>().join(" ")),
        });
    }
}

fn bodies(row: &EventRow) -> Result<Vec<FactBody>> {
    let wrong = |what| unreadable(what, row.id);
    let amount = row.amount.as_deref().map(Decimal::parse).transpose().map_err(|_| wrong("amount of event"))?;
    let currency = row.currency.as_deref().map(|code| Currency::parse(code).ok_or_else(|| wrong("currency of event")));
    let currency = currency.transpose()?;
    let mut bodies = vec![FactBody::Event { event: row.kind.clone(), amount, currency }];
    let kind = match row.kind.as_str() {
        "FIRST_DEPOSIT" | "RECURRING_DEPOSIT" => Some(MoneyKind::Deposit),
        "WITHDRAWAL" => Some(MoneyKind::Withdrawal),
        _ => None,
    };
    if let (Some(kind), Some(amount), Some(currency)) = (kind, amount, currency) {
        bodies.push(FactBody::Money { kind, amount, currency, status: MoneyStatus::Approved, payee: None });
    }
    Ok(bodies)
}

/// The caller's id, or else the event's number; no caller can name another event's number.
fn fact_key(row: &EventRow) -> String {
    match &row.event_key {
        None => format!("{EVENT_NUMBER_PREFIX}{}", row.id),
        Some(key) if key.starts_with(EVENT_NUMBER_PREFIX) || key.starts_with(CALLERS_PREFIX) => {
            format!("{CALLERS_PREFIX}{key}")
        }
        Some(key) => key.clone(),
    }
}
