//! The worth of every cell of one person, from nothing: pure, in exact numbers, with one rounding per cell.
//!
//! Leaves what was posted before to `posting`, and each rule kind to its own file. The same person, facts and terms
//! give the same cells, whatever order the facts came in.

use super::cell::{CellKey, Payee, Scope};
use super::condition::{self, ConditionState, Sweep};
use super::per_lot::{self, Lots};
use super::plan::{Kind, OncePer, Pays, PlanVersion, Rule};
use super::terms::{CustomerView, PersonView, Terms};
use super::{HeldReason, cpa, flat};
use crate::fact::FactBody;
use crate::ids::{CustomerId, FactId, PartnerId};
use crate::money::{Decimal, Exact, OutOfRange};
use crate::time::{Instant, Period};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one cell is worth now.
#[derive(Debug, Clone)]
pub struct Worth {
    /// The cell.
    pub cell: CellKey,
    /// Before the one rounding.
    pub exact: Exact,
    /// After it.
    pub rounded: Decimal,
    /// The latest fact that counts in the cell.
    pub fact: FactId,
    /// When that fact stands.
    pub fact_at: Instant,
    /// The period it is for.
    pub for_period: Period,
    /// When the latest fact's part is payable.
    pub payable_at: Instant,
    /// Whether the plan needs nobody's approval.
    pub auto_approve: bool,
    /// The plan that priced the latest part.
    pub plan: String,
    /// Its version.
    pub version: i64,
    pub(super) facts: Vec<Counted>,
    pub(super) parts: Vec<Part>,
    pub(super) priced_by: Arc<PlanVersion>,
}

/// A fact that cannot be priced yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The fact.
    pub fact: FactId,
    /// Why.
    pub reason: HeldReason,
    /// What is missing, for people.
    pub detail: String,
}

/// Everything a person's facts are worth now.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// By the text of the cell.
    pub worths: BTreeMap<String, Worth>,
    /// Sorted by fact and reason; each once.
    pub held: Vec<Held>,
    /// When the plan's `qualification` was first met.
    pub qualified_at: Option<Instant>,
    /// Where each fact stands: terms for taking back a cell that vanished.
    pub(super) standings: BTreeMap<FactId, (Instant, Arc<PlanVersion>)>,
    pub(super) fallback: Option<Arc<PlanVersion>>,
}

/// A fact that counts in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub fact: FactId,
    pub revision: Option<i64>,
    pub at: Instant,
}

/// One amount within a cell and how it came about.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub fact: FactId,
    pub exact: Exact,
    pub weight: Decimal,
    pub detail: Detail,
}

/// How an amount came about.
#[derive(Debug, Clone)]
pub(super) enum Detail {
    Amount { amount: Decimal, own_rate: Option<Decimal>, conditions: Vec<ConditionState> },
    Lots(Lots),
}

/// What every kind prices against.
pub(super) struct Stage<'a> {
    pub person: &'a PersonView,
    pub terms: &'a Terms<'a>,
    pub first: Option<&'a CustomerView>,
}

/// One amount that a rule says a fact is worth.
pub(super) struct Money<'a> {
    pub rule: &'a Rule,
    pub version: &'a Arc<PlanVersion>,
    pub partner: PartnerId,
    pub account: &'a CustomerView,
    pub scope: Scope,
    /// Not empty.
    pub counted: Vec<Counted>,
    pub moment: Instant,
    pub exact: Result<Exact, OutOfRange>,
    pub detail: Detail,
}

/// What is being added up.
#[derive(Default)]
pub(super) struct Books {
    cells: BTreeMap<CellKey, Cell>,
    held: BTreeMap<(FactId, HeldReason), String>,
    pub qualified_at: Option<Instant>,
}

struct Cell {
    exact: Exact,
    moment: Instant,
    version: Arc<PlanVersion>,
    facts: Vec<Counted>,
    parts: Vec<Part>,
}

impl Books {
    pub(super) fn hold(&mut self, fact: FactId, reason: HeldReason, detail: &str) {
        self.held.entry((fact, reason)).or_insert_with(|| detail.to_owned());
    }

    /// Adds the amount to its cell; one that leaves the range of exact numbers is held instead.
    pub(super) fn add(&mut self, money: Money<'_>) {
        let Some(latest) = money.counted.iter().max_by_key(|counted| (counted.at, counted.fact)).copied() else {
            return;
        };
        let payee = match money.rule.pays {
            Pays::Partner => Payee::Partner(money.partner),
            Pays::Customer => Payee::Customer(money.account.customer),
        };
        let (unit, rule) = (money.rule.unit, money.rule.id.clone());
        let key = CellKey { payee, rule, unit, level: 0, scope: money.scope };
        let before = self.cells.get(&key).map_or_else(Exact::zero, |cell| cell.exact);
        let sum = money.exact.and_then(|exact| {
            let sum = before.plus(exact)?;
            sum.round(unit)?;
            Ok((exact, sum))
        });
        let (exact, sum) = match sum {
            Ok(both) => both,
            Err(error) => {
                self.hold(latest.fact, HeldReason::NotEvaluable, &error.to_string());
                return;
            }
        };
        let cell = self.cells.entry(key).or_insert_with(|| Cell {
            exact: Exact::zero(),
            moment: money.moment,
            version: Arc::clone(money.version),
            facts: Vec::new(),
            parts: Vec::new(),
        });
        cell.exact = sum;
        if money.moment >= cell.moment {
            cell.moment = money.moment;
            cell.version = Arc::clone(money.version);
        }
        cell.facts.extend(money.counted);
        cell.parts.push(Part { fact: latest.fact, exact, weight: money.rule.weight, detail: money.detail });
    }
}

