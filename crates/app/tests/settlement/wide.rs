//! Rules that add up over all persons, dated changes, closed periods, and reading it all back to verify it.

use crate::fixture::{Fixture, NOW, fixture_with};
use headwater_app::exchange::DayRate;
use headwater_app::history::History;
use headwater_app::keep::Keep;
use headwater_app::settle::Track;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Date, Instant, Zone};
use headwater_store::backend::Statement;
use headwater_testkit::count::{Figure, tamper};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    the_second_acquisition_raises_the_amount_of_both,
    a_revenue_share_with_carry_is_paid_once_its_month_is_over,
    a_plan_put_in_force_in_the_past_prices_again,
    a_rate_that_arrives_prices_what_waited_for_it,
    verify_finds_what_was_changed_behind_its_back,
}

const STEPS: &str = r#"{"name":"ib","currency":"USD","qualification":{"min_first_deposit":"5"},"rules":[
    {"id":"cpa","kind":"cpa","amount":"10","brackets":{"metric":"ftd","steps":[{"from":"0","rate":"10"},{"from":"2","rate":"14"}]}}]}"#;
const CARRY: &str = r#"{"name":"ib","currency":"USD","rules":[
    {"id":"share","kind":"percent","percent":"10","of":["deposit","-withdrawal"],"carry":{"of":"base"}}]}"#;
const FLAT: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"each","kind":"flat","amount":"10","on":"SUBSCRIPTION"}]}"#;

static RAISE_ENTRY: Statement = Statement::new("UPDATE ledger_entry SET amount = amount + 1 WHERE amount > 0");
static LOWER_ENTRY: Statement = Statement::new("UPDATE ledger_entry SET amount = amount - 1 WHERE amount > 0");
static RAISE_CELL: Statement = Statement::new("UPDATE cell SET posted = posted + 1");

fn of(client: &str, track: Track) -> Track {
    Track { email_key: Some(format!("{client}@example.org")), ..track }
}

fn today() -> Date {
    Zone::UTC.day_of(NOW)
}

async fn verified(fixture: &Fixture) -> Option<String> {
    let history = History::read(fixture.store.store.clone()).await.expect("reads");
    history.verify().await.expect("recomputes").difference
}

async fn the_second_acquisition_raises_the_amount_of_both(store: TestStore) {
    let fixture = fixture_with(store, STEPS).await;
    fixture.settle(of("a", fixture.deposit())).await;
    fixture.check(&[(Figure::Paid, 10_000_000), (Figure::Commissions, 1)]).await;
    fixture.settle(of("b", fixture.deposit())).await;
    fixture.check(&[(Figure::Paid, 28_000_000), (Figure::Commissions, 2), (Figure::Balance, 0)]).await;
    assert_eq!(verified(&fixture).await, None);
}

async fn a_revenue_share_with_carry_is_paid_once_its_month_is_over(store: TestStore) {
    let fixture = fixture_with(store, CARRY).await;
    fixture.settle(fixture.deposit()).await;
    fixture.app.close_periods().await.expect("closes what is over");
    fixture.app.reprice().await.expect("prices");
    fixture.check(&[(Figure::Commissions, 0)]).await;
    fixture.app.clock.advance_seconds(32 * 86_400);
    fixture.app.close_periods().await.expect("closes the month");
    assert_eq!(fixture.app.reprice().await.expect("prices"), 1);
    fixture.check(&[(Figure::Paid, 25_000_000), (Figure::Commissions, 1), (Figure::Balance, 0)]).await;
    fixture.app.close_periods().await.expect("has nothing to close");
    assert_eq!(fixture.app.reprice().await.expect("prices"), 0, "a closed month is closed once");
    assert_eq!(verified(&fixture).await, None);
}

async fn a_plan_put_in_force_in_the_past_prices_again(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(of("a", fixture.track("SUBSCRIPTION"))).await;
    fixture.settle(of("b", fixture.track("SUBSCRIPTION"))).await;
    let document = serde_json::from_str(&FLAT.replace("\"10\"", "\"12.50\"")).expect("JSON");
    let saved = fixture.app.plan_save(fixture.account, &document, Keep::nothing()).await;
    let (_, number) = saved.expect("saves");
    let activate = fixture.app.plan_activate(fixture.account, "ib", number, NOW.plus_seconds(86_400)).await;
    activate.expect("a later date concerns nobody");
    assert_eq!(fixture.app.reprice().await.expect("prices"), 2, "within the margin of zones");
    fixture.check(&[(Figure::Commissions, 2), (Figure::Paid, 20_000_000)]).await;
    fixture.app.plan_activate(fixture.account, "ib", number, Instant(1)).await.expect("activates");
    assert_eq!(fixture.app.reprice().await.expect("prices"), 2);
    assert_eq!(fixture.app.reprice().await.expect("prices"), 0, "each mark is served once");
    fixture.check(&[(Figure::Commissions, 4), (Figure::Paid, 25_000_000), (Figure::Balance, 0)]).await;
    fixture.app.partner_suspend(fixture.account, "ib1", true, Some(Instant(1))).await.expect("suspends");
    fixture.app.reprice().await.expect("prices");
    fixture.check(&[(Figure::Paid, 0), (Figure::Held, 2), (Figure::Balance, 0)]).await;
    assert_eq!(verified(&fixture).await, None);
}

async fn a_rate_that_arrives_prices_what_waited_for_it(store: TestStore) {
    let fixture = fixture_with(store, CARRY.replace(",\"carry\":{\"of\":\"base\"}", "").leak()).await;
    let euros = Track { currency: Currency::parse("EUR"), ..fixture.deposit() };
    fixture.settle(euros).await;
    fixture.check(&[(Figure::Commissions, 0), (Figure::Held, 1)]).await;
    let (from, to) = (Currency::parse("EUR").expect("known"), Currency::parse("USD").expect("known"));
    let rate = |rate| vec![DayRate { date: today().to_string(), from, to, rate: Decimal(rate) }];
    fixture.app.exchange_rates_put(fixture.account, rate(1_100_000)).await.expect("saves");
    assert_eq!(fixture.app.reprice().await.expect("prices"), 1);
    fixture.check(&[(Figure::Paid, 27_500_000), (Figure::Held, 0)]).await;
    fixture.app.exchange_rates_put(fixture.account, rate(1_000_000)).await.expect("corrects");
    fixture.app.reprice().await.expect("prices");
    fixture.check(&[(Figure::Paid, 25_000_000), (Figure::Commissions, 2), (Figure::Balance, 0)]).await;
}

async fn verify_finds_what_was_changed_behind_its_back(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    assert_eq!(verified(&fixture).await, None);
    tamper(&fixture.store.store, &RAISE_ENTRY).await;
    let found = verified(&fixture).await.expect("a changed entry shows");
    assert!(found.contains("transaction") || found.contains("changed"), "{found}");
    tamper(&fixture.store.store, &LOWER_ENTRY).await;
    assert_eq!(verified(&fixture).await, None);
    tamper(&fixture.store.store, &RAISE_CELL).await;
    assert!(verified(&fixture).await.expect("a changed cell shows").contains("cell"));
}
