//! What is known of one remote node between collections, and what is asked of it next.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::catalogue::LATENCY;
use sickbay_model::{
    Observation, ProbeError, ProbeOutcome, ProbeReport, Resource, SharedLayouts, Timestamp, probe,
};

use super::host::{self, Host};
use super::mounts::{self, Mounts};
use super::nvidia::{self, Nvidia};
use super::torch;
use super::{Lane, Question, Reached, Reader, RemoteSettings};
use crate::Sample;
use crate::local_node::Merger;
use crate::torch::{End, TorchMemory};

/// What is left of a probe's time for the way to the node and back.
const WAY: Duration = Duration::from_secs(1);

/// How many round trips the median is taken of.
const KEPT_ROUND_TRIPS: usize = 5;

/// The instance of the round trip of a session.
const SESSION: &str = "ssh";

/// What is known of one remote node between collections.
pub struct Conversation {
    resource: Resource,
    settings: Arc<RemoteSettings>,
    numbers: Numbers,
    host: Host,
    nvidia: Nvidia,
    mounts: Mounts,
    torch: TorchMemory,
    /// Whether the node has an interpreter, and when that was known.
    interpreter: Option<(bool, Timestamp)>,
    under_way: [bool; Lane::ALL.len()],
    /// When the host was asked for this collection.
    host_asked: Option<Duration>,
    round_trips: VecDeque<Duration>,
    latency: Option<ProbeReport>,
    merger: Merger,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("resource", &self.resource.id).finish_non_exhaustive()
    }
}

impl Conversation {
    /// With a node of which nothing is known yet.
    #[must_use]
    pub fn new(resource: Resource, settings: Arc<RemoteSettings>) -> Self {
        Self {
            resource,
            numbers: Numbers::default(),
            host: Host::new(Arc::clone(&settings)),
            nvidia: Nvidia::new(settings.gpu_interval),
            mounts: Mounts::new(settings.filesystem_interval),
            torch: TorchMemory::new(settings.torch.clone()),
            interpreter: None,
            under_way: [false; Lane::ALL.len()],
            host_asked: None,
            round_trips: VecDeque::new(),
            latency: None,
            merger: Merger::default(),
            settings,
        }
    }

    /// With frames that share their layout with those of other nodes.
    #[must_use]
    pub fn sharing(mut self, layouts: Arc<SharedLayouts>) -> Self {
        self.merger = Merger::sharing(layouts);
        self
    }

    /// The node.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// What is to be asked now, by the monotonic clock: at most one question a lane, and none of a
    /// lane whose last one is under way.
    ///
    /// There may be more after an answer was taken, which tells what the node has: it is asked for
    /// until there are none.
    pub fn questions(&mut self, now: Duration) -> Vec<Question> {
        let mut questions = Vec::new();
        let idle = self.under_way.map(|under_way| !under_way);
        let [host, nvidia, mounts, torch] = idle;
        // A collection that was given up never said that it ended.
        let given_up = self.settings.probe_timeout.saturating_mul(2);
        self.host_asked = self.host_asked.filter(|at| now.saturating_sub(*at) < given_up);
        let seconds = self.seconds();
        let timeout = self.settings.probe_timeout;
        if host && let Some(words) = self.host.words(now, self.host_asked.is_none()) {
            self.host_asked.get_or_insert(now);
            let limit = (timeout + WAY, host::MAX_ANSWER_BYTES);
            questions.push(self.question(Lane::Host, seconds, words.as_bytes(), limit, true));
        }
        if nvidia && let Some(words) = self.nvidia.words(now) {
            let patience = self.nvidia.patience();
            // It is asked for the GPUs, and then for the processes on them.
            let limit = (timeout * patience * 2 + WAY, nvidia::MAX_ANSWER_BYTES);
            let awaited = self.nvidia.awaited();
            let seconds = seconds * u64::from(patience);
            questions.push(self.question(Lane::Nvidia, seconds, words.as_bytes(), limit, awaited));
        }
        if mounts && let Some(words) = self.mounts.words(now, self.host.rest()) {
            let limit = (timeout + WAY, mounts::MAX_ANSWER_BYTES);
            let awaited = self.mounts.awaited();
            questions.push(self.question(Lane::Mounts, seconds, words.as_bytes(), limit, awaited));
        }
        if torch && self.torch.starts(now) {
            questions.extend(self.torch_question());
        }
        questions
    }

