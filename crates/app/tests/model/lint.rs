//! The mistakes of plans that the worked cases name: enough to say at which path they are refused.
//!
//! Leaves the whole list of the contract to the engine's own tests; the model needs no more than to follow the cases.

use super::fraction::Fraction;
use super::world::{fraction, list, number};
use serde_json::Value;

const RULE_KEYS: [&str; 34] = [
    "id",
    "kind",
    "when",
    "pays",
    "unit",
    "cap",
    "brackets",
    "carry",
    "eligibility",
    "sales",
    "tiers",
    "weight",
    "amount",
    "on",
    "once_per",
    "qualify",
    "of",
    "steps",
    "rate",
    "rates",
    "side",
    "lot_factor",
    "percent",
    "max_points",
    "point_value",
    "of_rule",
    "min_first_deposit",
    "min_net_deposit",
    "min_deposits",
    "min_lots",
    "min_trades",
    "kyc",
    "from",
    "within_days",
];

/// The path of the first mistake, in the order of the document as far as it is known here.
pub fn lint(plan: &Value) -> Result<(), String> {
    if let Some(tiers) = plan.get("tiers") {
        let sum = |key: &str| list(tiers, key).map(|part| number(part).unwrap()).sum::<Fraction>();
        if tiers["method"] == "split" && sum("shares") != Fraction::whole(100) {
            return Err("tiers.shares".to_owned());
        }
        if tiers["method"] == "ratio" && sum("percents") > Fraction::whole(100) {
            return Err("tiers.percents".to_owned());
        }
    }
    let rules: Vec<&Value> = list(plan, "rules").collect();
    for (index, rule) in rules.iter().enumerate() {
        let at = |path: &str| Err(format!("rules[{index}].{path}"));
        if rules[..index].iter().any(|earlier| earlier["id"] == rule["id"]) {
            return at("id");
        }
        if let Some(key) = rule.as_object().unwrap().keys().find(|key| !RULE_KEYS.contains(&key.as_str())) {
            return at(key);
        }
        for (place, entry) in list(rule, "rates").enumerate() {
            if entry["group"].as_str().is_some_and(|group| plan["groups"].get(group).is_none()) {
                return at(&format!("rates[{place}].group"));
            }
        }
        let froms: Vec<Fraction> =
            list(&rule["brackets"], "steps").map(|step| fraction(step, "from").unwrap()).collect();
        if let Some(place) = froms.windows(2).position(|pair| pair[1] <= pair[0]) {
            return at(&format!("brackets.steps[{}].from", place + 1));
        }
        if rule["kind"] == "rebate" && fraction(rule, "percent").unwrap() > Fraction::whole(100) {
            return at("percent");
        }
        let others = rules[..index].iter().filter(|other| {
            rule["kind"] == "rebate"
                && other["kind"] == "rebate"
                && other["of_rule"] == rule["of_rule"]
                && meet(rule, other)
        });
        let given =
            |rebate: &Value| fraction(rebate, "percent").unwrap() * fraction(rebate, "weight").unwrap_or(Fraction::ONE);
        let others: Vec<Fraction> = others.map(|other| given(other)).collect();
        if !others.is_empty() && others.into_iter().sum::<Fraction>() + given(rule) > Fraction::whole(100) {
            return at("percent");
        }
    }
    Ok(())
}

/// Whether one client may be given both: the cases tell clients apart by their countries.
fn meet(one: &Value, other: &Value) -> bool {
    let mut countries = list(&one["when"], "country").peekable();
    let no_others = list(&other["when"], "country").next().is_none();
    countries.peek().is_none()
        || no_others
        || countries.any(|country| list(&other["when"], "country").any(|o| o == country))
}
