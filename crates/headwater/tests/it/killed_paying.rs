//! `kill -9` in the middle of approvals, and then of a payout run: every request and every payout is whole or was never
//! there, and what is asked again finishes the rest.
//!
//! Leaves events and their answers to `killed`.

use crate::broker::{Broker, answer};
use crate::forex::customer;
use crate::server::Engine;
use crate::track360::paying_per_lot;
use headwater_domain::money::Decimal;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const PARTNERS: usize = 60;
const CUSTOMERS_OF_EACH: usize = 4;
const COMMISSIONS: usize = PARTNERS * CUSTOMERS_OF_EACH;
/// Commissions that one request approves.
const AT_ONCE: usize = 2;
const CALLERS: usize = 4;
const KILLS: usize = 3;

/// A broker whose partners each have commissions of 20 USD that wait for a decision.
async fn with_pending(engine: Engine) -> Broker {
    let broker = paying_per_lot(engine).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "auto_approve": false })).await;
    let (mut customers, mut days) = (Vec::new(), Vec::new());
    for partner in 0..PARTNERS {
        let name = format!("ib-{partner}");
        broker.done(Method::POST, "/api/v1/partners", &json!({ "id": name, "name": name })).await;
        for number in 0..CUSTOMERS_OF_EACH {
            let id = format!("c-{partner}-{number}");
            let mut record = customer(&id);
            record["affiliate_id"] = name.clone().into();
            customers.push(record);
            days.push(json!({ "date": "2026-02-03", "customer_id": id, "instrument": "EURUSD", "lots_traded": 10,
                "currency": "USD" }));
        }
    }
    let token = broker.access_token("write").await;
    for (path, rows) in [("customers", customers), ("trading-activity", days)] {
        let (status, body) = broker.forex_push(&token, path, &Value::from(rows).to_string()).await;
        assert_eq!(status, 200, "{body}");
    }
    broker
}

/// The status of every commission, by its number.
async fn statuses(broker: &Broker) -> BTreeMap<i64, String> {
    let rows = broker.rows("/api/v1/commissions").await;
    assert_eq!(rows.len(), COMMISSIONS);
    let status = |row: &Value| {
        let id = row["id"].as_i64().expect("a number");
        (id, row["status"].as_str().expect("a status").to_owned())
    };
    rows.iter().map(status).collect()
}

/// Approves these, a few at once from several callers, and kills the server after so many answers; gives those that were
/// answered.
async fn approve_until_killed(broker: &mut Broker, chunks: &[Vec<i64>], answers_before_kill: usize) -> BTreeSet<i64> {
    let (tell, mut told) = mpsc::channel(chunks.len());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let ask = |chunk: &Vec<i64>| {
            let request = broker.request(Some(broker.key("secret_key")), Method::POST, "/api/v1/commissions/approve");
            (chunk.clone(), request.body(json!({ "ids": chunk }).to_string()))
        };
        let requests: Vec<_> = chunks.iter().skip(caller).step_by(CALLERS).map(ask).collect();
        let tell = tell.clone();
        callers.spawn(async move {
            for (chunk, request) in requests {
                // A server that is being killed cuts the answer off anywhere.
                let Ok(answer) = request.send().await else { return };
                let status = answer.status().as_u16();
                let Ok(body) = answer.text().await else { return };
                assert_eq!(status, 200, "{body}");
                tell.send(chunk).await.expect("somebody listens");
            }
        });
    }
    drop(tell);
    let mut answered = Vec::new();
    while answered.len() < answers_before_kill {
        answered.push(told.recv().await.expect("there are more requests"));
    }
    broker.server.kill();
    while let Some(chunk) = told.recv().await {
        answered.push(chunk);
    }
    assert_eq!(callers.join_all().await.len(), CALLERS);
    assert!(answered.len() < chunks.len(), "the kill came too late to interrupt anything");
    answered.into_iter().flatten().collect()
}

/// Asks for a payout run, and kills the server once some of its payouts are there.
async fn run_until_killed(broker: &mut Broker, run: &Value) {
    let request = broker.request(Some(broker.key("secret_key")), Method::POST, "/api/v1/payouts");
    let running = tokio::spawn(request.body(run.to_string()).send());
    while broker.rows("/api/v1/payouts").await.is_empty() {
        assert!(!running.is_finished(), "a run without payouts");
    }
    broker.server.kill();
    assert!(running.await.expect("asks").is_err(), "the kill came too late to interrupt anything");
}

