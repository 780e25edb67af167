//! What an operator does with a database by hand: `sickbay db stats|cleanup|backup|restore|optimize`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use sickbay_model::Timestamp;

use crate::batch::StoredNode;
use crate::connection::{Place, bytes_on_disk, files_of, move_aside};
use crate::lock::{DirectoryLock, LockError, is_held};
use crate::open::{Identified, OpenError, create_private, quick_check, refuse_foreign};
use crate::options::{DATABASE_FILE, Retention, WallClock};
use crate::read::{self, meta_number};
use crate::schema::{APPLICATION_ID, Identity, migrate};
use crate::writer::{CLEAN_SHUTDOWN, Swept, put_meta, sweep_step, vacuum};

/// Pages that a backup copies between two reports of its progress: 2 MiB.
const PAGES_PER_STEP: i32 = 512;
/// A backup that was not done after so many steps gives up: it was begun anew again and again.
const MAX_BACKUP_STEPS: usize = 10_000_000;
/// How long a backup waits while the database is locked.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The schema version from which on added nodes are kept.
const NODES_SINCE_VERSION: i64 = 2;

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
pub fn stats(data_dir: &Path) -> Result<Stats, AdminError> {
    let path = existing(data_dir)?;
    let connection = reader(&path)?;
    read_stats(&connection, &path, is_held(data_dir)).map_err(failed("reading", &path))
}

fn read_stats(connection: &Connection, path: &Path, in_use: bool) -> rusqlite::Result<Stats> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, Option<i64>>(0))
            .map(|n| count(n.unwrap_or(0)))
    };
    let mut blocks = [BlockStats::default(); 3];
    let mut statement = connection.prepare(
        "SELECT count(*), coalesce(sum(length(data)), 0), min(from_at), max(to_at)
         FROM block WHERE resolution = ?1",
    )?;
    for (resolution, stats) in (0_i64..).zip(&mut blocks) {
        *stats = statement.query_row([resolution], |row| {
            Ok(BlockStats {
                count: count(row.get(0)?),
                bytes: count(row.get(1)?),
                oldest: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_ms),
                newest: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_unix_ms),
            })
        })?;
    }
    let [_, log, _] = files_of(path);
    let bytes = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
    Ok(Stats {
        path: path.to_owned(),
        schema_version: connection.query_row("PRAGMA user_version", [], |row| row.get(0))?,
        file_bytes: bytes(path),
        log_bytes: bytes(&log),
        free_bytes: number("PRAGMA freelist_count")? * number("PRAGMA page_size")?,
        in_use,
        resources: number("SELECT count(*) FROM resource")?,
        series: number("SELECT count(*) FROM series")?,
        samples: meta_number(connection, "history_samples")?,
        history_bytes: meta_number(connection, "history_bytes")?,
        open_frames: number("SELECT count(*) FROM open_frame")?,
        blocks,
        events: number("SELECT count(*) FROM event")?,
        check_changes: number("SELECT count(*) FROM check_change")?,
        open_alerts: number("SELECT count(*) FROM health_alerts WHERE resolved = 0")?,
    })
}

/// The nodes that were added at run time, by name. Works while the hub runs; none if there is no
/// database yet, or one of a version that knew no such nodes.
///
/// # Errors
/// When the file is not ours or does not answer.
pub fn nodes(data_dir: &Path) -> Result<Vec<StoredNode>, AdminError> {
    if !data_dir.join(DATABASE_FILE).is_file() {
        return Ok(Vec::new());
    }
    let path = existing(data_dir)?;
    let connection = reader(&path)?;
    let identity = Identity::read(&connection).map_err(failed("reading", &path))?;
    if identity.version < NODES_SINCE_VERSION {
        return Ok(Vec::new());
    }
    read::nodes(&connection).map_err(failed("reading", &path))
}

/// Enforces retention now. Refused while another process has the store open (it does this itself).
///
/// # Errors
/// When the store is held, or the database does not answer.
pub fn cleanup(
    data_dir: &Path,
    retention: &Retention,
    clock: &WallClock,
) -> Result<Cleaned, AdminError> {
    let path = existing(data_dir)?;
    let _lock = claim(data_dir, clock)?;
    let before = bytes_on_disk(&path);
    let mut connection = writer(&path)?;
    let mut all = Swept::default();
    loop {
        let swept = sweep_step(&mut connection, retention, clock())
            .map_err(failed("cleaning up", &path))?;
        if swept.is_nothing() {
            break;
        }
        all.add(swept);
    }
    shrink(&connection).map_err(failed("shrinking", &path))?;
    drop(connection);
    Ok(Cleaned {
        blocks: count(all.blocks),
        events: count(all.events),
        checks: count(all.checks),
        freed_bytes: before.saturating_sub(bytes_on_disk(&path)),
    })
}

