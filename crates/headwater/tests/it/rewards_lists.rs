//! The rewards dialect's lists and charts: filters with several values, promoters under suspicion or idle, the states of
//! referrals, and one figure by day.

use crate::broker::Broker;
use crate::rewards_affiliate::selling;
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

async fn get(broker: &Broker, path: &str) -> Value {
    done(broker, Method::GET, path, Value::Null).await
}

async fn track(broker: &Broker, what: &str, body: Value) -> Value {
    let (status, event) = rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await;
    assert_eq!(status, 200, "{what}: {event}");
    event
}

fn ids(rows: &Value) -> Vec<i64> {
    let rows = rows.get("data").unwrap_or(rows);
    rows.as_array().expect("a list").iter().filter_map(|row| row["id"].as_i64()).collect()
}

async fn a_filter_takes_several_values(engine: Engine) {
    let broker = selling(engine).await;
    let member = get(&broker, "promoter_campaigns").await[0].clone();
    for (key, plan) in [("1", json!("pro")), ("2", json!(7)), ("3", json!("basic"))] {
        let body = json!({"email": "a@buyer.example", "event_id": key, "amount": 1000, "plan": plan, "ref_id": member["ref_token"]});
        track(&broker, "sale", body).await;
    }
    let count = async |path: &str| get(&broker, path).await.as_array().map(Vec::len);
    let money = "commissions?unit=cash";
    for (filter, expected) in [
        ("filters[plan_id]=pro", 1),
        ("filters[plan_id][]=pro&filters[plan_id][]=7", 2),
        ("filters[plan_id][]=pro&filters[plan_id][]=none", 1),
        ("filters[plan_id]=none", 0),
    ] {
        assert_eq!(count(&format!("{money}&{filter}")).await, Some(expected), "{filter}");
    }
    let campaign = &member["campaign_id"];
    let both = format!("filters[campaign_id][]={campaign}&filters[campaign_id][]=4711");
    for path in ["commissions", "payouts", "referrals", "promoter_campaigns"] {
        assert_eq!(count(&format!("{path}?{both}")).await, count(path).await, "{path}");
        assert_eq!(count(&format!("{path}?filters[campaign_id]=4711")).await, Some(0), "{path}");
    }
    done(&broker, Method::POST, "commissions/approve", json!({"ids": ids(&get(&broker, money).await)})).await;
    let batches = "batch_processes?filters[status][]=completed&filters[status][]=failed";
    assert_eq!(count(batches).await, Some(1));
    assert_eq!(count("batch_processes?filters[status][]=stopped&filters[status][]=in_progress").await, Some(0));
    assert_eq!(company(&broker, Method::GET, "batch_processes?filters[status][]=done", Value::Null).await.0, 422);

    // Two payments, of two partners.
    let other = done(&broker, Method::POST, "promoters", json!({"email": "other@example.org"})).await;
    let body = json!({"email": "b@buyer.example", "event_id": "4", "amount": 500,
        "ref_id": other["promoter_campaigns"][0]["ref_token"]});
    track(&broker, "sale", body).await;
    let mut batches = Vec::new();
    for promoter in [&member["promoter_id"], &other["id"]] {
        let path = format!("/api/v1/partners/{promoter}");
        let payout = json!({"payout": {"method": "paypal", "details": {"email": "p@example.org"}}});
        broker.done(Method::PATCH, &path, &payout).await;
        let rows = get(&broker, &format!("commissions?unit=cash&filters[promoter_id]={promoter}")).await;
        done(&broker, Method::POST, "commissions/generate_payouts", json!({"ids": ids(&rows)})).await;
        let made = done(&broker, Method::POST, "payouts/create_payments_batch", json!({"method": "paypal"})).await;
        batches.push(made["data"]["id"].clone());
    }
    let of = |list: &[&Value]| {
        let parts: Vec<_> = list.iter().map(|id| format!("filters[payments_batch_id][]={id}")).collect();
        format!("payouts?{}", parts.join("&"))
    };
    assert_eq!(count(&of(&[&batches[0]])).await, Some(1));
    assert_eq!(count(&of(&[&batches[0], &batches[1]])).await, Some(2));
    let code = json!({"code": "NORTH10", "promoter_campaign_id": member["id"]});
    let code = done(&broker, Method::POST, "promo_codes", code).await;
    assert_eq!(get(&broker, &format!("promo_codes/{}", code["id"])).await, code);
    assert_eq!(count(&format!("promo_codes?promoter_campaign_id={}", member["id"])).await, Some(1));
    let none = format!("promo_codes?promoter_campaign_id={}", other["promoter_campaigns"][0]["id"]);
    assert_eq!(count(&none).await, Some(0));
    assert_eq!(company(&broker, Method::GET, "promo_codes/4711", Value::Null).await.0, 404);
}

