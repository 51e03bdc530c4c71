//! One program proved: every cell, and every fact that is held, recomputed from everything that is recorded.
//!
//! `verify` proves all programs and the books beside them; this is the part that a settlement answers for, so that what it
//! decided on some days is held against what all days say. Reads and never writes.

use crate::directory::Program;
use crate::error::Result;
use crate::history::{Circle, History};
use crate::settle;
use headwater_domain::commission::{Terms, evaluate, postings};
use headwater_domain::ids::{PartnerId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_store::backend::Tx;
use headwater_store::held::held_of_persons;
use headwater_store::settlement::Number;
use std::collections::{BTreeMap, BTreeSet};

impl History {
    /// The first cell or held fact of the program that is not what its facts say, in words.
    pub async fn program_difference(&self, program: ProgramId) -> Result<Option<String>> {
        let Some(program) = self.directory.program_of_any_account(program).cloned() else { return Ok(None) };
        for circle in self.circles(&program, None).await? {
            if let Some(difference) = self.circle_difference(&program, &circle).await? {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    async fn circle_difference(&self, program: &Program, circle: &Circle) -> Result<Option<String>> {
        let ids: Vec<_> = circle.persons.iter().map(|person| Number { id: person.0 }).collect();
        let partners = self.directory.partners_from(circle.partners.iter().copied().collect(), program)?;
        let payees: Vec<PartnerId> = partners.keys().copied().collect();
        let (id, is_wide) = (program.id, self.directory.is_wide(program.id));
        let read = async move |tx: &Tx<'_>| {
            let people = settle::people(tx, &ids).await?;
            let customers = people.iter().flat_map(|person| &person.customers).map(|customer| customer.customer);
            let common = settle::common_cells(tx, id, payees.iter().copied().filter(|_| is_wide), customers).await?;
            Ok((people, common, held_of_persons(tx, &ids).await?))
        };
        let (people, common, stored) = self.store.money.read(read).await?;
        let mut posted: BTreeMap<_, _> = people.iter().flat_map(|person| person.cells.posted.clone()).collect();
        posted.extend(common.posted);
        let (mut persons, mut due) = (Vec::new(), BTreeSet::new());
        for person in &people {
            let (view, held) = self.directory.person_view(person)?;
            due.extend(held.into_iter().map(|held| (held.fact.0, held.reason.name().to_owned())));
            persons.push(view);
        }
        let exchange = self.directory.exchange(program.account);
        let terms = Terms { partners: &partners, exchange: &exchange, closed_before: program.closed_before };
        let evaluation = evaluate(&persons, &terms);
        due.extend(evaluation.held.iter().map(|held| (held.fact.0, held.reason.name().to_owned())));
        if let Some(posting) = postings(&evaluation, &posted, &[]).first() {
            let worth = posting.posted_before.checked_add(posting.amount).unwrap_or(Decimal::ZERO);
            let (cell, before) = (&posting.cell_text, posting.posted_before);
            return Ok(Some(format!("cell {cell}: the facts are worth {worth}, posted are {before}")));
        }
        let stored: BTreeSet<(i64, String)> = stored.into_iter().collect();
        let missing = due.difference(&stored).next().map(|(fact, reason)| format!("fact {fact} is not held: {reason}"));
        let more = stored.difference(&due).next().map(|(fact, reason)| format!("fact {fact} is still held: {reason}"));
        Ok(missing.or(more))
    }
}
