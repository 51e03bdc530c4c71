//! A claim: what one rule says that one fact (or one person's qualification) is worth, on its way to the cells.
//!
//! The kinds make claims; brackets give them rates, caps and carry cut them, tiers and the budget share them out. A
//! claim that leaves the range of exact numbers is held, never rounded or wrapped.

use super::cell::Scope;
use super::condition::ConditionState;
use super::cpa_ladder::LadderStep;
use super::held::HeldReason;
use super::place::{Place, RuleOf};
use super::plan::{Kind, PlanVersion, Rule};
use super::sales::{Judged, SaleState, SalesBook};
use super::terms::{CustomerView, Terms};
use crate::fact::Fact;
use crate::ids::{FactId, PersonId};
use crate::money::{Exact, OutOfRange};
use crate::time::{Instant, Period};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one rule says one fact is worth.
#[derive(Debug, Clone)]
pub(super) struct Claim<'a> {
    pub version: Arc<PlanVersion>,
    pub rule_index: usize,
    pub place: Place,
    pub account: &'a CustomerView,
    /// The fact that it is of: for conditions the one that met them.
    pub fact: &'a Fact,
    /// The fact as it counts.
    pub counted: Counted,
    /// What else counts in it: all that met conditions, refunds of a sale.
    pub also_counted: Vec<Counted>,
    /// The cell that it adds up in.
    pub scope: Scope,
    /// What the rate is of: lots, millions, an amount of money, or 1.
    pub quantity: Exact,
    /// The quantity at its rate, or the first part of it.
    pub piece: Piece,
    /// Further parts, each at its own rate.
    pub further_pieces: Vec<Piece>,
    /// Weight, and what credit in the equity leaves.
    pub factor: Exact,
    /// Whether the rate is one agreed with the partner: then no step stands for it.
    pub has_own_rate: bool,
    /// What a cap took away.
    pub cut_off: Exact,
    /// What carry left of it, where the rule has one.
    pub carry_share: Option<Exact>,
    /// What the direct partner's rule is worth, after caps and carry, before tiers.
    pub amount: Exact,
    /// Whether it is paid for one fact, and so counts in that fact's budget. A bonus is paid for what its rule is paid for.
    pub is_for_fact: bool,
    /// Whether it is paid for what a person met: then it is no part of the fact that met it last. A bonus is of the same.
    pub is_of_person: bool,
    /// What the budget left, where it left less than all.
    pub budget_factor: Option<Exact>,
    /// What let a sale through.
    pub sale_states: Vec<SaleState>,
    pub detail: Detail,
}

/// A fact that counts in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub fact: FactId,
    pub revision: Option<i64>,
    pub at: Instant,
}

/// A part of a quantity and its rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub quantity: Exact,
    pub rate: Exact,
}

/// What else an explanation shows.
#[derive(Debug, Clone)]
pub(super) enum Detail {
    /// An amount for an event.
    Amount,
    /// An amount for conditions that are met.
    Conditions(Vec<ConditionState>),
    /// The amount of a step of a ladder that is reached.
    Step { states: Vec<ConditionState>, step: LadderStep },
    /// Lots: how often they count, and the product of their factors.
    Lots { times: i64, lot_factor: Exact },
    /// Volume.
    Volume,
    /// Terms in the plan's currency; what a sale has left after its refunds.
    Revenue { sale_left: Option<Exact> },
    /// Another rule's worth.
    OfRule,
}

/// What was claimed, and what is held.
pub(super) struct Claims<'a> {
    pub terms: &'a Terms<'a>,
    pub all: Vec<Claim<'a>>,
    /// Only for what steps are looked up by: rules without them claim nothing.
    pub only_steps: bool,
    /// What conditions on sales look at.
    pub sales: SalesBook<'a>,
    held: BTreeMap<(FactId, HeldReason), String>,
}

