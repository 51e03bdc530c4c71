//! Plans: immutable, numbered versions and the dates from which they are in force. Reading is in `directory`.

use crate::backend::{Result, Tx};
use crate::{counter, sql};

/// Saves a document as the next version of its name; gives the version's number, from 1.
pub async fn plan_insert(tx: &Tx<'_>, account_id: i64, name: &str, document: &str, created_at: i64) -> Result<i64> {
    // The change number first: its row lock makes two saves of one name wait for each other.
    let version = counter::next_version(tx).await?;
    let newest = sql!("SELECT COALESCE(MAX(number), 0) FROM plan_version WHERE account_id = $1 AND name = $2");
    let (newest,): (i64,) = tx.one(newest, &[&account_id, &name]).await?;
    let id = counter::next(tx, "plan_version").await?;
    let number = newest + 1;
    let statement = sql!(
        "INSERT INTO plan_version (id, account_id, name, number, document, created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    tx.execute(statement, &[&id, &account_id, &name, &number, &document, &created_at, &version]).await?;
    Ok(number)
}

/// Puts a version in force from an instant on.
pub async fn plan_activate(tx: &Tx<'_>, account_id: i64, name: &str, number: i64, from_at: i64) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "INSERT INTO plan_activation (account_id, name, from_at, number, version) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (account_id, name, from_at) DO UPDATE SET number = excluded.number, version = excluded.version"
    );
    tx.execute(statement, &[&account_id, &name, &from_at, &number, &version]).await?;
    Ok(())
}
