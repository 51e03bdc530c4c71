//! Referrals whose commissions several promoters share: over HTTP, on both stores, with what webhooks hear of it.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn done(broker: &Broker, method: Method, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, method, path, body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

/// A sale of 10.00, and what it paid to whom: (promoter, amount, percentage of the split).
async fn sold(broker: &Broker, who: &str, key: &str) -> Vec<(i64, i64, Option<i64>)> {
    let body = json!({"email": who, "event_id": key, "amount": 1000});
    let (status, event) = rewards(broker, Method::POST, "/api/v2/track/sale", &body).await;
    assert_eq!(status, 200, "{event}");
    paid(&event["commissions"])
}

fn paid(commissions: &Value) -> Vec<(i64, i64, Option<i64>)> {
    let one = |row: &Value| {
        let percentage = row["split_details"]["percentage"].as_i64();
        assert_eq!((&row["is_split"], &row["tier"]), (&percentage.is_some().into(), &1.into()), "{row}");
        let number = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("no number: {row}"));
        (number(&row["recipient"]["id"]), number(&row["amount"]), percentage)
    };
    let mut paid: Vec<_> = commissions.as_array().expect("rows").iter().map(one).collect();
    paid.sort_unstable();
    paid
}

/// A program that pays by this rule for sales, its first promoter, and two more, each as (promoter, membership).
async fn selling(engine: Engine, rule: Value) -> (Broker, [(i64, i64); 3]) {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "rules": [rule]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    let members = done(&broker, Method::GET, "promoter_campaigns", json!({})).await;
    let number = |value: &Value| value.as_i64().expect("a number");
    let mut three = [(number(&members[0]["promoter_id"]), number(&members[0]["id"])); 3];
    for (place, email) in [(1, "second@example.org"), (2, "third@example.org")] {
        let made = done(&broker, Method::POST, "promoters", json!({ "email": email })).await;
        three[place] = (number(&made["id"]), number(&made["promoter_campaigns"][0]["id"]));
    }
    (broker, three)
}

fn verify(broker: &Broker) {
    let verify = broker.server.command(&["verify", "--json"]).output().expect("it runs");
    assert_eq!(verify.status.code(), Some(0), "{}", String::from_utf8_lossy(&verify.stdout));
}

