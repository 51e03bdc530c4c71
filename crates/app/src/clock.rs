//! The one place that reads the clock. Tests move a manual one.

use headwater_domain::time::Instant;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where "now" comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A test's clock, in microseconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A manual clock that stands at `at`.
    pub fn manual(at: Instant) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The present moment, in whole microseconds.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn now(&self) -> Instant {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Instant(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Manual(at) => Instant(at.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock; the machine's clock stays as it is.
    pub fn advance_seconds(&self, seconds: i64) {
        if let Self::Manual(at) = self {
            at.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
        }
    }
}
