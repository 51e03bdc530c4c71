//! What a settlement knows while it decides: loaded rows, changed by each decision so that the next one sees it.

use super::part::Part;
use super::reaches::Reaches;
use crate::directory::Directory;
use crate::ledger::book::Booking;
use headwater_domain::attribution::Binding;
use headwater_domain::commission::{CustomerView, PostedCell};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{
    AccountId, ClickId, CommissionId, CustomerId, EventId, FactId, KeyId, PartnerId, PersonId, ProgramId,
};
use headwater_domain::ledger::Shares;
use headwater_domain::source::Source;
use headwater_domain::time::Instant;
use headwater_store::inbox::{EventClaim, IdempotencyAnswer, IdempotencyClaim};
use headwater_store::ingest::{AccountPut, AccountRow};
use headwater_store::outcome::{CellPut, NewHeld, Outcome};
use headwater_store::repricing::Served;
use headwater_store::settlement::{EventRow, Number};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cells as they are posted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells {
    pub posted: BTreeMap<String, PostedCell>,
    /// The last commission of each, which the next one follows.
    pub last_commissions: BTreeMap<String, CommissionId>,
    /// All commissions of the cells in which any was denied.
    pub shares: BTreeMap<String, Shares>,
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
    /// The latest binding of every account that has one.
    pub bindings: BTreeMap<CustomerId, Binding>,
    /// Accounts that are known by their facts alone.
    pub placeholders: BTreeSet<CustomerId>,
    /// Accounts that wait for a decision, and what is earned of them with them.
    pub waiting: BTreeSet<CustomerId>,
    /// Accounts whose records say when they registered.
    pub registered: BTreeSet<CustomerId>,
    /// How each of the facts came.
    pub arrivals: BTreeMap<FactId, Arrival>,
    pub facts: Vec<Fact>,
    /// By which ways trading came, at least, as `kind:source`; `None`: not known.
    pub trading: Option<BTreeSet<String>>,
    /// What was read of the facts and cells, where that is not all.
    pub part: Option<Part>,
    pub cells: Cells,
    /// Events that wait for a confirmation; their rows are among the view's.
    pub unverified: BTreeSet<EventId>,
}

/// By which way a fact came, and the number of its first revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub source: Source,
    pub first: FactId,
}

impl PersonRecord {
    /// A client of whom nothing is known.
    pub(super) fn empty(id: PersonId, account: AccountId, program: ProgramId) -> Self {
        Self {
            id,
            account,
            program,
            event_types: BTreeSet::new(),
            qualified_at: None,
            customers: Vec::new(),
            bindings: BTreeMap::new(),
            placeholders: BTreeSet::new(),
            waiting: BTreeSet::new(),
            registered: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            facts: Vec::new(),
            trading: None,
            part: None,
            cells: Cells::default(),
            unverified: BTreeSet::new(),
        }
    }

    /// Whose client it is: the partner of the account registered first that has one.
    pub(super) fn binding(&self) -> Option<Binding> {
        self.bound_first().map(|(_, binding)| binding)
    }

    /// That account, and what bound it.
    pub(super) fn bound_first(&self) -> Option<(CustomerId, Binding)> {
        self.customers.iter().find_map(|one| Some((one.customer, *self.bindings.get(&one.customer)?)))
    }

    /// By which ways trading came: of whoever was read whole by the facts, else also by those that were not read.
    pub(super) fn trading_known(&self) -> Option<BTreeSet<String>> {
        if self.part.is_some() {
            return self.trading.clone();
        }
        let way = |fact: &Fact| trading_way(&fact.body, self.arrivals.get(&fact.id)?.source);
        Some(self.facts.iter().filter_map(way).collect())
    }

    /// Takes note of how a fact came.
    pub(super) fn note_way(&mut self, body: &FactBody, source: Source) {
        if let (Some(known), Some(way)) = (&mut self.trading, trading_way(body, source)) {
            known.insert(way);
        }
    }

    /// The place of a fact. They are mostly in the order of their numbers, as they are read and come; where one is not, it
    /// is looked for.
    pub(super) fn place_of(&self, fact: FactId) -> Option<usize> {
        let sought = self.facts.binary_search_by_key(&fact, |known| known.id).ok();
        sought.or_else(|| self.facts.iter().position(|known| known.id == fact))
    }

