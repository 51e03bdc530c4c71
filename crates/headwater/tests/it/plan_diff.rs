//! `plan diff`: what a plan changes of another one, and only that.

use crate::server::{headwater, text};
use serde_json::{Value, json};

/// The exit code and what was printed for two plans.
fn compare(old: &Value, new: &Value) -> (Option<i32>, String) {
    let write = |plan: &Value| {
        let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
        std::fs::write(file.path(), plan.to_string()).expect("written");
        file
    };
    let (old, new) = (write(old), write(new));
    let paths = [old.path().display().to_string(), new.path().display().to_string()];
    let output = headwater(&["plan", "diff", &paths[0], &paths[1]]).output().expect("it runs");
    (output.status.code(), text(&output))
}

fn plan() -> Value {
    json!({ "name": "p", "currency": "USD", "hold_days": 30,
        "tiers": { "method": "override", "levels": ["20", "10"] },
        "rules": [
            { "id": "lots", "kind": "per_lot", "rate": "5", "rates": [{ "instrument": "XAUUSD", "rate": "8" }],
              "when": { "country": ["DE", "FR"] }, "cap": { "per": "period", "amount": "500" } },
            { "id": "cpa", "kind": "cpa", "amount": "400", "qualify": { "min_first_deposit": "250" } } ] })
}

#[test]
fn the_same_plan_in_other_words_is_no_difference() {
    let mut same = plan();
    same["period"] = "month".into();
    same["hold_days"] = 30.into();
    same["rules"][0]["rate"] = "5.00".into();
    same["rules"][0]["tiers"] = true.into();
    same["rules"][0]["when"]["country"] = json!(["FR", "DE"]);
    same["rules"][1]["unit"] = "USD".into();
    same["rules"].as_array_mut().expect("rules").reverse();
    assert_eq!(compare(&plan(), &same), (Some(0), "no difference\n".to_owned()));
}

#[test]
fn every_difference_is_told_with_its_path() {
    let mut new = plan();
    new["hold_days"] = 14.into();
    new["tiers"]["levels"] = json!(["15", "10"]);
    new["rules"][0]["rate"] = "6".into();
    new["rules"][0]["rates"] =
        json!([{ "instrument": "GBPUSD", "rate": "7" }, { "instrument": "XAUUSD", "rate": "7.5" }]);
    new["rules"][0]["when"]["country"] = json!(["DE", "AT"]);
    new["rules"][0].as_object_mut().expect("a rule").remove("cap");
    new["rules"][0]["weight"] = "0.5".into();
    new["rules"][1] = json!({ "id": "share", "kind": "percent", "percent": "30", "of": ["spread_cost"] });
    let (code, said) = compare(&plan(), &new);
    assert_eq!(code, Some(1), "{said}");
    let expected = "\
plan
  hold_days: the hold, in days, goes down from 30 to 14
  tiers.levels: the list of percents on top changes from 20, 10 to 15, 10
rule lots
  rules[0].rate: the rate goes up from 5 to 6
  rules[0].rates[0]: a rate is new: instrument GBPUSD, rate 7
  rules[0].rates[1].rate: instrument XAUUSD, the rate goes down from 8 to 7.5
  rules[0].when.country: the country: also AT, no longer FR
  rules[0].weight: the weight goes down from 1 to 0.5
  rules[0].cap: the cap is gone; it was per period, amount 500
rule share
  rules[1]: is new: id share, kind percent, percent 30, of spread_cost
rule cpa
  rules[1]: is gone; it was id cpa, kind cpa, amount 400, qualify min first deposit 250
10 differences
";
    assert_eq!(said, expected);
}

#[test]
fn a_plan_that_is_refused_is_not_compared() {
    let mut wrong = plan();
    wrong["rules"][1]["amonut"] = "1".into();
    let (code, said) = compare(&plan(), &wrong);
    assert_eq!(code, Some(1));
    assert!(said.contains("rules[1].amonut") && !said.contains("difference"), "{said}");
}
