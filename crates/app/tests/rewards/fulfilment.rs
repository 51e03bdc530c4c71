//! Rewards whose receiver says by the answer to `fulfilment_pending` that it delivered them.

use crate::books::{Books, ONE, Posting};
use crate::story::{act, heard, holds, points, refused, told};
use headwater_app::batch::BatchAction;
use headwater_app::delivery::{Attempt, ClaimedDelivery, Room, delivery_claim, delivery_finish};
use headwater_app::keep::Keep;
use headwater_app::payout::PayoutFilter;
use headwater_app::webhook::WebhookChange;
use headwater_domain::ids::{CommissionId, EndpointId};
use headwater_domain::postback::rewards_event::FULFILMENT_PENDING;
use headwater_store::backend::Statement;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};

on_both_stores! {
    a_200_is_a_fulfilment,
    an_answer_that_was_not_written_down_is_asked_for_again_and_fulfils_once,
    another_2xx_leaves_it_to_its_receiver,
    who_never_answers_has_issues,
    what_was_fulfilled_by_hand_is_not_asked_for_again,
    what_was_denied_before_the_answer_stays_denied,
    an_answer_is_about_the_payout_that_was_asked_for,
    what_takes_a_reward_back_is_asked_for_too,
    nobody_is_asked_who_did_not_ask_for_it,
}

const ROOM: Room = Room { total: 100, failing: 100 };
const DAY_SECONDS: i64 = 86_400;
/// Longer than any claim lasts.
const LEASE_SECONDS: i64 = 60;

static AUDIT: Statement = Statement::new("SELECT actor, action FROM audit WHERE actor LIKE 'webhook:%' ORDER BY id");

/// Books with a webhook that hears every change, and another one that says what it delivered.
async fn asked(store: TestStore) -> (Books, EndpointId) {
    let books = heard(store).await;
    let change = WebhookChange {
        url: Some("https://crm.broker.example/fulfilment".into()),
        event_types: Some(vec![FULFILMENT_PENDING.into()]),
        // Its own retries are for its other events.
        max_retries: Some(0),
        ..WebhookChange::default()
    };
    let webhook = books.app.webhook_create(books.account, change, Keep::nothing()).await.expect("a webhook").0.id;
    (books, webhook)
}

/// What is due to be asked now; everything else is received.
async fn claim(books: &Books) -> Vec<ClaimedDelivery> {
    let mut questions = Vec::new();
    loop {
        let now = books.app.clock.now();
        let claimed = delivery_claim(&books.app.outbox, "w", ROOM, now).await.expect("claims");
        if claimed.is_empty() {
            return questions;
        }
        for one in claimed {
            if one.event_type == FULFILMENT_PENDING {
                questions.push(one);
            } else {
                assert!(answer(books, &one, 204).await);
            }
        }
    }
}

async fn answer(books: &Books, claimed: &ClaimedDelivery, status: u16) -> bool {
    let attempt = Attempt {
        status: Some(status),
        duration_ms: 7,
        response: String::new(),
        error: None,
        retry_after_seconds: None,
    };
    delivery_finish(&books.app, claimed, attempt, books.app.clock.now()).await.expect("finishes")
}

fn body(claimed: &ClaimedDelivery) -> Value {
    serde_json::from_slice(&claimed.body).expect("JSON")
}

/// An approved reward of 250 points, and the question about it.
async fn approved(books: &Books) -> (i64, ClaimedDelivery) {
    let id = books.post(points(books)).await;
    act(books, BatchAction::CommissionApprove, &[id]).await;
    (id, claim(books).await.pop().expect("asked at once"))
}

async fn shown(books: &Books, id: i64) -> Value {
    books.app.commission_shown(books.account, CommissionId(id)).await.expect("there").to_json()
}

/// Every payout with its status, the oldest first.
async fn payouts(books: &Books) -> Vec<(i64, String)> {
    let rows = books.app.payout_list(books.account, PayoutFilter::default(), 100).await.expect("lists");
    rows.into_iter().rev().map(|row| (row.id, row.status)).collect()
}

async fn deeds(books: &Books) -> Vec<(String, String)> {
    let rows = books.app.store.money.read(async |tx| tx.all::<(String, String)>(&AUDIT, &[]).await).await;
    rows.expect("the store answers")
}

/// How often `payout.completed` was told.
async fn completed(books: &Books) -> usize {
    told(books).await.iter().filter(|(name, _)| name == "payout.completed").count()
}

