//! What a hostile integration sends: each mistake is a 400 that names its parameter, in the one error body.

use crate::broker::{Broker, answer, deposit};
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn get(broker: &Broker, path: &str) -> (u16, Value) {
    let (status, text) = answer(broker.request(Some(broker.key("secret_key")), Method::GET, path)).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: no JSON: {text}")))
}

async fn send(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (status, text) =
        answer(broker.request(Some(broker.key("secret_key")), method, path).body(body.to_string())).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: no JSON: {text}")))
}

async fn lists_are_walked_by_ids_that_they_have_shown(engine: Engine) {
    let broker = Broker::start(engine).await;
    let receiver = "http://127.0.0.1:1/";
    for number in 0..2 {
        let click = broker.visit().await;
        let email = format!("c{number}@example.org");
        broker.done(Method::POST, "/api/referral/events/track", &deposit(&click, &email)).await;
        broker.done(Method::POST, "/api/v1/partners", &json!({"name": "P"})).await;
        broker.done(Method::POST, "/api/v1/programs", &json!({"name": "P", "site_url": "https://p.example"})).await;
        let plan = json!({"name": format!("p{number}"), "currency": "USD", "rules": [{"id": "lots", "kind": "per_lot", "rate": "6"}]});
        broker.done(Method::POST, "/api/v1/plans", &plan).await;
        broker.done(Method::POST, "/api/postback_endpoints", &json!({"url": receiver, "enabled_events": ["*"]})).await;
        let link = json!({"partner_id": "ib_2044", "landing_page": "/"});
        broker.done(Method::POST, "/api/referral/links", &link).await;
    }
    for path in [
        "/api/referral/events",
        "/api/referral/clicks",
        "/api/referral/links",
        "/api/postback_endpoints",
        "/api/v1/commissions",
        "/api/v1/ledger/entries",
        "/api/v1/programs",
        "/api/v1/partners",
        "/api/v1/plans",
        "/api/v1/keys",
    ] {
        let (status, all) = get(&broker, &format!("{path}?limit=100")).await;
        let all = all["data"].as_array().expect(path).clone();
        assert!(status == 200 && all.len() >= 2, "{path}: {all:?}");
        let mut walked: Vec<Value> = Vec::new();
        let mut after = String::new();
        loop {
            let (_, page) = get(&broker, &format!("{path}?limit=1{after}")).await;
            walked.extend_from_slice(page["data"].as_array().expect(path));
            assert_eq!(page["has_more"].as_bool(), Some(!page["next_cursor"].is_null()), "{path}");
            if page["has_more"] == false {
                break;
            }
            after = format!("&starting_after={}", page["next_cursor"].to_string().trim_matches('"'));
        }
        assert_eq!(walked, all, "{path}: one by one");
    }
    for path in [
        "/api/referral/events",
        "/api/referral/clicks",
        "/api/referral/links",
        "/api/postback_endpoints",
        "/api/v1/commissions",
        "/api/v1/ledger/entries",
        "/api/v1/held",
        "/api/v1/audit",
        "/api/v1/payouts",
        "/api/v1/exchange-rates",
        "/api/v1/programs",
        "/api/v1/partners",
        "/api/v1/plans",
        "/api/v1/keys",
    ] {
        for cursor in ["9007199254740991", "0", "-1", "+1", "abc", "ln_0000000000", "", "%20", "1.5"] {
            let (status, error) = get(&broker, &format!("{path}?starting_after={cursor}")).await;
            let told = (status, error["error"]["code"].as_str(), error["error"]["param"].as_str());
            assert_eq!(told, (400, Some("invalid_cursor"), Some("starting_after")), "{path} after {cursor:?}");
        }
        for limit in ["0", "101", "x", "1.0", ""] {
            let (status, error) = get(&broker, &format!("{path}?limit={limit}")).await;
            assert_eq!((status, &error["error"]["param"]), (400, &"limit".into()), "{path} limit {limit:?}");
        }
        let (status, error) = get(&broker, &format!("{path}?limit=1&limit=2")).await;
        assert_eq!((status, &error["error"]["param"]), (400, &"limit".into()), "{path}: sent twice");
    }
}

