//! Persons as they are recorded: rows of the store made into what is decided on.
//!
//! Leaves to `window` how much of a person is read. A row that cannot be read abandons whoever reads it: a default in its
//! place would be money made up.

use super::load::unreadable;
use super::view::{Arrival, Cells, PersonRecord};
use super::waiting::waits;
use headwater_domain::attribution::Binding;
use headwater_domain::commission::{self, CellKey, CustomerView, LastPosting, PostedCell, Split};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{
    AccountId, ClickId, CommissionId, CustomerId, EventId, FactId, LinkId, PartnerId, PersonId, ProgramId,
};
use headwater_domain::money::Decimal;
use headwater_domain::source::Source;
use headwater_domain::time::{Instant, Period};
use headwater_store::backend::{Result, Tx};
use headwater_store::circle::PayeeOf;
use headwater_store::history::{person_facts, persons_read};
use headwater_store::person_state::{AttributionRow, CellRow, FactRow, PersonOf, PersonState, person_state};
use headwater_store::settlement::PersonRow;
use std::collections::BTreeMap;

pub(super) fn records(rows: &[PersonRow], state: &PersonState) -> Result<BTreeMap<PersonId, PersonRecord>> {
    let record = |row: &PersonRow| {
        let mut person = PersonRecord::empty(PersonId(row.id), AccountId(row.account_id), ProgramId(row.program_id));
        person.event_types = row.event_types.split_whitespace().map(str::to_owned).collect();
        person.qualified_at = row.qualified_at.map(Instant);
        person.trading = row.trading.as_ref().map(|ways| ways.split_whitespace().map(str::to_owned).collect());
        (person.id, person)
    };
    let mut persons = rows.iter().map(record).collect();
    spread(state, &mut persons)?;
    Ok(persons)
}

/// Gives every row to its person.
fn spread(state: &PersonState, persons: &mut BTreeMap<PersonId, PersonRecord>) -> Result<()> {
    for row in &state.customers {
        let Some(person) = persons.get_mut(&PersonId(row.person_id)) else { continue };
        let customer = CustomerId(row.id);
        if row.is_placeholder {
            person.placeholders.insert(customer);
        }
        if waits(row.attributes.as_deref()) {
            person.waiting.insert(customer);
        }
        if row.is_registered {
            person.registered.insert(customer);
        }
        person.customers.push(CustomerView {
            customer,
            registered_at: Instant(row.registered_at),
            country: row.country.clone(),
            account_type: row.account_type.clone(),
            campaign: row.campaign.clone(),
            link: None,
            bindings: Vec::new(),
        });
    }
    let mut attributions: Vec<_> = state.attributions.iter().collect();
    attributions.sort_by_key(|row| row.from_at);
    for row in attributions {
        let Some(person) = persons.get_mut(&PersonId(row.person_id)) else { continue };
        let (customer, partner) = (CustomerId(row.customer_id), PartnerId(row.partner_id));
        let binding = Binding { partner, link: row.link_id.map(LinkId), click: row.click_id.map(ClickId) };
        person.bindings.insert(customer, binding);
        for view in person.customers.iter_mut().filter(|view| view.customer == customer) {
            let splits = splits_of(row)?;
            view.bindings.push(commission::Binding {
                from: Instant(row.from_at),
                partner,
                splits,
                until: row.until_at.map(Instant),
                referred_at: row.referred_at.map(Instant),
            });
        }
    }
    let mut facts: BTreeMap<i64, Vec<&FactRow>> = BTreeMap::new();
    for row in &state.facts {
        facts.entry(row.person_id).or_default().push(row);
    }
    for (person, rows) in facts {
        if let Some(person) = persons.get_mut(&PersonId(person)) {
            read_facts(person, &rows)?;
        }
    }
    read_cells(persons, &state.cells)?;
    for row in &state.unverified {
        if let Some(person) = row.person_id.and_then(|id| persons.get_mut(&PersonId(id))) {
            person.unverified.insert(EventId(row.id));
        }
    }
    for person in persons.values_mut() {
        person.customers.sort_by_key(|customer| (customer.registered_at, customer.customer));
    }
    Ok(())
}

