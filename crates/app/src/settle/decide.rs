//! Decides the commands of a batch, one after the other, over loaded state. Pure: clock and numbers are arguments.
//!
//! Order of an event: the caller's keys, the client, its attribution, duplicate or not, then money (`price`).

use super::price::{price, record_facts};
use super::view::{Claimed, View};
use super::{Answer, Command, Track};
use crate::directory::{Directory, Program};
use headwater_domain::attribution::{Attributed, Evidence, attribute};
use headwater_domain::commission;
use headwater_domain::event::{Event, REFERRAL_INITIATED, State, is_money, repeats};
use headwater_domain::ids::{
    AccountId, ClickId, DeliveryId, EventId, LinkId, PartnerId, PersonId, ProgramId, to_prefixed,
};
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::postback::delivery_public_id;
use headwater_domain::postback::envelope::{Message, render};
use headwater_domain::postback::subscription::{EnabledEvents, EndpointStatus, PayloadStyle};
use headwater_domain::time::Instant;
use headwater_store::delivery::NewDelivery;
use headwater_store::outcome::{CustomerUpdate, EventDecision, NewAttribution, NewEvent};
use headwater_store::settlement::{EventClaim, EventRow, IdempotencyAnswer};

/// Where numbers come from.
pub(super) type NextId<'a> = &'a mut dyn FnMut() -> i64;

/// An unconfirmed event may be confirmed by the same event of a secret key this long after (`referral-api.md` §10).
const CONFIRM_WINDOW_SECONDS: i64 = 86_400;

/// Decides all; answers in their order, with what the idempotency keys must remember.
pub(super) fn decide_all(
    view: &mut View,
    directory: &Directory,
    commands: &[Command],
    next_id: NextId<'_>,
    now: Instant,
) -> (Vec<Answer>, Vec<IdempotencyAnswer>) {
    let mut remembered = Vec::new();
    let answers = commands
        .iter()
        .map(|command| match command {
            Command::Track(track) => {
                let answer = with_idempotency(view, track, |view| track_event(view, directory, track, next_id, now));
                if let (Some(idempotency), Answer::Event { json, replayed: false }) = (&track.idempotency, &answer) {
                    let (scope, body) = (idempotency.scope.clone(), json.clone());
                    remembered.push(IdempotencyAnswer { key_id: track.key.0, scope, status: 200, body });
                }
                answer
            }
            Command::Confirm { account, event, amount, currency } => {
                confirm(view, directory, *account, *event, amount.as_ref(), *currency, next_id, now)
            }
            Command::Reject { account, event } => reject(view, directory, *account, *event),
        })
        .collect();
    (answers, remembered)
}

fn with_idempotency(view: &mut View, track: &Track, decide: impl FnOnce(&mut View) -> Answer) -> Answer {
    let Some(idempotency) = &track.idempotency else { return decide(view) };
    let key = (track.key, idempotency.scope.clone());
    if let Some(known) = view.idempotency.get(&key) {
        if known.fingerprint != idempotency.fingerprint {
            return Answer::IdempotencyReused;
        }
        if let Some(json) = &known.answered {
            return Answer::Event { json: json.clone(), replayed: true };
        }
    }
    let answer = decide(view);
    if let (Answer::Event { json, .. }, Some(known)) = (&answer, view.idempotency.get_mut(&key)) {
        known.answered = Some(json.clone());
    }
    answer
}

