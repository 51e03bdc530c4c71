//! Payouts as the rewards dialect lists and adds them up, and the payments that send several at once.
//!
//! Hidden ones are in no list. `method` is found in the settings that a payout is paid by (`payout`), as our own writer wrote them.
//! Invariant: payments keep how each of their payouts was to be paid when they were gathered.

use crate::backend::{Error, Result, Tx};
use crate::payout::{PayoutRow, settings};
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

/// What payouts are narrowed by; `None`: not narrowed. Lists of numbers stand between commas: `,1,2,`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the filter of its own name in rewards-api.md §7, or explained")]
pub struct PayoutShownFilter {
    pub ids: Option<String>,
    pub status: Option<String>,
    pub campaign_ids: Option<String>,
    pub payments_batch_ids: Option<String>,
    /// `next`, `overdue` or `custom`.
    pub due_period: Option<String>,
    /// What ended before is overdue.
    pub overdue_before: i64,
    pub period_start_from: Option<i64>,
    pub period_start_to: Option<i64>,
    pub period_end_from: Option<i64>,
    pub period_end_to: Option<i64>,
    /// The pair of a method as JSON text, `"method":"bank"`; without one `"method":null`.
    pub method_pair: Option<String>,
    /// The partner that is paid, or that brought who is.
    pub promoter_id: Option<i64>,
    /// The partner that is paid; what goes to its referrals is not in it.
    pub payee_id: Option<i64>,
    /// The customer that is paid.
    pub referral_id: Option<i64>,
    /// `cash` or a reward unit.
    pub unit: Option<String>,
    /// Numbers of partners that a search found.
    pub promoter_ids: Option<String>,
    /// Only what can be paid: pending money above nothing.
    pub only_payable: bool,
}

/// By what payouts are sorted; without one, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayoutOrder {
    /// Newest first.
    #[default]
    CreatedAt,
    /// By amount.
    Amount,
    /// By the start of its period.
    PeriodStart,
    /// By the end of its period.
    PeriodEnd,
}

record! {
    /// A row of figures: how many payouts and promoters, and their sum, of one unit in one group; by settings and by
    /// day one row for each promoter, who is 0 otherwise. A monetary discount is in its program's currency, so only it has rows by program.
    pub struct PayoutFigure { kind: String, unit: String, program_id: i64, promoter_id: i64, amount: i64, payouts: i64, promoters: i64 }
}
record! {
    /// How many promoters have payouts in a group, of whatever unit.
    pub struct PayoutPromoters { kind: String, promoters: i64 }
}
record! {
    /// Payouts that are sent together.
    pub struct PaymentsBatchRow {
        id: i64, account_id: i64, method: String, status: String, payouts: i64, error: Option<String>, created_at: i64,
        processing_started_at: Option<i64>, completed_at: Option<i64>,
    }
}
batch! {
    /// A payout goes from these payments into those; `None`: none. `settings`: how it is paid by them.
    pub struct PayoutSent { account_id: i64 = "int8", id: i64 = "int8", was: Option<i64> = "int8", next: Option<i64> = "int8", settings: Option<String> = "text" }
}
batch! {
    /// A move of payments; `payouts`: how many they send.
    pub struct PaymentsPut {
        account_id: i64 = "int8", id: i64 = "int8", was: String = "text", status: String = "text", payouts: i64 = "int8", error: Option<String> = "text", processing_started_at: Option<i64> = "int8",
        completed_at: Option<i64> = "int8",
    }
}

