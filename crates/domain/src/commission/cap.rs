//! `cap`: the most that a rule is worth, for a trade, a customer's life, a day or a period.
//!
//! Running totals are cut in time order; what was cut off is kept, to be shown.

use super::claim::Claims;
use super::condition;
use crate::fact::Fact;
use crate::ids::{CustomerId, FactId, PartnerId};
use crate::money::{Decimal, Exact, OutOfRange};
use crate::time::Period;
use jiff::civil::Date;
use std::collections::BTreeMap;

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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Over {
    Trade(FactId),
    Customer(CustomerId),
    Day(PartnerId, Date),
    Period(PartnerId, Period),
}

/// Cuts the claims at these places of `claims.all`; their amounts are priced already.
pub(super) fn apply<'a>(claims: &mut Claims<'a>, places: &[usize], facts_of: &dyn Fn(CustomerId) -> Vec<&'a Fact>) {
    let mut groups: BTreeMap<(std::sync::Arc<str>, Over), Vec<usize>> = BTreeMap::new();
    for &place in places {
        let claim = &claims.all[place];
        let Some(cap) = claim.rule().cap else { continue };
        let setting = &claim.place.setting;
        let over = match cap.per {
            CapPer::Trade => Over::Trade(claim.fact.id),
            CapPer::Customer => Over::Customer(claim.account.customer),
            CapPer::Day => Over::Day(setting.partner, claim.version.plan.zone.day_of(claim.place.at)),
            CapPer::Period => Over::Period(setting.partner, claim.period()),
        };
        groups.entry((claim.rule().id.clone(), over)).or_default().push(place);
    }
    for mut group in groups.into_values() {
        group.sort_by(|a, b| claims.all[*a].order().cmp(&claims.all[*b].order()));
        if let Err((place, error)) = cut(claims, &group, facts_of) {
            // Without its part the running total is not known: what comes after it is not paid on a guess.
            let from = group.iter().position(|of_group| *of_group == place).unwrap_or(0);
            for &place in &group[from..] {
                let claim = &mut claims.all[place];
                claim.cut_off = claim.priced().unwrap_or_else(|_| Exact::zero());
                claim.amount = Exact::zero();
                let fact = claim.fact.id;
                claims.hold_out_of_range(fact, error);
            }
        }
    }
}

fn cut<'a>(
    claims: &mut Claims<'a>,
    group: &[usize],
    facts_of: &dyn Fn(CustomerId) -> Vec<&'a Fact>,
) -> Result<(), (usize, OutOfRange)> {
    let (mut uncut, mut paid) = (Exact::zero(), Exact::zero());
    let mut most: Option<(usize, Exact)> = None;
    for &place in group {
        let claim = &claims.all[place];
        let cap = claim.rule().cap.expect("only capped claims are grouped");
        // The most of a customer is looked up once a version: a later version may have another cap.
        let limit = match most {
            Some((rule_index, limit)) if rule_index == claim.rule_index => limit,
            _ => limit(&cap, place, claims, facts_of).map_err(|error| (place, error))?,
        };
        let claim = &mut claims.all[place];
        most = Some((claim.rule_index, limit.clone()));
        let wanted = claim.amount.clone();
        // The running total itself is cut: what falls again first takes from what was above the cap. A later version's
        // lower cap takes nothing back.
        uncut = uncut.plus(&wanted).map_err(|error| (place, error))?;
        let total = uncut.clone().min(limit.max(paid.clone()));
        claim.amount = total.minus(&paid).map_err(|error| (place, error))?;
        claim.cut_off = wanted.minus(&claim.amount).map_err(|error| (place, error))?;
        paid = total;
    }
    Ok(())
}

/// The lower of the two where both are given.
fn limit<'a>(
    cap: &Cap,
    place: usize,
    claims: &Claims<'a>,
    facts_of: &dyn Fn(CustomerId) -> Vec<&'a Fact>,
) -> Result<Exact, OutOfRange> {
    let claim = &claims.all[place];
    let amount = cap.amount.map(Decimal::exact);
    let Some(percent) = cap.percent_of_first_deposit else { return Ok(amount.unwrap_or_else(Exact::zero)) };
    let facts = facts_of(claim.account.customer);
    let first = condition::first_deposit(&claim.version.plan, claim.account, &facts, claims.terms.exchange);
    let share = first.times(&super::bonus::percent_of_one(percent))?;
    Ok(amount.map_or(share.clone(), |amount| amount.min(share)))
}
