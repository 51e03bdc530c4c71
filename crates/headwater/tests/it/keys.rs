//! What each kind of key opens, and what a browser's key can make true.
//!
//! Leaves foreign accounts to `tenancy`.

use crate::broker::{Broker, answer, deposit};
use crate::receiver::Receiver;
use crate::server::Engine;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The site of the program, which `init` bound the publishable key to.
const ORIGIN: &str = "https://broker.example";
const TRACK: [&str; 2] = ["/api/referral/events/track", "/v1/referral/events"];
/// Every other path that takes a key, with ids that do not exist: a key is judged before its object is looked for.
pub const SECRET_ONLY: &[(&str, &str)] = &[
    ("POST", "/api/referral/links"),
    ("GET", "/api/referral/links"),
    ("GET", "/api/referral/links/x"),
    ("PATCH", "/api/referral/links/x"),
    ("GET", "/api/referral/clicks"),
    ("GET", "/api/referral/events"),
    ("POST", "/api/referral/events/1/confirm"),
    ("POST", "/api/referral/events/1/reject"),
    ("POST", "/api/postback_endpoints"),
    ("GET", "/api/postback_endpoints"),
    ("GET", "/api/postback_endpoints/x"),
    ("PATCH", "/api/postback_endpoints/x"),
    ("DELETE", "/api/postback_endpoints/x"),
    ("POST", "/api/postback_endpoints/x/rotate_secret"),
    ("POST", "/api/postback_endpoints/x/test"),
    ("GET", "/api/postback_endpoints/x/deliveries"),
    ("GET", "/api/postback_endpoints/x/deliveries/y"),
    ("POST", "/api/postback_endpoints/x/deliveries/y/retry"),
    ("GET", "/api/v1/programs"),
    ("POST", "/api/v1/programs"),
    ("GET", "/api/v1/programs/1"),
    ("PATCH", "/api/v1/programs/1"),
    ("GET", "/api/v1/programs/1/onboarding"),
    ("GET", "/api/v1/partners"),
    ("POST", "/api/v1/partners"),
    ("GET", "/api/v1/partners/x"),
    ("PATCH", "/api/v1/partners/x"),
    ("POST", "/api/v1/partners/x/move"),
    ("POST", "/api/v1/partners/x/suspend"),
    ("POST", "/api/v1/partners/x/restore"),
    ("GET", "/api/v1/plans"),
    ("POST", "/api/v1/plans"),
    ("GET", "/api/v1/plans/x"),
    ("GET", "/api/v1/plans/x/versions"),
    ("POST", "/api/v1/plans/x/activate"),
    ("GET", "/api/v1/customers/1"),
    ("GET", "/api/v1/facts/1"),
    ("GET", "/api/v1/facts/1/explain"),
    ("GET", "/api/v1/held"),
    ("GET", "/api/v1/audit"),
    ("POST", "/api/v1/held/x/retry"),
    ("POST", "/api/v1/held/x/dismiss"),
    ("POST", "/api/v1/commissions/approve"),
    ("POST", "/api/v1/commissions/deny"),
    ("GET", "/api/v1/commissions"),
    ("GET", "/api/v1/commissions/1"),
    ("GET", "/api/v1/commissions/1/explain"),
    ("GET", "/api/v1/ledger/entries"),
    ("GET", "/api/v1/ledger/balances"),
    ("GET", "/api/v1/ledger/statement"),
    ("GET", "/api/v1/ledger/statement/key"),
    ("GET", "/api/v1/payouts"),
    ("POST", "/api/v1/payouts"),
    ("GET", "/api/v1/payouts/1"),
    ("GET", "/api/v1/payouts/1/statement"),
    ("GET", "/api/v1/payments/1/file"),
    ("POST", "/api/v1/payouts/1/complete"),
    ("GET", "/api/v1/exchange-rates"),
    ("POST", "/api/v1/exchange-rates"),
    ("GET", "/api/v1/keys"),
    ("POST", "/api/v1/keys"),
    ("DELETE", "/api/v1/keys/1"),
];

fn code(body: &str) -> String {
    let error: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    error["error"]["code"].as_str().expect("an error has a code").to_owned()
}

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

/// A browser on the program's site sends this event.
fn from_browser(broker: &Broker, event: &Value) -> RequestBuilder {
    let request = broker.request(Some(broker.key("publishable_key")), Method::POST, TRACK[0]);
    request.header("origin", ORIGIN).body(event.to_string())
}

fn registration(click: &Value, email: &str) -> Value {
    json!({ "event": "REGISTRATION", "clickId": click, "data": { "email": email } })
}

