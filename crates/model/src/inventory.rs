//! What a node consists of: the facts beside the numbers. Changes rarely.

use serde::{Deserialize, Serialize};

/// What a node consists of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// The machine and its system.
    pub host: HostFacts,
    /// GPUs, by the driver's index.
    pub gpus: Vec<GpuDevice>,
    /// Mounted filesystems that hold data (no pseudo filesystems), by mount point.
    pub filesystems: Vec<Filesystem>,
    /// Block devices (no partitions, no loop or RAM devices).
    pub disks: Vec<BlockDevice>,
    /// Network interfaces, loopback excluded.
    pub interfaces: Vec<NetworkInterface>,
}

/// The machine and its system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Host name as the kernel has it, made printable.
    pub hostname: String,
    /// `PRETTY_NAME` of os-release.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture.
    pub architecture: String,
    /// CPU model.
    pub cpu_model: String,
    /// Logical CPUs online.
    pub cpu_count: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Kernel's boot id: another one means that the machine was rebooted.
    pub boot_id: String,
    /// `kvm`, `docker`, … where the machine is virtual or a container; empty on bare metal.
    pub virtualization: String,
    /// The default gateway's address, if there is one.
    pub default_gateway: Option<String>,
}

/// Who made a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuVendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
}

/// Whether a GPU is still there for its driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuCondition {
    /// It answers; single readings may still be refused.
    #[default]
    Answering,
    /// The driver says that it must be reset before it can be used again.
    ResetRequired,
    /// The driver lists it and gets no answer from it: it fell off the bus or became inaccessible.
    Lost,
    /// It was listed before and is listed no more; what is said of it is what was known last.
    Missing,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuDevice {
    /// The driver's index.
    pub index: u32,
    /// Who made it.
    pub vendor: GpuVendor,
    /// Unique id that survives renumbering; empty where the driver gives none.
    #[serde(default)]
    pub uuid: String,
    /// Model name.
    #[serde(default)]
    pub model: String,
    /// Board serial number; empty where there is none.
    #[serde(default)]
    pub serial: String,
    /// PCI address, `0000:17:00.0`.
    #[serde(default)]
    pub pci_address: String,
    /// Driver version.
    #[serde(default)]
    pub driver_version: String,
    /// VBIOS version.
    #[serde(default)]
    pub vbios_version: String,
    /// Memory, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Whether MIG is on.
    #[serde(default)]
    pub mig_enabled: bool,
    /// Whether it is still there for its driver.
    #[serde(default)]
    pub condition: GpuCondition,
    /// What the driver refused to say about this GPU, and why; readings that are simply not
    /// supported by the model are not listed.
    #[serde(default)]
    pub unreadable: Vec<String>,
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Where it is mounted.
    pub mount_point: String,
    /// Kernel type (`ext4`, `nfs4`).
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Whether it is reached over a network or through a user-space daemon, so that asking can hang.
    pub remote: bool,
    /// Mounted read-only.
    pub read_only: bool,
    /// Whether it is meant to be read-only (squashfs, iso9660, mounted so from the start).
    #[serde(default)]
    pub read_only_by_design: bool,
    /// Set when it did not answer: since how many milliseconds, or why not.
    #[serde(default)]
    pub unanswered: Option<String>,
}

/// A block device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// Kernel name (`nvme0n1`).
    pub name: String,
    /// Model, where known.
    #[serde(default)]
    pub model: String,
    /// Size, in bytes.
    #[serde(default)]
    pub size_bytes: u64,
    /// Whether it spins.
    #[serde(default)]
    pub rotational: bool,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Name.
    pub name: String,
    /// `up`, `down`, `unknown`, … as the kernel has it.
    #[serde(default)]
    pub operational_state: String,
    /// Whether a device stands behind it (not a bridge, tunnel or pair).
    #[serde(default)]
    pub physical: bool,
    /// Whether the administrator has it up: only then is a missing carrier worth a word.
    #[serde(default)]
    pub administratively_up: bool,
    /// Whether the default route leaves through it.
    #[serde(default)]
    pub default_route: bool,
}
