//! Who asks collectors: a killable child, or a thread where there is no child.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sickbay_model::{Advice, ProbeError, ProbeErrorKind};
use sickbay_runtime::{CallError, ChildCommand, ChildLimits, Clock, WorkerChild, cost};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::local::{LocalCollector, registry};
use crate::probe_child::{Answer, ChildKind, ChildSettings, Request, collect_one};
use crate::{FaultMatcher, Sample};

/// Where a lane's collectors come from; makes its workers, again after a hang.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) kind: OriginKind,
    pub(super) settings: Arc<ChildSettings>,
    /// How children are started; `None` runs everything in threads.
    pub(super) child: Option<ChildCommand>,
    pub(super) clock: Clock,
}

/// Which collectors.
#[derive(Clone, Debug)]
pub(super) enum OriginKind {
    /// Those that read only what the kernel writes from memory. They still get a thread, at about
    /// 15 µs a collection: should one hang all the same, the node goes on reporting.
    InProcess(Arc<FaultMatcher>),
    /// Those that can hang.
    Child(ChildKind),
}

impl Origin {
    pub(super) fn collectors(&self) -> Vec<Box<dyn LocalCollector>> {
        match &self.kind {
            OriginKind::InProcess(faults) => {
                registry::in_process(faults).into_iter().map(|entry| entry.collector).collect()
            }
            OriginKind::Child(kind) => kind.collectors(&self.settings),
        }
    }

    pub(super) fn worker(&self) -> Worker {
        if let (OriginKind::Child(kind), Some(base)) = (&self.kind, &self.child) {
            return match self.settings.command(base, kind) {
                Ok(command) => {
                    let limits = ChildLimits::default();
                    let child = WorkerChild::new(format!("{kind:?} probes"), command, limits);
                    Worker::Child(Box::new(ChildWorker {
                        child,
                        cpu_seen: Duration::ZERO,
                        start: 0,
                    }))
                }
                Err(error) => Worker::Broken(error),
            };
        }
        Worker::Thread(ThreadWorker {
            collectors: Some(self.collectors()),
            running: None,
            origin: self.clone(),
        })
    }
}

/// What one collector brought back.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) result: Result<Sample, ProbeError>,
    pub(super) took: Duration,
    /// CPU time that it cost outside the caller's thread.
    pub(super) cpu: Duration,
    /// Whether the worker is lost to it: the collector hung or crashed.
    pub(super) lost_worker: bool,
}

impl Found {
    fn failed(error: ProbeError, took: Duration, lost_worker: bool) -> Self {
        Self { result: Err(error), took, cpu: Duration::ZERO, lost_worker }
    }
}

/// Asks collectors by their place in the list.
pub(super) enum Worker {
    Child(Box<ChildWorker>),
    Thread(ThreadWorker),
    /// No child can be described at all, and why.
    Broken(ProbeError),
}

impl Worker {
    /// Asks collectors one after the other, each for at most `limit` and none after `end`. Ends
    /// early after one that cost the worker: the answers may be fewer than the places.
    pub(super) async fn ask(
        &mut self,
        places: &[usize],
        limit: Duration,
        end: Instant,
    ) -> Vec<Found> {
        match self {
            Self::Broken(error) => {
                let failed = |_| Found::failed(error.clone(), Duration::ZERO, false);
                places.iter().map(failed).collect()
            }
            Self::Thread(thread) => thread.ask(places, limit.min(left_until(end))).await,
            Self::Child(child) => {
                let mut found = Vec::with_capacity(places.len());
                for &place in places {
                    let limit = limit.min(left_until(end));
                    if limit.is_zero() {
                        break;
                    }
                    let one = child.ask(place, limit).await;
                    let lost = one.lost_worker;
                    found.push(one);
                    if lost {
                        break;
                    }
                }
                found
            }
        }
    }

    /// Whether asking costs nothing because something unkillable is in the way.
    pub(super) fn is_stuck(&self) -> bool {
        match self {
            Self::Child(child) => child.child.stuck_for().is_some(),
            Self::Thread(thread) => thread.running.is_some(),
            Self::Broken(_) => false,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Child(child) => child.child.pid(),
            _ => None,
        }
    }

    pub(super) async fn stop(&mut self) {
        if let Self::Child(child) = self {
            child.child.stop().await;
        }
    }
}

fn left_until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

/// A killable child.
pub(super) struct ChildWorker {
    child: WorkerChild,
    /// CPU time that the running child had used at its last answer.
    cpu_seen: Duration,
    start: u64,
}

impl ChildWorker {
    async fn ask(&mut self, place: usize, limit: Duration) -> Found {
        let began = Instant::now();
        let answer = self.child.call_parsed::<Answer>(&Request { collect: place }, limit).await;
        match answer {
            Ok(Answer { result, took, cpu }) => {
                if self.start != self.child.starts() {
                    self.start = self.child.starts();
                    self.cpu_seen = Duration::ZERO;
                }
                let before = std::mem::replace(&mut self.cpu_seen, cpu);
                Found { result, took, cpu: cpu.saturating_sub(before), lost_worker: false }
            }
            Err(error) => {
                let lost = !matches!(error, CallError::Spawn { .. } | CallError::Request(_));
                Found::failed(probe_error(&error), began.elapsed(), lost)
            }
        }
    }
}

