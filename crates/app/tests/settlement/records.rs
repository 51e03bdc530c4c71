//! Facts by their keys: sent again, replaced, stale, moved, refused, and before their customers.

use crate::brokers::{AT, PERCENT, TRADING, account, customer, day, deposit, fact};
use crate::fixture::{Fixture, fixture_with, node};
use headwater_app::ingest::{
    FactKey, FactRecord, Ingest, OnRepeat, RECORDS_MAX, Record, RecordStatus, Recorded, Rejection, Seen, Source,
};
use headwater_app::keep::Keep;
use headwater_domain::fact::{FactBody, MoneyKind, MoneyStatus};
use headwater_domain::ids::FactId;
use headwater_domain::money::{Currency, Decimal};
use headwater_store::Store;
use headwater_store::backend::Tx;
use headwater_store::held::HeldPlace;
use headwater_store::person_state::{PersonOf, person_state};
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::{TestStore, postgres};
use headwater_testkit::on_both_stores;
use serde_json::json;
use std::sync::Arc;

on_both_stores! {
    an_equal_record_changes_nothing,
    a_person_is_read_by_its_own_account_alone,
    a_smaller_revision_is_stale,
    what_is_held_follows_every_revision_of_a_request,
    what_stays_held_keeps_its_date,
    a_fact_moves_with_its_customer,
    a_fact_waits_for_its_customer,
    what_nobody_knows_is_refused_and_leaves_nothing,
    one_refused_record_refuses_all,
    the_first_record_stands,
    a_transaction_follows_its_states,
    a_thousand_records_are_priced_once,
}

use RecordStatus::{Created, Held, Rejected, Stale, Unchanged, Updated};

async fn an_equal_record_changes_nothing(store: TestStore) {
    let fixture = fixture_with(store, TRADING).await;
    let attributes = json!({"desk": "A"}).as_object().expect("an object").clone();
    let row = FactRecord { attributes, ..day("c1", 2, Some(10)) };
    let both = vec![account(customer(&fixture, "c1")), fact(row.clone())];
    assert_eq!(fixture.push(both.clone()).await, [Created, Created]);
    assert_eq!(fixture.push(both).await, [Unchanged, Unchanged]);
    fixture.check(&[(Figure::Paid, 15_000_000), (Figure::Commissions, 2)]).await;
    let told = fixture.send(Source::Push, vec![fact(FactRecord { attributes: serde_json::Map::new(), ..row })]).await;
    assert_eq!(told[0].status, Updated, "what stands beside the figures is a part of the record");
    assert_eq!(revisions(&fixture, told[0].fact).await, 2);
    // Two records of one key in one request: the second is a revision of the first.
    assert_eq!(fixture.push(vec![fact(day("c1", 3, None)), fact(day("c1", 4, None))]).await, [Updated, Updated]);
    fixture.check(&[(Figure::Paid, 20_000_000), (Figure::Commissions, 4)]).await;
}

async fn a_person_is_read_by_its_own_account_alone(store: TestStore) {
    let fixture = fixture_with(store, TRADING).await;
    fixture.push(vec![account(customer(&fixture, "c1")), fact(day("c1", 2, Some(10)))]).await;
    let told = fixture.send(Source::Push, vec![fact(day("c1", 3, None))]).await;
    let known = fixture.app.fact_read(fixture.account, told[0].fact.expect("a fact")).await.expect("reads");
    let read = async |account_id: i64| {
        let asked = [PersonOf { account_id, id: known.fact.person_id }];
        let read = async move |tx: &Tx<'_>| person_state(tx, &asked).await;
        let state = fixture.app.store.money.read(read).await.expect("reads");
        (state.customers.len(), state.attributions.len(), state.facts.len(), state.cells.len())
    };
    assert_eq!(read(fixture.account.0).await, (1, 1, 2, 2));
    assert_eq!(read(fixture.account.0 + 1).await, (0, 0, 0, 0));
}

async fn revisions(fixture: &Fixture, fact: Option<FactId>) -> usize {
    fixture.app.fact_read(fixture.account, fact.expect("a fact")).await.expect("reads").revisions.len()
}

