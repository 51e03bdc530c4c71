//! The ledger: reading entries and balances. Writing is in `outcome`, and only ever adds.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// An entry with the account it is in.
    pub struct EntryRow {
        id: i64, transaction_id: i64, commission_id: Option<i64>, amount: i64, hash: String, previous_hash: String, at: i64,
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
        "SELECT e.id, e.transaction_id, e.commission_id, e.amount, e.hash, e.previous_hash, e.at, a.program_id, a.owner, a.unit, a.name \
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

/// Every balance of an account, perhaps of one owner.
pub async fn balance_list(tx: &Tx<'_>, account_id: i64, owner: Option<&str>) -> Result<Vec<BalanceRow>> {
    let statement = sql!(
        "SELECT program_id, owner, unit, name, balance FROM ledger_account WHERE account_id = $1 \
         AND (CAST($2 AS TEXT) IS NULL OR owner = CAST($2 AS TEXT)) ORDER BY program_id, owner, unit, name"
    );
    tx.all(statement, &[&account_id, &owner]).await
}
