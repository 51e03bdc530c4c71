//! Tiers: how the partners above the direct one take part in what it earns.
//!
//! Levels count from the direct partner, 0, upwards. What `split` and `share_from_below` give out is the direct
//! commission itself and is rounded once for the whole path; the other methods pay each level for itself.

use super::bonus::percent_of_one;
use super::brackets::Volumes;
use super::claim::Claim;
use super::place::Rung;
use super::plan::Kind;
use super::rates;
use super::terms::Terms;
use crate::ids::PartnerId;
use crate::money::{Decimal, Exact, OutOfRange};

/// The method and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tiers {
    /// A parent earns what its own rate is above the highest one below.
    Difference {
        /// Of the amount of the partner below that has the same rate.
        same_rank_bonus: Option<Decimal>,
    },
    /// A parent earns a percent of the direct commission, on top; the first is the nearest parent's.
    Override {
        /// Percents by level.
        levels: Vec<Decimal>,
    },
    /// Each level keeps what it does not pass up.
    ShareFromBelow {
        /// What is passed up.
        pass_up: PassUp,
    },
    /// The amount is split between the direct partner and those above.
    Split {
        /// Percents that make 100.
        shares: Vec<Decimal>,
    },
    /// Each level earns its own percent of the same base.
    Ratio {
        /// Percents by level, the direct partner's first.
        percents: Vec<Decimal>,
    },
}

/// What is passed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassUp {
    /// Percents of what came; the last repeats.
    Percents(Vec<Decimal>),
    /// Amounts per unit of quantity; after the list nothing is passed up.
    Amounts(Vec<Decimal>),
}

/// What one partner gets of a claim.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub partner: PartnerId,
    pub level: u16,
    pub exact: Exact,
    pub suspended: bool,
}

/// A claim, shared out.
pub(super) struct Shares {
    pub parts: Vec<Part>,
    /// Whether the parts are rounded together.
    pub by_path: bool,
}

/// The tiers that share the claim out; `None` where all of it is the direct partner's.
pub(super) fn of<'c>(claim: &'c Claim<'_>) -> Option<&'c Tiers> {
    claim.place.setting.version.plan.tiers.as_ref().filter(|_| claim.rule().takes_tiers())
}

/// Shares the claim's amount among the direct partner and those above.
pub(super) fn share(
    claim: &Claim<'_>,
    tiers: &Tiers,
    terms: &Terms<'_>,
    volumes: &Volumes<'_>,
) -> Result<Shares, OutOfRange> {
    let chain = &claim.place.setting.chain;
    let (exact, by_path) = match tiers {
        Tiers::Override { levels } => (overrides(&claim.amount, levels, chain.len())?, false),
        Tiers::Ratio { percents } => (ratios(&claim.amount, percents, chain.len())?, false),
        Tiers::Split { shares } => (split(&claim.amount, shares, chain.len())?, true),
        Tiers::ShareFromBelow { pass_up } => (pass(claim, pass_up, chain.len())?, true),
        Tiers::Difference { same_rank_bonus } => {
            (differences(claim, *same_rank_bonus, terms, volumes, &mut |_, _| {})?, false)
        }
    };
    let parts = exact.into_iter().zip(chain).zip(0_u16..).filter(|((exact, _), level)| *level == 0 || !exact.is_zero());
    let part = |((exact, rung), level): ((Exact, &Rung), u16)| Part {
        partner: rung.partner,
        level,
        exact,
        suspended: rung.suspended,
    };
    Ok(Shares { parts: parts.map(part).collect(), by_path })
}

fn overrides(amount: &Exact, levels: &[Decimal], depth: usize) -> Result<Vec<Exact>, OutOfRange> {
    let above = levels.iter().take(depth - 1).map(|percent| amount.times(&percent_of_one(*percent)));
    std::iter::once(Ok(amount.clone())).chain(above).collect()
}

fn ratios(amount: &Exact, percents: &[Decimal], depth: usize) -> Result<Vec<Exact>, OutOfRange> {
    percents.iter().take(depth).map(|percent| amount.times(&percent_of_one(*percent))).collect()
}

/// Shares of levels that do not exist fall to the topmost partner that does.
fn split(amount: &Exact, shares: &[Decimal], depth: usize) -> Result<Vec<Exact>, OutOfRange> {
    let mut parts: Vec<Exact> = Vec::new();
    for (index, share) in shares.iter().enumerate() {
        let part = amount.times(&percent_of_one(*share))?;
        if index < depth {
            parts.push(part);
        } else if let Some(top) = parts.last_mut() {
            *top = top.plus(&part)?;
        }
    }
    Ok(parts)
}

fn pass(claim: &Claim<'_>, pass_up: &PassUp, depth: usize) -> Result<Vec<Exact>, OutOfRange> {
    let mut parts = Vec::new();
    let mut came = claim.amount.clone();
    for level in 0..depth {
        let passed = if level + 1 == depth { Exact::zero() } else { passed(claim, pass_up, level, came.clone())? };
        parts.push(came.minus(&passed)?);
        came = passed;
    }
    Ok(parts)
}

