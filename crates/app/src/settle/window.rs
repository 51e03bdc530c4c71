//! How much of each person a settlement reads: everything but trading, and of trading the days that what is touched depends
//! on, where the plans say which (`commission::Reach`); else everything.
//!
//! What is touched is foreseen from the commands (`foreseen`); `part` judges afterwards whether it was. Invariant: of whoever is not read
//! whole, the days that were read are known, and so is what was there.

use super::foreseen::{Foreseen, Touched, row_of};
use super::part::{Part, can_be_read_by_days, moves_truth, partners_of, qualifying};
use super::persons::{put_cell, read_cells, read_facts, records};
use super::reaches::Reaches;
use super::view::{Cells, PersonRecord, View};
use headwater_domain::commission::Days;
use headwater_domain::fact::Fact;
use headwater_domain::ids::{AccountId, PersonId, ProgramId};
use headwater_domain::time::Zone;
use headwater_store::backend::{Result, Tx};
use headwater_store::circle::{PayeeWithin, common_cells_within};
use headwater_store::ingest::NamedFactRow;
use headwater_store::person_state::{
    CellsWithin, FactRow, NO_DAY, PersonOf, TradingWithin, cells_whole, cells_within, facts_beside_trading,
    facts_whole, person_basis, trading_within,
};
use headwater_store::settlement::PersonRow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Trading is stored by the start of its day in UTC; a zone moves that by less than this.
const MARGIN_SECONDS: i64 = 2 * 86_400;

/// Reads the persons that were locked.
pub(super) async fn read_persons(
    tx: &Tx<'_>,
    rows: Vec<PersonRow>,
    foreseen: &Foreseen<'_>,
    view: &mut View,
) -> Result<()> {
    let asked: Vec<_> = rows.iter().map(|row| PersonOf { account_id: row.account_id, id: row.id }).collect();
    let basis = person_basis(tx, &asked).await?;
    view.persons = records(&rows, &basis)?;
    for row in rows {
        view.person_by_email.insert((ProgramId(row.program_id), row.email_key), PersonId(row.id));
    }
    for row in basis.unverified {
        view.events.entry(headwater_domain::ids::EventId(row.id)).or_insert(row);
    }
    let touched = foreseen.touched(view)?;
    let beside: Vec<_> = view.persons.values().filter(|one| !touched.whole.contains(&one.id)).map(person_of).collect();
    let few = rows_by_person(facts_beside_trading(tx, &beside).await?);
    for (person, rows) in &few {
        if let Some(record) = view.persons.get_mut(person) {
            read_facts(record, &rows.iter().collect::<Vec<_>>())?;
        }
    }
    let parts = parts(view, &touched)?;
    let is_whole = |one: &&PersonRecord| !parts.contains_key(&one.id);
    let whole: Vec<_> = view.persons.values().filter(is_whole).map(person_of).collect();
    read_whole(tx, &whole, view).await?;
    read_parts(tx, few, parts, foreseen.facts, view).await?;
    read_common_cells(tx, view).await
}

fn person_of(person: &PersonRecord) -> PersonOf {
    PersonOf { account_id: person.account.0, id: person.id.0 }
}

fn rows_by_person(rows: Vec<FactRow>) -> BTreeMap<PersonId, Vec<FactRow>> {
    let mut by_person: BTreeMap<PersonId, Vec<FactRow>> = BTreeMap::new();
    for row in rows {
        by_person.entry(PersonId(row.person_id)).or_default().push(row);
    }
    by_person
}

async fn read_whole(tx: &Tx<'_>, persons: &[PersonOf], view: &mut View) -> Result<()> {
    for (person, rows) in rows_by_person(facts_whole(tx, persons).await?) {
        let Some(record) = view.persons.get_mut(&person) else { continue };
        record.facts.clear();
        record.arrivals.clear();
        read_facts(record, &rows.iter().collect::<Vec<_>>())?;
    }
    read_cells(&mut view.persons, &cells_whole(tx, persons).await?)
}

/// Reads the trading and the cells of the days that are asked for.
async fn read_parts(
    tx: &Tx<'_>,
    few: BTreeMap<PersonId, Vec<FactRow>>,
    parts: BTreeMap<PersonId, Part>,
    named: &[NamedFactRow],
    view: &mut View,
) -> Result<()> {
    let (mut trading, mut cells) = (Vec::new(), Vec::new());
    for (person, part) in &parts {
        let Some(record) = view.persons.get(person) else { continue };
        let account_id = record.account.0;
        trading.extend(part.trading.ranges().iter().map(|(from, to)| TradingWithin {
            account_id,
            person_id: person.0,
            from_at: Zone::UTC.start_of(*from).plus_seconds(-MARGIN_SECONDS).0,
            to_at: Zone::UTC.start_of(*to).plus_seconds(MARGIN_SECONDS).0,
        }));
        cells.extend(days_named(&part.window.felt).map(|(from_day, to_day)| CellsWithin {
            account_id,
            person_id: person.0,
            from_day,
            to_day,
        }));
    }
    let mut rows = few;
    for row in trading_within(tx, &trading).await? {
        rows.entry(PersonId(row.person_id)).or_default().push(row);
    }
    let mut touched: BTreeSet<i64> = BTreeSet::new();
    for row in named {
        touched.insert(row.id);
        rows.entry(PersonId(row.person_id)).or_default().push(row_of(row));
    }
    for (person, mut part) in parts {
        let Some(record) = view.persons.get_mut(&person) else { continue };
        let mut rows = rows.remove(&person).unwrap_or_default();
        rows.sort_unstable_by_key(|row| row.id);
        rows.dedup_by_key(|row| row.id);
        record.facts.clear();
        record.arrivals.clear();
        read_facts(record, &rows.iter().collect::<Vec<_>>())?;
        // Days beside those that were asked for are not read whole.
        let is_asked = |fact: &Fact| {
            !fact.body.is_of_trading() || touched.contains(&fact.id.0) || part.trading.holds(part.reach.day_of(fact))
        };
        let gone: Vec<_> = record.facts.iter().filter(|fact| !is_asked(fact)).map(|fact| fact.id).collect();
        record.facts.retain(is_asked);
        for id in gone {
            record.arrivals.remove(&id);
        }
        part.remember(record);
        record.part = Some(part);
    }
    read_cells(&mut view.persons, &cells_within(tx, &cells).await?)?;
    for record in view.persons.values_mut() {
        let PersonRecord { part: Some(part), cells, .. } = record else { continue };
        cells.posted.retain(|_, cell| part.window.shows(&cell.cell.scope));
    }
    Ok(())
}

