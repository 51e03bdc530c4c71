//! Accounts, their programs and dashboard users: writing them. Reading is in `directory`.

use crate::backend::{Result, Tx};
use crate::{counter, sql};

/// Adds an account; gives its number.
pub async fn account_insert(tx: &Tx<'_>, name: &str, created_at: i64) -> Result<i64> {
    let version = counter::next_version(tx).await?;
    let id = counter::next(tx, "account").await?;
    let statement = sql!("INSERT INTO account (id, name, created_at, version) VALUES ($1, $2, $3, $4)");
    tx.execute(statement, &[&id, &name, &created_at, &version]).await?;
    Ok(id)
}

/// Adds a program; `settings` is its JSON. Gives its number, from 1000.
pub async fn program_insert(
    tx: &Tx<'_>,
    account_id: i64,
    name: &str,
    site_url: &str,
    settings: &str,
    created_at: i64,
) -> Result<i64> {
    let version = counter::next_version(tx).await?;
    let id = counter::next(tx, "program").await?;
    let statement = sql!(
        "INSERT INTO program (id, account_id, name, site_url, settings, created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    tx.execute(statement, &[&id, &account_id, &name, &site_url, &settings, &created_at, &version]).await?;
    Ok(id)
}

/// Replaces a program's name, site and settings.
pub async fn program_update(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    name: &str,
    site_url: &str,
    settings: &str,
) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE program SET name = $3, site_url = $4, settings = $5, version = $6 WHERE account_id = $1 AND id = $2"
    );
    tx.execute(statement, &[&account_id, &id, &name, &site_url, &settings, &version]).await?;
    Ok(())
}

/// Adds a dashboard user.
pub async fn user_insert(
    tx: &Tx<'_>,
    account_id: i64,
    email: &str,
    password_hash: &str,
    role: &str,
    created_at: i64,
) -> Result<()> {
    let id = counter::next(tx, "user").await?;
    let statement = sql!(
        "INSERT INTO dashboard_user (id, account_id, email, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
    );
    tx.execute(statement, &[&id, &account_id, &email, &password_hash, &role, &created_at]).await?;
    Ok(())
}
