//! Events: reading them back, and refusing those that nobody confirmed. Recording and deciding is in `outcome`.
//!
//! A list walks the primary key down from its cursor and stops at its limit; filters are checked row by row. Times are
//! ranges of `occurred_at`, which a caller may set, so they are filters and not ranges of numbers.

use crate::backend::{Result, Tx};
use crate::settlement::EventRow;
use crate::sql;

/// What a list may be narrowed by; `None`: not narrowed.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained")]
pub struct EventFilter {
    pub account_id: i64,
    pub partner_id: Option<i64>,
    pub link_id: Option<i64>,
    pub person_id: Option<i64>,
    pub kind: Option<String>,
    pub is_conversion: Option<bool>,
    pub is_verified: Option<bool>,
    /// Inclusive.
    pub from_at: Option<i64>,
    /// Exclusive.
    pub to_at: Option<i64>,
    /// Only numbers below this one.
    pub before_id: i64,
    /// Numbers of programs, each between commas: `,1000,1001,`.
    pub programs: Option<String>,
}

/// Events that fit, newest first.
pub async fn event_list(tx: &Tx<'_>, filter: &EventFilter, limit: i64) -> Result<Vec<EventRow>> {
    let statement = sql!(
        "SELECT id, account_id, program_id, type, person_id, click_id, link_id, partner_id, amount, currency, is_conversion, \
         is_duplicate, state, evidence, occurred_at, event_key, metadata, received_at, is_advertised FROM event \
         WHERE account_id = $1 AND id < $2 AND (CAST($3 AS BIGINT) IS NULL OR partner_id = $3) \
         AND (CAST($4 AS BIGINT) IS NULL OR link_id = $4) AND (CAST($5 AS BIGINT) IS NULL OR person_id = $5) \
         AND (CAST($6 AS TEXT) IS NULL OR type = $6) AND (CAST($7 AS BOOLEAN) IS NULL OR is_conversion = $7) \
         AND (CAST($8 AS BOOLEAN) IS NULL OR (state = 'verified') = $8) \
         AND (CAST($9 AS BIGINT) IS NULL OR occurred_at >= $9) AND (CAST($10 AS BIGINT) IS NULL OR occurred_at < $10) \
         AND (CAST($12 AS TEXT) IS NULL OR $12 LIKE '%,' || program_id || ',%') ORDER BY id DESC LIMIT $11"
    );
    tx.all(
        statement,
        &[
            &filter.account_id,
            &filter.before_id,
            &filter.partner_id,
            &filter.link_id,
            &filter.person_id,
            &filter.kind,
            &filter.is_conversion,
            &filter.is_verified,
            &filter.from_at,
            &filter.to_at,
            &limit,
            &filter.programs,
        ],
    )
    .await
}

/// One event of this account.
pub async fn event_read(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<EventRow>> {
    let statement = sql!(
        "SELECT id, account_id, program_id, type, person_id, click_id, link_id, partner_id, amount, currency, is_conversion, \
         is_duplicate, state, evidence, occurred_at, event_key, metadata, received_at, is_advertised FROM event WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// Refuses at most `limit` unverified events that came at `until` or before; gives how many.
pub async fn events_expire(tx: &Tx<'_>, until: i64, limit: i64) -> Result<u64> {
    let statement = sql!(
        "UPDATE event SET state = 'rejected' WHERE state = 'unverified' AND id IN (SELECT id FROM event \
         WHERE state = 'unverified' AND received_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)"
    );
    tx.execute(statement, &[&until, &limit]).await
}
