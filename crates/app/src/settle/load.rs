//! The first half of a settlement's transaction: claim the callers' keys, lock the clients, read what they depend on.
//!
//! Whatever a decision depends on is read after its lock (`store::settlement`). A row that cannot be read abandons the
//! settlement: a default in its place would be money made up.

use super::foreseen::{Foreseen, Reading};
use super::names::Names;
use super::refuse::sale_reported_once;
use super::same_click::Clicks;
use super::view::{Claimed, PersonRecord, Remembered, View};
use super::window;
use super::{Command, Track, again, circle, origin, wide};
use crate::app::App;
use crate::commission::custom::claimed_by_hand;
use crate::ingest::Record;
use headwater_domain::click::token::Traffic;
use headwater_domain::ids::{CustomerId, EventId, KeyId, PartnerId, PersonId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Result, Tx};
use headwater_store::circle::{marks_of_persons, programs_of_events};
use headwater_store::inbox::{
    EventClaim, IdempotencyClaim, event_claim, event_claims_lock, idempotency_claim, idempotency_read,
};
use headwater_store::ingest::{Merge, accounts_of_persons};
use headwater_store::pricing_lock::pricing;
use headwater_store::repricing::Served;
use headwater_store::settlement::{self, Number, PersonClaim, PersonRow};
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn load(tx: &Tx<'_>, app: &App, commands: &[Command], reading: Reading, now: Instant) -> Result<View> {
    pricing(tx).await?;
    // A change that is committed later marks whom it concerns.
    app.refresh_in(tx).await?;
    let directory = app.directory();
    let confirmed: Vec<_> = commands.iter().filter_map(confirmed).collect();
    let programs = wide::programs(&directory, commands, &programs_of_events(tx, &confirmed).await?);
    settlement::programs_lock(tx, &wide::locked(commands, &programs)).await?;
    let mut view = View::new(directory);
    let tracks: Vec<&Track> = commands.iter().filter_map(track_of).collect();
    claim_idempotency(tx, &tracks, now, &mut view).await?;
    // What was answered before is answered again or refused, and claims nothing.
    let tracks: Vec<&Track> = tracks.into_iter().filter(|track| !is_answered(&view, track)).collect();
    let mut events = claim_events(tx, app, &tracks, now, &mut view).await?;
    read_given_by_hand(tx, commands, &mut view).await?;
    events.extend(commands.iter().filter_map(|command| match command {
        Command::Confirm { event, .. } | Command::Reject { event, .. } => Some(*event),
        Command::Track(_) | Command::Record(_) | Command::Reprice { .. } => None,
    }));
    let events: BTreeSet<_> = events.into_iter().collect();
    let events: Vec<_> = events.into_iter().map(|event| Number { id: event.0 }).collect();
    let names = names_of(tx, app, commands, now).await?;
    let mut further: Vec<Number> = commands.iter().flat_map(again::persons).collect();
    further.extend(names.persons.iter().cloned());
    let may_bind = circle::named(commands);
    let clicks = Clicks::of(commands);
    let claims = Claims { tracks: &tracks, names: &names.claims, programs: &programs, may_bind, clicks };
    let persons = lock_persons(tx, app, claims, &events, further, now, &mut view).await?;
    for row in settlement::events_lock(tx, &events).await? {
        view.events.insert(EventId(row.id), row);
    }
    names.read_accounts(tx, &view.person_by_email, &mut view.known).await?;
    let foreseen = Foreseen { commands, facts: &names.facts, reading, now };
    window::read_persons(tx, persons, &foreseen, &mut view).await?;
    let mut changed = may_wait(&view, &tracks);
    changed.extend(of_numbered(&view, commands));
    for row in accounts_of_persons(tx, &changed).await? {
        view.known.accounts.entry(CustomerId(row.id)).or_insert(row);
    }
    origin::read_shares(tx, &mut view).await?;
    names.resolve(&view.persons, &mut view.known);
    Ok(view)
}

/// The event that a command confirms.
fn confirmed(command: &Command) -> Option<Number> {
    match command {
        Command::Confirm { event, .. } => Some(Number { id: event.0 }),
        Command::Track(_) | Command::Reject { .. } | Command::Record(_) | Command::Reprice { .. } => None,
    }
}

