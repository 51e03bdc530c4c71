//! The first half of a settlement's transaction: claim the callers' keys, lock the clients, read what they depend on.
//!
//! Whatever a decision depends on is read after its lock (`store::settlement`). A row that cannot be read abandons the
//! settlement: a default in its place would be money made up.

use super::view::{Cells, Claimed, PersonRecord, Remembered, View};
use super::{Command, Track, again, wide};
use crate::app::App;
use headwater_domain::attribution::Binding;
use headwater_domain::commission::{self, CellKey, CustomerView, PostedCell};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{
    AccountId, ClickId, CommissionId, CustomerId, EventId, FactId, KeyId, LinkId, PartnerId, PersonId, ProgramId,
};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Result, Tx};
use headwater_store::directory::changes_since;
use headwater_store::inbox::{
    EventClaim, IdempotencyClaim, event_claim, event_claims_lock, idempotency_claim, idempotency_read,
};
use headwater_store::settlement::{self, FactRow, Number, PersonClaim, PersonRow, PersonState};
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn load(tx: &Tx<'_>, app: &App, commands: &[Command], now: Instant) -> Result<View> {
    refresh(tx, app).await?;
    let programs = wide::programs(app, commands);
    settlement::programs_lock(tx, &programs).await?;
    let mut view = View::default();
    let tracks: Vec<&Track> = commands.iter().filter_map(track_of).collect();
    claim_idempotency(tx, &tracks, now, &mut view).await?;
    // What was answered before is answered again or refused, and claims nothing.
    let tracks: Vec<&Track> = tracks.into_iter().filter(|track| !is_answered(&view, track)).collect();
    let mut events = claim_events(tx, app, &tracks, now, &mut view).await?;
    events.extend(commands.iter().filter_map(|command| match command {
        Command::Confirm { event, .. } | Command::Reject { event, .. } => Some(*event),
        Command::Track(_) | Command::Record(_) | Command::Reprice { .. } => None,
    }));
    let events: BTreeSet<_> = events.into_iter().collect();
    let events: Vec<_> = events.into_iter().map(|event| Number { id: event.0 }).collect();
    let mut further = settlement::persons_of_programs(tx, &programs).await?;
    further.extend(commands.iter().flat_map(again::persons));
    let persons = lock_persons(tx, app, &tracks, &events, further, now, &mut view).await?;
    for row in settlement::events_lock(tx, &events).await? {
        view.events.insert(EventId(row.id), row);
    }
    read_persons(tx, persons, &mut view).await?;
    read_common_cells(tx, &programs, &mut view).await?;
    Ok(view)
}

fn track_of(command: &Command) -> Option<&Track> {
    match command {
        Command::Track(track) => Some(track),
        Command::Confirm { .. } | Command::Reject { .. } | Command::Record(_) | Command::Reprice { .. } => None,
    }
}

fn is_answered(view: &View, track: &Track) -> bool {
    let known = track.idempotency.as_ref().and_then(|i| view.idempotency.get(&(track.key, i.scope.clone())));
    known.is_some_and(|known| known.answered.is_some())
}

async fn claim_idempotency(tx: &Tx<'_>, tracks: &[&Track], now: Instant, view: &mut View) -> Result<()> {
    let mut claims = BTreeMap::new();
    for track in tracks {
        if let Some(idempotency) = &track.idempotency {
            let claim = IdempotencyClaim {
                key_id: track.key.0,
                scope: idempotency.scope.clone(),
                fingerprint: idempotency.fingerprint.clone(),
                created_at: now.0,
            };
            claims.entry((track.key, idempotency.scope.clone())).or_insert(claim);
        }
    }
    let claims: Vec<_> = claims.into_values().collect();
    idempotency_claim(tx, &claims).await?;
    for row in idempotency_read(tx, &claims).await? {
        let answered = (row.status != 0).then_some(row.body);
        let remembered = Remembered { fingerprint: row.fingerprint, answered, is_new: false };
        view.idempotency.insert((KeyId(row.key_id), row.scope), remembered);
    }
    let open = |claim: &IdempotencyClaim| {
        let known = view.idempotency.get(&(KeyId(claim.key_id), claim.scope.clone()));
        known.is_none_or(|known| known.answered.is_none())
    };
    view.reserved.idempotency = claims.into_iter().filter(open).collect();
    Ok(())
}

