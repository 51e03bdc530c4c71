//! Who is read beside the persons that a batch touches, where rules add up over several: all that share a cell with them.
//!
//! Persons share a cell where they were ever bound to one partner (or had a fact that names it, or it shares what they earn),
//! or to partners of one tree where a plan looks along it. A settlement reads these circles and nobody else, so what it costs does not grow with partners that have nothing to
//! do with each other. Invariant: a circle is closed: whom its cells depend on is in it.

use super::{Command, Track};
use crate::directory::Directory;
use crate::ingest::{Ingest, Record, Referrer};
use headwater_domain::ids::{PartnerId, ProgramId};
use headwater_store::backend::Result;
use headwater_store::backend::Tx;
use headwater_store::circle::{PartnerOf, partners_of_persons, persons_of_partners};
use headwater_store::settlement::Number;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be read for the programs whose rules look beyond a person.
#[derive(Debug, Default)]
pub(super) struct Circles {
    pub persons: BTreeSet<i64>,
    pub partners: BTreeMap<ProgramId, BTreeSet<PartnerId>>,
}

/// The circles around these persons, and around partners that they may be bound to by the batch.
pub(super) async fn around(
    tx: &Tx<'_>,
    directory: &Directory,
    programs: &[Number],
    persons: &BTreeSet<i64>,
    named: BTreeSet<(ProgramId, PartnerId)>,
) -> Result<Circles> {
    let mut circles = Circles::default();
    if programs.is_empty() {
        return Ok(circles);
    }
    for program in programs {
        circles.partners.insert(ProgramId(program.id), BTreeSet::new());
    }
    let mut open_persons = persons.clone();
    let mut open_partners = named;
    loop {
        let numbers: Vec<_> = open_persons.iter().map(|id| Number { id: *id }).collect();
        circles.persons.append(&mut open_persons);
        let bound = partners_of_persons(tx, &numbers).await?;
        open_partners.extend(bound.into_iter().map(|(program, partner)| (ProgramId(program), PartnerId(partner))));
        let mut new = Vec::new();
        for (program, partner) in std::mem::take(&mut open_partners) {
            let Some(known) = circles.partners.get_mut(&program) else { continue };
            for partner in directory.stands_with(partner) {
                if known.insert(partner) {
                    new.push(PartnerOf { program_id: program.0, partner_id: partner.0 });
                }
            }
        }
        if new.is_empty() {
            return Ok(circles);
        }
        let found = persons_of_partners(tx, &new).await?;
        open_persons.extend(found.into_iter().filter(|person| !circles.persons.contains(person)));
    }
}

/// The partners that commands name: persons may be bound to them, and facts be paid to them.
pub(super) fn named(commands: &[Command]) -> BTreeSet<(ProgramId, PartnerId)> {
    let mut named = BTreeSet::new();
    for command in commands {
        match command {
            Command::Track(track) => {
                let Track { program, touch, .. } = &**track;
                named.extend(touch.map(|touch| (*program, touch.partner)));
            }
            Command::Record(ingest) => {
                let Ingest { program, records, .. } = &**ingest;
                let partners = records.iter().filter_map(referred).chain(records.iter().flat_map(sharing));
                named.extend(partners.map(|partner| (*program, partner)));
            }
            Command::Confirm { .. } | Command::Reject { .. } | Command::Reprice { .. } => {}
        }
    }
    named
}

/// Who shares what the referrer of the record earns.
fn sharing(record: &Record) -> Vec<PartnerId> {
    match record {
        Record::Customer(customer) => customer.split.iter().map(|part| part.partner).collect(),
        Record::Fact(_) => Vec::new(),
    }
}

fn referred(record: &Record) -> Option<PartnerId> {
    match record {
        Record::Customer(customer) => match customer.referrer {
            Referrer::Unsaid => None,
            Referrer::Touch(touch) => Some(touch.partner),
            Referrer::Partner(partner, _) => Some(partner),
        },
        Record::Fact(fact) => fact.body.payee(),
    }
}
