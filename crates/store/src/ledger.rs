//! The ledger: appending entries, reading them, balances, and what a statement is made of. Nothing is ever changed.

use crate::backend::{FromRow, Result, Row, Tx};
use crate::outcome::LedgerAccountPut;
use crate::{batch, batch_sql, record, sql};

batch! {
    /// An entry to append, with what it is for.
    pub struct EntryNew {
        id: i64 = "int8", account_id: i64 = "int8", ledger_account_id: i64 = "int8", number: i64 = "int8", transaction_id: i64 = "int8",
        commission_id: Option<i64> = "int8", payout_id: Option<i64> = "int8", amount: i64 = "int8", hash: String = "text",
        previous_hash: String = "text", at: i64 = "int8",
    }
}

/// Appends entries and moves the heads of their accounts, which are locked (`outcome::ledger_accounts_lock`).
pub async fn entries_append(tx: &Tx<'_>, entries: &[EntryNew], heads: &[LedgerAccountPut]) -> Result<()> {
    let statement = batch_sql!(
        EntryNew,
        0,
        "INSERT INTO ledger_entry (id, account_id, ledger_account_id, number, transaction_id, commission_id, payout_id, amount, hash, previous_hash, at) \
         SELECT id, account_id, ledger_account_id, number, transaction_id, commission_id, payout_id, amount, hash, previous_hash, at \
         FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], entries).await?;
    let statement = batch_sql!(
        LedgerAccountPut,
        0,
        "UPDATE ledger_account SET balance = batch.balance, entries = batch.entries, head_hash = batch.head_hash \
         FROM {batch} WHERE ledger_account.id = batch.id"
    );
    tx.batch(statement, &[], heads).await?;
    Ok(())
}

record! {
    /// An entry with the account it is in.
    pub struct EntryRow {
        id: i64, transaction_id: i64, commission_id: Option<i64>, payout_id: Option<i64>, amount: i64, hash: String, previous_hash: String, at: i64,
        program_id: i64, owner: String, unit: String, name: String,
    }
}
record! {
    /// A ledger account with its balance.
    pub struct BalanceRow { program_id: i64, owner: String, unit: String, name: String, balance: i64 }
}

/// Which entries of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct EntryFilter {
    pub program_id: Option<i64>,
    pub owner: Option<String>,
    pub unit: Option<String>,
    pub name: Option<String>,
    /// Only those with smaller numbers.
    pub before_id: Option<i64>,
}

/// At most `limit` entries, newest first.
pub async fn entry_list(tx: &Tx<'_>, account_id: i64, filter: &EntryFilter, limit: i64) -> Result<Vec<EntryRow>> {
    let statement = sql!(
        "SELECT e.id, e.transaction_id, e.commission_id, e.payout_id, e.amount, e.hash, e.previous_hash, e.at, a.program_id, a.owner, a.unit, a.name \
         FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id WHERE e.account_id = $1 \
         AND (CAST($2 AS BIGINT) IS NULL OR a.program_id = CAST($2 AS BIGINT)) \
         AND (CAST($3 AS TEXT) IS NULL OR a.owner = CAST($3 AS TEXT)) \
         AND (CAST($4 AS TEXT) IS NULL OR a.unit = CAST($4 AS TEXT)) \
         AND (CAST($5 AS TEXT) IS NULL OR a.name = CAST($5 AS TEXT)) \
         AND (CAST($6 AS BIGINT) IS NULL OR e.id < CAST($6 AS BIGINT)) ORDER BY e.id DESC LIMIT CAST($7 AS BIGINT)"
    );
    let parameters: &[&dyn crate::backend::Parameter] =
        &[&account_id, &filter.program_id, &filter.owner, &filter.unit, &filter.name, &filter.before_id, &limit];
    tx.all(statement, parameters).await
}

/// Whether the account has this entry.
pub async fn entry_exists(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<bool> {
    let statement = sql!("SELECT id FROM ledger_entry WHERE account_id = $1 AND id = $2");
    let found: Option<(i64,)> = tx.maybe(statement, &[&account_id, &id]).await?;
    Ok(found.is_some())
}

/// Which balances of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct BalanceFilter {
    pub program_id: Option<i64>,
    pub owner: Option<String>,
    pub unit: Option<String>,
    pub name: Option<String>,
}

