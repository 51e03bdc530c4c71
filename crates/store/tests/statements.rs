//! Every statement of the program is prepared on both engines: what the compiler cannot check.

use headwater_store::Place;
use headwater_store::backend::{Database, Registered, connect};
use headwater_testkit::database::{self, TestStore};
use std::collections::BTreeSet;

/// The files of an embedded store as one connection.
fn both_files(fresh: &TestStore) -> rusqlite::Connection {
    let Place::Folder(folder) = &fresh.place else { panic!("a folder") };
    let money = connect(&folder.join("money.sqlite")).expect("opens");
    let clicks = folder.join("clicks.sqlite").display().to_string();
    money.execute("ATTACH DATABASE ?1 AS clicks", [clicks]).expect("attaches");
    money
}

#[tokio::test]
async fn sqlite_prepares_every_statement() {
    let fresh = database::sqlite().await;
    let money = both_files(&fresh);
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

/// Whatever number it is given, it changes nothing of another account's.
#[test]
fn what_changes_commissions_and_payouts_names_the_account() {
    let tables = ["commission", "payout", "payout_item", "payments_batch"];
    let mut seen = BTreeSet::new();
    for registered in inventory::iter::<Registered> {
        let text = match registered {
            Registered::Single(s) => s.text,
            Registered::Batch(s) => s.postgres(),
        };
        for table in tables.iter().filter(|table| text.contains(&format!("UPDATE {table} SET"))) {
            // Persons that become one are locked, and both of one program.
            let merges = text.contains("SET person_id = chain.into_id");
            let condition = text.split_once(" WHERE ").map_or(text, |(_, rest)| rest);
            assert!(merges || condition.contains("account_id"), "{text}");
            seen.insert(*table);
        }
    }
    assert_eq!(seen, tables.into(), "this looks at what it is about");
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

/// What a settlement reads must not cost more with what else there is.
#[tokio::test]
async fn what_is_read_of_persons_is_found_by_all_that_is_said_of_it() {
    let fresh = database::sqlite().await;
    let money = both_files(&fresh);
    let mut tables = BTreeSet::new();
    for registered in inventory::iter::<Registered> {
        let Registered::Batch(statement) = registered else { continue };
        let text = statement.sqlite().to_owned();
        let is_by_person = |by: &&str| text.contains(&format!("person_id = batch.{by}"));
        let of_account = text.contains("account_id = batch.account_id") && text.contains(" AS batch CROSS JOIN ");
        if !of_account || !["id", "person_id", "owner_id"].iter().any(is_by_person) {
            continue;
        }
        let mut explained =
            money.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap_or_else(|e| panic!("{e}: {text}"));
        let steps = explained.query_map(["[]"], |row| row.get::<_, String>(3)).expect("explains");
        let steps: Vec<String> = steps.collect::<Result<_, _>>().expect("reads");
        let [_batch, first, ..] = &steps[..] else { panic!("{steps:?}: {text}") };
        assert!(first.starts_with("SEARCH ") && first.contains("(person_id=?"), "{first}: {text}");
        for column in ["payee_id", "first_day", "trading_at"] {
            assert_eq!(first.contains(column), text.contains(column), "{column}: {first}: {text}");
        }
        let further = steps[2..].iter().filter(|step| !step.starts_with("USE TEMP B-TREE"));
        assert!(further.clone().all(|step| step.contains("(rowid=?)")), "{steps:?}: {text}");
        tables.extend(text.split(" CROSS JOIN ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned));
    }
    let expected = ["attribution", "cell", "commission", "customer", "event", "fact", "held"];
    assert_eq!(tables, expected.map(str::to_owned).into(), "this looks at what it is about");
}
