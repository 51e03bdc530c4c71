//! What a person and its partners looked like, dated: the whole input of an evaluation beside the facts.
//!
//! The server builds it from its directory; nothing here reads anything. What was true at a fact's date prices it.

use super::exchange::ExchangeRates;
use super::plan::PlanVersion;
use super::split::Split;
use crate::fact::Fact;
use crate::ids::{CustomerId, PartnerId, PersonId};
use crate::money::Decimal;
use crate::time::Instant;
use jiff::ToSpan as _;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// From when a customer is a partner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// From here on, until the next binding.
    pub from: Instant,
    /// Whose it is.
    pub partner: PartnerId,
    /// Who shares what that one earns directly; sorted by `from`.
    pub splits: Vec<Split>,
    /// Where the customer left for another program then: from here on it is nobody's, until the next binding.
    pub until: Option<Instant>,
    /// Where the customer came from another program with this binding: since when it was its partner's there.
    pub referred_at: Option<Instant>,
}

impl Binding {
    /// One that nothing ends but the next one.
    pub fn new(from: Instant, partner: PartnerId) -> Self {
        Self { from, partner, splits: Vec::new(), until: None, referred_at: None }
    }

    /// Since when the customer is its partner's, wherever that was.
    pub(super) fn since(&self) -> Instant {
        self.referred_at.unwrap_or(self.from)
    }
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

impl CustomerView {
    /// Whether the account was in another program then: before it came from there, or between leaving and coming back. What it did
    /// there is known here, and is nobody's: it is paid there.
    pub fn is_away_at(&self, at: Instant) -> bool {
        let next = self.bindings.partition_point(|binding| binding.from <= at);
        let has_left = |before: &Binding| before.until.is_some_and(|until| until <= at);
        self.bindings.get(next).is_some_and(|next| next.referred_at.is_some())
            && next.checked_sub(1).is_none_or(|before| has_left(&self.bindings[before]))
    }
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
    /// Sorted: from this instant on under this partner, or under none.
    pub parents: Vec<(Instant, Option<PartnerId>)>,
    /// A customer keeps the version that was in force when it registered (`plan_of: acquisition`); one that was there
    /// before the first version has that one.
    pub keeps_acquired_plan: bool,
}

/// Everything dated that facts are priced by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// At least every partner of [`PersonView::partners`], and all above them.
    pub partners: &'a BTreeMap<PartnerId, PartnerTerms>,
    /// Every exchange rate.
    pub exchange: &'a ExchangeRates,
    /// Periods that end on or before this day are closed: rules with `carry` are worth something there.
    pub closed_before: Option<Date>,
}

impl PersonView {
    /// The account registered first: its partner, country and account type are the person's.
    pub fn first_account(&self) -> Option<&CustomerView> {
        self.customers.iter().min_by_key(|customer| (customer.registered_at, customer.customer))
    }

    /// Every partner by whose terms the facts may be priced or who may be paid for them: whom the accounts were ever bound
    /// to, who ever shared with those, and whom facts name.
    pub fn partners(&self) -> impl Iterator<Item = PartnerId> {
        let bindings = || self.customers.iter().flat_map(|customer| &customer.bindings);
        let splits = bindings().flat_map(|binding| &binding.splits).flat_map(|split| &split.parts);
        let bound = bindings().map(|binding| binding.partner).chain(splits.map(|part| part.partner));
        bound.chain(self.facts.iter().filter_map(|fact| fact.body.payee()))
    }

    /// The account of this number.
    pub fn account(&self, customer: CustomerId) -> Option<&CustomerView> {
        self.customers.iter().find(|view| view.customer == customer)
    }
}

impl PartnerTerms {
    /// The versions that a customer which registered then can see.
    pub fn plans_of(&self, registered_at: Instant) -> &[Arc<PlanVersion>] {
        if !self.keeps_acquired_plan {
            return &self.plans;
        }
        let seen = self.plans.partition_point(|version| version.from <= registered_at);
        &self.plans[..seen.max(1).min(self.plans.len())]
    }

    pub(super) fn plan_at(&self, at: Instant, registered_at: Instant) -> Option<&Arc<PlanVersion>> {
        self.plans_of(registered_at).iter().rev().find(|version| version.from <= at)
    }

    pub(super) fn is_suspended_at(&self, at: Instant) -> bool {
        self.suspended.iter().rev().find(|(from, _)| *from <= at).is_some_and(|(_, suspended)| *suspended)
    }

    /// The partner above at a moment.
    pub fn parent_at(&self, at: Instant) -> Option<PartnerId> {
        self.parents.iter().rev().find(|(from, _)| *from <= at).and_then(|(_, parent)| *parent)
    }
}

impl Terms<'_> {
    /// Whose the account is at a moment.
    pub(super) fn partner_at(customer: &CustomerView, at: Instant) -> Option<PartnerId> {
        let binding = customer.bindings.iter().rev().find(|binding| binding.from <= at)?;
        binding.until.is_none_or(|until| at < until).then_some(binding.partner)
    }

    /// What prices a customer of the partner's that registered then.
    pub(super) fn plan_at(&self, partner: PartnerId, at: Instant, registered_at: Instant) -> Option<&Arc<PlanVersion>> {
        self.partners.get(&partner)?.plan_at(at, registered_at)
    }

    pub(super) fn is_suspended(&self, partner: PartnerId, at: Instant) -> bool {
        self.partners.get(&partner).is_some_and(|terms| terms.is_suspended_at(at))
    }

    /// The partner above at a moment.
    pub(super) fn parent_at(&self, partner: PartnerId, at: Instant) -> Option<PartnerId> {
        self.partners.get(&partner)?.parent_at(at)
    }

    /// Where a daily row stands: the start of its day in the zone of the plan that prices it, and whose it is. The row
    /// of the day on which the account found its first partner is that partner's.
    pub(super) fn place_of_day(&self, customer: &CustomerView, day: Date) -> Option<(Instant, PartnerId)> {
        let mut at = start_in_utc(day);
        let mut partner = self.partner_within_day(customer, at, day)?;
        // A zone moves the start, and the moved start may lie in another version with another zone: twice settles it
        // but for two versions that point at each other, where the second stands.
        for _ in 0..2 {
            let Some(version) = self.plan_at(partner, at, customer.registered_at) else { break };
            let start = version.plan.zone.start_of(day);
            if start == at {
                break;
            }
            at = start;
            partner = self.partner_within_day(customer, at, day)?;
        }
        Some((at, partner))
    }

    fn partner_within_day(&self, customer: &CustomerView, at: Instant, day: Date) -> Option<PartnerId> {
        Self::partner_at(customer, at).or_else(|| {
            let first = customer.bindings.first().filter(|first| first.from > at && first.referred_at.is_none())?;
            let zone =
                self.plan_at(first.partner, first.from, customer.registered_at).map(|version| &version.plan.zone);
            let next_day = day.saturating_add(1.days());
            let end = zone.map_or_else(|| start_in_utc(next_day), |zone| zone.start_of(next_day));
            (first.from < end).then_some(first.partner)
        })
    }
}

/// The start of the day in UTC: an even division, cheaper than a zone.
fn start_in_utc(day: Date) -> Instant {
    let days = day.since((jiff::Unit::Day, Date::constant(1970, 1, 1))).map_or(0, |span| i64::from(span.get_days()));
    Instant::from_seconds(days * 86_400)
}