async fn promoters_are_found_by_suspicion_and_by_what_they_lack(engine: Engine) {
    let broker = selling(engine).await;
    let member = get(&broker, "promoter_campaigns").await[0].clone();
    let active = member["promoter_id"].as_i64().expect("a number");
    let body = json!({"email": "under@example.org", "parent_promoter_id": active, "ref_token": "under"});
    let (status, idle) = company(&broker, Method::POST, "promoters", body.clone()).await;
    assert_eq!((status, &idle["parent_promoter"]["id"]), (201, &active.into()), "{idle}");
    assert_eq!(idle["promoter_campaigns"][0]["ref_token"], "under");
    for (field, value) in
        [("ref_token", json!("under")), ("ref_token", json!("a b")), ("parent_promoter_id", json!(4711))]
    {
        let mut body = json!({"email": "third@example.org"});
        body[field] = value;
        let (status, error) = company(&broker, Method::POST, "promoters", body).await;
        assert_eq!((status, error["errors"][field].is_array()), (400, true), "{field}: {error}");
    }
    let idle = idle["id"].as_i64().expect("a number");
    broker.visit().await;
    let sale = json!({"email": "a@buyer.example", "event_id": "1", "amount": 1000, "ref_id": member["ref_token"]});
    let event = track(&broker, "sale", sale).await;
    let list = async |filter: &str| ids(&get(&broker, &format!("promoters?{filter}")).await);
    assert_eq!(list("").await, [idle, active], "a refused one was not made");
    for metric in ["click", "referral", "customer", "sale"] {
        let filter = format!("filters[inactivity][metric]={metric}&filters[inactivity][days]=30");
        assert_eq!(list(&filter).await, [idle], "{metric}");
    }
    assert_eq!(list("filters[last_login_at][from]=2020-01-01").await, Vec::<i64>::new());
    assert_eq!(list("sorting[revenue_amount]=asc").await, [idle, active]);
    assert_eq!(list("sorting[revenue_amount]=desc").await, [active, idle]);
    assert_eq!(list("filters[state]=not_set").await, Vec::<i64>::new());

    let referral = format!("referrals/{}", event["referral"]["id"]);
    done(&broker, Method::PUT, &referral, json!({"fraud_check": "same_ip_suspicion"})).await;
    assert_eq!(
        list("filters[fraud_suspicions][]=same_ip_suspicion&filters[fraud_suspicions][]=ad_source").await,
        [active]
    );
    assert_eq!(list("filters[fraud_suspicions][]=no_suspicion").await, [idle]);
    let shown = get(&broker, &format!("promoters/{active}")).await;
    assert_eq!(shown["fraud_suspicions"], json!(["same_ip_suspicion"]));
    let payouts = async |check: &str| get(&broker, &format!("payouts?filters[fraud_suspicions][]={check}")).await;
    assert_eq!(ids(&payouts("same_ip_suspicion").await), ids(&get(&broker, "payouts").await));
    assert_eq!(payouts("no_suspicion").await, json!([]));
    for filter in [
        "filters[inactivity][metric]=click",
        "filters[inactivity][metric]=login&filters[inactivity][days]=1",
        "filters[inactivity][metric]=click&filters[inactivity][days]=0",
        "filters[fraud_suspicions][]=odd",
        "sorting[name]=asc",
    ] {
        let (status, error) = company(&broker, Method::GET, &format!("promoters?{filter}"), Value::Null).await;
        assert_eq!((status, &error["code"]), (422, &"invalid_params".into()), "{filter}: {error}");
    }
}

async fn a_chart_shows_one_figure_by_day(engine: Engine) {
    let broker = selling(engine).await;
    let member = get(&broker, "promoter_campaigns").await[0].clone();
    let landing = broker.landing().await;
    let session = landing.query_pairs().find(|(name, _)| name == "sessionId").expect("a session").1.into_owned();
    track(&broker, "sale", json!({"email": "a@buyer.example", "event_id": "1", "amount": 1000, "tid": session})).await;
    track(&broker, "cancellation", json!({"email": "a@buyer.example"})).await;
    for (selection, value) in
        [("revenue", 1000), ("clicks", 1), ("referrals", 1), ("customers", 1), ("cancellations", 1)]
    {
        let path = format!("promoter_campaigns/{}/chart_data?selection={selection}&with_totals=true", member["id"]);
        let chart = get(&broker, &path).await;
        let items = chart["selection_items"].as_array().expect("items");
        assert_eq!((items.len(), &chart["group_by"]), (31, &"day".into()), "{chart}");
        assert_eq!((&items[30]["value"], &items[30]["date"]), (&value.into(), &chart["period_to"]), "{chart}");
        assert_eq!((&items[0]["value"], &chart["totals"]), (&0.into(), &value.into()), "{chart}");
        let chart =
            get(&broker, &format!("promoters/{}/chart_data?selection={selection}", member["promoter_id"])).await;
        assert_eq!(chart["selection_items"][30], json!([chart["period_to"], value]), "{chart}");
        assert_eq!(chart["selection"], selection);
    }
    let years = format!("promoters/{}/chart_data?period_from=2020-01-01&period_to=2059-12-31", member["promoter_id"]);
    let chart = get(&broker, &years).await;
    assert_eq!((&chart["group_by"], chart["selection_items"].as_array().map(Vec::len)), (&"year".into(), Some(40)));
    for query in ["selection=gold", "period_from=soon", "period_from=2026-02-02&period_to=2026-02-01"] {
        let path = format!("promoters/{}/chart_data?{query}", member["promoter_id"]);
        let (status, error) = company(&broker, Method::GET, &path, Value::Null).await;
        assert_eq!((status, &error["code"]), (422, &"invalid_params".into()), "{query}: {error}");
    }
    assert_eq!(company(&broker, Method::GET, "promoters/4711/chart_data", Value::Null).await.0, 404);
}

