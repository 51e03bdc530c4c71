//! From a pending commission to a completed payout and a statement that the partner checks, over the API.
//!
//! Leaves what is due, netted and raced for to `headwater-app`'s tests of the life of commissions.

use crate::broker::{Broker, answer, deposit};
use crate::server::{Engine, headwater, text};
use reqwest::Method;
use serde_json::{Value, json};

/// Status and body of a request that may fail.
async fn asked(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let request = broker.request(Some(broker.key("secret_key")), method, path).body(body.to_string());
    let (status, text) = answer(request).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn get(broker: &Broker, path: &str) -> Value {
    let (status, body) = asked(broker, Method::GET, path, &Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// The balances of the partner, by account.
async fn balances(broker: &Broker) -> Value {
    let rows = get(broker, "/api/v1/ledger/balances?partner=ib_2044").await;
    let rows = rows.as_array().expect("an array").iter();
    rows.map(|row| (row["account"]["name"].as_str().expect("a name").to_owned(), row["balance"].clone())).collect()
}

/// A broker whose commissions wait for a decision, with three of them, oldest first.
async fn with_three_pending(engine: Engine) -> (Broker, Vec<Value>) {
    let broker = Broker::start(engine).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"auto_approve": false})).await;
    for client in 0..3 {
        let click = broker.visit().await;
        let event = deposit(&click, &format!("client{client}@example.org"));
        broker.done(Method::POST, "/api/referral/events/track", &event).await;
    }
    let mut rows = broker.rows("/api/v1/commissions").await;
    rows.reverse();
    assert_eq!(rows.len(), 3);
    (broker, rows)
}

async fn commissions_are_decided_paid_and_accounted_for(engine: Engine) {
    let (broker, rows) = with_three_pending(engine).await;
    let keys: Vec<_> = rows[0].as_object().expect("an object").keys().map(String::as_str).collect();
    let published = [
        "id",
        "partner",
        "customer",
        "rule",
        "level",
        "status",
        "unit",
        "amount",
        "period",
        "for_period",
        "payable_at",
        "fact",
        "corrects",
        "created",
    ];
    assert_eq!(keys, published);
    assert_eq!((&rows[0]["status"], &rows[0]["amount"]), (&json!("pending"), &json!("400.00")));
    assert_eq!(balances(&broker).await, json!({"accrued": "1200.00"}));

    let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();
    let approve = json!({"ids": [ids[0], ids[1], 5]});
    let approved = broker.done(Method::POST, "/api/v1/commissions/approve", &approve).await;
    assert_eq!(approved["data"].as_array().map(Vec::len), Some(2), "{approved}");
    assert_eq!(approved["failed"][0]["id"], 5);
    assert_eq!(approved["failed"][0]["code"], "commission_not_found");
    broker.done(Method::POST, "/api/v1/commissions/deny", &json!({"ids": [ids[2].to_string()]})).await;
    let (status, body) = asked(&broker, Method::POST, "/api/v1/commissions/approve", &json!({"ids": [5, 6]})).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("commission_not_found")), "{body}");
    for wrong in [json!({}), json!({"ids": []}), json!({"ids": "all"}), json!({"ids": [1.5]})] {
        let (status, body) = asked(&broker, Method::POST, "/api/v1/commissions/approve", &wrong).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!("ids")), "{wrong}: {body}");
    }
    for (status, count) in [("pending", 0), ("approved", 2), ("payable", 2), ("denied", 1), ("paid", 0)] {
        let list = get(&broker, &format!("/api/v1/commissions?status={status}")).await;
        assert_eq!(list["data"].as_array().map(Vec::len), Some(count), "{status}: {list}");
    }
    assert_eq!(asked(&broker, Method::GET, "/api/v1/commissions?status=gone", &Value::Null).await.0, 400);
    assert_eq!(balances(&broker).await, json!({"accrued": "0.00", "payable": "800.00"}));

    let payout = pay(&broker).await;
    assert_eq!(balances(&broker).await, json!({"accrued": "0.00", "paid": "800.00", "payable": "0.00"}));
    let story = get(&broker, &format!("/api/v1/payouts/{}", payout["id"])).await;
    assert_eq!(story["commission_ids"], json!(ids[..2]));
    for (filter, count) in [("status=completed", 1), ("status=pending", 0), ("partner=ib_2044", 2), ("partner=no", 0)] {
        let list = get(&broker, &format!("/api/v1/payouts?{filter}")).await;
        assert_eq!(list["data"].as_array().map(Vec::len), Some(count), "{filter}: {list}");
    }
    let entries = broker.rows("/api/v1/ledger/entries").await;
    assert!(entries.iter().any(|entry| entry["payout"] == payout["id"]), "{entries:?}");
    statement(&broker).await;
    payout_statement(&broker, &payout).await;
}

