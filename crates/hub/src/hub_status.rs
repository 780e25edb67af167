//! The hub looking at itself: what `/api/v1/hub`, `/readyz` and the watchdog read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use sickbay_model::{Status, Timestamp};
use sickbay_runtime::{Clock, Supervisor, TaskState, TaskStatus, cost};
use sickbay_store::Store;
use sickbay_wire::v1::{CostView, HubStatus, ScheduleView, StoreView, TaskView};

/// What the monitor loop counts about its own schedule.
#[derive(Debug, Default)]
pub struct ScheduleCounters {
    /// Targets watched.
    pub targets: AtomicU64,
    /// Collections started.
    pub started: AtomicU64,
    /// Collections skipped because the last one was still under way.
    pub skipped: AtomicU64,
    /// Collections under way now.
    pub running: AtomicU64,
    /// Targets that are due and wait for a place now.
    pub waiting: AtomicU64,
    /// How late the last collection started, in microseconds.
    pub lag_us: AtomicU64,
    /// Times around the loop; the watchdog is fed only when it moved.
    pub progress: AtomicU64,
    /// Set once every target was collected once.
    pub first_sweep_done: AtomicBool,
}

/// Which configuration is in force, and why a newer one is not.
#[derive(Clone, Debug, Default)]
pub struct ConfigState {
    /// The file in force.
    pub file: Option<PathBuf>,
    /// Why the newest one was refused.
    pub error: Option<String>,
}

/// Where the hub's own status comes from. Cheap to clone.
#[derive(Clone)]
pub struct HubStatusSource {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    started_at: Timestamp,
    started: Duration,
    data_dir: PathBuf,
    supervisor: Supervisor,
    store: Store,
    config: ArcSwap<ConfigState>,
    schedule: Arc<ScheduleCounters>,
    children: ArcSwap<Vec<u32>>,
}

impl HubStatusSource {
    /// A source over the hub's parts.
    #[must_use]
    pub fn new(
        clock: Clock,
        data_dir: PathBuf,
        supervisor: Supervisor,
        store: Store,
        config: ConfigState,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                started_at: Timestamp::from_unix_ms(clock.now_ms()),
                started: clock.monotonic(),
                clock,
                data_dir,
                supervisor,
                store,
                config: ArcSwap::from_pointee(config),
                schedule: Arc::default(),
                children: ArcSwap::default(),
            }),
        }
    }

    /// The counters that the monitor loop keeps.
    #[must_use]
    pub fn schedule(&self) -> &Arc<ScheduleCounters> {
        &self.inner.schedule
    }

    /// Replaces the config's state.
    pub fn set_config(&self, state: ConfigState) {
        self.inner.config.store(Arc::new(state));
    }

    /// The config's state.
    #[must_use]
    pub fn config(&self) -> Arc<ConfigState> {
        self.inner.config.load_full()
    }

    /// Tells which processes are the hub's probe children.
    pub fn set_children(&self, pids: Vec<u32>) {
        if **self.inner.children.load() != pids {
            self.inner.children.store(Arc::new(pids));
        }
    }

    /// Whether the hub can be asked.
    ///
    /// # Errors
    /// What it still waits for, in sentences.
    pub fn readiness(&self) -> Result<(), Vec<String>> {
        let mut waiting = Vec::new();
        if !self.inner.schedule.first_sweep_done.load(Ordering::Acquire) {
            waiting.push("the first collection is not finished yet".to_owned());
        }
        for task in self.inner.supervisor.statuses() {
            if task.state == TaskState::Failed {
                let why = task.last_error.unwrap_or_else(|| "it ended".to_owned());
                waiting.push(format!("the task {} failed: {why}", task.name));
            }
        }
        if waiting.is_empty() { Ok(()) } else { Err(waiting) }
    }

    /// What does not keep the hub from being asked, but should be known: in sentences.
    #[must_use]
    pub fn caveats(&self) -> Vec<String> {
        let store = self.inner.store.health();
        let config = self.config();
        let store = (store.status != Status::Healthy).then(|| format!("store: {}", store.message));
        let config = config.error.as_ref().map(|error| format!("configuration: {error}"));
        store.into_iter().chain(config).collect()
    }

    /// A number that grows while the work loop progresses.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.inner.schedule.progress.load(Ordering::Acquire)
    }

    /// How long the hub has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.inner.clock.monotonic().saturating_sub(self.inner.started)
    }

    /// The hub's status now.
    #[must_use]
    pub fn status(&self) -> HubStatus {
        let config = self.config();
        let waiting = self.readiness().err().unwrap_or_default();
        HubStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.inner.started_at,
            uptime_seconds: self.uptime().as_secs_f64(),
            data_dir: self.inner.data_dir.display().to_string(),
            config_file: config.file.as_ref().map(|file| file.display().to_string()),
            config_error: config.error.clone(),
            ready: waiting.is_empty(),
            not_ready_reasons: waiting,
            tasks: self.tasks(),
            store: self.store(),
            schedule: self.schedule_view(),
            cost: self.cost(),
        }
    }

    /// The hub's tasks, as the supervisor sees them.
    #[must_use]
    pub fn task_statuses(&self) -> Vec<TaskStatus> {
        self.inner.supervisor.statuses()
    }

    fn tasks(&self) -> Vec<TaskView> {
        let word = |state| match state {
            TaskState::Running => "running",
            TaskState::Restarting => "restarting",
            TaskState::Finished => "finished",
            TaskState::Failed => "failed",
        };
        self.inner
            .supervisor
            .statuses()
            .into_iter()
            .map(|task| TaskView {
                name: task.name,
                state: word(task.state).to_owned(),
                restarts: u32::try_from(task.restarts).unwrap_or(u32::MAX),
                last_error: task.last_error,
            })
            .collect()
    }

    fn store(&self) -> StoreView {
        let health = self.inner.store.health();
        StoreView {
            status: health.status,
            message: health.message,
            file_bytes: health.file_bytes,
            queued: health.queued_frames,
            dropped: health.dropped.frames + health.dropped.checks + health.dropped.events,
            samples: health.samples,
            history_bytes: health.history_bytes,
        }
    }

    /// Whether the store keeps what it is given.
    #[must_use]
    pub fn store_status(&self) -> Status {
        self.inner.store.health().status
    }

    #[expect(clippy::cast_precision_loss, reason = "a lag in microseconds fits f64's 53 bits")]
    fn schedule_view(&self) -> ScheduleView {
        let schedule = &self.inner.schedule;
        ScheduleView {
            targets: u32::try_from(schedule.targets.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
            started_total: schedule.started.load(Ordering::Relaxed),
            skipped_total: schedule.skipped.load(Ordering::Relaxed),
            running: u32::try_from(schedule.running.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
            waiting: u32::try_from(schedule.waiting.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
            lag_ms: schedule.lag_us.load(Ordering::Relaxed) as f64 / 1000.0,
        }
    }

    fn cost(&self) -> CostView {
        let children = self.inner.children.load();
        let cpu = cost::own_cpu_time()
            + children.iter().filter_map(|&pid| cost::cpu_time_of(pid)).sum::<Duration>();
        let uptime = self.uptime().as_secs_f64().max(0.001);
        CostView {
            cpu_seconds_total: cpu.as_secs_f64(),
            cpu_percent: 100.0 * cpu.as_secs_f64() / uptime,
            resident_bytes: cost::rss_bytes(std::process::id()).unwrap_or(0),
            children_resident_bytes: children.iter().filter_map(|&pid| cost::rss_bytes(pid)).sum(),
            open_files: cost::open_files().unwrap_or(0),
        }
    }
}
