//! Who did what: rows that are only ever added, in the transaction of what they tell.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql};

batch! {
    /// One deed; `object` names its kind and number, `detail` is JSON.
    pub struct AuditRow {
        id: i64 = "int8", account_id: i64 = "int8", at: i64 = "int8", actor: String = "text", action: String = "text",
        object: String = "text", detail: String = "text",
    }
}

/// Adds deeds.
pub async fn audit_insert(tx: &Tx<'_>, rows: &[AuditRow]) -> Result<()> {
    let statement = batch_sql!(
        AuditRow,
        0,
        "INSERT INTO audit (id, account_id, at, actor, action, object, detail) \
         SELECT id, account_id, at, actor, action, object, detail FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}