/// Claims callers' event ids; gives the numbers of the events that already stand for one.
async fn claim_events(
    tx: &Tx<'_>,
    app: &App,
    tracks: &[&Track],
    now: Instant,
    view: &mut View,
) -> Result<Vec<EventId>> {
    let mut claims = BTreeMap::new();
    for track in tracks {
        if let Some(event_key) = &track.event_key {
            claims.entry((track.program, event_key.clone())).or_insert_with(|| EventClaim {
                program_id: track.program.0,
                event_key: event_key.clone(),
                event_id: app.next_id(now),
                fingerprint: track.fingerprint.clone(),
            });
        }
    }
    let claims: Vec<_> = claims.into_values().collect();
    let made: BTreeSet<_> = event_claim(tx, &claims).await?.into_iter().collect();
    let (new, known): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| made.contains(&claim.event_id));
    for claim in &new {
        let claimed = Claimed { event: EventId(claim.event_id), fingerprint: claim.fingerprint.clone() };
        view.claims.insert((ProgramId(claim.program_id), claim.event_key.clone()), claimed);
    }
    view.reserved.events = new;
    let mut events = Vec::new();
    for row in event_claims_lock(tx, &known).await? {
        events.push(EventId(row.event_id));
        let claimed = Claimed { event: EventId(row.event_id), fingerprint: row.fingerprint };
        view.claims.insert((ProgramId(row.program_id), row.event_key), claimed);
    }
    Ok(events)
}

/// Makes the clients that are new, and locks them with the clients of these events, all in one order.
async fn lock_persons(
    tx: &Tx<'_>,
    app: &App,
    tracks: &[&Track],
    events: &[Number],
    further: Vec<Number>,
    now: Instant,
    view: &mut View,
) -> Result<Vec<PersonRow>> {
    let mut claims = BTreeMap::new();
    for track in tracks {
        if let Some(email_key) = &track.email_key {
            claims.entry((track.program, email_key.clone())).or_insert_with(|| PersonClaim {
                id: app.next_id(now),
                account_id: track.account.0,
                program_id: track.program.0,
                email_key: email_key.clone(),
                name: track.name.clone(),
                created_at: track.occurred_at.unwrap_or(now).0,
            });
        }
    }
    let claims: Vec<_> = claims.into_values().collect();
    view.reserved.persons = settlement::person_claim(tx, &claims).await?.into_iter().map(PersonId).collect();
    let mut ids = settlement::person_ids(tx, &claims).await?;
    ids.extend(further);
    ids.extend(settlement::persons_of_events(tx, events).await?);
    let ids: BTreeSet<_> = ids.into_iter().map(|number| number.id).collect();
    let ids: Vec<_> = ids.into_iter().map(|id| Number { id }).collect();
    settlement::persons_lock(tx, &ids).await
}

async fn read_persons(tx: &Tx<'_>, rows: Vec<PersonRow>, view: &mut View) -> Result<()> {
    let ids: Vec<_> = rows.iter().map(|row| Number { id: row.id }).collect();
    let state = settlement::person_state(tx, &ids).await?;
    for row in rows {
        let person = person_record(&row, &state)?;
        view.person_by_email.insert((person.program, row.email_key), person.id);
        view.persons.insert(person.id, person);
    }
    for row in state.unverified {
        view.events.entry(EventId(row.id)).or_insert(row);
    }
    Ok(())
}

