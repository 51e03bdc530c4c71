//! Sets of days, as ranges.
//!
//! Leaves to `reach` what stands on them. Invariant: ranges neither meet nor overlap, so that what all of them hold is held by
//! one of them.

use crate::time::Date;

/// Days, as ranges `[from, to)` that neither meet nor overlap, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days(Vec<(Date, Date)>);

impl Days {
    /// The ranges.
    pub fn ranges(&self) -> &[(Date, Date)] {
        &self.0
    }

    /// Whether the day is among them.
    pub fn holds(&self, day: Date) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= day);
        after > 0 && day < self.0[after - 1].1
    }

    /// Whether all of the others are among them.
    pub fn hold_all(&self, others: &Self) -> bool {
        let holds = |(from, to): &(Date, Date)| self.0.iter().any(|(start, end)| start <= from && to <= end);
        others.0.iter().all(holds)
    }

    /// Takes in `[from, to)`.
    pub fn insert(&mut self, from: Date, to: Date) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        self.0.retain(|(start, end)| {
            let is_apart = *end < from || *start > to;
            if !is_apart {
                (from, to) = (from.min(*start), to.max(*end));
            }
            is_apart
        });
        let place = self.0.partition_point(|(start, _)| *start < from);
        self.0.insert(place, (from, to));
    }

    /// Takes in all of the others.
    pub fn insert_all(&mut self, others: &Self) {
        others.0.iter().for_each(|(from, to)| self.insert(*from, *to));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use jiff::civil::date;

    pub fn days(ranges: &[(Date, Date)]) -> Days {
        let mut days = Days::default();
        for (from, to) in ranges {
            days.insert(*from, *to);
        }
        days
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let mut all = days(&[(date(2025, 1, 1), date(2025, 1, 5)), (date(2025, 2, 1), date(2025, 2, 2))]);
        all.insert(date(2025, 1, 5), date(2025, 1, 9));
        assert_eq!(all.ranges(), [(date(2025, 1, 1), date(2025, 1, 9)), (date(2025, 2, 1), date(2025, 2, 2))]);
        assert!(all.holds(date(2025, 1, 8)) && !all.holds(date(2025, 1, 9)) && all.holds(date(2025, 2, 1)));
        assert!(all.hold_all(&days(&[(date(2025, 1, 2), date(2025, 1, 9))])));
        assert!(!all.hold_all(&days(&[(date(2025, 1, 8), date(2025, 2, 1))])), "they are apart");
    }
}
