//! Every number that judges, once: weights, thresholds, confirmation, readiness, pace.
//!
//! `Default` is the health model. Each number says its unit, its meaning and where it comes from;
//! "ours" marks one that no source gave. A policy read from a file goes through
//! [`Policy::validate`], which reports all mistakes at once; the engine itself never panics on a
//! policy that was not validated, it only judges oddly.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::FaultCatalogue;

use crate::breaker::BreakerPolicy;
use crate::doubt::DoubtPolicy;
use crate::outlier::OutlierPolicy;

mod hardware;
pub use hardware::HardwarePolicy;

mod thresholds;
pub use thresholds::{Direction, Override, Threshold, Thresholds};

mod validate;

/// Everything the engine judges by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Weights of a node's score.
    pub weights: Weights,
    /// Weights of the whole system's score.
    pub system_weights: SystemWeights,
    /// The lines that readings are held against.
    pub thresholds: Thresholds,
    /// Other lines for single checks or instances; the first that matches holds.
    pub overrides: Vec<Override>,
    /// How a raised threshold clears.
    pub hysteresis: Hysteresis,
    /// How findings are confirmed, cleared and damped.
    pub state: StatePolicy,
    /// When a node is ready for work.
    pub readiness: ReadinessPolicy,
    /// How often a node is asked.
    pub schedule: SchedulePolicy,
    /// When a node that keeps failing is no longer asked.
    pub breaker: BreakerPolicy,
    /// When the observer doubts itself.
    pub doubt: DoubtPolicy,
    /// When a member of a job departs from its peers.
    pub outlier: OutlierPolicy,
    /// When links, their errors, reboots and lost parts are findings.
    pub hardware: HardwarePolicy,
    /// What the faults of a kernel's log mean. Not written with the rest: it is data of its own.
    #[serde(skip)]
    pub faults: FaultPolicy,
}

/// The catalogue of faults that is judged by; the one that comes with the program if not said
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPolicy(pub Arc<FaultCatalogue>);

impl Default for FaultPolicy {
    fn default() -> Self {
        Self(FaultCatalogue::embedded())
    }
}

impl Policy {
    /// The same policy for a single look without a history (`sickbay check`): a finding counts the
    /// first time it is seen, because there will be no second.
    #[must_use]
    pub fn for_single_look(mut self) -> Self {
        self.state.confirm = 1;
        self.state.recover = 1;
        self
    }

    /// All mistakes; empty if the policy can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<PolicyMistake> {
        validate::mistakes(self)
    }
}

/// A number of the policy that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyMistake {
    /// Where, as in the config file: `thresholds.memory_used.warning`.
    pub path: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

impl fmt::Display for PolicyMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// Weights of a node's score, in points of 100; they sum to 100 (seed 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// GPUs: 40 (seed 2).
    pub gpu: f64,
    /// CPU, memory, disks: 30 (seed 2).
    pub system: f64,
    /// Latency, errors, links: 20 (seed 2).
    pub network: f64,
    /// Processes: 10 (seed 2).
    pub process: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { gpu: 40.0, system: 30.0, network: 20.0, process: 10.0 }
    }
}

/// Weights of the whole system's score, in points of 100; they sum to 100 (seed 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemWeights {
    /// Share of the expected nodes that are ready, weighted by their score: 40 (seed 3).
    pub node_availability: f64,
    /// Share of the breakers that are closed: 25 (seed 3).
    pub circuit_health: f64,
    /// Share of the checks that failed: 20 (seed 3).
    pub error_rate: f64,
    /// Share of the recoveries that succeeded: 15 (seed 3).
    pub recovery: f64,
}

impl Default for SystemWeights {
    fn default() -> Self {
        Self { node_availability: 40.0, circuit_health: 25.0, error_rate: 20.0, recovery: 15.0 }
    }
}

/// How a raised threshold clears: a margin away from the line **and** for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hysteresis {
    /// How far a value must come back over the line, in percent of the line's value: 5 (health
    /// model). Disk space raised at 85 % clears below 80.75 %.
    pub margin_percent: f64,
    /// How long it must stay there, once confirmed: 60 s (ours: one idle polling interval).
    #[serde(with = "seconds", rename = "hold_seconds")]
    pub hold: Duration,
}

impl Default for Hysteresis {
    fn default() -> Self {
        Self { margin_percent: 5.0, hold: Duration::from_secs(60) }
    }
}

/// How findings are confirmed, cleared and damped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatePolicy {
    /// How many results in a row make a finding hard: 3 (health model), at most 20.
    pub confirm: u32,
    /// How many better results in a row clear it: 2 (health model), at most 20.
    pub recover: u32,
    /// Share of weighted changes among the last 20 results above which a check flaps, in percent:
    /// 30 (health model).
    pub flap_on_percent: f64,
    /// Share below which it no longer flaps, in percent: 25 (health model).
    pub flap_off_percent: f64,
    /// Weight of the oldest of those changes: 0.8 (health model).
    pub flap_weight_oldest: f64,
    /// Weight of the newest of those changes: 1.15 (health model).
    pub flap_weight_newest: f64,
    /// Age above which a probe's last answer is no answer: 5 min (ours: five idle intervals).
    #[serde(with = "seconds", rename = "stale_after_seconds")]
    pub stale_after: Duration,
    /// The same for torch, which is asked every 15 min: 45 min (ours: three times its clock).
    #[serde(with = "seconds", rename = "torch_stale_after_seconds")]
    pub torch_stale_after: Duration,
    /// How many assessments in a row a reading that stopped coming is shown as unknown before it is
    /// forgotten: 720 (ours: an hour at the 5 s that a node with a finding is asked at). A count and
    /// not a time, so that a clock that leaps forgets nothing.
    pub forget_after_assessments: u32,
}

