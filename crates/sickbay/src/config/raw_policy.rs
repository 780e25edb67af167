//! The part of the config file that says how is judged; see [`super::raw`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw::section;
use super::units::{DurationText, PathText, SizeText};

section! {
    /// How often a node is looked at: fast while it works or is not well, slower when idle.
    RawSchedule {
        /// Between two looks while a job is active on the node or it is not healthy.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        active_interval: DurationText,
        /// Between two looks while nothing happens. Also `SICKBAY_HEALTH_CHECK_INTERVAL`, in seconds.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        idle_interval: DurationText,
        /// Factor by which an idle node's interval grows each time, until `idle_interval` is reached.
        #[schemars(range(min = 1.01, max = 100.0))]
        idle_growth: f64,
        /// How far an interval is moved at random, in percent either way, so that nodes are not looked at in step.
        #[schemars(range(min = 0.0, max = 50.0))]
        jitter_percent: f64,
        /// How many nodes are looked at at once.
        #[schemars(range(min = 1, max = 4096))]
        concurrency: u32,
    }
}

section! {
    /// Weights of a node's score, in points of 100.
    RawWeights {
        /// GPUs.
        #[schemars(range(min = 0.0, max = 100.0))]
        gpu: f64,
        /// CPU, memory, disks.
        #[schemars(range(min = 0.0, max = 100.0))]
        system: f64,
        /// Latency, errors, links.
        #[schemars(range(min = 0.0, max = 100.0))]
        network: f64,
        /// Training processes, stuck processes.
        #[schemars(range(min = 0.0, max = 100.0))]
        process: f64,
    }
}

section! {
    /// Weights of the whole system's score, in points of 100.
    RawSystemWeights {
        /// Share of the expected nodes that are ready, weighted by their score.
        #[schemars(range(min = 0.0, max = 100.0))]
        node_availability: f64,
        /// Share of the breakers that are closed.
        #[schemars(range(min = 0.0, max = 100.0))]
        circuit_health: f64,
        /// Share of the checks that failed.
        #[schemars(range(min = 0.0, max = 100.0))]
        error_rate: f64,
        /// Share of the recoveries that succeeded.
        #[schemars(range(min = 0.0, max = 100.0))]
        recovery: f64,
    }
}

section! {
    /// A line for a warning (degraded) and one for critical.
    RawThreshold {
        /// Where it becomes degraded.
        warning: f64,
        /// Where it becomes critical.
        critical: f64,
    }
}

section! {
    /// The lines between well and not well.
    RawThresholds {
        /// CPU used, mean over `mean_window`, in percent. Only context while a job runs.
        cpu_used: RawThreshold,
        /// Memory used, in percent. Only context while a job runs.
        memory_used: RawThreshold,
        /// Swap used, in percent.
        swap_used: RawThreshold,
        /// Time in which some task waited for CPU, mean over `mean_window`, in percent.
        pressure_cpu: RawThreshold,
        /// Time in which all tasks waited for memory, in percent.
        pressure_memory: RawThreshold,
        /// Time in which all tasks waited for disks, mean over `mean_window`, in percent.
        pressure_io: RawThreshold,
        /// Filesystem space used, in percent.
        filesystem_space: RawThreshold,
        /// Filesystem inodes used, in percent.
        filesystem_inodes: RawThreshold,
        /// File handles used of the system's limit, in percent.
        file_handles: RawThreshold,
        /// Degrees left until a sensor's own critical limit; trouble is below the lines.
        sensor_headroom: RawThreshold,
        /// Median round trip, in milliseconds.
        latency: RawThreshold,
        /// Unanswered round trips, in percent.
        latency_loss: RawThreshold,
        /// Packets with errors on an interface, both ways, per second.
        interface_errors: RawThreshold,
        /// Packets dropped on an interface, both ways, per second.
        interface_drops: RawThreshold,
        /// Zombie processes.
        zombies: RawThreshold,
        /// GPU temperature where the card tells no limit of its own, in degrees Celsius.
        gpu_temperature: RawThreshold,
        /// GPU memory used while no job is on the card, in percent.
        gpu_memory_used: RawThreshold,
        /// Failed checks over all checks, from 0 to 1. Its critical line is also `SICKBAY_ERROR_RATE_THRESHOLD`.
        error_rate: RawThreshold,
        /// The stretch over which CPU use and stalls for CPU and disks are averaged.
        #[schemars(extend("x-minimum" = "10s", "x-maximum" = "1h"))]
        mean_window: DurationText,
        /// How long after the kernel killed a process for lack of memory this stays a finding.
        #[schemars(extend("x-minimum" = "10s", "x-maximum" = "1d"))]
        oom_recent: DurationText,
        /// Share of the power limit, in percent, under which a GPU that claims to be busy does not work.
        #[schemars(range(min = 0.0, max = 100.0))]
        gpu_hang_power_percent: f64,
        /// Utilisation, in percent, from which a GPU claims to be busy.
        #[schemars(range(min = 0.0, max = 100.0))]
        gpu_hang_utilization_percent: f64,
        /// How long both must hold before it counts as a hang.
        #[schemars(extend("x-minimum" = "10s", "x-maximum" = "1d"))]
        gpu_hang_after: DurationText,
        /// In how many process scans in a row a process must be in state D to count as blocked.
        #[schemars(range(min = 1, max = 1000))]
        blocked_scans: u32,
        /// The same for a process of the NVIDIA driver, which then is hung.
        #[schemars(range(min = 1, max = 1000))]
        blocked_driver_scans: u32,
    }
}

