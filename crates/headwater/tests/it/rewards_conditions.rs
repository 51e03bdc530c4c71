//! Rewards for some sales: the first, those within months, every second one, for one product, once the promoter has enough
//! customers; from a campaign of the rewards dialect to what is paid and taken back.

use crate::broker::Broker;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn made(broker: &Broker, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, Method::POST, path, body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

async fn track(broker: &Broker, what: &str, body: Value) -> Value {
    let (status, event) = rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await;
    assert_eq!(status, 200, "{event}");
    event
}

/// A reward of one schema, with whatever else it says.
fn reward(unit: &str, amount: i64, flat_amount: bool, rules: Value, further: Value) -> Value {
    let mut body = json!({"name": unit, "is_promoter_reward": true, "promoter_reward_type": "sale",
        "schemas": [{"unit": unit, "amount": amount, "flat_amount": flat_amount}]});
    body["schemas"][0]["rules"] = rules;
    let (Value::Object(fields), Value::Object(further)) = (&mut body, further) else { panic!("both are objects") };
    fields.extend(further);
    body
}

fn rule(of: &str, condition: &str, value: i64) -> Value {
    json!([{"type": of, "condition": condition, "value": value, "operator": "and", "filter_by": null}])
}

/// A campaign with these rewards and a promoter: the token of its membership. Each reward has its `apply_on`.
async fn campaign(broker: &Broker, promoters: Vec<(Value, Value)>, referrals: Vec<(Value, Value)>) -> String {
    let mut lists = Vec::new();
    for list in [promoters, referrals] {
        let mut entries = Vec::new();
        for (reward, applies) in list {
            let mut entry = applies;
            entry["reward_id"] = made(broker, "rewards", reward).await["id"].clone();
            entries.push(entry);
        }
        lists.push(entries);
    }
    let body = json!({"name": "Points", "landing_url": "https://broker.example/join", "ref_token_param": "?via",
        "visitor_cookie_life": 60, "rewards_for_promoters": lists[0], "rewards_for_referrals": lists[1]});
    let campaign = made(broker, "campaigns", body).await;
    let mut shown = lists[0].clone();
    for entry in &mut shown {
        entry["apply_on"] = entry.get("apply_on").cloned().unwrap_or_else(|| "all".into());
    }
    assert_eq!(campaign["rewards_for_promoters"], json!(shown), "it shows what was said, and all where nothing was");
    let body = json!({"email": "ib@example.org", "initial_campaign_id": campaign["id"]});
    let promoter = made(broker, "promoters", body).await;
    promoter["promoter_campaigns"][0]["ref_token"].as_str().expect("a token").to_owned()
}

/// What the books hold by recipient and unit; without zeros.
async fn owed(broker: &Broker) -> BTreeMap<(String, String), i64> {
    let mut owed = BTreeMap::new();
    let (_, list) = company(broker, Method::GET, "commissions?per_page=100", json!({})).await;
    for row in list.as_array().expect("a list") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&row["recipient"]["type"]), text(&row["unit"]));
        *owed.entry(key).or_insert(0) += row["amount"].as_i64().expect("whole");
    }
    owed.retain(|_, amount| *amount != 0);
    owed
}

fn expected(rows: &[(&str, &str, i64)]) -> BTreeMap<(String, String), i64> {
    rows.iter().map(|(who, unit, amount)| (((*who).to_owned(), (*unit).to_owned()), *amount)).collect()
}

