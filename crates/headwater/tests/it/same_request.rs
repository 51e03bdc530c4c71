//! `Idempotency-Key` in the brand and the forex dialect: one effect, one answer, told again byte for byte.
//!
//! The records of these tests have no key of their own, or would be counted as updates, so that nothing but the header
//! stands between a repeated request and a second commission. Leaves the other dialects to `idempotency`.

use crate::broker::Broker;
use crate::forex::customer;
use crate::server::Engine;
use crate::track360::paying_per_lot;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CUSTOMER: &str = r#"[{"customerId": "c1", "regtime": "2025-07-21 08:46", "tracking_data": "2001_1000_abcdefg"}]"#;

/// Trades of this many lots at a time of day: a record that is one more whenever it comes.
fn lots(lots: &str) -> String {
    json!([{"eventname": "Lots", "customerid": "c1", "createtime": "2025-07-21 11:03", "Value": lots, "Currency": "USD"}])
        .to_string()
}

struct Told {
    status: u16,
    is_replayed: bool,
    body: String,
}

async fn told(request: RequestBuilder) -> Told {
    let answer = request.send().await.expect("it answers");
    let is_replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    assert!(answer.headers().contains_key("ratelimit-remaining"), "every answer to a key says what is left");
    Told { status: answer.status().as_u16(), is_replayed, body: answer.text().await.expect("a body") }
}

fn brand(broker: &Broker, what: &str, key: &str, body: &str) -> RequestBuilder {
    let request = broker.request(Some(broker.key("brand_token")), Method::POST, &format!("/tracking/events/{what}"));
    request.header("idempotency-key", key).body(body.to_owned())
}

fn forex(broker: &Broker, token: &str, what: &str, key: &str, body: &str) -> RequestBuilder {
    broker.forex(token, Method::POST, what).header("idempotency-key", key).body(body.to_owned())
}

fn code(body: &str) -> Value {
    serde_json::from_str::<Value>(body).expect("JSON")["error"]["code"].clone()
}

async fn a_brands_request_counts_once_under_its_key(engine: Engine) {
    let mut broker = paying_per_lot(engine).await;
    broker.brand("customers", CUSTOMER).await;
    let first = told(brand(&broker, "activities", "k-1", &lots("10"))).await;
    assert_eq!((first.status, first.is_replayed), (200, false), "{}", first.body);
    // Sorted otherwise and with other space, it is the same request.
    let same = r#" [ {"Currency": "USD", "Value": "10", "createtime": "2025-07-21 11:03", "customerid": "c1", "eventname": "Lots"} ]"#;
    for body in [lots("10"), same.to_owned()] {
        let again = told(brand(&broker, "activities", "k-1", &body)).await;
        assert_eq!((again.status, again.is_replayed, &again.body), (200, true, &first.body));
    }
    assert_eq!(broker.posted().await, ["20.00"]);
    let other = told(brand(&broker, "activities", "k-1", &lots("11"))).await;
    assert_eq!((other.status, code(&other.body)), (422, "idempotency_key_reused".into()), "{}", other.body);
    // A key is of one path, and of one token.
    assert_eq!(told(brand(&broker, "customers", "k-1", CUSTOMER)).await.status, 200);
    assert_eq!(told(brand(&broker, "activities", "k-2", &lots("10"))).await.status, 200);
    assert_eq!(broker.posted().await, ["20.00", "20.00"]);

    // What was refused as a whole is not kept; what was taken in part is, with its refusals.
    let unknown = lots("10").replace("c1", "c9");
    let refused = told(brand(&broker, "activities", "k-3", &unknown)).await;
    assert_eq!((refused.status, refused.is_replayed), (422, false));
    let both = format!("[{},{}]", lots("1").trim_matches(['[', ']']), unknown.trim_matches(['[', ']']));
    let part = told(brand(&broker, "activities", "k-3", &both)).await;
    assert_eq!((part.status, part.is_replayed), (207, false), "{}", part.body);
    let again = told(brand(&broker, "activities", "k-3", &both)).await;
    assert_eq!((again.status, again.is_replayed, again.body), (207, true, part.body));
    assert_eq!(broker.posted().await.len(), 3);

    for bad in ["", &"k".repeat(256)] {
        let refused = told(brand(&broker, "activities", bad, &lots("1"))).await;
        assert_eq!((refused.status, code(&refused.body)), (400, "validation_failed".into()));
    }
    broker.server.kill();
    broker.server.start_again();
    let again = told(brand(&broker, "activities", "k-1", &lots("10"))).await;
    assert_eq!((again.status, again.is_replayed, again.body), (200, true, first.body), "it is on the disk");
    assert_eq!(broker.posted().await.len(), 3);
}

