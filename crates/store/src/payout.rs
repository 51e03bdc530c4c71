//! Payouts: what is due, the claim on it, what became of it, and the payments that send several at once.
//!
//! A row of `payout_item` is unique while its payout lives, so two calls at once never pay one commission twice. Which move
//! is allowed is the domain's; each UPDATE repeats the status that was read.

use crate::backend::{Error, Result, Tx};
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A payout; `settings` is the payee's `payout` setting as it is, JSON.
    pub struct PayoutNew {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", partner_id: Option<i64> = "int8", customer_id: Option<i64> = "int8",
        promoter_id: Option<i64> = "int8", unit: String = "text", amount: i64 = "int8", commissions: i64 = "int8", status: String = "text",
        origin: String = "text", settings: String = "text", period_start: i64 = "int8", until_at: i64 = "int8", created_at: i64 = "int8",
    }
}
batch! {
    /// A commission of a payout.
    pub struct PayoutItem { payout_id: i64 = "int8", commission_id: i64 = "int8" }
}
/// How the payee of a payout is paid: while it waits and is in no payments, as the payee says now; from then on as it was.
macro_rules! settings {
    () => {
        "CASE WHEN payout.status = 'pending' AND payout.payments_batch_id IS NULL THEN \
         COALESCE((SELECT s.settings FROM partner_payout s WHERE s.partner_id = payout.partner_id), payout.settings) \
         ELSE payout.settings END"
    };
}
pub(crate) use settings;

record! {
    /// A payout as it stands; `settings` is how its payee is paid, JSON.
    pub struct PayoutRow {
        id: i64, account_id: i64, program_id: i64, partner_id: Option<i64>, customer_id: Option<i64>, promoter_id: Option<i64>,
        unit: String, amount: i64, commissions: i64, status: String, origin: String, settings: String, period_start: i64, until_at: i64,
        error: Option<String>, payments_batch_id: Option<i64>, created_at: i64, processing_started_at: Option<i64>,
        paid_at: Option<i64>, failed_at: Option<i64>, finished_at: Option<i64>, is_hidden: bool, has_issues: bool,
    }
}
batch! {
    /// A move of a payout: the status it was made on, the new one, and when what happened.
    pub struct PayoutPut {
        account_id: i64 = "int8", id: i64 = "int8", was: String = "text", status: String = "text", error: Option<String> = "text", processing_started_at: Option<i64> = "int8",
        paid_at: Option<i64> = "int8", failed_at: Option<i64> = "int8", finished_at: Option<i64> = "int8", hidden_at: Option<i64> = "int8",
        has_issues: bool = "bool",
    }
}
record! {
    /// What is due to a partner in a unit.
    pub struct DueRow { partner_id: i64, unit: String, amount: i64 }
}

/// Which payouts of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct PayoutFilter {
    pub program_id: Option<i64>,
    pub partner_id: Option<i64>,
    pub status: Option<String>,
    pub unit: Option<String>,
    pub has_issues: Option<bool>,
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

/// Every due commission of the claim. Not locked: who takes them locks them with what they correct, in one order, and looks
/// again.
pub async fn due_ids(tx: &Tx<'_>, claim: &PayoutClaim) -> Result<Vec<Number>> {
    let statement = sql!(
        "SELECT id FROM commission WHERE account_id = $1 AND program_id = $2 AND partner_id = $3 AND unit = $4 \
         AND status = 'approved' AND due_at IS NOT NULL AND payable_at <= $5 ORDER BY id"
    );
    let parameters: &[&dyn crate::backend::Parameter] =
        &[&claim.account_id, &claim.program_id, &claim.partner_id, &claim.unit, &claim.until_at];
    let rows: Vec<(i64,)> = tx.all(statement, parameters).await?;
    Ok(rows.into_iter().map(|(id,)| Number { id }).collect())
}

