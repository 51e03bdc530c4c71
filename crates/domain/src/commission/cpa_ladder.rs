//! `cpa_ladder`: the amount of the highest step that the deposits reach now; a later step posts the difference.
//!
//! Its date is the moment at which the first step was first reached.

use super::claim::{Claims, Detail, Rate};
use super::condition::{Conditions, Sweep};
use super::cpa::{Earliest, claimed, first_met, hold_unpriced, judged, keep_earlier, rules_in_question};
use super::person::Person;
use super::place::Places;
use super::plan::{Kind, OncePer};
use crate::money::Decimal;
use std::sync::Arc;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpaLadder {
    /// What is looked at.
    pub of: LadderOf,
    /// Rising, never empty.
    pub steps: Vec<LadderStep>,
}

/// What a ladder looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LadderOf {
    /// The first deposit.
    FirstDeposit,
    /// Deposits less withdrawals and chargebacks.
    NetDeposit,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LadderStep {
    /// From this much on, in the plan's currency.
    pub from: Decimal,
    /// This amount.
    pub amount: Decimal,
}

impl CpaLadder {
    fn conditions(&self, step: LadderStep) -> Conditions {
        let from = Some(step.from);
        match self.of {
            LadderOf::FirstDeposit => Conditions { min_first_deposit: from, ..Conditions::default() },
            LadderOf::NetDeposit => Conditions { min_net_deposit: from, ..Conditions::default() },
        }
    }
}

/// Claims for the person as one.
pub(super) fn claim<'a>(person: &Person<'a>, people: &[Person<'a>], places: &mut Places<'a>, claims: &mut Claims<'a>) {
    let Some((judged, OncePer::Person)) = judged(person).into_iter().next() else { return };
    let mut earliest = Earliest::new();
    for rule_of in rules_in_question(judged.account, claims.terms) {
        let (plan, rule) = (&rule_of.0.plan, &rule_of.0.plan.rules[rule_of.1]);
        let Kind::CpaLadder(ladder) = &rule.kind else { continue };
        if !rule.when.admits_customer(judged.account) {
            continue;
        }
        let sweep_of =
            |asked: &Conditions| Sweep::over(asked, plan, judged.account, &judged.facts, claims.terms.exchange);
        let first = ladder.conditions(ladder.steps[0]);
        let sweep = sweep_of(&first);
        hold_unpriced(&sweep, &judged, &rule_of.0, places, claims);
        let holds = |place: &super::place::Place| {
            place.setting.rules.iter().any(|known| known.1 == rule_of.1 && Arc::ptr_eq(&known.0, &rule_of.0))
        };
        let Some(met) = first_met(&sweep, &first, &judged, people, places, claims.terms, holds) else { continue };
        let reached = ladder.steps.iter().rev().find_map(|step| {
            let asked = ladder.conditions(*step);
            let sweep = sweep_of(&asked);
            sweep.is_met_now.then(|| (step.amount, sweep.states(&asked)))
        });
        let Some((amount, states)) = reached else { continue };
        let rate = Rate { rate: amount.exact(), is_own: true };
        let claim = claimed(&judged, &met, &rule_of, &sweep, rate, Detail::Conditions(states));
        keep_earlier(&mut earliest, claim, met.is_paid);
    }
    claims.all.extend(earliest.into_values().filter_map(|(claim, is_paid)| is_paid.then_some(claim)));
}
