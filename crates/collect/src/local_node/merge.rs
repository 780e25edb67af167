//! Makes one observation of what all probes brought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::catalogue::PROCESSES_TRAINING;
use sickbay_model::{
    Filesystem, Frame, FrameBuilder, Inventory, KernelLog, Observation, ProbeError, ProbeId,
    ProbeOutcome, ProbeReport, ProcessInfo, ProcessSummary, Resource, ResourceId, SharedLayouts,
    Timestamp, TorchReport, probe, sanitize_name,
};

use super::lane::Lane;
use super::mounts::Mounts;
use crate::asked::Kept;
use crate::parse::pid_stat;
use crate::sample::GpuProcess;
use crate::{Roots, Sample};

/// The most training processes that are named; the reading counts all.
const MAX_TRAINING: usize = 64;

/// The most that is read of `/proc/PID/stat`: twice what the longest can be.
const MAX_STAT_BYTES: usize = 2048;

/// The longest host name that is shown, in characters.
const MAX_HOSTNAME_CHARACTERS: usize = 255;

/// This machine as a resource, by its host name.
pub(super) fn resource(roots: &Roots) -> Resource {
    let raw = std::fs::read(roots.proc.join("sys/kernel/hostname"))
        .unwrap_or_else(|_| rustix::system::uname().nodename().to_bytes().to_vec());
    let raw = raw.trim_ascii();
    let name = sanitize_name(raw);
    let display: String = String::from_utf8_lossy(raw)
        .chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .take(MAX_HOSTNAME_CHARACTERS)
        .collect();
    let id = ResourceId::node(&name).or_else(|_| ResourceId::node("localhost"));
    Resource {
        // A sanitized name is valid by construction, and so is the fallback.
        #[expect(clippy::expect_used, reason = "a constant that is valid, as a test shows")]
        id: id.expect("localhost is a valid name"),
        display_name: if display.is_empty() { name } else { display },
        labels: BTreeMap::new(),
        parent: None,
    }
}

/// What is kept between observations, so that what did not change is shared.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    frame: FrameBuilder,
    inventory: Arc<Inventory>,
    processes: Arc<ProcessSummary>,
    gpus_seen: Option<GpuSigns>,
    /// Those of other nodes, where there are any.
    layouts: Option<Arc<SharedLayouts>>,
}

/// What tells whether something happened to the GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct GpuSigns {
    gpus: Vec<(u32, String, usize)>,
    failing: Vec<ProbeId>,
}

impl Merger {
    /// One whose frames share their layout with those of other nodes.
    pub(crate) fn sharing(layouts: Arc<SharedLayouts>) -> Self {
        Self { layouts: Some(layouts), ..Self::default() }
    }

    /// Begins an observation; `reached` and `took` say how the node itself was reached.
    pub(crate) fn begin<'merger>(
        &'merger mut self,
        roots: &'merger Roots,
        at: Timestamp,
        reached: ProbeOutcome,
        took: Duration,
    ) -> Merge<'merger> {
        Merge {
            merger: self,
            roots,
            at,
            inventory: Inventory::default(),
            probes: vec![ProbeReport { probe: probe::REACHABLE, outcome: reached, at, took }],
            processes: None,
            matching: 0.0,
            gpu_processes: Vec::new(),
            kernel_log: None,
            refused: 0,
        }
    }
}

impl Merger {
    /// Whether the node had a GPU when it was last observed, be it one that did not answer.
    pub(crate) fn has_gpu(&self) -> bool {
        let gpus = self.gpus_seen.as_ref();
        gpus.is_some_and(|gpus| !gpus.gpus.is_empty() || !gpus.failing.is_empty())
    }

    /// An observation of a node that was not reached: no reading, and reports as they were.
    pub(crate) fn lost(
        &self,
        resource: ResourceId,
        error: ProbeError,
        at: Timestamp,
        reports: Vec<ProbeReport>,
        torch: Option<Arc<TorchReport>>,
        cost: Duration,
    ) -> Observation {
        let outcome = ProbeOutcome::Failed(error);
        let mut probes =
            vec![ProbeReport { probe: probe::REACHABLE, outcome, at, took: Duration::ZERO }];
        probes.extend(reports);
        Observation {
            resource,
            at,
            frame: Frame::empty(at),
            inventory: Arc::clone(&self.inventory),
            probes,
            processes: Arc::clone(&self.processes),
            torch,
            kernel_log: None,
            refused_readings: 0,
            refused: Vec::new(),
            cost,
        }
    }
}

