//! The time that a figure is told for, and the equal parts it is told in. Parts begin at whole hours, days or weeks since
//! 1970 UTC, so that the same moment is always in the same part.

use crate::time::{MICROS_PER_SECOND, Timestamp};

crate::words! {
    /// How far back.
    Period {
        /// Twenty-four hours.
        Day = "day",
        /// Thirty days.
        Month = "month",
        /// Fifty-two weeks.
        Year = "year",
    }
}

const HOUR: i64 = 3_600 * MICROS_PER_SECOND;

impl Period {
    /// Microseconds of one part.
    pub const fn part(self) -> i64 {
        match self {
            Period::Day => HOUR,
            Period::Month => 24 * HOUR,
            Period::Year => 7 * 24 * HOUR,
        }
    }

    const fn parts(self) -> i64 {
        match self {
            Period::Day => 24,
            Period::Month => 30,
            Period::Year => 52,
        }
    }

    /// The moments at which the parts begin, the first one first. The last part is the one that `now` is in.
    pub fn starts(self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let last = now.0.div_euclid(self.part());
        (last - self.parts() + 1..=last).map(move |part| Timestamp(part * self.part()))
    }

    /// The beginning of the first part.
    pub fn start(self, now: Timestamp) -> Timestamp {
        self.starts(now).next().unwrap_or(now)
    }

    /// The beginning of the part that a moment is in.
    pub const fn start_of_part(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_euclid(self.part()) * self.part())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_the_last_holds_now() {
        let now = Timestamp(1_795_000_123_456_789);
        for (period, many) in [(Period::Day, 24), (Period::Month, 30), (Period::Year, 52)] {
            let starts: Vec<Timestamp> = period.starts(now).collect();
            assert_eq!(starts.len(), many);
            assert!(starts.windows(2).all(|w| w[1].0 - w[0].0 == period.part()));
            let last = starts[many - 1];
            assert!(last <= now && now.0 < last.0 + period.part());
            assert_eq!((period.start(now), period.start_of_part(now)), (starts[0], last));
        }
    }
}
