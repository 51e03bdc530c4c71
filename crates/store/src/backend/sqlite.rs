//! SQLite: one writer thread with group commit, readers apart, and no second chance after an I/O error.
//!
//! The writer begins one transaction, runs every job that waits in a savepoint of its own, commits once with
//! `synchronous=FULL`, and only then answers all of them: an answer means durable. Nothing sleeps to gather a group.

use super::error::{Error, Result};
use super::transaction::{Tx, lock};
use rusqlite::Connection;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// 3.51.3 repairs a WAL bug that could corrupt a database (`reliability.md` P14).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Jobs in one commit; more would make the first one wait without any gain.
const GROUP_JOBS_MAX: usize = 1024;
/// How long a group may run before it is committed with what it has.
const GROUP_DURATION_MAX: Duration = Duration::from_millis(100);
/// Jobs that may wait; the next one is answered `Busy`.
const WAITING_JOBS_MAX: usize = 8192;
/// Pages of the file that the writer keeps in memory, and each reader of a server: what is hot is read again and again.
const CACHE_KIBIBYTES: u32 = 65_536;
/// A checkpoint every so many pages: measured as the best of the sizes tried (`performance.md`).
const CHECKPOINT_PAGES: u32 = 20_000;

type Reply = Box<dyn FnOnce(bool) + Send>;
/// Gives the error that the disk cannot be trusted after, if there was one, and how to answer.
type Job = Box<dyn FnOnce(&Mutex<Connection>) -> (Option<Error>, Reply) + Send>;
type Query = Box<dyn FnOnce(&Mutex<Connection>) + Send>;

/// Called once when the disk can no longer be trusted. The process is expected to end.
pub type OnFatal = fn(&str);

/// How many readers a file has.
#[derive(Debug, Clone, Copy)]
pub struct Readers {
    /// How many.
    pub count: usize,
    /// Pages of the file that each of them keeps in memory; `None`: as many as the writer.
    pub cache_kibibytes: Option<u32>,
}

/// One database file: its writer and its readers.
#[derive(Clone, Debug)]
pub struct Sqlite {
    writes: flume::Sender<Job>,
    reads: flume::Sender<Query>,
}

/// Refuses a library older than [`SQLITE_VERSION_MIN`].
pub fn check_version() -> Result<()> {
    let version = rusqlite::version_number();
    if version < SQLITE_VERSION_MIN {
        return Err(Error::Refused(format!(
            "SQLite {} is linked, which can corrupt a database; 3.51.3 or later is needed",
            rusqlite::version()
        )));
    }
    Ok(())
}

/// A connection with the settings that durability needs.
pub fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=5000; \
         PRAGMA cache_size=-{CACHE_KIBIBYTES}; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES};"
    ))?;
    connection.set_prepared_statement_cache_capacity(512);
    Ok(connection)
}

impl Sqlite {
    /// Starts the writer and the reader threads on the file.
    pub fn open(path: &Path, readers: Readers, on_fatal: OnFatal) -> Result<Self> {
        let (writes, waiting) = flume::bounded::<Job>(WAITING_JOBS_MAX);
        let connection = Mutex::new(connect(path)?);
        spawn("sqlite-writer", move || write_groups(&connection, &waiting, on_fatal))?;
        let (reads, waiting) = flume::bounded::<Query>(WAITING_JOBS_MAX);
        let cache = readers.cache_kibibytes.unwrap_or(CACHE_KIBIBYTES);
        for number in 0..readers.count {
            let connection = connect(path)?;
            connection.execute_batch(&format!("PRAGMA query_only=ON; PRAGMA cache_size=-{cache}"))?;
            let connection = Mutex::new(connection);
            let waiting = waiting.clone();
            spawn(&format!("sqlite-reader-{number}"), move || {
                while let Ok(query) = waiting.recv() {
                    query(&connection);
                }
            })?;
        }
        Ok(Self { writes, reads })
    }

