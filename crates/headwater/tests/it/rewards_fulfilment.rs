//! `fulfilment_pending` from end to end: a real receiver says by its answer whether it delivered a reward.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const STEPS_MAX: usize = 400;
const STEP: Duration = Duration::from_millis(50);

/// A broker whose sales earn 250 points at once, and whose CRM is asked whether it delivered them.
async fn asked(engine: Engine) -> (Broker, Receiver, Value) {
    let broker = Broker::start(engine).await;
    let receiver = Receiver::start().await;
    let plan = json!({"name": "sales", "currency": "USD", "rules": [
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "SALE", "once_per": "event"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    let new = json!({"url": receiver.url, "event_types": ["fulfilment_pending"]});
    let (status, webhook) = rewards(&broker, Method::POST, "/api/v2/company/webhooks", &new).await;
    assert_eq!((status, &webhook["event_types"]), (201, &json!(["fulfilment_pending"])), "{webhook}");
    (broker, receiver, webhook)
}

async fn sells(broker: &Broker, event_id: &str) {
    let token = format!("p1c{}", broker.program());
    let sale = json!({"email": "northdesk@example.org", "event_id": event_id, "amount": 4900, "ref_id": token});
    assert_eq!(rewards(broker, Method::POST, "/api/v2/track/sale", &sale).await.0, 200);
}

/// The question that arrives next: the number of the commission.
async fn question(receiver: &mut Receiver) -> Value {
    let postback = receiver.next().await;
    let body = postback.json();
    assert_eq!(
        (postback.header("x-event-type"), &body["event"]["type"]),
        ("fulfilment_pending", &"fulfilment_pending".into())
    );
    assert_eq!(postback.header("x-event-id"), body["event"]["id"].as_str().expect("an id"));
    assert_eq!(postback.header("x-webhook-signature").len(), 64);
    body
}

async fn read(broker: &Broker, path: &str) -> Value {
    broker.done(Method::GET, path, &Value::Null).await
}

/// The payout of a commission in the management API, once it says so.
async fn payout_once(broker: &Broker, commission: &Value, says: impl Fn(&Value) -> bool) -> Value {
    let mut payout = Value::Null;
    for _ in 0..STEPS_MAX {
        let path = format!("/api/v2/company/commissions/{commission}");
        let (_, shown) = rewards(broker, Method::GET, &path, &Value::Null).await;
        payout = read(broker, &format!("/api/v1/payouts/{}", shown["payout_id"])).await;
        if says(&payout) {
            return payout;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("{payout}");
}

/// The newest delivery of the webhook, once it has this status.
async fn delivery_once(broker: &Broker, webhook: &Value, status: &str) -> Value {
    let path = format!("/api/v2/company/webhooks/{}/webhook_deliveries", webhook["id"]);
    let mut row = Value::Null;
    for _ in 0..STEPS_MAX {
        row = rewards(broker, Method::GET, &path, &Value::Null).await.1[0].clone();
        if row["status"] == status {
            return row;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("it is not {status}: {row}");
}

async fn a_receiver_says_what_it_delivered(engine: Engine) {
    let (broker, mut receiver, webhook) = asked(engine).await;
    receiver.answers(200);
    sells(&broker, "inv_1").await;
    let body = question(&mut receiver).await;
    let data = &body["data"];
    assert_eq!((&data["status"], &data["amount"], &data["unit"]), (&"pending".into(), &250.into(), &"points".into()));
    assert_eq!(data["referral"]["email"], "northdesk@example.org");
    let payout = payout_once(&broker, &data["id"], |payout| payout["status"] == "completed").await;
    assert_eq!((&payout["commission_ids"], &payout["has_issues"]), (&json!([data["id"]]), &false.into()));
    let actor = format!("webhook:{}", webhook["id"]);
    let audit = broker.rows("/api/v1/audit").await;
    assert!(audit.iter().any(|row| row["actor"] == actor && row["action"] == "commission.fulfilled"), "{audit:?}");
    // Another 2xx: it is delivered, and its receiver says later what became of the reward.
    sells(&broker, "inv_2").await;
    let body = question(&mut receiver).await;
    let row = delivery_once(&broker, &webhook, "delivered").await;
    assert_eq!((&row["event_id"], &row["response_code"]), (&body["event"]["id"], &204.into()), "{row}");
    let payout = payout_once(&broker, &body["data"]["id"], |payout| payout["status"] == "pending").await;
    let waiting = read(&broker, "/api/v1/payouts?status=pending&has_issues=false").await;
    assert_eq!(waiting["data"][0]["id"], payout["id"]);
    assert_eq!(read(&broker, "/api/v1/payouts?has_issues=true").await["data"], json!([]));
    let wrong = broker.request(Some(broker.key("secret_key")), Method::GET, "/api/v1/payouts?has_issues=1");
    assert_eq!(crate::broker::answer(wrong).await.0, 400);
    assert!(receiver.waiting().is_none(), "nothing is asked twice");
}

async fn who_does_not_answer_is_asked_again(engine: Engine) {
    let (broker, mut receiver, _) = asked(engine).await;
    receiver.answers(500);
    receiver.answers(200);
    sells(&broker, "inv_1").await;
    let (first, second) = (question(&mut receiver).await, question(&mut receiver).await);
    assert_eq!(first, second, "the same question with the same id");
    payout_once(&broker, &first["data"]["id"], |payout| payout["status"] == "completed").await;
}

async fn what_is_denied_before_the_answer_stays_denied(engine: Engine) {
    let (broker, mut receiver, webhook) = asked(engine).await;
    let answer = receiver.answers_later(200);
    sells(&broker, "inv_1").await;
    let id = question(&mut receiver).await["data"]["id"].clone();
    let (status, denied) =
        rewards(&broker, Method::POST, "/api/v2/company/commissions/deny", &json!({"ids": [id]})).await;
    assert_eq!(status, 200, "{denied}");
    answer.notify_one();
    delivery_once(&broker, &webhook, "delivered").await;
    let path = format!("/api/v2/company/commissions/{id}");
    let (_, shown) = rewards(&broker, Method::GET, &path, &Value::Null).await;
    assert_eq!((&shown["status"], &shown["is_fulfilled"]), (&"denied".into(), &false.into()), "{shown}");
    assert_eq!(broker.rows("/api/v1/payouts").await[0]["status"], "cancelled");
    let audit = broker.rows("/api/v1/audit").await;
    assert!(audit.iter().all(|row| row["action"] != "commission.fulfilled"), "{audit:?}");
}

async fn a_webhook_that_goes_leaves_its_rewards_with_issues(engine: Engine) {
    let (broker, mut receiver, webhook) = asked(engine).await;
    let mut other = Receiver::start().await;
    let new = json!({"url": other.url, "event_types": ["payout.updated"]});
    assert_eq!(rewards(&broker, Method::POST, "/api/v2/company/webhooks", &new).await.0, 201);
    receiver.answers(500);
    receiver.answers(500);
    sells(&broker, "inv_1").await;
    let id = question(&mut receiver).await["data"]["id"].clone();
    question(&mut receiver).await;
    // Its third question is minutes away.
    let path = format!("/api/v2/company/webhooks/{}", webhook["id"]);
    assert_eq!(rewards(&broker, Method::DELETE, &path, &Value::Null).await.0, 200);
    let payout = payout_once(&broker, &id, |payout| payout["has_issues"] == true).await;
    let told = other.next().await.json();
    assert_eq!((&told["event_type"], &told["entity_id"]), (&"payout.updated".into(), &payout["id"]), "{told}");
    assert_eq!((&told["changes"], &told["data"]["has_issues"]), (&json!({"has_issues": [false, true]}), &true.into()));
    let (_, done) =
        rewards(&broker, Method::POST, "/api/v2/company/commissions/mark_fulfilled", &json!({"ids": [id]})).await;
    assert_eq!(done["failed_count"], 0, "{done}");
    payout_once(&broker, &id, |payout| payout["has_issues"] == false).await;
}

async fn it_is_asked_for_by_name_alone(engine: Engine) {
    let (broker, mut receiver, _) = asked(engine).await;
    let (_, types) = rewards(&broker, Method::GET, "/api/v2/company/webhooks/event_types", &Value::Null).await;
    assert!(!types["data"].as_array().expect("names").contains(&"fulfilment_pending".into()));
    let trial = json!({"url": receiver.url, "event_type": "fulfilment_pending"});
    let (status, tried) = rewards(&broker, Method::POST, "/api/v2/company/webhooks/test", &trial).await;
    assert_eq!((status, &tried["status"]), (200, &"delivered".into()), "{tried}");
    assert_eq!(question(&mut receiver).await["data"], json!({"test": true}));
}

on_both_engines! {
    a_receiver_says_what_it_delivered,
    who_does_not_answer_is_asked_again,
    what_is_denied_before_the_answer_stays_denied,
    a_webhook_that_goes_leaves_its_rewards_with_issues,
    it_is_asked_for_by_name_alone,
}