async fn each_reward_is_for_the_sales_that_it_says(engine: Engine) {
    let broker = Broker::start(engine).await;
    let prices = json!([{"ext_id": "price_pro_m"}, {"ext_id": "price_pro_y"}]);
    let pro = made(&broker, "products", json!({"name": "Pro", "ext_id": "pro", "prices": prices})).await;
    let all = || json!({"apply_on": "all", "product_ids": []});
    let promoters = vec![
        (reward("cash", 20, false, json!([]), json!({"duration": "once"})), all()),
        (reward("points", 100, true, json!([]), json!({"duration": "repeating", "duration_in_months": 2})), all()),
        (reward("credits", 5, true, rule("customer_sales_count", "multiple of", 2), json!({})), all()),
        (reward("free_months", 1, true, json!([]), json!({})), json!({"apply_on": "yearly", "product_ids": []})),
        (
            reward("discount_per", 10, true, json!([]), json!({})),
            json!({"apply_on": "specific", "product_ids": [pro["id"]]}),
        ),
        (
            reward("mon_discount", 50, true, rule("promoter_campaign_customers_count", "greater than", 1), json!({})),
            all(),
        ),
    ];
    let thanks = json!({"is_promoter_reward": false, "max_redemptions": 1, "new_customers_only": true});
    let referrals = vec![(reward("points", 50, true, json!([]), thanks), all())];
    let token = campaign(&broker, promoters, referrals).await;

    let sale = |who: &str, key: &str, plan: &str, period: &str| {
        json!({"email": format!("{who}@buyer.example"), "event_id": key, "amount": 1000, "plan": plan,
            "billing_period": period, "ref_id": token})
    };
    let event = track(&broker, "sale", sale("a", "1", "price_pro_y", "yearly")).await;
    assert_eq!((&event["plan_id"], &event["billing_period"]), (&"price_pro_y".into(), &"yearly".into()));
    assert_eq!(event["commissions"].as_array().map(Vec::len), Some(5), "{event}");
    let first = [
        ("promoter", "cash", 200),
        ("promoter", "discount_per", 10),
        ("promoter", "free_months", 1),
        ("promoter", "points", 100),
        ("referral", "points", 50),
    ];
    assert_eq!(owed(&broker).await, expected(&first));

    track(&broker, "sale", sale("a", "2", "basic", "monthly")).await;
    track(&broker, "sale", sale("b", "3", "basic", "monthly")).await;
    let three = [
        ("promoter", "cash", 400),
        ("promoter", "credits", 5),
        ("promoter", "discount_per", 10),
        ("promoter", "free_months", 1),
        ("promoter", "mon_discount", 50),
        ("promoter", "points", 300),
        ("referral", "points", 100),
    ];
    assert_eq!(owed(&broker).await, expected(&three));

    // The first sale is none any more: the second is the first, and no longer the second.
    let refund = json!({"email": "a@buyer.example", "event_id": "r1", "amount": 1000, "sale_event_id": "1"});
    let back = track(&broker, "refund", refund).await;
    let named: Vec<_> = back["commissions"].as_array().expect("a list").iter().map(|row| &row["event_id"]).collect();
    assert!(!named.is_empty() && named.iter().all(|key| **key == "r1" || **key == "1"), "{back}");
    let refunded = company(&broker, Method::GET, "commissions?per_page=100&filters[refunded]=yes", json!({})).await.1;
    let refunded = refunded.as_array().expect("a list").iter().map(|row| (&row["event_id"], row["amount"].as_i64()));
    let refunded: Vec<_> = refunded.collect();
    assert!(
        !refunded.is_empty() && refunded.iter().all(|(key, amount)| **key == "1" && *amount > Some(0)),
        "{refunded:?}"
    );
    let after = [
        ("promoter", "cash", 400),
        ("promoter", "mon_discount", 50),
        ("promoter", "points", 200),
        ("referral", "points", 100),
    ];
    assert_eq!(owed(&broker).await, expected(&after));
    assert_eq!(broker.rows("/api/v1/held").await, Vec::<Value>::new());
    let verified = broker.server.command(&["verify", "--json"]).output().expect("it runs");
    let verdict: Value = serde_json::from_slice(&verified.stdout).expect("one JSON object");
    assert_eq!(verdict["ok"], true, "the books hold what the facts are worth: {verdict}");
}