macro_rules! columns {
    () => {
        concat!(
            "id, account_id, program_id, partner_id, customer_id, promoter_id, unit, amount, commissions, status, origin, ",
            settings!(),
            " AS settings, period_start, until_at, error, payments_batch_id, created_at, processing_started_at, paid_at, failed_at, \
             finished_at, hidden_at IS NOT NULL AS is_hidden, has_issues"
        )
    };
}
macro_rules! due_period {
    ($overdue_before:literal) => {
        concat!(
            "CASE WHEN status NOT IN ('pending', 'processing') THEN '' WHEN origin = 'picked' THEN 'custom' \
             WHEN until_at < ",
            $overdue_before,
            " THEN 'overdue' ELSE 'next' END"
        )
    };
}
macro_rules! fits {
    () => {
        concat!(
            "account_id = $1 AND hidden_at IS NULL \
             AND (CAST($2 AS TEXT) IS NULL OR $2 LIKE '%,' || CAST(id AS TEXT) || ',%') \
             AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR $4 LIKE '%,' || CAST(program_id AS TEXT) || ',%') \
             AND (CAST($5 AS TEXT) IS NULL OR $5 LIKE '%,' || CAST(payments_batch_id AS TEXT) || ',%') \
             AND (CAST($6 AS TEXT) IS NULL OR ",
            due_period!("CAST($7 AS BIGINT)"),
            " = $6) AND (CAST($8 AS BIGINT) IS NULL OR period_start >= $8) AND (CAST($9 AS BIGINT) IS NULL OR period_start <= $9) \
             AND (CAST($10 AS BIGINT) IS NULL OR until_at >= $10) AND (CAST($11 AS BIGINT) IS NULL OR until_at <= $11) \
             AND (CAST($12 AS TEXT) IS NULL OR replace(",
            settings!(),
            ", $12, '') <> ",
            settings!(),
            ") AND (CAST($13 AS BIGINT) IS NULL OR COALESCE(partner_id, promoter_id) = $13) \
             AND (CAST($14 AS BIGINT) IS NULL OR customer_id = $14) \
             AND (CAST($15 AS TEXT) IS NULL OR unit = $15 OR ($15 = 'cash' \
               AND unit NOT IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per'))) \
             AND (CAST($16 AS TEXT) IS NULL OR $16 LIKE '%,' || CAST(COALESCE(partner_id, promoter_id) AS TEXT) || ',%') \
             AND (CAST($18 AS BIGINT) IS NULL OR partner_id = $18) \
             AND (NOT CAST($17 AS BOOLEAN) OR (status = 'pending' AND amount > 0 \
               AND unit NOT IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per')))"
        )
    };
}

/// Payouts that fit, and how many there are: at most `limit` after leaving out `offset`.
pub async fn payouts_shown(
    tx: &Tx<'_>,
    account_id: i64,
    filter: &PayoutShownFilter,
    (order, descending): (PayoutOrder, bool),
    limit: i64,
    offset: i64,
) -> Result<(i64, Vec<PayoutRow>)> {
    let f = filter;
    let narrowed: [&dyn crate::backend::Parameter; 18] = [
        &account_id,
        &f.ids,
        &f.status,
        &f.campaign_ids,
        &f.payments_batch_ids,
        &f.due_period,
        &f.overdue_before,
        &f.period_start_from,
        &f.period_start_to,
        &f.period_end_from,
        &f.period_end_to,
        &f.method_pair,
        &f.promoter_id,
        &f.referral_id,
        &f.unit,
        &f.promoter_ids,
        &f.only_payable,
        &f.payee_id,
    ];
    let count = sql!(concat!("SELECT COUNT(*) FROM payout WHERE ", fits!()));
    let (total,): (i64,) = tx.one(count, &narrowed).await?;
    let statement = sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM payout WHERE ",
        fits!(),
        " ORDER BY CASE $19 WHEN 'amount' THEN amount WHEN 'period_start' THEN period_start WHEN 'period_end' THEN until_at \
         ELSE created_at END * CASE WHEN $20 THEN -1 ELSE 1 END, id DESC LIMIT $21 OFFSET $22"
    ));
    let (order, descending) = match order {
        PayoutOrder::CreatedAt => ("created_at", true),
        PayoutOrder::Amount => ("amount", descending),
        PayoutOrder::PeriodStart => ("period_start", descending),
        PayoutOrder::PeriodEnd => ("period_end", descending),
    };
    let mut parameters = narrowed.to_vec();
    parameters.extend([&order as &dyn crate::backend::Parameter, &descending, &limit, &offset]);
    Ok((total, tx.all(statement, &parameters).await?))
}

/// By what payouts are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutGrouping {
    /// By status.
    Status,
    /// By the method of the payee, as JSON settings.
    Settings,
    /// By the month in which they were paid, `2026-02`; those that were not under nothing.
    PaidPeriod,
    /// By whether they are next, overdue or custom.
    DuePeriod,
}

impl PayoutGrouping {
    fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Settings => "settings",
            Self::PaidPeriod => "paid",
            Self::DuePeriod => "due",
        }
    }
}

/// What payouts are narrowed by before they are added up; `None`: not narrowed.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained")]
pub struct PayoutSummed {
    /// What one partner is paid, and nothing that goes to its referrals.
    pub payee_id: Option<i64>,
    pub status: Option<String>,
    /// Numbers between commas: `,1,2,`.
    pub campaign_ids: Option<String>,
    /// Numbers between commas: `,1,2,`.
    pub promoter_ids: Option<String>,
}

