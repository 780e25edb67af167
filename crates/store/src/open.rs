//! Opening a store: the lock, the checks, and what to do with a file that is not sound.

use std::path::PathBuf;

use sickbay_model::Timestamp;

/// A store that could not be opened. Everything else (no space, no permission, a damaged file)
/// opens with an [`OpenReport`] that says what is missing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the data directory.
    #[error(
        "the data directory {path} is in use by process {pid}{}{}; stop it first, or choose another \
         directory with --data-dir",
        since.map(|at| format!(" since {at}")).unwrap_or_default(),
        listen.as_deref().map(|at| format!(", which serves on {at}")).unwrap_or_default()
    )]
    HeldBy {
        /// The data directory.
        path: PathBuf,
        /// The holder.
        pid: u32,
        /// When it opened the store, if it says so.
        since: Option<Timestamp>,
        /// Where it serves, if it says so.
        listen: Option<String>,
    },
    /// The data directory lies on a network filesystem, where locks and the write-ahead log are
    /// not safe.
    #[error(
        "the data directory {path} is on a network filesystem ({filesystem}), where SQLite's locks \
         and write-ahead log are not safe; choose a directory on a local disk with --data-dir"
    )]
    NetworkFilesystem {
        /// The data directory.
        path: PathBuf,
        /// Which one.
        filesystem: &'static str,
    },
    /// The file was written by a newer version.
    #[error(
        "{path} has schema version {found}, this version of sickbay knows up to {known}; install the \
         newer version again, or choose another directory with --data-dir"
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest known version.
        known: i64,
    },
    /// The file is a database of something else.
    #[error(
        "{path} is a SQLite database, but not of sickbay (application id {found:#010x}); move it \
         away, or choose another directory with --data-dir"
    )]
    ForeignFile {
        /// The database file.
        path: PathBuf,
        /// Its application id.
        found: i64,
    },
    /// Not even a store in memory could be made.
    #[error("opening a store in memory failed")]
    Memory(#[source] rusqlite::Error),
    /// The writer's thread could not be started.
    #[error("starting the store's writer thread failed")]
    Thread(#[source] std::io::Error),
}

/// A file that was found damaged and moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// Where it lies now, for whoever wants to rescue data from it.
    pub moved_to: PathBuf,
    /// What was found.
    pub reason: String,
}

/// How the check of the file at start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// The file is new, or lives in memory.
    Fresh,
    /// The whole file was checked and is sound.
    Sound,
    /// The last shutdown was clean and the file is large: not checked.
    Trusted,
    /// The last shutdown was not clean and the file is too large to check before serving; it is
    /// being checked in the background, and damage would show in [`crate::StoreHealth`].
    InBackground,
}

/// What was found on opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The database file, or where it would be.
    pub path: PathBuf,
    /// Whether no database was there before.
    pub created: bool,
    /// How the check of the file ended.
    pub integrity: Integrity,
    /// Whether an earlier process ended without closing the store.
    pub unclean_shutdown: bool,
    /// The schema version that was brought up to date, if one was.
    pub migrated_from: Option<i64>,
    /// A file found damaged and moved aside; a fresh one is in use.
    pub damaged: Option<DamagedFile>,
    /// Why nothing is kept on disk, if so.
    pub memory_only: Option<String>,
}
