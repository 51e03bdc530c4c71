//! What a settlement knows while it decides: loaded rows, changed by each decision so that the next one sees it.

use headwater_domain::attribution::Binding;
use headwater_domain::commission::{CustomerView, PostedCell};
use headwater_domain::fact::Fact;
use headwater_domain::ids::{AccountId, CommissionId, EventId, KeyId, PersonId, ProgramId};
use headwater_domain::ledger::Transfer;
use headwater_domain::money::Unit;
use headwater_domain::time::Instant;
use headwater_store::outcome::Outcome;
use headwater_store::settlement::EventRow;
use std::collections::{BTreeMap, BTreeSet};

/// A client and everything its cells depend on.
#[derive(Debug, Clone)]
pub(super) struct PersonRecord {
    pub id: PersonId,
    pub account: AccountId,
    pub program: ProgramId,
    pub event_types: BTreeSet<String>,
    pub qualified_at: Option<Instant>,
    pub customers: Vec<CustomerView>,
    pub binding: Option<Binding>,
    pub facts: Vec<Fact>,
    pub cells: BTreeMap<String, PostedCell>,
    pub last_commissions: BTreeMap<String, CommissionId>,
    pub unverified: Vec<EventRow>,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub fingerprint: String,
    pub answered: Option<String>,
}

/// What a caller's event id stands for.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    pub event: EventId,
    pub fingerprint: String,
}

/// One ledger transaction to write.
#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub account: AccountId,
    pub program: ProgramId,
    pub unit: Unit,
    pub transfer: Transfer,
    pub commission: CommissionId,
}

/// The loaded state and what was decided so far.
#[derive(Debug, Default)]
pub(super) struct View {
    pub idempotency: BTreeMap<(KeyId, String), Remembered>,
    pub claims: BTreeMap<(ProgramId, String), Claimed>,
    pub events: BTreeMap<EventId, EventRow>,
    pub persons: BTreeMap<PersonId, PersonRecord>,
    pub person_by_email: BTreeMap<(ProgramId, String), PersonId>,
    pub bookings: Vec<Booking>,
    pub outcome: Outcome,
}
