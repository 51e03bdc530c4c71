//! `cpa`: an amount once the conditions are met, taken back when they no longer are.
//!
//! Its date, and with it its period, partner and plan version, is the moment at which the conditions were first met.

use super::condition::{Conditions, Sweep};
use super::evaluate::{Books, Counted, Detail, Money, Stage};
use super::plan::{Kind, OncePer};
use super::terms::{CustomerView, Stretch};
use super::{HeldReason, Scope};
use crate::fact::Fact;
use crate::money::Decimal;
use crate::time::Instant;
use std::collections::BTreeSet;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpa {
    /// What it is worth.
    pub amount: Decimal,
    /// What must be met; the plan's `qualification` where the rule has none.
    pub qualify: Conditions,
    /// Person or customer.
    pub once_per: OncePer,
}

/// Prices the person as one, and each account on its own for the rules that say so.
pub(super) fn price(stage: &Stage<'_>, books: &mut Books) {
    if let Some(first) = stage.first {
        let facts: Vec<&Fact> = stage.person.facts.iter().collect();
        price_for(stage, books, first, &facts, OncePer::Person, &Scope::Person(stage.person.person));
        books.qualified_at = qualified_at(stage, first, &facts);
    }
    for account in &stage.person.customers {
        let facts: Vec<&Fact> = stage.person.facts.iter().filter(|fact| fact.customer == account.customer).collect();
        price_for(stage, books, account, &facts, OncePer::Customer, &Scope::Customer(account.customer));
    }
}

fn price_for(
    stage: &Stage<'_>,
    books: &mut Books,
    account: &CustomerView,
    facts: &[&Fact],
    once_per: OncePer,
    scope: &Scope,
) {
    let mut done = BTreeSet::new();
    for stretch in stage.terms.stretches(account) {
        for rule in &stretch.version.plan.rules {
            let Kind::Cpa(cpa) = &rule.kind else { continue };
            if cpa.once_per != once_per || done.contains(&rule.id) || !rule.when.admits_customer(account) {
                continue;
            }
            let sweep = Sweep::over(&cpa.qualify, &stretch.version.plan, account, facts, stage.terms.exchange);
            hold_unpriced(stage, books, &stretch, &sweep);
            let Some((moment, trigger)) = first_met(&sweep, &stretch) else { continue };
            done.insert(rule.id.clone());
            if stage.terms.is_suspended(stretch.partner, moment) {
                books.hold(trigger, HeldReason::PartnerSuspended, &format!("rule {}", rule.id));
                continue;
            }
            let own_rate = stage.terms.own_rate(stretch.partner, &rule.id);
            let amount = own_rate.unwrap_or(cpa.amount);
            let exact = amount.exact().times(rule.weight.exact());
            let counted = |(fact, revision, at)| Counted { fact, revision, at };
            books.add(Money {
                rule,
                version: &stretch.version,
                partner: stretch.partner,
                account,
                scope: scope.clone(),
                counted: sweep.counted.iter().copied().map(counted).collect(),
                moment,
                exact,
                detail: Detail::Amount { amount, own_rate, conditions: sweep.states(&cpa.qualify) },
            });
        }
    }
}

fn first_met(sweep: &Sweep, stretch: &Stretch) -> Option<(Instant, crate::ids::FactId)> {
    if !sweep.is_met_now {
        return None;
    }
    let within = |at: &Instant| (stretch.from..stretch.to).contains(at);
    sweep.met.iter().copied().find(|(at, _)| within(at))
}

/// Amounts that count towards conditions and have no exchange rate; each is held once, by the plan of its own date.
fn hold_unpriced(stage: &Stage<'_>, books: &mut Books, stretch: &Stretch, sweep: &Sweep) {
    for (fact, at, reason, detail) in &sweep.unpriced {
        if (stretch.from..stretch.to).contains(at) && !stage.terms.is_suspended(stretch.partner, *at) {
            books.hold(*fact, *reason, detail);
        }
    }
}

fn qualified_at(stage: &Stage<'_>, account: &CustomerView, facts: &[&Fact]) -> Option<Instant> {
    stage.terms.stretches(account).iter().find_map(|stretch| {
        let plan = &stretch.version.plan;
        let sweep = Sweep::over(plan.qualification.as_ref()?, plan, account, facts, stage.terms.exchange);
        first_met(&sweep, stretch).map(|(moment, _)| moment)
    })
}
