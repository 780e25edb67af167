//! What must be remembered between observations of a node.
//!
//! Written to the store as JSON and read back after a restart, so every field tolerates being
//! absent. No NaN is ever kept (JSON has none). Everything in here is bounded: checks by
//! [`MAX_CHECKS`], GPUs by [`MAX_GPUS`], blocked processes by [`MAX_BLOCKED`], ports by [`MAX_PORTS`].

use serde::{Deserialize, Serialize};
use sickbay_model::{ExpectedHardware, GpuVendor, Level, Status, Timestamp};

use crate::checks::CheckKind;
use crate::faults::Faults;
use crate::growth::Growths;
use crate::hysteresis::ThresholdState;
use crate::input::ProbeSlot;
use crate::judge::Standing;
use crate::outlier::{Cause, Departure};
use crate::state::StateMemory;
use crate::window::{MeanWindow, MinuteMarks};

/// The most checks that are judged on one node; more are counted and reported, not judged.
pub(crate) const MAX_CHECKS: usize = 4096;
/// The most GPUs that are remembered per node.
pub(crate) const MAX_GPUS: usize = 256;
/// The most blocked processes that are followed.
pub(crate) const MAX_BLOCKED: usize = 256;

/// The most ports of adapters that are remembered per node.
pub(crate) const MAX_PORTS: usize = 256;
/// The most devices on PCIe that are remembered per node.
pub(crate) const MAX_PCI_DEVICES: usize = 256;
/// The most kinds of disks that are remembered per node.
pub(crate) const MAX_DISK_KINDS: usize = 32;
/// The most boots whose times are remembered.
pub(crate) const MAX_BOOTS: usize = 16;

/// What must be remembered between observations of one node. Opaque: keep it, store it as JSON, and
/// hand it to [`crate::assess`] again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeMemory {
    /// How many observations were judged.
    pub(crate) assessments: u64,
    /// One per check, in the order in which they are answered.
    pub(crate) checks: Vec<CheckMemory>,
    /// When each probe last ended, by [`crate::input::PROBES`].
    pub(crate) probe_times: Vec<Option<Timestamp>>,
    /// Everything that checks remember beyond their own result.
    pub(crate) facts: NodeFacts,
    /// What transitions are told from.
    pub(crate) verdict: VerdictMemory,
    /// Whether the next observation is the first that new collectors give.
    #[serde(skip)]
    pub(crate) begun_anew: bool,
}

impl NodeMemory {
    /// How many observations were judged with this memory.
    #[must_use]
    pub fn assessments(&self) -> u64 {
        self.assessments
    }

    /// Whether it is confirmed that the node cannot be reached. What failed once or twice is not.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        let reachable = self.checks.iter().find(|entry| entry.kind == CheckKind::Reachable);
        reachable.is_some_and(|entry| entry.state.hard() == Status::Critical)
    }

    /// Whether a training job runs on the node, as last known.
    #[must_use]
    pub fn active(&self) -> bool {
        self.verdict.active.unwrap_or(false)
    }

    /// Says what the node is known to consist of: having less is a finding. What is not said is not
    /// asked.
    pub fn expect(&mut self, expected: ExpectedHardware) {
        self.facts.expected = expected;
    }

    /// Says how the node and its GPUs compare with their peers: each that was compared, whether it
    /// departs or not. Who is not named has nobody to be compared with, and its finding ends. What is
    /// said holds for a window ([`OutlierPolicy::window`](crate::OutlierPolicy::window)) and counts
    /// once towards confirmation; it ends with the job in any case.
    pub fn compare(&mut self, at: Timestamp, mut compared: Vec<PeerComparison>) {
        compared.sort_by_key(|it| it.gpu);
        compared.dedup_by_key(|it| it.gpu);
        compared.truncate(MAX_GPUS + 1);
        self.facts.compared = compared;
        self.facts.compared_at = Some(at);
        self.facts.compared_anew = true;
    }

    /// The collectors that give the next observation were just made (the observer was started again,
    /// its configuration changed): rates, which need two looks, are not in it, and that is no sign
    /// of anything. What was known of them stands for that one look.
    pub fn collectors_begin_anew(&mut self) {
        self.begun_anew = true;
    }
}

