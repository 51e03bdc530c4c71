//! The postings that bring the books from what was posted to what the facts are worth now (`commissions.md` §1).
//!
//! Nothing posted is ever edited: every posting is a difference, and postings of 0 do not exist.

use super::cell::{CellKey, Scope};
use super::evaluate::Evaluation;
use super::sum::Worth;
use crate::ids::{FactId, made_at};
use crate::money::{Decimal, Exact};
use crate::time::{Instant, Period, PeriodLength, Zone};
use serde_json::Value;
use std::collections::BTreeMap;

/// A cell as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedCell {
    /// The cell.
    pub cell: CellKey,
    /// The sum of its postings.
    pub amount: Decimal,
    /// What caps had taken away at its last posting.
    pub cut_off: Decimal,
}

/// One difference to post.
#[derive(Debug, Clone)]
pub struct Posting {
    /// The cell.
    pub cell: CellKey,
    /// Its stored key.
    pub cell_text: String,
    /// The difference; never 0.
    pub amount: Decimal,
    /// The latest fact that changed in the cell.
    pub fact: FactId,
    /// The period it is for.
    pub for_period: Period,
    /// When an approved amount is payable.
    pub payable_at: Instant,
    /// Whether it needs nobody's approval.
    pub auto_approve: bool,
    /// The plan that priced it.
    pub plan: String,
    /// Its version.
    pub version: i64,
    /// What the cell is worth before rounding.
    pub exact: Exact,
    /// What was posted in the cell before.
    pub posted_before: Decimal,
    /// The change of what caps take away.
    pub cut_off: Decimal,
    /// What caps take away now.
    pub cut_off_after: Decimal,
    /// How it came about.
    pub explanation: Value,
}

/// The differences between worth and what was posted, by cell. `changed` are the facts of this step.
pub fn postings(
    evaluation: &Evaluation<'_>,
    posted: &BTreeMap<String, PostedCell>,
    changed: &[FactId],
) -> Vec<Posting> {
    let mut postings = Vec::new();
    for (text, worth) in &evaluation.worths {
        let before = posted.get(text).map_or((Decimal::ZERO, Decimal::ZERO), |cell| (cell.amount, cell.cut_off));
        if let Some(amount) = worth.rounded.checked_sub(before.0).filter(|amount| *amount != Decimal::ZERO) {
            postings.push(difference(evaluation, worth, text, amount, before, changed));
        }
    }
    for (text, cell) in posted {
        if !evaluation.worths.contains_key(text) && cell.amount != Decimal::ZERO {
            postings.push(taken_back(evaluation, text, cell, changed));
        }
    }
    postings.sort_by(|a, b| a.cell_text.cmp(&b.cell_text));
    postings
}

fn difference(
    evaluation: &Evaluation<'_>,
    worth: &Worth,
    text: &str,
    amount: Decimal,
    (before, cut_off_before): (Decimal, Decimal),
    changed: &[FactId],
) -> Posting {
    let latest_changed = worth.facts.iter().filter(|counted| changed.contains(&counted.fact));
    let latest = latest_changed.max_by_key(|counted| (counted.at, counted.fact));
    let (fact, at) = latest.map_or((worth.fact, worth.fact_at), |counted| (counted.fact, counted.at));
    let mut explanation = evaluation.explanation(worth, changed);
    explanation["posted_before"] = before.to_string().into();
    explanation["posted_after"] = worth.rounded.to_string().into();
    Posting {
        cell: worth.cell.clone(),
        cell_text: text.to_owned(),
        amount,
        fact,
        for_period: worth.for_period,
        payable_at: at.plus_seconds(worth.priced_by.plan.hold_seconds()),
        auto_approve: worth.auto_approve,
        plan: worth.plan.clone(),
        version: worth.version,
        exact: worth.exact,
        posted_before: before,
        cut_off: worth.cut_off.checked_sub(cut_off_before).unwrap_or(Decimal::ZERO),
        cut_off_after: worth.cut_off,
        explanation,
    }
}

/// A cell that nothing counts in any more. Its terms are those of the latest fact that changed, of the latest of all where
/// none did; where that fact left the person altogether only its arrival is known.
fn taken_back(evaluation: &Evaluation<'_>, text: &str, posted: &PostedCell, changed: &[FactId]) -> Posting {
    let concerns = |fact: &FactId| changed.is_empty() || changed.contains(fact);
    let known = evaluation.standings.iter().filter(|(fact, ..)| concerns(fact));
    let known = known.max_by_key(|(fact, at, _)| (*at, *fact)).map(|(fact, at, version)| (*fact, *at, version));
    let arrived = changed.iter().max().copied().unwrap_or(FactId(0));
    let (fact, at, version) = match known {
        Some((fact, at, version)) => (fact, at, Some(version)),
        None => (arrived, made_at(arrived.0), evaluation.fallback.as_ref()),
    };
    let for_period = match (&posted.cell.scope, version) {
        (Scope::CustomerPeriod(_, period) | Scope::Period(period), _) => *period,
        (_, Some(version)) => Period::holding(version.plan.period, version.plan.zone.day_of(at)),
        (_, None) => Period::holding(PeriodLength::Month, Zone::Iana(jiff::tz::TimeZone::UTC).day_of(at)),
    };
    Posting {
        cell: posted.cell.clone(),
        cell_text: text.to_owned(),
        amount: posted.amount.negated(),
        fact,
        for_period,
        payable_at: at.plus_seconds(version.map_or(0, |version| version.plan.hold_seconds())),
        auto_approve: version.is_none_or(|version| version.plan.auto_approve),
        plan: version.map(|version| version.name.clone()).unwrap_or_default(),
        version: version.map_or(0, |version| version.version),
        exact: Exact::zero(),
        posted_before: posted.amount,
        cut_off: posted.cut_off.negated(),
        cut_off_after: Decimal::ZERO,
        explanation: super::explain::nothing(posted),
    }
}
