//! `verify` finds what does not fit together in the books, whatever was changed behind the program's back.

use crate::fixture::{Fixture, fixture, fixture_with};
use headwater_app::history::History;
use headwater_app::settle::Track;
use headwater_domain::money::Currency;
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use headwater_store::backend::Statement;
use headwater_testkit::count::tamper;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    each_row_that_was_changed_is_found, a_posting_without_its_cell_is_found, a_fact_that_is_held_for_no_reason_is_found,
}

const FLAT: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"each","kind":"flat","amount":"10","on":"SUBSCRIPTION"}]}"#;

/// What is done, what undoes it, and what `verify` says of it.
struct Change(Statement, Statement, &'static str);

macro_rules! changes {
    ($($done:literal, $undone:literal, $found:literal;)+) => {
        [$(Change(Statement::new($done), Statement::new($undone), $found)),+]
    };
}

static OF_COMMISSION: [Change; 3] = changes! {
    "UPDATE commission SET status = 'pending'", "UPDATE commission SET status = 'approved'", "is pending, its entries say";
    "UPDATE ledger_entry SET commission_id = NULL",
    "UPDATE ledger_entry SET commission_id = (SELECT MAX(id) FROM commission)", "its entries say accrued 0";
    "UPDATE ledger_entry SET payout_id = 5", "UPDATE ledger_entry SET payout_id = NULL", "is for no commission and no payout";
};
static OF_PAYOUT: [Change; 4] = changes! {
    "UPDATE payout SET amount = amount + 1", "UPDATE payout SET amount = amount - 1", "it took 1 of 10";
    "UPDATE payout SET status = 'pending'", "UPDATE payout SET status = 'completed'", "was booked with 10";
    "UPDATE payout_item SET live = false", "UPDATE payout_item SET live = true", "another status than its payout";
    "UPDATE commission SET status = 'in_payout'", "UPDATE commission SET status = 'paid'", "another status than its payout";
};
static OF_HELD: [Change; 3] = changes! {
    "UPDATE held SET reason = 'no_rate'", "UPDATE held SET reason = 'no_exchange_rate'", "it is to be held as no_exchange_rate";
    "UPDATE held SET person_id = person_id + 1000000", "UPDATE held SET person_id = person_id - 1000000", "it is to be held as no_exchange_rate";
    "INSERT INTO held (fact_id, reason, account_id, program_id, person_id, detail, since) \
     SELECT fact_id, 'budget', account_id, program_id, person_id, detail, since FROM held",
    "DELETE FROM held WHERE reason = 'budget'", "it is held as budget, and nothing stands in its way";
};
static ASTRAY: [Change; 1] = changes! {
    "INSERT INTO held (fact_id, reason, account_id, program_id, person_id, detail, since) \
     SELECT fact_id + 1, 'budget', account_id, program_id, 5, detail, since FROM held",
    "DELETE FROM held WHERE reason = 'budget'", "is held for person 5, whose it is not";
};
static NO_CELLS: Statement = Statement::new("DELETE FROM cell");

async fn verified(fixture: &Fixture) -> Option<String> {
    let history = History::read(fixture.store.store.clone()).await.expect("reads");
    history.verify().await.expect("recomputes").difference
}

async fn check(fixture: &Fixture, changes: &'static [Change]) {
    for Change(done, undone, expected) in changes {
        assert_eq!(verified(fixture).await, None, "before: {expected}");
        tamper(&fixture.store.store, done).await;
        let found = verified(fixture).await.expect("the change shows");
        assert!(found.contains(expected), "{found} instead of {expected}");
        tamper(&fixture.store.store, undone).await;
    }
}

async fn each_row_that_was_changed_is_found(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    check(&fixture, &OF_COMMISSION).await;
    let run = fixture.app.payout_run(fixture.account, fixture.program, fixture.app.clock.now(), "key:1").await;
    let payout = run.expect("runs").made.remove(0).id;
    let done = fixture.app.payout_finish(fixture.account, payout, PayoutStatus::Completed, None, "key:1").await;
    done.expect("ends");
    check(&fixture, &OF_PAYOUT).await;
    assert_eq!(verified(&fixture).await, None);
}

async fn a_posting_without_its_cell_is_found(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(fixture.track("SUBSCRIPTION")).await;
    fixture.app.partner_suspend(fixture.account, "ib1", true, Some(Instant(1))).await.expect("suspends");
    fixture.app.reprice().await.expect("takes back");
    assert_eq!(verified(&fixture).await, None);
    tamper(&fixture.store.store, &NO_CELLS).await;
    assert!(verified(&fixture).await.expect("the change shows").contains("is in no cell"));
}

async fn a_fact_that_is_held_for_no_reason_is_found(store: TestStore) {
    let fixture = fixture(store).await;
    fixture.settle(Track { currency: Currency::parse("EUR"), ..fixture.deposit() }).await;
    check(&fixture, &OF_HELD).await;
    check(&fixture, &ASTRAY).await;
    assert_eq!(verified(&fixture).await, None);
}
