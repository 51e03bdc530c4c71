//! Instants, broker zones and calendar periods. Never reads a clock: `now` is always an argument.
//!
//! Instants are whole microseconds since 1970, UTC, as both stores keep them. Periods are half-open `[from, to)`.

pub use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use std::fmt;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

impl Instant {
    /// From whole milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1000)
    }
    /// From whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * 1_000_000)
    }
    /// Whole milliseconds since 1970, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// This moment and `seconds` more.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
    /// Parses ISO 8601 with a zone (`2026-02-03T10:15:00Z`, `…+02:00`), to the microsecond.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }
    /// ISO 8601 UTC; the fraction only where there is one.
    pub fn iso8601(self) -> String {
        self.timestamp().to_string()
    }
    fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0.clamp(Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond()))
            .expect("clamped to what a timestamp can hold")
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso8601())
    }
}

/// How a program cuts time into days: an IANA zone, or a trading server whose day closes at 17:00 in New York.
#[derive(Debug, Clone, PartialEq)]
pub enum Zone {
    /// An IANA zone.
    Iana(TimeZone),
    /// `NY+7`: seven hours ahead of New York all year, so that its midnight is 17:00 there.
    NewYorkClose(TimeZone),
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Iana(TimeZone::UTC);

    /// `UTC`, an IANA name, or `NY+7`. `None` where the name is unknown.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "NY+7" {
            return TimeZone::get("America/New_York").ok().map(Self::NewYorkClose);
        }
        TimeZone::get(name).ok().map(Self::Iana)
    }

    /// The calendar day that holds `at`.
    pub fn day_of(&self, at: Instant) -> Date {
        match self {
            Self::Iana(zone) => at.timestamp().to_zoned(zone.clone()).date(),
            Self::NewYorkClose(zone) => {
                let local = at.timestamp().to_zoned(zone.clone()).datetime();
                local.saturating_add(SignedDuration::from_hours(7)).date()
            }
        }
    }

    /// The first moment of `day`.
    pub fn start_of(&self, day: Date) -> Instant {
        let (zone, local) = match self {
            Self::Iana(zone) => (zone, day.at(0, 0, 0, 0)),
            Self::NewYorkClose(zone) => (zone, day.at(0, 0, 0, 0).saturating_sub(SignedDuration::from_hours(7))),
        };
        let zoned = zone.to_ambiguous_zoned(local).compatible();
        zoned.map_or(Instant(0), |z| Instant(z.timestamp().as_microsecond()))
    }

    /// The same time of day so many calendar months later; of a day that the month does not have, on its last.
    #[must_use]
    pub fn plus_months(&self, at: Instant, months: i64) -> Instant {
        let ahead = match self {
            Self::Iana(_) => SignedDuration::ZERO,
            Self::NewYorkClose(_) => SignedDuration::from_hours(7),
        };
        let (Self::Iana(zone) | Self::NewYorkClose(zone)) = self;
        let local = at.timestamp().to_zoned(zone.clone()).datetime().saturating_add(ahead);
        let local = local.saturating_add(months.months()).saturating_sub(ahead);
        let zoned = zone.to_ambiguous_zoned(local).compatible();
        zoned.map_or(Instant(i64::MAX), |z| Instant(z.timestamp().as_microsecond()))
    }

    /// How many whole calendar months lie between two moments; none where the second is not the later one.
    pub fn whole_months(&self, from: Instant, to: Instant) -> i64 {
        let (first, last) = (self.day_of(from), self.day_of(to));
        let of_calendar = (i64::from(last.year()) - i64::from(first.year())) * 12 + i64::from(last.month())
            - i64::from(first.month());
        let is_whole = of_calendar > 0 && self.plus_months(from, of_calendar) <= to;
        if is_whole { of_calendar } else { (of_calendar - 1).max(0) }
    }

    /// The first moment after `day`.
    pub fn end_of(&self, day: Date) -> Instant {
        self.start_of(day.saturating_add(1.days()))
    }
}

/// When something happened, as a sender without zones says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stated {
    /// On this day.
    Day(Date),
    /// At this moment.
    Moment(Instant),
}

impl Zone {
    /// Reads `2026-02-03`, `2026-02-03 10:11` with or without seconds, or ISO 8601. What names no zone is in this one.
    pub fn read(&self, text: &str) -> Option<Stated> {
        if text.len() == 10 {
            return text.parse().ok().map(Stated::Day);
        }
        if let Some(at) = Instant::parse(text) {
            return Some(Stated::Moment(at));
        }
        // The parser would take an offset and drop it.
        let is_zoneless = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_digit() || b"-:. Tt".contains(&b));
        let local: jiff::civil::DateTime = text.parse().ok().filter(|_| is_zoneless)?;
        let (zone, local) = match self {
            Self::Iana(zone) => (zone, local),
            Self::NewYorkClose(zone) => (zone, local.saturating_sub(SignedDuration::from_hours(7))),
        };
        let zoned = zone.to_ambiguous_zoned(local).compatible().ok()?;
        Some(Stated::Moment(Instant(zoned.timestamp().as_microsecond())))
    }

    /// The moment that is meant: of a day its first.
    pub fn moment(&self, stated: Stated) -> Instant {
        match stated {
            Stated::Day(day) => self.start_of(day),
            Stated::Moment(at) => at,
        }
    }

    /// The day that is meant.
    pub fn day(&self, stated: Stated) -> Date {
        match stated {
            Stated::Day(day) => day,
            Stated::Moment(at) => self.day_of(at),
        }
    }
}

/// The length of an accounting period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeriodLength {
    /// One calendar day.
    Day,
    /// One ISO week, Monday to Sunday.
    Week,
    /// One calendar month.
    Month,
}