/// Payouts with the group that each is in; what was cancelled or failed was paid by no method, and may be in another payout: it
/// counts there only where that status is asked for.
macro_rules! kinds {
    () => {
        concat!(
            "(SELECT CASE $2 WHEN 'status' THEN status WHEN 'settings' THEN ",
            settings!(),
            " WHEN 'paid' THEN COALESCE(CAST(paid_at / 86400000000 AS TEXT), '') ELSE ",
            due_period!("CAST($3 AS BIGINT)"),
            " END AS kind, unit, CASE WHEN unit = 'mon_discount' THEN program_id ELSE 0 END AS currency_of, program_id, amount, \
             COALESCE(partner_id, promoter_id, -customer_id) AS promoter FROM payout WHERE account_id = $1 AND hidden_at IS NULL \
             AND (CAST($4 AS BIGINT) IS NULL OR partner_id = $4) AND (CAST($5 AS TEXT) IS NULL OR status = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR $6 LIKE '%,' || CAST(program_id AS TEXT) || ',%') \
             AND (CAST($7 AS TEXT) IS NULL OR $7 LIKE '%,' || CAST(COALESCE(partner_id, promoter_id) AS TEXT) || ',%') \
             AND ($2 <> 'settings' OR $5 IS NOT NULL OR status NOT IN ('cancelled', 'failed'))) AS kinds "
        )
    };
}

/// What the payouts that fit add up to, by group and unit.
pub async fn payout_figures(
    tx: &Tx<'_>,
    account_id: i64,
    narrowed: &PayoutSummed,
    grouping: PayoutGrouping,
    overdue_before: i64,
) -> Result<Vec<PayoutFigure>> {
    let statement = sql!(concat!(
        "SELECT kind, unit, MIN(program_id), CASE WHEN $2 IN ('settings', 'paid') THEN promoter ELSE 0 END AS whose, CAST(SUM(amount) AS BIGINT), \
         COUNT(*), COUNT(DISTINCT promoter) FROM ",
        kinds!(),
        "GROUP BY kind, unit, currency_of, whose ORDER BY kind, unit, currency_of, whose"
    ));
    let n = narrowed;
    let (name, overdue) = (grouping.name(), &overdue_before);
    tx.all(statement, &[&account_id, &name, overdue, &n.payee_id, &n.status, &n.campaign_ids, &n.promoter_ids]).await
}

/// How many promoters have payouts that fit in each group.
pub async fn payout_promoters(
    tx: &Tx<'_>,
    account_id: i64,
    narrowed: &PayoutSummed,
    grouping: PayoutGrouping,
    overdue_before: i64,
) -> Result<Vec<PayoutPromoters>> {
    let statement =
        sql!(concat!("SELECT kind, COUNT(DISTINCT promoter) FROM ", kinds!(), "GROUP BY kind ORDER BY kind"));
    let n = narrowed;
    let (name, overdue) = (grouping.name(), &overdue_before);
    tx.all(statement, &[&account_id, &name, overdue, &n.payee_id, &n.status, &n.campaign_ids, &n.promoter_ids]).await
}

record! {
    /// A payout that can be sent, and how it is paid, JSON.
    pub struct Sendable { id: i64, settings: String }
}

/// Locks the pending payouts of money that can be sent by this method and are in no payments yet.
pub async fn payouts_sendable(tx: &Tx<'_>, account_id: i64, method_pair: &str) -> Result<Vec<Sendable>> {
    let statement = sql!(concat!(
        "SELECT id, ",
        settings!(),
        " AS settings FROM payout WHERE account_id = $1 AND hidden_at IS NULL AND status = 'pending' AND payments_batch_id IS NULL \
         AND amount > 0 AND unit NOT IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per') AND replace(",
        settings!(),
        ", $2, '') <> ",
        settings!(),
        " ORDER BY id FOR UPDATE"
    ));
    tx.all(statement, &[&account_id, &method_pair]).await
}

