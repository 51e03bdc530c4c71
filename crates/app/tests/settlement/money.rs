//! What is priced, with what, and which event is said to have earned it.

use crate::fixture::{CPA, Fixture, NOW, fixture, fixture_with};
use headwater_app::exchange::DayRate;
use headwater_app::keep::Keep;
use headwater_app::partner::PartnerRequest;
use headwater_app::settle::Track;
use headwater_domain::ids::CustomerId;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::backend::Statement;
use headwater_store::commission::CommissionFilter;
use headwater_testkit::count::{Figure, tamper};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    plans_filter_by_the_link_and_its_campaign,
    the_partner_above_gets_its_part,
    an_event_that_only_reprices_is_no_conversion,
    a_callers_id_is_no_events_number,
    what_is_held_keeps_its_date,
    a_period_is_cut_in_the_plans_zone,
    a_client_registered_at_its_earliest_registration,
    a_landing_is_remembered_as_a_type,
    a_plan_that_cannot_be_read_prices_nothing,
    settings_that_cannot_be_read_are_no_default,
}

const DAY: i64 = 86_400;
const BY_LINK: &str = r#"{"name":"ib","currency":"USD","rules":[
    {"id":"campaign","kind":"flat","amount":"1","on":"SUBSCRIPTION","once_per":"event","when":{"campaign":["autumn"]}},
    {"id":"other","kind":"flat","amount":"10","on":"SUBSCRIPTION","once_per":"event","when":{"campaign":["spring"]}}]}"#;
const TIERED: &str = r#"{"name":"ib","currency":"USD","tiers":{"method":"override","levels":["20"]},"rules":[
    {"id":"each","kind":"flat","amount":"10","on":"SUBSCRIPTION","once_per":"event"}]}"#;
const PER_SUBSCRIPTION: &str = r#"{"name":"ib","currency":"USD","time_zone":"Pacific/Auckland","rules":[
    {"id":"each","kind":"flat","amount":"10","on":"SUBSCRIPTION","once_per":"event"}]}"#;

