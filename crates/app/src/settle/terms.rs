//! What a person's facts are priced by, out of the configuration: for settling, and for reading history back.

use super::load::unreadable;
use super::sources::{admitted, are_all_admitted};
use super::view::PersonRecord;
use crate::directory::{Directory, Program, Unreadable};
use headwater_domain::commission::{CustomerView, Held, PartnerTerms, PersonView};
use headwater_domain::ids::{LinkId, PartnerId, to_prefixed};
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

impl Directory {
    /// The terms of these partners and of all that ever stood above them.
    pub(crate) fn partners_from(
        &self,
        mut open: Vec<PartnerId>,
        program: &Program,
    ) -> Result<BTreeMap<PartnerId, PartnerTerms>> {
        let mut partners = BTreeMap::new();
        while let Some(partner) = open.pop() {
            if let Entry::Vacant(free) = partners.entry(partner) {
                let terms = free.insert(self.terms_of(program, partner)?);
                open.extend(terms.parents.iter().filter_map(|(_, parent)| *parent));
            }
        }
        Ok(partners)
    }

    pub(super) fn terms_of(&self, program: &Program, partner: PartnerId) -> Result<PartnerTerms> {
        self.partner_terms(program, partner).map_err(|Unreadable(what)| Error::Abandoned(what))
    }

    /// The person as the engine sees it, and the facts that it does not see.
    pub(crate) fn person_view(&self, person: &PersonRecord) -> Result<(PersonView, Vec<Held>)> {
        let program = self.program(person.account, person.program);
        let program = program.ok_or_else(|| unreadable("program", person.program))?;
        let (facts, held) = admitted(person, &program.settings.sources);
        Ok((PersonView { person: person.id, customers: self.brought(person)?, facts }, held))
    }

    /// [`Self::person_view`] without a copy of the facts, where all of them are priced: they are the view's then, until they
    /// are given back. Gives whether they are.
    pub(super) fn person_view_lent(&self, person: &mut PersonRecord) -> Result<(PersonView, Vec<Held>, bool)> {
        let program = self.program(person.account, person.program);
        let program = program.ok_or_else(|| unreadable("program", person.program))?;
        if !are_all_admitted(person, &program.settings.sources) {
            let (view, held) = self.person_view(person)?;
            return Ok((view, held, false));
        }
        let customers = self.brought(person)?;
        let facts = std::mem::take(&mut person.facts);
        Ok((PersonView { person: person.id, customers, facts }, Vec::new(), true))
    }

    /// The same where the record is not needed any more: what it holds is moved, not copied.
    pub(crate) fn person_view_taken(&self, mut person: PersonRecord) -> Result<PersonView> {
        let program = self.program(person.account, person.program);
        let program = program.ok_or_else(|| unreadable("program", person.program))?;
        if !are_all_admitted(&person, &program.settings.sources) {
            return Ok(self.person_view(&person)?.0);
        }
        let facts = std::mem::take(&mut person.facts);
        Ok(PersonView { person: person.id, customers: self.brought(&person)?, facts })
    }

    /// The accounts that are known, each with the link that brought it, and its campaign: that of its record, else the
    /// link's.
    fn brought(&self, person: &PersonRecord) -> Result<Vec<CustomerView>> {
        let known = person.customers.iter().filter(|customer| !person.placeholders.contains(&customer.customer));
        let mut customers: Vec<CustomerView> = known.cloned().collect();
        for customer in &mut customers {
            let link = person.bindings.get(&customer.customer).and_then(|binding| binding.link);
            let Some(row) = link.and_then(|id: LinkId| self.link(person.account, id)) else { continue };
            let utm: BTreeMap<String, String> =
                serde_json::from_str(&row.utm).map_err(|_| unreadable("utm of link", row.id))?;
            customer.link = Some(to_prefixed(LINK_PREFIX, row.id, Instant(row.created_at)));
            customer.campaign = customer.campaign.take().or_else(|| utm.get("campaign").cloned());
        }
        Ok(customers)
    }
}
