//! The only spawner of tasks: each declares what its end means, and its status can be seen.
//!
//! What must hold: a panic stays inside its task; a task that may not end is started again, or
//! ends everything; at shutdown every task is waited for, and those that had to be aborted are
//! named. Threads cannot be aborted: they are named and left.

mod panic_guard;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::shutdown::Shutdown;
use panic_guard::{catch_panic, catch_panics};

/// What a task's error is: anything that can be shown.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// What the end of a task means, be it an error, a panic or a return before shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEnd {
    /// It is started again, after a pause that doubles from the first duration to the second. A
    /// run that lasted longer than the longest pause starts the pauses from the shortest again.
    Restart {
        /// The first pause.
        backoff_min: Duration,
        /// The longest pause.
        backoff_max: Duration,
    },
    /// Nothing works without it: everything is shut down.
    StopAll,
    /// Its work is done; an error is logged.
    Ignore,
}

impl OnEnd {
    /// Restart with pauses from 100 ms to 30 s.
    pub const RESTART: Self = Self::Restart {
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(30),
    };
}

/// A task's name and what its end means.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// Shown in logs and in the API.
    pub name: String,
    /// What its end means.
    pub on_end: OnEnd,
}

impl TaskSpec {
    /// A name and what the end means.
    pub fn new(name: impl Into<String>, on_end: OnEnd) -> Self {
        Self { name: name.into(), on_end }
    }
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// At work.
    Running,
    /// Ended, and waits to be started again.
    Restarting,
    /// Ended well.
    Finished,
    /// Ended with an error or a panic, and is not started again.
    Failed,
}

/// What can be seen of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: TaskState,
    /// When it entered that state: time since the process began.
    pub since: Duration,
    /// How often it was started again.
    pub restarts: u64,
    /// The last error or panic.
    pub last_error: Option<String>,
}

/// Spawns tasks, keeps them alive, and waits for them at the end. Clones are one supervisor.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

struct Shared {
    shutdown: Shutdown,
    clock: Clock,
    tasks: Mutex<Vec<Arc<Task>>>,
}

struct Task {
    status: Mutex<TaskStatus>,
    /// Cancelled when the task is gone, however it went.
    gone: CancellationToken,
    abort: Mutex<Option<tokio::task::AbortHandle>>,
}

/// How many failed tasks that are not started again are kept for `statuses`; older ones go.
const MAX_FAILED_KEPT: usize = 64;

impl Supervisor {
    /// A supervisor whose tasks all hear this shutdown.
    #[must_use]
    pub fn new(shutdown: Shutdown, clock: Clock) -> Self {
        panic_guard::install_hook();
        Self { shared: Arc::new(Shared { shutdown, clock, tasks: Mutex::default() }) }
    }

    /// Starts a task; `factory` makes its future, again for every restart, and is given the token
    /// that tells it to end.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<Factory, Run>(&self, spec: TaskSpec, factory: Factory)
    where
        Factory: Fn(CancellationToken) -> Run + Send + Sync + 'static,
        Run: Future<Output = Result<(), TaskError>> + Send,
    {
        let task = self.register(spec.name);
        let gone = task.gone.clone().drop_guard();
        let (supervisor, on_end, kept) = (self.clone(), spec.on_end, Arc::clone(&task));
        let runner = async move {
            supervisor.run(&task, on_end, factory).await;
            drop(gone);
        };
        *lock(&kept.abort) = Some(spawn_on_tokio(runner).abort_handle());
    }

