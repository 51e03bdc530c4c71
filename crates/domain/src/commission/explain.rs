//! Why a cell is worth what it is: the explanation object of the management API, built from what `evaluate` noted.
//!
//! What it says multiplies out to the exact amount; it computes nothing anew.

use super::condition::ConditionState;
use super::evaluate::{Detail, Part, Worth};
use super::posting::PostedCell;
use crate::money::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl Worth {
    /// The explanation object.
    pub fn explanation(&self) -> Value {
        let latest = self.parts.iter().rev().find(|part| part.fact == self.fact).or(self.parts.last());
        let mut facts: BTreeMap<_, _> = BTreeMap::new();
        for counted in &self.facts {
            let entry = json!({"id": counted.fact.0, "revision": counted.revision, "at": counted.at.iso8601()});
            facts.insert((counted.at, counted.fact), entry);
        }
        json!({
            "rule": self.cell.rule,
            "plan": self.plan,
            "version": self.version,
            "facts": facts.into_values().collect::<Vec<_>>(),
            "inputs": self.parts.iter().map(inputs).collect::<Vec<_>>(),
            "rate": latest.and_then(rate).map(|rate| rate.to_string()),
            "candidates": latest.map(candidates),
            "conditions": latest.map(|part| match &part.detail {
                Detail::Amount { conditions, .. } => conditions.iter().map(condition).collect(),
                Detail::Lots(_) => Vec::new(),
            }),
            "exchange_rate": null,
            "exact": self.exact.to_string(),
            "rounded": self.rounded.to_text(self.cell.unit.minor_digits()),
        })
    }
}

/// The explanation of a cell that nothing counts in any more.
pub(super) fn nothing(posted: &PostedCell) -> Value {
    json!({
        "rule": posted.cell.rule, "facts": [], "inputs": [], "rate": null, "candidates": [], "conditions": [],
        "exchange_rate": null, "exact": "0", "rounded": "0",
        "posted_before": posted.amount.to_string(), "posted_after": "0",
        "reason": "nothing counts in this cell any more",
    })
}

fn inputs(part: &Part) -> Value {
    let mut inputs = Map::new();
    inputs.insert("fact".into(), part.fact.0.into());
    match &part.detail {
        Detail::Amount { amount, .. } => {
            inputs.insert("amount".into(), amount.to_string().into());
        }
        Detail::Lots(lots) => {
            inputs.insert("instrument".into(), lots.instrument.clone().into());
            inputs.insert("lots".into(), lots.quantity.to_string().into());
            inputs.insert("sides".into(), lots.times.into());
            inputs.insert("lot_factor".into(), lots.factor.to_string().into());
            inputs.insert("rate".into(), rate(part).map(|rate| rate.to_string()).into());
            inputs.insert("rate_from".into(), lots.candidates.first().map(|won| won.source.clone()).into());
        }
    }
    inputs.insert("weight".into(), part.weight.to_string().into());
    inputs.insert("exact".into(), part.exact.to_string().into());
    Value::Object(inputs)
}

fn rate(part: &Part) -> Option<Decimal> {
    match &part.detail {
        Detail::Amount { amount, .. } => Some(*amount),
        Detail::Lots(lots) => lots.candidates.first().map(|won| won.rate),
    }
}

/// The one that won leads; those that lost follow.
fn candidates(part: &Part) -> Vec<Value> {
    match &part.detail {
        Detail::Amount { own_rate: Some(rate), .. } => vec![json!({"from": "partner.rates", "rate": rate.to_string()})],
        Detail::Amount { amount, .. } => vec![json!({"from": "amount", "rate": amount.to_string()})],
        Detail::Lots(lots) => {
            let shown = |candidate: &super::per_lot::Candidate| json!({"from": candidate.source, "rate": candidate.rate.to_string()});
            lots.candidates.iter().map(shown).collect()
        }
    }
}

fn condition(state: &ConditionState) -> Value {
    json!({"name": state.name, "needed": state.needed, "value": state.value, "missing": state.missing})
}
