//! The forex API: access tokens, bulk pushes that are all or nothing, what they do to the ledger, and the lists.

use crate::broker::{Broker, answer};
use crate::server::Engine;
use crate::track360::paying_per_lot;
use reqwest::Method;
use serde_json::{Value, json};

/// A customer of the partner of the samples.
pub fn customer(id: &str) -> Value {
    json!({"customer_id": id, "signup_date": "2026-02-03T10:11:00Z", "affiliate_id": "ib_2044", "country_code": "PT",
        "trading_account_type": "ECN", "kyc_status_id": "approved", "leverage": "1:100"})
}

fn day(customer: &str, lots: &str) -> String {
    format!(
        r#"[{{"date":"2026-02-03","customer_id":"{customer}","instrument":"EURUSD","lots_traded":{lots},"volume_usd":1350825.00,
        "spread_cost":84.00,"commission":62.25,"pnl":-210.10,"currency":"USD"}}]"#
    )
}

fn counts(body: &Value) -> Value {
    let data = &body["data"];
    json!([data["received"], data["created"], data["updated"], data["unchanged"]])
}

async fn list(broker: &Broker, token: &str, path: &str) -> Value {
    let (status, text) = answer(broker.forex(token, Method::GET, path)).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

async fn a_day_sent_again_posts_exactly_the_difference(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let token = broker.access_token("read+write").await;
    let (status, body) = broker.forex_push(&token, "customers", &json!([customer("300412")]).to_string()).await;
    assert_eq!((status, counts(&body)), (200, json!([1, 1, 0, 0])), "{body}");
    for (lots, expected, posted) in [
        ("12.45", [1, 1, 0, 0], vec!["24.90"]),
        ("12.45", [1, 0, 0, 1], vec!["24.90"]),
        ("13.00", [1, 0, 1, 0], vec!["24.90", "1.10"]),
        ("10.00", [1, 0, 1, 0], vec!["24.90", "1.10", "-6.00"]),
    ] {
        let (status, body) = broker.forex_push(&token, "trading-activity", &day("300412", lots)).await;
        assert_eq!((status, counts(&body)), (200, json!(expected)), "{lots}: {body}");
        assert_eq!(broker.posted().await, posted, "{lots}");
    }
    let (_, text) =
        answer(broker.forex(&token, Method::GET, "trading-activity?instrument=EURUSD&date_from=2026-02-03")).await;
    let expected =
        r#""lots_traded":10,"volume_usd":1350825,"spread_cost":84,"commission":62.25,"pnl":-210.1,"currency":"USD""#;
    assert!(text.contains(expected), "{text}");
    let none = list(&broker, &token, "trading-activity?instrument=eurusd").await;
    assert_eq!(none["meta"]["total"], 0);
}

async fn a_trade_under_another_customer_moves(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let token = broker.access_token("write").await;
    broker.done(Method::POST, "/api/v1/partners", &json!({"id": "ib_9", "name": "Other"})).await;
    let mut other = customer("c2");
    other["affiliate_id"] = "ib_9".into();
    broker.forex_push(&token, "customers", &json!([customer("c1"), other]).to_string()).await;
    let trade = |customer: &str| {
        json!([{"trade_id": "t1", "customer_id": customer, "instrument": "XAUUSD", "side": "buy", "lots": 2, "currency": "USD",
            "opened_at": "2026-02-03T10:00:00Z", "closed_at": "2026-02-03T11:00:00Z"}])
        .to_string()
    };
    let (status, body) = broker.forex_push(&token, "trades", &trade("c1")).await;
    assert_eq!((status, counts(&body)), (200, json!([1, 1, 0, 0])), "{body}");
    let (status, body) = broker.forex_push(&token, "trades", &trade("c2")).await;
    assert_eq!((status, counts(&body)), (200, json!([1, 0, 1, 0])), "{body}");
    let rows = broker.rows("/api/v1/commissions").await;
    let mut sums = std::collections::BTreeMap::new();
    for row in rows {
        let cents: i64 = row["amount"].as_str().expect("an amount").replace('.', "").parse().expect("cents");
        *sums.entry(row["partner"].to_string()).or_insert(0) += cents;
    }
    assert_eq!(sums.into_values().collect::<Vec<_>>(), [0, 400], "ib_2044 has nothing left, and ib_9 has it all");
}

async fn a_status_change_makes_one_first_deposit_and_takes_it_back(engine: Engine) {
    let broker = Broker::start(engine).await;
    let token = broker.access_token("read+write").await;
    broker.forex_push(&token, "customers", &json!([customer("300412")]).to_string()).await;
    let deposit = |status: &str| {
        format!(
            r#"[{{"transaction_id":"t-9911","customer_id":"300412","transaction_type":"deposit","amount_currency":1000.00,
            "currency":"USD","transaction_date":"2026-02-03T11:03:00Z","status":"{status}","amount_usd":1085.00}}]"#
        )
    };
    for (status, http, posted) in [
        ("pending", 200, vec![]),
        ("approved", 200, vec!["400.00"]),
        ("approved", 200, vec!["400.00"]),
        ("pending", 422, vec!["400.00"]),
        ("reversed", 200, vec!["400.00", "-400.00"]),
    ] {
        let (got, body) = broker.forex_push(&token, "transactions", &deposit(status)).await;
        assert_eq!(got, http, "{status}: {body}");
        if http == 422 {
            assert_eq!(body["error"]["details"][0]["rule"], "invalid_status_transition", "{body}");
        }
        assert_eq!(broker.posted().await, posted, "{status}");
    }
    let shown = list(&broker, &token, "transactions?status=reversed&customer_id=300412&transaction_type=deposit").await;
    assert_eq!(
        (&shown["meta"]["total"], &shown["data"][0]["transaction_id"]),
        (&json!(1), &json!("t-9911")),
        "{shown}"
    );
    assert_eq!(list(&broker, &token, "transactions?status=approved").await["meta"]["total"], 0);
}

