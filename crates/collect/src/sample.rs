//! What blocking collectors write into.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sickbay_model::{
    BlockDevice, Filesystem, GpuDevice, HostFacts, Inventory, KernelLog, MetricId,
    NetworkInterface, ProbeError, ProcessSummary, Reading,
};

mod runs;

/// Everything one collector found at one time. Crosses the pipe from a probe child as JSON; both
/// ends are the same binary, so the shape needs no version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The numbers; all finite.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "runs")]
    pub readings: Vec<Reading>,
    /// How many values were no finite numbers, and were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// Parts of the probe that gave no answer, though the probe as a whole did: at most
    /// [`Sample::MAX_MISSED`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<ProbeError>,
    /// The facts beside them.
    pub facts: Facts,
    /// Set when there is nothing to ask on this node, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<Cow<'static, str>>,
}

impl Sample {
    /// The most readings that one collector may bring back: the layout of a frame has no more.
    pub const MAX_READINGS: usize = sickbay_model::Layout::MAX_SERIES;

    /// Adds one value; `instance` is empty for metrics with one value per node.
    ///
    /// Values that cannot be true are not judged here: the frame refuses and counts them. What is
    /// no finite number is refused here already, because JSON cannot carry it.
    pub fn put(&mut self, metric: MetricId, instance: &str, value: f64) {
        if !value.is_finite() {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        // One more than the limit is kept, so that the frame sees and counts the overflow.
        if self.readings.len() <= Self::MAX_READINGS {
            // Readings of one instance come one after the other: they share its name.
            let last = self.readings.last().map(|last| &last.instance);
            let instance = match last.filter(|last| ***last == *instance) {
                Some(last) => Arc::clone(last),
                None => instance.into(),
            };
            self.readings.push(Reading { metric, instance, value });
        }
    }

    /// Adds a value that may be absent.
    pub fn put_some(&mut self, metric: MetricId, instance: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.put(metric, instance, value);
        }
    }

    /// The most failed parts of a probe that are named.
    pub const MAX_MISSED: usize = 8;

    /// Notes how one part of the probe ended, where the others count without it.
    pub fn part(&mut self, ended: Result<(), ProbeError>) {
        if let Err(error) = ended
            && self.missed.len() < Self::MAX_MISSED
        {
            self.missed.push(error);
        }
    }

    /// Says that there is nothing to ask on this node, and why.
    pub fn set_not_applicable(&mut self, reason: impl Into<Cow<'static, str>>) {
        self.not_applicable = Some(reason.into());
    }

    /// Empties the sample for reuse, keeping its memory.
    pub fn clear(&mut self) {
        self.readings.clear();
        self.refused = 0;
        self.missed.clear();
        self.facts = Facts::default();
        self.not_applicable = None;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Parts of the inventory. `None` means "this collector does not know", an empty list means "there
/// are none".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// About the machine: fields that are empty, zero or `None` are not known to this collector.
    pub host: HostFacts,
    /// GPUs of one vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Vec<GpuDevice>>,
    /// Mounted filesystems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystems: Option<Vec<Filesystem>>,
    /// Block devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disks: Option<Vec<BlockDevice>>,
    /// Network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<NetworkInterface>>,
    /// What a process scan found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<ProcessSummary>,
    /// Which processes hold a context on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_processes: Option<Vec<GpuProcess>>,
    /// What was read of the kernel's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_log: Option<KernelLog>,
}

impl Facts {
    /// Lays these facts over an inventory: what this collector knows replaces what was there, lists
    /// of filesystems and GPUs are added to those of other collectors.
    pub(crate) fn lay_over(&self, inventory: &mut Inventory) {
        lay_host_over(&self.host, &mut inventory.host);
        if let Some(gpus) = &self.gpus {
            inventory.gpus.extend_from_slice(gpus);
        }
        if let Some(filesystems) = &self.filesystems {
            inventory.filesystems.extend_from_slice(filesystems);
        }
        if let Some(disks) = &self.disks {
            inventory.disks.extend_from_slice(disks);
        }
        if let Some(interfaces) = &self.interfaces {
            inventory.interfaces.extend_from_slice(interfaces);
        }
    }
}

fn lay_host_over(known: &HostFacts, host: &mut HostFacts) {
    // Destructured, so that a new field cannot be forgotten.
    let HostFacts {
        hostname,
        os,
        kernel,
        architecture,
        cpu_model,
        cpu_count,
        memory_bytes,
        boot_id,
        virtualization,
        default_gateway,
    } = known;
    for (from, to) in [
        (hostname, &mut host.hostname),
        (os, &mut host.os),
        (kernel, &mut host.kernel),
        (architecture, &mut host.architecture),
        (cpu_model, &mut host.cpu_model),
        (boot_id, &mut host.boot_id),
        (virtualization, &mut host.virtualization),
    ] {
        if !from.is_empty() {
            to.clone_from(from);
        }
    }
    if *cpu_count != 0 {
        host.cpu_count = *cpu_count;
    }
    if *memory_bytes != 0 {
        host.memory_bytes = *memory_bytes;
    }
    if default_gateway.is_some() {
        host.default_gateway.clone_from(default_gateway);
    }
}

/// A process that holds a context on a GPU, as the GPU's driver says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuProcess {
    /// Process id.
    pub pid: u32,
    /// The driver's index of the GPU.
    pub gpu: u32,
    /// Memory that it holds there, in bytes, where the driver says.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::catalogue::{CPU_USED, FILESYSTEM_USED};

