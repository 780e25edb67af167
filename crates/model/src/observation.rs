//! What one collection of one node brought back: the engine's input.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::KernelLog;
use crate::frame::{Frame, Series};
use crate::inventory::Inventory;
use crate::resource::ResourceId;
use crate::time::Timestamp;

/// The name of a probe: one thing that is asked of a node and can fail on its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbeId(pub Cow<'static, str>);

impl ProbeId {
    /// A probe known at compile time.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The probes every node is asked, by name.
pub mod probe {
    use super::ProbeId;

    /// A session to the node opens (always, locally).
    pub const REACHABLE: ProbeId = ProbeId::new("reachable");
    /// CPU, load and scheduler counters.
    pub const CPU: ProbeId = ProbeId::new("cpu");
    /// Pressure stall information.
    pub const PRESSURE: ProbeId = ProbeId::new("pressure");
    /// Memory and swap.
    pub const MEMORY: ProbeId = ProbeId::new("memory");
    /// Local filesystems.
    pub const FILESYSTEM: ProbeId = ProbeId::new("filesystem");
    /// Filesystems that are reached over a network, each asked on its own.
    pub const REMOTE_FILESYSTEM: ProbeId = ProbeId::new("remote_filesystem");
    /// Block device counters.
    pub const DISK: ProbeId = ProbeId::new("disk");
    /// Network interfaces and TCP.
    pub const NETWORK: ProbeId = ProbeId::new("network");
    /// Carrier, speed and state of network interfaces.
    pub const NETWORK_LINKS: ProbeId = ProbeId::new("network_links");
    /// Round-trip times.
    pub const LATENCY: ProbeId = ProbeId::new("latency");
    /// Temperature sensors of the host.
    pub const SENSORS: ProbeId = ProbeId::new("sensors");
    /// File handles, uptime, clock, boot id.
    pub const HOST: ProbeId = ProbeId::new("host");
    /// Processes.
    pub const PROCESSES: ProbeId = ProbeId::new("processes");
    /// NVIDIA GPUs through NVML.
    pub const NVIDIA: ProbeId = ProbeId::new("nvidia");
    /// AMD GPUs through sysfs.
    pub const AMD: ProbeId = ProbeId::new("amd");
    /// `import torch`.
    pub const TORCH: ProbeId = ProbeId::new("torch");
    /// The kernel's log.
    pub const KERNEL_LOG: ProbeId = ProbeId::new("kernel_log");
    /// Ports of InfiniBand and RoCE adapters.
    pub const INFINIBAND: ProbeId = ProbeId::new("infiniband");
    /// Links of devices on PCIe and their errors.
    pub const PCIE: ProbeId = ProbeId::new("pcie");

    /// All of them.
    pub const ALL: [ProbeId; 19] = [
        REACHABLE,
        CPU,
        PRESSURE,
        MEMORY,
        FILESYSTEM,
        REMOTE_FILESYSTEM,
        DISK,
        NETWORK,
        NETWORK_LINKS,
        LATENCY,
        SENSORS,
        HOST,
        PROCESSES,
        NVIDIA,
        AMD,
        TORCH,
        KERNEL_LOG,
        INFINIBAND,
        PCIE,
    ];
}

/// What went wrong when asking; drives policy, so it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeErrorKind {
    /// Nothing answered at all.
    Unreachable,
    /// Permission refused.
    Denied,
    /// The other end did not prove to be who it should be (its host key is unknown, or changed).
    Untrusted,
    /// The thing asked for is not there though it should be (a library, a file, a device).
    Absent,
    /// An answer came that makes no sense.
    Malformed,
    /// No answer before the deadline; the probe was killed.
    Late,
    /// An earlier probe of the same kind still hangs, unkillable: nothing new was asked.
    Stuck,
    /// The part asked said that it failed.
    Failed,
}

impl ProbeErrorKind {
    /// The word shown to a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Untrusted => "untrusted",
            Self::Absent => "absent",
            Self::Malformed => "malformed",
            Self::Late => "late",
            Self::Stuck => "stuck",
            Self::Failed => "failed",
        }
    }
}