/// Other lines for one check, or for one instance of it. A line that is not given is never crossed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RawOverride {
    /// The check's name, such as `filesystem_space`.
    pub check: String,
    /// The instance, such as `/data`; without one, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where it becomes degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    /// Where it becomes critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
}

section! {
    /// How a raised threshold clears.
    RawHysteresis {
        /// How far a value must come back over the line, in percent of the line's value.
        #[schemars(range(min = 0.0, max = 100.0))]
        margin_percent: f64,
        /// How long it must stay there.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1d"))]
        hold: DurationText,
    }
}

section! {
    /// How findings are confirmed, cleared and damped.
    RawState {
        /// How many results in a row make a finding confirmed.
        #[schemars(range(min = 1, max = 20))]
        confirm: u32,
        /// How many better results in a row clear it.
        #[schemars(range(min = 1, max = 20))]
        recover: u32,
        /// Share of changes among the last 20 results, in percent, above which a check flaps.
        #[schemars(range(min = 0.0, max = 100.0))]
        flap_on_percent: f64,
        /// Share below which it no longer flaps, in percent.
        #[schemars(range(min = 0.0, max = 100.0))]
        flap_off_percent: f64,
        /// Weight of the oldest of those changes.
        #[schemars(range(min = 0.01, max = 100.0))]
        flap_weight_oldest: f64,
        /// Weight of the newest of those changes.
        #[schemars(range(min = 0.01, max = 100.0))]
        flap_weight_newest: f64,
        /// Age above which a probe's last answer is no answer.
        #[schemars(extend("x-minimum" = "10s", "x-maximum" = "1d"))]
        stale_after: DurationText,
        /// The same for torch, which is asked rarely.
        #[schemars(extend("x-minimum" = "1m", "x-maximum" = "7d"))]
        torch_stale_after: DurationText,
        /// How many looks in a row a reading that stopped coming is shown as unknown before it is forgotten.
        #[schemars(range(min = 1, max = 1000000))]
        forget_after_assessments: u32,
    }
}

section! {
    /// May work be started on a node?
    RawReadiness {
        /// Share of the applicable checks that must pass, in percent.
        #[schemars(range(min = 0.0, max = 100.0))]
        required_percent: f64,
        /// Free space that the filesystem of each watched path must have.
        disk_free: SizeText,
        /// The longest median round trip, in milliseconds.
        #[schemars(range(min = 0.0, max = 600000.0))]
        latency_ms: f64,
        /// Paths whose filesystems must have space.
        #[schemars(length(max = 64))]
        watched_paths: Vec<PathText>,
        /// How many GPUs must answer. Without it: as many as ever answered on this node.
        #[schemars(range(min = 0, max = 1024))]
        expected_gpus: u32,
    }
}
