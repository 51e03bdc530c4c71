//! What was denied is not owed: a correction that takes it back takes nothing from anybody.

use crate::fixture::{Fixture, fixture_with};
use headwater_app::commission::{CommissionFilter, CommissionRow, Verdict};
use headwater_app::history::History;
use headwater_app::settle::Track;
use headwater_domain::money::Decimal;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! { several_that_were_denied_are_taken_back_at_once, what_is_owed_is_taken_back_first }

const SHARE: &str = r#"{"name":"ib","currency":"USD","auto_approve":false,"rules":[
    {"id":"share","kind":"percent","percent":"10","of":["deposit","-withdrawal"]}]}"#;

/// A movement of so many dollars.
fn of(fixture: &Fixture, kind: &str, dollars: i64) -> Track {
    let amount = Some((Decimal(dollars * 1_000_000), dollars.to_string()));
    Track { amount, event_type: kind.into(), ..fixture.deposit() }
}

/// Every commission, the oldest first.
async fn posted(fixture: &Fixture) -> Vec<CommissionRow> {
    let mut rows = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 100).await.expect("lists");
    rows.reverse();
    rows
}

async fn decide_last(fixture: &Fixture, verdict: Verdict) {
    let last = posted(fixture).await.last().expect("was posted").id;
    let decided = fixture.app.commissions_decide(fixture.account, vec![last], verdict, "key:1".into()).await;
    assert_eq!(decided.expect("is known").done.len(), 1);
}

async fn check(fixture: &Fixture, expected: &[(i64, &str)]) {
    let rows = posted(fixture).await;
    let came: Vec<_> = rows.iter().map(|row| (row.amount / 1_000_000, row.status.as_str())).collect();
    assert_eq!(came, expected);
    fixture.check(&[(Figure::Balance, 0), (Figure::Unbalanced, 0)]).await;
    let history = History::read(fixture.store.store.clone()).await.expect("reads");
    assert_eq!(history.verify().await.expect("recomputes").difference, None);
}

async fn several_that_were_denied_are_taken_back_at_once(store: TestStore) {
    let fixture = fixture_with(store, SHARE).await;
    for kind in ["FIRST_DEPOSIT", "RECURRING_DEPOSIT"] {
        fixture.settle(of(&fixture, kind, 100)).await;
        decide_last(&fixture, Verdict::Deny).await;
    }
    fixture.settle(of(&fixture, "WITHDRAWAL", 150)).await;
    fixture.settle(of(&fixture, "WITHDRAWAL", 50)).await;
    check(&fixture, &[(10, "denied"), (10, "denied"), (-15, "denied"), (-5, "denied")]).await;
    fixture.settle(of(&fixture, "WITHDRAWAL", 10)).await;
    assert_eq!(posted(&fixture).await.last().expect("posted").status, "pending", "nothing that was denied is left");
}

async fn what_is_owed_is_taken_back_first(store: TestStore) {
    let fixture = fixture_with(store, SHARE).await;
    fixture.settle(of(&fixture, "FIRST_DEPOSIT", 100)).await;
    decide_last(&fixture, Verdict::Deny).await;
    fixture.settle(of(&fixture, "RECURRING_DEPOSIT", 50)).await;
    decide_last(&fixture, Verdict::Approve).await;
    fixture.settle(of(&fixture, "WITHDRAWAL", 50)).await;
    decide_last(&fixture, Verdict::Approve).await;
    fixture.settle(of(&fixture, "WITHDRAWAL", 100)).await;
    check(&fixture, &[(10, "denied"), (5, "approved"), (-5, "approved"), (-10, "denied")]).await;
}
