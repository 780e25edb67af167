//! The host lane: which groups of files are due, and the local collectors over what came of them.
//!
//! What must hold: an answer's copies are dropped when its collectors have read them; rates are
//! counted by the node's own clock; a node that was started anew, or whose clock went back, is
//! begun with anew.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::{Advice, ProbeError, ProbeErrorKind, ProbeId, Timestamp, probe};

use super::reader::Reader;
use super::tree::{self, Told};
use super::{RemoteSettings, late_on_node};
use crate::asked::{Asked, Ended, Kept, hang_pause};
use crate::gpu::{AmdCollector, NvidiaPresence};
use crate::local::{LocalCollector, registry};
use crate::parse::{printable, uptime};
use crate::{Fetched, Roots, Sample};

/// The most bytes of an answer: some ten thousand processes with long command lines.
pub(super) const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The most processes on GPUs that are asked for by number.
const MAX_PIDS: usize = 64;

/// Files that one section of an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Fast,
    Space,
    Links,
    Infiniband,
    Pcie,
    Sensors,
    Processes,
    Amd,
    Kernel,
}

impl Group {
    /// Its word in a question.
    const fn word(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Space => "space",
            Self::Links => "links",
            Self::Infiniband => "infiniband",
            Self::Pcie => "pcie",
            Self::Sensors => "sensors",
            Self::Processes => "processes",
            Self::Amd => "amd",
            Self::Kernel => "kernel",
        }
    }

    /// Whose files a collector reads.
    fn of(probe: &ProbeId) -> Self {
        match probe {
            probe if *probe == probe::FILESYSTEM => Self::Space,
            probe if *probe == probe::NETWORK_LINKS => Self::Links,
            probe if *probe == probe::INFINIBAND => Self::Infiniband,
            probe if *probe == probe::PCIE => Self::Pcie,
            probe if *probe == probe::SENSORS => Self::Sensors,
            probe if *probe == probe::PROCESSES => Self::Processes,
            probe if *probe == probe::AMD => Self::Amd,
            probe if *probe == probe::KERNEL_LOG => Self::Kernel,
            _ => Self::Fast,
        }
    }

    /// Whether it may be asked less often on a node that is polled rarely. Not what tells of jobs,
    /// and so of the end of that rest: GPUs, and processes where some are looked for; nor the kernel's
    /// log, where a fault must not wait.
    fn may_rest(self, settings: &RemoteSettings) -> bool {
        match self {
            Self::Space | Self::Links | Self::Infiniband | Self::Pcie | Self::Sensors => true,
            Self::Processes => settings.process_patterns.is_empty(),
            Self::Fast | Self::Amd | Self::Kernel => false,
        }
    }

    fn interval(self, settings: &RemoteSettings) -> Duration {
        match self {
            Self::Fast => Duration::ZERO,
            Self::Space | Self::Links | Self::Infiniband | Self::Pcie => {
                settings.filesystem_interval
            }
            Self::Sensors => settings.sensor_interval,
            Self::Processes => settings.process_scan_interval,
            Self::Amd => settings.gpu_interval,
            Self::Kernel => settings.kernel_log_interval,
        }
    }
}

/// One collector.
struct Slot {
    asked: Asked,
    collector: Box<dyn LocalCollector>,
    group: Group,
    /// Whether the question under way asks for its group.
    under_way: bool,
}

/// The lane.
pub(super) struct Host {
    settings: Arc<RemoteSettings>,
    slots: Vec<Slot>,
    /// Of the boot that the collectors know.
    boot_id: Vec<u8>,
    /// The node's own clock at the last answer; `None` where rates are counted by ours.
    node_clock: Option<Duration>,
    /// Whether the next question asks for what does not change, too.
    lasting_due: bool,
    /// What the kernel says of processes on GPUs, by number.
    gpu_processes: Vec<(u32, Option<Box<[u8]>>)>,
    /// Asked for in the question under way.
    pids_under_way: Vec<u32>,
    lane_hangs: u32,
    due: Duration,
    /// When the node was polled last.
    polled: Option<Duration>,
    /// How long slow parts are left alone, by how often the node is polled.
    rest: Duration,
}

/// What an answer says that concerns other lanes.
pub(super) struct News {
    /// Whether there is something to ask `nvidia-smi` about; `None` where nobody looked.
    pub(super) nvidia: Option<NvidiaPresence>,
    /// The copies, where they hold the list of mounts.
    pub(super) mounts: Option<Roots>,
}