impl PeriodLength {
    /// `day`, `week` or `month`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }
}

/// One accounting period, by its first day. Shown as `2025-01`, `2025-W07` or `2025-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// How long it is.
    pub length: PeriodLength,
    /// Its first day.
    pub first_day: Date,
}

impl Period {
    /// The period of this length that holds `day`.
    pub fn holding(length: PeriodLength, day: Date) -> Self {
        let first_day = match length {
            PeriodLength::Day => day,
            PeriodLength::Week => {
                let back = i64::from(day.weekday().to_monday_zero_offset());
                day.saturating_sub(back.days())
            }
            PeriodLength::Month => day.first_of_month(),
        };
        Self { length, first_day }
    }

    /// The period that follows.
    #[must_use]
    pub fn next(self) -> Self {
        let first_day = match self.length {
            PeriodLength::Day => self.first_day.saturating_add(1.days()),
            PeriodLength::Week => self.first_day.saturating_add(7.days()),
            PeriodLength::Month => self.first_day.saturating_add(1.months()),
        };
        Self { length: self.length, first_day }
    }

    /// The period before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::holding(self.length, self.first_day.saturating_sub(1.days()))
    }

    /// Parses what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((year, week)) = text.split_once("-W") {
            let day =
                jiff::civil::ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, jiff::civil::Weekday::Monday);
            return Some(Self { length: PeriodLength::Week, first_day: day.ok()?.date() });
        }
        match text.len() {
            7 => Some(Self { length: PeriodLength::Month, first_day: format!("{text}-01").parse().ok()? }),
            10 => Some(Self { length: PeriodLength::Day, first_day: text.parse().ok()? }),
            _ => None,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.first_day;
        match self.length {
            PeriodLength::Day => write!(f, "{day}"),
            PeriodLength::Month => write!(f, "{:04}-{:02}", day.year(), day.month()),
            PeriodLength::Week => {
                let week = day.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_new_york_close_day_starts_at_17_in_new_york() {
        let zone = Zone::parse("NY+7").expect("known");
        assert_eq!(zone.start_of(date(2025, 1, 15)), Instant::parse("2025-01-14T22:00:00Z").expect("valid"));
        assert_eq!(zone.day_of(Instant::parse("2025-07-14T21:00:00Z").expect("valid")), date(2025, 7, 15));
        assert_eq!(zone.day_of(Instant::parse("2025-07-14T20:59:59Z").expect("valid")), date(2025, 7, 14));
    }

    #[test]
    fn a_time_without_a_zone_is_in_the_programs() {
        let at = |text: &str| Some(Stated::Moment(Instant::parse(text).expect("valid")));
        for (zone, text, read) in [
            ("UTC", "2025-07-21 08:46", at("2025-07-21T08:46:00Z")),
            ("Asia/Nicosia", "2025-07-21 08:46", at("2025-07-21T05:46:00Z")),
            ("Asia/Nicosia", "2025-07-21T08:46:07", at("2025-07-21T05:46:07Z")),
            ("Asia/Nicosia", "2025-07-21T08:46:07Z", at("2025-07-21T08:46:07Z")),
            ("Asia/Nicosia", "2025-07-21 08:46:07+02:00", at("2025-07-21T06:46:07Z")),
            ("NY+7", "2025-07-21 00:00", at("2025-07-20T21:00:00Z")),
            ("UTC", "2025-07-21", Some(Stated::Day(date(2025, 7, 21)))),
            ("UTC", "2025-02-30", None),
            ("UTC", "2025-07-21 25:00", None),
            ("UTC", "21.07.2025 08:46", None),
            ("UTC", "2025-07-21 08", None),
            ("UTC", "20250721", None),
            ("UTC", "", None),
        ] {
            assert_eq!(Zone::parse(zone).expect("known").read(text), read, "{text} in {zone}");
        }
    }

    #[test]
    fn a_month_later_is_the_same_time_of_day_in_the_zone() {
        let at = |text: &str| Instant::parse(text).expect("valid");
        for (zone, from, months, later) in [
            ("UTC", "2025-01-31T10:00:00Z", 1, "2025-02-28T10:00:00Z"),
            ("UTC", "2025-01-31T10:00:00Z", 12, "2026-01-31T10:00:00Z"),
            ("Europe/Berlin", "2025-03-15T09:00:00Z", 1, "2025-04-15T08:00:00Z"),
            ("NY+7", "2025-01-31T21:30:00Z", 1, "2025-02-28T21:30:00Z"),
            ("NY+7", "2025-01-31T22:30:00Z", 1, "2025-02-28T22:30:00Z"),
        ] {
            let zone_of = Zone::parse(zone).expect("known");
            assert_eq!(zone_of.plus_months(at(from), months), at(later), "{months} after {from} in {zone}");
            assert_eq!(zone_of.whole_months(at(from), at(later)), months);
            assert_eq!(zone_of.whole_months(at(from), Instant(at(later).0 - 1)), months - 1);
        }
        assert_eq!(Zone::UTC.whole_months(at("2025-01-31T10:00:00Z"), at("2025-01-30T10:00:00Z")), 0);
    }

    #[test]
    fn periods_are_named_as_the_contract_names_them() {
        for (length, day, name) in [
            (PeriodLength::Month, date(2025, 1, 31), "2025-01"),
            (PeriodLength::Week, date(2025, 2, 16), "2025-W07"),
            (PeriodLength::Day, date(2025, 1, 31), "2025-01-31"),
        ] {
            let period = Period::holding(length, day);
            assert_eq!(period.to_string(), name);
            assert_eq!(Period::parse(name), Some(period));
        }
        assert_eq!(Period::parse("2025-12").expect("valid").next().to_string(), "2026-01");
    }
}
