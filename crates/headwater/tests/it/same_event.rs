//! The same event sent by an impatient caller, many times at once: it counts once, and everybody hears the same.

use crate::broker::{Broker, answer, deposit};
use crate::receiver::Receiver;
use crate::server::Engine;
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinSet;

const TIMES: usize = 64;

/// Sends it at once; all answers are one answer.
async fn sent_at_once(broker: &Broker, event: &Value, idempotency_key: Option<&str>) -> Value {
    let mut sending = JoinSet::new();
    for _ in 0..TIMES {
        let mut request = broker
            .request(Some(broker.key("secret_key")), Method::POST, "/api/referral/events/track")
            .body(event.to_string());
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        sending.spawn(answer(request));
    }
    let answers = sending.join_all().await;
    assert_eq!(answers.len(), TIMES);
    for answer in &answers {
        assert_eq!(answer.0, 200, "{answer:?}");
        assert_eq!(*answer, answers[0], "two callers were told different things");
    }
    serde_json::from_str(&answers[0].1).expect("JSON")
}

async fn an_event_sent_64_times_at_once_counts_once(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    let endpoint = broker.endpoint(&receiver.url).await;
    let deliveries = format!("/api/postback_endpoints/{}/deliveries", endpoint["id"].as_str().expect("an id"));
    let mut by_event_id = deposit(&broker.visit().await, "first@example.org");
    by_event_id["eventId"] = "order-1".into();
    let by_key = deposit(&broker.visit().await, "second@example.org");
    for (number, event, key) in [(1, by_event_id, None), (2, by_key, Some("attempt-1"))] {
        let told = sent_at_once(&broker, &event, key).await;
        assert_eq!(told["isConversion"], true, "{told}");
        assert_eq!(broker.rows("/api/referral/events").await.len(), number);
        assert_eq!(broker.rows("/api/v1/commissions").await.len(), number);
        assert_eq!(broker.rows(&deliveries).await.len(), number);
        assert_eq!(receiver.next().await.json()["event_id"], told["id"].to_string());
    }
    assert!(receiver.waiting().is_none(), "one event, one delivery");
}

on_both_engines! {
    an_event_sent_64_times_at_once_counts_once,
}
