//! Opening a store: a data folder with two SQLite files under one lock, or a PostgreSQL database with two pools.
//!
//! Clicks have a file and a writer of their own (a connection of their own on PostgreSQL), so that a storm of clicks
//! never delays money.

use crate::backend::{Database, Error, OnFatal, Postgres, Readers, Result, Sqlite, check_version};
use crate::migrate::{Part, migrate_postgres, migrate_sqlite};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Readers of the money file; lists and reports run beside the writer.
const SQLITE_READERS: Readers = Readers { count: 4, cache_kibibytes: None };
/// Of the file of clicks.
const SQLITE_CLICK_READERS: Readers = Readers { count: 2, cache_kibibytes: None };
/// What reads everything once, beside a server, finds nothing twice in a large cache, and fills it all the same.
const SQLITE_READERS_BESIDE: Readers = Readers { count: 4, cache_kibibytes: Some(8192) };
/// Connections for everything but event batches and clicks.
const POSTGRES_CONNECTIONS: usize = 12;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// SQLite files in this folder.
    Folder(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

/// The open store.
#[derive(Clone, Debug)]
pub struct Store {
    /// Everything but clicks.
    pub money: Database,
    /// Click rows.
    pub clicks: Database,
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens, and creates or migrates where needed. `on_fatal` is called when the disk can no longer be trusted.
    ///
    /// # Errors
    /// [`Error::Refused`] with one line that says what to do: the folder is in use, the store is newer, the server
    /// would lose acknowledged rows.
    pub async fn open(place: &Place, on_fatal: OnFatal) -> Result<Self> {
        match place {
            Place::Folder(folder) => Self::open_folder(folder, on_fatal),
            Place::Postgres(url) => Self::open_postgres(url).await,
        }
    }

    fn open_folder(folder: &Path, on_fatal: OnFatal) -> Result<Self> {
        check_version()?;
        let refused = |what: &str, e: std::io::Error| Error::Refused(format!("{what} {}: {e}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|e| refused("cannot create the data folder", e))?;
        let lock = File::create(folder.join("lock")).map_err(|e| refused("cannot write to the data folder", e))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => Error::Refused(format!(
                "the data folder {} is in use by another Headwater process; stop that one, or use its API",
                folder.display()
            )),
            TryLockError::Error(e) => refused("cannot lock the data folder", e),
        })?;
        let (money, clicks) = (folder.join("money.sqlite"), folder.join("clicks.sqlite"));
        migrate_sqlite(&money, Part::Money)?;
        migrate_sqlite(&clicks, Part::Clicks)?;
        Ok(Self {
            money: Database::Sqlite(Sqlite::open(&money, SQLITE_READERS, on_fatal)?),
            clicks: Database::Sqlite(Sqlite::open(&clicks, SQLITE_CLICK_READERS, on_fatal)?),
            _lock: Some(Arc::new(lock)),
        })
    }

    /// Opens what is there to be read beside a running server: takes no lock, migrates nothing, and nothing is written.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no store.
    pub async fn open_beside(place: &Place, on_fatal: OnFatal) -> Result<Self> {
        let Place::Folder(folder) = place else { return Self::open(place, on_fatal).await };
        check_version()?;
        let (money, clicks) = (folder.join("money.sqlite"), folder.join("clicks.sqlite"));
        if !money.exists() {
            return Err(Error::Refused(format!(
                "there is no store in {}; make one with `headwater init`",
                folder.display()
            )));
        }
        Ok(Self {
            money: Database::Sqlite(Sqlite::open(&money, SQLITE_READERS_BESIDE, on_fatal)?),
            clicks: Database::Sqlite(Sqlite::open(&clicks, SQLITE_CLICK_READERS, on_fatal)?),
            _lock: None,
        })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let money = Postgres::open(url, POSTGRES_CONNECTIONS)?;
        money.check_settings().await?;
        migrate_postgres(&money).await?;
        let clicks = Postgres::open(url, 2)?;
        Ok(Self { money: Database::Postgres(money), clicks: Database::Postgres(clicks), _lock: None })
    }

    /// Whether the store answers.
    pub async fn is_reachable(&self) -> bool {
        let asked = self.money.read(async |tx| tx.one::<(i64,)>(crate::sql!("SELECT CAST(1 AS BIGINT)"), &[]).await);
        asked.await.is_ok()
    }
}