fn person_record(row: &PersonRow, state: &PersonState) -> Result<PersonRecord> {
    let mut attributions: Vec<_> = state.attributions.iter().filter(|a| a.person_id == row.id).collect();
    attributions.sort_by_key(|a| a.from_at);
    let bindings: Vec<_> = attributions
        .iter()
        .map(|a| commission::Binding { from: Instant(a.from_at), partner: PartnerId(a.partner_id) })
        .collect();
    let binding = attributions.last().map(|a| Binding {
        partner: PartnerId(a.partner_id),
        link: a.link_id.map(LinkId),
        click: a.click_id.map(ClickId),
    });
    let mut customers: Vec<_> = state
        .customers
        .iter()
        .filter(|c| c.person_id == row.id)
        .map(|c| CustomerView {
            customer: CustomerId(c.id),
            registered_at: Instant(c.registered_at),
            country: c.country.clone(),
            account_type: c.account_type.clone(),
            campaign: None,
            link: None,
            bindings: bindings.clone(),
        })
        .collect();
    customers.sort_by_key(|c| (c.registered_at, c.customer));
    Ok(PersonRecord {
        id: PersonId(row.id),
        account: AccountId(row.account_id),
        program: ProgramId(row.program_id),
        event_types: row.event_types.split_whitespace().map(str::to_owned).collect(),
        qualified_at: row.qualified_at.map(Instant),
        customers,
        binding,
        facts: current_facts(state.facts.iter().filter(|f| f.person_id == row.id))?,
        cells: cells(state, row.id)?,
        unverified: state.unverified.iter().filter(|e| e.person_id == Some(row.id)).map(|e| EventId(e.id)).collect(),
    })
}

/// The cells that are kept under this number.
fn cells(state: &PersonState, owner: i64) -> Result<Cells> {
    let mut cells = Cells::default();
    for stored in state.cells.iter().filter(|cell| cell.person_id == owner) {
        let cell = CellKey::parse(&stored.cell).ok_or_else(|| unreadable("cell", &stored.cell))?;
        let posted = PostedCell { cell, amount: Decimal(stored.posted), cut_off: Decimal(stored.cut_off) };
        cells.posted.insert(stored.cell.clone(), posted);
        cells.last_commissions.insert(stored.cell.clone(), CommissionId(stored.last_commission_id));
    }
    Ok(cells)
}

/// Cells that add up over all persons of a program are kept under its number, negated.
async fn read_common_cells(tx: &Tx<'_>, programs: &[Number], view: &mut View) -> Result<()> {
    let owners: Vec<_> = programs.iter().map(|program| Number { id: -program.id }).collect();
    let state = settlement::person_state(tx, &owners).await?;
    for program in programs {
        view.common_cells.insert(ProgramId(program.id), cells(&state, -program.id)?);
    }
    Ok(())
}

/// What is decided here is decided on the configuration that is committed now, not on what this node saw last. A change
/// that is committed later marks whom it concerns.
async fn refresh(tx: &Tx<'_>, app: &App) -> Result<()> {
    let seen = app.directory().version;
    app.apply(changes_since(tx, seen).await?);
    Ok(())
}

/// The greatest revision of every key: by `revision` where the sender has one, else by arrival.
fn current_facts<'r>(rows: impl Iterator<Item = &'r FactRow>) -> Result<Vec<Fact>> {
    let mut current: BTreeMap<(&str, &str), &FactRow> = BTreeMap::new();
    for row in rows {
        let standing = current.entry((&row.kind, &row.fact_key)).or_insert(row);
        if (row.revision, row.id) >= (standing.revision, standing.id) {
            *standing = row;
        }
    }
    let facts = current.into_values().map(|row| {
        let body = serde_json::from_str(&row.body).ok().and_then(|body| FactBody::from_json(&row.kind, &body));
        Ok(Fact {
            id: FactId(row.id),
            key: row.fact_key.clone(),
            revision: row.revision,
            customer: CustomerId(row.customer_id),
            at: Instant(row.at),
            body: body.ok_or_else(|| unreadable("fact", row.id))?,
        })
    });
    facts.collect()
}

/// A row that says nothing we understand: the settlement ends, and its log line names the row.
pub(super) fn unreadable(what: &str, which: impl std::fmt::Display) -> Error {
    Error::Abandoned(format!("the stored {what} {which} cannot be read"))
}
