//! The lines that readings are held against.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;
use sickbay_model::Status;

/// On which side of the line the trouble is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// At or above the line: use, temperature, latency.
    #[default]
    Above,
    /// At or below the line: free space, headroom.
    Below,
}

/// A line for a warning (degraded) and one for critical, either of which may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Where it becomes degraded, in the unit of what is judged.
    pub warning: Option<f64>,
    /// Where it becomes critical, in the same unit.
    pub critical: Option<f64>,
    /// On which side of the line the trouble is.
    pub direction: Direction,
}

impl Threshold {
    /// Trouble at or above the lines.
    #[must_use]
    pub const fn above(warning: f64, critical: f64) -> Self {
        Self { warning: Some(warning), critical: Some(critical), direction: Direction::Above }
    }

    /// Trouble at or below the lines.
    #[must_use]
    pub const fn below(warning: f64, critical: f64) -> Self {
        Self { warning: Some(warning), critical: Some(critical), direction: Direction::Below }
    }

    /// A warning at or above a line; never critical.
    #[must_use]
    pub const fn warn_above(warning: f64) -> Self {
        Self { warning: Some(warning), critical: None, direction: Direction::Above }
    }

    /// What a value means by itself, without hysteresis: healthy, degraded or critical.
    #[must_use]
    pub fn status(&self, value: f64) -> Status {
        self.status_moved(value, 0.0)
    }

    /// The same with the lines moved to the good side by a share of their value: what still counts
    /// as raised while clearing.
    pub(crate) fn status_moved(&self, value: f64, share: f64) -> Status {
        let crossed = |line: Option<f64>| {
            line.is_some_and(|line| match self.direction {
                Direction::Above => value >= line - line.abs() * share,
                Direction::Below => value <= line + line.abs() * share,
            })
        };
        if crossed(self.critical) {
            Status::Critical
        } else if crossed(self.warning) {
            Status::Degraded
        } else {
            Status::Healthy
        }
    }

    /// How well a value is: 100 on the good side of both lines, 79 at the warning line, falling in
    /// a straight line to 39 at the critical line and on to 0 at `far_end`, the worst that the value
    /// can be. With one line missing, the other stands for itself: a lone warning falls from 79 at
    /// its line to 40 at the far end, a lone critical line from 39.
    #[must_use]
    pub fn points(&self, value: f64, far_end: f64) -> f64 {
        const AT_WARNING: f64 = 79.0;
        const AT_CRITICAL: f64 = 39.0;
        match (self.status(value), self.warning, self.critical) {
            (Status::Critical, _, Some(critical)) => {
                interpolate(value, (critical, AT_CRITICAL), (far_end, 0.0))
            }
            (Status::Degraded, Some(warning), Some(critical)) => {
                interpolate(value, (warning, AT_WARNING), (critical, AT_CRITICAL))
            }
            (Status::Degraded, Some(warning), None) => {
                interpolate(value, (warning, AT_WARNING), (far_end, AT_CRITICAL + 1.0))
            }
            _ => 100.0,
        }
    }

    /// Like [`Self::points`] for a rate that is only right at zero: falls from 100 at 0 to 79 at the
    /// warning line already.
    #[must_use]
    pub fn points_falling_from_zero(&self, value: f64, far_end: f64) -> f64 {
        match (self.status(value), self.warning) {
            (Status::Healthy, Some(warning)) => interpolate(value, (0.0, 100.0), (warning, 79.0)),
            _ => self.points(value, far_end),
        }
    }
}

/// A straight line through two points, held flat outside of them. Two points at the same place: the
/// second one.
fn interpolate(value: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
    let width = to.0 - from.0;
    if width == 0.0 || !width.is_finite() {
        return to.1;
    }
    let share = ((value - from.0) / width).clamp(0.0, 1.0);
    from.1 + (to.1 - from.1) * share
}

/// Other lines for one check, or for one instance of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The check's name (`filesystem_space`).
    pub check: Cow<'static, str>,
    /// The instance (`/data`); none for all of them.
    #[serde(default)]
    pub instance: Option<String>,
    /// Where it becomes degraded; none: never.
    #[serde(default)]
    pub warning: Option<f64>,
    /// Where it becomes critical; none: never.
    #[serde(default)]
    pub critical: Option<f64>,
}

