//! Access tokens of OAuth clients: writing and reading them by their hash. Clients themselves are in `api_key`.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// A token; `scopes` are parted by spaces, times are microseconds since 1970.
    pub struct OauthTokenRow {
        token_hash: String, key_id: i64, account_id: i64, client_id: String, scopes: String, expires_at: i64, created_at: i64,
    }
}

/// Adds a token, and forgets those of the same client that have expired: they open nothing any more.
pub async fn oauth_token_insert(tx: &Tx<'_>, new: &OauthTokenRow) -> Result<()> {
    let expired = sql!("DELETE FROM oauth_token WHERE key_id = $1 AND expires_at <= $2");
    tx.execute(expired, &[&new.key_id, &new.created_at]).await?;
    let insert = sql!(
        "INSERT INTO oauth_token (token_hash, key_id, account_id, client_id, scopes, expires_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    let row = new;
    tx.execute(
        insert,
        &[&row.token_hash, &row.key_id, &row.account_id, &row.client_id, &row.scopes, &row.expires_at, &row.created_at],
    )
    .await?;
    Ok(())
}

/// The token of this hash, in force or not.
pub async fn oauth_token_read(tx: &Tx<'_>, token_hash: &str) -> Result<Option<OauthTokenRow>> {
    let statement = sql!(
        "SELECT token_hash, key_id, account_id, client_id, scopes, expires_at, created_at FROM oauth_token WHERE token_hash = $1"
    );
    tx.maybe(statement, &[&token_hash]).await
}
