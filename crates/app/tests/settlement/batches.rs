//! Batches of people that go on where they were cut short: what their first run did stands, and is done once.

use crate::brokers::{PERCENT, account, customer, deposit, fact};
use crate::fixture::{CPA, Fixture, NOW, fixture_with};
use crate::refunds::sale;
use headwater_app::commission::CommissionFilter;
use headwater_app::ledger::BalanceFilter;
use headwater_app::partner::PartnerRequest;
use headwater_app::{keep::Keep, webhook::WebhookChange};
use headwater_domain::ids::{CustomerId, MembershipId, PartnerId};
use headwater_domain::postback::rewards_event;
use headwater_domain::time::Instant;
use headwater_store::backend::Statement;
use headwater_store::batch_process::{BatchRow, NewItem, batch_insert};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};

on_both_stores! {
    a_referral_is_deleted_once,
    a_referral_is_moved_once,
    a_batch_is_over_when_what_it_moved_is_priced,
    what_a_move_takes_back_is_of_the_sales_that_it_was_for,
    who_was_never_there_is_not_deleted,
}

static TOLD: Statement = Statement::new("SELECT event_type, body FROM delivery WHERE body LIKE '%entity_type%'");

/// A fixture whose account has a webhook for every event type, and its client.
async fn with_client(store: TestStore) -> (Fixture, CustomerId) {
    let fixture = fixture_with(store, CPA).await;
    let change = WebhookChange {
        url: Some("https://crm.broker.example/rewards".into()),
        event_types: Some(rewards_event::names()),
        ..WebhookChange::default()
    };
    fixture.app.webhook_create(fixture.account, change, Keep::nothing()).await.expect("a webhook");
    fixture.settle(fixture.deposit()).await;
    let event = fixture.events().await.remove(0);
    (fixture, CustomerId(event.client.expect("a client").0))
}

/// A batch asked for at [`NOW`] whose process was gone before an item was marked as done; gives what could not be done.
async fn goes_on(fixture: &Fixture, action: &str, parameters: &Value, object: i64) -> Vec<(i64, String)> {
    let row = BatchRow {
        id: fixture.app.next_id(fixture.app.clock.now()),
        account_id: fixture.account.0,
        action: action.into(),
        parameters: parameters.to_string(),
        actor: "key:1".into(),
        status: "in_progress".into(),
        total: 1,
        processed: 0,
        failed: 0,
        created_at: NOW.0,
        updated_at: NOW.0,
        finished_at: None,
    };
    let id = row.id;
    let items = [NewItem { number: 0, object_id: object }];
    let insert =
        async move |tx: &headwater_store::backend::Tx<'_>| batch_insert(tx, &row, Some(("gone", NOW.0)), &items).await;
    fixture.app.store.money.write(insert).await.expect("writes");
    fixture.app.clock.advance_seconds(60);
    for _ in 0..500 {
        fixture.app.batches_run().await.expect("runs");
        let story = fixture.app.batch_read(fixture.account, id).await.expect("there");
        if story.batch.finished_at.is_some() {
            return story.errors;
        }
        // The background task of the application holds the lease.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the batch does not end");
}

/// How often webhooks were told of this.
async fn told(fixture: &Fixture, name: &str) -> usize {
    let rows = fixture.app.store.money.read(async |tx| tx.all::<(String, String)>(&TOLD, &[]).await).await;
    rows.expect("the store answers").iter().filter(|(told, _)| told == name).count()
}

async fn a_referral_is_deleted_once(store: TestStore) {
    let (fixture, client) = with_client(store).await;
    for _ in 0..2 {
        assert_eq!(goes_on(&fixture, "referral/delete", &json!({}), client.0).await, []);
    }
    assert!(fixture.app.referral_read(fixture.account, client).await.is_err());
    assert_eq!(told(&fixture, "referral.deleted").await, 1);
}

async fn who_was_never_there_is_not_deleted(store: TestStore) {
    let (fixture, _) = with_client(store).await;
    assert_eq!(goes_on(&fixture, "referral/delete", &json!({}), 7).await, [(7, "referral not found".to_owned())]);
}

/// Another partner, and its membership.
async fn second_member(fixture: &Fixture) -> (PartnerId, MembershipId) {
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    let second = fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates").id;
    let (account, program) = (fixture.account.0, fixture.program.0);
    let member = async move |tx: &headwater_store::backend::Tx<'_>| {
        headwater_store::membership::membership_ensure(tx, account, program, second.0, 0).await
    };
    fixture.app.store.money.write(member).await.expect("a member");
    fixture.app.refresh().await.expect("refreshes");
    (second, fixture.app.directory().membership_in(fixture.program, second).expect("a member").id)
}

