//! Counters of configuration: numbers of programs, partners, links …, and the change number of all configuration.
//!
//! The row lock of a counter is held to the end of the transaction, so change numbers become visible in their order:
//! a node that has seen `n` never misses a change below `n` (`reliability.md` P11).

use crate::backend::{Result, Tx};
use crate::sql;

/// The next number of this counter.
pub async fn next(tx: &Tx<'_>, name: &str) -> Result<i64> {
    let statement = sql!("UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value");
    let (value,): (i64,) = tx.one(statement, &[&name]).await?;
    Ok(value)
}

/// The number for a change of configuration; every changed row carries it.
pub async fn next_version(tx: &Tx<'_>) -> Result<i64> {
    next(tx, "version").await
}

/// The change number of the newest committed configuration.
pub async fn version(tx: &Tx<'_>) -> Result<i64> {
    let (value,): (i64,) = tx.one(sql!("SELECT value FROM counter WHERE name = 'version'"), &[]).await?;
    Ok(value)
}

/// The greatest time-ordered number of the money tables, or 0. An inbox row's number is its event's, and a customer's
/// its person's, so these two need no look.
pub async fn greatest_id(tx: &Tx<'_>) -> Result<i64> {
    let statement = sql!(
        "SELECT COALESCE(MAX(id), 0) FROM (SELECT MAX(id) AS id FROM event UNION ALL SELECT MAX(id) FROM fact \
         UNION ALL SELECT MAX(id) FROM commission UNION ALL SELECT MAX(id) FROM ledger_entry \
         UNION ALL SELECT MAX(id) FROM payout UNION ALL SELECT MAX(id) FROM audit \
         UNION ALL SELECT MAX(id) FROM payments_batch UNION ALL SELECT MAX(id) FROM batch_process \
         UNION ALL SELECT MAX(id) FROM delivery UNION ALL SELECT MAX(id) FROM person \
         UNION ALL SELECT MAX(id) FROM ledger_account) AS greatest"
    );
    let (value,): (i64,) = tx.one(statement, &[]).await?;
    Ok(value)
}
