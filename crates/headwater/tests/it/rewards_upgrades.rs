//! The rewards dialect moves promoters from campaign to campaign: by hand, and when they have brought what a campaign asks.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn done(broker: &Broker, method: Method, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, method, path, body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

fn campaign(name: &str) -> Value {
    let landing_url = format!("https://broker.example/{name}");
    json!({"name": name, "landing_url": landing_url, "ref_token_param": "?via", "visitor_cookie_life": 60})
}

async fn sale(broker: &Broker, who: &str, key: &str, token: &str) -> Value {
    let body = json!({"email": who, "event_id": key, "amount": 1000, "ref_id": token});
    let (status, event) = rewards(broker, Method::POST, "/api/v2/track/sale", &body).await;
    assert_eq!(status, 200, "{event}");
    event
}

async fn who_reaches_the_next_level_keeps_its_link(engine: Engine) {
    let broker = Broker::start(engine).await;
    let gold = done(&broker, Method::POST, "campaigns", campaign("Gold")).await["id"].clone();
    let mut first = campaign("Silver");
    first["upgrade_details"] = json!({"campaign_id": gold, "amount": 2, "metric": "customers"});
    let silver = done(&broker, Method::POST, "campaigns", first.clone()).await;
    assert_eq!(silver["upgrade_details"], first["upgrade_details"]);
    let path = format!("campaigns/{}", silver["id"]);
    assert_eq!(done(&broker, Method::GET, &path, json!({})).await["upgrade_details"], first["upgrade_details"]);

    let body = json!({"email": "ib@partner.example", "initial_campaign_id": silver["id"]});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    let token = promoter["promoter_campaigns"][0]["ref_token"].as_str().expect("a token").to_owned();
    let mut receiver = Receiver::start().await;
    let types = json!(["promoter_campaign.created", "promoter_campaign.accepted", "promoter_campaign.inactive"]);
    done(&broker, Method::POST, "webhooks", json!({"url": receiver.url, "event_types": types})).await;
    for (who, key) in [("a@buyer.example", "1"), ("b@buyer.example", "2")] {
        sale(&broker, who, key, &token).await;
    }
    let mut heard = BTreeMap::new();
    for _ in 0..3 {
        let told = receiver.next().await.json();
        heard.insert(told["event_type"].as_str().expect("a name").to_owned(), told);
    }
    let created = &heard["promoter_campaign.created"]["data"];
    assert_eq!((&created["campaign_id"], &created["ref_token"]), (&gold, &token.as_str().into()));
    assert_eq!(heard["promoter_campaign.inactive"]["changes"]["state"], json!(["accepted", "inactive"]));

    // Whoever follows the same link now is a referral of the next campaign; those before stay.
    sale(&broker, "c@buyer.example", "3", &token).await;
    let shown = done(&broker, Method::GET, &format!("promoters/{}", promoter["id"]), json!({})).await;
    let members = shown["promoter_campaigns"].as_array().expect("members");
    let referrals = |campaign: &Value| {
        let member = members.iter().find(|member| member["campaign_id"] == *campaign).expect("a member");
        (member["state"].clone(), member["stats"]["referrals_count"].clone())
    };
    assert_eq!(referrals(&silver["id"]), ("inactive".into(), 2.into()));
    assert_eq!(referrals(&gold), ("accepted".into(), 1.into()));
    let url = format!("/click?via={token}");
    let click = broker.request(None, Method::GET, &url).header("user-agent", "Mozilla/5.0 Firefox/140.0");
    let landing = click.send().await.expect("it redirects").headers()["location"].to_str().expect("text").to_owned();
    assert!(landing.ends_with(&format!("program-id={gold}")), "{landing}");

    let audit = broker.rows("/api/v1/audit").await;
    let deed = audit.iter().find(|deed| deed["action"] == "promoter_campaign.upgraded").expect("a deed");
    assert_eq!(deed["detail"]["to_campaign_id"], gold, "{deed}");
}

async fn an_upgrade_that_cannot_be_reached_is_refused_by_its_field(engine: Engine) {
    let broker = Broker::start(engine).await;
    let gold = done(&broker, Method::POST, "campaigns", campaign("Gold")).await["id"].clone();
    let silver = done(&broker, Method::POST, "campaigns", campaign("Silver")).await["id"].clone();
    let to = |id: &Value| json!({"campaign_id": id, "amount": 2, "metric": "revenue"});
    let path = format!("campaigns/{silver}");
    done(&broker, Method::PUT, &path, json!({"upgrade_details": to(&gold)})).await;
    let with = |name: &str, value: Value| {
        let mut details = to(&silver);
        details[name] = value;
        details
    };
    for (details, status, field) in [
        (json!("gold"), 400, "upgrade_details"),
        (with("campaign_id", json!(99_999)), 400, "upgrade_details.campaign_id"),
        (with("campaign_id", gold.clone()), 400, "upgrade_details.campaign_id"),
        (to(&silver), 400, "upgrade_details.campaign_id"),
        (with("amount", json!(0)), 400, "upgrade_details.amount"),
        (with("amount", json!(2.5)), 400, "upgrade_details.amount"),
        (with("metric", json!("clicks")), 400, "upgrade_details.metric"),
        (with("level", json!(1)), 400, "upgrade_details.level"),
    ] {
        let body = json!({"upgrade_details": details});
        let (got, error) = company(&broker, Method::PUT, &format!("campaigns/{gold}"), body).await;
        assert_eq!((got, error["errors"][field].is_array()), (status, true), "{details}: {error}");
    }
    let ended = done(&broker, Method::PUT, &path, json!({"upgrade_details": null})).await;
    assert_eq!(ended["upgrade_details"], Value::Null);
    done(&broker, Method::PUT, &format!("campaigns/{gold}"), json!({"upgrade_details": to(&silver)})).await;
}

