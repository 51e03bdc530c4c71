//! What can go wrong between an operation and its rows. Knows no HTTP and no business rule.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused or failed.
    #[error("sqlite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused or failed.
    #[error("postgres: {}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No PostgreSQL connection could be had.
    #[error("postgres pool: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// A row that must exist is missing.
    #[error("a row that must exist is missing")]
    Missing,
    /// The store has stopped, or the outcome of a commit is unknown. A retry with the same key is safe.
    #[error("the store is closed")]
    Closed,
    /// The commit was sent and its answer never came: the work may be there or not. Only a retry that finds its own
    /// keys is safe (`reliability.md` P4, K5).
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// Too much work is waiting. A retry is safe.
    #[error("the store is busy")]
    Busy,
    /// The store must not be used as it is; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The operation gave up and wants its transaction rolled back; the text is for the operator.
    #[error("{0}")]
    Abandoned(String),
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The server's own words and its code; the driver's text alone says only "db error".
fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| format!("{} ({})", e.message(), e.code().code()))
}

impl Error {
    /// Whether running the whole transaction again may succeed: serialization failure or deadlock.
    pub(crate) fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::Postgres(e) if e.code().is_some_and(|c| matches!(c.code(), "40001" | "40P01")))
    }

    /// Whether the transaction certainly left nothing behind, so that its parts may be tried again.
    pub fn left_nothing(&self) -> bool {
        matches!(self, Self::Sqlite(_) | Self::Postgres(_) | Self::Missing | Self::Abandoned(_))
    }

    /// Whether the disk can no longer be trusted (`reliability.md` P5): the process must stop and recover.
    pub(crate) fn is_fatal(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(e, _))
            if matches!(e.code, SystemIoFailure | DatabaseCorrupt | NotADatabase))
    }
}
