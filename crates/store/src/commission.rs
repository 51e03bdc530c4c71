//! Commissions: reading the postings that a settlement wrote (`outcome`), and moving them through their life.
//!
//! Which move is allowed is the domain's; each UPDATE here repeats the status that was read, so that of two calls at
//! once one moves a row and the other finds it moved.

use crate::backend::{Error, Result, Tx};
use crate::cell::{PostingOf, cells_deny};
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
    /// What a move of a posting depends on. `payout_id`: the live payout that it is in.
    pub struct LifeRow {
        id: i64, account_id: i64, program_id: i64, partner_id: Option<i64>, customer_id: Option<i64>, promoter_id: Option<i64>,
        person_id: i64, cell: String, unit: String, amount: i64, status: String, payable_at: i64, due_at: Option<i64>, is_hidden: bool, created_at: i64,
        payout_id: Option<i64>,
    }
}
batch! {
    /// A move: the status it was made on, and the new one. `due_at`: since when its amount is payable; `decided_at` where
    /// somebody decided.
    pub struct LifePut {
        account_id: i64 = "int8", id: i64 = "int8", was: String = "text", status: String = "text", due_at: Option<i64> = "int8", decided_at: Option<i64> = "int8",
        hidden_at: Option<i64> = "int8",
    }
}

batch! {
    /// A customer of an account.
    pub struct WaitedFor { account_id: i64 = "int8", customer_id: i64 = "int8" }
}

/// What is pending and waits for these customers: account, program and number of each.
pub async fn commissions_waiting(tx: &Tx<'_>, customers: &[WaitedFor]) -> Result<Vec<(i64, i64, i64)>> {
    let statement = batch_sql!(
        WaitedFor,
        0,
        "SELECT c.account_id, c.program_id, c.id FROM {batch} CROSS JOIN commission c WHERE c.waits_for = batch.customer_id \
         AND c.waits_for IS NOT NULL AND +c.account_id = batch.account_id AND c.status = 'pending' ORDER BY c.id"
    );
    tx.batch_all(statement, &[], customers).await
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

/// Locks postings of this account in their order, and reads what a move depends on. It is read after the lock, so that it is
/// true until the end of the transaction.
pub async fn commissions_lock(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<LifeRow>> {
    let lock = batch_sql!(
        Number,
        1,
        "SELECT id FROM commission WHERE account_id = $1 AND id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE"
    );
    tx.batch_all::<_, (i64,)>(lock, &[&account_id], ids).await?;
    let read = batch_sql!(
        Number,
        1,
        "SELECT id, account_id, program_id, partner_id, customer_id, promoter_id, person_id, cell, unit, amount, status, \
         payable_at, due_at, hidden_at IS NOT NULL, created_at, \
         (SELECT i.payout_id FROM payout_item i WHERE i.commission_id = commission.id AND i.live) \
         FROM commission WHERE account_id = $1 AND id IN (SELECT id FROM {batch}) ORDER BY id"
    );
    tx.batch_all(read, &[&account_id], ids).await
}

/// Moves postings whose status is still the one that was read; all or none. Their cells know how much of them is denied.
pub async fn commissions_move(tx: &Tx<'_>, rows: &[LifePut]) -> Result<()> {
    let statement = batch_sql!(
        LifePut,
        0,
        "UPDATE commission SET status = batch.status, due_at = batch.due_at, \
         decided_at = COALESCE(batch.decided_at, commission.decided_at), hidden_at = COALESCE(batch.hidden_at, commission.hidden_at) \
         FROM {batch} WHERE commission.id = batch.id AND commission.account_id = batch.account_id AND commission.status = batch.was"
    );
    let moved = tx.batch(statement, &[], rows).await?;
    for (is_denied, sign) in [(true, 1), (false, -1)] {
        let turned = rows.iter().filter(|row| {
            let (was, is) = (row.was == "denied", row.status == "denied");
            was != is && is == is_denied
        });
        let turned: Vec<_> = turned.map(|row| PostingOf { account_id: row.account_id, id: row.id }).collect();
        cells_deny(tx, &turned, sign).await?;
    }
    if moved == rows.len() as u64 {
        Ok(())
    } else {
        Err(Error::Abandoned("a locked posting changed its status".into()))
    }
}

/// Says of postings for customers who brought these; gives what is known.
pub async fn commissions_promote(tx: &Tx<'_>, postings: &[PostingOf]) -> Result<Vec<(i64, Option<i64>)>> {
    let statement = batch_sql!(
        PostingOf,
        0,
        "UPDATE commission SET promoter_id = (SELECT a.partner_id FROM attribution a JOIN customer c \
         ON c.person_id = a.person_id AND c.id = a.customer_id WHERE c.id = commission.customer_id \
         ORDER BY a.from_at DESC LIMIT 1) FROM {batch} WHERE commission.id = batch.id AND commission.account_id = batch.account_id \
         AND commission.customer_id IS NOT NULL \
         RETURNING commission.id, commission.promoter_id"
    );
    tx.batch_all(statement, &[], postings).await
}

/// Names who made a posting by hand, and the caller's own id of it.
pub async fn commission_made_by(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    made_by: &str,
    event_key: Option<&str>,
) -> Result<()> {
    let statement = sql!("UPDATE commission SET made_by = $3, event_key = $4 WHERE account_id = $1 AND id = $2");
    tx.execute(statement, &[&account_id, &id, &made_by, &event_key]).await?;
    Ok(())
}

/// Names who reported by hand the sale that these postings of an account are of; gives those that named nobody yet.
pub async fn commissions_made_by(
    tx: &Tx<'_>,
    account_id: i64,
    made_by: &str,
    ids: &[Number],
) -> Result<Vec<CommissionRow>> {
    let statement = batch_sql!(
        Number,
        2,
        "UPDATE commission SET made_by = $2 FROM {batch} WHERE commission.account_id = $1 AND commission.id = batch.id \
         AND commission.made_by IS NULL RETURNING commission.id"
    );
    let made: Vec<(i64,)> = tx.batch_all(statement, &[&account_id, &made_by], ids).await?;
    let made: Vec<Number> = made.into_iter().map(|(id,)| Number { id }).collect();
    commissions_by_id(tx, account_id, &made).await
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
