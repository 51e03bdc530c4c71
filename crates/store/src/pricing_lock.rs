//! Who prices and who changes what is priced by: on PostgreSQL a lock that settlements share and a dated change holds alone.
//!
//! So a change marks every fact that was priced without it, and a settlement that begins after it sees it. A data folder
//! has one writer, so SQLite needs no lock. To be taken before every other lock.

use crate::backend::{Result, Statement, Tx};

/// "price" in ASCII; any number that no other lock uses.
static SHARE: Statement = Statement::new("SELECT pg_advisory_xact_lock_shared(482854004581)");
static ALONE: Statement = Statement::new("SELECT pg_advisory_xact_lock(482854004581)");

/// Prices to the end of the transaction: no dated change commits until then.
pub async fn pricing(tx: &Tx<'_>) -> Result<()> {
    if matches!(tx, Tx::Sqlite(_)) {
        return Ok(());
    }
    tx.execute(&SHARE, &[]).await?;
    Ok(())
}

/// Changes what is priced by: waits for settlements that have begun, and lets none begin until it is committed.
pub async fn changing_prices(tx: &Tx<'_>) -> Result<()> {
    if matches!(tx, Tx::Sqlite(_)) {
        return Ok(());
    }
    tx.execute(&ALONE, &[]).await?;
    Ok(())
}
