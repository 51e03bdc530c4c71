//! The reference and the server say the same: every described operation is served, and what is answered is described.

use crate::broker::{Broker, answer, deposit};
use crate::keys::SECRET_ONLY;
use crate::receiver::Receiver;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn document(broker: &Broker) -> Value {
    let (status, text) = answer(broker.request(None, Method::GET, "/openapi.json")).await;
    assert_eq!(status, 200);
    serde_json::from_str(&text).expect("JSON")
}

/// Whether a described path is this one.
fn is_path(described: &str, path: &str) -> bool {
    let (described, path): (Vec<_>, Vec<_>) = (described.split('/').collect(), path.split('/').collect());
    described.len() == path.len() && described.iter().zip(path).all(|(d, p)| d.starts_with('{') || *d == p)
}

async fn every_described_operation_is_served(engine: Engine) {
    let broker = Broker::start(engine).await;
    let document = document(&broker).await;
    let paths = document["paths"].as_object().expect("paths");
    for (path, item) in paths {
        for method in item.as_object().expect("an item").keys() {
            let asked = path.replace("{id}", "1").replace("{delivery_id}", "1").replace("{name}", "x");
            let verb: Method = method.to_uppercase().parse().expect("a method");
            let answer = broker.request(None, verb, &asked).body("{}").send().await.expect("it answers");
            let status = answer.status().as_u16();
            assert!(![404, 405, 500, 501].contains(&status), "{method} {path}: {status}");
            let named = |security: &Value| security[0].as_object().is_some_and(|scheme| !scheme.is_empty());
            let is_keyed = item[method].get("security").is_none_or(named);
            assert_eq!(status == 401, is_keyed, "{method} {path}: {status}");
        }
    }
    for (method, path) in SECRET_ONLY {
        let described = paths.iter().filter(|(described, _)| is_path(described, path));
        assert!(described.clone().any(|(_, item)| item.get(method.to_lowercase()).is_some()), "{method} {path}");
    }
}

/// The properties of a schema by name, with those that it takes over from others.
fn properties(document: &Value, schema: &Value) -> (BTreeSet<String>, BTreeSet<String>, bool) {
    let schema = match schema["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).expect(target),
        None => schema,
    };
    let (mut all, mut required, mut open) = (BTreeSet::new(), BTreeSet::new(), false);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, needed, is_open) = properties(document, part);
        all.extend(more);
        required.extend(needed);
        open |= is_open;
    }
    all.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    (all, required, open || schema.get("additionalProperties").is_some())
}

