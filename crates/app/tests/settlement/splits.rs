//! Who shares what a customer's partner earns: said later it changes what follows, and it goes along when the customer is
//! joined with an account; simulations and the check of the books know it.

use crate::brokers::{PERCENT, account, customer, deposit, fact, with_email};
use crate::fixture::{Fixture, NOW, fixture_with};
use headwater_app::history::History;
use headwater_app::ingest::{CustomerRecord, Referrer};
use headwater_app::keep::Keep;
use headwater_app::ledger::BalanceFilter;
use headwater_app::partner::PartnerRequest;
use headwater_app::referral::Named;
use headwater_app::simulate::SimulationRequest;
use headwater_domain::commission::{SplitPart, lint};
use headwater_domain::ids::{CustomerId, PartnerId};
use headwater_domain::money::Decimal;
use headwater_domain::time::{Instant, Zone};
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use std::sync::Arc;

on_both_stores! {
    a_split_is_posted_anew_from_its_moment_on,
    an_account_takes_in_the_split_of_what_came_by_events,
    two_persons_that_are_one_keep_their_splits,
}

async fn second_partner(fixture: &Fixture) -> PartnerId {
    let asked = PartnerRequest { name: Some("Second".into()), ..PartnerRequest::default() };
    fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates").id
}

fn share(partner: PartnerId, percent: i64) -> Vec<SplitPart> {
    vec![SplitPart { partner, percent: Decimal(percent * 1_000_000) }]
}

async fn paid_to(fixture: &Fixture, partner: PartnerId) -> i64 {
    let owner = Some(format!("partner:{partner}"));
    let balances = fixture.app.balance_list(fixture.account, BalanceFilter { owner, ..BalanceFilter::default() });
    balances.await.expect("lists").iter().map(|row| row.balance).sum()
}

async fn named(fixture: &Fixture, id: &str) -> CustomerId {
    fixture.app.customer_named(fixture.account, id).await.expect("known")
}

/// What the same plan as a draft makes of the same facts, by partner: nothing else.
async fn simulated_alike(fixture: &Fixture) {
    let history = Arc::new(History::read(fixture.store.store.clone()).await.expect("reads"));
    let plan = lint(&serde_json::from_str(PERCENT).expect("JSON")).expect("clean");
    let day = |after: i64| Zone::UTC.day_of(NOW.plus_seconds(after * 86_400));
    let asked =
        SimulationRequest { account: fixture.account, program: fixture.program, plan, from: day(-1000), to: day(1000) };
    let found = history.simulate(asked).await.expect("simulates");
    assert!(found.partners.len() == 2 && found.partners.values().all(|one| one.posted == one.simulated), "{found:?}");
}

async fn a_split_is_posted_anew_from_its_moment_on(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let second = second_partner(&fixture).await;
    fixture.push(vec![account(customer(&fixture, "c1")), fact(deposit("c1", "d1", 300))]).await;
    let c1 = named(&fixture, "c1").await;
    let split = |parts, at| fixture.app.customer_split(fixture.account, c1, parts, at);
    split(share(second, 40), None).await.expect("is said");
    fixture.app.reprice().await.expect("prices again");
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), (30_000_000, 0));
    split(share(second, 40), Some(Instant(0))).await.expect("is said");
    fixture.app.reprice().await.expect("prices again");
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), (18_000_000, 12_000_000));
    simulated_alike(&fixture).await;
    split(Vec::new(), Some(Instant(0))).await.expect("is said");
    fixture.app.reprice().await.expect("prices again");
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), (30_000_000, 0));
    let refused = split(share(fixture.partner, 40), None).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("remainder")));
    fixture.sound().await;
}

async fn an_account_takes_in_the_split_of_what_came_by_events(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let second = second_partner(&fixture).await;
    fixture.settle(fixture.deposit()).await;
    let who = Named::new(Some("client@example.org"), None);
    let client = fixture.app.referral_named(fixture.account, None, &who).await.expect("reads").expect("known");
    let read = fixture.app.customer_read(fixture.account, client.id()).await.expect("reads");
    let bound = Some(Instant(read.bindings[0].from_at));
    fixture.app.customer_split(fixture.account, client.id(), share(second, 40), bound).await.expect("is said");
    fixture.app.reprice().await.expect("prices again");
    let both = (15_000_000, 10_000_000);
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), both);
    let record = CustomerRecord { referrer: Referrer::Unsaid, ..with_email(&fixture, "c1", "client@example.org") };
    fixture.push(vec![account(record)]).await;
    fixture.check(&[(Figure::Customers, 1), (Figure::Paid, 25_000_000)]).await;
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), both);
    let c1 = fixture.app.referral_read(fixture.account, named(&fixture, "c1").await).await.expect("reads");
    assert_eq!(c1.split_details(&fixture.app)[0]["percentage"], 40);
    fixture.sound().await;
}

async fn two_persons_that_are_one_keep_their_splits(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let second = second_partner(&fixture).await;
    let shared = CustomerRecord { split: share(second, 50), ..customer(&fixture, "c1") };
    fixture.push(vec![account(shared), account(customer(&fixture, "c2"))]).await;
    fixture.push(vec![fact(deposit("c1", "d1", 100)), fact(deposit("c2", "d2", 100))]).await;
    let both = (15_000_000, 5_000_000);
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), both);
    for id in ["c1", "c2"] {
        let same = CustomerRecord { person: Some("human".into()), ..customer(&fixture, id) };
        fixture.push(vec![account(same)]).await;
    }
    fixture.check(&[(Figure::Paid, 20_000_000)]).await;
    fixture.push(vec![fact(deposit("c1", "d3", 100))]).await;
    let both = (20_000_000, 10_000_000);
    assert_eq!((paid_to(&fixture, fixture.partner).await, paid_to(&fixture, second).await), both);
    simulated_alike(&fixture).await;
    fixture.sound().await;
}
