//! The rewards dialect's reports: what was sold and earned, by whom and from where, and never two units in one sum.

use crate::broker::{Broker, answer};
use crate::rewards_affiliate::selling;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

const COLUMNS: &str = "columns[]=clicks_count&columns[]=referrals_count&columns[]=customers_count&columns[]=sales_count\
    &columns[]=refunds_count&columns[]=revenue_amount&columns[]=promoter_earnings_amount&columns[]=cancelled_customers_count\
    &columns[]=clicks_to_customers_cr&columns[]=active_customers&columns[]=non_link_customers&columns[]=3m_epc";
const RANGE: &str = "group_by=year&start_date=2020-01-01&end_date=2059-12-31";

async fn report(broker: &Broker, asked: &str) -> Value {
    let path = format!("/api/v2/company/reports/{asked}");
    let (status, rows) = rewards(broker, Method::GET, &path, &Value::Null).await;
    assert_eq!(status, 200, "{asked}: {rows}");
    rows
}

async fn track(broker: &Broker, what: &str, body: Value) {
    let (status, event) = rewards(broker, Method::POST, &format!("/api/v2/track/{what}"), &body).await;
    assert_eq!(status, 200, "{event}");
}

async fn a_report_tells_units_apart_and_adds_up(engine: Engine) {
    let broker = selling(engine).await;
    let landing = broker.landing().await;
    let session = landing.query_pairs().find(|(name, _)| name == "sessionId").expect("a session").1.into_owned();
    broker.landing().await;
    track(&broker, "sale", json!({"email": "a@buyer.example", "event_id": "1", "amount": 1000, "tid": session})).await;
    track(&broker, "sale", json!({"email": "a@buyer.example", "event_id": "2", "amount": 500})).await;
    track(&broker, "refund", json!({"email": "a@buyer.example", "event_id": "3", "amount": 300})).await;
    let (_, members) = rewards(&broker, Method::GET, "/api/v2/company/promoter_campaigns", &Value::Null).await;
    let by_token =
        json!({"email": "b@buyer.example", "event_id": "4", "amount": 1000, "ref_id": members[0]["ref_token"]});
    track(&broker, "sale", by_token).await;
    track(&broker, "cancellation", json!({"email": "b@buyer.example"})).await;

    let rows = report(&broker, &format!("campaigns?{COLUMNS}&{RANGE}")).await;
    let data = &rows[0]["data"];
    let expected = json!({
        "clicks_count": 2, "referrals_count": 2, "customers_count": 2, "sales_count": 3, "refunds_count": 1,
        "revenue_amount": 2200, "promoter_earnings_amount": 440, "cancelled_customers_count": 1,
        "clicks_to_customers_cr": 100, "active_customers": 2, "non_link_customers": 1,
    });
    for (column, value) in expected.as_object().expect("an object") {
        assert_eq!(data[column], *value, "{column}: {rows}");
    }
    assert_eq!(data["earnings_by_unit"], json!({"USD": 440, "points": 750}), "{rows}");
    assert_eq!(data["revenue_by_currency"], json!({"USD": 2200}));
    assert_eq!(rows[0]["sub_data"].as_array().map(Vec::len), Some(1), "all in one year: {rows}");
    assert_eq!(rows[0]["sub_data"][0]["data"]["sales_count"], 3);

    let overview = report(&broker, &format!("overview?{COLUMNS}&{RANGE}")).await;
    assert_eq!(overview.as_array().map(Vec::len), Some(40), "every year");
    let sales: i64 =
        overview.as_array().expect("rows").iter().filter_map(|row| row["data"]["sales_count"].as_i64()).sum();
    assert_eq!(sales, 3);
    let promoters = report(&broker, &format!("promoters?{COLUMNS}&{RANGE}&q=alpha")).await;
    assert_eq!(
        (&promoters[0]["promoter"]["email"], &promoters[0]["data"]["sales_count"]),
        (&"alpha@partner.example".into(), &3.into())
    );
    assert_eq!(report(&broker, &format!("promoters?{COLUMNS}&{RANGE}&q=nobody")).await, json!([]));
    let urls = report(&broker, &format!("urls?{COLUMNS}&{RANGE}&sorting[clicks_count]=desc")).await;
    assert_eq!((&urls[0]["data"]["clicks_count"], &urls[0]["data"]["sales_count"]), (&2.into(), &2.into()), "{urls}");
    assert!(urls[0]["url"].as_str().is_some_and(|url| url.ends_with("/en/open-account")), "{urls}");
    let sources = report(&broker, &format!("traffic_sources?{COLUMNS}&{RANGE}")).await;
    assert_eq!((&sources[0]["source"], &sources[0]["data"]["sales_count"]), (&"direct".into(), &3.into()), "{sources}");

    let path = format!(
        "/api/v2/company/reports/download?report_type=campaigns&totals=true&columns[]=sales_count&columns[]=revenue_amount&{RANGE}"
    );
    let request = broker.request(None, Method::GET, &path).bearer_auth(broker.key("rewards_key"));
    let (status, csv) = answer(request.header("Account-ID", broker.key("account_id"))).await;
    assert_eq!((status, csv.as_str()), (200, "campaign,sales_count,revenue_amount\r\nP,3,2200\r\n"));

    let early =
        report(&broker, &format!("campaigns?{COLUMNS}&group_by=day&start_date=2020-01-01&end_date=2020-01-02")).await;
    assert_eq!(early, json!([]), "nothing happened then");
    for asked in [
        format!("overview?{RANGE}"),
        format!("overview?columns[]=gold&{RANGE}"),
        "overview?columns[]=sales_count&group_by=day&start_date=2020-01-01&end_date=2024-01-01".to_owned(),
        format!("download?columns[]=sales_count&{RANGE}"),
    ] {
        let (status, error) =
            rewards(&broker, Method::GET, &format!("/api/v2/company/reports/{asked}"), &Value::Null).await;
        assert_eq!((status, &error["code"]), (422, &"invalid_params".into()), "{asked}: {error}");
    }
}

