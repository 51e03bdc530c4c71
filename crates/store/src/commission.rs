//! Commissions: reading the postings that a settlement wrote (`outcome`).

use crate::backend::{Result, Tx};
use crate::{record, sql};

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
         AND (CAST($9 AS BIGINT) IS NULL OR id < CAST($9 AS BIGINT)) ORDER BY id DESC LIMIT CAST($10 AS BIGINT)"
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
