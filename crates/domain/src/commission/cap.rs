//! `cap`: the most that a rule is worth, for a trade, a customer's life, a day or a period.
//!
//! Running totals are cut in time order; what was cut off is kept, to be shown. Of a rule with carry, a cap per period
//! bounds what the period is worth after it; all other caps cut what the carry then nets.

use super::claim::{Claim, Claims};
use super::condition;
use super::plan::{Plan, PlanVersion, Rule};
use super::terms::{CustomerView, Terms};
use crate::fact::Fact;
use crate::ids::{CustomerId, FactId, PartnerId};
use crate::money::{Decimal, Exact, OutOfRange};
use crate::time::Period;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys of the modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Over what.
    pub per: CapPer,
    /// The most, in the rule's unit.
    pub amount: Option<Decimal>,
    /// The most, of the customer's first deposit; only per customer.
    pub percent_of_first_deposit: Option<Decimal>,
}

/// Over what a cap adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapPer {
    /// Each fact alone.
    Trade,
    /// A customer's whole life.
    Customer,
    /// A day of the partner's rule.
    Day,
    /// A period of the partner's rule.
    Period,
}

/// What a running total is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Over {
    Trade(FactId),
    Customer(CustomerId),
    Day(PartnerId, Date),
    Period(PartnerId, Period),
}

/// A running total, before and after the cut.
#[derive(Debug)]
pub(super) struct Running {
    uncut: Exact,
    paid: Exact,
}

/// The facts of a customer.
pub(super) type FactsOf<'f, 'a> = &'f dyn Fn(CustomerId) -> Vec<&'a Fact>;

impl Rule {
    /// Whether its cap bounds what carry left of a period, rather than what goes into it.
    pub(super) fn is_capped_after_carry(&self) -> bool {
        self.carry.is_some() && self.cap.is_some_and(|cap| cap.per == CapPer::Period)
    }
}

impl Cap {
    /// The running total that a claim adds to.
    pub(super) fn over(&self, claim: &Claim<'_>) -> Over {
        let setting = &claim.place.setting;
        match self.per {
            CapPer::Trade => Over::Trade(claim.fact.id),
            CapPer::Customer => Over::Customer(claim.account.customer),
            CapPer::Day => Over::Day(setting.partner, claim.version.plan.zone.day_of(claim.place.at)),
            CapPer::Period => Over::Period(setting.partner, claim.period()),
        }
    }

    /// The lower of the two where both are given.
    pub(super) fn limit(
        &self,
        plan: &Plan,
        account: &CustomerView,
        terms: &Terms<'_>,
        facts_of: FactsOf<'_, '_>,
    ) -> Result<Exact, OutOfRange> {
        let amount = self.amount.map(Decimal::exact);
        let Some(percent) = self.percent_of_first_deposit else { return Ok(amount.unwrap_or_else(Exact::zero)) };
        let facts = facts_of(account.customer);
        let first = condition::first_deposit(plan, account, &facts, terms.exchange);
        let share = first.times(&super::bonus::percent_of_one(percent))?;
        Ok(amount.map_or(share.clone(), |amount| amount.min(share)))
    }
}

impl Running {
    pub(super) fn new() -> Self {
        Self { uncut: Exact::zero(), paid: Exact::zero() }
    }

    /// What is left of an amount. The running total itself is cut: what falls again first takes from what was above the
    /// cap. A later version's lower cap takes nothing back.
    pub(super) fn cut(&mut self, wanted: &Exact, limit: Exact) -> Result<Exact, OutOfRange> {
        self.uncut = self.uncut.plus(wanted)?;
        let total = self.uncut.clone().min(limit.max(self.paid.clone()));
        let left = total.minus(&self.paid)?;
        self.paid = total;
        Ok(left)
    }
}

/// Cuts the claims at these places of `claims.all`: those whose cap comes after the carry, or all others.
pub(super) fn apply<'a>(claims: &mut Claims<'a>, places: &[usize], facts_of: FactsOf<'_, 'a>, is_after_carry: bool) {
    let mut groups: BTreeMap<(Arc<str>, Over), Vec<usize>> = BTreeMap::new();
    for &place in places {
        let claim = &claims.all[place];
        let Some(cap) = claim.rule().cap else { continue };
        if claim.rule().is_capped_after_carry() == is_after_carry {
            groups.entry((claim.rule().id.clone(), cap.over(claim))).or_default().push(place);
        }
    }
    for mut group in groups.into_values() {
        group.sort_by(|a, b| claims.all[*a].order().cmp(&claims.all[*b].order()));
        if let Err((place, error)) = cut(claims, &group, facts_of) {
            // Without its part the running total is not known: what comes after it is not paid on a guess.
            let from = group.iter().position(|of_group| *of_group == place).unwrap_or(0);
            for &place in &group[from..] {
                let claim = &mut claims.all[place];
                claim.cut_off = if is_after_carry {
                    claim.amount.clone()
                } else {
                    claim.priced().unwrap_or_else(|_| Exact::zero())
                };
                claim.amount = Exact::zero();
                let fact = claim.fact.id;
                claims.hold_out_of_range(fact, error);
            }
        }
    }
}

fn cut<'a>(claims: &mut Claims<'a>, group: &[usize], facts_of: FactsOf<'_, 'a>) -> Result<(), (usize, OutOfRange)> {
    let mut running = Running::new();
    let mut most: Option<(Arc<PlanVersion>, Exact)> = None;
    for &place in group {
        let claim = &claims.all[place];
        let cap = claim.rule().cap.expect("only capped claims are grouped");
        // The most of a customer is looked up once a version: a later version may have another cap.
        let limit = match most {
            Some((version, limit)) if Arc::ptr_eq(&version, &claim.version) => limit,
            _ => {
                let limit = cap.limit(&claim.version.plan, claim.account, claims.terms, facts_of);
                limit.map_err(|error| (place, error))?
            }
        };
        let claim = &mut claims.all[place];
        most = Some((Arc::clone(&claim.version), limit.clone()));
        let wanted = claim.amount.clone();
        claim.amount = running.cut(&wanted, limit).map_err(|error| (place, error))?;
        claim.cut_off = wanted.minus(&claim.amount).map_err(|error| (place, error))?;
    }
    Ok(())
}
