//! What was posted in a cell, and how much of that was denied: what a decision about one of its commissions depends on.
//!
//! Who owns cells is locked before they are read (`persons_lock`, `programs_lock`). Invariant: no denial makes a payee owe
//! what the facts do not take from it. Who decides is told so by `app`; here the statement holds it once more.

use crate::backend::{Error, Result, Tx};
use crate::settlement::Number;
use crate::{batch, batch_sql, record};

record! {
    /// A cell: what was posted in it, how much of that was denied, what is to be taken back and waits for a decision, and the
    /// last commission that took something back and was approved.
    pub struct CellStanding {
        person_id: i64, cell: String, posted: i64, denied: i64, taken_back_pending: i64, taken_back_by: Option<i64>,
    }
}
batch! {
    /// A posting of an account.
    pub(crate) struct PostingOf { account_id: i64 = "int8", id: i64 = "int8" }
}
batch! {
    /// By how much more of a cell is denied.
    struct CellDenied { person_id: i64 = "int8", cell: String = "text", change: i64 = "int8" }
}

/// The cells that these commissions are in. What was made by hand is in none.
pub async fn cells_standing(tx: &Tx<'_>, account_id: i64, commissions: &[Number]) -> Result<Vec<CellStanding>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT DISTINCT k.person_id, k.cell, k.posted, k.denied, \
         (SELECT CAST(COALESCE(SUM(c.amount), 0) AS BIGINT) FROM commission c \
         WHERE c.person_id = k.person_id AND c.cell = k.cell AND c.amount < 0 AND c.status = 'pending'), \
         (SELECT MAX(c.id) FROM commission c \
         WHERE c.person_id = k.person_id AND c.cell = k.cell AND c.amount < 0 AND c.status NOT IN ('pending', 'denied')) \
         FROM commission m JOIN cell k ON k.person_id = m.person_id AND k.cell = m.cell \
         WHERE m.account_id = $1 AND m.id IN (SELECT id FROM {batch})"
    );
    tx.batch_all(statement, &[&account_id], commissions).await
}

/// So much more of their cells is denied, or with the other sign less, as these postings add up to.
pub(crate) async fn cells_deny(tx: &Tx<'_>, postings: &[PostingOf], sign: i64) -> Result<()> {
    let sums = batch_sql!(
        PostingOf,
        0,
        "SELECT m.person_id, m.cell, CAST(SUM(m.amount) AS BIGINT) FROM {batch} CROSS JOIN commission m \
         WHERE m.id = batch.id AND m.account_id = batch.account_id GROUP BY m.person_id, m.cell"
    );
    let sums: Vec<(i64, String, i64)> = tx.batch_all(sums, &[], postings).await?;
    let changes: Vec<_> =
        sums.into_iter().map(|(person_id, cell, sum)| CellDenied { person_id, cell, change: sign * sum }).collect();
    let cells = batch_sql!(
        CellDenied,
        0,
        "UPDATE cell SET denied = cell.denied + batch.change FROM {batch} \
         WHERE cell.person_id = batch.person_id AND cell.cell = batch.cell"
    );
    tx.batch(cells, &[], &changes).await?;
    let indebted = batch_sql!(
        CellDenied,
        0,
        "SELECT k.person_id, k.cell FROM {batch} CROSS JOIN cell k WHERE k.person_id = batch.person_id AND k.cell = batch.cell \
         AND batch.change > 0 AND k.posted - k.denied - (SELECT CAST(COALESCE(SUM(c.amount), 0) AS BIGINT) FROM commission c \
         WHERE c.person_id = k.person_id AND c.cell = k.cell AND c.amount < 0 AND c.status = 'pending') \
         < CASE WHEN k.posted < 0 THEN k.posted ELSE 0 END"
    );
    let indebted: Vec<(i64, String)> = tx.batch_all(indebted, &[], &changes).await?;
    match indebted.first() {
        None => Ok(()),
        Some((_, cell)) => Err(Error::Abandoned(format!("a denial would leave a debt in the cell {cell}"))),
    }
}