/// What is remembered of one check of one instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckMemory {
    pub(crate) kind: CheckKind,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(crate) instance: Box<str>,
    /// The probe that fed it last.
    pub(crate) probe: ProbeSlot,
    #[serde(default)]
    pub(crate) state: StateMemory,
    #[serde(default)]
    pub(crate) threshold: ThresholdState,
    /// The status shown last, and since when.
    pub(crate) shown: Status,
    pub(crate) since: Timestamp,
    /// When it first became a problem; none while it is well, or of which nothing else is known than
    /// that it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem_since: Option<Timestamp>,
    /// The confirmed status that the last event told of.
    pub(crate) announced: Status,
    /// The assessment in which it was last answered, by readings or for lack of them.
    pub(crate) judged: u64,
    /// The assessment in which readings last answered it.
    pub(crate) delivered: u64,
    /// A fact that the check keeps (a link that was seen up).
    #[serde(default)]
    pub(crate) noted: bool,
    /// The last answer, unless healthy: repeated while its probe is not asked anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standing: Option<Box<Standing>>,
}

impl CheckMemory {
    /// Since when it is a problem, given what is shown of it: a change of the status begins no new
    /// one, nor does a time in which it is unknown. Never in the future, if the clock was set back.
    pub(crate) fn problem_since(&mut self, now: Timestamp) -> Timestamp {
        self.problem_since = match self.shown {
            Status::Healthy => None,
            Status::Unknown => self.problem_since,
            _ => Some(self.problem_since.unwrap_or(self.since)),
        };
        self.problem_since = self.problem_since.map(|since| since.min(now));
        self.problem_since.unwrap_or(self.since)
    }
}

/// What checks remember beyond their own result.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeFacts {
    /// What the node is known to consist of.
    pub(crate) expected: ExpectedHardware,
    pub(crate) cpu: MeanWindow,
    pub(crate) pressure_cpu: MeanWindow,
    pub(crate) pressure_io: MeanWindow,
    /// The kernel's count of processes killed for lack of memory.
    pub(crate) oom_kills: Option<f64>,
    /// When that count last grew.
    pub(crate) oom_grew_at: Option<Timestamp>,
    /// The sensor that the temperature finding is about.
    pub(crate) hot_sensor: Option<String>,
    /// Processes in state D, and in how many scans in a row.
    pub(crate) blocked: Vec<BlockedProcess>,
    /// Every GPU that ever answered.
    pub(crate) gpus: Vec<GpuMemory>,
    /// The faults that the kernel reported.
    pub(crate) faults: Faults,
    /// Every port of an InfiniBand or RoCE adapter that was ever seen.
    pub(crate) ports: Vec<PortMemory>,
    /// Addresses of the devices on PCIe that are there.
    pub(crate) pci_devices: Vec<Box<str>>,
    /// By how much counters of errors grew lately.
    pub(crate) growths: Growths,
    /// The boots that were seen.
    pub(crate) boots: Boots,
    /// How much memory the node had.
    pub(crate) memory: Option<LearnedMemory>,
    /// Which NVMe disks the node had.
    pub(crate) disks: LearnedDisks,
    /// How the node and its GPUs were last compared with their peers, and when.
    pub(crate) compared: Vec<PeerComparison>,
    pub(crate) compared_at: Option<Timestamp>,
    /// Whether that is yet to be judged.
    #[serde(skip)]
    pub(crate) compared_anew: bool,
    /// Whether GPU drivers answered and how many GPUs with them, for readiness.
    #[serde(skip)]
    pub(crate) answering_gpus: u32,
}

/// The adapter of a port (`mlx5_0` of `mlx5_0/1`); an adapter is its own.
pub(crate) fn adapter_of(port: &str) -> &str {
    port.split_once('/').map_or(port, |(adapter, _)| adapter)
}

/// A port of an InfiniBand or RoCE adapter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PortMemory {
    /// Adapter and port: `mlx5_0/1`.
    pub(crate) name: String,
    /// Whether it was ever active.
    pub(crate) was_active: bool,
    /// Since when it is not active.
    pub(crate) down_since: Option<Timestamp>,
    /// When it came back after it was down for a while, the newest last.
    pub(crate) flaps: Vec<Timestamp>,
    /// Since when it is not there.
    pub(crate) gone_since: Option<Timestamp>,
    /// The highest rate at which it ran, in bytes per second; 0 where none is known.
    pub(crate) rate: f64,
    /// Since when it runs slower.
    pub(crate) slower_since: Option<Timestamp>,
}

