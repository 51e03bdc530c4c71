//! Shares of every claim: tiers, the split of the direct part, then the plan's budget over everything that one trade pays,
//! then rebates.

use super::bonus;
use super::brackets::Volumes;
use super::budget::{Budget, OnExceed};
use super::cap::{FactsOf, Over, Running};
use super::cell::{Payee, Scope};
use super::claim::{Claim, Claims};
use super::held::HeldReason;
use super::percent::{Percent, Revenue, Unsummed};
use super::plan::{Kind, OnSuspended, Pays, PlanVersion};
use super::split::{self, Portion, PortionOf};
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
    /// What a rebate is made of.
    pub rebate: Option<Arc<Rebated>>,
    pub payee: Payee,
    pub level: u16,
    pub scope: Scope,
    pub exact: Exact,
    /// The partners that are rounded together with it, where they are, and which of them are suspended: what is withheld
    /// from a partner is not mixed with what it was paid before.
    pub path: Option<Vec<(PartnerId, bool)>>,
    /// Of whose direct part it is a portion, where that is split.
    pub portion: Option<PortionOf>,
    /// Whether it stays unpaid: the partner was suspended.
    pub is_withheld: bool,
}

/// What a rebate makes of the direct partner's own part.
#[derive(Debug)]
pub(super) struct Rebated {
    pub percent: Decimal,
    pub weight: Decimal,
    /// What credit in the equity leaves of it.
    pub credit_share: Exact,
    /// What its cap took away.
    pub cut_off: Exact,
}

/// Every share of every claim.
pub(super) fn all<'a>(claims: &mut Claims<'a>, volumes: &Volumes<'_>, facts_of: FactsOf<'_, 'a>) -> Vec<Share> {
    let mut shares = Vec::with_capacity(claims.all.len());
    let mut failed: Vec<(FactId, OutOfRange)> = Vec::new();
    for (place, claim) in claims.all.iter().enumerate() {
        if claim.rule().pays == Pays::Customer {
            shares.push(Share {
                claim: place,
                version: Arc::clone(&claim.version),
                rule_index: claim.rule_index,
                rebate: None,
                payee: Payee::Customer(claim.account.customer),
                level: 0,
                scope: claim.scope.clone(),
                exact: claim.amount.clone(),
                path: None,
                portion: None,
                is_withheld: false,
            });
            continue;
        }
        let setting = &claim.place.setting;
        let portions = split::portions(claim, claims.terms);
        let Some(tiers) = tiers::of(claim) else {
            // Most claims: all of it is the direct partner's.
            let whole = Share {
                claim: place,
                version: Arc::clone(&claim.version),
                rule_index: claim.rule_index,
                rebate: None,
                payee: Payee::Partner(setting.partner),
                level: 0,
                scope: claim.scope.clone(),
                exact: claim.amount.clone(),
                path: None,
                portion: None,
                is_withheld: setting.chain[0].suspended,
            };
            let is_payable = claim.amount.is_payable();
            if !is_payable || add_direct(whole, portions.as_deref(), &mut shares).is_err() {
                failed.push((claim.fact.id, OutOfRange));
            }
            continue;
        };
        let given = tiers::share(claim, tiers, claims.terms, volumes);
        // All of a claim or nothing of it: what is left out of a path would make the others' parts wrong.
        let is_payable = |given: &tiers::Shares| given.parts.iter().all(|part| part.exact.is_payable());
        let given = given.and_then(|given| if is_payable(&given) { Ok(given) } else { Err(OutOfRange) });
        let added = given.and_then(|given| {
            // Everybody above is of the path, also who has no part of this claim.
            let path = || setting.chain.iter().map(|rung| (rung.partner, rung.suspended)).collect::<Vec<_>>();
            let path = given.by_path.then(path);
            let share = |part: &tiers::Part| Share {
                claim: place,
                version: Arc::clone(&claim.version),
                rule_index: claim.rule_index,
                rebate: None,
                payee: Payee::Partner(part.partner),
                level: part.level,
                scope: claim.scope.clone(),
                exact: part.exact.clone(),
                path: path.clone(),
                portion: None,
                is_withheld: part.suspended,
            };
            let (direct, above): (Vec<_>, Vec<_>) = given.parts.iter().partition(|part| part.level == 0);
            direct.into_iter().try_for_each(|part| add_direct(share(part), portions.as_deref(), &mut shares))?;
            shares.extend(above.into_iter().map(share));
            Ok(())
        });
        if let Err(error) = added {
            failed.push((claim.fact.id, error));
        }
    }
    for (fact, error) in failed {
        claims.hold_out_of_range(fact, error);
    }
    keep_within_budget(claims, &mut shares);
    let rebates = rebates(claims, &shares);
    give_back(claims, rebates, &mut shares, facts_of);
    hold_withheld(claims, &shares);
    shares
}

