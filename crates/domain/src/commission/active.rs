//! The condition on a partner: so many active customers in a period, and when that was reached.
//!
//! Persons count, by the partner, country and account type of their first account.

use super::condition::{PartnerCondition, Sweep};
use super::person::Person;
use super::place::period_of;
use super::terms::{CustomerView, Terms};
use crate::fact::Fact;
use crate::ids::PartnerId;
use crate::time::{Instant, Period};

/// The moments from `own` on at which both the customer and its partner meet what is asked, one for each period.
pub(super) fn moments(
    asked: &PartnerCondition,
    account: &CustomerView,
    own: Instant,
    people: &[Person<'_>],
    terms: &Terms<'_>,
) -> Vec<Instant> {
    let latest = people.iter().flat_map(|person| person.facts.iter().map(|fact| fact.at)).max().unwrap_or(own).max(own);
    let mut moments = Vec::new();
    let mut at = own;
    // The latest fact ends the search: nobody is active after it. A day row stands up to a day before its `at`.
    while at <= latest.plus_seconds(86_400) {
        let Some(partner) = Terms::partner_at(account, at) else { break };
        let Some(version) = terms.plan_at(partner, at, account.registered_at) else { break };
        let period = period_of(&version.plan, at);
        let end = version.plan.zone.start_of(period.next().first_day);
        if let Some(reached) = reached_at(asked, partner, period, &version.plan, people, terms) {
            let moment = reached.max(own);
            if moment < end {
                moments.push(moment);
            }
        }
        if end <= at {
            break;
        }
        at = end;
    }
    moments
}

/// How many are active in the period that holds `at`.
pub(super) fn count(
    asked: &PartnerCondition,
    account: &CustomerView,
    at: Instant,
    people: &[Person<'_>],
    terms: &Terms<'_>,
) -> i64 {
    let Some(partner) = Terms::partner_at(account, at) else { return 0 };
    let Some(version) = terms.plan_at(partner, at, account.registered_at) else { return 0 };
    let period = period_of(&version.plan, at);
    let active = active(asked, partner, period, &version.plan, people, terms);
    i64::try_from(active.len()).unwrap_or(i64::MAX)
}

fn reached_at(
    asked: &PartnerCondition,
    partner: PartnerId,
    period: Period,
    plan: &super::plan::Plan,
    people: &[Person<'_>],
    terms: &Terms<'_>,
) -> Option<Instant> {
    let mut moments = active(asked, partner, period, plan, people, terms);
    moments.sort();
    let needed = usize::try_from(asked.min_active_customers.max(1)).ok()?;
    moments.get(needed - 1).copied()
}

/// When each active person of the partner became so.
fn active(
    asked: &PartnerCondition,
    partner: PartnerId,
    period: Period,
    plan: &super::plan::Plan,
    people: &[Person<'_>],
    terms: &Terms<'_>,
) -> Vec<Instant> {
    let from = plan.zone.start_of(period.first_day);
    let to = plan.zone.start_of(period.next().first_day);
    let mut moments = Vec::new();
    for person in people {
        let Some(first) = person.first else { continue };
        let is_from = |country: &String| first.country.as_ref() == Some(country);
        if !asked.countries.is_empty() && !asked.countries.iter().any(is_from) {
            continue;
        }
        let within = |fact: &&Fact| (from..to).contains(&super::condition::standing(fact, plan));
        let facts: Vec<&Fact> = person.facts.iter().copied().filter(within).collect();
        let sweep = Sweep::over(&asked.each, plan, first, &facts, terms.exchange);
        let met = sweep.met.first().filter(|_| sweep.is_met_now).map(|(at, _)| *at);
        moments.extend(met.filter(|at| Terms::partner_at(first, *at) == Some(partner)));
    }
    moments
}