async fn a_cursor_of_another_account_is_no_cursor(engine: Engine) {
    let mine = Broker::start(engine).await;
    let click = mine.visit().await;
    let event = mine.done(Method::POST, "/api/referral/events/track", &deposit(&click, "a@example.org")).await;
    let init = ["init", "--json", "--account", "B", "--program", "P", "--site-url", "https://b.example"];
    let mut mine = mine;
    // A click's row may follow its redirect; a kill loses what still waits.
    let click = event["clickId"].to_string();
    while !get(&mine, "/api/referral/clicks").await.1.to_string().contains(&click) {
        tokio::task::yield_now().await;
    }
    mine.server.kill();
    let made = mine.server.command(&init).output().expect("it runs");
    let other: Value = serde_json::from_slice(&made.stdout).expect("one JSON object");
    mine.server.start_again();
    let key = other["secret_key"].as_str().expect("a key");
    let link = mine.link["id"].as_str().expect("an id").to_owned();
    for (path, cursor) in [
        ("/api/referral/events", event["id"].to_string()),
        ("/api/referral/clicks", event["clickId"].to_string()),
        ("/api/referral/links", link),
        ("/api/v1/partners", "ib_2044".to_owned()),
        ("/api/v1/programs", mine.program().to_owned()),
    ] {
        let asked = format!("{path}?starting_after={cursor}");
        let (status, text) = answer(mine.request(Some(key), Method::GET, &asked)).await;
        assert_eq!(status, 400, "{asked}: {text}");
        assert!(text.contains("invalid_cursor"), "{asked}: {text}");
        assert_eq!(get(&mine, &asked).await.0, 200, "{asked}: the owner goes on");
    }
}

async fn filters_that_mean_nothing_are_refused_by_name(engine: Engine) {
    let broker = Broker::start(engine).await;
    for (asked, param) in [
        ("/api/referral/events?eventType=first_deposit", "eventType"),
        ("/api/referral/events?isConversion=1", "isConversion"),
        ("/api/referral/events?verified=yes", "verified"),
        ("/api/referral/events?clientId=abc", "clientId"),
        ("/api/referral/events?from=yesterday", "from"),
        ("/api/referral/events?to=2026-02-30", "to"),
        ("/api/referral/events?from=2026-02-01T10:00:00", "from"),
        ("/api/referral/events?partnerId=a&partnerId=b", "partnerId"),
        ("/api/referral/clicks?country=Germany", "country"),
        ("/api/referral/clicks?country=1%27", "country"),
        ("/api/referral/clicks?to=x", "to"),
    ] {
        let (status, error) = get(&broker, asked).await;
        assert_eq!((status, error["error"]["param"].as_str()), (400, Some(param)), "{asked}: {error}");
    }
    for asked in [
        "/api/referral/events?from=2026-02-01&to=2026-02-03",
        "/api/referral/events?from=2026-02-01T00:00:00Z&eventType=REFERRAL_INITIATED",
        "/api/referral/clicks?from=2026-02-01&country=de",
        "/api/referral/events?partnerId=nobody&unknown=1",
    ] {
        assert_eq!(get(&broker, asked).await.0, 200, "{asked}");
    }
    for path in ["/api/referral/links/%ff", "/api/v1/partners/%c3%28", "/api/referral/events?eventType=%ff"] {
        let (status, error) = get(&broker, path).await;
        assert_eq!((status, &error["error"]["code"]), (400, &"validation_failed".into()), "{path}");
    }
    let twice = broker.request(Some(broker.key("secret_key")), Method::GET, "/api/referral/links");
    let (status, text) = answer(twice.header("x-api-key", "sk_other")).await;
    assert_eq!(status, 400, "{text}");
    // A date is a day of the program.
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"time_zone": "Pacific/Kiritimati"})).await;
    let now = broker.done(Method::POST, "/api/referral/events/track", &json!({"event": "EMAIL_SIGNUP"})).await;
    let at = now["timestamp"].as_str().expect("a time")[..10].to_owned();
    // Fourteen hours ahead: its present day began before the one of UTC did, or on the UTC day before.
    let (_, listed) = get(&broker, &format!("/api/referral/events?from={at}")).await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{at}");
}

