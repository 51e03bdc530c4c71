//! The rewards dialect towards callers who err: what is not understood is refused, never left out, and money that is given
//! back takes no more and no less than its sale.

use crate::broker::{Broker, answer};
use crate::receiver::Receiver;
use crate::rewards_track::rewards;
use crate::server::Engine;
use headwater_domain::time::Instant;
use reqwest::Method;
use serde_json::{Value, json};

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn track(broker: &Broker, what: &str, body: Value) -> (u16, Value) {
    rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await
}

/// A campaign that pays a tenth of each sale in money and 250 points for it, with one promoter: its membership.
async fn campaign(broker: &Broker) -> Value {
    let mut rewards = Vec::new();
    for (name, unit, amount, is_flat) in [("A tenth", "cash", 10, false), ("250 points", "points", 250, true)] {
        let schemas = json!([{"unit": unit, "amount": amount, "flat_amount": is_flat}]);
        let body = json!({"name": name, "is_promoter_reward": true, "schemas": schemas});
        let (status, reward) = company(broker, Method::POST, "rewards", body).await;
        assert_eq!(status, 201, "{reward}");
        rewards.push(json!({"apply_on": "all", "reward_id": reward["id"]}));
    }
    let body = json!({"name": "Points", "landing_url": "https://broker.example/join", "ref_token_param": "?via",
        "visitor_cookie_life": 60, "rewards_for_promoters": rewards});
    let (status, campaign) = company(broker, Method::POST, "campaigns", body).await;
    assert_eq!(status, 201, "{campaign}");
    let body = json!({"email": "ib@example.org", "initial_campaign_id": campaign["id"]});
    let (status, promoter) = company(broker, Method::POST, "promoters", body).await;
    assert_eq!(status, 201, "{promoter}");
    promoter["promoter_campaigns"][0].clone()
}

async fn sale(broker: &Broker, member: &Value, key: &str, amount: i64, currency: &str) -> Value {
    let body = json!({"email": "client@example.org", "event_id": key, "amount": amount, "currency": currency,
        "ref_id": member["ref_token"]});
    let (status, event) = track(broker, "sale", body).await;
    assert_eq!(status, 200, "{event}");
    event
}

/// Unit and amount of what an event paid.
fn paid(event: &Value) -> Vec<(String, i64)> {
    let rows = event["commissions"].as_array().expect("commissions").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut paid: Vec<_> = rows.map(|row| (text(&row["unit"]), row["amount"].as_i64().expect("whole"))).collect();
    paid.sort();
    paid
}

