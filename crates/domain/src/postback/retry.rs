//! When a failed delivery is tried again, and when its endpoint has had enough (`postbacks.md` §6).
//!
//! Schedules are data; the clock and the random number are arguments. Leaves to others: counting attempts and keeping
//! the dead letters (the store). Invariant: a delivery ends after `attempts_max` attempts, whatever a receiver says.

use crate::time::Instant;

/// How far a wait is stretched or shortened, in millionths: ±10 %.
const JITTER_MILLIONTHS: u64 = 100_000;
/// A receiver's `Retry-After` counts up to a day.
const RETRY_AFTER_SECONDS_MAX: i64 = 24 * 3600;
/// An endpoint that fails this long without a success is disabled.
const DISABLE_AFTER_SECONDS: i64 = 5 * 24 * 3600;
/// The pause of an overloaded endpoint: doubled with each such answer in a row, within these bounds (choice of ours).
const PAUSE_SECONDS_MIN: i64 = 15;
const PAUSE_SECONDS_MAX: i64 = 15 * 60;

/// A row of waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    waits: Waits,
    /// How many attempts there are in all; at least one.
    pub attempts_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Seconds after failed attempt 1, 2, …; the last one holds for all further ones.
    Listed(&'static [i64]),
    /// Failed attempt n waits n times this many seconds.
    Linear(i64),
}

/// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
const LONG_WAITS: [i64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// 2, 4, 8, 16, 32 min, 1, 2, 4, 8.5 h.
const EXP2_WAITS: [i64; 9] = [120, 240, 480, 960, 1920, 3600, 7200, 14_400, 30_600];
/// 5 s, 5 min, 30 min, 2 h, 4 h, 7 h, 10 h: through the day (choice of ours).
const FULFILMENT_WAITS: [i64; 7] = [5, 300, 1800, 7200, 14_400, 25_200, 36_000];
/// 30 s, 5 min, 30 min, 2 h, 12 h.
const PARTNER_WAITS: [i64; 5] = [30, 300, 1800, 7200, 43_200];

impl Schedule {
    /// The referral schedule, and `long` of rewards: 10 attempts in 75 h 35 min 5 s.
    pub const LONG: Self = Self { waits: Waits::Listed(&LONG_WAITS), attempts_max: 10 };
    /// The partners' tracker postbacks: 6 attempts.
    pub const PARTNER: Self = Self { waits: Waits::Listed(&PARTNER_WAITS), attempts_max: 6 };

    /// The question whether a reward was delivered: 8 attempts within a day, whatever its webhook says (`postbacks.md` §3).
    pub const FULFILMENT: Self = Self { waits: Waits::Listed(&FULFILMENT_WAITS), attempts_max: 8 };

    /// 20, 40, 60 … minutes. `max_retries` counts failed attempts; 0 is one attempt and no retry.
    pub fn linear20(max_retries: u32) -> Self {
        Self { waits: Waits::Linear(1200), attempts_max: max_retries.max(1) }
    }

    /// The same waits as [`Self::LONG`], ended after this many failed attempts.
    pub fn long(max_retries: u32) -> Self {
        Self { attempts_max: max_retries.max(1), ..Self::LONG }
    }

    /// Doubling from two minutes; with `max_retries` 10, nine waits in some 17 hours.
    pub fn exp2(max_retries: u32) -> Self {
        Self { waits: Waits::Listed(&EXP2_WAITS), attempts_max: max_retries.max(1) }
    }

    /// The wait after failed attempt `attempts_made` (from 1), without jitter.
    fn wait_seconds(self, attempts_made: u32) -> i64 {
        match self.waits {
            Waits::Linear(step_seconds) => step_seconds.saturating_mul(i64::from(attempts_made)),
            Waits::Listed(waits) => {
                let index = usize::try_from(attempts_made.saturating_sub(1)).unwrap_or(usize::MAX);
                waits[index.min(waits.len() - 1)]
            }
        }
    }
}

/// Which row of waits a webhook has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// 20, 40, 60 … minutes.
    Linear20,
    /// Doubling from two minutes.
    Exp2,
    /// That of the referral dialect: three days.
    #[default]
    Long,
}

impl Profile {
    /// `linear20`, `exp2` or `long`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Linear20, Self::Exp2, Self::Long].into_iter().find(|profile| profile.name() == name)
    }

    /// What [`Self::parse`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear20 => "linear20",
            Self::Exp2 => "exp2",
            Self::Long => "long",
        }
    }

    /// How many failed attempts end a delivery, where its owner does not say.
    pub const fn max_retries(self) -> i64 {
        match self {
            Self::Linear20 => 3,
            Self::Exp2 | Self::Long => 10,
        }
    }

    /// Its waits, ended after this many failed attempts; 0 is one attempt and no retry.
    pub fn schedule(self, max_retries: u32) -> Schedule {
        match self {
            Self::Linear20 => Schedule::linear20(max_retries),
            Self::Exp2 => Schedule::exp2(max_retries),
            Self::Long => Schedule::long(max_retries),
        }
    }
}

