//! The rewards dialect's campaigns: whoever is to be rewarded in whichever unit, and from when on.

use crate::broker::Broker;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

const COMPANY: &str = "/api/v2/company";

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("{COMPANY}/{path}"), &body).await
}

async fn made(broker: &Broker, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, Method::POST, path, body).await;
    assert_eq!(status, 201, "{path}: {object}");
    object
}

async fn reward(broker: &Broker, is_promoter_reward: bool, unit: &str, amount: i64, flat_amount: bool) -> i64 {
    let body = json!({"name": unit, "is_promoter_reward": is_promoter_reward, "promoter_reward_type": "sale",
        "duration": "forever", "schemas": [{"unit": unit, "amount": amount, "flat_amount": flat_amount}]});
    made(broker, "rewards", body).await["id"].as_i64().expect("a number")
}

fn campaign(promoters: &[i64], referrals: &[i64]) -> Value {
    let list = |ids: &[i64]| ids.iter().map(|id| json!({"apply_on": "all", "reward_id": id})).collect::<Vec<_>>();
    json!({"name": "Points", "landing_url": "https://broker.example/join", "ref_token_param": "?via",
        "visitor_cookie_life": 60, "rewards_for_promoters": list(promoters), "rewards_for_referrals": list(referrals)})
}

/// A new promoter in the campaign: the token of its membership.
async fn member(broker: &Broker, campaign: &Value, email: &str) -> String {
    let body = json!({"email": email, "initial_campaign_id": campaign["id"]});
    let promoter = made(broker, "promoters", body).await;
    promoter["promoter_campaigns"][0]["ref_token"].as_str().expect("a token").to_owned()
}

async fn sale(broker: &Broker, token: &str, key: &str, amount: i64) -> Value {
    let body = json!({"email": format!("{token}@buyer.example"), "event_id": key, "amount": amount, "ref_id": token});
    let (status, event) = rewards(broker, Method::POST, "/api/v2/track/sale", &body).await;
    assert_eq!(status, 200, "{event}");
    event
}

/// Unit, recipient and amount of what an event paid.
fn paid(event: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = event["commissions"].as_array().expect("commissions").iter();
    let mut paid: Vec<_> = rows
        .map(|row| (text(&row["unit"]), text(&row["recipient"]["type"]), row["amount"].as_i64().expect("whole")))
        .collect();
    paid.sort();
    paid
}

async fn either_party_is_rewarded_in_each_unit(engine: Engine) {
    let broker = Broker::start(engine).await;
    let units = ["cash", "credits", "discount_per", "free_months", "mon_discount", "points"];
    let (mut promoters, mut referrals) = (Vec::new(), Vec::new());
    for unit in units {
        promoters.push(reward(&broker, true, unit, 30, true).await);
        referrals.push(reward(&broker, false, unit, 20, true).await);
    }
    let campaign = made(&broker, "campaigns", campaign(&promoters, &referrals)).await;
    assert_eq!((&campaign["ref_token_param"], &campaign["visitor_cookie_life"]), (&"?via".into(), &60.into()));
    let token = member(&broker, &campaign, "ib@example.org").await;
    let event = sale(&broker, &token, "inv_1", 4900).await;
    let mut expected: Vec<_> = units.iter().map(|unit| ((*unit).to_owned(), "promoter".to_owned(), 30)).collect();
    expected.extend(units.iter().map(|unit| ((*unit).to_owned(), "referral".to_owned(), 20)));
    expected.sort();
    assert_eq!(paid(&event), expected);
    let (_, list) = company(&broker, Method::GET, "promoters?q=ib%40example", json!({})).await;
    let balances = &list["data"][0]["balances"];
    assert_eq!(
        *balances,
        json!({"cash": 30, "credits": 30, "discount_per": 30, "free_months": 30, "mon_discount": 30, "points": 30, "discount": 30}),
        "each unit for itself"
    );
}

async fn a_changed_list_is_in_force_at_once_and_for_what_follows(engine: Engine) {
    let broker = Broker::start(engine).await;
    let share = reward(&broker, true, "cash", 20, false).await;
    let campaign = made(&broker, "campaigns", campaign(&[share], &[])).await;
    let path = format!("campaigns/{}", campaign["id"]);
    let token = member(&broker, &campaign, "ib@example.org").await;
    let row = |unit: &str, amount: i64| (unit.to_owned(), "promoter".to_owned(), amount);
    assert_eq!(paid(&sale(&broker, &token, "1", 1000).await), [row("cash", 200)]);

    let points = reward(&broker, true, "points", 250, true).await;
    let lists = json!({"rewards_for_promoters": [{"reward_id": points, "apply_on": "all"}]});
    let (status, changed) = company(&broker, Method::PUT, &path, lists).await;
    assert_eq!((status, &changed["rewards_for_promoters"][0]["reward_id"]), (200, &points.into()), "{changed}");
    assert_eq!(paid(&sale(&broker, &token, "2", 1000).await), [row("points", 250)]);

    let schemas = json!({"schemas": [{"unit": "points", "amount": 300, "flat_amount": true}]});
    let (status, _) = company(&broker, Method::PUT, &format!("rewards/{points}"), schemas).await;
    assert_eq!(status, 200);
    assert_eq!(paid(&sale(&broker, &token, "3", 1000).await), [row("points", 300)]);

    let (status, _) = company(&broker, Method::PUT, &path, json!({"auto_approve": false})).await;
    assert_eq!(status, 200);
    let event = sale(&broker, &token, "4", 1000).await;
    assert_eq!(event["commissions"][0]["status"], "pending", "approval is the campaign's to switch: {event}");
    let sums = broker.rows("/api/v1/commissions").await.iter().filter(|row| row["unit"] == "USD").count();
    assert_eq!(sums, 1, "what was earned before the change stays as it was");
}

