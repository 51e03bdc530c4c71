//! Why a cell is worth what it is: the explanation object of the management API, built from what was claimed.
//!
//! What it says multiplies out: an input's `direct` is Σ quantity × rate, times weight and credit share, less what a cap
//! cut off, times what carry leaves; its `exact` is what `tier`, `budget_factor` and `rebate` make of that. The inputs, and
//! what is summed up, add up to the cell's exact amount, which is rounded once: alone, or with the paths that it is of.
//!
//! It is the largest part of a stored row: what follows from the rest, or is as it mostly is, is left out, and [`full`]
//! puts it back in for whoever reads it.

mod full;
mod level;

use super::cell::CellKey;
use super::claim::{Claim, Detail};
use super::condition::ConditionState;
use super::evaluate::Evaluation;
use super::percent::Revenue;
use super::plan::Kind;
use super::posting::Posting;
use super::rates;
use super::sum::{Part, PathPart, Worth};
use crate::fact::FactBody;
use crate::ids::FactId;
use crate::money::{Currency, Decimal, Exact, MICROS};
use crate::time::Instant;
pub use full::full_explanation;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// Facts of a cell that an explanation shows one by one: it is stored with every posting, and a busy cell has thousands.
const TOLD_PARTS_MAX: usize = 8;

/// A JSON object as it is written: keys are ours, values need no escaping but where `text` is asked for.
struct Object(String);

impl Object {
    fn open() -> Self {
        let mut text = String::with_capacity(256);
        text.push('{');
        Self(text)
    }

    fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        let comma = if self.0.ends_with(['{', '[']) { "" } else { "," };
        write!(self.0, "{comma}\"{key}\":").expect("text takes any text");
    }

    /// A number in quotes.
    fn number(&mut self, key: &str, number: &impl Display) {
        self.key(key);
        write!(self.0, "\"{number}\"").expect("text takes any text");
    }

    /// A number without quotes.
    fn whole(&mut self, key: &str, number: i64) {
        self.key(key);
        write!(self.0, "{number}").expect("text takes any text");
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.0.push_str(&Value::from(text).to_string());
    }

    fn value(&mut self, key: &str, value: &Value) {
        self.key(key);
        write!(self.0, "{value}").expect("text takes any text");
    }

    fn list<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.key(key);
        self.0.push('[');
        for (index, entry) in items.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            item(self, entry);
        }
        self.0.push(']');
    }

    fn object(&mut self, of: impl FnOnce(&mut Self)) {
        self.0.push('{');
        of(self);
        self.0.push('}');
    }
}