/// Every balance of an account that something was ever entered in.
pub async fn balance_list(tx: &Tx<'_>, account_id: i64, filter: &BalanceFilter) -> Result<Vec<BalanceRow>> {
    let statement = sql!(
        "SELECT program_id, owner, unit, name, balance FROM ledger_account WHERE account_id = $1 AND entries > 0 \
         AND (CAST($2 AS BIGINT) IS NULL OR program_id = CAST($2 AS BIGINT)) \
         AND (CAST($3 AS TEXT) IS NULL OR owner = CAST($3 AS TEXT)) \
         AND (CAST($4 AS TEXT) IS NULL OR unit = CAST($4 AS TEXT)) \
         AND (CAST($5 AS TEXT) IS NULL OR name = CAST($5 AS TEXT)) ORDER BY program_id, owner, unit, name"
    );
    tx.all(statement, &[&account_id, &filter.program_id, &filter.owner, &filter.unit, &filter.name]).await
}

record! {
    /// A ledger account of a statement: how many entries it has before the window, and by its end.
    pub struct StatementAccountRow { id: i64, program_id: i64, unit: String, name: String, first: i64, last: i64 }
}
record! {
    /// Where an account stood after its first entries.
    pub struct StandingRow { balance: i64, entries: i64, hash: String }
}
record! {
    /// An entry of a statement.
    pub struct StatementEntryRow {
        number: i64, id: i64, transaction_id: i64, amount: i64, at: i64, commission_id: Option<i64>, payout_id: Option<i64>, previous_hash: String, hash: String,
    }
}

/// The accounts of an owner and the entries of each in `[from_at, to_at)`: those after number `first` up to `last`. A
/// window is contiguous by number, even where two nodes' clocks disagree.
pub async fn statement_accounts(
    tx: &Tx<'_>,
    account_id: i64,
    owner: &str,
    program_id: Option<i64>,
    from_at: i64,
    to_at: i64,
) -> Result<Vec<StatementAccountRow>> {
    let statement = sql!(
        "SELECT a.id, a.program_id, a.unit, a.name, \
         COALESCE((SELECT MIN(e.number) - 1 FROM ledger_entry e WHERE e.ledger_account_id = a.id AND e.at >= $3), a.entries), \
         COALESCE((SELECT MAX(e.number) FROM ledger_entry e WHERE e.ledger_account_id = a.id AND e.at < $4), 0) \
         FROM ledger_account a WHERE a.account_id = $1 AND a.owner = $2 AND a.entries > 0 \
         AND (CAST($5 AS BIGINT) IS NULL OR a.program_id = CAST($5 AS BIGINT)) ORDER BY a.program_id, a.unit, a.name"
    );
    tx.all(statement, &[&account_id, &owner, &from_at, &to_at, &program_id]).await
}

/// Where a ledger account of this account stood after `entries` entries; `None` before the first.
pub async fn statement_standing(
    tx: &Tx<'_>,
    account_id: i64,
    ledger_account_id: i64,
    entries: i64,
) -> Result<Option<StandingRow>> {
    let statement = sql!(
        "SELECT CAST((SELECT SUM(b.amount) FROM ledger_entry b WHERE b.ledger_account_id = $2 AND b.number <= $3) AS BIGINT), \
         e.number, e.hash FROM ledger_entry e WHERE e.account_id = $1 AND e.ledger_account_id = $2 AND e.number = $3"
    );
    tx.maybe(statement, &[&account_id, &ledger_account_id, &entries]).await
}

/// The entries after number `first` up to `last`.
pub async fn statement_entries(
    tx: &Tx<'_>,
    account_id: i64,
    ledger_account_id: i64,
    first: i64,
    last: i64,
) -> Result<Vec<StatementEntryRow>> {
    let statement = sql!(
        "SELECT number, id, transaction_id, amount, at, commission_id, payout_id, previous_hash, hash FROM ledger_entry \
         WHERE account_id = $1 AND ledger_account_id = $2 AND number > $3 AND number <= $4 ORDER BY number"
    );
    tx.all(statement, &[&account_id, &ledger_account_id, &first, &last]).await
}

/// An entry of a payout.
#[derive(Debug, Clone)]
pub struct PayoutEntryRow {
    /// As statements have it.
    pub entry: StatementEntryRow,
    /// The account that it is in.
    pub ledger_account_id: i64,
    /// What that is called.
    pub name: String,
}
impl FromRow for PayoutEntryRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self { entry: StatementEntryRow::from_row(row)?, ledger_account_id: row.get(9)?, name: row.get(10)? })
    }
}

/// What was entered for a payout, in the order in which it was.
pub async fn payout_entries(tx: &Tx<'_>, account_id: i64, payout_id: i64) -> Result<Vec<PayoutEntryRow>> {
    let statement = sql!(
        "SELECT e.number, e.id, e.transaction_id, e.amount, e.at, e.commission_id, e.payout_id, e.previous_hash, e.hash, \
         e.ledger_account_id, a.name FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
         WHERE e.account_id = $1 AND e.payout_id = $2 ORDER BY e.id"
    );
    tx.all(statement, &[&account_id, &payout_id]).await
}
