//! The numbers by which peers are compared.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::{Line, PeerMetric};
use super::minutes::MINUTES_KEPT;
use crate::policy::seconds;

/// When a member of a job departs from its peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierPolicy {
    /// Whether members are compared at all: yes (ours). No where the same command does different work
    /// everywhere, such as servers that wait for requests.
    pub enabled: bool,
    /// The stretch that is compared, in whole minutes: 15 min (health model), which is also the most.
    #[serde(with = "seconds", rename = "window_seconds")]
    pub window: Duration,
    /// How many peers a member must have: 4 (ours; below, the median is one of two or three).
    pub least_peers: u32,
    /// How many robust standard deviations (1.4826 × MAD) from the median depart: 6 (ours; none of
    /// 8000 well GPUs does by chance).
    pub score: f64,
    /// For which share of the window it must hold, in percent: 66 (ours; ten of fifteen minutes).
    pub held_percent: f64,
    /// Share of members beyond the practical line, either way, above which there is no group, in
    /// percent: 34 (ours; a third).
    pub split_percent: f64,
    /// Jobs with the same command that start within this time are one: 5 min (ours; a scheduler
    /// starts the nodes of a job within moments, and a node is asked at least every minute).
    #[serde(with = "seconds", rename = "started_within_seconds")]
    pub started_within: Duration,
    /// Labels that name a node's job; the first that a node has counts. Without any, nodes with the
    /// same command that started together are one job: `job` (ours).
    pub group_by: Vec<String>,
    /// How far the core clock must lie below the peers' median, in percent of it: 10 (ours).
    pub clock_percent: f64,
    /// The same for power drawn: 25 (ours).
    pub power_percent: f64,
    /// How far the temperature must lie above the peers' median, in degrees Celsius: 12 (ours).
    pub temperature_celsius: f64,
    /// How far utilisation must lie below the peers' median, in points: 25 (ours).
    pub utilization_points: f64,
    /// How far PCIe and network throughput must lie below the peers' median, in percent: 40 (ours).
    pub throughput_percent: f64,
    /// Below this median throughput nobody is compared by it, in bytes per second: 100 MB/s (ours).
    pub throughput_least_bytes_per_second: f64,
    /// How far the time of a training step must lie above the peers' median, in percent: 15 (ours).
    pub step_time_percent: f64,
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_secs(15 * 60),
            least_peers: 4,
            score: 6.0,
            held_percent: 66.0,
            split_percent: 34.0,
            started_within: Duration::from_secs(300),
            group_by: vec!["job".to_owned()],
            clock_percent: 10.0,
            power_percent: 25.0,
            temperature_celsius: 12.0,
            utilization_points: 25.0,
            throughput_percent: 40.0,
            throughput_least_bytes_per_second: 100e6,
            step_time_percent: 15.0,
        }
    }
}

impl OutlierPolicy {
    /// The window in whole minutes, 1 to [`MINUTES_KEPT`].
    #[must_use]
    pub fn window_minutes(&self) -> usize {
        usize::try_from(self.window.as_secs() / 60).unwrap_or(MINUTES_KEPT).clamp(1, MINUTES_KEPT)
    }

    /// In how many minutes of the window a departure must show.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few minutes")]
    pub fn held_minutes(&self) -> usize {
        let window = self.window_minutes();
        let share = f64::from(u8::try_from(window).unwrap_or(u8::MAX)) * self.held_percent / 100.0;
        (share.ceil() as usize).clamp(1, window)
    }

    /// The practical line of a metric.
    pub(super) fn line(&self, metric: PeerMetric) -> Line {
        let throughput = || Line::Below {
            percent: self.throughput_percent,
            least: self.throughput_least_bytes_per_second,
        };
        match metric {
            PeerMetric::Clock => Line::Below { percent: self.clock_percent, least: 0.0 },
            PeerMetric::Power => Line::Below { percent: self.power_percent, least: 0.0 },
            PeerMetric::Temperature => Line::AboveBy(self.temperature_celsius),
            PeerMetric::Utilization => Line::BelowBy(self.utilization_points),
            PeerMetric::Pcie | PeerMetric::Network => throughput(),
            PeerMetric::StepTime => Line::Above { percent: self.step_time_percent },
            PeerMetric::Throttled => Line::NotCompared,
        }
    }
}
