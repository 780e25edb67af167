//! What an operator does with a database by hand: `sickbay db stats|cleanup|backup|restore|optimize`.

use std::path::{Path, PathBuf};

use sickbay_model::Timestamp;

use crate::open::OpenError;
use crate::options::{Retention, WallClock};

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database did not do it.
    #[error("{doing} {path} failed")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// The file system did not do it.
    #[error("{doing} {path} failed")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// It would do harm.
    #[error("{0}")]
    Refused(String),
}

/// What a database holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// The database file.
    pub path: PathBuf,
    /// Schema version.
    pub schema_version: i64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// Bytes inside the file that are free.
    pub free_bytes: u64,
    /// Whether a process has the store open.
    pub in_use: bool,
    /// Resources known.
    pub resources: u64,
    /// Series known.
    pub series: u64,
    /// Raw readings in sealed history.
    pub samples: u64,
    /// Bytes of sealed history, rollups included.
    pub history_bytes: u64,
    /// Frames not yet sealed.
    pub open_frames: u64,
    /// Blocks of raw readings, one-minute rollups and one-hour rollups.
    pub blocks: [BlockStats; 3],
    /// Events.
    pub events: u64,
    /// Check changes.
    pub check_changes: u64,
    /// Alerts that are not resolved.
    pub open_alerts: u64,
}

/// Blocks of one resolution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockStats {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Start of the oldest.
    pub oldest: Option<Timestamp>,
    /// End of the newest.
    pub newest: Option<Timestamp>,
}

/// What a clean-up removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Blocks of history.
    pub blocks: u64,
    /// Events.
    pub events: u64,
    /// Check changes and resolved alerts.
    pub checks: u64,
    /// Bytes by which the file shrank.
    pub freed_bytes: u64,
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupProgress {
    /// Pages done.
    pub done_pages: u64,
    /// Pages in all.
    pub total_pages: u64,
}

/// What the database in a data directory holds. Works while the hub runs.
///
/// # Errors
/// When there is no database or it does not answer.
pub fn stats(_data_dir: &Path) -> Result<Stats, AdminError> {
    unimplemented!()
}

/// Enforces retention now. Refused while another process has the store open (it does this itself).
///
/// # Errors
/// When the store is held, or the database does not answer.
pub fn cleanup(
    _data_dir: &Path,
    _retention: &Retention,
    _clock: &WallClock,
) -> Result<Cleaned, AdminError> {
    unimplemented!()
}

/// Copies the database, consistently, to a new file. Works while the hub runs.
///
/// # Errors
/// When the target exists already, or reading or writing fails.
pub fn backup(
    _data_dir: &Path,
    _to: &Path,
    _progress: &mut dyn FnMut(BackupProgress),
) -> Result<u64, AdminError> {
    unimplemented!()
}

/// Replaces the database with a backup that was checked first. The old one is kept beside it;
/// returns where, if there was one.
///
/// # Errors
/// When the store is held, the backup is damaged, foreign or newer, or the file cannot be replaced.
pub fn restore(
    _from: &Path,
    _data_dir: &Path,
    _clock: &WallClock,
) -> Result<Option<PathBuf>, AdminError> {
    unimplemented!()
}

/// Refreshes the planner's statistics, gives free pages back to the file system and empties the
/// write-ahead log. Works while the hub runs. Returns the bytes by which the files shrank.
///
/// # Errors
/// When the database does not answer.
pub fn optimize(_data_dir: &Path) -> Result<u64, AdminError> {
    unimplemented!()
}
