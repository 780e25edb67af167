//! What can be wrong with a machine, in the words of those who run them, and what names it.
//!
//! This table is the only place where a truth meets the product: which of its findings name a
//! problem. Where the product finds a problem by another check, it stands here, and no scenario
//! changes.

use serde::Deserialize;
use sickbay_engine::Assessment;
use sickbay_model::CheckResult;

macro_rules! problems {
    ($( $(#[doc = $help:literal])+ $variant:ident: [$($check:literal),*] [$($code:literal),*]; )*) => {
        /// A problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Problem { $( $(#[doc = $help])+ $variant, )* }

        impl Problem {
            /// Checks whose findings name it, and fault codes (a `*` at the end stands for anything)
            /// that do where a finding is of a fault of the catalogue.
            const fn named_by(self) -> (&'static [&'static str], &'static [&'static str]) {
                match self { $( Self::$variant => (&[$($check),*], &[$($code),*]), )* }
            }

            /// All of them with what they mean.
            pub const ALL: &[(Self, &'static str)] = &[ $( (Self::$variant, concat!($($help),+)), )* ];
        }
    };
}

problems! {
    /// The driver lost a GPU: reads over PCI Express return nothing.
    GpuOffBus: ["gpu_missing", "gpu_answers", "gpu_count"] ["xid-79", "nvrm-gpu-lost*", "gpu-off-bus*"];
    /// Memory of a GPU that ECC cannot correct.
    GpuMemoryUncorrectable: ["gpu_ecc", "gpu_ecc_sram"] ["xid-48", "xid-94", "xid-95", "xid-140", "xid-171", "xid-172", "amdgpu-ras*", "amdgpu-uncorrect*", "amdgpu-ecc*"];
    /// Memory of a GPU that ECC corrects more and more often.
    GpuMemoryCorrected: ["gpu_ecc_corrected"] ["xid-92"];
    /// A bad row of a GPU's memory waits for a reset.
    RowRemapPending: ["gpu_row_remap", "gpu_recovery_action"] ["xid-63"];
    /// A bad row of a GPU's memory could not be replaced.
    RowRemapFailed: ["gpu_row_remap_failed"] ["xid-64"];
    /// A GPU must be reset before it works again.
    GpuNeedsReset: ["gpu_answers", "gpu_recovery_action"] ["xid-38", "xid-46", "xid-61", "xid-62", "xid-95", "xid-109", "xid-110", "xid-119", "xid-120", "xid-136", "xid-140", "xid-143", "xid-154", "xid-155", "xid-156", "xid-158", "xid-166", "xid-167", "xid-169"];
    /// Only a reboot brings a GPU back.
    GpuNeedsReboot: ["gpu_recovery_action"] ["xid-79", "xid-81", "xid-151", "xid-154", "xid-168"];
    /// The GPU driver does not answer, and who asks it hangs.
    GpuDriverHung: ["gpu_driver", "process_blocked"] ["xid-119", "xid-120", "nvrm-rpc*", "hung-task*"];
    /// The GPU driver is not loaded, or not the right one.
    GpuDriverFailed: ["gpu_driver"] ["nvrm-*", "xid-122", "xid-123", "nvidia-*", "gpu-init*"];
    /// A GPU that was there is not any more.
    GpuMissing: ["gpu_missing", "gpu_count", "hardware_changed"] ["xid-79"];
    /// Too hot.
    Overheating: ["gpu_temperature", "gpu_temperature_margin", "temperature"] ["cpu-thermal*", "thermal*", "amdgpu-therm*", "nvme-temp*", "xid-60", "mlx5-temp*", "mlx5-high-temp*"];
    /// The hardware slows a GPU down.
    Throttling: ["gpu_throttle"] [];
    /// Power of a GPU or a machine.
    Power: ["gpu_throttle"] ["xid-54", "power*", "mlx5-power*"];
    /// A link between GPUs is down.
    NvlinkDown: ["gpu_nvlink", "gpu_nvlink_errors"] ["xid-74", "xid-144*", "xid-145*", "xid-146*", "xid-147*", "xid-148*", "xid-149*", "xid-150*", "xid-155", "sxid-*"];
    /// A link between GPUs makes errors.
    NvlinkErrors: ["gpu_nvlink_errors", "gpu_nvlink"] ["xid-74", "xid-144*", "xid-145*", "xid-146*", "xid-147*", "xid-148*", "xid-149*", "xid-150*"];
    /// The switches between GPUs, or what manages them.
    FabricFault: [] ["sxid-*", "xid-137", "fabric*", "nvswitch*"];
    /// A PCI Express link is narrower or slower than it should be.
    PcieDegraded: ["gpu_pcie_width", "gpu_pcie_generation", "pcie_link", "pcie_width"] ["pcie-bandwidth*", "pcie-degraded*", "pcie-link*", "aer-*"];
    /// A PCI Express link makes errors.
    PcieErrors: ["pcie_errors", "gpu_pcie_replay"] ["aer-*", "pcie-*"];
    /// An InfiniBand or RoCE port is down, or goes down and up.
    IbLinkDown: ["infiniband_link"] ["mlx5-link*", "mlx5-port*", "ib-link*", "mlx5-cable*", "mlx5-module*"];
    /// A port whose rate is below its peers'.
    IbDegraded: ["infiniband_link", "infiniband_rate"] [];
    /// A port makes errors.
    IbErrors: ["infiniband_errors", "infiniband_link"] [];
    /// A network adapter fails.
    NicFault: ["infiniband_link", "hardware_changed", "interface_link"] ["mlx5-*", "nic-*", "netdev-*", "ice-*", "bnxt-*", "i40e-*", "ixgbe-*", "net-*", "tx-timeout*"];
    /// A network interface lost its link.
    NetLinkDown: ["interface_link", "default_route"] ["mlx5-link*", "nic-link*", "link-down*"];
    /// A network interface makes errors or drops.
    NetErrors: ["interface_errors", "interface_drops"] [];
    /// Answers take too long to come.
    Latency: ["latency", "latency_loss"] [];
    /// A disk fails.
    DiskFailing: ["disk_io"] ["nvme-*", "ata-*", "scsi-*", "medium-error*", "disk-*", "blk-*", "block-*", "io-error*", "buffer-io*", "md-*", "raid-*", "sd-*"];
    /// A filesystem found itself broken.
    FilesystemError: ["filesystem_read_only"] ["ext4-*", "xfs-*", "btrfs-*", "zfs-*", "fs-*", "filesystem-*", "jbd2-*", "remount*"];
    /// A filesystem that should be writable is not.
    ReadOnly: ["filesystem_read_only"] ["ext4-*", "remount*", "fs-*", "btrfs-*", "filesystem-*", "xfs-*"];
    /// A filesystem over a network does not answer.
    StuckMount: ["filesystem_answers"] ["nfs-*", "lustre-*", "mount-*", "ceph-*", "beegfs-*", "gpfs-*"];
    /// A filesystem is full.
    DiskFull: ["filesystem_space"] [];
    /// A filesystem has no inodes left.
    InodesFull: ["filesystem_inodes"] [];
    /// The kernel kills processes for lack of memory.
    Oom: ["oom_kills"] ["oom-*", "oom*", "memory-cgroup*"];
    /// There is too little memory.
    MemoryShort: ["memory", "swap", "pressure_memory"] [];
    /// The host's memory is broken.
    HostMemoryError: ["memory_errors"] ["mce-*", "edac-*", "memory-*", "hwpoison*", "ghes-*", "apei-*", "hardware-error*"];
    /// A processor of the host is broken or stuck.
    CpuFault: [] ["mce-*", "mce*", "soft-lockup*", "hard-lockup*", "rcu-stall*", "cpu-*", "nmi-*", "hardware-error*", "softlockup*", "apei-*", "ghes-*"];
    /// The processors have too much to do.
    CpuOverload: ["cpu", "pressure_cpu"] [];
    /// Tasks wait for disks.
    IoStall: ["pressure_io"] [];
    /// The kernel made a mistake.
    KernelFault: [] ["oops*", "panic*", "kernel-*", "bug-*", "gpf*", "general-protection*", "page-fault*", "soft-lockup*", "rcu-stall*", "watchdog*", "list-corruption*"];
    /// A task waits for ever.
    HungTask: ["process_blocked"] ["hung-task*"];
    /// A job is busy and makes no progress.
    JobStalled: ["gpu_activity"] [];
    /// Something that the machine had, or that its like have, is not there.
    HardwareMissing: ["hardware_changed", "memory_size", "gpu_count", "gpu_missing", "gpu_model"] [];
    /// An application did something wrong on a GPU.
    ApplicationError: [] ["xid-6", "xid-8", "xid-13", "xid-31", "xid-32", "xid-43", "xid-45", "xid-68", "xid-69", "xid-94"];
    /// Something is not told any more that was told before.
    TelemetryLost: ["gpu_driver", "probe_parts", "gpu_answers"] [];
    /// The machine cannot be reached.
    Unreachable: ["reachable"] [];
    /// The machine was booted though nobody planned it, or too often.
    Reboot: ["reboots"] [];
    /// File handles run out.
    FileHandles: ["file_handles"] [];
    /// Processes that ended are not taken away.
    Zombies: ["process_zombies"] [];
    /// A process that should run does not.
    ProcessMissing: ["process_expected"] [];
    /// Memory of a GPU is held by nobody.
    GpuMemoryHeld: ["gpu_memory"] [];
}

/// Checks that speak of any fault of the catalogue.
const FAULT_CHECKS: [&str; 3] = ["gpu_fault", "kernel_fault", "network_fault"];

/// The fault codes that a finding tells of.
fn codes(finding: &CheckResult) -> Vec<String> {
    let mut texts = vec![finding.instance.to_string()];
    for evidence in &finding.evidence {
        texts.push(evidence.what.to_string());
        texts.push(evidence.value.clone());
    }
    let split = |text: &String| -> Vec<String> {
        text.split(|letter: char| {
            letter.is_whitespace() || matches!(letter, ',' | ';' | '(' | ')' | '/')
        })
        .map(|word| word.trim_end_matches([':', '.']).to_ascii_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
    };
    texts.iter().flat_map(split).collect()
}

impl Problem {
    /// Whether a finding names this problem, of whatever device.
    #[must_use]
    pub fn is_named_by(self, finding: &CheckResult) -> bool {
        let (checks, patterns) = self.named_by();
        let check = finding.check.as_str();
        if checks.contains(&check) {
            return true;
        }
        FAULT_CHECKS.contains(&check)
            && codes(finding).iter().any(|code| {
                patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => code.starts_with(start),
                    None => code == pattern,
                })
            })
    }
}

/// Whether a finding is about a device that has these names. A finding that names no device, and a
/// truth of the machine as a whole, fit any.
#[must_use]
pub(crate) fn is_of_device(finding: &CheckResult, names: &[String]) -> bool {
    if names.iter().all(String::is_empty) {
        return true;
    }
    let instance = finding.instance.to_ascii_lowercase();
    if instance.is_empty() {
        let message = finding.message.to_ascii_lowercase();
        return names
            .iter()
            .filter(|name| name.len() > 2)
            .any(|name| message.contains(&name.to_ascii_lowercase()))
            || !message.contains("gpu ");
    }
    names.iter().any(|name| {
        let name = name.to_ascii_lowercase();
        instance == name
            || instance.split([' ', '/', ',']).any(|word| word == name)
            || (name.len() > 2 && instance.contains(&name))
    })
}

/// The finding that explains this one, as the root of an incident.
#[must_use]
pub(crate) fn root_of<'a>(
    assessment: &'a Assessment,
    finding: &CheckResult,
) -> Option<&'a CheckResult> {
    let is_finding = |place: &usize| {
        let check = assessment.checks.get(*place);
        check.is_some_and(|it| it.check == finding.check && it.instance == finding.instance)
    };
    let mut incidents = assessment.incidents.iter();
    let incident = incidents.find(|incident| incident.evidence.iter().any(is_finding))?;
    assessment.checks.get(incident.root)
}
