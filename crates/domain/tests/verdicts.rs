//! What every rule says of a fact, rule by rule: the fact that paid nothing has an answer too.

use headwater_domain::commission::{
    Binding, CustomerView, ExchangeRates, PartnerTerms, PersonView, PlanVersion, Terms, lint, verdicts,
};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CustomerId, FactId, PartnerId, PersonId};
use headwater_domain::time::Instant;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2025-01-06T00:00:00Z.
const DAY: Instant = Instant::from_seconds(1_736_121_600);

/// The reason and the detail of each rule for the last of these facts.
fn told(rules: &Value, facts: &[(&str, Value)]) -> BTreeMap<String, (String, String)> {
    let plan = json!({"name": "p", "currency": "USD", "groups": {"Metals": ["XAUUSD"]}, "rules": rules});
    let plan = lint(&plan).expect("clean");
    let version = PlanVersion { name: "p".into(), version: 3, from: Instant(i64::MIN), plan };
    let terms = PartnerTerms { plans: vec![Arc::new(version)], ..PartnerTerms::default() };
    let partners = BTreeMap::from([(PartnerId(1), terms)]);
    let exchange = ExchangeRates::default();
    let terms = Terms { partners: &partners, exchange: &exchange, closed_before: None };
    let account = CustomerView {
        customer: CustomerId(1),
        registered_at: Instant(0),
        country: Some("FR".into()),
        account_type: None,
        campaign: None,
        link: None,
        bindings: vec![Binding::new(Instant(i64::MIN), PartnerId(1))],
    };
    let fact = |(number, (type_name, body)): (i64, &(&str, Value))| Fact {
        id: FactId(number),
        key: number.to_string(),
        revision: None,
        customer: CustomerId(1),
        at: DAY.plus_seconds(number),
        body: FactBody::from_json(type_name, body).expect("well formed"),
    };
    let facts: Vec<Fact> = (1..).zip(facts).map(fact).collect();
    let last = facts.last().expect("a fact").id;
    let person = PersonView { person: PersonId(1), customers: vec![account], facts };
    let found = verdicts(std::slice::from_ref(&person), &terms, last);
    assert!(found.iter().all(|verdict| verdict.plan == "p" && verdict.version == 3));
    found.into_iter().map(|verdict| (verdict.rule.to_string(), (verdict.reason, verdict.detail))).collect()
}

/// One rule and one fact: the reason, and a part of the sentence.
fn check(rule: Value, facts: &[(&str, Value)], reason: &str, detail: &str) {
    let mut rule = rule;
    rule["id"] = "r".into();
    let (came, said) = told(&json!([rule]), facts).remove("r").expect("the rule is asked");
    assert!(came == reason && said.contains(detail), "{rule}: {came}: {said}, expected {reason}: {detail}");
}

fn deposit(amount: &str) -> (&'static str, Value) {
    ("deposit", json!({"amount": amount, "currency": "USD"}))
}

fn day(keys: &Value) -> (&'static str, Value) {
    let mut body = json!({"date": "2025-01-06", "instrument": "EURUSD", "lots": "2", "currency": "USD"});
    for (key, value) in keys.as_object().expect("keys") {
        body[key] = value.clone();
    }
    ("trading_day", body)
}

#[test]
fn every_reason_for_nothing_is_told() {
    let lots = || day(&json!({}));
    let event = || ("event", json!({"event": "WEBINAR"}));
    let per_lot = json!({"kind": "per_lot", "rate": "5"});
    let with = |key: &str, value: Value| {
        let mut rule = per_lot.clone();
        rule[key] = value;
        rule
    };
    check(per_lot.clone(), &[lots()], "counted", "worth 10");
    check(per_lot.clone(), &[deposit("5")], "fact_type", "not at a deposit");
    check(with("when", json!({"country": ["DE", "AT"]})), &[lots()], "when", "when.country: FR is not among DE, AT");
    check(with("when", json!({"campaign": ["x"]})), &[lots()], "when", "when.campaign: unknown");
    check(with("when", json!({"group": ["Metals"]})), &[lots()], "when", "when.group: not an instrument of Metals");
    check(with("carry", json!({"of": "base"})), &[lots()], "carry", "not closed yet");
    check(with("cap", json!({"per": "period", "amount": "0"})), &[lots()], "cap", "takes all of 10");
    check(per_lot.clone(), &[day(&json!({"lots": "0"}))], "nothing_to_count", "0 at this rate");
    let of_gold = json!({"kind": "per_lot", "rates": [{"instrument": "XAUUSD", "rate": "8"}]});
    check(of_gold, &[lots()], "no_rate", "r");
    let flat = json!({"kind": "flat", "amount": "3", "on": "WEBINAR"});
    check(flat.clone(), &[event()], "counted", "worth 3");
    check(flat.clone(), &[event(), event()], "once_per", "earlier event");
    check(flat, &[("event", json!({"event": "LOGIN"}))], "fact_type", "WEBINAR, not at LOGIN");
    let cpa = json!({"kind": "cpa", "amount": "400", "qualify": {"min_first_deposit": "250"}});
    check(cpa.clone(), &[deposit("250")], "counted", "worth 400");
    check(cpa, &[deposit("100")], "conditions", "min_first_deposit 150");
    let share = json!({"kind": "percent", "percent": "30", "of": ["spread_cost"]});
    check(share.clone(), &[deposit("100")], "nothing_to_count", "nothing that the rule counts");
    check(share, &[day(&json!({"spread_cost": "7", "currency": "EUR"}))], "no_exchange_rate", "EUR");
    let strict = with("eligibility", json!({"min_duration_s": 60}));
    check(strict, &[lots()], "not_evaluable", "rule r");
}

#[test]
fn rules_are_told_one_by_one() {
    let rules = json!([
        {"id": "lots", "kind": "per_lot", "rate": "5"},
        {"id": "more", "kind": "bonus", "percent": "10", "of_rule": "lots"},
        {"id": "legacy", "kind": "external", "of": "kpi:fee"}]);
    let found = told(&rules, &[day(&json!({}))]);
    let reasons: Vec<(&str, &str)> = found.iter().map(|(rule, (reason, _))| (rule.as_str(), reason.as_str())).collect();
    assert_eq!(reasons, [("legacy", "fact_type"), ("lots", "counted"), ("more", "counted")]);
}
