//! Customers as the rewards dialect lists them: whose they are, since when they buy, what was sold and given back.
//!
//! Writing is the settlement's (`ingest`). Persons that were forgotten are in no list. What a row shows beside its columns
//! stands in the customer's attributes; filters look for the exact text of a pair, which our own writer wrote. Invariant: a
//! customer has one row, that of the binding that holds, and one that left for another program none; `moved` asks for those that held before, one
//! row for each partner.

use crate::backend::{Result, Tx};
use crate::held::is_waiting_refund;
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A name in a program: a customer's, or a person's.
    pub struct ProgramName { program_id: i64 = "int8", name: String = "text" }
}
record! {
    /// A customer, by whom it was brought and what became of it; `attributes` and `splits` are JSON, `total` how many fit.
    pub struct ReferralRow {
        total: i64, id: i64, program_id: i64, person_id: i64, external_id: Option<String>, email: Option<String>, name: Option<String>,
        attributes: Option<String>, registered_at: i64, created_at: i64, partner_id: Option<i64>, evidence: Option<String>,
        customer_since: Option<i64>, cancelled_at: Option<i64>, state: String, splits: Option<String>,
    }
}
record! {
    /// A revision of a sale, a refund or an event of a customer; `body` and `data` are JSON. `waits`: a refund that does not
    /// count yet.
    pub struct SaleRow {
        id: i64, program_id: i64, customer_id: i64, kind: String, fact_key: String, at: i64, body: String, data: Option<String>, waits: bool,
    }
}

/// What referrals are narrowed by; `None`: not narrowed.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained")]
pub struct ReferralFilter {
    pub account_id: i64,
    /// Numbers between commas: `,1,2,`.
    pub program_ids: Option<String>,
    pub partner_id: Option<i64>,
    /// Numbers between commas: `,1,2,`.
    pub ids: Option<String>,
    /// A part of email, name or the caller's id, in lower case.
    pub part: Option<String>,
    /// Whether it ever bought.
    pub is_customer: Option<bool>,
    /// `moved` lists whom each partner lost to another one.
    pub state: Option<String>,
    pub created_from: Option<i64>,
    pub created_to: Option<i64>,
    pub since_from: Option<i64>,
    pub since_to: Option<i64>,
    pub cancelled_from: Option<i64>,
    pub cancelled_to: Option<i64>,
    /// And whether the greatest comes first; `None`: newest first.
    pub order: Option<(ReferralOrder, bool)>,
}

/// By what referrals are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the column of its own name")]
pub enum ReferralOrder {
    State,
    Email,
}

/// The customers of these ids of the callers' own.
pub async fn referrals_by_external_id(tx: &Tx<'_>, names: &[ProgramName]) -> Result<Vec<(i64,)>> {
    let statement = batch_sql!(
        ProgramName,
        0,
        "SELECT c.id FROM {batch} JOIN customer c ON c.program_id = batch.program_id AND c.external_id = batch.name \
         WHERE c.external_id IS NOT NULL AND NOT c.is_placeholder ORDER BY c.created_at, c.id"
    );
    tx.batch_all(statement, &[], names).await
}

/// The customers of persons that are known by these names, each person's oldest first.
pub async fn referrals_by_person(tx: &Tx<'_>, names: &[ProgramName]) -> Result<Vec<(i64,)>> {
    let statement = batch_sql!(
        ProgramName,
        0,
        "SELECT c.id FROM {batch} JOIN person p ON p.program_id = batch.program_id AND p.email_key = batch.name \
         JOIN customer c ON c.person_id = COALESCE(p.merged_into, p.id) WHERE NOT c.is_placeholder ORDER BY c.created_at, c.id"
    );
    tx.batch_all(statement, &[], names).await
}

/// What a list shows of a customer `c`, its person `p` and a binding `a`.
macro_rules! dated {
    () => {
        "SELECT c.id, c.program_id, c.person_id, c.external_id, \
         COALESCE(c.email, CASE WHEN p.email_key LIKE ' %' THEN NULL ELSE p.email_key END) AS email, COALESCE(c.name, p.name) AS name, \
         c.attributes, c.registered_at, c.created_at, \
         a.partner_id, a.evidence, a.splits, \
         (SELECT MIN(f.at) FROM fact f WHERE f.person_id = c.person_id AND f.customer_id = c.id AND f.type = 'sale') AS customer_since, \
         (SELECT MAX(f.at) FROM fact f WHERE f.person_id = c.person_id AND f.customer_id = c.id AND f.type = 'sale') AS last_sale_at, \
         (SELECT MAX(f.at) FROM fact f WHERE f.person_id = c.person_id AND f.customer_id = c.id AND f.type = 'event' \
         AND f.body LIKE '%\"CANCELLATION\"%') AS cancelled_at, \
         NOT EXISTS (SELECT 1 FROM fact s WHERE s.person_id = c.person_id AND s.customer_id = c.id AND s.type = 'sale' \
         AND NOT EXISTS (SELECT 1 FROM fact e WHERE e.person_id = c.person_id AND e.customer_id = c.id AND e.type = 'event' \
         AND e.fact_key = s.fact_key AND e.body LIKE '%\"SALE_REFUNDED\"%')) AS is_given_back \
         FROM customer c JOIN person p ON p.id = c.person_id "
    };
}
/// Which customers a list looks at.
macro_rules! looked_at {
    () => {
        "c.account_id = $1 AND NOT c.is_placeholder \
         AND p.email_key NOT LIKE ' erased:%' AND (CAST($2 AS TEXT) IS NULL OR $2 LIKE '%,' || CAST(c.program_id AS TEXT) || ',%') \
         AND (CAST($3 AS TEXT) IS NULL OR CAST($3 AS TEXT) LIKE '%,' || CAST(c.id AS TEXT) || ',%')"
    };
}

