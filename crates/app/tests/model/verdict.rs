//! Holds a report of the model against what a case expects, and writes what the model says into a case.
//!
//! Leaves the engine's judgement to the engine: a filled case is handed to it like any other.

use super::Posting;
use super::Report;
use super::conditions::Look;
use super::fraction::{Fraction, decimal_text};
use super::world::{World, fraction, list, number, rule_of};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Everything that a case expects and the model does not say, or the other way round.
pub fn disagreements(case: &Value, report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    for (index, step) in list(case, "steps").enumerate() {
        let came = &report.steps[index];
        let mut say = |what: String| found.push(format!("step {}: {what}", index + 1));
        if step["expect_error"].as_str() != came.refused.as_deref() {
            say(format!("expected the error {}, got {:?}", step["expect_error"], came.refused));
        }
        if let Some(expected) = step["expect"].as_array() {
            let mut open: Vec<&Posting> = came.postings.iter().collect();
            for wanted in expected {
                match open.iter().position(|posting| is_as_wanted(wanted, posting)) {
                    Some(place) => drop(open.remove(place)),
                    None => say(format!("expected {wanted}")),
                }
            }
            open.iter().for_each(|posting| say(format!("came: {posting:?}")));
        }
        if let Some(expected) = step["held"].as_array() {
            let mut wanted: Vec<&str> = expected.iter().map(|held| held["reason"].as_str().unwrap()).collect();
            let mut held = came.newly_held.clone();
            wanted.sort_unstable();
            held.sort();
            if wanted != held {
                say(format!("expected held {wanted:?}, got {held:?}"));
            }
        }
        if let Some(expected) = step.get("expect_conditions") {
            let missing = missing_conditions(&report.worlds[index], expected);
            let wanted = expected["missing"].as_object().unwrap().iter();
            let wanted: BTreeMap<String, String> =
                wanted.map(|(key, value)| (key.clone(), plain(value.as_str().unwrap()))).collect();
            if missing != wanted {
                say(format!("expected missing {wanted:?}, got {missing:?}"));
            }
        }
    }
    let totals = totals(report);
    let empty = json!({});
    for (owner, units) in case["totals"].as_object().unwrap() {
        for (unit, amount) in units.as_object().unwrap() {
            let got = totals[owner.as_str()].get(unit).unwrap_or(&empty);
            if number(got) != number(amount) {
                found.push(format!("total of {owner}: expected {amount} {unit}, got {got}"));
            }
        }
    }
    for (owner, units) in totals.as_object().unwrap() {
        if units.as_object().unwrap().keys().any(|unit| case["totals"][owner.as_str()].get(unit).is_none()) {
            found.push(format!("total of {owner}: expected none, got {units}"));
        }
    }
    found
}

fn is_as_wanted(wanted: &Value, posting: &Posting) -> bool {
    wanted.as_object().unwrap().iter().all(|(key, value)| match key.as_str() {
        "partner" => *value == posting.key.0,
        "customer" => posting.key.0 == format!("customer:{}", value.as_str().unwrap()),
        "rule" => *value == posting.key.1,
        "unit" => *value == posting.key.2,
        "level" => value.as_u64() == Some(posting.key.3 as u64),
        "amount" => number(value) == Fraction::parse(&posting.amount()),
        "for_period" => *value == posting.period.to_string(),
        "payable_at" => value.as_str() == posting.payable_at.as_deref(),
        "cut_off" => number(value) == Fraction::parse(&decimal_text(posting.cut_off_minor, posting.digits)),
        _ => false,
    })
}

fn missing_conditions(world: &World, question: &Value) -> BTreeMap<String, String> {
    let customer = &world.customers[question["customer"].as_str().unwrap()];
    let plan = world.version(&world.partners[customer.partner.as_ref().unwrap()].plan, world.clock);
    let accounts = world.accounts(&customer.person);
    let rule = question["rule"].as_str().and_then(|id| rule_of(plan, id));
    let conditions = rule.and_then(|rule| rule.get("qualify")).unwrap_or(&plan["qualification"]);
    Look { world, plan, accounts: &accounts, until: None, moment: world.clock }.missing(conditions)
}

fn plain(value: &str) -> String {
    fraction(&json!({ "value": value }), "value").map_or_else(|| value.to_owned(), |number| number.to_string())
}

/// The totals as a case writes them.
pub fn totals(report: &Report) -> Value {
    let mut totals = Map::new();
    for ((owner, unit), (minor, digits)) in &report.totals {
        let units = totals.entry(owner.clone()).or_insert_with(|| json!({}));
        units[unit.as_str()] = decimal_text(*minor, *digits).into();
    }
    Value::Object(totals)
}

/// The same case, expecting what the model says.
pub fn fill(case: &Value, report: &Report) -> Value {
    let mut filled = case.clone();
    for (step, came) in filled["steps"].as_array_mut().unwrap().iter_mut().zip(&report.steps) {
        if let Some(code) = &came.refused {
            step["expect_error"] = code.as_str().into();
            continue;
        }
        let expect = came.postings.iter().map(|posting| {
            let (owner, rule, unit, level, _) = &posting.key;
            let mut wanted = json!({ "rule": rule, "unit": unit, "level": level, "amount": posting.amount() });
            match owner.strip_prefix("customer:") {
                Some(customer) => wanted["customer"] = customer.into(),
                None => wanted["partner"] = owner.as_str().into(),
            }
            wanted
        });
        step["expect"] = expect.collect();
        step["held"] = came.newly_held.iter().map(|reason| json!({ "reason": reason })).collect();
    }
    filled["totals"] = totals(report);
    filled
}
