//! How soon a node is asked again.
//!
//! Short while someone depends on the answer, decaying exponentially while nothing happens. There
//! is no randomness here: the caller gives a seed, so that a schedule can be replayed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::{SchedulePolicy, seconds};

/// The interval in force, before jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaceMemory {
    /// The last interval that was given; zero before the first.
    #[serde(with = "seconds")]
    interval: Duration,
}

/// Why a node is asked often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// A job runs on it.
    pub active_job: bool,
    /// It is not healthy, or a finding waits to be confirmed or cleared.
    pub not_healthy: bool,
    /// Someone is looking at it.
    pub watched: bool,
}

impl Busy {
    /// Whether any reason holds.
    #[must_use]
    pub fn any(self) -> bool {
        self.active_job || self.not_healthy || self.watched
    }
}

/// The time until the next collection: the shortest interval while busy, then longer by
/// `idle_growth` each time up to the longest, and each moved by up to ± `jitter_percent` so that
/// nodes do not march in step.
///
/// `jitter_seed` should differ from call to call and from node to node; equal input gives equal
/// output.
pub fn next_interval(
    policy: &SchedulePolicy,
    memory: &mut PaceMemory,
    busy: Busy,
    jitter_seed: u64,
) -> Duration {
    let shortest = policy.active_interval;
    let longest = policy.idle_interval.max(shortest);
    let grown = seconds_as_duration(memory.interval.as_secs_f64() * policy.idle_growth, longest);
    let interval = if busy.any() { shortest } else { grown.clamp(shortest, longest) };
    memory.interval = interval;
    let jitter = 1.0 + unit_interval(jitter_seed) * policy.jitter_percent / 100.0;
    seconds_as_duration(interval.as_secs_f64() * jitter, interval)
}

/// From seconds; `otherwise` where the number is no duration (negative, NaN, too large).
fn seconds_as_duration(seconds: f64, otherwise: Duration) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(otherwise)
}

/// Spreads a seed evenly over -1 to 1 (the finaliser of SplitMix64: Steele, Lea, Flood, 2014).
#[expect(clippy::cast_precision_loss, reason = "53 random bits fit f64 exactly")]
pub(crate) fn unit_interval(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(busy: Busy, memory: &mut PaceMemory, calls: u64) -> Vec<f64> {
        let policy = SchedulePolicy { jitter_percent: 0.0, ..SchedulePolicy::default() };
        (0..calls).map(|seed| next_interval(&policy, memory, busy, seed).as_secs_f64()).collect()
    }

    #[test]
    fn decays_to_a_minute_when_idle_and_snaps_back_when_busy() {
        let mut memory = PaceMemory::default();
        assert_eq!(run(Busy::default(), &mut memory, 6), [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]);
        for busy in [
            Busy { active_job: true, ..Busy::default() },
            Busy { not_healthy: true, ..Busy::default() },
            Busy { watched: true, ..Busy::default() },
        ] {
            assert_eq!(run(busy, &mut memory, 2), [5.0, 5.0], "{busy:?}");
            assert_eq!(run(Busy::default(), &mut memory, 1), [10.0]);
        }
    }

    #[test]
    fn jitter_stays_within_ten_percent_and_spreads() {
        let policy = SchedulePolicy::default();
        let all: Vec<f64> = (0..1000)
            .map(|seed| {
                let busy = Busy { watched: true, ..Busy::default() };
                next_interval(&policy, &mut PaceMemory::default(), busy, seed).as_secs_f64()
            })
            .collect();
        assert!(all.iter().all(|&seconds| (4.5..=5.5).contains(&seconds)));
        assert!(all.iter().any(|&seconds| seconds < 4.6));
        assert!(all.iter().any(|&seconds| seconds > 5.4));
        let mean = all.iter().sum::<f64>() / 1000.0;
        assert!((mean - 5.0).abs() < 0.05, "{mean}");
    }
}
