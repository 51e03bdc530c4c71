//! Payouts of money that somebody picks, payments that send them, lists, sums, and batches of many.

use crate::books::{Books, ONE, Posting};
use crate::story::{act, heard, holds, points, refused, told};
use headwater_app::batch::{BatchAction, BatchRequest, OBJECTS_MAX};
use headwater_app::commission::custom::CustomCommission;
use headwater_app::commission::shown::{ShownFilter, ShownOrder};
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::payout::PayoutFilter;
use headwater_app::payout::payments::Payments;
use headwater_app::payout::shown::{PayoutGrouping, PayoutSummed};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::payout::{PayoutSettings, PayoutStatus};
use headwater_store::Store;
use headwater_store::backend::{Statement, Tx};
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::{TestStore, postgres};
use headwater_testkit::on_both_stores;
use serde_json::{Map, json};
use std::sync::Arc;

on_both_stores! {
    picked_commissions_of_one_payee_go_into_one_payout,
    payments_end_with_their_payouts,
    payments_that_have_nothing_left_to_send_are_over,
    what_was_cancelled_before_does_not_make_payments_fail,
    what_failed_waits_again_and_is_paid,
    a_bank_reads_amounts_in_the_digits_of_their_currency,
    a_batch_of_many_goes_on_in_the_background,
    lists_are_narrowed_sorted_and_paged,
    a_commission_made_by_hand_is_in_the_books,
}

async fn picked_commissions_of_one_payee_go_into_one_payout(store: TestStore) {
    let books = heard(store).await;
    let (one, other) = (books.partners[0], books.partners[1]);
    let mut ids = Vec::new();
    for partner in [one, one, other] {
        ids.push(books.post(Posting::new(partner)).await);
    }
    ids.push(books.post(Posting { amount: -30 * ONE, ..Posting::new(one) }).await);
    ids.push(books.post(Posting { hold_seconds: 60, ..Posting::new(one) }).await);
    let said = refused(&books, BatchAction::CommissionGeneratePayouts, &ids).await;
    assert!(said.len() == 1 && said[0].contains("on hold until"), "{said:?}");
    let payouts = books.app.payout_list(books.account, PayoutFilter::default(), 10).await.expect("lists");
    let mut amounts: Vec<i64> = payouts.iter().map(|payout| payout.amount / ONE).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [100, 170]);
    let numbers: Vec<i64> = payouts.iter().map(|payout| payout.id).collect();
    assert!(refused(&books, BatchAction::PayoutMarkAsPaid, &numbers).await.is_empty());
    assert_eq!(books.owed(one).await, [("held".to_owned(), 100), ("paid".to_owned(), 170)]);
    holds(&books).await;
    assert!(refused(&books, BatchAction::PayoutMarkAsUnpaid, &numbers).await.is_empty());
    assert_eq!(books.owed(one).await, [("held".to_owned(), 100), ("payable".to_owned(), 170)]);
    assert!(refused(&books, BatchAction::PayoutDestroy, &numbers).await.is_empty());
    assert_eq!(books.read(ids[0]).await.status, "approved", "it can be paid again");
    holds(&books).await;
}

async fn payments_end_with_their_payouts(store: TestStore) {
    let books = heard(store).await;
    let by_bank =
        PayoutSettings::from_json(&json!({"method": "bank", "details": {"iban": "DE00, =1"}})).expect("valid");
    for partner in &books.partners[..2] {
        books.app.partner_payout_put(books.account, *partner, &by_bank).await.expect("sets");
        books.post(Posting::new(*partner)).await;
    }
    let nobody = books.app.payments_create(books.account, "bank", "key:1", Keep::nothing()).await;
    assert!(matches!(nobody, Err(Error::Invalid { .. })), "{nobody:?}");
    let now = books.app.clock.now();
    books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs");
    let payments = books.app.payments_create(books.account, "bank", "key:1", Keep::nothing()).await.expect("gathers");
    assert_eq!((payments.batch.status.as_str(), payments.payouts.len()), ("awaiting_confirmation", 2));
    let file = books.app.payments_file(books.account, payments.batch.id).await.expect("a file");
    assert_eq!(file.lines().count(), 3, "{file}");
    assert!(file.contains("100.00,USD,"), "{file}");
    let id = payments.batch.id;
    for _ in 0..2 {
        let paid = books.app.payments_pay(books.account, id, "key:1").await.expect("confirms");
        assert_eq!(paid.batch.status, "processing");
        assert!(paid.payouts.iter().all(|payout| payout.status == "processing"));
    }
    assert!(books.app.payments_delete(books.account, id, "key:1").await.is_err(), "it is under way");
    let payouts: Vec<i64> = payments.payouts.iter().map(|payout| payout.id).collect();
    act(&books, BatchAction::PayoutMarkAsPaid, &payouts[..1]).await;
    assert_eq!(books.app.payments_read(books.account, id).await.expect("there").batch.status, "processing");
    let left = books.app.payments_file(books.account, id).await.expect("a file");
    assert!(left.lines().count() == 2 && !left.contains(&format!("\n{},", payouts[0])), "paid twice: {left}");
    act(&books, BatchAction::PayoutMarkAsPaid, &payouts).await;
    let over = books.app.payments_read(books.account, id).await.expect("there").batch;
    assert_eq!((over.status.as_str(), over.completed_at), ("completed", Some(now.0)));
    let sums = books
        .app
        .payout_sums(books.account, PayoutSummed::default(), PayoutGrouping::Status)
        .await
        .expect("adds up")
        .sums;
    assert_eq!(
        (sums.len(), sums[0].group.as_str(), sums[0].amount, sums[0].promoters),
        (1, "completed", Decimal(200 * ONE), 2)
    );
    let names: Vec<String> = told(&books).await.into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| name == "payments_batch.completed"), "{names:?}");
    holds(&books).await;
}

