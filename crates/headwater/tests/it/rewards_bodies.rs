//! What a body says in the rewards dialect: what contradicts itself is refused by its field, what nobody knows is not kept,
//! and every complaint is about what is wrong.

use crate::broker::{Broker, answer};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn track(broker: &Broker, what: &str, body: Value) -> (u16, Value) {
    rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await
}

async fn made(broker: &Broker, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, Method::POST, path, body).await;
    assert!(matches!(status, 200 | 201), "{path}: {status} {object}");
    object
}

/// A request that is refused by this field, with these words.
fn refused(field: &str, words: &str, (status, error): &(u16, Value)) {
    assert!(matches!(status, 400 | 422), "{field}: {status} {error}");
    let said = error["errors"][field][0].as_str().unwrap_or_default();
    assert!(said.contains(words) && said.ends_with('.') && !said.contains(".."), "{field}: {words}: {error}");
}

fn reward(fields: &Value) -> Value {
    let mut reward = json!({"name": "r", "is_promoter_reward": true,
        "schemas": [{"unit": "cash", "amount": 10, "flat_amount": false}]});
    let object = reward.as_object_mut().expect("an object");
    object.extend(fields.as_object().expect("an object").clone());
    reward
}

async fn what_contradicts_itself_is_no_reward(engine: Engine) {
    let broker = Broker::start(engine).await;
    for (fields, field, words) in [
        (json!({"duration": "once", "duration_in_months": 3}), "duration_in_months", "goes with duration repeating"),
        (json!({"duration_in_months": 3}), "duration_in_months", "goes with duration repeating"),
        (json!({"tier_level": 2}), "tier_level", "goes with promoter_reward_type tier"),
        (
            json!({"promoter_reward_type": "sale", "tier_reward_mode": "tier_override_mode"}),
            "tier_reward_mode",
            "goes with",
        ),
        (
            json!({"is_promoter_reward": false, "promoter_reward_type": "tier"}),
            "promoter_reward_type",
            "of promoter rewards",
        ),
        (json!({"should_create_provider_coupon": true}), "should_create_provider_coupon", "no billing provider"),
        (json!({"coupon": 5}), "coupon", "must be a string"),
        (json!({"hide_reward": "yes"}), "hide_reward", "must be true or false"),
    ] {
        refused(field, words, &company(&broker, Method::POST, "rewards", reward(&fields)).await);
    }
    let own = made(&broker, "rewards", reward(&json!({"duration": "repeating", "duration_in_months": 3}))).await;
    let path = format!("rewards/{}", own["id"]);
    let change = company(&broker, Method::PUT, &path, json!({"duration": "once"})).await;
    refused("duration_in_months", "send null", &change);
    let (status, changed) =
        company(&broker, Method::PUT, &path, json!({"duration": "once", "duration_in_months": null})).await;
    assert_eq!((status, &changed["duration"]), (200, &"once".into()), "{changed}");
    let (_, hidden) = company(&broker, Method::PUT, &path, json!({"hide_reward": true})).await;
    assert_eq!((&hidden["is_hidden"], &hidden["hide_reward"]), (&true.into(), &true.into()));
    assert_eq!(company(&broker, Method::GET, "rewards", Value::Null).await.1, json!([]));
}

