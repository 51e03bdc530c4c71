//! A trading account as its record says: made, completed or changed, joined to its person, and bound to who brought it.
//!
//! An account that is known by an event or by its facts alone becomes the account of the first record that fits it.
//! Invariant: an account has one binding of its own, which no later record changes.

use super::decide::Decision;
use super::names::{by_customer, by_email, by_person};
use super::record::Touched;
use super::waiting::{keep_waiting, waits};
use crate::directory::Program;
use crate::ingest::{CustomerRecord, Field, KEPT_ONCE_BOUND, RecordStatus, RecordWarning, Recorded, Referrer};
use headwater_domain::attribution::{Binding, attribute};
use headwater_domain::commission::{CustomerView, Split};
use headwater_domain::ids::{CustomerId, PersonId};
use headwater_domain::time::Instant;
use headwater_store::ingest::{Absorbed, AccountRow};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A first binding holds from the beginning: nobody else brought the account, and a day's row may stand before the hour of
/// its registration.
const ALWAYS: Instant = Instant(0);
/// How a partner that the record names is shown as evidence.
const NAMED: &str = "named";

impl Decision<'_> {
    /// Makes or changes the account that the record is of.
    pub(super) fn record_customer(
        &mut self,
        program: &Program,
        record: &CustomerRecord,
        touched: &mut Touched,
    ) -> Recorded {
        if let Some((_, customer)) = record.number {
            return self.record_numbered(customer, record, touched);
        }
        let name = (program.id, record.customer.clone());
        let known = self.view.known.customers.get(&name).copied();
        let stored = known.and_then(|id| self.view.known.accounts.get(&id)).cloned();
        if let Some(stored) = &stored
            && record.revision.is_some()
            && record.revision < stored.revision
        {
            return told(RecordStatus::Stale, CustomerId(stored.id));
        }
        let (Some(person), was_merged) = self.person_of_record(program, record, stored.as_ref()) else {
            return told(RecordStatus::Unchanged, known.unwrap_or(CustomerId(0)));
        };
        let is_new = stored.as_ref().is_none_or(|stored| stored.is_placeholder);
        let base = known.and_then(|id| self.view.known.accounts.get(&id)).cloned();
        let base = base.or_else(|| self.account_of_events(person));
        let mut next = base.clone().unwrap_or_else(|| self.blank(program, person));
        next.external_id = Some(record.customer.clone());
        let customer = CustomerId(next.id);
        self.view.known.customers.insert(name, customer);
        let is_locked = self.is_locked(person, &next, record);
        change(&mut next, record, is_locked);
        let is_changed = base.as_ref() != Some(&next);
        if is_changed {
            self.put_account(person, next);
        }
        let was_absorbed = self.absorb(person, customer);
        let registered_at = record.registered_at.unwrap_or(self.now);
        let (is_bound, warning) = self.refer(program, person, customer, record.referrer, registered_at);
        if is_bound && !record.split.is_empty() {
            let split = Split { from: ALWAYS, parts: record.split.clone() };
            self.split_bound(person, customer, vec![split]);
        }
        if is_changed || was_merged || was_absorbed || is_bound {
            touched.entry(person).or_default();
        }
        let status = match (is_new, is_changed || was_merged || is_bound) {
            (true, _) => RecordStatus::Created,
            (false, true) => RecordStatus::Updated,
            (false, false) => RecordStatus::Unchanged,
        };
        let warning = if is_locked { Some(RecordWarning::AttributionLocked) } else { warning };
        Recorded { warnings: warning.into_iter().collect(), ..told(status, customer) }
    }

    /// Changes an account that no caller has named.
    fn record_numbered(&mut self, customer: CustomerId, record: &CustomerRecord, touched: &mut Touched) -> Recorded {
        let Some(stored) = self.view.known.accounts.get(&customer).cloned() else {
            return told(RecordStatus::Unchanged, customer);
        };
        let person = self.view.known.standing(PersonId(stored.person_id));
        let mut next = stored.clone();
        change(&mut next, record, self.is_locked(person, &stored, record));
        if next == stored {
            return told(RecordStatus::Unchanged, customer);
        }
        self.put_account(person, next);
        touched.entry(person).or_default();
        told(RecordStatus::Updated, customer)
    }

    /// Whether the record says otherwise what brought an account that is somebody's already.
    fn is_locked(&self, person: PersonId, account: &AccountRow, record: &CustomerRecord) -> bool {
        let bindings = self.view.persons.get(&person).map(|record| &record.bindings);
        let Some(said) = record.attributes.get(KEPT_ONCE_BOUND) else { return false };
        let stored = account.attributes.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let stored = stored.as_ref().and_then(|attributes| attributes.get(KEPT_ONCE_BOUND));
        bindings.is_some_and(|all| all.contains_key(&CustomerId(account.id))) && stored.is_some_and(|s| s != said)
    }

    /// The one person of everything that the record is known by.
    fn person_of_record(
        &mut self,
        program: &Program,
        record: &CustomerRecord,
        stored: Option<&AccountRow>,
    ) -> (Option<PersonId>, bool) {
        let mut names = Vec::new();
        if let Field::Set(email) = &record.email {
            names.push(by_email(email));
        }
        names.extend(record.person.as_deref().map(by_person));
        if names.is_empty() && stored.is_none() {
            names.push(by_customer(&record.customer));
        }
        let by_name = |name: String| self.view.person_by_email.get(&(program.id, name)).copied();
        let mut persons: Vec<PersonId> = names.into_iter().filter_map(by_name).collect();
        persons.extend(stored.map(|stored| self.view.known.standing(PersonId(stored.person_id))));
        self.merge_all(persons)
    }

    /// The account of a person that is known by its events alone.
    fn account_of_events(&self, person: PersonId) -> Option<AccountRow> {
        let mut accounts = self.view.known.accounts.values();
        accounts.find(|account| account.person_id == person.0 && account.external_id.is_none()).cloned()
    }

    fn blank(&mut self, program: &Program, person: PersonId) -> AccountRow {
        AccountRow {
            id: (self.next_id)(),
            program_id: program.id.0,
            person_id: person.0,
            external_id: None,
            is_placeholder: false,
            is_registered: false,
            revision: None,
            name: None,
            email: None,
            country: None,
            account_type: None,
            campaign: None,
            attributes: None,
            registered_at: self.now.0,
        }
    }

    /// An account of which only facts are known.
    pub(super) fn placeholder(&mut self, program: &Program, external_id: &str) -> Option<CustomerId> {
        let person = *self.view.person_by_email.get(&(program.id, by_customer(external_id)))?;
        let mut account = self.blank(program, person);
        account.external_id = Some(external_id.to_owned());
        account.is_placeholder = true;
        let customer = CustomerId(account.id);
        self.view.known.customers.insert((program.id, external_id.to_owned()), customer);
        self.put_account(person, account);
        Some(customer)
    }

    /// An account that is known by events alone is this one, now that this one is known.
    fn absorb(&mut self, person: PersonId, into: CustomerId) -> bool {
        let Some(record) = self.view.persons.get(&person) else { return false };
        let accounts = &self.view.known.accounts;
        let by_events = |id: &CustomerId| accounts.get(id).is_some_and(|account| account.external_id.is_none());
        let gone: Vec<_> =
            record.customers.iter().map(|c| c.customer).filter(|id| *id != into && by_events(id)).collect();
        let waiting: Vec<_> = gone.iter().map(|from| self.waiting_of(person, *from)).collect();
        let Some(record) = self.view.persons.get_mut(&person) else { return false };
        let mut splits: BTreeMap<CustomerId, Vec<Split>> =
            record.customers.iter().filter_map(|c| Some((c.customer, splits_from_the_beginning(c)?))).collect();
        for from in &gone {
            record.customers.retain(|customer| customer.customer != *from);
            record.facts.iter_mut().filter(|fact| fact.customer == *from).for_each(|fact| fact.customer = into);
            let outcome = &mut self.view.outcome;
            outcome.facts.iter_mut().filter(|row| row.customer_id == from.0).for_each(|row| row.customer_id = into.0);
            outcome.customers.retain(|row| row.id != from.0);
            outcome.absorbed.push(Absorbed { person_id: person.0, from_id: from.0, into_id: into.0 });
            self.view.known.accounts.remove(from);
            self.view.known.changed.remove(from);
        }
        // What brought the person by an event brought this account, where nothing else is known to have; it waits alike.
        for (from, waiting) in gone.iter().zip(waiting) {
            let Some(record) = self.view.persons.get_mut(&person) else { break };
            if let Some(binding) = record.bindings.remove(from)
                && !record.bindings.contains_key(&into)
            {
                self.bind_account(person, into, binding, ALWAYS, None, "profile");
                self.split_bound(person, into, splits.remove(from).unwrap_or_default());
                self.wait_like(&waiting, person, into);
            }
        }
        !gone.is_empty()
    }

    /// Keeps the account as it is now, for the rules and for the store.
    fn put_account(&mut self, person: PersonId, account: AccountRow) {
        let customer = CustomerId(account.id);
        if let Some(record) = self.view.persons.get_mut(&person) {
            let place = record.customers.iter().position(|view| view.customer == customer);
            let bindings = place.map(|place| record.customers.remove(place).bindings).unwrap_or_default();
            record.customers.push(CustomerView {
                customer,
                registered_at: Instant(account.registered_at),
                country: account.country.clone(),
                account_type: account.account_type.clone(),
                campaign: account.campaign.clone(),
                link: None,
                bindings,
            });
            record.customers.sort_by_key(|view| (view.registered_at, view.customer));
            keep(&mut record.placeholders, customer, account.is_placeholder);
            keep(&mut record.registered, customer, account.is_registered);
            let (waited, waits) = (record.waiting.contains(&customer), waits(account.attributes.as_deref()));
            keep(&mut record.waiting, customer, waits);
            if waited != waits {
                keep(&mut self.view.freed, customer, waited);
            }
        }
        self.view.outcome.customers.retain(|update| update.id != account.id);
        let stored = self.view.known.accounts.get(&customer).filter(|_| !self.view.known.changed.contains(&customer));
        if let Some(stored) = stored.cloned() {
            self.view.known.before.insert(customer, stored);
        }
        self.view.known.changed.insert(customer);
        self.view.known.accounts.insert(customer, account);
    }

    /// Binds the account to who brought it, once; gives whether it was bound now.
    fn refer(
        &mut self,
        program: &Program,
        person: PersonId,
        customer: CustomerId,
        referrer: Referrer,
        registered_at: Instant,
    ) -> (bool, Option<RecordWarning>) {
        let (partner, touch) = match referrer {
            Referrer::Unsaid => return (false, None),
            Referrer::Touch(touch) => (touch.partner, Some(touch)),
            Referrer::Partner(partner, touch) => (partner, touch),
        };
        let of_partner = touch.filter(|touch| touch.partner == partner);
        let foreign = touch.is_some() && of_partner.is_none();
        let warning = foreign.then_some(RecordWarning::ClickOfAnotherPartner);
        let bound = self.view.persons.get(&person).and_then(|record| record.bindings.get(&customer)).copied();
        if let Some(bound) = bound {
            return (false, if bound.partner == partner { warning } else { Some(RecordWarning::AttributionLocked) });
        }
        let is_named = matches!(referrer, Referrer::Partner(..));
        let mut evidence = NAMED;
        if let (false, Some(touch)) = (is_named, touch) {
            if self.is_blocked(program.account, program.id, partner, registered_at) {
                return (false, Some(RecordWarning::PartnerSuspended));
            }
            let attributed = attribute(None, Some(touch), true, registered_at, program.settings.window_days);
            if !attributed.binds {
                return (false, Some(RecordWarning::ClickTooOld));
            }
            evidence = attributed.evidence.name();
        }
        let binding =
            Binding { partner, link: of_partner.map(|touch| touch.link), click: of_partner.map(|touch| touch.click) };
        self.bind_account(person, customer, binding, ALWAYS, of_partner.map(|touch| touch.at), evidence);
        if let Some(touch) = of_partner {
            self.wait_if(touch.traffic, person, &[customer]);
        }
        (true, warning)
    }
}

