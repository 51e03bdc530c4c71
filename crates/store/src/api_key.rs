//! Credentials of every kind: writing them. Only hashes come here. Reading is in `directory`.

use crate::backend::{Result, Tx};
use crate::{counter, sql};

/// A credential to add; the lists are JSON arrays.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct NewApiKey {
    pub account_id: i64,
    pub program_id: Option<i64>,
    pub partner_id: Option<i64>,
    pub kind: String,
    pub lookup: String,
    pub secret_hash: String,
    pub hint: String,
    pub origins: String,
    pub programs: String,
    pub permissions: String,
    pub expires_at: Option<i64>,
    pub created_at: i64,
}

/// Adds a credential; gives its number.
pub async fn api_key_insert(tx: &Tx<'_>, new: &NewApiKey) -> Result<i64> {
    let version = counter::next_version(tx).await?;
    let id = counter::next(tx, "api_key").await?;
    tx.execute(
        sql!(
            "INSERT INTO api_key (id, account_id, program_id, kind, lookup, secret_hash, hint, origins, programs, permissions, \
             expires_at, created_at, version, partner_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        ),
        &[
            &id, &new.account_id, &new.program_id, &new.kind, &new.lookup, &new.secret_hash, &new.hint, &new.origins,
            &new.programs, &new.permissions, &new.expires_at, &new.created_at, &version, &new.partner_id,
        ],
    )
    .await?;
    Ok(id)
}

/// Revokes a credential; gives whether it was there and not yet revoked.
pub async fn api_key_revoke(tx: &Tx<'_>, account_id: i64, id: i64, at: i64) -> Result<bool> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE api_key SET revoked_at = $3, version = $4 WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL"
    );
    Ok(tx.execute(statement, &[&account_id, &id, &at, &version]).await? > 0)
}