/// The direct part of a claim, whole or in portions, the direct partner's first: what the others leave.
fn add_direct(whole: Share, portions: Option<&[Portion]>, shares: &mut Vec<Share>) -> Result<(), OutOfRange> {
    let Some([direct, others @ ..]) = portions else {
        shares.push(whole);
        return Ok(());
    };
    let of = |percent| PortionOf { direct: direct.partner, is_direct_withheld: whole.is_withheld, percent };
    let portion = |portion: &Portion| {
        Ok(Share {
            payee: Payee::Partner(portion.partner),
            exact: whole.exact.times(&bonus::percent_of_one(portion.percent))?,
            portion: Some(of(portion.percent)),
            is_withheld: portion.suspended,
            ..whole.clone()
        })
    };
    let others = others.iter().map(portion).collect::<Result<Vec<_>, OutOfRange>>()?;
    let given = others.iter().try_fold(Exact::zero(), |sum, share| sum.plus(&share.exact))?;
    let (exact, portion) = (whole.exact.minus(&given)?, Some(of(direct.percent)));
    shares.push(Share { exact, portion, ..whole });
    shares.extend(others);
    Ok(())
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
    let revenue = Revenue { terms: claims.terms, plan, at: claim.place.at, sale_left: None, is_converted: true };
    let points = Percent { percent: None, of: Vec::new(), max_points: None, point_value: Decimal(MICROS) };
    let base = revenue.of(&budget.percent_of, &points, claim.fact, Some(Leg::Day))?.unwrap_or_else(Exact::zero);
    base.times(&bonus::percent_of_one(budget.percent)).map_err(Unsummed::OutOfRange)
}

/// A rebate on its way to the client and the partner that funds it.
struct Rebate {
    /// The direct partner's part that it is of, by its place in the shares.
    of: usize,
    funder: PartnerId,
    version: Arc<PlanVersion>,
    rule_index: usize,
    exact: Exact,
    made: Rebated,
}

/// What the clients get of the direct partners' own parts, before caps.
fn rebates(claims: &mut Claims<'_>, shares: &[Share]) -> Vec<Rebate> {
    let mut rebates = Vec::new();
    for (of, share) in shares.iter().enumerate().filter(|(_, share)| share.level == 0 && !share.is_withheld) {
        let Payee::Partner(funder) = share.payee else { continue };
        // A split changes nothing for the client: what it gets is of the whole direct part, and the direct partner gives it.
        let whole = match share.portion {
            None => Ok(share.exact.clone()),
            Some(portion) if portion.direct == funder => whole_of(&shares[of..]),
            Some(_) => continue,
        };
        let whole = match whole {
            Ok(whole) => whole,
            Err(error) => {
                claims.hold_out_of_range(claims.all[share.claim].fact.id, error);
                continue;
            }
        };
        let setting = Arc::clone(&claims.all[share.claim].place.setting);
        for (version, index) in &setting.rebates {
            let claim = &claims.all[share.claim];
            let rule = &version.plan.rules[*index];
            let Kind::Rebate(rebate) = &rule.kind else { continue };
            let is_of = *rebate.of_rule == *claim.rule().id;
            if !is_of || !super::rates::admits(rule, &version.plan, claim.fact, claim.account) {
                continue;
            }
            let fact = claim.fact;
            let Some(credit_share) = bonus::eligible(rule, fact, claims) else { continue };
            let exact = bonus::rebate(&whole, rebate, rule.weight).and_then(|exact| exact.times(&credit_share));
            let made = Rebated { percent: rebate.percent, weight: rule.weight, credit_share, cut_off: Exact::zero() };
            match exact {
                Ok(exact) => {
                    rebates.push(Rebate { of, funder, version: Arc::clone(version), rule_index: *index, exact, made });
                }
                Err(error) => claims.hold_out_of_range(fact.id, error),
            }
        }
    }
    rebates
}

