//! What an address asks of the rewards dialect's lists, the company's and a partner's: nothing in brackets is left out, and
//! nothing that narrows is taken without a value.

use crate::broker::{Broker, answer};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

/// Every list of the company.
const COMPANY: [&str; 22] = [
    "commissions",
    "payouts",
    "payouts/stats",
    "payouts/due_stats",
    "payouts/group_by_promoters",
    "batch_processes",
    "batch_processes/progress",
    "webhooks",
    "webhooks/event_types",
    "campaigns",
    "rewards",
    "products",
    "promo_codes",
    "promoters",
    "promoter_campaigns",
    "promoter_campaigns/search?q=a",
    "promoter_campaigns/{member}/referral_links",
    "promoter_campaigns/{member}/chart_data",
    "promoters/{promoter}/chart_data",
    "referrals",
    "reports/overview?columns[]=sales_count&group_by=year&start_date=2020-01-01&end_date=2030-01-01",
    "reports/promoters?columns[]=sales_count&group_by=year&start_date=2020-01-01&end_date=2030-01-01",
];
/// Every list of a partner.
const AFFILIATE: [&str; 12] = [
    "promoters/sub_affiliates",
    "campaigns",
    "commissions",
    "payouts",
    "payouts/due_stats",
    "payout_methods",
    "promo_codes",
    "referral_links",
    "referrals",
    "reports/overview?columns[]=sales_count&group_by=year&start_date=2020-01-01&end_date=2030-01-01",
    "reports/sub_ids?columns[]=sales_count&group_by=year&start_date=2020-01-01&end_date=2030-01-01",
    "contract_documents",
];
/// Nothing reads these.
const MISSPELT: [&str; 10] = [
    "filter[status]=pending",
    "filters[foo]=1",
    "filters=pending",
    "sort[created_at]=desc",
    "sorting[foo]=desc",
    "q[]=a",
    "page[number]=2",
    "stats_by[foo]=true",
    "ids[from]=1",
    "columns[foo]=1",
];

/// A list that is asked for, and what it answers: status, message and body.
async fn company(broker: &Broker, path: &str) -> (u16, String, Value) {
    let (status, body) = rewards(broker, Method::GET, &format!("/api/v2/company/{path}"), &Value::Null).await;
    (status, body["message"].as_str().unwrap_or_default().to_owned(), body)
}

/// A partner asks.
struct User<'b> {
    broker: &'b Broker,
    token: String,
}

impl User<'_> {
    async fn get(&self, path: &str) -> (u16, String, Value) {
        let request = self.broker.request(None, Method::GET, &format!("/api/v2/affiliate/{path}"));
        let request = request.bearer_auth(&self.token).header("Account-ID", self.broker.key("account_id"));
        let (status, text) = answer(request).await;
        let body: Value = serde_json::from_str(&text).expect("JSON");
        (status, body["message"].as_str().unwrap_or_default().to_owned(), body)
    }
}

fn with(path: &str, query: &str) -> String {
    format!("{path}{}{query}", if path.contains('?') { "&" } else { "?" })
}

fn check(path: &str, query: &str, (status, message, body): &(u16, String, Value)) {
    assert_eq!((*status, &body["code"]), (422, &"invalid_params".into()), "{path} {query}: {body}");
    let name = query.split('=').next().expect("a name");
    let named = name.split('[').next().expect("a word");
    assert!(message.starts_with(named), "{path} {query} names what is wrong: {message}");
    assert!(message.ends_with('.') && !message.contains(".."), "{message}");
}

async fn nothing_in_brackets_is_left_out(engine: Engine) {
    let broker = Broker::start(engine).await;
    let member = company(&broker, "promoter_campaigns").await.2[0].clone();
    let named = |path: &str| {
        let path = path.replace("{member}", &member["id"].to_string());
        path.replace("{promoter}", &member["promoter_id"].to_string())
    };
    let made = broker.done(Method::POST, "/api/v1/keys", &json!({"kind": "partner", "partner": "ib_2044"})).await;
    let user = User { broker: &broker, token: made["key"].as_str().expect("a token").to_owned() };
    for path in COMPANY.map(named) {
        let (status, _, body) = company(&broker, &path).await;
        assert_eq!(status, 200, "{path}: {body}");
        for query in MISSPELT {
            check(&path, query, &company(&broker, &with(&path, query)).await);
        }
        assert_eq!(
            company(&broker, &with(&path, "unknown=1&q=")).await.0 / 100,
            2 + 2 * u16::from(path.contains("search"))
        );
    }
    for path in AFFILIATE {
        let (status, _, body) = user.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        for query in MISSPELT {
            check(path, query, &user.get(&with(path, query)).await);
        }
        assert_eq!(user.get(&with(path, "unknown=1&q=")).await.0, 200, "{path}");
    }
    for path in ["campaigns", "contract_documents", "payout_methods", "promoters/sub_affiliates", "referral_links"] {
        let (status, message, _) = user.get(&with(path, "per_page=101")).await;
        assert_eq!((status, message.starts_with("per_page must be")), (422, true), "{path}: {message}");
        let (_, _, second) = user.get(&with(path, "page=2")).await;
        assert_eq!(second.get("data").unwrap_or(&second), &json!([]), "{path} has one page");
    }
    assert_eq!(user.get("contract_documents").await.2, json!([]));
}

