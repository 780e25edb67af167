//! The handle that everything else in the hub holds.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use sickbay_model::{Event, EventId, ResourceId, Status, Timestamp};

use crate::batch::{CheckChange, Dropped, StoredNode, WriteBatch};
use crate::connection::{MAX_MEMORY_BYTES, Place, bytes_on_disk};
use crate::health::StoreHealth;
use crate::lock::DirectoryLock;
use crate::options::{Retention, StoreOptions, WallClock};
use crate::query::{CheckQuery, EventQuery, HistoryAnswer, HistoryQuery, ReadError, SeriesSpan};
use crate::queue::Queue;
use crate::readers::Readers;
use crate::writer::Class;
use crate::{history, read};

/// The longest name and value of [`Store::meta_put`], in bytes together.
const MAX_META_BYTES: usize = 64 << 10;

/// What is wrong, and since when.
#[derive(Debug, Default)]
struct Condition {
    /// Why nothing is kept on disk.
    memory: Option<(Timestamp, String)>,
    /// What was damaged; stays until the process ends, so that a person sees it.
    damaged: Option<(Timestamp, String)>,
    /// Writing fails since then; and what had been dropped by then.
    failing: Option<(Timestamp, String, Dropped)>,
    /// The database refuses work since then, though it is sound and has room.
    refused: Option<(Timestamp, String)>,
    last_error: Option<(Timestamp, String)>,
}

/// What the handles and the writer share.
pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    pub(crate) clock: WallClock,
    pub(crate) queue: Queue,
    pub(crate) readers: Readers,
    opened_at: Timestamp,
    condition: Mutex<Condition>,
    lock: Mutex<Option<DirectoryLock>>,
    found_damage: Mutex<Option<String>>,
    last_event: AtomicU64,
    samples: AtomicU64,
    history_bytes: AtomicU64,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is held under these locks is ever left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        options: StoreOptions,
        clock: WallClock,
        place: Place,
        lock: Option<DirectoryLock>,
        memory: Option<String>,
    ) -> Self {
        let opened_at = clock();
        let condition =
            Condition { memory: memory.map(|why| (opened_at, why)), ..Condition::default() };
        Self {
            queue: Queue::new(options.queue_limit_bytes),
            readers: Readers::new(place),
            opened_at,
            condition: Mutex::new(condition),
            lock: Mutex::new(lock),
            found_damage: Mutex::default(),
            last_event: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            history_bytes: AtomicU64::new(0),
            options,
            clock,
        }
    }

    /// Writing does not work; it will be tried again.
    pub(crate) fn failing(&self, doing: &str, error: &rusqlite::Error) {
        let now = (self.clock)();
        let message = format!("{doing} fails: {error}{}", advice(error));
        let mut condition = guard(&self.condition);
        if condition.failing.is_none() {
            tracing::error!(%message, "the store cannot write; work is kept in memory meanwhile");
            condition.failing = Some((now, message.clone(), self.queue.depth().dropped));
        }
        condition.last_error = Some((now, message));
    }

    /// Something failed and will not be tried again.
    pub(crate) fn failed_once(&self, doing: &str, error: &rusqlite::Error) {
        tracing::error!(%error, doing, "the database refused some work; it was dropped and counted");
        let now = (self.clock)();
        let message =
            format!("the database refused some work, which was dropped: {doing}: {error}");
        let mut condition = guard(&self.condition);
        condition.refused.get_or_insert((now, message.clone()));
        condition.last_error = Some((now, message));
    }

    /// Writing works.
    pub(crate) fn recovered(&self) {
        let mut condition = guard(&self.condition);
        condition.refused = None;
        if condition.failing.take().is_some() {
            tracing::info!("the store writes again");
        }
    }

    /// The database was damaged and is now another one.
    pub(crate) fn replaced(&self, place: Place, reason: &str, moved_to: Option<&Path>) {
        let now = (self.clock)();
        let aside = moved_to.map_or_else(
            || "it could not be moved aside".to_owned(),
            |path| format!("it was moved to {}", path.display()),
        );
        let message =
            format!("the database was damaged ({reason}); {aside}, and a fresh one is in use");
        tracing::error!("{message}");
        let mut condition = guard(&self.condition);
        condition.failing = None;
        condition.refused = None;
        if place.is_memory() {
            let why = "no fresh database file could be made after damage".to_owned();
            condition.memory = Some((now, why));
        }
        condition.last_error = Some((now, message.clone()));
        condition.damaged = Some((now, message));
        drop(condition);
        self.readers.switch(place);
        self.count_history(0, 0);
    }

    /// Tells the writer of damage that somebody else found.
    pub(crate) fn report_damage(&self, reason: String) {
        *guard(&self.found_damage) = Some(reason);
        self.queue.wake();
    }

    pub(crate) fn take_damage(&self) -> Option<String> {
        guard(&self.found_damage).take()
    }

    pub(crate) fn count_history(&self, samples: u64, bytes: u64) {
        self.samples.store(samples, Ordering::Relaxed);
        self.history_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn saw_event(&self, id: EventId) {
        self.last_event.fetch_max(id.0, Ordering::Relaxed);
    }

    /// What is kept: less in memory, so that the hub stays small.
    pub(crate) fn retention(&self) -> Retention {
        let mut retention = self.options.retention.clone();
        if self.readers.place().is_memory() {
            retention.max_bytes = retention.max_bytes.min(MAX_MEMORY_BYTES);
        }
        retention
    }

    /// Whether somebody removed the file under us.
    pub(crate) fn file_is_gone(&self) -> bool {
        match self.readers.place() {
            Place::File(path) => matches!(path.try_exists(), Ok(false)),
            Place::Memory(_) => false,
        }
    }

    fn health(&self) -> StoreHealth {
        let depth = self.queue.depth();
        let place = self.readers.place();
        let file_bytes = match &place {
            Place::File(path) => bytes_on_disk(path),
            Place::Memory(_) => 0,
        };
        let condition = guard(&self.condition);
        let samples = self.samples.load(Ordering::Relaxed);
        let (status, since, message) = condition.judge(depth.dropped, self.opened_at, samples);
        let (last_error_at, last_error) = condition.last_error.clone().unzip();
        StoreHealth {
            status,
            message,
            since,
            memory_only: place.is_memory(),
            file_bytes,
            queued_bytes: depth.bytes,
            queued_frames: depth.frames,
            dropped: depth.dropped,
            samples,
            history_bytes: self.history_bytes.load(Ordering::Relaxed),
            last_error_at,
            last_error,
        }
    }
}

