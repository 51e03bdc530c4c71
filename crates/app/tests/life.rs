//! The life of commissions and payouts on both engines: each move happens once, whatever comes at once, and the books
//! show it.

#[path = "life/books.rs"]
mod books;
#[path = "life/model.rs"]
mod model;

use books::{Books, NOW, ONE, Posting};
use headwater_app::commission::{CommissionFilter, Verdict};
use headwater_app::error::Error;
use headwater_app::payout::{PayoutFilter, PayoutRun};
use headwater_domain::payout::{PayoutSettings, PayoutStatus};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::json;
use std::sync::Arc;

on_both_stores! {
    each_of_many_verdicts_at_once_falls_once,
    a_hold_ends_at_its_moment,
    what_was_denied_is_not_owed_and_cannot_be_taken_back,
    unknown_ids_are_listed_and_all_unknown_is_an_error,
    two_runs_at_once_never_pay_a_commission_twice,
    a_payout_that_failed_is_paid_by_the_next,
    what_was_paid_too_much_is_netted_from_the_next_payout,
    a_minimum_waits_until_it_is_reached,
    reward_units_and_suspended_partners_are_not_paid_out,
    another_account_sees_and_changes_nothing,
    a_statement_of_a_window_opens_where_the_one_before_closed,
    random_lives_agree_with_the_model,
}

async fn decide(books: &Books, ids: &[i64], verdict: Verdict) -> (Vec<i64>, Vec<&'static str>) {
    let decided = books.app.commissions_decide(books.account, ids.into(), verdict, "key:1".into()).await;
    let decided = decided.expect("some are known");
    (decided.done.iter().map(|row| row.id).collect(), decided.failed.iter().map(|failed| failed.code).collect())
}

async fn run(books: &Books) -> PayoutRun {
    let now = books.app.clock.now();
    books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs")
}

async fn finish(books: &Books, id: i64, status: PayoutStatus) -> Result<i64, Error> {
    books.app.payout_finish(books.account, id, status, None, "key:1").await.map(|payout| payout.amount / ONE)
}

async fn each_of_many_verdicts_at_once_falls_once(store: TestStore) {
    let books = Arc::new(Books::new(store).await);
    let mut ids = Vec::new();
    for index in 0..10 {
        let hold_seconds = if index % 2 == 0 { 0 } else { 60 };
        ids.push(books.post(Posting { hold_seconds, ..Posting::pending(books.partners[0]) }).await);
    }
    let callers = (0..32).map(|caller| {
        let (books, mut ids) = (Arc::clone(&books), ids.clone());
        let verdict = if caller % 2 == 0 { Verdict::Approve } else { Verdict::Deny };
        ids.rotate_left(caller % 10);
        tokio::spawn(async move { (verdict, decide(&books, &ids, verdict).await) })
    });
    let mut verdicts = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        verdicts.push(caller.await.expect("answers"));
    }
    let mut approved = Vec::new();
    for id in &ids {
        let row = books.read(*id).await;
        assert!(matches!(row.status.as_str(), "approved" | "denied"), "{}", row.status);
        // Every answer told the truth: a caller is told `done` for the one verdict that fell, and no other.
        for (verdict, (done, _)) in &verdicts {
            let fell = (*verdict == Verdict::Approve) == (row.status == "approved");
            assert_eq!(done.contains(id), fell, "{id} {verdict:?} {}", row.status);
        }
        if row.status == "approved" {
            approved.push(row);
        }
    }
    let due = approved.iter().filter(|row| row.payable_at <= NOW.0).count();
    let expected = [("held", approved.len() - due), ("payable", due)];
    let expected = expected.map(|(name, count)| (name.to_owned(), 100 * i64::try_from(count).expect("few")));
    let expected: Vec<_> = expected.into_iter().filter(|(_, amount)| *amount != 0).collect();
    assert_eq!(books.owed(books.partners[0]).await, expected);
    books.hold().await;
}

