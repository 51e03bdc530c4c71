//! Binding a client to the partner that brought it, once (`referral-api.md` §6, points 1–4).
//!
//! The rule is `domain::attribution`; here stand who is blocked and what a binding leaves.

use super::Track;
use super::decide::Decision;
use super::view::PersonRecord;
use crate::campaign::has_ended;
use headwater_domain::attribution::{Attributed, Binding, attribute};
use headwater_domain::click::token::Traffic;
use headwater_domain::commission::{self, CustomerView, Split};
use headwater_domain::ids::{AccountId, ClickId, CustomerId, LinkId, PartnerId, PersonId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::circle::PersonPaysTo;
use headwater_store::outcome::NewAttribution;
use headwater_store::settlement::EventRow;
use std::collections::BTreeSet;

impl Decision<'_> {
    /// What an event of this client is attributed to.
    pub(super) fn attribution(
        &self,
        track: &Track,
        person: Option<PersonId>,
        occurred_at: Instant,
        window_days: i64,
    ) -> Attributed {
        let existing = person.and_then(|p| self.view.persons.get(&p)).and_then(PersonRecord::binding);
        let brings =
            |partner| existing.is_some() || !self.is_blocked(track.account, track.program, partner, occurred_at);
        let touch = track.touch.filter(|touch| brings(touch.partner));
        attribute(existing, touch, person.is_some(), occurred_at, window_days)
    }

    /// A blocked partner, or one that is barred in the program, brings no new clients, and nobody does for a campaign that has ended;
    /// those that were brought before stay.
    pub(super) fn is_blocked(&self, account: AccountId, program: ProgramId, partner: PartnerId, at: Instant) -> bool {
        let member = self.directory.membership_in(program, partner);
        self.directory.partner_by_id(account, partner).is_none_or(|partner| partner.is_suspended_at(at))
            || member.is_some_and(|member| member.is_barred_at(at))
            || self.directory.program(account, program).is_some_and(|of| has_ended(&of.settings.campaign, at))
    }

    /// Binds a client by the touch of its event.
    pub(super) fn bind(&mut self, person: PersonId, track: &Track, attributed: Attributed) {
        let (Some(binding), Some(touch)) = (attributed.binding, track.touch) else { return };
        let from = touch.at.min(track.occurred_at.unwrap_or(self.now));
        let bound = self.bind_from(person, binding, from, Some(touch.at), attributed.evidence.name());
        self.wait_if(touch.traffic, person, &bound);
    }

    /// Binds a client by a browser's event, which was attributed when it came, but bound nobody until it was confirmed.
    pub(super) fn bind_confirmed(&mut self, person: PersonId, partner: PartnerId, row: &EventRow) {
        let binding = Binding { partner, link: row.link_id.map(LinkId), click: row.click_id.map(ClickId) };
        let bound = self.bind_from(person, binding, Instant(row.occurred_at), None, &row.evidence);
        let traffic = if row.is_advertised { Traffic::Advertised } else { Traffic::Open };
        self.wait_if(traffic, person, &bound);
    }

    /// Binds every account of the person that has no binding yet, and gives them.
    pub(super) fn bind_from(
        &mut self,
        person: PersonId,
        binding: Binding,
        from: Instant,
        clicked_at: Option<Instant>,
        evidence: &str,
    ) -> Vec<CustomerId> {
        let Some(record) = self.view.persons.get(&person) else { return Vec::new() };
        let bound = |customer: &CustomerView| record.bindings.contains_key(&customer.customer);
        let unbound: Vec<_> = record.customers.iter().filter(|customer| !bound(customer)).map(|c| c.customer).collect();
        for customer in &unbound {
            self.bind_account(person, *customer, binding, from, clicked_at, evidence);
        }
        unbound
    }

    /// Binds one account, which has no binding yet.
    pub(super) fn bind_account(
        &mut self,
        person: PersonId,
        customer: CustomerId,
        binding: Binding,
        from: Instant,
        clicked_at: Option<Instant>,
        evidence: &str,
    ) {
        let Some(record) = self.view.persons.get_mut(&person) else { return };
        record.bindings.insert(customer, binding);
        for view in record.customers.iter_mut().filter(|view| view.customer == customer) {
            view.bindings.push(commission::Binding::new(from, binding.partner));
        }
        self.view.outcome.attributions.push(NewAttribution {
            person_id: person.0,
            customer_id: customer.0,
            from_at: from.0,
            account_id: record.account.0,
            partner_id: binding.partner.0,
            link_id: binding.link.map(|l| l.0),
            click_id: binding.click.map(|c| c.0),
            clicked_at: clicked_at.map(|at| at.0),
            evidence: evidence.to_owned(),
            recorded_at: self.now.0,
            splits: None,
        });
    }

    /// Says who shares what an account earns that was bound just now.
    pub(super) fn split_bound(&mut self, person: PersonId, customer: CustomerId, splits: Vec<Split>) {
        let Some(record) = self.view.persons.get_mut(&person).filter(|_| !splits.is_empty()) else { return };
        let row = self.view.outcome.attributions.iter_mut().rev().find(|row| row.customer_id == customer.0);
        if let Some(row) = row {
            row.splits = Split::to_stored(&splits);
        }
        let partners: BTreeSet<PartnerId> =
            splits.iter().flat_map(|split| &split.parts).map(|part| part.partner).collect();
        let program_id = record.program.0;
        let pays = |partner: PartnerId| PersonPaysTo { program_id, partner_id: partner.0, person_id: person.0 };
        self.view.outcome.payees.extend(partners.into_iter().map(pays));
        let view = record.customers.iter_mut().find(|view| view.customer == customer);
        if let Some(binding) = view.and_then(|view| view.bindings.last_mut()) {
            binding.splits = splits;
        }
    }
}
