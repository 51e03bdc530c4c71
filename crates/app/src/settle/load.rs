//! The first half of a settlement's transaction: claim the callers' keys, lock the clients, read what they depend on.

use super::view::{Claimed, PersonRecord, Remembered, View};
use super::{Command, Track};
use crate::app::App;
use headwater_domain::attribution::Binding;
use headwater_domain::commission::{self, CellKey, CustomerView, PostedCell};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{
    AccountId, ClickId, CommissionId, CustomerId, EventId, FactId, KeyId, LinkId, PartnerId, PersonId, ProgramId,
};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::settlement::{
    self, EventClaim, FactRow, IdempotencyClaim, Number, PersonClaim, PersonRow, PersonState,
};
use std::collections::BTreeMap;

pub(super) async fn load(tx: &Tx<'_>, app: &App, commands: &[Command], now: Instant) -> Result<View> {
    let tracks: Vec<&Track> = commands.iter().filter_map(track_of).collect();
    let mut view = View::default();
    claim_idempotency(tx, &tracks, now, &mut view).await?;
    let mut wanted = claim_events(tx, app, &tracks, now, &mut view).await?;
    wanted.extend(commands.iter().filter_map(|command| match command {
        Command::Confirm { event, .. } | Command::Reject { event, .. } => Some(*event),
        Command::Track(_) => None,
    }));
    wanted.sort_unstable();
    wanted.dedup();
    let wanted: Vec<_> = wanted.into_iter().map(|id| Number { id: id.0 }).collect();
    for row in settlement::events_by_id(tx, &wanted).await? {
        view.events.insert(EventId(row.id), row);
    }
    load_persons(tx, app, &tracks, now, &mut view).await?;
    Ok(view)
}

fn track_of(command: &Command) -> Option<&Track> {
    match command {
        Command::Track(track) => Some(track),
        Command::Confirm { .. } | Command::Reject { .. } => None,
    }
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
    settlement::idempotency_claim(tx, claims.clone()).await?;
    for row in settlement::idempotency_read(tx, &claims).await? {
        let answered = (row.status != 0).then_some(row.body);
        let remembered = Remembered { fingerprint: row.fingerprint, answered };
        view.idempotency.insert((KeyId(row.key_id), row.scope), remembered);
    }
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
    settlement::event_claim(tx, claims.clone()).await?;
    let mut ids = Vec::new();
    for row in settlement::event_claims(tx, &claims).await? {
        ids.push(EventId(row.event_id));
        let claimed = Claimed { event: EventId(row.event_id), fingerprint: row.fingerprint };
        view.claims.insert((ProgramId(row.program_id), row.event_key), claimed);
    }
    Ok(ids)
}

async fn load_persons(tx: &Tx<'_>, app: &App, tracks: &[&Track], now: Instant, view: &mut View) -> Result<()> {
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
    settlement::person_claim(tx, claims.clone()).await?;
    let mut rows = settlement::persons_by_email(tx, &claims).await?;
    let by_event: Vec<_> = view.events.values().filter_map(|event| event.person_id).map(|id| Number { id }).collect();
    rows.extend(settlement::persons_by_id(tx, &by_event).await?);
    rows.sort_by_key(|row| row.id);
    rows.dedup_by_key(|row| row.id);
    let ids: Vec<_> = rows.iter().map(|row| Number { id: row.id }).collect();
    let state = settlement::person_state(tx, &ids).await?;
    for row in rows {
        let person = person_record(&row, &state);
        view.person_by_email.insert((person.program, row.email_key), person.id);
        view.persons.insert(person.id, person);
    }
    Ok(())
}

fn person_record(row: &PersonRow, state: &PersonState) -> PersonRecord {
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
    let customers = state.customers.iter().filter(|c| c.person_id == row.id).map(|c| CustomerView {
        customer: CustomerId(c.id),
        registered_at: Instant(c.registered_at),
        country: c.country.clone(),
        account_type: c.account_type.clone(),
        campaign: None,
        link: None,
        bindings: bindings.clone(),
    });
    let cells: Vec<_> = state.cells.iter().filter(|c| c.person_id == row.id).collect();
    PersonRecord {
        id: PersonId(row.id),
        account: AccountId(row.account_id),
        program: ProgramId(row.program_id),
        event_types: row.event_types.split_whitespace().map(str::to_owned).collect(),
        qualified_at: row.qualified_at.map(Instant),
        customers: customers.collect(),
        binding,
        facts: current_facts(state.facts.iter().filter(|f| f.person_id == row.id)),
        cells: cells
            .iter()
            .filter_map(|c| {
                let cell = CellKey::parse(&c.cell)?;
                Some((c.cell.clone(), PostedCell { cell, amount: Decimal(c.posted), cut_off: Decimal::ZERO }))
            })
            .collect(),
        last_commissions: cells.iter().map(|c| (c.cell.clone(), CommissionId(c.last_commission_id))).collect(),
        unverified: state.unverified.iter().filter(|e| e.person_id == Some(row.id)).cloned().collect(),
    }
}

/// The greatest revision of every key: by `revision` where the sender has one, else by arrival.
fn current_facts<'r>(rows: impl Iterator<Item = &'r FactRow>) -> Vec<Fact> {
    let mut current: BTreeMap<(&str, &str), &FactRow> = BTreeMap::new();
    for row in rows {
        let standing = current.entry((&row.kind, &row.fact_key)).or_insert(row);
        if (row.revision, row.id) >= (standing.revision, standing.id) {
            *standing = row;
        }
    }
    current
        .into_values()
        .filter_map(|row| {
            let body = FactBody::from_json(&row.kind, &serde_json::from_str(&row.body).ok()?)?;
            Some(Fact {
                id: FactId(row.id),
                key: row.fact_key.clone(),
                revision: row.revision,
                customer: CustomerId(row.customer_id),
                at: Instant(row.at),
                body,
            })
        })
        .collect()
}
