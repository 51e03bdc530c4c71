//! Requests per minute for each key, exactly: GCRA, the generic cell rate algorithm.
//!
//! A bucket holds a whole minute's allowance, which may come at once, and fills at an even pace (`management.md`). All
//! arithmetic is in whole numbers: time is counted in microseconds times the allowance, so that no pace is rounded.
//!
//! Memory is bounded: of more keys than the cache holds, those not seen for long are forgotten, and a forgotten key has
//! its whole allowance again. Each node has buckets of its own, so that a request asks nobody: N nodes
//! that share a store allow up to N times as much, and never less than the limit. `docs/operating/running.md` says so.

use headwater_domain::time::Instant;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use quick_cache::sync::Cache;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// A minute in microseconds: what one request costs, in microseconds times the allowance.
const COST: i128 = 60_000_000;
const MICROS_PER_SECOND: i128 = 1_000_000;

/// One limit over many keys.
#[derive(Debug)]
pub struct RateLimit<K: Eq + Hash> {
    per_minute: u32,
    /// When each key's bucket will be full, in microseconds times the allowance.
    full_at: Cache<K, Arc<Mutex<i128>>>,
}

/// What the limit says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests per minute.
    pub limit: u32,
    /// How many more may come at once.
    pub remaining: u32,
    /// Until the whole allowance is back, rounded up.
    pub reset_seconds: u64,
    /// Where this request is refused: until one is allowed again, rounded up and at least 1.
    pub retry_after_seconds: Option<u64>,
}

impl Allowance {
    /// Whether the request may go on.
    pub fn is_granted(&self) -> bool {
        self.retry_after_seconds.is_none()
    }

    /// Adds `RateLimit-Limit`, `-Remaining` and `-Reset`, and `Retry-After` where the request is refused.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(self.limit));
        headers.insert(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(self.remaining));
        headers.insert(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(self.reset_seconds));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

impl<K: Eq + Hash + Clone> RateLimit<K> {
    /// `per_minute` requests for each key, remembering about `keys_max` of them.
    pub fn new(per_minute: u32, keys_max: usize) -> Self {
        Self { per_minute, full_at: Cache::new(keys_max) }
    }

    /// Takes one request of `key` from its bucket, if there is one. A refused request costs nothing.
    ///
    /// A clock that goes back neither refuses nor grants more than standing still would.
    pub fn take(&self, key: &K, now: Instant) -> Allowance {
        let allowance = i128::from(self.per_minute);
        let now = i128::from(now.0) * allowance;
        let bucket = match self.full_at.get(key) {
            Some(bucket) => bucket,
            None => self
                .full_at
                .get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(i128::MIN))))
                .unwrap_or_else(|never| match never {}),
        };
        let mut full_at = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock far behind the bucket must not lock the key out for longer than a minute.
        let before = (*full_at).clamp(now, now + COST * allowance);
        let after = before + COST;
        let over = after - now - COST * allowance;
        if over > 0 {
            *full_at = before;
            return self.say(before - now, Some(over));
        }
        *full_at = after;
        self.say(after - now, None)
    }

    fn say(&self, missing: i128, over: Option<i128>) -> Allowance {
        let allowance = i128::from(self.per_minute);
        // With an allowance of nothing there is no pace: a minute is as good an answer as any.
        let seconds =
            |span: i128| span.checked_div(allowance).map_or(60, |_| ceil_div(span, allowance * MICROS_PER_SECOND));
        Allowance {
            limit: self.per_minute,
            remaining: u32::try_from(allowance - ceil_div_signed(missing, COST)).unwrap_or(0),
            reset_seconds: seconds(missing),
            retry_after_seconds: over.map(|span| seconds(span).max(1)),
        }
    }
}

fn ceil_div_signed(span: i128, by: i128) -> i128 {
    (span + by - 1).div_euclid(by)
}