fn track_event(view: &mut View, directory: &Directory, track: &Track, next_id: NextId<'_>, now: Instant) -> Answer {
    let Some(program) = directory.program(track.account, track.program).cloned() else { return Answer::EventUnknown };
    let occurred_at = track.occurred_at.unwrap_or(now);
    let claimed = track.event_key.as_ref().and_then(|k| view.claims.get(&(track.program, k.clone()))).cloned();
    if let Some(claimed) = &claimed
        && let Some(row) = view.events.get(&claimed.event).cloned()
    {
        return same_key_again(view, directory, track, &claimed.fingerprint, &row, next_id, now);
    }
    let person = track.email_key.as_ref().and_then(|email| view.person_by_email.get(&(track.program, email.clone())));
    let person = person.copied();
    let state = state_of(track, &program);
    if track.trusted
        && let Some(row) = person.and_then(|p| waiting_twin(view, p, track, occurred_at))
    {
        let event = EventId(row.id);
        if let Some(event_key) = &track.event_key {
            claim_for(view, track, event_key, event);
        }
        return confirm(view, directory, track.account, event, track.amount.as_ref(), track.currency, next_id, now);
    }
    let id = claimed.map(|claimed| claimed.event);
    let id = id.unwrap_or_else(|| EventId(next_id()));
    let attributed = attribution(view, directory, track, person, occurred_at, program.settings.window_days);
    let is_duplicate =
        person.and_then(|p| view.persons.get(&p)).is_some_and(|p| p.event_types.contains(&track.event_type));
    let mut row = EventRow {
        id: id.0,
        account_id: track.account.0,
        program_id: track.program.0,
        kind: track.event_type.clone(),
        person_id: person.map(|p| p.0),
        click_id: attributed.binding.and_then(|b| b.click).map(|c| c.0),
        link_id: attributed.binding.and_then(|b| b.link).map(|l| l.0),
        partner_id: attributed.binding.map(|b| b.partner.0),
        amount: track.amount.as_ref().map(|(_, text)| text.clone()),
        currency: track.currency.map(|c| c.code().to_owned()),
        is_conversion: false,
        is_duplicate,
        state: state.name().to_owned(),
        evidence: attributed.evidence.name().to_owned(),
        occurred_at: occurred_at.0,
        event_key: track.event_key.clone(),
        metadata: track.metadata.clone(),
        received_at: now.0,
    };
    if state == State::Verified {
        row.is_conversion = counts(view, directory, &program, &row, track, attributed, next_id, now);
        deliver(view, directory, &row, next_id, now);
    }
    view.outcome.events.push(new_event(&row, track, attributed.reason.or(track.touch_reason)));
    if state == State::Unverified
        && let Some(person) = person.and_then(|p| view.persons.get_mut(&p))
    {
        person.unverified.push(row.clone());
    }
    let json = event_of(&row, directory).to_json();
    view.events.insert(id, row);
    Answer::Event { json, replayed: false }
}

/// What a verified event does beside being recorded; gives whether it is a conversion.
#[expect(clippy::too_many_arguments, reason = "one call site hands over what it has at hand")]
fn counts(
    view: &mut View,
    directory: &Directory,
    program: &Program,
    row: &EventRow,
    track: &Track,
    attributed: Attributed,
    next_id: NextId<'_>,
    now: Instant,
) -> bool {
    let Some(person) = row.person_id.map(PersonId) else { return false };
    if attributed.binds {
        bind(view, person, track, attributed, now);
    }
    settle_person(view, directory, program, row, next_id, now)
}

/// Records the event's type, makes its facts and prices the person; gives whether it is a conversion.
fn settle_person(
    view: &mut View,
    directory: &Directory,
    program: &Program,
    row: &EventRow,
    next_id: NextId<'_>,
    now: Instant,
) -> bool {
    let Some(person) = row.person_id.and_then(|id| view.persons.get_mut(&PersonId(id))) else { return false };
    person.event_types.insert(row.kind.clone());
    if row.kind == REFERRAL_INITIATED || (row.is_duplicate && !repeats(&row.kind)) {
        return false;
    }
    if row.kind == "REGISTRATION" {
        for customer in &mut person.customers {
            customer.registered_at = Instant(row.occurred_at);
            let update = CustomerUpdate { id: customer.customer.0, registered_at: row.occurred_at };
            view.outcome.customers.push(update);
        }
    }
    let changed = record_facts(person, &mut view.outcome, row, next_id, now);
    price(person, &mut view.outcome, &mut view.bookings, directory, program, row, &changed, next_id, now)
}