/// Referrals that fit, in their order: at most `limit` after leaving out `offset`.
pub async fn referral_list(tx: &Tx<'_>, filter: &ReferralFilter, limit: i64, offset: i64) -> Result<Vec<ReferralRow>> {
    let statement = sql!(concat!(
        "WITH dated AS (",
        dated!(),
        "JOIN attribution a ON a.person_id = c.person_id AND a.customer_id = c.id AND a.from_at = \
         (SELECT MAX(l.from_at) FROM attribution l WHERE l.person_id = c.person_id AND l.customer_id = c.id \
         AND (NOT CAST($16 AS BOOLEAN) OR l.partner_id = a.partner_id)) \
         AND ($16 OR c.moved_at IS NULL) AND (NOT $16 OR c.moved_at IS NOT NULL OR EXISTS (SELECT 1 FROM attribution l WHERE l.person_id = c.person_id AND l.customer_id = c.id AND l.from_at > a.from_at)) \
         WHERE ",
        looked_at!(),
        " UNION ALL ",
        dated!(),
        "JOIN (SELECT customer_id, partner_id, 'operator' AS evidence, CAST(NULL AS TEXT) AS splits FROM referral_lost \
         WHERE account_id = $1) a ON a.customer_id = c.id AND NOT EXISTS (SELECT 1 FROM attribution l \
         WHERE l.person_id = c.person_id AND l.customer_id = c.id AND l.partner_id = a.partner_id) WHERE CAST($16 AS BOOLEAN) AND ",
        looked_at!(),
        "), known AS (SELECT dated.*, CASE WHEN $16 THEN 'moved' WHEN replace(COALESCE(attributes, ''), '\"referral_state\":\"denied\"', '') <> COALESCE(attributes, '') THEN 'denied' \
         WHEN replace(COALESCE(attributes, ''), '\"referral_state\":\"pending\"', '') <> COALESCE(attributes, '') THEN 'pending' \
         WHEN cancelled_at IS NOT NULL AND cancelled_at >= COALESCE(last_sale_at, 0) THEN 'cancelled' \
         WHEN customer_since IS NOT NULL AND is_given_back THEN 'refunded' \
         WHEN customer_since IS NOT NULL THEN 'active' ELSE 'signup' END AS state FROM dated), \
         fits AS (SELECT * FROM known WHERE (CAST($4 AS BIGINT) IS NULL OR partner_id = $4) \
         AND (CAST($5 AS TEXT) IS NULL OR LOWER(COALESCE(email, '') || ' ' || COALESCE(name, '') || ' ' || COALESCE(external_id, '')) LIKE '%' || $5 || '%') \
         AND (CAST($6 AS BOOLEAN) IS NULL OR (customer_since IS NOT NULL) = $6) AND (CAST($7 AS TEXT) IS NULL OR state = $7) \
         AND (CAST($8 AS BIGINT) IS NULL OR created_at >= $8) AND (CAST($9 AS BIGINT) IS NULL OR created_at < $9) \
         AND (CAST($10 AS BIGINT) IS NULL OR customer_since >= $10) AND (CAST($11 AS BIGINT) IS NULL OR customer_since < $11) \
         AND (CAST($12 AS BIGINT) IS NULL OR cancelled_at >= $12) AND (CAST($13 AS BIGINT) IS NULL OR cancelled_at < $13)) \
         SELECT (SELECT COUNT(*) FROM fits), id, program_id, person_id, external_id, email, name, attributes, registered_at, created_at, \
         partner_id, evidence, customer_since, cancelled_at, state, splits FROM fits \
         ORDER BY CASE WHEN CAST($18 AS BOOLEAN) THEN NULL WHEN $17 = 'state' THEN state WHEN $17 = 'email' THEN COALESCE(email, '') END, \
         CASE WHEN NOT $18 THEN NULL WHEN $17 = 'state' THEN state WHEN $17 = 'email' THEN COALESCE(email, '') END DESC, \
         id DESC LIMIT $14 OFFSET $15"
    ));
    let (order, is_descending) = match filter.order {
        Some((ReferralOrder::State, is_descending)) => ("state", is_descending),
        Some((ReferralOrder::Email, is_descending)) => ("email", is_descending),
        None => ("", false),
    };
    let is_moved = filter.state.as_deref() == Some("moved");
    tx.all(
        statement,
        &[
            &filter.account_id,
            &filter.program_ids,
            &filter.ids,
            &filter.partner_id,
            &filter.part,
            &filter.is_customer,
            &filter.state,
            &filter.created_from,
            &filter.created_to,
            &filter.since_from,
            &filter.since_to,
            &filter.cancelled_from,
            &filter.cancelled_to,
            &limit,
            &offset,
            &is_moved,
            &order,
            &is_descending,
        ],
    )
    .await
}

