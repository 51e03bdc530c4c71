//! `cpa_ladder`: the amount of the highest step that the deposits reach now; a later step posts the difference.
//!
//! The date of each step, and with it its period, plan version, partner and tree, is the moment at which it was first
//! reached. A step that was reached under one version is not reached again under the next.

use super::claim::{Claims, Detail, Piece, Rate};
use super::condition::{ConditionState, Conditions, Sweep};
use super::cpa::{Judged, Met, claimed, first_met, hold_unpriced, judged, rules_in_question};
use super::person::Person;
use super::place::{Places, RuleOf};
use super::plan::{Kind, OncePer};
use crate::money::{Decimal, Exact};
use std::collections::BTreeMap;
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

/// A step, and where it was first reached.
struct ReachedStep<'a> {
    step: LadderStep,
    met: Met<'a>,
    rule_of: RuleOf,
    sweep: Sweep,
    states: Vec<ConditionState>,
}

/// Claims for the person as one: for each step the first time that it was reached under a plan that has it, less what
/// was claimed at the step before.
pub(super) fn claim<'a>(person: &Person<'a>, people: &[Person<'a>], places: &mut Places<'a>, claims: &mut Claims<'a>) {
    let Some((judged, OncePer::Person)) = judged(person).into_iter().next() else { return };
    let mut reached: BTreeMap<Arc<str>, Vec<ReachedStep<'a>>> = BTreeMap::new();
    for rule_of in rules_in_question(judged.account, claims.terms) {
        let (plan, rule) = (&rule_of.0.plan, &rule_of.0.plan.rules[rule_of.1]);
        let Kind::CpaLadder(ladder) = &rule.kind else { continue };
        if !rule.when.admits_customer(judged.account) {
            continue;
        }
        let holds = |place: &super::place::Place| {
            place.setting.rules.iter().any(|known| known.1 == rule_of.1 && Arc::ptr_eq(&known.0, &rule_of.0))
        };
        for (index, step) in ladder.steps.iter().enumerate() {
            let asked = ladder.conditions(*step);
            let sweep = Sweep::over(&asked, plan, judged.account, &judged.facts, claims.terms.exchange);
            if index == 0 {
                hold_unpriced(&sweep, &judged, &rule_of.0, places, claims);
            }
            // What does not reach a step reaches none above it.
            if !sweep.is_met_now {
                break;
            }
            if let Some(met) = first_met(&sweep, &asked, &judged, people, places, claims.terms, holds) {
                let states = sweep.states(&asked);
                let step = ReachedStep { step: *step, met, rule_of: rule_of.clone(), sweep, states };
                reached.entry(rule.id.clone()).or_default().push(step);
            }
        }
    }
    for steps in reached.into_values() {
        claim_steps(&judged, steps, claims);
    }
}

/// In the order of time, of one moment the highest; what is not above all before it was reached already.
fn claim_steps<'a>(judged: &Judged<'a>, mut steps: Vec<ReachedStep<'a>>, claims: &mut Claims<'a>) {
    steps.sort_by_key(|reached| (reached.met.place.at, std::cmp::Reverse(reached.step.from)));
    let mut before: Option<LadderStep> = None;
    for ReachedStep { step, met, rule_of, sweep, states } in steps {
        if before.is_some_and(|before| before.from >= step.from) {
            continue;
        }
        let earned = before.replace(step);
        if !met.is_paid {
            continue;
        }
        let (rate, detail) = (Rate { rate: step.amount.exact(), is_own: true }, Detail::Step { states, step });
        let mut claim = claimed(judged, &met, &rule_of, &sweep, rate, detail);
        if let Some(earned) = earned {
            // The amount of the step, and once less what was earned before: the latest piece is the rate.
            let before = Piece { quantity: Exact::whole(-1), rate: earned.amount.exact() };
            claim.further_pieces = vec![std::mem::replace(&mut claim.piece, before)];
        }
        claims.push(claim);
    }
}