fn attribution(
    view: &View,
    directory: &Directory,
    track: &Track,
    person: Option<PersonId>,
    occurred_at: Instant,
    window_days: i64,
) -> Attributed {
    let existing = person.and_then(|p| view.persons.get(&p)).and_then(|p| p.binding);
    // A blocked partner brings no new clients; those it brought before stay its own.
    let blocked = |id: PartnerId| {
        directory.partner_by_id(track.account, id).is_none_or(|partner| partner.is_suspended_at(occurred_at))
    };
    let touch = track.touch.filter(|touch| existing.is_some() || !blocked(touch.partner));
    attribute(existing, touch, person.is_some(), occurred_at, window_days)
}

fn bind(view: &mut View, person: PersonId, track: &Track, attributed: Attributed, now: Instant) {
    let (Some(binding), Some(touch)) = (attributed.binding, track.touch) else { return };
    let Some(record) = view.persons.get_mut(&person) else { return };
    let from = touch.at.min(track.occurred_at.unwrap_or(now));
    record.binding = Some(binding);
    for customer in &mut record.customers {
        customer.bindings.push(commission::Binding { from, partner: binding.partner });
    }
    view.outcome.attributions.push(NewAttribution {
        person_id: person.0,
        from_at: from.0,
        account_id: record.account.0,
        partner_id: binding.partner.0,
        link_id: binding.link.map(|l| l.0),
        click_id: binding.click.map(|c| c.0),
        clicked_at: Some(touch.at.0),
        evidence: attributed.evidence.name().to_owned(),
        recorded_at: now.0,
    });
}

/// A browser cannot make money count (`referral-api.md` §10).
fn state_of(track: &Track, program: &Program) -> State {
    let guarded = is_money(&track.event_type)
        || track.amount.is_some()
        || program.settings.unverified_types.contains(&track.event_type);
    if track.trusted || !guarded { State::Verified } else { State::Unverified }
}

/// An unverified event of the same client, type, amount and currency, a day away at most.
fn waiting_twin(view: &View, person: PersonId, track: &Track, occurred_at: Instant) -> Option<EventRow> {
    let amount = track.amount.as_ref().map(|(amount, _)| *amount);
    let currency = track.currency.map(|c| c.code().to_owned());
    let twins = &view.persons.get(&person)?.unverified;
    let same = |row: &&EventRow| {
        row.kind == track.event_type
            && row.amount.as_deref().and_then(|a| Decimal::parse(a).ok()) == amount
            && row.currency == currency
            && (row.occurred_at - occurred_at.0).abs() < CONFIRM_WINDOW_SECONDS * 1_000_000
    };
    twins.iter().find(same).cloned()
}

/// The caller's new id stands for the event that it confirms.
fn claim_for(view: &mut View, track: &Track, event_key: &str, event: EventId) {
    let fingerprint = track.fingerprint.clone();
    view.outcome.claims_moved.push(EventClaim {
        program_id: track.program.0,
        event_key: event_key.to_owned(),
        event_id: event.0,
        fingerprint: fingerprint.clone(),
    });
    view.claims.insert((track.program, event_key.to_owned()), Claimed { event, fingerprint });
}

/// The caller's id is known: the same content is answered with its event, a secret key confirms a browser's event.
fn same_key_again(
    view: &mut View,
    directory: &Directory,
    track: &Track,
    fingerprint: &str,
    row: &EventRow,
    next_id: NextId<'_>,
    now: Instant,
) -> Answer {
    if row.state == State::Unverified.name() && track.trusted && row.kind == track.event_type {
        let event = EventId(row.id);
        return confirm(view, directory, track.account, event, track.amount.as_ref(), track.currency, next_id, now);
    }
    if fingerprint != track.fingerprint {
        return Answer::EventKeyReused;
    }
    Answer::Event { json: event_of(row, directory).to_json(), replayed: false }
}

