//! A payout's statement: it adds up to the payout in every unit, shows what was taken back, and is nobody else's.

use crate::books::{Books, ONE, Posting};
use crate::story::{act, heard, holds, points};
use headwater_app::batch::BatchAction;
use headwater_app::error::Error;
use headwater_app::payout::PayoutFilter;
use headwater_domain::ids::{AccountId, CustomerId};
use headwater_domain::ledger::statement::verify;
use headwater_domain::payout::PayoutStatus;
use headwater_store::tenant::account_insert;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};

on_both_stores! {
    a_statement_adds_up_to_its_payout_in_every_unit,
    what_was_taken_back_is_among_the_receivables,
    a_reward_has_a_statement_for_whoever_gets_it,
    a_payout_that_moves_back_and_forth_keeps_its_entries,
    a_statement_is_its_payees_alone,
}

/// The text of a payout's statement, which holds, and what it says.
async fn statement(books: &Books, payout: i64) -> (String, Value) {
    let text = books.app.payout_statement(books.account, payout, None).await.expect("a statement");
    let key = books.app.statement_public_key(books.account);
    let verified = verify(&text, Some(&key)).unwrap_or_else(|broken| panic!("{broken}\n{text}"));
    assert_eq!(verified.payout.expect("of a payout").id, payout);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    (text, document["statement"].clone())
}

/// Pays what is due; gives the payouts, the oldest first.
async fn run(books: &Books) -> Vec<i64> {
    let now = books.app.clock.now();
    let made = books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs").made;
    made.into_iter().map(|payout| payout.id).collect()
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().filter_map(|row| row["id"].as_i64()).collect()
}

async fn a_statement_adds_up_to_its_payout_in_every_unit(store: TestStore) {
    let books = heard(store).await;
    for (unit, amounts, shown) in [
        ("USD", [400_100_000, 12_400_000], "412.50"),
        ("JPY", [1200 * ONE, 34 * ONE], "1234"),
        ("BHD", [12_345_000, 1000], "12.346"),
    ] {
        let mut posted = Vec::new();
        for amount in amounts {
            posted.push(books.post(Posting { unit, amount, ..Posting::new(books.partners[0]) }).await);
        }
        let payout = run(&books).await.pop().expect("one");
        for status in ["pending", "completed"] {
            let (text, said) = statement(&books, payout).await;
            assert_eq!(
                (&said["amount"], &said["unit"], &said["status"]),
                (&json!(shown), &json!(unit), &json!(status))
            );
            assert_eq!((&said["partner"], &said["customer"]), (&json!("ib1"), &json!(null)));
            assert_eq!(ids(&said["commissions"]), posted);
            let row = &said["commissions"][0];
            assert_eq!(
                (&row["rule"], &row["period"], &row["corrects"]),
                (&json!("cpa"), &json!("2026-09"), &json!(null))
            );
            assert_eq!(said["totals"]["payout"], shown);
            assert_eq!(said["entries"].as_array().map(Vec::len), Some(if status == "completed" { 2 } else { 0 }));
            // A digit of an amount that is another one is found.
            let at = text.find(&format!("\"{shown}\"")).expect("its amount") + 1;
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'9' { b'8' } else { changed[at] + 1 };
            assert!(verify(&String::from_utf8(changed).expect("text"), None).is_err(), "{status} {unit}");
            if status == "pending" {
                let finish = books.app.payout_finish(books.account, payout, PayoutStatus::Completed, None, "key:1");
                finish.await.expect("is paid");
            }
        }
    }
    holds(&books).await;
}

async fn what_was_taken_back_is_among_the_receivables(store: TestStore) {
    let books = heard(store).await;
    let partner = books.partners[0];
    let first = books.post(Posting::new(partner)).await;
    let paid = run(&books).await;
    act(&books, BatchAction::PayoutMarkAsPaid, &paid).await;
    let back = books.post(Posting { amount: -30 * ONE, corrects: Some(first), ..Posting::new(partner) }).await;
    assert_eq!(books.owed(partner).await, [("paid".to_owned(), 100), ("receivable".to_owned(), -30)]);
    let second = books.post(Posting { amount: 50 * ONE, ..Posting::new(partner) }).await;
    let payout = run(&books).await.pop().expect("what is left");
    act(&books, BatchAction::PayoutMarkAsPaid, &[payout]).await;
    let (_, said) = statement(&books, payout).await;
    assert_eq!((ids(&said["commissions"]), ids(&said["receivables"])), (vec![second], vec![back]));
    assert_eq!(said["receivables"][0]["corrects"], first);
    assert_eq!(said["totals"], json!({"commissions": "50.00", "receivables": "-30.00", "payout": "20.00"}));
    assert_eq!(books.owed(partner).await, [("paid".to_owned(), 120)]);
    holds(&books).await;
}

async fn a_reward_has_a_statement_for_whoever_gets_it(store: TestStore) {
    let books = heard(store).await;
    let id = books.post(Posting { customer: Some(CustomerId(905)), ..points(&books) }).await;
    act(&books, BatchAction::CommissionApprove, &[id]).await;
    act(&books, BatchAction::CommissionMarkFulfilled, &[id]).await;
    let payouts = books.app.payout_list(books.account, PayoutFilter::default(), 10).await.expect("lists");
    let (_, said) = statement(&books, payouts[0].id).await;
    assert_eq!((&said["customer"], &said["partner"]), (&json!(905), &json!(null)));
    assert_eq!((&said["amount"], &said["unit"]), (&json!("250"), &json!("points")));
    assert_eq!(said["entries"].as_array().map(Vec::len), Some(2));
}

async fn a_payout_that_moves_back_and_forth_keeps_its_entries(store: TestStore) {
    let books = heard(store).await;
    books.post(Posting::new(books.partners[0])).await;
    let payout = run(&books).await;
    for (action, entries) in
        [(BatchAction::PayoutMarkAsPaid, 2), (BatchAction::PayoutMarkAsUnpaid, 4), (BatchAction::PayoutMarkAsPaid, 6)]
    {
        act(&books, action, &payout).await;
        let (_, said) = statement(&books, payout[0]).await;
        assert_eq!(said["entries"].as_array().map(Vec::len), Some(entries), "{action:?}");
    }
    holds(&books).await;
}

async fn a_statement_is_its_payees_alone(store: TestStore) {
    let books = heard(store).await;
    books.post(Posting::new(books.partners[0])).await;
    let payout = run(&books).await[0];
    let foreign = books.app.store.money.write(async |tx| account_insert(tx, "b", 0).await).await.expect("added");
    for (account, payout, payee) in [
        (AccountId(foreign), payout, None),
        (books.account, payout + 1, None),
        (books.account, payout, Some(books.partners[1])),
    ] {
        let refused = books.app.payout_statement(account, payout, payee).await;
        assert!(matches!(refused, Err(Error::NotFound("payout"))), "{refused:?}");
    }
    let own = Some(books.partners[0]);
    books.app.payout_statement(books.account, payout, own).await.expect("its own");
    act(&books, BatchAction::PayoutDestroy, &[payout]).await;
    let hidden = books.app.payout_statement(books.account, payout, own).await;
    assert!(matches!(hidden, Err(Error::NotFound("payout"))), "{hidden:?}");
    statement(&books, payout).await;
}
