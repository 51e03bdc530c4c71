//! A browser's event and the broker's: what confirms, what refuses, and that neither stands in the other's way.

use crate::fixture::{Fixture, fixture, id_of, told};
use headwater_app::error::Error;
use headwater_app::settle::{Answer, Command, Track};
use headwater_domain::event::State;
use headwater_domain::ids::EventId;
use headwater_domain::money::{Currency, Decimal};
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    an_event_id_of_another_client_confirms_nothing,
    a_refused_event_does_not_hold_its_id,
    the_brokers_content_stands_for_the_id_it_confirmed,
    a_twin_takes_the_brokers_id,
    a_confirmation_binds_by_the_brokers_own_click,
    a_confirmation_in_the_same_batch_binds_too,
    an_event_is_refused_after_30_days,
    a_confirmed_amount_has_a_currency_and_is_not_negative,
    a_flood_of_unconfirmed_events_ends_at_its_limit,
}

const DAY: i64 = 86_400;

fn browsers(fixture: &Fixture) -> Track {
    Track { trusted: false, fingerprint: "browser".into(), ..fixture.deposit() }
}

/// Somebody on the broker's site guesses an event id before the broker uses it.
async fn an_event_id_of_another_client_confirms_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    let guess = Track {
        email_key: Some("mallory@example.org".into()),
        event_key: Some("order-1".into()),
        ..browsers(&fixture)
    };
    let guessed = id_of(&fixture.settle(guess).await);
    let order = Track { event_key: Some("order-1".into()), ..fixture.deposit() };
    let recorded = fixture.settle(order.clone()).await;
    assert_ne!(id_of(&recorded), guessed);
    assert_eq!((recorded["verified"].clone(), recorded["isConversion"].clone()), (true.into(), true.into()));
    assert_eq!(fixture.settle(order).await, recorded, "the id stands for the broker's event");
    let events = fixture.events().await;
    let states: Vec<_> = events.iter().map(|event| (event.id == guessed, event.state)).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&(true, State::Rejected)) && states.contains(&(false, State::Verified)), "{states:?}");
    assert_eq!(fixture.confirm(guessed).await, Answer::NotUnverified);
    fixture.check(&[(Figure::Commissions, 1), (Figure::Deliveries, 1), (Figure::EventKeys, 1)]).await;
}

async fn a_refused_event_does_not_hold_its_id(store: TestStore) {
    let fixture = fixture(store).await;
    let browsers = Track { event_key: Some("order-1".into()), ..browsers(&fixture) };
    let event = id_of(&fixture.settle(browsers.clone()).await);
    let reject = Command::Reject { account: fixture.account, event };
    assert_eq!(told(fixture.app.settle(reject).await.expect("settles"))["verified"], false);
    assert_eq!(id_of(&fixture.settle(browsers).await), event, "a browser hears of its own event");
    let recorded = fixture.settle(Track { event_key: Some("order-1".into()), ..fixture.deposit() }).await;
    assert_ne!(id_of(&recorded), event);
    assert_eq!(recorded["isConversion"], true);
}

async fn the_brokers_content_stands_for_the_id_it_confirmed(store: TestStore) {
    let fixture = fixture(store).await;
    let event_key = Some("order-1".to_owned());
    let event = fixture.settle(Track { event_key: event_key.clone(), ..browsers(&fixture) }).await;
    let brokers = Track { event_key: event_key.clone(), ..fixture.deposit() };
    let confirmed = fixture.settle(brokers.clone()).await;
    assert_eq!((id_of(&confirmed), &confirmed["verified"]), (id_of(&event), &true.into()));
    assert_eq!(fixture.settle(brokers).await, confirmed, "equal content is answered with its event");
    let other = fixture.ask(Track { event_key, ..browsers(&fixture) }).await.expect("settles");
    assert_eq!(other, Answer::EventKeyReused);
    fixture.check(&[(Figure::Events, 1), (Figure::Commissions, 1)]).await;
}

async fn a_twin_takes_the_brokers_id(store: TestStore) {
    let fixture = fixture(store).await;
    let event = fixture.settle(browsers(&fixture)).await;
    let brokers = Track { event_key: Some("order-1".into()), ..fixture.deposit() };
    let confirmed = fixture.settle(brokers.clone()).await;
    assert_eq!((id_of(&confirmed), &confirmed["eventId"]), (id_of(&event), &"order-1".into()));
    assert_eq!(fixture.settle(brokers).await, confirmed);
    let kept = fixture.events().await;
    assert_eq!((kept.len(), kept[0].event_key.as_deref()), (1, Some("order-1")));
}

