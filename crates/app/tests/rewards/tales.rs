//! One reward from posting to fulfilment and back, and what is refused on the way.

use crate::books::{ONE, Posting};
use crate::story::{act, heard, holds, names_after, points, refused, told};
use headwater_app::batch::BatchAction;
use headwater_app::commission::Verdict;
use headwater_app::payout::PayoutFilter;
use headwater_app::payout::shown::{PayoutOrder, PayoutShownFilter};
use headwater_domain::ids::{CommissionId, CustomerId};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_stores! {
    an_approved_reward_is_fulfilled_and_taken_back,
    a_reward_of_a_customer_names_its_recipient,
    what_is_not_an_approved_reward_is_not_fulfilled,
    a_decision_can_be_turned_while_nothing_was_paid,
    a_refunded_reward_is_taken_back_by_its_receiver,
    a_deleted_commission_is_out_of_sight_and_of_the_ledger,
    another_account_moves_nothing,
    notes_are_kept_and_told,
}

fn approve() -> BatchAction {
    BatchAction::CommissionApprove
}

async fn an_approved_reward_is_fulfilled_and_taken_back(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(points(&books)).await;
    let ended = act(&books, approve(), &[id, id]).await;
    assert_eq!((ended.batch.status.as_str(), ended.batch.total, ended.progress()), ("completed", 1, 100));
    let shown = books.app.commission_shown(books.account, CommissionId(id)).await.expect("there").to_json();
    let payout = shown["payout_id"].as_i64().expect("a payout at once");
    assert_eq!(
        (&shown["status"], &shown["amount"], &shown["is_fulfilled"]),
        (&json!("approved"), &json!(250), &json!(false))
    );
    let names = names_after(&books, 0).await;
    let expected = [
        "commission.updated",
        "commission.approved",
        "payout.created",
        "payout.pending",
        "payout.commissions.created",
        "payout.commissions.added",
    ];
    assert_eq!(names, expected);
    for action in [BatchAction::CommissionMarkFulfilled, BatchAction::CommissionMarkFulfilled] {
        assert!(refused(&books, action, &[id]).await.is_empty(), "a repetition succeeds");
    }
    assert_eq!(names_after(&books, expected.len()).await, ["payout.updated", "payout.completed"], "and is told once");
    let (_, body) = told(&books).await.swap_remove(expected.len());
    assert_eq!(body["changes"], json!({"status": ["pending", "completed"]}));
    assert_eq!((&body["entity_id"], &body["data"]["status"]), (&json!(payout), &json!("completed")));
    assert_eq!(body["data"]["commission_ids"], json!([id]));
    let balances = books.balances().await;
    let owner = format!("partner:{}", books.partners[0]);
    assert_eq!(balances.get(&(owner.clone(), "points".into(), "paid".into())), Some(&(250 * ONE)));
    holds(&books).await;
    act(&books, BatchAction::CommissionMarkUnfulfilled, &[id]).await;
    assert_eq!(books.balances().await.get(&(owner, "points".into(), "payable".into())), Some(&(250 * ONE)));
    let last = told(&books).await.pop().expect("told");
    assert_eq!((last.0.as_str(), &last.1["changes"]), ("payout.pending", &json!({"status": ["completed", "pending"]})));
    act(&books, BatchAction::CommissionMarkFulfilled, &[id]).await;
    let shown = books.app.payout_shown(books.account, payout).await.expect("there").to_json();
    assert_eq!((&shown["status"], &shown["unit"]), (&json!("completed"), &json!("points")));
    let all = told(&books).await;
    let ids: BTreeSet<&str> = all.iter().filter_map(|(_, body)| body["event_id"].as_str()).collect();
    assert_eq!(ids.len(), all.len(), "each has an event id of its own");
    holds(&books).await;
}

async fn a_reward_of_a_customer_names_its_recipient(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(Posting { customer: Some(CustomerId(905)), ..points(&books) }).await;
    act(&books, approve(), &[id]).await;
    act(&books, BatchAction::CommissionMarkFulfilled, &[id]).await;
    let payouts = books.app.payouts_shown(
        books.account,
        PayoutShownFilter { referral_id: Some(905), ..PayoutShownFilter::default() },
        None,
        (PayoutOrder::CreatedAt, true),
        1,
        20,
    );
    let payouts = payouts.await.expect("lists");
    assert_eq!(payouts.total, 1);
    assert_eq!(payouts.rows[0].to_json()["recipient"], json!({"type": "referral", "id": 905}));
    assert!(told(&books).await.iter().all(|(_, body)| body["data"]["recipient"]["type"] == "referral"));
    holds(&books).await;
}

async fn what_is_not_an_approved_reward_is_not_fulfilled(store: TestStore) {
    let books = heard(store).await;
    let (pending, denied) = (books.post(points(&books)).await, books.post(points(&books)).await);
    let cash = books.post(Posting::new(books.partners[0])).await;
    act(&books, BatchAction::CommissionDeny, &[denied]).await;
    let before = (told(&books).await.len(), books.balances().await);
    for action in [BatchAction::CommissionMarkFulfilled, BatchAction::CommissionMarkUnfulfilled] {
        let ended = act(&books, action, &[pending, denied, cash, 7]).await;
        assert!(ended.is_refused());
        let errors: Vec<&str> = ended.errors.iter().map(|(_, error)| error.as_str()).collect();
        assert_eq!(errors, ["not approved", "not approved", "cash: pay its payout", "not found"]);
    }
    assert_eq!((told(&books).await.len(), books.balances().await), before, "nothing moved");
    holds(&books).await;
}