impl Host {
    pub(super) fn new(settings: Arc<RemoteSettings>) -> Self {
        let slots = collectors(&settings)
            .into_iter()
            .map(|collector| {
                let probe = collector.probe();
                let group = Group::of(&probe);
                let asked = Asked::new(probe, group.interval(&settings));
                Slot { asked, collector, group, under_way: false }
            })
            .collect();
        Self {
            settings,
            slots,
            boot_id: Vec::new(),
            node_clock: None,
            lasting_due: false,
            gpu_processes: Vec::new(),
            pids_under_way: Vec::new(),
            lane_hangs: 0,
            due: Duration::ZERO,
            polled: None,
            rest: Duration::ZERO,
        }
    }

    /// The words of a question, if there is something to ask. Without `fast` only numbers of
    /// processes that nobody knows yet are worth one.
    pub(super) fn words(&mut self, now: Duration, fast: bool) -> Option<String> {
        if self.due > now {
            return None;
        }
        self.pids_under_way = self.unknown_pids();
        let mut words = Vec::new();
        if !self.pids_under_way.is_empty() {
            let pids: Vec<_> = self.pids_under_way.iter().map(u32::to_string).collect();
            words.push(format!("pids={}", pids.join(",")));
        }
        if fast && let Some(before) = self.polled.replace(now) {
            self.rest = self.settings.rest(now.saturating_sub(before));
        }
        for slot in &mut self.slots {
            let rest = if slot.group.may_rest(&self.settings) { self.rest } else { Duration::ZERO };
            slot.under_way = fast && slot.asked.is_due(now, rest);
        }
        if fast {
            words.push(Group::Fast.word().to_owned());
            if self.lasting_due {
                words.push("lasting".to_owned());
            }
            let mut slots: Vec<_> = self.slots.iter().filter(|slot| slot.under_way).collect();
            // What hung before comes last: one that is late costs those behind it their turn.
            slots.sort_by_key(|slot| slot.asked.hangs);
            for slot in slots.into_iter().filter(|slot| slot.group != Group::Fast) {
                words.push(slot.group.word().to_owned());
            }
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// Takes in how the question ended.
    pub(super) fn take(
        &mut self,
        ended: Result<Reader, ProbeError>,
        took: Duration,
        now: Duration,
        at: Timestamp,
    ) -> News {
        let reader = match ended {
            Ok(reader) => reader,
            Err(error) => {
                self.fail(&error, took, now, at);
                return News { nvidia: None, mounts: None };
            }
        };
        (self.lane_hangs, self.due) = (0, Duration::ZERO);
        let mut files = Fetched::new();
        let told = tree::load(reader.sections(), &mut files);
        if files.refused() > 0 {
            tracing::warn!(refused = files.refused(), "a node sent more than is kept");
        }
        let roots = Roots::fetched(files);
        self.know_pids(&roots);
        let asked_fast = self.slots.iter().any(|slot| slot.under_way && slot.group == Group::Fast);
        let node_now = if asked_fast { self.node_time(&roots, &told, now) } else { now };
        let mut listed = false;
        let system = told.system.filter(|system| *system != b"Linux").map(not_linux);
        for slot in self.slots.iter_mut().filter(|slot| slot.under_way) {
            slot.under_way = false;
            let is = |group: &&[u8]| *group == slot.group.word().as_bytes();
            if told.skipped.iter().any(is) {
                continue;
            }
            let late = told.late.iter().any(is);
            listed |= slot.group == Group::Space && !late;
            let result = match &system {
                _ if late => Err(late_on_node(&format!("its {}", slot.group.word()), took)),
                Some(error) => Err(error.clone()),
                None => {
                    let mut sample = Sample::default();
                    slot.collector.collect(&roots, node_now, &mut sample).map(|()| sample)
                }
            };
            slot.asked.end(Ended { result, hung: late, took }, now, at);
        }
        let nvidia = told.hardware.then(|| NvidiaPresence::of(&roots));
        News { nvidia, mounts: listed.then_some(roots) }
    }

    /// How long slow parts are left alone, by how often the node is polled.
    pub(super) fn rest(&self) -> Duration {
        self.rest
    }

    /// The session is gone, and the question under way with it.
    pub(super) fn forget_question(&mut self) {
        for slot in &mut self.slots {
            slot.under_way = false;
        }
    }

    /// The last ends. What is asked at every poll is given once: it is no news later.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.slots.iter().filter_map(|slot| slot.asked.last.as_ref())
    }

    /// Drops the readings of what is asked at every poll.
    pub(super) fn spend(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.group == Group::Fast) {
            if let Some(kept) = &mut slot.asked.last {
                kept.sample.readings = Vec::new();
                kept.sample.refused = 0;
            }
        }
    }