    /// How a question ended: its reader, complete, or why there is no answer.
    pub fn take(
        &mut self,
        lane: Lane,
        ended: Result<Reader, ProbeError>,
        took: Duration,
        now: Duration,
        at: Timestamp,
    ) {
        let Some(under_way) = self.under_way.get_mut(lane as usize) else { return };
        if !std::mem::take(under_way) {
            return;
        }
        match lane {
            Lane::Host => {
                let news = self.host.take(ended, took, now, at);
                if let Some(presence) = news.nvidia {
                    self.nvidia.look(presence, at);
                }
                if let Some(roots) = news.mounts {
                    self.mounts.list(&roots, at);
                }
            }
            Lane::Nvidia => {
                self.nvidia.take(ended, took, now, at);
                let processes =
                    self.nvidia.kept().and_then(|kept| kept.sample.facts.gpu_processes.as_ref());
                let pids = processes.into_iter().flatten().map(|process| process.pid).collect();
                self.host.set_gpu_pids(pids);
            }
            Lane::Mounts => self.mounts.take(ended, took, now, at),
            Lane::Torch => match ended.map(|reader| torch::understand(&reader, took)) {
                Ok(Some(end)) => {
                    self.interpreter = Some((true, at));
                    self.torch.end(end, at, took);
                }
                Ok(None) => self.interpreter = Some((false, at)),
                Err(error) => {
                    self.interpreter = Some((true, at));
                    self.torch.end(End::Failed(error), at, took);
                }
            },
        }
    }

    /// The session was lost: what was under way has no answer and its channels are gone.
    pub fn session_lost(&mut self) {
        self.under_way = [false; Lane::ALL.len()];
        self.host_asked = None;
        self.host.forget_question();
        self.mounts.forget_question();
    }

    /// What is known now. If the node could not be reached, no probe has an answer.
    pub fn observe(
        &mut self,
        reached: Result<Reached, ProbeError>,
        at: Timestamp,
        cost: Duration,
    ) -> Observation {
        self.host_asked = None;
        let observation = match reached {
            Ok(reached) => self.observe_reached(&reached, at, cost),
            Err(error) => self.observe_lost(error, at, cost),
        };
        self.host.spend();
        observation
    }

    fn observe_reached(&mut self, reached: &Reached, at: Timestamp, cost: Duration) -> Observation {
        let latency = self.note_round_trip(reached.round_trip, at);
        let took = reached.round_trip.or(reached.opened_in).unwrap_or_default();
        let process_files = self.host.gpu_process_files();
        let mut merge = self.merger.begin(&process_files, at, ProbeOutcome::Answered, took);
        for kept in self.host.kept() {
            merge.kept(kept);
        }
        match (self.nvidia.kept(), self.nvidia.absent()) {
            (Some(kept), _) => merge.kept(kept),
            (None, Some(absent)) => merge.report(absent),
            (None, None) => {}
        }
        if let Some(report) = self.mounts.report() {
            merge.report(report);
            merge.remote_filesystems(self.mounts.filesystems());
            for sample in self.mounts.samples() {
                merge.readings(sample);
            }
        }
        if let Some(report) = &self.latency {
            merge.report(report.clone());
            merge.readings(&latency);
        }
        let has_gpu = merge.has_gpu();
        if let Some(report) = torch_report(&self.torch, self.interpreter, has_gpu, at) {
            merge.report(report);
        }
        let gpus_changed = merge.gpus_changed();
        let observation = merge.finish(self.resource.id.clone(), self.torch.answer(), cost);
        if gpus_changed {
            // A GPU that came, went or fell silent: what torch saw may no longer be so.
            self.torch.ask_again();
        }
        observation
    }