/// Who shares what the account earns. What was shared as its binding began is shared from the beginning.
fn splits_from_the_beginning(account: &CustomerView) -> Option<Vec<Split>> {
    let binding = account.bindings.last().filter(|binding| !binding.splits.is_empty())?;
    let mut splits = binding.splits.clone();
    splits.iter_mut().filter(|split| split.from <= binding.from).for_each(|split| split.from = ALWAYS);
    Some(splits)
}

fn told(status: RecordStatus, customer: CustomerId) -> Recorded {
    Recorded { status, warnings: Vec::new(), fact: None, customer: Some(customer) }
}

fn keep(set: &mut std::collections::BTreeSet<CustomerId>, customer: CustomerId, is_in: bool) {
    if is_in {
        set.insert(customer);
    } else {
        set.remove(&customer);
    }
}

/// Whether the record changes anything that facts are priced by.
pub(super) fn says_otherwise(account: &AccountRow, record: &CustomerRecord) -> bool {
    let mut next = account.clone();
    change(&mut next, record, true);
    let priced_by = |account: &AccountRow| {
        let AccountRow { country, account_type, campaign, registered_at, is_registered, is_placeholder, .. } =
            account.clone();
        (country, account_type, campaign, registered_at, is_registered, is_placeholder)
    };
    priced_by(account) != priced_by(&next)
}

