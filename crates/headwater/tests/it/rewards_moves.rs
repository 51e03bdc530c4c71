//! Referrals that follow a promoter into another campaign, or are given to a member of one: what they buy from then on pays by its
//! rewards, and nothing is paid twice.

use crate::broker::Broker;
use crate::rewards_track::rewards;
use crate::server::{Engine, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Enough that a kill falls between two of them, and below an account's 400 requests a minute.
const FOLLOWERS: usize = 120;
const STEP: Duration = Duration::from_millis(400);
/// A dead node's lease lasts half a minute.
const PATIENCE_STEPS: u32 = 300;

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn done(broker: &Broker, method: Method, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, method, path, body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

async fn get(broker: &Broker, path: &str) -> Value {
    done(broker, Method::GET, path, json!({})).await
}

fn reward(name: &str, percent: i64, further: &Value) -> Value {
    let mut body = json!({"name": name, "is_promoter_reward": true, "promoter_reward_type": "sale",
        "schemas": [{"unit": "cash", "amount": percent, "flat_amount": false}]});
    let fields = body.as_object_mut().expect("an object");
    fields.extend(further.as_object().cloned().expect("an object"));
    body
}

async fn campaign(broker: &Broker, name: &str, of: Vec<Value>) -> Value {
    let mut entries = Vec::new();
    for reward in of {
        let id = done(broker, Method::POST, "rewards", reward).await["id"].clone();
        entries.push(json!({"reward_id": id, "apply_on": "all", "product_ids": []}));
    }
    let body = json!({"name": name, "landing_url": format!("https://broker.example/{name}"), "ref_token_param": "?via",
        "visitor_cookie_life": 60, "rewards_for_promoters": entries});
    done(broker, Method::POST, "campaigns", body).await["id"].clone()
}

struct Two {
    broker: Broker,
    silver: Value,
    gold: Value,
    promoter: Value,
    token: String,
}

/// A campaign that pays a fifth of each sale; one that pays a tenth, half of the first two sales of a customer, and a percent for
/// two months; and a promoter of the first.
async fn two(engine: Engine) -> Two {
    let broker = Broker::start(engine).await;
    let silver = campaign(&broker, "silver", vec![reward("fifth", 20, &json!({}))]).await;
    let golden = vec![
        reward("tenth", 10, &json!({})),
        reward("half", 50, &json!({"max_redemptions": 2})),
        reward("first", 30, &json!({"duration": "once"})),
        reward("months", 1, &json!({"duration": "repeating", "duration_in_months": 2})),
    ];
    let gold = campaign(&broker, "gold", golden).await;
    let body = json!({"email": "ib@partner.example", "initial_campaign_id": silver});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    let token = promoter["promoter_campaigns"][0]["ref_token"].as_str().expect("a token").to_owned();
    Two { broker, silver, gold, promoter, token }
}

impl Two {
    async fn track(&self, what: &str, body: Value) -> (u16, Value) {
        rewards(&self.broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await
    }

    /// What a sale of 10.00 pays, by campaign.
    async fn sale(&self, who: &str, key: &str) -> Vec<(Value, i64)> {
        let body =
            json!({"email": format!("{who}@buyer.example"), "event_id": key, "amount": 1000, "ref_id": self.token});
        let (status, event) = self.track("sale", body).await;
        assert_eq!(status, 200, "{event}");
        let rows = event["commissions"].as_array().expect("rows").clone();
        let mut paid: Vec<_> = rows
            .iter()
            .map(|row| (row["promoter_campaign"]["campaign_id"].clone(), row["amount"].as_i64().expect("whole")))
            .collect();
        paid.sort_by_key(|(_, amount)| -amount);
        paid
    }

    async fn move_promoter(&self, from: &Value, to: &Value, is_soft: bool) -> (u16, Value) {
        let body = json!({"ids": [self.promoter["id"]], "from_campaign_id": from, "to_campaign_id": to,
            "soft_move_referrals": is_soft});
        company(&self.broker, Method::POST, "promoters/move_to_campaign", body).await
    }

    /// What the promoter was paid in both campaigns.
    async fn owed(&self) -> (i64, i64) {
        let rows = get(&self.broker, "commissions?per_page=100").await;
        let of = |campaign: &Value| {
            let rows = rows.as_array().expect("rows").iter();
            let of = rows.filter(|row| row["campaign_id"] == *campaign || row["campaign"]["id"] == *campaign);
            of.map(|row| row["amount"].as_i64().expect("whole")).sum::<i64>()
        };
        (of(&self.silver), of(&self.gold))
    }

    fn verify(&self) {
        let verified = self.broker.server.command(&["verify"]).output().expect("it runs");
        assert!(verified.status.success(), "{}", text(&verified));
    }

    async fn refund(&self, who: &str, key: &str, of: &str) -> (u16, Value) {
        let body =
            json!({"email": format!("{who}@buyer.example"), "event_id": key, "amount": 1000, "sale_event_id": of});
        self.track("refund", body).await
    }
}

async fn what_referrals_buy_pays_by_the_campaign_that_they_are_in(engine: Engine) {
    let two = two(engine).await;
    assert_eq!(two.sale("a", "a1").await, [(two.silver.clone(), 200)]);
    let (status, batch) = two.move_promoter(&two.silver, &two.gold, false).await;
    assert_eq!((status, &batch["failed_count"]), (200, &0.into()), "{batch}");
    assert_eq!(two.sale("a", "a2").await, [(two.silver.clone(), 200)], "false: it stays");
    // Who comes now, by the same link, is of the new one, and has no past.
    let new: Vec<_> = [500, 300, 100, 10].map(|amount| (two.gold.clone(), amount)).into();
    assert_eq!(two.sale("b", "b1").await, new);

    let old = get(&two.broker, "referrals/a@buyer.example?find_by=email").await;
    let (status, batch) = two.move_promoter(&two.silver, &two.gold, true).await;
    assert_eq!((status, &batch["failed_count"]), (200, &0.into()), "{batch}");
    let next = get(&two.broker, "referrals/a@buyer.example?find_by=email").await;
    assert_ne!(next["id"], old["id"]);
    assert_eq!((&next["promoter_campaign"]["campaign_id"], &next["state"]), (&two.gold, &"active".into()), "{next}");
    assert_eq!(get(&two.broker, &format!("referrals/{}", old["id"])).await["id"], next["id"]);
    let changed =
        done(&two.broker, Method::PUT, &format!("referrals/{}", old["id"]), json!({"website": "a.example"})).await;
    assert_eq!((&changed["id"], &changed["website"]), (&next["id"], &"a.example".into()));
    // It has bought twice: neither half of its first two sales nor the first one's third are paid here; the months go on.
    let now: Vec<_> = [100, 10].map(|amount| (two.gold.clone(), amount)).into();
    assert_eq!(two.sale("a", "a3").await, now);

    // What was seen is seen.
    for key in ["a1", "a2", "a3"] {
        let body = json!({"email": "a@buyer.example", "event_id": key, "amount": 1000});
        assert_eq!(two.track("sale", body).await.0, 409, "{key}");
        let body = json!({"commission_type": "sale", "referral_id": old["id"], "sale_amount": 1000, "event_id": key});
        assert_eq!(company(&two.broker, Method::POST, "commissions", body).await.0, 409, "{key}");
    }
    let visitor = json!({"email": "a@buyer.example", "ref_id": two.token});
    assert_eq!(two.track("signup", visitor).await.0, 422, "it signed up there");
    // By hand, by the number of the one that it was: today, and on a day before.
    let by_hand = async |key: &str, date: Option<&str>| {
        let body = json!({"commission_type": "sale", "referral_id": old["id"], "sale_amount": 1000, "event_id": key,
            "event_date": date});
        let rows = done(&two.broker, Method::POST, "commissions", body).await;
        rows.as_array().expect("rows").iter().map(|row| row["amount"].as_i64().expect("whole")).collect::<Vec<_>>()
    };
    let mut today = by_hand("h1", None).await;
    today.sort_unstable();
    assert_eq!(today, [10, 100]);
    let before = two.owed().await;
    assert_eq!(by_hand("h2", Some("2026-01-31")).await, [200], "it was the other campaign's then");
    assert_eq!(two.owed().await.0, before.0 + 200);

    // What is given back is taken back where it was paid, and the third sale becomes one of the first two.
    let before = two.owed().await;
    assert_eq!(two.refund("a", "r1", "a1").await.0, 200);
    assert_eq!(two.refund("a", "r1", "a1").await.0, 409);
    assert_eq!(two.owed().await.0, before.0 - 200);
    assert_eq!(two.refund("a", "r3", "a3").await.0, 200);
    two.verify();
}

async fn a_referral_goes_to_a_member_of_another_campaign_and_back(engine: Engine) {
    let two = two(engine).await;
    let other = json!({"email": "other@partner.example", "initial_campaign_id": two.gold});
    let other = done(&two.broker, Method::POST, "promoters", other).await;
    let member = other["promoter_campaigns"][0]["id"].clone();
    two.sale("a", "a1").await;
    let old = get(&two.broker, "referrals/a@buyer.example?find_by=email").await;
    let move_to = async |id: &Value, member: &Value, whole: bool| {
        let body = json!({"ids": [id], "promoter_campaign_id": member, "move_associated_commissions": whole});
        company(&two.broker, Method::POST, "referrals/move_to_promoter", body).await
    };
    let (status, refused) = move_to(&old["id"], &member, true).await;
    assert_eq!(status, 422, "{refused}");
    assert!(refused.to_string().contains("move_associated_commissions cannot be carried out"), "{refused}");
    assert_eq!(move_to(&old["id"], &member, false).await.0, 200);
    let next = get(&two.broker, "referrals/a@buyer.example?find_by=email").await;
    assert_eq!(next["promoter_campaign"]["promoter"]["email"], "other@partner.example", "{next}");
    let lost = get(&two.broker, "referrals?filters[state]=moved").await;
    assert_eq!((lost.as_array().map(Vec::len), &lost[0]["id"]), (Some(1), &old["id"]), "{lost}");
    assert_eq!(two.sale("a", "a2").await.len(), 3, "the second of two, and no first one");
    let back = two.promoter["promoter_campaigns"][0]["id"].clone();
    assert_eq!(move_to(&next["id"], &back, false).await.0, 200);
    assert_eq!(get(&two.broker, "referrals/a@buyer.example?find_by=email").await["id"], old["id"]);
    assert_eq!(two.sale("a", "a3").await, [(two.silver.clone(), 200)]);
    assert_eq!(two.refund("a", "r2", "a2").await.0, 200);
    assert_eq!(two.owed().await, (400, 0));
    two.verify();
}

async fn a_killed_move_is_finished_and_none_is_left(engine: Engine) {
    let mut two = two(engine).await;
    let member = two.promoter["promoter_campaigns"][0]["id"].clone();
    for number in 0..FOLLOWERS {
        let body = json!({"email": format!("f{number}@buyer.example"), "promoter_campaign_id": member});
        done(&two.broker, Method::POST, "referrals", body).await;
    }
    // Nobody listens there, so every message stays where it can be counted.
    let webhook = json!({"url": "http://127.0.0.1:9/hooks", "event_types": ["referral.moved"]});
    let webhook = done(&two.broker, Method::POST, "webhooks", webhook).await;
    let gold = two.gold.clone();
    let there = async |broker: &Broker| -> usize {
        let mut count = 0;
        for page in 1..=2 {
            let path = format!("referrals?filters[campaign_id][]={gold}&per_page=100&page={page}");
            count += get(broker, &path).await.as_array().map_or(0, Vec::len);
        }
        count
    };
    {
        let moving = two.move_promoter(&two.silver, &two.gold, true);
        let killing = async {
            while there(&two.broker).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            (status, batch) = moving => panic!("it was over before it could be interrupted: {status} {batch}"),
            () = killing => {}
        }
    }
    two.broker.server.kill();
    two.broker.server.start_again();
    let at_first = there(&two.broker).await;
    assert!((1..FOLLOWERS).contains(&at_first), "{at_first}");
    for step in 0.. {
        assert!(step < PATIENCE_STEPS, "it is not finished");
        let batches = get(&two.broker, "batch_processes").await;
        if batches.as_array().is_some_and(|rows| rows.iter().all(|row| row["status"] != "in_progress")) {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    assert_eq!(there(&two.broker).await, FOLLOWERS, "none is left");
    let mut told = BTreeSet::new();
    for page in 1..=2 {
        let path = format!("webhooks/{}/webhook_deliveries?per_page=100&page={page}", webhook["id"]);
        for delivery in get(&two.broker, &path).await.as_array().expect("a bare array") {
            assert!(told.insert(delivery["entity_id"].as_i64().expect("a number")), "told twice: {delivery}");
        }
    }
    assert_eq!(told.len(), FOLLOWERS);
    assert_eq!(two.sale("f0", "s1").await.len(), 4);
    two.verify();
}

on_both_engines! {
    what_referrals_buy_pays_by_the_campaign_that_they_are_in,
    a_referral_goes_to_a_member_of_another_campaign_and_back,
    a_killed_move_is_finished_and_none_is_left,
}
