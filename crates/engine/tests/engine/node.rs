//! A made-up node whose readings a test sets, and which is then observed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::catalogue as metric;
use sickbay_model::{
    BlockDevice, Filesystem, FrameBuilder, GpuCondition, GpuDevice, GpuVendor, Inventory,
    KernelLog, MetricId, NetworkInterface, Observation, ProbeError, ProbeErrorKind, ProbeId,
    ProbeOutcome, ProbeReport, ProcessInfo, ProcessSummary, ResourceId, Timestamp, TorchReport,
    probe,
};

/// Every probe a node is asked.
pub(crate) use sickbay_model::probe::ALL as PROBES;

/// A node that can be changed and observed.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) readings: BTreeMap<(MetricId, String), f64>,
    pub(crate) inventory: Inventory,
    pub(crate) probes: BTreeMap<ProbeId, ProbeOutcome>,
    pub(crate) processes: ProcessSummary,
    pub(crate) torch: Option<TorchReport>,
    pub(crate) kernel_log: Option<KernelLog>,
}

impl Node {
    /// A well node with this many NVIDIA GPUs, idle.
    pub(crate) fn well(gpus: u32) -> Self {
        let mut probes: BTreeMap<_, _> =
            PROBES.into_iter().map(|probe| (probe, ProbeOutcome::Answered)).collect();
        let none = || ProbeOutcome::NotApplicable("none here".into());
        probes.insert(probe::AMD, none());
        if gpus == 0 {
            probes.insert(probe::NVIDIA, none());
            probes.insert(probe::TORCH, none());
        }
        let mut node = Self {
            readings: BTreeMap::new(),
            inventory: Inventory::default(),
            probes,
            processes: ProcessSummary::default(),
            torch: (gpus > 0).then(|| TorchReport {
                version: "2.9.0".to_owned(),
                cuda_available: true,
                gpu_count: gpus,
                interpreter: "python3".to_owned(),
            }),
            kernel_log: None,
        };
        node.host();
        for mount in ["/", "/boot", "/data"] {
            node.filesystem(mount, false);
        }
        node.filesystem("/shared", true);
        for (name, default_route) in [("eth0", true), ("eth1", false)] {
            node.interface(name, default_route);
        }
        for index in 0..gpus {
            node.gpu(index);
        }
        node
    }

    pub(crate) fn set(&mut self, metric: MetricId, value: f64) -> &mut Self {
        self.set_of(metric, "", value)
    }

    pub(crate) fn set_of(&mut self, metric: MetricId, instance: &str, value: f64) -> &mut Self {
        self.readings.insert((metric, instance.to_owned()), value);
        self
    }

    pub(crate) fn unset_of(&mut self, metric: MetricId, instance: &str) -> &mut Self {
        self.readings.remove(&(metric, instance.to_owned()));
        self
    }

    pub(crate) fn fail(
        &mut self,
        probe: ProbeId,
        kind: ProbeErrorKind,
        message: &str,
    ) -> &mut Self {
        let error = ProbeError { kind, message: message.to_owned(), advice: None };
        self.probes.insert(probe, ProbeOutcome::Failed(error));
        self
    }

    pub(crate) fn answer(&mut self, probe: ProbeId) -> &mut Self {
        self.probes.insert(probe, ProbeOutcome::Answered);
        self
    }

    /// Takes a GPU off the bus: the driver no longer lists it.
    pub(crate) fn lose_gpu(&mut self, index: u32) -> &mut Self {
        self.inventory.gpus.retain(|gpu| gpu.index != index);
        let name = index.to_string();
        self.readings.retain(|(metric, instance), _| metric.0 < 200 || *instance != name);
        self
    }

    /// Starts a job, or ends it.
    pub(crate) fn job(&mut self, active: bool) -> &mut Self {
        self.processes.training =
            if active { vec![process(4242, "python3", 'R')] } else { Vec::new() };
        self.set(metric::PROCESSES_TRAINING, f64::from(u8::from(active)))
    }

