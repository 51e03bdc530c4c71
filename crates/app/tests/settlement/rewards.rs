//! Rewards that a settlement posts: they have payouts at once where they are approved, and each step is told.

use crate::fixture::{Fixture, fixture_with};
use headwater_app::commission::shown::{ShownFilter, ShownOrder};
use headwater_app::history::History;
use headwater_app::keep::Keep;
use headwater_app::payout::PayoutFilter;
use headwater_app::webhook::WebhookChange;
use headwater_domain::ids::ProgramId;
use headwater_domain::postback::rewards_event;
use headwater_store::backend::Statement;
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};

on_both_stores! {
    an_auto_approved_reward_is_told_as_pending_first_and_has_a_payout,
    a_reward_that_waits_has_no_payout,
    another_programs_webhook_hears_nothing,
}

const REWARDS: &str = r#"{"name":"ib","currency":"USD","rules":[
    {"id":"points","kind":"flat","unit":"points","amount":"250","on":"SUBSCRIPTION","once_per":"event"},
    {"id":"months","kind":"flat","unit":"free_months","amount":"1","on":"SUBSCRIPTION","once_per":"event","pays":"customer"},
    {"id":"cash","kind":"flat","amount":"10","on":"SUBSCRIPTION","once_per":"event"}]}"#;
static TOLD: Statement = Statement::new("SELECT event_type, body FROM delivery WHERE event_id IS NULL ORDER BY id");

pub async fn webhook(fixture: &Fixture, programs: Vec<ProgramId>) {
    let change = WebhookChange {
        url: Some("https://crm.broker.example/rewards".into()),
        // Balances change with nearly everything, and are told of in a test of their own (`rewards_told`).
        event_types: Some(
            rewards_event::names().into_iter().filter(|name| name != "promoter.balance.updated").collect(),
        ),
        programs: Some(programs),
        ..WebhookChange::default()
    };
    fixture.app.webhook_create(fixture.account, change, Keep::nothing()).await.expect("a webhook");
}

async fn told(fixture: &Fixture) -> Vec<(String, Value)> {
    let rows = fixture.app.store.money.read(async |tx| tx.all::<(String, String)>(&TOLD, &[]).await).await;
    let rows = rows.expect("the store answers").into_iter();
    rows.map(|(name, body)| (name, serde_json::from_str(&body).expect("JSON"))).collect()
}

async fn holds(fixture: &Fixture) {
    assert_eq!(count(&fixture.app.store, Figure::Unbalanced).await, 0);
    assert_eq!(count(&fixture.app.store, Figure::Balance).await, 0);
    let verdict = History::read(fixture.app.store.clone()).await.expect("reads").verify().await.expect("verifies");
    assert_eq!(verdict.difference, None);
}

async fn an_auto_approved_reward_is_told_as_pending_first_and_has_a_payout(store: TestStore) {
    let fixture = fixture_with(store, REWARDS).await;
    webhook(&fixture, vec![fixture.program]).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    let shown =
        fixture.app.commissions_shown(fixture.account, ShownFilter::default(), (ShownOrder::CreatedAt, false), 1, 20);
    let shown = shown.await.expect("lists");
    assert_eq!(shown.total, 3);
    let rows: Vec<Value> =
        shown.rows.iter().map(headwater_domain::postback::entity::CommissionEntity::to_json).collect();
    let of = |unit: &str| rows.iter().find(|row| row["unit"] == unit).expect("one of each").clone();
    assert!(of("cash")["payout_id"].is_null(), "money waits for a run");
    for (unit, recipient) in [("points", "promoter"), ("free_months", "referral")] {
        let row = of(unit);
        assert_eq!((&row["status"], &row["recipient"]["type"]), (&json!("approved"), &json!(recipient)));
        assert_eq!(row["promoter_id"], fixture.partner.0, "who brought the customer stays named");
        assert_eq!(row["referral"]["email"], "client@example.org");
        let steps: Vec<(String, Value, Value)> = told(&fixture)
            .await
            .into_iter()
            .filter(|(_, body)| body["entity_type"] == "commission" && body["entity_id"] == row["id"])
            .map(|(name, body)| (name, body["changes"].clone(), body["data"]["status"].clone()))
            .collect();
        let approved = json!({"status": ["pending", "approved"]});
        let expected = [
            ("commission.created", json!({}), "pending"),
            ("commission.pending", json!({"status": [null, "pending"]}), "pending"),
            ("commission.updated", approved.clone(), "approved"),
            ("commission.approved", approved, "approved"),
        ];
        assert_eq!(steps, expected.map(|(name, changes, status)| (name.to_owned(), changes, json!(status))));
        let payout = told(&fixture)
            .await
            .into_iter()
            .find(|(name, body)| name == "payout.created" && body["data"]["commission_ids"] == json!([row["id"]]));
        let (_, payout) = payout.expect("each has a payout of its own");
        assert_eq!((&payout["data"]["promoter_id"], &payout["data"]["unit"]), (&row["promoter_id"], &row["unit"]));
        assert_eq!(payout["entity_id"], row["payout_id"]);
    }
    holds(&fixture).await;
}

async fn a_reward_that_waits_has_no_payout(store: TestStore) {
    let fixture = fixture_with(
        store,
        r#"{"name":"ib","currency":"USD","auto_approve":false,"rules":[
        {"id":"points","kind":"flat","unit":"points","amount":"250","on":"SUBSCRIPTION","once_per":"event"}]}"#,
    )
    .await;
    webhook(&fixture, Vec::new()).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    let names: Vec<String> = told(&fixture).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["referral.created", "commission.created", "commission.pending"]);
    assert!(fixture.app.payout_list(fixture.account, PayoutFilter::default(), 9).await.expect("lists").is_empty());
    holds(&fixture).await;
}

async fn another_programs_webhook_hears_nothing(store: TestStore) {
    let fixture = fixture_with(store, REWARDS).await;
    let other = headwater_domain::ids::AccountId(fixture.account.0);
    let second = async move |tx: &headwater_store::backend::Tx<'_>| {
        headwater_store::tenant::program_insert(tx, other.0, "q", "https://www.other.example", "{}", 0).await
    };
    let second = fixture.app.store.money.write(second).await.expect("a program");
    fixture.app.refresh().await.expect("refreshes");
    webhook(&fixture, vec![ProgramId(second)]).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    assert!(told(&fixture).await.is_empty());
    assert_eq!(fixture.app.payout_list(fixture.account, PayoutFilter::default(), 9).await.expect("lists").len(), 2);
}
