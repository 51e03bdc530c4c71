//! The postings that bring the books from what was posted to what the facts are worth now (`commissions.md` §1).
//!
//! Nothing posted is ever edited: every posting is a difference, and postings of 0 do not exist.

use super::cell::{CellKey, Scope};
use super::evaluate::Evaluation;
use super::person::Person;
use super::split::SplitPart;
use super::sum::Worth;
use super::terms::PersonView;
use crate::fact::FactBody;
use crate::ids::{FactId, made_at};
use crate::money::{Decimal, Exact};
use crate::time::{Instant, Period, PeriodLength, Zone};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A cell as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedCell {
    /// The cell.
    pub cell: CellKey,
    /// The sum of its postings.
    pub amount: Decimal,
    /// What caps had taken away at its last posting.
    pub cut_off: Decimal,
    /// The terms of that posting.
    pub last: Option<LastPosting>,
}

/// What a cell was last posted by: the terms for taking it back where no fact brought that about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPosting {
    /// The fact that it was for.
    pub fact: FactId,
    /// The period that it was for.
    pub for_period: Period,
    /// When it was payable.
    pub payable_at: Instant,
    /// The plan that priced it.
    pub plan: String,
    /// Its version.
    pub version: i64,
}

/// One difference to post.
#[derive(Debug, Clone)]
pub struct Posting<'e> {
    /// The cell.
    pub cell: CellKey,
    /// Its stored key.
    pub cell_text: String,
    /// The difference; never 0.
    pub amount: Decimal,
    /// The latest fact that changed in the cell.
    pub fact: FactId,
    /// The facts that changed and count in the cell; where none changed and nothing was posted before, all that count.
    pub brought_by: Vec<FactId>,
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
    /// Who shares what it is a portion of, the direct partner first; nobody where it is of nothing shared.
    pub split: Vec<SplitPart>,
    told: Told<'e>,
}

/// How a posting came about. Most of what is worked out is never stored: it is put into words only where it is.
#[derive(Debug, Clone)]
enum Told<'e> {
    /// By what an evaluation says of the cell; the facts that changed are sorted.
    Worth(&'e Evaluation<'e>, &'e Worth, Arc<[FactId]>),
    /// Nothing counts in the cell any more; by which plan it was priced last.
    Nothing(&'e Evaluation<'e>, Option<(String, i64)>),
    /// In words.
    Text(String),
}

impl Posting<'_> {
    /// How it came about, as it is stored; [`super::full_explanation`] makes of it what is shown.
    pub fn explanation(&self) -> String {
        match &self.told {
            Told::Worth(evaluation, worth, changed) => evaluation.explanation(worth, self, changed),
            Told::Nothing(evaluation, priced_by) => evaluation.nothing(self, priced_by.as_ref()),
            Told::Text(text) => text.clone(),
        }
    }

    /// The same with its explanation put into words: it outlives what it was worked out from.
    pub fn told(self) -> Posting<'static> {
        let told = Told::Text(self.explanation());
        Posting {
            cell: self.cell,
            cell_text: self.cell_text,
            amount: self.amount,
            fact: self.fact,
            brought_by: self.brought_by,
            for_period: self.for_period,
            payable_at: self.payable_at,
            auto_approve: self.auto_approve,
            plan: self.plan,
            version: self.version,
            exact: self.exact,
            posted_before: self.posted_before,
            cut_off: self.cut_off,
            cut_off_after: self.cut_off_after,
            split: self.split,
            told,
        }
    }

    /// The terms that the cell was posted by now.
    pub fn terms(&self) -> LastPosting {
        LastPosting {
            fact: self.fact,
            for_period: self.for_period,
            payable_at: self.payable_at,
            plan: self.plan.clone(),
            version: self.version,
        }
    }
}

/// The differences between worth and what was posted, by cell. `changed` are the facts of this step.
pub fn postings<'e>(
    evaluation: &'e Evaluation<'_>,
    posted: &BTreeMap<String, PostedCell>,
    changed: &[FactId],
) -> Vec<Posting<'e>> {
    let mut postings = Vec::new();
    let changed = sorted(changed);
    let refunds = changed_refunds(evaluation, &changed);
    for (text, worth) in &evaluation.worths {
        let before = posted.get(text).map_or((Decimal::ZERO, Decimal::ZERO), |cell| (cell.amount, cell.cut_off));
        if let Some(amount) = worth.rounded.checked_sub(before.0).filter(|amount| *amount != Decimal::ZERO) {
            postings.push(difference(evaluation, worth, text, amount, before, &changed, &refunds));
        }
    }
    for (text, cell) in posted {
        if !evaluation.worths.contains_key(text) && cell.amount != Decimal::ZERO {
            postings.push(taken_back(evaluation, text, cell, &changed));
        }
    }
    postings.sort_by(|a, b| a.cell_text.cmp(&b.cell_text));
    postings
}

fn sorted(changed: &[FactId]) -> Arc<[FactId]> {
    let mut changed: Arc<[FactId]> = changed.into();
    Arc::get_mut(&mut changed).expect("nobody else has it yet").sort_unstable();
    changed
}

