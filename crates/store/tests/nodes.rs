//! Node numbers are leased by PostgreSQL's clock; and a caller that finds no free connection hears of it.

use headwater_store::Store;
use headwater_store::backend::{Error, Postgres, Statement, Tx};
use headwater_store::node::{node_release, node_renew, node_take};
use headwater_testkit::database::{TestStore, new_postgres_database, postgres, sqlite};
use std::collections::BTreeSet;

static LET_ONE_END: Statement = Statement::new("UPDATE node_lease SET lease_until = 0 WHERE number = 2");

async fn take(store: &Store, holder: &'static str) -> Result<i64, Error> {
    store.money.write(async move |tx| node_take(tx, holder, 4).await).await
}

async fn renew(store: &Store, number: i64, holder: &'static str) -> bool {
    store.money.write(async move |tx| node_renew(tx, number, holder).await).await.expect("answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_nodes_number_is_nobody_elses() {
    let TestStore { store, .. } = postgres().await;
    let mut held = BTreeSet::new();
    for _ in 0..4 {
        held.insert(take(&store, "one").await.expect("free"));
    }
    assert_eq!(held, (0..4).collect());
    let refused = take(&store, "two").await;
    assert!(matches!(&refused, Err(Error::Refused(_))), "{refused:?}");

    store.money.write(async |tx| tx.execute(&LET_ONE_END, &[]).await).await.expect("ends");
    assert!(renew(&store, 2, "one").await, "nobody took it meanwhile");
    assert!(take(&store, "two").await.is_err());
    store.money.write(async |tx| tx.execute(&LET_ONE_END, &[]).await).await.expect("ends");
    assert_eq!(take(&store, "two").await.expect("its lease ended"), 2);
    assert!(!renew(&store, 2, "one").await, "it is another node's now");
    assert!(renew(&store, 2, "two").await);

    store.money.write(async |tx| node_release(tx, 2, "one").await).await.expect("answers");
    assert!(take(&store, "three").await.is_err(), "only its holder gives it back");
    store.money.write(async |tx| node_release(tx, 2, "two").await).await.expect("answers");
    assert_eq!(take(&store, "three").await.expect("given back"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_has_one_process_and_needs_no_lease() {
    let fresh = sqlite().await;
    let numbers = [take(&fresh.store, "one").await.expect("free"), take(&fresh.store, "one").await.expect("free")];
    assert_eq!(numbers, [1, 2]);
    assert!(renew(&fresh.store, 1, "another").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_without_a_connection_is_told_so() {
    let database = Postgres::open(&new_postgres_database().await, 1).expect("a URL");
    let held = database.client().await.expect("the first one");
    let refused = database.write(async |_: &Tx<'_>| Ok(())).await;
    assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    drop(held);
    database.write(async |_: &Tx<'_>| Ok(())).await.expect("it is free again");
}