async fn a_thousand_days_are_taken_at_once_and_again(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let token = broker.access_token("read+write").await;
    let customers = Value::Array((0..250).map(|number| customer(&format!("c{number}"))).collect()).to_string();
    let (status, body) = broker.forex_push(&token, "customers", &customers).await;
    assert_eq!((status, counts(&body)), (200, json!([250, 250, 0, 0])), "{body}");
    let days = |count: usize, lots: &dyn Fn(usize) -> usize| {
        let day = |number: usize| {
            json!({"date": "2026-02-03", "customer_id": format!("c{}", number % 250), "instrument": format!("X{}", number / 250),
                "lots_traded": lots(number), "currency": "USD"})
        };
        Value::Array((0..count).map(day).collect()).to_string()
    };
    let (status, body) = broker.forex_push(&token, "trading-activity", &days(1000, &|_| 1)).await;
    assert_eq!((status, counts(&body)), (200, json!([1000, 1000, 0, 0])), "{body}");
    let posted = broker.posted().await;
    assert_eq!((posted.len(), posted.iter().all(|amount| amount == "8.00")), (250, true), "four lots of each client");
    // Two of each client's four days come again as they were, and two with twice the lots.
    let (status, body) = broker.forex_push(&token, "trading-activity", &days(1000, &|number| 1 + number / 500)).await;
    assert_eq!((status, counts(&body)), (200, json!([1000, 0, 500, 500])), "{body}");
    let posted = broker.posted().await;
    assert_eq!(
        (posted.len(), posted[250..].iter().all(|amount| amount == "4.00")),
        (500, true),
        "two lots more of each"
    );
    let shown = list(&broker, &token, "trading-activity?per_page=1").await;
    assert_eq!(shown["meta"]["total"], 1000, "{shown}");
    let (status, body) = broker.forex_push(&token, "trading-activity", &days(1001, &|_| 9)).await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("too_many_records")), "{body}");
    assert_eq!(broker.posted().await.len(), 500);
}

