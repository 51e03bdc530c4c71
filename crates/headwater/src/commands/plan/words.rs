//! The keys of a plan in words, and what a key that is left out stands for (`docs/plans.md`).
//!
//! Leaves what a plan may say to the linter.

use serde_json::{Map, Value, json};

/// What a missing key stands for, at this path and beside these keys.
pub fn default(path: &str, key: &str, beside: &Map<String, Value>) -> Option<Value> {
    Some(match key {
        "tiers" if path.is_empty() => return None,
        "pays" if beside.get("kind").is_some_and(|kind| kind == "rebate") => json!("customer"),
        "pays" => json!("partner"),
        "scope" if path.ends_with("carry") => json!("program"),
        "scope" => json!("own"),
        "period" => json!("month"),
        "time_zone" => json!("UTC"),
        "hold_days" | "ftd_window_hours" => json!(0),
        "auto_approve" | "clawback" | "tiers" => json!(true),
        "on_suspended" => json!("block"),
        "max_rate_age_days" => json!(7),
        "weight" | "point_value" => json!("1"),
        "side" => json!("round_turn"),
        "once_per" if beside.contains_key("sales") => return None,
        "once_per" => json!("person"),
        "on_missing_detail" => json!("hold"),
        "mode" => json!("whole"),
        "new_customers_only" | "same_product" => json!(false),
        "join" => json!("and"),
        _ => return None,
    })
}

/// Lists in which the place of an entry says which level it is of, or what it is joined to.
pub fn is_ordered(key: &str) -> bool {
    matches!(key, "levels" | "shares" | "percents" | "pass_up" | "pass_up_amounts" | "conditions")
}

/// What a key is about, as the beginning of a sentence.
pub fn noun(key: &str) -> String {
    let noun = match key {
        "currency" => "the money it pays in",
        "period" => "the length of a period",
        "time_zone" => "the zone that days begin in",
        "hold_days" => "the hold, in days,",
        "auto_approve" => "approval by itself",
        "ftd_window_hours" => "the time, in hours, that one first deposit may take",
        "qualification" | "qualify" => "what makes a client qualified",
        "on_suspended" => "what a suspended partner's place does",
        "clawback" => "taking back what was reversed",
        "max_rate_age_days" => "the oldest exchange rate, in days,",
        "when" => "what it looks at",
        "of" | "percent_of" => "what the percent is of",
        "of_rule" => "the rule that it is of",
        "on" => "the event",
        "once_per" => "how often it is paid",
        "unit" => "what it is paid in",
        "pays" => "who is paid",
        "cap" => "the cap",
        "per" => "what the cap adds up over",
        "brackets" => "stepping by volume",
        "metric" => "what the steps count",
        "steps" => "a step",
        "rates" => "a rate",
        "lot_factor" => "a lot factor",
        "carry" => "what a negative period does",
        "eligibility" => "which trades count",
        "sales" => "which sales are rewarded",
        "product" => "what is bought",
        "within_months" => "the time from a client's first sale, in months,",
        "max_redemptions" => "how many sales of a client are rewarded",
        "new_customers_only" => "leaving out who had bought before",
        "conditions" => "what must hold at a sale",
        "budget" => "the budget",
        "tiers" => "the part of the partners above",
        "method" => "the tier method",
        "levels" => "the list of percents on top",
        "shares" => "the list of shares",
        "percents" => "the list of percents by level",
        "pass_up" | "pass_up_amounts" => "what is passed up",
        _ => return format!("the {}", plain(key)),
    };
    noun.to_owned()
}

/// The key without its underscores.
pub fn plain(key: &str) -> String {
    key.replace('_', " ")
}

/// A value as one would say it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join("; "),
        Value::Object(keys) => {
            let told = keys.iter().map(|(key, value)| format!("{} {}", plain(key), shown(value)));
            told.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.to_string(),
        Value::Null => "nothing".to_owned(),
    }
}
