//! Customers and facts of one program by the caller's ids, as the forex dialect lists them. Writing is in `ingest`.
//!
//! A list is counted where a walk begins, and walked upwards from a cursor. A fact keeps its place in the list when it is revised: its
//! position is that of its first revision, what is shown its last. Filters on JSON look for the exact text of a pair, which
//! our own writer wrote without spaces; unlike `LIKE` that tells capitals apart on both engines.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A customer by the caller's id.
    pub struct KnownId { external_id: String = "text" }
}
record! {
    /// A customer; `attributes` is JSON, `total` how many fit.
    pub struct ListedCustomer {
        total: i64, id: i64, external_id: String, partner_id: Option<i64>, revision: Option<i64>, name: Option<String>,
        email: Option<String>, country: Option<String>, account_type: Option<String>, campaign: Option<String>,
        attributes: Option<String>, registered_at: i64,
    }
}
record! {
    /// A fact in its last revision; `body` and `data` are JSON.
    pub struct ListedFact {
        id: i64, customer: String, kind: String, fact_key: String, revision: Option<i64>, at: i64, body: String,
        data: Option<String>,
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Whether all that fit are counted; else `total` is 0.
    pub is_counted: bool,
    /// Only what stands after this position.
    pub after_id: i64,
    /// At most this many.
    pub limit: i64,
    /// So many are left out first.
    pub offset: i64,
}

/// What customers are narrowed by; `None`: not narrowed.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained")]
pub struct CustomerFilter {
    pub account_id: i64,
    pub program_id: i64,
    pub partner_id: Option<i64>,
    pub country: Option<String>,
    /// A pair of the attributes, as JSON text: `"a":"b"`.
    pub attribute: Option<String>,
    /// The sender's revision, inclusive.
    pub revised_since: Option<i64>,
}

/// What facts are narrowed by; `None`: not narrowed.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained")]
pub struct FactFilter {
    pub account_id: i64,
    pub program_id: i64,
    pub source: String,
    /// Types that are one entity, each between commas: `,deposit,withdrawal,`. A key is one record of it.
    pub kinds: String,
    /// One of these types.
    pub kind: Option<String>,
    /// The caller's id.
    pub customer: Option<String>,
    /// Inclusive.
    pub from_at: Option<i64>,
    /// Exclusive.
    pub to_at: Option<i64>,
    /// A pair of the body, as JSON text: `"a":"b"`.
    pub pair: Option<String>,
}

/// Which of these customers the program knows.
pub async fn customers_known(tx: &Tx<'_>, program_id: i64, ids: &[KnownId]) -> Result<Vec<(String,)>> {
    let statement = batch_sql!(
        KnownId,
        1,
        "SELECT c.external_id FROM {batch} JOIN customer c ON c.program_id = $1 AND c.external_id = batch.external_id \
         WHERE c.external_id IS NOT NULL AND NOT c.is_placeholder"
    );
    tx.batch_all(statement, &[&program_id], ids).await
}

/// Customers that fit, oldest first.
pub async fn customers_listed(tx: &Tx<'_>, filter: &CustomerFilter, part: Part) -> Result<Vec<ListedCustomer>> {
    let statement = sql!(
        "WITH bound AS (SELECT c.id, c.external_id, c.revision, c.name, c.email, c.country, c.account_type, c.campaign, \
         c.attributes, c.registered_at, (SELECT a.partner_id FROM attribution a WHERE a.person_id = c.person_id \
         AND a.customer_id = c.id ORDER BY a.from_at DESC LIMIT 1) AS partner_id FROM customer c \
         WHERE c.account_id = $1 AND c.program_id = $2 AND c.external_id IS NOT NULL AND NOT c.is_placeholder \
         AND (CAST($3 AS TEXT) IS NULL OR c.country = $3) \
         AND (CAST($4 AS TEXT) IS NULL OR replace(COALESCE(c.attributes, ''), $4, '') <> COALESCE(c.attributes, '')) \
         AND (CAST($5 AS BIGINT) IS NULL OR c.revision >= $5)), \
         fits AS (SELECT * FROM bound WHERE CAST($6 AS BIGINT) IS NULL OR partner_id = $6) \
         SELECT CASE WHEN $10 THEN (SELECT COUNT(*) FROM fits) ELSE 0 END, id, external_id, partner_id, revision, name, email, country, account_type, \
         campaign, attributes, registered_at FROM fits WHERE id > $7 ORDER BY id LIMIT $8 OFFSET $9"
    );
    let (filter, part) = (filter, &part);
    tx.all(
        statement,
        &[
            &filter.account_id,
            &filter.program_id,
            &filter.country,
            &filter.attribute,
            &filter.revised_since,
            &filter.partner_id,
            &part.after_id,
            &part.limit,
            &part.offset,
            &part.is_counted,
        ],
    )
    .await
}

/// How many facts fit: all of the program's are read.
pub async fn facts_counted(tx: &Tx<'_>, filter: &FactFilter) -> Result<i64> {
    let statement = sql!(
        "WITH named AS (SELECT MAX(id) AS last_id FROM fact WHERE account_id = $1 AND program_id = $2 \
         AND source = $3 AND source <> 'events' AND $4 LIKE '%,' || type || ',%' GROUP BY fact_key) \
         SELECT COUNT(*) FROM named n JOIN fact f ON f.id = n.last_id JOIN customer c ON c.id = f.customer_id \
         WHERE (CAST($5 AS TEXT) IS NULL OR c.external_id = $5) AND (CAST($6 AS BIGINT) IS NULL OR f.at >= $6) \
         AND (CAST($7 AS BIGINT) IS NULL OR f.at < $7) \
         AND (CAST($8 AS TEXT) IS NULL OR replace(f.body, $8, '') <> f.body) \
         AND (CAST($9 AS TEXT) IS NULL OR f.type = $9)"
    );
    let (count,): (i64,) = tx
        .one(
            statement,
            &[
                &filter.account_id,
                &filter.program_id,
                &filter.source,
                &filter.kinds,
                &filter.customer,
                &filter.from_at,
                &filter.to_at,
                &filter.pair,
                &filter.kind,
            ],
        )
        .await?;
    Ok(count)
}

/// Facts that fit, oldest first: from the part's position upwards in the order of the table, until there are enough.
pub async fn facts_listed(tx: &Tx<'_>, filter: &FactFilter, part: Part) -> Result<Vec<ListedFact>> {
    let statement = sql!(
        "SELECT n.id, COALESCE(c.external_id, ''), f.type, f.fact_key, f.revision, f.at, f.body, f.data \
         FROM fact n JOIN fact f ON f.id = (SELECT MAX(l.id) FROM fact l WHERE l.program_id = $2 AND l.source = $3 \
         AND l.source <> 'events' AND l.fact_key = n.fact_key AND $4 LIKE '%,' || l.type || ',%') \
         JOIN customer c ON c.id = f.customer_id \
         WHERE n.id > $9 AND n.account_id = $1 AND n.program_id = $2 AND n.source = $3 AND n.source <> 'events' \
         AND $4 LIKE '%,' || n.type || ',%' AND NOT EXISTS (SELECT 1 FROM fact e WHERE e.program_id = n.program_id \
         AND e.source = n.source AND e.source <> 'events' AND e.fact_key = n.fact_key AND e.id < n.id \
         AND $4 LIKE '%,' || e.type || ',%') \
         AND (CAST($5 AS TEXT) IS NULL OR c.external_id = $5) AND (CAST($6 AS BIGINT) IS NULL OR f.at >= $6) \
         AND (CAST($7 AS BIGINT) IS NULL OR f.at < $7) \
         AND (CAST($8 AS TEXT) IS NULL OR replace(f.body, $8, '') <> f.body) \
         AND (CAST($12 AS TEXT) IS NULL OR f.type = $12) ORDER BY n.id LIMIT $10 OFFSET $11"
    );
    tx.all(
        statement,
        &[
            &filter.account_id,
            &filter.program_id,
            &filter.source,
            &filter.kinds,
            &filter.customer,
            &filter.from_at,
            &filter.to_at,
            &filter.pair,
            &part.after_id,
            &part.limit,
            &part.offset,
            &filter.kind,
        ],
    )
    .await
}

record! {
    /// What of a program's data has arrived: how many of each, and on how many days trading was received.
    pub struct Arrived { customers: i64, attributed: i64, transactions: i64, trading: i64, commissions: i64, trading_days: i64 }
}

/// What has arrived in a program from its broker.
pub async fn arrived(tx: &Tx<'_>, account_id: i64, program_id: i64) -> Result<Arrived> {
    let statement = sql!(
        "SELECT \
         (SELECT COUNT(*) FROM customer WHERE account_id = $1 AND program_id = $2 AND external_id IS NOT NULL AND NOT is_placeholder), \
         (SELECT COUNT(DISTINCT c.id) FROM customer c JOIN attribution a ON a.person_id = c.person_id AND a.customer_id = c.id \
         WHERE c.account_id = $1 AND c.program_id = $2 AND c.external_id IS NOT NULL AND NOT c.is_placeholder), \
         (SELECT COUNT(*) FROM fact WHERE account_id = $1 AND program_id = $2 AND source <> 'events' AND source <> 'moved' \
         AND type IN ('deposit', 'withdrawal', 'bonus', 'adjustment', 'chargeback', 'ib_rebate')), \
         (SELECT COUNT(*) FROM fact WHERE account_id = $1 AND program_id = $2 AND source <> 'events' AND source <> 'moved' \
         AND type IN ('trading_day', 'trade')), \
         (SELECT COUNT(*) FROM commission WHERE account_id = $1 AND program_id = $2), \
         (SELECT COUNT(DISTINCT received_at / 86400000000) FROM fact WHERE account_id = $1 AND program_id = $2 \
         AND source <> 'events' AND source <> 'moved' AND type IN ('trading_day', 'trade'))"
    );
    tx.one(statement, &[&account_id, &program_id]).await
}
