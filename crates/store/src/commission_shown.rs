//! Commissions as the rewards dialect lists them: with the referral, the fact and the payout beside each.
//!
//! Hidden ones are in no list. Leaves the JSON to the domain. Amounts in filters are minor units of each row's own unit, so
//! the digits of the units stand here once more.

use crate::backend::{Result, Tx};
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

record! {
    /// A commission with what is shown beside it; `fact_data`, `referral_attributes` and `split` are JSON, `total` how many fit.
    /// What takes a cell back as a whole was split as what it takes back. One by hand has no fact: the caller's id and what the
    /// caller said beside it stand in their place.
    pub struct ShownCommission {
        total: i64, id: i64, account_id: i64, program_id: i64, partner_id: Option<i64>, customer_id: Option<i64>,
        promoter_id: Option<i64>, rule: String, level: i64, status: String, unit: String, amount: i64, sale_amount: Option<i64>,
        sale_currency: Option<String>, fact_id: i64, internal_note: Option<String>, external_note: Option<String>,
        made_by: Option<String>, created_at: i64, decided_at: Option<i64>, fact_key: Option<String>, fact_data: Option<String>,
        referral_id: Option<i64>, referral_email: Option<String>, referral_uid: Option<String>, referral_attributes: Option<String>,
        payout_id: Option<i64>, paid_at: Option<i64>, has_issues: bool, split: Option<String>,
    }
}

/// What commissions are narrowed by; `None`: not narrowed. Lists of numbers stand between commas: `,1,2,`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the filter of its own name in rewards-api.md §3, or explained")]
pub struct ShownFilter {
    /// `pending`, `approved` or `denied`.
    pub status: Option<String>,
    /// `cash` or a reward unit.
    pub unit: Option<String>,
    pub ids: Option<String>,
    /// Part of event id, email or uid, in lower case.
    pub part: Option<String>,
    pub is_paid: Option<bool>,
    pub is_fulfilled: Option<bool>,
    pub sale_amount_from: Option<i64>,
    pub sale_amount_to: Option<i64>,
    pub amount_from: Option<i64>,
    pub amount_to: Option<i64>,
    /// Inclusive.
    pub created_from: Option<i64>,
    /// Inclusive.
    pub created_to: Option<i64>,
    pub campaign_ids: Option<String>,
    pub payout_ids: Option<String>,
    /// Pairs of a fact's data, as our own writer wrote them: `"plan":"pro"`; none: any.
    pub plan_pairs: Vec<String>,
    pub promoter_id: Option<i64>,
    /// The partner that earned it; what went to its referrals is not in it.
    pub earner_id: Option<i64>,
    pub referral_id: Option<i64>,
    /// `next`, `overdue` or `custom`.
    pub due_period: Option<String>,
    /// What fell due before is overdue.
    pub overdue_before: i64,
    pub is_first: Option<bool>,
    pub is_refunded: Option<bool>,
    /// Names between commas.
    pub fraud_checks: Option<String>,
    /// Programs of which whoever asks may see whose sale a commission of a level above the first one came from. What it may not
    /// see is neither searched nor sorted by, and an event's id, which it is never shown, is not searched; `None`: it sees everything.
    pub sees_below_in: Option<String>,
}

batch! {
    /// A pair that a fact's data must have; an empty one, that it need not have any.
    struct PlanPair { pair: String = "text" }
}

/// By what commissions are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShownOrder {
    /// By what was sold.
    SaleAmount,
    /// By what was earned.
    Amount,
    /// By age.
    #[default]
    CreatedAt,
    /// By the referral's email.
    Referral,
}

macro_rules! shown {
    () => {
        "c.id, c.account_id, c.program_id, c.partner_id, c.customer_id, c.promoter_id, c.rule, c.level, c.status, c.unit, c.amount, \
         c.sale_amount, c.sale_currency, c.fact_id, c.internal_note, c.external_note, c.made_by, c.created_at, c.decided_at, \
         COALESCE(f.fact_key, c.event_key) AS fact_key, \
         COALESCE(f.data, CASE WHEN c.fact_id = 0 THEN c.explanation END) AS fact_data, r.id AS referral_id, \
         COALESCE(r.email, CASE WHEN p.email_key LIKE ' %' THEN NULL ELSE p.email_key END) AS referral_email, \
         r.external_id AS referral_uid, r.attributes, i.payout_id, o.paid_at, COALESCE(o.has_issues, FALSE) AS has_issues, \
         COALESCE(c.split, CASE WHEN c.amount = -c.posted_before THEN (SELECT b.split FROM commission b WHERE b.id = c.corrects) END) AS split \
         FROM commission c LEFT JOIN fact f ON f.id = c.fact_id LEFT JOIN customer r ON r.id = COALESCE(c.customer_id, f.customer_id) \
         LEFT JOIN person p ON p.id = r.person_id LEFT JOIN payout_item i ON i.commission_id = c.id AND i.live \
         LEFT JOIN payout o ON o.id = i.payout_id "
    };
}

