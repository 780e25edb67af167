//! Means over a stretch of time, so that a spike is not a finding.
//!
//! A value stands for the time since the previous one (a share of CPU time is measured exactly so),
//! but at most for [`LONGEST_GAP`]: what was not watched is not known. The number of samples is
//! bounded.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

/// The longest time that one value may stand for: one idle polling interval and its jitter, twice.
const LONGEST_GAP: Duration = Duration::from_secs(132);

/// The most samples kept; the oldest go first. At 5 s this is more than ten minutes.
const MAX_SAMPLES: usize = 128;

/// A time-weighted mean over the last stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeanWindow {
    /// When a value was measured, for how many milliseconds it stands, and what it was.
    samples: VecDeque<(Timestamp, u64, f64)>,
}

/// What a window knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowMean {
    /// Mean over the time that was watched.
    pub observed: f64,
    /// Mean over the whole window, with the time that was not watched counted as zero: what can be
    /// *proven* to have been used.
    pub proven: f64,
}

impl MeanWindow {
    /// Adds a value. A clock that went back starts the window anew.
    pub fn push(&mut self, at: Timestamp, value: f64, window: Duration) {
        let previous = self.samples.back().map(|&(previous, ..)| previous);
        if previous.is_some_and(|previous| at < previous) {
            self.samples.clear();
        }
        let stands_for = match self.samples.back() {
            Some(&(previous, ..)) => at.since(previous).min(LONGEST_GAP).min(window),
            None => Duration::ZERO,
        };
        let oldest = at.minus(window);
        while self.samples.front().is_some_and(|&(sample, ..)| sample <= oldest)
            || self.samples.len() >= MAX_SAMPLES
        {
            self.samples.pop_front();
        }
        let milliseconds = u64::try_from(stands_for.as_millis()).unwrap_or(u64::MAX);
        self.samples.push_back((at, milliseconds, value));
    }

    /// The mean over the window that ends with the newest value; none before the first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window fit f64")]
    pub fn mean(&self, window: Duration) -> Option<WindowMean> {
        let &(newest, _, last_value) = self.samples.back()?;
        let whole_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let start_ms = newest.as_unix_ms().saturating_sub(whole_ms);
        let (mut weight_ms, mut sum) = (0_i64, 0.0);
        for &(at, milliseconds, value) in &self.samples {
            // The oldest sample may reach out of the window: only the part within counts.
            let within = at.as_unix_ms().saturating_sub(start_ms).max(0);
            let counts = within.min(i64::try_from(milliseconds).unwrap_or(i64::MAX));
            weight_ms = weight_ms.saturating_add(counts);
            sum += counts as f64 * value;
        }
        let (weight, whole) = (weight_ms as f64, whole_ms as f64);
        if weight <= 0.0 || whole <= 0.0 {
            return Some(WindowMean { observed: last_value, proven: 0.0 });
        }
        Some(WindowMean { observed: sum / weight, proven: sum / whole.max(weight) })
    }
}

/// In which of the last minutes something was seen: at most 64 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MinuteMarks {
    /// The newest minute, counted from the epoch.
    newest: i64,
    /// A bit a minute, the newest lowest.
    marks: u64,
}

impl MinuteMarks {
    /// The most minutes that are remembered.
    pub(crate) const MOST: u32 = 64;

    /// Whether something is seen at this time. A clock that went back begins anew.
    pub(crate) fn note(&mut self, at: Timestamp, seen: bool) {
        let minute = at.as_unix_ms().div_euclid(60_000);
        let passed = u32::try_from(minute.saturating_sub(self.newest));
        self.marks = passed.ok().and_then(|passed| self.marks.checked_shl(passed)).unwrap_or(0);
        self.newest = minute;
        self.marks |= u64::from(seen);
    }

    /// In how many of the last so many minutes it was seen, this one included.
    pub(crate) fn count(&self, minutes: u32) -> u32 {
        let beyond = Self::MOST.saturating_sub(minutes);
        self.marks.checked_shl(beyond).unwrap_or(0).count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn run(story: &[(i64, f64)]) -> (i64, i64) {
        let mut window = MeanWindow::default();
        for &(second, value) in story {
            window.push(Timestamp::from_unix_ms(second * 1000), value, WINDOW);
        }
        let mean = window.mean(WINDOW).expect("a value");
        #[expect(clippy::cast_possible_truncation, reason = "percent")]
        (mean.observed.round() as i64, mean.proven.round() as i64)
    }

    #[test]
    fn minutes_in_which_something_was_seen() {
        let mut marks = MinuteMarks::default();
        let mut note = |second: i64, seen| {
            marks.note(Timestamp::from_unix_ms(1_800_000_000_000 + second * 1000), seen);
            marks.count(10)
        };
        for (second, seen, count) in [
            (0, true, 1),
            (30, true, 1),
            (40, false, 1),
            (60, true, 2),
            (180, false, 2),
            (240, true, 3),
            // The first is ten minutes ago.
            (600, false, 2),
            (839, false, 1),
            (840, false, 0),
            // Long after, and the clock set back.
            (90_000, true, 1),
            (60, true, 1),
        ] {
            assert_eq!(note(second, seen), count, "at {second} s");
        }
    }

    #[test]
    fn weighs_by_time() {
        for (story, observed, proven) in [
            (&[(0, 100.0)][..], 100, 0),
            (&[(0, 0.0), (30, 100.0)], 100, 10),
            // 60 s of 100 % within 300 s.
            (&[(0, 0.0), (120, 0.0), (240, 0.0), (300, 100.0)], 20, 20),
            (&[(0, 0.0), (100, 90.0), (200, 90.0), (300, 90.0)], 90, 90),
            // Uneven steps: 10 s of 100 %, then 90 s of 0 %.
            (&[(0, 0.0), (10, 100.0), (100, 0.0)], 10, 3),
            // A gap of an hour stands for two minutes at most, and pushes all else out.
            (&[(0, 0.0), (60, 0.0), (3660, 100.0)], 100, 44),
            // The clock goes back: starts anew.
            (&[(1000, 100.0), (1100, 100.0), (10, 50.0)], 50, 0),
        ] {
            assert_eq!(run(story), (observed, proven), "{story:?}");
        }
    }

    #[test]
    fn is_bounded() {
        let mut window = MeanWindow::default();
        for millisecond in 0..10_000 {
            window.push(Timestamp::from_unix_ms(millisecond), 1.0, WINDOW);
        }
        assert!(window.samples.len() <= MAX_SAMPLES);
        assert_eq!(window.mean(WINDOW).map(|mean| mean.observed), Some(1.0));
    }
}
