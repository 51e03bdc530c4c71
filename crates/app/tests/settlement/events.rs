//! Settlements on both engines: one event, one commission, one delivery, whatever comes at once; books that add up.

use crate::fixture::{fixture, id_of};
use headwater_app::settle::{Answer, Command, Track};
use headwater_domain::ids::AccountId;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Value;
use std::sync::Arc;

on_both_stores! {
    one_event_sent_64_times_at_once_is_one_event,
    a_first_deposit_pays_once_and_the_books_add_up,
    a_browsers_money_counts_after_a_secret_key_confirms_it,
    the_second_registration_is_a_duplicate_and_pays_nothing,
    another_content_under_a_used_event_id_is_refused,
}

async fn one_event_sent_64_times_at_once_is_one_event(store: TestStore) {
    let fixture = Arc::new(fixture(store).await);
    let senders: Vec<_> = (0..64)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move {
                let track = Track { event_key: Some("deposit-1".into()), ..fixture.deposit() };
                fixture.settle(track).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for sender in senders {
        answers.push(sender.await.expect("answers"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["isConversion"], true);
    for (figure, expected) in [
        (Figure::Events, 1),
        (Figure::Commissions, 1),
        (Figure::Deliveries, 1),
        (Figure::Paid, 400_000_000),
        (Figure::Balance, 0),
    ] {
        assert_eq!(fixture.count(figure).await, expected, "{figure:?}");
    }
}

async fn a_first_deposit_pays_once_and_the_books_add_up(store: TestStore) {
    let fixture = fixture(store).await;
    let registered = fixture.settle(fixture.track("REGISTRATION")).await;
    assert_eq!((registered["isConversion"].clone(), registered["attribution"].clone()), (false.into(), "click".into()));
    let deposited = fixture.settle(fixture.deposit()).await;
    assert_eq!(deposited["isConversion"], true);
    assert_eq!(deposited["partnerId"], "ib1");
    let again = fixture.settle(fixture.deposit()).await;
    assert_eq!((again["isConversion"].clone(), again["isDuplicate"].clone()), (false.into(), true.into()));
    let expected = [
        (Figure::Events, 3),
        (Figure::Commissions, 1),
        (Figure::Entries, 2),
        (Figure::Unbalanced, 0),
        (Figure::Balance, 0),
        (Figure::Deliveries, 3),
    ];
    for (figure, expected) in expected {
        assert_eq!(fixture.count(figure).await, expected, "{figure:?}");
    }
}

async fn a_browsers_money_counts_after_a_secret_key_confirms_it(store: TestStore) {
    let fixture = fixture(store).await;
    let browser = Track { trusted: false, ..fixture.deposit() };
    let event = fixture.settle(browser).await;
    assert_eq!((event["verified"].clone(), event["isConversion"].clone()), (false.into(), false.into()));
    assert_eq!((fixture.count(Figure::Commissions).await, fixture.count(Figure::Deliveries).await), (0, 0));
    let event = id_of(&event);
    let (account, amount, currency) = (fixture.account, None, None);
    let confirm = Command::Confirm { account, event, amount, currency };
    let Answer::Event { json, .. } = fixture.app.settle(confirm.clone()).await.expect("settles") else {
        panic!("an event")
    };
    let confirmed: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((confirmed["verified"].clone(), confirmed["isConversion"].clone()), (true.into(), true.into()));
    assert_eq!((fixture.count(Figure::Commissions).await, fixture.count(Figure::Deliveries).await), (1, 1));
    assert_eq!(fixture.app.settle(confirm).await.expect("settles"), Answer::NotUnverified);
    let foreign = Command::Confirm { account: AccountId(99), event, amount: None, currency: None };
    assert_eq!(fixture.app.settle(foreign).await.expect("settles"), Answer::EventUnknown);
}

async fn the_second_registration_is_a_duplicate_and_pays_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    let first = fixture.settle(fixture.track("REGISTRATION")).await;
    let second = fixture.settle(fixture.track("REGISTRATION")).await;
    assert_eq!((first["isDuplicate"].clone(), second["isDuplicate"].clone()), (false.into(), true.into()));
    assert_eq!(first["clientId"], second["clientId"]);
}

async fn another_content_under_a_used_event_id_is_refused(store: TestStore) {
    let fixture = fixture(store).await;
    let first = Track { event_key: Some("k".into()), ..fixture.track("REGISTRATION") };
    let event = fixture.settle(first.clone()).await;
    assert_eq!(fixture.settle(first.clone()).await, event);
    let other = Track { fingerprint: "other".into(), ..first };
    let refused = fixture.app.settle(Command::Track(Box::new(other))).await.expect("settles");
    assert_eq!(refused, Answer::EventKeyReused);
    assert_eq!(fixture.count(Figure::Events).await, 1);
}