    #[test]
    fn a_sample_survives_the_pipe() {
        let mut sample = Sample::default();
        sample.put(CPU_USED, "", 12.5);
        sample.put(CPU_USED, "", 0.1 + 0.2);
        sample.put(FILESYSTEM_USED, "/data \u{1f600}\n", 40.0);
        sample.put(CPU_USED, "", f64::MAX);
        sample.part(Err(crate::probe_child::failed("a part is bad".to_owned())));
        sample.facts.host.cpu_count = 8;
        sample.facts.filesystems = Some(Vec::new());
        sample.facts.gpu_processes =
            Some(vec![GpuProcess { pid: 4711, gpu: 0, memory_bytes: Some(1 << 30) }]);
        sample.set_not_applicable("no such thing here");
        let line = serde_json::to_vec(&sample).expect("serialises");
        assert!(!line.contains(&b'\n'));
        assert_eq!(serde_json::from_slice::<Sample>(&line).expect("parses"), sample);
    }

    #[test]
    fn a_value_that_json_cannot_carry_costs_itself_and_no_other() {
        let mut sample = Sample::default();
        sample.put(CPU_USED, "", 12.5);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            sample.put(CPU_USED, "", value);
        }
        let line = serde_json::to_vec(&sample).expect("serialises");
        let arrived: Sample = serde_json::from_slice(&line).expect("the line is not lost");
        assert_eq!((arrived.readings.len(), arrived.refused), (1, 3));
    }

    #[test]
    fn facts_add_up_and_unknown_fields_leave_what_is_known() {
        let mut inventory = Inventory::default();
        let cpu = Facts {
            host: HostFacts { cpu_model: "a CPU".into(), cpu_count: 4, ..HostFacts::default() },
            ..Facts::default()
        };
        let memory = Facts {
            host: HostFacts { memory_bytes: 1 << 34, ..HostFacts::default() },
            ..Facts::default()
        };
        cpu.lay_over(&mut inventory);
        memory.lay_over(&mut inventory);
        assert_eq!(inventory.host.cpu_model, "a CPU");
        assert_eq!((inventory.host.cpu_count, inventory.host.memory_bytes), (4, 1 << 34));
    }

    #[test]
    fn a_collector_cannot_bring_back_more_than_a_frame_holds() {
        let mut sample = Sample::default();
        for _ in 0..Sample::MAX_READINGS + 100 {
            sample.put(CPU_USED, "", 1.0);
        }
        assert_eq!(sample.readings.len(), Sample::MAX_READINGS + 1);
    }
}
