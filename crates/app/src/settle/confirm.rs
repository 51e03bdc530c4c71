//! What becomes of an event that a browser sent: confirmed by a secret key, refused, or met by the broker's own event
//! (`referral-api.md` §10).
//!
//! Invariant: one event of the world counts once, and a browser can neither make it count nor stand in its way.

use super::decide::Decision;
use super::load::unreadable;
use super::sweep::UNVERIFIED_SECONDS_MAX;
use super::view::{Claimed, PersonRecord};
use super::{Answer, Track};
use headwater_domain::attribution::Evidence;
use headwater_domain::event::State;
use headwater_domain::ids::{AccountId, EventId, PartnerId, PersonId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::backend::Result;
use headwater_store::outcome::EventDecision;
use headwater_store::settlement::EventRow;

/// An unconfirmed event may be confirmed by the same event of a secret key this long after (`referral-api.md` §10).
const CONFIRM_WINDOW_SECONDS: i64 = 86_400;

/// What a secret key says of an event that it confirms.
struct Confirmation<'a> {
    amount: Option<&'a (Decimal, String)>,
    currency: Option<Currency>,
    /// The broker's own event, where that is what confirms.
    track: Option<&'a Track>,
}

impl Decision<'_> {
    /// The caller's id is known. The same content is answered with its event; an event of the broker confirms what a
    /// browser sent of the same client, and takes the place of anything else that a browser sent under its id.
    /// `None`: the event is still to be recorded.
    pub(super) fn same_key_again(
        &mut self,
        track: &Track,
        person: Option<PersonId>,
        claimed: &Claimed,
    ) -> Result<Option<Answer>> {
        let Some(row) = self.view.events.get(&claimed.event).cloned() else { return Ok(None) };
        let state = state_of(&row)?;
        if track.trusted && state != State::Verified {
            if self.is_waiting(&row)? {
                if row.kind == track.event_type && row.person_id.map(PersonId) == person {
                    return self.confirm_by(track, row).map(Some);
                }
                self.refuse(row);
            }
            return Ok(None);
        }
        if claimed.fingerprint != track.fingerprint {
            return Ok(Some(Answer::EventKeyReused));
        }
        Ok(Some(Answer::Event { json: self.event_json(&row)?, replayed: false }))
    }

    /// An unverified event of the same client, type, amount and currency, a day away at most.
    pub(super) fn waiting_twin(&self, person: PersonId, track: &Track) -> Option<EventRow> {
        let occurred_at = track.occurred_at.unwrap_or(self.now);
        let amount = track.amount.as_ref().map(|(amount, _)| *amount);
        let currency = track.currency.map(|c| c.code().to_owned());
        let waiting = self.view.persons.get(&person)?.unverified.iter().filter_map(|id| self.view.events.get(id));
        let same = |row: &&EventRow| {
            row.kind == track.event_type
                && row.amount.as_deref().and_then(|a| Decimal::parse(a).ok()) == amount
                && row.currency == currency
                && (row.occurred_at - occurred_at.0).abs() < CONFIRM_WINDOW_SECONDS * 1_000_000
                && !self.is_too_old(row)
        };
        waiting.filter(same).min_by_key(|row| row.id).cloned()
    }

    /// The broker's own event confirms a browser's: its id stands for it from now on.
    pub(super) fn confirm_by(&mut self, track: &Track, row: EventRow) -> Result<Answer> {
        let mut row = row;
        if let Some(event_key) = &track.event_key {
            self.claim_for(track, event_key, EventId(row.id));
            row.event_key = Some(event_key.clone());
        }
        let (amount, currency) = (track.amount.as_ref(), track.currency);
        self.confirm(row, &Confirmation { amount, currency, track: Some(track) })
    }

    /// A secret key names the event that it confirms.
    pub(super) fn confirm_named(
        &mut self,
        account: AccountId,
        event: EventId,
        amount: Option<&(Decimal, String)>,
        currency: Option<Currency>,
    ) -> Result<Answer> {
        let Some(row) = self.known(account, event) else { return Ok(Answer::EventUnknown) };
        if !self.is_waiting(&row)? {
            return Ok(Answer::NotUnverified);
        }
        self.confirm(row, &Confirmation { amount, currency, track: None })
    }

    fn confirm(&mut self, mut row: EventRow, confirmation: &Confirmation<'_>) -> Result<Answer> {
        let program = self.program(AccountId(row.account_id), ProgramId(row.program_id))?;
        if let Some((_, text)) = confirmation.amount {
            row.amount = Some(text.clone());
        }
        if let Some(currency) = confirmation.currency {
            row.currency = Some(currency.code().to_owned());
        }
        State::Verified.name().clone_into(&mut row.state);
        self.attribute_confirmed(&mut row, confirmation.track, program.settings.window_days);
        if let Some(person) = row.person_id.map(PersonId) {
            let known = self.view.persons.get(&person);
            row.is_duplicate = known.is_some_and(|person| person.event_types.contains(&row.kind));
            row.is_conversion = self.settle_person(person, &program, &row)?;
        }
        self.deliver(&row)?;
        let json = self.event_json(&row)?;
        self.decided(row);
        Ok(Answer::Event { json, replayed: false })
    }

    /// By the client's binding; else by what the browser's event was attributed to; else by what the broker's own event
    /// says of its visitor.
    fn attribute_confirmed(&mut self, row: &mut EventRow, track: Option<&Track>, window_days: i64) {
        let person = row.person_id.map(PersonId);
        let binding = person.and_then(|p| self.view.persons.get(&p)).and_then(PersonRecord::binding);
        if let Some(binding) = binding {
            row.partner_id = Some(binding.partner.0);
            row.link_id = binding.link.map(|l| l.0);
            row.click_id = binding.click.map(|c| c.0);
            if row.evidence == Evidence::None.name() {
                Evidence::Profile.name().clone_into(&mut row.evidence);
            }
        } else if let Some(partner) = row.partner_id {
            if let Some(person) = person {
                self.bind_confirmed(person, PartnerId(partner), row);
            }
        } else if let Some(track) = track {
            let attributed = self.attribution(track, person, Instant(row.occurred_at), window_days);
            row.partner_id = attributed.binding.map(|b| b.partner.0);
            row.link_id = attributed.binding.and_then(|b| b.link).map(|l| l.0);
            row.click_id = attributed.binding.and_then(|b| b.click).map(|c| c.0);
            attributed.evidence.name().clone_into(&mut row.evidence);
            if let (Some(person), true) = (person, attributed.binds) {
                self.bind(person, track, attributed);
            }
        }
    }

    pub(super) fn reject(&mut self, account: AccountId, event: EventId) -> Result<Answer> {
        let Some(row) = self.known(account, event) else { return Ok(Answer::EventUnknown) };
        if state_of(&row)? != State::Unverified {
            return Ok(Answer::NotUnverified);
        }
        let refused = self.refuse(row);
        Ok(Answer::Event { json: self.event_json(&refused)?, replayed: false })
    }

    fn refuse(&mut self, mut row: EventRow) -> EventRow {
        State::Rejected.name().clone_into(&mut row.state);
        self.decided(row.clone());
        row
    }

    fn known(&self, account: AccountId, event: EventId) -> Option<EventRow> {
        self.view.events.get(&event).filter(|row| row.account_id == account.0).cloned()
    }

    /// Whether it can still be confirmed.
    fn is_waiting(&self, row: &EventRow) -> Result<bool> {
        Ok(state_of(row)? == State::Unverified && !self.is_too_old(row))
    }

    /// Nobody confirmed it in time; the sweep has yet to say so.
    fn is_too_old(&self, row: &EventRow) -> bool {
        Instant(row.received_at).plus_seconds(UNVERIFIED_SECONDS_MAX) <= self.now
    }

    /// Keeps the new state, for the store and for the rest of the batch.
    fn decided(&mut self, row: EventRow) {
        if let Some(fresh) = self.view.outcome.events.iter_mut().find(|e| e.id == row.id) {
            fresh.state.clone_from(&row.state);
            fresh.amount.clone_from(&row.amount);
            fresh.currency.clone_from(&row.currency);
            fresh.is_conversion = row.is_conversion;
            fresh.is_duplicate = row.is_duplicate;
            fresh.click_id = row.click_id;
            fresh.link_id = row.link_id;
            fresh.partner_id = row.partner_id;
            fresh.evidence.clone_from(&row.evidence);
            fresh.event_key.clone_from(&row.event_key);
        } else {
            self.view.outcome.event_decisions.push(EventDecision {
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
                event_key: row.event_key.clone(),
            });
        }
        if let Some(person) = row.person_id.and_then(|id| self.view.persons.get_mut(&PersonId(id))) {
            person.unverified.remove(&EventId(row.id));
        }
        self.view.events.insert(EventId(row.id), row);
    }
}

fn state_of(row: &EventRow) -> Result<State> {
    State::parse(&row.state).ok_or_else(|| unreadable("state of event", row.id))
}