impl Condition {
    fn judge(
        &self,
        dropped: Dropped,
        opened_at: Timestamp,
        samples: u64,
    ) -> (Status, Timestamp, String) {
        if let Some((since, message, before)) = &self.failing {
            let lost = dropped != *before;
            let status = if lost { Status::Critical } else { Status::Degraded };
            let state = if lost { "readings are being lost" } else { "work waits in memory" };
            return (status, *since, format!("{message}; {state}"));
        }
        if let Some((since, message)) = self.refused.as_ref().or(self.damaged.as_ref()) {
            return (Status::Critical, *since, message.clone());
        }
        if let Some((since, why)) = &self.memory {
            return (Status::Degraded, *since, format!("nothing is kept on disk: {why}"));
        }
        (Status::Healthy, opened_at, format!("writing works; {samples} readings in sealed history"))
    }
}

/// What a person can do about an error.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => "; free space on the disk of the data directory",
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::PermissionDenied) => {
            "; make the data directory writable"
        }
        Some(rusqlite::ErrorCode::DatabaseBusy) => "; another program holds a lock on the database",
        _ => "",
    }
}

/// Ends the writer with the last handle.
struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    fn close(&self) {
        let Some(writer) = guard(&self.writer).take() else { return };
        self.shared.queue.close();
        if writer.join().is_err() {
            tracing::error!("the store's writer had panicked");
            self.shared.queue.closed();
        }
        guard(&self.shared.lock).take();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// The store. Cheap to clone; all clones are one store. Dropping the last one closes it.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.shared().options).finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn new(shared: Arc<Shared>, writer: JoinHandle<()>) -> Self {
        Self { handle: Arc::new(Handle { shared, writer: Mutex::new(Some(writer)) }) }
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn read<T>(
        &self,
        what: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        self.shared().readers.read(question).map_err(|source| {
            if Class::of(&source) == Class::Damaged {
                // The writer makes sure before it replaces the file.
                self.shared().report_damage(format!("reading {what}: {source}"));
            }
            ReadError::Database { what, source }
        })
    }

    /// Hands work to the writer. Never blocks on the disk.
    ///
    /// # Errors
    /// When the queue is full: says what was dropped for it, oldest readings first. The batch
    /// itself is taken, as far as it fits.
    pub fn submit(&self, batch: WriteBatch) -> Result<(), Dropped> {
        for event in &batch.events {
            self.shared().saw_event(event.id);
        }
        let dropped = self.shared().queue.submit(batch);
        if dropped.is_nothing() { Ok(()) } else { Err(dropped) }
    }

    /// Waits until everything submitted before is committed, or writing it has failed. Returns
    /// whether it is committed.
    #[must_use]
    pub fn flush(&self) -> bool {
        self.shared().queue.flush()
    }

    /// Waits until everything submitted before is committed, every hour that is over is sealed, and
    /// retention has been enforced. Returns whether all is committed. The writer does all this by
    /// itself; this is for tests and for the command line.
    #[must_use]
    pub fn settle(&self) -> bool {
        let committed = self.flush();
        self.shared().queue.settle();
        committed
    }

    /// Commits what waits, marks the shutdown as clean, and stops the writer. Later submits are
    /// dropped and counted; reads still work.
    pub fn close(&self) {
        self.handle.close();
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.shared().health()
    }

    /// Writes the address that this process serves on into the lock file, for whoever finds the
    /// store held.
    pub fn note_listen(&self, listen: &str) {
        if let Some(lock) = guard(&self.shared().lock).as_mut()
            && let Err(error) = lock.note_listen(listen)
        {
            tracing::warn!(%error, "the lock file could not be updated");
        }
    }

    /// The newest event's id; zero before the first one. Also counts ids that wait to be written.
    #[must_use]
    pub fn last_event_id(&self) -> EventId {
        EventId(self.shared().last_event.load(Ordering::Relaxed))
    }

    /// The newest state of every resource: id, when it was judged, the hub's JSON.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn states(&self) -> Result<Vec<(ResourceId, Timestamp, Vec<u8>)>, ReadError> {
        self.read("the resources' states", read::states)
    }

    /// Events.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn events(&self, query: &EventQuery) -> Result<Vec<Event>, ReadError> {
        self.read("events", |connection| read::events(connection, query))
    }

    /// Check changes, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn check_changes(&self, query: &CheckQuery) -> Result<Vec<CheckChange>, ReadError> {
        self.read("check changes", |connection| read::check_changes(connection, query))
    }

    /// The history of one series. Sealed hours are as precise as [`crate::precision`] says.
    ///
    /// What is read depends on the length that a point stands for: below a minute raw readings,
    /// below an hour minute rollups, else hour rollups; and something coarser where the finer does
    /// not reach back to `from` any more. A series that is not known has no points.
    ///
    /// # Errors
    /// When the database does not answer, or the range is empty.
    pub fn history(&self, query: &HistoryQuery) -> Result<HistoryAnswer, ReadError> {
        if query.to <= query.from {
            let why =
                format!("the range is empty: it ends at {}, not after {}", query.to, query.from);
            return Err(ReadError::Refused(why));
        }
        self.read("history", |connection| history::history(connection, query))
    }

    /// The series of a resource that have history. The last reading is exact to 15 s.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn series(&self, resource: &ResourceId) -> Result<Vec<SeriesSpan>, ReadError> {
        self.read("series", |connection| read::series(connection, resource))
    }

    /// All records of one kind: their keys and what they hold, by key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn records(&self, kind: &str) -> Result<Vec<(String, String)>, ReadError> {
        self.read("records", |connection| read::records(connection, kind))
    }

    /// The nodes that were added at run time, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn nodes(&self) -> Result<Vec<StoredNode>, ReadError> {
        self.read("the added nodes", read::nodes)
    }

    /// A small value kept by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn meta_get(&self, key: &str) -> Result<Option<String>, ReadError> {
        let key = format!("hub.{key}");
        self.read("a small value", |connection| read::meta(connection, &key))
    }

    /// Keeps a small value by name, at most 64 KiB; written with the next commit.
    ///
    /// # Errors
    /// When name and value are too long.
    pub fn meta_put(&self, key: &str, value: &str) -> Result<(), ReadError> {
        if key.len() + value.len() > MAX_META_BYTES {
            let why = format!("{key:?} has more than {MAX_META_BYTES} bytes");
            return Err(ReadError::Refused(why));
        }
        self.shared().queue.put_meta(&format!("hub.{key}"), value);
        Ok(())
    }
}
