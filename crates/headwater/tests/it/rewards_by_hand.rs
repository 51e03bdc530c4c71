//! Commissions by hand over HTTP: what was said of one is shown and found again, and a reward that nothing earns is given by one.

use crate::broker::Broker;
use crate::rewards_payouts::{company, ids, read, selling};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn made(broker: &Broker, path: &str, body: &Value) -> Value {
    let (status, made) = company(broker, Method::POST, path, body).await;
    assert!(matches!(status, 200 | 201), "{path} {body}: {status} {made}");
    made
}

async fn what_was_said_is_shown_and_found(engine: Engine) {
    let broker = selling(engine).await;
    let points = read(&broker, "/commissions?unit=points").await;
    let (referral, membership) = (&points[0]["referral"]["id"], &points[0]["promoter_campaign"]["id"]);
    let custom = json!({"commission_type": "custom", "promoter_campaign_id": membership, "amount": 700,
        "event_id": "Thanks-9", "plan_id": "gold", "currency": "USD", "unit": "cash"});
    let given = made(&broker, "/commissions", &custom).await;
    let one = &given[0];
    assert_eq!((&one["event_id"], &one["plan_id"]), (&"Thanks-9".into(), &"gold".into()), "{one}");
    assert_eq!((&one["amount"], &one["unit"], &one["currency"]), (&700.into(), &"cash".into(), &"USD".into()));
    let own = [one["id"].as_i64().expect("a number")];
    for query in ["q=thanks-9", "filters[plan_id]=gold", "filters[plan_id][]=gold&q=anks"] {
        assert_eq!(ids(&read(&broker, &format!("/commissions?{query}")).await), own, "{query}");
    }
    let again = read(&broker, &format!("/commissions/{}", own[0])).await;
    assert_eq!((&again["event_id"], &again["plan_id"]), (&one["event_id"], &one["plan_id"]));
    assert_eq!(read(&broker, "/commissions?q=thanks-10").await, json!([]));
    assert_eq!(read(&broker, "/commissions?filters[plan_id]=go").await, json!([]), "a part is not a plan");

    // Of a sale by hand, too, it is written down who reported it.
    let sale = json!({"commission_type": "sale", "referral_id": referral, "sale_amount": 1000, "currency": "USD", "event_id": "s-1"});
    let sold = ids(&made(&broker, "/commissions", &sale).await);
    assert_eq!(sold.len(), 2);
    let audit = broker.rows("/api/v1/audit").await;
    for id in sold.iter().chain(&own) {
        let object = format!("commission:{id}");
        let deeds: Vec<_> = audit.iter().filter(|deed| deed["object"] == object.as_str()).collect();
        let is_made = |deed: &&&Value| deed["action"] == "commission.created";
        let made_by: Vec<_> =
            deeds.iter().filter(is_made).map(|deed| deed["actor"].as_str().unwrap_or_default()).collect();
        assert!(made_by.len() == 1 && made_by[0].starts_with("key:"), "{object}: {deeds:?}");
    }

    let with = |name: &str, value: Value| {
        let mut body = json!({"commission_type": "custom", "promoter_campaign_id": membership, "amount": 1});
        body[name] = value;
        body
    };
    let of_points = |currency: &str| {
        let mut body = with("currency", currency.into());
        body["unit"] = "points".into();
        body
    };
    let before = read(&broker, "/commissions?per_page=100").await.as_array().map(Vec::len);
    for (body, status, field) in [
        (with("currency", "EUR".into()), 422, "currency"),
        (with("currency", "gold".into()), 400, "currency"),
        (of_points("USD"), 422, "currency"),
        (with("reward_id", 4711.into()), 404, ""),
    ] {
        let (got, error) = company(&broker, Method::POST, "/commissions", &body).await;
        assert_eq!(got, status, "{body}: {error}");
        assert!(field.is_empty() || error["errors"][field].is_array(), "{body}: {error}");
    }
    assert_eq!(read(&broker, "/commissions?per_page=100").await.as_array().map(Vec::len), before, "nothing was made");
}