#[expect(clippy::too_many_arguments, reason = "a command's fields and what every decision needs")]
fn confirm(
    view: &mut View,
    directory: &Directory,
    account: AccountId,
    event: EventId,
    amount: Option<&(Decimal, String)>,
    currency: Option<Currency>,
    next_id: NextId<'_>,
    now: Instant,
) -> Answer {
    let waiting = view
        .events
        .get(&event)
        .cloned()
        .or_else(|| view.persons.values().flat_map(|p| &p.unverified).find(|row| row.id == event.0).cloned());
    let Some(mut row) = waiting.filter(|row| row.account_id == account.0) else { return Answer::EventUnknown };
    if row.state != State::Unverified.name() {
        return Answer::NotUnverified;
    }
    let Some(program) = directory.program(account, ProgramId(row.program_id)).cloned() else {
        return Answer::EventUnknown;
    };
    if let Some((_, text)) = amount {
        row.amount = Some(text.clone());
    }
    if let Some(currency) = currency {
        row.currency = Some(currency.code().to_owned());
    }
    State::Verified.name().clone_into(&mut row.state);
    let person = row.person_id.map(PersonId);
    row.is_duplicate = person.and_then(|p| view.persons.get(&p)).is_some_and(|p| p.event_types.contains(&row.kind));
    if let Some(binding) = person.and_then(|p| view.persons.get(&p)).and_then(|p| p.binding) {
        row.partner_id = Some(binding.partner.0);
        row.link_id = binding.link.map(|l| l.0);
        row.click_id = binding.click.map(|c| c.0);
        if row.evidence == Evidence::None.name() {
            Evidence::Profile.name().clone_into(&mut row.evidence);
        }
    } else if let (Some(person), Some(partner)) = (person, row.partner_id) {
        bind_unverified(view, person, &row, PartnerId(partner), now);
    }
    row.is_conversion = settle_person(view, directory, &program, &row, next_id, now);
    deliver(view, directory, &row, next_id, now);
    decided(view, &row);
    Answer::Event { json: event_of(&row, directory).to_json(), replayed: false }
}

/// A browser's event was attributed when it came, but bound nobody until now.
fn bind_unverified(view: &mut View, person: PersonId, row: &EventRow, partner: PartnerId, now: Instant) {
    let Some(record) = view.persons.get_mut(&person) else { return };
    let from = Instant(row.occurred_at);
    for customer in &mut record.customers {
        customer.bindings.push(commission::Binding { from, partner });
    }
    record.binding = Some(headwater_domain::attribution::Binding {
        partner,
        link: row.link_id.map(LinkId),
        click: row.click_id.map(ClickId),
    });
    view.outcome.attributions.push(NewAttribution {
        person_id: person.0,
        from_at: from.0,
        account_id: row.account_id,
        partner_id: partner.0,
        link_id: row.link_id,
        click_id: row.click_id,
        clicked_at: None,
        evidence: row.evidence.clone(),
        recorded_at: now.0,
    });
}

fn reject(view: &mut View, directory: &Directory, account: AccountId, event: EventId) -> Answer {
    let known = view.events.get(&event).filter(|row| row.account_id == account.0).cloned();
    let Some(mut row) = known else { return Answer::EventUnknown };
    if row.state != State::Unverified.name() {
        return Answer::NotUnverified;
    }
    State::Rejected.name().clone_into(&mut row.state);
    decided(view, &row);
    Answer::Event { json: event_of(&row, directory).to_json(), replayed: false }
}

