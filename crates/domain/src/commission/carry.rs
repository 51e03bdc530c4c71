//! `carry`: what a negative period does to the ones after it.
//!
//! A rule with carry is worth nothing until its period is closed; then the whole chain of closed periods is valued
//! from its beginning, so that a late fact changes each later period by exactly what it should.

use super::claim::{Claim, Claims};
use crate::ids::{CustomerId, PartnerId};
use crate::money::{Decimal, Exact, OutOfRange};
use crate::time::Period;
use std::collections::BTreeMap;

/// The keys of the modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carry {
    /// What is carried.
    pub of: CarryOf,
    /// Where a deficit stays.
    pub scope: CarryScope,
    /// The most that is carried, in means of the positive periods before.
    pub max_average_periods: Option<Decimal>,
    /// A customer whose period base is under this is fenced.
    pub quarantine: Option<Decimal>,
}

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarryOf {
    /// What the rate is of.
    Base,
    /// What the rule is worth.
    Commission,
    /// Nothing: a negative period is forgotten.
    None,
}

/// Where a deficit stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarryScope {
    /// With the program.
    Program,
    /// With the partner.
    Partner,
}

/// What one customer, or all of them, brought in a period.
#[derive(Debug, Clone)]
struct Sums {
    base: Exact,
    commission: Exact,
}

/// Values the claims at these places of `claims.all` period by period; their amounts are priced and capped.
pub(super) fn apply(claims: &mut Claims<'_>, places: &[usize]) {
    let mut chains: BTreeMap<(PartnerId, std::sync::Arc<str>), BTreeMap<Period, Vec<usize>>> = BTreeMap::new();
    for &place in places {
        let claim = &claims.all[place];
        if claim.rule().carry.is_none() {
            continue;
        }
        let (setting, rule) = (&claim.place.setting, claim.rule().id.clone());
        let chain = chains.entry((setting.partner, rule)).or_default();
        chain.entry(claim.period()).or_default().push(place);
    }
    for chain in chains.into_values() {
        let first = chain.values().next().and_then(|places| places.first()).copied();
        if let Err(error) = value(claims, &chain) {
            for place in chain.into_values().flatten() {
                nothing_left(&mut claims.all[place]);
            }
            if let Some(first) = first {
                let fact = claims.all[first].fact.id;
                claims.hold_out_of_range(fact, error);
            }
        }
    }
}

fn value(claims: &mut Claims<'_>, chain: &BTreeMap<Period, Vec<usize>>) -> Result<(), OutOfRange> {
    let mut fences: BTreeMap<CustomerId, Exact> = BTreeMap::new();
    let (mut deficit, mut positive) = (Exact::zero(), Positive { sum: Exact::zero(), count: 0 });
    let mut last: Option<(Period, Carry)> = None;
    for (period, places) in chain {
        let is_closed = claims.terms.closed_before.is_some_and(|day| period.next().first_day <= day);
        if !is_closed {
            for &place in places {
                nothing_left(&mut claims.all[place]);
            }
            continue;
        }
        let carry = claims.all[places[0]].rule().carry.expect("only claims with carry are chained");
        // Nothing happened in the periods between: they carry the deficit on all the same.
        if let Some((before, limits)) = last.replace((*period, carry))
            && before.next().first_day < period.first_day
        {
            deficit = positive.limit(deficit, &limits)?;
        }
        let counted = fenced(claims, places, &carry, &mut fences)?;
        let mut total = Sums { base: Exact::zero(), commission: Exact::zero() };
        for sums in counted.values() {
            total =
                Sums { base: total.base.plus(&sums.1.base)?, commission: total.commission.plus(&sums.1.commission)? };
        }
        let worth = if carry.of == CarryOf::Commission { total.commission } else { total.base };
        let left = worth.minus(&deficit)?;
        let paid = if left.is_negative() || worth.is_negative() { Exact::zero() } else { left.clone() };
        deficit = match carry.of {
            CarryOf::None => Exact::zero(),
            _ if left.is_negative() => Exact::zero().minus(&left)?,
            _ => Exact::zero(),
        };
        deficit = positive.limit(deficit, &carry)?;
        if !worth.is_negative() && !worth.is_zero() {
            positive = Positive { sum: positive.sum.plus(&worth)?, count: positive.count + 1 };
        }
        let share = if worth.is_zero() { Exact::zero() } else { paid.over(&worth)? };
        for &place in places {
            let customer = claims.all[place].account.customer;
            let (all, counted) = &counted[&customer];
            let of_customer = if all.base.is_zero() { Exact::whole(1) } else { counted.base.over(&all.base)? };
            let claim = &mut claims.all[place];
            let left = of_customer.times(&share)?;
            claim.amount = claim.amount.times(&left)?;
            claim.carry_share = Some(left);
        }
    }
    Ok(())
}

/// The positive values of the periods before the one that is closed.
struct Positive {
    sum: Exact,
    count: i64,
}

impl Positive {
    /// What is carried on of a deficit: so many times their mean at most; without any, all of it.
    fn limit(&self, deficit: Exact, carry: &Carry) -> Result<Exact, OutOfRange> {
        let Some(means) = carry.max_average_periods.filter(|_| self.count > 0) else { return Ok(deficit) };
        let mean = self.sum.over(&Exact::whole(self.count))?;
        Ok(deficit.min(mean.times(&means.exact())?))
    }
}

fn nothing_left(claim: &mut Claim<'_>) {
    claim.amount = Exact::zero();
    claim.carry_share = Some(Exact::zero());
}

/// What the rate is of, as far as caps left it: a period nets what each trade, customer or day still counts for.
fn base_of(claim: &Claim<'_>) -> Result<Exact, OutOfRange> {
    let uncut = claim.amount.plus(&claim.cut_off)?;
    if claim.cut_off.is_zero() || uncut.is_zero() {
        return Ok(claim.quantity.clone());
    }
    claim.quantity.times(&claim.amount.over(&uncut)?)
}

/// What each customer brought, and what of it counts outside the fences.
fn fenced(
    claims: &Claims<'_>,
    places: &[usize],
    carry: &Carry,
    fences: &mut BTreeMap<CustomerId, Exact>,
) -> Result<BTreeMap<CustomerId, (Sums, Sums)>, OutOfRange> {
    let mut all: BTreeMap<CustomerId, Sums> = BTreeMap::new();
    for &place in places {
        let claim = &claims.all[place];
        let none = Sums { base: Exact::zero(), commission: Exact::zero() };
        let sums = all.entry(claim.account.customer).or_insert(none);
        *sums = Sums { base: sums.base.plus(&base_of(claim)?)?, commission: sums.commission.plus(&claim.amount)? };
    }
    let mut counted = BTreeMap::new();
    for (customer, sums) in all {
        let mut counts = sums.base.clone();
        if let Some(threshold) = carry.quarantine {
            let fence = fences.get(&customer).cloned().unwrap_or_else(Exact::zero);
            if fence.is_negative() {
                let after = fence.plus(&sums.base)?;
                counts = if after.is_negative() { Exact::zero() } else { after.clone() };
                fences.insert(customer, if after.is_negative() { after } else { Exact::zero() });
            } else if sums.base < threshold.exact() {
                counts = Exact::zero();
                fences.insert(customer, sums.base.clone());
            }
        }
        let share = if sums.base.is_zero() { Exact::whole(1) } else { counts.over(&sums.base)? };
        let counts = Sums { base: counts, commission: sums.commission.times(&share)? };
        counted.insert(customer, (sums, counts));
    }
    Ok(counted)
}