async fn a_smaller_revision_is_stale(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let of = |revision, dollars| fact(FactRecord { revision: Some(revision), ..deposit("c1", "d1", dollars) });
    let records = vec![account(customer(&fixture, "c1")), of(10, 100), of(30, 100), of(20, 900), of(30, 200)];
    assert_eq!(fixture.push(records).await, [Created, Created, Unchanged, Stale, Updated]);
    fixture.check(&[(Figure::Paid, 20_000_000), (Figure::Commissions, 1)]).await;
    assert_eq!(fixture.push(vec![of(20, 900), fact(deposit("c1", "d1", 900))]).await, [Stale, Stale]);
    fixture.check(&[(Figure::Paid, 20_000_000), (Figure::Commissions, 1)]).await;
}

async fn what_is_held_follows_every_revision_of_a_request(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(vec![account(customer(&fixture, "c1"))]).await;
    let body = FactBody::Money {
        kind: MoneyKind::Deposit,
        amount: Decimal(100_000_000),
        currency: Currency::parse("EUR").expect("a currency"),
        status: MoneyStatus::Approved,
        payee: None,
    };
    let revised = |revision| {
        let record = FactRecord { revision: Some(revision), body: body.clone(), ..deposit("c1", "d1", 100) };
        fact(record)
    };
    assert_eq!(fixture.push(vec![revised(1)]).await, [Created]);
    assert_eq!(fixture.held().await, ["no_exchange_rate"]);
    assert_eq!(fixture.push(vec![revised(2), revised(3)]).await, [Unchanged, Unchanged]);
    assert_eq!(fixture.held().await, ["no_exchange_rate"]);
    fixture.push(vec![fact(deposit("c1", "d2", 100))]).await;
    assert_eq!(fixture.held().await, ["no_exchange_rate"], "of the revision that stands");
    fixture.sound().await;
}

async fn what_stays_held_keeps_its_date(store: TestStore) {
    let fixture = fixture_with(store, TRADING).await;
    fixture.push(vec![account(customer(&fixture, "c1"))]).await;
    let of_day = |revision, date: &str, currency: &str, spread_cost| {
        let mut record = FactRecord { revision: Some(revision), ..day("c1", 2, spread_cost) };
        let FactBody::TradingDay(row) = &mut record.body else { panic!("a day") };
        row.date = date.parse().expect("a day");
        row.currency = Currency::parse(currency).expect("known");
        fact(record)
    };
    let held = async || {
        let held = fixture.app.held_list(fixture.account, None, None, 1000).await.expect("lists");
        held.into_iter().map(|row| (row.fact_id, row.since)).collect::<Vec<_>>()
    };
    assert_eq!(fixture.push(vec![of_day(1, "2026-09-01", "EUR", Some(10))]).await, [Created]);
    let [(first, since)] = held().await[..] else { panic!("one is held") };
    fixture.app.clock.advance_seconds(3600);
    // The person is priced, and by the number of the later revision.
    let records = vec![of_day(2, "2026-09-01", "EUR", Some(10)), of_day(1, "2026-09-02", "USD", Some(10))];
    assert_eq!(fixture.push(records).await, [Unchanged, Created]);
    let [(second, same)] = held().await[..] else { panic!("one is held") };
    assert_eq!(same, since);
    assert!(second > first);
    // So does what somebody dismissed.
    let place = HeldPlace { fact_id: second, reason: "no_exchange_rate".into() };
    fixture.app.held_dismiss(fixture.account, place, "known".into(), "operator".into()).await.expect("dismisses");
    assert_eq!(fixture.push(vec![of_day(3, "2026-09-01", "EUR", Some(10))]).await, [Unchanged]);
    assert_eq!(held().await, []);
    fixture.sound().await;
    // What moved and then changed is held no more by any number.
    let records = vec![of_day(4, "2026-09-01", "EUR", Some(10)), of_day(5, "2026-09-01", "EUR", None)];
    assert_eq!(fixture.push(records).await, [Unchanged, Updated]);
    assert_eq!(fixture.count(Figure::Held).await, 0);
    fixture.sound().await;
}

async fn a_fact_moves_with_its_customer(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(["c1", "c2"].map(|id| account(customer(&fixture, id))).into()).await;
    fixture.push(vec![fact(deposit("c1", "d1", 300)), fact(deposit("c1", "d2", 100))]).await;
    assert_eq!(fixture.push(vec![fact(deposit("c2", "d1", 300))]).await, [Updated]);
    fixture.check(&[(Figure::Paid, 40_000_000), (Figure::Commissions, 3)]).await;
    // What is stored of the old person does not bring it back.
    fixture.push(vec![fact(deposit("c1", "d3", 100)), fact(deposit("c2", "d4", 100))]).await;
    fixture.check(&[(Figure::Paid, 60_000_000), (Figure::Commissions, 5)]).await;
    assert_eq!(fixture.push(vec![fact(deposit("c1", "d1", 300))]).await, [Updated], "and back");
    assert_eq!(fixture.push(vec![fact(deposit("c1", "d1", 300))]).await, [Unchanged]);
    fixture.check(&[(Figure::Paid, 60_000_000)]).await;
    fixture.sound().await;
}