/// Payments of these amounts, each of a partner of its own, that wait for a confirmation.
async fn gathered(books: &Books, amounts: &[(&'static str, i64)]) -> Payments {
    let by_bank = PayoutSettings::from_json(&json!({"method": "bank", "details": {}})).expect("valid");
    for (partner, (unit, amount)) in books.partners.iter().zip(amounts) {
        books.app.partner_payout_put(books.account, *partner, &by_bank).await.expect("sets");
        books.post(Posting { unit, amount: *amount, ..Posting::new(*partner) }).await;
    }
    let now = books.app.clock.now();
    books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs");
    books.app.payments_create(books.account, "bank", "key:1", Keep::nothing()).await.expect("gathers")
}

async fn payments_that_have_nothing_left_to_send_are_over(store: TestStore) {
    let books = heard(store).await;
    let payments = gathered(&books, &[("USD", 100 * ONE), ("USD", 50 * ONE)]).await;
    let payouts: Vec<i64> = payments.payouts.iter().map(|payout| payout.id).collect();
    act(&books, BatchAction::PayoutMarkAsPaid, &payouts).await;
    let id = payments.batch.id;
    assert_eq!(books.app.payments_read(books.account, id).await.expect("there").batch.status, "awaiting_confirmation");
    for _ in 0..2 {
        let paid = books.app.payments_pay(books.account, id, "key:1").await.expect("confirms").batch;
        assert_eq!((paid.status.as_str(), paid.payouts), ("completed", 2));
    }
    let names: Vec<String> = told(&books).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().filter(|name| *name == "payments_batch.completed").count(), 1, "{names:?}");
    holds(&books).await;
}

async fn what_was_cancelled_before_does_not_make_payments_fail(store: TestStore) {
    let books = heard(store).await;
    let payments = gathered(&books, &[("USD", 100 * ONE), ("USD", 50 * ONE), ("USD", 20 * ONE)]).await;
    let (id, payouts) = (payments.batch.id, payments.payouts);
    for (payout, status) in payouts.iter().zip([PayoutStatus::Cancelled, PayoutStatus::Failed]) {
        books.app.payout_finish(books.account, payout.id, status, None, "key:1").await.expect("ends");
    }
    let paid = books.app.payments_pay(books.account, id, "key:1").await.expect("confirms").batch;
    assert_eq!((paid.status.as_str(), paid.payouts), ("processing", 1));
    act(&books, BatchAction::PayoutMarkAsPaid, &[payouts[2].id]).await;
    let over = books.app.payments_read(books.account, id).await.expect("there").batch;
    assert_eq!((over.status.as_str(), over.error), ("completed", None));
    holds(&books).await;
}

async fn what_failed_waits_again_and_is_paid(store: TestStore) {
    let books = heard(store).await;
    let payments = gathered(&books, &[("USD", 100 * ONE)]).await;
    let (id, payout) = (payments.batch.id, payments.payouts[0].id);
    books.app.payments_pay(books.account, id, "key:1").await.expect("confirms");
    books.app.payout_finish(books.account, payout, PayoutStatus::Failed, None, "key:1").await.expect("fails");
    for _ in 0..2 {
        let done = act(&books, BatchAction::PayoutMarkAsUnpaid, &[payout]).await;
        assert_eq!(done.errors, Vec::new());
        assert_eq!(books.app.payout_read(books.account, payout).await.expect("there").payout.status, "pending");
    }
    let again = books.app.payments_create(books.account, "bank", "key:1", Keep::nothing()).await.expect("gathers");
    assert_eq!(again.payouts.iter().map(|payout| payout.id).collect::<Vec<_>>(), [payout]);
    books.app.payments_pay(books.account, again.batch.id, "key:1").await.expect("confirms");
    act(&books, BatchAction::PayoutMarkAsPaid, &[payout]).await;
    assert_eq!(books.app.payout_read(books.account, payout).await.expect("there").payout.status, "completed");
    assert_eq!(books.app.payments_read(books.account, id).await.expect("there").batch.status, "failed");
    holds(&books).await;
}

async fn a_bank_reads_amounts_in_the_digits_of_their_currency(store: TestStore) {
    let books = heard(store).await;
    let payments = gathered(&books, &[("JPY", 1200 * ONE), ("BHD", 12_345_000), ("USD", 12_500_000)]).await;
    let file = books.app.payments_file(books.account, payments.batch.id).await.expect("a file");
    for amount in [",1200,JPY,", ",12.345,BHD,", ",12.50,USD,"] {
        assert!(file.contains(amount), "{amount} in {file}");
    }
}

static LOCK: Statement = Statement::new("SELECT id FROM commission WHERE id = $1 FOR UPDATE");
static LOCK_FREE: Statement = Statement::new("SELECT id FROM commission WHERE id = $1 FOR UPDATE SKIP LOCKED");

/// Of what is due each is locked after those with smaller numbers: a run that locked in another order would wait for a
/// decision that waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payout_run_locks_in_the_order_of_numbers() {
    let store = postgres().await;
    let third = Store::open(&store.place, |error| panic!("the store stopped: {error}")).await.expect("opens");
    let books = heard(store).await;
    let partner = books.partners[0];
    let first = books.post(Posting::new(partner)).await;
    let due = books.post(Posting::new(partner)).await;
    let (app, account, program) = (Arc::clone(&books.app), books.account, books.program);
    let (begins, begun) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        begun.await.expect("the other holds the first");
        let now = app.clock.now();
        app.payout_run(account, program, now, "key:1").await.expect("runs")
    });
    let (begins, watching) = (std::sync::Mutex::new(Some(begins)), third.clone());
    let holds_first = async move |tx: &Tx<'_>| {
        tx.one::<(i64,)>(&LOCK, &[&first]).await?;
        if let Some(begins) = begins.lock().expect("nobody panics here").take() {
            begins.send(()).expect("it waits");
        }
        while count(&watching, Figure::WaitingSessions).await < 1 {
            tokio::task::yield_now().await;
        }
        tx.maybe::<(i64,)>(&LOCK_FREE, &[&due]).await
    };
    let free = third.money.write(holds_first).await.expect("locks");
    assert_eq!(free, Some((due,)), "who waits for the first holds nothing behind it");
    assert_eq!(run.await.expect("ends").made.len(), 1);
}