async fn a_sale_by_hand_is_asked_the_same_questions(engine: Engine) {
    let broker = Broker::start(engine).await;
    let all = || json!({"apply_on": "all"});
    let loyal = json!([
        {"type": "customer_age_in_months", "condition": "greater than or equal to", "value": 12, "operator": "and"},
        {"type": "promoter_campaign_revenue", "condition": "greater than", "value": 5000, "operator": "or"}]);
    let promoters = vec![
        (reward("cash", 10, false, json!([]), json!({"duration": "repeating", "duration_in_months": 12})), all()),
        (reward("points", 7, true, loyal, json!({})), all()),
        (reward("credits", 3, true, json!([]), json!({})), json!({"apply_on": "yearly"})),
    ];
    let token = campaign(&broker, promoters, Vec::new()).await;
    let signup = json!({"email": "a@buyer.example", "ref_id": token, "created_at": "2024-12-01T00:00:00Z"});
    let referral = track(&broker, "signup", signup).await["referral"]["id"].clone();
    let sale = |day: &str, amount: i64, period: &str| {
        json!({"commission_type": "sale", "referral_id": referral, "sale_amount": amount, "event_date": day,
            "plan_id": "pro", "billing_period": period})
    };
    // Told out of order: what counts is when they were.
    let units = |list: &Value| -> Vec<(String, i64)> {
        let row =
            |row: &Value| (row["unit"].as_str().expect("text").to_owned(), row["amount"].as_i64().expect("whole"));
        let mut rows: Vec<_> = list.as_array().expect("a list").iter().map(row).collect();
        rows.sort();
        rows
    };
    let late = made(&broker, "commissions", sale("2026-02-15", 1000, "monthly")).await;
    assert_eq!(units(&late), [("cash".to_owned(), 100)]);
    made(&broker, "commissions", sale("2025-01-15", 3000, "yearly")).await;
    let points = |amount: i64| ("promoter", "points", amount);
    assert_eq!(owed(&broker).await, expected(&[("promoter", "cash", 300), ("promoter", "credits", 3), points(7)]));
    let beyond = made(&broker, "commissions", sale("2025-06-15", 3000, "monthly")).await;
    assert_eq!(units(&beyond), [("cash".to_owned(), 300), ("points".to_owned(), 7)], "6000 is more than 5000");
    let wrong = company(&broker, Method::POST, "commissions", sale("2025-06-15", 3000, "weekly")).await;
    assert_eq!((wrong.0, wrong.1["errors"]["billing_period"].is_array()), (400, true), "{}", wrong.1);
}

async fn why_a_sale_paid_what_it_did_is_told(engine: Engine) {
    let broker = Broker::start(engine).await;
    let rules = rule("customer_sales_count", "greater than", 1);
    let token = campaign(&broker, vec![(reward("cash", 10, false, rules, json!({})), json!({}))], Vec::new()).await;
    let sale = |key: &str| json!({"email": "a@buyer.example", "event_id": key, "amount": 1000, "ref_id": token});
    let first = track(&broker, "sale", sale("1")).await;
    assert_eq!(first["commissions"], json!([]));
    let told = broker.done(Method::GET, &format!("/api/v1/facts/{}/explain", first["id"]), &Value::Null).await;
    assert_eq!(told["rules"][0]["reason"], "sales", "{told:#}");
    assert_eq!(told["rules"][0]["detail"], "customer_sales_count is 1, not more than 1");
    let second = track(&broker, "sale", sale("2")).await;
    let commission = &second["commissions"][0]["id"];
    let told = broker.done(Method::GET, &format!("/api/v1/commissions/{commission}/explain"), &Value::Null).await;
    let shown = told.pointer("/explanation/inputs/0/sales").or(told.pointer("/inputs/0/sales"));
    let expected =
        json!([{"name": "customer_sales_count", "is": "more_than", "needed": "1", "value": "2", "is_met": true}]);
    assert_eq!(shown, Some(&expected), "{told:#}");
}

