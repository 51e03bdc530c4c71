//! Commissions: reading the postings that a settlement wrote (`outcome`), and moving them through their life.
//!
//! Which move is allowed is the domain's; each UPDATE here repeats the status that was read, so that of two calls at
//! once one moves a row and the other finds it moved.

use crate::backend::{Error, Result, Tx};
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

record! {
    /// A posting; `explanation` is JSON.
    pub struct CommissionRow {
        id: i64, account_id: i64, program_id: i64, partner_id: Option<i64>, customer_id: Option<i64>, person_id: i64, rule: String, level: i64,
        status: String, unit: String, amount: i64, period: String, for_period: String, payable_at: i64, fact_id: i64, corrects: Option<i64>,
        plan: String, plan_number: i64, explanation: String, created_at: i64,
    }
}

/// Which postings of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct CommissionFilter {
    pub partner_id: Option<i64>,
    pub customer_id: Option<i64>,
    pub rule: Option<String>,
    pub status: Option<String>,
    pub unit: Option<String>,
    pub period: Option<String>,
    pub fact_id: Option<i64>,
    /// Whether its amount is payable.
    pub is_due: Option<bool>,
    /// Only those with smaller numbers.
    pub before_id: Option<i64>,
}

/// At most `limit` postings, newest first.
pub async fn commission_list(
    tx: &Tx<'_>,
    account_id: i64,
    filter: &CommissionFilter,
    limit: i64,
) -> Result<Vec<CommissionRow>> {
    let statement = sql!(
        "SELECT id, account_id, program_id, partner_id, customer_id, person_id, rule, level, status, unit, amount, period, for_period, \
         payable_at, fact_id, corrects, plan, plan_number, explanation, created_at FROM commission WHERE account_id = $1 \
         AND (CAST($2 AS BIGINT) IS NULL OR partner_id = CAST($2 AS BIGINT)) \
         AND (CAST($3 AS BIGINT) IS NULL OR customer_id = CAST($3 AS BIGINT) OR person_id = CAST($3 AS BIGINT)) \
         AND (CAST($4 AS TEXT) IS NULL OR rule = CAST($4 AS TEXT)) \
         AND (CAST($5 AS TEXT) IS NULL OR status = CAST($5 AS TEXT)) \
         AND (CAST($6 AS TEXT) IS NULL OR unit = CAST($6 AS TEXT)) \
         AND (CAST($7 AS TEXT) IS NULL OR period = CAST($7 AS TEXT)) \
         AND (CAST($8 AS BIGINT) IS NULL OR fact_id = CAST($8 AS BIGINT)) \
         AND (CAST($9 AS BOOLEAN) IS NULL OR (due_at IS NOT NULL) = CAST($9 AS BOOLEAN)) \
         AND (CAST($10 AS BIGINT) IS NULL OR id < CAST($10 AS BIGINT)) ORDER BY id DESC LIMIT CAST($11 AS BIGINT)"
    );
    tx.all(
        statement,
        &[
            &account_id,
            &filter.partner_id,
            &filter.customer_id,
            &filter.rule,
            &filter.status,
            &filter.unit,
            &filter.period,
            &filter.fact_id,
            &filter.is_due,
            &filter.before_id,
            &limit,
        ],
    )
    .await
}

/// A posting of this account.
pub async fn commission_by_id(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<CommissionRow>> {
    let statement = sql!(
        "SELECT id, account_id, program_id, partner_id, customer_id, person_id, rule, level, status, unit, amount, period, for_period, \
         payable_at, fact_id, corrects, plan, plan_number, explanation, created_at FROM commission WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// Postings of this account, in the order of their numbers.
pub async fn commissions_by_id(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<CommissionRow>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT id, account_id, program_id, partner_id, customer_id, person_id, rule, level, status, unit, amount, period, for_period, \
         payable_at, fact_id, corrects, plan, plan_number, explanation, created_at FROM commission \
         WHERE account_id = $1 AND id IN (SELECT id FROM {batch}) ORDER BY id"
    );
    tx.batch_all(statement, &[&account_id], ids).await
}

record! {
    /// What a decision about a posting depends on; `corrects_denied`: the posting that it corrects was denied;
    /// `is_taken_back`: a posting that takes it back was approved.
    pub struct LifeRow {
        id: i64, account_id: i64, program_id: i64, partner_id: Option<i64>, customer_id: Option<i64>, unit: String, amount: i64,
        status: String, payable_at: i64, is_due: bool, corrects_denied: bool, is_taken_back: bool,
    }
}
batch! {
    /// A decision: the status it was made on, and the new one; `due_at` where the amount is payable at once.
    pub struct LifePut { id: i64 = "int8", was: String = "text", status: String = "text", due_at: Option<i64> = "int8" }
}

batch! {
    /// By how much more of a cell is denied.
    struct CellDenied { person_id: i64 = "int8", cell: String = "text", change: i64 = "int8" }
}

/// Whose cells these postings are in: persons, and programs by their numbers, negated.
pub async fn commission_owners(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<i64>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT DISTINCT person_id FROM commission WHERE account_id = $1 AND id IN (SELECT id FROM {batch})"
    );
    let owners: Vec<(i64,)> = tx.batch_all(statement, &[&account_id], ids).await?;
    Ok(owners.into_iter().map(|(owner,)| owner).collect())
}

/// Locks postings of this account with those that they correct and those that correct them, in their order, and reads what
/// a decision depends on.
pub async fn commissions_lock(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<LifeRow>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT id, account_id, program_id, partner_id, customer_id, unit, amount, status, payable_at, due_at IS NOT NULL, \
         EXISTS (SELECT 1 FROM commission c WHERE c.id = commission.corrects AND c.status = 'denied'), \
         EXISTS (SELECT 1 FROM commission c WHERE c.corrects = commission.id AND c.amount < 0 \
         AND c.status NOT IN ('pending', 'denied')) \
         FROM commission WHERE account_id = $1 AND (id IN (SELECT id FROM {batch}) \
         OR corrects IN (SELECT id FROM {batch}) \
         OR id IN (SELECT m.corrects FROM commission m WHERE m.id IN (SELECT id FROM {batch}))) ORDER BY id FOR UPDATE"
    );
    tx.batch_all(statement, &[&account_id], ids).await
}

