//! Payouts: what is due, the claim on it, and what became of it.
//!
//! A commission is taken by moving its status and by a row of `payout_item` that is unique while its payout lives, so
//! two runs at once never pay one commission twice.

use crate::backend::{Error, Result, Tx};
use crate::settlement::Number;
use crate::{batch_sql, record, sql};

record! {
    /// A payout; `settings` is the partner's `payout` setting as it was, JSON.
    pub struct PayoutRow {
        id: i64, account_id: i64, program_id: i64, partner_id: i64, unit: String, amount: i64, commissions: i64, status: String, settings: String,
        until_at: i64, error: Option<String>, created_at: i64, finished_at: Option<i64>,
    }
}
record! {
    /// What is due to a partner in a unit.
    pub struct DueRow { partner_id: i64, unit: String, amount: i64 }
}
record! {
    /// A commission that a payout took.
    pub struct TakenRow { id: i64, amount: i64 }
}

/// Which payouts of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct PayoutFilter {
    pub program_id: Option<i64>,
    pub partner_id: Option<i64>,
    pub status: Option<String>,
    pub unit: Option<String>,
    /// Only those with smaller numbers.
    pub before_id: Option<i64>,
}

/// Whose due commissions a payout takes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct PayoutClaim {
    pub account_id: i64,
    pub program_id: i64,
    pub partner_id: i64,
    pub unit: String,
    pub until_at: i64,
}

/// What is due to the partners of a program, per unit.
pub async fn due_list(tx: &Tx<'_>, account_id: i64, program_id: i64, until_at: i64) -> Result<Vec<DueRow>> {
    let statement = sql!(
        "SELECT partner_id, unit, CAST(SUM(amount) AS BIGINT) FROM commission WHERE account_id = $1 AND program_id = $2 \
         AND status = 'approved' AND due_at IS NOT NULL AND payable_at <= $3 AND partner_id IS NOT NULL \
         GROUP BY partner_id, unit ORDER BY partner_id, unit"
    );
    tx.all(statement, &[&account_id, &program_id, &until_at]).await
}

/// Takes every due commission of the claim.
pub async fn commissions_take(tx: &Tx<'_>, claim: &PayoutClaim) -> Result<Vec<TakenRow>> {
    let statement = sql!(
        "UPDATE commission SET status = 'in_payout' WHERE status = 'approved' AND due_at IS NOT NULL AND id IN ( \
         SELECT id FROM commission WHERE account_id = $1 AND program_id = $2 AND partner_id = $3 AND unit = $4 \
         AND status = 'approved' AND due_at IS NOT NULL AND payable_at <= $5 ORDER BY id FOR UPDATE) RETURNING id, amount"
    );
    tx.all(statement, &[&claim.account_id, &claim.program_id, &claim.partner_id, &claim.unit, &claim.until_at]).await
}

/// Adds a payout with what it took.
pub async fn payout_insert(tx: &Tx<'_>, new: &PayoutRow, taken: &[Number]) -> Result<()> {
    let statement = sql!(
        "INSERT INTO payout (id, account_id, program_id, partner_id, unit, amount, commissions, status, settings, until_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    tx.execute(
        statement,
        &[
            &new.id,
            &new.account_id,
            &new.program_id,
            &new.partner_id,
            &new.unit,
            &new.amount,
            &new.commissions,
            &new.status,
            &new.settings,
            &new.until_at,
            &new.created_at,
        ],
    )
    .await?;
    let statement = batch_sql!(
        Number,
        1,
        "INSERT INTO payout_item (payout_id, commission_id, live) SELECT CAST($1 AS BIGINT), id, true FROM {batch} WHERE true"
    );
    tx.batch(statement, &[&new.id], taken).await?;
    Ok(())
}