async fn a_200_is_a_fulfilment(store: TestStore) {
    let (books, webhook) = asked(store).await;
    let (id, question) = approved(&books).await;
    let asked = body(&question);
    assert_eq!(asked["event"]["type"], "fulfilment_pending");
    assert!(asked["event"]["id"].as_str().is_some_and(|id| id.len() == 36) && asked["event"]["created_at"].is_string());
    let data = &asked["data"];
    assert_eq!((&data["id"], &data["status"], &data["has_issues"]), (&json!(id), &json!("pending"), &json!(false)));
    assert_eq!((&data["amount"], &data["unit"]), (&json!(250), &json!("points")));
    assert_eq!(data["promoter"]["id"], json!(books.partners[0].0));
    assert_eq!(data["recipient"], json!({"type": "promoter", "id": books.partners[0].0}));
    assert!(
        data["reward"].is_object()
            && data["campaign"]["id"] == json!(books.program.0)
            && data["created_at"].is_string()
    );
    assert!(answer(&books, &question, 200).await);
    let now = shown(&books, id).await;
    assert_eq!((&now["is_fulfilled"], &now["has_issues"]), (&json!(true), &json!(false)));
    assert_eq!(payouts(&books).await[0].1, "completed");
    let owner = format!("partner:{}", books.partners[0]);
    assert_eq!(books.balances().await.get(&(owner, "points".into(), "paid".into())), Some(&(250 * ONE)));
    let actor = format!("webhook:{webhook}");
    let expected = ["payout.completed", "commission.fulfilled"].map(|action| (actor.clone(), action.to_owned()));
    assert_eq!(deeds(&books).await, expected);
    let last = told(&books).await.into_iter().rfind(|(name, _)| name == "payout.updated").expect("told");
    assert_eq!(last.1["changes"], json!({"status": ["pending", "completed"]}));
    assert!(claim(&books).await.is_empty(), "it is not asked again");
    holds(&books).await;
}

async fn an_answer_that_was_not_written_down_is_asked_for_again_and_fulfils_once(store: TestStore) {
    let (books, _) = asked(store).await;
    let (id, first) = approved(&books).await;
    // The receiver said 200, and the process was gone before that was written down.
    books.app.clock.advance_seconds(LEASE_SECONDS);
    let again = claim(&books).await.pop().expect("asked again");
    assert_eq!((again.id, &again.public_id, &again.body), (first.id, &first.public_id, &first.body));
    assert!(answer(&books, &again, 200).await);
    let late = ClaimedDelivery { lease_token: "gone".into(), ..first };
    assert!(!answer(&books, &late, 200).await, "the lease is another worker's");
    assert_eq!(completed(&books).await, 1);
    // Fulfilled by hand before the answer comes: it stands as it is.
    let (other, question) = approved(&books).await;
    assert!(refused(&books, BatchAction::CommissionMarkFulfilled, &[other]).await.is_empty());
    assert!(answer(&books, &question, 200).await);
    assert_eq!(completed(&books).await, 2);
    assert!(shown(&books, id).await["is_fulfilled"] == true && shown(&books, other).await["is_fulfilled"] == true);
    holds(&books).await;
}

async fn another_2xx_leaves_it_to_its_receiver(store: TestStore) {
    let (books, _) = asked(store).await;
    for status in [201, 202, 204] {
        let (id, question) = approved(&books).await;
        assert!(answer(&books, &question, status).await);
        books.app.clock.advance_seconds(2 * DAY_SECONDS);
        assert!(claim(&books).await.is_empty(), "{status} is not asked again");
        let now = shown(&books, id).await;
        assert_eq!((&now["is_fulfilled"], &now["has_issues"]), (&json!(false), &json!(false)), "{status}");
        assert!(refused(&books, BatchAction::CommissionMarkFulfilled, &[id]).await.is_empty(), "days later");
    }
    assert!(deeds(&books).await.is_empty());
    holds(&books).await;
}

async fn what_was_fulfilled_by_hand_is_not_asked_for_again(store: TestStore) {
    let (books, _) = asked(store).await;
    let (between, question) = approved(&books).await;
    assert!(answer(&books, &question, 500).await);
    assert!(refused(&books, BatchAction::CommissionMarkFulfilled, &[between]).await.is_empty());
    let (meanwhile, question) = approved(&books).await;
    assert!(refused(&books, BatchAction::CommissionMarkFulfilled, &[meanwhile]).await.is_empty());
    assert!(answer(&books, &question, 500).await);
    books.app.clock.advance_seconds(2 * DAY_SECONDS);
    assert!(claim(&books).await.is_empty(), "its receiver would deliver it twice");
    for id in [between, meanwhile] {
        assert_eq!(shown(&books, id).await["has_issues"], json!(false));
    }
    holds(&books).await;
}