async fn a_target_pays_the_promoter_once_it_is_reached(engine: Engine) {
    let broker = Broker::start(engine).await;
    let step = |unit: &str, amount: i64, metric: &str, value: i64| {
        json!({"unit": unit, "amount": amount, "flat_amount": true, "rules": [
            {"type": metric, "condition": "greater than or equal to", "value": value, "operator": "and", "filter_by": null}]})
    };
    let mut target = reward("cash", 1, true, json!([]), json!({"promoter_reward_type": "target", "duration": "once"}));
    target["schemas"] = json!([
        step("points", 500, "promoter_campaign_customers_count", 2),
        step("points", 700, "promoter_campaign_customers_count", 3),
        step("cash", 5000, "promoter_campaign_revenue", 2500),
    ]);
    let token = campaign(&broker, vec![(target, json!({"apply_on": "all"}))], Vec::new()).await;
    let sale = |who: &str, key: &str| json!({"email": format!("{who}@buyer.example"), "event_id": key, "amount": 1000, "ref_id": token});
    for (who, key, owes) in [
        ("a", "1", expected(&[])),
        ("b", "2", expected(&[("promoter", "points", 500)])),
        ("b", "3", expected(&[("promoter", "cash", 5000), ("promoter", "points", 500)])),
        ("c", "4", expected(&[("promoter", "cash", 5000), ("promoter", "points", 1200)])),
        ("d", "5", expected(&[("promoter", "cash", 5000), ("promoter", "points", 1200)])),
    ] {
        track(&broker, "sale", sale(who, key)).await;
        assert_eq!(owed(&broker).await, owes, "{key}");
    }
    // Two customers and 20.00 are left.
    for (key, who, of) in [("r1", "a", "1"), ("r2", "c", "4"), ("r3", "b", "3")] {
        let refund =
            json!({"email": format!("{who}@buyer.example"), "event_id": key, "amount": 1000, "sale_event_id": of});
        track(&broker, "refund", refund).await;
    }
    assert_eq!(owed(&broker).await, expected(&[("promoter", "points", 500)]));
}

async fn what_says_nothing_is_refused_with_its_field(engine: Engine) {
    let broker = Broker::start(engine).await;
    let nameless = made(&broker, "products", json!({"name": "Nameless"})).await["id"].clone();
    for (body, status, field) in [
        (reward("cash", 5, false, json!([]), json!({"duration": "repeating"})), 400, "duration_in_months"),
        (reward("cash", 5, false, json!([]), json!({"max_redemptions": 0})), 400, "max_redemptions"),
        (reward("cash", 5, false, rule("sales", "equal to", 1), json!({})), 400, "schemas[0].rules[0].type"),
        (reward("cash", 5, false, json!([]), json!({"promoter_reward_type": "target"})), 422, "schemas[0].flat_amount"),
    ] {
        let (got, error) = company(&broker, Method::POST, "rewards", body.clone()).await;
        assert_eq!((got, error["errors"][field].is_array()), (status, true), "{body}: {error}");
    }
    let id = made(&broker, "rewards", reward("cash", 5, false, json!([]), json!({}))).await["id"].clone();
    for (entry, status, field) in [
        (json!({"apply_on": "weekly"}), 400, "apply_on"),
        (json!({"apply_on": "specific"}), 400, "product_ids"),
        (json!({"apply_on": "specific", "product_ids": [99]}), 400, "product_ids"),
        (json!({"apply_on": "specific", "product_ids": [nameless]}), 422, "product_ids"),
        (json!({"apply_on": "monthly", "product_ids": [nameless]}), 400, "product_ids"),
    ] {
        let mut entry = entry;
        entry["reward_id"] = id.clone();
        let body = json!({"name": "Points", "landing_url": "https://broker.example/join", "ref_token_param": "?via",
            "visitor_cookie_life": 60, "rewards_for_promoters": [entry]});
        let (got, error) = company(&broker, Method::POST, "campaigns", body).await;
        let field = format!("rewards_for_promoters[0].{field}");
        assert_eq!((got, error["errors"][&field].is_array()), (status, true), "{entry}: {error}");
    }
}

on_both_engines! {
    a_target_pays_the_promoter_once_it_is_reached,
    each_reward_is_for_the_sales_that_it_says,
    a_sale_by_hand_is_asked_the_same_questions,
    why_a_sale_paid_what_it_did_is_told,
    what_says_nothing_is_refused_with_its_field,
}