/// At most `limit` payouts, newest first.
pub async fn payout_list(tx: &Tx<'_>, account_id: i64, filter: &PayoutFilter, limit: i64) -> Result<Vec<PayoutRow>> {
    let statement = sql!(
        "SELECT id, account_id, program_id, partner_id, unit, amount, commissions, status, settings, until_at, error, created_at, finished_at \
         FROM payout WHERE account_id = $1 AND (CAST($2 AS BIGINT) IS NULL OR program_id = CAST($2 AS BIGINT)) \
         AND (CAST($3 AS BIGINT) IS NULL OR partner_id = CAST($3 AS BIGINT)) \
         AND (CAST($4 AS TEXT) IS NULL OR status = CAST($4 AS TEXT)) \
         AND (CAST($5 AS TEXT) IS NULL OR unit = CAST($5 AS TEXT)) \
         AND (CAST($6 AS BIGINT) IS NULL OR id < CAST($6 AS BIGINT)) ORDER BY id DESC LIMIT CAST($7 AS BIGINT)"
    );
    let f = filter;
    tx.all(statement, &[&account_id, &f.program_id, &f.partner_id, &f.status, &f.unit, &f.before_id, &limit]).await
}

/// A payout of this account.
pub async fn payout_by_id(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<PayoutRow>> {
    let statement = sql!(
        "SELECT id, account_id, program_id, partner_id, unit, amount, commissions, status, settings, until_at, error, created_at, finished_at \
         FROM payout WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// The numbers of the commissions that a payout took, whatever became of it.
pub async fn payout_commissions(tx: &Tx<'_>, payout_id: i64) -> Result<Vec<(i64,)>> {
    let statement = sql!("SELECT commission_id FROM payout_item WHERE payout_id = $1 ORDER BY commission_id");
    tx.all(statement, &[&payout_id]).await
}

/// Ends a pending payout; `false` where it is not pending any more.
pub async fn payout_finish(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    status: &str,
    error: Option<&str>,
    at: i64,
) -> Result<bool> {
    let statement = sql!(
        "UPDATE payout SET status = $3, error = $4, finished_at = $5 WHERE account_id = $1 AND id = $2 AND status = 'pending'"
    );
    Ok(tx.execute(statement, &[&account_id, &id, &status, &error, &at]).await? == 1)
}

/// Moves the commissions of a payout on: to `paid`, or back to `approved`, where they can be taken again.
pub async fn payout_release(tx: &Tx<'_>, payout_id: i64, status: &str, expected: i64) -> Result<()> {
    if status != "paid" {
        tx.execute(sql!("UPDATE payout_item SET live = false WHERE payout_id = $1"), &[&payout_id]).await?;
    }
    let statement = sql!(
        "UPDATE commission SET status = $2 WHERE status = 'in_payout' \
         AND id IN (SELECT commission_id FROM payout_item WHERE payout_id = $1)"
    );
    let moved = tx.execute(statement, &[&payout_id, &status]).await?;
    if u64::try_from(expected).is_ok_and(|expected| expected == moved) {
        Ok(())
    } else {
        Err(Error::Abandoned(format!("payout {payout_id} took {expected} commissions and finds {moved}")))
    }
}

/// How a partner is paid, JSON.
pub async fn partner_payout(tx: &Tx<'_>, account_id: i64, partner_id: i64) -> Result<Option<String>> {
    let statement = sql!("SELECT settings FROM partner_payout WHERE account_id = $1 AND partner_id = $2");
    let found: Option<(String,)> = tx.maybe(statement, &[&account_id, &partner_id]).await?;
    Ok(found.map(|(settings,)| settings))
}

/// Sets how a partner is paid.
pub async fn partner_payout_put(tx: &Tx<'_>, account_id: i64, partner_id: i64, settings: &str) -> Result<()> {
    let statement = sql!(
        "INSERT INTO partner_payout (partner_id, account_id, settings) VALUES ($2, $1, $3) \
         ON CONFLICT (partner_id) DO UPDATE SET settings = excluded.settings WHERE partner_payout.account_id = excluded.account_id"
    );
    tx.execute(statement, &[&account_id, &partner_id, &settings]).await?;
    Ok(())
}
