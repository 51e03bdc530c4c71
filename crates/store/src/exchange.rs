//! Exchange rates: writing and listing. What prices a fact is read in `directory`.

use crate::backend::{Result, Tx};
use crate::directory::ExchangeRateRow;
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

/// Which rates of an account; `None` is all.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct RateFilter {
    pub from_currency: Option<String>,
    pub to_currency: Option<String>,
    pub day: Option<String>,
    /// Only those that a list shows after this one: day, from, to.
    pub after: Option<(String, String, String)>,
}

/// At most `limit` rates, newest day first.
pub async fn exchange_rate_list(
    tx: &Tx<'_>,
    account_id: i64,
    filter: &RateFilter,
    limit: i64,
) -> Result<Vec<ExchangeRateRow>> {
    let statement = sql!(
        "SELECT account_id, day, from_currency, to_currency, rate FROM exchange_rate WHERE account_id = $1 \
         AND (CAST($2 AS TEXT) IS NULL OR from_currency = CAST($2 AS TEXT)) \
         AND (CAST($3 AS TEXT) IS NULL OR to_currency = CAST($3 AS TEXT)) \
         AND (CAST($4 AS TEXT) IS NULL OR day = CAST($4 AS TEXT)) \
         AND (CAST($5 AS TEXT) IS NULL OR (day, from_currency, to_currency) < (CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT))) \
         ORDER BY day DESC, from_currency DESC, to_currency DESC LIMIT CAST($8 AS BIGINT)"
    );
    let after = filter.after.as_ref();
    let (day, from, to) = (after.map(|a| &a.0), after.map(|a| &a.1), after.map(|a| &a.2));
    tx.all(statement, &[&account_id, &filter.from_currency, &filter.to_currency, &filter.day, &day, &from, &to, &limit])
        .await
}
