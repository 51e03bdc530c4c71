//! Rules of sales: whom a plan with them must know, and what is said of a sale, rewarded or not. What they pay is in the cases.

use headwater_domain::commission::{
    Binding, CustomerView, ExchangeRates, PartnerTerms, PersonView, PlanVersion, Terms, evaluate, full_explanation,
    lint, postings, verdicts,
};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CustomerId, FactId, PartnerId, PersonId};
use headwater_domain::time::Instant;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2025-01-06T00:00:00Z.
const DAY: Instant = Instant::from_seconds(1_736_121_600);

fn plan(sales: &Value) -> Value {
    json!({"name": "p", "currency": "USD", "rules": [
        {"id": "s", "kind": "percent", "percent": "10", "of": ["sale"], "sales": sales}]})
}

fn with_terms<R>(sales: &Value, run: impl FnOnce(&Terms<'_>) -> R) -> R {
    let plan = lint(&plan(sales)).expect("clean");
    let version = PlanVersion { name: "p".into(), version: 1, from: Instant(i64::MIN), plan };
    let terms = PartnerTerms { plans: vec![Arc::new(version)], ..PartnerTerms::default() };
    let partners = BTreeMap::from([(PartnerId(1), terms)]);
    run(&Terms { partners: &partners, exchange: &ExchangeRates::default(), closed_before: None })
}

/// A person, bound to the partner from the seventh second on, with these facts a second apart.
fn person(bodies: &[(&str, Value)]) -> PersonView {
    let account = CustomerView {
        customer: CustomerId(1),
        registered_at: Instant(0),
        country: None,
        account_type: None,
        campaign: None,
        link: None,
        bindings: vec![Binding::new(DAY.plus_seconds(7), PartnerId(1))],
    };
    let fact = |(number, (type_name, body)): (i64, &(&str, Value))| Fact {
        id: FactId(number),
        key: number.to_string(),
        revision: None,
        customer: CustomerId(1),
        at: DAY.plus_seconds(number + 10),
        body: FactBody::from_json(type_name, body).expect("well formed"),
    };
    let facts = (1..).zip(bodies).map(fact).collect();
    PersonView { person: PersonId(1), customers: vec![account], facts }
}

fn sale(product: &str) -> (&'static str, Value) {
    ("sale", json!({"amount": "100", "currency": "USD", "product": product}))
}

fn refund(sale: &str) -> (&'static str, Value) {
    ("refund", json!({"amount": "100", "currency": "USD", "sale": sale}))
}

fn verdict(sales: &Value, person: &PersonView, fact: i64) -> (String, String) {
    with_terms(sales, |terms| {
        let mut found = verdicts(std::slice::from_ref(person), terms, FactId(fact));
        let verdict = found.pop().expect("the rule is asked");
        (verdict.reason, verdict.detail)
    })
}

#[test]
fn what_follows_the_partners_sales_needs_everybody_and_no_sums() {
    for (metric, is_wide) in [
        ("customer_sales_count", false),
        ("customer_age_in_months", false),
        ("partner_customers_count", true),
        ("partner_revenue", true),
    ] {
        let sales = json!({"conditions": [{"metric": metric, "is": "at_least", "value": "2"}]});
        let plan = lint(&plan(&sales)).expect("clean");
        assert_eq!(plan.reaches_beyond_a_person(), is_wide, "{metric}");
        assert_eq!(plan.looks_beyond_by_sums(), !is_wide, "{metric}");
        assert!(plan.looks_back_over_sales(), "{metric}");
    }
}

#[test]
fn a_sale_that_pays_nothing_says_which_condition_kept_it_out() {
    let two = [sale("pro"), sale("basic")];
    let is =
        |metric: &str, is: &str, value: &str| json!({"conditions": [{"metric": metric, "is": is, "value": value}]});
    for (sales, facts, detail) in [
        (json!({"max_redemptions": 1}), &two[..], "max_redemptions is 2, not at most 1"),
        (json!({"product": ["pro", "team"]}), &two, "sales.product: basic is not among pro, team"),
        (json!({"billing_period": ["monthly"]}), &two, "sales.billing_period: unknown is not among monthly"),
        (is("customer_sales_count", "multiple_of", "3"), &two, "customer_sales_count is 2, not multiple of 3"),
        (is("customer_age_in_months", "at_least", "12"), &two, "customer_age_in_months is 0, not at least 12"),
        (is("partner_customers_count", "more_than", "1"), &two, "partner_customers_count is 1, not more than 1"),
        (is("partner_revenue", "less_than", "200"), &two, "partner_revenue is 200, not less than 200"),
        (json!({}), &[sale("pro"), sale("pro"), refund("2")], "nothing is left of the sale"),
    ] {
        let (reason, said) = verdict(&sales, &person(facts), 2);
        assert!(reason == "sales" && said.contains(detail), "{sales}: {reason}: {said}");
    }
    assert_eq!(verdict(&json!({"max_redemptions": 1}), &person(&two), 1).0, "counted");
    let event = [("event", json!({"event": "SALE"}))];
    assert_eq!(verdict(&json!({}), &person(&event), 1).0, "fact_type");
}

#[test]
fn who_had_bought_before_the_partner_had_it_is_not_new_to_it() {
    let asked = json!({"new_customers_only": true});
    let mut person = person(&[sale("pro"), sale("pro")]);
    assert_eq!(verdict(&asked, &person, 2).0, "counted");
    // The same partner again without a break: it had the customer all the time.
    person.customers[0].bindings.push(Binding::new(DAY.plus_seconds(12), PartnerId(1)));
    assert_eq!(verdict(&asked, &person, 2).0, "counted");
    person.facts[0].at = DAY;
    let (reason, said) = verdict(&asked, &person, 2);
    assert!(reason == "sales" && said.contains("bought before it was referred: 2025-01-06T00:00:00Z"), "{said}");
}

#[test]
fn what_was_bought_in_another_program_is_nobodys_and_counts() {
    let mut person = person(&[sale("pro"), sale("pro"), sale("pro")]);
    let at = |number: i64| DAY.plus_seconds(number + 10);
    let came = |since: i64| Binding { referred_at: Some(at(since)), ..Binding::new(at(3), PartnerId(1)) };
    person.customers[0].bindings = vec![came(0)];
    for (sales, detail) in [
        (json!({"max_redemptions": 2}), "max_redemptions is 3, not at most 2"),
        (json!({"conditions": [{"metric": "customer_sales_count", "is": "at_most", "value": "2"}]}), "_count is 3"),
    ] {
        let (reason, said) = verdict(&sales, &person, 3);
        assert!(reason == "sales" && said.contains(detail), "{sales}: {reason}: {said}");
    }
    let asked = json!({"new_customers_only": true});
    assert_eq!(verdict(&asked, &person, 3).0, "counted", "it was new where it was referred");
    person.customers[0].bindings = vec![came(2)];
    assert_eq!(verdict(&asked, &person, 3).0, "sales", "it was not");
    with_terms(&json!({}), |terms| {
        let persons = [person.clone()];
        let evaluation = evaluate(&persons, terms);
        assert!(evaluation.held.is_empty(), "nobody waits for what is paid elsewhere");
        assert_eq!(postings(&evaluation, &BTreeMap::new(), &[]).len(), 1);
    });
    // Here for the first, away for the second, back for the third.
    let left = Binding { until: Some(at(2)), ..Binding::new(at(0), PartnerId(1)) };
    person.customers[0].bindings = vec![left, came(0)];
    let is_away: Vec<bool> = (0..4).map(|number| person.customers[0].is_away_at(at(number))).collect();
    assert_eq!(is_away, [false, false, true, false]);
    with_terms(&json!({}), |terms| {
        let persons = [person.clone()];
        let evaluation = evaluate(&persons, terms);
        let posted = postings(&evaluation, &BTreeMap::new(), &[]);
        let sum: i64 = posted.iter().map(|posting| posting.amount.0).sum();
        assert_eq!(sum, 20_000_000, "the first and the third");
    });
    // Gone for good: what comes after it is held, so that somebody sees it.
    person.customers[0].bindings.truncate(1);
    with_terms(&json!({}), |terms| {
        let persons = [person.clone()];
        assert_eq!(evaluate(&persons, terms).held.len(), 2);
    });
}

#[test]
fn a_commission_shows_what_let_its_sale_through() {
    let sales = json!({"max_redemptions": 2, "within_months": 12,
        "conditions": [{"metric": "customer_sales_count", "is": "more_than", "value": "1"},
            {"metric": "partner_revenue", "is": "at_least", "value": "150.50", "join": "and"}]});
    let person = [person(&[sale("pro"), sale("pro")])];
    let told = with_terms(&sales, |terms| {
        let evaluation = evaluate(&person, terms);
        let mut all = postings(&evaluation, &BTreeMap::new(), &[]);
        full_explanation(&all.pop().expect("it pays").explanation())
    });
    let state = |name: &str, is: &str, needed: &str, value: &str| json!({"name": name, "is": is, "needed": needed, "value": value, "is_met": true});
    let expected = json!([
        state("within_months", "less_than", "12", "0"),
        state("customer_sales_count", "more_than", "1", "2"),
        state("partner_revenue", "at_least", "150.5", "200"),
        state("max_redemptions", "at_most", "2", "1"),
    ]);
    assert_eq!(told["inputs"][0]["sales"], expected, "{told:#}");
    assert_eq!(told["inputs"].as_array().map(Vec::len), Some(1), "{told:#}");
}
