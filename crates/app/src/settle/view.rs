//! What a settlement knows while it decides: loaded rows, changed by each decision so that the next one sees it.

use crate::ledger::book::Booking;
use headwater_domain::attribution::Binding;
use headwater_domain::commission::{CustomerView, PostedCell};
use headwater_domain::fact::Fact;
use headwater_domain::ids::{AccountId, CommissionId, EventId, FactId, KeyId, PersonId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::inbox::{EventClaim, IdempotencyAnswer, IdempotencyClaim};
use headwater_store::outcome::Outcome;
use headwater_store::repricing::Served;
use headwater_store::settlement::{EventRow, Number};
use std::collections::{BTreeMap, BTreeSet};

/// Cells as they are posted, and the last commission of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells {
    pub posted: BTreeMap<String, PostedCell>,
    pub last_commissions: BTreeMap<String, LastCommission>,
}

/// A client and everything its cells depend on.
#[derive(Debug, Clone)]
pub(crate) struct PersonRecord {
    pub id: PersonId,
    pub account: AccountId,
    pub program: ProgramId,
    pub event_types: BTreeSet<String>,
    pub qualified_at: Option<Instant>,
    /// The one registered first comes first.
    pub customers: Vec<CustomerView>,
    pub binding: Option<Binding>,
    pub facts: Vec<Fact>,
    pub cells: Cells,
    /// Events that wait for a confirmation; their rows are among the view's.
    pub unverified: BTreeSet<EventId>,
}

/// What the next commission of a cell corrects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastCommission {
    pub id: CommissionId,
    /// Its amount, where it was denied.
    pub denied: Option<Decimal>,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub fingerprint: String,
    pub answered: Option<String>,
    /// Whether this settlement answered it.
    pub is_new: bool,
}

/// What a caller's event id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub event: EventId,
    pub fingerprint: String,
}

/// Rows made for requests before they were decided. What no request took is taken back.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pub idempotency: Vec<IdempotencyClaim>,
    pub events: Vec<EventClaim>,
    pub persons: Vec<PersonId>,
}

/// The loaded state and what was decided so far.
#[derive(Debug, Default)]
pub(super) struct View {
    pub idempotency: BTreeMap<(KeyId, String), Remembered>,
    pub claims: BTreeMap<(ProgramId, String), Claimed>,
    pub events: BTreeMap<EventId, EventRow>,
    pub persons: BTreeMap<PersonId, PersonRecord>,
    pub person_by_email: BTreeMap<(ProgramId, String), PersonId>,
    /// Cells that add up over all persons of a program.
    pub common_cells: BTreeMap<ProgramId, Cells>,
    pub bookings: Vec<Booking>,
    pub outcome: Outcome,
    pub reserved: Reserved,
    /// Programs that add up over all persons, and what changed in them.
    pub dirty: BTreeMap<ProgramId, Dirty>,
    /// Marks that are served with this settlement.
    pub served: Vec<Served>,
}

/// What changed in a program that is priced as a whole.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub changed: Vec<FactId>,
    /// The events that brought them.
    pub events: BTreeMap<FactId, i64>,
}

impl View {
    /// What the idempotency keys must remember.
    pub(super) fn answers(&self, now: Instant) -> Vec<IdempotencyAnswer> {
        let new = self.idempotency.iter().filter(|(_, remembered)| remembered.is_new);
        let answers = new.filter_map(|((key, scope), remembered)| {
            Some(IdempotencyAnswer {
                key_id: key.0,
                scope: scope.clone(),
                fingerprint: remembered.fingerprint.clone(),
                status: 200,
                body: remembered.answered.clone()?,
                created_at: now.0,
            })
        });
        answers.collect()
    }

    /// Event ids that were reserved for requests that recorded nothing.
    pub(super) fn unused_claims(&self) -> Vec<EventClaim> {
        let is_recorded = |claim: &&EventClaim| {
            let claimed = self.claims.get(&(ProgramId(claim.program_id), claim.event_key.clone()));
            claimed.is_some_and(|claimed| self.events.contains_key(&claimed.event))
        };
        self.reserved.events.iter().filter(|claim| !is_recorded(claim)).cloned().collect()
    }

    /// Clients that were made for requests that recorded nothing.
    pub(super) fn unused_persons(&self) -> Vec<Number> {
        let is_named = |person: &PersonId| self.outcome.events.iter().any(|event| event.person_id == Some(person.0));
        self.reserved.persons.iter().filter(|person| !is_named(person)).map(|person| Number { id: person.0 }).collect()
    }
}
