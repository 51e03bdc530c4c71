//! The rewards dialect's tracking: what a site reports of its buyers, and what it earns whom.

use crate::broker::{Broker, answer};
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

/// A request with the rewards key: status and body (`null` where there is none).
pub async fn rewards(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let request = broker.request(None, method, path).bearer_auth(broker.key("rewards_key"));
    let request = request.header("Account-ID", broker.key("account_id")).body(body.to_string());
    let (status, text) = answer(request.header("content-type", "application/json")).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A program that pays a fifth of each sale in money and 250 points for each, and 50 points to the buyer.
async fn selling(engine: Engine) -> Broker {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "rules": [
        {"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]},
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "SALE", "once_per": "event"},
        {"id": "thanks", "kind": "flat", "unit": "points", "amount": "50", "on": "SALE", "once_per": "customer", "pays": "customer"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    broker
}

async fn track(broker: &Broker, what: &str, body: Value) -> (u16, Value) {
    rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await
}

/// Whom an event paid how much, in the order of units, recipients and amounts.
fn paid(event: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = event["commissions"].as_array().expect("commissions");
    let mut paid: Vec<_> = rows
        .iter()
        .map(|row| (text(&row["unit"]), text(&row["recipient"]["type"]), row["amount"].as_i64().expect("whole")))
        .collect();
    paid.sort();
    paid
}

fn earned(rows: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    rows.iter().map(|(unit, who, amount)| ((*unit).to_owned(), (*who).to_owned(), *amount)).collect()
}

async fn a_visitor_signs_up_buys_and_gets_its_money_back(engine: Engine) {
    let broker = selling(engine).await;
    let landing = broker.landing().await;
    let session = landing.query_pairs().find(|(name, _)| name == "sessionId").expect("a session").1.into_owned();
    let who = json!({"email": "NorthDesk@Example.org", "uid": "u-77"});
    let signup = json!({"email": "NorthDesk@Example.org", "uid": "u-77", "tid": session});

    let (status, event) = track(&broker, "signup", signup.clone()).await;
    assert_eq!(
        (status, &event["etype"], &event["referral"]["email"]),
        (200, &"signup".into(), &"northdesk@example.org".into())
    );
    assert_eq!(event["referral"]["uid"], "u-77");
    let (status, again) = track(&broker, "signup", signup).await;
    assert_eq!(status, 422, "{again}");
    assert!(again["transaction_id"].as_str().is_some_and(|text| text.starts_with("there is already a signup event")));

    let sale = json!({"uid": "u-77", "event_id": "inv_1", "amount": 4900, "plan": "pro"});
    let (status, event) = track(&broker, "sale", sale.clone()).await;
    assert_eq!((status, &event["sale_amount"], &event["plan_id"]), (200, &4900.into(), &"pro".into()), "{event}");
    let all = earned(&[("cash", "promoter", 980), ("points", "promoter", 250), ("points", "referral", 50)]);
    assert_eq!(paid(&event), all, "{event}");
    assert_eq!(track(&broker, "sale", sale).await.0, 409);
    let other = json!({"uid": "u-77", "event_id": "inv_1", "amount": 1});
    assert_eq!(track(&broker, "sale", other).await.0, 409, "whatever else it says");

    let refund = |key: &str, amount: i64| json!({"email": "northdesk@example.org", "event_id": key, "amount": amount});
    let (status, event) = track(&broker, "refund", refund("ref_1", 900)).await;
    assert_eq!((status, paid(&event)), (200, earned(&[("cash", "promoter", -180)])), "{event}");
    assert_eq!(
        (&event["etype"], &event["type"], &event["amount_cents"]),
        (&"refund".into(), &"refund".into(), &900.into())
    );
    assert_eq!(track(&broker, "refund", refund("ref_1", 900)).await.0, 409);
    let (status, event) = track(&broker, "refund", refund("ref_2", 4000)).await;
    let back = earned(&[("cash", "promoter", -800), ("points", "promoter", -250), ("points", "referral", -50)]);
    assert_eq!((status, paid(&event)), (200, back), "the whole sale was given back: {event}");
    assert_eq!(track(&broker, "refund", refund("ref_3", 1)).await, (204, Value::Null), "nothing is left");

    let (status, event) = track(&broker, "cancellation", who).await;
    assert_eq!((status, &event["type"]), (200, &"cancellation".into()), "{event}");
}

async fn a_sale_with_a_token_needs_no_sign_up(engine: Engine) {
    let broker = selling(engine).await;
    let token = format!("p1c{}", broker.program());
    let sale =
        json!({"email": "new@example.org", "event_id": "inv_9", "amount": 1000, "ref_id": token, "currency": "USD"});
    let (status, event) = track(&broker, "sale", sale).await;
    assert_eq!((status, paid(&event).len()), (200, 3), "{event}");
    let again = json!({"email": "new@example.org", "event_id": "inv_10", "amount": 1000});
    let (status, event) = track(&broker, "sale", again).await;
    assert_eq!(status, 200);
    assert_eq!(
        paid(&event),
        earned(&[("cash", "promoter", 200), ("points", "promoter", 250)]),
        "the buyer is thanked once"
    );
}

async fn what_cannot_be_tracked_is_refused(engine: Engine) {
    let broker = selling(engine).await;
    for (what, body, status, code) in [
        ("signup", json!({"tid": "x"}), 400, "invalid_record"),
        ("signup", json!({"email": "a@b.example", "tid": "00000000-0000-0000-0000-000000000000"}), 404, "not_found"),
        ("signup", json!({"email": "a@b.example"}), 404, "not_found"),
        ("sale", json!({"email": "a@b.example", "event_id": "1", "amount": 100}), 404, "not_found"),
        ("sale", json!({"email": "a@b.example", "event_id": "1"}), 400, "invalid_record"),
        ("sale", json!({"email": "a@b.example", "amount": 100}), 400, "invalid_record"),
        ("sale", json!({"event_id": "1", "amount": 100}), 400, "invalid_record"),
        ("sale", json!({"email": "a@b.example", "event_id": "1", "amount": 1.5}), 400, "invalid_record"),
        ("refund", json!({"event_id": "1", "amount": 100}), 400, "invalid_record"),
        ("cancellation", json!({}), 400, "invalid_record"),
        ("cancellation", json!({"uid": "nobody"}), 404, "not_found"),
    ] {
        let (got, error) = track(&broker, what, body.clone()).await;
        assert_eq!((got, error["code"].as_str()), (status, Some(code)), "{what} {body}: {error}");
    }
    let (_, blank) = track(&broker, "signup", json!({"tid": "x"})).await;
    assert_eq!(blank["message"], "Error. Email and uid can not be blank!");
    let sale =
        json!({"email": "a@b.example", "event_id": "1", "amount": 0, "ref_id": format!("p1c{}", broker.program())});
    let (status, error) = track(&broker, "sale", sale).await;
    assert_eq!((status, error["errors"]["amount"].is_array()), (400, true), "{error}");
    let (status, _) = track(&broker, "refund", json!({"email": "a@b.example", "event_id": "1", "amount": 100})).await;
    assert_eq!(status, 204, "nobody knows the buyer: nothing to do");
}

on_both_engines! {
    a_visitor_signs_up_buys_and_gets_its_money_back,
    a_sale_with_a_token_needs_no_sign_up,
    what_cannot_be_tracked_is_refused,
}