async fn a_referral_is_refunded_and_moved(engine: Engine) {
    let broker = selling(engine).await;
    let first = get(&broker, "promoter_campaigns").await[0].clone();
    let mut members = Vec::new();
    for email in ["second@example.org", "third@example.org"] {
        let promoter = done(&broker, Method::POST, "promoters", json!({"email": email})).await;
        members.push(promoter["promoter_campaigns"][0].clone());
    }
    let sale =
        |key: &str| json!({"email": "a@buyer.example", "event_id": key, "amount": 1000, "ref_id": first["ref_token"]});
    let referral = track(&broker, "sale", sale("1")).await["referral"]["id"].clone();
    track(&broker, "sale", sale("2")).await;
    let state = async || get(&broker, &format!("referrals/{referral}")).await["state"].clone();
    for (key, of, expected) in [("r1", "1", "active"), ("r2", "2", "refunded")] {
        let body = json!({"email": "a@buyer.example", "event_id": key, "amount": 1000, "sale_event_id": of});
        track(&broker, "refund", body).await;
        assert_eq!(state().await, expected, "after {key}");
    }
    let listed = async |filter: &str| ids(&get(&broker, &format!("referrals?{filter}")).await);
    let own = [referral.as_i64().expect("a number")];
    assert_eq!(listed("filters[state]=refunded").await, own);
    track(&broker, "sale", sale("3")).await;
    assert_eq!((state().await, listed("filters[state]=refunded").await.len()), ("active".into(), 0));

    // From now on, to the second: whom the first one lost is listed with the membership that it was moved from.
    let move_to = async |member: &Value, whole: bool| {
        let body =
            json!({"ids": [referral], "promoter_campaign_id": member["id"], "move_associated_commissions": whole});
        done(&broker, Method::POST, "referrals/move_to_promoter", body).await;
    };
    move_to(&members[0], false).await;
    assert_eq!(listed("").await, own, "one row");
    let lost = get(&broker, "referrals?filters[state]=moved").await;
    assert_eq!((ids(&lost), &lost[0]["state"]), (own.to_vec(), &"moved".into()), "{lost}");
    assert_eq!(lost[0]["promoter_campaign"]["id"], first["id"]);
    let of = |member: &Value| format!("filters[state]=moved&filters[promoter_id]={}", member["promoter_id"]);
    assert_eq!((listed(&of(&first)).await, listed(&of(&members[0])).await), (own.to_vec(), vec![]));
    let held = async |member: &Value| listed(&format!("filters[promoter_id]={}", member["promoter_id"])).await.len();
    assert_eq!((held(&first).await, held(&members[0]).await), (0, 1));

    // With its commissions, to the third: also from the second, which has it since later. When the call is answered, they are its.
    move_to(&members[1], true).await;
    let balance = get(&broker, &format!("promoters/{}", members[1]["promoter_id"])).await["balances"]["cash"].clone();
    assert_eq!(balance, 200, "the sale 3 is priced again");
    assert_eq!((held(&members[0]).await, held(&members[1]).await), (0, 1));
    let event = track(&broker, "sale", sale("4")).await;
    let earner = |row: &Value| row["unit"] == "cash" && row["recipient"]["id"] == members[1]["promoter_id"];
    assert!(event["commissions"].as_array().expect("rows").iter().any(earner), "{event}");
    let lost = get(&broker, "referrals?filters[state]=moved").await;
    let mut from: Vec<_> =
        lost.as_array().expect("rows").iter().map(|row| row["promoter_campaign"]["id"].as_i64()).collect();
    from.sort_unstable();
    assert_eq!(from, [first["id"].as_i64(), members[0]["id"].as_i64()], "both lost it: {lost}");
    assert_eq!((listed(&of(&first)).await, listed(&of(&members[1])).await), (own.to_vec(), vec![]));
    move_to(&first, true).await;
    assert_eq!(listed(&of(&first)).await, Vec::<i64>::new(), "it is its own again");
    assert_eq!(listed(&of(&members[1])).await, own.to_vec());
    move_to(&members[1], true).await;
    let figures = get(&broker, &format!("promoters/{}", members[1]["promoter_id"])).await;
    assert_eq!(figures["balances"]["cash"], 400, "of the sales 3 and 4: {figures}");
}

on_both_engines! {
    a_filter_takes_several_values,
    promoters_are_found_by_suspicion_and_by_what_they_lack,
    a_chart_shows_one_figure_by_day,
    a_referral_is_refunded_and_moved,
}