/// Copies the database, consistently, to a new file that only its owner can read. Works while the
/// hub runs. Returns the bytes of the copy.
///
/// # Errors
/// When the target exists already, or reading or writing fails; nothing is left at the target then.
pub fn backup(
    data_dir: &Path,
    to: &Path,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<u64, AdminError> {
    let path = existing(data_dir)?;
    if to.exists() {
        let why = format!("{} exists already; choose another name for the backup", to.display());
        return Err(AdminError::Refused(why));
    }
    let source = reader(&path)?;
    let partial = beside(to, "partial");
    let copied = copy(&source, &partial, progress).and_then(|()| {
        std::fs::rename(&partial, to).map_err(file_failed("renaming the finished backup to", to))
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    copied?;
    Ok(to.metadata().map_or(0, |meta| meta.len()))
}

fn copy(
    source: &Connection,
    to: &Path,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<(), AdminError> {
    let _ = std::fs::remove_file(to);
    create_private(to).map_err(file_failed("making", to))?;
    let mut target = Connection::open(to).map_err(failed("opening", to))?;
    let backup = Backup::new(source, &mut target).map_err(failed("copying to", to))?;
    for _ in 0..MAX_BACKUP_STEPS {
        let step = backup.step(PAGES_PER_STEP).map_err(failed("copying to", to))?;
        let now = backup.progress();
        let total_pages = u64::try_from(now.pagecount).unwrap_or(0);
        let left = u64::try_from(now.remaining).unwrap_or(0);
        progress(BackupProgress { done_pages: total_pages.saturating_sub(left), total_pages });
        match step {
            StepResult::Done => {
                drop(backup);
                return finish_copy(&target).map_err(failed("finishing", to));
            }
            StepResult::Busy | StepResult::Locked => std::thread::sleep(BUSY_PAUSE),
            _ => {}
        }
    }
    Err(AdminError::Refused(format!(
        "the database changed faster than it could be copied to {}; try again later",
        to.display()
    )))
}

/// The copy is one file, without a log beside it, and counts as cleanly closed.
fn finish_copy(target: &Connection) -> rusqlite::Result<()> {
    target.pragma_update(None, "journal_mode", "delete")?;
    put_meta(target, CLEAN_SHUTDOWN, "1")
}

/// Replaces the database with a backup that was checked first. The old one is kept beside it;
/// returns where, if there was one.
///
/// # Errors
/// When the store is held, the backup is damaged, foreign or newer, or the file cannot be replaced.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    clock: &WallClock,
) -> Result<Option<PathBuf>, AdminError> {
    if !from.is_file() {
        return Err(AdminError::Refused(format!("there is no backup at {}", from.display())));
    }
    verify(from)?;
    std::fs::create_dir_all(data_dir).map_err(file_failed("making", data_dir))?;
    let _lock = claim(data_dir, clock)?;
    let database = data_dir.join(DATABASE_FILE);
    let partial = beside(&database, "restoring");
    let source = reader(from)?;
    copy(&source, &partial, &mut |_| {})?;
    drop(source);
    verify(&partial)?;
    let aside = if database.exists() {
        let label = format!("before-restore-{}", clock().to_string().replace(':', ""));
        let aside = move_aside(&database, &label)
            .map_err(file_failed("moving aside the old database", &database))?;
        Some(aside)
    } else {
        None
    };
    std::fs::rename(&partial, &database).map_err(file_failed("putting in place", &database))?;
    Ok(aside)
}

/// Refuses what is damaged, foreign or newer.
fn verify(path: &Path) -> Result<(), AdminError> {
    refuse_foreign(path).map_err(|error| match error {
        Identified::Refuse(error) => AdminError::Open(error),
        Identified::Failed(source) => failed("reading the backup", path)(source),
    })?;
    let connection = reader(path)?;
    let identity = Identity::read(&connection).map_err(failed("reading the backup", path))?;
    if identity.application_id != APPLICATION_ID {
        return Err(AdminError::Refused(format!("{} is not a backup of sickbay", path.display())));
    }
    match quick_check(&connection).map_err(failed("checking the backup", path))? {
        None => Ok(()),
        Some(reason) => Err(AdminError::Refused(format!(
            "{} is damaged and was not restored: {reason}",
            path.display()
        ))),
    }
}

/// Refreshes the planner's statistics, gives free pages back to the file system and empties the
/// write-ahead log. Works while the hub runs. Returns the bytes by which the files shrank.
///
/// # Errors
/// When the database does not answer.
pub fn optimize(data_dir: &Path) -> Result<u64, AdminError> {
    let path = existing(data_dir)?;
    let before = bytes_on_disk(&path);
    let connection = writer(&path)?;
    connection.execute_batch("PRAGMA optimize").map_err(failed("optimizing", &path))?;
    shrink(&connection).map_err(failed("shrinking", &path))?;
    Ok(before.saturating_sub(bytes_on_disk(&path)))
}

fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    vacuum(connection, free)?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> AdminError {
    move |source| AdminError::Database { doing, path: path.to_owned(), source }
}

fn file_failed(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> AdminError {
    move |source| AdminError::File { doing, path: path.to_owned(), source }
}

/// The database of a data directory, if there is one and it is ours.
fn existing(data_dir: &Path) -> Result<PathBuf, AdminError> {
    let path = data_dir.join(DATABASE_FILE);
    if !path.is_file() {
        return Err(AdminError::Refused(format!(
            "there is no database in {}; give the data directory with --data-dir",
            data_dir.display()
        )));
    }
    refuse_foreign(&path).map_err(|error| match error {
        Identified::Refuse(error) => AdminError::Open(error),
        Identified::Failed(source) => failed("reading", &path)(source),
    })?;
    Ok(path)
}

fn reader(path: &Path) -> Result<Connection, AdminError> {
    Place::File(path.to_owned()).reader().map_err(failed("opening", path))
}

fn writer(path: &Path) -> Result<Connection, AdminError> {
    let mut connection =
        Place::File(path.to_owned()).writer(None).map_err(failed("opening", path))?;
    migrate(&mut connection).map_err(failed("preparing", path))?;
    Ok(connection)
}

fn claim(data_dir: &Path, clock: &WallClock) -> Result<DirectoryLock, AdminError> {
    DirectoryLock::take(data_dir, clock(), None).map_err(|error| match error {
        LockError::Held(holder) => AdminError::Open(OpenError::HeldBy {
            path: data_dir.to_owned(),
            pid: holder.pid,
            since: holder.since,
            listen: holder.listen,
        }),
        LockError::File(source) => file_failed("locking", data_dir)(source),
    })
}
