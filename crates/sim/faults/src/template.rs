//! What the machines of the corpus look like while they are well: `machines.yaml`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// All machines and all models of GPUs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// Models of GPUs.
    pub gpus: BTreeMap<String, GpuModel>,
    /// Machines.
    pub machines: BTreeMap<String, Template>,
}

/// A model of NVIDIA's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuModel {
    /// Its state in the words of the fake NVML.
    pub state: Value,
    /// How many NVLinks it has.
    pub nvlinks: usize,
    /// What is different while it idles.
    pub idle: Value,
    /// What is different while it works.
    pub busy: Value,
    /// Memory that a job holds on it.
    pub job_bytes: u64,
}

/// A machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Version of NVIDIA's driver.
    #[serde(default)]
    pub driver: String,
    /// Model of its GPUs.
    #[serde(default)]
    pub gpu: Option<String>,
    /// PCI buses of the GPUs, with a device behind a colon where that is not 0.
    #[serde(default)]
    pub gpu_buses: Vec<String>,
    /// PCI domains of the GPUs, where they are not 0.
    #[serde(default)]
    pub domains: Vec<String>,
    /// AMD's GPUs.
    #[serde(default)]
    pub amd: Option<Amd>,
    /// Adapters for InfiniBand or RoCE, one port each.
    #[serde(default)]
    pub infiniband: Option<InfiniBand>,
    /// Processor.
    #[serde(default = "x86")]
    pub architecture: String,
    /// Threads of the processors.
    #[serde(default = "cores")]
    pub cores: u32,
    /// Memory.
    pub memory_gib: u64,
    /// Filesystems.
    pub mounts: BTreeMap<String, Mount>,
    /// Disks.
    pub disks: Vec<String>,
    /// Network interfaces, and their speed in Mb/s.
    pub interfaces: BTreeMap<String, i64>,
    /// Temperature sensors and what they show.
    pub sensors: BTreeMap<String, f64>,
    /// Whether it is a virtual machine.
    #[serde(default)]
    pub r#virtual: bool,
    /// Whether it is a container: no kernel log, no PCI errors of the host.
    #[serde(default)]
    pub container: bool,
}

fn x86() -> String {
    "x86_64".to_owned()
}

const fn cores() -> u32 {
    32
}

/// AMD's GPUs of a machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amd {
    /// How many.
    pub count: usize,
    /// Model.
    pub name: String,
    /// PCI buses.
    pub buses: Vec<String>,
}

/// Adapters of a machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfiniBand {
    /// PCI buses.
    pub buses: Vec<String>,
    /// Rate of a port, as the kernel words it.
    pub rate: String,
    /// Type of the adapter.
    pub r#type: String,
    /// Whether the ports speak Ethernet (RoCE).
    #[serde(default)]
    pub ethernet: bool,
}

/// A filesystem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Type.
    pub kind: String,
    /// Source.
    pub device: String,
    /// Size.
    pub gib: u64,
    /// Space used, in percent.
    pub used: f64,
}

impl Templates {
    /// Reads `machines.yaml` of a corpus.
    ///
    /// # Errors
    /// When it cannot be read or makes no sense.
    pub fn load(corpus: &Path) -> Result<Self> {
        let path = corpus.join("machines.yaml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the machines {}", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{} is malformed", path.display()))
    }
}
