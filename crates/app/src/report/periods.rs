//! How a report's range is cut: days, weeks, months or years in UTC, and the months before the end of each.
//!
//! Invariant: the periods follow one another, and together are the range.

use super::{ReportFailure, ReportRequest, range};
use headwater_domain::time::{Date, Instant, Period, PeriodLength, Zone};
use headwater_store::report::ReportRange;

/// Periods of one report.
pub const PERIODS_MAX: usize = 400;
/// The same where the months before each are read, too.
const PERIODS_WITH_MONTHS_MAX: usize = 62;
/// The months before the end of a range whose earnings per click are told.
const MONTHS: [u32; 2] = [3, 6];
/// Ranges of one period: its own and those of [`MONTHS`].
const RANGES_EACH: i64 = 3;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// A day, a week or a month.
    By(PeriodLength),
    /// A year.
    Year,
}

impl Grouping {
    /// `day`, `week`, `month` or `year`.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "year" { Some(Self::Year) } else { PeriodLength::parse(name).map(Self::By) }
    }

    /// The first day of the period that holds `day`, the first day of the next one, and its name.
    fn holding(self, day: Date) -> (Period, Period, String) {
        let length = match self {
            Self::By(length) => length,
            Self::Year => PeriodLength::Month,
        };
        let mut first = Period::holding(length, day);
        if self == Self::Year {
            while first.first_day.month() != 1 {
                first = first.previous();
            }
            let next = (0..12).fold(first, |month, _| month.next());
            return (first, next, first.first_day.year().to_string());
        }
        (first, first.next(), first.to_string())
    }
}

/// A range, cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// The names of its periods.
    pub(super) names: Vec<String>,
    /// The whole range, its periods, and the months before each.
    pub(super) ranges: Vec<ReportRange>,
}

/// Which period a range is of, `None` for the whole; and which of [`MONTHS`] it is, where it is no period itself.
pub(super) fn place(number: i64) -> (Option<usize>, Option<usize>) {
    let place = usize::try_from(number / RANGES_EACH).unwrap_or(0);
    let month = usize::try_from(number % RANGES_EACH).unwrap_or(0);
    (place.checked_sub(1), month.checked_sub(1))
}

/// Cuts what is asked for.
pub(super) fn cut(asked: &ReportRequest) -> Result<Cut, ReportFailure> {
    let most = if asked.with_months { PERIODS_WITH_MONTHS_MAX } else { PERIODS_MAX };
    let mut spans = vec![(asked.from, asked.to)];
    let mut names = Vec::new();
    let mut from = asked.from;
    while from < asked.to {
        if names.len() == most {
            return Err(ReportFailure::Periods(most));
        }
        let (_, next, name) = asked.grouping.holding(Zone::UTC.day_of(from));
        let to = Zone::UTC.start_of(next.first_day).min(asked.to);
        if to <= from {
            // The calendar ends here.
            return Err(ReportFailure::Periods(most));
        }
        spans.push((from, to));
        names.push(name);
        from = to;
    }
    if names.is_empty() {
        return Err(ReportFailure::Periods(most));
    }
    let mut ranges = Vec::new();
    for (place, (from, to)) in (0_i64..).zip(spans) {
        ranges.push(range(place * RANGES_EACH, from, to));
        for (index, months) in (1_i64..).zip(MONTHS).filter(|_| asked.with_months) {
            ranges.push(range(place * RANGES_EACH + index, months_before(to, months), to));
        }
    }
    Ok(Cut { names, ranges })
}

/// The same day of the month, months before; the first day of it where it has no such day.
fn months_before(at: Instant, months: u32) -> Instant {
    let day = Zone::UTC.day_of(at);
    let month = Period::holding(PeriodLength::Month, day);
    let before = (0..months).fold(month, |month, _| month.previous());
    let into = at.0 - Zone::UTC.start_of(month.first_day).0;
    Instant(Zone::UTC.start_of(before.first_day).0 + into).min(Zone::UTC.start_of(before.next().first_day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ReportBy;

    fn names(from: &str, to: &str, grouping: &str, with_months: bool) -> Option<Vec<String>> {
        let at = |text: &str| Instant::parse(text).expect("an instant");
        let grouping = Grouping::parse(grouping).expect("a grouping");
        let asked =
            ReportRequest { partner: None, by: ReportBy::Overview, from: at(from), to: at(to), grouping, with_months };
        cut(&asked).ok().map(|cut| cut.names)
    }

    #[test]
    fn periods_follow_the_calendar_and_stay_in_the_range() {
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for (from, to, grouping, expected) in [
            ("2026-01-30T12:00:00Z", "2026-02-02T00:00:00Z", "day", list(&["2026-01-30", "2026-01-31", "2026-02-01"])),
            ("2026-01-30T12:00:00Z", "2026-02-02T00:00:00Z", "week", list(&["2026-W05"])),
            ("2025-12-30T12:00:00Z", "2026-02-02T00:00:00Z", "month", list(&["2025-12", "2026-01", "2026-02"])),
            ("2025-12-30T12:00:00Z", "2026-02-02T00:00:00Z", "year", list(&["2025", "2026"])),
            ("2026-02-02T00:00:00Z", "2026-02-02T00:00:00Z", "day", None),
            ("2020-02-02T00:00:00Z", "2026-02-02T00:00:00Z", "day", None),
        ] {
            assert_eq!(names(from, to, grouping, false), expected, "{from} {to} {grouping}");
        }
        assert!(names("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", "day", true).is_none());
    }

    #[test]
    fn months_before_are_counted_by_the_calendar() {
        let at = |text: &str| Instant::parse(text).expect("an instant");
        for (end, months, expected) in [
            ("2026-05-31T00:00:00Z", 3, "2026-03-01T00:00:00Z"),
            ("2026-05-15T06:00:00Z", 3, "2026-02-15T06:00:00Z"),
            ("2026-01-01T00:00:00Z", 6, "2025-07-01T00:00:00Z"),
        ] {
            assert_eq!(months_before(at(end), months).iso8601(), expected);
        }
    }
}