    /// Runs the closure in one transaction; the answer comes after the commit is on disk.
    pub async fn write<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Result<R> + Send + Sync + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<R>>();
        let job: Job = Box::new(move |connection| {
            // Stands where the work panics: its savepoint is rolled back, and the writer goes on.
            let mut out = Err(Error::Abandoned("the work of a transaction panicked".into()));
            let ran = in_savepoint(connection, &mut |tx| {
                out = ready(work(tx));
                out.is_ok()
            });
            if let Err(e) = ran {
                out = Err(e);
            }
            let is_fatal = matches!(&out, Err(error) if error.is_fatal());
            let fatal = if is_fatal { std::mem::replace(&mut out, Err(Error::Closed)).err() } else { None };
            let reply: Reply = Box::new(move |durable| {
                // The caller may have gone away; its work stands all the same.
                let _ = answer.send(if durable || out.is_err() { out } else { Err(Error::Closed) });
            });
            (fatal, reply)
        });
        self.writes.try_send(job).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Runs the closure on a reader, in one snapshot.
    pub async fn read<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Result<R> + Send + Sync + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<R>>();
        let query: Query = Box::new(move |connection| {
            let mut out = Err(Error::Closed);
            let done = in_savepoint(connection, &mut |tx| {
                out = ready(work(tx));
                true
            });
            if let Err(e) = done {
                out = Err(e);
            }
            let _ = answer.send(out);
        });
        self.reads.try_send(query).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let refused = |e: std::io::Error| Error::Refused(format!("no thread for {name}: {e}"));
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(refused)
}

fn write_groups(connection: &Mutex<Connection>, waiting: &flume::Receiver<Job>, on_fatal: OnFatal) {
    while let Ok(first) = waiting.recv() {
        let mut replies = Vec::new();
        let outcome = step(connection, "BEGIN IMMEDIATE").and_then(|()| {
            run_group(connection, waiting, first, &mut replies)?;
            step(connection, "COMMIT")
        });
        if let Err(error) = &outcome {
            let _ = step(connection, "ROLLBACK");
            if error.is_fatal() {
                // An error of a commit means "unknown", and later commits may lie (P4, P5): stop here.
                on_fatal(&error.to_string());
                return;
            }
            tracing::warn!(%error, jobs = replies.len(), "a group of writes was not committed");
        }
        for reply in replies {
            reply(outcome.is_ok());
        }
    }
}

/// Runs what waits inside the open transaction. A job that SQLite itself rolled back with everything before it ends the
/// group: nothing may run outside a transaction.
fn run_group(
    connection: &Mutex<Connection>,
    waiting: &flume::Receiver<Job>,
    first: Job,
    replies: &mut Vec<Reply>,
) -> Result<()> {
    let started = Instant::now();
    let mut next = Some(first);
    while let Some(job) = next {
        let (fatal, reply) = job(connection);
        replies.push(reply);
        if let Some(error) = fatal {
            return Err(error);
        }
        if lock(connection).is_autocommit() {
            return Err(Error::Abandoned("SQLite rolled the whole group back".into()));
        }
        let full = replies.len() >= GROUP_JOBS_MAX || started.elapsed() > GROUP_DURATION_MAX;
        next = if full { None } else { waiting.try_recv().ok() };
    }
    Ok(())
}

/// Runs one job in a savepoint of its own, so that its failure leaves the others of its group alone.
fn in_savepoint(connection: &Mutex<Connection>, run: &mut dyn FnMut(&Tx<'_>) -> bool) -> Result<bool> {
    step(connection, "SAVEPOINT job")?;
    let kept = catch_unwind(AssertUnwindSafe(|| run(&Tx::Sqlite(connection)))).unwrap_or(false);
    if !kept {
        step(connection, "ROLLBACK TO job")?;
    }
    step(connection, "RELEASE job")?;
    Ok(kept)
}

fn step(connection: &Mutex<Connection>, text: &str) -> Result<()> {
    lock(connection).prepare_cached(text)?.execute([])?;
    Ok(())
}

/// Nothing waits inside a SQLite transaction, so one poll is enough.
fn ready<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a storage closure may only await its transaction"),
    }
}
