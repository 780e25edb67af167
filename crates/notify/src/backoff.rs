//! When a delivery that failed is tried again.

use std::time::Duration;

/// The first wait, doubled with each try.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait that nobody asked for.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How long a notice is tried at all.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long to wait after this many tries failed. `jitter` in [0, 1) spreads the second half of it, so
/// that many do not come back at once.
#[must_use]
pub fn wait(failed: u32, jitter: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
    let whole = FIRST.saturating_mul(doubled).min(LONGEST);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    whole / 2 + (whole / 2).mul_f64(jitter)
}

/// The wait before the next try: at least what the receiver asked for. None if the notice is so old that it
/// is given up.
#[must_use]
pub fn next(failed: u32, jitter: f64, asked: Option<Duration>, age: Duration) -> Option<Duration> {
    (age < GIVE_UP_AFTER).then(|| wait(failed, jitter).max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        for (failed, longest) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)]
        {
            let whole = Duration::from_secs(longest);
            assert_eq!(wait(failed, 0.0), whole / 2, "{failed}");
            assert_eq!(wait(failed, 1.0), whole, "{failed}");
            let spread = wait(failed, 0.5);
            assert!(spread > whole / 2 && spread < whole);
        }
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(wait(3, odd) >= Duration::from_secs(2));
        }
    }

    #[test]
    fn who_asks_for_more_gets_it_and_a_day_is_enough() {
        let (hour, day) = (Duration::from_secs(3600), GIVE_UP_AFTER);
        assert_eq!(next(1, 1.0, Some(hour), hour), Some(hour));
        assert_eq!(next(12, 1.0, Some(Duration::ZERO), hour), Some(LONGEST));
        assert_eq!(next(1, 1.0, None, day), None);
    }
}
