//! The program setting `plan_of`: whether a customer keeps the plan version that was in force when it registered.

use crate::broker::Broker;
use crate::server::{Engine, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, interval};

/// A plan with this rate a lot; where it steps, all customers of a partner are priced together.
fn plan(rate: &str, steps: bool) -> Value {
    let mut rule = json!({"id": "lots", "kind": "per_lot", "rate": rate});
    if steps {
        rule["brackets"] =
            json!({"metric": "lots", "steps": [{"from": "0", "rate": rate}, {"from": "100", "rate": "9"}]});
    }
    json!({"name": "kept", "currency": "USD", "rules": [rule]})
}

async fn a_customer_keeps_its_plan_where_the_program_says_so(engine: Engine, steps: bool) {
    let broker = Broker::start(engine).await;
    for (rate, from) in [("2.00", "2025-01-01"), ("5.00", "2026-01-01")] {
        let version = broker.done(Method::POST, "/api/v1/plans", &plan(rate, steps)).await["version"].clone();
        let activate = json!({"version": version, "from": from});
        broker.done(Method::POST, "/api/v1/plans/kept/activate", &activate).await;
    }
    let program = format!("/api/v1/programs/{}", broker.program());
    let shown = broker.done(Method::PATCH, &program, &json!({"plan": "kept"})).await;
    assert_eq!(shown["plan_of"], "current");
    let token = broker.access_token("read write").await;
    let customer = |id: &str, at: &str| json!({"customer_id": id, "signup_date": at, "affiliate_id": "ib_2044"});
    let customers = json!([
        customer("old", "2025-06-01T10:00:00Z"),
        customer("new", "2026-01-05T10:00:00Z"),
        customer("first", "2024-01-05T10:00:00Z")
    ]);
    let (status, body) = broker.forex_push(&token, "customers", &customers.to_string()).await;
    assert_eq!(status, 200, "{body}");
    let day = |id: &str| json!({"date": "2026-02-03", "customer_id": id, "instrument": "EURUSD", "lots_traded": 10, "currency": "USD"});
    let days = json!([day("old"), day("new"), day("first")]).to_string();
    let (status, body) = broker.forex_push(&token, "trading-activity", &days).await;
    assert_eq!(status, 200, "{body}");
    // Steps are priced in one cell of the partner and the period.
    let (first, kept, back): (&[_], &[_], &[_]) = if steps {
        (&["150.00"], &["-60.00"], &["60.00"])
    } else {
        (&["50.00", "50.00", "50.00"], &["-30.00", "-30.00"], &["30.00", "30.00"])
    };
    assert_eq!(broker.posted().await, first, "the plan of the day for all");
    broker.done(Method::PATCH, &program, &json!({"plan_of": "acquisition"})).await;
    // 10 lots at 2 for the one of last year, and for the one that was there before any plan.
    assert_eq!(settled(&broker, first.len(), kept.len()).await, kept);
    if engine == Engine::Postgres {
        let verified = broker.server.command(&["verify"]).output().expect("it runs");
        assert!(verified.status.success(), "{}", text(&verified));
    }
    broker.done(Method::PATCH, &program, &json!({"plan_of": "current"})).await;
    assert_eq!(settled(&broker, first.len() + kept.len(), back.len()).await, back);
}

/// A change of terms is priced in the background: the postings after so many, once they are there.
async fn settled(broker: &Broker, before: usize, more: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut every = interval(Duration::from_millis(200));
    loop {
        every.tick().await;
        let posted = broker.posted().await;
        if posted.len() >= before + more || Instant::now() > end {
            return posted[before..].to_vec();
        }
    }
}

#[tokio::test]
async fn a_customer_keeps_its_plan_where_the_program_says_so_on_sqlite() {
    a_customer_keeps_its_plan_where_the_program_says_so(Engine::Sqlite, false).await;
}

#[tokio::test]
async fn a_customer_keeps_its_plan_where_the_program_says_so_on_postgres() {
    a_customer_keeps_its_plan_where_the_program_says_so(Engine::Postgres, false).await;
}

#[tokio::test]
async fn a_customer_keeps_its_steps_where_the_program_says_so_on_sqlite() {
    a_customer_keeps_its_plan_where_the_program_says_so(Engine::Sqlite, true).await;
}

#[tokio::test]
async fn a_customer_keeps_its_steps_where_the_program_says_so_on_postgres() {
    a_customer_keeps_its_plan_where_the_program_says_so(Engine::Postgres, true).await;
}