/// Puts payouts that are locked into payments, or takes them out; all or none.
pub async fn payouts_send(tx: &Tx<'_>, payouts: &[PayoutSent]) -> Result<()> {
    let statement = batch_sql!(
        PayoutSent,
        0,
        "UPDATE payout SET payments_batch_id = batch.next, settings = COALESCE(batch.settings, payout.settings) FROM {batch} \
         WHERE payout.id = batch.id AND payout.account_id = batch.account_id AND payout.payments_batch_id IS NOT DISTINCT FROM batch.was"
    );
    let sent = tx.batch(statement, &[], payouts).await?;
    if sent == payouts.len() as u64 {
        Ok(())
    } else {
        Err(Error::Abandoned("a locked payout went into other payments".into()))
    }
}

/// The payouts of payments.
pub async fn payouts_of_payments(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Vec<PayoutRow>> {
    let statement = sql!(concat!(
        "SELECT ",
        columns!(),
        " FROM payout WHERE account_id = $1 AND payments_batch_id = $2 ORDER BY id"
    ));
    tx.all(statement, &[&account_id, &id]).await
}

/// Adds payments that wait for a confirmation.
pub async fn payments_insert(tx: &Tx<'_>, row: &PaymentsBatchRow) -> Result<()> {
    let statement = sql!(
        "INSERT INTO payments_batch (id, account_id, method, status, payouts, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
    );
    let parameters: &[&dyn crate::backend::Parameter] =
        &[&row.id, &row.account_id, &row.method, &row.status, &row.payouts, &row.created_at];
    tx.execute(statement, parameters).await?;
    Ok(())
}

/// Payments of this account; `None` in `id`: all, newest first.
pub async fn payments_list(tx: &Tx<'_>, account_id: i64, id: Option<i64>, limit: i64) -> Result<Vec<PaymentsBatchRow>> {
    let statement = sql!(
        "SELECT id, account_id, method, status, payouts, error, created_at, processing_started_at, completed_at FROM payments_batch \
         WHERE account_id = $1 AND (CAST($2 AS BIGINT) IS NULL OR id = $2) ORDER BY id DESC LIMIT CAST($3 AS BIGINT)"
    );
    tx.all(statement, &[&account_id, &id, &limit]).await
}

/// Moves payments whose status is still the one that was read; gives how many.
pub async fn payments_move(tx: &Tx<'_>, rows: &[PaymentsPut]) -> Result<u64> {
    let statement = batch_sql!(
        PaymentsPut,
        0,
        "UPDATE payments_batch SET status = batch.status, payouts = batch.payouts, error = batch.error, processing_started_at = batch.processing_started_at, \
         completed_at = batch.completed_at FROM {batch} WHERE payments_batch.id = batch.id \
         AND payments_batch.account_id = batch.account_id AND payments_batch.status = batch.was"
    );
    tx.batch(statement, &[], rows).await
}

/// Removes payments that nothing was sent by.
pub async fn payments_delete(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<bool> {
    let statement =
        sql!("DELETE FROM payments_batch WHERE account_id = $1 AND id = $2 AND status = 'awaiting_confirmation'");
    Ok(tx.execute(statement, &[&account_id, &id]).await? == 1)
}

record! {
    /// Payments with the status that their payouts give them.
    pub struct PaymentsStanding {
        id: i64, account_id: i64, method: String, status: String, payouts: i64, created_at: i64, processing_started_at: Option<i64>, now: String,
    }
}

/// Payments that are under way or over, and where their payouts stand by now.
///
/// They are locked first: of two payouts that end at once the second sees where the first stands.
pub async fn payments_standing(tx: &Tx<'_>, ids: &[Number]) -> Result<Vec<PaymentsStanding>> {
    let lock = batch_sql!(
        Number,
        0,
        "SELECT id FROM payments_batch WHERE id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE"
    );
    tx.batch_all::<_, (i64,)>(lock, &[], ids).await?;
    let statement = batch_sql!(
        Number,
        0,
        "SELECT b.id, b.account_id, b.method, b.status, b.payouts, b.created_at, b.processing_started_at, \
         CASE WHEN EXISTS (SELECT 1 FROM payout p WHERE p.payments_batch_id = b.id AND p.status IN ('pending', 'processing')) THEN 'processing' \
         WHEN (SELECT COUNT(*) FROM payout p WHERE p.payments_batch_id = b.id AND p.status = 'completed') < b.payouts THEN 'failed' \
         ELSE 'completed' END \
         FROM payments_batch b WHERE b.status <> 'awaiting_confirmation' AND b.id IN (SELECT id FROM {batch}) ORDER BY b.id"
    );
    tx.batch_all(statement, &[], ids).await
}
