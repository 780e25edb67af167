//! What the store is told when it is opened, and its named limits.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The name of the database file in the data directory.
pub const DATABASE_FILE: &str = "sickbay.db";

/// Where the time comes from: the store reads no clock of its own, so tests can pass months in
/// milliseconds.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long things are kept. Age and size hold together: what is met first deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw readings. Default 7 days.
    pub raw_age: Duration,
    /// One-minute rollups. Default 90 days.
    pub minute_age: Duration,
    /// One-hour rollups. Default 2 years.
    pub hour_age: Duration,
    /// Events and resolved alerts. Default 1 year.
    pub event_age: Duration,
    /// Check results on change. Default 90 days.
    pub check_age: Duration,
    /// The most bytes that the database file may hold. When it is met, the oldest raw readings go
    /// first, then the oldest minute rollups, hour rollups, check changes and events; the last day of
    /// readings, the last week of minutes and the last month of hours go last. Default 2 GiB.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw_age: 7 * DAY,
            minute_age: 90 * DAY,
            hour_age: 730 * DAY,
            event_age: 365 * DAY,
            check_age: 90 * DAY,
            max_bytes: 2 << 30,
        }
    }
}

/// How the store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The data directory; made with mode 0700 when absent.
    pub path: PathBuf,
    /// How long things are kept.
    pub retention: Retention,
    /// The most bytes that may wait for the writer. When it is met, the oldest waiting readings are
    /// dropped, counted and shown in [`crate::StoreHealth`]. Default 8 MiB.
    pub queue_limit_bytes: usize,
    /// How long the writer collects work before it commits; what a crash can lose. Default 1 s.
    pub commit_interval: Duration,
    /// How often retention is enforced. Default 5 min.
    pub sweep_interval: Duration,
    /// The address that this process serves on, shown to whoever finds the store held. Can be set
    /// later with [`crate::Store::note_listen`].
    pub listen: Option<String>,
    /// Names the network filesystem that a directory lies on, if it lies on one. Replaced in tests.
    pub network_filesystem: fn(&std::path::Path) -> Option<&'static str>,
    /// Refuses to grow the file beyond this many pages of 4 KiB, as a quota would. For tests.
    pub max_pages: Option<u32>,
}

impl StoreOptions {
    /// Sensible options for a data directory.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            retention: Retention::default(),
            queue_limit_bytes: 8 << 20,
            commit_interval: Duration::from_secs(1),
            sweep_interval: Duration::from_secs(300),
            listen: None,
            network_filesystem: crate::filesystem::network_filesystem,
            max_pages: None,
        }
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("path", &self.path)
            .field("retention", &self.retention)
            .field("queue_limit_bytes", &self.queue_limit_bytes)
            .field("commit_interval", &self.commit_interval)
            .field("sweep_interval", &self.sweep_interval)
            .field("listen", &self.listen)
            .field("max_pages", &self.max_pages)
            .finish_non_exhaustive()
    }
}