fn ceil_div(span: i128, by: i128) -> u64 {
    u64::try_from(ceil_div_signed(span, by)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Instant = Instant::from_seconds(1_800_000_000);

    #[test]
    fn a_whole_minute_may_come_at_once_and_no_more() {
        let limit = RateLimit::new(600, 100);
        for used in 1..=600 {
            let allowance = limit.take(&"key", START);
            assert!(allowance.is_granted());
            assert_eq!(allowance.remaining, 600 - used);
        }
        let refused = limit.take(&"key", START);
        assert_eq!(refused, Allowance { limit: 600, remaining: 0, reset_seconds: 60, retry_after_seconds: Some(1) });
        assert!(limit.take(&"other", START).is_granted());
        assert!(!limit.take(&"key", Instant(START.0 + 99_999)).is_granted());
        assert!(limit.take(&"key", Instant(START.0 + 100_000)).is_granted());
        assert!(!limit.take(&"key", Instant(START.0 + 100_000)).is_granted());
    }

    #[test]
    fn headers_say_it_and_only_a_refusal_says_when_to_come_back() {
        let limit = RateLimit::new(1, 100);
        let mut headers = HeaderMap::new();
        limit.take(&1, START).add_to(&mut headers);
        assert_eq!(headers["ratelimit-limit"], "1");
        assert_eq!(headers["ratelimit-remaining"], "0");
        assert_eq!(headers["ratelimit-reset"], "60");
        assert!(!headers.contains_key("retry-after"));
        limit.take(&1, START.plus_seconds(20)).add_to(&mut headers);
        assert_eq!(headers["retry-after"], "40");
        let none = RateLimit::new(0, 100);
        assert_eq!(none.take(&1, START).retry_after_seconds, Some(60));
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let limit = RateLimit::new(60, 100);
        limit.take(&1, START);
        let yesterday = START.plus_seconds(-86_400);
        let refused = limit.take(&1, yesterday);
        assert!(refused.retry_after_seconds.is_none_or(|seconds| seconds <= 1));
        assert!(limit.take(&1, yesterday.plus_seconds(61)).is_granted());
    }

    #[test]
    fn more_keys_than_the_cache_holds_do_not_grow_it() {
        let limit = RateLimit::new(10, 1000);
        for key in 0..100_000 {
            limit.take(&key, START);
        }
        assert!(limit.full_at.len() <= 1000);
    }

    proptest! {
        /// The model is a leaky bucket: what was used drains evenly, a request is granted where it still fits.
        #[test]
        fn grants_are_those_of_the_exact_model(
            per_minute in 1_u32..1500,
            gaps in prop::collection::vec(prop_oneof![Just(0_i64), 0..200_000_i64, 0..90_000_000_i64], 1..2500),
        ) {
            let limit = RateLimit::new(per_minute, 10);
            let size = i128::from(per_minute) * COST;
            let (mut now, mut used) = (START, 0_i128);
            let mut grants = Vec::new();
            for gap in gaps {
                now = Instant(now.0 + gap);
                used = (used - i128::from(gap) * i128::from(per_minute)).max(0);
                let expected = used + COST <= size;
                if expected { used += COST; grants.push(now.0); }
                let allowance = limit.take(&0, now);
                prop_assert_eq!(allowance.is_granted(), expected);
                prop_assert_eq!(i128::from(allowance.remaining), (size - used) / COST);
                if let Some(seconds) = allowance.retry_after_seconds {
                    let drained = i128::from(seconds) * MICROS_PER_SECOND * i128::from(per_minute);
                    prop_assert!((used - drained).max(0) + COST <= size, "coming back after {seconds} s is in time");
                }
            }
            // Never above burst + rate in any window.
            for (index, from) in grants.iter().enumerate().step_by(7) {
                for (count, to) in grants[index..].iter().enumerate() {
                    let earned = i128::from(to - from) * i128::from(per_minute) / COST;
                    prop_assert!(i128::try_from(count).expect("small") < i128::from(per_minute) + earned + 1);
                }
            }
        }
    }
}