/// Why a probe has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ProbeError {
    /// What went wrong, for policy.
    pub kind: ProbeErrorKind,
    /// What failed, on what, and why, for a person.
    pub message: String,
    /// What to do about it, where that is known where the failure was seen.
    #[serde(default)]
    pub advice: Option<Advice>,
}

/// What to do, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Advice(pub Cow<'static, str>);

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// It answered.
    Answered,
    /// It answered, but not to everything: which part is missing, and why. The rest counts.
    Partial(ProbeError),
    /// There is nothing to ask on this node (no such hardware, kernel without the feature), and why.
    NotApplicable(Cow<'static, str>),
    /// It failed.
    Failed(ProbeError),
}

/// One probe's end within an observation. A probe on a slow clock that was not due is reported
/// with its last outcome and the time of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Which probe.
    pub probe: ProbeId,
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// What the torch probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorchReport {
    /// Version of torch.
    pub version: String,
    /// Whether torch sees CUDA (or ROCm).
    pub cuda_available: bool,
    /// How many GPUs torch sees.
    pub gpu_count: u32,
    /// The interpreter that was asked.
    pub interpreter: String,
}

/// One process worth naming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// Short name, made printable.
    pub name: String,
    /// Command line, made printable, cut at 256 characters; never holds environment variables.
    #[serde(default)]
    pub command: String,
    /// State letter of the kernel (`R`, `S`, `D`, `Z`, …).
    pub state: char,
    /// Share of one CPU since the previous scan.
    #[serde(default)]
    pub cpu_percent: f64,
    /// Resident memory, in bytes.
    #[serde(default)]
    pub resident_bytes: u64,
    /// GPUs on which it holds a context.
    #[serde(default)]
    pub gpus: Vec<u32>,
    /// Memory it holds on those, in bytes.
    #[serde(default)]
    pub gpu_memory_bytes: u64,
    /// Name of the configured pattern that it matched, if any.
    #[serde(default)]
    pub matched: Option<String>,
}

/// What the process scan found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSummary {
    /// Largest consumers of CPU and memory, most CPU first; bounded.
    pub top: Vec<ProcessInfo>,
    /// In uninterruptible sleep; bounded.
    pub blocked: Vec<ProcessInfo>,
    /// Zombies; bounded.
    pub zombies: Vec<ProcessInfo>,
    /// Training processes: on a GPU or matching a pattern; bounded.
    pub training: Vec<ProcessInfo>,
    /// Patterns from the config marked as expected that no process matched.
    pub missing_patterns: Vec<String>,
    /// How many patterns the config marks as expected.
    pub expected_patterns: u32,
}

/// Everything one collection of one node brought back.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The node.
    pub resource: ResourceId,
    /// When the collection ended, by the hub's wall clock.
    pub at: Timestamp,
    /// The numbers.
    pub frame: Frame,
    /// What the node consists of; shared while it does not change.
    pub inventory: Arc<Inventory>,
    /// How each probe ended.
    pub probes: Vec<ProbeReport>,
    /// Processes, from the last scan.
    pub processes: Arc<ProcessSummary>,
    /// Torch, from the last time it was asked.
    pub torch: Option<Arc<TorchReport>>,
    /// What was read of the kernel's log in this collection; none where nothing was read.
    pub kernel_log: Option<Arc<KernelLog>>,
    /// How many readings were refused because they cannot be true.
    pub refused_readings: u32,
    /// Which they were, as far as they are named; bounded by [`crate::FrameBuilder::MAX_REFUSED`].
    pub refused: Vec<Series>,
    /// CPU time that the collection cost, children included, where it is known.
    pub cost: Duration,
}

impl Observation {
    /// The report of a probe.
    #[must_use]
    pub fn probe(&self, id: &ProbeId) -> Option<&ProbeReport> {
        self.probes.iter().find(|report| report.probe == *id)
    }
}
