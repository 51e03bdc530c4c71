//! Memberships: a partner in a program. Making one where there is none, changing it, and barring it by date. Reading is in
//! `directory`.
//!
//! Invariant: a partner has one membership in a program, and a token names one membership of its account.

use crate::backend::{Result, Tx};
use crate::{counter, sql};

/// The token that a membership has from the start; no caller may choose one of this form (`app::membership`).
pub fn first_token(program_id: i64, partner_id: i64) -> String {
    format!("p{partner_id}c{program_id}")
}

/// Makes the partner an accepted member of the program, where it is none yet.
pub async fn membership_ensure(
    tx: &Tx<'_>,
    account_id: i64,
    program_id: i64,
    partner_id: i64,
    created_at: i64,
) -> Result<()> {
    membership_insert(tx, account_id, program_id, partner_id, "accepted", created_at).await.map(drop)
}

/// Makes the partner a member of the program; gives the number and whether it is new.
pub async fn membership_insert(
    tx: &Tx<'_>,
    account_id: i64,
    program_id: i64,
    partner_id: i64,
    state: &str,
    created_at: i64,
) -> Result<(i64, bool)> {
    let known = sql!("SELECT id FROM membership WHERE program_id = $1 AND partner_id = $2");
    let found: Option<(i64,)> = tx.maybe(known, &[&program_id, &partner_id]).await?;
    if let Some((id,)) = found {
        return Ok((id, false));
    }
    // The change number first: its row lock makes two that would make one wait for each other.
    let version = counter::next_version(tx).await?;
    let id = counter::next(tx, "membership").await?;
    let token = first_token(program_id, partner_id);
    let statement = sql!(
        "INSERT INTO membership (id, account_id, program_id, partner_id, state, ref_token, data, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, '{}', $7, $8) ON CONFLICT (program_id, partner_id) DO NOTHING"
    );
    let made = tx
        .execute(statement, &[&id, &account_id, &program_id, &partner_id, &state, &token, &created_at, &version])
        .await?;
    if made > 0 {
        return Ok((id, true));
    }
    let known = sql!("SELECT id FROM membership WHERE program_id = $1 AND partner_id = $2");
    let (id,): (i64,) = tx.one(known, &[&program_id, &partner_id]).await?;
    Ok((id, false))
}

/// Replaces what of a membership is not dated; `false` where another one of the account has this token.
pub async fn membership_update(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    state: &str,
    ref_token: &str,
    data: &str,
) -> Result<bool> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE membership SET state = $3, ref_token = $4, data = $5, version = $6 WHERE account_id = $1 AND id = $2 \
         AND NOT EXISTS (SELECT 1 FROM membership other WHERE other.account_id = $1 AND other.ref_token = $4 AND other.id <> $2)"
    );
    let changed = tx.execute(statement, &[&account_id, &id, &state, &ref_token, &data, &version]).await?;
    Ok(changed > 0)
}

/// Bars a membership, or lets it earn again, from an instant on.
pub async fn membership_status_put(tx: &Tx<'_>, membership_id: i64, from_at: i64, barred: bool) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "INSERT INTO membership_status (membership_id, from_at, barred, version) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (membership_id, from_at) DO UPDATE SET barred = excluded.barred, version = excluded.version"
    );
    tx.execute(statement, &[&membership_id, &from_at, &barred, &version]).await?;
    Ok(())
}
