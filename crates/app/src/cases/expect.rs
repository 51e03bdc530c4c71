//! Holds what came against what a case expects.

use super::world::World;
use super::{find, plain};
use headwater_domain::commission::{Payee, Posting, conditions, full_explanation};
use headwater_domain::ids::CustomerId;
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use serde_json::Value;
use std::collections::BTreeMap;

impl World {
    pub(super) fn step(&mut self, step: &Value) -> Vec<String> {
        let mut failures = Vec::new();
        let expected_error = step.get("expect_error").and_then(Value::as_str);
        match (self.apply(step), expected_error) {
            (Ok(_), Some(code)) => failures.push(format!("expected the error {code}, but the step was accepted")),
            (Err(refused), Some(code)) if refused.code == code => {}
            (Err(refused), Some(code)) => failures.push(format!("expected the error {code}, got {}", refused.code)),
            (Err(refused), None) => failures.push(format!("refused: {}: {}", refused.code, refused.message)),
            (Ok(changed), None) => {
                let outcome = self.settle(&changed);
                failures.extend(self.check_postings(step.get("expect"), &outcome.postings));
                failures.extend(check_held(step.get("held"), outcome.newly_held));
                failures.extend(self.check_conditions(step.get("expect_conditions")));
            }
        }
        failures
    }

    fn owner_name(&self, payee: Payee) -> String {
        let name = |names: &[String], id: i64| {
            let index = usize::try_from(id - 1).expect("numbers of a case start at 1");
            names.get(index).cloned().unwrap_or_default()
        };
        match payee {
            Payee::Partner(id) => name(&self.partner_names, id.0),
            Payee::Customer(id) => format!("customer:{}", name(&self.customer_names, id.0)),
        }
    }

    fn check_postings(&self, expected: Option<&Value>, came: &[Posting<'_>]) -> Vec<String> {
        let Some(expected) = expected.and_then(Value::as_array) else { return Vec::new() };
        let mut failures = Vec::new();
        let mut open: Vec<&Posting<'_>> = came.iter().collect();
        for wanted in expected {
            match open.iter().position(|posting| self.matches(wanted, posting)) {
                Some(found) => drop(open.remove(found)),
                None => failures.push(format!("expected the posting {wanted}, which did not come")),
            }
        }
        failures.extend(open.iter().map(|posting| {
            let owner = self.owner_name(posting.cell.payee);
            let (rule, unit) = (&posting.cell.rule, posting.cell.unit.name());
            let amount = posting.amount.to_text(posting.cell.unit.minor_digits());
            format!("came: {owner} {rule} {amount} {unit} for {}, payable {}", posting.for_period, posting.payable_at)
        }));
        failures
    }

    /// Whether every key of the expectation holds; a key that is not known here holds for nothing.
    fn matches(&self, wanted: &Value, posting: &Posting<'_>) -> bool {
        let owner = self.owner_name(posting.cell.payee);
        wanted.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, value)| {
                let word = value.as_str().unwrap_or_default();
                match key.as_str() {
                    "partner" => owner == word,
                    "customer" => owner == format!("customer:{word}"),
                    "rule" => *posting.cell.rule == *word,
                    "amount" => Decimal::parse(word) == Ok(posting.amount),
                    "unit" => posting.cell.unit.name() == word,
                    "level" => value.as_i64() == Some(i64::from(posting.cell.level)),
                    "for_period" => posting.for_period.to_string() == word,
                    "cut_off" => Decimal::parse(word) == Ok(posting.cut_off),
                    "reason" => full_explanation(&posting.explanation())["reason"].as_str() == Some(word),
                    "payable_at" => Instant::parse(word) == Some(posting.payable_at),
                    _ => false,
                }
            })
        })
    }

    fn check_conditions(&self, expected: Option<&Value>) -> Vec<String> {
        let Some(expected) = expected else { return Vec::new() };
        let name = expected.get("customer").and_then(Value::as_str).unwrap_or_default();
        let customer = find(&self.customer_names, name).map(CustomerId);
        let Some(known) = customer.and_then(|id| self.customers.get(&id)) else {
            return vec![format!("conditions of the unknown customer {name}")];
        };
        let (persons, _) = self.persons();
        let rule = expected.get("rule").and_then(Value::as_str);
        let report = conditions(&persons, &self.dated(), known.view.customer, rule, self.clock);
        let Some(report) = report else { return vec!["there are no such conditions".to_owned()] };
        let wanted = expected.get("missing").and_then(Value::as_object).into_iter().flatten();
        let wanted: BTreeMap<String, String> =
            wanted.map(|(key, value)| (key.clone(), plain(value.as_str().unwrap_or(&value.to_string())))).collect();
        let came: BTreeMap<String, String> =
            report.missing.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
        if wanted == came { Vec::new() } else { vec![format!("expected missing {wanted:?}, got {came:?}")] }
    }

    pub(super) fn check_totals(&self, expected: Option<&Value>) -> Vec<String> {
        let Some(expected) = expected.and_then(Value::as_object) else { return Vec::new() };
        let mut came: BTreeMap<(String, String), i128> = BTreeMap::new();
        for cell in self.posted.values() {
            *came.entry((self.owner_name(cell.cell.payee), cell.cell.unit.name())).or_default() +=
                i128::from(cell.amount.0);
        }
        let mut failures = Vec::new();
        for (owner, units) in expected {
            for (unit, amount) in units.as_object().into_iter().flatten() {
                let wanted = amount.as_str().and_then(|amount| Decimal::parse(amount).ok());
                let got = came.remove(&(owner.clone(), unit.clone())).unwrap_or_default();
                if wanted.is_none_or(|wanted| i128::from(wanted.0) != got) {
                    let got = shown(got);
                    failures.push(format!("total of {owner}: expected {amount} {unit}, got {got}"));
                }
            }
        }
        let left = came.into_iter().filter(|(_, micros)| *micros != 0);
        failures.extend(
            left.map(|((owner, unit), micros)| format!("total of {owner}: expected 0 {unit}, got {}", shown(micros))),
        );
        failures
    }
}

/// Millionths as a decimal; a total may be more than one amount can be.
fn shown(micros: i128) -> String {
    i64::try_from(micros).map_or_else(|_| format!("{micros} millionths"), |micros| Decimal(micros).to_string())
}

fn check_held(expected: Option<&Value>, mut came: Vec<String>) -> Vec<String> {
    let Some(expected) = expected.and_then(Value::as_array) else { return Vec::new() };
    let reason = |held: &Value| held.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut wanted: Vec<String> = expected.iter().map(reason).collect();
    wanted.sort();
    came.sort();
    if wanted == came { Vec::new() } else { vec![format!("expected held {wanted:?}, got {came:?}")] }
}
