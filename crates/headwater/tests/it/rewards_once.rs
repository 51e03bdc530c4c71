//! `Idempotency-Key` in the rewards dialect: one effect, one answer, told again byte for byte.
//!
//! The requests of these tests have no `event_id`, so that nothing but the header stands between a repeated one and a second
//! commission. Leaves the other dialects to `idempotency` and `same_request`.

use crate::broker::Broker;
use crate::rewards_affiliate::selling;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

struct Told {
    status: u16,
    is_replayed: bool,
    body: String,
}

async fn post(broker: &Broker, token: &str, path: &str, key: &str, body: &Value) -> Told {
    let request = broker.request(None, Method::POST, &format!("/api/v2/{path}")).bearer_auth(token);
    let request = request.header("Account-ID", broker.key("account_id")).header("content-type", "application/json");
    let answer = request.header("idempotency-key", key).body(body.to_string()).send().await.expect("it answers");
    let is_replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    let is_counted = answer.headers().contains_key("ratelimit-remaining");
    assert!(is_counted || answer.status() == 403, "every answer to a key says what is left");
    Told { status: answer.status().as_u16(), is_replayed, body: answer.text().await.expect("a body") }
}

async fn list(broker: &Broker, path: &str) -> Vec<Value> {
    let (status, rows) = rewards(broker, Method::GET, &format!("/api/v2/company/{path}"), &Value::Null).await;
    assert_eq!(status, 200, "{rows}");
    rows.as_array().expect("a list").clone()
}

/// Sends it twice: the second answer is the first, and what `path` lists grew by so many rows once.
async fn once(broker: &Broker, call: &str, key: &str, body: Value, (path, rows): (&str, usize)) -> Value {
    let before = list(broker, path).await.len();
    let token = broker.key("rewards_key").to_owned();
    let first = post(broker, &token, call, key, &body).await;
    assert!((200..300).contains(&first.status) && !first.is_replayed, "{call}: {} {}", first.status, first.body);
    let again = post(broker, &token, call, key, &body).await;
    assert_eq!((again.status, again.is_replayed, &again.body), (first.status, true, &first.body), "{call}");
    assert_eq!(list(broker, path).await.len() - before, rows, "{call}: once");
    serde_json::from_str(&first.body).unwrap_or_default()
}

async fn a_request_counts_once_under_its_key(engine: Engine) {
    let mut broker = selling(engine).await;
    let member = list(&broker, "promoter_campaigns").await[0].clone();
    let who = json!({"email": "a@buyer.example", "ref_id": member["ref_token"]});
    once(&broker, "track/signup", "s", who, ("referrals", 1)).await;
    let referral = list(&broker, "referrals").await[0]["id"].clone();

    // Without an event_id, each of these would be one more.
    let custom = json!({"commission_type": "custom", "promoter_campaign_id": member["id"], "amount": 700});
    let made = once(&broker, "company/commissions", "k-1", custom.clone(), ("commissions", 1)).await;
    assert_eq!((&made[0]["amount"], &made[0]["created_by_user_email"]), (&700.into(), &Value::Null), "{made}");
    let sale = json!({"commission_type": "sale", "referral_id": referral, "sale_amount": 1000});
    let sold = once(&broker, "company/commissions", "k-2", sale.clone(), ("commissions", 3)).await;
    assert_eq!(sold.as_array().map(Vec::len), Some(3), "money, points and the buyer's: {sold}");
    once(&broker, "company/commissions", "k-3", sale.clone(), ("commissions", 2)).await;
    let range = "columns[]=cancelled_customers_count&group_by=year&start_date=2020-01-01&end_date=2059-12-31";
    let report = format!("reports/campaigns?{range}");
    let cancelled = once(&broker, "track/cancellation", "k-4", json!({"email": "a@buyer.example"}), (&report, 0)).await;
    assert_eq!(cancelled["type"], "cancellation");
    let hook = json!({"url": "https://crm.broker.example/rewards", "event_types": ["commission.created"]});
    let hook = once(&broker, "company/webhooks", "k-5", hook, ("webhooks", 1)).await;
    assert!(hook["secret_key"].is_string(), "the secret is told again to whoever made it: {hook}");
    let promoter = json!({"email": "second@example.org"});
    once(&broker, "company/promoters", "k-6", promoter, ("promoter_campaigns", 1)).await;
    let refund = json!({"email": "nobody@buyer.example", "event_id": "r", "amount": 5});
    assert_eq!(once(&broker, "track/refund", "k-7", refund, ("commissions", 0)).await, Value::Null, "204 again");
    let batch = json!({"ids": [made[0]["id"]]});
    let denied = once(&broker, "company/commissions/deny", "k-8", batch, ("commissions", 0)).await;
    assert!(denied["id"].is_i64(), "the same batch: {denied}");

    // Another request under a key is refused, another path has its own keys, and a refusal leaves its key free.
    let token = broker.key("rewards_key").to_owned();
    let other = json!({"commission_type": "custom", "promoter_campaign_id": member["id"], "amount": 701});
    let refused = post(&broker, &token, "company/commissions", "k-1", &other).await;
    let code = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["code"].clone();
    assert_eq!((refused.status, code(&refused.body)), (422, "idempotency_key_reused".into()), "{}", refused.body);
    let wrong = json!({"commission_type": "custom", "promoter_campaign_id": member["id"], "amount": 0});
    assert_eq!(post(&broker, &token, "company/commissions", "k-9", &wrong).await.status, 400);
    assert_eq!(post(&broker, &token, "company/commissions", "k-9", &custom).await.status, 200);
    let long = "k".repeat(256);
    let refused = post(&broker, &token, "company/commissions", &long, &custom).await;
    assert_eq!((refused.status, code(&refused.body)), (400, "invalid_record".into()), "{}", refused.body);

    broker.server.kill();
    broker.server.start_again();
    let again = post(&broker, &token, "company/commissions", "k-2", &sale).await;
    assert_eq!((again.status, again.is_replayed), (200, true), "it is on the disk: {}", again.body);
    assert_eq!(serde_json::from_str::<Value>(&again.body).expect("JSON"), sold);
}

async fn a_partners_request_counts_once_under_its_key(engine: Engine) {
    let broker = selling(engine).await;
    let body = json!({"kind": "partner", "partner": "ib_2044"});
    let issued = broker.done(Method::POST, "/api/v1/keys", &body).await;
    let token = issued["key"].as_str().expect("a token");
    let member = list(&broker, "promoter_campaigns").await[0]["id"].clone();
    let link = json!({"promoter_campaign_id": member, "name": "Newsletter", "sub_id": "news"});
    let first = post(&broker, token, "affiliate/referral_links", "k-1", &link).await;
    let again = post(&broker, token, "affiliate/referral_links", "k-1", &link).await;
    assert_eq!((again.status, again.is_replayed, again.body), (first.status, true, first.body));
    let links = list(&broker, &format!("promoter_campaigns/{member}/referral_links")).await;
    let named = links.iter().filter(|row| row["is_default"] == false).count();
    assert_eq!(named, 2, "the broker's own and one more: {links:?}");
    // The key of one caller is nothing to another one: the partner's token stays shut out of the company's calls.
    let foreign = post(&broker, token, "company/commissions", "k-1", &json!({})).await;
    assert_eq!((foreign.status, foreign.is_replayed), (403, false));
}

on_both_engines! {
    a_request_counts_once_under_its_key,
    a_partners_request_counts_once_under_its_key,
}