async fn a_hold_ends_at_its_moment(store: TestStore) {
    let books = Books::new(store).await;
    let partner = books.partners[0];
    let held = books.post(Posting { hold_seconds: 3600, ..Posting::new(partner) }).await;
    let waiting = books.post(Posting { hold_seconds: 3600, ..Posting::pending(partner) }).await;
    decide(&books, &[waiting], Verdict::Approve).await;
    let payable = async || {
        let filter = CommissionFilter { status: Some("payable".into()), ..CommissionFilter::default() };
        let rows = books.app.commission_list(books.account, filter, 10).await.expect("lists");
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    books.app.clock.advance_seconds(3599);
    assert_eq!(books.owed(partner).await, [("held".to_owned(), 200)]);
    assert!(payable().await.is_empty());
    assert!(run(&books).await.made.is_empty());
    books.app.clock.advance_seconds(1);
    assert_eq!(payable().await, [waiting, held]);
    assert_eq!(books.owed(partner).await, [("payable".to_owned(), 200)]);
    assert_eq!(books.read(held).await.status, "approved");
    assert_eq!(books.app.fall_due(None).await.expect("nothing to do"), 0);
    books.hold().await;
}

async fn what_was_denied_is_not_owed_and_cannot_be_taken_back(store: TestStore) {
    let books = Books::new(store).await;
    let partner = books.partners[0];
    let denied = books.post(Posting::pending(partner)).await;
    assert_eq!(books.owed(partner).await, [("accrued".to_owned(), 100)]);
    assert_eq!(decide(&books, &[denied], Verdict::Deny).await, (vec![denied], vec![]));
    assert!(books.balances().await.is_empty(), "the expense is taken back too");
    assert_eq!(decide(&books, &[denied], Verdict::Deny).await, (vec![denied], vec![]), "a retry is safe");
    assert_eq!(decide(&books, &[denied], Verdict::Approve).await, (vec![], vec!["commission_not_pending"]));
    let correction = Posting { amount: -100 * ONE, corrects: Some(denied), ..Posting::pending(partner) };
    let correction = books.post(correction).await;
    assert_eq!(decide(&books, &[correction], Verdict::Approve).await, (vec![], vec!["corrects_denied"]));
    assert_eq!(decide(&books, &[correction], Verdict::Deny).await, (vec![correction], vec![]));
    assert_eq!(books.read(correction).await.corrects, Some(denied));
    assert!(books.balances().await.is_empty());
    let earned = books.post(Posting::pending(partner)).await;
    let taken_back = Posting { amount: -100 * ONE, corrects: Some(earned), ..Posting::pending(partner) };
    let taken_back = books.post(taken_back).await;
    assert_eq!(decide(&books, &[taken_back], Verdict::Approve).await, (vec![taken_back], vec![]));
    assert_eq!(decide(&books, &[earned], Verdict::Deny).await, (vec![], vec!["taken_back"]), "in either order");
    assert_eq!(decide(&books, &[earned], Verdict::Approve).await, (vec![earned], vec![]));
    books.hold().await;
}

async fn unknown_ids_are_listed_and_all_unknown_is_an_error(store: TestStore) {
    let books = Books::new(store).await;
    let id = books.post(Posting::pending(books.partners[0])).await;
    let some = decide(&books, &[7, id, id], Verdict::Approve).await;
    assert_eq!(some, (vec![id], vec!["commission_not_found"]));
    let none = books.app.commissions_decide(books.account, vec![7, 8], Verdict::Approve, "key:1".into()).await;
    assert!(matches!(none, Err(Error::NotFound("commission"))), "{none:?}");
}

async fn two_runs_at_once_never_pay_a_commission_twice(store: TestStore) {
    let books = Arc::new(Books::new(store).await);
    let mut ids = Vec::new();
    for index in 0..30 {
        ids.push(books.post(Posting::new(books.partners[index % 3])).await);
    }
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let books = Arc::clone(&books);
            tokio::spawn(async move { run(&books).await })
        })
        .collect();
    for run in runs {
        run.await.expect("runs");
    }
    let payouts = books.app.payout_list(books.account, PayoutFilter::default(), 100).await.expect("lists");
    assert_eq!(payouts.iter().map(|payout| payout.amount).sum::<i64>(), 3000 * ONE);
    let mut paid = Vec::new();
    for payout in &payouts {
        paid.extend(books.app.payout_read(books.account, payout.id).await.expect("there").commissions);
        finish(&books, payout.id, PayoutStatus::Completed).await.expect("completes");
    }
    paid.sort_unstable();
    assert_eq!(paid, ids);
    assert_eq!(books.owed(books.partners[1]).await, [("paid".to_owned(), 1000)]);
    assert!(run(&books).await.made.is_empty());
    books.hold().await;
}