/// One minor unit of a unit, in millionths.
macro_rules! minor {
    ($unit:literal) => {
        concat!(
            "(CASE WHEN ",
            $unit,
            " IN ('points', 'credits', 'free_months', 'discount_per', 'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', \
             'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 1000000 \
             WHEN ",
            $unit,
            " IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1000 ELSE 10000 END)"
        )
    };
}

/// Commissions that fit: at most `limit` after leaving out `offset`.
pub async fn commissions_shown(
    tx: &Tx<'_>,
    account_id: i64,
    filter: &ShownFilter,
    (order, descending): (ShownOrder, bool),
    limit: i64,
    offset: i64,
) -> Result<Vec<ShownCommission>> {
    let statement = batch_sql!(
        PlanPair,
        28,
        concat!(
            "WITH wanted AS (SELECT pair FROM {batch}), fits AS (SELECT ",
            shown!(),
            "WHERE c.account_id = $1 AND c.hidden_at IS NULL \
         AND (CAST($2 AS TEXT) IS NULL OR CASE WHEN c.status IN ('pending', 'denied') THEN c.status ELSE 'approved' END = $2) \
         AND (CAST($3 AS TEXT) IS NULL OR c.unit = $3 OR ($3 = 'cash' \
           AND c.unit NOT IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per'))) \
         AND (CAST($4 AS TEXT) IS NULL OR $4 LIKE '%,' || CAST(c.id AS TEXT) || ',%') \
         AND (CAST($5 AS TEXT) IS NULL OR CAST($28 AS TEXT) IS NULL \
           OR ((c.level = 0 OR $28 LIKE '%,' || CAST(c.program_id AS TEXT) || ',%') \
           AND replace(LOWER(COALESCE(r.email, p.email_key, '') || ' ' || COALESCE(r.external_id, '')), $5, '') \
           <> LOWER(COALESCE(r.email, p.email_key, '') || ' ' || COALESCE(r.external_id, '')))) \
         AND (CAST($5 AS TEXT) IS NULL OR CAST($28 AS TEXT) IS NOT NULL OR replace(LOWER(COALESCE(f.fact_key, c.event_key, '') || ' ' || COALESCE(r.email, p.email_key, '') || ' ' \
           || COALESCE(r.external_id, '')), $5, '') <> LOWER(COALESCE(f.fact_key, c.event_key, '') || ' ' || COALESCE(r.email, p.email_key, '') \
           || ' ' || COALESCE(r.external_id, ''))) \
         AND (CAST($6 AS BOOLEAN) IS NULL OR (c.status = 'paid') = $6) \
         AND (CAST($7 AS BOOLEAN) IS NULL OR ((c.status = 'fulfilled') = $7 \
           AND c.unit IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per'))) \
         AND (CAST($8 AS BIGINT) IS NULL OR c.sale_amount >= $8 * ",
            minor!("c.sale_currency"),
            ") AND (CAST($9 AS BIGINT) IS NULL OR c.sale_amount <= $9 * ",
            minor!("c.sale_currency"),
            ") AND (CAST($10 AS BIGINT) IS NULL OR c.amount >= $10 * ",
            minor!("c.unit"),
            ") AND (CAST($11 AS BIGINT) IS NULL OR c.amount <= $11 * ",
            minor!("c.unit"),
            ") AND (CAST($12 AS BIGINT) IS NULL OR c.created_at >= $12) AND (CAST($13 AS BIGINT) IS NULL OR c.created_at <= $13) \
         AND (CAST($14 AS TEXT) IS NULL OR $14 LIKE '%,' || CAST(c.program_id AS TEXT) || ',%') \
         AND (CAST($15 AS TEXT) IS NULL OR $15 LIKE '%,' || CAST(i.payout_id AS TEXT) || ',%') \
         AND (CAST($16 AS BIGINT) IS NULL OR COALESCE(c.partner_id, c.promoter_id) = $16) \
         AND (CAST($17 AS BIGINT) IS NULL OR r.id = $17) \
         AND (CAST($18 AS TEXT) IS NULL OR CASE WHEN o.origin = 'picked' THEN 'custom' \
           WHEN c.status IN ('approved', 'in_payout') AND c.payable_at < $19 THEN 'overdue' \
           WHEN c.status IN ('approved', 'in_payout') THEN 'next' ELSE '' END = $18) \
         AND (CAST($20 AS BOOLEAN) IS NULL OR (c.id IN (SELECT MIN(l.id) FROM commission l WHERE l.account_id = $1 \
           GROUP BY l.person_id)) = $20) \
         AND (CAST($21 AS BOOLEAN) IS NULL OR (c.amount > 0 AND EXISTS (SELECT 1 FROM fact b WHERE b.program_id = c.program_id \
           AND b.of_sale = f.fact_key)) = $21) \
         AND (CAST($26 AS BIGINT) IS NULL OR c.partner_id = $26) \
         AND EXISTS (SELECT 1 FROM wanted WHERE wanted.pair = '' OR replace(COALESCE(f.data, CASE WHEN c.fact_id = 0 THEN c.explanation END, ''), wanted.pair, '') \
           <> COALESCE(f.data, CASE WHEN c.fact_id = 0 THEN c.explanation END, '')) \
         AND (CAST($27 AS TEXT) IS NULL OR CAST($28 AS TEXT) IS NULL OR c.level = 0 \
           OR $28 LIKE '%,' || CAST(c.program_id AS TEXT) || ',%') \
         AND (CAST($27 AS TEXT) IS NULL \
           OR ($27 LIKE '%,no_suspicion,%' AND COALESCE(r.attributes, '') NOT LIKE '%\"fraud_check\":\"%') \
           OR ($27 LIKE '%,no_suspicion,%' AND r.attributes LIKE '%\"fraud_check\":\"no_suspicion\"%') \
           OR ($27 LIKE '%,same_ip_suspicion,%' AND r.attributes LIKE '%\"fraud_check\":\"same_ip_suspicion\"%') \
           OR ($27 LIKE '%,same_promoter_email,%' AND r.attributes LIKE '%\"fraud_check\":\"same_promoter_email\"%') \
           OR ($27 LIKE '%,ad_source,%' AND r.attributes LIKE '%\"fraud_check\":\"ad_source\"%'))) \
         SELECT (SELECT COUNT(*) FROM fits), fits.* FROM fits \
         ORDER BY CASE WHEN $22 = 'referral' AND NOT $23 AND (CAST($28 AS TEXT) IS NULL OR level = 0 \
           OR $28 LIKE '%,' || CAST(program_id AS TEXT) || ',%') THEN referral_email END, \
         CASE WHEN $22 = 'referral' AND $23 AND (CAST($28 AS TEXT) IS NULL OR level = 0 \
           OR $28 LIKE '%,' || CAST(program_id AS TEXT) || ',%') THEN referral_email END DESC, \
         CASE $22 WHEN 'amount' THEN amount WHEN 'sale_amount' THEN COALESCE(sale_amount, 0) \
           WHEN 'created_at' THEN created_at ELSE 0 END * CASE WHEN $23 THEN -1 ELSE 1 END, id DESC LIMIT $24 OFFSET $25"
        )
    );
    let order = match order {
        ShownOrder::SaleAmount => "sale_amount",
        ShownOrder::Amount => "amount",
        ShownOrder::CreatedAt => "created_at",
        ShownOrder::Referral => "referral",
    };
    let f = filter;
    let parameters: &[&dyn crate::backend::Parameter] = &[
        &account_id,
        &f.status,
        &f.unit,
        &f.ids,
        &f.part,
        &f.is_paid,
        &f.is_fulfilled,
        &f.sale_amount_from,
        &f.sale_amount_to,
        &f.amount_from,
        &f.amount_to,
        &f.created_from,
        &f.created_to,
        &f.campaign_ids,
        &f.payout_ids,
        &f.promoter_id,
        &f.referral_id,
        &f.due_period,
        &f.overdue_before,
        &f.is_first,
        &f.is_refunded,
        &order,
        &descending,
        &limit,
        &offset,
        &f.earner_id,
        &f.fraud_checks,
        &f.sees_below_in,
    ];
    let any = [PlanPair { pair: String::new() }];
    let named: Vec<PlanPair> = f.plan_pairs.iter().map(|pair| PlanPair { pair: pair.clone() }).collect();
    tx.batch_all(statement, parameters, if named.is_empty() { &any } else { &named }).await
}

/// Commissions of this account, hidden ones too, in the order of their numbers.
pub async fn commissions_shown_by_id(tx: &Tx<'_>, account_id: i64, ids: &[Number]) -> Result<Vec<ShownCommission>> {
    let statement = batch_sql!(
        Number,
        1,
        concat!(
            "SELECT CAST(0 AS BIGINT), ",
            shown!(),
            "WHERE c.account_id = $1 AND c.id IN (SELECT id FROM {batch}) ORDER BY c.id"
        )
    );
    tx.batch_all(statement, &[&account_id], ids).await
}

/// Sets the notes of a commission that is shown; `None` leaves one as it is.
pub async fn commission_notes(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    internal: Option<&str>,
    external: Option<&str>,
) -> Result<bool> {
    let statement = sql!(
        "UPDATE commission SET internal_note = CASE WHEN CAST($3 AS TEXT) IS NULL THEN internal_note ELSE NULLIF($3, '') END, \
         external_note = CASE WHEN CAST($4 AS TEXT) IS NULL THEN external_note ELSE NULLIF($4, '') END \
         WHERE account_id = $1 AND id = $2 AND hidden_at IS NULL"
    );
    Ok(tx.execute(statement, &[&account_id, &id, &internal, &external]).await? == 1)
}