    pub(crate) fn observe(&self, at: Timestamp) -> Observation {
        let mut builder = FrameBuilder::new();
        for ((metric, instance), value) in &self.readings {
            // What cannot be true is refused, as it is of a real sensor.
            builder.put(*metric, instance, *value);
        }
        let report = |(probe, outcome): (&ProbeId, &ProbeOutcome)| ProbeReport {
            probe: probe.clone(),
            outcome: outcome.clone(),
            at,
            took: Duration::from_micros(150),
        };
        // In the usual order, as a collector reports them.
        let mut probes: Vec<_> = self.probes.iter().map(report).collect();
        probes.sort_by_key(|report| PROBES.iter().position(|probe| *probe == report.probe));
        let refused = builder.take_refused();
        Observation {
            resource: ResourceId::node("gpu-07").expect("a valid name"),
            at,
            frame: builder.finish(at).0,
            inventory: Arc::new(self.inventory.clone()),
            probes,
            processes: Arc::new(self.processes.clone()),
            torch: self.torch.clone().map(Arc::new),
            kernel_log: self.kernel_log.clone().map(Arc::new),
            refused_readings: u32::try_from(refused.len()).unwrap_or(u32::MAX),
            refused,
            cost: Duration::from_micros(800),
        }
    }

    fn host(&mut self) {
        self.inventory.host.boot_id = "b0".to_owned();
        self.inventory.disks.push(BlockDevice {
            name: "nvme0n1".to_owned(),
            model: String::new(),
            size_bytes: 1,
            rotational: false,
        });
        for (metric, value) in [
            (metric::CPU_USED, 12.0),
            (metric::CPU_CORES, 112.0),
            (metric::LOAD_1M, 3.0),
            (metric::MEMORY_USED, 30.0),
            (metric::SWAP_TOTAL, 8e9),
            (metric::SWAP_USED, 1.0),
            (metric::OOM_KILLS, 2.0),
            (metric::MEMORY_ERRORS_UNCORRECTED, 0.0),
            (metric::PRESSURE_CPU_SOME, 1.0),
            (metric::PRESSURE_MEMORY_FULL, 0.0),
            (metric::PRESSURE_IO_FULL, 0.5),
            (metric::FILE_HANDLES_USED, 2.0),
            (metric::UPTIME, 86_400.0),
            (metric::PROCESSES, 900.0),
            (metric::PROCESSES_BLOCKED, 0.0),
            (metric::PROCESSES_ZOMBIE, 1.0),
            (metric::PROCESSES_TRAINING, 0.0),
        ] {
            self.set(metric, value);
        }
        for sensor in ["coretemp/Package id 0", "coretemp/Package id 1", "nvme/Composite"] {
            self.set_of(metric::TEMPERATURE, sensor, 45.0);
            self.set_of(metric::TEMPERATURE_CRITICAL, sensor, 95.0);
        }
        self.set_of(metric::LATENCY, "192.0.2.1", 0.4);
        self.set_of(metric::LATENCY_LOSS, "192.0.2.1", 0.0);
        for metric in [metric::DISK_READ, metric::DISK_WRITE, metric::DISK_BUSY] {
            self.set_of(metric, "nvme0n1", 3.0);
        }
    }

    fn filesystem(&mut self, mount: &str, remote: bool) {
        self.inventory.filesystems.push(Filesystem {
            mount_point: mount.to_owned(),
            kind: if remote { "nfs4" } else { "ext4" }.to_owned(),
            source: "store:/export".to_owned(),
            remote,
            read_only: false,
            read_only_by_design: false,
            unanswered: None,
        });
        self.set_of(metric::FILESYSTEM_SIZE, mount, 1e12);
        self.set_of(metric::FILESYSTEM_FREE, mount, 6e11);
        self.set_of(metric::FILESYSTEM_USED, mount, 40.0);
        self.set_of(metric::FILESYSTEM_INODES_USED, mount, 5.0);
        self.set_of(metric::FILESYSTEM_READ_ONLY, mount, 0.0);
    }

