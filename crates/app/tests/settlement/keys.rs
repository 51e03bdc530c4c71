//! Callers' own keys: what they remember, and that a refused request leaves nothing behind.

use crate::fixture::fixture;
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::key::{KeyKind, KeyRequest};
use headwater_app::settle::{Answer, Idempotency, Track};
use headwater_domain::attribution::Touch;
use headwater_domain::ids::ClickId;
use headwater_store::backend::Statement;
use headwater_testkit::count::{Figure, tamper};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    a_reused_idempotency_key_leaves_nothing,
    a_reused_event_id_leaves_nothing,
    an_answer_is_remembered_for_72_hours,
    a_failed_settlement_leaves_nothing,
    what_a_caller_adds_is_bounded,
    a_key_of_one_program_needs_a_program,
    a_committed_change_is_no_error,
}

fn idempotency(key: &str, fingerprint: &str) -> Idempotency {
    Idempotency { scope: format!("POST /track {key}"), fingerprint: fingerprint.into() }
}

async fn a_reused_idempotency_key_leaves_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    let first = Track { idempotency: Some(idempotency("k", "one")), ..fixture.track("REGISTRATION") };
    let told = fixture.settle(first.clone()).await;
    let other = Track {
        idempotency: Some(idempotency("k", "two")),
        event_key: Some("order-2".into()),
        email_key: Some("other@example.org".into()),
        ..fixture.track("REGISTRATION")
    };
    assert_eq!(fixture.ask(other.clone()).await.expect("settles"), Answer::IdempotencyReused);
    fixture.check(&[(Figure::EventKeys, 0), (Figure::Persons, 1), (Figure::Customers, 1)]).await;
    let json = match fixture.ask(first).await.expect("settles") {
        Answer::Event { json, replayed: true } => json,
        other => panic!("no replay: {other:?}"),
    };
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), told);
    let fresh = Track { idempotency: Some(idempotency("l", "two")), fingerprint: "other".into(), ..other };
    assert_eq!(fixture.settle(fresh).await["eventId"], "order-2", "the id was not spoilt");
}

async fn a_reused_event_id_leaves_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    let event_key = Some("order-1".to_owned());
    fixture.settle(Track { event_key: event_key.clone(), ..fixture.track("REGISTRATION") }).await;
    let other = Track {
        event_key,
        fingerprint: "other".into(),
        email_key: Some("other@example.org".into()),
        idempotency: Some(idempotency("k", "one")),
        ..fixture.track("REGISTRATION")
    };
    assert_eq!(fixture.ask(other.clone()).await.expect("settles"), Answer::EventKeyReused);
    fixture.check(&[(Figure::IdempotencyKeys, 0), (Figure::Persons, 1), (Figure::Customers, 1)]).await;
    let mended = Track { event_key: Some("order-2".into()), idempotency: Some(idempotency("k", "two")), ..other };
    assert_eq!(fixture.settle(mended).await["eventId"], "order-2", "the key is free for the mended request");
}

async fn an_answer_is_remembered_for_72_hours(store: TestStore) {
    let fixture = fixture(store).await;
    let track = Track { idempotency: Some(idempotency("k", "one")), ..fixture.track("CUSTOM") };
    fixture.settle(track.clone()).await;
    for (hours, forgotten) in [(71, 0), (2, 1)] {
        fixture.app.clock.advance_seconds(hours * 3600);
        assert_eq!(fixture.app.sweep().await.expect("sweeps").idempotency_keys, forgotten);
    }
    assert!(matches!(fixture.ask(track).await.expect("settles"), Answer::Event { replayed: false, .. }));
}

static SPOIL_FACTS: Statement = Statement::new("UPDATE fact SET body = '{}'");

/// What cannot be read is no reason to price without it; and one such client fails no other one.
async fn a_failed_settlement_leaves_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    fixture.settle(fixture.track("REGISTRATION")).await;
    tamper(&fixture.store.store, &SPOIL_FACTS).await;
    let spoilt =
        Track { event_key: Some("order-1".into()), idempotency: Some(idempotency("k", "one")), ..fixture.deposit() };
    let mut other = Track { email_key: Some("other@example.org".into()), ..fixture.deposit() };
    // Of another visit: who came by one click is read with whoever came by it.
    other.touch = other.touch.map(|touch| Touch { click: ClickId(78), ..touch });
    let (spoilt, other) = tokio::join!(fixture.ask(spoilt), fixture.settle(other));
    assert!(matches!(spoilt, Err(Error::Store(_))), "{spoilt:?}");
    assert_eq!(other["isConversion"], true);
    let expected =
        [(Figure::Events, 2), (Figure::EventKeys, 0), (Figure::IdempotencyKeys, 0), (Figure::Commissions, 1)];
    fixture.check(&expected).await;
}

async fn what_a_caller_adds_is_bounded(store: TestStore) {
    let fixture = fixture(store).await;
    for (bytes, fits) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let outcome = fixture.ask(Track { data: Some("x".repeat(bytes)), ..fixture.track("CUSTOM") }).await;
        assert_eq!(outcome.is_ok(), fits, "{bytes}");
        assert!(fits || matches!(&outcome, Err(Error::Invalid { param, .. }) if param == "data"), "{outcome:?}");
    }
}

async fn a_key_of_one_program_needs_a_program(store: TestStore) {
    let fixture = fixture(store).await;
    for (kind, needs) in [(KeyKind::Secret, false), (KeyKind::Publishable, true), (KeyKind::Brand, true)] {
        let mut request = KeyRequest {
            kind,
            program: None,
            partner: None,
            origins: Vec::new(),
            programs: Vec::new(),
            permissions: Vec::new(),
            expires_at: None,
        };
        let issued = fixture.app.key_issue(fixture.account, request.clone(), Keep::nothing()).await;
        assert_eq!(issued.is_err(), needs, "{kind:?}");
        assert!(!needs || matches!(&issued, Err(Error::Invalid { param, .. }) if param == "program"), "{issued:?}");
        request.program = Some(fixture.program);
        fixture.app.key_issue(fixture.account, request, Keep::nothing()).await.expect("issues");
    }
}

static HIDE_RATES: Statement = Statement::new("ALTER TABLE exchange_rate RENAME TO hidden");
static RAISE_VERSION: Statement = Statement::new("UPDATE counter SET value = value + 1 WHERE name = 'version'");
static SHOW_RATES: Statement = Statement::new("ALTER TABLE hidden RENAME TO exchange_rate");

/// The key is made, so its text must reach the caller although the configuration cannot be read just now.
async fn a_committed_change_is_no_error(store: TestStore) {
    let fixture = fixture(store).await;
    let request = KeyRequest {
        kind: KeyKind::Secret,
        program: None,
        partner: None,
        origins: Vec::new(),
        programs: Vec::new(),
        permissions: Vec::new(),
        expires_at: None,
    };
    tamper(&fixture.store.store, &HIDE_RATES).await;
    tamper(&fixture.store.store, &RAISE_VERSION).await;
    assert!(fixture.app.refresh().await.is_err(), "the configuration cannot be read");
    let issued = fixture.app.key_issue(fixture.account, request, Keep::nothing()).await.expect("it was committed");
    tamper(&fixture.store.store, &SHOW_RATES).await;
    fixture.app.refresh().await.expect("it can be read again");
    assert!(fixture.app.authenticate(&issued.text).is_some());
}
