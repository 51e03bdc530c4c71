//! Figures of a store that tests compare: rows of a table, whether the books add up, and who waits for a lock. And the
//! one way to change a row behind the program's back.

use headwater_store::Store;
use headwater_store::backend::Statement;

/// What to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Recorded events.
    Events,
    /// Postings.
    Commissions,
    /// What they add up to, in millionths.
    Paid,
    /// Rows of the outbox.
    Deliveries,
    /// Ledger entries.
    Entries,
    /// Ledger transactions that do not add up to nothing.
    Unbalanced,
    /// The sum of all ledger balances, in millionths.
    Balance,
    /// Clients.
    Persons,
    /// Their accounts.
    Customers,
    /// Callers' event ids.
    EventKeys,
    /// Callers' idempotency keys.
    IdempotencyKeys,
    /// Postings that an event brought.
    CommissionsOfEvents,
    /// Facts that are held, once for each reason.
    Held,
    /// Sessions of PostgreSQL that wait for another one's lock.
    WaitingSessions,
}

static HELD: Statement = Statement::new("SELECT COUNT(*) FROM held");
static EVENTS: Statement = Statement::new("SELECT COUNT(*) FROM event");
static COMMISSIONS: Statement = Statement::new("SELECT COUNT(*) FROM commission");
static PAID: Statement = Statement::new("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM commission");
static DELIVERIES: Statement = Statement::new("SELECT COUNT(*) FROM delivery");
static ENTRIES: Statement = Statement::new("SELECT COUNT(*) FROM ledger_entry");
static UNBALANCED: Statement = Statement::new(
    "SELECT COUNT(*) FROM (SELECT transaction_id FROM ledger_entry GROUP BY transaction_id HAVING SUM(amount) <> 0) AS u",
);
static PERSONS: Statement = Statement::new("SELECT COUNT(*) FROM person");
static CUSTOMERS: Statement = Statement::new("SELECT COUNT(*) FROM customer");
static EVENT_KEYS: Statement = Statement::new("SELECT COUNT(*) FROM inbox");
static IDEMPOTENCY_KEYS: Statement = Statement::new("SELECT COUNT(*) FROM idempotency");
static COMMISSIONS_OF_EVENTS: Statement = Statement::new("SELECT COUNT(*) FROM commission WHERE event_id IS NOT NULL");
static WAITING_SESSIONS: Statement = Statement::new(
    "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
);
static BALANCE: Statement = Statement::new("SELECT CAST(COALESCE(SUM(balance), 0) AS BIGINT) FROM ledger_account");

/// The figure as it is now.
pub async fn count(store: &Store, figure: Figure) -> i64 {
    let statement = match figure {
        Figure::Events => &EVENTS,
        Figure::Commissions => &COMMISSIONS,
        Figure::Paid => &PAID,
        Figure::Deliveries => &DELIVERIES,
        Figure::Entries => &ENTRIES,
        Figure::Unbalanced => &UNBALANCED,
        Figure::Balance => &BALANCE,
        Figure::Persons => &PERSONS,
        Figure::Customers => &CUSTOMERS,
        Figure::EventKeys => &EVENT_KEYS,
        Figure::IdempotencyKeys => &IDEMPOTENCY_KEYS,
        Figure::CommissionsOfEvents => &COMMISSIONS_OF_EVENTS,
        Figure::Held => &HELD,
        Figure::WaitingSessions => &WAITING_SESSIONS,
    };
    store.money.read(async move |tx| tx.one::<(i64,)>(statement, &[]).await).await.expect("the store answers").0
}

/// Runs a statement that the program has not: what a mistake, another version or a hand in the database leaves behind.
pub async fn tamper(store: &Store, statement: &'static Statement) {
    let done = store.money.write(async move |tx| tx.execute(statement, &[]).await).await;
    done.expect("the store takes it");
}
