//! Exchange rates: setting and listing them. What prices a fact is the directory's; the look-up rule is the domain's.

use crate::app::App;
use crate::error::Result;
use crate::settle::reprice::{Touched, repricing};
use headwater_domain::ids::AccountId;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
pub use headwater_store::directory::ExchangeRateRow;
pub use headwater_store::exchange::RateFilter;
use headwater_store::exchange::{exchange_rate_list, exchange_rate_put};
use headwater_store::repricing::repricing_add;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY_SECONDS: i64 = 86_400;

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
    /// Sets rates, all or none. What they price is priced anew (`settle::reprice`), some of it before this answers.
    pub async fn exchange_rates_put(self: &Arc<Self>, account: AccountId, rates: Vec<DayRate>) -> Result<()> {
        let app = Arc::clone(self);
        self.store
            .money
            .write(async move |tx| {
                for r in &rates {
                    exchange_rate_put(tx, account.0, &r.date, r.from.code(), r.to.code(), &r.rate.to_string()).await?;
                }
                let asked: Vec<_> = touched(&rates)
                    .into_iter()
                    .flat_map(|((one, two), since)| repricing(&app, account, since, Touched::Currencies(one, two)))
                    .collect();
                repricing_add(tx, &asked).await
            })
            .await?;
        self.refresh_committed().await;
        self.reprice_some().await;
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

/// From when on facts in a pair of currencies may be priced otherwise: a rate prices what is dated on its day or later,
/// and no zone's day starts more than a day before that of UTC.
fn touched(rates: &[DayRate]) -> BTreeMap<(Currency, Currency), Instant> {
    let mut since: BTreeMap<(Currency, Currency), Instant> = BTreeMap::new();
    for rate in rates {
        let start = Instant::parse(&format!("{}T00:00:00Z", rate.date)).unwrap_or(Instant(i64::MIN));
        let start = start.plus_seconds(-DAY_SECONDS);
        let pair = (rate.from.min(rate.to), rate.from.max(rate.to));
        since.entry(pair).and_modify(|known| *known = start.min(*known)).or_insert(start);
    }
    since
}