/// Between two probes of a webhook that fails.
pub const PROBE_SECONDS: i64 = 3600;
/// How long after it was made a dead letter is probed with: as long as the long row of attempts takes.
pub const PROBE_UNTIL_SECONDS: i64 = 75 * 3600;

/// What becomes of a delivery whose attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is due again then.
    RetryAt(Instant),
    /// Its attempts are used up: it stays visible, and a person may queue it again.
    DeadLetter,
}

/// What follows failed attempt number `attempts_made` (from 1) at `now`. `random` is any number, for the jitter.
pub fn after_failure(
    schedule: Schedule,
    attempts_made: u32,
    now: Instant,
    retry_after_seconds: Option<i64>,
    random: u64,
) -> Next {
    if attempts_made >= schedule.attempts_max {
        return Next::DeadLetter;
    }
    let micros = schedule.wait_seconds(attempts_made).saturating_mul(1_000_000);
    let jittered = jittered_micros(micros, random);
    let at_least = clamped_retry_after(retry_after_seconds).saturating_mul(1_000_000);
    Next::RetryAt(Instant(now.0.saturating_add(jittered.max(at_least))))
}

fn jittered_micros(micros: i64, random: u64) -> i64 {
    let millionths = 1_000_000 - JITTER_MILLIONTHS + random % (2 * JITTER_MILLIONTHS + 1);
    let product = i128::from(micros) * i128::from(millionths) / 1_000_000;
    i64::try_from(product).unwrap_or(i64::MAX)
}

fn clamped_retry_after(seconds: Option<i64>) -> i64 {
    seconds.unwrap_or(0).clamp(0, RETRY_AFTER_SECONDS_MAX)
}

/// Who receives, because receivers differ in what makes us give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// A referral endpoint or a rewards subscription.
    Subscriber,
    /// A partner's tracker: a 4xx will not get better.
    Tracker,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Any 2xx.
    Delivered,
    /// Try again later.
    Retry,
    /// Try again later, and leave the whole endpoint alone for a while: 429, 502, 504.
    RetrySlowly,
    /// This delivery is a dead letter now.
    GiveUp,
    /// 410: this delivery is a dead letter and its endpoint disabled.
    Disable,
}

/// Judges an answer; `None` is no answer at all (refused, reset, timed out). A redirect is a failure like any other.
pub fn classify(receiver: Receiver, status: Option<u16>) -> Outcome {
    match (status, receiver) {
        (Some(200..=299), _) => Outcome::Delivered,
        (Some(410), Receiver::Subscriber) => Outcome::Disable,
        (Some(429 | 502 | 504), _) => Outcome::RetrySlowly,
        (Some(408 | 425), _) => Outcome::Retry,
        (Some(400..=499), Receiver::Tracker) => Outcome::GiveUp,
        _ => Outcome::Retry,
    }
}

/// Until when an endpoint that answered 429, 502 or 504 is left alone. `in_a_row` counts such answers, from 1.
pub fn paused_until(now: Instant, in_a_row: u32, retry_after_seconds: Option<i64>) -> Instant {
    let doublings = in_a_row.saturating_sub(1).min(16);
    let own = (PAUSE_SECONDS_MIN << doublings).min(PAUSE_SECONDS_MAX);
    now.plus_seconds(own.max(clamped_retry_after(retry_after_seconds)))
}