async fn a_request_is_all_or_nothing(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let token = broker.access_token("read+write").await;
    let mut records = vec![customer("a"), customer("b"), customer("c"), customer("a")];
    records[1]["affiliate_id"] = "nobody".into();
    records[2]["email"] = "none".into();
    records[2]["country_code"] = "XX".into();
    let (status, body) = broker.forex_push(&token, "customers", &json!(records).to_string()).await;
    assert_eq!(status, 422, "{body}");
    assert_eq!(body["error"]["message"], "4 errors in 3 of 4 records.");
    let details = body["error"]["details"].as_array().expect("details");
    let found: Vec<_> = details.iter().map(|d| format!("{} {} {}", d["index"], d["field"], d["rule"])).collect();
    let expected = [
        r#"1 "affiliate_id" "reference""#,
        r#"2 "country_code" "iso3166""#,
        r#"2 "email" "email""#,
        r#"3 "customer_id" "unique""#,
    ];
    assert_eq!(found, expected);
    assert_eq!(list(&broker, &token, "customers").await["meta"]["total"], 0, "nothing of it is stored");

    broker.forex_push(&token, "customers", &json!([customer("a")]).to_string()).await;
    let both = format!("[{},{}]", day("a", "1").trim_matches(['[', ']']), day("4411", "1").trim_matches(['[', ']']));
    let (status, body) = broker.forex_push(&token, "trading-activity", &both).await;
    let detail = json!({"index": 1, "field": "customer_id", "rule": "reference", "message": "Unknown customer 4411."});
    assert_eq!((status, &body["error"]["details"]), (422, &json!([detail])), "{body}");
    assert_eq!(broker.posted().await, [] as [&str; 0]);

    let mut more = customer("a");
    more["vip_level"] = 3.into();
    let (status, body) = broker.forex_push(&token, "customers", &json!({"data": [more]}).to_string()).await;
    assert_eq!((status, &body["data"]["unknown_fields"]), (200, &json!(["vip_level"])), "{body}");
    let shown = list(&broker, &token, "customers?affiliate_id=ib_2044&country_code=pt&kyc_status_id=approved").await;
    assert_eq!(
        (&shown["data"][0]["vip_level"], &shown["data"][0]["affiliate_id"]),
        (&json!(3), &json!("ib_2044")),
        "{shown}"
    );
}

async fn a_thousand_records_and_their_pages(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let token = broker.access_token("read+write").await;
    let customers = |count: usize| Value::Array((0..count).map(|at| customer(&format!("c{at}"))).collect()).to_string();
    let (status, body) = broker.forex_push(&token, "customers", &customers(1001)).await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("too_many_records")));
    let (status, body) = broker.forex_push(&token, "customers", &customers(1000)).await;
    assert_eq!((status, counts(&body)), (200, json!([1000, 1000, 0, 0])));
    let days: Vec<_> = (0..1000).map(|at| day(&format!("c{at}"), "1.00").trim_matches(['[', ']']).to_owned()).collect();
    let (status, body) = broker.forex_push(&token, "trading-activity", &format!("[{}]", days.join(","))).await;
    assert_eq!((status, counts(&body)), (200, json!([1000, 1000, 0, 0])));
    assert_eq!(broker.posted().await.len(), 1000);

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&broker, &token, &format!("trading-activity?per_page=300{cursor}")).await;
        assert_eq!(page["meta"]["total"], 1000);
        seen.extend(page["data"].as_array().expect("data").iter().map(|row| row["customer_id"].to_string()));
        let Some(next) = page["meta"]["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('=', "%3D"));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1000, "every row once");
    assert_eq!(list(&broker, &token, "customers?page=11&per_page=100").await["data"], json!([]));
    let (status, text) = answer(broker.forex(&token, Method::GET, "customers?per_page=501")).await;
    assert_eq!(status, 422, "{text}");
}