async fn what_nobody_knows_is_not_kept(engine: Engine) {
    let broker = Broker::start(engine).await;
    let rules =
        json!([{"type": "customer_sales_count", "condition": "less than", "value": 3, "operator": "and", "odd": 1}]);
    let schemas = json!([{"unit": "cash", "amount": 10, "flat_amount": false, "odd": 1, "rules": rules}]);
    let own = made(&broker, "rewards", reward(&json!({"odd": 1, "id": 5, "schemas": schemas}))).await;
    assert!(own["id"] != 5 && !own.to_string().contains("odd"), "{own}");
    assert_eq!(own["schemas"][0]["rules"][0]["operator"], "and");
    let product =
        made(&broker, "products", json!({"name": "Pro", "odd": 1, "prices": [{"ext_id": "a", "odd": 1}]})).await;
    assert_eq!((product.get("odd"), &product["prices"]), (None, &json!([{"ext_id": "a"}])), "{product}");
    let body = json!({"name": "C", "landing_url": "https://broker.example/", "ref_token_param": "?via", "visitor_cookie_life": 60,
        "odd": 1, "rewards_for_promoters": [{"reward_id": own["id"], "odd": 1}]});
    let campaign = made(&broker, "campaigns", body).await;
    let entry = json!({"reward_id": own["id"], "apply_on": "all"});
    assert_eq!((campaign.get("odd"), &campaign["rewards_for_promoters"]), (None, &json!([entry])), "{campaign}");
    let (_, read) = company(&broker, Method::GET, &format!("campaigns/{}", campaign["id"]), Value::Null).await;
    assert_eq!(read, campaign);
    // What is read can be sent back, also where its reward was hidden meanwhile.
    assert_eq!(company(&broker, Method::POST, &format!("rewards/{}/hide", own["id"]), json!({})).await.0, 200);
    let path = format!("campaigns/{}", campaign["id"]);
    let (status, again) = company(&broker, Method::PUT, &path, read.clone()).await;
    assert_eq!((status, &again["rewards_for_promoters"]), (200, &read["rewards_for_promoters"]), "{again}");
    let member = company(&broker, Method::GET, "promoter_campaigns", Value::Null).await.1[0]["id"].clone();
    let body = json!({"code": "A", "promoter_campaign_id": member, "odd": 1, "metadata": {"free": 1}});
    let code = made(&broker, "promo_codes", body).await;
    assert_eq!((code.get("odd"), &code["metadata"]["free"]), (None, &1.into()), "{code}");
    let path = format!("promo_codes/{}", code["id"]);
    refused(
        "promoter_campaign_id",
        "cannot be changed",
        &company(&broker, Method::PUT, &path, json!({"promoter_campaign_id": 999})).await,
    );
    refused("metadata", "must be an object", &company(&broker, Method::PUT, &path, json!({"metadata": 5})).await);
    refused(
        "reward_id",
        "must be the id of a reward",
        &company(&broker, Method::PUT, &path, json!({"reward_id": 999})).await,
    );
    assert_eq!(company(&broker, Method::PUT, &path, json!({"promoter_campaign_id": member})).await.0, 200);
}

async fn a_campaigns_entry_is_named_by_its_place(engine: Engine) {
    let broker = Broker::start(engine).await;
    let first = made(&broker, "rewards", reward(&json!({}))).await["id"].clone();
    let theirs = made(&broker, "rewards", reward(&json!({"is_promoter_reward": false}))).await["id"].clone();
    let tier = json!({"promoter_reward_type": "tier", "tier_level": 2, "tier_reward_mode": "tier_override_mode"});
    let tier = made(&broker, "rewards", reward(&tier)).await["id"].clone();
    let far = json!({"promoter_reward_type": "tier", "tier_level": 3, "tier_reward_mode": "tier_override_mode"});
    let far = made(&broker, "rewards", reward(&far)).await["id"].clone();
    let body = |entries: &Value| {
        json!({"name": "C", "landing_url": "https://broker.example/", "ref_token_param": "?via", "visitor_cookie_life": 60,
            "rewards_for_promoters": entries})
    };
    let (_, program) = company(&broker, Method::GET, "campaigns", Value::Null).await;
    let path = format!("campaigns/{}", program[0]["id"]);
    for (entries, field, words) in [
        (json!([{"reward_id": first}, {"reward_id": 999}]), "rewards_for_promoters[1].reward_id", "the id of a reward"),
        (json!([{"reward_id": first}, {}]), "rewards_for_promoters[1].reward_id", "the id of a reward"),
        (json!([5]), "rewards_for_promoters[0].reward_id", "the id of a reward"),
        (
            json!([{"reward_id": first}, {"reward_id": theirs}]),
            "rewards_for_promoters[1].reward_id",
            "of the other party",
        ),
        (json!([{"reward_id": first, "apply_on": "weekly"}]), "rewards_for_promoters[0].apply_on", "must be one of"),
        (
            json!([{"reward_id": first}, {"reward_id": tier, "apply_on": "monthly"}]),
            "rewards_for_promoters[1].apply_on",
            "must be all",
        ),
        (json!([{"reward_id": first}, {"reward_id": far}]), "rewards_for_promoters", "tier_level must be 2, 3, 4"),
        (json!("all"), "rewards_for_promoters", "must be a list"),
    ] {
        refused(field, words, &company(&broker, Method::POST, "campaigns", body(&entries)).await);
        refused(field, words, &company(&broker, Method::PUT, &path, json!({"rewards_for_promoters": entries})).await);
    }
}

