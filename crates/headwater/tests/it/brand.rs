//! The brand dialect: every sample of the published guide as it is printed there, what it does to the ledger, and what
//! is answered to records that are good, bad and mixed.

use crate::broker::{Broker, answer};
use crate::server::Engine;
use crate::track360::paying_per_lot;
use reqwest::Method;
use serde_json::{Value, json};

const CUSTOMER: &str = r#"[
{
"customerId": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"regtime": "2025-07-21 08:46",
"country": "ES",
"firstName": "Maria",
"lastName": "S",
"tracking_data": "2001_1000_abcdefg"
}
]"#;

/// The other samples, which are objects or arrays of two.
const SINGLE_EVENTS: &str = r#"[
{
"eventname": "Deposit",
"eventid": "1234",
"createtime": "2025-07-20 11:03",
"customerid": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"Value": "1000.00",
"Currency": "USD"
},
{
"eventname": "Lots",
"eventid": "1235",
"createtime": "2025-07-21 11:03",
"customerid": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"Value": "12.45",
"Currency": "USD"
}
]"#;
const DEPOSIT: &str = r#"{
"eventname": "Deposit",
"eventid": "TX-9981422",
"createtime": "2025-07-20 11:03",
"customerid": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"Value": "1000.00",
"Currency": "USD"
}"#;
const LOTS: &str = r#"{
"eventname": "Lots",
"createtime": "2025-07-21",
"customerid": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"Value": "12.45",
"Currency": "USD"
}"#;
const REBATE: &str = r#"{
"eventname": "Rebate",
"createtime": "2025-07-21",
"customerid": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"Value": "24.90",
"Currency": "USD"
}"#;
const DAILY_STATS: &str = r#"{
"eventname": "DailyStats",
"createtime": "2025-07-21",
"customerid": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
"Lots": "12.45",
"Volume": "124500.00",
"Rebate": "24.90",
"Trades": "38",
"Currency": "USD"
}"#;

fn accepted(received: u64) -> Value {
    json!([true, received, received, 0])
}

fn summary(body: &Value) -> Value {
    json!([body["success"], body["received"], body["accepted"], body["rejected"]])
}

fn statuses(body: &Value) -> Vec<&str> {
    let results = body["results"].as_array().expect("results");
    results.iter().map(|result| result["status"].as_str().expect("a status")).collect()
}