async fn tokens_open_what_they_say_and_no_more(engine: Engine) {
    let broker = Broker::start(engine).await;
    let write = broker.access_token("write").await;
    let (status, text) = answer(broker.forex(&write, Method::GET, "customers")).await;
    assert!(status == 403 && text.contains("insufficient_scope"), "{text}");
    let (status, body) = broker.forex_push(&write, "customers", "[]").await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("validation_failed")));
    let (status, body) = broker.forex_push(&write, "customers", "").await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_json")));
    for (token, status, code) in [
        ("hwat_unknown", 401, "invalid_token"),
        (broker.key("secret_key"), 403, "forbidden"),
        (broker.key("rewards_key"), 403, "forbidden"),
        (broker.key("brand_token"), 403, "forbidden"),
    ] {
        let sent = broker.forex(token, Method::POST, "customers").body("[]").send().await.expect("it answers");
        assert_eq!(sent.status().as_u16(), status);
        let challenge = sent.headers().get("www-authenticate").map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(challenge.as_deref(), (status == 401).then_some("Bearer error=\"invalid_token\""));
        let body: Value = serde_json::from_str(&sent.text().await.expect("a body")).expect("JSON");
        assert_eq!(body["error"]["code"], code);
    }
    let wrong = broker.request(None, Method::POST, "/oauth/token").basic_auth("ci_x", Some("cs_x"));
    let wrong = wrong.body("grant_type=client_credentials").send().await.expect("it answers");
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.headers()["www-authenticate"], "Basic realm=\"headwater\"");
    assert_eq!(wrong.headers()["cache-control"], "no-store");
    let body: Value = serde_json::from_str(&wrong.text().await.expect("a body")).expect("JSON");
    assert_eq!(body["error"], "invalid_client");

    let keys = broker.rows("/api/v1/keys").await;
    let client = keys.iter().find(|key| key["kind"] == "oauth").expect("init made a client");
    broker
        .done(Method::DELETE, &format!("/api/v1/keys/{}", client["id"].to_string().trim_matches('"')), &json!({}))
        .await;
    let (status, _) = broker.forex_push(&write, "customers", "[]").await;
    assert_eq!(status, 401, "a token dies with its client");
}

async fn a_rebate_is_passed_through_to_whom_it_names(engine: Engine) {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "through", "currency": "USD", "rules": [{"id": "rebate", "kind": "external", "of": "ib_rebate"}]});
    let version = broker.done(Method::POST, "/api/v1/plans", &plan).await["version"].clone();
    let activate = json!({"version": version, "from": "2020-01-01"});
    broker.done(Method::POST, "/api/v1/plans/through/activate", &activate).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"plan": "through"})).await;
    broker.done(Method::POST, "/api/v1/partners", &json!({"id": "ib_9", "name": "Other"})).await;
    let token = broker.access_token("read+write").await;
    broker.forex_push(&token, "customers", &json!([customer("c1")]).to_string()).await;
    let rebate = |id: &str, affiliate: &str| {
        json!([{"transaction_id": id, "customer_id": "c1", "transaction_type": "ib_rebate", "amount_currency": 24.9, "currency": "USD",
            "transaction_date": "2026-02-03T11:03:00Z", "status": "approved", "affiliate_id": affiliate}])
        .to_string()
    };
    let earned = async || {
        let rows = broker.rows("/api/v1/commissions").await;
        let mut rows: Vec<_> = rows.iter().map(|row| format!("{} {}", row["partner"], row["amount"])).collect();
        rows.sort();
        rows.join(", ").replace('"', "")
    };
    for (affiliate, expected, posted) in [
        ("ib_2044", [1, 1, 0, 0], "ib_2044 24.90"),
        ("ib_9", [1, 0, 1, 0], "ib_2044 -24.90, ib_2044 24.90, ib_9 24.90"),
        ("ib_9", [1, 0, 0, 1], "ib_2044 -24.90, ib_2044 24.90, ib_9 24.90"),
    ] {
        let (status, body) = broker.forex_push(&token, "transactions", &rebate("r1", affiliate)).await;
        assert_eq!((status, counts(&body)), (200, json!(expected)), "{affiliate}: {body}");
        assert_eq!(earned().await, posted, "{affiliate}");
    }
    let shown = list(&broker, &token, "transactions?transaction_type=ib_rebate").await;
    assert_eq!((&shown["meta"]["total"], &shown["data"][0]["affiliate_id"]), (&json!(1), &json!("ib_9")), "{shown}");
    let (status, body) = broker.forex_push(&token, "transactions", &rebate("r2", "nobody")).await;
    assert_eq!((status, &body["error"]["details"][0]["field"]), (422, &json!("affiliate_id")), "{body}");
    // Whose customer it is decides nothing any more, and a suspension of the one that it names holds it.
    let suspend = json!({"at": "2026-02-01"});
    broker.done(Method::POST, "/api/v1/partners/ib_9/suspend", &suspend).await;
    let (status, body) = broker.forex_push(&token, "transactions", &rebate("r3", "ib_9")).await;
    assert_eq!(status, 200, "{body}");
    let held = broker.rows("/api/v1/held").await;
    assert!(held.iter().any(|row| row["reason"] == "partner_suspended"), "{held:?}");
    assert!(!earned().await.contains("ib_9 24.90, ib_9 24.90"));
}

