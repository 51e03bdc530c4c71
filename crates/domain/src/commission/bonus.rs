//! `bonus` and `rebate`: a percent of what another rule is worth.
//!
//! A bonus comes on top and is of the exact amount of the rule that it is of. A rebate takes from the direct partner
//! what it gives to the client, to the last unit.

use super::claim::{Claim, Claims, Detail, Piece};
use super::plan::Kind;
use crate::money::{Decimal, Exact, OutOfRange};

/// The keys of `bonus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bonus {
    /// Of the other rule's worth.
    pub percent: Decimal,
    /// The other rule's id.
    pub of_rule: String,
}

/// The keys of `rebate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebate {
    /// Of the direct partner's own part; at most 100.
    pub percent: Decimal,
    /// The other rule's id.
    pub of_rule: String,
}

/// The claims of every bonus of a rule, one for each claim of it. `paid` is a claim whose amount is final.
pub(super) fn claim<'a>(paid: &Claim<'a>, claims: &mut Claims<'a>) {
    for rule_of @ (version, index) in &paid.place.setting.bonuses {
        let rule = &version.plan.rules[*index];
        let Kind::Bonus(bonus) = &rule.kind else { continue };
        if *bonus.of_rule != *paid.rule().id || !rule.when.admits_customer(paid.account) {
            continue;
        }
        let rate = super::rates::own_rate(claims.terms, paid.place.setting.partner, rule).unwrap_or(bonus.percent);
        let base = if paid.rule().adds_up_by_period() { paid.scope.clone() } else { paid.linear_scope.clone() };
        let period = paid.place.period_of(rule_of);
        let claim = Claim {
            version: version.clone(),
            rule_index: *index,
            scope: if rule.adds_up_by_period() { super::cell::Scope::Period(period) } else { base },
            quantity: paid.amount.clone(),
            piece: Piece { quantity: paid.amount.clone(), rate: percent_of_one(rate) },
            further_pieces: Vec::new(),
            factor: rule.weight.exact(),
            has_own_rate: true,
            cut_off: Exact::zero(),
            carry_share: None,
            amount: Exact::zero(),
            budget_factor: None,
            detail: Detail::OfRule,
            ..paid.clone()
        };
        claims.push(claim);
    }
}

/// A percent as what it makes of one.
pub(super) fn percent_of_one(percent: Decimal) -> Exact {
    percent.exact().over(&Exact::whole(100)).expect("a hundredth of a decimal is in range")
}

/// What the client gets of the direct partner's part.
pub(super) fn rebate(own_part: &Exact, rebate: &Rebate, weight: Decimal) -> Result<Exact, OutOfRange> {
    own_part.times(&percent_of_one(rebate.percent))?.times(&weight.exact())
}