async fn what_is_answered_is_what_is_described(engine: Engine) {
    let broker = Broker::start(engine).await;
    let receiver = Receiver::start().await;
    let endpoint = broker.endpoint(&receiver.url).await;
    let click = broker.visit().await;
    let event = broker.done(Method::POST, "/api/referral/events/track", &deposit(&click, "a@example.org")).await;
    let document = document(&broker).await;
    let id = |value: &Value| value.to_string().trim_matches('"').to_owned();
    let commission = broker.rows("/api/v1/commissions").await[0].clone();
    let key = broker.rows("/api/v1/keys").await[0].clone();
    let test = format!("/api/postback_endpoints/{}/test", id(&endpoint["id"]));
    let deliveries = format!("/api/postback_endpoints/{}/deliveries", id(&endpoint["id"]));
    let link = json!({"partner_id": "ib_2044", "landing_page": "/"});
    let hook = json!({"url": receiver.url, "enabled_events": ["CUSTOM"]});
    let plan = json!({"name": "n", "currency": "USD", "rules": [{"id": "lots", "kind": "per_lot", "rate": "6"}]});
    let asked = [
        (Method::POST, "/api/referral/links".to_owned(), link),
        (Method::GET, format!("/api/referral/links/{}", id(&broker.link["id"])), Value::Null),
        (Method::GET, "/api/referral/links".to_owned(), Value::Null),
        (Method::GET, "/api/referral/clicks".to_owned(), Value::Null),
        (Method::GET, "/api/referral/events".to_owned(), Value::Null),
        (Method::POST, "/v1/referral/events".to_owned(), json!({"event": "EMAIL_SIGNUP"})),
        (Method::POST, "/api/postback_endpoints".to_owned(), hook),
        (Method::GET, "/api/postback_endpoints".to_owned(), Value::Null),
        (Method::GET, format!("/api/postback_endpoints/{}", id(&endpoint["id"])), Value::Null),
        (Method::POST, test, json!({})),
        (Method::GET, deliveries, Value::Null),
        (Method::GET, "/api/v1/programs".to_owned(), Value::Null),
        (Method::GET, format!("/api/v1/programs/{}", broker.program()), Value::Null),
        (Method::POST, "/api/v1/partners".to_owned(), json!({"name": "n"})),
        (Method::GET, "/api/v1/partners".to_owned(), Value::Null),
        (Method::GET, "/api/v1/partners/ib_2044".to_owned(), Value::Null),
        (Method::POST, "/api/v1/plans".to_owned(), plan),
        (Method::GET, "/api/v1/plans".to_owned(), Value::Null),
        (Method::GET, "/api/v1/plans/standard".to_owned(), Value::Null),
        (Method::GET, format!("/api/v1/customers/{}", event["clientId"]), Value::Null),
        (Method::GET, format!("/api/v1/facts/{}", commission["fact"]), Value::Null),
        (Method::GET, format!("/api/v1/facts/{}/explain", commission["fact"]), Value::Null),
        (Method::GET, "/api/v1/held".to_owned(), Value::Null),
        (Method::GET, "/api/v1/audit".to_owned(), Value::Null),
        (Method::GET, "/api/v1/commissions".to_owned(), Value::Null),
        (Method::GET, format!("/api/v1/commissions/{}", commission["id"]), Value::Null),
        (Method::GET, format!("/api/v1/commissions/{}/explain", commission["id"]), Value::Null),
        (Method::GET, "/api/v1/ledger/entries".to_owned(), Value::Null),
        (Method::GET, "/api/v1/keys".to_owned(), Value::Null),
        (Method::POST, "/api/v1/keys".to_owned(), json!({"kind": "secret"})),
    ];
    assert!(key["id"].is_number());
    for (method, path, body) in asked {
        let told = broker.done(method.clone(), &path, &body).await;
        let described = document["paths"].as_object().expect("paths").iter();
        // Literal paths before those with names in them.
        let (_, item) =
            described.filter(|(d, _)| is_path(d, &path)).min_by_key(|(d, _)| d.matches('{').count()).expect(&path);
        let responses = item[method.as_str().to_lowercase()]["responses"].as_object().expect("responses");
        let (_, success) = responses.iter().find(|(status, _)| status.starts_with('2')).expect("a success");
        agree(&document, &success["content"]["application/json"]["schema"], &told, &format!("{method} {path}"));
    }
}

/// Every key is described, and every required one is there; lists by their first object.
fn agree(document: &Value, schema: &Value, told: &Value, at: &str) {
    let Some(object) = told.as_object() else { return };
    let (all, required, open) = properties(document, schema);
    let keys: BTreeSet<_> = object.keys().cloned().collect();
    assert!(open || keys.is_subset(&all), "{at}: not described: {:?}", keys.difference(&all));
    assert!(required.is_subset(&keys), "{at}: not answered: {:?}", required.difference(&keys));
    if let Some(first) = object.get("data").and_then(Value::as_array).and_then(|data| data.first()) {
        let target = schema["$ref"].as_str().expect("a page has a name");
        let items = document.pointer(&format!("{}/properties/data/items", &target[1..])).expect("a page has objects");
        agree(document, items, first, &format!("{at} data"));
    }
}

#[tokio::test]
async fn every_described_operation_is_served_on_sqlite() {
    every_described_operation_is_served(Engine::Sqlite).await;
}

on_both_engines! {
    what_is_answered_is_what_is_described,
}
