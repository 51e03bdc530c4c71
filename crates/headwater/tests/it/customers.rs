//! A client over the API: what it lacks, who brings it from a date on, a draft plan for it, and forgetting it.

use crate::broker::{Broker, answer, deposit};
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn get(broker: &Broker, path: &str) -> Value {
    let (status, text) = answer(broker.request(Some(broker.key("secret_key")), Method::GET, path)).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

async fn a_client_shows_what_it_lacks_and_whose_it_is(engine: Engine) {
    let broker = Broker::start(engine).await;
    let click = broker.visit().await;
    let mut small = deposit(&click, "client@example.org");
    small["data"]["amount"] = json!(100);
    let event = broker.done(Method::POST, "/api/referral/events/track", &small).await;
    let client = format!("/api/v1/customers/{}", event["clientId"]);
    let lacking = get(&broker, &client).await["qualification"].clone();
    assert_eq!(lacking[0]["missing"], json!({"min_first_deposit": "150"}));
    assert_eq!((&lacking[0]["rule"], &lacking[0]["met"]), (&Value::Null, &json!(false)));
    assert_eq!(lacking[1]["rule"], "cpa");
    let other = json!({"id": "ib_other", "name": "Other"});
    broker.done(Method::POST, "/api/v1/partners", &other).await;
    let bind = json!({"partner": "ib_other", "at": "2026-01-01", "reason": "came with a paper form"});
    let bound = broker.done(Method::POST, &format!("{client}/attribute"), &bind).await;
    let bindings = bound["attributions"].as_array().expect("bindings").clone();
    let by_hand = bindings.iter().find(|binding| binding["partner"] == "ib_other").expect("the new binding");
    assert_eq!(
        (&by_hand["reason"], &by_hand["from"]),
        (&json!("came with a paper form"), &json!("2026-01-01T00:00:00Z"))
    );
    let erased = broker.done(Method::POST, &format!("{client}/erase"), &Value::Null).await;
    assert_eq!(erased["person"], json!({"email": null, "name": null}));
}

async fn a_draft_is_simulated_over_what_was_recorded(engine: Engine) {
    let broker = Broker::start(engine).await;
    let click = broker.visit().await;
    broker.done(Method::POST, "/api/referral/events/track", &deposit(&click, "client@example.org")).await;
    let draft = json!({"name": "draft", "currency": "USD", "rules": [
        {"id": "cpa", "kind": "cpa", "amount": "500", "qualify": {"min_first_deposit": "250"}}]});
    let asked = json!({"program": broker.program(), "plan": draft, "from": "2020-01-01", "to": "2100-01-01"});
    let made = broker.done(Method::POST, "/api/v1/simulations", &asked).await;
    assert_eq!(made["status"], "done");
    let expected = json!([{"unit": "USD", "posted": "400.00", "simulated": "500.00", "difference": "100.00"}]);
    assert_eq!(made["totals"], expected);
    assert_eq!((&made["partners"][0]["partner"], &made["gain"]), (&json!("ib_2044"), &json!(1)));
    assert_eq!(get(&broker, &format!("/api/v1/simulations/{}", made["id"])).await, made);
    let verify = broker.server.command(&["verify", "--json"]).output().expect("it runs");
    let verdict: Value = serde_json::from_slice(&verify.stdout).expect("one JSON object");
    assert_eq!((verify.status.code(), &verdict["ok"]), (Some(0), &json!(true)), "beside the running server: {verdict}");
}

on_both_engines! {
    a_client_shows_what_it_lacks_and_whose_it_is,
    a_draft_is_simulated_over_what_was_recorded,
}
