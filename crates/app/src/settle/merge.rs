//! Two persons turn out to be one human: accounts, facts, events and cells of the one are the other's.
//!
//! Cells of the person that is no more stay as they were posted until the person is priced: what was paid to both is
//! taken back once. Invariant: nothing that is decided names a merged person.

use super::decide::Decision;
use super::view::PersonRecord;
use headwater_domain::ids::{CustomerId, PersonId};
use headwater_store::ingest::Merge;
use headwater_store::outcome::Outcome;

impl Decision<'_> {
    /// Makes one person of these, the oldest; gives it, and whether anything was merged.
    pub(super) fn merge_all(&mut self, mut persons: Vec<PersonId>) -> (Option<PersonId>, bool) {
        persons.sort_unstable();
        persons.dedup();
        let Some((into, others)) = persons.split_first() else { return (None, false) };
        for from in others {
            self.merge(*from, *into);
        }
        (Some(*into), !others.is_empty())
    }

    fn merge(&mut self, from: PersonId, into: PersonId) {
        let Some(gone) = self.view.persons.remove(&from) else { return };
        // Who becomes another one is priced by everything that is known of both.
        let is_part = |person: &PersonRecord| person.part.is_some();
        self.view.is_unsure |= is_part(&gone) || self.view.persons.get(&into).is_some_and(is_part);
        let Some(stays) = self.view.persons.get_mut(&into) else {
            self.view.persons.insert(from, gone);
            return;
        };
        stays.event_types.extend(gone.event_types);
        stays.customers.extend(gone.customers);
        stays.customers.sort_by_key(|customer| (customer.registered_at, customer.customer));
        stays.bindings.extend(gone.bindings);
        stays.placeholders.extend(gone.placeholders);
        stays.registered.extend(gone.registered);
        stays.waiting.extend(gone.waiting);
        stays.arrivals.extend(gone.arrivals);
        stays.facts.extend(gone.facts);
        stays.cells.posted.extend(gone.cells.posted);
        stays.cells.last_commissions.extend(gone.cells.last_commissions);
        stays.cells.shares.extend(gone.cells.shares);
        for event in &gone.unverified {
            if let Some(row) = self.view.events.get_mut(event) {
                row.person_id = Some(into.0);
            }
        }
        stays.unverified.extend(gone.unverified);
        let known = &mut self.view.known;
        known.merged.insert(from, into);
        for account in known.accounts.values_mut().filter(|account| account.person_id == from.0) {
            account.person_id = into.0;
            known.changed.insert(CustomerId(account.id));
        }
        for (person, ..) in known.facts.values_mut().filter(|(person, ..)| *person == from) {
            *person = into;
        }
        for person in self.view.person_by_email.values_mut().filter(|person| **person == from) {
            *person = into;
        }
        let posted = std::mem::take(&mut self.view.cells).into_iter().map(|((person, text), mut put)| {
            put.person_id = if person == from.0 { into.0 } else { person };
            ((put.person_id, text), put)
        });
        self.view.cells = posted.collect();
        self.view.held.remove(&from.0);
        // What was held for it before is written anew with the other.
        self.view.held.entry(into.0).or_default();
        let outcome = &mut self.view.outcome;
        rename(outcome, from.0, into.0);
        for merge in outcome.merges.iter_mut().filter(|merge| merge.into_id == from.0) {
            merge.into_id = into.0;
        }
        outcome.merges.push(Merge { from_id: from.0, into_id: into.0 });
    }
}

/// What was decided for the one in this settlement is decided for the other.
fn rename(outcome: &mut Outcome, from: i64, into: i64) {
    let put = |person: &mut i64| {
        if *person == from {
            *person = into;
        }
    };
    let put_some = |person: &mut Option<i64>| {
        if *person == Some(from) {
            *person = Some(into);
        }
    };
    outcome.events.iter_mut().for_each(|event| put_some(&mut event.person_id));
    outcome.attributions.iter_mut().for_each(|row| put(&mut row.person_id));
    outcome.facts.iter_mut().for_each(|row| put(&mut row.person_id));
    outcome.payees.iter_mut().for_each(|row| put(&mut row.person_id));
    outcome.commissions.iter_mut().for_each(|row| put(&mut row.person_id));
    outcome.fact_moves.iter_mut().for_each(|row| put(&mut row.person_id));
    outcome.absorbed.iter_mut().for_each(|row| put(&mut row.person_id));
    outcome.persons.retain(|row| row.id != from);
}
