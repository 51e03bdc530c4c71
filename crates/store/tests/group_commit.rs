//! Transactions: all or nothing, each on its own, and none lost, on both engines.

use headwater_store::backend::Error;
use headwater_store::sql;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! { a_failed_job_leaves_the_others_of_its_group_alone, a_panic_does_not_end_the_writer }

async fn a_failed_job_leaves_the_others_of_its_group_alone(fresh: TestStore) {
    let jobs = (0..200_i64).map(|n| {
        let money = fresh.store.money.clone();
        tokio::spawn(async move {
            money
                .write(async move |tx| {
                    let name = format!("n{n}");
                    tx.execute(sql!("INSERT INTO counter (name, value) VALUES ($1, $2)"), &[&name, &n]).await?;
                    if n % 3 == 0 { Err(Error::Abandoned("wanted".into())) } else { Ok(n) }
                })
                .await
        })
    });
    let mut kept = 0;
    for job in jobs.collect::<Vec<_>>() {
        kept += i64::from(job.await.expect("runs").is_ok());
    }
    let count = sql!("SELECT COUNT(*) FROM counter WHERE name LIKE 'n%' AND name <> 'node'");
    let (rows,) = fresh.store.money.read(async |tx| tx.one::<(i64,)>(count, &[]).await).await.expect("reads");
    assert_eq!((kept, rows), (133, 133));
}

async fn a_panic_does_not_end_the_writer(fresh: TestStore) {
    let money = fresh.store.money.clone();
    let panicked =
        tokio::spawn(async move { money.write::<(), _>(async |_| panic!("a mistake in an operation")).await });
    assert!(!matches!(panicked.await, Ok(Ok(()))));
    let insert = sql!("INSERT INTO counter (name, value) VALUES ('after', 1)");
    assert_eq!(fresh.store.money.write(async |tx| tx.execute(insert, &[]).await).await.expect("writes"), 1);
}