    /// Remembers which processes are on GPUs.
    pub(super) fn set_gpu_pids(&mut self, mut pids: Vec<u32>) {
        pids.sort_unstable();
        pids.dedup();
        pids.truncate(MAX_PIDS);
        let mut known = std::mem::take(&mut self.gpu_processes);
        self.gpu_processes = pids
            .into_iter()
            .map(|pid| {
                let place = known.iter().position(|(other, _)| *other == pid);
                (pid, place.and_then(|place| known.swap_remove(place).1))
            })
            .collect();
    }

    /// What the kernel said of processes on GPUs.
    pub(super) fn gpu_process_files(&self) -> Roots {
        let mut files = Fetched::new();
        for (pid, stat) in &self.gpu_processes {
            if let Some(stat) = stat {
                files.put(format!("/proc/{pid}/stat").as_bytes(), stat);
            }
        }
        Roots::fetched(files)
    }

    fn unknown_pids(&self) -> Vec<u32> {
        let unknown = self.gpu_processes.iter().filter(|(_, stat)| stat.is_none());
        unknown.map(|(pid, _)| *pid).collect()
    }

    /// Keeps what an answer says of processes on GPUs. One that was asked for and is not there is
    /// not asked for again.
    fn know_pids(&mut self, roots: &Roots) {
        let asked = std::mem::take(&mut self.pids_under_way);
        for (pid, known) in &mut self.gpu_processes {
            let path = roots.proc.join(pid.to_string()).join("stat");
            let stat = roots.files.read_small(&path, 2048);
            if !stat.is_empty() || asked.contains(pid) {
                *known = Some(stat.into());
            }
        }
    }

    /// The time by which rates are counted; begins anew after a boot and when the clock changes.
    fn node_time(&mut self, roots: &Roots, told: &Told<'_>, now: Duration) -> Duration {
        let boot_id = roots.files.read_small(&roots.proc.join("sys/kernel/random/boot_id"), 64);
        let uptime = roots.files.read_small(&roots.proc.join("uptime"), 128);
        let clock = uptime::parse(&uptime).ok();
        let clock = clock.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let first = self.boot_id.is_empty();
        let has_lasting = roots.files.exists(Path::new("/proc/self/auxv"));
        let went_back = match (self.node_clock, clock) {
            (Some(before), Some(after)) => after < before,
            (before, after) => before.is_some() != after.is_some() && !first,
        };
        let lasting_late = told.late.iter().any(|group| *group == b"lasting");
        if !first && (boot_id != self.boot_id || went_back || (self.lasting_due && has_lasting)) {
            self.begin_anew();
            self.lasting_due = !has_lasting;
        }
        self.lasting_due |= lasting_late;
        self.boot_id = boot_id;
        self.node_clock = clock;
        clock.unwrap_or(now)
    }

    /// Forgets all counters and what does not change while a machine runs.
    fn begin_anew(&mut self) {
        for (slot, fresh) in self.slots.iter_mut().zip(collectors(&self.settings)) {
            slot.collector = fresh;
        }
    }

    /// No answer: every probe of the question failed.
    fn fail(&mut self, error: &ProbeError, took: Duration, now: Duration, at: Timestamp) {
        self.pids_under_way.clear();
        if matches!(error.kind, ProbeErrorKind::Late | ProbeErrorKind::Stuck) {
            self.due = now + hang_pause(self.lane_hangs);
            self.lane_hangs = self.lane_hangs.saturating_add(1);
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.under_way) {
            slot.under_way = false;
            let result = Err(error.clone());
            slot.asked.end(Ended { result, hung: false, took }, now, at);
        }
    }
}

/// Those of the local machine, in their order, and AMD's.
fn collectors(settings: &RemoteSettings) -> Vec<Box<dyn LocalCollector>> {
    let entries = registry::linux(&settings.process_patterns, &settings.faults).into_iter();
    let mut all: Vec<_> = entries.map(|entry| entry.collector).collect();
    all.push(Box::new(AmdCollector::default()));
    all
}

fn not_linux(system: &[u8]) -> ProbeError {
    let system = match printable(system, 64) {
        name if name.is_empty() => "a system without a name".to_owned(),
        name => name,
    };
    ProbeError {
        kind: ProbeErrorKind::Absent,
        message: format!("the node runs {system}; only Linux can be asked"),
        advice: Some(Advice(
            "take the node out of the configuration, or watch it by other means".into(),
        )),
    }
}
