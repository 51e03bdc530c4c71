//! Events that servers report by an address alone: who may, what they become, and that nothing counts twice.

use crate::broker::{Broker, answer};
use crate::server::Engine;
use headwater_domain::money::Decimal;
use reqwest::Method;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-a-tracker";

async fn told(broker: &Broker, method: Method, path: &str) -> (u16, String) {
    answer(broker.request(None, method, path)).await
}

async fn patch(broker: &Broker, settings: Value) -> Value {
    broker.done(Method::PATCH, &format!("/api/v1/programs/{}", broker.program()), &settings).await
}

async fn events(broker: &Broker) -> Vec<Value> {
    broker.rows("/api/referral/events").await
}

async fn amounts(broker: &Broker) -> Vec<String> {
    let rows = broker.rows("/api/v1/commissions").await;
    rows.iter().map(|row| row["amount"].as_str().expect("an amount").to_owned()).collect()
}

async fn a_reported_deposit_earns_once(engine: Engine) {
    let broker = Broker::start(engine).await;
    let click = broker.visit().await;
    let path = format!("/postback?click_id={click}&event=FIRST_DEPOSIT&amount=500.00&currency=USD&txid=t1");
    assert_eq!(told(&broker, Method::GET, &format!("{path}&key={TOKEN}")).await.0, 403, "no token is set");
    let program = patch(&broker, json!({"postback_token": TOKEN})).await;
    assert!(!program.to_string().contains(TOKEN) && program.get("postback_token").is_none(), "{program}");

    for wrong in [path.clone(), format!("{path}&key=another-token-entirely"), format!("{path}&key=")] {
        assert_eq!(told(&broker, Method::GET, &wrong).await.0, 403, "{wrong}");
    }
    let head = broker.request(None, Method::HEAD, &format!("{path}&key={TOKEN}")).send().await.expect("it answers");
    assert_eq!((head.status().as_u16(), events(&broker).await.len()), (200, 0), "who only looks reports nothing");
    assert_eq!(told(&broker, Method::GET, &format!("{path}&key={TOKEN}")).await, (200, "OK".to_owned()));
    assert_eq!(amounts(&broker).await, ["400.00"]);
    let event = events(&broker).await[0].clone();
    assert_eq!((&event["partnerId"], &event["attribution"]), (&json!("ib_2044"), &json!("click")), "{event}");
    assert!(event["clientId"].is_number(), "the click's client: {event}");

    // The same click, event and transaction, whatever else it says, by any name and any method.
    for (method, again) in [
        (Method::GET, path.clone()),
        (Method::POST, path.replace("500.00", "900.00")),
        (Method::GET, path.replace("click_id", "subid").replace("event", "goal").replace("amount", "payout")),
        (Method::GET, path.replace("FIRST_DEPOSIT", "first_deposit")),
    ] {
        assert_eq!(told(&broker, method, &format!("{again}&key={TOKEN}")).await.0, 200, "{again}");
    }
    assert_eq!((events(&broker).await.len(), amounts(&broker).await), (1, vec!["400.00".to_owned()]));

    let pixel = broker.request(None, Method::GET, &format!("/postback.gif?cid={click}&et=FIRST_TRADE&key={TOKEN}"));
    let pixel = pixel.send().await.expect("it answers");
    assert_eq!(
        (pixel.status().as_u16(), &pixel.headers()["content-type"]),
        (200, &"image/gif".parse().expect("a type"))
    );
    assert_eq!(pixel.headers()["cache-control"], "no-store");
    assert!(pixel.bytes().await.expect("a body").starts_with(b"GIF89a"));
    let form = format!("click_id={click}&event=WITHDRAWAL&amount=10&txid=t2&key={TOKEN}");
    let posted = broker.request(None, Method::POST, "/postback").body(form);
    let posted = answer(posted.header("content-type", "application/x-www-form-urlencoded")).await;
    assert_eq!(posted, (200, "OK".to_owned()));
    assert_eq!(events(&broker).await.len(), 3);

    // An event that is not on the list is answered, and is none; a click that leads nowhere earns nothing.
    assert_eq!(told(&broker, Method::GET, &format!("/postback?cid={click}&event=lead&key={TOKEN}")).await.0, 200);
    assert_eq!(events(&broker).await.len(), 3);
    let forged = format!("/postback?cid=nobody&event=FIRST_DEPOSIT&amount=500&txid=t3&key={TOKEN}");
    assert_eq!(told(&broker, Method::GET, &forged).await.0, 200);
    assert_eq!((events(&broker).await.len(), amounts(&broker).await.len()), (4, 1));
    for bad in ["event=FIRST_DEPOSIT", "cid=x", "cid=x&event=FIRST_DEPOSIT&amount=1e3", "cid=x&cid=y&event=CUSTOM"] {
        assert_eq!(told(&broker, Method::GET, &format!("/postback?{bad}&key={TOKEN}")).await.0, 400, "{bad}");
    }
}

