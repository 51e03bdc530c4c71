//! `kill -9` in the middle of a storm of events, ten times: what was acknowledged is there once, and the books balance.
//!
//! The callers do what any caller must: send again what got no answer. Every client is sent two first deposits, by
//! callers that know nothing of each other, so a lost guard would show as a second commission.

use crate::broker::{Broker, answer, deposit};
use crate::server::Engine;
use headwater_domain::money::Decimal;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const KILLS: usize = 10;
const CALLERS: usize = 8;
/// Sent twice between two starts, this stays within a key's 600 requests a minute.
const EVENTS_PER_STORM: usize = 200;

/// The events of one storm, by `eventId`; neighbours are deposits of one client.
fn events(storm: usize, click: &str) -> Vec<(String, Value)> {
    let event = |number: usize| {
        let key = format!("order-{storm}-{number}");
        let mut event = deposit(click, &format!("client-{storm}-{}@example.org", number / 2));
        event["eventId"] = key.clone().into();
        (key, event)
    };
    (0..EVENTS_PER_STORM).map(event).collect()
}

fn track(broker: &Broker, event: &Value) -> RequestBuilder {
    broker.request(Some(broker.key("secret_key")), Method::POST, "/api/referral/events/track").body(event.to_string())
}

/// The answer, where there is one: a server that is being killed cuts it off anywhere.
async fn acknowledged(request: RequestBuilder) -> Option<String> {
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.text().await.ok()?;
    assert_eq!(status, 200, "{body}");
    Some(body)
}

/// Sends the events from all callers at once, kills the server after so many answers, and gives the answers.
async fn storm(broker: &mut Broker, events: &[(String, Value)], answers_before_kill: usize) -> HashMap<String, String> {
    let requests = events.iter().map(|(key, event)| (key.clone(), track(broker, event)));
    let requests: Arc<Vec<_>> = Arc::new(requests.collect());
    let next = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = mpsc::channel(EVENTS_PER_STORM);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (requests, next, tell) = (requests.clone(), next.clone(), tell.clone());
        callers.spawn(async move {
            while let Some((key, request)) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let request = request.try_clone().expect("a body in memory");
                let Some(body) = acknowledged(request).await else { return };
                tell.send((key.clone(), body)).await.expect("somebody listens");
            }
        });
    }
    drop(tell);
    let mut answers = HashMap::new();
    while answers.len() < answers_before_kill {
        let (key, body) = told.recv().await.expect("the storm is longer than this");
        answers.insert(key, body);
    }
    broker.server.kill();
    while let Some((key, body)) = told.recv().await {
        answers.insert(key, body);
    }
    let callers = callers.join_all().await;
    assert_eq!(callers.len(), CALLERS);
    assert!(answers.len() < events.len(), "the kill came too late to interrupt anything");
    answers
}

/// Sends all of them again: what was answered is answered alike, the rest now.
async fn send_again(broker: &Broker, events: &[(String, Value)], answers: &mut HashMap<String, String>) {
    let mut sending = JoinSet::new();
    for (key, event) in events {
        let (key, request) = (key.clone(), track(broker, event));
        sending.spawn(async move { (key, acknowledged(request).await.expect("nobody kills it now")) });
    }
    for (key, body) in sending.join_all().await {
        let first = answers.entry(key).or_insert_with(|| body.clone());
        assert_eq!(*first, body, "acknowledged before the kill, answered otherwise after it");
    }
}

fn decimal(amount: &Value) -> Decimal {
    Decimal::parse(amount.as_str().expect("a decimal string")).expect("a decimal")
}

async fn nothing_acknowledged_is_lost_or_doubled_by_kill(engine: Engine) {
    let mut broker = Broker::start(engine).await;
    let click = broker.visit().await;
    let mut acknowledged = HashMap::new();
    for number in 0..KILLS {
        let events = events(number, &click);
        let mut answers = storm(&mut broker, &events, 1 + number * 13).await;
        broker.server.start_again();
        assert_eq!(broker.server.get("/ready").await.0, 200, "ready without anybody's help");
        send_again(&broker, &events, &mut answers).await;
        acknowledged.extend(answers);
    }
    assert_eq!(acknowledged.len(), KILLS * EVENTS_PER_STORM);

    let mut stored = HashMap::new();
    for event in broker.rows("/api/referral/events").await {
        let key = event["eventId"].as_str().expect("all were sent with one").to_owned();
        assert!(stored.insert(key, event).is_none(), "an event is there twice");
    }
    assert_eq!(stored.len(), acknowledged.len());
    for (key, body) in &acknowledged {
        let told: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(stored[key], told);
    }

    let mut paid = HashMap::new();
    for commission in broker.rows("/api/v1/commissions").await {
        *paid.entry(commission["customer"].to_string()).or_insert(0) += 1;
    }
    assert_eq!(paid.len(), KILLS * EVENTS_PER_STORM / 2, "every client earned its partner a commission");
    assert!(paid.values().all(|times| *times == 1), "a client was paid for twice");

    let (status, balances) = answer(broker.server.request(Method::GET, "/api/v1/ledger/balances")).await;
    assert_eq!(status, 200, "{balances}");
    let balances: Vec<Value> = serde_json::from_str(&balances).expect("a list");
    assert!(balances.len() > 1, "{balances:?}");
    let sum = balances.iter().map(|row| decimal(&row["balance"])).reduce(|a, b| a.checked_add(b).expect("in range"));
    assert_eq!(sum, Some(Decimal::ZERO), "{balances:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_kill_on_sqlite() {
    nothing_acknowledged_is_lost_or_doubled_by_kill(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_kill_on_postgres() {
    nothing_acknowledged_is_lost_or_doubled_by_kill(Engine::Postgres).await;
}
