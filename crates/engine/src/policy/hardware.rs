//! Numbers for links, their errors, reboots, and hardware that is known from a node's own past.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;

/// When links, their errors, reboots and lost parts are findings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HardwarePolicy {
    /// How long after a boot parts may still come up without a finding: 3 min (ours: drivers load
    /// and links train within).
    #[serde(with = "seconds", rename = "boot_settle_seconds")]
    pub boot_settle: Duration,
    /// How long an InfiniBand or RoCE port that was active may be down until that is critical:
    /// 4 min (gpud). Before, it is degraded.
    #[serde(with = "seconds", rename = "port_down_seconds")]
    pub port_down: Duration,
    /// How long a port must be down for its coming back to count as a flap: 25 s (gpud).
    #[serde(with = "seconds", rename = "port_flap_down_seconds")]
    pub port_flap_down: Duration,
    /// From how many flaps on they are a finding: 3 (gpud).
    pub port_flaps: u32,
    /// Within how long: 12 h (gpud).
    #[serde(with = "seconds", rename = "port_flap_window_seconds")]
    pub port_flap_window: Duration,
    /// The stretch over which growth of error counters is judged, and for which it stays a finding:
    /// 10 min (ours).
    #[serde(with = "seconds", rename = "error_window_seconds")]
    pub error_window: Duration,
    /// Errors that are normal one by one (symbol errors, corrected memory errors, corrected PCIe
    /// errors, NVLink replays) within that stretch, from which on they are a finding: 100 (ours).
    pub error_growth: f64,
    /// In how many twentieths of that stretch they must have come, so that one burst is none: 3
    /// (ours).
    pub error_steps: u32,
    /// PCIe replays per minute and lane that are normal, as a share of the transfer rate in GT/s:
    /// 0.06 (NVIDIA's debug guidelines).
    pub pcie_replay_share: f64,
    /// In how many of the last minutes a GPU must have been slowed down by heat or power for that to
    /// be unhealthy: 6 (gpud). Before, it is degraded while it lasts.
    pub throttle_minutes: u32,
    /// Of how many: 10 (gpud).
    pub throttle_of_minutes: u32,
    /// Utilisation of a GPU from which on its PCIe link must run at full speed, in percent: 50
    /// (ours; an idle link may slow down).
    pub pcie_load_percent: f64,
    /// For how long both must be so: 2 min (ours: a link wakes up with the work).
    #[serde(with = "seconds", rename = "pcie_slow_seconds")]
    pub pcie_slow_for: Duration,
    /// How long after a boot that was seen it stays a finding: 10 min (ours).
    #[serde(with = "seconds", rename = "reboot_recent_seconds")]
    pub reboot_recent: Duration,
    /// How many boots make a loop: 3 (ours).
    pub reboot_loop: u32,
    /// Within how long: 1 h (ours).
    #[serde(with = "seconds", rename = "reboot_loop_window_seconds")]
    pub reboot_loop_window: Duration,
    /// By how much a node's memory may be less after a boot than before it, in percent: 5 (ours).
    pub memory_lost_percent: f64,
    /// How long a part that is gone is missed; after that the node is taken as it is: 7 days (ours).
    #[serde(with = "seconds", rename = "missed_for_seconds")]
    pub missed_for: Duration,
}

impl Default for HardwarePolicy {
    fn default() -> Self {
        Self {
            boot_settle: Duration::from_secs(180),
            port_down: Duration::from_secs(240),
            port_flap_down: Duration::from_secs(25),
            port_flaps: 3,
            port_flap_window: Duration::from_secs(12 * 3600),
            error_window: Duration::from_secs(600),
            error_growth: 100.0,
            error_steps: 3,
            pcie_replay_share: 0.06,
            throttle_minutes: 6,
            throttle_of_minutes: 10,
            pcie_load_percent: 50.0,
            pcie_slow_for: Duration::from_secs(120),
            reboot_recent: Duration::from_secs(600),
            reboot_loop: 3,
            reboot_loop_window: Duration::from_secs(3600),
            memory_lost_percent: 5.0,
            missed_for: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