async fn a_referral_is_moved_once(store: TestStore) {
    let (fixture, client) = with_client(store).await;
    let (_, to) = second_member(&fixture).await;
    for _ in 0..2 {
        let parameters = json!({"promoter_campaign_id": to.0});
        assert_eq!(goes_on(&fixture, "referral/move_to_promoter", &parameters, client.0).await, []);
    }
    let bindings = fixture.app.customer_read(fixture.account, client).await.expect("there").bindings;
    let by_hand: Vec<Instant> =
        bindings.iter().filter(|row| row.evidence == "operator").map(|row| Instant(row.from_at)).collect();
    assert_eq!(by_hand, [NOW], "it is from when the batch was asked for, however late it is done");
    assert_eq!(told(&fixture, "referral.moved").await, 1);
}

async fn what_a_move_takes_back_is_of_the_sales_that_it_was_for(store: TestStore) {
    const POINTS: &str = r#"{"name":"ib","currency":"USD","rules":[
        {"id":"points","kind":"flat","unit":"points","amount":"250","sales":{"max_redemptions":9}}]}"#;
    let fixture = fixture_with(store, POINTS).await;
    let sales = [sale("c1", "s1", 10), sale("c1", "s2", 20)].map(fact);
    fixture.push([vec![account(customer(&fixture, "c1"))], sales.into()].concat()).await;
    let client = fixture.app.customer_named(fixture.account, "c1").await.expect("known");
    let (_, to) = second_member(&fixture).await;
    let parameters = json!({"promoter_campaign_id": to.0, "move_associated_commissions": true});
    assert_eq!(goes_on(&fixture, "referral/move_to_promoter", &parameters, client.0).await, []);
    let rows = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 100).await.expect("lists");
    let taken_back: Vec<_> = rows.iter().filter(|row| row.amount < 0).collect();
    assert_eq!((rows.len(), taken_back.len()), (6, 2), "two earned, taken back, and earned by the other");
    for row in taken_back {
        let earned = rows.iter().find(|other| Some(other.id) == row.corrects).expect("it corrects one");
        assert_eq!((row.fact_id, row.payable_at), (earned.fact_id, earned.payable_at));
    }
    fixture.sound().await;
}

async fn a_batch_is_over_when_what_it_moved_is_priced(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(vec![account(customer(&fixture, "c1")), fact(deposit("c1", "d1", 300))]).await;
    let client = fixture.app.customer_named(fixture.account, "c1").await.expect("known");
    let (second, to) = second_member(&fixture).await;
    let paid_to = async |partner: PartnerId| {
        let owner = Some(format!("partner:{partner}"));
        let filter = BalanceFilter { owner, ..BalanceFilter::default() };
        let balances = fixture.app.balance_list(fixture.account, filter).await.expect("lists");
        balances.iter().map(|row| row.balance).sum::<i64>()
    };
    assert_eq!((paid_to(fixture.partner).await, paid_to(second).await), (30_000_000, 0));
    let parameters = json!({"promoter_campaign_id": to.0, "move_associated_commissions": true});
    let first = fixture.app.directory().membership_in(fixture.program, fixture.partner).map(|member| member.id);
    let back = json!({"promoter_campaign_id": first.expect("a member").0, "move_associated_commissions": true});
    // Nothing prices in the background here. Cut short after the move, it prices what is still to be priced.
    assert_eq!(goes_on(&fixture, "referral/move_to_promoter", &parameters, client.0).await, []);
    assert_eq!((paid_to(fixture.partner).await, paid_to(second).await), (0, 30_000_000));
    let membership = fixture.app.membership_read(fixture.account, first.expect("a member")).expect("there");
    fixture.app.referral_move(fixture.account, client, &membership, true, NOW).await.expect("moves");
    assert_eq!(paid_to(second).await, 30_000_000, "not priced yet");
    assert_eq!(goes_on(&fixture, "referral/move_to_promoter", &back, client.0).await, []);
    assert_eq!((paid_to(fixture.partner).await, paid_to(second).await), (30_000_000, 0));
    fixture.sound().await;
}