/// Runs payouts until one is completed.
async fn pay(broker: &Broker) -> Value {
    let program = broker.program();
    let run = json!({"program": program, "until": "2999-12-31"});
    let settings =
        |minimum: &str| json!({"payout": {"method": "bank", "minimum": minimum, "details": {"iban": "DE00"}}});
    broker.done(Method::PATCH, "/api/v1/partners/ib_2044", &settings("801")).await;
    let waits = broker.done(Method::POST, "/api/v1/payouts", &run).await;
    assert_eq!(waits["data"], json!([]));
    assert_eq!(
        waits["skipped"],
        json!([{"partner": "ib_2044", "unit": "USD", "amount": "800.00", "reason": "below_minimum"}])
    );
    let partner = broker.done(Method::PATCH, "/api/v1/partners/ib_2044", &settings("800")).await;
    assert_eq!(partner["payout"]["minimum"], "800");
    let early = json!({"program": program, "until": "2020-01-01"});
    assert_eq!(broker.done(Method::POST, "/api/v1/payouts", &early).await["data"], json!([]));
    let failing = broker.done(Method::POST, "/api/v1/payouts", &run).await["data"][0].clone();
    assert_eq!((&failing["amount"], &failing["status"]), (&json!("800.00"), &json!("pending")), "{failing}");
    assert_eq!((&failing["method"], &failing["commissions"]), (&json!("bank"), &json!(2)));
    let change = |payout: &Value, change: &str| format!("/api/v1/payouts/{}/{change}", payout["id"]);
    assert_eq!(asked(broker, Method::POST, &change(&failing, "fail"), &json!({})).await.0, 400, "an error is needed");
    let failed = broker.done(Method::POST, &change(&failing, "fail"), &json!({"error": "wrong IBAN"})).await;
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!("wrong IBAN")));
    let (status, body) = asked(broker, Method::POST, &change(&failing, "complete"), &json!({})).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("payout_not_pending")));
    let payout = broker.done(Method::POST, "/api/v1/payouts", &run).await["data"][0].clone();
    broker.done(Method::POST, &change(&payout, "complete"), &json!({})).await
}

/// The statement, as it is saved, is checked offline; a changed one names its line.
async fn statement(broker: &Broker) {
    let (status, body) = broker.server.get("/api/v1/ledger/statement?partner=ib_2044").await;
    assert_eq!(status, 200, "{body}");
    let key = get(broker, "/api/v1/ledger/statement/key").await["public_key"].as_str().expect("a key").to_owned();
    let file = broker.server.folder.path().join("statement.json");
    let path = file.display().to_string();
    std::fs::write(&file, &body).expect("written");
    let checked = headwater(&["statement", "verify", &path, "--key", &key]).output().expect("it runs");
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    assert!(text(&checked).contains(&key), "{}", text(&checked));
    let changed = "\"amount\":\"-800.00\"";
    let line = 1 + body.lines().position(|line| line.contains(changed)).expect("the payout is in it");
    std::fs::write(&file, body.replace(changed, "\"amount\":\"-700.00\"")).expect("written");
    let checked = headwater(&["statement", "verify", &path]).output().expect("it runs");
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains(&format!("line {line}: ")), "{}", text(&checked));
    for path in ["/api/v1/ledger/statement", "/api/v1/ledger/statement?partner=ib_2044&from=yesterday"] {
        assert_eq!(asked(broker, Method::GET, path, &Value::Null).await.0, 400, "{path}");
    }
    let (status, body) = asked(broker, Method::GET, "/api/v1/ledger/statement?partner=nobody", &Value::Null).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("partner_not_found")));
}

