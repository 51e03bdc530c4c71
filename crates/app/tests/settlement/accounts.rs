//! Accounts and the persons behind them: joined before or after their facts, found again by every name, bound anew by
//! hand, and forgotten.

use crate::brokers::{AT, PERCENT, account, customer, deposit, fact, with_email};
use crate::fixture::{Fixture, fixture, fixture_with};
use headwater_app::customer::CustomerStory;
use headwater_app::error::Error;
use headwater_app::ingest::{CustomerRecord, Field, RecordStatus, RecordWarning, Referrer, Source};
use headwater_app::keep::Keep;
use headwater_app::ledger::BalanceFilter;
use headwater_app::partner::PartnerRequest;
use headwater_app::settle::Track;
use headwater_domain::time::Instant;
use headwater_store::backend::{Statement, Tx};
use headwater_store::delivery::{DeliveryRow, delivery_list, delivery_requeue};
use headwater_testkit::count::{Figure, tamper};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::json;

on_both_stores! {
    two_accounts_of_one_email_pay_once,
    accounts_joined_after_their_facts_pay_once,
    joined_persons_are_one_for_events_too,
    joined_persons_count_once_for_all_others,
    the_client_of_an_event_becomes_the_account,
    an_account_takes_in_what_came_by_events,
    a_record_changes_what_it_names,
    the_first_partner_stays,
    a_customer_is_moved_by_hand,
    a_forgotten_person_leaves_its_numbers,
}

const CPA_PAID: (Figure, i64) = (Figure::Paid, 400_000_000);

async fn told_of(fixture: &Fixture, name: &str) -> CustomerStory {
    let id = fixture.app.customer_named(fixture.account, name).await.expect("known");
    fixture.app.customer_read(fixture.account, id).await.expect("reads")
}

async fn two_accounts_of_one_email_pay_once(store: TestStore) {
    let fixture = fixture(store).await;
    let accounts = ["c1", "c2"].map(|id| account(with_email(&fixture, id, "ana@example.org")));
    assert_eq!(fixture.push(accounts.into()).await, [RecordStatus::Created, RecordStatus::Created]);
    fixture.push(vec![fact(deposit("c1", "d1", 300))]).await;
    fixture.push(vec![fact(deposit("c2", "d2", 300))]).await;
    fixture.check(&[CPA_PAID, (Figure::Commissions, 1), (Figure::Persons, 1), (Figure::Customers, 2)]).await;
    assert_eq!(told_of(&fixture, "c2").await.accounts.len(), 2);
}

async fn accounts_joined_after_their_facts_pay_once(store: TestStore) {
    let fixture = fixture(store).await;
    let of = |id: &str| vec![account(customer(&fixture, id)), fact(deposit(id, id, 300))];
    fixture.push([of("c1"), of("c2"), of("c3")].concat()).await;
    fixture.check(&[(Figure::Paid, 1_200_000_000), (Figure::Commissions, 3)]).await;
    let same = |id: &str| account(CustomerRecord { person: Some("human".into()), ..customer(&fixture, id) });
    fixture.push(vec![same("c3")]).await;
    fixture.check(&[(Figure::Paid, 1_200_000_000), (Figure::Commissions, 3)]).await;
    assert_eq!(fixture.push(vec![same("c1"), same("c2")]).await, [RecordStatus::Updated, RecordStatus::Updated]);
    fixture.check(&[CPA_PAID]).await;
    // Priced from what is stored, it is still so.
    fixture.push(vec![fact(deposit("c3", "later", 500))]).await;
    fixture.check(&[CPA_PAID]).await;
    assert_eq!(told_of(&fixture, "c1").await.accounts.len(), 3);
    assert_eq!(fixture.push(vec![same("c1"), same("c2")]).await, [RecordStatus::Unchanged, RecordStatus::Unchanged]);
    fixture.sound().await;
}

async fn joined_persons_are_one_for_events_too(store: TestStore) {
    let fixture = fixture(store).await;
    let event = |email: &str| Track { email_key: Some(email.into()), ..fixture.deposit() };
    fixture.settle(event("ana@example.org")).await;
    fixture.settle(event("ana@work.example")).await;
    fixture.check(&[(Figure::Paid, 800_000_000)]).await;
    let person = Some("human".to_owned());
    for email in ["ana@example.org", "ana@work.example"] {
        let record = CustomerRecord { person: person.clone(), ..with_email(&fixture, "c1", email) };
        fixture.push(vec![account(record)]).await;
    }
    fixture.check(&[CPA_PAID]).await;
    let told = fixture.settle(event("ana@work.example")).await;
    assert_eq!(told["isDuplicate"], true, "{told}");
    fixture.check(&[CPA_PAID]).await;
    let clients: Vec<_> = fixture.events().await.iter().map(|event| event.client).collect();
    assert!(clients.windows(2).all(|pair| pair[0] == pair[1]), "{clients:?}");
    fixture.sound().await;
}