async fn each_kind_of_key_opens_its_own_door_only(engine: Engine) {
    let broker = Broker::start(engine).await;
    let everywhere = SECRET_ONLY.iter().copied().chain(TRACK.map(|path| ("POST", path)));
    for (verb, path) in everywhere.clone() {
        let (status, body) = answer(broker.request(None, method(verb), path).body("{}")).await;
        assert_eq!((status, code(&body).as_str()), (401, "missing_api_key"), "{verb} {path}");
        let unknown = format!("sk_{}", "0".repeat(40));
        let (status, body) = answer(broker.request(Some(&unknown), method(verb), path).body("{}")).await;
        assert_eq!((status, code(&body).as_str()), (401, "invalid_api_key"), "{verb} {path}");
    }
    for kind in ["brand_token", "rewards_key"] {
        for (verb, path) in everywhere.clone() {
            let (status, body) = answer(broker.request(Some(broker.key(kind)), method(verb), path).body("{}")).await;
            assert_eq!((status, code(&body).as_str()), (403, "forbidden"), "{kind}: {verb} {path}");
        }
    }
    for (verb, path) in SECRET_ONLY {
        let request = broker.request(Some(broker.key("publishable_key")), method(verb), path);
        let (status, body) = answer(request.header("origin", ORIGIN).body("{}")).await;
        assert_eq!((status, code(&body).as_str()), (403, "forbidden"), "publishable: {verb} {path}");
    }
    let click = broker.visit().await.into();
    for path in TRACK {
        for (origin, opens) in [
            (None, false),
            (Some("https://evil.example"), false),
            (Some("https://broker.example.evil.example"), false),
            (Some("http://broker.example"), false),
            (Some("null"), false),
            (Some(ORIGIN), true),
        ] {
            let mut request = broker.request(Some(broker.key("publishable_key")), Method::POST, path);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let (status, body) = answer(request.body(registration(&click, "b@example.org").to_string())).await;
            assert_eq!(status, if opens { 200 } else { 403 }, "{path} from {origin:?}: {body}");
        }
    }
}

async fn a_browser_cannot_make_money_until_a_secret_key_confirms_it(engine: Engine) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    broker.endpoint(&receiver.url).await;
    let click = broker.visit().await;
    let (status, body) = answer(from_browser(&broker, &deposit(&click, "browser@example.org"))).await;
    assert_eq!(status, 200, "{body}");
    let event: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&event["verified"], &event["isConversion"]), (&false.into(), &false.into()), "{event}");
    assert_eq!(broker.rows("/api/v1/commissions").await, [] as [Value; 0]);

    let confirm = format!("/api/referral/events/{}/confirm", event["id"]);
    for (body, at_fault) in [
        (json!({"amount": -1, "currency": "USD"}), "amount"),
        (json!({"amount": 250}), "currency"),
        (json!({"amount": 250, "currency": "XXQ"}), "currency"),
    ] {
        let request = broker.request(Some(broker.key("secret_key")), Method::POST, &confirm).body(body.to_string());
        let (status, refused) = answer(request).await;
        let refused: Value = serde_json::from_str(&refused).expect("JSON");
        assert_eq!((status, &refused["error"]["param"]), (400, &at_fault.into()), "{body}: {refused}");
    }
    let confirmed = broker.done(Method::POST, &confirm, &json!({})).await;
    assert_eq!(confirmed["id"], event["id"]);
    assert_eq!((&confirmed["verified"], &confirmed["isConversion"]), (&true.into(), &true.into()), "{confirmed}");
    assert_eq!(broker.rows("/api/v1/commissions").await.len(), 1);
    let postback = receiver.next().await.json();
    assert_eq!(postback["data"]["verified"], true, "what came first was the confirmed event: {postback}");
    assert!(receiver.waiting().is_none());
}

async fn a_browser_cannot_guess_a_click(engine: Engine) {
    let broker = Broker::start(engine).await;
    let token = broker.visit().await;
    let honest = broker.done(Method::POST, TRACK[0], &registration(&token.as_str().into(), "a@example.org")).await;
    assert_eq!(honest["attribution"], "click", "{honest}");
    let number = &honest["clickId"];
    for click in [number.clone(), number.to_string().into()] {
        let (status, body) = answer(from_browser(&broker, &registration(&click, "n@example.org"))).await;
        assert_eq!((status, code(&body).as_str()), (403, "forbidden"), "{click}");
        let error: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(error["error"]["param"], "clickId");
    }
    let by_number = broker.done(Method::POST, TRACK[0], &registration(number, "s@example.org")).await;
    assert_eq!(by_number["clickId"], *number, "a secret key may name a click by its number: {by_number}");

    assert_eq!(token.len(), 40);
    for at in 0..token.len() {
        let other = if &token[at..=at] == "7" { "8" } else { "7" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let event = registration(&changed.into(), &format!("changed{at}@example.org"));
        let (status, body) = answer(from_browser(&broker, &event)).await;
        assert_eq!(status, 200, "a bad token is no error: {body}");
        let told: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((&told["attribution"], &told["clickId"]), (&"none".into(), &Value::Null), "character {at}: {told}");
        assert_eq!(told["partnerId"], Value::Null, "character {at}: {told}");
    }
}

on_both_engines! {
    each_kind_of_key_opens_its_own_door_only,
    a_browser_cannot_make_money_until_a_secret_key_confirms_it,
    a_browser_cannot_guess_a_click,
}