    /// Only the greatest revision of a key stands, among the facts of its source: by `revision` where the sender has one,
    /// else by arrival.
    pub(super) fn take_in(&mut self, fact: Fact, source: Source) {
        let arrivals = &self.arrivals;
        let same = |standing: &Fact| {
            standing.key == fact.key
                && standing.body.type_name() == fact.body.type_name()
                && arrivals.get(&standing.id).is_some_and(|arrival| arrival.source == source)
        };
        let standing = self.facts.iter().position(same);
        let Some(place) = standing else {
            self.arrivals.insert(fact.id, Arrival { source, first: fact.id });
            self.facts.push(fact);
            return;
        };
        let standing = &mut self.facts[place];
        if (standing.revision, standing.id) <= (fact.revision, fact.id) {
            let first = self.arrivals.remove(&standing.id).map_or(fact.id, |arrival| arrival.first);
            self.arrivals.insert(fact.id, Arrival { source, first });
            *standing = fact;
        }
    }
}

/// The way by which a trading fact came.
fn trading_way(body: &FactBody, source: Source) -> Option<String> {
    body.is_of_trading().then(|| format!("{}:{}", body.type_name(), source.name()))
}

/// A fact by its name: program, source, type and key.
pub(super) type Named = (ProgramId, Source, &'static str, String);

/// What the records of a batch name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Accounts of the persons that are named, in full.
    pub accounts: BTreeMap<CustomerId, AccountRow>,
    /// Those that were made or changed.
    pub changed: BTreeSet<CustomerId>,
    /// As those that were changed were stored.
    pub before: BTreeMap<CustomerId, AccountRow>,
    /// By the callers' ids.
    pub customers: BTreeMap<(ProgramId, String), CustomerId>,
    /// Where a fact stands, and what its record says beside what is read.
    pub facts: BTreeMap<Named, (PersonId, FactId, Option<String>)>,
    /// Persons that turned out to be others.
    pub merged: BTreeMap<PersonId, PersonId>,
}

impl Known {
    /// The person that stands for this one.
    pub(super) fn standing(&self, person: PersonId) -> PersonId {
        std::iter::successors(Some(person), |person| self.merged.get(person).copied()).last().unwrap_or(person)
    }
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
#[derive(Debug)]
pub(super) struct View {
    /// The configuration that this settlement decides on, from its locks to its rows.
    pub directory: Arc<Directory>,
    pub reaches: Reaches,
    pub idempotency: BTreeMap<(KeyId, String), Remembered>,
    pub claims: BTreeMap<(ProgramId, String), Claimed>,
    /// What is claimed for commissions by hand, of the sales that are reported.
    pub given_by_hand: BTreeSet<(ProgramId, String)>,
    pub events: BTreeMap<EventId, EventRow>,
    pub persons: BTreeMap<PersonId, PersonRecord>,
    pub person_by_email: BTreeMap<(ProgramId, String), PersonId>,
    /// Who is known by a click alone that comes with a name now.
    pub click_clients: BTreeMap<(ProgramId, ClickId), PersonId>,
    /// Cells that add up over all persons of a program.
    pub common_cells: BTreeMap<ProgramId, Cells>,
    pub bookings: Vec<Booking>,
    pub outcome: Outcome,
    /// The cells that were posted in, by person and text; what a batch says of one last is written.
    pub cells: BTreeMap<(i64, String), CellPut>,
    /// What each person that was priced has held now.
    pub held: BTreeMap<i64, Vec<NewHeld>>,
    /// The facts of which that is told, of persons that were not read whole.
    pub held_told: BTreeMap<i64, BTreeSet<FactId>>,
    /// What was decided is not told by what was read: nothing of it stands, and everything is to be read.
    pub is_unsure: bool,
    /// How many were priced by a part of what is known of them, and how many by all of it.
    pub priced: PricedBy,
    pub reserved: Reserved,
    pub known: Known,
    /// Programs whose rules look beyond a person, and what changed in them.
    pub dirty: BTreeMap<ProgramId, Dirty>,
    /// The partners whose persons were all read, of programs whose rules look beyond a person.
    pub circles: BTreeMap<ProgramId, BTreeSet<PartnerId>>,
    /// Marks of whoever was read for those.
    pub marks: BTreeMap<ProgramId, Vec<Served>>,
    /// Marks that are served with this settlement.
    pub served: Vec<Served>,
    /// Accounts that waited for a decision, and wait no more.
    pub freed: BTreeSet<CustomerId>,
}

/// By how much of what is known of them this settlement priced whom it priced.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PricedBy {
    pub by_part: u64,
    pub by_all: u64,
}

