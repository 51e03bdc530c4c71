//! What was denied is not owed: a correction that takes it back takes nothing from anybody.

use crate::fixture::{Fixture, fixture_with};
use headwater_app::batch::{BatchAction, BatchRequest};
use headwater_app::commission::{CommissionFilter, CommissionRow, Verdict};
use headwater_app::history::History;
use headwater_app::settle::Track;
use headwater_domain::money::Decimal;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    several_that_were_denied_are_taken_back_at_once,
    what_is_owed_is_taken_back_first,
    what_was_taken_back_against_another_is_not_denied,
    decisions_of_one_call_are_judged_one_after_the_other,
    what_takes_back_makes_way_for_what_it_took_back,
    what_waits_to_be_taken_back_is_denied_with_it_in_any_order,
}

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

/// Earns 10 dollars by each of so many deposits, and takes 15 of it back; gives the numbers, what takes back the last.
async fn taken_back(fixture: &Fixture, deposits: usize) -> Vec<i64> {
    for number in 0..deposits {
        let kind = if number == 0 { "FIRST_DEPOSIT" } else { "RECURRING_DEPOSIT" };
        fixture.settle(of(fixture, kind, 100)).await;
    }
    fixture.settle(of(fixture, "WITHDRAWAL", 150)).await;
    posted(fixture).await.into_iter().map(|row| row.id).collect()
}

/// Those that were done, and code and message of the others.
async fn decide(fixture: &Fixture, ids: &[i64], verdict: Verdict) -> (Vec<i64>, Vec<(i64, String)>) {
    let decided = fixture.app.commissions_decide(fixture.account, ids.to_vec(), verdict, "key:1".into()).await;
    let decided = decided.expect("is known");
    let failed = decided.failed.into_iter().map(|failed| (failed.id, format!("{}: {}", failed.code, failed.message)));
    (decided.done.into_iter().map(|row| row.id).collect(), failed.collect())
}

/// What a batch refused, and why.
async fn batch(fixture: &Fixture, action: BatchAction, ids: &[i64]) -> Vec<(i64, String)> {
    let request = BatchRequest { action, ids: ids.to_vec(), parameters: serde_json::Map::new(), actor: "key:1".into() };
    fixture.app.batch_start(fixture.account, request).await.expect("answers").errors
}

async fn what_was_taken_back_against_another_is_not_denied(store: TestStore) {
    let fixture = fixture_with(store, SHARE).await;
    let ids = taken_back(&fixture, 2).await;
    let (first, second, back) = (ids[0], ids[1], ids[2]);
    assert_eq!(decide(&fixture, &[back, second], Verdict::Approve).await.0, [second, back]);
    // What takes back corrects the second: nothing says of the first that it was taken back, but its cell.
    let (done, failed) = decide(&fixture, &[first], Verdict::Deny).await;
    assert_eq!(done, [0_i64; 0]);
    let words = &failed[0].1;
    assert!(words.starts_with("taken_back: ") && words.contains(&format!("commission {back}")), "{words}");
    assert!(words.contains(&format!("Commission {first}")) && words.contains("5 USD"), "{words}");
    decide(&fixture, &[first], Verdict::Approve).await;
    for action in [BatchAction::CommissionDeny, BatchAction::CommissionDestroy] {
        let refused = batch(&fixture, action, &[first]).await;
        assert!(refused.len() == 1 && refused[0].1.contains(&format!("commission {back}")), "{action:?}: {refused:?}");
    }
    check(&fixture, &[(10, "approved"), (10, "approved"), (-15, "approved")]).await;
}

async fn decisions_of_one_call_are_judged_one_after_the_other(store: TestStore) {
    let fixture = fixture_with(store, SHARE).await;
    let ids = taken_back(&fixture, 3).await;
    decide(&fixture, &ids[2..], Verdict::Approve).await;
    // 15 are left: enough for one of them, not for both.
    let (done, failed) = decide(&fixture, &ids[..2], Verdict::Deny).await;
    assert_eq!((done.as_slice(), failed[0].0), (&ids[..1], ids[1]));
    check(&fixture, &[(10, "denied"), (10, "pending"), (10, "approved"), (-15, "approved")]).await;
    // Nor may both come back once what takes them back is denied.
    assert_eq!(batch(&fixture, BatchAction::CommissionDeny, &ids[1..]).await, []);
    let refused = batch(&fixture, BatchAction::CommissionApprove, &ids[..3]).await;
    assert_eq!(refused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[1..3], "{refused:?}");
    check(&fixture, &[(10, "approved"), (10, "denied"), (10, "denied"), (-15, "denied")]).await;
}

async fn what_takes_back_makes_way_for_what_it_took_back(store: TestStore) {
    let fixture = fixture_with(store, SHARE).await;
    let ids = taken_back(&fixture, 2).await;
    decide(&fixture, &ids, Verdict::Approve).await;
    assert_eq!(batch(&fixture, BatchAction::CommissionDeny, &ids).await, []);
    check(&fixture, &[(10, "denied"), (10, "denied"), (-15, "denied")]).await;
}

async fn what_waits_to_be_taken_back_is_denied_with_it_in_any_order(store: TestStore) {
    let fixture = fixture_with(store, SHARE).await;
    let ids = taken_back(&fixture, 2).await;
    assert_eq!(decide(&fixture, &ids[..1], Verdict::Deny).await.0, ids[..1]);
    let (_, failed) = decide(&fixture, &ids[2..], Verdict::Approve).await;
    assert!(failed[0].1.starts_with("corrects_denied: ") && failed[0].1.contains("5 USD"), "{failed:?}");
    assert_eq!(decide(&fixture, &ids[2..], Verdict::Deny).await.0, ids[2..]);
    check(&fixture, &[(10, "denied"), (10, "pending"), (-15, "denied")]).await;
}
