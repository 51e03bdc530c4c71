//! Programs whose rules add up over all persons: brackets, carry, caps by day or period, conditions on a partner.
//!
//! Such a program is settled by one node at a time. The circles of the persons that a batch touched (`circle`) are priced
//! once, after all of its events were recorded. Cells that belong to no person are kept under the program's number, negated.

use super::Command;
use super::decide::Decision;
use super::part::partners_of;
use super::price::{Brought, sold};
use super::view::{Cells, Dirty, PersonRecord};
use super::waiting::waits_for;
use crate::directory::{Directory, Program};
use headwater_domain::commission::{self, Held, PostedCell, Scope, Terms, Window};
use headwater_domain::ids::{CustomerId, FactId, PartnerId, PersonId, ProgramId};
use headwater_store::backend::{Error, Result};
use headwater_store::settlement::Number;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The programs of a batch whose rules look beyond a person, in the order of their locks; `confirmed` are those of the
/// events that it confirms. What is rejected is worth nothing, before and after.
pub(super) fn programs(directory: &Directory, commands: &[Command], confirmed: &[i64]) -> Vec<Number> {
    let named = commands.iter().filter_map(|command| match command {
        Command::Track(track) => Some(track.program),
        Command::Record(ingest) => Some(ingest.program),
        Command::Reprice { program, .. } => Some(*program),
        Command::Confirm { .. } | Command::Reject { .. } => None,
    });
    let programs = named.chain(confirmed.iter().map(|id| ProgramId(*id)));
    let wide: BTreeSet<_> = programs.filter(|program| directory.is_wide(*program)).collect();
    wide.into_iter().map(|program| Number { id: program.0 }).collect()
}

/// All that one settlement at a time decides, in the order of the locks: those, and programs into which records come.
pub(super) fn locked(commands: &[Command], wide: &[Number]) -> Vec<Number> {
    let records = commands.iter().filter_map(|command| match command {
        Command::Record(ingest) => Some(ingest.program.0),
        Command::Track(_) | Command::Confirm { .. } | Command::Reject { .. } | Command::Reprice { .. } => None,
    });
    let locked: BTreeSet<i64> = wide.iter().map(|program| program.id).chain(records).collect();
    locked.into_iter().map(|id| Number { id }).collect()
}

