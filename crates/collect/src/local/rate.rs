//! From counters to rates.

use std::time::Duration;

/// Below this no rate is given: two readings so close together say nothing.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Seconds between two readings; `None` when there was no time between them.
pub(super) fn seconds_between(earlier: Duration, later: Duration) -> Option<f64> {
    let passed = later.checked_sub(earlier)?;
    (passed >= SHORTEST_INTERVAL).then_some(passed.as_secs_f64())
}

/// How much a counter grew; `None` when it went back (a reset, a device replaced).
pub(super) fn growth(earlier: u64, later: u64) -> Option<f64> {
    later.checked_sub(earlier).map(|grown| grown as f64)
}

/// Growth per second.
pub(super) fn per_second(earlier: u64, later: u64, seconds: Option<f64>) -> Option<f64> {
    Some(growth(earlier, later)? / seconds?)
}

/// A share in percent that measuring at two moments may push a little over the top: that little is
/// cut off. What is far over is left as it is, for the catalogue to refuse.
pub(super) fn percent_of(part: f64, whole: f64) -> Option<f64> {
    /// How far over the top is still the clock's doing.
    const TOLERATED_PERCENT: f64 = 110.0;
    let percent = 100.0 * part / whole;
    match percent {
        _ if whole <= 0.0 => None,
        over if (100.0..=TOLERATED_PERCENT).contains(&over) => Some(100.0),
        percent => Some(percent),
    }
}

/// The counters of a reading before this one, and when it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Previous<T> {
    pub(super) at: Duration,
    pub(super) counters: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_need_time_and_a_counter_that_grows() {
        let seconds = seconds_between(Duration::from_secs(10), Duration::from_secs(15));
        assert_eq!(per_second(100, 200, seconds), Some(20.0));
        assert_eq!(per_second(200, 100, seconds), None, "went back");
        assert_eq!(per_second(100, 200, None), None);
        for (earlier, later) in [(5, 5), (6, 5)] {
            assert_eq!(
                seconds_between(Duration::from_secs(earlier), Duration::from_secs(later)),
                None
            );
        }
        assert_eq!(percent_of(50.0, 200.0), Some(25.0));
        assert_eq!(percent_of(5.01, 5.0), Some(100.0));
        assert_eq!(percent_of(50.0, 5.0), Some(1000.0));
        assert_eq!(percent_of(0.0, 0.0), None);
    }
}