/// Moves postings whose status is still the one that was read; all or none. Their cells know how much of them was denied.
pub async fn commissions_decide(tx: &Tx<'_>, account_id: i64, at: i64, rows: &[LifePut]) -> Result<()> {
    let statement = batch_sql!(
        LifePut,
        2,
        "UPDATE commission SET status = batch.status, due_at = batch.due_at, decided_at = CAST($2 AS BIGINT) FROM {batch} \
         WHERE commission.id = batch.id AND commission.account_id = $1 AND commission.status = batch.was"
    );
    let moved = tx.batch(statement, &[&account_id, &at], rows).await?;
    let denied: Vec<_> = rows.iter().filter(|row| row.status == "denied").map(|row| Number { id: row.id }).collect();
    let sums = batch_sql!(
        Number,
        0,
        "SELECT person_id, cell, CAST(SUM(amount) AS BIGINT) FROM commission WHERE id IN (SELECT id FROM {batch}) \
         GROUP BY person_id, cell"
    );
    let sums: Vec<(i64, String, i64)> = tx.batch_all(sums, &[], &denied).await?;
    let changes: Vec<_> =
        sums.into_iter().map(|(person_id, cell, change)| CellDenied { person_id, cell, change }).collect();
    let cells = batch_sql!(
        CellDenied,
        0,
        "UPDATE cell SET denied = cell.denied + batch.change FROM {batch} \
         WHERE cell.person_id = batch.person_id AND cell.cell = batch.cell"
    );
    tx.batch(cells, &[], &changes).await?;
    if moved == rows.len() as u64 {
        Ok(())
    } else {
        Err(Error::Abandoned("a locked posting changed its status".into()))
    }
}

record! {
    /// A posting that fell due; its amount is in `held`.
    pub struct FallenDue {
        id: i64, account_id: i64, program_id: i64, partner_id: Option<i64>, customer_id: Option<i64>, unit: String, amount: i64,
    }
}

/// Marks at most `limit` approved postings whose hold is over, of one account or of all.
pub async fn commissions_fall_due(
    tx: &Tx<'_>,
    account_id: Option<i64>,
    now: i64,
    limit: i64,
) -> Result<Vec<FallenDue>> {
    let statement = sql!(
        "UPDATE commission SET due_at = CAST($2 AS BIGINT) WHERE status = 'approved' AND due_at IS NULL AND id IN ( \
         SELECT id FROM commission WHERE status = 'approved' AND due_at IS NULL AND payable_at <= CAST($2 AS BIGINT) \
         AND (CAST($1 AS BIGINT) IS NULL OR account_id = CAST($1 AS BIGINT)) ORDER BY id LIMIT CAST($3 AS BIGINT) FOR UPDATE) \
         RETURNING id, account_id, program_id, partner_id, customer_id, unit, amount"
    );
    tx.all(statement, &[&account_id, &now, &limit]).await
}

/// Whether there is anything for [`commissions_fall_due`]; cheap.
pub async fn any_fall_due(tx: &Tx<'_>, account_id: Option<i64>, now: i64) -> Result<bool> {
    let statement = sql!(
        "SELECT EXISTS (SELECT 1 FROM commission WHERE status = 'approved' AND due_at IS NULL AND payable_at <= $2 \
         AND (CAST($1 AS BIGINT) IS NULL OR account_id = CAST($1 AS BIGINT)))"
    );
    let (any,): (bool,) = tx.one(statement, &[&account_id, &now]).await?;
    Ok(any)
}
