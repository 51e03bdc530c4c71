//! `budget`: everything paid for one trade or daily row stays within a percent of what it brought.
//!
//! All rules and levels count together, in the plan's money and before rounding; rebates do not. Rules with carry pay a
//! period's net, not a fact, and stay outside.

use super::percent::Term;
use crate::money::Decimal;

/// The keys of the plan's budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// What the percent is of.
    pub percent_of: Vec<Term>,
    /// How much of it may be paid.
    pub percent: Decimal,
    /// What happens to more.
    pub on_exceed: OnExceed,
}

/// What happens to more than the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExceed {
    /// Everybody gets less, in the same proportion.
    Scale,
    /// The fact pays nothing.
    Refuse,
}