async fn what_cannot_be_cleared_is_not_cleared(engine: Engine) {
    let broker = Broker::start(engine).await;
    let endpoint = json!({"url": "https://crm.broker.example/", "enabled_events": ["*"], "description": "CRM"});
    let endpoint = broker.done(Method::POST, "/api/postback_endpoints", &endpoint).await;
    let endpoint = format!("/api/postback_endpoints/{}", endpoint["id"].as_str().expect("an id"));
    let link = format!("/api/referral/links/{}", broker.link["id"].as_str().expect("an id"));
    let program = format!("/api/v1/programs/{}", broker.program());
    let partner = "/api/v1/partners/ib_2044";
    for (path, names) in [
        (endpoint.as_str(), &["url", "enabled_events", "metadata", "status"][..]),
        (&link, &["status", "metadata"]),
        (&program, &["name", "site_url", "time_zone", "currency", "window_days", "attribution"]),
        (partner, &["name", "rates", "metadata"]),
    ] {
        for name in names {
            let body = json!({ (*name): null });
            let (status, error) = send(&broker, Method::PATCH, path, &body).await;
            assert_eq!((status, error["error"]["param"].as_str()), (400, Some(*name)), "{path} {name}: {error}");
        }
    }
    broker.done(Method::POST, "/api/v1/partners", &json!({"id": "above", "name": "Above"})).await;
    let set = json!({"parent": "above", "plan": "standard", "email": "i@p.example", "program": broker.program()});
    let set_to = broker.done(Method::PATCH, partner, &set).await;
    assert_eq!((&set_to["parent"], &set_to["plan"]), (&"above".into(), &"standard".into()), "{set_to}");
    let (status, error) = send(&broker, Method::PATCH, "/api/v1/partners/above", &json!({"parent": "ib_2044"})).await;
    assert_eq!((status, &error["error"]["code"]), (409, &"cycle".into()), "{error}");
    for name in ["parent", "plan", "email", "program"] {
        let cleared = broker.done(Method::PATCH, partner, &json!({ (name): null })).await;
        assert_eq!(cleared[name], Value::Null, "{name}: {cleared}");
    }
    let cleared = broker.done(Method::PATCH, &endpoint, &json!({"description": null})).await;
    assert_eq!(cleared["description"], Value::Null);
    assert_eq!(broker.done(Method::PATCH, &program, &json!({"plan": null})).await["plan"], Value::Null);
}

