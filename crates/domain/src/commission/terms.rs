//! What a person and its partners looked like, dated: the whole input of an evaluation beside the facts.
//!
//! The server builds it from its directory; nothing here reads anything. What was true at a fact's date prices it.

use super::exchange::ExchangeRates;
use super::plan::PlanVersion;
use crate::fact::Fact;
use crate::ids::{CustomerId, PartnerId, PersonId};
use crate::money::Decimal;
use crate::time::Instant;
use jiff::ToSpan as _;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// From when a customer is a partner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// From here on, until the next binding.
    pub from: Instant,
    /// Whose it is.
    pub partner: PartnerId,
}

/// One account of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerView {
    /// Its number.
    pub customer: CustomerId,
    /// When it was registered.
    pub registered_at: Instant,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// The broker's account type.
    pub account_type: Option<String>,
    /// The campaign that brought it.
    pub campaign: Option<String>,
    /// The link that brought it.
    pub link: Option<String>,
    /// Sorted by `from`.
    pub bindings: Vec<Binding>,
}

/// One human with all accounts and all current facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Its number.
    pub person: PersonId,
    /// Its accounts.
    pub customers: Vec<CustomerView>,
    /// The greatest revision of every fact of theirs, in any order.
    pub facts: Vec<Fact>,
}

/// What is dated about one partner.
#[derive(Debug, Clone, Default)]
pub struct PartnerTerms {
    /// Sorted by `from`; in force at an instant is the last with `from` at or before it.
    pub plans: Vec<Arc<PlanVersion>>,
    /// Rates of its own by rule id.
    pub rates: BTreeMap<String, Decimal>,
    /// Sorted: from this instant on suspended (or blocked), or not.
    pub suspended: Vec<(Instant, bool)>,
}

/// Everything dated that a person's facts are priced by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// At least every partner a customer of the person is bound to.
    pub partners: &'a BTreeMap<PartnerId, PartnerTerms>,
    /// Every exchange rate.
    pub exchange: &'a ExchangeRates,
}

impl PersonView {
    /// The account registered first: its partner, country and account type are the person's.
    pub fn first_account(&self) -> Option<&CustomerView> {
        self.customers.iter().min_by_key(|customer| (customer.registered_at, customer.customer))
    }

    /// The account of this number.
    pub fn account(&self, customer: CustomerId) -> Option<&CustomerView> {
        self.customers.iter().find(|view| view.customer == customer)
    }
}

impl PartnerTerms {
    fn plan_at(&self, at: Instant) -> Option<&Arc<PlanVersion>> {
        self.plans.iter().rev().find(|version| version.from <= at)
    }

    fn is_suspended_at(&self, at: Instant) -> bool {
        self.suspended.iter().rev().find(|(from, _)| *from <= at).is_some_and(|(_, suspended)| *suspended)
    }
}

/// Where a fact stands: whose it is at its date, and by which plan.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub at: Instant,
    pub partner: PartnerId,
    pub suspended: bool,
    /// `None` where the partner has no plan at that date: the fact pays nobody.
    pub version: Option<Arc<PlanVersion>>,
}

/// A stretch of time in which one partner and one plan version price an account's facts.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub from: Instant,
    pub to: Instant,
    pub partner: PartnerId,
    pub version: Arc<PlanVersion>,
}

impl Terms<'_> {
    /// The place of a moment; `None` where the account is nobody's then.
    pub(super) fn place(&self, customer: &CustomerView, at: Instant) -> Option<Place> {
        let binding = customer.bindings.iter().rev().find(|binding| binding.from <= at)?;
        Some(self.place_with(binding.partner, at))
    }

    /// The place of a daily row: the start of its day in the zone of the plan that prices it. The row of the day on
    /// which the account found its first partner is that partner's.
    pub(super) fn place_of_day(&self, customer: &CustomerView, day: Date) -> Option<Place> {
        let mut at = start_in_utc(day);
        let mut place = self.place_within_day(customer, at, day)?;
        // A zone moves the start, and the moved start may lie in another version with another zone: twice settles it
        // but for two versions that point at each other, where the second stands.
        for _ in 0..2 {
            let Some(version) = &place.version else { break };
            let start = version.plan.zone.start_of(day);
            if start == at {
                break;
            }
            at = start;
            place = self.place_within_day(customer, at, day)?;
        }
        place.at = at;
        Some(place)
    }

    fn place_within_day(&self, customer: &CustomerView, at: Instant, day: Date) -> Option<Place> {
        self.place(customer, at).or_else(|| {
            let first = customer.bindings.first()?;
            let partner = self.place_with(first.partner, first.from);
            let zone = partner.version.as_ref().map(|version| &version.plan.zone);
            let next_day = day.saturating_add(1.days());
            let end = zone.map_or_else(|| start_in_utc(next_day), |zone| zone.start_of(next_day));
            (first.from < end).then_some(partner)
        })
    }

    fn place_with(&self, partner: PartnerId, at: Instant) -> Place {
        let terms = self.partners.get(&partner);
        Place {
            at,
            partner,
            suspended: terms.is_some_and(|terms| terms.is_suspended_at(at)),
            version: terms.and_then(|terms| terms.plan_at(at)).cloned(),
        }
    }

    /// Every stretch of the account, in time order.
    pub(super) fn stretches(&self, customer: &CustomerView) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        for (index, binding) in customer.bindings.iter().enumerate() {
            let end = customer.bindings.get(index + 1).map_or(Instant(i64::MAX), |next| next.from);
            let Some(terms) = self.partners.get(&binding.partner) else { continue };
            for (index, version) in terms.plans.iter().enumerate() {
                let from = binding.from.max(version.from);
                let to = terms.plans.get(index + 1).map_or(end, |next| next.from.min(end));
                if from < to {
                    stretches.push(Stretch { from, to, partner: binding.partner, version: Arc::clone(version) });
                }
            }
        }
        stretches
    }

    pub(super) fn own_rate(&self, partner: PartnerId, rule: &str) -> Option<Decimal> {
        self.partners.get(&partner)?.rates.get(rule).copied()
    }

    pub(super) fn is_suspended(&self, partner: PartnerId, at: Instant) -> bool {
        self.partners.get(&partner).is_some_and(|terms| terms.is_suspended_at(at))
    }
}

fn start_in_utc(day: Date) -> Instant {
    let days = day.since((jiff::Unit::Day, Date::constant(1970, 1, 1))).map_or(0, |span| i64::from(span.get_days()));
    Instant::from_seconds(days * 86_400)
}