/// What changed in a program whose rules look beyond a person.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub changed: Vec<FactId>,
    /// The events that brought them.
    pub events: BTreeMap<FactId, i64>,
}

impl View {
    /// Nothing loaded and nothing decided.
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self {
            reaches: Reaches::new(Arc::clone(&directory)),
            directory,
            idempotency: BTreeMap::new(),
            claims: BTreeMap::new(),
            given_by_hand: BTreeSet::new(),
            events: BTreeMap::new(),
            persons: BTreeMap::new(),
            person_by_email: BTreeMap::new(),
            click_clients: BTreeMap::new(),
            common_cells: BTreeMap::new(),
            bookings: Vec::new(),
            outcome: Outcome::default(),
            cells: BTreeMap::new(),
            held: BTreeMap::new(),
            held_told: BTreeMap::new(),
            is_unsure: false,
            priced: PricedBy::default(),
            reserved: Reserved::default(),
            known: Known::default(),
            dirty: BTreeMap::new(),
            circles: BTreeMap::new(),
            marks: BTreeMap::new(),
            served: Vec::new(),
            freed: BTreeSet::new(),
        }
    }

    /// The number of the latest fact that was loaded, or 0.
    pub(super) fn greatest_fact(&self) -> i64 {
        let of_persons = self.persons.values().flat_map(|person| person.facts.iter().map(|fact| fact.id));
        of_persons.chain(self.known.facts.values().map(|(_, fact, _)| *fact)).map(|fact| fact.0).max().unwrap_or(0)
    }

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

    /// The accounts that were made or changed, as they are now.
    pub(super) fn accounts_changed(&self, now: Instant) -> Vec<AccountPut> {
        let changed = self.known.changed.iter().filter_map(|id| self.known.accounts.get(id));
        let rows = changed.filter_map(|row| {
            let person = self.persons.get(&PersonId(row.person_id))?;
            Some(AccountPut {
                id: row.id,
                account_id: person.account.0,
                program_id: row.program_id,
                person_id: row.person_id,
                external_id: row.external_id.clone(),
                is_placeholder: row.is_placeholder,
                is_registered: row.is_registered,
                revision: row.revision,
                name: row.name.clone(),
                email: row.email.clone(),
                country: row.country.clone(),
                account_type: row.account_type.clone(),
                campaign: row.campaign.clone(),
                attributes: row.attributes.clone(),
                registered_at: row.registered_at,
                created_at: now.0,
            })
        });
        rows.collect()
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
        let events = self.outcome.events.iter().filter_map(|event| event.person_id);
        let accounts = self.known.changed.iter().filter_map(|id| self.known.accounts.get(id)).map(|row| row.person_id);
        let merges = self.outcome.merges.iter().flat_map(|merge| [merge.from_id, merge.into_id]);
        let named: BTreeSet<i64> = events.chain(accounts).chain(merges).collect();
        let is_named = |person: &PersonId| named.contains(&person.0);
        self.reserved.persons.iter().filter(|person| !is_named(person)).map(|person| Number { id: person.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_revision_of_a_key_stands_for_each_source() {
        let mut person = PersonRecord::empty(PersonId(1), AccountId(1), ProgramId(1));
        for (id, key, revision, source) in [
            (1, "a", None, Source::Push),
            (2, "a", None, Source::Push),
            (3, "b", Some(7), Source::Push),
            (4, "b", None, Source::Push),
            (5, "b", Some(8), Source::Push),
            (6, "b", Some(1), Source::Events),
        ] {
            let body = FactBody::Event { event: "SALE".into(), amount: None, currency: None };
            let customer = CustomerId(1);
            let fact = Fact { id: FactId(id), key: key.into(), revision, customer, at: Instant(0), body };
            person.take_in(fact, source);
        }
        assert_eq!(person.facts.iter().map(|f| f.id.0).collect::<Vec<_>>(), [2, 5, 6]);
        assert_eq!(person.arrivals[&FactId(5)], Arrival { source: Source::Push, first: FactId(3) });
    }
}