impl Claim<'_> {
    pub(super) fn rule(&self) -> &Rule {
        &self.version.plan.rules[self.rule_index]
    }

    /// The period that it adds up in.
    pub(super) fn period(&self) -> Period {
        let is_now = Arc::ptr_eq(&self.version, &self.place.setting.version);
        if is_now { self.place.setting.period } else { super::place::period_of(&self.version.plan, self.place.at) }
    }

    /// Facts are cut and stepped in this order.
    pub(super) fn order(&self) -> (Instant, &str, FactId) {
        (self.place.at, &self.fact.key, self.fact.id)
    }

    /// Σ quantity × rate, times the factor.
    pub(super) fn priced(&self) -> Result<Exact, OutOfRange> {
        let mut sum = self.piece.quantity.times(&self.piece.rate)?;
        for piece in &self.further_pieces {
            sum = sum.plus(&piece.quantity.times(&piece.rate)?)?;
        }
        sum.times(&self.factor)
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        std::iter::once(&self.piece).chain(&self.further_pieces)
    }
}

impl<'a> Claims<'a> {
    pub(super) fn new(terms: &'a Terms<'a>) -> Self {
        Self { terms, all: Vec::new(), only_steps: false, sales: SalesBook::default(), held: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, claim: Claim<'a>) {
        self.all.push(claim);
    }

    pub(super) fn hold(&mut self, fact: FactId, reason: HeldReason, detail: impl Into<String>) {
        self.held.entry((fact, reason)).or_insert_with(|| detail.into());
    }

    /// What leaves the range is held.
    pub(super) fn hold_out_of_range(&mut self, fact: FactId, error: OutOfRange) {
        self.hold(fact, HeldReason::NotEvaluable, error.to_string());
    }

    /// What the rule says of a sale of the person.
    pub(super) fn judge_sale(&mut self, matter: &Matter<'a, '_>, person: PersonId) -> Judged {
        self.sales.judge(person, matter.fact, matter.rule_of, self.terms)
    }

    pub(super) fn into_held(self) -> BTreeMap<(FactId, HeldReason), String> {
        self.held
    }
}

/// A fact with the place that it stands in and the rule that looks at it.
#[derive(Clone, Copy)]
pub(super) struct Matter<'a, 'b> {
    pub account: &'a CustomerView,
    pub fact: &'a Fact,
    pub place: &'b Place,
    pub rule_of: &'b RuleOf,
}

impl<'a> Matter<'a, '_> {
    pub(super) fn rule(&self) -> &Rule {
        &self.rule_of.0.plan.rules[self.rule_of.1]
    }

    /// The claim of a quantity at one rate, in the cell of the rule's scope.
    pub(super) fn claim(&self, linear_scope: Scope, quantity: Exact, rate: Rate, detail: Detail) -> Claim<'a> {
        let rule = self.rule();
        let period = self.place.period_of(self.rule_of);
        let scope = if rule.adds_up_by_period() { Scope::Period(period) } else { linear_scope };
        Claim {
            version: Arc::clone(&self.rule_of.0),
            rule_index: self.rule_of.1,
            place: self.place.clone(),
            account: self.account,
            fact: self.fact,
            counted: Counted { fact: self.fact.id, revision: self.fact.revision, at: self.place.at },
            also_counted: Vec::new(),
            scope,
            quantity: quantity.clone(),
            piece: Piece { quantity, rate: rate.rate },
            further_pieces: Vec::new(),
            factor: rule.weight.exact(),
            has_own_rate: rate.is_own,
            cut_off: Exact::zero(),
            carry_share: None,
            amount: Exact::zero(),
            is_for_fact: rule.is_for_fact(),
            is_of_person: matches!(rule.kind, Kind::Cpa(_) | Kind::CpaLadder(_)),
            budget_factor: None,
            sale_states: Vec::new(),
            detail,
        }
    }

    /// The cell of linear rules.
    pub(super) fn customer_period(&self) -> Scope {
        Scope::CustomerPeriod(self.account.customer, self.place.period_of(self.rule_of))
    }
}

/// A rate, and whether it was agreed with the partner.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    pub rate: Exact,
    pub is_own: bool,
}
