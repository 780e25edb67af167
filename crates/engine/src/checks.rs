//! Every check, in one list; one file per area.
//!
//! To add a check: a line in `check_kinds!`, a function in its area's file, and, if the area is new,
//! a line in [`ALL`]. A check says what the readings show *now*; confirming, holding and damping are
//! [`crate::judge`]'s. A check never turns a missing reading into a good answer: it gives none, and
//! the judge finds out what stopped coming.

use sickbay_model::{CheckId, Component};

use crate::input::{Input, ProbeSlot};
use crate::judge::Judge;
use crate::memory::NodeFacts;
use crate::policy::{Direction, Policy, Threshold};

mod collection;
mod expected;
mod file_servers;
mod filesystem;
mod gpu;
mod gpu_errors;
mod gpu_growth;
mod gpu_presence;
mod growth;
mod infiniband;
mod kernel_faults;
mod memory;
mod network;
mod past;
mod pcie;
mod process;
mod refused;
mod straggler;
mod system;

pub(crate) use collection::reachable;
pub(crate) use expected::{gpus as expected_gpus, is_asked};
pub(crate) use gpu_presence::key as gpu_key;
pub(crate) use past::{DISKS, MEMORY};
pub(crate) use process::any_expected;

/// A check of an area: reads the input, remembers in the facts, answers to the judge.
pub(crate) type CheckFn = fn(&Input<'_>, &mut NodeFacts, &mut Judge<'_>);

/// Every check, in the order in which they are answered and, among equals, shown.
pub(crate) const ALL: &[CheckFn] = &[
    reachable,
    past::reboots,
    memory::oom_kills,
    system::cpu,
    memory::memory,
    expected::memory_size,
    past::memory,
    past::disks,
    memory::swap,
    memory::hardware_errors,
    system::pressure,
    filesystem::filesystems,
    system::file_handles,
    system::temperature,
    system::disks,
    network::latency,
    network::interfaces,
    network::default_route,
    infiniband::ports,
    pcie::devices,
    process::expected,
    process::blocked,
    process::zombies,
    gpu_presence::drivers,
    gpu_presence::missing,
    expected::gpu_count,
    expected::gpu_model,
    gpu::gpus,
    kernel_faults::kernel_faults,
    straggler::stragglers,
    refused::refused,
    collection::unanswered,
];

/// What the instances of a check are, which decides when one that is not seen any more is gone for
/// good and when it is only not heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One per node.
    Node,
    /// A mount point in the inventory.
    Filesystem,
    /// An interface in the inventory.
    Interface,
    /// Something that the inventory does not list (latency targets).
    Unlisted,
    /// Something that is over when it is not said any more.
    Passing,
    /// A port of an adapter that is there.
    Port,
    /// A device on PCIe that is there.
    PciDevice,
    /// A GPU's index in the inventory.
    Gpu,
    /// A GPU's index, of something that is over when it is not said any more.
    PassingGpu,
    /// A GPU that was seen before, by its unique key.
    GpuKey,
}

macro_rules! check_kinds {
    ($( $(#[doc = $help:literal])+ $variant:ident = $name:literal, $component:ident, $probe:ident, $scope:ident, $threshold:expr; )*) => {
        /// Which check; serialised by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub(crate) enum CheckKind {
            $( $(#[doc = $help])+ #[serde(rename = $name)] $variant, )*
            /// A check that this version does not know: its memory is dropped.
            #[serde(other, rename = "retired")] Retired,
        }

        impl CheckKind {
            pub(crate) const fn id(self) -> CheckId {
                CheckId::new(self.name())
            }

            pub(crate) const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* Self::Retired => "retired" }
            }

            pub(crate) const fn component(self) -> Component {
                match self {
                    $( Self::$variant => Component::$component, )*
                    Self::Retired => Component::System,
                }
            }

            /// The probe that feeds it, unless it is told otherwise (remote mounts, AMD cards).
            pub(crate) const fn probe(self) -> ProbeSlot {
                match self {
                    $( Self::$variant => ProbeSlot::$probe, )*
                    Self::Retired => ProbeSlot::HOST,
                }
            }

            pub(crate) const fn scope(self) -> Scope {
                match self { $( Self::$variant => Scope::$scope, )* Self::Retired => Scope::Node }
            }

            /// Its threshold in a policy, if it has one.
            pub(crate) fn threshold(self, policy: &Policy) -> Option<Threshold> {
                let pick: Option<fn(&Policy) -> Threshold> = match self {
                    $( Self::$variant => $threshold, )*
                    Self::Retired => None,
                };
                pick.map(|pick| pick(policy))
            }
        }

        /// The checks of a node and of its GPUs.
        pub const CATALOGUE: &[CheckDef] = &[ $( CheckDef {
            id: CheckId::new($name),
            component: Component::$component,
            help: concat!($($help),+),
        }, )* ];

        /// The direction of a check's threshold, if there is a check of this name with a threshold.
        pub(crate) fn threshold_direction(check: &str) -> Option<Direction> {
            let kind = match check { $( $name => CheckKind::$variant, )* _ => return None };
            kind.threshold(&Policy::default()).map(|threshold| threshold.direction)
        }
    };
}

/// One entry of the list of checks: for the reference and for completions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckDef {
    /// Its name.
    pub id: CheckId,
    /// The part of the score it belongs to.
    pub component: Component,
    /// What it asks, in one sentence.
    pub help: &'static str,
}

