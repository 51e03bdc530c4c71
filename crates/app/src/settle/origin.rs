//! Where commissions come from, so that what takes back finds what it takes back, and what was denied of a cell stays so.
//!
//! Leaves to `ledger::Shares` what that means. What every commission of a cell came from is read only for cells in which
//! something was denied. Invariant: a record of a fact whose commissions in such a cell are known is priced apart from all others.

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
use headwater_store::cell::{CellOf, PostingOf, cell_shares, cells_denied, cells_denied_among};
use headwater_store::person_state::PersonOf;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of more than this many at once it is not kept where a commission comes from: a whole history that is priced at once is
/// denied or owed as one.
const ORIGINS_MAX: usize = 1000;

/// Reads all commissions of the cells in which something was denied, of those that were read.
pub(super) async fn read_shares(tx: &Tx<'_>, view: &mut View) -> Result<()> {
    let persons = view.persons.values().filter(|person| !person.cells.posted.is_empty());
    let persons: Vec<_> = persons.map(|person| PersonOf { account_id: person.account.0, id: person.id.0 }).collect();
    let mut denied = if persons.is_empty() { Vec::new() } else { cells_denied(tx, &persons).await? };
    let directory = Arc::clone(&view.directory);
    let account_of = |program| directory.program_of_any_account(program).map(|program| program.account.0);
    let common = view.common_cells.iter().filter_map(|(program, cells)| Some((account_of(*program)?, program, cells)));
    let common = common.flat_map(|(account_id, program, cells)| {
        let owner_id = -program.0;
        cells.posted.keys().map(move |cell| CellOf { account_id, owner_id, cell: cell.clone() })
    });
    let common: Vec<_> = common.collect();
    if !common.is_empty() {
        denied.extend(cells_denied_among(tx, &common).await?);
    }
    let mut last = Vec::new();
    for (owner, cell) in denied {
        let account_id = if owner < 0 { account_of(ProgramId(-owner)) } else { None };
        let account_id = account_id.or_else(|| view.persons.get(&PersonId(owner)).map(|person| person.account.0));
        let id = cells_of(view, owner).and_then(|cells| cells.last_commissions.get(&cell));
        last.extend(account_id.zip(id).map(|(account_id, id)| PostingOf { account_id, id: id.0 }));
    }
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

/// What brought a posting, as far as taking back is concerned.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    pub origins: Vec<Origin>,
    /// Whether all of it is new: no refund, and no revision of what was known.
    pub is_new: bool,
}

impl Decision<'_> {
    /// Where a posting comes from: the facts that changed and count in its cell, else all that changed. `person_of` finds with
    /// whom a fact stands.
    pub(super) fn sources<'p>(
        &self,
        posting: &Posting<'_>,
        changed: &[FactId],
        person_of: impl Fn(FactId) -> Option<&'p PersonRecord>,
    ) -> Sources {
        let brought = if posting.brought_by.is_empty() { changed } else { &posting.brought_by };
        if brought.is_empty() || brought.len() > ORIGINS_MAX {
            return Sources::default();
        }
        let (mut origins, mut is_new) = (BTreeSet::new(), true);
        for fact in brought {
            let person = person_of(*fact);
            let standing = person.and_then(|person| person.facts.get(person.place_of(*fact)?));
            let first = person.and_then(|person| person.arrivals.get(fact)).map(|arrival| arrival.first);
            let is_refund = standing.is_some_and(|fact| matches!(fact.body, FactBody::Refund { .. }));
            is_new &= first == Some(*fact) && !is_refund;
            origins.extend(standing.map(origin_of).or_else(|| self.origin_of_gone(*fact)));
        }
        Sources { origins: origins.into_iter().collect(), is_new }
    }

    /// Of a fact that left the person: for another one, or because a later record of the same request took its place.
    fn origin_of_gone(&self, fact: FactId) -> Option<Origin> {
        let fresh = self.view.outcome.facts.iter().rev().find(|row| row.id == fact.0);
        fresh.map(|row| Origin::of(row.of_sale.as_ref().unwrap_or(&row.fact_key))).or_else(|| {
            let mut standing = self.view.persons.values().filter_map(|person| person.facts.get(person.place_of(fact)?));
            standing.next().map(origin_of)
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
        let of_persons = self.view.persons.values().map(|person| &person.cells);
        let mut cells = of_persons.chain(self.view.common_cells.get(&program.id));
        let is_known = cells.any(|cells| cells.shares.values().any(|shares| shares.knows(origin)));
        if is_known {
            self.price_now(ingest, program, touched)?;
            self.price_programs()?;
        }
        Ok(is_known)
    }

    /// Prices whom the records so far touched.
    pub(super) fn price_now(&mut self, ingest: &Ingest, program: &Program, touched: &mut Touched) -> Result<()> {
        self.follow_sales(ingest, touched);
        self.price_touched(program, std::mem::take(touched))
    }
}