/// 10 % of deposits, 20 % from two depositing persons on; a conversion is a deposit of 100.
const STEPS: &str = r#"{"name":"ib","currency":"USD","qualification":{"min_first_deposit":"100"},"rules":[{"id":"share",
    "kind":"percent","percent":"10","of":["deposit"],"brackets":{"metric":"ftd","scope":"own","mode":"whole",
    "steps":[{"from":"0","rate":"10"},{"from":"2","rate":"20"}]}}]}"#;

async fn joined_persons_count_once_for_all_others(store: TestStore) {
    let fixture = fixture_with(store, STEPS).await;
    let of = |id: &str, email: &str| vec![account(with_email(&fixture, id, email)), fact(deposit(id, id, 100))];
    fixture.push([of("c1", "client@example.org"), of("c2", "other@example.org")].concat()).await;
    fixture.check(&[(Figure::Paid, 40_000_000)]).await;
    let told = fixture.settle(fixture.track("KYC_COMPLETED")).await;
    assert_eq!(told["isConversion"], false, "the deposit was, and no event was told: {told}");
    let same = CustomerRecord { person: Some("human".into()), ..customer(&fixture, "c1") };
    fixture.push(vec![account(same)]).await;
    let same = CustomerRecord { person: Some("human".into()), ..customer(&fixture, "c2") };
    fixture.push(vec![account(same)]).await;
    fixture.check(&[(Figure::Paid, 20_000_000)]).await;
    fixture.sound().await;
}

async fn the_client_of_an_event_becomes_the_account(store: TestStore) {
    let fixture = fixture(store).await;
    fixture.settle(fixture.deposit()).await;
    let record = CustomerRecord {
        country: Field::Set("PT".into()),
        referrer: Referrer::Unsaid,
        ..with_email(&fixture, "c1", "client@example.org")
    };
    assert_eq!(fixture.push(vec![account(record)]).await, [RecordStatus::Created]);
    fixture.check(&[CPA_PAID, (Figure::Persons, 1), (Figure::Customers, 1)]).await;
    let told = told_of(&fixture, "c1").await;
    assert_eq!((told.bindings.len(), told.bindings[0].partner_id), (1, fixture.partner.0));
    assert_eq!(told.accounts[0].country.as_deref(), Some("PT"));
}

async fn an_account_takes_in_what_came_by_events(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(vec![account(CustomerRecord { referrer: Referrer::Unsaid, ..customer(&fixture, "c1") })]).await;
    fixture.settle(fixture.deposit()).await;
    fixture.check(&[(Figure::Paid, 25_000_000), (Figure::Customers, 2)]).await;
    let record = CustomerRecord { referrer: Referrer::Unsaid, ..with_email(&fixture, "c1", "client@example.org") };
    fixture.push(vec![account(record)]).await;
    fixture.check(&[(Figure::Paid, 25_000_000), (Figure::Customers, 1)]).await;
    let told = told_of(&fixture, "c1").await;
    assert_eq!((told.accounts.len(), told.bindings.len()), (1, 1));
    fixture.sound().await;
}

async fn a_record_changes_what_it_names(store: TestStore) {
    let fixture = fixture(store).await;
    let first = CustomerRecord {
        country: Field::Set("PT".into()),
        account_type: Field::Set("ECN".into()),
        revision: Some(10),
        ..customer(&fixture, "c1")
    };
    fixture.push(vec![account(first.clone())]).await;
    let next = CustomerRecord { country: Field::Keep, account_type: Field::Clear, revision: Some(20), ..first.clone() };
    assert_eq!(fixture.push(vec![account(next.clone())]).await, [RecordStatus::Updated]);
    assert_eq!(fixture.push(vec![account(next)]).await, [RecordStatus::Unchanged]);
    assert_eq!(fixture.push(vec![account(first)]).await, [RecordStatus::Stale]);
    let row = told_of(&fixture, "c1").await.accounts.remove(0);
    assert_eq!((row.country.as_deref(), row.account_type), (Some("PT"), None));
}

async fn second_partner(fixture: &Fixture) -> headwater_domain::ids::PartnerId {
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates").id
}

