//! Fresh stores for tests: a temporary folder, or a database of its own on the test PostgreSQL.

use headwater_store::tenant::account_insert;
use headwater_store::{Place, Store};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Where the tests' PostgreSQL is; `make test` starts one and sets this.
pub const POSTGRES_VARIABLE: &str = "HEADWATER_TEST_POSTGRES_URL";

/// An empty store that goes away with this value.
#[derive(Debug)]
pub struct TestStore {
    /// The open store.
    pub store: Store,
    /// Where it is, to open it again.
    pub place: Place,
    _folder: Option<TempDir>,
}

impl TestStore {
    /// Adds an account without anything; gives its number.
    pub async fn account(&self) -> i64 {
        let added = self.store.money.write(async |tx| account_insert(tx, "test", 0).await);
        added.await.expect("an account can be added")
    }
}

/// A store in a folder of its own.
pub async fn sqlite() -> TestStore {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place::Folder(folder.path().join("data"));
    let store = Store::open(&place, stop).await.expect("an empty store opens");
    TestStore { store, place, _folder: Some(folder) }
}

/// A store in a PostgreSQL database of its own.
///
/// # Panics
/// Where no test server is set: a test that cannot run must fail, not pass.
pub async fn postgres() -> TestStore {
    let place = Place::Postgres(new_postgres_database().await);
    let store = Store::open(&place, stop).await.expect("an empty store opens");
    TestStore { store, place, _folder: None }
}

/// Creates an empty database on the test server and gives its URL.
pub async fn new_postgres_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var(POSTGRES_VARIABLE)
        .unwrap_or_else(|_| panic!("{POSTGRES_VARIABLE} is not set; `make test` starts a PostgreSQL and sets it"));
    let (client, connection) =
        tokio_postgres::connect(&server, tokio_postgres::NoTls).await.expect("the test server answers");
    tokio::spawn(connection);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("hw_{}_{number}", std::process::id());
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.expect("an old one can go");
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("the test user may create databases");
    with_database(&server, &name)
}

/// The same server, another database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(a, q)| (a, Some(q)));
    let host = address.strip_prefix("postgres://").expect("a postgres:// URL").split('/').next().unwrap_or_default();
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("postgres://{host}/{name}{query}")
}

fn stop(error: &str) {
    panic!("the store stopped: {error}");
}

/// Makes two tests of one `async fn(TestStore)`: `on_both_stores! { the_claim }`.
#[macro_export]
macro_rules! on_both_stores {
    ($($claim:ident),+ $(,)?) => {$(
        mod $claim {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$claim($crate::database::sqlite().await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$claim($crate::database::postgres().await).await;
            }
        }
    )+};
}