async fn a_payout_that_failed_is_paid_by_the_next(store: TestStore) {
    let books = Books::new(store).await;
    let partner = books.partners[0];
    let id = books.post(Posting::new(partner)).await;
    for status in [PayoutStatus::Failed, PayoutStatus::Cancelled] {
        let made = run(&books).await.made;
        assert_eq!(made.len(), 1, "{status:?}");
        assert_eq!(books.read(id).await.status, "in_payout");
        assert_eq!(finish(&books, made[0].id, status).await.expect("finishes"), 100);
        assert_eq!(books.read(id).await.status, "approved");
        assert_eq!(books.owed(partner).await, [("payable".to_owned(), 100)]);
        finish(&books, made[0].id, status).await.expect("said twice alike is said once");
        let other = finish(&books, made[0].id, PayoutStatus::Completed).await.expect_err("it does not change any more");
        assert!(matches!(other, Error::Conflict { code: "payout_not_pending", .. }), "{other:?}");
    }
    let made = run(&books).await.made;
    finish(&books, made[0].id, PayoutStatus::Completed).await.expect("completes");
    assert_eq!(books.read(id).await.status, "paid");
    assert_eq!(books.owed(partner).await, [("paid".to_owned(), 100)]);
    let unknown = finish(&books, 1, PayoutStatus::Completed).await.expect_err("no such payout");
    assert!(matches!(unknown, Error::NotFound("payout")), "{unknown:?}");
    books.hold().await;
}

async fn what_was_paid_too_much_is_netted_from_the_next_payout(store: TestStore) {
    let books = Books::new(store).await;
    let partner = books.partners[0];
    let first = books.post(Posting::new(partner)).await;
    let payout = run(&books).await.made.remove(0);
    finish(&books, payout.id, PayoutStatus::Completed).await.expect("completes");
    let taken_back = Posting { amount: -30 * ONE, corrects: Some(first), ..Posting::pending(partner) };
    let taken_back = books.post(taken_back).await;
    decide(&books, &[taken_back], Verdict::Approve).await;
    assert_eq!(books.owed(partner).await, [("paid".to_owned(), 100), ("receivable".to_owned(), -30)]);
    assert_eq!(run(&books).await.skipped[0].reason, "nothing_due");
    books.post(Posting::new(partner)).await;
    assert_eq!(books.owed(partner).await, [("paid".to_owned(), 100), ("payable".to_owned(), 70)]);
    let payout = run(&books).await.made.remove(0);
    assert_eq!((payout.amount, payout.commissions), (70 * ONE, 2));
    finish(&books, payout.id, PayoutStatus::Completed).await.expect("completes");
    assert_eq!(books.owed(partner).await, [("paid".to_owned(), 170)]);
    assert_eq!(books.read(taken_back).await.status, "paid");
    books.hold().await;
}

async fn a_minimum_waits_until_it_is_reached(store: TestStore) {
    let books = Books::new(store).await;
    let settings = PayoutSettings::from_json(&json!({"method": "bank", "minimum": "150"})).expect("valid");
    books.app.partner_payout_put(books.account, books.partners[0], &settings).await.expect("sets");
    books.post(Posting::new(books.partners[0])).await;
    books.post(Posting { unit: "EUR", ..Posting::new(books.partners[0]) }).await;
    let first = run(&books).await;
    assert_eq!(first.made.iter().map(|payout| payout.unit.as_str()).collect::<Vec<_>>(), ["EUR"], "it is in dollars");
    assert_eq!(first.skipped.iter().map(|skipped| skipped.reason).collect::<Vec<_>>(), ["below_minimum"]);
    books.post(Posting { amount: 50 * ONE, ..Posting::new(books.partners[0]) }).await;
    let second = run(&books).await;
    assert_eq!(second.made.iter().map(|payout| payout.amount / ONE).collect::<Vec<_>>(), [150]);
    assert!(second.made[0].settings.contains("bank"));
    books.hold().await;
}

