//! How connections to the database are set up.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 1024;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = 256;
/// How long a connection waits for another's lock (a backup, a person's `sqlite3` shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages in the write-ahead log after which they are moved into the file: 1 MiB.
const CHECKPOINT_PAGES: i64 = 256;
/// What the write-ahead log is cut back to once it was larger.
const LOG_LIMIT_BYTES: i64 = 4 << 20;
/// The most pages of a store in memory: 16 MiB, so that the hub stays small.
const MEMORY_PAGES: u32 = 4096;
/// What retention leaves of a store in memory; the rest is room for readings that are not sealed.
pub(crate) const MAX_MEMORY_BYTES: u64 = 8 << 20;

/// Where a database lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this file.
    File(PathBuf),
    /// In this process's memory, under this URI.
    Memory(String),
}

impl Place {
    /// A new, empty place in memory.
    pub(crate) fn memory() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::Memory(format!("file:/sickbay-{number}?vfs=memdb"))
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    fn open(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match self {
            Self::File(path) => Connection::open_with_flags(path, flags),
            Self::Memory(uri) => {
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
            }
        }
    }

    /// The one connection that writes.
    pub(crate) fn writer(&self, max_pages: Option<u32>) -> rusqlite::Result<Connection> {
        let connection =
            self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Has an effect only while the file is empty, and must come before the journal mode.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        if !self.is_memory() {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)?;
        }
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        prepare(&connection, WRITER_CACHE_KIB)?;
        if let Some(pages) = max_pages.or(self.is_memory().then_some(MEMORY_PAGES)) {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        Ok(connection)
    }

    /// A connection that only reads.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let flags = match self {
            // A reader of a write-ahead log needs its shared memory, which it may have to create.
            Self::File(_) => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Self::Memory(_) => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let connection = self.open(flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        prepare(&connection, READER_CACHE_KIB)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

fn prepare(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// The files that belong to a database: itself, its log and the log's shared memory.
pub(crate) fn files_of(database: &Path) -> [PathBuf; 3] {
    let with = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    [database.to_owned(), with("-wal"), with("-shm")]
}

/// Bytes of the database and its log.
pub(crate) fn bytes_on_disk(database: &Path) -> u64 {
    let [file, log, _] = files_of(database);
    [file, log].iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum()
}

/// Moves a database and its log aside; returns where it lies now.
pub(crate) fn move_aside(database: &Path, label: &str) -> std::io::Result<PathBuf> {
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".{label}"));
    let mut target = PathBuf::from(&name);
    let mut attempt = 1;
    while target.exists() {
        let mut numbered = name.clone();
        numbered.push(format!("-{attempt}"));
        target = PathBuf::from(numbered);
        attempt += 1;
    }
    for (from, to) in files_of(database).iter().zip(files_of(&target)) {
        match std::fs::rename(from, to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(target)
}