    /// Nothing new is known: the reports are old and say so, and there is not one reading.
    fn observe_lost(&mut self, error: ProbeError, at: Timestamp, cost: Duration) -> Observation {
        let kept = self.host.kept().chain(self.nvidia.kept()).map(|kept| kept.report.clone());
        let mut reports: Vec<_> = kept.collect();
        reports.extend(self.nvidia.absent().filter(|_| self.nvidia.kept().is_none()));
        reports.extend(self.mounts.report());
        reports.extend(self.latency.clone());
        reports.extend(self.interpreter.and_then(|(_, known)| {
            torch_report(&self.torch, self.interpreter, self.merger.has_gpu(), known)
        }));
        self.merger.lost(self.resource.id.clone(), error, at, reports, self.torch.answer(), cost)
    }

    /// Notes a round trip, and gives the reading: the median of the last ones.
    fn note_round_trip(&mut self, round_trip: Option<Duration>, at: Timestamp) -> Sample {
        let mut sample = Sample::default();
        if let Some(took) = round_trip {
            if self.round_trips.len() >= KEPT_ROUND_TRIPS {
                self.round_trips.pop_front();
            }
            self.round_trips.push_back(took);
            let outcome = ProbeOutcome::Answered;
            self.latency = Some(ProbeReport { probe: probe::LATENCY, outcome, at, took });
        }
        let mut sorted: Vec<_> = self.round_trips.iter().copied().collect();
        sorted.sort_unstable();
        if let Some(median) = crate::latency::median(&sorted) {
            sample.put(LATENCY, SESSION, median.as_secs_f64() * 1000.0);
        }
        sample
    }

    /// For how long a command may run on the node, in whole seconds: its `sleep` knows no others.
    fn seconds(&self) -> u64 {
        self.settings.probe_timeout.saturating_sub(WAY).as_secs().max(1)
    }

    fn torch_question(&mut self) -> Option<Question> {
        let timeout = self.torch.timeout();
        match torch::word(self.settings.torch.interpreter.as_deref()) {
            Ok(word) => {
                let limit = (timeout + WAY * 2, torch::MAX_ANSWER_BYTES);
                let seconds = timeout.as_secs().max(1);
                Some(self.question(Lane::Torch, seconds, &word, limit, false))
            }
            Err(error) => {
                self.interpreter = Some((true, Timestamp::EPOCH));
                self.torch.end(End::Failed(error), Timestamp::EPOCH, Duration::ZERO);
                None
            }
        }
    }

    fn question(
        &mut self,
        lane: Lane,
        seconds: u64,
        words: &[u8],
        (limit, max_bytes): (Duration, usize),
        awaited: bool,
    ) -> Question {
        if let Some(under_way) = self.under_way.get_mut(lane as usize) {
            *under_way = true;
        }
        let number = self.numbers.next();
        let word = match lane {
            Lane::Host => "host",
            Lane::Nvidia => "nvidia",
            Lane::Mounts => "mounts",
            Lane::Torch => "torch",
        };
        let mut text = format!("{number} {word} {seconds} ").into_bytes();
        text.extend_from_slice(words);
        text.push(b'\n');
        let program = super::program::line(&self.settings.faults);
        Question { lane, program, text, limit, awaited, reader: Reader::new(&number, max_bytes) }
    }
}

fn torch_report(
    torch: &TorchMemory,
    interpreter: Option<(bool, Timestamp)>,
    has_gpu: bool,
    at: Timestamp,
) -> Option<ProbeReport> {
    let (there, known) = interpreter.unwrap_or((true, at));
    torch.report(has_gpu, there, known)
}

/// Numbers of questions that nobody on a node can guess: a count under the operating system's
/// random keys.
#[derive(Debug, Default)]
struct Numbers {
    keys: RandomState,
    count: u64,
}

impl Numbers {
    fn next(&mut self) -> String {
        self.count = self.count.wrapping_add(1);
        format!("{:016x}", self.keys.hash_one(self.count))
    }
}