/// A payout's statement is checked offline as well, and a digit that is another one is found.
async fn payout_statement(broker: &Broker, payout: &Value) {
    let (status, body) = broker.server.get(&format!("/api/v1/payouts/{}/statement", payout["id"])).await;
    assert_eq!(status, 200, "{body}");
    let said: Value = serde_json::from_str(&body).expect("JSON");
    let totals = json!({"commissions": "800.00", "receivables": "0.00", "payout": "800.00"});
    assert_eq!((&said["statement"]["totals"], &said["statement"]["partner"]), (&totals, &json!("ib_2044")));
    assert!(said["statement"]["commissions"][0]["customer"].is_i64(), "{body}");
    let key = get(broker, "/api/v1/ledger/statement/key").await["public_key"].as_str().expect("a key").to_owned();
    let file = broker.server.folder.path().join("payout.json");
    let path = file.display().to_string();
    std::fs::write(&file, &body).expect("written");
    let checked = headwater(&["statement", "verify", &path, "--key", &key]).output().expect("it runs");
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let words = format!("payout {} to ib_2044 holds: 2 commissions add up to 800.00 USD, 2 entries", payout["id"]);
    assert!(text(&checked).contains(&words), "{}", text(&checked));
    std::fs::write(&file, body.replacen("\"400.00\"", "\"410.00\"", 1)).expect("written");
    let checked = headwater(&["statement", "verify", &path]).output().expect("it runs");
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains("add up to"), "{}", text(&checked));
    for path in ["/api/v1/payouts/1/statement", "/api/v1/payouts/x/statement"] {
        let (status, body) = asked(broker, Method::GET, path, &Value::Null).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("payout_not_found")), "{path}");
    }
}

async fn rates_are_set_corrected_and_listed(engine: Engine) {
    let broker = Broker::start(engine).await;
    let rate = |date: &str, rate: &str| json!({"date": date, "from": "EUR", "to": "USD", "rate": rate});
    let rates = json!([rate("2026-01-01", "1.08"), rate("2026-01-02", "1.09"), rate("2026-01-03", "1.1")]);
    broker.done(Method::POST, "/api/v1/exchange-rates", &rates).await;
    broker.done(Method::POST, "/api/v1/exchange-rates", &json!([rate("2026-01-02", "1.095")])).await;
    let first = get(&broker, "/api/v1/exchange-rates?limit=2").await;
    let shown = |list: &Value| {
        let rows = list["data"].as_array().expect("rows").iter();
        rows.map(|row| (row["date"].clone(), row["rate"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&first), [(json!("2026-01-03"), json!("1.1")), (json!("2026-01-02"), json!("1.095"))]);
    let next = format!("/api/v1/exchange-rates?starting_after={}", first["next_cursor"].as_str().expect("a cursor"));
    assert_eq!(shown(&get(&broker, &next).await), [(json!("2026-01-01"), json!("1.08"))]);
    assert_eq!(shown(&get(&broker, "/api/v1/exchange-rates?from=EUR&to=USD&date=2026-01-02").await).len(), 1);
    assert_eq!(asked(&broker, Method::GET, "/api/v1/exchange-rates?starting_after=x", &Value::Null).await.0, 400);
    let wrong = json!([rate("2026-01-04", "1.2"), rate("2026-02-30", "1.2")]);
    let (status, body) = asked(&broker, Method::POST, "/api/v1/exchange-rates", &wrong).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("[1].date")));
    assert_eq!(get(&broker, "/api/v1/exchange-rates").await["data"].as_array().map(Vec::len), Some(3), "all or none");
}

/// Something that earns nothing happens to a client, for the first time: it is priced by what is in force now.
async fn price_again(broker: &Broker, email: &str, event: &str) {
    let event = json!({"event": event, "data": {"email": email}});
    broker.done(Method::POST, "/api/referral/events/track", &event).await;
}

/// A first deposit in another currency than the plan's; gives its event.
async fn foreign_deposit(broker: &Broker, currency: &str) -> Value {
    let click = broker.visit().await;
    let mut event = deposit(&click, &format!("{currency}@example.org"));
    event["data"]["currency"] = currency.into();
    broker.done(Method::POST, "/api/referral/events/track", &event).await
}

