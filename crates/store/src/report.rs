//! What reports count, range by range: sales, referrals and commissions in one statement, clicks in another.
//!
//! Clicks have a database of their own on SQLite, so the two never meet in SQL. Rows are grouped by whom they belong to now;
//! amounts of sales stay text until they are added up exactly. Ranges are read by indexes on time, or by time-ordered
//! numbers. Leaves names and sums over programs to `app::report`.

use crate::backend::{Result, Tx};
use crate::held::is_waiting_refund;
use crate::settlement::Number;
use crate::{batch, batch_sql, record};

batch! {
    /// A range of time, the end not in it; the numbers that were made in it lie within `from_id` and `to_id`.
    pub struct ReportRange { number: i64 = "int8", from_at: i64 = "int8", to_at: i64 = "int8", from_id: i64 = "int8", to_id: i64 = "int8" }
}
record! {
    /// A figure of one range. `kind`: `sale` and `refund`, with the body in `what`; `earned`, with the unit in `what`, `amount`
    /// and of it `paid`; `active`, `cancelled`, `customer`, `linkless` and `referral`, of customers.
    pub struct ReportRow {
        number: i64, program_id: i64, partner_id: i64, origin: i64, kind: String, what: String, amount: i64, paid: i64, count: i64,
    }
}
record! {
    /// Clicks of one range; `utm` is JSON. What is not asked for is `None`.
    pub struct ReportClicks {
        number: i64, program_id: i64, partner_id: i64, link_id: Option<i64>, landing_page: Option<String>, utm: Option<String>,
        referer: Option<String>, count: i64,
    }
}
record! {
    /// Where a click came from, and where it went.
    pub struct ClickOrigin { id: i64, landing_page: Option<String>, utm: String, referer: Option<String> }
}

/// By which origin figures are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOrigin {
    /// By none.
    Any,
    /// By link.
    Link,
    /// By where visitors came from.
    Source,
    /// By where they went.
    Url,
}

impl ReportOrigin {
    fn of_customers(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Link => "link",
            Self::Source | Self::Url => "click",
        }
    }
    fn of_clicks(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Link => "link",
            Self::Source => "source",
            Self::Url => "url",
        }
    }
}

/// The binding that holds now, of the customer of `$row`.
macro_rules! bound {
    ($join:literal, $row:literal, $customer:literal) => {
        concat!(
            $join,
            " attribution a ON a.person_id = ",
            $row,
            ".person_id AND a.customer_id = ",
            $customer,
            " AND a.from_at = (SELECT MAX(l.from_at) FROM attribution l WHERE l.person_id = ",
            $row,
            ".person_id AND l.customer_id = ",
            $customer,
            ") "
        )
    };
}
macro_rules! origin {
    () => {
        "CASE CAST($3 AS TEXT) WHEN 'click' THEN COALESCE(a.click_id, 0) WHEN 'link' THEN COALESCE(a.link_id, 0) ELSE 0 END AS origin"
    };
}
/// Customers of `sold`, counted under a name.
macro_rules! customers {
    ($kind:literal, $count:literal, $of:literal) => {
        concat!(
            " UNION ALL SELECT number, program_id, partner_id, origin, '",
            $kind,
            "', '', 0, 0, ",
            $count,
            " FROM sold WHERE ",
            $of,
            " GROUP BY number, program_id, partner_id, origin"
        )
    };
}