/// Present keys overwrite, absent ones stay.
fn change(account: &mut AccountRow, record: &CustomerRecord, is_locked: bool) {
    account.is_placeholder = false;
    account.revision = record.revision.max(account.revision);
    if let Some(at) = record.registered_at {
        account.registered_at = at.0;
        account.is_registered = true;
    }
    for (field, said) in [
        (&mut account.name, &record.name),
        (&mut account.email, &record.email),
        (&mut account.country, &record.country),
        (&mut account.account_type, &record.account_type),
        (&mut account.campaign, &record.campaign),
    ] {
        match said {
            Field::Keep => {}
            Field::Clear => *field = None,
            Field::Set(value) => *field = Some(value.clone()),
        }
    }
    if !record.attributes.is_empty() {
        let stored = account.attributes.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let mut attributes: Map<String, Value> = stored.unwrap_or_default();
        let was_waiting = waits(account.attributes.as_deref());
        for (key, value) in record.attributes.iter().filter(|(key, _)| !(is_locked && *key == KEPT_ONCE_BOUND)) {
            if value.is_null() {
                attributes.remove(key);
            } else {
                attributes.insert(key.clone(), value.clone());
            }
        }
        keep_waiting(was_waiting, &mut attributes);
        account.attributes = (!attributes.is_empty()).then(|| Value::Object(attributes).to_string());
    }
}