async fn what_narrows_has_a_value(engine: Engine) {
    let broker = Broker::start(engine).await;
    for path in [
        "commissions?filters[status]=",
        "commissions?status=",
        "commissions?filters[created_at][from]=",
        "commissions?filters[plan_id][]=",
        "commissions?ids[]=",
        "payouts?filters[campaign_id]=",
        "payouts/stats?stats_by[status]=",
        "batch_processes?filters[status][]=",
        "promoters?filters[inactivity][metric]=&filters[inactivity][days]=30",
        "promoters?ids[]=",
        "promoter_campaigns?filters[state]=",
        "promo_codes?promoter_campaign_id=",
        "referrals?filters[type]=",
        "referrals?sorting[created_at]=",
    ] {
        let (status, message, body) = company(&broker, path).await;
        let name = path.split(['?', '[', '=']).nth(1).expect("a name");
        assert_eq!(
            (status, &body["code"], message.starts_with(name)),
            (422, &"invalid_params".into(), true),
            "{path}: {body}"
        );
    }
    for (path, says) in [
        ("commissions?page=", "page must be"),
        ("rewards?scope=everybody", "scope must be one of promoters, referrals"),
        ("promoters/1?find_by=", "find_by must be one of"),
        ("commissions?ids=1,2", "ids must be sent as ids[]=1&ids[]=2"),
        ("referrals?promoter_id=1", "promoter_id is a filter: send filters[promoter_id]"),
        ("promoters?state=blocked", "state is a filter: send filters[state]"),
        ("commissions?sorting[amount]=asc&sorting[created_at]=asc", "sorting takes one name"),
        ("payouts/stats?stats_by[status]=maybe", "stats_by[status] must be one of"),
    ] {
        let (status, message, _) = company(&broker, path).await;
        assert_eq!((status, message.starts_with(says)), (422, true), "{path}: {message}");
    }
    let (_, _, one) = company(&broker, "payouts/stats?stats_by[status]=true&stats_by[paid_period]=false").await;
    let asked: Vec<_> = one["data"].as_object().expect("an object").keys().collect();
    assert_eq!(asked, ["status", "by_status"], "{one}");
    for path in ["commissions?status=pending&filters[status]=pending", "commissions?filters[first_commission]=1&q="] {
        assert_eq!(company(&broker, path).await.0, 200, "{path}");
    }
}

async fn rewards_and_products_are_found_by_what_is_published(engine: Engine) {
    let broker = Broker::start(engine).await;
    let schemas = json!([{"unit": "points", "amount": 5, "flat_amount": true}]);
    for (path, body) in [
        ("rewards", json!({"name": "One", "is_promoter_reward": true, "schemas": schemas})),
        ("rewards", json!({"name": "Two", "is_promoter_reward": false, "schemas": schemas})),
        ("products", json!({"name": "Pro", "ext_id": "p-1"})),
        ("products", json!({"name": "Basic", "ext_id": "b-1"})),
    ] {
        let (status, made) = rewards(&broker, Method::POST, &format!("/api/v2/company/{path}"), &body).await;
        assert_eq!(status, 201, "{made}");
    }
    for (path, names) in [
        ("rewards?scope=promoters", vec!["One"]),
        ("rewards?scope=referrals", vec!["Two"]),
        ("rewards", vec!["Two", "One"]),
        ("products?q=PRO", vec!["Pro"]),
        ("products?q=b-1", vec!["Basic"]),
        ("products?q=", vec!["Basic", "Pro"]),
    ] {
        let (_, _, rows) = company(&broker, path).await;
        let found: Vec<_> =
            rows.as_array().expect("rows").iter().map(|row| row["name"].as_str().expect("a name")).collect();
        assert_eq!(found, names, "{path}");
    }
}

on_both_engines! {
    nothing_in_brackets_is_left_out,
    what_narrows_has_a_value,
    rewards_and_products_are_found_by_what_is_published,
}
