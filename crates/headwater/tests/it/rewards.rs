//! The rewards dialect from a sale to a fulfilled reward, as its receivers see it.
//!
//! Leaves tracking to `rewards_track`, webhooks as such to `rewards_webhooks`, and outages of days to the operations'
//! own tests, which have a manual clock.

use crate::broker::{Broker, answer};
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PATIENCE_STEPS: u32 = 600;
const STEP: Duration = Duration::from_millis(25);

/// A program that pays money and 250 points for each sale, and 50 points to the buyer; somebody approves each.
async fn rewarding(engine: Engine) -> Broker {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "auto_approve": false, "rules": [
        {"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]},
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "SALE", "once_per": "event"},
        {"id": "thanks", "kind": "flat", "unit": "points", "amount": "50", "on": "SALE", "once_per": "customer", "pays": "customer"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    broker
}

async fn sell(broker: &Broker, buyer: &str, event: &str) {
    let token = format!("p1c{}", broker.program());
    let sale = json!({"email": buyer, "event_id": event, "amount": 4900, "ref_id": token, "plan": "pro"});
    let (status, body) = rewards(broker, Method::POST, "/api/v2/track/sale", &sale).await;
    assert_eq!(status, 200, "{body}");
}

async fn company(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company{path}"), body).await
}

async fn listed(broker: &Broker, query: &str) -> Vec<Value> {
    let (status, list) = company(broker, Method::GET, &format!("/commissions?{query}"), &Value::Null).await;
    assert_eq!(status, 200, "{query}: {list}");
    list.as_array().expect("a bare array").clone()
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

async fn act(broker: &Broker, action: &str, ids: &[i64]) -> (u16, Value) {
    company(broker, Method::POST, &format!("/commissions/{action}"), &json!({ "ids": ids })).await
}

async fn the_complete_flow_can_be_followed(engine: Engine) {
    let broker = rewarding(engine).await;
    let mut receiver = Receiver::start().await;
    let types = json!(["commission.created", "commission.updated", "payout.updated"]);
    let webhook = json!({"url": receiver.url, "event_types": types});
    let (status, webhook) = company(&broker, Method::POST, "/webhooks", &webhook).await;
    assert_eq!(status, 201, "{webhook}");

    sell(&broker, "northdesk@example.org", "inv_1").await;
    let mut created = BTreeMap::new();
    for _ in 0..3 {
        let told = receiver.next().await;
        assert_eq!(told.header("x-event-type"), "commission.created");
        let told = told.json();
        assert_eq!(
            (&told["action"], &told["changes"], &told["data"]["status"]),
            (&"created".into(), &json!({}), &"pending".into())
        );
        created.insert(told["entity_id"].as_i64().expect("a number"), told["data"].clone());
    }
    let points: Vec<_> = created.iter().filter(|(_, data)| data["unit"] == "points").collect();
    let recipients: BTreeSet<_> = points
        .iter()
        .map(|(_, data)| (data["recipient"]["type"].as_str().expect("a type"), data["amount"].as_i64()))
        .collect();
    assert_eq!(recipients, BTreeSet::from([("promoter", Some(250)), ("referral", Some(50))]));

    // The second step is somebody's approval.
    let pending = listed(&broker, "status=pending&unit=points").await;
    assert_eq!(ids(&pending).into_iter().collect::<BTreeSet<_>>(), points.iter().map(|(id, _)| **id).collect());
    let (status, batch) = act(&broker, "approve", &ids(&pending)).await;
    assert_eq!((status, &batch["status"], &batch["processed_count"]), (200, &"completed".into(), &2.into()), "{batch}");
    assert_eq!((&batch["action_label"], &batch["progress"]), (&"commission/approve".into(), &100.into()));
    let mut fulfilled = BTreeSet::new();
    for _ in 0..2 {
        let told = receiver.next().await.json();
        assert_eq!(told["event_type"], "commission.updated", "{told}");
        assert_eq!(told["changes"]["status"], json!(["pending", "approved"]), "{told}");
        assert!(
            told["data"]["promoter_id"].is_i64() && told["data"]["referral"]["email"] == "northdesk@example.org",
            "{told}"
        );
        fulfilled.insert(told["entity_id"].as_i64().expect("a number"));
    }
    assert_eq!(fulfilled, ids(&pending).into_iter().collect());

    // The reward is delivered, and said to be.
    let waiting = listed(&broker, "filters[status]=approved&filters[fulfilled]=no").await;
    assert_eq!(ids(&waiting).into_iter().collect::<BTreeSet<_>>(), fulfilled);
    assert!(waiting.iter().all(|row| row["payout_id"].is_i64() && row["is_fulfilled"] == false), "{waiting:?}");
    let one = ids(&waiting)[0];
    let (status, batch) = act(&broker, "mark_fulfilled", &[one]).await;
    assert_eq!((status, &batch["failed_count"]), (200, &0.into()), "{batch}");
    let told = receiver.next().await.json();
    assert_eq!(
        (&told["event_type"], &told["changes"]["status"]),
        (&"payout.updated".into(), &json!(["pending", "completed"]))
    );
    assert_eq!(told["data"]["commission_ids"], json!([one]), "each reward has a payout of its own: {told}");
    let (status, again) = act(&broker, "mark_fulfilled", &[one]).await;
    assert_eq!((status, &again["failed_count"]), (200, &0.into()), "a repeated move succeeds: {again}");
    assert_eq!(listed(&broker, "status=approved&filters[fulfilled]=no").await.len(), 1);
    assert_eq!(act(&broker, "mark_unfulfilled", &[one]).await.0, 200);
    let told = receiver.next().await.json();
    assert_eq!(told["changes"]["status"], json!(["completed", "pending"]), "and without an event between: {told}");

    // Denied: told, and nothing is issued.
    let cash = ids(&listed(&broker, "unit=cash").await);
    assert_eq!(act(&broker, "deny", &cash).await.0, 200);
    let told = receiver.next().await.json();
    assert_eq!(told["changes"]["status"], json!(["pending", "denied"]), "{told}");
    assert_eq!(told["data"]["payout_id"], Value::Null);
    assert!(receiver.waiting().is_none());
}

async fn six_ids_go_on_in_a_batch(engine: Engine) {
    let broker = rewarding(engine).await;
    for number in 0..6 {
        sell(&broker, &format!("buyer{number}@example.org"), &format!("inv_{number}")).await;
    }
    let promoters = ids(&listed(&broker, "unit=points&filters[amount][from]=250").await);
    assert_eq!(promoters.len(), 6);
    let (status, batch) = act(&broker, "approve", &promoters[..5]).await;
    assert_eq!((status, &batch["status"], &batch["total"]), (200, &"completed".into(), &5.into()), "{batch}");
    let all: Vec<_> = listed(&broker, "unit=points&per_page=100").await;
    let (status, batch) = act(&broker, "approve", &ids(&all)).await;
    assert_eq!((status, &batch["status"], &batch["total"]), (202, &"in_progress".into(), &12.into()), "{batch}");
    let path = format!("/batch_processes/{}", batch["id"]);
    let mut polled = batch;
    for _ in 0..PATIENCE_STEPS {
        polled = company(&broker, Method::GET, &path, &Value::Null).await.1;
        if polled["status"] == "completed" {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    assert_eq!(
        (&polled["status"], &polled["processed_count"], &polled["progress"]),
        (&"completed".into(), &12.into(), &100.into())
    );
    assert_eq!(listed(&broker, "status=approved&unit=points").await.len(), 12);
    let (_, running) = company(&broker, Method::GET, "/batch_processes", &Value::Null).await;
    assert_eq!(running, json!([]));
    let (_, over) = company(&broker, Method::GET, "/batch_processes?filters[status]=completed", &Value::Null).await;
    assert_eq!(over.as_array().map(Vec::len), Some(2), "{over}");
}

async fn only_an_approved_reward_can_be_fulfilled(engine: Engine) {
    let broker = rewarding(engine).await;
    sell(&broker, "northdesk@example.org", "inv_1").await;
    let points = ids(&listed(&broker, "unit=points").await);
    let cash = ids(&listed(&broker, "unit=cash").await);
    let refused = async |action: &str, ids: &[i64]| {
        let (status, body) = act(&broker, action, ids).await;
        assert_eq!((status, &body["code"]), (422, &"operation_failed".into()), "{action} {ids:?}: {body}");
    };
    refused("mark_fulfilled", &points).await;
    assert_eq!(act(&broker, "approve", &cash).await.0, 200);
    refused("mark_fulfilled", &cash).await;
    refused("mark_fulfilled", &[4711]).await;
    assert_eq!(act(&broker, "deny", &points[..1]).await.0, 200);
    refused("mark_fulfilled", &points[..1]).await;
    assert_eq!(act(&broker, "approve", &points[1..]).await.0, 200);
    // Some of it is done, and what is not is named.
    let (status, batch) = act(&broker, "mark_fulfilled", &[points[1], points[0], 4711]).await;
    assert_eq!((status, &batch["processed_count"], &batch["failed_count"]), (200, &3.into(), &2.into()), "{batch}");
    let errors = batch["processing_errors"].as_array().expect("errors");
    assert!(errors.iter().any(|error| error == &format!("{}: not approved", points[0])), "{batch}");
    for body in [json!({}), json!({"ids": []}), json!({"ids": ["x"]}), json!({"ids": (1..=1001).collect::<Vec<_>>()})] {
        let (status, error) = company(&broker, Method::POST, "/commissions/approve", &body).await;
        assert_eq!((status, &error["code"]), (422, &"invalid_params".into()), "{error}");
    }
}

async fn lists_have_pages_filters_and_notes(engine: Engine) {
    let broker = rewarding(engine).await;
    for number in 0..3 {
        sell(&broker, &format!("buyer{number}@example.org"), &format!("inv_{number}")).await;
    }
    let request = broker.request(None, Method::GET, "/api/v2/company/commissions?per_page=4&page=2&unit=points");
    let request = request.bearer_auth(broker.key("rewards_key")).header("ACCOUNT-ID", broker.key("account_id"));
    let response = request.send().await.expect("it answers");
    let headers = response.headers().clone();
    let (total, next) = (headers["x-total-count"].to_str().expect("text"), headers.get("link"));
    assert_eq!(
        (total, next, &headers["x-page"], &headers["x-per-page"]),
        ("6", None, &"2".parse().expect("v"), &"4".parse().expect("v"))
    );
    let page: Vec<Value> = serde_json::from_str(&response.text().await.expect("a body")).expect("an array");
    assert_eq!(page.len(), 2);
    assert_eq!(listed(&broker, "q=BUYER1@").await.len(), 3);
    let inv = listed(&broker, "q=inv_2&filters[plan_id]=pro&sorting[amount]=desc&unit=points").await;
    assert_eq!(inv.iter().map(|row| row["amount"].as_i64()).collect::<Vec<_>>(), [Some(250), Some(50)]);
    let row = &inv[0];
    let own = format!("ids[]={}&filters[created_at][from]=2020-01-01", row["id"]);
    assert_eq!(ids(&listed(&broker, &own).await), ids(&inv[..1]));
    assert_eq!(listed(&broker, "filters[created_at][to]=2020-01-01").await.len(), 0);
    assert_eq!((&row["sale_amount"], &row["tier"], &row["plan_id"]), (&4900.into(), &1.into(), &"pro".into()), "{row}");
    for query in [
        "status=paid",
        "filters[color]=red",
        "per_page=101",
        "sorting[status]=asc",
        "status=pending&filters[status]=denied",
    ] {
        let (status, error) = company(&broker, Method::GET, &format!("/commissions?{query}"), &Value::Null).await;
        assert_eq!((status, &error["code"]), (422, &"invalid_params".into()), "{query}: {error}");
    }
    let path = format!("/commissions/{}", row["id"]);
    let note = json!({"internal_note": "seen", "status": "approved"});
    let (status, noted) = company(&broker, Method::PUT, &path, &note).await;
    assert_eq!(
        (status, &noted["internal_note"], &noted["status"]),
        (200, &"seen".into(), &"pending".into()),
        "{noted}"
    );
    assert_eq!(company(&broker, Method::GET, &path, &Value::Null).await.1, noted);
    for path in ["/commissions/4711", "/commissions/x"] {
        let (status, error) = company(&broker, Method::GET, path, &Value::Null).await;
        assert_eq!((status, &error["code"]), (404, &"not_found".into()), "{path}");
    }
}

async fn the_key_and_the_account_must_agree(engine: Engine) {
    let broker = Broker::start(engine).await;
    let path = "/api/v2/company/commissions";
    let account = broker.key("account_id");
    let ask = async |bearer: Option<&str>, account: Option<&str>| {
        let mut request = broker.request(None, Method::GET, path);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(account) = account {
            request = request.header("account-id", account);
        }
        let (status, text) = answer(request).await;
        let body: Value = serde_json::from_str(&text).expect("JSON");
        (status, body["code"].as_str().unwrap_or("none").to_owned())
    };
    let key = broker.key("rewards_key");
    assert_eq!(ask(Some(key), Some(account)).await, (200, "none".to_owned()));
    assert_eq!(ask(None, Some(account)).await, (401, "unauthorized".to_owned()));
    let unknown = format!("rk_{}_{}", "0".repeat(16), "0".repeat(40));
    assert_eq!(ask(Some(&unknown), Some(account)).await, (401, "unauthorized".to_owned()));
    for (key, account) in [(key, None), (key, Some("4711")), (key, Some("x"))] {
        assert_eq!(ask(Some(key), account).await, (403, "forbidden".to_owned()), "{account:?}");
    }
    for kind in ["secret_key", "publishable_key", "brand_token"] {
        assert_eq!(ask(Some(broker.key(kind)), Some(account)).await, (403, "forbidden".to_owned()), "{kind}");
        let request = broker.request(Some(broker.key(kind)), Method::GET, path).header("account-id", account);
        assert_eq!(answer(request).await.0, 403, "{kind} in its own header");
    }
    let others = [("GET", "/api/referral/links"), ("GET", "/api/v1/programs"), ("GET", "/api/v1/forex/customers")];
    for (method, path) in others {
        let request = broker.request(None, method.parse().expect("a method"), path).bearer_auth(key);
        let status = answer(request).await.0;
        assert!(status == 401 || status == 403, "{path}: {status}");
    }
}

on_both_engines! {
    the_complete_flow_can_be_followed,
    six_ids_go_on_in_a_batch,
    only_an_approved_reward_can_be_fulfilled,
    lists_have_pages_filters_and_notes,
    the_key_and_the_account_must_agree,
}
