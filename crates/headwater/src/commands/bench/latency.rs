//! How long answers took: counts in buckets of at most three percent, which can be added and sent to another process.
//!
//! Whole numbers only. A quantile is the upper end of its bucket, so it never flatters.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bits that are kept of a duration: 1/32 is about three percent.
const BITS: u32 = 6;

/// Durations, by the upper end of their bucket in microseconds.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Latencies(BTreeMap<u64, u64>);

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, micros: u64) {
        let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(BITS);
        *self.0.entry((micros >> shift << shift) + (1 << shift) - 1).or_default() += 1;
    }

    /// Counts those of another.
    pub fn add(&mut self, other: &Self) {
        for (micros, count) in &other.0 {
            *self.0.entry(*micros).or_default() += count;
        }
    }

    /// So many of a thousand took at most this long, in microseconds; 0 where nothing was counted.
    pub fn quantile_micros(&self, per_thousand: u64) -> u64 {
        let all: u64 = self.0.values().sum();
        let wanted = (all * per_thousand).div_ceil(1000);
        let mut seen = 0;
        for (micros, count) in &self.0 {
            seen += count;
            if seen >= wanted {
                return *micros;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_never_below_and_at_most_three_percent_above() {
        let mut latencies = Latencies::default();
        for micros in 1..=10_000 {
            latencies.record(micros);
        }
        for (per_thousand, exact) in [(500, 5_000), (990, 9_900), (1000, 10_000)] {
            let found = latencies.quantile_micros(per_thousand);
            assert!(found >= exact && found <= exact + exact / 31, "{per_thousand}: {found}");
        }
        assert_eq!(Latencies::default().quantile_micros(500), 0);
    }
}
