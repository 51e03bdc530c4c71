//! What the conditions of a customer are, what is there now and what is missing: for people and for cases.

use super::active;
use super::claim::Claims;
use super::condition::{self, ConditionState, Conditions, Sweep};
use super::person::Person;
use super::plan::{Kind, OncePer, PlanVersion};
use super::terms::{CustomerView, PersonView, Terms};
use crate::ids::CustomerId;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked for and what is there, condition by condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionReport {
    /// In the order of the contract.
    pub states: Vec<ConditionState>,
    /// What is missing by condition; empty once met.
    pub missing: BTreeMap<String, String>,
}

/// The conditions of a `cpa` rule, or of the plan's `qualification`, for this account's person as they are now.
///
/// `persons` are all those of the partner where a condition is on the partner. `None` where the account has no plan at
/// `now`, or the plan has no such conditions.
pub fn conditions(
    persons: &[PersonView],
    terms: &Terms<'_>,
    customer: CustomerId,
    rule: Option<&str>,
    now: Instant,
) -> Option<ConditionReport> {
    let mut unheld = Claims::new(terms);
    let people: Vec<Person<'_>> = persons.iter().map(|person| Person::open(person, &mut unheld)).collect();
    let person = people.iter().find(|person| person.view.account(customer).is_some())?;
    let (first, own) = (person.first?, person.view.account(customer)?);
    let of_person = find(terms, first, rule, now).filter(|(_, once_per, _)| *once_per == OncePer::Person);
    let whole_person = of_person.is_some();
    let account = if whole_person { first } else { own };
    let (asked, _, version) = of_person.or_else(|| find(terms, own, rule, now))?;
    let facts = person.facts.iter().copied().filter(|fact| whole_person || fact.customer == account.customer);
    let facts: Vec<_> = facts.collect();
    let sweep = Sweep::over(&asked, &version.plan, account, &facts, terms.exchange);
    let mut missing = if sweep.is_met_now { BTreeMap::new() } else { condition::missing(&sweep, &asked, now) };
    let mut states = sweep.states(&asked);
    if let Some(partner) = &asked.partner {
        let active = active::count(partner, account, now, &people, terms);
        let lacking = (partner.min_active_customers - active).max(0);
        let state = ConditionState {
            name: "min_active_customers",
            needed: partner.min_active_customers.to_string(),
            value: active.to_string(),
            missing: (lacking > 0).then(|| lacking.to_string()),
        };
        missing.extend(state.missing.clone().map(|missing| (state.name.to_owned(), missing)));
        states.push(state);
    }
    Some(ConditionReport { states, missing })
}

/// The conditions that are in force for an account at a moment.
fn find(
    terms: &Terms<'_>,
    account: &CustomerView,
    rule: Option<&str>,
    now: Instant,
) -> Option<(Conditions, OncePer, Arc<PlanVersion>)> {
    let version = terms.plan_at(Terms::partner_at(account, now)?, now, account.registered_at)?;
    let Some(id) = rule else {
        return Some((version.plan.qualification.clone()?, OncePer::Person, Arc::clone(version)));
    };
    let (_, rule) = version.plan.rule(id)?;
    match &rule.kind {
        Kind::Cpa(cpa) => Some((cpa.qualify.clone(), cpa.once_per, Arc::clone(version))),
        _ => None,
    }
}
