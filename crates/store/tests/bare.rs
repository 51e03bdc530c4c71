//! The table beside which pushes are measured: a row that is sent again takes the place of the first.

use headwater_store::bare::{BareDay, bare_create, bare_upsert};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! { a_row_that_is_sent_again_takes_the_place_of_the_first }

async fn a_row_that_is_sent_again_takes_the_place_of_the_first(fresh: TestStore) {
    let row = |customer: &str, lots: i64| BareDay {
        day: "2024-01-01".into(),
        customer: customer.into(),
        instrument: "EURUSD".into(),
        currency: "USD".into(),
        lots,
        volume_usd: Some(1),
        spread_cost: None,
        commission: None,
        pnl: Some(-1),
    };
    let money = &fresh.store.money;
    bare_create(money).await.expect("made");
    bare_upsert(money, vec![row("a", 1), row("b", 2)]).await.expect("added");
    bare_upsert(money, vec![row("b", 5), row("c", 7)]).await.expect("added and changed");
    let kept = async |tx: &headwater_store::backend::Tx<'_>| {
        // Not registered: no migration makes this table.
        let statement =
            headwater_store::backend::Statement::new("SELECT COUNT(*), CAST(SUM(lots) AS BIGINT) FROM bare_day");
        tx.one::<(i64, i64)>(&statement, &[]).await
    };
    assert_eq!(money.read(kept).await.expect("reads"), (3, 13));
}
