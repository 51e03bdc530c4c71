//! Exchange rates: setting and listing them. What prices a fact is the directory's; the look-up rule is the domain's.

use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::AccountId;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
pub use headwater_store::directory::ExchangeRateRow;
pub use headwater_store::exchange::RateFilter;
use headwater_store::exchange::{exchange_rate_list, exchange_rate_put};

/// The rate of a day: one unit of `from` is `rate` units of `to`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the key of its own name in management.md")]
pub struct DayRate {
    pub date: String,
    pub from: Currency,
    pub to: Currency,
    pub rate: Decimal,
}

impl App {
    /// Sets rates, all or none. What they price is priced again (`reprice`).
    pub async fn exchange_rates_put(&self, account: AccountId, rates: Vec<DayRate>) -> Result<()> {
        let Some(first) = rates.iter().map(|rate| rate.date.as_str()).min() else { return Ok(()) };
        let first = Instant::parse(&format!("{first}T00:00:00Z")).unwrap_or(Instant(0));
        let mark = self.mark_from(account, first);
        self.store
            .money
            .write(async move |tx| {
                for r in &rates {
                    exchange_rate_put(tx, account.0, &r.date, r.from.code(), r.to.code(), &r.rate.to_string()).await?;
                }
                mark.set(tx).await
            })
            .await?;
        self.refresh_committed().await;
        Ok(())
    }

    /// At most `limit` rates, newest day first.
    pub async fn exchange_rate_list(
        &self,
        account: AccountId,
        filter: RateFilter,
        limit: i64,
    ) -> Result<Vec<ExchangeRateRow>> {
        Ok(self.store.money.read(async move |tx| exchange_rate_list(tx, account.0, &filter, limit).await).await?)
    }
}