async fn promoters_share_what_a_referral_brings(engine: Engine) {
    let rule = json!({"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]});
    let (broker, [first, second, third]) = selling(engine, rule).await;
    let mut receiver = Receiver::start().await;
    let types = json!(["referral.created", "referral.updated", "commission.created"]);
    done(&broker, Method::POST, "webhooks", json!({"url": receiver.url, "event_types": types})).await;

    let entry = |member: (i64, i64), percent: i64| json!({"promoter_campaign_id": member.1, "percentage": percent});
    let body = json!({"email": "client@example.org", "promoter_campaign_id": first.1,
        "split_details": [entry(second, 25), entry(third, 30)]});
    let referral = done(&broker, Method::POST, "referrals", body).await;
    let shown = |member: (i64, i64), percent: i64| json!({"promoter_campaign_id": member.1, "promoter_id": member.0, "percentage": percent});
    let both = json!([shown(second, 25), shown(third, 30)]);
    assert_eq!((&referral["split_details"], &referral["promoter_campaign"]["id"]), (&both, &first.1.into()));
    let told = receiver.next().await.json();
    assert_eq!((&told["event_type"], &told["data"]["split_details"]), (&"referral.created".into(), &both), "{told}");

    let paid_first = sold(&broker, "client@example.org", "1").await;
    assert_eq!(paid_first, [(first.0, 90, Some(45)), (second.0, 50, Some(25)), (third.0, 60, Some(30))]);
    let (mut heard, mut updates) = (Vec::new(), 0);
    while heard.len() < 3 {
        let told = receiver.next().await.json();
        if told["event_type"] == "commission.created" {
            heard.push(told["data"].clone());
        } else {
            updates += 1;
        }
    }
    assert_eq!(updates, i32::from(updates > 0), "the first sale makes a customer of the referral");
    let details = json!({"percentage": 25, "primary_promoter_campaign_id": first.1, "splits": both});
    assert!(heard.iter().any(|data| data["split_details"] == details), "{heard:?}");
    assert_eq!(paid(&heard.into()), paid_first);

    let path = format!("referrals/{}", referral["id"]);
    let half = json!({"split_details": [entry(third, 50)]});
    let changed = done(&broker, Method::PUT, &path, half.clone()).await;
    assert_eq!(changed["split_details"], json!([shown(third, 50)]));
    let told = loop {
        let told = receiver.next().await.json();
        if !told["changes"]["split_details"].is_null() {
            break told;
        }
    };
    assert_eq!(told["event_type"], "referral.updated");
    assert_eq!(told["changes"]["split_details"], json!([both, [shown(third, 50)]]));
    done(&broker, Method::PUT, &path, half).await;
    let paid_second = sold(&broker, "client@example.org", "2").await;
    assert_eq!(paid_second, [(first.0, 100, Some(50)), (third.0, 100, Some(50))]);
    let told = receiver.next().await.json();
    assert_eq!(told["event_type"], "commission.created", "the same again is no change: {told}");

    let cleared = done(&broker, Method::PUT, &path, json!({"split_details": []})).await;
    assert_eq!(cleared["split_details"], Value::Null);
    assert_eq!(sold(&broker, "client@example.org", "3").await, [(first.0, 200, None)]);
    done(&broker, Method::PUT, &path, json!({"split_details": [entry(third, 50)], "fraud_check": "no_suspicion"}))
        .await;
    let moved = json!({"ids": [referral["id"]], "promoter_campaign_id": second.1});
    done(&broker, Method::POST, "referrals/move_to_promoter", moved).await;
    let found = done(&broker, Method::GET, &path, json!({})).await;
    assert_eq!((&found["split_details"], &found["promoter_campaign"]["id"]), (&Value::Null, &second.1.into()));
    assert_eq!(sold(&broker, "client@example.org", "4").await, [(second.0, 200, None)]);

    let refund = json!({"email": "client@example.org", "event_id": "r1", "sale_event_id": "1", "amount": 1000});
    let (status, event) = rewards(&broker, Method::POST, "/api/v2/track/refund", &refund).await;
    let given_back = [(first.0, -90, Some(45)), (second.0, -50, Some(25)), (third.0, -60, Some(30))];
    assert_eq!((status, paid(&event["commissions"])), (200, given_back.to_vec()), "{event}");
    let list = done(&broker, Method::GET, &format!("commissions?filters[promoter_id]={}", third.0), json!({})).await;
    assert_eq!(list.as_array().map(Vec::len), Some(3), "{list}");
    verify(&broker);
}

async fn a_split_is_refused_by_name(engine: Engine) {
    let rule = json!({"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]});
    let (broker, [first, second, third]) = selling(engine, rule).await;
    let campaign = json!({"name": "Other", "landing_url": "https://www.broker.example/other", "ref_token_param": "?fpr",
        "visitor_cookie_life": 30});
    let campaign = done(&broker, Method::POST, "campaigns", campaign).await;
    let stranger = json!({"email": "stranger@example.org", "initial_campaign_id": campaign["id"]});
    let stranger = done(&broker, Method::POST, "promoters", stranger).await;
    let foreign = &stranger["promoter_campaigns"][0]["id"];
    let body = json!({"email": "client@example.org", "promoter_campaign_id": first.1});
    let referral = done(&broker, Method::POST, "referrals", body).await;
    let path = format!("referrals/{}", referral["id"]);
    let entry = |member: i64, percent: Value| json!({"promoter_campaign_id": member, "percentage": percent});
    let foreign = foreign.as_i64().expect("a number");
    for (wrong, says) in [
        (json!([entry(second.1, 60.into()), entry(third.1, 41.into())]), "more than 100"),
        (json!([entry(second.1, 101.into())]), "from 0 to 100"),
        (json!([entry(second.1, (-1).into())]), "from 0 to 100"),
        (json!([entry(second.1, "10".into())]), "from 0 to 100"),
        (json!([entry(first.1, 10.into())]), "remainder"),
        (json!([entry(second.1, 10.into()), entry(second.1, 10.into())]), "twice"),
        (json!([entry(foreign, 10.into())]), "another campaign"),
        (json!([entry(4711, 10.into())]), "names no membership"),
        (json!([{"percentage": 10}]), "promoter_campaign_id"),
        (json!({"promoter_campaign_id": 1}), "must be a list"),
    ] {
        let new = json!({"email": "new@example.org", "promoter_campaign_id": first.1, "split_details": wrong});
        for (method, path, body) in
            [(Method::PUT, path.as_str(), json!({"split_details": wrong})), (Method::POST, "referrals", new)]
        {
            let (status, error) = company(&broker, method, path, body).await;
            let message = error["errors"]["split_details"][0].as_str().unwrap_or_default();
            assert!(status == 400 && message.contains(says), "{wrong}: {status} {error}");
        }
    }
    let found = done(&broker, Method::GET, &path, json!({})).await;
    assert_eq!(found["split_details"], Value::Null);
    let (status, _) = company(&broker, Method::GET, "referrals/new@example.org?find_by=email", json!({})).await;
    assert_eq!(status, 404, "nothing of what was refused is left");
    let none = json!({"split_details": [entry(second.1, 0.into()), entry(third.1, 100.into())]});
    done(&broker, Method::PUT, &path, none).await;
    assert_eq!(sold(&broker, "client@example.org", "1").await, [(third.0, 200, Some(100))]);
}

/// A cap over a month of the promoter's: its persons are priced together, with whoever shares.
async fn a_cap_is_of_all_that_is_shared(engine: Engine) {
    let cap = json!({"per": "period", "amount": "3"});
    let rule = json!({"id": "share", "kind": "percent", "percent": "20", "of": ["sale"], "cap": cap});
    let (broker, [first, second, third]) = selling(engine, rule).await;
    let own = json!({"email": "own@example.org", "promoter_campaign_id": second.1});
    done(&broker, Method::POST, "referrals", own).await;
    assert_eq!(sold(&broker, "own@example.org", "0").await, [(second.0, 200, None)]);
    let body = json!({"email": "client@example.org", "promoter_campaign_id": first.1,
        "split_details": [{"promoter_campaign_id": second.1, "percentage": 50}]});
    let referral = done(&broker, Method::POST, "referrals", body).await;
    assert_eq!(sold(&broker, "client@example.org", "1").await, [(first.0, 100, Some(50)), (second.0, 100, Some(50))]);
    let path = format!("referrals/{}", referral["id"]);
    let other = json!({"split_details": [{"promoter_campaign_id": third.1, "percentage": 50}]});
    done(&broker, Method::PUT, &path, other).await;
    assert_eq!(
        sold(&broker, "client@example.org", "2").await,
        [(first.0, 50, Some(50)), (third.0, 50, Some(50))],
        "the cap leaves 1.00 to share"
    );
    assert_eq!(sold(&broker, "own@example.org", "3").await, [(second.0, 100, None)], "under a cap of its own");
    verify(&broker);
}

macro_rules! on_both {
    ($($name:ident),*) => {
        mod on_sqlite { $(#[tokio::test] async fn $name() { super::$name(super::Engine::Sqlite).await; })* }
        mod on_postgres { $(#[tokio::test] async fn $name() { super::$name(super::Engine::Postgres).await; })* }
    };
}
on_both!(promoters_share_what_a_referral_brings, a_split_is_refused_by_name, a_cap_is_of_all_that_is_shared);
