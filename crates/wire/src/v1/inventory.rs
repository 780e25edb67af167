//! What a node consists of and what runs on it.

use serde::{Deserialize, Serialize};
use sickbay_model::GpuVendor;
use utoipa::ToSchema;

/// What a node consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InventoryView {
    /// Host name.
    pub hostname: String,
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Architecture.
    pub architecture: String,
    /// CPU model.
    pub cpu_model: String,
    /// Logical CPUs.
    pub cpu_count: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Boot id.
    pub boot_id: String,
    /// What it runs on, if virtual.
    pub virtualization: String,
    /// GPUs.
    pub gpus: Vec<GpuView>,
    /// Filesystems.
    pub filesystems: Vec<FilesystemView>,
    /// Disks: name and model.
    pub disks: Vec<DiskView>,
    /// Interfaces.
    pub interfaces: Vec<InterfaceView>,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuView {
    /// Driver's index.
    pub index: u32,
    /// Maker.
    #[schema(value_type = String)]
    pub vendor: GpuVendor,
    /// Model.
    pub model: String,
    /// Unique id.
    pub uuid: String,
    /// PCI address.
    pub pci_address: String,
    /// Driver version.
    pub driver_version: String,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// One filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilesystemView {
    /// Where it is mounted.
    pub mount_point: String,
    /// Kernel type.
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Reached over a network.
    pub remote: bool,
    /// Mounted read-only.
    pub read_only: bool,
    /// Why it did not answer.
    pub unanswered: Option<String>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskView {
    /// Kernel name.
    pub name: String,
    /// Model.
    pub model: String,
    /// Size, in bytes.
    pub size_bytes: u64,
    /// Whether it spins.
    pub rotational: bool,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InterfaceView {
    /// Name.
    pub name: String,
    /// Kernel's state.
    pub operational_state: String,
    /// A device stands behind it.
    pub physical: bool,
    /// The default route leaves through it.
    pub default_route: bool,
}

/// What the process scan found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessesView {
    /// Largest consumers.
    pub top: Vec<ProcessView>,
    /// In uninterruptible sleep.
    pub blocked: Vec<ProcessView>,
    /// Zombies.
    pub zombies: Vec<ProcessView>,
    /// Training processes.
    pub training: Vec<ProcessView>,
    /// Expected patterns that nothing matched.
    pub missing_patterns: Vec<String>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessView {
    /// Process id.
    pub pid: u32,
    /// Short name.
    pub name: String,
    /// Command line, cut.
    pub command: String,
    /// Kernel's state letter.
    pub state: String,
    /// Share of one CPU.
    pub cpu_percent: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// GPUs it uses.
    pub gpus: Vec<u32>,
    /// GPU memory it holds, in bytes.
    pub gpu_memory_bytes: u64,
    /// Pattern it matched.
    pub matched: Option<String>,
}
