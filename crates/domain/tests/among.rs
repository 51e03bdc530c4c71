//! Persons of a plan whose steps add up over all of them, priced one by one by the sums of everybody, and all at once:
//! their cells add up to the same.

use headwater_domain::commission::{
    Binding, CellKey, CustomerView, ExchangeRates, PartnerTerms, PersonView, PlanVersion, Reached, Terms, evaluate,
    evaluate_among, lint, reached,
};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CustomerId, FactId, PartnerId, PersonId};
use headwater_domain::money::Exact;
use headwater_domain::time::Instant;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Days of 2026 by person: (person, day, hundredths of lots, cents of spread).
type Rows = Vec<(i64, i64, i64, i64)>;

const PERSONS: i64 = 5;

fn steps() -> Value {
    json!([{"from": "0", "rate": "5"}, {"from": "3.5", "rate": "7"}, {"from": "9", "rate": "8.125"}])
}

fn plan(mode: &str, scope: &str, tiers: &Value) -> Value {
    json!({"name": "p", "currency": "USD", "tiers": tiers, "rules": [
        {"id": "lots", "kind": "per_lot", "brackets": {"metric": "lots", "scope": scope, "mode": mode, "steps": steps()}},
        {"id": "share", "kind": "percent", "of": ["spread_cost"],
         "brackets": {"metric": "base", "scope": scope, "mode": mode, "steps": steps()}},
        {"id": "more", "kind": "bonus", "percent": "10", "of_rule": "lots"},
        {"id": "first", "kind": "cpa", "amount": "10", "qualify": {"min_lots": "1"},
         "brackets": {"metric": "lots", "mode": mode, "steps": steps()}},
        {"id": "plain", "kind": "per_lot", "rate": "1"}]})
}

fn persons(rows: &Rows) -> Vec<PersonView> {
    let mut persons: Vec<PersonView> = (1..=PERSONS)
        .map(|number| PersonView {
            person: PersonId(number),
            customers: vec![CustomerView {
                customer: CustomerId(number),
                registered_at: Instant(0),
                country: None,
                account_type: None,
                campaign: None,
                link: None,
                bindings: vec![Binding::new(Instant(0), PartnerId(number % 3 + 1))],
            }],
            facts: Vec::new(),
        })
        .collect();
    for (id, (person, day, lots, cents)) in (1..).zip(rows) {
        let at = Instant::parse("2026-01-01T00:00:00Z").expect("a time").plus_seconds(day * 86_400);
        let body = json!({"date": at.iso8601()[..10], "instrument": "EURUSD", "currency": "USD",
            "lots": format!("{}.{:02}", lots / 100, lots % 100), "spread_cost": format!("{}.{:02}", cents / 100, cents % 100)});
        let body = FactBody::from_json("trading_day", &body).expect("a day");
        let customer = CustomerId(*person);
        let fact = Fact { id: FactId(id), key: id.to_string(), revision: None, customer, at, body };
        persons[usize::try_from(person - 1).expect("from 1")].facts.push(fact);
    }
    persons
}

proptest! {
    #[test]
    fn one_by_one_is_what_all_at_once_is(
        rows in prop::collection::vec((1..=PERSONS, 0_i64..70, 0_i64..300, 0_i64..900), 0..40),
        mode in prop::sample::select(vec!["whole", "previous"]),
        scope in prop::sample::select(vec!["own", "network"]),
        tiers in prop::sample::select(vec![
            json!({"method": "override", "levels": ["20", "10"]}), json!({"method": "difference"}),
            json!({"method": "split", "shares": ["50", "30", "20"]}),
        ]),
    ) {
        let plan = lint(&plan(mode, scope, &tiers)).expect("clean");
        prop_assert!(plan.reaches_beyond_a_person() && plan.looks_beyond_by_sums());
        let version = Arc::new(PlanVersion { name: "p".into(), version: 1, from: Instant(i64::MIN), plan });
        // 1 under 2 under 3; each has clients.
        let terms_of = |number: i64| PartnerTerms {
            plans: vec![Arc::clone(&version)],
            parents: vec![(Instant(0), (number < 3).then_some(PartnerId(number + 1)))],
            ..PartnerTerms::default()
        };
        let partners: BTreeMap<_, _> = (1..=3).map(|number| (PartnerId(number), terms_of(number))).collect();
        let exchange = ExchangeRates::default();
        let terms = Terms { partners: &partners, exchange: &exchange, closed_before: None };
        let persons = persons(&rows);

        let together = evaluate(&persons, &terms);
        let together: BTreeMap<CellKey, Exact> =
            together.worths.values().map(|worth| (worth.cell.clone(), worth.exact.clone())).collect();

        let mut sums = Reached::default();
        for person in &persons {
            sums.add(reached(std::slice::from_ref(person), &terms).expect("small")).expect("small");
        }
        let mut alone: BTreeMap<CellKey, Exact> = BTreeMap::new();
        for person in &persons {
            let evaluation = evaluate_among(std::slice::from_ref(person), &terms, &sums);
            for worth in evaluation.worths.values() {
                let sum = alone.entry(worth.cell.clone()).or_insert_with(Exact::zero);
                *sum = sum.plus(&worth.exact).expect("small");
            }
        }
        prop_assert_eq!(alone, together);
    }
}

#[test]
fn what_follows_a_running_total_needs_everybody() {
    for (key, value) in [
        ("brackets", json!({"metric": "lots", "mode": "marginal", "steps": steps()})),
        ("cap", json!({"per": "period", "amount": "5"})),
        ("cap", json!({"per": "day", "amount": "5"})),
        ("carry", json!({"of": "base"})),
    ] {
        let mut plan =
            json!({"name": "p", "currency": "USD", "rules": [{"id": "lots", "kind": "per_lot", "rate": "5"}]});
        plan["rules"][0][key] = value;
        let plan = lint(&plan).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert!(plan.reaches_beyond_a_person() && !plan.looks_beyond_by_sums(), "{key}");
    }
}