async fn a_confirmation_binds_by_the_brokers_own_click(store: TestStore) {
    let fixture = fixture(store).await;
    let event = fixture.settle(Track { touch: None, ..browsers(&fixture) }).await;
    assert_eq!(event["attribution"], "none");
    let confirmed = fixture.settle(fixture.deposit()).await;
    assert_eq!(id_of(&confirmed), id_of(&event));
    assert_eq!((&confirmed["attribution"], &confirmed["partnerId"]), (&"click".into(), &"ib1".into()));
    assert_eq!((&confirmed["clickId"], &confirmed["isConversion"]), (&77.into(), &true.into()));
    let kept = fixture.events().await;
    assert_eq!((kept[0].partner.as_deref(), kept[0].attribution.as_str()), (Some("ib1"), "click"));
    fixture.check(&[(Figure::Paid, 400_000_000), (Figure::Balance, 0)]).await;
}

/// Sent together, they mostly meet in one transaction.
async fn a_confirmation_in_the_same_batch_binds_too(store: TestStore) {
    let fixture = fixture(store).await;
    let browsers = Track { touch: None, ..browsers(&fixture) };
    let (first, second) = tokio::join!(fixture.settle(browsers), fixture.settle(fixture.deposit()));
    assert_eq!(id_of(&first), id_of(&second));
    let kept = fixture.events().await;
    assert_eq!((kept.len(), kept[0].partner.as_deref(), kept[0].state), (1, Some("ib1"), State::Verified));
    assert_eq!((kept[0].attribution.as_str(), kept[0].click.map(|click| click.0)), ("click", Some(77)));
}

async fn an_event_is_refused_after_30_days(store: TestStore) {
    let fixture = fixture(store).await;
    let [first, second] = ["a@example.org", "b@example.org"].map(|email| Track {
        email_key: Some(email.into()),
        event_key: Some(email.into()),
        ..browsers(&fixture)
    });
    let first = id_of(&fixture.settle(first).await);
    fixture.app.clock.advance_seconds(DAY);
    let second = id_of(&fixture.settle(second).await);
    fixture.app.clock.advance_seconds(29 * DAY);
    assert_eq!(fixture.confirm(first).await, Answer::NotUnverified, "before any sweep");
    assert_eq!(fixture.app.sweep().await.expect("sweeps").events, 1);
    assert_eq!(fixture.app.sweep().await.expect("sweeps").events, 0);
    let states: Vec<_> = fixture.events().await.iter().map(|event| event.state).collect();
    assert_eq!(states, [State::Rejected, State::Unverified]);
    assert_eq!(told(fixture.confirm(second).await)["isConversion"], true);
    let email_key = Some("a@example.org".to_owned());
    let late = Track { event_key: email_key.clone(), email_key, touch: None, ..fixture.deposit() };
    assert_eq!(fixture.settle(late).await["verified"], true, "the broker's own event counts all the same");
}

async fn a_confirmed_amount_has_a_currency_and_is_not_negative(store: TestStore) {
    let fixture = fixture(store).await;
    let event = id_of(&fixture.settle(browsers(&fixture)).await);
    let usd = Currency::parse("USD");
    for (amount, currency, at_fault) in [("-1", usd, "amount"), ("1", None, "currency")] {
        let amount = Some((Decimal::parse(amount).expect("a decimal"), amount.to_owned()));
        let confirm = Command::Confirm { account: fixture.account, event, amount, currency };
        let refused = fixture.app.settle(confirm).await;
        assert!(matches!(&refused, Err(Error::Invalid { param, .. }) if param == at_fault), "{refused:?}");
    }
    assert_eq!(told(fixture.confirm(event).await)["verified"], true);
}

async fn a_flood_of_unconfirmed_events_ends_at_its_limit(store: TestStore) {
    let fixture = fixture(store).await;
    for number in 0..101 {
        let event_key = Some(format!("guess-{number}"));
        let told = fixture.settle(Track { event_key, ..browsers(&fixture) }).await;
        assert_eq!(told["verified"], false);
    }
    let events = fixture.events().await;
    let waiting = events.iter().filter(|event| event.state == State::Unverified).count();
    assert_eq!((waiting, events[100].state), (100, State::Rejected));
    let counts = fixture.settle(Track { event_key: Some("order".into()), ..fixture.deposit() }).await;
    assert_eq!((counts["verified"].clone(), counts["isConversion"].clone()), (true.into(), true.into()));
    assert_eq!(EventId(counts["id"].as_i64().expect("a number")), events[0].id, "it confirms the oldest of them");
}
