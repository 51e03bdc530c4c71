//! Exchange rates by pair and date, and the lookup of the one that prices a fact (`commissions.md` §4).
//!
//! Leaves the fact's date to the caller. Never crosses two pairs and never converts at 1.

use crate::money::{Currency, Decimal, Exact};
use jiff::civil::Date;
use jiff::{ToSpan as _, Unit as SpanUnit};
use std::collections::BTreeMap;

/// Every rate known, the newest correction of each date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeRates {
    pairs: BTreeMap<(Currency, Currency), BTreeMap<Date, Decimal>>,
}

/// The rate that was used: an amount in `from` times `rate` is an amount in `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The date of the rate.
    pub date: Date,
    /// From this currency
    pub from: Currency,
    /// to this one.
    pub to: Currency,
    /// Exactly; a quotient where the opposite pair was used.
    pub rate: Exact,
}

impl ExchangeRates {
    /// Takes in a rate, or the correction of one. A rate that is not above 0 says nothing and is left out.
    pub fn insert(&mut self, date: Date, from: Currency, to: Currency, rate: Decimal) {
        if rate > Decimal::ZERO {
            self.pairs.entry((from, to)).or_default().insert(date, rate);
        }
    }

    /// The newest rate dated on or before `date` and at most `age_days_max` older; else the inverse of the opposite pair.
    pub fn quote(&self, from: Currency, to: Currency, date: Date, age_days_max: i64) -> Option<Quote> {
        if from == to {
            return Some(Quote { date, from, to, rate: Exact::whole(1) });
        }
        let direct = self.newest((from, to), date, age_days_max).map(|(day, rate)| (day, Ok(rate.exact())));
        let (day, rate) = direct.or_else(|| {
            let (day, rate) = self.newest((to, from), date, age_days_max)?;
            Some((day, Exact::whole(1).over(&rate.exact())))
        })?;
        Some(Quote { date: day, from, to, rate: rate.ok()? })
    }

    fn newest(&self, pair: (Currency, Currency), date: Date, age_days_max: i64) -> Option<(Date, Decimal)> {
        let oldest = date.checked_sub(age_days_max.min(1_000_000).days()).unwrap_or(Date::MIN);
        let (day, rate) = self.pairs.get(&pair)?.range(oldest..=date).next_back()?;
        debug_assert!(day.until((SpanUnit::Day, date)).is_ok_and(|span| i64::from(span.get_days()) <= age_days_max));
        Some((*day, *rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn seven_days_are_not_too_old_and_the_opposite_pair_serves() {
        let (eur, usd) = (Currency::parse("EUR").expect("known"), Currency::parse("USD").expect("known"));
        let mut rates = ExchangeRates::default();
        rates.insert(date(2025, 1, 1), eur, usd, Decimal(1_250_000));
        assert_eq!(rates.quote(eur, usd, date(2025, 1, 8), 7).map(|q| q.date), Some(date(2025, 1, 1)));
        assert_eq!(rates.quote(eur, usd, date(2025, 1, 9), 7), None);
        assert_eq!(rates.quote(eur, usd, date(2024, 12, 31), 7), None);
        let inverse = rates.quote(usd, eur, date(2025, 1, 2), 7).expect("the opposite pair");
        assert_eq!(inverse.rate.to_string(), "0.8");
    }
}
