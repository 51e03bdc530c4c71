//! Node numbers: what tells the numbers made by one process from those of another at the same moment.
//!
//! On PostgreSQL a number is leased, by the server's clock, so that two live nodes never share one and a dead node's is
//! used again. A data folder has one process (`open`), so on SQLite a count is enough.

use crate::backend::{Error, Result, Statement, Tx};
use crate::counter;

/// How long a lease holds without being renewed.
pub const LEASE_SECONDS: i64 = 60;

const LEASE_MICROS: i64 = LEASE_SECONDS * 1_000_000;

static TAKE: Statement = Statement::new(
    "WITH clock AS (SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS at), \
     free AS (SELECT n.number FROM generate_series(CAST(0 AS BIGINT), CAST($4 AS BIGINT) - 1) AS n(number) \
       WHERE NOT EXISTS (SELECT 1 FROM node_lease l CROSS JOIN clock WHERE l.number = n.number AND l.lease_until > clock.at) \
       ORDER BY (n.number + CAST($3 AS BIGINT)) % CAST($4 AS BIGINT) LIMIT 1) \
     INSERT INTO node_lease (number, holder, lease_until) \
     SELECT free.number, CAST($1 AS TEXT), clock.at + CAST($2 AS BIGINT) FROM free CROSS JOIN clock \
     ON CONFLICT (number) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until RETURNING number",
);
static RENEW: Statement = Statement::new(
    "UPDATE node_lease SET lease_until = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + CAST($3 AS BIGINT) \
     WHERE number = $1 AND holder = $2",
);
static RELEASE: Statement = Statement::new("DELETE FROM node_lease WHERE number = $1 AND holder = $2");

/// Takes a number below `nodes` that no live node holds, the one that was given up longest ago first.
///
/// # Errors
/// [`Error::Refused`] where all are held.
pub async fn node_take(tx: &Tx<'_>, holder: &str, nodes: i64) -> Result<i64> {
    // The lock of this row lets one node choose at a time.
    let count = counter::next(tx, "node").await?;
    if matches!(tx, Tx::Sqlite(_)) {
        return Ok(count.rem_euclid(nodes));
    }
    let shift = (-count).rem_euclid(nodes);
    let taken: Option<(i64,)> = tx.maybe(&TAKE, &[&holder, &LEASE_MICROS, &shift, &nodes]).await?;
    taken.map(|(number,)| number).ok_or_else(|| {
        Error::Refused(format!(
            "{nodes} nodes use this database already; stop one, or wait a minute for a dead one's place"
        ))
    })
}

/// Holds a number longer; false where another node has taken it.
pub async fn node_renew(tx: &Tx<'_>, number: i64, holder: &str) -> Result<bool> {
    if matches!(tx, Tx::Sqlite(_)) {
        return Ok(true);
    }
    Ok(tx.execute(&RENEW, &[&number, &holder, &LEASE_MICROS]).await? == 1)
}

/// Gives a number back.
pub async fn node_release(tx: &Tx<'_>, number: i64, holder: &str) -> Result<()> {
    if matches!(tx, Tx::Sqlite(_)) {
        return Ok(());
    }
    tx.execute(&RELEASE, &[&number, &holder]).await?;
    Ok(())
}
