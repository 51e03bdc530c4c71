//! One storage layer, two engines. SQL is written once; a transaction body is one closure that runs on both.
//!
//! It knows nothing of what is stored: the nouns beside this folder do. Invariant: an answer of [`Database::write`]
//! that is not an error is on disk.

mod batch;
mod error;
mod postgres;
mod row;
mod sqlite;
mod statement;
mod transaction;

pub use batch::{Batch, Column};
pub use error::{Error, Result};
pub use postgres::Postgres;
pub use row::{ColumnValue, FromRow, Parameter, Row};
pub use sqlite::{OnFatal, Readers, Sqlite, check_version, connect};
pub use statement::{BatchStatement, Registered, SqliteBatch, Statement};
pub use transaction::Tx;

/// One database on either engine.
#[derive(Clone, Debug)]
pub enum Database {
    /// Embedded.
    Sqlite(Sqlite),
    /// Shared by many nodes.
    Postgres(Postgres),
}

impl Database {
    /// Runs `work` in one transaction and answers once it is durable.
    ///
    /// The closure may run several times (PostgreSQL runs it again after a deadlock), so it must not change anything
    /// outside its transaction.
    pub async fn write<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Result<R> + Send + Sync + 'static,
    {
        match self {
            Self::Sqlite(database) => database.write(work).await,
            Self::Postgres(database) => database.write(work).await,
        }
    }

    /// Runs `work` for reading.
    pub async fn read<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Result<R> + Send + Sync + 'static,
    {
        match self {
            Self::Sqlite(database) => database.read(work).await,
            Self::Postgres(database) => database.read(work).await,
        }
    }
}
