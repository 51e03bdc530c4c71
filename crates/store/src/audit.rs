//! Who did what: rows that are only ever added, in the transaction of what they tell.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

batch! {
    /// One deed; `object` names its kind and number, `detail` is JSON.
    pub struct AuditRow {
        id: i64 = "int8", account_id: i64 = "int8", at: i64 = "int8", actor: String = "text", action: String = "text",
        object: String = "text", detail: String = "text",
    }
}

record! {
    /// A deed as it was added.
    pub struct Deed { id: i64, at: i64, actor: String, action: String, object: String, detail: String }
}

/// Which deeds of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct DeedFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub object: Option<String>,
    /// Only those with smaller numbers.
    pub before_id: Option<i64>,
}

/// At most `limit` deeds, newest first; `None` where the account has none of the number to go on from.
pub async fn deed_list(tx: &Tx<'_>, account_id: i64, filter: &DeedFilter, limit: i64) -> Result<Option<Vec<Deed>>> {
    if let Some(before) = filter.before_id {
        let known = sql!("SELECT id FROM audit WHERE account_id = $1 AND id = $2");
        let found: Option<(i64,)> = tx.maybe(known, &[&account_id, &before]).await?;
        if found.is_none() {
            return Ok(None);
        }
    }
    let statement = sql!(
        "SELECT id, at, actor, action, object, detail FROM audit WHERE account_id = $1 \
         AND (CAST($2 AS TEXT) IS NULL OR actor = CAST($2 AS TEXT)) \
         AND (CAST($3 AS TEXT) IS NULL OR action = CAST($3 AS TEXT)) \
         AND (CAST($4 AS TEXT) IS NULL OR object = CAST($4 AS TEXT)) \
         AND (CAST($5 AS BIGINT) IS NULL OR id < CAST($5 AS BIGINT)) ORDER BY id DESC LIMIT CAST($6 AS BIGINT)"
    );
    let f = filter;
    tx.all(statement, &[&account_id, &f.actor, &f.action, &f.object, &f.before_id, &limit]).await.map(Some)
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