async fn who_never_answers_has_issues(store: TestStore) {
    let (books, webhook) = asked(store).await;
    let (id, mut question) = approved(&books).await;
    let begun = books.app.clock.now();
    for attempt in 1..=8 {
        assert_eq!(question.attempt, attempt);
        assert_eq!(shown(&books, id).await["has_issues"], json!(false), "before attempt {attempt}");
        assert!(answer(&books, &question, if attempt == 3 { 302 } else { 500 }).await);
        let mut next = claim(&books).await;
        for _ in 0..2000 {
            if !next.is_empty() || attempt == 8 {
                break;
            }
            books.app.clock.advance_seconds(60);
            next = claim(&books).await;
        }
        if let Some(next) = next.pop() {
            question = next;
        }
    }
    assert!(books.app.clock.now().0 - begun.0 <= (DAY_SECONDS + 4 * 3600) * 1_000_000, "through the day");
    books.app.clock.advance_seconds(3 * DAY_SECONDS);
    assert!(claim(&books).await.is_empty(), "seven times more, and no probe");
    let now = shown(&books, id).await;
    assert_eq!((&now["is_fulfilled"], &now["has_issues"]), (&json!(false), &json!(true)));
    let filter = |has_issues| PayoutFilter { has_issues: Some(has_issues), ..PayoutFilter::default() };
    let listed = books.app.payout_list(books.account, filter(true), 10).await.expect("lists");
    assert_eq!((listed.len(), listed[0].status.as_str()), (1, "pending"));
    assert!(books.app.payout_list(books.account, filter(false), 10).await.expect("lists").is_empty());
    let last = told(&books).await.pop().expect("told");
    assert_eq!((last.0.as_str(), &last.1["changes"]), ("payout.updated", &json!({"has_issues": [false, true]})));
    assert_eq!(last.1["data"]["has_issues"], true);
    // Somebody repairs the receiver and asks it once more.
    books.app.webhook_delivery_requeue(books.account, webhook, question.id.0).await.expect("queues");
    let again = claim(&books).await.pop().expect("asked once more");
    assert_eq!(again.public_id, question.public_id);
    assert!(answer(&books, &again, 200).await);
    let now = shown(&books, id).await;
    assert_eq!((&now["is_fulfilled"], &now["has_issues"]), (&json!(true), &json!(false)));
    holds(&books).await;
}

async fn what_was_denied_before_the_answer_stays_denied(store: TestStore) {
    let (books, _) = asked(store).await;
    for status in [200, 202, 410] {
        let (id, question) = approved(&books).await;
        act(&books, BatchAction::CommissionDeny, &[id]).await;
        let before = books.balances().await;
        assert!(answer(&books, &question, status).await, "{status} is written down");
        assert_eq!(books.read(id).await.status, "denied");
        assert_eq!(payouts(&books).await.pop().expect("one").1, "cancelled");
        assert_eq!(books.balances().await, before);
    }
    assert!(deeds(&books).await.is_empty() && completed(&books).await == 0);
    holds(&books).await;
}

async fn an_answer_is_about_the_payout_that_was_asked_for(store: TestStore) {
    let (books, _) = asked(store).await;
    let (id, first) = approved(&books).await;
    act(&books, BatchAction::CommissionDeny, &[id]).await;
    act(&books, BatchAction::CommissionApprove, &[id]).await;
    let second = claim(&books).await.pop().expect("asked anew");
    assert_ne!(first.public_id, second.public_id);
    assert!(answer(&books, &first, 200).await);
    let statuses = async || payouts(&books).await.into_iter().map(|(_, status)| status).collect::<Vec<_>>();
    assert_eq!(statuses().await, ["cancelled", "pending"]);
    assert!(answer(&books, &second, 200).await);
    assert_eq!(statuses().await, ["cancelled", "completed"]);
    holds(&books).await;
}

async fn what_takes_a_reward_back_is_asked_for_too(store: TestStore) {
    let (books, _) = asked(store).await;
    let (id, question) = approved(&books).await;
    assert!(answer(&books, &question, 200).await);
    let refund = books.post(Posting { amount: -250 * ONE, corrects: Some(id), ..points(&books) }).await;
    act(&books, BatchAction::CommissionApprove, &[refund]).await;
    let question = claim(&books).await.pop().expect("asked");
    assert_eq!((&body(&question)["data"]["id"], &body(&question)["data"]["amount"]), (&json!(refund), &json!(-250)));
    assert!(answer(&books, &question, 200).await);
    assert!(books.balances().await.is_empty(), "given and taken back");
    holds(&books).await;
}

async fn nobody_is_asked_who_did_not_ask_for_it(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(points(&books)).await;
    let cash = books.post(Posting::new(books.partners[0])).await;
    act(&books, BatchAction::CommissionApprove, &[id, cash]).await;
    assert!(told(&books).await.iter().all(|(name, _)| name != FULFILMENT_PENDING));
    assert!(claim(&books).await.is_empty());
    assert_eq!(shown(&books, id).await["is_fulfilled"], false);
}
