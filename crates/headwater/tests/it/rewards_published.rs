//! What is published of the rewards dialect is carried out, or refused by its field: never answered and left undone.

use crate::broker::Broker;
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

async fn rewards_of_one_member_are_refused(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = done(&broker, Method::GET, "promoter_campaigns", Value::Null).await[0].clone();
    let path = format!("promoter_campaigns/{}", member["id"]);
    for field in ["rewards_for_promoters", "rewards_for_referrals"] {
        let body = json!({field: [{"reward_id": 1, "apply_on": "all"}], "coupon": "X"});
        let (status, error) = company(&broker, Method::PUT, &path, body).await;
        assert_eq!((status, error["errors"][field].is_array()), (422, true), "{error}");
    }
    for field in ["promoter_rewards_customized", "referral_rewards_customized"] {
        let (status, error) = company(&broker, Method::PUT, &path, json!({field: true, "coupon": "X"})).await;
        assert_eq!((status, error["errors"][field].is_array()), (422, true), "{error}");
        assert_eq!(member[field], false, "{member}");
    }
    let same = done(&broker, Method::PUT, &path, member.clone()).await;
    assert_eq!(same["coupon"], Value::Null, "nothing was changed, and what is shown can be sent back");
}

async fn a_change_of_a_referral_gives_it_to_another_member(engine: Engine) {
    let broker = Broker::start(engine).await;
    let first = done(&broker, Method::GET, "promoter_campaigns", Value::Null).await[0]["id"].clone();
    let promoter = done(&broker, Method::POST, "promoters", json!({"email": "other@partner.example"})).await;
    let other = &promoter["promoter_campaigns"][0]["id"];
    let body = json!({"email": "a@buyer.example", "uid": "u-1", "promoter_campaign_id": first});
    done(&broker, Method::POST, "referrals", body).await;
    let body = json!({"find_by": "uid", "promoter_campaign_id": other, "username": "ann"});
    let moved = done(&broker, Method::PUT, "referrals/u-1", body).await;
    assert_eq!((&moved["promoter_campaign"]["id"], &moved["username"]), (other, &"ann".into()), "{moved}");
    let same = done(&broker, Method::PUT, "referrals/u-1?find_by=uid", json!({"promoter_campaign_id": other})).await;
    assert_eq!(same["promoter_campaign"]["id"], *other);
    let body = json!({"find_by": "email", "promoter_campaign_id": 999, "username": "bob"});
    let (status, error) = company(&broker, Method::PUT, "referrals/a@buyer.example", body).await;
    assert_eq!((status, error["errors"]["promoter_campaign_id"].is_array()), (400, true), "{error}");
    let now = done(&broker, Method::GET, "referrals/u-1?find_by=uid", Value::Null).await;
    assert_eq!(now["username"], "ann", "nothing of what was refused: {now}");
}

async fn a_change_says_in_its_body_by_what_it_names(engine: Engine) {
    let broker = Broker::start(engine).await;
    let body = json!({"email": "other@partner.example", "cust_id": "crm-9"});
    let promoter = done(&broker, Method::POST, "promoters", body).await;
    for (value, by) in [("other@partner.example", "email"), ("crm-9", "cust_id")] {
        let changed =
            done(&broker, Method::PUT, &format!("promoters/{value}"), json!({"find_by": by, "note": by})).await;
        assert_eq!((&changed["id"], &changed["note"]), (&promoter["id"], &by.into()), "{changed}");
    }
    let (status, error) = company(&broker, Method::PUT, "promoters/crm-9", json!({"find_by": "shoe size"})).await;
    assert_eq!(status, 422, "{error}");
    assert_eq!(company(&broker, Method::PUT, "promoters/crm-9", json!({"note": "x"})).await.0, 404);
}

async fn a_product_is_read_changed_and_deleted(engine: Engine) {
    let broker = Broker::start(engine).await;
    let body = json!({"name": "Pro", "ext_id": "pro", "prices": [{"ext_id": "pro-monthly", "desc": "a month"}]});
    let product = done(&broker, Method::POST, "products", body).await;
    let path = format!("products/{}", product["id"]);
    assert_eq!(done(&broker, Method::GET, &path, Value::Null).await, product);
    let reward = json!({"name": "share", "is_promoter_reward": true, "promoter_reward_type": "sale", "duration": "forever",
        "schemas": [{"unit": "cash", "amount": 20, "flat_amount": false}]});
    let reward = done(&broker, Method::POST, "rewards", reward).await["id"].clone();
    let list = json!([{"apply_on": "specific", "product_ids": [product["id"]], "reward_id": reward}]);
    let campaign = format!("campaigns/{}", broker.program());
    done(&broker, Method::PUT, &campaign, json!({"rewards_for_promoters": list})).await;
    let token = done(&broker, Method::GET, "promoter_campaigns", Value::Null).await[0]["ref_token"].clone();
    let sold = async |key: &str, plan: &str| {
        let body = json!({"email": "a@buyer.example", "event_id": key, "amount": 1000, "plan": plan, "ref_id": token});
        let (status, event) = rewards(&broker, Method::POST, "/api/v2/track/sale", &body).await;
        assert_eq!(status, 200, "{event}");
        event["commissions"].as_array().map(Vec::len)
    };
    assert_eq!((sold("1", "pro").await, sold("2", "gold").await), (Some(1), Some(0)));

    let changed = done(&broker, Method::PUT, &path, json!({"ext_id": "gold", "prices": []})).await;
    assert_eq!((&changed["name"], &changed["ext_id"], &changed["prices"]), (&"Pro".into(), &"gold".into(), &json!([])));
    assert_eq!((sold("3", "pro").await, sold("4", "gold").await), (Some(0), Some(1)), "the plan goes by its names now");
    for (body, expected, field) in [
        (json!({"name": " "}), 400, "name"),
        (json!({"prices": 5}), 400, "prices"),
        (json!({"ext_id": null}), 422, "ext_id"),
    ] {
        let (status, error) = company(&broker, Method::PUT, &path, body).await;
        assert_eq!((status, error["errors"][field].is_array()), (expected, true), "{error}");
    }
    let (status, error) = company(&broker, Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, &error["code"]), (422, &"operation_failed".into()), "a campaign rewards it: {error}");
    done(&broker, Method::PUT, &campaign, json!({"rewards_for_promoters": []})).await;
    done(&broker, Method::DELETE, &path, Value::Null).await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(company(&broker, method, &path, json!({})).await.0, 404);
    }
}

on_both_engines! {
    rewards_of_one_member_are_refused,
    a_change_of_a_referral_gives_it_to_another_member,
    a_change_says_in_its_body_by_what_it_names,
    a_product_is_read_changed_and_deleted,
}