/// The refunds that changed, with their persons.
fn changed_refunds<'e>(evaluation: &'e Evaluation<'_>, changed: &[FactId]) -> Vec<(&'e PersonView, FactId)> {
    if changed.is_empty() {
        return Vec::new();
    }
    let of_person = |person: &'e Person<'_>| {
        let refunds = person.facts.iter().filter(|fact| matches!(fact.body, FactBody::Refund { .. }));
        let refunds = refunds.filter(|fact| changed.binary_search(&fact.id).is_ok());
        refunds.map(|fact| (person.view, fact.id))
    };
    evaluation.people.iter().flat_map(of_person).collect()
}

fn difference<'e>(
    evaluation: &'e Evaluation<'_>,
    worth: &'e Worth,
    text: &str,
    amount: Decimal,
    (before, cut_off_before): (Decimal, Decimal),
    changed: &Arc<[FactId]>,
    refunds: &[(&PersonView, FactId)],
) -> Posting<'e> {
    let counted = worth.parts.iter().flat_map(|part| {
        let claim = &evaluation.claims[part.claim];
        std::iter::once(&claim.counted).chain(&claim.also_counted)
    });
    let has_changed = |fact: &FactId| changed.binary_search(fact).is_ok();
    let is_new = changed.is_empty() && before == Decimal::ZERO;
    let brought = counted.filter(|counted| is_new || has_changed(&counted.fact));
    let brought: BTreeSet<_> = brought.map(|counted| (counted.at, counted.fact)).collect();
    let latest = brought.last().filter(|_| !is_new).copied();
    // A sale that earned by a condition and was given back does not count any more; its refund says what happened.
    let customer = worth.parts.first().map(|part| evaluation.claims[part.claim].account.customer);
    let refund = || refunds.iter().rev().find(|(person, _)| customer.is_some_and(|id| person.account(id).is_some()));
    let latest = latest.or_else(|| refund().map(|(_, refund)| (worth.fact_at, *refund)));
    let (at, fact) = latest.unwrap_or((worth.fact_at, worth.fact));
    let version = &worth.priced_by;
    Posting {
        cell: worth.cell.clone(),
        cell_text: text.to_owned(),
        amount,
        fact,
        brought_by: brought.into_iter().map(|(_, fact)| fact).collect(),
        for_period: worth.for_period,
        payable_at: at.plus_seconds(version.plan.hold_seconds()),
        auto_approve: version.plan.auto_approve,
        plan: version.name.clone(),
        version: version.version,
        exact: worth.exact.clone(),
        posted_before: before,
        cut_off: worth.cut_off.checked_sub(cut_off_before).unwrap_or(Decimal::ZERO),
        cut_off_after: worth.cut_off,
        split: evaluation.split_of(worth, fact),
        told: Told::Worth(evaluation, worth, Arc::clone(changed)),
    }
}

fn nothing_left<'e>(evaluation: &'e Evaluation<'_>, posted: &PostedCell) -> Told<'e> {
    Told::Nothing(evaluation, posted.last.as_ref().map(|last| (last.plan.clone(), last.version)))
}

/// A cell that nothing counts in any more. Its terms are those of the latest fact that changed; where none did, those that it was
/// posted by, else those of the latest fact of all. Where that fact left the person altogether only its arrival is known.
fn taken_back<'e>(evaluation: &'e Evaluation<'_>, text: &str, posted: &PostedCell, changed: &[FactId]) -> Posting<'e> {
    if let (true, Some(last)) = (changed.is_empty(), &posted.last) {
        return taken_back_as_posted(evaluation, text, posted, last);
    }
    let concerns = |fact: &FactId| changed.is_empty() || changed.binary_search(fact).is_ok();
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
        brought_by: Vec::new(),
        for_period,
        payable_at: at.plus_seconds(version.map_or(0, |version| version.plan.hold_seconds())),
        auto_approve: version.is_none_or(|version| version.plan.auto_approve),
        plan: version.map(|version| version.name.clone()).unwrap_or_default(),
        version: version.map_or(0, |version| version.version),
        exact: Exact::zero(),
        posted_before: posted.amount,
        cut_off: posted.cut_off.negated(),
        cut_off_after: Decimal::ZERO,
        split: Vec::new(),
        told: nothing_left(evaluation, posted),
    }
}

/// After a dated change: what is taken back is for the period of what was posted, and is payable when that was.
fn taken_back_as_posted<'e>(
    evaluation: &'e Evaluation<'_>,
    text: &str,
    posted: &PostedCell,
    last: &LastPosting,
) -> Posting<'e> {
    Posting {
        cell: posted.cell.clone(),
        cell_text: text.to_owned(),
        amount: posted.amount.negated(),
        fact: last.fact,
        brought_by: Vec::new(),
        for_period: last.for_period,
        payable_at: last.payable_at,
        auto_approve: evaluation.fallback.as_ref().is_none_or(|version| version.plan.auto_approve),
        plan: last.plan.clone(),
        version: last.version,
        exact: Exact::zero(),
        posted_before: posted.amount,
        cut_off: posted.cut_off.negated(),
        cut_off_after: Decimal::ZERO,
        split: Vec::new(),
        told: nothing_left(evaluation, posted),
    }
}