async fn a_rate_that_comes_later_or_is_corrected_prices_anew(engine: Engine) {
    let broker = Broker::start(engine).await;
    let event = foreign_deposit(&broker, "EUR").await;
    foreign_deposit(&broker, "GBP").await;
    let day = &event["timestamp"].as_str().expect("a time")[..10];
    let held = get(&broker, "/api/v1/held").await["data"].clone();
    let mut reasons = held.as_array().expect("rows").iter().map(|item| item["reason"].clone());
    assert!(reasons.len() >= 2 && reasons.all(|reason| reason == "no_exchange_rate"), "{held}");
    assert!(broker.rows("/api/v1/commissions").await.is_empty());
    let item = &held[held.as_array().map_or(0, Vec::len) - 1];
    let retry = format!("/api/v1/held/{}/retry", item["id"].as_str().expect("an id"));
    assert_eq!(broker.done(Method::POST, &retry, &json!({})).await["held"], true, "there is no rate yet");

    let rate = |rate: &str| json!([{"date": day, "from": "EUR", "to": "USD", "rate": rate}]);
    broker.done(Method::POST, "/api/v1/exchange-rates", &rate("1.1")).await;
    // Priced in the background too; whoever is first, it is posted once.
    let (status, retried) = asked(&broker, Method::POST, &retry, &json!({})).await;
    assert!(status == 404 || retried["held"] == false, "{retried}");
    let posted = broker.rows("/api/v1/commissions").await;
    assert_eq!(posted.len(), 1, "{posted:?}");
    broker.done(Method::POST, "/api/v1/exchange-rates", &rate("0.4")).await;
    price_again(&broker, "EUR@example.org", "WEBINAR_REGISTRATION").await;
    let corrected = broker.rows("/api/v1/commissions").await;
    assert_eq!((&corrected[0]["amount"], &corrected[0]["corrects"]), (&json!("-400.00"), &posted[0]["id"]));
    assert_eq!(corrected.len(), 2);

    let held = get(&broker, "/api/v1/held").await["data"].clone();
    let waiting = held.as_array().expect("rows").clone();
    assert!(!waiting.is_empty(), "the pound has no rate");
    for item in &waiting {
        let id = item["id"].as_str().expect("an id");
        assert_eq!(id, format!("{}.no_exchange_rate", item["fact_id"]));
        let dismiss = format!("/api/v1/held/{id}/dismiss");
        assert_eq!(asked(&broker, Method::POST, &dismiss, &json!({})).await.0, 400, "a reason is needed");
        broker.done(Method::POST, &dismiss, &json!({"reason": "a demo account"})).await;
    }
    assert_eq!(get(&broker, "/api/v1/held").await["data"], json!([]));
    let (status, body) = asked(&broker, Method::POST, "/api/v1/held/5.no_rate/retry", &json!({})).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("held_not_found")));
}

async fn what_takes_back_a_denied_commission_is_denied_with_it(engine: Engine) {
    let broker = Broker::start(engine).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"auto_approve": false})).await;
    let event = foreign_deposit(&broker, "EUR").await;
    let day = &event["timestamp"].as_str().expect("a time")[..10];
    let rate = |rate: &str| json!([{"date": day, "from": "EUR", "to": "USD", "rate": rate}]);
    broker.done(Method::POST, "/api/v1/exchange-rates", &rate("1.1")).await;
    price_again(&broker, "EUR@example.org", "WEBINAR_REGISTRATION").await;
    let posted = broker.rows("/api/v1/commissions").await.remove(0);
    broker.done(Method::POST, "/api/v1/commissions/deny", &json!({"ids": [posted["id"]]})).await;
    broker.done(Method::PATCH, &program, &json!({"auto_approve": true})).await;
    broker.done(Method::POST, "/api/v1/exchange-rates", &rate("0.4")).await;
    price_again(&broker, "EUR@example.org", "REGISTRATION").await;
    let taken_back = broker.rows("/api/v1/commissions").await.remove(0);
    assert_eq!((&taken_back["amount"], &taken_back["corrects"]), (&json!("-400.00"), &posted["id"]));
    assert_eq!(taken_back["status"], "denied", "the partner never had it");
    let deeds = get(&broker, &format!("/api/v1/audit?object=commission:{}", posted["id"])).await["data"].clone();
    assert_eq!(
        (&deeds[0]["action"], deeds.as_array().map(Vec::len)),
        (&json!("commission.denied"), Some(1)),
        "{deeds}"
    );
    assert!(deeds[0]["actor"].as_str().is_some_and(|actor| actor.starts_with("key:")), "{deeds}");
    assert_eq!(get(&broker, "/api/v1/audit?action=payout.completed").await["data"], json!([]));
    assert_eq!(balances(&broker).await, json!({"accrued": "0.00"}));
}

on_both_engines! {
    commissions_are_decided_paid_and_accounted_for,
    rates_are_set_corrected_and_listed,
    a_rate_that_comes_later_or_is_corrected_prices_anew,
    what_takes_back_a_denied_commission_is_denied_with_it,
}
