//! The commissions of a cell and how much of them was denied: what a decision about one of them depends on.
//!
//! Who owns cells is locked before they are read (`persons_lock`, `programs_lock`). Invariant: no denial makes a payee owe
//! what the facts do not take from it. Who decides is told so by `app`; here the statement holds it once more.

use crate::backend::{Error, Result, Tx};
use crate::person_state::PersonOf;
use crate::settlement::Number;
use crate::{batch, batch_sql, record};

record! {
    /// A commission of a cell. `origins`: where it comes from; of what was written without them `key` says it: that of the
    /// fact that it is for, of a refund that of its sale.
    pub struct CellShare {
        id: i64, person_id: i64, cell: String, amount: i64, status: String, origins: Option<String>, key: Option<String>,
    }
}
batch! {
    /// A posting of an account.
    pub struct PostingOf { account_id: i64 = "int8", id: i64 = "int8" }
}
batch! {
    /// A cell of an account by its owner: a person, or a program by its number, negated.
    pub struct CellOf { account_id: i64 = "int8", owner_id: i64 = "int8", cell: String = "text" }
}
batch! {
    /// By how much more of a cell is denied.
    struct CellDenied { person_id: i64 = "int8", cell: String = "text", change: i64 = "int8" }
}

/// Which of these persons have cells in which something was denied, and which cells.
pub async fn cells_denied(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<(i64, String)>> {
    let statement = batch_sql!(
        PersonOf,
        0,
        "SELECT DISTINCT m.person_id, m.cell FROM {batch} CROSS JOIN commission m \
         WHERE m.person_id = batch.id AND m.account_id = batch.account_id AND m.status = 'denied'"
    );
    tx.batch_all(statement, &[], persons).await
}

/// In which of these cells something was denied.
pub async fn cells_denied_among(tx: &Tx<'_>, cells: &[CellOf]) -> Result<Vec<(i64, String)>> {
    let statement = batch_sql!(
        CellOf,
        0,
        "SELECT DISTINCT m.person_id, m.cell FROM {batch} CROSS JOIN commission m WHERE m.person_id = batch.owner_id \
         AND m.cell = batch.cell AND m.account_id = batch.account_id AND m.status = 'denied'"
    );
    tx.batch_all(statement, &[], cells).await
}

/// The last commissions of the cells that these are in, of which it has to be asked whether they can be denied, or else
/// approved. What was made by hand is in no cell.
pub async fn cells_last(
    tx: &Tx<'_>,
    account_id: i64,
    commissions: &[Number],
    is_denial: bool,
) -> Result<Vec<PostingOf>> {
    let statement = batch_sql!(
        Number,
        2,
        "SELECT DISTINCT k.last_commission_id FROM commission m JOIN cell k ON k.person_id = m.person_id AND k.cell = m.cell \
         WHERE m.account_id = $1 AND m.id IN (SELECT id FROM {batch}) \
         AND CASE WHEN CAST($2 AS BOOLEAN) THEN m.amount > 0 ELSE m.amount < 0 OR m.status = 'denied' END"
    );
    let last: Vec<(i64,)> = tx.batch_all(statement, &[&account_id, &is_denial], commissions).await?;
    Ok(last.into_iter().map(|(id,)| PostingOf { account_id, id }).collect())
}

/// All commissions of the cells of which these are the last, the oldest first.
pub async fn cell_shares(tx: &Tx<'_>, last: &[PostingOf]) -> Result<Vec<CellShare>> {
    // Every commission of a cell is reached from its last one, each by what it corrects.
    let statement = batch_sql!(
        PostingOf,
        0,
        "WITH RECURSIVE chain (account_id, id) AS (SELECT account_id, id FROM {batch} UNION SELECT c.account_id, c.corrects \
         FROM chain JOIN commission c ON c.id = chain.id AND c.account_id = chain.account_id WHERE c.corrects IS NOT NULL) \
         SELECT c.id, c.person_id, c.cell, c.amount, c.status, c.origins, COALESCE(f.of_sale, f.fact_key) FROM chain \
         JOIN commission c ON c.id = chain.id AND c.account_id = chain.account_id \
         LEFT JOIN fact f ON f.id = c.fact_id AND f.account_id = c.account_id ORDER BY c.id"
    );
    tx.batch_all(statement, &[], last).await
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
