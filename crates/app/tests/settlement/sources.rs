//! One figure of one account is paid from one source, whichever ways it comes.

use crate::brokers::{PERCENT, TRADING, account, customer, day, deposit, fact, with_email};
use crate::fixture::fixture_with;
use headwater_app::ingest::{FactKey, FactRecord, OnRepeat, Source};
use headwater_domain::fact::{FactBody, MoneyStatus};
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::json;

on_both_stores! {
    a_deposit_by_event_activity_and_transaction_pays_once,
    each_figure_has_a_source_of_its_own,
    each_account_has_a_first_source_of_its_own,
}

async fn a_deposit_by_event_activity_and_transaction_pays_once(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(vec![account(with_email(&fixture, "c1", "client@example.org"))]).await;
    fixture.settle(fixture.deposit()).await;
    fixture.push(vec![fact(deposit("c1", "activity", 250))]).await;
    fixture.send(Source::Forex, vec![fact(deposit("c1", "transaction", 250))]).await;
    fixture.check(&[(Figure::Paid, 25_000_000), (Figure::Commissions, 1)]).await;
    assert_eq!(fixture.held().await, ["second_source", "second_source"]);
    fixture.set("sources", json!({"deposit": "forex"})).await;
    fixture.check(&[(Figure::Paid, 25_000_000)]).await;
    assert_eq!(fixture.held().await, ["second_source", "second_source"]);
    let mut reversed = deposit("c1", "transaction", 250);
    let FactBody::Money { status, .. } = &mut reversed.body else { panic!("a deposit") };
    *status = MoneyStatus::Reversed;
    fixture.send(Source::Forex, vec![fact(FactRecord { on_repeat: OnRepeat::Transaction, ..reversed })]).await;
    fixture.check(&[(Figure::Paid, 0)]).await;
    fixture.set("sources", json!({"deposit": "push"})).await;
    fixture.check(&[(Figure::Paid, 25_000_000)]).await;
    fixture.sound().await;
}

async fn each_figure_has_a_source_of_its_own(store: TestStore) {
    let fixture = fixture_with(store, TRADING).await;
    fixture.push(vec![account(customer(&fixture, "c1")), fact(day("c1", 2, None))]).await;
    fixture.check(&[(Figure::Paid, 10_000_000)]).await;
    // The lots are known from elsewhere; the spread is not.
    fixture.send(Source::Forex, vec![fact(day("c1", 3, Some(40)))]).await;
    fixture.check(&[(Figure::Paid, 30_000_000)]).await;
    assert_eq!(fixture.held().await, ["second_source"]);
    fixture.set("sources", json!({"lots": "forex"})).await;
    fixture.check(&[(Figure::Paid, 35_000_000)]).await;
    fixture.set("sources", json!({"lots": "push", "spread_cost": "pull"})).await;
    fixture.check(&[(Figure::Paid, 10_000_000)]).await;
    fixture.sound().await;
}

async fn each_account_has_a_first_source_of_its_own(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(["c1", "c2"].map(|id| account(customer(&fixture, id))).into()).await;
    fixture.push(vec![fact(deposit("c1", "a", 100))]).await;
    fixture.send(Source::Forex, vec![fact(deposit("c2", "b", 100))]).await;
    fixture.send(Source::Forex, vec![fact(deposit("c1", "c", 100))]).await;
    fixture.push(vec![fact(FactRecord { key: FactKey::None, ..deposit("c2", "", 100) })]).await;
    fixture.check(&[(Figure::Paid, 20_000_000)]).await;
    assert_eq!(fixture.held().await, ["second_source", "second_source"]);
}