impl Default for StatePolicy {
    fn default() -> Self {
        Self {
            confirm: 3,
            recover: 2,
            flap_on_percent: 30.0,
            flap_off_percent: 25.0,
            flap_weight_oldest: 0.8,
            flap_weight_newest: 1.15,
            stale_after: Duration::from_secs(300),
            torch_stale_after: Duration::from_secs(45 * 60),
            forget_after_assessments: 720,
        }
    }
}

/// When a node is ready for work (seed 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadinessPolicy {
    /// Share of the applicable checks that must pass, in percent: 90 (seed 1).
    pub required_percent: f64,
    /// Free space that each watched path's filesystem must have, in bytes: 10 GB (seed 1).
    pub disk_free_bytes: f64,
    /// The longest median round trip, in milliseconds: 100 (seed 1).
    pub latency_ms: f64,
    /// Paths whose filesystems must have space: `/` (seed 1).
    pub watched_paths: Vec<String>,
    /// How many GPUs must answer; none: as many as ever answered on this node (health model).
    pub expected_gpus: Option<u32>,
}

impl Default for ReadinessPolicy {
    fn default() -> Self {
        Self {
            required_percent: 90.0,
            disk_free_bytes: 10e9,
            latency_ms: 100.0,
            watched_paths: vec!["/".to_owned()],
            expected_gpus: None,
        }
    }
}

/// How often a node is asked (seed 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulePolicy {
    /// While a job is active, the node is not healthy, or someone looks: 5 s (seed 2).
    #[serde(with = "seconds", rename = "active_interval_seconds")]
    pub active_interval: Duration,
    /// The longest, when idle: 60 s (seed 2).
    #[serde(with = "seconds", rename = "idle_interval_seconds")]
    pub idle_interval: Duration,
    /// Factor by which an idle node's interval grows each time: 2 (ours; "decaying exponentially").
    pub idle_growth: f64,
    /// How far an interval is moved at random, in percent either way: 10 (ours; "jittered").
    pub jitter_percent: f64,
}

impl Default for SchedulePolicy {
    fn default() -> Self {
        Self {
            active_interval: Duration::from_secs(5),
            idle_interval: Duration::from_secs(60),
            idle_growth: 2.0,
            jitter_percent: 10.0,
        }
    }
}

/// Durations as seconds with a fraction.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| de::Error::custom(format!("{seconds} is no duration in seconds")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_usable_and_survives_serialisation() {
        let policy = Policy::default();
        assert_eq!(policy.validate(), []);
        let json = serde_json::to_string(&policy).expect("serialises");
        assert_eq!(serde_json::from_str::<Policy>(&json).ok(), Some(policy));
        let partial = r#"{"thresholds": {"cpu_used": {"warning": 70.0}}}"#;
        let policy: Policy = serde_json::from_str(partial).expect("the rest is the default");
        assert_eq!(policy.thresholds.cpu_used.warning, Some(70.0));
        assert!(serde_json::from_str::<Policy>(r#"{"wieghts": {}}"#).is_err());
        assert!(
            serde_json::from_str::<Policy>(r#"{"hysteresis": {"hold_seconds": -1.0}}"#).is_err()
        );
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let mut policy = Policy::default();
        policy.weights.gpu = 50.0;
        policy.thresholds.memory_used = Threshold::above(95.0, 80.0);
        policy.thresholds.sensor_headroom = Threshold::below(0.0, 5.0);
        policy.thresholds.error_rate = Threshold::above(0.3, 5.0);
        policy.hysteresis.hold = Duration::ZERO;
        policy.state.confirm = 0;
        policy.state.flap_off_percent = 40.0;
        policy.readiness.watched_paths = vec!["data".to_owned()];
        policy.schedule.idle_growth = 1.0;
        policy.breaker.failures = 0;
        policy.breaker.longest = Duration::from_secs(1);
        policy.doubt.failed_percent = 0.0;
        policy.doubt.longest_stretch = 0.5;
        policy.outlier.window = Duration::from_secs(3600);
        policy.outlier.group_by = vec!["Job".to_owned()];
        policy.overrides.push(Override {
            check: "disk_space".into(),
            instance: None,
            warning: None,
            critical: None,
        });
        let paths: Vec<_> = policy.validate().into_iter().map(|mistake| mistake.path).collect();
        let mut found = paths;
        found.sort();
        assert_eq!(
            found,
            [
                "breaker.failures",
                "breaker.longest_seconds",
                "doubt.failed_percent",
                "doubt.longest_stretch",
                "hysteresis.hold_seconds",
                "outlier.group_by[0]",
                "outlier.window_seconds",
                "overrides[0].check",
                "readiness.watched_paths[0]",
                "schedule.idle_growth",
                "state.confirm",
                "state.flap_off_percent",
                "thresholds.error_rate.critical",
                "thresholds.memory_used",
                "thresholds.sensor_headroom",
                "weights",
            ]
        );
    }

    #[test]
    fn points_fall_from_line_to_line() {
        let line = Threshold::above(80.0, 95.0);
        for (value, points) in
            [(0.0, 100.0), (79.9, 100.0), (80.0, 79.0), (87.5, 59.0), (95.0, 39.0), (100.0, 0.0)]
        {
            assert!((line.points(value, 100.0) - points).abs() < 1e-9, "{value}");
        }
        let free = Threshold::below(20.0, 10.0);
        for (value, points) in [(21.0, 100.0), (20.0, 79.0), (15.0, 59.0), (10.0, 39.0), (0.0, 0.0)]
        {
            assert!((free.points(value, 0.0) - points).abs() < 1e-9, "{value}");
        }
        assert!((Threshold::warn_above(80.0).points(100.0, 100.0) - 40.0).abs() < 1e-9);
    }
}
