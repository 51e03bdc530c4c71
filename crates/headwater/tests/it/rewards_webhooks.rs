//! Webhooks of the rewards dialect over HTTP: what is shown, what is refused, and what a receiver gets.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use headwater_domain::postback::signature::{Secret, Signers, headers};
use reqwest::Method;
use serde_json::{Value, json};

async fn webhooks(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/webhooks{path}"), body).await
}

/// `X-Webhook-Signature` of this body under the key that was shown; `postback_signature` checks the rule itself.
fn signature(secret_key: &str, body: &[u8]) -> String {
    let secret = Secret::from_bytes(&hex::decode(secret_key).expect("hex")).expect("32 bytes");
    let signed = headers(Signers::one(&secret), "x", 0, body);
    signed.into_iter().find(|(name, _)| *name == "X-Webhook-Signature").expect("there").1
}

async fn a_webhook_can_be_made_changed_and_deleted(engine: Engine) {
    let broker = Broker::start(engine).await;
    let new = json!({"url": "https://crm.broker.example/hooks", "event_types": ["commission.created", "payout.updated"],
        "headers": {"X-Tenant": "7"}, "basic_auth_user": "crm", "basic_auth_password": "secret", "unknown": 1});
    let (status, made) = webhooks(&broker, Method::POST, "", &new).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret_key"].as_str().expect("shown once");
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    assert_eq!((&made["campaign_ids"], &made["active"], &made["timeout"]), (&json!([1]), &true.into(), &30.into()));
    assert_eq!((&made["retry_profile"], &made["max_retries"]), (&"long".into(), &10.into()));
    assert_eq!((&made["headers"]["X-Tenant"], &made["basic_auth_enabled"]), (&"7".into(), &true.into()));
    assert_eq!(made.get("basic_auth_password"), None);
    let path = format!("/{}", made["id"]);
    let (_, read) = webhooks(&broker, Method::GET, &path, &Value::Null).await;
    assert_eq!((read.get("secret_key"), &read["url"]), (None, &made["url"]));
    let (_, list) = webhooks(&broker, Method::GET, "", &Value::Null).await;
    assert_eq!(list, json!([read]));
    assert_eq!(broker.rows("/api/postback_endpoints").await, [] as [Value; 0], "the referral dialect has its own");

    let program: i64 = broker.program().parse().expect("a number");
    let change = json!({"max_retries": 5, "active": false, "campaign_ids": [program]});
    let (status, changed) = webhooks(&broker, Method::PUT, &path, &change).await;
    assert_eq!(
        (status, &changed["retry_profile"], &changed["max_retries"]),
        (200, &"linear20".into(), &5.into()),
        "{changed}"
    );
    assert_eq!(
        (&changed["active"], &changed["campaign_ids"], &changed["url"]),
        (&false.into(), &json!([program]), &made["url"])
    );
    let (status, rotated) = webhooks(&broker, Method::POST, &format!("{path}/rotate_secret"), &Value::Null).await;
    assert_eq!(status, 200);
    assert!(rotated["secret_key"].as_str().is_some_and(|new| new.len() == 64 && new != secret));
    let (_, types) = webhooks(&broker, Method::GET, "/event_types", &Value::Null).await;
    assert!(types["data"].as_array().expect("names").contains(&"commission.updated".into()));
    for (field, wrong) in [
        ("url", json!({"event_types": ["commission.created"]})),
        ("url", json!({"url": "https://10.0.0.1/x", "event_types": ["commission.created"]})),
        ("url", json!({"url": "not a url", "event_types": ["commission.created"]})),
        ("event_types", json!({"url": "https://crm.broker.example/", "event_types": []})),
        ("event_types", json!({"url": "https://crm.broker.example/", "event_types": ["FIRST_DEPOSIT"]})),
        ("timeout", json!({"url": "https://crm.broker.example/", "event_types": ["commission.created"], "timeout": 0})),
        (
            "campaign_ids",
            json!({"url": "https://crm.broker.example/", "event_types": ["commission.created"], "campaign_ids": [4711]}),
        ),
    ] {
        let (status, error) = webhooks(&broker, Method::POST, "", &wrong).await;
        assert_eq!((status, &error["code"]), (400, &"invalid_record".into()), "{wrong}: {error}");
        assert!(error["errors"][field].is_array(), "{field}: {error}");
    }
    assert_eq!(webhooks(&broker, Method::DELETE, &path, &Value::Null).await.0, 200);
    let (status, error) = webhooks(&broker, Method::GET, &path, &Value::Null).await;
    assert_eq!((status, &error["code"]), (404, &"not_found".into()));
}

