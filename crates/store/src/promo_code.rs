//! Promo codes: what a member gives out, by which a sale finds who brought it.

use crate::backend::{Result, Tx};
use crate::{counter, record, sql};

record! {
    /// A code; `document` is JSON, `total` how many the account has of those asked for.
    pub struct PromoCodeRow { total: i64, id: i64, membership_id: i64, code: String, document: String, created_at: i64 }
}

/// Adds a code; `None` where the account has it.
pub async fn promo_code_insert(
    tx: &Tx<'_>,
    account_id: i64,
    membership_id: i64,
    code: &str,
    document: &str,
    created_at: i64,
) -> Result<Option<i64>> {
    let id = counter::next(tx, "promo_code").await?;
    let statement = sql!(
        "INSERT INTO promo_code (id, account_id, membership_id, code, document, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (account_id, code) DO NOTHING"
    );
    let made = tx.execute(statement, &[&id, &account_id, &membership_id, &code, &document, &created_at]).await?;
    Ok((made > 0).then_some(id))
}

/// Replaces a code and what is said of it; `false` where it is not there, or another one has the code.
pub async fn promo_code_update(tx: &Tx<'_>, account_id: i64, id: i64, code: &str, document: &str) -> Result<bool> {
    let statement = sql!(
        "UPDATE promo_code SET code = $3, document = $4 WHERE account_id = $1 AND id = $2 \
         AND NOT EXISTS (SELECT 1 FROM promo_code other WHERE other.account_id = $1 AND other.code = $3 AND other.id <> $2)"
    );
    Ok(tx.execute(statement, &[&account_id, &id, &code, &document]).await? > 0)
}

/// Takes a code back; `false` where it is not there.
pub async fn promo_code_delete(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<bool> {
    let statement = sql!("DELETE FROM promo_code WHERE account_id = $1 AND id = $2");
    Ok(tx.execute(statement, &[&account_id, &id]).await? > 0)
}

/// Codes, newest first; perhaps one by its number, one by its text, or those of one membership.
pub async fn promo_code_list(
    tx: &Tx<'_>,
    account_id: i64,
    id: Option<i64>,
    code: Option<&str>,
    membership_id: Option<i64>,
    limit: i64,
    offset: i64,
) -> Result<Vec<PromoCodeRow>> {
    let statement = sql!(
        "WITH fits AS (SELECT id, membership_id, code, document, created_at FROM promo_code WHERE account_id = $1 \
         AND (CAST($2 AS BIGINT) IS NULL OR id = $2) AND (CAST($3 AS TEXT) IS NULL OR code = $3) \
         AND (CAST($4 AS BIGINT) IS NULL OR membership_id = $4)) \
         SELECT (SELECT COUNT(*) FROM fits), id, membership_id, code, document, created_at FROM fits ORDER BY id DESC LIMIT $5 OFFSET $6"
    );
    tx.all(statement, &[&account_id, &id, &code, &membership_id, &limit, &offset]).await
}
