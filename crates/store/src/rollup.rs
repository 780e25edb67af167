//! Many readings as one: smallest, mean, largest, how many.
//!
//! Counters are rolled up like everything else: a counter's growth over a step is the difference
//! of its maxima, and a reset shows as a minimum below the maximum before it.

use sickbay_model::Timestamp;

use crate::query::HistoryPoint;

/// What a span of readings comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rollup {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) max: f64,
    pub(crate) count: u32,
}

impl Rollup {
    pub(crate) fn of(value: f64) -> Self {
        Self { min: value, mean: value, max: value, count: 1 }
    }

    /// Both spans together.
    pub(crate) fn merge(self, other: Self) -> Self {
        let count = self.count.saturating_add(other.count);
        let share = f64::from(other.count) / f64::from(count.max(1));
        // The mean moves towards the other by its share: sums of huge values would overflow.
        let mean = if self.mean == other.mean {
            self.mean
        } else {
            self.mean * (1.0 - share) + other.mean * share
        };
        Self { min: self.min.min(other.min), mean, max: self.max.max(other.max), count }
    }

    pub(crate) fn at(self, ms: i64) -> HistoryPoint {
        HistoryPoint {
            at: Timestamp::from_unix_ms(ms),
            min: self.min,
            mean: self.mean,
            max: self.max,
            count: self.count,
        }
    }
}

/// The start of the step that a time falls into.
pub(crate) fn floor(ms: i64, step_ms: i64) -> i64 {
    if step_ms <= 0 { ms } else { ms.div_euclid(step_ms).saturating_mul(step_ms) }
}

/// Rolls points, ascending by time, up to steps. A step of zero joins only points of equal time.
pub(crate) fn roll_up(
    points: impl IntoIterator<Item = (i64, Rollup)>,
    step_ms: i64,
) -> Vec<(i64, Rollup)> {
    let mut steps: Vec<(i64, Rollup)> = Vec::new();
    for (at, rollup) in points {
        let start = floor(at, step_ms);
        match steps.last_mut() {
            Some((last, sum)) if *last == start => *sum = sum.merge(rollup),
            _ => steps.push((start, rollup)),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_become_steps() {
        let readings = [(0, 1.0), (5_000, 3.0), (59_999, 2.0), (60_000, 7.0), (-1, 9.0)];
        let mut sorted = readings;
        sorted.sort_by_key(|(at, _)| *at);
        let steps = roll_up(sorted.map(|(at, value)| (at, Rollup::of(value))), 60_000);
        assert_eq!(
            steps,
            [
                (-60_000, Rollup::of(9.0)),
                (0, Rollup { min: 1.0, mean: 2.0, max: 3.0, count: 3 }),
                (60_000, Rollup::of(7.0)),
            ]
        );
    }

    #[test]
    fn huge_values_do_not_overflow_the_mean() {
        let merged = Rollup::of(f64::MAX).merge(Rollup::of(f64::MAX));
        assert_eq!((merged.mean, merged.count), (f64::MAX, 2));
    }
}