async fn a_name_that_is_taken_is_the_one_that_is_named(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = company(&broker, Method::GET, "promoter_campaigns", Value::Null).await.1[0].clone();
    let new = |email: &str, uid: &str| json!({"email": email, "uid": uid, "promoter_campaign_id": member["id"]});
    made(&broker, "referrals", new("a@buyer.example", "u-1")).await;
    let other = made(&broker, "referrals", new("b@buyer.example", "u-2")).await;
    for (email, uid, field) in
        [("c@buyer.example", "u-1", "uid"), ("a@buyer.example", "u-3", "email"), ("a@buyer.example", "u-1", "uid")]
    {
        refused(field, "has already been taken", &company(&broker, Method::POST, "referrals", new(email, uid)).await);
    }
    let path = format!("referrals/{}", other["id"]);
    refused(
        "email",
        "already been taken",
        &company(&broker, Method::PUT, &path, json!({"email": "a@buyer.example"})).await,
    );
    let both = json!({"email": "b@buyer.example", "uid": "u-1"});
    refused("uid", "already been taken", &company(&broker, Method::PUT, &path, both).await);
}

async fn an_email_is_one_everywhere(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = company(&broker, Method::GET, "promoter_campaigns", Value::Null).await.1[0].clone();
    let known = made(&broker, "referrals", json!({"uid": "u-1", "promoter_campaign_id": member["id"]})).await;
    let key = broker.done(Method::POST, "/api/v1/keys", &json!({"kind": "partner", "partner": "ib_2044"})).await;
    for email in ["nobody", "a@", "@b", "a@b@c", "a b@c.example", "5"] {
        let words = "must be an email address";
        let body = json!({"email": email, "promoter_campaign_id": member["id"]});
        refused("email", words, &company(&broker, Method::POST, "referrals", body.clone()).await);
        let request = broker.request(None, Method::POST, "/api/v2/affiliate/referrals").body(body.to_string());
        let request =
            request.bearer_auth(key["key"].as_str().expect("a token")).header("Account-ID", broker.key("account_id"));
        let (status, text) = answer(request).await;
        refused("email", words, &(status, serde_json::from_str(&text).expect("JSON")));
        let path = format!("referrals/{}", known["id"]);
        refused("email", words, &company(&broker, Method::PUT, &path, json!({"email": email})).await);
        let body = json!({"email": email, "uid": "u-9", "ref_id": member["ref_token"]});
        refused("email", words, &track(&broker, "signup", body.clone()).await);
        let mut sale = body;
        (sale["event_id"], sale["amount"]) = ("inv_1".into(), 100.into());
        refused("email", words, &track(&broker, "sale", sale).await);
    }
    let (_, all) = company(&broker, Method::GET, "referrals", Value::Null).await;
    assert_eq!(all.as_array().map(Vec::len), Some(1), "nobody was made: {all}");
}