/// An observation in the making.
pub(crate) struct Merge<'merger> {
    merger: &'merger mut Merger,
    roots: &'merger Roots,
    at: Timestamp,
    inventory: Inventory,
    probes: Vec<ProbeReport>,
    processes: Option<&'merger ProcessSummary>,
    /// How many processes match a pattern: all of them, not only those that are named.
    matching: f64,
    gpu_processes: Vec<GpuProcess>,
    kernel_log: Option<KernelLog>,
    /// Values that were refused before they came here.
    refused: u32,
}

impl<'merger> Merge<'merger> {
    pub(super) fn lane(&mut self, lane: &'merger Lane) {
        for kept in lane.slots.iter().filter_map(|slot| slot.asked.last.as_ref()) {
            self.kept(kept);
        }
    }

    /// Adds what a probe brought.
    pub(crate) fn kept(&mut self, kept: &'merger Kept) {
        self.report(kept.report.clone());
        self.sample(&kept.sample);
        if let Some(log) = &kept.sample.facts.kernel_log {
            let mut log = log.clone();
            log.date(kept.report.at);
            self.kernel_log = Some(log);
        }
    }

    pub(super) fn mounts(&mut self, mounts: &'merger Mounts) {
        self.report(mounts.report());
        self.remote_filesystems(mounts.filesystems());
        for sample in mounts.samples() {
            self.readings(sample);
        }
    }

    /// The collector of local filesystems lists the others too, unasked; these know whether they
    /// answer.
    pub(crate) fn remote_filesystems(&mut self, known: impl Iterator<Item = Filesystem>) {
        self.inventory.filesystems.retain(|filesystem| !filesystem.remote);
        self.inventory.filesystems.extend(known);
    }

    pub(crate) fn report(&mut self, report: ProbeReport) {
        self.probes.push(report);
    }

    fn sample(&mut self, sample: &'merger Sample) {
        self.readings(sample);
        sample.facts.lay_over(&mut self.inventory);
        if let Some(processes) = &sample.facts.processes {
            self.processes = Some(processes);
            let counted = sample.readings.iter().find(|one| one.metric == PROCESSES_TRAINING);
            self.matching = counted.map_or(0.0, |reading| reading.value);
        }
        if let Some(processes) = &sample.facts.gpu_processes {
            self.gpu_processes.extend_from_slice(processes);
        }
    }

    pub(crate) fn readings(&mut self, sample: &Sample) {
        self.refused = self.refused.saturating_add(sample.refused);
        for reading in &sample.readings {
            self.merger.frame.put_reading(reading);
        }
    }

    pub(super) fn gateway(&mut self, gateway: Option<&str>) {
        if let Some(gateway) = gateway {
            self.inventory.host.default_gateway = Some(gateway.to_owned());
        }
    }

    /// Whether this node has a GPU, be it one that does not answer.
    pub(crate) fn has_gpu(&self) -> bool {
        !self.inventory.gpus.is_empty() || self.failing_gpu_probes().next().is_some()
    }

    fn failing_gpu_probes(&self) -> impl Iterator<Item = &ProbeId> {
        self.probes.iter().filter_map(|report| {
            let gpu = report.probe == probe::NVIDIA || report.probe == probe::AMD;
            (gpu && matches!(report.outcome, ProbeOutcome::Failed(_))).then_some(&report.probe)
        })
    }

    /// Whether something happened to the GPUs since the previous observation.
    pub(crate) fn gpus_changed(&mut self) -> bool {
        let gpus = self.inventory.gpus.iter();
        let signs = GpuSigns {
            gpus: gpus.map(|gpu| (gpu.index, gpu.uuid.clone(), gpu.unreadable.len())).collect(),
            failing: self.failing_gpu_probes().cloned().collect(),
        };
        let before = self.merger.gpus_seen.replace(signs.clone());
        before.is_some_and(|before| before != signs)
    }

