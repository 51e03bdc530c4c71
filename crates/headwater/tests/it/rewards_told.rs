//! What webhooks hear of promoters, their memberships and referrals, each in the transaction of its change.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::rewards_affiliate::selling;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn done(broker: &Broker, path: &str, body: Value) -> Value {
    let (status, object) = rewards(broker, Method::POST, path, &body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

/// The next so many messages by their names; each name once.
async fn heard(receiver: &mut Receiver, count: usize) -> BTreeMap<String, Value> {
    let mut heard = BTreeMap::new();
    for _ in 0..count {
        let told = receiver.next().await.json();
        let name = told["event_type"].as_str().expect("a name").to_owned();
        assert!(heard.insert(name.clone(), told).is_none(), "{name} was told twice");
    }
    heard
}

async fn people_are_told_of(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    let types = json!([
        "promoter.created",
        "promoter_campaign.created",
        "promoter_campaign.accepted",
        "promoter_campaign.updated",
        "promoter_campaign.blocked",
        "referral.created",
        "referral.converted",
        "referral.cancelled",
        "referral.deleted"
    ]);
    done(&broker, "/api/v2/company/webhooks", json!({"url": receiver.url, "event_types": types})).await;

    let promoter = done(&broker, "/api/v2/company/promoters", json!({"email": "ib@example.org"})).await;
    let told = heard(&mut receiver, 3).await;
    assert_eq!(told["promoter.created"]["data"]["email"], "ib@example.org");
    let member = &promoter["promoter_campaigns"][0];
    assert_eq!(told["promoter_campaign.created"]["entity_id"], member["id"]);
    assert_eq!(told["promoter_campaign.accepted"]["changes"]["state"], json!([null, "accepted"]));

    let who = json!({"email": "client@example.org", "uid": "u-1", "ref_id": member["ref_token"]});
    done(&broker, "/api/v2/track/signup", who).await;
    let told = heard(&mut receiver, 1).await;
    let data = &told["referral.created"]["data"];
    assert_eq!(
        (&data["email"], &data["uid"], &data["state"]),
        (&"client@example.org".into(), &"u-1".into(), &"signup".into())
    );
    assert_eq!(data["promoter_campaign"]["promoter"]["email"], "ib@example.org");

    for key in ["1", "2"] {
        done(&broker, "/api/v2/track/sale", json!({"uid": "u-1", "event_id": key, "amount": 500})).await;
    }
    let told = heard(&mut receiver, 1).await;
    assert_eq!(
        told["referral.converted"]["changes"]["state"],
        json!(["signup", "active"]),
        "only the first sale converts"
    );
    done(&broker, "/api/v2/track/cancellation", json!({"uid": "u-1"})).await;
    let told = heard(&mut receiver, 1).await;
    assert_eq!(told["referral.cancelled"]["data"]["uid"], "u-1");

    let ids = json!({"ids": [promoter["id"]], "campaign_id": member["campaign_id"]});
    done(&broker, "/api/v2/company/promoters/block", ids.clone()).await;
    let told = heard(&mut receiver, 2).await;
    assert_eq!(told["promoter_campaign.blocked"]["changes"]["state"], json!(["accepted", "blocked"]));
    assert_eq!(told["promoter_campaign.updated"]["data"]["state"], "blocked");
    done(&broker, "/api/v2/company/promoters/block", ids).await;
    let (_, list) = rewards(&broker, Method::GET, "/api/v2/company/referrals", &Value::Null).await;
    let forget = json!({"ids": [list[0]["id"]]});
    let (status, batch) = rewards(&broker, Method::DELETE, "/api/v2/company/referrals", &forget).await;
    assert_eq!(status, 200, "{batch}");
    let told = heard(&mut receiver, 1).await;
    assert_eq!(told["referral.deleted"]["data"], json!({"id": list[0]["id"]}), "the repeated block told nothing");
    assert!(receiver.waiting().is_none());
}

async fn changes_by_hand_are_told_of(engine: Engine) {
    let broker = selling(engine).await;
    let mut receiver = Receiver::start().await;
    let types = json!([
        "referral.updated",
        "promoter.balance.updated",
        "promoter.profile.updated",
        "payout_method.created",
        "payout_method.updated",
        "payout_method.deleted"
    ]);
    done(&broker, "/api/v2/company/webhooks", json!({"url": receiver.url, "event_types": types})).await;
    let (_, members) = rewards(&broker, Method::GET, "/api/v2/company/promoter_campaigns", &Value::Null).await;
    let (token, promoter) = (&members[0]["ref_token"], &members[0]["promoter_id"]);
    let signup = json!({"email": "client@example.org", "uid": "u-1", "ref_id": token});
    let event = done(&broker, "/api/v2/track/signup", signup).await;
    let referral = format!("/api/v2/company/referrals/{}", event["referral"]["id"]);

    let (status, _) =
        rewards(&broker, Method::PUT, &referral, &json!({"fraud_check": "ad_source", "username": "cy"})).await;
    assert_eq!(status, 200);
    let told = heard(&mut receiver, 1).await;
    let updated = &told["referral.updated"];
    let changes = json!({"username": [null, "cy"], "fraud_check": [null, "ad_source"]});
    assert_eq!((&updated["changes"], &updated["data"]["state"]), (&changes, &"signup".into()), "{updated}");
    let ids = json!({"ids": [event["referral"]["id"]]});
    for (call, states) in [("disable", json!(["signup", "denied"])), ("enable", json!(["denied", "signup"]))] {
        done(&broker, &format!("/api/v2/company/referrals/{call}"), ids.clone()).await;
        let told = heard(&mut receiver, 1).await;
        assert_eq!(told["referral.updated"]["changes"], json!({"state": states}), "{call}");
        assert_eq!(told["referral.updated"]["data"]["state"], states[1], "{call}");
    }

    done(&broker, "/api/v2/track/sale", json!({"uid": "u-1", "event_id": "1", "amount": 1000})).await;
    let told = heard(&mut receiver, 2).await;
    assert_eq!(told["referral.updated"]["changes"]["state"], json!(["signup", "active"]));
    let balance = &told["promoter.balance.updated"];
    assert_eq!((&balance["entity_id"], &balance["data"]["email"]), (promoter, &"alpha@partner.example".into()));
    let balances = json!({"cash": 200, "points": 250});
    assert_eq!(balance["changes"]["balances"], json!([{"cash": 0, "points": 0}, balances]), "{balance}");
    assert_eq!(balance["data"]["balances"], balances);

    let partner = format!("/api/v1/partners/{promoter}");
    for (payout, name, method) in [
        (json!({"method": "bank", "details": {"iban": "X1"}}), "created", "bank"),
        (json!({"method": "bank", "details": {"iban": "X2"}}), "updated", "bank"),
        (Value::Null, "deleted", "bank"),
    ] {
        broker.done(Method::PATCH, &partner, &json!({ "payout": payout })).await;
        broker.done(Method::PATCH, &partner, &json!({ "payout": payout })).await;
        let told = heard(&mut receiver, 1).await;
        let told = &told[&format!("payout_method.{name}")];
        assert_eq!((&told["entity_id"], &told["data"]["method"]), (promoter, &method.into()), "once: {told}");
    }
    let profile = json!({"profile": {"website": "https://alpha.example"}});
    let (status, _) = rewards(&broker, Method::PUT, &format!("/api/v2/company/promoters/{promoter}"), &profile).await;
    assert_eq!(status, 200);
    let told = heard(&mut receiver, 1).await;
    assert_eq!(told["promoter.profile.updated"]["entity_id"], *promoter);
    assert!(receiver.waiting().is_none());
}

on_both_engines! {
    people_are_told_of,
    changes_by_hand_are_told_of,
}
