//! Why a cell is worth what it is: the explanation object of the management API, built from what was claimed.
//!
//! What it says multiplies out: an input's `direct` is Σ quantity × rate, times weight and credit share, less what a cap
//! cut off, times what carry leaves; its `exact` is what `tier`, `budget_factor` and `rebate` make of that. The inputs, and
//! what is summed up, add up to the cell's exact amount, which is rounded once: alone, or with the paths that it is of.

mod level;

use super::cell::CellKey;
use super::claim::{Claim, Detail};
use super::condition::ConditionState;
use super::evaluate::Evaluation;
use super::percent::Revenue;
use super::posting::PostedCell;
use super::rates;
use super::sum::{Part, PathPart, Worth};
use crate::fact::FactBody;
use crate::ids::FactId;
use crate::money::{Currency, Exact};
use crate::time::Instant;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Facts of a cell that an explanation shows one by one: it is stored with every posting, and a busy cell has thousands.
const TOLD_PARTS_MAX: usize = 32;

impl Evaluation<'_> {
    /// The explanation object of one cell. The facts that `changed` lead; where many count, the others are summed up.
    pub fn explanation(&self, worth: &Worth, changed: &[FactId]) -> Value {
        let of_latest = |part: &&Part| self.claims[part.claim].fact.id == worth.fact;
        let latest = worth.parts.iter().rev().find(of_latest).or(worth.parts.last());
        let latest = latest.map(|part| &self.claims[part.claim]);
        let (told, summed_up) = self.told(worth, changed);
        let mut facts: BTreeMap<_, _> = BTreeMap::new();
        let counted = told.iter().flat_map(|part| {
            let claim = &self.claims[part.claim];
            std::iter::once(&claim.counted).chain(&claim.also_counted)
        });
        for counted in counted {
            facts.insert((counted.at, counted.fact), counted.revision);
        }
        let fact = |((at, fact), revision): ((Instant, FactId), Option<i64>)| json!({"id": fact.0, "revision": revision, "at": at.iso8601()});
        let rate = latest.and_then(|claim| claim.pieces().last()).map(|piece| piece.rate.to_string());
        json!({
            "rule": &*worth.cell.rule,
            "plan": worth.plan,
            "version": worth.version,
            "facts": facts.into_iter().map(fact).collect::<Vec<_>>(),
            "inputs": told.iter().map(|part| self.input(part, &worth.cell)).collect::<Vec<_>>(),
            "summed_up": summed_up,
            "rate": rate,
            "candidates": latest.map(|claim| self.candidates(claim)),
            "conditions": latest.map(|claim| match &claim.detail {
                Detail::Conditions(states) => states.iter().map(condition).collect(),
                _ => Vec::new(),
            }),
            "exchange_rate": latest.and_then(|claim| self.exchange_rate(claim)),
            "cut_off": worth.cut_off.to_text(worth.cell.unit.minor_digits()),
            "exact": worth.exact.to_string(),
            "paths": worth.paths.iter().map(path).collect::<Vec<_>>(),
            "unit": worth.cell.unit.name(),
            "digits": worth.cell.unit.minor_digits(),
            "rounded": worth.rounded.to_text(worth.cell.unit.minor_digits()),
        })
    }

    /// The parts that are shown one by one, and the rest as one number.
    fn told<'w>(&self, worth: &'w Worth, changed: &[FactId]) -> (Vec<&'w Part>, Option<Value>) {
        if worth.parts.len() <= TOLD_PARTS_MAX {
            return (worth.parts.iter().collect(), None);
        }
        let mut parts: Vec<&Part> = worth.parts.iter().collect();
        parts.sort_by_key(|part| {
            let claim = &self.claims[part.claim];
            (!changed.contains(&claim.fact.id), std::cmp::Reverse((claim.place.at, claim.fact.id)))
        });
        let rest = parts.split_off(TOLD_PARTS_MAX);
        let exact = rest.iter().try_fold(Exact::zero(), |sum, part| sum.plus(&part.exact));
        let exact = exact.map(|exact| exact.to_string()).ok();
        (parts, Some(json!({"count": rest.len(), "exact": exact})))
    }

    fn input(&self, part: &Part, cell: &CellKey) -> Value {
        let claim = &self.claims[part.claim];
        let mut input = Map::new();
        let mut say = |key: &str, value: Value| drop(input.insert(key.to_owned(), value));
        say("fact", claim.fact.id.0.into());
        if let Some(instrument) = rates::instrument(claim.fact) {
            say("instrument", instrument.into());
        }
        match &claim.detail {
            Detail::Lots { times, lot_factor } => {
                say("lots", lots(claim).into());
                say("sides", (*times).into());
                say("lot_factor", lot_factor.to_string().into());
            }
            Detail::Volume | Detail::Revenue | Detail::OfRule | Detail::Amount | Detail::Conditions(_) => {}
        }
        say("quantity", claim.quantity.to_string().into());
        let pieces = claim.pieces();
        let pieces =
            pieces.map(|piece| json!({"quantity": piece.quantity.to_string(), "rate": piece.rate.to_string()}));
        say("pieces", pieces.collect());
        say("weight", claim.rule().weight.to_string().into());
        let credit_share = claim.factor.over(&claim.rule().weight.exact()).unwrap_or_else(|_| Exact::whole(1));
        say("credit_share", credit_share.to_string().into());
        say("cut_off", claim.cut_off.to_string().into());
        if let Some(share) = &claim.carry_share {
            say("carry_share", share.to_string().into());
        }
        say("direct", claim.amount.to_string().into());
        say("level", part.level.into());
        if let Some(tier) = self.terms.and_then(|terms| level::tier(claim, part.level, terms, &self.volumes)) {
            say("tier", tier);
        }
        if let Some(factor) = &claim.budget_factor {
            say("budget_factor", factor.to_string().into());
        }
        if let Some(rebate) = level::rebate(claim, cell).filter(|_| part.is_rebate) {
            say("rebate", rebate);
        }
        say("exact", part.exact.to_string().into());
        Value::Object(input)
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

fn lots(claim: &Claim<'_>) -> Option<String> {
    match &claim.fact.body {
        FactBody::TradingDay(day) => Some(day.lots.to_string()),
        FactBody::Trade(trade) => Some(trade.lots.to_string()),
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

/// The explanation of a cell that nothing counts in any more.
pub(super) fn nothing(posted: &PostedCell) -> Value {
    json!({
        "rule": &*posted.cell.rule, "facts": [], "inputs": [], "rate": null, "candidates": [], "conditions": [],
        "exchange_rate": null, "cut_off": "0", "exact": "0", "paths": [], "unit": posted.cell.unit.name(),
        "digits": posted.cell.unit.minor_digits(), "rounded": "0",
        "posted_before": posted.amount.to_string(), "posted_after": "0",
        "reason": "nothing counts in this cell any more",
    })
}

/// What a path of partners shares; it is rounded once and given out by largest remainder.
fn path(path: &PathPart) -> Value {
    json!({"levels": path.levels.iter().map(ToString::to_string).collect::<Vec<_>>(), "index": path.index})
}

fn condition(state: &ConditionState) -> Value {
    json!({"name": state.name, "needed": state.needed, "value": state.value, "missing": state.missing})
}