async fn a_batch_of_many_goes_on_in_the_background(store: TestStore) {
    let books = heard(store).await;
    let mut ids = Vec::new();
    for _ in 0..45 {
        ids.push(books.post(points(&books)).await);
    }
    ids.insert(7, 1);
    let ended = act(&books, BatchAction::CommissionApprove, &ids).await;
    assert_eq!((ended.batch.total, ended.batch.processed, ended.batch.failed), (46, 46, 1));
    assert_eq!((ended.batch.status.as_str(), ended.errors), ("completed", vec![(1, "not found".to_owned())]));
    let updated = told(&books).await.into_iter().filter(|(name, _)| name == "commission.updated").count();
    assert_eq!(updated, 45, "each was told once");
    for ids in [Vec::new(), (1..=i64::try_from(OBJECTS_MAX).expect("small") + 1).collect()] {
        let action = BatchAction::CommissionApprove;
        let request = BatchRequest { action, ids, parameters: Map::new(), actor: "key:1".into() };
        assert!(matches!(books.app.batch_start(books.account, request).await, Err(Error::Invalid { .. })));
    }
    assert!(books.app.batch_list(books.account, None, 1, 20).await.expect("lists").is_empty(), "none is in progress");
    assert_eq!(books.app.batch_list(books.account, Some(",completed,".into()), 1, 20).await.expect("lists").len(), 1);
    holds(&books).await;
}