async fn a_fact_waits_for_its_customer(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    fixture.set("unknown_customer", json!("hold")).await;
    assert_eq!(fixture.push(vec![fact(deposit("late", "d1", 300))]).await, [Held]);
    assert_eq!(fixture.push(vec![fact(deposit("late", "d1", 300))]).await, [Unchanged]);
    assert_eq!(fixture.held().await, ["unknown_customer"]);
    let record = crate::brokers::with_email(&fixture, "late", "late@example.org");
    assert_eq!(fixture.push(vec![account(record)]).await, [Created]);
    assert_eq!(fixture.held().await, Vec::<String>::new());
    fixture.check(&[(Figure::Paid, 30_000_000), (Figure::Customers, 1)]).await;
    // In one request their order makes no difference.
    let both = vec![fact(deposit("new", "d2", 100)), account(customer(&fixture, "new"))];
    assert_eq!(fixture.push(both).await, [Created, Created]);
    fixture.check(&[(Figure::Paid, 40_000_000)]).await;
    fixture.sound().await;
}

async fn what_nobody_knows_is_refused_and_leaves_nothing(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let refused = [Rejected(Rejection::UnknownCustomer)];
    assert_eq!(fixture.push(vec![fact(deposit("nobody", "d1", 300))]).await, refused);
    let keyless = FactRecord { key: FactKey::Natural, ..deposit("c1", "", 1) };
    let records = vec![account(customer(&fixture, "c1")), fact(keyless)];
    assert_eq!(fixture.push(records).await, [Created, Rejected(Rejection::Unusable("key"))]);
    fixture.check(&[(Figure::Persons, 1), (Figure::Customers, 1), (Figure::Commissions, 0)]).await;
}

async fn one_refused_record_refuses_all(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let records = vec![
        account(crate::brokers::with_email(&fixture, "c1", "c1@example.org")),
        fact(deposit("c1", "d1", 300)),
        fact(deposit("nobody", "d2", 300)),
    ];
    let (account, program, source) = (fixture.account, fixture.program, Source::Forex);
    let ingest =
        Ingest { account, program, source, all_or_nothing: true, records, keep: Keep::nothing(), seen: Seen::Anything };
    let told: Vec<Recorded> = fixture.app.record(ingest).await.expect("answers");
    let told: Vec<_> = told.into_iter().map(|recorded| recorded.status).collect();
    assert_eq!(told, [Unchanged, Unchanged, Rejected(Rejection::UnknownCustomer)]);
    fixture.check(&[(Figure::Persons, 0), (Figure::Customers, 0), (Figure::Commissions, 0)]).await;
}

async fn the_first_record_stands(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let of = |dollars| fact(FactRecord { on_repeat: OnRepeat::Refuse, at: None, ..deposit("c1", "d1", dollars) });
    let records = vec![account(customer(&fixture, "c1")), of(300), of(300), of(400)];
    assert_eq!(fixture.push(records).await, [Created, Created, Unchanged, Rejected(Rejection::Conflict)]);
    assert_eq!(fixture.push(vec![of(300), of(400)]).await, [Unchanged, Rejected(Rejection::Conflict)]);
    let timed = fact(FactRecord { on_repeat: OnRepeat::Refuse, at: Some(AT), ..deposit("c1", "d1", 300) });
    assert_eq!(fixture.push(vec![timed]).await, [Rejected(Rejection::Conflict)], "another time is other content");
    fixture.check(&[(Figure::Paid, 30_000_000), (Figure::Commissions, 1)]).await;
}

fn transaction(kind: MoneyKind, dollars: i64, status: MoneyStatus) -> Record {
    let (amount, currency) = (Decimal(dollars * 1_000_000), crate::brokers::usd());
    let body = FactBody::Money { kind, amount, currency, status, payee: None };
    fact(FactRecord { body, on_repeat: OnRepeat::Transaction, ..deposit("c1", "t1", 0) })
}