macro_rules! thresholds {
    ($( $(#[doc = $help:literal])+ $name:ident: $default:expr; )*) => {
        /// The lines that readings are held against.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Thresholds {
            $( $(#[doc = $help])+ pub $name: Threshold, )*
            /// The stretch over which CPU use and stalls for CPU and disks are averaged: 5 min
            /// (seed 4).
            #[serde(with = "seconds", rename = "mean_window_seconds")]
            pub mean_window: Duration,
            /// How long after the kernel killed a process for lack of memory this stays a finding:
            /// 10 min (ours).
            #[serde(with = "seconds", rename = "oom_recent_seconds")]
            pub oom_recent: Duration,
            /// Share of the power limit under which a GPU that claims to be busy does not work, in
            /// percent: 20 (ours: boards idle at 10 to 18 % of their limit).
            pub gpu_hang_power_percent: f64,
            /// Utilisation from which a GPU claims to be busy, in percent: 95 (health model: ≈ 100).
            pub gpu_hang_utilization_percent: f64,
            /// How long both must hold before it counts as a hang: 5 min (ours).
            #[serde(with = "seconds", rename = "gpu_hang_after_seconds")]
            pub gpu_hang_after: Duration,
            /// In how many process scans in a row a process must be in state D to count as blocked:
            /// 3 (ours; a passing D is normal I/O).
            pub blocked_scans: u32,
            /// The same for a process of the NVIDIA driver, which then is hung: 5 (gpud).
            pub blocked_driver_scans: u32,
        }

        impl Default for Thresholds {
            fn default() -> Self {
                Self {
                    $( $name: $default, )*
                    mean_window: Duration::from_secs(300),
                    oom_recent: Duration::from_secs(600),
                    gpu_hang_power_percent: 20.0,
                    gpu_hang_utilization_percent: 95.0,
                    gpu_hang_after: Duration::from_secs(300),
                    blocked_scans: 3,
                    blocked_driver_scans: 5,
                }
            }
        }

        impl Thresholds {
            /// Every threshold with its name, for validation and for the generated reference.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, Threshold)> {
                vec![ $( (stringify!($name), self.$name), )* ]
            }
        }
    };
}

thresholds! {
    /// CPU used, mean over `mean_window`, in percent: 80 / 95 (seed 4). Context while a job runs.
    cpu_used: Threshold::above(80.0, 95.0);
    /// Memory used, in percent: 80 / 95 (seed 4). Context while a job runs.
    memory_used: Threshold::above(80.0, 95.0);
    /// Swap used, in percent: 80, never critical (ours).
    swap_used: Threshold::warn_above(80.0);
    /// Time in which some task waited for CPU, mean over `mean_window`, in percent: 90, never
    /// critical (ours).
    pressure_cpu: Threshold::warn_above(90.0);
    /// Time in which all tasks waited for memory, in percent: 10 / 40 (ours).
    pressure_memory: Threshold::above(10.0, 40.0);
    /// Time in which all tasks waited for disks, mean over `mean_window`, in percent: 90, never
    /// critical (ours: a single busy copy on an idle machine shows much).
    pressure_io: Threshold::warn_above(90.0);
    /// Filesystem space used, in percent: 85 / 95 (seed 4).
    filesystem_space: Threshold::above(85.0, 95.0);
    /// Filesystem inodes used, in percent: 85 / 95 (as space).
    filesystem_inodes: Threshold::above(85.0, 95.0);
    /// File handles used of the system's limit, in percent: 80 / 95 (ours).
    file_handles: Threshold::above(80.0, 95.0);
    /// Degrees left until a sensor's own critical limit: 5 / 0 (ours).
    sensor_headroom: Threshold::below(5.0, 0.0);
    /// Median round trip, in milliseconds: 100 (seed 1) / 1000 (ours).
    latency: Threshold::above(100.0, 1000.0);
    /// Unanswered round trips, in percent: 5 / 50 (ours).
    latency_loss: Threshold::above(5.0, 50.0);
    /// Packets with errors on an interface, both ways, per second: 1 / 1000 (ours).
    interface_errors: Threshold::above(1.0, 1000.0);
    /// Packets dropped on an interface, both ways, per second: 100, never critical (ours: some
    /// drops are the kernel's way to ignore what is not for it).
    interface_drops: Threshold::warn_above(100.0);
    /// Zombie processes: 50 / 1000 (ours).
    zombies: Threshold::above(50.0, 1000.0);
    /// GPU temperature where the card tells no limit of its own, in degrees: 85 / 92 (health model).
    gpu_temperature: Threshold::above(85.0, 92.0);
    /// GPU memory used while no job is on the card, in percent: 80 / 95 (as memory).
    gpu_memory_used: Threshold::above(80.0, 95.0);
    /// Failed checks over all checks, as a rate: 0.3 / 0.5 (seed 3).
    error_rate: Threshold::above(0.3, 0.5);
}