async fn plans_filter_by_the_link_and_its_campaign(store: TestStore) {
    let fixture = fixture_with(store, BY_LINK).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    fixture.check(&[(Figure::Commissions, 1), (Figure::Paid, 1_000_000)]).await;
    let link = fixture.app.directory().link(fixture.account, fixture.link).expect("there").clone();
    let public_id = headwater_domain::ids::to_prefixed("ln_", link.id, Instant(link.created_at));
    let by_id = BY_LINK.replace(r#""campaign":["spring"]"#, &format!(r#""link":["{public_id}"]"#));
    let document = serde_json::from_str(&by_id).expect("JSON");
    let (_, number) = fixture.app.plan_save(fixture.account, &document, Keep::nothing()).await.expect("saves");
    fixture.app.plan_activate(fixture.account, "ib", number, Instant(1)).await.expect("activates");
    let other = Track { email_key: Some("other@example.org".into()), ..fixture.track("SUBSCRIPTION") };
    fixture.settle(other).await;
    fixture.check(&[(Figure::Commissions, 3), (Figure::Paid, 12_000_000)]).await;
}

async fn the_partner_above_gets_its_part(store: TestStore) {
    let fixture = fixture_with(store, TIERED).await;
    let master = PartnerRequest { id: Some("master".into()), name: Some("Master".into()), ..PartnerRequest::default() };
    let master = fixture.app.partner_create(fixture.account, master, Keep::nothing()).await.expect("creates");
    let moved = fixture.app.partner_move(fixture.account, "ib1", Some("master"), Some(Instant(1))).await;
    moved.expect("moves");
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    let filter = CommissionFilter::default();
    let commissions = fixture.app.commission_list(fixture.account, filter, 10).await.expect("lists");
    let mut paid: Vec<_> = commissions.iter().map(|c| (c.level, c.partner_id, c.amount)).collect();
    paid.sort_unstable();
    assert_eq!(paid, [(0, Some(fixture.partner.0), 10_000_000), (1, Some(master.id.0), 2_000_000)]);
    fixture.check(&[(Figure::Balance, 0), (Figure::Unbalanced, 0)]).await;
}

/// A deposit waits for its exchange rate; the next event of the client prices it, and has not earned it.
async fn an_event_that_only_reprices_is_no_conversion(store: TestStore) {
    let fixture = fixture(store).await;
    let euros = Track { currency: Currency::parse("EUR"), ..fixture.deposit() };
    assert_eq!(fixture.settle(euros).await["isConversion"], false);
    add_rate(&fixture).await;
    assert_eq!(fixture.settle(fixture.track("WEBINAR_REGISTRATION")).await["isConversion"], false);
    let expected = [(Figure::Paid, 400_000_000), (Figure::Commissions, 1), (Figure::CommissionsOfEvents, 0)];
    fixture.check(&expected).await;
    let other = Track { email_key: Some("other@example.org".into()), ..fixture.deposit() };
    assert_eq!(fixture.settle(other).await["isConversion"], true);
    fixture.check(&[(Figure::Commissions, 2), (Figure::CommissionsOfEvents, 1)]).await;
}

async fn add_rate(fixture: &Fixture) {
    let [from, to] = ["EUR", "USD"].map(|code| Currency::parse(code).expect("known"));
    let date = NOW.iso8601()[..10].to_owned();
    let rate = DayRate { date, from, to, rate: Decimal(1_100_000) };
    fixture.app.exchange_rates_put(fixture.account, vec![rate]).await.expect("sets");
}

async fn a_callers_id_is_no_events_number(store: TestStore) {
    let fixture = fixture_with(store, PER_SUBSCRIPTION).await;
    let first = fixture.settle(fixture.track("SUBSCRIPTION")).await;
    for prefix in ["", "event:", "key:event:"] {
        let event_key = Some(format!("{prefix}{}", first["id"]));
        fixture.settle(Track { event_key, ..fixture.track("SUBSCRIPTION") }).await;
    }
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    fixture.check(&[(Figure::Commissions, 5), (Figure::Paid, 50_000_000)]).await;
}

async fn what_is_held_keeps_its_date(store: TestStore) {
    let fixture = fixture(store).await;
    fixture.settle(Track { currency: Currency::parse("EUR"), ..fixture.deposit() }).await;
    let held = fixture.app.held_list(fixture.account, None, None, 10).await.expect("lists");
    assert_eq!(held.iter().map(|h| h.since).collect::<Vec<_>>(), [NOW.0]);
    fixture.app.clock.advance_seconds(DAY);
    fixture.settle(fixture.track("CUSTOM")).await;
    let still = fixture.app.held_list(fixture.account, None, None, 10).await.expect("lists");
    assert_eq!(still.iter().map(|h| (h.fact_id, h.since)).collect::<Vec<_>>(), [(held[0].fact_id, NOW.0)]);
    add_rate(&fixture).await;
    fixture.settle(fixture.track("CUSTOM")).await;
    assert_eq!(fixture.app.held_list(fixture.account, None, None, 10).await.expect("lists").len(), 0);
}

/// The last evening of September in Greenwich is October in Auckland.
async fn a_period_is_cut_in_the_plans_zone(store: TestStore) {
    let fixture = fixture_with(store, PER_SUBSCRIPTION).await;
    let evening = Instant::parse("2026-09-30T20:00:00Z").expect("valid");
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    fixture.app.clock.advance_seconds((evening.0 - NOW.0) / 1_000_000);
    let late = Track { occurred_at: Some(NOW), ..fixture.track("SUBSCRIPTION") };
    fixture.settle(late).await;
    let filter = CommissionFilter::default();
    let commissions = fixture.app.commission_list(fixture.account, filter, 10).await.expect("lists");
    let periods: Vec<_> = commissions.iter().map(|c| (c.period.as_str(), c.for_period.as_str())).collect();
    assert_eq!(periods, [("2026-10", "2026-09"), ("2026-09", "2026-09")]);
}

/// Whatever the order in which its events arrive.
async fn a_client_registered_at_its_earliest_registration(store: TestStore) {
    let fixture = fixture(store).await;
    let events = [("EMAIL_SIGNUP", 1), ("REGISTRATION", 3), ("REGISTRATION", 2), ("WEBINAR_REGISTRATION", 0)];
    let mut orders = 0;
    for first in 0..events.len() {
        for step in [1, 3] {
            orders += 1;
            let email = format!("client{orders}@example.org");
            let mut client = None;
            for turn in 0..events.len() {
                let (kind, day) = events[(first + turn * step) % events.len()];
                let occurred_at = Some(NOW.plus_seconds((day - 10) * DAY));
                let track = Track { email_key: Some(email.clone()), occurred_at, ..fixture.track(kind) };
                client = fixture.settle(track).await["clientId"].as_i64();
            }
            let client = CustomerId(client.expect("a client"));
            let customer = fixture.app.customer_read(fixture.account, client).await.expect("there");
            let registered: Vec<_> = customer.accounts.iter().map(|a| a.registered_at).collect();
            assert_eq!(registered, [NOW.plus_seconds((2 - 10) * DAY).0], "order {first} by {step}");
        }
    }
}

async fn a_landing_is_remembered_as_a_type(store: TestStore) {
    let fixture = fixture(store).await;
    let first = fixture.settle(fixture.track("REFERRAL_INITIATED")).await;
    let second = fixture.settle(fixture.track("REFERRAL_INITIATED")).await;
    assert_eq!((first["isDuplicate"].clone(), second["isDuplicate"].clone()), (false.into(), true.into()));
}

static SPOIL_PLANS: Statement = Statement::new(
    "UPDATE plan_version SET document = '{}', version = 1 + (SELECT value FROM counter WHERE name = 'version')",
);
static RAISE_VERSION: Statement = Statement::new("UPDATE counter SET value = value + 1 WHERE name = 'version'");

static SPOIL_SETTINGS: Statement = Statement::new(
    "UPDATE program SET settings = '{\"window_days\":0}', version = 1 + (SELECT value FROM counter WHERE name = 'version')",
);

/// A program without its plan and its window would take every client and pay nobody.
async fn settings_that_cannot_be_read_are_no_default(store: TestStore) {
    let fixture = fixture(store).await;
    tamper(&fixture.store.store, &SPOIL_SETTINGS).await;
    tamper(&fixture.store.store, &RAISE_VERSION).await;
    fixture.app.refresh().await.expect("the rest of the configuration is served");
    let refused = fixture.ask(fixture.deposit()).await;
    assert!(refused.is_err(), "{refused:?}");
    fixture.check(&[(Figure::Events, 0), (Figure::Persons, 0)]).await;
}

async fn a_plan_that_cannot_be_read_prices_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    tamper(&fixture.store.store, &SPOIL_PLANS).await;
    tamper(&fixture.store.store, &RAISE_VERSION).await;
    fixture.app.refresh().await.expect("the rest of the configuration is served");
    let refused = fixture.ask(Track { event_key: Some("order-1".into()), ..fixture.deposit() }).await;
    assert!(refused.is_err(), "{refused:?}");
    fixture.check(&[(Figure::Events, 0), (Figure::EventKeys, 0)]).await;
    let document = serde_json::from_str(CPA).expect("JSON");
    let (_, number) = fixture.app.plan_save(fixture.account, &document, Keep::nothing()).await.expect("saves");
    fixture.app.plan_activate(fixture.account, "ib", number, Instant(0)).await.expect("activates");
    let mended = fixture.settle(Track { event_key: Some("order-1".into()), ..fixture.deposit() }).await;
    assert_eq!(mended["isConversion"], true);
}
