//! Opening a store: the lock, the checks, and what to do with a file that is not sound.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rusqlite::{Connection, ErrorCode};
use sickbay_model::Timestamp;

use crate::connection::{Place, move_aside};
use crate::lock::{DirectoryLock, LockError};
use crate::options::{StoreOptions, WallClock};
use crate::store::{Shared, Store};
use crate::writer::{CLEAN_SHUTDOWN, Class, Writer, damaged_label, fresh, put_meta};
use crate::{read, schema};

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

/// Files up to this size are checked in full at start; that takes a fraction of a second.
const SMALL_FILE_BYTES: u64 = 64 << 20;

/// Opens the store in a data directory. The clock is asked whenever the store needs the time.
///
/// # Errors
/// See [`OpenError`]. No space, no permission and a damaged file are no errors: the report says so,
/// and the store works in memory or with a fresh file.
pub fn open(options: StoreOptions, clock: WallClock) -> Result<(Store, OpenReport), OpenError> {
    let now = clock();
    let (lock, opened) = match claim(&options, now) {
        Ok(lock) => (Some(lock), open_file(&options, now)),
        Err(Trouble::Refuse(error)) => return Err(error),
        Err(trouble) => (None, Err(trouble)),
    };
    let database = options.database();
    let (opened, memory) = match opened {
        Ok(opened) => (opened, None),
        Err(Trouble::Refuse(error)) => return Err(error),
        Err(Trouble::Damaged(why) | Trouble::Unusable(why)) => {
            tracing::error!(%why, "the store lives in memory");
            (open_memory()?, Some(why))
        }
    };
    let report = OpenReport {
        path: database,
        created: opened.created,
        integrity: opened.integrity,
        unclean_shutdown: opened.unclean_shutdown,
        migrated_from: opened.migrated_from,
        damaged: opened.damaged,
        memory_only: memory.clone(),
    };
    let shared = Arc::new(Shared::new(options, clock, opened.place, lock, memory));
    if let Ok(id) = read::last_event_id(&opened.connection) {
        shared.saw_event(id);
    }
    let number = |key| read::meta_number(&opened.connection, key).unwrap_or(0);
    shared.count_history(number("history_samples"), number("history_bytes"));
    if report.integrity == Integrity::InBackground {
        check_in_background(Arc::downgrade(&shared));
    }
    let writer = Writer::new(Arc::clone(&shared), opened.connection);
    let thread = std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || writer.run())
        .map_err(OpenError::Thread)?;
    Ok((Store::new(shared, thread), report))
}

/// Why a file is not used.
enum Trouble {
    /// The store does not open at all.
    Refuse(OpenError),
    /// The file is not sound.
    Damaged(String),
    /// The file cannot be used now.
    Unusable(String),
}

struct Opened {
    connection: Connection,
    place: Place,
    created: bool,
    integrity: Integrity,
    unclean_shutdown: bool,
    migrated_from: Option<i64>,
    damaged: Option<DamagedFile>,
}

/// Makes the data directory if needed and takes its lock.
fn claim(options: &StoreOptions, now: Timestamp) -> Result<DirectoryLock, Trouble> {
    let directory = &options.path;
    let unusable = |doing: &str, error: std::io::Error| {
        Trouble::Unusable(format!("{doing} {} failed: {error}", directory.display()))
    };
    // The directory may be about to be made: what counts is where it will lie.
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(directory);
    if let Some(filesystem) = (options.network_filesystem)(existing) {
        let path = directory.clone();
        return Err(Trouble::Refuse(OpenError::NetworkFilesystem { path, filesystem }));
    }
    if !directory.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| unusable("making the data directory", error))?;
    }
    DirectoryLock::take(directory, now, options.listen.clone()).map_err(|error| match error {
        LockError::Held(holder) => Trouble::Refuse(OpenError::HeldBy {
            path: directory.clone(),
            pid: holder.pid,
            since: holder.since,
            listen: holder.listen,
        }),
        LockError::File(error) => unusable("locking the data directory", error),
    })
}

/// Opens the file; a damaged one is moved aside and a fresh one opened.
fn open_file(options: &StoreOptions, now: Timestamp) -> Result<Opened, Trouble> {
    let database = options.database();
    match try_file(options) {
        Err(Trouble::Damaged(reason)) => {
            let moved_to = move_aside(&database, &damaged_label(now)).map_err(|error| {
                Trouble::Unusable(format!(
                    "{} is damaged ({reason}) and could not be moved aside: {error}",
                    database.display()
                ))
            })?;
            tracing::error!(%reason, moved_to = %moved_to.display(), "the database was damaged");
            let damaged = Some(DamagedFile { moved_to, reason });
            try_file(options).map(|opened| Opened { damaged, ..opened })
        }
        other => other,
    }
}