/// The amount of each payout by its partner; each is of all that its commissions are worth.
async fn whole_payouts(broker: &Broker) -> BTreeMap<String, Decimal> {
    let mut paid = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for row in broker.rows("/api/v1/payouts").await {
        let (status, body) = broker.server.get(&format!("/api/v1/payouts/{}", row["id"])).await;
        assert_eq!(status, 200, "{body}");
        let story: Value = serde_json::from_str(&body).expect("JSON");
        let commissions = story["commission_ids"].as_array().expect("numbers");
        assert_eq!((commissions.len(), &row["amount"]), (CUSTOMERS_OF_EACH, &json!("80.00")), "{story}");
        for commission in commissions {
            assert!(taken.insert(commission.to_string()), "{commission} is in two payouts");
        }
        let amount = Decimal::parse(row["amount"].as_str().expect("an amount")).expect("a decimal");
        let before = paid.insert(row["partner"].as_str().expect("a partner").to_owned(), amount);
        assert_eq!(before, None, "a partner is paid twice: {row}");
    }
    paid
}

fn verify(broker: &Broker) {
    let verified = broker.server.command(&["verify", "--json"]).output().expect("it runs");
    let verdict: Value = serde_json::from_slice(&verified.stdout).expect("one JSON object");
    assert_eq!((verified.status.code(), &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
}

/// What all partners have in an account of the ledger.
async fn balance(broker: &Broker, account: &str) -> Decimal {
    let (status, body) = answer(broker.server.request(Method::GET, "/api/v1/ledger/balances")).await;
    assert_eq!(status, 200, "{body}");
    let rows: Vec<Value> = serde_json::from_str(&body).expect("a list");
    let of_account = rows.iter().filter(|row| row["account"]["name"] == account);
    let amounts = of_account.map(|row| Decimal::parse(row["balance"].as_str().expect("an amount")).expect("a decimal"));
    amounts.reduce(|sum, amount| sum.checked_add(amount).expect("in range")).unwrap_or(Decimal::ZERO)
}

async fn what_is_paid_is_whole_after_kill(engine: Engine) {
    let mut broker = with_pending(engine).await;
    let all: Vec<i64> = statuses(&broker).await.into_keys().collect();
    for (kill, part) in all.chunks(COMMISSIONS / KILLS).enumerate() {
        let chunks: Vec<Vec<i64>> = part.chunks(AT_ONCE).map(<[i64]>::to_vec).collect();
        let answered = approve_until_killed(&mut broker, &chunks, 1 + kill * 3).await;
        broker.server.start_again();
        let statuses = statuses(&broker).await;
        assert!(answered.iter().all(|id| statuses[id] == "approved"), "an answer was forgotten");
        for chunk in chunks {
            let of_chunk: BTreeSet<&String> = chunk.iter().map(|id| &statuses[id]).collect();
            assert_eq!(of_chunk.len(), 1, "half a request was done: {of_chunk:?}");
        }
        verify(&broker);
    }
    // What is approved already stays so.
    for chunk in all.chunks(100) {
        broker.done(Method::POST, "/api/v1/commissions/approve", &json!({ "ids": chunk })).await;
    }
    let run = json!({ "program": broker.program(), "until": "2999-12-31" });
    run_until_killed(&mut broker, &run).await;
    broker.server.start_again();
    let made = whole_payouts(&broker).await;
    assert!((1..PARTNERS).contains(&made.len()), "{} payouts of a run that was cut short", made.len());
    verify(&broker);
    let others = broker.done(Method::POST, "/api/v1/payouts", &run).await;
    assert_eq!(others["data"].as_array().map(Vec::len), Some(PARTNERS - made.len()), "the next run makes the others");
    let paid = whole_payouts(&broker).await;
    assert_eq!(paid.len(), PARTNERS);
    assert_eq!(broker.done(Method::POST, "/api/v1/payouts", &run).await["data"], json!([]), "nothing is left to pay");
    let total = paid.into_values().reduce(|sum, amount| sum.checked_add(amount).expect("in range"));
    assert_eq!(total, Some(balance(&broker, "payable").await), "what is paid is what is owed");
    verify(&broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_is_whole_after_kill_on_sqlite() {
    what_is_paid_is_whole_after_kill(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_is_whole_after_kill_on_postgres() {
    what_is_paid_is_whole_after_kill(Engine::Postgres).await;
}
