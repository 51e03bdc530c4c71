//! What advertisements bring a campaign that looks at it first: from the click to the commission that somebody's approval of the
//! referral approves.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> Value {
    let (status, object) = rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

/// Under load the row of a click comes after its redirect, and until then its session is nobody's.
const ASKED_MAX: usize = 1000;

async fn track(broker: &Broker, what: &str, body: Value) -> Value {
    let path = format!("/api/v2/track/{what}");
    let mut answer = rewards(broker, Method::POST, &path, &body).await;
    for _ in 1..ASKED_MAX {
        if answer.0 != 404 {
            break;
        }
        answer = rewards(broker, Method::POST, &path, &body).await;
    }
    assert_eq!(answer.0, 200, "{what}: {}", answer.1);
    answer.1
}

/// A campaign that pays a fifth and 250 points, approves by itself, and looks at what advertisements bring; and a member's token.
async fn asking(broker: &Broker) -> String {
    let reward = json!({"name": "a fifth", "is_promoter_reward": true, "promoter_reward_type": "sale", "duration": "forever",
        "schemas": [{"unit": "cash", "amount": 20, "flat_amount": false}, {"unit": "points", "amount": 250, "flat_amount": true}]});
    let reward = company(broker, Method::POST, "rewards", reward).await["id"].clone();
    let campaign = json!({"name": "Ads", "landing_url": "https://broker.example/ads", "ref_token_param": "?via",
        "visitor_cookie_life": 60, "auto_approve": true, "track_ad_traffic": "pending",
        "rewards_for_promoters": [{"apply_on": "all", "reward_id": reward}]});
    let campaign = company(broker, Method::POST, "campaigns", campaign).await;
    assert_eq!(campaign["track_ad_traffic"], "pending");
    let body = json!({"email": "ib@partner.example", "initial_campaign_id": campaign["id"]});
    let promoter = company(broker, Method::POST, "promoters", body).await;
    promoter["promoter_campaigns"][0]["ref_token"].as_str().expect("a token").to_owned()
}

/// The session of a click.
async fn click(broker: &Broker, query: &str) -> String {
    let path = format!("/click?via={query}");
    let click = broker.request(None, Method::GET, &path).header("user-agent", "Mozilla/5.0 Firefox/140.0");
    let landing = click.send().await.expect("it redirects").headers()["location"].to_str().expect("text").to_owned();
    let landing = url::Url::parse(&landing).expect("an address");
    landing.query_pairs().find(|(name, _)| name == "sessionId").expect("a session").1.into_owned()
}

/// Unit, amount and status of each.
fn rows(commissions: &Value) -> Vec<(String, i64, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = commissions.as_array().expect("commissions").iter();
    let mut rows: Vec<_> =
        rows.map(|row| (text(&row["unit"]), row["amount"].as_i64().expect("whole"), text(&row["status"]))).collect();
    rows.sort();
    rows
}

fn are(rows: &[(&str, i64, &str)]) -> Vec<(String, i64, String)> {
    rows.iter().map(|(unit, amount, status)| ((*unit).to_owned(), *amount, (*status).to_owned())).collect()
}

async fn suspected(broker: &Broker) -> Value {
    company(broker, Method::GET, "commissions?filters[fraud_check]=ad_source", Value::Null).await
}

/// The next messages' names, what they say of the state or status, and whether that is what the entity shows.
async fn heard(receiver: &mut Receiver, count: usize) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    for _ in 0..count {
        let told = receiver.next().await.json();
        let changes = [&told["changes"]["state"], &told["changes"]["status"]];
        let change = changes.into_iter().find(|change| !change.is_null()).cloned().unwrap_or_default();
        heard.push((told["event_type"].as_str().expect("a name").to_owned(), change));
    }
    heard.sort_by(|one, other| one.0.cmp(&other.0));
    heard
}

