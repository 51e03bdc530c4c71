//! `kill -9` in the middle of a batch: the server that comes back finishes it, and each item was moved and told once.

use crate::broker::{Broker, answer};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

/// Some 25 transactions, and below a key's 600 requests a minute.
const COMMISSIONS: usize = 500;
/// Often until the kill, then within an account's 400 requests a minute: a dead node's lease lasts half a minute.
const STEP_BEFORE: Duration = Duration::from_millis(5);
const STEP_AFTER: Duration = Duration::from_millis(400);
const PATIENCE_STEPS: u32 = 300;

async fn company(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company{path}"), body).await
}

/// As many rewards that wait for a decision.
async fn earned(broker: &Broker) -> BTreeSet<i64> {
    let plan = json!({"name": "points", "currency": "USD", "auto_approve": false, "rules": [
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "REGISTRATION", "once_per": "event"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "points" })).await;
    let click = broker.visit().await;
    let mut sending = JoinSet::new();
    for number in 0..COMMISSIONS {
        let data = json!({"email": format!("client-{number}@example.org")});
        let event = json!({"event": "REGISTRATION", "clickId": click, "data": data});
        let path = "/api/referral/events/track";
        sending
            .spawn(answer(broker.request(Some(broker.key("secret_key")), Method::POST, path).body(event.to_string())));
    }
    for (status, body) in sending.join_all().await {
        assert_eq!(status, 200, "{body}");
    }
    let rows = broker.rows("/api/v1/commissions").await;
    rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

async fn a_killed_batch_is_finished_and_told_once(engine: Engine) {
    let mut broker = Broker::start(engine).await;
    let commissions = earned(&broker).await;
    assert_eq!(commissions.len(), COMMISSIONS);
    // Nobody listens there, so every message stays where it can be counted.
    let webhook = json!({"url": "http://127.0.0.1:9/hooks", "event_types": ["commission.updated"]});
    let (status, webhook) = company(&broker, Method::POST, "/webhooks", &webhook).await;
    assert_eq!(status, 201, "{webhook}");
    let (status, batch) = company(&broker, Method::POST, "/commissions/approve", &json!({ "ids": commissions })).await;
    assert_eq!((status, &batch["status"]), (202, &"in_progress".into()), "{batch}");
    let path = format!("/batch_processes/{}", batch["id"]);
    let mut kills = 0;
    for _ in 0..PATIENCE_STEPS {
        let (_, now) = company(&broker, Method::GET, &path, &Value::Null).await;
        let processed = now["processed_count"].as_u64().expect("a number");
        if now["status"] == "completed" {
            assert_eq!((processed, &now["failed_count"]), (500, &0.into()), "{now}");
            break;
        }
        if processed > 0 && kills == 0 {
            broker.server.kill();
            kills += 1;
            broker.server.start_again();
        }
        tokio::time::sleep(if kills == 0 { STEP_BEFORE } else { STEP_AFTER }).await;
    }
    assert_eq!(kills, 1, "the batch was over before it could be interrupted");

    let mut rows = broker.rows("/api/v1/commissions").await;
    rows.retain(|row| row["status"] == "approved");
    assert_eq!(rows.len(), COMMISSIONS, "each is approved");
    let (mut entities, mut events) = (BTreeSet::new(), BTreeSet::new());
    for page in 1.. {
        let path = format!("/webhooks/{}/webhook_deliveries?per_page=100&page={page}", webhook["id"]);
        let (status, list) = company(&broker, Method::GET, &path, &Value::Null).await;
        assert_eq!(status, 200, "{list}");
        let list = list.as_array().expect("a bare array").clone();
        if list.is_empty() {
            break;
        }
        for delivery in list {
            assert!(entities.insert(delivery["entity_id"].as_i64().expect("a number")), "told twice: {delivery}");
            assert!(events.insert(delivery["event_id"].to_string()), "an event id twice: {delivery}");
        }
    }
    assert_eq!(entities, commissions, "none is missing");
    let verified = broker.server.command(&["verify"]).output().expect("it runs");
    assert!(verified.status.success(), "{}", crate::server::text(&verified));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_batch_is_finished_and_told_once_on_sqlite() {
    a_killed_batch_is_finished_and_told_once(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_batch_is_finished_and_told_once_on_postgres() {
    a_killed_batch_is_finished_and_told_once(Engine::Postgres).await;
}