/// The direct part that begins these shares, of which they are the portions.
fn whole_of(shares: &[Share]) -> Result<Exact, OutOfRange> {
    let is_portion = |share: &&Share| share.claim == shares[0].claim && share.portion.is_some();
    let mut portions = shares.iter().take_while(is_portion);
    portions.try_fold(Exact::zero(), |sum, share| sum.plus(&share.exact))
}

/// Cuts rebates at their caps, and gives them to the client; the exact opposite is the partner's.
fn give_back<'a>(
    claims: &mut Claims<'a>,
    mut rebates: Vec<Rebate>,
    shares: &mut Vec<Share>,
    facts_of: FactsOf<'_, 'a>,
) {
    let mut groups: BTreeMap<(Arc<str>, Over), Vec<usize>> = BTreeMap::new();
    for (place, rebate) in rebates.iter().enumerate() {
        let rule = &rebate.version.plan.rules[rebate.rule_index];
        if let Some(cap) = rule.cap {
            let over = cap.over(&claims.all[shares[rebate.of].claim]);
            groups.entry((rule.id.clone(), over)).or_default().push(place);
        }
    }
    for mut group in groups.into_values() {
        let claim_of = |rebate: &Rebate| &claims.all[shares[rebate.of].claim];
        group.sort_by(|a, b| claim_of(&rebates[*a]).order().cmp(&claim_of(&rebates[*b]).order()));
        let mut running = Running::new();
        let mut failed = None;
        for place in group {
            let rebate = &mut rebates[place];
            let claim = &claims.all[shares[rebate.of].claim];
            let cap = rebate.version.plan.rules[rebate.rule_index].cap.expect("only capped rebates are grouped");
            let left = cap.limit(&rebate.version.plan, claim.account, claims.terms, facts_of);
            let left = left.and_then(|limit| running.cut(&rebate.exact, limit));
            // Once the running total is not known, nothing more is given on a guess.
            let left = if failed.is_some() { Ok(Exact::zero()) } else { left };
            let left = left.unwrap_or_else(|error| {
                failed = Some((claim.fact.id, error));
                Exact::zero()
            });
            rebate.made.cut_off = rebate.exact.minus(&left).unwrap_or_else(|_| Exact::zero());
            rebate.exact = left;
        }
        if let Some((fact, error)) = failed {
            claims.hold_out_of_range(fact, error);
        }
    }
    for rebate in rebates {
        let of = &shares[rebate.of];
        let claim = &claims.all[of.claim];
        let made = Arc::new(rebate.made);
        let opposite = rebate.exact.negated();
        let share = |payee, exact, path| Share {
            version: Arc::clone(&rebate.version),
            rule_index: rebate.rule_index,
            rebate: Some(Arc::clone(&made)),
            payee,
            exact,
            scope: Scope::CustomerPeriod(claim.account.customer, claim.period()),
            path,
            portion: None,
            ..of.clone()
        };
        // The client's part is rounded funder by funder, as each of them gives it: to the last unit the opposite.
        let by_funder = Some(vec![(rebate.funder, false)]);
        let given = share(Payee::Customer(claim.account.customer), rebate.exact.clone(), by_funder);
        let taken = share(Payee::Partner(rebate.funder), opposite, None);
        shares.extend([given, taken]);
    }
}