/// Every revision of the sales, refunds and events of these customers in their own programs, oldest first.
pub async fn sales_of(tx: &Tx<'_>, customers: &[Number]) -> Result<Vec<SaleRow>> {
    let statement = batch_sql!(
        Number,
        0,
        concat!(
            "SELECT f.id, f.program_id, f.customer_id, f.type, f.fact_key, f.at, f.body, f.data, ",
            is_waiting_refund!(),
            " FROM {batch} JOIN customer c ON c.id = batch.id JOIN fact f ON f.person_id = c.person_id AND f.customer_id = c.id \
             WHERE f.type IN ('sale', 'refund', 'event') AND f.source <> 'moved' ORDER BY f.id"
        )
    );
    tx.batch_all(statement, &[], customers).await
}

record! {
    /// A customer and whose it is now, or was when it left.
    pub struct BoughtRow { customer_id: i64, program_id: i64, partner_id: i64, has_left: bool }
}

/// Every customer of an account that is anybody's, perhaps of one partner.
pub async fn referrals_bound(tx: &Tx<'_>, account_id: i64, partner_id: Option<i64>) -> Result<Vec<BoughtRow>> {
    let statement = sql!(
        "WITH bound AS (SELECT c.id, c.program_id, c.moved_at IS NOT NULL AS has_left, (SELECT a.partner_id FROM attribution a WHERE a.person_id = c.person_id \
         AND a.customer_id = c.id ORDER BY a.from_at DESC LIMIT 1) AS partner_id FROM customer c JOIN person p ON p.id = c.person_id \
         WHERE c.account_id = $1 AND NOT c.is_placeholder AND p.email_key NOT LIKE ' erased:%') \
         SELECT id, program_id, partner_id, has_left FROM bound WHERE partner_id IS NOT NULL AND (CAST($2 AS BIGINT) IS NULL OR partner_id = $2)"
    );
    tx.all(statement, &[&account_id, &partner_id]).await
}

/// The customers that a partner brought a program, and has now. Costs what these are, however many the account has.
pub async fn referrals_of_member(tx: &Tx<'_>, program_id: i64, partner_id: i64) -> Result<Vec<BoughtRow>> {
    // `bound` has every person that was ever bound to a partner; a `CROSS JOIN` keeps SQLite from starting elsewhere.
    let statement = sql!(
        "SELECT c.id, c.program_id, b.partner_id, c.moved_at IS NOT NULL FROM bound b CROSS JOIN customer c JOIN person p ON p.id = c.person_id \
         WHERE b.program_id = $1 AND b.partner_id = $2 AND c.person_id = b.person_id AND c.program_id = $1 AND NOT c.is_placeholder \
         AND p.email_key NOT LIKE ' erased:%' AND (SELECT a.partner_id FROM attribution a WHERE a.person_id = c.person_id \
         AND a.customer_id = c.id ORDER BY a.from_at DESC LIMIT 1) = $2"
    );
    tx.all(statement, &[&program_id, &partner_id]).await
}

record! {
    /// A suspicion that some customer of a partner is under.
    pub struct SuspicionRow { partner_id: i64, program_id: i64, fraud_check: String }
}

/// What customers of partners are suspected of, each suspicion once for each partner and program.
pub async fn referral_suspicions(tx: &Tx<'_>, account_id: i64) -> Result<Vec<SuspicionRow>> {
    let statement = sql!(
        "WITH suspected AS (SELECT a.partner_id, c.program_id, CASE WHEN c.attributes LIKE '%\"fraud_check\":\"same_ip_suspicion\"%' THEN 'same_ip_suspicion' \
         WHEN c.attributes LIKE '%\"fraud_check\":\"same_promoter_email\"%' THEN 'same_promoter_email' \
         WHEN c.attributes LIKE '%\"fraud_check\":\"ad_source\"%' THEN 'ad_source' END AS fraud_check \
         FROM customer c JOIN attribution a ON a.person_id = c.person_id AND a.customer_id = c.id AND a.from_at = \
         (SELECT MAX(l.from_at) FROM attribution l WHERE l.person_id = c.person_id AND l.customer_id = c.id) \
         WHERE c.account_id = $1 AND NOT c.is_placeholder AND c.moved_at IS NULL AND c.attributes LIKE '%\"fraud_check\":\"%') \
         SELECT DISTINCT partner_id, program_id, fraud_check FROM suspected WHERE fraud_check IS NOT NULL \
         ORDER BY partner_id, program_id, fraud_check"
    );
    tx.all(statement, &[&account_id]).await
}