/// Adds payouts with what they took.
pub async fn payouts_insert(tx: &Tx<'_>, new: &[PayoutNew], items: &[PayoutItem]) -> Result<()> {
    let statement = batch_sql!(
        PayoutNew,
        0,
        "INSERT INTO payout (id, account_id, program_id, partner_id, customer_id, promoter_id, unit, amount, commissions, status, origin, \
         settings, period_start, until_at, created_at) \
         SELECT id, account_id, program_id, partner_id, customer_id, promoter_id, unit, amount, commissions, status, origin, \
         settings, period_start, until_at, created_at FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], new).await?;
    let statement = batch_sql!(
        PayoutItem,
        0,
        "INSERT INTO payout_item (payout_id, commission_id, live) SELECT payout_id, commission_id, true FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], items).await?;
    Ok(())
}

/// At most `limit` payouts, newest first.
pub async fn payout_list(tx: &Tx<'_>, account_id: i64, filter: &PayoutFilter, limit: i64) -> Result<Vec<PayoutRow>> {
    let statement = sql!(concat!(
        "SELECT id, account_id, program_id, partner_id, customer_id, promoter_id, unit, amount, commissions, status, origin, ",
        settings!(),
        " AS settings, \
         period_start, until_at, error, payments_batch_id, created_at, processing_started_at, paid_at, failed_at, finished_at, \
         hidden_at IS NOT NULL, has_issues \
         FROM payout WHERE account_id = $1 AND (CAST($2 AS BIGINT) IS NULL OR program_id = CAST($2 AS BIGINT)) \
         AND (CAST($3 AS BIGINT) IS NULL OR partner_id = CAST($3 AS BIGINT)) \
         AND (CAST($4 AS TEXT) IS NULL OR status = CAST($4 AS TEXT)) \
         AND (CAST($5 AS TEXT) IS NULL OR unit = CAST($5 AS TEXT)) \
         AND (CAST($6 AS BIGINT) IS NULL OR id < CAST($6 AS BIGINT)) \
         AND (CAST($8 AS BOOLEAN) IS NULL OR has_issues = CAST($8 AS BOOLEAN)) ORDER BY id DESC LIMIT CAST($7 AS BIGINT)"
    ));
    let f = filter;
    tx.all(
        statement,
        &[&account_id, &f.program_id, &f.partner_id, &f.status, &f.unit, &f.before_id, &limit, &f.has_issues],
    )
    .await
}

/// A payout of this account.
pub async fn payout_by_id(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<PayoutRow>> {
    Ok(payouts_by_id(tx, account_id, &[Number { id }]).await?.pop())
}

/// Payouts of this account, in the order of their numbers.
pub async fn payouts_by_id(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<PayoutRow>> {
    let statement = batch_sql!(
        Number,
        1,
        concat!(
            "SELECT id, account_id, program_id, partner_id, customer_id, promoter_id, unit, amount, commissions, status, origin, ",
            settings!(),
            " AS settings, \
         period_start, until_at, error, payments_batch_id, created_at, processing_started_at, paid_at, failed_at, finished_at, \
         hidden_at IS NOT NULL, has_issues FROM payout WHERE account_id = $1 AND id IN (SELECT id FROM {batch}) ORDER BY id"
        )
    );
    tx.batch_all(statement, &[&account_id], ids).await
}

/// Locks payouts of this account, in their order, and reads them. To be taken after their commissions.
pub async fn payouts_lock(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<PayoutRow>> {
    let statement = batch_sql!(
        Number,
        1,
        concat!(
            "SELECT id, account_id, program_id, partner_id, customer_id, promoter_id, unit, amount, commissions, status, origin, ",
            settings!(),
            " AS settings, \
         period_start, until_at, error, payments_batch_id, created_at, processing_started_at, paid_at, failed_at, finished_at, \
         hidden_at IS NOT NULL, has_issues \
         FROM payout WHERE account_id = $1 AND id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE"
        )
    );
    tx.batch_all(statement, &[&account_id], ids).await
}

/// What these payouts took, whatever became of them: payout and commission.
pub async fn payout_items(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<(i64, i64)>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT i.payout_id, i.commission_id FROM payout_item i JOIN payout p ON p.id = i.payout_id \
         WHERE p.account_id = $1 AND i.payout_id IN (SELECT id FROM {batch}) ORDER BY i.payout_id, i.commission_id"
    );
    tx.batch_all(statement, &[&account_id], ids).await
}

/// The live payouts that these commissions are in, with all that each took: payout and commission. Not locked.
pub async fn payout_items_beside(tx: &Tx<'_>, account_id: i64, commissions: &[Number]) -> Result<Vec<(i64, i64)>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT i.payout_id, i.commission_id FROM payout_item i JOIN payout p ON p.id = i.payout_id WHERE p.account_id = $1 \
         AND i.payout_id IN (SELECT l.payout_id FROM payout_item l WHERE l.live AND l.commission_id IN (SELECT id FROM {batch})) \
         ORDER BY i.payout_id, i.commission_id"
    );
    tx.batch_all(statement, &[&account_id], commissions).await
}

/// Moves payouts whose status is still the one that was read; all or none. Those that no longer wait keep how they were to be
/// paid then.
pub async fn payouts_move(tx: &Tx<'_>, rows: &[PayoutPut]) -> Result<()> {
    let statement = batch_sql!(
        PayoutPut,
        0,
        concat!(
            "UPDATE payout SET status = batch.status, error = batch.error, processing_started_at = batch.processing_started_at, \
         paid_at = batch.paid_at, failed_at = batch.failed_at, finished_at = batch.finished_at, \
         hidden_at = COALESCE(batch.hidden_at, payout.hidden_at), has_issues = batch.has_issues, settings = ",
            settings!(),
            " FROM {batch} WHERE payout.id = batch.id AND payout.account_id = batch.account_id AND payout.status = batch.was"
        )
    );
    let moved = tx.batch(statement, &[], rows).await?;
    if moved != rows.len() as u64 {
        return Err(Error::Abandoned("a locked payout changed its status".into()));
    }
    // Nobody is asked any more whether a reward was delivered that was fulfilled, or denied. What is being asked right now ends
    // with its answer.
    let unasked = batch_sql!(
        PayoutPut,
        0,
        "UPDATE delivery SET status = 'cancelled', reason = 'payout_moved', \
         finished_at = COALESCE(batch.finished_at, delivery.due_at) FROM {batch} \
         WHERE delivery.payout_id = batch.id AND delivery.account_id = batch.account_id AND batch.status <> 'pending' AND delivery.status = 'pending' \
         AND delivery.lease_token IS NULL"
    );
    tx.batch(unasked, &[], rows).await?;
    Ok(())
}

/// Gives up the claim of payouts on their commissions, or takes it again.
pub async fn payout_items_live(tx: &Tx<'_>, account_id: i64, payouts: &[Number], live: bool) -> Result<()> {
    let statement = batch_sql!(
        Number,
        2,
        "UPDATE payout_item SET live = $2 FROM {batch} WHERE payout_item.payout_id = batch.id \
         AND EXISTS (SELECT 1 FROM payout p WHERE p.id = payout_item.payout_id AND p.account_id = $1)"
    );
    tx.batch(statement, &[&account_id, &live], payouts).await?;
    Ok(())
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