async fn a_transaction_is_one_record_whatever_its_type_was(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let token = broker.access_token("read+write").await;
    broker.forex_push(&token, "customers", &json!([customer("c1")]).to_string()).await;
    let sent = |kind: &str| {
        json!([{"transaction_id": "t1", "customer_id": "c1", "transaction_type": kind, "amount_currency": 10, "currency": "USD",
            "transaction_date": "2026-02-03T11:03:00Z", "status": "pending"}])
        .to_string()
    };
    for (kind, expected) in
        [("deposit", [1, 1, 0, 0]), ("bonus", [1, 0, 1, 0]), ("bonus", [1, 0, 0, 1]), ("deposit", [1, 0, 1, 0])]
    {
        let (status, body) = broker.forex_push(&token, "transactions", &sent(kind)).await;
        assert_eq!((status, counts(&body)), (200, json!(expected)), "{kind}: {body}");
        let shown = list(&broker, &token, "transactions").await;
        let row = &shown["data"][0];
        assert_eq!(shown["meta"]["total"], 1, "{shown}");
        assert_eq!((&row["transaction_type"], &row["status"]), (&json!(kind), &json!("pending")), "{shown}");
        assert_eq!(list(&broker, &token, &format!("transactions?transaction_type={kind}")).await["meta"]["total"], 1);
        assert_eq!(list(&broker, &token, "transactions?transaction_type=withdrawal").await["meta"]["total"], 0);
    }
    for wrong in [
        "transactions?page=1&page=2",
        "transactions?customer_id=%00",
        "customers?country_code=%00",
        "trades?instrument=%ff",
    ] {
        let (status, text) = answer(broker.forex(&token, Method::GET, wrong)).await;
        assert_eq!(status, 422, "{wrong}: {text}");
    }
}

#[tokio::test]
async fn a_token_has_a_thousand_requests_a_minute_of_its_own() {
    let broker = Broker::start(Engine::Sqlite).await;
    let (token, other) = (broker.access_token("read").await, broker.access_token("read").await);
    // The allowance fills while it is used, so a few more than a thousand may pass.
    let mut refused = None;
    for _ in 0..3000 {
        let answer = broker.forex(&token, Method::GET, "customers?per_page=1").send().await.expect("it answers");
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    let seconds: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(refused.text().await.expect("a body").contains("rate_limited"));
    let (status, _) = answer(broker.forex(&other, Method::GET, "customers")).await;
    assert_eq!(status, 200, "another token has its own");
}

#[tokio::test]
async fn a_schema_is_published_for_each_entity() {
    let broker = Broker::start(Engine::Sqlite).await;
    for entity in ["customers", "transactions", "trading-activity", "trades"] {
        let path = format!("/api/v1/forex/schemas/{entity}");
        let (status, text) = answer(broker.request(None, Method::GET, &path)).await;
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &schema["maxItems"]), (200, &json!(1000)), "{entity}");
    }
}

on_both_engines! {
    a_day_sent_again_posts_exactly_the_difference,
    a_trade_under_another_customer_moves,
    a_status_change_makes_one_first_deposit_and_takes_it_back,
    a_thousand_days_are_taken_at_once_and_again,
    a_request_is_all_or_nothing,
    a_thousand_records_and_their_pages,
    tokens_open_what_they_say_and_no_more,
    a_rebate_is_passed_through_to_whom_it_names,
    a_transaction_is_one_record_whatever_its_type_was,
}