/// Every cell of this person, from nothing.
pub fn evaluate(person: &PersonView, terms: &Terms<'_>) -> Evaluation {
    let mut ordered = person.clone();
    ordered.facts.sort_by(|a, b| (a.at, a.body.type_name(), &a.key).cmp(&(b.at, b.body.type_name(), &b.key)));
    let person = &ordered;
    let stage = Stage { person, terms, first: person.first_account() };
    let mut books = Books::default();
    let standings = stand(&stage, &mut books);
    flat::price(&stage, &mut books);
    cpa::price(&stage, &mut books);
    per_lot::price(&stage, &mut books);

    let fallback = stage.first.and_then(|first| terms.stretches(first).pop()).map(|stretch| stretch.version);
    let worths = books.cells.into_iter().map(|(key, cell)| (key.text(), cell.into_worth(key)));
    Evaluation {
        worths: worths.collect(),
        held: books.held.into_iter().map(|((fact, reason), detail)| Held { fact, reason, detail }).collect(),
        qualified_at: books.qualified_at,
        standings,
        fallback,
    }
}

/// Finds each fact's place, and holds those of nobody known.
fn stand(stage: &Stage<'_>, books: &mut Books) -> BTreeMap<FactId, (Instant, Arc<PlanVersion>)> {
    let mut standings = BTreeMap::new();
    for fact in &stage.person.facts {
        let Some(account) = stage.person.account(fact.customer) else {
            books.hold(fact.id, HeldReason::UnknownCustomer, "the customer is not known yet");
            continue;
        };
        let place = match &fact.body {
            FactBody::TradingDay(day) => stage.terms.place_of_day(account, day.date),
            FactBody::Trade(trade) => stage.terms.place(account, trade.closed_at.unwrap_or(trade.opened_at)),
            FactBody::Event { .. } | FactBody::Money { .. } => stage.terms.place(account, fact.at),
        };
        match place {
            None => books.hold(fact.id, HeldReason::Unattributed, "no partner brought the customer before this date"),
            Some(place) => {
                if let Some(version) = place.version {
                    standings.insert(fact.id, (place.at, version));
                }
            }
        }
    }
    standings
}

impl Cell {
    fn into_worth(self, cell: CellKey) -> Worth {
        let latest = self.facts.iter().max_by_key(|counted| (counted.at, counted.fact)).copied();
        let latest = latest.expect("a cell is made with its first fact");
        let plan = &self.version.plan;
        let for_period = match &cell.scope {
            Scope::CustomerPeriod(_, period) => *period,
            _ => Period::holding(plan.period, plan.zone.day_of(self.moment)),
        };
        Worth {
            exact: self.exact,
            rounded: self.exact.round(cell.unit).expect("every sum was rounded once when it was added"),
            fact: latest.fact,
            fact_at: latest.at,
            for_period,
            payable_at: latest.at.plus_seconds(plan.hold_seconds()),
            auto_approve: plan.auto_approve,
            plan: self.version.name.clone(),
            version: self.version.version,
            cell,
            facts: self.facts,
            parts: self.parts,
            priced_by: self.version,
        }
    }
}

/// What is asked for and what is there, condition by condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionReport {
    /// In the order of the contract.
    pub states: Vec<ConditionState>,
    /// What is missing by condition; empty once met.
    pub missing: BTreeMap<String, String>,
}

/// The conditions of a `cpa` rule, or of the plan's `qualification`, for this account's person as they are now.
///
/// `None` where the account has no plan at `now`, or the plan has no such conditions.
pub fn conditions(
    person: &PersonView,
    terms: &Terms<'_>,
    customer: CustomerId,
    rule: Option<&str>,
    now: Instant,
) -> Option<ConditionReport> {
    let first = person.first_account()?;
    let own = person.account(customer)?;
    let find = |account: &CustomerView| {
        let version = terms.place(account, now)?.version?;
        let Some(id) = rule else { return Some((version.plan.qualification.clone()?, OncePer::Person, version)) };
        let cpa = version.plan.rules.iter().find_map(|rule| match &rule.kind {
            Kind::Cpa(cpa) if rule.id == id => Some(cpa.clone()),
            _ => None,
        })?;
        Some((cpa.qualify, cpa.once_per, version))
    };
    let of_person = find(first).filter(|(_, once_per, _)| *once_per == OncePer::Person);
    let whole_person = of_person.is_some();
    let account = if whole_person { first } else { own };
    let (asked, _, version) = of_person.or_else(|| find(own))?;
    let facts = person.facts.iter().filter(|fact| whole_person || fact.customer == account.customer);
    let facts: Vec<_> = facts.collect();
    let sweep = Sweep::over(&asked, &version.plan, account, &facts, terms.exchange);
    let missing = if sweep.is_met_now { BTreeMap::new() } else { condition::missing(&sweep, &asked, now) };
    Some(ConditionReport { states: sweep.states(&asked), missing })
}