impl Decision<'_> {
    /// Prices the circles that were read of every program in which something changed.
    pub(super) fn price_programs(&mut self) -> Result<()> {
        for (program, dirty) in std::mem::take(&mut self.view.dirty) {
            let program = self.directory.program_of_any_account(program).cloned();
            if let Some(program) = program {
                self.price_program(&program, &dirty)?;
            }
        }
        Ok(())
    }

    /// What was read of whoever is priced together has to tell what they are worth now.
    fn check_parts(&mut self, program: &Program) -> Result<Option<Arc<Window>>> {
        let of_program = || self.view.persons.values().filter(|person| person.program == program.id);
        let Some(part) = of_program().find_map(|person| person.part.as_ref()) else { return Ok(None) };
        let window = Arc::clone(&part.window);
        let partners: BTreeSet<PartnerId> = of_program().flat_map(|person| partners_of(person, [])).collect();
        let reach = self.view.reaches.of((program.account, program.id), partners)?;
        let of_program = || self.view.persons.values().filter(|person| person.program == program.id);
        let is_told = |person: &PersonRecord| {
            let part = person.part.as_ref().filter(|part| part.window == window);
            part.is_some_and(|part| part.tells(person, reach.as_deref(), &program.settings.sources))
        };
        if !of_program().all(is_told) {
            return Err(self.unsure());
        }
        Ok(Some(window))
    }

    fn price_program(&mut self, program: &Program, dirty: &Dirty) -> Result<()> {
        let window = self.check_parts(program)?;
        let mut posted: BTreeMap<String, PostedCell> = self.common(program.id).posted.clone();
        let of_program = self.view.persons.values().filter(|person| person.program == program.id);
        let mut persons = Vec::new();
        let (mut person_of_fact, mut person_of_customer) = (BTreeMap::new(), BTreeMap::new());
        let mut partners = BTreeSet::new();
        let mut not_admitted = Vec::new();
        for person in of_program {
            posted.extend(person.cells.posted.clone());
            person_of_fact.extend(person.facts.iter().map(|fact| (fact.id, person.id)));
            person_of_customer.extend(person.customers.iter().map(|customer| (customer.customer, person.id)));
            let (view, held) = self.directory.person_view(person)?;
            partners.extend(view.partners());
            not_admitted.extend(held);
            persons.push(view);
        }
        if partners.iter().any(|partner| !self.view.circles.get(&program.id).is_some_and(|c| c.contains(partner))) {
            return Err(Error::Abandoned(format!("program {}: a person was bound outside its circle", program.id)));
        }
        let partners = self.directory.partners_from(partners.into_iter().collect(), program)?;
        let exchange = self.directory.exchange(program.account);
        let terms = Terms { partners: &partners, exchange: &exchange, closed_before: program.closed_before };
        let mut evaluation = commission::evaluate(&persons, &terms);
        if let Some(window) = &window {
            evaluation.keep_shown(window);
        }
        for posting in commission::postings(&evaluation, &posted, &dirty.changed) {
            let event = dirty.events.get(&posting.fact).copied();
            let owner = owner(&posting.cell.scope, &person_of_customer, program.id);
            let mut cells = std::mem::take(self.cells(owner, program.id));
            let sold = self.view.persons.get(&owner).and_then(|person| sold(&person.facts, posting.fact));
            let stands = |fact: FactId| self.view.persons.get(person_of_fact.get(&fact)?);
            let sources = self.sources(&posting, &dirty.changed, stands);
            let of_fact = person_of_fact.get(&posting.fact).filter(|person| **person != owner);
            let may_be_of = [Some(&owner), of_fact].into_iter().flatten().filter_map(|id| self.view.persons.get(id));
            let waits_for = waits_for(&posting, &may_be_of.collect::<Vec<_>>());
            let brought = Brought { event, sold, sources, waits_for };
            let done = self.post(owner, &mut cells, program, brought, &posting);
            *self.cells(owner, program.id) = cells;
            done?;
        }
        not_admitted.extend(evaluation.held);
        self.hold_all(&not_admitted, &person_of_fact, program.id);
        self.view.priced.by_part += u64::from(window.is_some());
        self.view.priced.by_all += u64::from(window.is_none());
        // Whoever was read is priced now, whoever's mark asked for it.
        self.view.served.extend(self.view.marks.remove(&program.id).unwrap_or_default());
        Ok(())
    }

    fn common(&mut self, program: ProgramId) -> &mut Cells {
        self.view.common_cells.entry(program).or_default()
    }

    fn cells(&mut self, owner: PersonId, program: ProgramId) -> &mut Cells {
        match self.view.persons.get_mut(&owner) {
            Some(person) => &mut person.cells,
            None => self.view.common_cells.entry(program).or_default(),
        }
    }

    /// Every person of the circles holds now what the evaluation says, and nothing else.
    fn hold_all(&mut self, held: &[Held], person_of_fact: &BTreeMap<FactId, PersonId>, program: ProgramId) {
        let mut by_person: BTreeMap<PersonId, Vec<Held>> = BTreeMap::new();
        for held in held {
            if let Some(person) = person_of_fact.get(&held.fact) {
                by_person.entry(*person).or_default().push(held.clone());
            }
        }
        let of_program = self.view.persons.values().filter(|person| person.program == program);
        let persons: Vec<PersonId> = of_program.map(|person| person.id).collect();
        for id in persons {
            let Some(person) = self.view.persons.remove(&id) else { continue };
            let mut held = by_person.remove(&id).unwrap_or_default();
            if let Some(part) = &person.part {
                part.keep_told(&person, &mut held);
            }
            self.hold(&person, &held);
            if person.trading.is_none() {
                self.update_person(&person);
            }
            self.view.persons.insert(id, person);
        }
    }
}

/// Under which number a cell is kept.
fn owner(scope: &Scope, person_of_customer: &BTreeMap<CustomerId, PersonId>, program: ProgramId) -> PersonId {
    let common = PersonId(-program.0);
    match scope {
        Scope::Period(_) => common,
        Scope::Person(person) => *person,
        Scope::CustomerPeriod(customer, _) | Scope::Customer(customer) | Scope::Event(customer, _) => {
            person_of_customer.get(customer).copied().unwrap_or(common)
        }
    }
}