async fn what_an_advertisement_brings_is_paid_once_somebody_approves_it(engine: Engine) {
    let broker = Broker::start(engine).await;
    let token = asking(&broker).await;
    let mut receiver = Receiver::start().await;
    let types =
        json!(["referral.created", "referral.updated", "commission.created", "commission.updated", "payout.created"]);
    company(&broker, Method::POST, "webhooks", json!({"url": receiver.url, "event_types": types})).await;

    let tid = click(&broker, &format!("{token}&gclid=Cj0K")).await;
    let signed_up = track(&broker, "signup", json!({"email": "a@buyer.example", "tid": tid})).await;
    let created = receiver.next().await.json();
    assert_eq!((&created["event_type"], &created["data"]["state"]), (&"referral.created".into(), &"pending".into()));
    let id = signed_up["referral"]["id"].clone();
    let path = format!("referrals/{id}");
    let shown = company(&broker, Method::GET, &path, Value::Null).await;
    assert_eq!((&shown["state"], &shown["fraud_check"]), (&"pending".into(), &"ad_source".into()), "{shown}");

    let sale = |key: &str, amount: i64| json!({"email": "a@buyer.example", "event_id": key, "amount": amount});
    let sold = track(&broker, "sale", sale("inv_1", 5000)).await;
    assert_eq!(rows(&sold["commissions"]), are(&[("cash", 1000, "pending"), ("points", 250, "pending")]));
    track(
        &broker,
        "refund",
        json!({"email": "a@buyer.example", "event_id": "r_1", "amount": 1000, "sale_event_id": "inv_1"}),
    )
    .await;
    let names: Vec<_> = heard(&mut receiver, 3).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["commission.created"; 3], "nothing is approved yet, and who waits stays pending");
    let waiting = [("cash", -200, "pending"), ("cash", 1000, "pending"), ("points", 250, "pending")];
    assert_eq!(rows(&suspected(&broker).await), are(&waiting));
    assert_eq!(company(&broker, Method::GET, "payouts", Value::Null).await, json!([]));

    for _ in 0..2 {
        let batch = company(&broker, Method::POST, "referrals/approve", json!({"ids": [id]})).await;
        assert_eq!((&batch["status"], &batch["failed_count"]), (&"completed".into(), &0.into()), "{batch}");
    }
    let decided = json!(["pending", "approved"]);
    let mut expected = vec![("commission.updated".to_owned(), decided); 3];
    expected.push(("payout.created".to_owned(), Value::Null));
    expected.push(("referral.updated".to_owned(), json!(["pending", "active"])));
    assert_eq!(heard(&mut receiver, 5).await, expected);
    assert_eq!(rows(&suspected(&broker).await), are(&waiting.map(|(unit, amount, _)| (unit, amount, "approved"))));
    let payouts = company(&broker, Method::GET, "payouts", Value::Null).await;
    assert_eq!((payouts.as_array().map(Vec::len), &payouts[0]["unit"]), (Some(1), &"points".into()), "{payouts}");

    let sold = track(&broker, "sale", sale("inv_2", 100)).await;
    assert_eq!(rows(&sold["commissions"]), are(&[("cash", 20, "approved"), ("points", 250, "approved")]));
    heard(&mut receiver, 5).await;
    assert!(receiver.waiting().is_none(), "the second approval told nothing");
}

async fn a_denied_advertisement_is_never_paid_by_itself(engine: Engine) {
    let broker = Broker::start(engine).await;
    let token = asking(&broker).await;
    let by_hand = click(&broker, &token).await;
    let sold = json!({"email": "b@buyer.example", "event_id": "1", "amount": 100, "tid": by_hand});
    let paid = [("cash", 20, "approved"), ("points", 250, "approved")];
    assert_eq!(rows(&track(&broker, "sale", sold).await["commissions"]), are(&paid), "nobody paid for this click");
    let tid = click(&broker, &format!("{token}&utm_medium=cpc")).await;
    let sale = json!({"email": "a@buyer.example", "event_id": "2", "amount": 100, "tid": tid});
    let sold = track(&broker, "sale", sale).await;
    let ids = json!({"ids": [sold["referral"]["id"]]});
    company(&broker, Method::POST, "referrals/disable", ids.clone()).await;
    let waiting = [("cash", 20, "pending"), ("points", 250, "pending")];
    assert_eq!(rows(&suspected(&broker).await), are(&waiting));
    company(&broker, Method::POST, "referrals/enable", ids).await;
    assert_eq!(rows(&suspected(&broker).await), are(&paid));
}

on_both_engines! {
    what_an_advertisement_brings_is_paid_once_somebody_approves_it,
    a_denied_advertisement_is_never_paid_by_itself,
}