async fn a_sale_is_refused_for_what_is_wrong_with_it(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = company(&broker, Method::GET, "promoter_campaigns", Value::Null).await.1[0].clone();
    let known =
        made(&broker, "referrals", json!({"email": "a@buyer.example", "promoter_campaign_id": member["id"]})).await;
    let sale = |name: &str, value: Value| {
        let mut body = json!({"email": "a@buyer.example", "event_id": "inv_1", "amount": 100});
        body[name] = value;
        body
    };
    for (name, value, words) in [
        ("mrr", json!({}), "mrr must be a whole number from 0 on"),
        ("mrr", json!("much"), "mrr must be a whole number from 0 on"),
        ("quantity", json!([1]), "quantity must be a whole number from 0 on"),
        ("quantity", json!(1.5), "quantity must be a whole number from 0 on"),
        ("amount", json!("ten"), "amount must be a whole number"),
        ("amount", json!(0), "amount must be a whole number of minor units above 0"),
        ("billing_period", json!("weekly"), "billing_period must be one of monthly, yearly, one_time"),
        ("currency", json!("ZZZ"), "currency must be an ISO 4217 code"),
        ("skip_email_notification", json!("no"), "skip_email_notification must be true or false"),
    ] {
        refused(name, words, &track(&broker, "sale", sale(name, value)).await);
    }
    let wrong_ip = json!({"email": "b@buyer.example", "ref_id": member["ref_token"], "ip": "here"});
    refused("ip", "must be an IP address", &track(&broker, "signup", wrong_ip).await);
    let mut fine = sale("mrr", json!("900"));
    (fine["quantity"], fine["amount"]) = (2.into(), "100".into());
    let (status, event) = track(&broker, "sale", fine).await;
    assert_eq!((status, &event["sale_amount"]), (200, &100.into()), "{event}");
    assert_eq!(company(&broker, Method::POST, "referrals/disable", json!({"ids": [known["id"]]})).await.0, 200);
    let (status, error) = track(&broker, "sale", sale("event_id", json!("inv_2"))).await;
    let words = error["message"].as_str().unwrap_or_default();
    assert_eq!(
        (status, &error["code"], words.contains("referral is disabled")),
        (404, &"not_found".into(), true),
        "{error}"
    );
    let body = json!({"ids": [member["promoter_id"]], "campaign_id": member["campaign_id"]});
    assert_eq!(company(&broker, Method::POST, "referrals/enable", json!({"ids": [known["id"]]})).await.0, 200);
    assert_eq!(company(&broker, Method::POST, "promoters/block", body).await.0, 200);
    let (status, error) = track(&broker, "sale", sale("event_id", json!("inv_2"))).await;
    let words = error["message"].as_str().unwrap_or_default();
    assert_eq!((status, words.contains("promoter of this referral is banned")), (404, true), "{error}");
}

async fn nothing_is_taken_away_unasked(engine: Engine) {
    let broker = Broker::start(engine).await;
    let promoter = made(&broker, "promoters", json!({"email": "ib@example.org", "cust_id": "c-1"})).await;
    let member = promoter["promoter_campaigns"][0].clone();
    let who = json!({"email": "a@buyer.example", "promoter_campaign_id": member["id"]});
    let referral = made(&broker, "referrals", who).await;
    let campaign = company(&broker, Method::GET, "campaigns", Value::Null).await.1[0].clone();
    let path = |noun: &str, of: &Value| format!("{noun}/{}", of["id"]);
    for (path, body, field, words) in [
        (path("promoters", &promoter), json!({"email": null}), "email", "cannot be cleared"),
        (path("promoters", &promoter), json!({"cust_id": null}), "cust_id", "cannot be cleared"),
        (path("promoters", &promoter), json!({"cust_id": " "}), "cust_id", "can not be blank"),
        (path("promoters", &promoter), json!({"note": 5}), "note", "must be a string"),
        (path("promoters", &promoter), json!({"profile": {"first_name": 5}}), "profile.first_name", "must be a string"),
        (path("promoter_campaigns", &member), json!({"state": null}), "state", "cannot be cleared"),
        (
            path("promoter_campaigns", &member),
            json!({"direct_url": "javascript:alert(1)"}),
            "direct_url",
            "http or https",
        ),
        (path("referrals", &referral), json!({"email": null}), "email", "cannot be cleared"),
        (path("referrals", &referral), json!({"email": " "}), "email", "can not be blank"),
        (path("referrals", &referral), json!({"metadata": 5}), "metadata", "must be an object"),
        (path("referrals", &referral), json!({"fraud_check": "odd"}), "fraud_check", "must be one of"),
        (path("campaigns", &campaign), json!({"name": null}), "name", "cannot be cleared"),
        (path("campaigns", &campaign), json!({"rewards_for_promoters": null}), "rewards_for_promoters", "send []"),
        (path("campaigns", &campaign), json!({"currency": "EUR"}), "currency", "is USD here"),
        (path("campaigns", &campaign), json!({"color": 5}), "color", "must be a string"),
        (
            path("campaigns", &campaign),
            json!({"links": [{"name": "a", "url": "https://a.example"}]}),
            "links",
            "not kept here",
        ),
    ] {
        refused(field, words, &company(&broker, Method::PUT, &path, body).await);
    }
    // What is read can be sent back as it is.
    for (noun, object) in
        [("promoters", &promoter), ("promoter_campaigns", &member), ("referrals", &referral), ("campaigns", &campaign)]
    {
        let (status, again) = company(&broker, Method::PUT, &path(noun, object), object.clone()).await;
        assert_eq!((status, &again["id"]), (200, &object["id"]), "{noun}: {again}");
    }
    let ids = json!([promoter["id"]]);
    let here = json!({"ids": ids, "from_campaign_id": member["campaign_id"], "to_campaign_id": member["campaign_id"]});
    refused(
        "to_campaign_id",
        "another campaign",
        &company(&broker, Method::POST, "promoters/move_to_campaign", here).await,
    );
    let (_, now) = company(&broker, Method::GET, &path("promoters", &promoter), Value::Null).await;
    assert_eq!(now["promoter_campaigns"][0]["state"], "accepted", "it left nothing");
    let under = json!({"ids": ids, "parent_promoter_id": 999});
    let words = "must be the id of a promoter";
    refused("parent_promoter_id", words, &company(&broker, Method::POST, "promoters/assign_parent", under).await);
    let split = json!({"split_details": [{"promoter_campaign_id": member["id"], "percentage": 101}]});
    let path = path("referrals", &referral);
    refused("split_details", "split_details[0].percentage must be", &company(&broker, Method::PUT, &path, split).await);
}

