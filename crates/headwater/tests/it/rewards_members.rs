//! How a promoter gets into a campaign and out of it: waiting to be let in, and the end of the campaign.

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

/// A campaign that pays a fifth of each sale.
async fn campaign(broker: &Broker, name: &str, more: Value) -> Value {
    let reward = json!({"name": name, "is_promoter_reward": true, "promoter_reward_type": "sale", "duration": "forever",
        "schemas": [{"unit": "cash", "amount": 20, "flat_amount": false}]});
    let reward = done(broker, Method::POST, "rewards", reward).await["id"].clone();
    let mut body = json!({"name": name, "landing_url": format!("https://broker.example/{name}"), "ref_token_param": "?via",
        "visitor_cookie_life": 60, "rewards_for_promoters": [{"apply_on": "all", "reward_id": reward}]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    done(broker, Method::POST, "campaigns", body).await
}

async fn listening(broker: &Broker, types: Value) -> Receiver {
    let receiver = Receiver::start().await;
    done(broker, Method::POST, "webhooks", json!({"url": receiver.url, "event_types": types})).await;
    receiver
}

async fn heard(receiver: &mut Receiver, count: usize) -> BTreeMap<String, Value> {
    let mut heard = BTreeMap::new();
    for _ in 0..count {
        let told = receiver.next().await.json();
        heard.insert(told["event_type"].as_str().expect("a name").to_owned(), told["changes"].clone());
    }
    heard
}

async fn track(broker: &Broker, what: &str, body: Value) -> (u16, Value) {
    rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await
}

async fn landing(broker: &Broker, token: &str) -> String {
    let click = broker.request(None, Method::GET, &format!("/click?via={token}"));
    let answer = click.header("user-agent", "Mozilla/5.0 Firefox/140.0").send().await.expect("it redirects");
    answer.headers()["location"].to_str().expect("text").to_owned()
}

async fn who_waits_to_be_let_in_brings_nobody_until_then(engine: Engine) {
    let broker = Broker::start(engine).await;
    let campaign = campaign(&broker, "Choosy", json!({"auto_approve_promoters": false})).await;
    let types = json!(["promoter_campaign.pending", "promoter_campaign.accepted", "promoter_campaign.rejected"]);
    let mut receiver = listening(&broker, types).await;
    let body = json!({"email": "new@partner.example", "initial_campaign_id": campaign["id"], "always_approve": false});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    let member = &promoter["promoter_campaigns"][0];
    assert_eq!(member["state"], "pending", "{promoter}");
    assert_eq!(heard(&mut receiver, 1).await["promoter_campaign.pending"]["state"], json!([null, "pending"]));

    let list = done(&broker, Method::GET, "promoters?filters[state]=pending", json!({})).await;
    assert_eq!((&list["data"][0]["id"], &list["meta"]["pending_count"]), (&promoter["id"], &1.into()), "{list}");
    let members = done(&broker, Method::GET, "promoter_campaigns?filters[state]=pending", json!({})).await;
    assert_eq!(members[0]["id"], member["id"], "{members}");

    let token = member["ref_token"].as_str().expect("a token");
    let sale = json!({"email": "a@buyer.example", "event_id": "1", "amount": 1000, "ref_id": token});
    assert_eq!(track(&broker, "sale", sale.clone()).await.0, 404);
    let long_ago = json!({"email": "b@buyer.example", "ref_id": token, "created_at": "2020-01-01T00:00:00Z"});
    assert_eq!(track(&broker, "signup", long_ago).await.0, 404);
    let shown = landing(&broker, token).await;
    assert!(!shown.contains(&format!("partner-id={}", promoter["id"])), "its clicks do not count: {shown}");
    let by_hand = json!({"email": "c@buyer.example", "promoter_campaign_id": member["id"]});
    let (status, error) = company(&broker, Method::POST, "referrals", by_hand).await;
    assert_eq!((status, error["errors"]["promoter_campaign_id"].is_array()), (400, true), "{error}");

    let ids = json!({"ids": [promoter["id"]], "campaign_id": campaign["id"]});
    done(&broker, Method::POST, "promoters/accept", ids.clone()).await;
    assert_eq!(heard(&mut receiver, 1).await["promoter_campaign.accepted"]["state"], json!(["pending", "accepted"]));
    let (status, event) = track(&broker, "sale", sale).await;
    assert_eq!((status, &event["commissions"][0]["amount"]), (200, &200.into()), "{event}");
    let list = done(&broker, Method::GET, "promoters?filters[state]=pending", json!({})).await;
    assert_eq!((&list["data"], &list["meta"]["pending_count"]), (&json!([]), &0.into()), "{list}");

    for (always, state) in [(Value::Null, "accepted"), (true.into(), "accepted"), (false.into(), "pending")] {
        let body = json!({"email": format!("{always}@partner.example"), "initial_campaign_id": campaign["id"], "always_approve": always});
        let made = done(&broker, Method::POST, "promoters", body).await;
        assert_eq!(made["promoter_campaigns"][0]["state"], state, "{always}");
    }
    heard(&mut receiver, 3).await;
    let list = done(&broker, Method::GET, "promoters?filters[state]=pending", json!({})).await;
    let ids = json!({"ids": [list["data"][0]["id"]], "campaign_id": campaign["id"]});
    done(&broker, Method::POST, "promoters/reject", ids).await;
    assert_eq!(heard(&mut receiver, 1).await["promoter_campaign.rejected"]["state"], json!(["pending", "rejected"]));
}

async fn who_waits_and_is_moved_is_let_in_where_it_is_moved_to(engine: Engine) {
    let broker = Broker::start(engine).await;
    let silver = campaign(&broker, "Silver", json!({"auto_approve_promoters": false})).await["id"].clone();
    let gold = campaign(&broker, "Gold", json!({})).await["id"].clone();
    let body = json!({"email": "new@partner.example", "initial_campaign_id": silver, "always_approve": false});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    let back = json!({"ids": [promoter["id"]], "from_campaign_id": gold, "to_campaign_id": silver});
    let over = json!({"ids": [promoter["id"]], "from_campaign_id": silver, "to_campaign_id": gold});
    for (moving, key) in [(&over, "1"), (&back, "2")] {
        done(&broker, Method::POST, "promoters/move_to_campaign", moving.clone()).await;
        let token = promoter["promoter_campaigns"][0]["ref_token"].clone();
        let sale = json!({"email": format!("{key}@buyer.example"), "event_id": key, "amount": 1000, "ref_id": token});
        let (status, event) = track(&broker, "sale", sale).await;
        assert_eq!((status, &event["commissions"][0]["amount"]), (200, &200.into()), "{event}");
    }
}

async fn a_campaign_that_is_deleted_brings_nobody_and_pays_nothing_more(engine: Engine) {
    let broker = Broker::start(engine).await;
    let campaign = campaign(&broker, "Ends", json!({})).await["id"].clone();
    let body = json!({"email": "ib@partner.example", "initial_campaign_id": campaign});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    let blocked = json!({"email": "bad@partner.example", "initial_campaign_id": campaign});
    let blocked = done(&broker, Method::POST, "promoters", blocked).await["id"].clone();
    done(&broker, Method::POST, "promoters/block", json!({"ids": [blocked], "campaign_id": campaign})).await;
    let member = &promoter["promoter_campaigns"][0];
    let token = member["ref_token"].as_str().expect("a token");
    done(&broker, Method::POST, "promo_codes", json!({"code": "ENDS", "promoter_campaign_id": member["id"]})).await;
    let sale = |who: &str, key: &str, more: Value| {
        let mut body = json!({"email": format!("{who}@buyer.example"), "event_id": key, "amount": 1000});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(track(&broker, "sale", sale("a", "1", json!({"ref_id": token}))).await.0, 200);
    assert!(landing(&broker, token).await.contains("partner-id="), "it counts so far");
    let mut receiver = listening(&broker, json!(["promoter_campaign.updated", "promoter_campaign.inactive"])).await;

    done(&broker, Method::DELETE, &format!("campaigns/{campaign}"), json!({})).await;
    let heard = heard(&mut receiver, 2).await;
    assert_eq!(heard["promoter_campaign.inactive"]["state"], json!(["accepted", "inactive"]), "{heard:?}");
    assert!(heard.contains_key("promoter_campaign.updated"));
    let members = format!("promoter_campaigns?filters[campaign_id]={campaign}");
    let members = done(&broker, Method::GET, &members, json!({})).await;
    let shown: Vec<_> = members.as_array().expect("rows").iter().map(|row| &row["state"]).collect();
    assert_eq!(shown, ["blocked", "inactive"], "{members}");

    for (what, body) in [
        ("signup", json!({"email": "b@buyer.example", "ref_id": token})),
        ("sale", sale("b", "2", json!({"ref_id": token}))),
        ("sale", sale("c", "3", json!({"promo_code": "ENDS"}))),
        ("sale", sale("a", "4", json!({}))),
    ] {
        let (status, error) = track(&broker, what, body.clone()).await;
        assert_eq!(status, 404, "{body}: {error}");
    }
    assert!(!landing(&broker, token).await.contains("partner-id="), "its clicks do not count");
    for (method, path, body, expected) in [
        (
            Method::POST,
            "referrals".to_owned(),
            json!({"email": "d@buyer.example", "promoter_campaign_id": member["id"]}),
            400,
        ),
        (Method::POST, "promo_codes".to_owned(), json!({"code": "X", "promoter_campaign_id": member["id"]}), 400),
        (Method::PUT, format!("promoter_campaigns/{}", member["id"]), json!({"state": "accepted"}), 400),
        (Method::POST, "promoters/accept".to_owned(), json!({"ids": [promoter["id"]], "campaign_id": campaign}), 400),
    ] {
        let (status, error) = company(&broker, method, &path, body).await;
        assert_eq!(status, expected, "{path}: {error}");
    }
    let rows = done(&broker, Method::GET, "commissions", json!({})).await;
    assert_eq!((rows.as_array().map(Vec::len), &rows[0]["amount"]), (Some(1), &200.into()), "as before: {rows}");

    // Also for who joins it by another dialect, which knows programs only.
    broker.done(Method::POST, "/api/v1/partners", &json!({"id": "late", "name": "Late"})).await;
    let program = campaign.to_string();
    let link = json!({"partner_id": "late", "landing_page": "/", "program_id": program});
    let link = broker.done(Method::POST, "/api/referral/links", &link).await;
    let late = done(&broker, Method::GET, "promoter_campaigns/search?q=late", json!({})).await;
    let token = late[0]["ref_token"].as_str().unwrap_or_else(|| panic!("a token: {link} {late}"));
    assert_eq!(track(&broker, "sale", sale("e", "5", json!({"ref_id": token}))).await.0, 404);
    assert!(!landing(&broker, token).await.contains("partner-id="), "nor do these clicks");
}

on_both_engines! {
    a_campaign_that_is_deleted_brings_nobody_and_pays_nothing_more,
    who_waits_to_be_let_in_brings_nobody_until_then,
    who_waits_and_is_moved_is_let_in_where_it_is_moved_to,
}