/// The boots of a node that were seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Boots {
    /// Of the boot that runs.
    pub(crate) boot_id: String,
    /// When another one was first seen, the newest last.
    pub(crate) seen: Vec<Timestamp>,
}

/// How much memory a node had.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LearnedMemory {
    pub(crate) bytes: f64,
    /// Of the boot in which that was so.
    pub(crate) boot_id: String,
    /// Since when it has less.
    #[serde(default)]
    pub(crate) less_since: Option<Timestamp>,
}

/// Which disks a node had, by what they are: names change from boot to boot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LearnedDisks {
    /// Each kind with how many there were; at most [`MAX_DISK_KINDS`].
    pub(crate) kinds: Vec<(String, u32)>,
    /// Since when there are fewer of any.
    pub(crate) fewer_since: Option<Timestamp>,
    /// The models and sizes that the kinds were last counted of: nothing is counted again while they
    /// are the same.
    #[serde(skip)]
    pub(crate) counted: Option<Vec<(String, u64)>>,
}

/// How a node or one of its GPUs compares with its peers: what the check for stragglers is
/// answered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerComparison {
    /// The driver's index; none for the node itself.
    pub gpu: Option<u16>,
    /// What its departures look like; none if it keeps up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// By what it departs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub departures: Vec<Departure>,
    /// Share of the looks at which it slowed itself down, 0 to 100.
    #[serde(default)]
    pub throttled_percent: f64,
}

/// A process in uninterruptible sleep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BlockedProcess {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) scans: u32,
}

/// A GPU that answered once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GpuMemory {
    /// UUID, else PCI address, else index.
    pub(crate) key: String,
    pub(crate) index: u32,
    pub(crate) vendor: GpuVendor,
    pub(crate) model: String,
    /// Where it was last seen on the bus: the kernel names it so.
    #[serde(default)]
    pub(crate) pci_address: String,
    /// The card's own limits: constants of the card, kept for when they cannot be read.
    #[serde(default)]
    pub(crate) slowdown_limit: Option<f64>,
    #[serde(default)]
    pub(crate) shutdown_limit: Option<f64>,
    #[serde(default)]
    pub(crate) margin_limit: Option<f64>,
    /// The most NVLinks that were ever active.
    #[serde(default)]
    pub(crate) most_links: f64,
    /// Since when it claims to be busy at idle power.
    #[serde(default)]
    pub(crate) hang_since: Option<Timestamp>,
    /// In which minutes the hardware slowed it down.
    #[serde(default)]
    pub(crate) slowed: MinuteMarks,
    /// Since when it is busy over a PCIe link that is slower than it could be.
    #[serde(default)]
    pub(crate) slow_link_since: Option<Timestamp>,
    /// Since when it does not answer.
    #[serde(default)]
    pub(crate) missing_since: Option<Timestamp>,
    /// Whether it was ever missing: its return is then confirmed like any recovery.
    #[serde(default)]
    pub(crate) was_missing: bool,
    #[serde(default)]
    pub(crate) level: Option<Level>,
    #[serde(default)]
    pub(crate) level_since: Timestamp,
}

/// What transitions are told from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VerdictMemory {
    /// The level that was last told; what is shown may differ while nothing is told (a node that
    /// flaps, or that is excused).
    pub(crate) level: Option<Level>,
    /// The level that is shown; none in a memory of before there was a difference.
    pub(crate) shown: Option<Level>,
    /// Since when that one is what it is.
    pub(crate) level_since: Timestamp,
    /// When the node was last reached.
    pub(crate) heard_at: Option<Timestamp>,
    /// Not healthy since the last recovery.
    pub(crate) troubled: bool,
    /// Healthy assessments in a row.
    pub(crate) well_streak: u32,
    pub(crate) ready: Option<bool>,
    /// Since when readiness waits for probes that have not reported yet.
    pub(crate) ready_awaited_since: Option<Timestamp>,
    pub(crate) active: Option<bool>,
    pub(crate) boot_id: String,
    /// Names of the devices last seen, each list once its probe answered.
    pub(crate) gpus: Option<Vec<String>>,
    pub(crate) interfaces: Option<Vec<String>>,
    pub(crate) disks: Option<Vec<String>>,
}
