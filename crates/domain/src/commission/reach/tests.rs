//! Which days a change is felt on, and which are read for it, by what plans say.

use super::days::tests::days;
use super::*;
use crate::commission::{PlanVersion, lint};
use jiff::civil::date;
use serde_json::{Value, json};
use std::sync::Arc;

fn partner(plans: &[Value]) -> PartnerTerms {
    let version = |(number, plan): (i64, &Value)| {
        let plan = lint(plan).unwrap_or_else(|mistakes| panic!("{mistakes:?}: {plan}"));
        Arc::new(PlanVersion { name: plan.name.clone(), version: number, from: Instant(number), plan })
    };
    PartnerTerms { plans: (1..).zip(plans).map(version).collect(), ..PartnerTerms::default() }
}

fn plan(period: &str, zone: &str, rule: Value) -> Value {
    let mut rule = rule;
    rule["id"] = "r".into();
    json!({ "name": "p", "currency": "USD", "period": period, "time_zone": zone, "rules": [rule] })
}

fn linear() -> Value {
    json!({ "kind": "per_lot", "rate": "5" })
}

#[test]
fn a_change_is_felt_in_its_periods_of_every_length() {
    let window = |plans: &[Value]| Reach::of([&partner(plans)]).expect("within reach").around([date(2025, 2, 12)]);
    let month = plan("month", "UTC", linear());
    let february = days(&[(date(2025, 2, 1), date(2025, 3, 1))]);
    let found = window(std::slice::from_ref(&month));
    assert_eq!((&found.felt, &found.read), (&february, &february));
    assert_eq!(window(&[plan("day", "UTC", linear()), month.clone()]).felt, february);
    // Weeks cross the edges of months: all of both, until an edge is one of both.
    let found = window(&[plan("week", "UTC", linear()), month]).felt;
    let [(from, to)] = found.ranges() else { panic!("{found:?}") };
    assert_eq!((from.weekday(), to.weekday()), (jiff::civil::Weekday::Monday, jiff::civil::Weekday::Monday));
    assert_eq!((from.day(), to.day()), (1, 1));
    assert!(found.hold_all(&february));
}

#[test]
fn steps_of_the_period_before_are_felt_in_the_next_one_and_read_from_the_one_before() {
    let steps = json!([{ "from": "0", "rate": "1" }]);
    let brackets = json!({ "metric": "lots", "mode": "previous", "steps": steps });
    let rule = json!({ "kind": "per_lot", "rate": "5", "brackets": brackets });
    let reach = Reach::of([&partner(&[plan("month", "UTC", rule)])]).expect("within reach");
    let window = reach.around([date(2025, 2, 12)]);
    assert_eq!(window.felt, days(&[(date(2025, 2, 1), date(2025, 4, 1))]));
    assert_eq!(window.read, days(&[(date(2025, 1, 1), date(2025, 4, 1))]));
}

#[test]
fn what_looks_at_all_of_time_has_no_reach() {
    let month = |rule| Reach::of([&partner(&[plan("month", "UTC", rule)])]).is_some();
    let percent = json!({ "kind": "percent", "percent": "30", "of": ["spread_cost"] });
    let with = |key: &str, value: Value| {
        let mut rule = percent.clone();
        rule[key] = value;
        rule
    };
    assert!(month(percent.clone()));
    assert!(month(with("cap", json!({ "per": "period", "amount": "5" }))));
    assert!(!month(with("cap", json!({ "per": "customer", "amount": "5" }))));
    assert!(!month(with("carry", json!({ "of": "base" }))));
    let cpa = |qualify: Value| json!({ "kind": "cpa", "amount": "5", "qualify": qualify });
    assert!(month(cpa(json!({ "min_first_deposit": "100" }))));
    assert!(!month(cpa(json!({ "min_lots": "2" }))), "lots of any time");
    assert!(month(cpa(json!({ "min_lots": "2", "within_days": 30, "from": "registration" }))));
    let zones = [plan("month", "UTC", linear()), plan("month", "Asia/Nicosia", linear())];
    assert!(Reach::of([&partner(&zones)]).is_none(), "their days begin apart");
    let suspended =
        |rule| PartnerTerms { suspended: vec![(Instant(1), true)], ..partner(&[plan("month", "UTC", rule)]) };
    assert!(Reach::of([&suspended(linear())]).is_some());
    let first = json!({ "kind": "flat", "amount": "5", "on": "FIRST_DEPOSIT" });
    assert!(Reach::of([&suspended(first)]).is_none(), "what is held moves with the moment");
}