fn try_file(options: &StoreOptions) -> Result<Opened, Trouble> {
    let database = options.database();
    let trouble = |doing: &str, error: &rusqlite::Error| {
        let why = format!("{doing} {} failed: {error}", database.display());
        match Class::of(error) {
            Class::Damaged => Trouble::Damaged(why),
            Class::Later | Class::Refused => Trouble::Unusable(why),
        }
    };
    let size = database.metadata().map_or(0, |meta| meta.len());
    create_private(&database).map_err(|error| {
        Trouble::Unusable(format!("making {} failed: {error}", database.display()))
    })?;
    if size > 0 {
        refuse_foreign(&database).map_err(|error| match error {
            Identified::Refuse(error) => Trouble::Refuse(error),
            Identified::Failed(error) => trouble("reading", &error),
        })?;
    }
    let place = Place::File(database.clone());
    let mut connection =
        place.writer(options.max_pages).map_err(|error| trouble("opening", &error))?;
    let current =
        schema::Identity::read(&connection).map_err(|error| trouble("reading", &error))?;
    let created = current.tables == 0;
    let clean = created
        || read::meta_number(&connection, CLEAN_SHUTDOWN)
            .map_err(|error| trouble("reading", &error))?
            == 1;
    let integrity = check(&connection, created, clean, size)
        .map_err(|error| trouble("checking", &error))?
        .map_err(Trouble::Damaged)?;
    let migrated_from =
        schema::migrate(&mut connection).map_err(|error| trouble("preparing", &error))?;
    match put_meta(&connection, CLEAN_SHUTDOWN, "0") {
        // What is stored can still be read, and the writer waits for space.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
        other => other.map_err(|error| trouble("writing to", &error))?,
    }
    let unclean_shutdown = !clean;
    let damaged = None;
    Ok(Opened { connection, place, created, integrity, unclean_shutdown, migrated_from, damaged })
}

pub(crate) enum Identified {
    Refuse(OpenError),
    Failed(rusqlite::Error),
}

/// Refuses files of other programs and of newer versions, before anything is written to them.
pub(crate) fn refuse_foreign(database: &Path) -> Result<(), Identified> {
    let place = Place::File(database.to_owned());
    let identity = place
        .reader()
        .and_then(|connection| schema::Identity::read(&connection))
        .map_err(Identified::Failed)?;
    let path = database.to_owned();
    if !identity.is_ours() {
        let found = identity.application_id;
        return Err(Identified::Refuse(OpenError::ForeignFile { path, found }));
    }
    if identity.version > schema::VERSION {
        let (found, known) = (identity.version, schema::VERSION);
        return Err(Identified::Refuse(OpenError::NewerSchema { path, found, known }));
    }
    Ok(())
}

fn open_memory() -> Result<Opened, OpenError> {
    let place = Place::memory();
    let connection = fresh(&place, None).map_err(OpenError::Memory)?;
    Ok(Opened {
        connection,
        place,
        created: true,
        integrity: Integrity::Fresh,
        unclean_shutdown: false,
        migrated_from: None,
        damaged: None,
    })
}

/// Makes an empty file that only its owner can read, if there is none. SQLite gives its log the
/// same mode.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Checks the file as far as there is time for; `Err` says what was found.
fn check(
    connection: &Connection,
    created: bool,
    clean: bool,
    size: u64,
) -> rusqlite::Result<Result<Integrity, String>> {
    if created {
        return Ok(Ok(Integrity::Fresh));
    }
    if size <= SMALL_FILE_BYTES {
        return Ok(quick_check(connection)?.map_or(Ok(Integrity::Sound), Err));
    }
    Ok(Ok(if clean { Integrity::Trusted } else { Integrity::InBackground }))
}

/// Checks the structure of the whole file; what is wrong with it, if something is. An error says
/// that the check could not be made, which is no damage.
pub(crate) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let answer: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match answer {
        Ok(answer) if answer == "ok" => Ok(None),
        Ok(answer) => Ok(Some(answer)),
        Err(error) if Class::of(&error) == Class::Damaged => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Checks a large file while the hub already serves. The thread holds the store only while it
/// needs it.
fn check_in_background(shared: Weak<Shared>) {
    let work = move || {
        let Some(place) = shared.upgrade().map(|shared| shared.readers.place()) else { return };
        let Ok(connection) = place.reader() else { return };
        if let Ok(Some(reason)) = quick_check(&connection)
            && let Some(shared) = shared.upgrade()
        {
            shared.report_damage(reason);
        }
    };
    let started = std::thread::Builder::new().name("store-check".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::warn!(%error, "the database is not checked: no thread could be started");
    }
}