async fn a_custom_reward_is_given_by_hand(engine: Engine) {
    let broker = selling(engine).await;
    let points = read(&broker, "/commissions?unit=points").await;
    let membership = &points[0]["promoter_campaign"]["id"];
    let reward = |kind: &str, schemas: Value| json!({"name": "Thank you", "is_promoter_reward": true, "promoter_reward_type": kind, "schemas": schemas});
    let schemas = json!([{"unit": "points", "amount": 500, "flat_amount": true}]);
    let custom = made(&broker, "/rewards", &reward("custom", schemas.clone())).await["id"].clone();
    let earned = made(&broker, "/rewards", &reward("sale", schemas)).await["id"].clone();
    let both = json!([{"unit": "points", "amount": 5, "flat_amount": true}, {"unit": "cash", "amount": 250, "flat_amount": true}]);
    let both = made(&broker, "/rewards", &reward("custom", both)).await["id"].clone();
    let shared = json!([{"unit": "cash", "amount": 20, "flat_amount": false}]);
    let (status, error) = company(&broker, Method::POST, "/rewards", &reward("custom", shared)).await;
    assert_eq!((status, error["errors"]["schemas[0].flat_amount"].is_array()), (422, true), "{error}");

    let give = |reward: &Value, more: Value| {
        let mut body = json!({"commission_type": "custom", "promoter_campaign_id": membership, "reward_id": reward});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let (status, error) = company(&broker, Method::POST, "/commissions", &give(&custom, json!({}))).await;
    assert_eq!((status, error["errors"]["reward_id"].is_array()), (422, true), "it is in no list yet: {error}");
    let campaign = format!("/campaigns/{}", broker.program());
    let monthly = json!({"rewards_for_promoters": [{"reward_id": custom, "apply_on": "monthly"}]});
    let (status, error) = company(&broker, Method::PUT, &campaign, &monthly).await;
    assert_eq!((status, error["errors"]["rewards_for_promoters[0].apply_on"].is_array()), (422, true), "{error}");
    let list = [&custom, &earned, &both].map(|id| json!({"reward_id": id, "apply_on": "all"}));
    let (status, changed) = company(&broker, Method::PUT, &campaign, &json!({"rewards_for_promoters": list})).await;
    assert_eq!(status, 200, "{changed}");

    // A sale earns the other one; this one is given, with its own amount or with another.
    let sale = json!({"email": "buyer9@example.org", "event_id": "inv_9", "amount": 4900, "ref_id": format!("p1c{}", broker.program())});
    let (_, sold) = rewards(&broker, Method::POST, "/api/v2/track/sale", &sale).await;
    let rewarded: Vec<_> =
        sold["commissions"].as_array().expect("rows").iter().map(|row| row["reward"]["id"].clone()).collect();
    assert!(rewarded.contains(&earned) && !rewarded.contains(&custom), "{sold}");
    for (reward, more, amount, unit) in [
        (&custom, json!({}), 500, "points"),
        (&custom, json!({"amount": 700, "unit": "points"}), 700, "points"),
        (&custom, json!({"amount": null}), 500, "points"),
        (&both, json!({"unit": "cash"}), 250, "cash"),
    ] {
        let given = made(&broker, "/commissions", &give(reward, more)).await;
        let given = &given[0];
        assert_eq!((&given["amount"], &given["unit"]), (&amount.into(), &unit.into()), "{given}");
        assert_eq!(given["reward"], json!({"id": reward, "name": "Thank you"}), "{given}");
        assert_eq!(given["commission_type"], "custom");
    }
    for (reward, more, status, field) in [
        (&custom, json!({"unit": "cash", "amount": 5}), 400, "unit"),
        (&both, json!({}), 400, "unit"),
        (&earned, json!({}), 422, "reward_id"),
    ] {
        let (got, error) = company(&broker, Method::POST, "/commissions", &give(reward, more)).await;
        assert_eq!((got, error["errors"][field].is_array()), (status, true), "{error}");
    }
}

async fn an_event_id_is_of_one_sale_or_of_one_commission_by_hand(engine: Engine) {
    let broker = selling(engine).await;
    let points = read(&broker, "/commissions?unit=points").await;
    let (referral, membership) = (&points[0]["referral"], &points[0]["promoter_campaign"]["id"]);
    let custom = |event_id: &str| json!({"commission_type": "custom", "promoter_campaign_id": membership, "amount": 700, "event_id": event_id});
    let tracked = |event_id: &str| json!({"uid": referral["uid"], "email": referral["email"], "event_id": event_id, "amount": 1000});
    let by_hand = |event_id: &str| json!({"commission_type": "sale", "referral_id": referral["id"], "sale_amount": 1000, "event_id": event_id});
    made(&broker, "/commissions", &custom("c-1")).await;
    made(&broker, "/commissions", &by_hand("s-1")).await;
    let (status, sold) = rewards(&broker, Method::POST, "/api/v2/track/sale", &tracked("s-2")).await;
    assert_eq!(status, 200, "{sold}");
    let before = read(&broker, "/commissions?per_page=100").await;
    for (path, body) in [
        ("company/commissions", custom("c-1")),
        ("company/commissions", custom("s-1")),
        ("company/commissions", custom("s-2")),
        ("company/commissions", by_hand("c-1")),
        ("track/sale", tracked("c-1")),
    ] {
        let (status, error) = rewards(&broker, Method::POST, &format!("/api/v2/{path}"), &body).await;
        assert_eq!((status, &error["code"]), (409, &"conflict".into()), "{body}: {error}");
        assert_eq!(error["message"], "This event_id was seen already.", "{body}");
    }
    assert_eq!(read(&broker, "/commissions?per_page=100").await, before, "nothing was made");
    // At once, too, it is of one of both.
    let (one, other) = (custom("both"), by_hand("both"));
    let at_once = tokio::join!(
        company(&broker, Method::POST, "/commissions", &one),
        company(&broker, Method::POST, "/commissions", &other)
    );
    let mut statuses = [at_once.0.0, at_once.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{at_once:?}");
}

on_both_engines! {
    an_event_id_is_of_one_sale_or_of_one_commission_by_hand,
    what_was_said_is_shown_and_found,
    a_custom_reward_is_given_by_hand,
}