async fn a_forex_request_counts_once_under_its_key(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    let bearer = broker.access_token("read write").await;
    let body = json!([customer("c1")]).to_string();
    let first = told(forex(&broker, &bearer, "customers", "k-1", &body)).await;
    assert_eq!((first.status, first.is_replayed), (200, false), "{}", first.body);
    assert!(first.body.contains(r#""created":1"#), "{}", first.body);
    // Another token of the same client is the same caller.
    let bearer = broker.access_token("write").await;
    let again = told(forex(&broker, &bearer, "customers", "k-1", &body)).await;
    assert_eq!((again.status, again.is_replayed, again.body), (200, true, first.body), "created, though it is there");
    let mut other = customer("c1");
    other["country_code"] = "ES".into();
    let taken = told(forex(&broker, &bearer, "customers", "k-1", &json!([other]).to_string())).await;
    assert_eq!((taken.status, code(&taken.body)), (422, "idempotency_key_reused".into()));

    let mut wrong = customer("c2");
    wrong["email"] = "none".into();
    for expected in [422, 422] {
        let refused = told(forex(&broker, &bearer, "customers", "k-2", &json!([wrong]).to_string())).await;
        assert_eq!((refused.status, refused.is_replayed), (expected, false), "a refusal is not kept");
    }
    let mended = told(forex(&broker, &bearer, "customers", "k-2", &json!([customer("c2")]).to_string())).await;
    assert_eq!((mended.status, mended.is_replayed), (200, false), "{}", mended.body);
    let refused = told(forex(&broker, &bearer, "customers", &"k".repeat(256), &body)).await;
    let error: Value = serde_json::from_str(&refused.body).expect("JSON");
    assert_eq!((refused.status, &error["error"]["details"][0]["field"]), (422, &json!("Idempotency-Key")));
}

/// Both dialects at once, on as many nodes as there are.
async fn storm(broker: &Broker, addresses: &[String]) {
    broker.brand("customers", CUSTOMER).await;
    let mut sending = JoinSet::new();
    for at in 0..40 {
        let request = brand(broker, "activities", "storm", &lots("10")).build().expect("a request");
        let mut request = request;
        let url = format!("{}{}", addresses[at % addresses.len()], request.url().path());
        *request.url_mut() = url.parse().expect("an address");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        sending.spawn(async move {
            let answer = http.execute(request).await.expect("it answers");
            let is_replayed = answer.headers().contains_key("idempotent-replayed");
            Told { status: answer.status().as_u16(), is_replayed, body: answer.text().await.expect("a body") }
        });
    }
    let answers = sending.join_all().await;
    let made: Vec<_> = answers.iter().filter(|told| told.status == 200).collect();
    assert!(!made.is_empty() && made.iter().all(|told| told.body == made[0].body), "one answer");
    assert_eq!(made.iter().filter(|told| !told.is_replayed).count(), 1, "one of them is the first");
    for told in answers.iter().filter(|told| told.status != 200) {
        assert_eq!((told.status, code(&told.body)), (409, "idempotency_in_progress".into()), "{}", told.body);
    }
    assert_eq!(broker.posted().await, ["20.00"], "one effect");
}

async fn a_storm_of_one_request_has_one_effect(engine: Engine) {
    let broker = paying_per_lot(engine).await;
    storm(&broker, std::slice::from_ref(&broker.server.url)).await;
}

#[tokio::test]
async fn a_storm_on_two_nodes_has_one_effect() {
    let broker = paying_per_lot(Engine::Postgres).await;
    let second = broker.server.second_node();
    storm(&broker, &[broker.server.url.clone(), second.url.clone()]).await;
}

on_both_engines! {
    a_brands_request_counts_once_under_its_key,
    a_forex_request_counts_once_under_its_key,
    a_storm_of_one_request_has_one_effect,
}