/// Everything of these ranges but clicks, perhaps of one partner; at most `limit` rows.
pub async fn report_rows(
    tx: &Tx<'_>,
    account_id: i64,
    partner_id: Option<i64>,
    origin: ReportOrigin,
    ranges: &[ReportRange],
    limit: i64,
) -> Result<Vec<ReportRow>> {
    let statement = batch_sql!(
        ReportRange,
        4,
        concat!(
            "WITH ranges AS (SELECT number, from_at, to_at, from_id, to_id FROM {batch}), \
             sold AS (SELECT r.number, f.program_id, a.partner_id, ",
            origin!(),
            ", f.type, f.body, f.customer_id, a.link_id IS NULL AND a.click_id IS NULL AS is_linkless, \
             f.type = 'sale' AND NOT EXISTS (SELECT 1 FROM fact e WHERE e.person_id = f.person_id AND e.customer_id = f.customer_id \
               AND e.type = 'sale' AND (e.at < f.at OR (e.at = f.at AND e.id < f.id))) AS is_first \
             FROM ranges r JOIN fact f ON f.account_id = $1 AND f.source <> 'events' AND f.source <> 'moved' AND f.type IN ('sale', 'refund', 'event') \
             AND f.at >= r.from_at AND f.at < r.to_at ",
            bound!("JOIN", "f", "f.customer_id"),
            "WHERE (CAST($2 AS BIGINT) IS NULL OR a.partner_id = $2) AND (f.type <> 'event' OR f.body LIKE '%\"CANCELLATION\"%') \
             AND NOT EXISTS (SELECT 1 FROM fact n WHERE n.person_id = f.person_id AND n.customer_id = f.customer_id \
               AND n.type = f.type AND n.fact_key = f.fact_key AND n.id > f.id) AND NOT ",
            is_waiting_refund!(),
            "), \
             figures AS (SELECT number, program_id, partner_id, origin, type AS kind, body AS what, CAST(0 AS BIGINT) AS amount, \
             CAST(0 AS BIGINT) AS paid, COUNT(*) AS count FROM sold WHERE type <> 'event' \
             GROUP BY number, program_id, partner_id, origin, type, body",
            customers!("active", "COUNT(DISTINCT customer_id)", "type = 'sale'"),
            customers!("cancelled", "COUNT(DISTINCT customer_id)", "type = 'event'"),
            customers!("customer", "COUNT(*)", "is_first"),
            customers!("linkless", "COUNT(*)", "is_first AND is_linkless"),
            " UNION ALL SELECT b.number, b.program_id, b.partner_id, b.origin, 'referral', '', 0, 0, COUNT(*) FROM \
             (SELECT r.number, c.program_id, a.partner_id, ",
            origin!(),
            " FROM ranges r JOIN customer c ON c.account_id = $1 AND c.created_at >= r.from_at AND c.created_at < r.to_at ",
            bound!("JOIN", "c", "c.id"),
            "WHERE NOT c.is_placeholder AND (CAST($2 AS BIGINT) IS NULL OR a.partner_id = $2)) AS b \
             GROUP BY b.number, b.program_id, b.partner_id, b.origin \
             UNION ALL SELECT b.number, b.program_id, b.partner_id, b.origin, 'earned', b.unit, CAST(SUM(b.amount) AS BIGINT), \
             CAST(SUM(b.paid) AS BIGINT), COUNT(*) FROM (SELECT r.number, m.program_id, m.partner_id, ",
            origin!(),
            ", m.unit, m.amount, CASE WHEN m.status IN ('paid', 'fulfilled') THEN m.amount ELSE 0 END AS paid \
             FROM ranges r JOIN commission m ON m.id >= r.from_id AND m.id < r.to_id LEFT JOIN fact f ON f.id = m.fact_id ",
            bound!("LEFT JOIN", "f", "f.customer_id"),
            "WHERE m.account_id = $1 AND m.partner_id IS NOT NULL AND m.hidden_at IS NULL AND m.status <> 'denied' \
             AND m.created_at >= r.from_at AND m.created_at < r.to_at AND (CAST($2 AS BIGINT) IS NULL OR m.partner_id = $2)) AS b \
             GROUP BY b.number, b.program_id, b.partner_id, b.origin, b.unit) \
             SELECT number, program_id, partner_id, origin, kind, what, amount, paid, count FROM figures \
             ORDER BY number, program_id, partner_id, origin, kind, what LIMIT $4"
        )
    );
    tx.batch_all(statement, &[&account_id, &partner_id, &origin.of_customers(), &limit], ranges).await
}

/// The clicks of these ranges that counted and are a partner's, perhaps of one partner; at most `limit` rows.
pub async fn report_clicks(
    tx: &Tx<'_>,
    account_id: i64,
    partner_id: Option<i64>,
    origin: ReportOrigin,
    ranges: &[ReportRange],
    limit: i64,
) -> Result<Vec<ReportClicks>> {
    let statement = batch_sql!(
        ReportRange,
        4,
        "SELECT number, program_id, partner_id, link_id, landing_page, utm, referer, COUNT(*) FROM \
         (SELECT batch.number, k.program_id, k.partner_id, CASE WHEN CAST($3 AS TEXT) = 'link' THEN k.link_id END AS link_id, \
         CASE WHEN $3 = 'url' THEN k.landing_page END AS landing_page, CASE WHEN $3 = 'source' THEN k.utm END AS utm, \
         CASE WHEN $3 = 'source' THEN k.referer END AS referer \
         FROM {batch} JOIN click k ON k.id >= batch.from_id AND k.id < batch.to_id \
         WHERE k.account_id = $1 AND k.counts AND k.partner_id IS NOT NULL AND k.clicked_at >= batch.from_at AND k.clicked_at < batch.to_at \
         AND (CAST($2 AS BIGINT) IS NULL OR k.partner_id = $2)) AS counted \
         GROUP BY number, program_id, partner_id, link_id, landing_page, utm, referer \
         ORDER BY number, program_id, partner_id, link_id, landing_page, utm, referer LIMIT $4"
    );
    tx.batch_all(statement, &[&account_id, &partner_id, &origin.of_clicks(), &limit], ranges).await
}

/// Where these clicks came from and went.
pub async fn click_origins(tx: &Tx<'_>, account_id: i64, clicks: &[Number]) -> Result<Vec<ClickOrigin>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT k.id, k.landing_page, k.utm, k.referer FROM {batch} JOIN click k ON k.id = batch.id WHERE k.account_id = $1"
    );
    tx.batch_all(statement, &[&account_id], clicks).await
}
