//! Why a cell is worth what it is: the explanation object of the management API, built from what was claimed.
//!
//! What it says multiplies out: an input's `direct` is Σ quantity × rate, times weight and credit share, less what a cap
//! cut off, times what carry leaves, less what a cap per period cut off of that; its `exact` is what `tier`, `split_percent`, `budget_factor` and `rebate` make of that. The inputs, and
//! what is summed up, add up to the cell's exact amount, which is rounded once: alone, or with the paths that it is of.
//!
//! It is the largest part of a stored row: what follows from the rest, or is as it mostly is, is left out, and [`full`]
//! puts it back in for whoever reads it.

mod full;
mod level;

use super::cell::CellKey;
use super::claim::{Claim, Detail};
use super::condition::ConditionState;
use super::cpa;
use super::evaluate::Evaluation;
use super::percent::Revenue;
use super::plan::Kind;
use super::posting::Posting;
use super::rates;
use super::sales::SaleState;
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
        let quote = latest.and_then(|claim| self.exchange_rate(claim));
        let quotes_differ = told.iter().any(|part| self.exchange_rate(&self.claims[part.claim]) != quote);
        let candidates = latest.map_or_else(Vec::new, |claim| self.candidates(claim));
        object.list("inputs", told, |list, part| {
            let claim = &self.claims[part.claim];
            list.object(|input| {
                self.input(part, &worth.cell, quotes_differ, input);
                if latest.is_some_and(|latest| !is_looked_up_alike(latest, claim)) {
                    let own = self.candidates(claim);
                    if own != candidates {
                        input.value("candidates", &own.into());
                    }
                }
            });
        });
        if let Some((count, exact)) = summed_up {
            object.value("summed_up", &json!({"count": count, "exact": exact}));
        }
        if let Some(claim) = latest {
            self.rate(claim, candidates, &mut object);
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

    /// What is stored of a cell that nothing counts in any more: where it was paid for conditions, which of them are met no
    /// longer.
    pub(super) fn nothing(&self, posting: &Posting<'_>, priced_by: Option<&(String, i64)>) -> String {
        let priced_by = priced_by.map(|(plan, version)| (plan.as_str(), *version));
        let states = self.terms.and_then(|terms| cpa::states_of_cell(&posting.cell, priced_by, &self.people, terms));
        let mut object = Object::open();
        object.text("rule", &posting.cell.rule);
        about(&mut object, posting);
        if let Some((states, _)) = &states
            && !states.is_empty()
        {
            object.value("conditions", &states.iter().map(condition).collect());
        }
        object.text("reason", &reason_of_nothing(states));
        object.close()
    }

    /// How the rate of the latest fact came about.
    fn rate(&self, claim: &Claim<'_>, candidates: Vec<Value>, object: &mut Object) {
        if let Some(piece) = claim.pieces().last() {
            object.number("rate", &piece.rate);
        }
        object.value("candidates", &candidates.into());
        if let Detail::Conditions(states) | Detail::Step { states, .. } = &claim.detail
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

    fn input(&self, part: &Part, cell: &CellKey, has_own_quote: bool, input: &mut Object) {
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
        let terms = self.terms_of(claim);
        if !terms.is_empty() {
            input.list("terms", terms, |list, (term, value)| {
                write!(list.0, "[{},\"{value}\"]", Value::from(term)).expect("text takes any text");
            });
        }
        if !claim.sale_states.is_empty() && !matches!(claim.detail, Detail::OfRule) {
            input.value("sales", &claim.sale_states.iter().map(sale_state).collect());
        }
        if has_own_quote && let Some(quote) = self.exchange_rate(claim) {
            input.value("exchange_rate", &quote);
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
        let is_cut_after_carry = claim.rule().is_capped_after_carry();
        if !claim.cut_off.is_zero() && !is_cut_after_carry {
            input.number("cut_off", &claim.cut_off);
        }
        if let Some(share) = &claim.carry_share {
            input.number("carry_share", share);
        }
        if !claim.cut_off.is_zero() && is_cut_after_carry {
            input.number("cut_off_of_carried", &claim.cut_off);
        }
        input.number("direct", &claim.amount);
        if part.level > 0 {
            input.whole("level", part.level.into());
        }
        if let Some(tier) = self.terms.and_then(|terms| level::tier(claim, part.level, terms, &self.volumes)) {
            input.value("tier", &tier);
        }
        if let Some(portion) = part.portion {
            input.number("split_percent", &portion.percent);
        }
        if let Some(factor) = &claim.budget_factor {
            input.number("budget_factor", factor);
        }
        if let Some(rebated) = &part.rebate {
            input.value("rebate", &level::rebate(rebated, cell));
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
        let mut steps = Vec::new();
        if let (Some(brackets), false) = (&claim.rule().brackets, claim.has_own_rate) {
            let pieces: Vec<_> = claim.pieces().collect();
            for piece in pieces.into_iter().rev() {
                let is_step = |step: &super::brackets::Step| rates::as_factor(claim.rule(), step.rate) == piece.rate;
                let reached = brackets.steps.iter().position(is_step);
                steps.extend(reached.map(|index| (format!("brackets.steps[{index}]"), brackets.steps[index].rate)));
            }
        }
        if let (Kind::CpaLadder(ladder), Detail::Step { step, .. }) = (&claim.rule().kind, &claim.detail) {
            let reached = ladder.steps.iter().position(|known| known == step);
            let below = reached.into_iter().flat_map(|reached| (0..=reached).rev());
            steps.extend(below.map(|index| (format!("steps[{index}]"), ladder.steps[index].amount)));
        }
        let found = found.into_iter().map(|known| (known.source, known.rate));
        steps.into_iter().chain(found).map(|(from, rate)| json!({"from": from, "rate": rate.to_string()})).collect()
    }

    /// What a quantity is the sum of.
    fn terms_of(&self, claim: &Claim<'_>) -> Vec<(String, Exact)> {
        let (Detail::Revenue { sale_left }, Some(terms)) = (&claim.detail, self.terms) else { return Vec::new() };
        let plan = &claim.version.plan;
        let revenue = Revenue { terms, plan, at: claim.place.at, sale_left: sale_left.clone(), is_converted: true };
        match &claim.rule().kind {
            Kind::Percent(percent) => revenue.told(&percent.of, percent, claim.fact),
            Kind::External(external) => external.told(&revenue, claim.fact),
            _ => Vec::new(),
        }
    }

    fn exchange_rate(&self, claim: &Claim<'_>) -> Option<Value> {
        let (currency, plan) = (currency(&claim.fact.body)?, &claim.version.plan);
        if currency == plan.currency || !matches!(claim.detail, Detail::Revenue { .. }) {
            return None;
        }
        let terms = self.terms?;
        let revenue = Revenue { terms, plan, at: claim.place.at, sale_left: None, is_converted: true };
        let quote = revenue.quote(currency)?;
        Some(json!({
            "date": quote.date.to_string(),
            "from": quote.from.code(),
            "to": quote.to.code(),
            "rate": quote.rate.to_string(),
        }))
    }
}

/// Whether nothing that rates are looked up by differs: then what lost is the same, and need not be listed to know it.
fn is_looked_up_alike(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    let looks_at_trade = matches!(&one.rule().kind, Kind::PerLot(per_lot) if !per_lot.rates.is_empty());
    let is_same_trade =
        one.account.customer == other.account.customer && rates::instrument(one.fact) == rates::instrument(other.fact);
    std::sync::Arc::ptr_eq(&one.version, &other.version)
        && one.rule_index == other.rule_index
        && one.place.setting.partner == other.place.setting.partner
        && (!looks_at_trade || is_same_trade)
        && (one.rule().brackets.is_none() || one.pieces().eq(other.pieces()))
        && !matches!(one.detail, Detail::Step { .. })
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

fn reason_of_nothing(states: Option<(Vec<ConditionState>, bool)>) -> String {
    let Some((states, asks_partner)) = states else { return "nothing counts in this cell any more".to_owned() };
    let unmet = states.iter().filter_map(|state| {
        let missing = state.missing.as_ref()?;
        Some(format!("{} (needed {}, now {}, missing {missing})", state.name, state.needed, state.value))
    });
    let unmet: Vec<_> = unmet.collect();
    match (unmet.is_empty(), asks_partner) {
        (false, _) => format!("no longer met: {}", unmet.join(", ")),
        (true, true) => "the condition on the partner is no longer met".to_owned(),
        (true, false) => "the conditions are no longer met in time, or under the plan of that time".to_owned(),
    }
}

/// What a path of partners shares; it is rounded once and given out by largest remainder.
fn path(path: &PathPart) -> Value {
    let texts = |parts: &[Exact]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut told = json!({"levels": texts(&path.levels), "index": path.index});
    if let Some((portions, portion)) = &path.portions {
        told["portions"] = texts(portions).into();
        told["portion"] = (*portion).into();
    }
    told
}

fn sale_state(state: &SaleState) -> Value {
    json!({"name": state.name, "is": state.is.name(), "needed": state.needed.to_string(), "value": state.value.to_string(),
        "is_met": state.is_met})
}

fn condition(state: &ConditionState) -> Value {
    json!({"name": state.name, "needed": state.needed, "value": state.value, "missing": state.missing})
}
