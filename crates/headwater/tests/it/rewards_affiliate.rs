//! The affiliate API: a partner's own user sees what is the partner's, and nothing of anybody else.

use crate::broker::{Broker, answer};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

/// Every path of the affiliate API, with ids that do not exist.
const AFFILIATE: [(&str, &str); 28] = [
    ("GET", "promoters/current"),
    ("GET", "promoters/sub_affiliates"),
    ("GET", "campaigns"),
    ("PUT", "promoter_campaigns/999"),
    ("GET", "commissions"),
    ("GET", "payouts"),
    ("GET", "payouts/due_stats"),
    ("GET", "payouts/999/statement"),
    ("GET", "payout_methods"),
    ("POST", "payout_methods"),
    ("GET", "payout_methods/999"),
    ("PUT", "payout_methods/999"),
    ("DELETE", "payout_methods/999"),
    ("GET", "promo_codes"),
    ("POST", "promo_codes"),
    ("PUT", "promo_codes/999"),
    ("DELETE", "promo_codes/999"),
    ("GET", "referral_links"),
    ("POST", "referral_links"),
    ("PUT", "referral_links/999"),
    ("DELETE", "referral_links/999"),
    ("GET", "referrals"),
    ("POST", "referrals"),
    ("PUT", "referrals/999"),
    ("DELETE", "referrals/999"),
    ("GET", "reports/overview"),
    ("GET", "contract_documents"),
    ("POST", "contract_documents/999/sign"),
];
const RANGE: &str = "group_by=year&start_date=2020-01-01&end_date=2099-12-31";