    fn interface(&mut self, name: &str, default_route: bool) {
        self.inventory.interfaces.push(NetworkInterface {
            name: name.to_owned(),
            operational_state: "up".to_owned(),
            physical: true,
            administratively_up: true,
            default_route,
        });
        self.set_of(metric::NETWORK_LINK_UP, name, 1.0);
        for metric in [
            metric::NETWORK_RECEIVE,
            metric::NETWORK_TRANSMIT,
            metric::NETWORK_RECEIVE_ERRORS,
            metric::NETWORK_TRANSMIT_ERRORS,
            metric::NETWORK_RECEIVE_DROPS,
            metric::NETWORK_TRANSMIT_DROPS,
        ] {
            self.set_of(metric, name, 0.0);
        }
    }

    fn gpu(&mut self, index: u32) {
        let name = index.to_string();
        self.inventory.gpus.push(GpuDevice {
            index,
            vendor: GpuVendor::Nvidia,
            uuid: format!("GPU-{index:04}"),
            model: "H100".to_owned(),
            serial: String::new(),
            pci_address: format!("0000:{index:02x}:00.0"),
            driver_version: "580.1".to_owned(),
            vbios_version: String::new(),
            memory_bytes: 80_000_000_000,
            mig_enabled: false,
            condition: GpuCondition::Answering,
            unreadable: Vec::new(),
        });
        for (metric, value) in [
            (metric::GPU_UTILIZATION, 0.0),
            (metric::GPU_MEMORY_UTILIZATION, 0.0),
            (metric::GPU_MEMORY_TOTAL, 8e10),
            (metric::GPU_MEMORY_USED_BYTES, 1e9),
            (metric::GPU_MEMORY_USED, 1.0),
            (metric::GPU_TEMPERATURE, 35.0),
            (metric::GPU_MEMORY_TEMPERATURE, 40.0),
            (metric::GPU_TEMPERATURE_MARGIN, 52.0),
            (metric::GPU_TEMPERATURE_SLOWDOWN, 87.0),
            (metric::GPU_TEMPERATURE_SHUTDOWN, 92.0),
            (metric::GPU_POWER, 70.0),
            (metric::GPU_POWER_LIMIT, 700.0),
            (metric::GPU_CLOCK, 345.0),
            (metric::GPU_CLOCK_MAX, 1980.0),
            (metric::GPU_MEMORY_CLOCK, 2619.0),
            (metric::GPU_THROTTLE_REASONS, 1.0),
            (metric::GPU_ECC_UNCORRECTED_VOLATILE, 0.0),
            (metric::GPU_ECC_CORRECTED_VOLATILE, 3.0),
            (metric::GPU_REMAPPED_ROWS_CORRECTED, 0.0),
            (metric::GPU_REMAP_PENDING, 0.0),
            (metric::GPU_REMAP_FAILED, 0.0),
            (metric::GPU_ECC_SRAM_EXCEEDED, 0.0),
            (metric::GPU_PCIE_GENERATION, 5.0),
            (metric::GPU_PCIE_GENERATION_MAX, 5.0),
            (metric::GPU_PCIE_WIDTH, 16.0),
            (metric::GPU_PCIE_WIDTH_MAX, 16.0),
            (metric::GPU_PCIE_REPLAYS, 0.0),
            (metric::GPU_NVLINKS_ACTIVE, 18.0),
            (metric::GPU_NVLINKS, 18.0),
            (metric::GPU_RECOVERY_ACTION, 0.0),
            (metric::GPU_PROCESSES, 0.0),
        ] {
            self.set_of(metric, &name, value);
        }
    }
}

/// A process of a scan.
pub(crate) fn process(pid: u32, name: &str, state: char) -> ProcessInfo {
    ProcessInfo {
        pid,
        name: name.to_owned(),
        command: String::new(),
        state,
        cpu_percent: 0.0,
        resident_bytes: 0,
        gpus: Vec::new(),
        gpu_memory_bytes: 0,
        matched: None,
    }
}