/// Clients of events of whom may be written down that they wait: who is bound by an advertisement, and who turns out to be somebody
/// who was.
fn may_wait(view: &View, tracks: &[&Track]) -> Vec<Number> {
    let mut persons = BTreeSet::new();
    for track in tracks {
        let Some(touch) = track.touch else { continue };
        let of_click = view.click_clients.get(&(track.program, touch.click));
        if of_click.is_some() || touch.traffic == Traffic::Advertised {
            let named = track.email_key.clone().and_then(|name| view.person_by_email.get(&(track.program, name)));
            persons.extend(of_click.into_iter().chain(named).map(|person| person.0));
        }
    }
    persons.extend(view.events.values().filter(|event| event.is_advertised).filter_map(|event| event.person_id));
    persons.into_iter().map(|id| Number { id }).collect()
}

/// Whose the accounts are that records name by our own numbers, whoever it was when that was looked up.
fn of_numbered(view: &View, commands: &[Command]) -> Vec<Number> {
    let ingests = commands.iter().filter_map(|command| match command {
        Command::Record(ingest) => Some(&ingest.records),
        Command::Track(_) | Command::Confirm { .. } | Command::Reject { .. } | Command::Reprice { .. } => None,
    });
    let numbers: BTreeSet<CustomerId> = ingests
        .flatten()
        .filter_map(|record| match record {
            Record::Customer(customer) => customer.number.map(|(_, customer)| customer),
            Record::Fact(_) => None,
        })
        .collect();
    let is_named = |person: &&PersonRecord| person.customers.iter().any(|one| numbers.contains(&one.customer));
    let persons = view.persons.values().filter(|_| !numbers.is_empty()).filter(is_named);
    persons.map(|person| Number { id: person.id.0 }).collect()
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

/// Reads which of the sales that are reported once have the id of a commission that somebody made by hand. Who makes one waits
/// for this settlement, and sees its sales.
async fn read_given_by_hand(tx: &Tx<'_>, commands: &[Command], view: &mut View) -> Result<()> {
    let mut asked = BTreeMap::new();
    for command in commands {
        let Command::Record(ingest) = command else { continue };
        for key in ingest.records.iter().filter_map(sale_reported_once) {
            let name = (ingest.program, claimed_by_hand(key));
            asked.entry(name).or_insert_with_key(|(program, event_key)| EventClaim {
                program_id: program.0,
                event_key: event_key.clone(),
                event_id: 0,
                fingerprint: String::new(),
            });
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let asked: Vec<_> = asked.into_values().collect();
    for row in event_claims_lock(tx, &asked).await? {
        view.given_by_hand.insert((ProgramId(row.program_id), row.event_key));
    }
    Ok(())
}

/// Who is to be there: the clients of events, the persons that records name, and in some programs who is priced with them.
struct Claims<'a> {
    tracks: &'a [&'a Track],
    names: &'a [PersonClaim],
    programs: &'a [Number],
    /// Partners to whom persons may be bound.
    may_bind: BTreeSet<(ProgramId, PartnerId)>,
    clicks: Clicks,
}

async fn names_of(tx: &Tx<'_>, app: &App, commands: &[Command], now: Instant) -> Result<Names> {
    if !commands.iter().any(|command| matches!(command, Command::Record(_))) {
        return Ok(Names::default());
    }
    let holding = {
        let directory = app.directory();
        let programs = directory.programs_of_all_accounts().filter(|p| p.settings.holds_unknown_customers);
        programs.map(|program| program.id).collect()
    };
    Names::read(tx, &holding, commands, || app.next_id(now), now).await
}

/// Makes the clients that are new, and locks them with the clients of these events, all in one order.
async fn lock_persons(
    tx: &Tx<'_>,
    app: &App,
    asked: Claims<'_>,
    events: &[Number],
    further: Vec<Number>,
    now: Instant,
    view: &mut View,
) -> Result<Vec<PersonRow>> {
    let mut claims = BTreeMap::new();
    for track in asked.tracks {
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
    // A client of an event has an account at once; that of a record is made with the record.
    let with_account: BTreeSet<i64> = claims.values().map(|claim| claim.id).collect();
    for claim in asked.names {
        let name = (ProgramId(claim.program_id), claim.email_key.clone());
        claims.entry(name).or_insert_with(|| claim.clone());
    }
    let claims: Vec<_> = claims.into_values().collect();
    let made: BTreeSet<i64> = settlement::person_claim(tx, &claims).await?.into_iter().collect();
    view.reserved.persons = made.iter().map(|id| PersonId(*id)).collect();
    let by_name = settlement::person_ids(tx, &claims).await?;
    let mut ids: BTreeSet<i64> = by_name.iter().map(|(_, _, id)| *id).collect();
    ids.extend(further.iter().map(|number| number.id));
    ids.extend(settlement::persons_of_events(tx, events).await?.iter().map(|number| number.id));
    ids.extend(asked.clicks.leads(tx).await?.persons());
    let circles = circle::around(tx, &view.directory, asked.programs, &ids, asked.may_bind).await?;
    ids.extend(circles.persons);
    view.circles = circles.partners;
    read_marks(tx, &ids, view).await?;
    let (mut rows, mut merged) = lock_standing(tx, ids).await?;
    let mut leads = asked.clicks.leads(tx).await?;
    let mut clients = Vec::new();
    for claim in claims.into_iter().filter(|claim| made.contains(&claim.id)) {
        let known = asked.clicks.known(ProgramId(claim.program_id), &claim.email_key, &mut leads);
        // Only who is locked.
        match known.filter(|known| known.0 != claim.id && rows.iter().any(|row| row.id == known.0)) {
            Some(known) => {
                // The name is another one of somebody who is known.
                rows.retain(|row| row.id != claim.id);
                merged.insert(claim.id, known.0);
                view.outcome.merges.push(Merge { from_id: claim.id, into_id: known.0 });
            }
            None if with_account.contains(&claim.id) => clients.push(claim),
            None => {}
        }
    }
    view.click_clients = leads.into_alone();
    settlement::customer_claim(tx, &clients).await?;
    for (program, name, id) in by_name {
        let standing = merged.get(&id).copied().unwrap_or(id);
        view.person_by_email.insert((ProgramId(program), name), PersonId(standing));
    }
    Ok(rows)
}

/// Whoever is read for a circle is priced with it, so these marks are served with it. No dated change is committed before
/// this settlement is.
async fn read_marks(tx: &Tx<'_>, ids: &BTreeSet<i64>, view: &mut View) -> Result<()> {
    if view.circles.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = ids.iter().map(|id| Number { id: *id }).collect();
    for (program, person_id, mark) in marks_of_persons(tx, &ids).await? {
        view.marks.entry(ProgramId(program)).or_default().push(Served { person_id, mark });
    }
    Ok(())
}

/// Locks these persons; in the place of one that was merged meanwhile, the one that it became. Gives who became whom.
async fn lock_standing(tx: &Tx<'_>, ids: BTreeSet<i64>) -> Result<(Vec<PersonRow>, BTreeMap<i64, i64>)> {
    let (mut open, mut merged, mut rows) = (ids, BTreeMap::new(), Vec::<PersonRow>::new());
    while !open.is_empty() {
        let numbers: Vec<_> = open.iter().map(|id| Number { id: *id }).collect();
        let mut became = BTreeSet::new();
        for row in settlement::persons_lock(tx, &numbers).await? {
            match row.merged_into {
                Some(into) => {
                    merged.insert(row.id, into);
                    became.insert(into);
                }
                None => rows.push(row),
            }
        }
        became.retain(|id| !rows.iter().any(|row| row.id == *id));
        open = became;
    }
    rows.sort_by_key(|row| row.id);
    Ok((rows, merged))
}

/// A row that says nothing we understand: the settlement ends, and its log line names the row.
pub(super) fn unreadable(what: &str, which: impl std::fmt::Display) -> Error {
    Error::Abandoned(format!("the stored {what} {which} cannot be read"))
}