async fn a_campaign_can_take_nobody_from_advertisements(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut body = campaign("Gold");
    body["track_ad_traffic"] = "block".into();
    let gold = done(&broker, Method::POST, "campaigns", body).await;
    assert_eq!(gold["track_ad_traffic"], "block");
    let body = json!({"email": "ib@partner.example", "initial_campaign_id": gold["id"]});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    let token = promoter["promoter_campaigns"][0]["ref_token"].as_str().expect("a token").to_owned();
    let click = async |extra: &str| {
        let path = format!("/click?via={token}{extra}");
        let click = broker.request(None, Method::GET, &path).header("user-agent", "Mozilla/5.0 Firefox/140.0");
        let landing =
            click.send().await.expect("it redirects").headers()["location"].to_str().expect("text").to_owned();
        let landing = url::Url::parse(&landing).expect("an address");
        landing.query_pairs().find(|(name, _)| name == "sessionId").expect("a session").1.into_owned()
    };
    let signup = async |who: &str, tid: String| {
        let body = json!({"email": format!("{who}@buyer.example"), "tid": tid});
        rewards(&broker, Method::POST, "/api/v2/track/signup", &body).await.0
    };
    assert_eq!(signup("a", click("&gclid=Cj0K").await).await, 404, "the visitor is nobody's");
    // The row of a click comes after its redirect, and until then its session is nobody's.
    let signed_up = async |who: &str, tid: String| {
        for _ in 0..1000 {
            match signup(who, tid.clone()).await {
                404 => {}
                status => return status,
            }
        }
        404
    };
    assert_eq!(signed_up("b", click("").await).await, 200);
    let allowed = json!({"track_ad_traffic": "allow"});
    done(&broker, Method::PUT, &format!("campaigns/{}", gold["id"]), allowed).await;
    assert_eq!(signed_up("c", click("&gclid=Cj0K").await).await, 200);
}

async fn a_promoter_is_moved_by_hand_and_back(engine: Engine) {
    let broker = Broker::start(engine).await;
    let gold = done(&broker, Method::POST, "campaigns", campaign("Gold")).await["id"].clone();
    let members = done(&broker, Method::GET, "promoter_campaigns", json!({})).await;
    let (own, promoter, token) = (&members[0]["campaign_id"], &members[0]["promoter_id"], &members[0]["ref_token"]);
    let moved = async |from: &Value, to: &Value| {
        let body = json!({"ids": [promoter], "from_campaign_id": from, "to_campaign_id": to});
        let batch = done(&broker, Method::POST, "promoters/move_to_campaign", body).await;
        assert_eq!(batch["failed_count"], 0, "{batch}");
        let shown = done(&broker, Method::GET, &format!("promoters/{promoter}"), json!({})).await;
        let members = shown["promoter_campaigns"].as_array().expect("members").clone();
        let by =
            |member: &Value| (member["campaign_id"].clone(), member["state"].clone(), member["ref_token"] == *token);
        members.iter().map(by).collect::<Vec<_>>()
    };
    let there = vec![(own.clone(), "inactive".into(), false), (gold.clone(), "accepted".into(), true)];
    assert_eq!(moved(own, &gold).await, there);
    assert_eq!(moved(own, &gold).await, there, "what is done stays done");
    let back = vec![(own.clone(), "accepted".into(), true), (gold.clone(), "inactive".into(), false)];
    assert_eq!(moved(&gold, own).await, back);
    done(&broker, Method::POST, "promoters/block", json!({"ids": [promoter], "campaign_id": gold})).await;
    let body = json!({"ids": [promoter], "from_campaign_id": own, "to_campaign_id": gold});
    let (status, error) = company(&broker, Method::POST, "promoters/move_to_campaign", body).await;
    assert_eq!((status, error["code"].as_str()), (422, Some("operation_failed")), "{error}");
}

on_both_engines! {
    who_reaches_the_next_level_keeps_its_link,
    an_upgrade_that_cannot_be_reached_is_refused_by_its_field,
    a_campaign_can_take_nobody_from_advertisements,
    a_promoter_is_moved_by_hand_and_back,
}