async fn reward_units_and_suspended_partners_are_not_paid_out(store: TestStore) {
    let books = Books::new(store).await;
    books.post(Posting { unit: "points", ..Posting::new(books.partners[0]) }).await;
    books.post(Posting::new(books.partners[1])).await;
    books.app.partner_suspend(books.account, "ib2", true, None).await.expect("suspends");
    let skipped: Vec<_> = run(&books).await.skipped.into_iter().map(|skipped| skipped.reason).collect();
    assert_eq!(skipped, ["reward_unit", "partner_suspended"]);
    books.app.clock.advance_seconds(1);
    books.app.partner_suspend(books.account, "ib2", false, None).await.expect("restores");
    assert_eq!(run(&books).await.made.len(), 1);
    books.hold().await;
}

async fn another_account_sees_and_changes_nothing(store: TestStore) {
    let books = Books::new(store).await;
    let foreign = headwater_domain::ids::AccountId(books.account.0 + 1);
    let id = books.post(Posting::pending(books.partners[0])).await;
    let refused = books.app.commissions_decide(foreign, vec![id], Verdict::Approve, "key:9".into()).await;
    assert!(matches!(refused, Err(Error::NotFound("commission"))), "{refused:?}");
    assert_eq!(books.read(id).await.status, "pending");
    books.post(Posting::new(books.partners[0])).await;
    let now = books.app.clock.now();
    let refused = books.app.payout_run(foreign, books.program, now, "key:9").await;
    assert!(matches!(refused, Err(Error::NotFound("program"))), "{refused:?}");
    let payout = run(&books).await.made.remove(0);
    let refused = books.app.payout_finish(foreign, payout.id, PayoutStatus::Cancelled, None, "key:9").await;
    assert!(matches!(refused, Err(Error::NotFound("payout"))), "{refused:?}");
    assert!(books.app.payout_read(foreign, payout.id).await.is_err());
    assert!(books.app.payout_list(foreign, PayoutFilter::default(), 9).await.expect("lists").is_empty());
    assert_ne!(books.app.statement_public_key(foreign), books.app.statement_public_key(books.account));
}

async fn a_statement_of_a_window_opens_where_the_one_before_closed(store: TestStore) {
    use headwater_app::statement::StatementRequest;
    use headwater_domain::ledger::statement::verify;
    let books = Books::new(store).await;
    for _ in 0..3 {
        books.post(Posting::new(books.partners[0])).await;
        books.app.clock.advance_seconds(3600);
    }
    let window = async |from: i64, to: i64| {
        let at = |hours: i64| Some(NOW.plus_seconds(hours * 3600));
        let asked = StatementRequest { partner: "ib1".into(), program: None, from: at(from), to: at(to) };
        let text = books.app.statement(books.account, asked).await.expect("a statement");
        let verified = verify(&text, None).unwrap_or_else(|broken| panic!("{broken}\n{text}"));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let account = value["statement"]["accounts"][0].clone();
        (account["opening"].clone(), account["closing"].clone(), verified.entries)
    };
    let (before, middle, after) = (window(-1, 1).await, window(1, 2).await, window(2, 9).await);
    assert_eq!((before.2, middle.2, after.2), (1, 1, 1));
    assert_eq!((&before.1, &middle.1), (&middle.0, &after.0));
    assert_eq!(middle.0["balance"], "100.00");
    assert_eq!(after.1["balance"], "300.00");
    let asked =
        StatementRequest { partner: "ib1".into(), program: None, from: Some(NOW), to: Some(NOW.plus_seconds(-1)) };
    assert!(books.app.statement(books.account, asked).await.is_err());
}

async fn random_lives_agree_with_the_model(store: TestStore) {
    model::check(Books::new(store).await).await;
}
