//! PostgreSQL: any number of nodes. Unique keys and row locks in a fixed order carry the guarantees; what the engine
//! gives up for them (serialization failure, deadlock) is run again a bounded number of times.

use super::error::{Error, Result};
use super::transaction::Tx;
use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use std::str::FromStr as _;
use std::time::Duration;

const ATTEMPTS_MAX: u32 = 6;
/// A caller that finds no free connection is told so, rather than waiting with everybody behind it.
const WAIT_FOR_CONNECTION_MAX: Duration = Duration::from_secs(5);
/// A statement that runs longer is a mistake, and an idle transaction holds locks that others need.
const SESSION_OPTIONS: &str = "-c statement_timeout=30000 -c lock_timeout=15000 -c idle_in_transaction_session_timeout=30000 -c synchronous_commit=on";

/// One pool of connections.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// Prepares a pool of at most `connections`; nothing is connected yet.
    pub fn open(url: &str, connections: usize) -> Result<Self> {
        let refused = |e: String| Error::Refused(format!("HEADWATER_DATABASE_URL cannot be used: {e}"));
        let mut config = tokio_postgres::Config::from_str(url).map_err(|e| refused(e.to_string()))?;
        config.application_name("headwater").options(SESSION_OPTIONS).connect_timeout(Duration::from_secs(10));
        let manager = Manager::from_config(
            config,
            tokio_postgres::NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager).max_size(connections).runtime(Runtime::Tokio1);
        let pool = pool.wait_timeout(Some(WAIT_FOR_CONNECTION_MAX)).build().map_err(|e| refused(e.to_string()))?;
        Ok(Self { pool })
    }

    /// Refuses a server that would lose what it acknowledged, or that is a replica.
    pub async fn check_settings(&self) -> Result<()> {
        let client = self.client().await?;
        for (setting, needed) in [("fsync", "on"), ("full_page_writes", "on")] {
            let value: String = client.query_one(&format!("SHOW {setting}"), &[]).await?.try_get(0)?;
            if value != needed {
                return Err(Error::Refused(format!(
                    "PostgreSQL runs with {setting} = {value}: acknowledged money could be lost. Set {setting} = {needed}."
                )));
            }
        }
        let replica: bool = client.query_one("SELECT pg_is_in_recovery()", &[]).await?.try_get(0)?;
        if replica {
            return Err(Error::Refused("this PostgreSQL is a replica; give the URL of the primary".into()));
        }
        Ok(())
    }

    /// A connection from the pool.
    ///
    /// # Errors
    /// [`Error::Busy`] where none became free in time.
    pub async fn client(&self) -> Result<Client> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => Error::Busy,
            other => other.into(),
        })
    }

    /// Runs the closure in one transaction, again where the engine gave it up.
    pub async fn write<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Result<R> + Send + Sync + 'static,
    {
        let mut client = self.client().await?;
        let mut attempt = 1;
        loop {
            let tx = client.transaction().await?;
            let outcome = match work(&Tx::Postgres(&tx)).await {
                Ok(value) => tx.commit().await.map(|()| value).map_err(unknown_unless_refused),
                Err(error) => {
                    let _ = tx.rollback().await;
                    Err(error)
                }
            };
            match outcome {
                Err(error) if error.is_worth_retrying() && attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(Duration::from_millis(3 << attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// Runs the closure for reading; each statement sees what was committed before it.
    pub async fn read<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Result<R> + Send + Sync + 'static,
    {
        let client = self.client().await?;
        work(&Tx::PostgresRead(&client)).await
    }
}

/// The server refuses a commit with a code; without one nobody knows what became of it.
fn unknown_unless_refused(error: tokio_postgres::Error) -> Error {
    if error.as_db_error().is_some() { error.into() } else { Error::OutcomeUnknown(error.to_string()) }
}