/// What a level passes up of what came to it: never more than that.
fn passed(claim: &Claim<'_>, pass_up: &PassUp, level: usize, came: Exact) -> Result<Exact, OutOfRange> {
    match pass_up {
        PassUp::Percents(percents) => {
            let percent = percents.get(level).or(percents.last()).copied().unwrap_or(Decimal::ZERO);
            came.times(&percent_of_one(percent))
        }
        PassUp::Amounts(amounts) => {
            let amount = amounts.get(level).copied().unwrap_or(Decimal::ZERO);
            let wanted = claim.quantity.times(&amount.exact())?.times(&claim.factor)?;
            Ok(if came.is_negative() { wanted.max(came).min(Exact::zero()) } else { wanted.min(came) })
        }
    }
}

/// What a level earns under `difference` was worked out from.
#[derive(Debug, Clone)]
pub(super) enum Earned {
    /// A part of the quantity at the own rate, less the highest one below.
    Above { quantity: Exact, rate: Exact, below: Exact },
    /// A percent of what the partner below with the same rate gets.
    SameRank { percent: Exact, of: Exact },
}

/// The levels of `difference` one by one, for the explanation.
pub(super) fn tell_differences(
    claim: &Claim<'_>,
    same_rank_bonus: Option<Decimal>,
    terms: &Terms<'_>,
    volumes: &Volumes<'_>,
    tell: &mut dyn FnMut(usize, Earned),
) -> Result<(), OutOfRange> {
    differences(claim, same_rank_bonus, terms, volumes, tell).map(drop)
}

/// Each parent's rate above the highest below it, times the quantity; a cap cuts each level in the same proportion.
fn differences(
    claim: &Claim<'_>,
    same_rank_bonus: Option<Decimal>,
    terms: &Terms<'_>,
    volumes: &Volumes<'_>,
    tell: &mut dyn FnMut(usize, Earned),
) -> Result<Vec<Exact>, OutOfRange> {
    let has_rate = matches!(
        claim.rule().kind,
        Kind::PerLot(_) | Kind::PerMillion(_) | Kind::Percent(_) | Kind::Cpa(_) | Kind::Flat(_)
    );
    let mut parts = vec![claim.amount.clone()];
    if !has_rate {
        return Ok(parts);
    }
    let cut = left_of(claim)?;
    let mut highest: Vec<Exact> = claim.pieces().map(|piece| piece.rate.clone()).collect();
    // Who holds the highest rate, and what it was paid.
    let mut holder = (claim.amount.clone(), claim.place.setting.chain[0].suspended);
    for rung in &claim.place.setting.chain[1..] {
        let Some(rate) = rate_of(rung, claim, terms, volumes)? else {
            parts.push(Exact::zero());
            continue;
        };
        let mut part = Exact::zero();
        let (mut is_above, mut is_same) = (false, false);
        for (piece, below) in claim.pieces().zip(&mut highest) {
            is_same |= rate == *below;
            if rate > *below {
                is_above = true;
                tell(
                    parts.len(),
                    Earned::Above { quantity: piece.quantity.clone(), rate: rate.clone(), below: below.clone() },
                );
                part = part.plus(&piece.quantity.times(&rate.minus(below)?)?)?;
                *below = rate.clone();
            }
        }
        part = part.times(&claim.factor)?.times(&cut)?;
        if is_above {
            holder = (part.clone(), rung.suspended);
        } else if is_same && !holder.1 {
            let percent = same_rank_bonus.map_or(Exact::zero(), percent_of_one);
            part = holder.0.times(&percent)?;
            tell(parts.len(), Earned::SameRank { percent, of: holder.0.clone() });
        }
        parts.push(part);
    }
    Ok(parts)
}

/// What caps and carry left of a claim: each level is cut in this proportion.
pub(super) fn left_of(claim: &Claim<'_>) -> Result<Exact, OutOfRange> {
    let priced = claim.priced()?;
    if priced.is_zero() { Ok(Exact::whole(1)) } else { claim.amount.over(&priced) }
}

/// A parent's own rate for the rule, from its terms, its steps or its plan.
fn rate_of(
    rung: &Rung,
    claim: &Claim<'_>,
    terms: &Terms<'_>,
    volumes: &Volumes<'_>,
) -> Result<Option<Exact>, OutOfRange> {
    let rule = claim.rule();
    if let Some(rate) = rates::own_rate(terms, rung.partner, rule) {
        return Ok(Some(rates::as_factor(rule, rate)));
    }
    let own = rung.rules.iter().find(|(version, index)| version.plan.rules[*index].id == rule.id);
    let Some(rule_of @ (version, index)) = own else { return Ok(None) };
    let own = &version.plan.rules[*index];
    let same_kind = std::mem::discriminant(&own.kind) == std::mem::discriminant(&rule.kind);
    if !same_kind || !rates::admits(own, &version.plan, claim.fact, claim.account) {
        return Ok(None);
    }
    let reached = volumes.reached(rung.partner, own, claim.place.period_of(rule_of))?;
    let rate = reached.or_else(|| rates::listed(own, &version.plan, claim.fact, claim.account));
    Ok(rate.map(|rate| rates::as_factor(own, rate)))
}