    pub(crate) fn finish(
        mut self,
        resource: ResourceId,
        torch: Option<Arc<TorchReport>>,
        cost: Duration,
    ) -> Observation {
        self.inventory.gpus.sort_by_key(|gpu| gpu.index);
        self.inventory.filesystems.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
        self.merge_processes();
        let Self { merger, at, inventory, probes, kernel_log, refused, .. } = self;
        if *merger.inventory != inventory {
            merger.inventory = Arc::new(inventory);
        }
        let named = merger.frame.take_refused();
        if let Some(layouts) = &merger.layouts {
            merger.frame.share_layout(layouts);
        }
        let (frame, implausible) = merger.frame.finish(at);
        Observation {
            resource,
            at,
            frame,
            inventory: Arc::clone(&merger.inventory),
            probes,
            processes: Arc::clone(&merger.processes),
            torch,
            kernel_log: kernel_log.map(Arc::new),
            refused_readings: implausible.saturating_add(refused),
            refused: named,
            cost,
        }
    }

    /// Marks the processes that the GPU drivers know as training.
    fn merge_processes(&mut self) {
        if self.processes.is_none() && self.gpu_processes.is_empty() {
            return;
        }
        let mut summary = self.processes.cloned().unwrap_or_default();
        let on_gpu = on_gpus(&self.gpu_processes);
        let mut unmatched = 0_u32;
        for (&pid, (gpus, memory_bytes)) in &on_gpu {
            let lists = [
                &mut summary.training,
                &mut summary.top,
                &mut summary.blocked,
                &mut summary.zombies,
            ];
            let mut known = None;
            let mut in_training = false;
            for (place, list) in lists.into_iter().enumerate() {
                for process in list.iter_mut().filter(|process| process.pid == pid) {
                    process.gpus.clone_from(gpus);
                    process.gpu_memory_bytes = *memory_bytes;
                    in_training |= place == 0;
                    known.get_or_insert_with(|| process.clone());
                }
            }
            if !in_training {
                unmatched += 1;
                if summary.training.len() < MAX_TRAINING {
                    let process =
                        known.unwrap_or_else(|| read_process(self.roots, pid, gpus, *memory_bytes));
                    summary.training.push(process);
                }
            }
        }
        if !on_gpu.is_empty() {
            let training = self.matching + f64::from(unmatched);
            self.merger.frame.put(PROCESSES_TRAINING, "", training);
        }
        if *self.merger.processes != summary {
            self.merger.processes = Arc::new(summary);
        }
    }
}

/// By process: the GPUs, ascending, and the memory on all of them.
fn on_gpus(processes: &[GpuProcess]) -> BTreeMap<u32, (Vec<u32>, u64)> {
    let mut gpus: BTreeMap<u32, (BTreeSet<u32>, u64)> = BTreeMap::new();
    for process in processes {
        let (on, memory_bytes) = gpus.entry(process.pid).or_default();
        on.insert(process.gpu);
        *memory_bytes = memory_bytes.saturating_add(process.memory_bytes.unwrap_or(0));
    }
    let sorted = gpus.into_iter();
    sorted.map(|(pid, (on, bytes))| (pid, (on.into_iter().collect(), bytes))).collect()
}

