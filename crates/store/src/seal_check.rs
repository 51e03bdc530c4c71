//! The text by which a server knows its master key again.

use crate::backend::{Result, Tx};
use crate::sql;

/// The sealed text of the store: the one that is there, or else this one.
pub async fn seal_check_keep(tx: &Tx<'_>, sealed: &str) -> Result<String> {
    let insert = sql!("INSERT INTO seal_check (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING");
    tx.execute(insert, &[&sealed]).await?;
    let (kept,): (String,) = tx.one(sql!("SELECT sealed FROM seal_check WHERE id = 1"), &[]).await?;
    Ok(kept)
}
