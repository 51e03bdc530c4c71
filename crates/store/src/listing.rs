//! Customers and facts of one program by the caller's ids, as the forex dialect lists them. Writing is in `ingest`.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql};

batch! {
    /// A customer by the caller's id.
    pub struct KnownId { external_id: String = "text" }
}

/// Which of these customers the program knows.
pub async fn customers_known(tx: &Tx<'_>, program_id: i64, ids: &[KnownId]) -> Result<Vec<(String,)>> {
    let statement = batch_sql!(
        KnownId,
        1,
        "SELECT c.external_id FROM {batch} JOIN customer c ON c.program_id = $1 AND c.external_id = batch.external_id \
         WHERE c.external_id IS NOT NULL"
    );
    tx.batch_all(statement, &[&program_id], ids).await
}