async fn bodies_with_mistakes_are_refused_by_name(engine: Engine) {
    let broker = Broker::start(engine).await;
    let partner = |id: &str| json!({"id": id, "name": "P"});
    let link = |lang: &str| json!({"partner_id": "ib_2044", "landing_page": "/", "lang": lang});
    let hook = |url: &str| json!({"url": url, "enabled_events": ["*"]});
    for (path, body, param) in [
        ("/api/v1/partners", partner("a\u{7}b"), "id"),
        ("/api/v1/partners", partner(" a"), "id"),
        ("/api/v1/partners", partner(&"x".repeat(129)), "id"),
        ("/api/v1/partners", json!({"name": "P", "email": "nobody"}), "email"),
        ("/api/v1/partners", json!({"name": "P", "email": "a b@c.example"}), "email"),
        ("/api/v1/partners", json!({"name": "P", "email": "a@b@c.example"}), "email"),
        ("/api/v1/partners", json!({"name": "P\nQ"}), "name"),
        ("/api/referral/links", link("klingon"), "lang"),
        ("/api/referral/links", link("xx"), "lang"),
        // 127.0.0.0/8 is allowed to this server, which makes no public name plain.
        ("/api/postback_endpoints", hook("http://example.com/"), "url"),
        ("/api/postback_endpoints", hook("https://example.com:22/"), "url"),
        ("/api/postback_endpoints", hook("http://10.0.0.1/"), "url"),
    ] {
        let (status, error) = send(&broker, Method::POST, path, &body).await;
        assert_eq!((status, error["error"]["param"].as_str()), (400, Some(param)), "{path} {body}: {error}");
    }
    assert_eq!(send(&broker, Method::POST, "/api/postback_endpoints", &hook("http://127.0.0.1:9/x")).await.0, 201);
    assert_eq!(send(&broker, Method::POST, "/api/referral/links", &link("pt-BR")).await.0, 201);
    let zero = broker.request(Some(broker.key("secret_key")), Method::POST, "/api/referral/events/track");
    let zero = zero.body(r#"{"event":"WITHDRAWAL","data":{"amount":-0.0,"currency":"USD"}}"#);
    let (status, text) = answer(zero).await;
    assert!(status == 200 && text.contains(r#""amount":0.0,"#), "{text}");
}

async fn a_decision_can_be_sent_again(engine: Engine) {
    let broker = Broker::start(engine).await;
    let click = broker.visit().await;
    for (decision, number) in [("confirm", 0), ("reject", 1)] {
        let event = deposit(&click, &format!("b{number}@example.org"));
        let browser = broker.request(Some(broker.key("publishable_key")), Method::POST, "/api/referral/events/track");
        let (status, text) = answer(browser.header("origin", "https://broker.example").body(event.to_string())).await;
        assert_eq!(status, 200, "{text}");
        let event: Value = serde_json::from_str(&text).expect("JSON");
        let path = format!("/api/referral/events/{}/{decision}", event["id"]);
        let first = send(&broker, Method::POST, &path, &json!({"amount": 700, "currency": "USD"})).await;
        assert_eq!(first.0, 200, "{decision}: {}", first.1);
        let again = send(&broker, Method::POST, &path, &json!({"amount": 700, "currency": "USD"})).await;
        assert_eq!(again, first, "{decision}");
        let other = if decision == "confirm" { "reject" } else { "confirm" };
        let path = format!("/api/referral/events/{}/{other}", event["id"]);
        let (status, error) = send(&broker, Method::POST, &path, &json!({})).await;
        assert_eq!((status, &error["error"]["code"]), (409, &"event_not_unverified".into()), "{other}");
        if decision == "confirm" {
            let path = format!("/api/referral/events/{}/confirm", event["id"]);
            assert_eq!(send(&broker, Method::POST, &path, &json!({"amount": 701, "currency": "USD"})).await.0, 409);
        }
    }
    assert_eq!(broker.rows("/api/v1/commissions").await.len(), 1);
}

async fn the_landing_page_hears_of_the_click_that_stands(engine: Engine) {
    let broker = Broker::start(engine).await;
    broker.done(Method::POST, "/api/v1/partners", &json!({"id": "second", "name": "Second"})).await;
    let link = json!({"partner_id": "second", "landing_page": "/"});
    let second = broker.done(Method::POST, "/api/referral/links", &link).await;
    let follow = async |url: &Value, cookies: &str| {
        let path = url.as_str().expect("a url").split_once("/click").expect("a click").1.to_owned();
        let request = broker.request(None, Method::GET, &format!("/click{path}"));
        let request = request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
        let answer = request.header("cookie", cookies).send().await.expect("it answers");
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().filter_map(|c| c.to_str().ok()).collect();
        let pairs: Vec<_> = cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect();
        let location = answer.headers()["location"].to_str().expect("text").to_owned();
        (location, pairs.join("; "))
    };
    let (first, cookies) = follow(&broker.link["url"], "").await;
    let (then, _) = follow(&second["url"], &cookies).await;
    let of = |url: &str, name: &str| {
        let url = url::Url::parse(url).expect("a url");
        url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    };
    assert_eq!(of(&first, "partner-id").as_deref(), Some("ib_2044"));
    assert_eq!(of(&then, "click-id"), of(&first, "click-id"), "the first click stands");
    assert_eq!(of(&then, "partner-id").as_deref(), Some("ib_2044"), "and so does its partner");
}

async fn only_known_origins_are_let_read(engine: Engine) {
    let broker = Broker::start(engine).await;
    let echoed = async |method: Method, key: Option<&str>, origin: &str| {
        let request = broker.request(key, method, "/api/referral/events/track").header("origin", origin);
        let answer = request.body(r#"{"event":"EMAIL_SIGNUP"}"#).send().await.expect("it answers");
        let headers = answer.headers();
        assert!(headers.get_all("vary").iter().any(|value| value == "Origin"));
        let origin = headers.get("access-control-allow-origin").map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(headers.contains_key("access-control-allow-headers"), origin.is_some() && answer.status() == 204);
        origin
    };
    let publishable = broker.key("publishable_key");
    for (method, key) in [
        (Method::OPTIONS, None),
        (Method::POST, Some(publishable)),
        (Method::POST, Some(broker.key("secret_key"))),
        (Method::POST, None),
    ] {
        let own = "https://broker.example";
        assert_eq!(echoed(method.clone(), key, own).await.as_deref(), Some(own), "{method} {key:?}");
        for foreign in ["https://evil.example", "null", "https://broker.example.evil.example", "http://broker.example"]
        {
            assert_eq!(echoed(method.clone(), key, foreign).await, None, "{method} {foreign}");
        }
    }
}

macro_rules! on_both_engines {
    ($($claim:ident),+ $(,)?) => {$(
        mod $claim {
            use crate::server::Engine;

            #[tokio::test]
            async fn on_sqlite() {
                super::$claim(Engine::Sqlite).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$claim(Engine::Postgres).await;
            }
        }
    )+};
}

on_both_engines! {
    lists_are_walked_by_ids_that_they_have_shown,
    a_cursor_of_another_account_is_no_cursor,
    filters_that_mean_nothing_are_refused_by_name,
    what_cannot_be_cleared_is_not_cleared,
    bodies_with_mistakes_are_refused_by_name,
    a_decision_can_be_sent_again,
    the_landing_page_hears_of_the_click_that_stands,
    only_known_origins_are_let_read,
}