/// Keeps the new state, for the store and for the rest of the batch.
fn decided(view: &mut View, row: &EventRow) {
    if let Some(fresh) = view.outcome.events.iter_mut().find(|e| e.id == row.id) {
        fresh.state.clone_from(&row.state);
        fresh.amount.clone_from(&row.amount);
        fresh.currency.clone_from(&row.currency);
        fresh.is_conversion = row.is_conversion;
        fresh.is_duplicate = row.is_duplicate;
    } else {
        view.outcome.event_decisions.push(EventDecision {
            id: row.id,
            state: row.state.clone(),
            amount: row.amount.clone(),
            currency: row.currency.clone(),
            is_conversion: row.is_conversion,
            is_duplicate: row.is_duplicate,
            click_id: row.click_id,
            link_id: row.link_id,
            partner_id: row.partner_id,
            evidence: row.evidence.clone(),
        });
    }
    if let Some(person) = row.person_id.and_then(|id| view.persons.get_mut(&PersonId(id))) {
        person.unverified.retain(|waiting| waiting.id != row.id);
    }
    view.events.insert(EventId(row.id), row.clone());
}

/// One outbox row for every endpoint that wants it, with the exact bytes to send.
fn deliver(view: &mut View, directory: &Directory, row: &EventRow, next_id: NextId<'_>, now: Instant) {
    let event_json = event_of(row, directory).to_json();
    for endpoint in directory.endpoints(AccountId(row.account_id)) {
        let wants = EnabledEvents::from_json(&endpoint.enabled_events).want(&row.kind);
        if !wants || EndpointStatus::parse(&endpoint.status) != Some(EndpointStatus::Enabled) {
            continue;
        }
        let id = DeliveryId(next_id());
        let style = PayloadStyle::parse(&endpoint.payload_style).unwrap_or_default();
        let delivery_id = delivery_public_id(id, now);
        let message = Message {
            delivery_id: &delivery_id,
            event_id: row.id,
            event_type: &row.kind,
            created: Instant(row.occurred_at),
            livemode: true,
            event_json: &event_json,
        };
        view.outcome.deliveries.push(NewDelivery {
            id: id.0,
            account_id: row.account_id,
            endpoint_id: endpoint.id,
            event_id: Some(row.id),
            event_type: row.kind.clone(),
            body: render(style, message),
            is_test: false,
            created_at: now.0,
        });
    }
}

fn new_event(row: &EventRow, track: &Track, reason: Option<&str>) -> NewEvent {
    NewEvent {
        id: row.id,
        account_id: row.account_id,
        program_id: row.program_id,
        kind: row.kind.clone(),
        person_id: row.person_id,
        click_id: row.click_id,
        link_id: row.link_id,
        partner_id: row.partner_id,
        amount: row.amount.clone(),
        currency: row.currency.clone(),
        is_conversion: row.is_conversion,
        is_duplicate: row.is_duplicate,
        state: row.state.clone(),
        evidence: row.evidence.clone(),
        evidence_reason: reason.map(str::to_owned),
        occurred_at: row.occurred_at,
        received_at: row.received_at,
        event_key: row.event_key.clone(),
        metadata: row.metadata.clone(),
        data: track.data.clone(),
        key_id: track.key.0,
    }
}

/// The event with the names that its readers know.
pub(crate) fn event_of(row: &EventRow, directory: &Directory) -> Event {
    let account = AccountId(row.account_id);
    let partner = row.partner_id.and_then(|id| directory.partner_by_id(account, PartnerId(id)));
    let link = row.link_id.and_then(|id| directory.link(account, LinkId(id)));
    Event {
        id: EventId(row.id),
        event_type: row.kind.clone(),
        click: row.click_id.map(ClickId),
        client: row.person_id.map(PersonId),
        amount: row.amount.clone(),
        currency: row.currency.clone(),
        is_conversion: row.is_conversion,
        is_duplicate: row.is_duplicate,
        occurred_at: Instant(row.occurred_at),
        partner: partner.map(|p| p.row.external_id.clone()),
        link: link.map(|l| to_prefixed(LINK_PREFIX, l.id, Instant(l.created_at))),
        program: ProgramId(row.program_id),
        attribution: row.evidence.clone(),
        state: State::parse(&row.state).unwrap_or(State::Rejected),
        event_key: row.event_key.clone(),
        metadata: row.metadata.clone(),
    }
}