async fn lists_are_narrowed_sorted_and_paged(store: TestStore) {
    let books = heard(store).await;
    let mut ids = Vec::new();
    for amount in [300, 100, 200] {
        ids.push(books.post(Posting { amount: amount * ONE, ..points(&books) }).await);
    }
    let cash = books.post(Posting { amount: 5 * ONE, ..Posting::new(books.partners[1]) }).await;
    act(&books, BatchAction::CommissionApprove, &ids[..1]).await;
    act(&books, BatchAction::CommissionMarkFulfilled, &ids[..1]).await;
    let list = async |filter: ShownFilter, order, page, per_page| {
        let shown = books.app.commissions_shown(books.account, filter, order, page, per_page).await.expect("lists");
        (shown.total, shown.rows.iter().map(|row| row.id).collect::<Vec<_>>())
    };
    let newest = (ShownOrder::CreatedAt, true);
    let some = |filter: ShownFilter| filter;
    for (filter, expected) in [
        (some(ShownFilter { unit: Some("cash".into()), ..ShownFilter::default() }), vec![cash]),
        (
            ShownFilter { unit: Some("points".into()), status: Some("pending".into()), ..ShownFilter::default() },
            vec![ids[2], ids[1]],
        ),
        (ShownFilter { status: Some("approved".into()), ..ShownFilter::default() }, vec![cash, ids[0]]),
        (ShownFilter { is_fulfilled: Some(true), ..ShownFilter::default() }, vec![ids[0]]),
        (ShownFilter { is_fulfilled: Some(false), ..ShownFilter::default() }, vec![ids[2], ids[1]]),
        (ShownFilter { amount_from: Some(200), amount_to: Some(200), ..ShownFilter::default() }, vec![ids[2]]),
        (ShownFilter { amount_from: Some(500), ..ShownFilter::default() }, vec![cash]),
        (ShownFilter { promoter_id: Some(books.partners[1].0), ..ShownFilter::default() }, vec![cash]),
        (ShownFilter { ids: Some(format!(",{},", ids[1])), ..ShownFilter::default() }, vec![ids[1]]),
        (ShownFilter { fraud_checks: Some(",ad_source,".into()), ..ShownFilter::default() }, vec![]),
        (ShownFilter { is_first: Some(true), ..ShownFilter::default() }, vec![ids[0]]),
        (ShownFilter { is_refunded: Some(true), ..ShownFilter::default() }, vec![]),
        (ShownFilter { part: Some("nobody".into()), ..ShownFilter::default() }, vec![]),
        (ShownFilter { plan_pairs: vec!["\"plan\":\"pro\"".into()], ..ShownFilter::default() }, vec![]),
        (ShownFilter { due_period: Some("next".into()), ..ShownFilter::default() }, vec![cash]),
    ] {
        let found = list(filter.clone(), newest, 1, 20).await;
        assert_eq!(found, (i64::try_from(expected.len()).expect("few"), expected), "{filter:?}");
    }
    let pages = [(1, vec![cash, ids[1]]), (2, vec![ids[2], ids[0]]), (3, vec![])];
    for (page, expected) in pages {
        assert_eq!(
            list(ShownFilter::default(), (ShownOrder::Amount, false), page, 2).await,
            (4, expected),
            "page {page}"
        );
    }
}

async fn a_commission_made_by_hand_is_in_the_books(store: TestStore) {
    let books = heard(store).await;
    let member = async |tx: &Tx<'_>| headwater_store::membership::membership_ensure(tx, 1, 1000, 1, 0).await;
    books.app.store.money.write(member).await.expect("a member");
    books.app.refresh().await.expect("refreshes");
    let membership = books.app.directory().membership_in(books.program, books.partners[0]).expect("a member").id;
    let custom = |unit, amount: &str| CustomCommission {
        membership,
        reward_id: None,
        unit,
        amount: Decimal::parse(amount).expect("a decimal"),
        event_id: None,
        event_date: None,
        internal_note: Some("a bonus".into()),
        external_note: None,
        said: Map::new(),
    };
    let made = books
        .app
        .commission_custom(books.account, custom(Some(Unit::Points), "40"), "ops@broker.example", Keep::nothing())
        .await
        .expect("made");
    let shown = made.to_json();
    assert_eq!((&shown["commission_type"], &shown["status"]), (&json!("custom"), &json!("approved")));
    assert_eq!(
        (&shown["internal_note"], &shown["created_by_user_email"]),
        (&json!("a bonus"), &json!("ops@broker.example"))
    );
    assert!(shown["payout_id"].is_i64() && shown["referral"].is_null());
    let names: Vec<String> = told(&books).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..4], ["commission.created", "commission.pending", "commission.updated", "commission.approved"]);
    books.app.commission_custom(books.account, custom(None, "12.50"), "key:1", Keep::nothing()).await.expect("made");
    assert_eq!(books.owed(books.partners[0]).await, [("payable".to_owned(), 12)]);
    for (unit, amount) in [(Some(Unit::Points), "0.5"), (None, "0"), (None, "0.001")] {
        let refused = books.app.commission_custom(books.account, custom(unit, amount), "key:1", Keep::nothing()).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{amount}");
    }
    holds(&books).await;
}