async fn the_published_daily_row_earns_what_it_says(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let (status, body) = broker.brand("customers", CUSTOMER).await;
    assert_eq!((status, summary(&body)), (200, accepted(1)), "{body}");
    let result =
        json!({"index": 0, "id": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12", "status": "created", "warnings": []});
    assert_eq!(body["results"][0], result);
    let (status, body) = broker.brand("activities", DAILY_STATS).await;
    assert_eq!((status, summary(&body)), (200, accepted(1)), "{body}");
    assert_eq!(broker.posted().await, ["24.90"]);

    let (_, again) = broker.brand("activities", DAILY_STATS).await;
    assert_eq!(statuses(&again), ["duplicate"], "{again}");
    assert_eq!(broker.posted().await, ["24.90"], "identical: nothing");
    let more = DAILY_STATS.replace("\"Lots\": \"12.45\"", "\"Lots\": \"13.00\"");
    let (_, revised) = broker.brand("activities", &more).await;
    assert_eq!(statuses(&revised), ["updated"], "{revised}");
    assert_eq!(broker.posted().await, ["24.90", "1.10"], "other numbers: exactly the difference");
    let (_, back) = broker.brand("activities", DAILY_STATS).await;
    assert_eq!(statuses(&back), ["updated"], "{back}");
    assert_eq!(broker.posted().await, ["24.90", "1.10", "-1.10"]);
}

async fn every_published_sample_is_taken_as_it_is_printed(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    for (what, sample, records) in [
        ("customers", CUSTOMER, 1),
        ("activities", SINGLE_EVENTS, 2),
        ("activities", DEPOSIT, 1),
        ("activities", LOTS, 1),
        ("activities", REBATE, 1),
        ("activities", DAILY_STATS, 1),
    ] {
        let (status, body) = broker.brand(what, sample).await;
        assert_eq!((status, summary(&body)), (200, accepted(records)), "{sample}: {body}");
        let (status, body) = broker.brand(what, sample).await;
        assert_eq!((status, summary(&body)), (200, accepted(records)), "again: {sample}: {body}");
        assert!(statuses(&body).iter().all(|status| *status == "duplicate"), "{sample}: {body}");
    }
    // Records of different names that feed one quantity of a day add up: three times 12.45 lots.
    assert_eq!(broker.posted().await, ["24.90", "24.90", "24.90"]);
}

async fn each_record_gets_its_own_answer(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    broker.brand("customers", CUSTOMER).await;
    let good = DEPOSIT.to_owned();
    let (status, body) = broker
        .brand(
            "activities",
            &format!(
                r#"[{good}, {{"eventname":"Deposit","customerid":"mt5-9","Value":"1","createtime":"2025-07-21"}},
                {{"customerid":"mt5-9","Value":"1e5","Currency":"XXQ"}}, 7]"#
            ),
        )
        .await;
    assert_eq!(status, 207, "{body}");
    assert_eq!(summary(&body), json!([false, 4, 1, 3]));
    assert_eq!(body["results"][0], json!({"index": 0, "id": "TX-9981422", "status": "created", "warnings": []}));
    let unknown =
        json!({"field": "customerid", "code": "customer_not_found", "message": "No customer mt5-9 for this brand."});
    assert_eq!(body["results"][1], json!({"index": 1, "id": null, "status": "rejected", "errors": [unknown]}));
    let codes: Vec<_> =
        body["results"][2]["errors"].as_array().expect("errors").iter().map(|e| e["code"].clone()).collect();
    assert_eq!(codes, [json!("decimal"), json!("iso4217"), json!("required")]);
    assert_eq!(body["results"][3]["errors"][0]["code"], "type");
    let (status, body) = broker.brand("activities", "[7]").await;
    assert_eq!((status, summary(&body)), (422, json!([false, 1, 0, 1])));
    let other = DEPOSIT.replace("1000.00", "2000.00");
    let (status, body) = broker.brand("activities", &other).await;
    assert_eq!((status, &body["results"][0]["errors"][0]["code"]), (422, &json!("conflict")), "{body}");

    let customer = |fields: &str| format!(r#"[{{"customerId":"c2",{fields}}}]"#);
    for (fields, status, code) in [
        (r#""firstName":"A""#, 422, Some("required")),
        (
            r#""regtime":"2025-07-21 08:46","tracking_data":"123456789012345678901234567890123456789012345678901""#,
            422,
            Some("max_length"),
        ),
        (
            r#""regtime":"2025-07-21 08:46","tracking_data":"12345678901234567890123456789012345678901234567890""#,
            200,
            None,
        ),
        (r#""firstName":"A""#, 200, None),
        (r#""tracking_data":"2001_1000_abcdefg""#, 200, None),
    ] {
        let (got, body) = broker.brand("customers", &customer(fields)).await;
        assert_eq!(got, status, "{fields}: {body}");
        assert_eq!(body["results"][0]["errors"][0]["code"].as_str(), code, "{fields}: {body}");
    }
    let lots = r#"{"eventname":"Lots","customerid":"c2","createtime":"2025-07-22","Value":"1","Currency":"USD"}"#;
    broker.brand("activities", lots).await;
    assert_eq!(broker.posted().await, ["2.00"], "an organic customer that was attributed later earns");
}

async fn a_thousand_records_are_taken_and_one_more_is_not(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let customers = |count: usize| {
        let one = |at| json!({"customerId": format!("c{at}"), "regtime": "2025-07-21 08:46", "tracking_data": "2001_1000_abcdefg"});
        Value::Array((0..count).map(one).collect()).to_string()
    };
    let (status, body) = broker.brand("customers", &customers(1001)).await;
    assert_eq!((status, &body["error"]["code"]), (413, &json!("too_many_records")));
    let (status, body) = broker.brand("customers", &customers(1000)).await;
    assert_eq!((status, summary(&body)), (200, accepted(1000)));
    let day = |at| {
        json!({"eventname": "DailyStats", "createtime": "2025-07-21", "customerid": format!("c{at}"), "Lots": "1.00",
            "Volume": "10000.00", "Rebate": "2.00", "Trades": "3", "Currency": "USD"})
    };
    let days = Value::Array((0..1000).map(day).collect()).to_string();
    let (status, body) = broker.brand("activities", &days).await;
    assert_eq!((status, summary(&body)), (200, accepted(1000)));
    let posted = broker.posted().await;
    assert_eq!((posted.len(), posted.iter().all(|amount| amount == "2.00")), (1000, true));
}

async fn requests_without_a_brands_token_are_refused(engine: Engine) {
    let broker = Broker::start(engine).await;
    for path in ["/tracking/events/customers", "/tracking/events/activities"] {
        for (key, status, code) in [
            (None, 401, "invalid_token"),
            (Some("b1f4e7a2-9c3d-4e1b-8a77-2f9e6d3c5a81"), 401, "invalid_token"),
            (Some(broker.key("secret_key")), 403, "forbidden"),
            (Some(broker.key("rewards_key")), 403, "forbidden"),
        ] {
            let (got, text) = answer(broker.request(key, Method::POST, path).body("[]")).await;
            let body: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(
                (got, &body["error"]["code"], &body["success"]),
                (status, &json!(code), &json!(false)),
                "{text}"
            );
        }
        let brand = Some(broker.key("brand_token"));
        for (sent, status) in [("", 400), ("[]", 400), ("7", 400), ("[{]", 400), (r#"[{"a":1,"a":2}]"#, 400)] {
            let (got, text) = answer(broker.request(brand, Method::POST, path).body(sent)).await;
            let body: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!((got, &body["success"]), (status, &json!(false)), "{sent}: {text}");
        }
    }
}

async fn the_redirects_tracking_data_attributes(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let landing = broker.landing().await;
    let value = landing.query_pairs().find(|(name, _)| name == "tracking_data").expect("it is there").1.into_owned();
    assert!(value.len() <= 50 && value.starts_with(&format!("{}_", broker.program())), "{value}");
    let customer = |id: &str, tracking: &str| {
        json!([{"customerId": id, "regtime": "2026-11-20 10:00", "tracking_data": tracking}]).to_string()
    };
    let altered = format!("{}{}", &value[..value.len() - 1], if value.ends_with('7') { "8" } else { "7" });
    for (id, tracking) in [("genuine", value.as_str()), ("altered", &altered)] {
        let (status, body) = broker.brand("customers", &customer(id, tracking)).await;
        assert_eq!((status, summary(&body)), (200, accepted(1)), "{body}");
        let lots = json!({"eventname": "Lots", "customerid": id, "createtime": "2026-11-20", "Value": "3"}).to_string();
        let (status, body) = broker.brand("activities", &lots).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(broker.posted().await, ["6.00"], "the altered one is organic");
}

async fn the_checklist_of_a_program_follows_its_data(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let path = format!("/api/v1/programs/{}/onboarding", broker.program());
    let done = async || {
        let (status, text) = answer(broker.request(Some(broker.key("secret_key")), Method::GET, &path)).await;
        let page: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &page["total"]), (200, &json!(8)), "{text}");
        page["completed"].as_u64().expect("a count")
    };
    assert_eq!(done().await, 3, "credentials, partners and a plan");
    broker.brand("customers", CUSTOMER).await;
    assert_eq!(done().await, 5);
    broker.brand("activities", SINGLE_EVENTS).await;
    assert_eq!(done().await, 7, "all but five days of trading");
}

async fn activity_may_wait_for_its_customer(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"unknown_customer": "hold"})).await;
    let (status, body) = broker.brand("activities", DAILY_STATS).await;
    assert_eq!((status, statuses(&body)), (200, vec!["held"]), "{body}");
    assert_eq!(broker.posted().await, [] as [&str; 0]);
    let (_, body) = broker.brand("customers", CUSTOMER).await;
    assert_eq!(statuses(&body), ["created"], "{body}");
    assert_eq!(broker.posted().await, ["24.90"], "it counts once its customer is there");
}

/// The same deposit by the push, by the forex API and by an event, in this order; twice by each.
async fn one_deposit_by_three_ways_pays_once(engine: Engine, order: [&str; 3]) {
    let broker = Broker::start(engine).await;
    let link =
        json!({"partner_id": "ib_2044", "landing_page": "/", "metadata": {"tracking_data": "2001_1000_abcdefg"}});
    broker.done(Method::POST, "/api/referral/links", &link).await;
    let customer = CUSTOMER.replace("\"firstName\"", "\"email\": \"maria@example.org\", \"firstName\"");
    assert_eq!(broker.brand("customers", &customer).await.0, 200);
    let token = broker.access_token("write").await;
    let transaction = json!([{"transaction_id": "TX-9981422", "customer_id": "fx_7c2d8f91-a344-4b12-9ad3-2ae195d49c12",
        "transaction_type": "deposit", "amount_currency": 1000, "currency": "USD", "status": "approved",
        "transaction_date": "2026-11-20T11:03:00Z"}])
    .to_string();
    let event = json!({"event": "FIRST_DEPOSIT", "eventId": "TX-9981422", "timestamp": "2026-11-20T11:03:00Z",
        "data": {"email": "maria@example.org", "amount": 1000, "currency": "USD"}});
    for way in order.into_iter().chain(order) {
        let status = match way {
            "push" => broker.brand("activities", &DEPOSIT.replace("2025-07-20", "2026-11-20")).await.0,
            "forex" => broker.forex_push(&token, "transactions", &transaction).await.0,
            _ => {
                broker.done(Method::POST, "/api/referral/events/track", &event).await;
                200
            }
        };
        assert_eq!((status, broker.posted().await), (200, vec!["400.00".to_owned()]), "{order:?} {way}");
    }
    let held = broker.rows("/api/v1/held").await;
    assert_eq!(held.iter().filter(|held| held["reason"] == "second_source").count(), 2, "{held:?}");
}

#[tokio::test]
async fn one_deposit_by_three_ways_pays_once_on_sqlite() {
    one_deposit_by_three_ways_pays_once(Engine::Sqlite, ["push", "forex", "events"]).await;
    one_deposit_by_three_ways_pays_once(Engine::Sqlite, ["events", "push", "forex"]).await;
}

#[tokio::test]
async fn one_deposit_by_three_ways_pays_once_on_postgres() {
    one_deposit_by_three_ways_pays_once(Engine::Postgres, ["forex", "events", "push"]).await;
    one_deposit_by_three_ways_pays_once(Engine::Postgres, ["events", "forex", "push"]).await;
}

async fn a_day_is_corrected_to_the_cent(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    broker.brand("customers", CUSTOMER).await;
    // Other numbers in any field, the same, and a day that is called off.
    for (lots, status, posted) in [
        ("12.45", "created", vec!["24.90"]),
        ("12.450", "duplicate", vec!["24.90"]),
        ("0", "updated", vec!["24.90", "-24.90"]),
        ("0.01", "updated", vec!["24.90", "-24.90", "0.02"]),
    ] {
        let (_, body) = broker.brand("activities", &DAILY_STATS.replace("12.45", lots)).await;
        assert_eq!(
            (statuses(&body), broker.posted().await),
            (vec![status], posted.iter().map(|p| (*p).to_owned()).collect())
        );
    }
    let (_, body) = broker.brand("activities", &DAILY_STATS.replace("12.45", "0.01").replace("\"38\"", "\"39\"")).await;
    assert_eq!((statuses(&body), broker.posted().await.len()), (vec!["updated"], 3), "a count earns nothing");
}

/// A row is moved by its key where the key does not name the customer: an `eventid` that may be replaced does not exist in
/// this dialect, so a day of another customer is another row, and the first is called off with zeros.
async fn a_day_of_another_customer_is_another_day(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let other = CUSTOMER.replace("fx_7c2d8f91", "fx_other");
    for customer in [CUSTOMER, &other] {
        assert_eq!(broker.brand("customers", customer).await.0, 200);
    }
    broker.brand("activities", DAILY_STATS).await;
    let moved = DAILY_STATS.replace("fx_7c2d8f91", "fx_other");
    let off = DAILY_STATS.replace("12.45", "0");
    let (status, body) = broker.brand("activities", &format!("[{moved},{off}]")).await;
    assert_eq!((status, statuses(&body)), (200, vec!["created", "updated"]), "{body}");
    let mut posted = broker.posted().await;
    posted.sort();
    assert_eq!(posted, ["-24.90", "24.90", "24.90"]);
    let event = r#"[{"eventname": "Deposit", "eventid": "1", "customerid": "ID", "Value": "5", "createtime": "2025-07-20 11:03"}]"#;
    let of = |id: &str| event.replace("ID", &format!("{id}-a344-4b12-9ad3-2ae195d49c12"));
    assert_eq!(broker.brand("activities", &of("fx_7c2d8f91")).await.0, 200);
    let (status, body) = broker.brand("activities", &of("fx_other")).await;
    assert_eq!((status, &body["results"][0]["errors"][0]["code"]), (422, &json!("conflict")), "the first stands");
}

async fn the_alternate_tracking_value_attributes(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let value = "campaign_7_aff_42_creative_b";
    let link = json!({"partner_id": "ib_2044", "landing_page": "/", "metadata": {"tracking_data": value}});
    broker.done(Method::POST, "/api/referral/links", &link).await;
    let customer = CUSTOMER.replace("2001_1000_abcdefg", value);
    assert_eq!(broker.brand("customers", &customer).await.0, 200);
    broker.brand("activities", DAILY_STATS).await;
    assert_eq!(broker.posted().await, ["24.90"]);
}

async fn what_brought_a_customer_is_written_once(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    broker.brand("customers", CUSTOMER).await;
    for other in ["campaign_7_aff_42_creative_b", "2001_1000_abcdefh", ""] {
        let (status, body) = broker.brand("customers", &CUSTOMER.replace("2001_1000_abcdefg", other)).await;
        let result = &body["results"][0];
        let told = (&result["status"], &result["warnings"]);
        assert_eq!((status, told), (200, (&json!("duplicate"), &json!(["attribution_locked"]))), "{other}: {body}");
    }
    let (_, body) = broker.brand("customers", CUSTOMER).await;
    assert_eq!(body["results"][0]["warnings"], json!([]), "the value that it came with is no other");
    let wrong = DAILY_STATS.replace("\"12.45\"", "\"12,45\"");
    let (status, body) = broker.brand("activities", &wrong).await;
    let error = &body["results"][0]["errors"][0];
    assert_eq!((status, &error["field"], &error["code"]), (422, &json!("Lots"), &json!("decimal")), "{body}");
}

on_both_engines! {
    the_published_daily_row_earns_what_it_says,
    every_published_sample_is_taken_as_it_is_printed,
    each_record_gets_its_own_answer,
    a_thousand_records_are_taken_and_one_more_is_not,
    requests_without_a_brands_token_are_refused,
    the_redirects_tracking_data_attributes,
    the_checklist_of_a_program_follows_its_data,
    activity_may_wait_for_its_customer,
    a_day_is_corrected_to_the_cent,
    a_day_of_another_customer_is_another_day,
    the_alternate_tracking_value_attributes,
    what_brought_a_customer_is_written_once,
}
