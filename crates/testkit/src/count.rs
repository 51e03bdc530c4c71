//! Figures of a store that tests compare: rows of a table, and whether the books add up.

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
}

static EVENTS: Statement = Statement::new("SELECT COUNT(*) FROM event");
static COMMISSIONS: Statement = Statement::new("SELECT COUNT(*) FROM commission");
static PAID: Statement = Statement::new("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM commission");
static DELIVERIES: Statement = Statement::new("SELECT COUNT(*) FROM delivery");
static ENTRIES: Statement = Statement::new("SELECT COUNT(*) FROM ledger_entry");
static UNBALANCED: Statement = Statement::new(
    "SELECT COUNT(*) FROM (SELECT transaction_id FROM ledger_entry GROUP BY transaction_id HAVING SUM(amount) <> 0) AS u",
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
    };
    store.money.read(async move |tx| tx.one::<(i64,)>(statement, &[]).await).await.expect("the store answers").0
}