async fn a_delivery_is_signed_and_can_be_looked_at(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    let plan = json!({"name": "sales", "currency": "USD", "rules": [
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "SALE", "once_per": "event"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    let new = json!({"url": receiver.url, "event_types": ["commission.created", "commission.updated"],
        "headers": {"X-Tenant": "7"}, "basic_auth_user": "crm", "basic_auth_password": "pass"});
    let (_, made) = webhooks(&broker, Method::POST, "", &new).await;
    let token = format!("p1c{}", broker.program());
    let sale = json!({"email": "northdesk@example.org", "event_id": "inv_1", "amount": 4900, "ref_id": token});
    assert_eq!(rewards(&broker, Method::POST, "/api/v2/track/sale", &sale).await.0, 200);
    // Approved by itself, and still told as two steps.
    let mut told = vec![receiver.next().await, receiver.next().await];
    told.sort_by_key(|postback| postback.header("x-event-type").to_owned());
    let secret = made["secret_key"].as_str().expect("shown once");
    for postback in &told {
        assert_eq!(postback.header("x-webhook-signature"), signature(secret, &postback.body));
        assert_eq!(postback.header("x-event-id"), postback.json()["event_id"].as_str().expect("an id"));
        assert_eq!((postback.header("x-tenant"), postback.header("authorization")), ("7", "Basic Y3JtOnBhc3M="));
    }
    let (created, updated) = (told[0].json(), told[1].json());
    assert_eq!((&created["event_type"], &created["data"]["status"]), (&"commission.created".into(), &"pending".into()));
    assert_eq!(updated["changes"]["status"], json!(["pending", "approved"]));
    assert_ne!(created["event_id"], updated["event_id"]);
    let path = format!("/{}/webhook_deliveries", made["id"]);
    let mut list = Value::Null;
    for _ in 0..200 {
        list = webhooks(&broker, Method::GET, &path, &Value::Null).await.1;
        if list.as_array().is_some_and(|rows| rows.len() == 2 && rows.iter().all(|row| row["status"] == "delivered")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let row = &list[0];
    assert_eq!(
        (&row["status"], &row["attempts"], &row["response_code"]),
        (&"delivered".into(), &1.into(), &204.into()),
        "{list}"
    );
    assert_eq!((&row["entity_type"], row["delivered_at"].is_string()), (&"commission".into(), true));
    let one = format!("{path}/{}", row["id"]);
    assert_eq!(webhooks(&broker, Method::GET, &one, &Value::Null).await, (200, row.clone()));
    assert_eq!(webhooks(&broker, Method::GET, &format!("{path}/4711"), &Value::Null).await.0, 404);
    let (status, again) = webhooks(&broker, Method::POST, &format!("{one}/retry_delivery"), &Value::Null).await;
    assert_eq!((status, &again["id"]), (200, &row["id"]), "{again}");
    let postback = receiver.next().await;
    assert_eq!(postback.json()["event_id"], row["event_id"], "the same event again");
}

async fn a_receiver_can_be_tried(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    let request = json!({"url": receiver.url, "event_type": "commission.updated", "headers": {"X-Tenant": "7"},
        "basic_auth_user": "crm", "basic_auth_password": "pass"});
    let (status, trial) = webhooks(&broker, Method::POST, "/test", &request).await;
    assert_eq!((status, &trial["status"], &trial["response_code"]), (200, &"delivered".into(), &204.into()), "{trial}");
    let postback = receiver.next().await;
    let body = postback.json();
    assert_eq!((&body["data"], &body["event_type"]), (&json!({"test": true}), &"commission.updated".into()), "{body}");
    assert_eq!((postback.header("x-tenant"), postback.header("authorization")), ("7", "Basic Y3JtOnBhc3M="));
    assert_eq!(postback.header("x-webhook-signature").len(), 64);
    let elsewhere = receiver.url.replace("/hooks", "/nothing");
    let (status, trial) =
        webhooks(&broker, Method::POST, "/test", &json!({"url": elsewhere, "event_type": "payout.updated"})).await;
    assert_eq!((status, &trial["status"], &trial["response_code"]), (200, &"failed".into(), &404.into()), "{trial}");
    for wrong in [
        json!({"url": "https://192.168.0.1/", "event_type": "commission.updated"}),
        json!({"url": "ftp://x", "event_type": "commission.updated"}),
        json!({"url": receiver.url, "event_type": "REGISTRATION"}),
        json!({"event_type": "commission.updated"}),
    ] {
        let (status, error) = webhooks(&broker, Method::POST, "/test", &wrong).await;
        assert_eq!((status, &error["code"]), (400, &"invalid_record".into()), "{wrong}: {error}");
    }
    assert_eq!(webhooks(&broker, Method::GET, "", &Value::Null).await.1, json!([]), "it leaves nothing behind");
}

/// The newest delivery of a list, once it stands so.
async fn newest_once(broker: &Broker, path: &str, status: &str) -> Value {
    let mut row = Value::Null;
    for _ in 0..400 {
        row = webhooks(broker, Method::GET, path, &Value::Null).await.1[0].clone();
        if row["status"] == status {
            return row;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is not {status}: {row}");
}

async fn its_owner_can_send_a_dead_letter_again(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    // Nobody listens on this port, and there is one attempt.
    let body = json!({"url": "http://127.0.0.1:1/", "event_types": ["promoter.created"], "max_retries": 0});
    let (status, made) = webhooks(&broker, Method::POST, "", &body).await;
    assert_eq!(status, 201, "{made}");
    let promoter = json!({"email": "ib@example.org"});
    assert_eq!(rewards(&broker, Method::POST, "/api/v2/company/promoters", &promoter).await.0, 201);
    let path = format!("/{}/webhook_deliveries", made["id"]);
    let row = newest_once(&broker, &path, "failed").await;
    let one = format!("{path}/{}/retry_delivery", row["id"]);
    assert_eq!(webhooks(&broker, Method::POST, &one, &Value::Null).await.0, 422, "max_retries is reached");
    let to = json!({ "url": receiver.url });
    assert_eq!(webhooks(&broker, Method::PUT, &format!("/{}", made["id"]), &to).await.0, 200);
    let own = format!("/api/v1/webhooks/{}/deliveries", made["id"]);
    let other = json!({"event_type": "promoter.deleted"});
    let none = broker.done(Method::POST, &format!("{own}/retry"), &other).await;
    assert_eq!(none, json!({"queued": 0}));
    assert_eq!(broker.done(Method::POST, &format!("{own}/retry"), &json!({})).await, json!({"queued": 1}));
    assert_eq!(receiver.next().await.json()["event_id"], row["event_id"]);
    // The receiver has it a moment before the server has written that down.
    newest_once(&broker, &path, "delivered").await;
    let again = format!("{own}/{}/retry", row["id"]);
    assert_eq!(broker.done(Method::POST, &again, &json!({})).await, json!({"queued": 1}));
    assert_eq!(receiver.next().await.json()["event_id"], row["event_id"], "one by one, too");
    for path in ["/api/v1/webhooks/4711/deliveries/retry".to_owned(), format!("{own}/4711/retry")] {
        let request = broker.request(Some(broker.key("secret_key")), Method::POST, &path);
        assert_eq!(crate::broker::answer(request.body("{}")).await.0, 404, "{path}");
    }
}

on_both_engines! {
    a_webhook_can_be_made_changed_and_deleted,
    a_delivery_is_signed_and_can_be_looked_at,
    a_receiver_can_be_tried,
    its_owner_can_send_a_dead_letter_again,
}
