//! Exchange rates: writing. Reading is in `directory`.

use crate::backend::{Result, Tx};
use crate::{counter, sql};

/// Sets the rate of a day; `day` is `YYYY-MM-DD`, `rate` a decimal.
pub async fn exchange_rate_put(
    tx: &Tx<'_>,
    account_id: i64,
    day: &str,
    from: &str,
    to: &str,
    rate: &str,
) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "INSERT INTO exchange_rate (account_id, day, from_currency, to_currency, rate, version) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (account_id, from_currency, to_currency, day) DO UPDATE SET rate = excluded.rate, version = excluded.version"
    );
    tx.execute(statement, &[&account_id, &day, &from, &to, &rate, &version]).await?;
    Ok(())
}