    /// Runs blocking work on tokio's pool for such; its end means nothing to the others.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn_blocking<Output: Send + 'static>(
        &self,
        name: impl Into<String>,
        work: impl FnOnce() -> Output + Send + 'static,
    ) -> tokio::task::JoinHandle<Option<Output>> {
        let task = self.register(name.into());
        let (supervisor, gone) = (self.clone(), task.gone.clone().drop_guard());
        tokio::task::spawn_blocking(move || {
            let output = supervisor.finish_work(&task, catch_panic(work));
            drop(gone);
            output
        })
    }

    /// Runs work on a thread of its own, which hears the shutdown by the token and is waited for
    /// at the end. Its end means nothing to the others.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn spawn_thread(
        &self,
        name: impl Into<String>,
        work: impl FnOnce(CancellationToken) + Send + 'static,
    ) -> std::io::Result<()> {
        let name = name.into();
        let task = self.register(name.clone());
        let (supervisor, gone) = (self.clone(), task.gone.clone().drop_guard());
        let token = self.shared.shutdown.token().child_token();
        std::thread::Builder::new().name(name).spawn(move || {
            supervisor.finish_work(&task, catch_panic(|| work(token)));
            drop(gone);
        })?;
        Ok(())
    }

    /// All tasks that live, are being restarted, or failed; those that ended well are dropped.
    #[must_use]
    pub fn statuses(&self) -> Vec<TaskStatus> {
        lock(&self.shared.tasks).iter().map(|task| lock(&task.status).clone()).collect()
    }

    /// Waits until every task is gone, at most for `deadline`; then aborts the rest. Returns the
    /// names of those that did not end by themselves. Call it after the shutdown was requested.
    pub async fn join(&self, deadline: Duration) -> Vec<String> {
        let end = Instant::now() + deadline;
        let mut late = Vec::new();
        // Taken from the list one by one, because a task that ends may start another.
        while let Some(task) = self.next_living() {
            if tokio::time::timeout_at(end, task.gone.cancelled()).await.is_err() {
                late.push(lock(&task.status).name.clone());
                if let Some(abort) = lock(&task.abort).as_ref() {
                    abort.abort();
                }
            }
            lock(&self.shared.tasks).retain(|other| !Arc::ptr_eq(other, &task));
        }
        late
    }

    fn next_living(&self) -> Option<Arc<Task>> {
        let tasks = lock(&self.shared.tasks);
        tasks.iter().find(|task| !task.gone.is_cancelled()).cloned()
    }

    fn register(&self, name: String) -> Arc<Task> {
        let task = Arc::new(Task {
            status: Mutex::new(TaskStatus {
                name,
                state: TaskState::Running,
                since: self.shared.clock.monotonic(),
                restarts: 0,
                last_error: None,
            }),
            gone: CancellationToken::new(),
            abort: Mutex::default(),
        });
        lock(&self.shared.tasks).push(Arc::clone(&task));
        task
    }

    async fn run<Factory, Run>(&self, task: &Task, on_end: OnEnd, factory: Factory)
    where
        Factory: Fn(CancellationToken) -> Run + Send + Sync + 'static,
        Run: Future<Output = Result<(), TaskError>> + Send,
    {
        let mut pause = Duration::ZERO;
        loop {
            let token = self.shared.shutdown.token().child_token();
            let started = Instant::now();
            let ended = catch_panics(async { factory(token).await }).await;
            let OnEnd::Restart { backoff_min, backoff_max } = on_end else {
                return self.apply_end(task, on_end, ended);
            };
            if self.shared.shutdown.is_requested() {
                return self.apply_end(task, OnEnd::Ignore, ended);
            }
            pause = match started.elapsed() > backoff_max {
                true => backoff_min,
                false => pause.saturating_mul(2).clamp(backoff_min, backoff_max),
            };
            self.note_restart(task, ended, pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => self.enter(task, TaskState::Running, None),
                () = self.shared.shutdown.requested() => {
                    return self.enter(task, TaskState::Finished, None);
                }
            }
        }
    }

    fn note_restart(&self, task: &Task, ended: Result<(), TaskError>, pause: Duration) {
        let error = ended.err().map_or_else(|| ENDED_EARLY.to_owned(), |error| describe(&*error));
        let name = lock(&task.status).name.clone();
        tracing::warn!(task = name, error, pause_ms = pause.as_millis(), "task ended; restarting");
        self.enter(task, TaskState::Restarting, Some(error));
        lock(&task.status).restarts += 1;
    }

    fn apply_end(&self, task: &Task, on_end: OnEnd, ended: Result<(), TaskError>) {
        let name = lock(&task.status).name.clone();
        let error = ended.err().map(|error| describe(&*error));
        let stopping = self.shared.shutdown.is_requested();
        if let Some(error) = &error {
            tracing::error!(task = name, error, "task failed");
        }
        let state = if error.is_some() { TaskState::Failed } else { TaskState::Finished };
        self.enter(task, state, error.clone());
        if on_end == OnEnd::StopAll && !stopping {
            let why = error.as_deref().unwrap_or(ENDED_EARLY);
            self.shared.shutdown.request(&format!("the task {name:?} ended: {why}"));
        }
        self.forget_old();
    }

    fn finish_work<Output>(&self, task: &Task, ended: Result<Output, TaskError>) -> Option<Output> {
        let (output, ended) = match ended {
            Ok(output) => (Some(output), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.apply_end(task, OnEnd::Ignore, ended);
        output
    }

    fn enter(&self, task: &Task, state: TaskState, error: Option<String>) {
        let mut status = lock(&task.status);
        status.state = state;
        status.since = self.shared.clock.monotonic();
        if error.is_some() {
            status.last_error = error;
        }
    }

    /// Drops what ended well, and the oldest failures beyond the limit.
    fn forget_old(&self) {
        let mut tasks = lock(&self.shared.tasks);
        let failed = tasks.iter().filter(|task| lock(&task.status).state == TaskState::Failed);
        let mut excess = failed.count().saturating_sub(MAX_FAILED_KEPT);
        tasks.retain(|task| match lock(&task.status).state {
            TaskState::Finished => false,
            TaskState::Failed if excess > 0 => {
                excess -= 1;
                false
            }
            _ => true,
        });
    }
}

/// What is said of a task that returned although it should go on.
const ENDED_EARLY: &str = "it returned although it should go on";

/// An error with its causes, in one line.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that spawns tasks")]
fn spawn_on_tokio(run: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(run)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}

#[cfg(test)]
mod tests;