async fn what_a_plan_cannot_say_is_refused_with_its_field(engine: Engine) {
    let broker = Broker::start(engine).await;
    let share = reward(&broker, true, "cash", 20, false).await;
    let for_referrals = reward(&broker, false, "points", 5, true).await;
    let target = json!({"name": "x", "is_promoter_reward": true, "promoter_reward_type": "target",
        "schemas": [{"unit": "points", "amount": 5, "flat_amount": true}]});
    let (status, error) = company(&broker, Method::POST, "rewards", target).await;
    assert_eq!((status, error["errors"]["schemas[0].rules"].is_array()), (422, true), "{error}");
    let changed = |changes: Value| {
        let mut body = campaign(&[share], &[]);
        let changes = changes.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(changes);
        body
    };
    for (changes, status, field) in [
        (
            json!({"rewards_for_promoters": [{"reward_id": share, "apply_on": "specific"}]}),
            400,
            "rewards_for_promoters[0].product_ids",
        ),
        (json!({"rewards_for_promoters": [{"reward_id": 99}]}), 400, "rewards_for_promoters[0].reward_id"),
        (json!({"rewards_for_promoters": [{"reward_id": for_referrals}]}), 422, "rewards_for_promoters[0].reward_id"),
        (
            json!({"upgrade_details": {"campaign_id": 1, "amount": 3, "metric": "customers"}}),
            400,
            "upgrade_details.campaign_id",
        ),
        (json!({"track_ad_traffic": "ask"}), 400, "track_ad_traffic"),
        (json!({"track_ad_traffic": true}), 400, "track_ad_traffic"),
        (json!({"ref_token_param": "?who"}), 400, "ref_token_param"),
        (json!({"landing_url": "ftp://x"}), 400, "landing_url"),
        (json!({"visitor_cookie_life": 0}), 400, "visitor_cookie_life"),
        (json!({"name": null}), 400, "name"),
    ] {
        let (got, error) = company(&broker, Method::POST, "campaigns", changed(changes.clone())).await;
        assert_eq!((got, error["errors"][field].is_array()), (status, true), "{changes}: {error}");
    }
    let (_, list) = company(&broker, Method::GET, "campaigns", json!({})).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "nothing was made: {list}");
}

async fn a_tier_pays_the_parent(engine: Engine) {
    let broker = Broker::start(engine).await;
    let share = reward(&broker, true, "cash", 20, false).await;
    let body = json!({"name": "tier", "is_promoter_reward": true, "promoter_reward_type": "tier", "tier_level": 2,
        "tier_reward_mode": "tier_override_mode", "schemas": [{"unit": "cash", "amount": 10, "flat_amount": false}]});
    let tier = made(&broker, "rewards", body).await["id"].as_i64().expect("a number");
    let campaign = made(&broker, "campaigns", campaign(&[share, tier], &[])).await;
    let token = member(&broker, &campaign, "below@example.org").await;
    let parent =
        made(&broker, "promoters", json!({"email": "above@example.org", "initial_campaign_id": campaign["id"]})).await;
    let (_, below) = company(&broker, Method::GET, "promoters/below@example.org?find_by=email", json!({})).await;
    let assign = json!({"ids": [below["id"]], "parent_promoter_id": parent["id"]});
    let (status, batch) = company(&broker, Method::POST, "promoters/assign_parent", assign).await;
    assert_eq!((status, &batch["status"]), (200, &"completed".into()), "{batch}");
    let cycle = json!({"ids": [parent["id"]], "parent_promoter_id": below["id"]});
    let (status, error) = company(&broker, Method::POST, "promoters/assign_parent", cycle).await;
    assert_eq!((status, error["code"].as_str()), (422, Some("operation_failed")), "{error}");
    let event = sale(&broker, &token, "1", 1000).await;
    let mut tiers: Vec<_> = event["commissions"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["tier"].as_i64(), row["amount"].as_i64()))
        .collect();
    tiers.sort_unstable();
    assert_eq!(tiers, [(Some(1), Some(200)), (Some(2), Some(20))], "{event}");
    let named = |row: &Value| (row["tier"].as_i64(), row["reward"]["id"].as_i64(), row["reward"]["name"].clone());
    let rows =
        event["commissions"].as_array().expect("rows").iter().find(|row| row["tier"] == 2).expect("the parent's");
    assert_eq!(named(rows), (Some(2), Some(tier), "tier".into()), "the reward of its level: {event}");
    // It keeps its reward when the list is another one.
    let lists = json!({"rewards_for_promoters": [{"reward_id": share, "apply_on": "all"}]});
    let (status, _) = company(&broker, Method::PUT, &format!("campaigns/{}", campaign["id"]), lists).await;
    assert_eq!(status, 200);
    let (_, rows) = company(&broker, Method::GET, "commissions?sorting[amount]=asc", json!({})).await;
    assert_eq!(named(&rows[0]), (Some(2), Some(tier), "tier".into()), "{rows}");
    assert_eq!(named(&rows[1]).1, Some(share), "{rows}");
}

on_both_engines! {
    either_party_is_rewarded_in_each_unit,
    a_changed_list_is_in_force_at_once_and_for_what_follows,
    what_a_plan_cannot_say_is_refused_with_its_field,
    a_tier_pays_the_parent,
}
