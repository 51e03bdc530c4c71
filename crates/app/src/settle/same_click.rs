//! A client that is known by its click alone, and the same one under a name: one person, where both name that click.
//!
//! A server that reports by an address knows the click and nothing else (`app::postback`); the broker's own server knows the
//! email. Whoever is new and comes with the click of somebody known is that one. Invariant: the client of a click becomes
//! one named person at most; whoever names the same click after that is another human.

use super::Command;
use super::Track;
use super::decide::Decision;
use super::names::{by_customer, by_email, by_person};
use crate::ingest::{CustomerRecord, Field, Record, Referrer};
use headwater_domain::ids::{ClickId, PersonId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::same_click::{ClickOf, persons_alone, persons_brought};
use std::collections::{BTreeMap, BTreeSet};

/// What a client is known by of whom a report names the click alone. A space is in no email: nobody can claim to be the
/// client of another's click.
pub(crate) fn by_click(click: ClickId) -> String {
    format!(" click:{click}")
}

/// The clicks that come with the names of persons, from senders that are trusted.
#[derive(Debug, Default)]
pub(super) struct Clicks(BTreeMap<(ProgramId, String), ClickId>);

/// Whom clicks lead to.
#[derive(Debug, Default)]
pub(super) struct Leads {
    alone: BTreeMap<(ProgramId, ClickId), PersonId>,
    /// `None`: several, of whom nobody is meant.
    brought: BTreeMap<(ProgramId, ClickId), Option<PersonId>>,
}

impl Clicks {
    pub(super) fn of(commands: &[Command]) -> Self {
        let mut clicks = BTreeMap::new();
        for command in commands {
            match command {
                Command::Track(track) => {
                    let Track { program, touch, email_key, trusted, .. } = &**track;
                    if let (true, Some(name), Some(touch)) = (trusted, email_key, touch) {
                        clicks.entry((*program, name.clone())).or_insert(touch.click);
                    }
                }
                Command::Record(ingest) => {
                    for record in &ingest.records {
                        let Record::Customer(customer) = record else { continue };
                        let Some(click) = click_of(customer) else { continue };
                        for name in names_of(customer) {
                            clicks.entry((ingest.program, name)).or_insert(click);
                        }
                    }
                }
                Command::Confirm { .. } | Command::Reject { .. } | Command::Reprice { .. } => {}
            }
        }
        Self(clicks)
    }

    /// Whom they lead to. To be asked again once those are locked.
    pub(super) async fn leads(&self, tx: &Tx<'_>) -> Result<Leads> {
        let rows: BTreeSet<(i64, i64)> = self.0.iter().map(|((program, _), click)| (program.0, click.0)).collect();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(program_id, click_id)| ClickOf { program_id, click_id, email_key: by_click(ClickId(click_id)) })
            .collect();
        let mut leads = Leads::default();
        if rows.is_empty() {
            return Ok(leads);
        }
        for (program, click, person) in persons_alone(tx, &rows).await? {
            leads.alone.insert((ProgramId(program), ClickId(click)), PersonId(person));
        }
        for (program, click, person) in persons_brought(tx, &rows).await? {
            let brought = leads.brought.entry((ProgramId(program), ClickId(click)));
            brought.and_modify(|one| *one = None).or_insert(Some(PersonId(person)));
        }
        Ok(leads)
    }

    /// Who a new name stands for, where its click leads to somebody.
    pub(super) fn known(&self, program: ProgramId, name: &str, leads: &mut Leads) -> Option<PersonId> {
        let click = *self.0.get(&(program, name.to_owned()))?;
        if name == by_click(click) {
            return leads.brought.get(&(program, click)).copied().flatten();
        }
        leads.alone.remove(&(program, click))
    }
}

impl Leads {
    pub(super) fn persons(&self) -> impl Iterator<Item = i64> {
        self.alone.values().chain(self.brought.values().flatten()).map(|person| person.0)
    }

    /// Those who are known by a click alone.
    pub(super) fn into_alone(self) -> BTreeMap<(ProgramId, ClickId), PersonId> {
        self.alone
    }
}

fn click_of(customer: &CustomerRecord) -> Option<ClickId> {
    match customer.referrer {
        Referrer::Unsaid => None,
        Referrer::Touch(touch) => Some(touch.click),
        Referrer::Partner(partner, touch) => touch.filter(|touch| touch.partner == partner).map(|touch| touch.click),
    }
}

fn names_of(customer: &CustomerRecord) -> Vec<String> {
    let email = match &customer.email {
        Field::Set(email) => Some(by_email(email)),
        Field::Keep | Field::Clear => None,
    };
    let names: Vec<_> = email.into_iter().chain(customer.person.as_deref().map(by_person)).collect();
    if names.is_empty() { vec![by_customer(&customer.customer)] } else { names }
}

impl Decision<'_> {
    /// Makes one person of a client that is known by its email, and of the one of its click, where they were two until now.
    pub(super) fn join_by_click(&mut self, track: &Track, person: Option<PersonId>) -> Result<Option<PersonId>> {
        let (Some(named), Some(touch)) = (person.filter(|_| track.trusted), track.touch) else { return Ok(person) };
        let place = (track.program, touch.click);
        let Some(of_click) = self.view.click_clients.get(&place).map(|of| self.view.known.standing(*of)) else {
            return Ok(person);
        };
        if of_click == named || !self.view.persons.contains_key(&of_click) {
            return Ok(person);
        }
        self.view.click_clients.remove(&place);
        let (joined, _) = self.merge_all(vec![named, of_click]);
        let Some(joined) = joined else { return Ok(person) };
        if let Some((customer, binding)) =
            self.view.persons.get(&joined).and_then(super::view::PersonRecord::bound_first)
        {
            let waiting = self.waiting_of(joined, customer);
            // What brought the one brought both, and both wait where the one does.
            for customer in self.bind_from(joined, binding, Instant(0), None, "profile") {
                self.wait_like(&waiting, joined, customer);
            }
        }
        let program = self.program(track.account, track.program)?;
        if let Some(mut record) = self.view.persons.remove(&joined) {
            let priced = self.price_changed(&mut record, &program, &[]);
            self.update_person(&record);
            self.view.persons.insert(joined, record);
            priced?;
        }
        Ok(Some(joined))
    }
}