async fn a_program_says_who_reports_and_by_which_names(engine: Engine) {
    let broker = Broker::start(engine).await;
    let click = broker.visit().await;
    patch(&broker, json!({"postback_ips": ["127.0.0.0/8"], "postback_events": {"dep": "FIRST_DEPOSIT"}})).await;
    let deposit = format!("/postback?click_id={click}&event=dep&amount=500");
    assert_eq!(told(&broker, Method::GET, &deposit).await.0, 200, "from its address, in the program's currency");
    assert_eq!(amounts(&broker).await, ["400.00"]);
    assert_eq!(events(&broker).await[0]["currency"], "USD");
    assert_eq!(told(&broker, Method::GET, &deposit.replace("dep", "FIRST_TRADE")).await.0, 200);
    assert_eq!(events(&broker).await.len(), 1, "the list has the names that count");
    assert_eq!(told(&broker, Method::GET, "/postback?click_id=x&event=dep").await.0, 403, "no click, no program");
    patch(&broker, json!({"postback_ips": ["10.0.0.0/8"]})).await;
    assert_eq!(told(&broker, Method::GET, &deposit).await.0, 403);

    let rotate = format!("/api/v1/programs/{}/rotate_postback_token", broker.program());
    let first = broker.done(Method::POST, &rotate, &json!({})).await["postback_token"].clone();
    let second = broker.done(Method::POST, &rotate, &json!({})).await["postback_token"].clone();
    for (token, status) in [(first, 403), (second, 200)] {
        let path = format!("{deposit}&key={}", token.as_str().expect("a token"));
        assert_eq!(told(&broker, Method::GET, &path).await.0, status);
    }
    for wrong in [json!("short"), json!(format!("sha256:{}", "0".repeat(64))), json!(7)] {
        let path = format!("/api/v1/programs/{}", broker.program());
        let request = broker.request(Some(broker.key("secret_key")), Method::PATCH, &path);
        let (status, text) = answer(request.body(json!({"postback_token": wrong}).to_string())).await;
        assert!(status == 400 && text.contains("postback_token"), "{text}");
    }
}

/// What the broker's own server reports of the client, who has an email.
async fn reported(broker: &Broker, event: &str, click: Option<&str>, email: &str) -> Value {
    let data = json!({"email": email, "amount": 500, "currency": "USD"});
    let mut report = json!({"event": event, "data": data});
    if let Some(click) = click {
        report["clickId"] = click.into();
    }
    broker.done(Method::POST, "/api/referral/events/track", &report).await["clientId"].clone()
}

async fn the_client_of_a_click_is_paid_for_once_under_every_name(engine: Engine) {
    let broker = Broker::start(engine).await;
    patch(&broker, json!({"postback_token": TOKEN})).await;
    let by_click = async |click: &str, event: &str| {
        let path = format!("/postback?click_id={click}&event={event}&amount=500&currency=USD&key={TOKEN}");
        assert_eq!(told(&broker, Method::GET, &path).await.0, 200);
        events(&broker).await[0]["clientId"].clone()
    };
    let paid = async || {
        let amounts = amounts(&broker).await;
        amounts.iter().map(|amount| Decimal::parse(amount).expect("an amount").0).sum::<i64>() / 1_000_000
    };

    // First by the click, then by an email with the same click.
    let click = broker.visit().await;
    let client = by_click(&click, "FIRST_DEPOSIT").await;
    for event in ["REGISTRATION", "FIRST_DEPOSIT"] {
        assert_eq!(reported(&broker, event, Some(&click), "one@example.org").await, client, "{event}");
    }
    assert_eq!(
        reported(&broker, "WEBINAR_REGISTRATION", None, "one@example.org").await,
        client,
        "the email alone finds it, too"
    );
    assert_eq!(paid().await, 400, "{:?}", amounts(&broker).await);
    // Somebody else by the same click is somebody else.
    assert_ne!(reported(&broker, "FIRST_DEPOSIT", Some(&click), "two@example.org").await, client);
    assert_eq!(by_click(&click, "WITHDRAWAL").await, client);
    assert_eq!(paid().await, 800, "{:?}", amounts(&broker).await);

    // First by the email, then by the click that brought it.
    let click = broker.visit().await;
    let client = reported(&broker, "REGISTRATION", Some(&click), "three@example.org").await;
    assert_eq!(by_click(&click, "FIRST_DEPOSIT").await, client);
    assert_eq!(reported(&broker, "FIRST_DEPOSIT", Some(&click), "three@example.org").await, client);
    assert_eq!(paid().await, 1200, "{:?}", amounts(&broker).await);

    // Both were there, and paid for, before the click said that they are one.
    let click = broker.visit().await;
    let other = broker.visit().await;
    reported(&broker, "FIRST_DEPOSIT", Some(&other), "four@example.org").await;
    by_click(&click, "FIRST_DEPOSIT").await;
    assert_eq!(paid().await, 2000, "{:?}", amounts(&broker).await);
    let client = reported(&broker, "WEBINAR_REGISTRATION", Some(&click), "four@example.org").await;
    assert_eq!(by_click(&click, "WITHDRAWAL").await, client);
    assert_eq!(paid().await, 1600, "one is taken back: {:?}", amounts(&broker).await);
    let verify = broker.server.command(&["verify", "--json"]).output().expect("it runs");
    assert_eq!(verify.status.code(), Some(0), "{}", String::from_utf8_lossy(&verify.stdout));
}

on_both_engines! {
    a_reported_deposit_earns_once,
    a_program_says_who_reports_and_by_which_names,
    the_client_of_a_click_is_paid_for_once_under_every_name,
}
