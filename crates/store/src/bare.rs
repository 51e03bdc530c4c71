//! The bare store: daily rows in one table with one key, upserted and nothing else, beside which pushes are measured.
//!
//! Only measurements make this table, in a store of their own, so it is in no migration and its statements are not among
//! those that are prepared on every store; `tests/bare.rs` runs them on both. It also counts what a push left, for the check
//! that everything acknowledged is there.

use crate::backend::{BatchStatement, Database, Result, Statement};
use crate::{batch, sql};

static CREATE: Statement = Statement::new(
    "CREATE TABLE bare_day (day TEXT NOT NULL, customer TEXT NOT NULL, instrument TEXT NOT NULL, currency TEXT NOT NULL, \
     lots BIGINT NOT NULL, volume_usd BIGINT, spread_cost BIGINT, commission BIGINT, pnl BIGINT, \
     PRIMARY KEY (day, customer, instrument, currency))",
);
static UPSERT: BatchStatement = BatchStatement::new::<BareDay>(
    "INSERT INTO bare_day (day, customer, instrument, currency, lots, volume_usd, spread_cost, commission, pnl) \
     SELECT day, customer, instrument, currency, lots, volume_usd, spread_cost, commission, pnl FROM {batch} WHERE true \
     ON CONFLICT (day, customer, instrument, currency) DO UPDATE SET lots = excluded.lots, volume_usd = excluded.volume_usd, \
     spread_cost = excluded.spread_cost, commission = excluded.commission, pnl = excluded.pnl",
    0,
);

batch! {
    /// A daily row; numbers in millionths.
    pub struct BareDay {
        day: String = "text", customer: String = "text", instrument: String = "text", currency: String = "text", lots: i64 = "int8",
        volume_usd: Option<i64> = "int8", spread_cost: Option<i64> = "int8", commission: Option<i64> = "int8", pnl: Option<i64> = "int8",
    }
}

/// Makes the table.
pub async fn bare_create(database: &Database) -> Result<()> {
    database.write(async |tx| tx.execute(&CREATE, &[]).await).await?;
    Ok(())
}

/// Upserts all in one transaction; durable when it answers.
pub async fn bare_upsert(database: &Database, rows: Vec<BareDay>) -> Result<()> {
    database.write(async move |tx| tx.batch(&UPSERT, &[], &rows).await).await?;
    Ok(())
}

/// How many daily rows stand in the whole store, whatever their revisions.
pub async fn trading_days_count(database: &Database) -> Result<i64> {
    let statement = sql!(
        "SELECT COUNT(*) FROM (SELECT DISTINCT program_id, fact_key, source FROM fact WHERE type = 'trading_day') AS standing"
    );
    let (count,): (i64,) = database.read(async |tx| tx.one(statement, &[]).await).await?;
    Ok(count)
}