/// Whether an endpoint without a success since `failing_since` is disabled at `now`: five days of nothing but failures.
pub fn is_hopeless(failing_since: Instant, now: Instant) -> bool {
    now >= failing_since.plus_seconds(DISABLE_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The random number that stretches nothing.
    const MIDDLE: u64 = JITTER_MILLIONTHS;
    const START: Instant = Instant::from_seconds(1_800_000_000);

    /// All attempt times of a delivery that always fails at once, in seconds after the first.
    fn attempts(schedule: Schedule, random: u64) -> Vec<i64> {
        let (mut now, mut made, mut times) = (START, 1, vec![0]);
        while let Next::RetryAt(at) = after_failure(schedule, made, now, None, random) {
            times.push(at.seconds() - START.seconds());
            (now, made) = (at, made + 1);
        }
        times
    }

    #[test]
    fn the_referral_schedule_is_ten_attempts_in_75_hours_35_minutes_5_seconds() {
        let times = attempts(Schedule::LONG, MIDDLE);
        assert_eq!(times, [0, 5, 305, 2105, 9305, 27_305, 63_305, 113_705, 185_705, 272_105]);
        assert_eq!(*times.last().expect("ten"), 75 * 3600 + 35 * 60 + 5);
    }

    #[test]
    fn the_other_schedules_are_as_published() {
        assert_eq!(attempts(Schedule::linear20(3), MIDDLE), [0, 1200, 3600]);
        assert_eq!(attempts(Schedule::linear20(0), MIDDLE), [0]);
        assert_eq!(attempts(Schedule::exp2(10), MIDDLE).len(), 10);
        assert_eq!(attempts(Schedule::exp2(10), MIDDLE)[5], 62 * 60);
        assert_eq!(attempts(Schedule::PARTNER, MIDDLE), [0, 30, 330, 2130, 9330, 52_530]);
        let asked = attempts(Schedule::FULFILMENT, MIDDLE);
        assert_eq!((asked.len(), asked[7]), (8, 23 * 3600 + 35 * 60 + 5), "seven more times through the day");
    }

    #[test]
    fn retry_after_is_a_lower_bound_of_at_most_a_day() {
        let at = |seconds| after_failure(Schedule::LONG, 1, START, Some(seconds), MIDDLE);
        assert_eq!(at(3), Next::RetryAt(START.plus_seconds(5)));
        assert_eq!(at(90), Next::RetryAt(START.plus_seconds(90)));
        assert_eq!(at(999_999), Next::RetryAt(START.plus_seconds(86_400)));
        assert_eq!(at(-7), Next::RetryAt(START.plus_seconds(5)));
        assert_eq!(after_failure(Schedule::LONG, 10, START, Some(90), MIDDLE), Next::DeadLetter);
    }

    #[test]
    fn a_profile_ends_where_its_owner_says() {
        assert_eq!(Profile::default().schedule(10), Schedule::LONG);
        for profile in [Profile::Linear20, Profile::Exp2, Profile::Long] {
            assert_eq!(Profile::parse(profile.name()), Some(profile));
            for (max_retries, attempts) in [(0, 1), (1, 1), (3, 3), (10, 10)] {
                assert_eq!(profile.schedule(max_retries).attempts_max, attempts, "{profile:?} {max_retries}");
            }
        }
        assert_eq!(attempts(Profile::Linear20.schedule(3), MIDDLE), [0, 1200, 3600]);
    }

    #[test]
    fn answers_are_judged_as_the_contract_says() {
        use Outcome::{Delivered, Disable, GiveUp, Retry, RetrySlowly};
        for (status, subscriber, tracker) in [
            (None, Retry, Retry),
            (Some(200), Delivered, Delivered),
            (Some(204), Delivered, Delivered),
            (Some(299), Delivered, Delivered),
            (Some(100), Retry, Retry),
            (Some(301), Retry, Retry),
            (Some(304), Retry, Retry),
            (Some(400), Retry, GiveUp),
            (Some(404), Retry, GiveUp),
            (Some(408), Retry, Retry),
            (Some(410), Disable, GiveUp),
            (Some(425), Retry, Retry),
            (Some(429), RetrySlowly, RetrySlowly),
            (Some(500), Retry, Retry),
            (Some(502), RetrySlowly, RetrySlowly),
            (Some(503), Retry, Retry),
            (Some(504), RetrySlowly, RetrySlowly),
        ] {
            assert_eq!(classify(Receiver::Subscriber, status), subscriber, "{status:?}");
            assert_eq!(classify(Receiver::Tracker, status), tracker, "{status:?}");
        }
    }

    #[test]
    fn an_overloaded_endpoint_is_left_alone_for_longer_and_longer() {
        let seconds = |in_a_row| paused_until(START, in_a_row, None).seconds() - START.seconds();
        assert_eq!([1, 2, 3, 7, 8, u32::MAX].map(seconds), [15, 30, 60, 900, 900, 900]);
        assert_eq!(paused_until(START, 1, Some(999_999)), START.plus_seconds(86_400));
    }

    #[test]
    fn five_days_of_failures_are_enough() {
        assert!(!is_hopeless(START, START.plus_seconds(5 * 86_400 - 1)));
        assert!(is_hopeless(START, START.plus_seconds(5 * 86_400)));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_tenth(attempt in 1u32..10, random: u64) {
            let wait = i128::from(LONG_WAITS[attempt as usize - 1]) * 1_000_000;
            let Next::RetryAt(at) = after_failure(Schedule::LONG, attempt, START, None, random) else {
                return Err(TestCaseError::fail("attempts are left"));
            };
            let waited = i128::from(at.0 - START.0);
            prop_assert!(waited * 10 >= wait * 9 && waited * 10 <= wait * 11, "{} for {}", waited, wait);
        }

        #[test]
        fn nothing_is_tried_for_ever(random: u64, retries in 0u32..40) {
            for schedule in [Schedule::LONG, Schedule::linear20(retries), Schedule::exp2(retries), Schedule::PARTNER] {
                let count = u32::try_from(attempts(schedule, random).len()).expect("few");
                prop_assert_eq!(count, schedule.attempts_max);
            }
        }
    }
}
