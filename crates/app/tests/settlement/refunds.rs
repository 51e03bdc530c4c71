//! Refunds of sales of other persons: a refund is of its sale, whoever it names and whichever of them came first.

use crate::brokers::{AT, account, customer, fact, with_email};
use crate::fixture::{Fixture, fixture_with};
use headwater_app::commission::CommissionFilter;
use headwater_app::ingest::{FactKey, FactRecord, OnRepeat, RecordStatus, Source};
use headwater_domain::fact::FactBody;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    a_refund_finds_the_sale_of_another_person,
    a_refund_waits_for_the_sale_of_another_person,
    a_refund_follows_its_sale,
    a_refund_follows_its_sale_among_all_persons,
    a_refund_of_another_sale_leaves_the_first,
    a_refund_of_a_joined_person_stays_with_its_sale,
}

const SHARE: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"10","of":["sale"]}]}"#;
const STEPPED: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","of":["sale"],
    "brackets":{"metric":"base","steps":[{"from":"0","rate":"10"}]}}]}"#;

fn record(customer: &str, key: &str, at: Instant, body: FactBody) -> FactRecord {
    FactRecord {
        customer: customer.into(),
        key: FactKey::Own(key.into()),
        revision: None,
        at: Some(at),
        body,
        attributes: serde_json::Map::new(),
        on_repeat: OnRepeat::Replace,
    }
}

pub fn sale(customer: &str, key: &str, dollars: i64) -> FactRecord {
    let (amount, currency) = (Decimal(dollars * 1_000_000), Currency::parse("USD").expect("known"));
    record(customer, key, AT, FactBody::Sale { amount, currency, product: None, billing_period: None })
}

pub fn refund(customer: &str, key: &str, of: &str, dollars: i64) -> FactRecord {
    let (amount, currency) = (Decimal(dollars * 1_000_000), Currency::parse("USD").expect("known"));
    record(customer, key, AT.plus_seconds(86_400), FactBody::Refund { amount, currency, sale: of.into() })
}

async fn with_customers(store: TestStore, plan: &'static str) -> Fixture {
    let fixture = fixture_with(store, plan).await;
    fixture.push(["c1", "c2", "c3"].map(|id| account(customer(&fixture, id))).into()).await;
    fixture
}

/// What all partners were paid, in dollars, and what is held; and the books hold.
async fn check(fixture: &Fixture, dollars: i64, held: &[&str]) {
    fixture.check(&[(Figure::Paid, dollars * 1_000_000)]).await;
    assert_eq!(fixture.held().await, held);
    fixture.sound().await;
}

async fn a_refund_finds_the_sale_of_another_person(store: TestStore) {
    let fixture = with_customers(store, SHARE).await;
    fixture.push(vec![fact(sale("c1", "s1", 100))]).await;
    assert_eq!(fixture.push(vec![fact(refund("c2", "r1", "s1", 40))]).await, [RecordStatus::Created]);
    check(&fixture, 6, &[]).await;
    assert_eq!(fixture.push(vec![fact(refund("c2", "r1", "s1", 40))]).await, [RecordStatus::Unchanged]);
    // By another way, and above what is left.
    fixture.send(Source::Forex, vec![fact(refund("c3", "r2", "s1", 70))]).await;
    check(&fixture, 6, &["over_refund"]).await;
    assert_eq!(fixture.push(vec![fact(refund("c2", "r1", "s1", 10))]).await, [RecordStatus::Updated]);
    check(&fixture, 2, &[]).await;
    let posted = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 10).await.expect("lists");
    let explained = fixture.app.fact_explain(fixture.account, headwater_domain::ids::FactId(posted[0].fact_id)).await;
    let reasons: Vec<_> = explained.expect("explains").rules.into_iter().map(|rule| rule.reason).collect();
    assert_eq!(reasons, ["counted"], "a refund is explained by its sale");
}

async fn a_refund_waits_for_the_sale_of_another_person(store: TestStore) {
    let fixture = with_customers(store, SHARE).await;
    fixture.push(vec![fact(refund("c2", "r1", "s1", 40)), fact(refund("c3", "r2", "s1", 20))]).await;
    check(&fixture, 0, &["unknown_sale", "unknown_sale"]).await;
    fixture.push(vec![fact(sale("c1", "s1", 100))]).await;
    check(&fixture, 4, &[]).await;
}

async fn a_refund_follows_its_sale(store: TestStore) {
    follows_its_sale(store, SHARE).await;
}

async fn a_refund_follows_its_sale_among_all_persons(store: TestStore) {
    follows_its_sale(store, STEPPED).await;
}

async fn follows_its_sale(store: TestStore, plan: &'static str) {
    let fixture = with_customers(store, plan).await;
    fixture.push(vec![fact(sale("c1", "s1", 100)), fact(refund("c1", "r1", "s1", 40))]).await;
    check(&fixture, 6, &[]).await;
    for owner in ["c2", "c3", "c1", "c3"] {
        assert_eq!(fixture.push(vec![fact(sale(owner, "s1", 100))]).await, [RecordStatus::Updated]);
        check(&fixture, 6, &[]).await;
    }
    // What is priced later from what is stored is the same.
    fixture.push(vec![fact(sale("c1", "s2", 10)), fact(sale("c2", "s3", 10)), fact(sale("c3", "s4", 10))]).await;
    check(&fixture, 9, &[]).await;
    fixture.push(vec![fact(sale("c2", "s1", 200)), fact(refund("c1", "r1", "s1", 90))]).await;
    check(&fixture, 14, &[]).await;
}

async fn a_refund_of_another_sale_leaves_the_first(store: TestStore) {
    let fixture = with_customers(store, SHARE).await;
    fixture.push(vec![fact(sale("c1", "s1", 100)), fact(sale("c2", "s2", 100))]).await;
    fixture.push(vec![fact(refund("c3", "r1", "s1", 50))]).await;
    check(&fixture, 15, &[]).await;
    fixture.push(vec![fact(refund("c3", "r1", "s2", 30))]).await;
    check(&fixture, 17, &[]).await;
    fixture.push(vec![fact(refund("c3", "r1", "nothing", 30))]).await;
    check(&fixture, 20, &["unknown_sale"]).await;
}

async fn a_refund_of_a_joined_person_stays_with_its_sale(store: TestStore) {
    let fixture = with_customers(store, SHARE).await;
    fixture.push(vec![fact(sale("c1", "s1", 100)), fact(refund("c2", "r1", "s1", 50))]).await;
    let joined = ["c2", "c3"].map(|id| account(with_email(&fixture, id, "ana@example.org")));
    fixture.push(joined.into()).await;
    check(&fixture, 5, &[]).await;
    fixture.push(vec![fact(sale("c3", "s1", 100)), account(with_email(&fixture, "c1", "ana@example.org"))]).await;
    check(&fixture, 5, &[]).await;
}
