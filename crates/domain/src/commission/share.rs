//! Shares of every claim: tiers, then the plan's budget over everything that one trade pays, then rebates.

use super::bonus;
use super::brackets::Volumes;
use super::budget::{Budget, OnExceed};
use super::cell::{Payee, Scope};
use super::claim::{Claim, Claims};
use super::held::HeldReason;
use super::percent::{Percent, Revenue, Unsummed};
use super::plan::{Kind, OnSuspended, Pays, PlanVersion};
use super::tiers;
use super::traded::Leg;
use crate::fact::FactBody;
use crate::ids::{FactId, PartnerId};
use crate::money::{Decimal, Exact, MICROS, OutOfRange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One amount for one payee, of a claim.
#[derive(Debug, Clone)]
pub(super) struct Share {
    /// Its place in the claims.
    pub claim: usize,
    /// The rule under whose id it is paid: the claim's, or a rebate's, which may be of another version.
    pub version: Arc<PlanVersion>,
    pub rule_index: usize,
    pub is_rebate: bool,
    pub payee: Payee,
    pub level: u16,
    pub scope: Scope,
    pub exact: Exact,
    /// The partners that are rounded together with it, where they are, and which of them are suspended: what is withheld
    /// from a partner is not mixed with what it was paid before.
    pub path: Option<Vec<(PartnerId, bool)>>,
    /// Whether it stays unpaid: the partner was suspended.
    pub is_withheld: bool,
}

/// Every share of every claim.
pub(super) fn all(claims: &mut Claims<'_>, volumes: &Volumes<'_>) -> Vec<Share> {
    let mut shares = Vec::with_capacity(claims.all.len());
    let mut failed: Vec<(FactId, OutOfRange)> = Vec::new();
    for (place, claim) in claims.all.iter().enumerate() {
        if claim.rule().pays == Pays::Customer {
            shares.push(Share {
                claim: place,
                version: Arc::clone(&claim.version),
                rule_index: claim.rule_index,
                is_rebate: false,
                payee: Payee::Customer(claim.account.customer),
                level: 0,
                scope: claim.scope.clone(),
                exact: claim.amount.clone(),
                path: None,
                is_withheld: false,
            });
            continue;
        }
        let setting = &claim.place.setting;
        let Some(tiers) = tiers::of(claim) else {
            // Most claims: all of it is the direct partner's.
            if !claim.amount.is_payable() {
                failed.push((claim.fact.id, OutOfRange));
                continue;
            }
            shares.push(Share {
                claim: place,
                version: Arc::clone(&claim.version),
                rule_index: claim.rule_index,
                is_rebate: false,
                payee: Payee::Partner(setting.partner),
                level: 0,
                scope: claim.scope.clone(),
                exact: claim.amount.clone(),
                path: None,
                is_withheld: setting.chain[0].suspended,
            });
            continue;
        };
        let given = tiers::share(claim, tiers, claims.terms, volumes);
        // All of a claim or nothing of it: what is left out of a path would make the others' parts wrong.
        let is_payable = |given: &tiers::Shares| given.parts.iter().all(|part| part.exact.is_payable());
        match given.and_then(|given| if is_payable(&given) { Ok(given) } else { Err(OutOfRange) }) {
            Ok(given) => {
                let path = || given.parts.iter().map(|part| (part.partner, part.suspended)).collect::<Vec<_>>();
                let path = given.by_path.then(path);
                shares.extend(given.parts.iter().map(|part| Share {
                    claim: place,
                    version: Arc::clone(&claim.version),
                    rule_index: claim.rule_index,
                    is_rebate: false,
                    payee: Payee::Partner(part.partner),
                    level: part.level,
                    scope: claim.scope.clone(),
                    exact: part.exact.clone(),
                    path: path.clone(),
                    is_withheld: part.suspended,
                }));
            }
            Err(error) => failed.push((claim.fact.id, error)),
        }
    }
    for (fact, error) in failed {
        claims.hold_out_of_range(fact, error);
    }
    keep_within_budget(claims, &mut shares);
    rebate(claims, &mut shares);
    hold_withheld(claims, &shares);
    shares
}

/// What a suspended partner does not get is held, but where the house keeps it.
fn hold_withheld(claims: &mut Claims<'_>, shares: &[Share]) {
    for share in shares.iter().filter(|share| share.is_withheld && !share.exact.is_zero()) {
        let claim = &claims.all[share.claim];
        if claim.place.setting.version.plan.on_suspended == OnSuspended::Block {
            let (fact, detail) = (claim.fact.id, format!("rule {}, level {}", claim.rule().id, share.level));
            claims.hold(fact, HeldReason::PartnerSuspended, detail);
        }
    }
}

fn keep_within_budget(claims: &mut Claims<'_>, shares: &mut [Share]) {
    let mut by_fact: BTreeMap<FactId, Vec<usize>> = BTreeMap::new();
    for (index, share) in shares.iter().enumerate() {
        let claim = &claims.all[share.claim];
        let is_traded = matches!(claim.fact.body, FactBody::TradingDay(_) | FactBody::Trade(_));
        let counts = claim.rule().unit.is_money() && claim.is_for_fact && claim.rule().is_for_fact();
        if claim.place.setting.version.plan.budget.is_some() && is_traded && counts {
            by_fact.entry(claim.fact.id).or_default().push(index);
        }
    }
    for (fact, indexes) in by_fact {
        if let Err(failure) = keep_fact(fact, &indexes, claims, shares) {
            for index in indexes {
                shares[index].exact = Exact::zero();
                claims.all[shares[index].claim].budget_factor = Some(Exact::zero());
            }
            match failure {
                Unsummed::NoRate(detail) => claims.hold(fact, HeldReason::NoExchangeRate, detail),
                Unsummed::Missing(what) => claims.hold(fact, HeldReason::NotEvaluable, format!("budget needs {what}")),
                Unsummed::OutOfRange(error) => claims.hold_out_of_range(fact, error),
            }
        }
    }
}

fn keep_fact(fact: FactId, indexes: &[usize], claims: &mut Claims<'_>, shares: &mut [Share]) -> Result<(), Unsummed> {
    let claim = &claims.all[shares[indexes[0]].claim];
    let plan = &claim.place.setting.version.plan;
    let budget = plan.budget.clone().expect("only facts of plans with a budget come here");
    let allowed = allowed(&budget, claim, claims)?;
    let add = |sum: Exact, index: &usize| sum.plus(&shares[*index].exact);
    // What a suspended partner is not paid takes nothing of the budget.
    let paid = indexes.iter().filter(|index| !shares[**index].is_withheld);
    let total = paid.into_iter().try_fold(Exact::zero(), add).map_err(Unsummed::OutOfRange)?;
    if total <= allowed || total.is_zero() || total.is_negative() {
        return Ok(());
    }
    let factor = match budget.on_exceed {
        OnExceed::Scale if !allowed.is_negative() => allowed.over(&total).map_err(Unsummed::OutOfRange)?,
        OnExceed::Scale => Exact::zero(),
        OnExceed::Refuse => {
            claims.hold(fact, HeldReason::Budget, format!("{total} of the {allowed} that the budget allows"));
            Exact::zero()
        }
    };
    for index in indexes {
        let share = &mut shares[*index];
        share.exact = share.exact.times(&factor).map_err(Unsummed::OutOfRange)?;
        claims.all[share.claim].budget_factor = Some(factor.clone());
    }
    Ok(())
}

fn allowed(budget: &Budget, claim: &Claim<'_>, claims: &Claims<'_>) -> Result<Exact, Unsummed> {
    let plan = &claim.place.setting.version.plan;
    let revenue = Revenue { terms: claims.terms, plan, at: claim.place.at, sale_left: None };
    let points = Percent { percent: None, of: Vec::new(), max_points: None, point_value: Decimal(MICROS) };
    let base = revenue.of(&budget.percent_of, &points, claim.fact, Some(Leg::Day))?.unwrap_or_else(Exact::zero);
    base.times(&bonus::percent_of_one(budget.percent)).map_err(Unsummed::OutOfRange)
}

/// What the client gets of the direct partner's own part, and the exact opposite from the partner.
fn rebate(claims: &mut Claims<'_>, shares: &mut Vec<Share>) {
    let mut rebates = Vec::new();
    let mut failed = Vec::new();
    for share in shares.iter().filter(|share| share.level == 0 && !share.is_withheld) {
        let claim = &claims.all[share.claim];
        let Payee::Partner(partner) = share.payee else { continue };
        for (version, index) in &claim.place.setting.rebates {
            let rule = &version.plan.rules[*index];
            let Kind::Rebate(rebate) = &rule.kind else { continue };
            let is_of = *rebate.of_rule == *claim.rule().id;
            if !is_of || !super::rates::admits(rule, &version.plan, claim.fact, claim.account) {
                continue;
            }
            let exact = bonus::rebate(&share.exact, rebate, rule.weight);
            let opposite = exact.map(|exact| (exact.clone(), exact.negated()));
            let (exact, opposite) = match opposite {
                Ok(both) => both,
                Err(error) => {
                    failed.push((claim.fact.id, error));
                    continue;
                }
            };
            let scope = Scope::CustomerPeriod(claim.account.customer, claim.period());
            let of = |payee, exact| Share {
                version: Arc::clone(version),
                rule_index: *index,
                is_rebate: true,
                payee,
                exact,
                scope: scope.clone(),
                path: None,
                ..share.clone()
            };
            rebates.push(of(Payee::Customer(claim.account.customer), exact));
            rebates.push(of(Payee::Partner(partner), opposite));
        }
    }
    for (fact, error) in failed {
        claims.hold_out_of_range(fact, error);
    }
    shares.extend(rebates);
}