async fn a_decision_can_be_turned_while_nothing_was_paid(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(points(&books)).await;
    act(&books, BatchAction::CommissionDeny, &[id]).await;
    act(&books, approve(), &[id]).await;
    act(&books, BatchAction::CommissionDeny, &[id]).await;
    assert_eq!(books.read(id).await.status, "denied");
    assert!(books.balances().await.is_empty(), "each is an entry of its own, and they add up to nothing");
    act(&books, approve(), &[id]).await;
    act(&books, BatchAction::CommissionMarkFulfilled, &[id]).await;
    let said = refused(&books, BatchAction::CommissionDeny, &[id]).await;
    assert!(said[0].contains("is completed"), "{said:?}");
    let changes: Vec<Value> = told(&books)
        .await
        .into_iter()
        .filter(|(name, _)| name == "commission.updated")
        .map(|(_, body)| body["changes"]["status"].clone())
        .collect();
    let expected = [["pending", "denied"], ["denied", "approved"], ["approved", "denied"], ["denied", "approved"]];
    assert_eq!(changes, expected.map(|change| json!(change)));
    // In this call a decision that fell stays, as in the management API.
    let decided = books.app.commissions_decide(books.account, vec![id], Verdict::Deny, "key:1".into()).await;
    assert_eq!(decided.expect("known").failed[0].code, "commission_not_pending");
    holds(&books).await;
}

async fn a_refunded_reward_is_taken_back_by_its_receiver(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(points(&books)).await;
    act(&books, approve(), &[id]).await;
    act(&books, BatchAction::CommissionMarkFulfilled, &[id]).await;
    let refund = books.post(Posting { amount: -250 * ONE, corrects: Some(id), ..points(&books) }).await;
    act(&books, approve(), &[refund]).await;
    let payouts = books.app.payout_list(books.account, PayoutFilter::default(), 10).await.expect("lists");
    assert_eq!(payouts.iter().map(|payout| payout.amount / ONE).collect::<Vec<_>>(), [-250, 250]);
    holds(&books).await;
    act(&books, BatchAction::CommissionMarkFulfilled, &[refund]).await;
    assert!(books.balances().await.is_empty(), "given and taken back");
    holds(&books).await;
}

async fn a_deleted_commission_is_out_of_sight_and_of_the_ledger(store: TestStore) {
    let books = heard(store).await;
    let (reward, cash) = (books.post(points(&books)).await, books.post(Posting::new(books.partners[0])).await);
    act(&books, approve(), &[reward]).await;
    assert!(refused(&books, BatchAction::CommissionGeneratePayouts, &[cash]).await.is_empty());
    let seen = told(&books).await.len();
    for _ in 0..2 {
        assert!(refused(&books, BatchAction::CommissionDestroy, &[reward, cash]).await.is_empty());
    }
    let names = names_after(&books, seen).await;
    assert_eq!(names.iter().filter(|name| *name == "commission.deleted").count(), 2, "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "payout.cancelled").count(), 2, "{names:?}");
    assert!(books.balances().await.is_empty());
    assert!(books.app.commission_shown(books.account, CommissionId(cash)).await.is_err());
    assert_eq!(refused(&books, approve(), &[reward]).await, [format!("{reward}: not found")]);
    holds(&books).await;
}

async fn another_account_moves_nothing(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(points(&books)).await;
    let foreign = headwater_domain::ids::AccountId(books.account.0 + 1);
    let added = async |tx: &headwater_store::backend::Tx<'_>| headwater_store::tenant::account_insert(tx, "b", 0).await;
    assert_eq!(books.app.store.money.write(added).await.expect("added"), foreign.0);
    for action in BatchAction::ALL {
        let request = headwater_app::batch::BatchRequest {
            action,
            ids: vec![id],
            parameters: serde_json::Map::new(),
            actor: "key:9".into(),
        };
        let ended = books.app.batch_start(foreign, request).await.expect("answers");
        assert!(ended.is_refused(), "{action:?}");
        assert!(books.app.batch_read(books.account, ended.batch.id).await.is_err());
    }
    assert_eq!(books.read(id).await.status, "pending");
    assert!(told(&books).await.is_empty());
}

async fn notes_are_kept_and_told(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(points(&books)).await;
    let put = async |internal: &str| {
        let put = books.app.commission_notes_put(books.account, CommissionId(id), Some(internal.into()), None);
        put.await.expect("there").internal_note
    };
    assert_eq!(put("look again").await.as_deref(), Some("look again"));
    assert_eq!(put("look again").await.as_deref(), Some("look again"));
    assert_eq!(put("").await, None);
    let changes: Vec<Value> = told(&books).await.into_iter().map(|(_, body)| body["changes"].clone()).collect();
    assert_eq!(
        changes,
        [json!({"internal_note": [null, "look again"]}), json!({"internal_note": ["look again", null]})]
    );
}