impl Evaluation<'_> {
    /// What is stored of one cell's explanation. The facts that `changed` (sorted) lead; where many count, the others are
    /// summed up.
    pub(super) fn explanation(&self, worth: &Worth, posting: &Posting<'_>, changed: &[FactId]) -> String {
        let of_latest = |part: &&Part| self.claims[part.claim].fact.id == worth.fact;
        let latest = worth.parts.iter().rev().find(of_latest).or(worth.parts.last());
        let latest = latest.map(|part| &self.claims[part.claim]);
        let (told, summed_up) = self.told(worth, changed);
        let mut object = Object::open();
        object.text("rule", &worth.cell.rule);
        object.list("facts", self.facts(&told), |list, ((at, fact), revision)| {
            let revision = revision.map_or_else(|| "null".to_owned(), |revision| revision.to_string());
            write!(list.0, "[{},{revision},{}]", fact.0, at.0).expect("text takes any text");
        });
        object.list("inputs", told, |list, part| list.object(|input| self.input(part, &worth.cell, input)));
        if let Some((count, exact)) = summed_up {
            object.value("summed_up", &json!({"count": count, "exact": exact}));
        }
        if let Some(claim) = latest {
            self.rate(claim, &mut object);
        }
        if worth.cut_off != Decimal::ZERO {
            object.number("cut_off", &worth.cut_off.to_text(worth.cell.unit.minor_digits()));
        }
        object.number("exact", &worth.exact);
        if !worth.paths.is_empty() {
            object.value("paths", &worth.paths.iter().map(path).collect());
        }
        about(&mut object, posting);
        object.close()
    }

    /// How the rate of the latest fact came about.
    fn rate(&self, claim: &Claim<'_>, object: &mut Object) {
        if let Some(piece) = claim.pieces().last() {
            object.number("rate", &piece.rate);
        }
        object.value("candidates", &self.candidates(claim).into());
        if let Detail::Conditions(states) = &claim.detail
            && !states.is_empty()
        {
            object.value("conditions", &states.iter().map(condition).collect());
        }
        if let Some(quote) = self.exchange_rate(claim) {
            object.value("exchange_rate", &quote);
        }
    }

    /// The facts that the told parts count, in time order.
    fn facts(&self, told: &[&Part]) -> BTreeMap<(Instant, FactId), Option<i64>> {
        let counted = told.iter().flat_map(|part| {
            let claim = &self.claims[part.claim];
            std::iter::once(&claim.counted).chain(&claim.also_counted)
        });
        counted.map(|counted| ((counted.at, counted.fact), counted.revision)).collect()
    }

    /// The parts that are shown one by one, and the rest as their count and sum.
    fn told<'w>(&self, worth: &'w Worth, changed: &[FactId]) -> (Vec<&'w Part>, Option<(usize, Option<String>)>) {
        let mut parts: Vec<&Part> = worth.parts.iter().collect();
        if parts.len() <= TOLD_PARTS_MAX {
            return (parts, None);
        }
        let order = |part: &&Part| {
            let claim = &self.claims[part.claim];
            (changed.binary_search(&claim.fact.id).is_err(), std::cmp::Reverse((claim.place.at, claim.fact.id)))
        };
        parts.select_nth_unstable_by_key(TOLD_PARTS_MAX, order);
        let rest = parts.split_off(TOLD_PARTS_MAX);
        parts.sort_by_key(order);
        let exact = rest.iter().try_fold(Exact::zero(), |sum, part| sum.plus(&part.exact));
        (parts, Some((rest.len(), exact.map(|exact| exact.to_string()).ok())))
    }

    fn input(&self, part: &Part, cell: &CellKey, input: &mut Object) {
        let claim = &self.claims[part.claim];
        let one = Exact::whole(1);
        input.whole("fact", claim.fact.id.0);
        if let Some(instrument) = rates::instrument(claim.fact) {
            input.text("instrument", instrument);
        }
        if let Some(named) = claim.fact.body.payee().filter(|_| matches!(claim.rule().kind, Kind::External(_))) {
            // The fact says whose figure it is, and not whose customer it is of.
            input.number("named_partner", &named);
        }
        let mut quantity_is_told = false;
        if let (Detail::Lots { times, lot_factor }, Some(lots)) = (&claim.detail, lots(claim)) {
            input.number("lots", &lots);
            quantity_is_told = claim.quantity == lots.exact();
            if *times != 1 {
                input.whole("sides", *times);
            }
            if *lot_factor != one {
                input.number("lot_factor", lot_factor);
            }
        }
        if !quantity_is_told {
            input.number("quantity", &claim.quantity);
        }
        if claim.further_pieces.is_empty() && claim.piece.quantity == claim.quantity {
            input.number("rate", &claim.piece.rate);
        } else {
            input.list("pieces", claim.pieces(), |list, piece| {
                list.object(|object| {
                    object.number("quantity", &piece.quantity);
                    object.number("rate", &piece.rate);
                });
            });
        }
        let weight = claim.rule().weight;
        if weight != Decimal(MICROS) {
            input.number("weight", &weight);
        }
        if claim.factor != weight.exact() {
            input.number("credit_share", &claim.factor.over(&weight.exact()).unwrap_or_else(|_| one.clone()));
        }
        if !claim.cut_off.is_zero() {
            input.number("cut_off", &claim.cut_off);
        }
        if let Some(share) = &claim.carry_share {
            input.number("carry_share", share);
        }
        input.number("direct", &claim.amount);
        if part.level > 0 {
            input.whole("level", part.level.into());
        }
        if let Some(tier) = self.terms.and_then(|terms| level::tier(claim, part.level, terms, &self.volumes)) {
            input.value("tier", &tier);
        }
        if let Some(factor) = &claim.budget_factor {
            input.number("budget_factor", factor);
        }
        if let Some(rebate) = level::rebate(claim, cell).filter(|_| part.is_rebate) {
            input.value("rebate", &rebate);
        }
        if part.exact != claim.amount {
            input.number("exact", &part.exact);
        }
    }

    /// The one that won leads; those that lost follow.
    fn candidates(&self, claim: &Claim<'_>) -> Vec<Value> {
        let Some(terms) = self.terms else { return Vec::new() };
        let (partner, plan) = (claim.place.setting.partner, &claim.version.plan);
        let found = rates::candidates(terms, partner, claim.rule(), plan, claim.fact, claim.account);
        let stepped = claim.rule().brackets.is_some() && !claim.has_own_rate;
        let steps = claim.pieces().filter(|_| stepped);
        let steps = steps.map(|piece| json!({"from": "brackets", "rate": piece.rate.to_string()}));
        steps.chain(found.iter().map(|known| json!({"from": known.source, "rate": known.rate.to_string()}))).collect()
    }

    fn exchange_rate(&self, claim: &Claim<'_>) -> Option<Value> {
        let (currency, plan) = (currency(&claim.fact.body)?, &claim.version.plan);
        if currency == plan.currency || !matches!(claim.detail, Detail::Revenue) {
            return None;
        }
        let terms = self.terms?;
        let quote = Revenue { terms, plan, at: claim.place.at, sale_left: None }.quote(currency)?;
        Some(json!({
            "date": quote.date.to_string(),
            "from": quote.from.code(),
            "to": quote.to.code(),
            "rate": quote.rate.to_string(),
        }))
    }
}