async fn what_is_not_read_is_refused(engine: Engine) {
    let broker = Broker::start(engine).await;
    for query in [
        "commissions?filters[status][]=approved&filters[status][]=denied",
        "commissions?status[]=approved&status[]=denied",
        "commissions?status[from]=approved",
        "commissions?filters[unit][from]=points",
        "commissions?filters[campaign_id][from]=1",
        "commissions?filters[promoter_id][]=1&filters[promoter_id][]=2",
        "payouts?filters[invoiceable]=true",
        "payouts?filters[fraud_suspicions][]=odd",
        "payouts?filters[min_payment]=5",
        "payouts?filters[promoter_id]=1&filters[group_ref]=2",
        "payouts/due_stats?filters[promoter_id]=1",
        "payouts/due_stats?filters[status]=due",
        "payouts/stats?filters[due_period]=next",
        "referrals?filters[promoter_id][]=1&filters[promoter_id][]=2",
    ] {
        let (status, error) = company(&broker, Method::GET, query, Value::Null).await;
        assert_eq!((status, &error["code"]), (422, &"invalid_params".into()), "{query}: {error}");
    }
    for query in ["commissions?status[]=approved", "commissions?filters[status][]=approved&status=approved"] {
        assert_eq!(company(&broker, Method::GET, query, Value::Null).await.0, 200, "{query}");
    }
    let of_member =
        json!({"commission_type": "custom", "promoter_campaign_id": 1, "amount": 1, "internal_note": "a\u{0}"});
    let odd = "a\u{1b}[2Jb";
    for (path, body, field) in [
        ("company/promoters", json!({"email": "a\u{7}@b.example"}), "email"),
        ("company/promoters", json!({"email": "a@b.example", "name": odd}), "name"),
        ("company/promoters", json!({"email": "a@b.example", "cust_id": odd}), "cust_id"),
        ("company/promoters", json!({"email": "a@b.example", "note": odd}), "note"),
        ("company/promoters", json!({"email": "a@b.example", "profile": {"first_name": "a\nb"}}), "profile.first_name"),
        (
            "company/campaigns",
            json!({"name": odd, "landing_url": "https://a.example", "ref_token_param": "?via", "visitor_cookie_life": 60}),
            "name",
        ),
        ("company/rewards", json!({"name": odd, "is_promoter_reward": true}), "name"),
        ("track/signup", json!({"email": "a@b.example", "uid": "u\n1", "tid": "x"}), "uid"),
        ("track/sale", json!({"email": odd, "event_id": "1", "amount": 1}), "email"),
        ("track/sale", json!({"uid": "u", "event_id": odd, "amount": 1}), "event_id"),
    ] {
        let (status, error) = rewards(&broker, Method::POST, &format!("/api/v2/{path}"), &body).await;
        assert_eq!((status, error["errors"][field].is_array()), (400, true), "{path} {body}: {error}");
    }
    let member = campaign(&broker).await;
    let noted = |note: &str| {
        let mut body = of_member.clone();
        (body["promoter_campaign_id"], body["internal_note"]) = (member["id"].clone(), note.into());
        body
    };
    let (status, error) = company(&broker, Method::POST, "commissions", noted(odd)).await;
    assert_eq!((status, error["errors"]["internal_note"].is_array()), (400, true), "{error}");
    let (status, made) = company(&broker, Method::POST, "commissions", noted("by phone\n\tat noon")).await;
    assert_eq!((status, &made[0]["internal_note"]), (200, &"by phone\n\tat noon".into()), "a note has lines: {made}");
    let many: Vec<i64> = (4711..4717).collect();
    for path in ["promoters/archive", "commissions/approve"] {
        let (status, batch) = company(&broker, Method::POST, path, json!({ "ids": many })).await;
        assert_eq!((status, &batch["status"]), (202, &"in_progress".into()), "{path}, though nobody is there: {batch}");
    }
    let (status, error) = company(&broker, Method::POST, "promoters", json!({"email": ""})).await;
    assert_eq!((status, error["errors"]["email"].is_array()), (400, true), "{error}");
    for (method, path, status, code) in
        [(Method::GET, "nothing", 404, "not_found"), (Method::PATCH, "commissions", 405, "method_not_allowed")]
    {
        let (got, error) = company(&broker, method, path, json!({})).await;
        assert_eq!((got, &error["code"]), (status, &code.into()), "in the form of this dialect: {error}");
    }
    let path = "batch_processes/progress?filters[status]=failed";
    for _ in 0..400 {
        let (status, over) = company(&broker, Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{over}");
        let over = over.as_object().expect("by the numbers of batches");
        if over.len() == 2 && over.values().all(|progress| *progress == 100) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("both batches end, and nothing of them was done");
}

async fn a_refund_is_at_most_its_sale(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = campaign(&broker).await;
    sale(&broker, &member, "inv_1", 1000, "USD").await;
    let refund = |key: &str, amount: i64| json!({"email": "client@example.org", "event_id": key, "amount": amount});
    let (_, part) = track(&broker, "refund", refund("ref_1", 100)).await;
    assert_eq!(paid(&part), [("cash".to_owned(), -10)]);
    let (status, rest) = track(&broker, "refund", refund("ref_2", 5000)).await;
    assert_eq!(status, 200, "{rest}");
    assert_eq!(
        (&rest["sale_amount"], &rest["original_sale_amount"]),
        (&json!(900), &json!(5000)),
        "what counts, and what was said"
    );
    assert_eq!(paid(&rest), [("cash".to_owned(), -90), ("points".to_owned(), -250)], "the rest of the sale: {rest}");
    let (status, _) = track(&broker, "refund", refund("ref_3", 1)).await;
    assert_eq!(status, 204, "nothing is left");
    let mut named = refund("ref_4", 1);
    named["sale_event_id"] = "inv_1".into();
    assert_eq!(track(&broker, "refund", named).await.0, 204, "also where it is named");

    sale(&broker, &member, "inv_2", 1000, "JPY").await;
    let mut other = refund("ref_5", 1000);
    (other["sale_event_id"], other["currency"]) = ("inv_2".into(), "USD".into());
    let (status, error) = track(&broker, "refund", other.clone()).await;
    assert_eq!((status, error["errors"]["currency"].is_array()), (400, true), "{error}");
    other.as_object_mut().expect("an object").remove("currency");
    let (status, back) = track(&broker, "refund", other).await;
    assert_eq!((status, paid(&back)), (200, vec![("points".to_owned(), -250)]), "in the sale's own: {back}");
    assert_eq!(back["original_sale_currency"], "JPY");
}

async fn refunds_at_once_are_together_the_whole_sale(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = campaign(&broker).await;
    for sold in 0..5 {
        let key = format!("inv_{sold}");
        sale(&broker, &member, &key, 1000, "USD").await;
        let part = |number: i64| {
            let body = json!({"email": "client@example.org", "event_id": format!("{key}_{number}"), "amount": 250,
                "sale_event_id": key});
            track(&broker, "refund", body)
        };
        let (one, two, three, four) = tokio::join!(part(1), part(2), part(3), part(4));
        assert_eq!([one.0, two.0, three.0, four.0], [200; 4]);
    }
    nothing_is_earned(&broker).await;
}

/// By what was given back.
async fn nothing_is_earned(broker: &Broker) {
    let mut sums = std::collections::BTreeMap::<String, i64>::new();
    let (_, all) = company(broker, Method::GET, "commissions?per_page=100", Value::Null).await;
    for row in all.as_array().expect("rows") {
        let unit = row["unit"].as_str().expect("a unit").to_owned();
        *sums.entry(unit).or_default() += row["amount"].as_i64().expect("whole");
    }
    assert_eq!(sums, [("cash".to_owned(), 0), ("points".to_owned(), 0)].into());
}

async fn a_refund_before_its_sale_takes_back_all_of_it(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = campaign(&broker).await;
    for key in ["inv_1", "inv_2"] {
        sale(&broker, &member, key, 1000, "USD").await;
        let body = json!({"email": "client@example.org", "event_id": format!("{key}_r"), "amount": 1000, "sale_event_id": key});
        assert_eq!(track(&broker, "refund", body).await.0, 200);
        // The next round's refund comes before its sale.
        let body = json!({"email": "client@example.org", "event_id": format!("{key}_early_r"), "amount": 1000,
            "sale_event_id": format!("{key}_early")});
        assert_eq!(track(&broker, "refund", body.clone()).await.0, 204, "nothing to do yet");
        assert_eq!(track(&broker, "refund", body).await.0, 409, "but it is kept");
        let event = sale(&broker, &member, &format!("{key}_early"), 1000, "USD").await;
        assert_eq!(paid(&event), [], "what was given back before is neither paid nor taken back: {event}");
    }
    // By hand as well.
    let (_, referrals) = company(&broker, Method::GET, "referrals", Value::Null).await;
    let body = json!({"email": "client@example.org", "event_id": "hand_r", "amount": 1000, "sale_event_id": "hand"});
    assert_eq!(track(&broker, "refund", body).await.0, 204);
    let body =
        json!({"commission_type": "sale", "referral_id": referrals[0]["id"], "sale_amount": 1000, "event_id": "hand"});
    assert_eq!(company(&broker, Method::POST, "commissions", body).await, (200, json!([])));
    nothing_is_earned(&broker).await;
    // Of those that waited one fits and one does not: the rest of the sale stands, and can be given back.
    let refund = |key: &str, amount: i64| {
        let body = json!({"email": "client@example.org", "event_id": key, "amount": amount, "sale_event_id": "inv_3"});
        track(&broker, "refund", body)
    };
    assert_eq!([refund("w1", 400).await.0, refund("w2", 900).await.0], [204, 204]);
    let event = sale(&broker, &member, "inv_3", 1000, "USD").await;
    assert_eq!(paid(&event), [("cash".to_owned(), 60), ("points".to_owned(), 250)], "{event}");
    let (_, referrals) = company(&broker, Method::GET, "referrals", Value::Null).await;
    assert_eq!(referrals[0]["state"], "active", "{referrals}");
    let (status, back) = refund("w3", 600).await;
    assert_eq!((status, paid(&back)), (200, vec![("cash".to_owned(), -60), ("points".to_owned(), -250)]), "{back}");
    nothing_is_earned(&broker).await;
}

async fn what_is_approved_by_itself_is_told_in_order(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = campaign(&broker).await;
    let mut receiver = Receiver::start().await;
    let types = json!(["commission.created", "commission.updated"]);
    let body = json!({"url": receiver.url, "event_types": types});
    assert_eq!(company(&broker, Method::POST, "webhooks", body).await.0, 201);
    let event = sale(&broker, &member, "inv_1", 1000, "USD").await;
    let mut names: Vec<_> =
        event["commissions"].as_array().expect("rows").iter().map(|row| &row["reward"]["name"]).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, [&Value::from("250 points"), &Value::from("A tenth")]);
    for row in event["commissions"].as_array().expect("rows") {
        assert_eq!(row["status_updated_at"], row["created_at"], "it was decided when it was made: {row}");
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(receiver.next().await.json());
    }
    // As moments: a text without a fraction would come after one with it.
    told.sort_by_key(|told| told["timestamp"].as_str().and_then(Instant::parse).expect("a moment"));
    let points: Vec<_> = told.iter().filter(|told| told["data"]["unit"] == "points").collect();
    let types: Vec<_> = points.iter().map(|told| told["event_type"].as_str().expect("a type")).collect();
    assert_eq!(types, ["commission.created", "commission.updated"], "receivers order by the timestamp");
    assert!(points[0]["timestamp"] != points[1]["timestamp"], "{points:?}");
    assert_eq!(points[0]["data"]["reward"]["name"], "250 points");
}

async fn a_sale_by_hand_is_of_its_day(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = campaign(&broker).await;
    let who = json!({"uid": "u-1", "ref_id": member["ref_token"]});
    let (status, event) = track(&broker, "signup", who).await;
    assert_eq!(status, 200, "{event}");
    let by_hand = |date: &str, amount: i64| json!({"commission_type": "sale", "referral_id": event["referral"]["id"], "sale_amount": amount, "event_date": date});
    let day = "2025-01-05";
    let (status, made) = company(&broker, Method::POST, "commissions", by_hand(day, 1000)).await;
    assert_eq!((status, made.as_array().map(Vec::len)), (200, Some(2)), "{made}");
    let fact = broker.rows("/api/v1/commissions").await[0]["fact"].clone();
    let request = broker.request(Some(broker.key("secret_key")), Method::GET, &format!("/api/v1/facts/{fact}"));
    let fact: Value = serde_json::from_str(&answer(request).await.1).expect("JSON");
    assert_eq!(fact["at"], "2025-01-05T00:00:00Z", "{fact}");
    for (date, amount, field) in
        [("soon", 1000, "event_date"), ("2999-01-01", 1000, "event_date"), (day, 0, "sale_amount")]
    {
        let (status, error) = company(&broker, Method::POST, "commissions", by_hand(date, amount)).await;
        assert_eq!((status, error["errors"][field].is_array()), (400, true), "{date}: {error}");
    }
    let ahead = json!({"uid": "u-2", "ref_id": member["ref_token"], "created_at": "2999-01-01T00:00:00Z"});
    let (status, error) = track(&broker, "signup", ahead).await;
    assert_eq!((status, error["errors"]["created_at"].is_array()), (400, true), "{error}");
}

on_both_engines! {
    what_is_not_read_is_refused,
    a_refund_is_at_most_its_sale,
    a_refund_before_its_sale_takes_back_all_of_it,
    refunds_at_once_are_together_the_whole_sale,
    what_is_approved_by_itself_is_told_in_order,
    a_sale_by_hand_is_of_its_day,
}
