//! The rate of a rule for one fact: a partner's own, a listed one, or the rule's; also for the partners above.
//!
//! Steps of brackets are looked up in `brackets`. What loses is kept as a candidate, for the explanation.

use super::bonus::percent_of_one;
use super::plan::{Kind, Plan, Rule};
use super::terms::{CustomerView, Terms};
use crate::fact::{Fact, FactBody};
use crate::ids::PartnerId;
use crate::money::{Decimal, Exact};

/// Where a rate came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub source: String,
    pub rate: Decimal,
}

/// The rate that stands in the partner's own terms; it replaces every rate of the rule.
pub(super) fn own_rate(terms: &Terms<'_>, partner: PartnerId, rule: &Rule) -> Option<Decimal> {
    let rates = &terms.partners.get(&partner)?.rates;
    if rates.is_empty() { None } else { rates.get(&*rule.id).copied() }
}

/// What a rate multiplies: a percent as what it makes of one.
pub(super) fn as_factor(rule: &Rule, rate: Decimal) -> Exact {
    match rule.kind {
        Kind::Percent(_) | Kind::Bonus(_) | Kind::Rebate(_) => percent_of_one(rate),
        _ => rate.exact(),
    }
}

/// The rule's rate for this fact without steps and partners; `None` where none fits.
pub(super) fn listed(rule: &Rule, plan: &Plan, fact: &Fact, account: &CustomerView) -> Option<Decimal> {
    match &rule.kind {
        Kind::PerLot(per_lot) => per_lot.best(plan, instrument(fact).unwrap_or("*"), account),
        Kind::PerMillion(per_million) => per_million.rate,
        Kind::Percent(percent) => percent.percent,
        Kind::Flat(flat) => Some(flat.amount),
        Kind::Cpa(cpa) => Some(cpa.amount),
        Kind::Bonus(bonus) => Some(bonus.percent),
        Kind::Rebate(rebate) => Some(rebate.percent),
        Kind::External(_) => Some(Decimal(crate::money::MICROS)),
        Kind::CpaLadder(_) => None,
    }
}

/// Everything that was looked at, the winner first.
pub(super) fn candidates(
    terms: &Terms<'_>,
    partner: PartnerId,
    rule: &Rule,
    plan: &Plan,
    fact: &Fact,
    account: &CustomerView,
) -> Vec<Candidate> {
    // Figures that are passed through, and ladders, have no one rate that could be another.
    let own = own_rate(terms, partner, rule).filter(|_| !matches!(rule.kind, Kind::External(_) | Kind::CpaLadder(_)));
    let own = own.map(|rate| Candidate { source: "partner.rates".to_owned(), rate });
    let mut found: Vec<Candidate> = own.into_iter().collect();
    match &rule.kind {
        Kind::PerLot(per_lot) => found.extend(per_lot.candidates(plan, instrument(fact).unwrap_or("*"), account)),
        Kind::Flat(_) | Kind::Cpa(_) => found.extend(named("amount", listed(rule, plan, fact, account))),
        Kind::PerMillion(_) => found.extend(named("rate", listed(rule, plan, fact, account))),
        Kind::Percent(_) | Kind::Bonus(_) | Kind::Rebate(_) => {
            found.extend(named("percent", listed(rule, plan, fact, account)));
        }
        Kind::External(_) | Kind::CpaLadder(_) => {}
    }
    found
}

fn named(source: &str, rate: Option<Decimal>) -> Option<Candidate> {
    Some(Candidate { source: source.to_owned(), rate: rate? })
}

/// What was traded.
pub(super) fn instrument(fact: &Fact) -> Option<&str> {
    match &fact.body {
        FactBody::TradingDay(day) => Some(&day.instrument),
        FactBody::Trade(trade) => Some(&trade.instrument),
        _ => None,
    }
}

/// Whether the rule's filters let the fact and its account through.
pub(super) fn admits(rule: &Rule, plan: &Plan, fact: &Fact, account: &CustomerView) -> bool {
    let when = &rule.when;
    when.admits_customer(account)
        && match &fact.body {
            FactBody::TradingDay(day) => when.admits_instrument(plan, &day.instrument, day.product_group.as_deref()),
            FactBody::Trade(trade) => when.admits_instrument(plan, &trade.instrument, trade.product_group.as_deref()),
            FactBody::Event { event, .. } => when.admits_event(event) && when.admits_untraded(None),
            FactBody::Kpi { group, .. } => when.admits_untraded(group.as_deref()),
            FactBody::Money { .. } | FactBody::Sale { .. } | FactBody::Refund { .. } => when.admits_untraded(None),
        }
}