fn lots(claim: &Claim<'_>) -> Option<Decimal> {
    match &claim.fact.body {
        FactBody::TradingDay(day) => Some(day.lots),
        FactBody::Trade(trade) => Some(trade.lots),
        _ => None,
    }
}

fn currency(body: &FactBody) -> Option<Currency> {
    match body {
        FactBody::TradingDay(day) => Some(day.currency),
        FactBody::Trade(trade) => Some(trade.currency),
        FactBody::Money { currency, .. } | FactBody::Sale { currency, .. } | FactBody::Refund { currency, .. } => {
            Some(*currency)
        }
        FactBody::Event { currency, .. } | FactBody::Kpi { currency, .. } => *currency,
    }
}

/// What the posting is in, and from where to where it brings the cell.
fn about(object: &mut Object, posting: &Posting<'_>) {
    let unit = posting.cell.unit;
    object.text("unit", &unit.name());
    object.whole("digits", unit.minor_digits().into());
    object.number("posted_before", &posting.posted_before);
    let after = posting.posted_before.checked_add(posting.amount).expect("both were rounded within range");
    object.number("posted_after", &after);
}

/// What is stored of a cell that nothing counts in any more.
pub(super) fn nothing(posting: &Posting<'_>) -> String {
    let mut object = Object::open();
    object.text("rule", &posting.cell.rule);
    about(&mut object, posting);
    object.text("reason", "nothing counts in this cell any more");
    object.close()
}

/// What a path of partners shares; it is rounded once and given out by largest remainder.
fn path(path: &PathPart) -> Value {
    json!({"levels": path.levels.iter().map(ToString::to_string).collect::<Vec<_>>(), "index": path.index})
}

fn condition(state: &ConditionState) -> Value {
    json!({"name": state.name, "needed": state.needed, "value": state.value, "missing": state.missing})
}
