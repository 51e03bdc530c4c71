//! Promo codes: whose they are to change, and what becomes of one that is deleted.

use crate::broker::Broker;
use crate::rewards_affiliate::{read, text, token, with};
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

async fn reward(broker: &Broker, name: &str) -> Value {
    let body = json!({"name": name, "is_promoter_reward": true, "promoter_reward_type": "sale", "duration": "forever",
        "schemas": [{"unit": "cash", "amount": 20, "flat_amount": false}]});
    done(broker, Method::POST, "rewards", body).await["id"].clone()
}

/// A partner's user: its token, and its membership.
async fn user(broker: &Broker, partner: &str) -> (String, Value) {
    let key = text(&token(broker, partner).await["key"]).to_owned();
    let member = read(broker, &key, "promoters/current").await["promoter_campaigns"][0].clone();
    (key, member)
}

async fn a_promoter_changes_only_the_codes_that_it_made(engine: Engine) {
    let broker = Broker::start(engine).await;
    let (key, member) = user(&broker, "ib_2044").await;
    let (listed, other) = (reward(&broker, "listed").await, reward(&broker, "other").await);
    let lists = json!({"rewards_for_promoters": [{"reward_id": listed, "apply_on": "all"}]});
    done(&broker, Method::PUT, &format!("campaigns/{}", member["campaign_id"]), lists).await;
    let body = json!({"code": "COMPANY", "promoter_campaign_id": member["id"], "reward_id": other,
        "description": "by hand", "details": {"a": 1}});
    let theirs = done(&broker, Method::POST, "promo_codes", body).await;
    assert_eq!(
        (&theirs["reward"], &theirs["description"]),
        (&json!({"id": other, "name": "other"}), &"by hand".into())
    );
    assert_eq!((&theirs["details"], &theirs["archived_at"]), (&json!({"a": 1}), &Value::Null), "{theirs}");
    assert!(theirs.as_object().is_some_and(|code| code.contains_key("ext_id")));
    let changed = json!({"description": "another", "details": null});
    let changed = done(&broker, Method::PUT, &format!("promo_codes/{}", theirs["id"]), changed).await;
    assert_eq!((&changed["description"], &changed["details"]), (&"another".into(), &Value::Null), "{changed}");

    let path = format!("promo_codes/{}", theirs["id"]);
    for (method, body) in [(Method::PUT, json!({"code": "STOLEN"})), (Method::DELETE, Value::Null)] {
        let (status, error) = with(&broker, &key, method.clone(), &path, body).await;
        assert_eq!((status, &error["code"]), (403, &"forbidden".into()), "{method}: {error}");
    }
    let still = done(&broker, Method::GET, &path, Value::Null).await;
    assert_eq!((&still["code"], &still["archived_at"]), (&"COMPANY".into(), &Value::Null));

    let body = |reward: &Value| json!({"code": "MINE", "promoter_campaign_id": member["id"], "reward_id": reward});
    let (status, error) = with(&broker, &key, Method::POST, "promo_codes", body(&other)).await;
    assert_eq!((status, error["errors"]["reward_id"].is_array()), (400, true), "of no campaign of its own: {error}");
    let (status, own) = with(&broker, &key, Method::POST, "promo_codes", body(&listed)).await;
    assert_eq!((status, &own["reward"]["id"]), (200, &listed), "{own}");
    let path = format!("promo_codes/{}", own["id"]);
    let (status, error) = with(&broker, &key, Method::PUT, &path, json!({"reward_id": other})).await;
    assert_eq!((status, error["errors"]["reward_id"].is_array()), (400, true), "{error}");
    let (status, own) = with(&broker, &key, Method::PUT, &path, json!({"code": "MINE2"})).await;
    assert_eq!((status, &own["code"]), (200, &"MINE2".into()), "{own}");

    let ids = json!({"ids": [member["promoter_id"]], "campaign_id": member["campaign_id"]});
    done(&broker, Method::POST, "promoters/block", ids).await;
    let body = json!({"code": "LATE", "promoter_campaign_id": member["id"], "name": "Late"});
    for (method, path) in
        [(Method::POST, "promo_codes"), (Method::POST, "referral_links"), (Method::PUT, path.as_str())]
    {
        let (status, error) = with(&broker, &key, method, path, body.clone()).await;
        assert_eq!((status, &error["code"]), (422, &"operation_failed".into()), "{path}: {error}");
    }
}

async fn a_code_that_is_deleted_is_archived_and_its_text_stays_its_promoters(engine: Engine) {
    let broker = Broker::start(engine).await;
    let (key, member) = user(&broker, "ib_2044").await;
    done(&broker, Method::POST, "promoters", json!({"email": "other@partner.example", "cust_id": "other"})).await;
    let (other, others) = user(&broker, "other").await;
    let body = json!({"code": "SPRING", "promoter_campaign_id": member["id"]});
    let (_, code) = with(&broker, &key, Method::POST, "promo_codes", body.clone()).await;
    let sale = json!({"email": "a@buyer.example", "event_id": "1", "amount": 1000, "promo_code": "SPRING"});

    let (status, deleted) =
        with(&broker, &key, Method::DELETE, &format!("promo_codes/{}", code["id"]), Value::Null).await;
    assert_eq!((status, deleted["archived_at"].is_string()), (200, true), "{deleted}");
    let path = format!("promo_codes/{}", code["id"]);
    let found = done(&broker, Method::GET, &path, Value::Null).await;
    assert_eq!(found["archived_at"], deleted["archived_at"], "{found}");
    assert_eq!(done(&broker, Method::GET, "promo_codes", Value::Null).await, json!([]), "off the list");
    let (status, _) = rewards(&broker, Method::POST, "/api/v2/track/sale", &sale).await;
    assert_eq!(status, 404, "it brings nobody");
    let (status, error) = company(&broker, Method::PUT, &path, json!({"code": "SUMMER"})).await;
    assert_eq!((status, &error["code"]), (422, &"operation_failed".into()), "{error}");

    let taken = json!({"code": "SPRING", "promoter_campaign_id": others["id"]});
    let (status, error) = with(&broker, &other, Method::POST, "promo_codes", taken.clone()).await;
    assert_eq!((status, error["errors"]["code"].is_array()), (400, true), "not another promoter's: {error}");
    let (status, again) = with(&broker, &key, Method::POST, "promo_codes", body).await;
    assert_eq!(
        (status, &again["id"], &again["archived_at"]),
        (200, &code["id"], &Value::Null),
        "its own again: {again}"
    );
    let (status, event) = rewards(&broker, Method::POST, "/api/v2/track/sale", &sale).await;
    assert_eq!((status, &event["referral"]["email"]), (200, &"a@buyer.example".into()), "{event}");

    done(&broker, Method::DELETE, &path, Value::Null).await;
    let given = done(&broker, Method::POST, "promo_codes", taken).await;
    assert_eq!(given["promoter_campaign_id"], others["id"], "the company gives it to whom it likes: {given}");
    let (status, _) = with(&broker, &other, Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, 403, "and it is the company's then");
}

on_both_engines! {
    a_promoter_changes_only_the_codes_that_it_made,
    a_code_that_is_deleted_is_archived_and_its_text_stays_its_promoters,
}