/// A process that the scan did not name. Its `stat` never waits for the process's memory; where it
/// cannot be read (another container's process), the number is all there is.
fn read_process(roots: &Roots, pid: u32, gpus: &[u32], gpu_memory_bytes: u64) -> ProcessInfo {
    let path = roots.proc.join(pid.to_string()).join("stat");
    let bytes = roots.files.read_small(&path, MAX_STAT_BYTES);
    let stat = pid_stat::parse(&bytes).ok();
    let name = stat.as_ref().map(|stat| String::from_utf8_lossy(stat.name).into_owned());
    let name = name.unwrap_or_else(|| format!("process {pid}"));
    ProcessInfo {
        pid,
        name: name.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect(),
        command: String::new(),
        state: stat.as_ref().map_or('?', |stat| stat.state),
        cpu_percent: 0.0,
        resident_bytes: 0,
        gpus: gpus.to_vec(),
        gpu_memory_bytes,
        matched: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, name: &str) -> ProcessInfo {
        ProcessInfo {
            pid,
            name: name.to_owned(),
            command: String::new(),
            state: 'R',
            cpu_percent: 0.0,
            resident_bytes: 0,
            gpus: Vec::new(),
            gpu_memory_bytes: 0,
            matched: None,
        }
    }

    #[test]
    fn processes_on_a_gpu_are_training() {
        let roots = Roots::under(std::path::Path::new("/nowhere"));
        let mut merger = Merger::default();
        let summary = ProcessSummary {
            top: vec![process(10, "python"), process(11, "gcc")],
            training: vec![process(12, "matched")],
            ..ProcessSummary::default()
        };
        let on = |pid, gpu| GpuProcess { pid, gpu, memory_bytes: Some(100) };
        let mut merge =
            merger.begin(&roots, Timestamp::EPOCH, ProbeOutcome::Answered, Duration::ZERO);
        let mut sample = Sample::default();
        // More match than are named.
        sample.put(PROCESSES_TRAINING, "", 100.0);
        sample.facts.processes = Some(summary);
        merge.sample(&sample);
        merge.gpu_processes = vec![on(10, 1), on(10, 0), on(12, 0), on(99, 1)];
        let resource = ResourceId::node("n").expect("valid");
        let observation = merge.finish(resource, None, Duration::ZERO);

        let training: Vec<_> = observation
            .processes
            .training
            .iter()
            .map(|found| {
                (found.pid, found.name.as_str(), found.gpus.clone(), found.gpu_memory_bytes)
            })
            .collect();
        assert_eq!(
            training,
            [
                (12, "matched", vec![0], 100),
                (10, "python", vec![0, 1], 200),
                (99, "process 99", vec![1], 100),
            ]
        );
        assert_eq!(observation.processes.top[0].gpus, [0, 1], "also where it is listed already");
        assert_eq!(observation.frame.get(PROCESSES_TRAINING), Some(102.0));
    }

    #[test]
    fn what_was_refused_on_the_way_is_counted_with_what_is_refused_here() {
        let roots = Roots::under(std::path::Path::new("/nowhere"));
        let mut merger = Merger::default();
        let mut sample = Sample::default();
        for value in [f64::NAN, 101.0, 50.0] {
            sample.put(sickbay_model::catalogue::CPU_USED, "", value);
        }
        let mut merge =
            merger.begin(&roots, Timestamp::EPOCH, ProbeOutcome::Answered, Duration::ZERO);
        merge.sample(&sample);
        let resource = ResourceId::node("n").expect("valid");
        let observation = merge.finish(resource, None, Duration::ZERO);
        assert_eq!((observation.frame.len(), observation.refused_readings), (1, 2));
    }

    #[test]
    fn what_did_not_change_is_shared() {
        let roots = Roots::under(std::path::Path::new("/nowhere"));
        let mut merger = Merger::default();
        let mut sample = Sample::default();
        sample.facts.host.cpu_count = 4;
        sample.facts.processes =
            Some(ProcessSummary { top: vec![process(1, "init")], ..ProcessSummary::default() });
        let mut observe = |sample: &Sample| {
            let mut merge =
                merger.begin(&roots, Timestamp::EPOCH, ProbeOutcome::Answered, Duration::ZERO);
            merge.sample(sample);
            merge.finish(ResourceId::node("n").expect("valid"), None, Duration::ZERO)
        };
        let (first, second) = (observe(&sample), observe(&sample));
        assert!(Arc::ptr_eq(&first.inventory, &second.inventory));
        assert!(Arc::ptr_eq(&first.processes, &second.processes));
        let mut changed = sample.clone();
        changed.facts.host.cpu_count = 8;
        assert_eq!(observe(&changed).inventory.host.cpu_count, 8);
        assert_eq!(first.inventory.host.cpu_count, 4, "an observation does not change");
    }

    #[test]
    fn any_host_name_makes_a_resource() {
        for (raw, name) in [
            (&b"gpu-07\n"[..], "gpu-07"),
            (b"", "unnamed"),
            (b"\xff\x1b[31m\n", "___31m"),
            (b"a/b\n", "a_b"),
        ] {
            let tree = tempfile::tempdir().expect("a directory");
            let roots = Roots::under(tree.path());
            std::fs::create_dir_all(roots.proc.join("sys/kernel")).expect("made");
            std::fs::write(roots.proc.join("sys/kernel/hostname"), raw).expect("written");
            let resource = resource(&roots);
            assert_eq!(resource.id.name(), name);
            assert!(!resource.display_name.contains('\u{1b}'));
        }
    }
}
