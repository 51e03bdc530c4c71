//! Every statement of the program is prepared on both engines: what the compiler cannot check.

use headwater_store::Place;
use headwater_store::backend::{Database, Registered, connect};
use headwater_testkit::database;

#[tokio::test]
async fn sqlite_prepares_every_statement() {
    let fresh = database::sqlite().await;
    let Place::Folder(folder) = &fresh.place else { panic!("a folder") };
    let money = connect(&folder.join("money.sqlite")).expect("opens");
    money
        .execute("ATTACH DATABASE ?1 AS clicks", [folder.join("clicks.sqlite").display().to_string()])
        .expect("attaches");
    let mut count = 0;
    for registered in inventory::iter::<Registered> {
        let text = match registered {
            Registered::Single(s) => s.sqlite(),
            Registered::Batch(s) => s.sqlite(),
        };
        money.prepare(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        count += 1;
    }
    assert!(count > 0, "no statement is registered, so this test would prove nothing");
}

#[tokio::test]
async fn postgres_prepares_every_statement() {
    let fresh = database::postgres().await;
    let Database::Postgres(postgres) = &fresh.store.money else { panic!("postgres") };
    let client = postgres.client().await.expect("connects");
    for registered in inventory::iter::<Registered> {
        let text = match registered {
            Registered::Single(s) => s.text,
            Registered::Batch(s) => s.postgres(),
        };
        client.prepare(text).await.unwrap_or_else(|e| panic!("{e:?}: {text}"));
    }
}
