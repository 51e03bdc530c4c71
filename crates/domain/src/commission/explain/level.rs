//! The last steps of an input: from what the direct partner's rule is worth to what this level, or the client, gets.
//!
//! Leaves the figures to `tiers`, `budget` and `bonus`, which computed them. What is printed here, with the input's
//! `direct`, pieces and factors, makes the input's `exact`; where a step leaves all as it is, it is not printed.

use crate::commission::brackets::Volumes;
use crate::commission::claim::Claim;
use crate::commission::share::Rebated;
use crate::commission::terms::Terms;
use crate::commission::tiers::{Earned, PassUp, Tiers, left_of, tell_differences};
use crate::commission::{CellKey, Payee};
use crate::money::{Decimal, Exact};
use serde_json::{Value, json};

/// How the tiers make a level's part of the direct amount; `None` where all of it is the direct partner's.
pub(super) fn tier(claim: &Claim<'_>, level: u16, terms: &Terms<'_>, volumes: &Volumes<'_>) -> Option<Value> {
    let setting = &claim.place.setting;
    let tiers = claim.version.plan.tiers.as_ref().filter(|_| claim.rule().takes_tiers())?;
    let (level, depth) = (usize::from(level), setting.chain.len());
    let percent_of = |percents: &[Decimal], level: usize| percents.get(level).map(Decimal::to_string);
    Some(match tiers {
        Tiers::Override { .. } | Tiers::Difference { .. } if level == 0 => return None,
        Tiers::Override { levels } => json!({"method": "override", "percent": percent_of(levels, level - 1)}),
        Tiers::Ratio { percents } => json!({"method": "ratio", "percent": percent_of(percents, level)}),
        Tiers::Split { shares } => json!({"method": "split", "percent": split(shares, level, depth).to_string()}),
        Tiers::ShareFromBelow { pass_up: PassUp::Percents(percents) } => {
            let of_level = |level: usize| percents.get(level).or(percents.last()).map(Decimal::to_string);
            // The topmost partner passes nothing up.
            let passed: Vec<_> = (0..(level + 1).min(depth - 1)).filter_map(of_level).collect();
            json!({"method": "share_from_below", "pass_up": passed})
        }
        Tiers::ShareFromBelow { pass_up: PassUp::Amounts(amounts) } => {
            let of_level = |level: usize| amounts.get(level).copied().unwrap_or(Decimal::ZERO).to_string();
            let passed: Vec<_> = (0..(level + 1).min(depth - 1)).map(of_level).collect();
            json!({"method": "share_from_below", "pass_up_amounts": passed})
        }
        Tiers::Difference { same_rank_bonus } => difference(claim, level, *same_rank_bonus, terms, volumes),
    })
}

/// The level's share, and at the top those of the levels that do not exist.
fn split(shares: &[Decimal], level: usize, depth: usize) -> Decimal {
    let own = if level + 1 == depth { shares.get(level..) } else { shares.get(level..=level) };
    let sum = own.unwrap_or_default().iter().try_fold(Decimal::ZERO, |sum, share| sum.checked_add(*share));
    sum.expect("the linter holds the shares to 100")
}

fn difference(
    claim: &Claim<'_>,
    level: usize,
    same_rank_bonus: Option<Decimal>,
    terms: &Terms<'_>,
    volumes: &Volumes<'_>,
) -> Value {
    let mut pieces = Vec::new();
    let mut same_rank = None;
    let tell = &mut |of_level: usize, earned: Earned| match earned {
        Earned::Above { quantity, rate, below } if of_level == level => {
            pieces
                .push(json!({"quantity": quantity.to_string(), "rate": rate.to_string(), "below": below.to_string()}));
        }
        Earned::SameRank { percent, of } if of_level == level => {
            same_rank = Some(json!({"share": percent.to_string(), "of": of.to_string()}));
        }
        _ => {}
    };
    // It was computed once already: it is in range.
    let _ = tell_differences(claim, same_rank_bonus, terms, volumes, tell);
    let proportion = left_of(claim).unwrap_or_else(|_| Exact::zero());
    match same_rank {
        Some(same_rank) => json!({"method": "difference", "same_rank": same_rank}),
        None => json!({"method": "difference", "pieces": pieces, "proportion": proportion.to_string()}),
    }
}

/// What a rebate gives of the direct partner's part; the partner gets the opposite.
pub(super) fn rebate(rebated: &Rebated, cell: &CellKey) -> Value {
    let sign = if matches!(cell.payee, Payee::Customer(_)) { "1" } else { "-1" };
    let mut told = json!({
        "percent": rebated.percent.to_string(),
        "weight": rebated.weight.to_string(),
        "sign": sign,
    });
    if rebated.credit_share != Exact::whole(1) {
        told["credit_share"] = rebated.credit_share.to_string().into();
    }
    if !rebated.cut_off.is_zero() {
        told["cut_off"] = rebated.cut_off.to_string().into();
    }
    told
}
