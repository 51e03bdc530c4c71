//! `Idempotency-Key` on every POST: what makes something makes it once, and its answer is told again, byte for byte.
//!
//! Leaves events to `same_event`, which settle their keys with themselves.

use crate::broker::Broker;
use crate::receiver::Receiver;
use crate::server::Engine;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Status, whether it says that it was told before, and the body.
async fn told(request: RequestBuilder) -> (u16, bool, String) {
    let answer = request.send().await.expect("it answers");
    let (status, replayed) = (answer.status().as_u16(), answer.headers().contains_key("idempotent-replayed"));
    assert!(answer.headers().contains_key("ratelimit-remaining"), "every answer to a key says what is left");
    (status, replayed, answer.text().await.expect("a body"))
}

fn post(broker: &Broker, path: &str, key: &str, body: &Value) -> RequestBuilder {
    let request = broker.request(Some(broker.key("secret_key")), Method::POST, path);
    request.header("idempotency-key", key).body(body.to_string())
}

fn code(body: &str) -> Value {
    serde_json::from_str::<Value>(body).expect("JSON")["error"]["code"].clone()
}

async fn the_same_request_is_answered_alike_and_another_one_refused(engine: Engine) {
    let broker = Broker::start(engine).await;
    let receiver = Receiver::start().await;
    let endpoint = broker.endpoint(&receiver.url).await["id"].as_str().expect("an id").to_owned();
    let program = broker.program().to_owned();
    let rotate = format!("/api/postback_endpoints/{endpoint}/rotate_secret");
    let plan = |name: &str| json!({"name": name, "currency": "USD", "rules": [{"id": "lots", "kind": "per_lot", "rate": "6"}]});
    let link = |page: &str| json!({"partner_id": "ib_2044", "landing_page": page});
    let hook = |label: &str| json!({"url": receiver.url, "enabled_events": ["CUSTOM"], "description": label});
    let site = |name: &str| json!({"name": name, "site_url": "https://two.example"});
    let rate = |rate: &str| json!([{"date": "2026-01-31", "from": "EUR", "to": "USD", "rate": rate}]);
    // Path, list that shows what was made, status, a body and another body.
    let cases: [(&str, Option<&str>, u16, Value, Value); 9] = [
        ("/api/referral/links", Some("/api/referral/links"), 201, link("/a"), link("/b")),
        ("/api/postback_endpoints", Some("/api/postback_endpoints"), 201, hook("a"), hook("b")),
        (&rotate, None, 200, json!({"grace_seconds": 5}), json!({"grace_seconds": 6})),
        ("/api/v1/programs", Some("/api/v1/programs"), 201, site("a"), site("b")),
        ("/api/v1/partners", Some("/api/v1/partners"), 201, json!({"name": "a"}), json!({"name": "b"})),
        ("/api/v1/plans", Some("/api/v1/plans"), 201, plan("a"), plan("b")),
        (
            "/api/v1/keys",
            Some("/api/v1/keys"),
            201,
            json!({"kind": "secret"}),
            json!({"kind": "brand", "program": program}),
        ),
        ("/api/v1/exchange-rates", None, 201, rate("1.08"), rate("1.09")),
        ("/api/v1/partners/ib_2044/suspend", None, 200, json!({"at": "2026-01-01"}), json!({"at": "2026-01-02"})),
    ];
    for (path, list, status, body, other) in &cases {
        let before = if let Some(list) = list { broker.rows(list).await.len() } else { 0 };
        let first = told(post(&broker, path, "k-1", body)).await;
        assert_eq!((first.0, first.1), (*status, false), "{path}: {}", first.2);
        let again = told(post(&broker, path, "k-1", body)).await;
        assert_eq!((again.0, again.1), (*status, true), "{path}: {}", again.2);
        assert_eq!(again.2, first.2, "{path}: byte for byte");
        let (refused, _, error) = told(post(&broker, path, "k-1", other)).await;
        assert_eq!((refused, code(&error)), (409, "idempotency_key_reused".into()), "{path}");
        if let Some(list) = list {
            assert_eq!(broker.rows(list).await.len(), before + 1, "{path}: made once");
        }
        // Under another key it is another request.
        let (status, replayed, text) = told(post(&broker, path, "k-2", other)).await;
        assert!((200..300).contains(&status) && !replayed, "{path}: {status} {text}");
    }
    // A refused request is not kept: its key is free for the mended one.
    let (refused, ..) = told(post(&broker, "/api/referral/links", "k-3", &link("no slash"))).await;
    assert_eq!(refused, 400);
    assert_eq!(told(post(&broker, "/api/referral/links", "k-3", &link("/mended"))).await.0, 201);
    let long = "k".repeat(256);
    assert_eq!(told(post(&broker, "/api/referral/links", &long, &link("/a"))).await.0, 400);
}

async fn a_kept_answer_survives_a_kill_and_a_storm_makes_one(engine: Engine) {
    let mut broker = Broker::start(engine).await;
    let body = json!({"partner_id": "ib_2044", "landing_page": "/storm"});
    let before = broker.rows("/api/referral/links").await.len();
    let mut sending = JoinSet::new();
    for _ in 0..32 {
        sending.spawn(told(post(&broker, "/api/referral/links", "storm", &body)));
    }
    let answers = sending.join_all().await;
    let made: Vec<_> = answers.iter().filter(|(status, ..)| *status == 201).collect();
    assert!(!made.is_empty() && made.iter().all(|(_, _, text)| *text == made[0].2));
    let others = answers.iter().filter(|(status, ..)| *status != 201);
    assert!(others.clone().all(|(status, _, text)| *status == 409 && code(text) == "idempotency_in_progress"));
    assert_eq!(broker.rows("/api/referral/links").await.len(), before + 1);
    let first = made[0].2.clone();
    broker.server.kill();
    broker.server.start_again();
    let (status, replayed, text) = told(post(&broker, "/api/referral/links", "storm", &body)).await;
    assert_eq!((status, replayed, text), (201, true, first));
}

async fn a_secret_that_was_shown_is_not_kept_in_clear(engine: Engine) {
    let broker = Broker::start(engine).await;
    let (_, _, text) = told(post(&broker, "/api/v1/keys", "one", &json!({"kind": "secret"}))).await;
    let made: Value = serde_json::from_str(&text).expect("JSON");
    let secret = made["key"].as_str().expect("a key").rsplit('_').next().expect("its secret part").to_owned();
    let data = broker.server.folder.path().join("data");
    for file in std::fs::read_dir(&data).expect("the data folder") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret of a key is on the disk");
    }
}

#[tokio::test]
async fn a_secret_that_was_shown_is_not_kept_in_clear_on_sqlite() {
    a_secret_that_was_shown_is_not_kept_in_clear(Engine::Sqlite).await;
}

on_both_engines! {
    the_same_request_is_answered_alike_and_another_one_refused,
    a_kept_answer_survives_a_kill_and_a_storm_makes_one,
}