check_kinds! {
    /// A session to the node opens.
    Reachable = "reachable", Network, REACHABLE, Node, None;
    /// CPU use, mean over five minutes; context while a job runs and nothing stalls.
    Cpu = "cpu", System, CPU, Node, Some(|p| p.thresholds.cpu_used);
    /// Memory use; context while a job runs and nothing stalls.
    Memory = "memory", System, MEMORY, Node, Some(|p| p.thresholds.memory_used);
    /// The node has as much memory as is expected of it.
    MemorySize = "memory_size", System, MEMORY, Node, None;
    /// Swap use.
    Swap = "swap", System, MEMORY, Node, Some(|p| p.thresholds.swap_used);
    /// The kernel had to kill processes for lack of memory.
    OomKills = "oom_kills", System, MEMORY, Node, None;
    /// Memory errors that could not be corrected, or are corrected ever more often (EDAC).
    MemoryErrors = "memory_errors", System, MEMORY, Node, None;
    /// Tasks wait for CPU.
    PressureCpu = "pressure_cpu", System, PRESSURE, Node, Some(|p| p.thresholds.pressure_cpu);
    /// All tasks wait for memory.
    PressureMemory = "pressure_memory", System, PRESSURE, Node, Some(|p| p.thresholds.pressure_memory);
    /// All tasks wait for disks.
    PressureIo = "pressure_io", System, PRESSURE, Node, Some(|p| p.thresholds.pressure_io);
    /// Space used on a filesystem.
    FilesystemSpace = "filesystem_space", System, FILESYSTEM, Filesystem, Some(|p| p.thresholds.filesystem_space);
    /// Inodes used on a filesystem.
    FilesystemInodes = "filesystem_inodes", System, FILESYSTEM, Filesystem, Some(|p| p.thresholds.filesystem_inodes);
    /// A filesystem that should be writable is.
    FilesystemReadOnly = "filesystem_read_only", System, FILESYSTEM, Filesystem, None;
    /// A mount that is reached over a network answers.
    FilesystemAnswers = "filesystem_answers", System, REMOTE_FILESYSTEM, Filesystem, None;
    /// File handles used of the system's limit.
    FileHandles = "file_handles", System, HOST, Node, Some(|p| p.thresholds.file_handles);
    /// Degrees that the hottest sensor has left until its own critical limit.
    Temperature = "temperature", System, SENSORS, Node, Some(|p| p.thresholds.sensor_headroom);
    /// Disk counters are read; latency and use are information.
    DiskIo = "disk_io", System, DISK, Node, None;
    /// Median round trip to a target.
    Latency = "latency", Network, LATENCY, Unlisted, Some(|p| p.thresholds.latency);
    /// Unanswered round trips to a target.
    LatencyLoss = "latency_loss", Network, LATENCY, Unlisted, Some(|p| p.thresholds.latency_loss);
    /// An interface that is up and had a link still has it.
    InterfaceLink = "interface_link", Network, NETWORK, Interface, None;
    /// Packets with errors.
    InterfaceErrors = "interface_errors", Network, NETWORK, Interface, Some(|p| p.thresholds.interface_errors);
    /// Packets dropped.
    InterfaceDrops = "interface_drops", Network, NETWORK, Interface, Some(|p| p.thresholds.interface_drops);
    /// There is a default route as before, and its interface has a link.
    DefaultRoute = "default_route", Network, NETWORK, Node, None;
    /// A port of an InfiniBand or RoCE adapter that was active still is, and stays so.
    InfinibandLink = "infiniband_link", Network, INFINIBAND, Port, None;
    /// A port runs as fast as those of the same kind, and as it did before.
    InfinibandRate = "infiniband_rate", Network, INFINIBAND, Port, None;
    /// The error counters of a port stand still.
    InfinibandErrors = "infiniband_errors", Network, INFINIBAND, Port, None;
    /// The PCIe link of a network adapter or an NVMe disk is as wide and fast as it can be.
    PcieLink = "pcie_link", System, PCIE, PciDevice, None;
    /// The PCIe link of a device makes hardly any errors.
    PcieErrors = "pcie_errors", System, PCIE, PciDevice, None;
    /// What the node had is there: memory, network adapters, NVMe disks.
    HardwareChanged = "hardware_changed", System, HOST, Passing, None;
    /// The node was not booted lately, nor again and again.
    Reboots = "reboots", System, HOST, Node, None;
    /// The processes that the config expects are there.
    ProcessExpected = "process_expected", Process, PROCESSES, Node, None;
    /// No process stays in uninterruptible sleep.
    ProcessBlocked = "process_blocked", Process, PROCESSES, Node, None;
    /// Zombie processes.
    ProcessZombies = "process_zombies", Process, PROCESSES, Node, Some(|p| p.thresholds.zombies);
    /// The GPU driver answers.
    GpuDriver = "gpu_driver", Gpu, NVIDIA, Unlisted, None;
    /// A GPU that answered before is gone.
    GpuMissing = "gpu_missing", Gpu, NVIDIA, GpuKey, None;
    /// As many GPUs answer as are expected of the node.
    GpuCount = "gpu_count", Gpu, NVIDIA, Node, None;
    /// The GPU is of the expected model.
    GpuModel = "gpu_model", Gpu, NVIDIA, Gpu, None;
    /// A GPU that the driver lists answers.
    GpuAnswers = "gpu_answers", Gpu, NVIDIA, Gpu, None;
    /// Degrees left until the card slows down (T.Limit margin).
    GpuTemperatureMargin = "gpu_temperature_margin", Gpu, NVIDIA, Gpu, None;
    /// Temperature against the card's own limits, or 85/92 °C where it tells none.
    GpuTemperature = "gpu_temperature", Gpu, NVIDIA, Gpu, Some(|p| p.thresholds.gpu_temperature);
    /// The card slows itself down for heat or power supply.
    GpuThrottle = "gpu_throttle", Gpu, NVIDIA, Gpu, None;
    /// Memory errors that ECC could not correct since the driver was loaded.
    GpuEcc = "gpu_ecc", Gpu, NVIDIA, Gpu, None;
    /// Errors of the card's SRAM below its maker's threshold for replacement.
    GpuEccSram = "gpu_ecc_sram", Gpu, NVIDIA, Gpu, None;
    /// Memory errors that ECC corrects do not come in number.
    GpuEccCorrected = "gpu_ecc_corrected", Gpu, NVIDIA, Gpu, None;
    /// Memory rows that could not be remapped.
    GpuRowRemapFailed = "gpu_row_remap_failed", Gpu, NVIDIA, Gpu, None;
    /// Memory rows that wait for a reset to be remapped.
    GpuRowRemap = "gpu_row_remap", Gpu, NVIDIA, Gpu, None;
    /// The PCIe link has all its lanes.
    GpuPcieWidth = "gpu_pcie_width", Gpu, NVIDIA, Gpu, None;
    /// The PCIe link of a busy card runs at its full speed.
    GpuPcieGeneration = "gpu_pcie_generation", Gpu, NVIDIA, Gpu, None;
    /// Packets on the PCIe link are sent again no more often than its speed explains.
    GpuPcieReplay = "gpu_pcie_replay", Gpu, NVIDIA, Gpu, None;
    /// Card memory used while no job is on the card.
    GpuMemory = "gpu_memory", Gpu, NVIDIA, Gpu, Some(|p| p.thresholds.gpu_memory_used);
    /// A card that says it is busy draws power like one.
    GpuActivity = "gpu_activity", Gpu, NVIDIA, Gpu, None;
    /// The links that the card's peers have are active.
    GpuNvlink = "gpu_nvlink", Gpu, NVIDIA, Gpu, None;
    /// The card's NVLinks do not make errors in number.
    GpuNvlinkErrors = "gpu_nvlink_errors", Gpu, NVIDIA, Gpu, None;
    /// The driver asks for no recovery action.
    GpuRecoveryAction = "gpu_recovery_action", Gpu, NVIDIA, Gpu, None;
    /// The kernel reported no fault of a GPU, or it is over.
    GpuFault = "gpu_fault", Gpu, KERNEL_LOG, Passing, None;
    /// The kernel reported no fault of the host's parts or of itself, or it is over.
    KernelFault = "kernel_fault", System, KERNEL_LOG, Passing, None;
    /// The kernel reported no fault of a network adapter, or it is over.
    NetworkFault = "network_fault", Network, KERNEL_LOG, Passing, None;
    /// A GPU does as much as its peers in the same job.
    GpuStraggler = "gpu_straggler", Gpu, NVIDIA, PassingGpu, None;
    /// A node does as much as its peers in the same job.
    Straggler = "straggler", Process, PROCESSES, Passing, None;
    /// A probe answers to everything it asks.
    ProbeParts = "probe_parts", System, HOST, Passing, None;
    /// No reading of the node had to be refused because it cannot be true.
    ReadingsRefused = "readings_refused", System, HOST, Passing, None;
    /// No reading of the GPU had to be refused because it cannot be true.
    GpuReadingsRefused = "gpu_readings_refused", Gpu, NVIDIA, Passing, None;
    /// Everything there is to judge was judged.
    JudgementLimit = "judgement_limit", System, HOST, Node, None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_survive_serialisation() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|def| def.id.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
        let kind: CheckKind = serde_json::from_str("\"cpu\"").expect("a known check");
        assert_eq!(kind, CheckKind::Cpu);
        let kind: CheckKind = serde_json::from_str("\"of_the_future\"").expect("any name");
        assert_eq!(kind, CheckKind::Retired);
    }

    #[test]
    fn directions_are_found_by_name() {
        assert_eq!(threshold_direction("filesystem_space"), Some(Direction::Above));
        assert_eq!(threshold_direction("temperature"), Some(Direction::Below));
        assert_eq!(threshold_direction("reachable"), None);
        assert_eq!(threshold_direction("nonsense"), None);
    }
}