/// Of whom a part is enough, and which; whoever is priced together is read alike.
fn parts(view: &mut View, touched: &Touched) -> Result<BTreeMap<PersonId, Part>> {
    let View { directory, persons, marks, reaches, .. } = view;
    let mut together: BTreeMap<ProgramId, Vec<&PersonRecord>> = BTreeMap::new();
    let mut parts = BTreeMap::new();
    for person in persons.values() {
        if directory.is_wide(person.program) {
            together.entry(person.program).or_default().push(person);
        } else {
            parts.extend(part_of(&[person], touched, reaches)?);
        }
    }
    for (program, persons) in together {
        // Marks are served with whoever is read.
        if !marks.contains_key(&program) {
            parts.extend(part_of(&persons, touched, reaches)?);
        }
    }
    Ok(parts)
}

/// The parts of persons that are priced together; none where any of them is to be read whole.
fn part_of(persons: &[&PersonRecord], touched: &Touched, reaches: &mut Reaches) -> Result<BTreeMap<PersonId, Part>> {
    let is_whole = |person: &&PersonRecord| touched.whole.contains(&person.id);
    let Some(first) = persons.first().filter(|_| !persons.iter().any(is_whole)) else { return Ok(BTreeMap::new()) };
    let of = |person: &PersonRecord| touched.facts.get(&person.id).map_or(&[][..], Vec::as_slice);
    let mut partners = BTreeSet::new();
    for person in persons {
        partners.extend(partners_of(person, of(person).iter().map(|(fact, _)| fact)));
    }
    let Some(reach) = reaches.of((first.account, first.program), partners)? else { return Ok(BTreeMap::new()) };
    let truths = reaches.truths(first.account, first.program);
    let (mut days, mut looked_at) = (BTreeSet::new(), Vec::with_capacity(persons.len()));
    for person in persons {
        let qualifying = qualifying(&reach, person, &truths);
        if !can_be_read_by_days(person, &reach) {
            return Ok(BTreeMap::new());
        }
        for (fact, source) in of(person) {
            if moves_truth(person, fact, *source) {
                return Ok(BTreeMap::new());
            }
            let Some(day) = reach.felt(fact, &person.facts, &qualifying) else { return Ok(BTreeMap::new()) };
            days.insert(day);
        }
        looked_at.push(qualifying);
    }
    let window = Arc::new(reach.around(days));
    let part = |(person, qualifying): (&&PersonRecord, Days)| {
        let mut trading = window.read.clone();
        trading.insert_all(&qualifying);
        (person.id, Part::new(Arc::clone(&reach), Arc::clone(&window), trading))
    };
    Ok(persons.iter().zip(looked_at).map(part).collect())
}

/// The common cells of programs whose persons were read: those of the days that are felt, where that is what was read.
async fn read_common_cells(tx: &Tx<'_>, view: &mut View) -> Result<()> {
    for (program, partners) in &view.circles {
        let Some(account) = view.directory.program_of_any_account(*program).map(|known| known.account) else {
            continue;
        };
        let of_program = view.persons.values().filter(|person| person.program == *program);
        let customers = of_program.clone().flat_map(|person| &person.customers).map(|customer| customer.customer);
        let window = of_program.clone().find_map(|person| person.part.as_ref()).map(|part| Arc::clone(&part.window));
        let cells = match window {
            None => super::persons::common_cells(tx, (account, *program), partners.iter().copied(), customers).await?,
            Some(window) => {
                let payees = partners.iter().map(|partner| partner.0).chain(customers.map(|customer| customer.0));
                let payees: Vec<i64> = payees.collect();
                let mut cells = Cells::default();
                let rows = common_cells_within(tx, &payees_within((account, *program), &payees, &window.felt)).await?;
                rows.iter().try_for_each(|row| put_cell(&mut cells, row))?;
                cells.posted.retain(|_, cell| window.shows(&cell.cell.scope));
                cells
            }
        };
        view.common_cells.insert(*program, cells);
    }
    Ok(())
}

fn payees_within((account, program): (AccountId, ProgramId), payees: &[i64], days: &Days) -> Vec<PayeeWithin> {
    let of = |payee_id: i64| {
        let within = move |(from_day, to_day)| PayeeWithin {
            account_id: account.0,
            owner_id: -program.0,
            payee_id,
            from_day,
            to_day,
        };
        days_named(days).map(within)
    };
    payees.iter().flat_map(|payee| of(*payee)).collect()
}

/// Days as cells are stored by them, and no day: what is of no period is always felt.
fn days_named(days: &Days) -> impl Iterator<Item = (String, String)> {
    let known = days.ranges().iter().map(|(from, to)| (from.to_string(), to.to_string()));
    known.chain([(NO_DAY.0.to_owned(), NO_DAY.1.to_owned())])
}