async fn a_sale_is_that_of_the_sub_id_whose_link_brought_the_buyer(engine: Engine) {
    let broker = selling(engine).await;
    let key = json!({"kind": "partner", "partner": "ib_2044"});
    let token = broker.done(Method::POST, "/api/v1/keys", &key).await["key"].as_str().expect("a token").to_owned();
    let affiliate = async |method: Method, path: &str, body: &Value| {
        let request = broker.request(None, method, &format!("/api/v2/affiliate/{path}")).bearer_auth(&token);
        let request = request.header("Account-ID", broker.key("account_id")).body(body.to_string());
        let (status, text) = answer(request.header("content-type", "application/json")).await;
        assert!((200..300).contains(&status), "{path}: {status} {text}");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let (_, members) = rewards(&broker, Method::GET, "/api/v2/company/promoter_campaigns", &Value::Null).await;
    let mut visitors = Vec::new();
    for (sub_id, buyers) in [("news", &["a", "b"][..]), ("forum", &["c"]), ("silent", &[])] {
        let link = json!({"promoter_campaign_id": members[0]["id"], "name": sub_id, "sub_id": sub_id});
        let link = affiliate(Method::POST, "referral_links", &link).await;
        for buyer in buyers {
            let url = url::Url::parse(link["url"].as_str().expect("an address")).expect("an address");
            let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
            let visit = broker.request(None, Method::GET, &path).header("user-agent", "Mozilla/5.0 Firefox/140.0");
            let answer = visit.send().await.expect("it redirects");
            let landing = answer.headers()["location"].to_str().expect("text").to_owned();
            let landing = url::Url::parse(&landing).expect("an address");
            let session =
                landing.query_pairs().find(|(name, _)| name == "sessionId").expect("a session").1.into_owned();
            visitors.push((buyer.to_string(), session));
        }
    }
    // A click is written down a moment after its visitor went on.
    for _ in 0..400 {
        if broker.rows("/api/referral/clicks").await.len() == visitors.len() {
            break;
        }
    }
    for (buyer, session) in visitors {
        let email = format!("{buyer}@buyer.example");
        track(&broker, "sale", json!({"email": email, "event_id": buyer, "amount": 1000, "tid": session})).await;
    }
    let by_token =
        json!({"email": "d@buyer.example", "event_id": "d", "amount": 700, "ref_id": members[0]["ref_token"]});
    track(&broker, "sale", by_token).await;
    let columns =
        "columns[]=clicks_count&columns[]=sales_count&columns[]=revenue_amount&columns[]=promoter_earnings_amount";
    let rows = affiliate(Method::GET, &format!("reports/sub_ids?{columns}&{RANGE}"), &Value::Null).await;
    let row = |sub_id: &str| {
        let row = rows.as_array().expect("rows").iter().find(|row| row["sub_id"] == sub_id);
        row.map(|row| {
            ["clicks_count", "sales_count", "revenue_amount", "promoter_earnings_amount"]
                .map(|c| row["data"][c].clone())
        })
    };
    assert_eq!(row("news"), Some([2, 2, 2000, 400].map(Value::from)), "{rows}");
    assert_eq!(row("forum"), Some([1, 1, 1000, 200].map(Value::from)), "{rows}");
    assert_eq!(row(""), Some([0, 1, 700, 140].map(Value::from)), "what came by a token alone: {rows}");
    assert_eq!(row("silent"), None, "{rows}");
}

on_both_engines! {
    a_report_tells_units_apart_and_adds_up,
    a_sale_is_that_of_the_sub_id_whose_link_brought_the_buyer,
}
