//! `bonus` and `rebate`: a percent of what another rule is worth.
//!
//! A bonus comes on top and is of the exact amount of the rule that it is of. A rebate takes from the direct partner
//! what it gives to the client, to the last unit.

use super::cell::Scope;
use super::claim::{Claim, Claims, Detail, Piece};
use super::eligibility::Eligible;
use super::plan::{Kind, Rule};
use super::rates;
use crate::fact::Fact;
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

/// The claims of every bonus of a rule, one for each claim of it that passes its own filters and eligibility. `paid` is a
/// claim whose amount is final.
pub(super) fn claim<'a>(paid: &Claim<'a>, claims: &mut Claims<'a>) {
    for rule_of @ (version, index) in &paid.place.setting.bonuses {
        let rule = &version.plan.rules[*index];
        let Kind::Bonus(bonus) = &rule.kind else { continue };
        if *bonus.of_rule != *paid.rule().id || !rates::admits(rule, &version.plan, paid.fact, paid.account) {
            continue;
        }
        let Some(credit_share) = eligible(rule, paid.fact, claims) else { continue };
        let own = rates::own_rate(claims.terms, paid.place.setting.partner, rule);
        let rate = own.unwrap_or(bonus.percent);
        let by_period = Scope::Period(paid.place.period_of(rule_of));
        let claim = Claim {
            version: version.clone(),
            rule_index: *index,
            scope: if rule.adds_up_by_period() { by_period } else { paid.scope.clone() },
            quantity: paid.amount.clone(),
            piece: Piece { quantity: paid.amount.clone(), rate: percent_of_one(rate) },
            further_pieces: Vec::new(),
            factor: rule.weight.exact().times(&credit_share).unwrap_or(credit_share),
            has_own_rate: own.is_some(),
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

/// What eligibility leaves of a fact for a rule that is of another rule; `None` where it is refused, and held.
pub(super) fn eligible(rule: &Rule, fact: &Fact, claims: &mut Claims<'_>) -> Option<Exact> {
    let Some(eligibility) = &rule.eligibility else { return Some(Exact::whole(1)) };
    match eligibility.judge(fact) {
        Ok(Eligible::Counts(share)) => Some(share),
        Ok(Eligible::Refused(reason, detail)) => {
            claims.hold(fact.id, reason, format!("rule {}: {detail}", rule.id));
            None
        }
        Err(error) => {
            claims.hold_out_of_range(fact.id, error);
            None
        }
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