/// A program that pays a fifth of each sale and 250 points, to partners with users.
pub async fn selling(engine: Engine) -> Broker {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "auto_approve": true, "rules": [
        {"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]},
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "SALE", "once_per": "event"},
        {"id": "thanks", "kind": "flat", "unit": "points", "amount": "50", "on": "SALE", "once_per": "customer", "pays": "customer"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    broker
}

/// The token of a partner's user.
pub async fn token(broker: &Broker, partner: &str) -> Value {
    broker.done(Method::POST, "/api/v1/keys", &json!({"kind": "partner", "partner": partner})).await
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

pub async fn with(broker: &Broker, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = broker.request(None, method, &format!("/api/v2/affiliate/{path}")).bearer_auth(token);
    let request = request.header("ACCOUNT-ID", broker.key("account_id")).header("content-type", "application/json");
    let (status, text) = answer(request.body(body.to_string())).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

pub async fn read(broker: &Broker, token: &str, path: &str) -> Value {
    let (status, object) = with(broker, token, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {object}");
    object
}

pub async fn sale(broker: &Broker, who: &str, key: &str, token: &str) {
    let body = json!({"email": who, "event_id": key, "amount": 1000, "ref_id": token});
    let (status, event) = rewards(broker, Method::POST, "/api/v2/track/sale", &body).await;
    assert_eq!(status, 200, "{event}");
}

async fn a_token_opens_the_affiliate_api_and_nothing_else(engine: Engine) {
    let broker = selling(engine).await;
    let (status, _) = answer(
        broker
            .request(Some(broker.key("secret_key")), Method::POST, "/api/v1/keys")
            .body(json!({"kind": "partner"}).to_string()),
    )
    .await;
    assert_eq!(status, 400, "a partner key without a partner");
    let issued = token(&broker, "ib_2044").await;
    let own = text(&issued["key"]);
    let listed = broker.rows("/api/v1/keys").await;
    let row = listed.iter().find(|row| row["id"] == issued["id"]).expect("it is listed");
    assert_eq!((&row["kind"], &row["partner"]), (&"partner".into(), &"ib_2044".into()));
    assert!(!row.to_string().contains(own), "without its text");

    let account = broker.key("account_id").to_owned();
    for (verb, path) in AFFILIATE {
        let method: Method = verb.parse().expect("a method");
        let path = format!("/api/v2/affiliate/{path}");
        for (bearer, account, expected) in [
            (None, Some(account.as_str()), 401),
            (Some("pu_0_0"), Some(account.as_str()), 401),
            (Some(broker.key("rewards_key")), Some(account.as_str()), 403),
            (Some(own), None, 403),
            (Some(own), Some("999"), 403),
        ] {
            let mut request = broker.request(None, method.clone(), &path).body("{}");
            if let Some(bearer) = bearer {
                request = request.bearer_auth(bearer);
            }
            if let Some(account) = account {
                request = request.header("Account-ID", account);
            }
            let (status, body) = answer(request).await;
            assert_eq!(status, expected, "{verb} {path} {bearer:?} {account:?}: {body}");
        }
        let (status, body) = with(&broker, own, method, path.trim_start_matches("/api/v2/affiliate/"), json!({})).await;
        if path.contains("999") {
            assert!(status == 404, "{verb} {path}: {status} {body}");
        }
    }
    for path in ["commissions", "promoters", "reports/overview"] {
        let request = broker.request(None, Method::GET, &format!("/api/v2/company/{path}")).bearer_auth(own);
        let (status, _) = answer(request.header("Account-ID", &account)).await;
        assert_eq!(status, 403, "{path}");
    }
    let (status, _) = answer(broker.request(Some(own), Method::GET, "/api/v1/partners")).await;
    assert_eq!(status, 403);

    read(&broker, own, "promoters/current").await;
    broker.done(Method::DELETE, &format!("/api/v1/keys/{}", issued["id"]), &Value::Null).await;
    assert_eq!(with(&broker, own, Method::GET, "promoters/current", Value::Null).await.0, 401, "once it is revoked");
}

async fn a_partner_sees_its_own_and_the_tree_where_the_program_shows_it(engine: Engine) {
    let broker = selling(engine).await;
    for (id, parent) in [("below", "ib_2044"), ("beside", "")] {
        let mut partner = json!({"id": id, "name": id, "email": format!("{id}@partner.example")});
        if !parent.is_empty() {
            partner["parent"] = parent.into();
        }
        broker.done(Method::POST, "/api/v1/partners", &partner).await;
        let link = json!({"partner_id": id, "landing_page": "/"});
        broker.done(Method::POST, "/api/referral/links", &link).await;
    }
    let mut keys = Vec::new();
    for id in ["ib_2044", "below", "beside"] {
        let key = token(&broker, id).await;
        let key = text(&key["key"]).to_owned();
        let current = read(&broker, &key, "promoters/current").await;
        let member = current["promoter_campaigns"][0].clone();
        sale(&broker, &format!("{id}@buyer.example"), id, text(&member["ref_token"])).await;
        keys.push((key, current["id"].clone(), member));
    }
    let (own, other) = (&keys[0], &keys[2]);
    let rows = read(&broker, &own.0, "commissions").await;
    let earned: Vec<_> = rows.as_array().expect("rows").iter().map(|row| (&row["unit"], &row["amount"])).collect();
    assert_eq!(earned.len(), 2, "what its referral got is not its own: {rows}");
    assert!(earned.contains(&(&"cash".into(), &200.into())) && earned.contains(&(&"points".into(), &250.into())));
    assert!(rows.to_string().contains("ib_2044@buyer.example") && !rows.to_string().contains("internal_note"));
    let payouts = read(&broker, &own.0, "payouts").await;
    assert_eq!(payouts["data"].as_array().map(Vec::len), Some(1), "its points: {payouts}");
    let statement = format!("payouts/{}/statement", payouts["data"][0]["id"]);
    let signed = read(&broker, &own.0, &statement).await;
    assert_eq!(signed["statement"]["payout"], payouts["data"][0]["id"], "{signed}");
    assert_eq!(with(&broker, &other.0, Method::GET, &statement, Value::Null).await.0, 404, "not another's");
    let due = read(&broker, &own.0, "payouts/due_stats").await;
    assert_eq!(due["data"]["next"]["amounts"], json!({"points": 250}), "{due}");
    let referrals = read(&broker, &own.0, "referrals").await;
    assert_eq!(referrals.as_array().map(Vec::len), Some(1), "{referrals}");
    let sub = |who: &Value| format!("commissions?filters[promoter_id]={who}");
    for who in [&keys[1].1, &other.1] {
        assert_eq!(read(&broker, &own.0, &sub(who)).await, json!([]), "nobody else's");
    }
    assert_eq!(read(&broker, &own.0, "promoters/sub_affiliates").await, json!([]));

    let foreign = &other.2["id"];
    let taken = json!({"ref_token": "mine", "promoter_campaign_id": foreign, "email": "x@buyer.example", "code": "X"});
    for (method, path) in [
        (Method::PUT, format!("promoter_campaigns/{foreign}")),
        (Method::POST, "promo_codes".to_owned()),
        (Method::POST, "referral_links".to_owned()),
        (Method::POST, "referrals".to_owned()),
    ] {
        let (status, error) = with(&broker, &own.0, method, &path, taken.clone()).await;
        assert_eq!(status, 404, "{path}: {error}");
    }
    let theirs = read(&broker, &other.0, "referrals").await[0]["id"].clone();
    assert_eq!(with(&broker, &own.0, Method::DELETE, &format!("referrals/{theirs}"), Value::Null).await.0, 404);

    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"tree_visible": true})).await;
    let below = read(&broker, &own.0, "promoters/sub_affiliates").await;
    assert_eq!((below.as_array().map(Vec::len), &below[0]["id"]), (Some(1), &keys[1].1), "{below}");
    assert_eq!(below[0]["stats"]["revenue_amount"], 1000, "{below}");
    let theirs = read(&broker, &own.0, &sub(&keys[1].1)).await;
    assert_eq!(theirs.as_array().map(Vec::len), Some(2), "{theirs}");
    assert_eq!(read(&broker, &own.0, &sub(&other.1)).await, json!([]), "who is beside is never seen");
    assert_eq!(read(&broker, &keys[1].0, "promoters/sub_affiliates").await, json!([]), "nor who is above");
}

async fn a_partner_keeps_its_links_codes_referrals_and_payout_method(engine: Engine) {
    let broker = selling(engine).await;
    let key = token(&broker, "ib_2044").await;
    let key = text(&key["key"]);
    let ask = async |method: Method, path: &str, body: Value| with(&broker, key, method, path, body).await;
    let current = read(&broker, key, "promoters/current").await;
    let member = &current["promoter_campaigns"][0]["id"];
    assert_eq!(current["selected_payout_method"], "not_set");

    let (status, changed) =
        ask(Method::PUT, &format!("promoter_campaigns/{member}"), json!({"ref_token": "alpha"})).await;
    assert_eq!((status, &changed["ref_token"]), (200, &"alpha".into()), "{changed}");

    let asked = json!({"promoter_campaign_id": member, "sub_id": "news", "name": "Newsletter"});
    let (status, link) = ask(Method::POST, "referral_links", asked).await;
    assert_eq!((status, &link["sub_id"], &link["source"]), (200, &"news".into(), &"promoter".into()), "{link}");
    let path = format!("referral_links/{}", link["id"]);
    let (_, link) = ask(Method::PUT, &path, json!({"name": "Weekly"})).await;
    assert_eq!((&link["name"], &link["sub_id"]), (&"Weekly".into(), &"news".into()));
    let links = read(&broker, key, "referral_links").await;
    assert_eq!(
        (&links[0]["is_default"], links[0]["url"].as_str().map(|url| url.ends_with("=alpha"))),
        (&true.into(), Some(true))
    );
    let (status, error) =
        ask(Method::POST, "referral_links", json!({"promoter_campaign_id": member, "url": "https://evil.example/"}))
            .await;
    assert_eq!((status, error["errors"]["url"].is_array()), (400, true), "{error}");

    // A buyer that came by the token alone has no sub id.
    sale(&broker, "sub@buyer.example", "s1", "alpha").await;
    let report = format!("reports/sub_ids?columns[]=sales_count&columns[]=promoter_earnings_amount&{RANGE}");
    let rows = read(&broker, key, &report).await;
    let other = &rows[0]["data"];
    assert_eq!((&rows[0]["sub_id"], &other["sales_count"]), (&"".into(), &1.into()), "{rows}");
    assert_eq!(other["promoter_earnings_amount"], 200, "{rows}");

    let (status, _) = ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, 200);
    assert!(!read(&broker, key, "referral_links").await.to_string().contains("Weekly"), "it is off the list");
    assert_eq!(ask(Method::PUT, &path, json!({"name": "x"})).await.0, 404);

    let (status, code) =
        ask(Method::POST, "promo_codes", json!({"code": "ALPHA10", "promoter_campaign_id": member})).await;
    assert_eq!((status, &code["code"]), (200, &"ALPHA10".into()), "{code}");
    assert_eq!(read(&broker, key, "promo_codes").await[0]["id"], code["id"]);
    assert_eq!(ask(Method::DELETE, &format!("promo_codes/{}", code["id"]), Value::Null).await.0, 200);
    assert_eq!(read(&broker, key, "promo_codes").await, json!([]));

    let asked = json!({"email": "Lead@buyer.example", "promoter_campaign_id": member});
    let (status, lead) = ask(Method::POST, "referrals", asked.clone()).await;
    assert_eq!((status, &lead["entry_source"]), (200, &"manual_affiliate".into()), "{lead}");
    assert_eq!(ask(Method::POST, "referrals", asked).await.0, 400, "it is there");
    let (status, lead) = ask(Method::PUT, &format!("referrals/{}", lead["id"]), json!({"uid": "u-1"})).await;
    assert_eq!((status, &lead["uid"]), (200, &"u-1".into()), "{lead}");
    for (query, name, is_up) in [
        ("sorting[email]=asc", "email", true),
        ("sorting[email]=desc", "email", false),
        ("sorting[state]=asc", "state", true),
        ("sorting[state]=desc", "state", false),
    ] {
        let rows = read(&broker, key, &format!("referrals?{query}")).await;
        let shown: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row[name].to_string()).collect();
        let mut sorted = shown.clone();
        sorted.sort();
        if !is_up {
            sorted.reverse();
        }
        assert_eq!(shown, sorted, "{query}");
        assert_ne!(sorted.first(), sorted.last(), "{query}: there are different ones");
    }
    let odd = ask(Method::GET, "referrals?sorting[uid]=asc", Value::Null).await;
    assert_eq!((odd.0, &odd.1["code"]), (422, &"invalid_params".into()), "{}", odd.1);
    let bought = read(&broker, key, "referrals?q=sub@buyer").await[0]["id"].clone();
    assert_eq!(
        ask(Method::DELETE, &format!("referrals/{bought}"), Value::Null).await.0,
        403,
        "a buyer is the company's"
    );
    assert_eq!(ask(Method::DELETE, &format!("referrals/{}", lead["id"]), Value::Null).await.0, 204);

    assert_eq!(read(&broker, key, "payout_methods").await["data"], json!([]));
    let asked = json!({"method": "paypal", "details": {"paypal_email": "alpha@partner.example"}});
    let (status, error) = ask(Method::POST, "payout_methods", json!({"method": "paypal", "details": {}})).await;
    assert_eq!((status, error["errors"]["details.paypal_email"].is_array()), (400, true), "{error}");
    let (status, method) = ask(Method::POST, "payout_methods", asked.clone()).await;
    assert_eq!((status, &method["details"]), (200, &asked["details"]), "{method}");
    assert_eq!(ask(Method::POST, "payout_methods", asked).await.0, 422, "one is used");
    let partner = broker.done(Method::GET, "/api/v1/partners/ib_2044", &Value::Null).await;
    assert_eq!(partner["payout"]["method"], "paypal", "the same as in the management API: {partner}");
    let path = format!("payout_methods/{}", method["id"]);
    let wise = json!({"method": "wise", "details": {"wise_email": "alpha@partner.example"}});
    assert_eq!(ask(Method::PUT, &path, wise).await.1["method"], "wise");
    assert_eq!(ask(Method::DELETE, &path, Value::Null).await.0, 200);
    assert_eq!(ask(Method::GET, &path, Value::Null).await.0, 404);
    assert_eq!(read(&broker, key, "contract_documents").await, json!([]));
}

on_both_engines! {
    a_token_opens_the_affiliate_api_and_nothing_else,
    a_partner_sees_its_own_and_the_tree_where_the_program_shows_it,
    a_partner_keeps_its_links_codes_referrals_and_payout_method,
}