/// What a child's failure means for the probe.
pub(crate) fn probe_error(error: &CallError) -> ProbeError {
    const LOOK_AT_KERNEL: Advice = Advice(std::borrow::Cow::Borrowed(
        "look at the kernel's log (dmesg) and at processes in state D (ps) for what it waits for",
    ));
    let (kind, advice) = match error {
        CallError::Late { .. } => (ProbeErrorKind::Late, Some(LOOK_AT_KERNEL)),
        CallError::Stuck { .. } => (ProbeErrorKind::Stuck, Some(LOOK_AT_KERNEL)),
        CallError::Malformed { .. } | CallError::TooLong { .. } => {
            (ProbeErrorKind::Malformed, None)
        }
        CallError::Spawn { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            (ProbeErrorKind::Absent, None)
        }
        CallError::Spawn { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            (ProbeErrorKind::Denied, None)
        }
        _ => (ProbeErrorKind::Failed, None),
    };
    ProbeError { kind, message: format!("the probe's process: {error}"), advice }
}

/// A thread of tokio's pool for blocking work. It cannot be killed: one that hangs is left alone
/// and remembered.
pub(super) struct ThreadWorker {
    /// `None` while a thread has them, and after it panicked.
    collectors: Option<Collectors>,
    running: Option<Running>,
    origin: Origin,
}

type Collectors = Vec<Box<dyn LocalCollector>>;

struct Running {
    thread: JoinHandle<Collectors>,
    done: Arc<Mutex<Vec<Found>>>,
    since: Instant,
}

impl ThreadWorker {
    async fn ask(&mut self, places: &[usize], limit: Duration) -> Vec<Found> {
        if let Some(running) = &mut self.running {
            if !running.thread.is_finished() {
                return vec![stuck(running.since.elapsed())];
            }
            self.collectors = (&mut running.thread).await.ok();
            self.running = None;
        }
        let collectors = self.collectors.take().unwrap_or_else(|| self.origin.collectors());
        let done = Arc::default();
        let thread = self.start(collectors, places.to_vec(), Arc::clone(&done));
        // Kept before it is waited for: if this future is dropped, the thread is not forgotten.
        let running = self.running.insert(Running { thread, done, since: Instant::now() });
        let ended = timeout(limit, &mut running.thread).await;
        let mut found = std::mem::take(&mut *lock(&running.done));
        match ended {
            Ok(Ok(collectors)) => {
                self.collectors = Some(collectors);
                self.running = None;
            }
            Ok(Err(panicked)) => {
                self.running = None;
                let message = format!("the probe panicked: {panicked}");
                let error = crate::probe_child::failed(message);
                found.push(Found::failed(error, Duration::ZERO, true));
            }
            Err(_) => found.push(late(limit)),
        }
        found
    }

    fn start(
        &self,
        mut collectors: Collectors,
        places: Vec<usize>,
        done: Arc<Mutex<Vec<Found>>>,
    ) -> JoinHandle<Collectors> {
        let (settings, clock) = (Arc::clone(&self.origin.settings), self.origin.clock.clone());
        tokio::task::spawn_blocking(move || {
            for place in places {
                let (before, cpu_before) = (clock.monotonic(), cost::thread_cpu_time());
                let Some(collector) = collectors.get_mut(place) else { continue };
                let result = collect_one(&mut **collector, &settings.roots, before);
                let took = clock.monotonic().saturating_sub(before);
                let cpu = cost::thread_cpu_time().saturating_sub(cpu_before);
                lock(&done).push(Found { result, took, cpu, lost_worker: false });
            }
            collectors
        })
    }
}

fn late(limit: Duration) -> Found {
    let message = format!("no answer after {limit:.1?}; its thread cannot be killed");
    let error = ProbeError { kind: ProbeErrorKind::Late, message, advice: None };
    Found::failed(error, limit, true)
}

fn stuck(age: Duration) -> Found {
    let message = format!("an earlier run hangs for {age:.0?}; its thread cannot be killed");
    let error = ProbeError { kind: ProbeErrorKind::Stuck, message, advice: None };
    Found::failed(error, Duration::ZERO, true)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sickbay_model::{ProbeId, probe};

    use super::*;
    use crate::Roots;

    /// A collector with a fault.
    struct Faulty;

    impl LocalCollector for Faulty {
        fn probe(&self) -> ProbeId {
            probe::CPU
        }

        fn collect(
            &mut self,
            _roots: &Roots,
            _monotonic: Duration,
            _out: &mut Sample,
        ) -> Result<(), ProbeError> {
            panic!("a fault of ours")
        }
    }

    #[tokio::test]
    async fn a_collector_that_panics_is_a_failure_and_is_made_anew() {
        let origin = Origin {
            kind: OriginKind::InProcess(FaultMatcher::embedded()),
            settings: Arc::default(),
            child: None,
            clock: Clock::system(),
        };
        let faulty: Collectors = vec![Box::new(Faulty)];
        let collectors = Some(faulty);
        let mut worker = Worker::Thread(ThreadWorker { collectors, running: None, origin });
        let limit = Duration::from_secs(20);
        for expected in ["panicked", "answered"] {
            let found = worker.ask(&[0], limit, Instant::now() + limit).await;
            let [found] = found.as_slice() else { panic!("{found:?}") };
            let said = match &found.result {
                Ok(_) => "answered".to_owned(),
                Err(error) => error.message.clone(),
            };
            assert!(said.contains(expected), "{said}");
            assert_eq!(found.lost_worker, expected == "panicked");
        }
    }
}