fn splits_of(row: &AttributionRow) -> Result<Vec<Split>> {
    let read = |text: &str| Split::from_stored(text).ok_or_else(|| unreadable("split of customer", row.customer_id));
    row.splits.as_deref().map_or(Ok(Vec::new()), read)
}

/// Gives every cell to its person; of whoever was not read whole those that were asked for.
pub(super) fn read_cells(persons: &mut BTreeMap<PersonId, PersonRecord>, rows: &[CellRow]) -> Result<()> {
    for row in rows {
        let Some(person) = persons.get_mut(&PersonId(row.person_id)) else { continue };
        put_cell(&mut person.cells, row)?;
    }
    Ok(())
}

pub(super) fn put_cell(cells: &mut Cells, stored: &CellRow) -> Result<()> {
    let cell = CellKey::parse(&stored.cell).ok_or_else(|| unreadable("cell", &stored.cell))?;
    let last = LastPosting {
        fact: FactId(stored.last_fact),
        for_period: Period::parse(&stored.last_period).ok_or_else(|| unreadable("period of cell", &stored.cell))?,
        payable_at: Instant(stored.last_payable_at),
        plan: stored.last_plan.clone(),
        version: stored.last_plan_number,
    };
    let (amount, cut_off) = (Decimal(stored.posted), Decimal(stored.cut_off));
    let posted = PostedCell { cell, amount, cut_off, last: Some(last) };
    cells.posted.insert(stored.cell.clone(), posted);
    cells.last_commissions.insert(stored.cell.clone(), CommissionId(stored.last_commission_id));
    Ok(())
}

/// Persons as they are recorded, without a lock.
pub(crate) async fn people(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<PersonRecord>> {
    let rows = persons_read(tx, persons).await?;
    let state = person_state(tx, persons).await?;
    Ok(records(&rows, &state)?.into_values().collect())
}

/// Persons as they are recorded, but for what was posted for them.
pub(crate) async fn people_unposted(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<PersonRecord>> {
    let rows = persons_read(tx, persons).await?;
    let state = person_facts(tx, persons).await?;
    Ok(records(&rows, &state)?.into_values().collect())
}

/// The cells of these payees in a program that belong to no person, which are kept under its number, negated.
pub(crate) async fn common_cells(
    tx: &Tx<'_>,
    (account, program): (AccountId, ProgramId),
    partners: impl Iterator<Item = PartnerId>,
    customers: impl Iterator<Item = CustomerId>,
) -> Result<Cells> {
    let payees = partners.map(|partner| partner.0).chain(customers.map(|customer| customer.0));
    let payees: Vec<_> =
        payees.map(|payee_id| PayeeOf { account_id: account.0, owner_id: -program.0, payee_id }).collect();
    let mut cells = Cells::default();
    let rows = headwater_store::circle::common_cells(tx, &payees).await?;
    rows.iter().try_for_each(|row| put_cell(&mut cells, row))?;
    Ok(cells)
}

/// The greatest revision of every key among the facts of its source: by `revision` where the sender has one, else by
/// arrival.
pub(super) fn read_facts(person: &mut PersonRecord, rows: &[&FactRow]) -> Result<()> {
    let mut current: BTreeMap<(&str, &str, &str), (&FactRow, i64)> = BTreeMap::new();
    for row in rows {
        let (standing, first) = current.entry((&row.source, &row.kind, &row.fact_key)).or_insert((row, row.id));
        *first = row.id.min(*first);
        if (row.revision, row.id) >= (standing.revision, standing.id) {
            *standing = row;
        }
    }
    let mut standing: Vec<_> = current.into_values().collect();
    standing.sort_unstable_by_key(|(row, _)| row.id);
    for (row, first) in standing {
        let body = FactBody::from_stored(&row.kind, &row.body);
        let source = Source::parse(&row.source).ok_or_else(|| unreadable("source of fact", row.id))?;
        person.arrivals.insert(FactId(row.id), Arrival { source, first: FactId(first) });
        person.facts.push(Fact {
            id: FactId(row.id),
            key: row.fact_key.clone(),
            revision: row.revision,
            customer: CustomerId(row.customer_id),
            at: Instant(row.at),
            body: body.ok_or_else(|| unreadable("fact", row.id))?,
        });
    }
    Ok(())
}
