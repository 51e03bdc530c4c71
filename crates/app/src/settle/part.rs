//! What was read of a person, where that is not all: whether what was decided since can be priced by it, and what it says
//! nothing of.
//!
//! Leaves reading to `window`. Invariant: whoever is priced by a part is worth by it, in every cell that it shows, what it is
//! worth by everything; where that is not certain, everything is read and decided anew.

use super::sources::{Truths, admitted, are_all_admitted, is_one_way};
use super::view::PersonRecord;
use headwater_domain::commission::{CustomerView, Days, Held, Reach, Window};
use headwater_domain::fact::Fact;
use headwater_domain::ids::{CustomerId, FactId, PartnerId};
use headwater_domain::source::{Source, figures};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was read.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub reach: Arc<Reach>,
    /// The days that may be felt, the same for all who are priced together.
    pub window: Arc<Window>,
    /// The days of which all of the person's trading was read.
    pub trading: Days,
    before: Before,
}

/// Who the person was, and what was read of its facts.
#[derive(Debug, Clone, Default)]
struct Before {
    customers: Vec<CustomerView>,
    placeholders: BTreeSet<CustomerId>,
    facts: BTreeMap<FactId, (Fact, Source)>,
}

/// By whose plans a person may be priced, or who may be paid: to whom its accounts were ever bound, who ever shared with
/// those, and whom its facts, or these, name.
pub(super) fn partners_of<'f>(
    person: &'f PersonRecord,
    further: impl IntoIterator<Item = &'f Fact>,
) -> BTreeSet<PartnerId> {
    let bindings = || person.customers.iter().flat_map(|customer| &customer.bindings);
    let splits = bindings().flat_map(|binding| &binding.splits).flat_map(|split| &split.parts);
    let bound = bindings().map(|binding| binding.partner).chain(splits.map(|part| part.partner));
    bound.chain(person.facts.iter().chain(further).filter_map(|fact| fact.body.payee())).collect()
}

/// Whether the person's trading can be read by days: it all came one way, and each fact of it stands on one day.
pub(super) fn can_be_read_by_days(person: &PersonRecord, reach: &Reach) -> bool {
    let ways = person.trading.as_ref();
    let may_be_trades = ways.into_iter().flatten().any(|way| way.starts_with("trade:"));
    is_one_way(ways) && (!may_be_trades || reach.takes_trades())
}

/// The days on which conditions look at the person's trading: told by what is priced, and not by what another source is the
/// truth for.
pub(super) fn qualifying(reach: &Reach, person: &PersonRecord, truths: &Truths) -> Days {
    if !reach.looks_at_trading() || are_all_admitted(person, truths) {
        return reach.qualifying(&person.customers, &person.facts);
    }
    reach.qualifying(&person.customers, &admitted(person, truths).0)
}

/// Whether a fact beside trading may change which source is the truth for its figure: then it is felt by every other fact
/// that says the figure.
pub(super) fn moves_truth(person: &PersonRecord, fact: &Fact, source: Source) -> bool {
    let said = figures(&fact.body);
    let comes_otherwise = |other: &&Fact| {
        let arrival = person.arrivals.get(&other.id);
        arrival.is_some_and(|arrival| arrival.source != source)
            && figures(&other.body).iter().any(|figure| said.contains(figure))
    };
    !fact.body.is_of_trading() && !said.is_empty() && person.facts.iter().any(|other| comes_otherwise(&other))
}

impl Part {
    pub(super) fn new(reach: Arc<Reach>, window: Arc<Window>, trading: Days) -> Self {
        Self { reach, window, trading, before: Before::default() }
    }

    /// Keeps what was read.
    pub(super) fn remember(&mut self, person: &PersonRecord) {
        let source = |fact: &Fact| Some(person.arrivals.get(&fact.id)?.source);
        self.before = Before {
            customers: person.customers.clone(),
            placeholders: person.placeholders.clone(),
            facts: person.facts.iter().filter_map(|fact| Some((fact.id, (fact.clone(), source(fact)?)))).collect(),
        };
    }

    /// The facts that came, went or changed since, each with the way by which it came.
    fn changed<'p>(&'p self, person: &'p PersonRecord) -> Vec<(&'p Fact, Source)> {
        let now: BTreeMap<FactId, &Fact> = person.facts.iter().map(|fact| (fact.id, fact)).collect();
        let before = &self.before.facts;
        let gone = before.values().filter(|(fact, _)| now.get(&fact.id) != Some(&fact));
        let came = now.values().filter(|fact| before.get(&fact.id).is_none_or(|(before, _)| before != **fact));
        let came = came.filter_map(|fact| Some((*fact, person.arrivals.get(&fact.id)?.source)));
        gone.map(|(fact, source)| (fact, *source)).chain(came).collect()
    }

    /// Whether the person as it is now is told by what was read; `reach` is that of all who price it now.
    pub(super) fn tells(&self, person: &PersonRecord, reach: Option<&Reach>, truths: &Truths) -> bool {
        let is_same_person =
            self.before.customers == person.customers && self.before.placeholders == person.placeholders;
        if !is_same_person || reach != Some(&*self.reach) || !can_be_read_by_days(person, &self.reach) {
            return false;
        }
        let qualifying = qualifying(&self.reach, person, truths);
        if !self.trading.hold_all(&self.window.read) || !self.trading.hold_all(&qualifying) {
            return false;
        }
        let changed = self.changed(person);
        let is_truth_moved = |(fact, source): &(&Fact, Source)| {
            let other = |(other, by): &(Fact, Source)| {
                by != source && figures(&other.body).iter().any(|of| figures(&fact.body).contains(of))
            };
            moves_truth(person, fact, *source) || (!fact.body.is_of_trading() && self.before.facts.values().any(other))
        };
        if changed.iter().any(is_truth_moved) {
            return false;
        }
        let days = changed.iter().map(|(fact, _)| self.reach.felt(fact, &person.facts, &qualifying));
        let days: Option<Vec<_>> = days.collect();
        days.is_some_and(|days| self.window.covers(&self.reach.around(days)))
    }

    /// The facts whose holds it tells: those that stand on the days that are felt, and stood there before.
    pub(super) fn told(&self, person: &PersonRecord) -> BTreeSet<FactId> {
        let all = person.facts.iter().chain(self.before.facts.values().map(|(fact, _)| fact));
        let is_felt = |fact: &&Fact| self.window.felt.holds(self.reach.day_of(fact));
        all.filter(is_felt).map(|fact| fact.id).collect()
    }

    /// What is held of those facts.
    pub(super) fn keep_told(&self, person: &PersonRecord, held: &mut Vec<Held>) {
        let told = self.told(person);
        held.retain(|held| told.contains(&held.fact));
    }
}
