//! Decides the commands of a batch, one after the other, over loaded state. Pure: clock and numbers are arguments.
//!
//! Order of an event: the caller's keys, the client, its attribution (`bind`), duplicate or not, then money (`price`).
//! `confirm` has what becomes of a browser's event, `deliver` what its readers see.

use super::load::unreadable;
use super::view::{Claimed, Remembered, View};
use super::{Answer, Command, Track};
use crate::directory::{Directory, Program};
use headwater_domain::attribution::Attributed;
use headwater_domain::click::token::Traffic;
use headwater_domain::event::{State, is_money};
use headwater_domain::ids::{AccountId, ClickId, EventId, PersonId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::Result;
use headwater_store::inbox::EventClaim;
use headwater_store::outcome::NewEvent;
use headwater_store::settlement::EventRow;
use std::sync::Arc;

/// A client's events that may wait for a confirmation; every one is read with each event of the client.
const UNVERIFIED_EVENTS_MAX: usize = 100;

/// One batch being decided.
pub(super) struct Decision<'a> {
    pub view: &'a mut View,
    pub directory: &'a Directory,
    /// Where numbers come from.
    pub next_id: &'a mut dyn FnMut() -> i64,
    pub now: Instant,
}

impl Decision<'_> {
    /// Decides all; answers in their order.
    pub(super) fn all(&mut self, commands: &[Command]) -> Result<Vec<Answer>> {
        let answers = commands.iter().map(|command| self.one(command)).collect::<Result<_>>()?;
        self.price_programs()?;
        // Who became another person, and was not priced since.
        if self.view.is_unsure { Err(self.unsure()) } else { Ok(answers) }
    }

    fn one(&mut self, command: &Command) -> Result<Answer> {
        match command {
            Command::Track(track) => self.track(track),
            Command::Confirm { account, event, amount, currency } => {
                self.confirm_named(*account, *event, amount.as_ref(), *currency)
            }
            Command::Reject { account, event } => self.reject(*account, *event),
            Command::Record(ingest) => self.record_all(ingest),
            Command::Reprice { account, program, persons } => self.price_again(*account, *program, persons),
        }
    }

    /// An idempotency key remembers what was recorded; a request that recorded nothing leaves it free.
    fn track(&mut self, track: &Track) -> Result<Answer> {
        let Some(idempotency) = &track.idempotency else { return self.track_event(track) };
        let key = (track.key, idempotency.scope.clone());
        if let Some(Remembered { fingerprint, answered: Some(json), .. }) = self.view.idempotency.get(&key) {
            let is_same = *fingerprint == idempotency.fingerprint;
            let replay = Answer::Event { json: json.clone(), replayed: true };
            return Ok(if is_same { replay } else { Answer::IdempotencyReused });
        }
        let answer = self.track_event(track)?;
        if let Answer::Event { json, .. } = &answer {
            let fingerprint = idempotency.fingerprint.clone();
            let remembered = Remembered { fingerprint, answered: Some(json.clone()), is_new: true };
            self.view.idempotency.insert(key, remembered);
        }
        Ok(answer)
    }

    fn track_event(&mut self, track: &Track) -> Result<Answer> {
        let person = self.person_of(track);
        let person = self.join_by_click(track, person)?;
        let claimed = track.event_key.as_ref().and_then(|key| self.view.claims.get(&(track.program, key.clone())));
        if let Some(claimed) = claimed.cloned()
            && let Some(answer) = self.same_key_again(track, person, &claimed)?
        {
            return Ok(answer);
        }
        if track.trusted
            && let Some(twin) = person.and_then(|person| self.waiting_twin(person, track))
        {
            return self.confirm_by(track, twin);
        }
        self.record(track, person)
    }

    /// Records an event that is not there yet.
    fn record(&mut self, track: &Track, person: Option<PersonId>) -> Result<Answer> {
        let program = self.program(track.account, track.program)?;
        let occurred_at = track.occurred_at.unwrap_or(self.now);
        let attributed = self.attribution(track, person, occurred_at, program.settings.window_days);
        let (state, refusal) = self.state_of(track, &program, person);
        let event = self.event_number(track);
        let known = person.and_then(|person| self.view.persons.get(&person));
        let mut row = EventRow {
            id: event.0,
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
            is_duplicate: known.is_some_and(|person| person.event_types.contains(&track.event_type)),
            state: state.name().to_owned(),
            evidence: attributed.evidence.name().to_owned(),
            occurred_at: occurred_at.0,
            event_key: track.event_key.clone(),
            metadata: track.metadata.clone(),
            received_at: self.now.0,
            is_advertised: attributed.binding.is_some_and(|binding| is_advertised(track, binding.click)),
        };
        if let Some(event_key) = &track.event_key {
            self.claim_for(track, event_key, event);
        }
        if state == State::Verified {
            row.is_conversion = self.count(track, person, attributed, &program, &row)?;
            self.deliver(&row)?;
        }
        self.view.outcome.events.push(new_event(&row, track, refusal.or(attributed.reason).or(track.touch_reason)));
        if state == State::Unverified
            && let Some(person) = person.and_then(|p| self.view.persons.get_mut(&p))
        {
            person.unverified.insert(event);
        }
        let json = self.event_json(&row)?;
        self.view.events.insert(event, row);
        Ok(Answer::Event { json, replayed: false })
    }

    /// What a verified event does beside being recorded; gives whether it is a conversion.
    fn count(
        &mut self,
        track: &Track,
        person: Option<PersonId>,
        attributed: Attributed,
        program: &Program,
        row: &EventRow,
    ) -> Result<bool> {
        let Some(person) = person else { return Ok(false) };
        if attributed.binds {
            self.bind(person, track, attributed);
        }
        self.settle_person(person, program, row)
    }

    /// The number that the caller's id was given, or a new one where that is another event's.
    fn event_number(&mut self, track: &Track) -> EventId {
        let claimed = track.event_key.as_ref().and_then(|key| self.view.claims.get(&(track.program, key.clone())));
        let free = claimed.filter(|claimed| !self.view.events.contains_key(&claimed.event));
        free.map_or_else(|| EventId((self.next_id)()), |claimed| claimed.event)
    }

    /// A browser cannot make money count (`referral-api.md` §10); why it was refused at once, if it was.
    fn state_of(&self, track: &Track, program: &Program, person: Option<PersonId>) -> (State, Option<&'static str>) {
        let guarded = is_money(&track.event_type)
            || track.amount.is_some()
            || program.settings.unverified_types.contains(&track.event_type);
        if track.trusted || !guarded {
            return (State::Verified, None);
        }
        let waiting = person.and_then(|p| self.view.persons.get(&p)).map_or(0, |person| person.unverified.len());
        if waiting < UNVERIFIED_EVENTS_MAX {
            (State::Unverified, None)
        } else {
            (State::Rejected, Some("too_many_unverified"))
        }
    }

    /// The caller's id stands for this event, with this content.
    pub(super) fn claim_for(&mut self, track: &Track, event_key: &str, event: EventId) {
        let claimed = Claimed { event, fingerprint: track.fingerprint.clone() };
        let key = (track.program, event_key.to_owned());
        if self.view.claims.get(&key) == Some(&claimed) {
            return;
        }
        let moved = &mut self.view.outcome.claims_moved;
        moved.retain(|claim| (claim.program_id, claim.event_key.as_str()) != (track.program.0, event_key));
        moved.push(EventClaim {
            program_id: track.program.0,
            event_key: event_key.to_owned(),
            event_id: event.0,
            fingerprint: track.fingerprint.clone(),
        });
        self.view.claims.insert(key, claimed);
    }

    fn person_of(&self, track: &Track) -> Option<PersonId> {
        let email = track.email_key.as_ref()?;
        self.view.person_by_email.get(&(track.program, email.clone())).copied()
    }

    /// The program of a command. A dialect asked for one that is there, so a missing one could not be read.
    pub(super) fn program(&self, account: AccountId, program: ProgramId) -> Result<Arc<Program>> {
        self.directory.program(account, program).cloned().ok_or_else(|| unreadable("program", program))
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
        is_advertised: row.is_advertised,
    }
}

/// Whether this is the click of the event, and of an advertisement whose referrals wait.
fn is_advertised(track: &Track, click: Option<ClickId>) -> bool {
    track.touch.is_some_and(|touch| Some(touch.click) == click && touch.traffic == Traffic::Advertised)
}
