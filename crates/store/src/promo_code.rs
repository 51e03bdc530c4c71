//! Promo codes: what a member gives out, by which a sale finds who brought it.

use crate::backend::{Result, Tx};
use crate::{counter, record, sql};

record! {
    /// A code; `document` is JSON, `total` how many the account has of those asked for.
    pub struct PromoCodeRow {
        total: i64, id: i64, membership_id: i64, code: String, document: String, created_at: i64, archived_at: Option<i64>,
        by_promoter: bool,
    }
}

/// A code to add.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct NewPromoCode {
    pub account_id: i64,
    pub membership_id: i64,
    pub code: String,
    pub document: String,
    pub created_at: i64,
    pub by_promoter: bool,
}

/// Adds a code and gives its number; `None` where the account has it. One that is archived begins again: for the company, or for
/// the promoter that made it for the same membership.
pub async fn promo_code_insert(tx: &Tx<'_>, new: &NewPromoCode) -> Result<Option<i64>> {
    let id = counter::next(tx, "promo_code").await?;
    let statement = sql!(
        "INSERT INTO promo_code (id, account_id, membership_id, code, document, created_at, by_promoter) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, code) DO UPDATE SET membership_id = excluded.membership_id, \
         document = excluded.document, created_at = excluded.created_at, by_promoter = excluded.by_promoter, archived_at = NULL \
         WHERE promo_code.archived_at IS NOT NULL AND (NOT excluded.by_promoter \
           OR (promo_code.by_promoter AND promo_code.membership_id = excluded.membership_id))"
    );
    let n = new;
    let made = tx
        .execute(
            statement,
            &[&id, &n.account_id, &n.membership_id, &n.code, &n.document, &n.created_at, &n.by_promoter],
        )
        .await?;
    if made == 0 {
        return Ok(None);
    }
    let known = sql!("SELECT id FROM promo_code WHERE account_id = $1 AND code = $2");
    let (id,): (i64,) = tx.one(known, &[&n.account_id, &n.code]).await?;
    Ok(Some(id))
}

/// Replaces a code and what is said of it; `false` where it is not there or archived, or another one has the code.
pub async fn promo_code_update(tx: &Tx<'_>, account_id: i64, id: i64, code: &str, document: &str) -> Result<bool> {
    let statement = sql!(
        "UPDATE promo_code SET code = $3, document = $4 WHERE account_id = $1 AND id = $2 AND archived_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM promo_code other WHERE other.account_id = $1 AND other.code = $3 AND other.id <> $2)"
    );
    Ok(tx.execute(statement, &[&account_id, &id, &code, &document]).await? > 0)
}

/// Archives a code: no sale is anybody's by it any more, and its text stays taken. One that is archived stays as it is.
pub async fn promo_code_archive(tx: &Tx<'_>, account_id: i64, id: i64, at: i64) -> Result<()> {
    let statement =
        sql!("UPDATE promo_code SET archived_at = $3 WHERE account_id = $1 AND id = $2 AND archived_at IS NULL");
    tx.execute(statement, &[&account_id, &id, &at]).await?;
    Ok(())
}

/// Codes, newest first; perhaps one by its number, one by its text, or those of one membership. An archived one is found by its
/// number alone.
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
        "WITH fits AS (SELECT id, membership_id, code, document, created_at, archived_at, by_promoter FROM promo_code \
         WHERE account_id = $1 AND ((CAST($2 AS BIGINT) IS NULL AND archived_at IS NULL) OR id = $2) AND (CAST($3 AS TEXT) IS NULL OR code = $3) \
         AND (CAST($4 AS BIGINT) IS NULL OR membership_id = $4)) \
         SELECT (SELECT COUNT(*) FROM fits), fits.* FROM fits ORDER BY id DESC LIMIT $5 OFFSET $6"
    );
    tx.all(statement, &[&account_id, &id, &code, &membership_id, &limit, &offset]).await
}