async fn a_transaction_follows_its_states(store: TestStore) {
    use MoneyKind::{Bonus, Deposit};
    use MoneyStatus::{Approved, Cancelled, Pending, Reversed};
    let fixture = fixture_with(store, PERCENT).await;
    fixture.push(vec![account(customer(&fixture, "c1"))]).await;
    let moved = |from, to| Rejected(Rejection::StatusTransition(from, to));
    for (step, (kind, dollars, status, told, paid)) in [
        (Bonus, 100, Pending, Created, 0),
        (Deposit, 100, Pending, Updated, 0),
        (Deposit, 200, Pending, Updated, 0),
        (Deposit, 200, Approved, Updated, 20),
        (Deposit, 200, Approved, Unchanged, 20),
        (Deposit, 200, Pending, moved("approved", "pending"), 20),
        (Deposit, 200, Cancelled, moved("approved", "cancelled"), 20),
        (Deposit, 300, Approved, Rejected(Rejection::Immutable("amount")), 20),
        (Bonus, 200, Approved, Rejected(Rejection::Immutable("type")), 20),
        (Deposit, 200, Reversed, Updated, 0),
        (Deposit, 200, Approved, moved("reversed", "approved"), 0),
    ]
    .into_iter()
    .enumerate()
    {
        let came = fixture.send(Source::Forex, vec![transaction(kind, dollars, status)]).await;
        assert_eq!(came[0].status, told, "step {step}");
        assert_eq!(fixture.count(Figure::Paid).await, paid * 1_000_000, "step {step}");
    }
}

async fn a_thousand_records_are_priced_once(store: TestStore) {
    let fixture = fixture_with(store, PERCENT).await;
    let customers: Vec<_> = (0..500).map(|n| account(customer(&fixture, &format!("c{n}")))).collect();
    fixture.push(customers).await;
    let deposits = |dollars: i64| -> Vec<Record> {
        (0..1000).map(|n| fact(deposit(&format!("c{}", n % 500), &format!("d{n}"), dollars))).collect()
    };
    fixture.push(deposits(100)).await;
    fixture.check(&[(Figure::Paid, 10_000_000_000), (Figure::Commissions, 500), (Figure::Entries, 1000)]).await;
    assert!(fixture.push(deposits(100)).await.iter().all(|status| *status == Unchanged));
    fixture.push(deposits(110)).await;
    fixture.check(&[(Figure::Paid, 11_000_000_000), (Figure::Commissions, 1000)]).await;
    fixture.sound().await;
    let over: Vec<_> = deposits(1).into_iter().cycle().take(RECORDS_MAX + 1).collect();
    let (account, program, source) = (fixture.account, fixture.program, Source::Push);
    let over = Ingest {
        account,
        program,
        source,
        all_or_nothing: false,
        records: over,
        keep: Keep::nothing(),
        seen: Seen::Anything,
    };
    assert!(fixture.app.record(over).await.is_err());
}

/// Two nodes move one fact between two customers, again and again: at the end it is one customer's, and paid once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fact_is_one_customers_whichever_node_is_told() {
    let fixture = Arc::new(fixture_with(postgres().await, PERCENT).await);
    fixture.push(["c1", "c2"].map(|id| account(customer(&fixture, id))).into()).await;
    let stop = |error: &str| panic!("the store stopped: {error}");
    let other = node(Store::open(&fixture.store.place, stop).await.expect("opens")).await;
    let mut sending = Vec::new();
    for app in [Arc::clone(&fixture.app), other] {
        let (account, program, source) = (fixture.account, fixture.program, Source::Push);
        sending.push(tokio::spawn(async move {
            for round in 0..20 {
                let records = vec![fact(deposit(["c1", "c2"][round % 2], "d1", 300))];
                let ingest = Ingest {
                    account,
                    program,
                    source,
                    all_or_nothing: false,
                    records,
                    keep: Keep::nothing(),
                    seen: Seen::Anything,
                };
                app.record(ingest).await.expect("records");
            }
        }));
    }
    for task in sending {
        task.await.expect("nobody panics");
    }
    fixture.check(&[(Figure::Paid, 30_000_000)]).await;
    fixture.sound().await;
    fixture.push(vec![fact(deposit("c1", "d2", 100)), fact(deposit("c2", "d3", 100))]).await;
    assert_eq!(count(&fixture.store.store, Figure::Paid).await, 50_000_000);
}
