//! Exchange rates: setting and listing them. What prices a fact is the directory's; the look-up rule is the domain's.

use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::AccountId;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
pub use headwater_store::directory::ExchangeRateRow;
pub use headwater_store::exchange::RateFilter;
use headwater_store::exchange::{exchange_rate_list, exchange_rate_put};
use headwater_store::repricing::{NewRepricing, repricing_add};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY_SECONDS: i64 = 86_400;
/// Another node may price by the old rates until it has refreshed its configuration, which it does every second: what it
/// did until then is priced once more.
const OTHER_NODES_SECONDS: i64 = 5;
/// Steps of pricing anew that the caller waits for; the others follow in the background.
const STEPS_AT_ONCE: usize = 4;

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
        let now = self.clock.now();
        self.store
            .money
            .write(async move |tx| {
                for r in &rates {
                    exchange_rate_put(tx, account.0, &r.date, r.from.code(), r.to.code(), &r.rate.to_string()).await?;
                }
                let mut asked = Vec::new();
                for ((one, two), since) in touched(&rates) {
                    for due_at in [now, now.plus_seconds(OTHER_NODES_SECONDS)] {
                        asked.push(NewRepricing {
                            id: app.next_id(now),
                            account_id: account.0,
                            due_at: due_at.0,
                            since_at: since.0,
                            currency_one: one.code().to_owned(),
                            currency_two: two.code().to_owned(),
                        });
                    }
                }
                repricing_add(tx, &asked).await
            })
            .await?;
        self.refresh_committed().await;
        for _ in 0..STEPS_AT_ONCE {
            // It was committed: what cannot be priced now is priced by the background task.
            if !matches!(self.reprice_step().await, Ok(true)) {
                break;
            }
        }
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