async fn the_first_partner_stays(store: TestStore) {
    let fixture = fixture(store).await;
    let second = second_partner(&fixture).await;
    fixture.push(vec![account(CustomerRecord { referrer: Referrer::Unsaid, ..customer(&fixture, "c1") })]).await;
    fixture.push(vec![account(customer(&fixture, "c1")), fact(deposit("c1", "d1", 300))]).await;
    fixture.check(&[CPA_PAID]).await;
    let other = CustomerRecord { referrer: Referrer::Partner(second, None), ..customer(&fixture, "c1") };
    let told = fixture.send(Source::Push, vec![account(other)]).await;
    assert_eq!(told[0].warnings, [RecordWarning::AttributionLocked]);
    assert_eq!(told[0].status, RecordStatus::Unchanged);
    assert_eq!(told_of(&fixture, "c1").await.bindings.len(), 1);
}

async fn a_customer_is_moved_by_hand(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let second = second_partner(&fixture).await;
    fixture.push(vec![account(customer(&fixture, "c1")), fact(deposit("c1", "d1", 300))]).await;
    let id = fixture.app.customer_named(fixture.account, "c1").await.expect("known");
    let moved = fixture.app.customer_attribute(fixture.account, id, "ib2", Some(AT), " wrong link ").await;
    assert_eq!(moved.expect("moves").bindings[1].reason.as_deref(), Some("wrong link"));
    fixture.app.reprice().await.expect("prices again");
    fixture.check(&[(Figure::Paid, 30_000_000), (Figure::Commissions, 3)]).await;
    let owner = Some(format!("partner:{second}"));
    let balances = fixture
        .app
        .balance_list(fixture.account, BalanceFilter { owner, ..BalanceFilter::default() })
        .await
        .expect("lists");
    assert_eq!(balances.iter().map(|row| row.balance).sum::<i64>(), 30_000_000);
    let nobody = fixture.app.customer_attribute(fixture.account, id, "ib9", None, "x").await;
    assert!(matches!(nobody, Err(Error::Invalid { .. })), "{nobody:?}");
    let silent = fixture.app.customer_attribute(fixture.account, id, "ib2", None, " ").await;
    assert!(matches!(silent, Err(Error::Invalid { .. })), "{silent:?}");
    fixture.sound().await;
}

static ALL_DELIVERED: Statement = Statement::new("UPDATE delivery SET status = 'delivered', finished_at = 1");

/// Newest first.
async fn deliveries_of(fixture: &Fixture) -> Vec<DeliveryRow> {
    let endpoint = fixture.app.directory().endpoints(fixture.account).next().expect("the fixture's").id;
    let account = fixture.account.0;
    let list = async move |tx: &Tx<'_>| delivery_list(tx, account, endpoint, None, i64::MAX, 100).await;
    fixture.store.store.money.read(list).await.expect("lists")
}

async fn a_forgotten_person_leaves_its_numbers(store: TestStore) {
    let fixture = fixture(store).await;
    let attributes = json!({"phone": "123"}).as_object().expect("an object").clone();
    let name = Field::Set("Ana R".to_owned());
    let record = CustomerRecord { attributes, name, ..with_email(&fixture, "c1", "client@example.org") };
    fixture.push(vec![account(record), fact(deposit("c1", "d1", 300))]).await;
    fixture.settle(Track { metadata: Some(r#"{"a":1}"#.into()), ..fixture.track("KYC_COMPLETED") }).await;
    tamper(&fixture.store.store, &ALL_DELIVERED).await;
    fixture.settle(fixture.track("LOGIN")).await;
    let id = fixture.app.customer_named(fixture.account, "c1").await.expect("known");
    let erased = fixture.app.customer_erase(fixture.account, id).await.expect("erases");
    assert_eq!((erased.person.email_key.as_str(), erased.person.name), ("", None));
    assert!(fixture.events().await.iter().all(|event| event.metadata.is_none()));
    fixture.check(&[CPA_PAID]).await;
    // What was sent of it and is done says nothing any more, and is not sent again; what is on its way still goes.
    let deliveries = deliveries_of(&fixture).await;
    let bodies: Vec<_> = deliveries.iter().map(|row| (row.status.as_str(), row.body.is_empty())).collect();
    assert_eq!(bodies, [("pending", false), ("delivered", true)]);
    let (account_id, ended) = (fixture.account.0, deliveries[1].clone());
    let again = async move |tx: &Tx<'_>| delivery_requeue(tx, account_id, ended.endpoint_id, ended.id, 0).await;
    assert!(!fixture.store.store.money.write(again).await.expect("asks"));
    // What comes of the account still finds it; its email is nobody's.
    fixture.push(vec![fact(deposit("c1", "d1", 100))]).await;
    fixture.check(&[(Figure::Paid, 0)]).await;
    fixture.settle(Track { occurred_at: Some(Instant(0)), ..fixture.track("LOGIN") }).await;
    fixture.check(&[(Figure::Persons, 2)]).await;
    fixture.sound().await;
}