async fn a_partner_is_told_what_is_wrong(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = company(&broker, Method::GET, "promoter_campaigns", Value::Null).await.1[0]["id"].clone();
    let key = broker.done(Method::POST, "/api/v1/keys", &json!({"kind": "partner", "partner": "ib_2044"})).await;
    let token = key["key"].as_str().expect("a token");
    let ask = async |method: Method, path: &str, body: Value| {
        let request = broker.request(None, method, &format!("/api/v2/affiliate/{path}")).body(body.to_string());
        let (status, text) = answer(request.bearer_auth(token).header("Account-ID", broker.key("account_id"))).await;
        (status, serde_json::from_str::<Value>(&text).expect("JSON"))
    };
    let method = |fields: Value| {
        let mut body = json!({"method": "paypal", "details": {"paypal_email": "ib@example.org"}});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        body
    };
    let (status, link) =
        ask(Method::POST, "referral_links", json!({"promoter_campaign_id": member, "name": "n"})).await;
    assert_eq!(status, 200, "{link}");
    let own = format!("referral_links/{}", link["id"]);
    for (path, body, field, words) in [
        (
            "payout_methods",
            method(json!({"details": {"paypal_email": "nobody"}})),
            "details.paypal_email",
            "email address",
        ),
        ("payout_methods", method(json!({"is_selected": false})), "is_selected", "must be true"),
        ("payout_methods", method(json!({"is_disabled": true})), "is_disabled", "must be false"),
        ("referral_links", json!({"promoter_campaign_id": member, "url": "//evil"}), "url", "url must start with"),
        (own.as_str(), json!({"url": "https://broker.example/other"}), "url", "cannot be changed"),
    ] {
        let verb = if path == own { Method::PUT } else { Method::POST };
        refused(field, words, &ask(verb, path, body).await);
    }
    let (status, renamed) = ask(Method::PUT, &own, json!({"url": link["url"], "name": "m"})).await;
    assert_eq!((status, &renamed["name"]), (200, &"m".into()), "{renamed}");
}

on_both_engines! {
    what_contradicts_itself_is_no_reward,
    what_nobody_knows_is_not_kept,
    a_campaigns_entry_is_named_by_its_place,
    a_name_that_is_taken_is_the_one_that_is_named,
    an_email_is_one_everywhere,
    a_sale_is_refused_for_what_is_wrong_with_it,
    nothing_is_taken_away_unasked,
    a_partner_is_told_what_is_wrong,
}
