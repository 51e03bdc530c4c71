//! Where commissions come from, so that what takes back finds what it takes back, and what was denied of a cell stays so.
//!
//! Leaves to `ledger::Shares` what that means. What every commission of a cell came from is read only for cells in which
//! something was denied. Invariant: a fact whose commissions in such a cell are known is priced apart from all others.

use super::decide::Decision;
use super::names::fact_key;
use super::record::Touched;
use super::view::{Cells, PersonRecord, View};
use crate::directory::Program;
use crate::ingest::{FactRecord, Ingest};
use crate::ledger::cells;
use headwater_domain::commission::Posting;
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{FactId, PersonId, ProgramId};
use headwater_domain::ledger::Origin;
use headwater_store::backend::{Result, Tx};
use headwater_store::cell::{cell_shares, cells_denied};
use headwater_store::settlement::Number;
use std::collections::BTreeSet;

/// Of more than this many at once it is not kept where a commission comes from: a whole history that is priced at once is
/// denied or owed as one.
const ORIGINS_MAX: usize = 1000;

/// Reads all commissions of the cells in which something was denied, of those that were read.
pub(super) async fn read_shares(tx: &Tx<'_>, view: &mut View) -> Result<()> {
    let persons = view.persons.values().filter(|person| !person.cells.posted.is_empty()).map(|person| person.id.0);
    let programs = view.common_cells.iter().filter(|(_, cells)| !cells.posted.is_empty()).map(|(id, _)| -id.0);
    let owners: Vec<Number> = persons.chain(programs).map(|id| Number { id }).collect();
    if owners.is_empty() {
        return Ok(());
    }
    let denied = cells_denied(tx, &owners).await?;
    let last = denied.iter().filter_map(|(owner, cell)| {
        let cells = cells_of(view, *owner)?;
        cells.last_commissions.get(cell).map(|last| Number { id: last.0 })
    });
    let last: Vec<Number> = last.collect();
    if last.is_empty() {
        return Ok(());
    }
    for ((owner, cell), shares) in cells::Cells::of(cell_shares(tx, &last).await?)?.into_shares() {
        if let Some(cells) = cells_of(view, owner) {
            cells.shares.insert(cell, shares);
        }
    }
    Ok(())
}

fn cells_of(view: &mut View, owner: i64) -> Option<&mut Cells> {
    if owner < 0 {
        return view.common_cells.get_mut(&ProgramId(-owner));
    }
    view.persons.get_mut(&PersonId(owner)).map(|person| &mut person.cells)
}

fn origin_of(fact: &Fact) -> Origin {
    match &fact.body {
        FactBody::Refund { sale, .. } => Origin::of(sale),
        _ => Origin::of(&fact.key),
    }
}

impl Decision<'_> {
    /// Where a posting comes from: the facts that changed and count in its cell, else all that changed.
    pub(super) fn origins(
        &self,
        person: Option<&PersonRecord>,
        posting: &Posting<'_>,
        changed: &[FactId],
    ) -> Vec<Origin> {
        let brought = if posting.brought_by.is_empty() { changed } else { &posting.brought_by };
        if brought.len() > ORIGINS_MAX {
            return Vec::new();
        }
        let origins: BTreeSet<Origin> = brought.iter().filter_map(|fact| self.origin(person, *fact)).collect();
        origins.into_iter().collect()
    }

    /// Of a fact that stands with this person or another one, or that was taken in by this settlement.
    fn origin(&self, person: Option<&PersonRecord>, fact: FactId) -> Option<Origin> {
        let persons = person.into_iter().chain(self.view.persons.values());
        let mut standing = persons.filter_map(|person| person.facts.get(person.place_of(fact)?));
        standing.next().map(origin_of).or_else(|| {
            let row = self.view.outcome.facts.iter().rev().find(|row| row.id == fact.0)?;
            Some(Origin::of(row.of_sale.as_ref().unwrap_or(&row.fact_key)))
        })
    }

    /// Prices what came before a record that changes what was denied in part: nothing else is to be posted with it. Gives
    /// whether the record is such a one, and to be priced at once.
    pub(super) fn price_apart(
        &mut self,
        ingest: &Ingest,
        program: &Program,
        record: &FactRecord,
        touched: &mut Touched,
    ) -> Result<bool> {
        let key = match &record.body {
            FactBody::Refund { sale, .. } => Some(sale.clone()),
            _ => fact_key(record),
        };
        let Some(origin) = key.map(|key| Origin::of(&key)) else { return Ok(false) };
        // A program that is priced as a whole is priced once for the whole batch.
        let is_known = !self.directory.is_wide(program.id)
            && self.view.persons.values().any(|person| person.cells.shares.values().any(|shares| shares.knows(origin)));
        if is_known {
            self.price_now(ingest, program, touched)?;
        }
        Ok(is_known)
    }

    /// Prices whom the records so far touched.
    pub(super) fn price_now(&mut self, ingest: &Ingest, program: &Program, touched: &mut Touched) -> Result<()> {
        self.follow_sales(ingest, touched);
        self.price_touched(program, std::mem::take(touched))
    }
}
