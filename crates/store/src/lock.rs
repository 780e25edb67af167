//! One process per data directory.
//!
//! The lock is the kernel's (`flock`), so it ends with its holder, however that ends. The file says
//! who holds it, for whoever comes second.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

/// The lock file's name in the data directory.
const LOCK_FILE: &str = "sickbay.lock";
/// More than that is not read from a lock file.
const MAX_NOTE_BYTES: u64 = 4096;

/// Who holds the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) since: Option<Timestamp>,
    pub(crate) listen: Option<String>,
}

/// The lock; held while it lives.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
    holder: Holder,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    Held(Holder),
    File(std::io::Error),
}

impl DirectoryLock {
    pub(crate) fn take(
        directory: &Path,
        since: Timestamp,
        listen: Option<String>,
    ) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path(directory))
            .map_err(LockError::File)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(read(&mut file))),
            Err(error) => return Err(LockError::File(error.into())),
        }
        let holder = Holder { pid: std::process::id(), since: Some(since), listen };
        let mut lock = Self { file, holder };
        lock.write().map_err(LockError::File)?;
        Ok(lock)
    }

    /// Says where the holder serves.
    pub(crate) fn note_listen(&mut self, listen: &str) -> std::io::Result<()> {
        self.holder.listen = Some(listen.to_owned());
        self.write()
    }

    fn write(&mut self) -> std::io::Result<()> {
        let note = serde_json::to_vec(&self.holder)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&note)
    }
}

/// Whether some process holds the directory.
pub(crate) fn is_held(directory: &Path) -> bool {
    let Ok(file) = File::open(path(directory)) else { return false };
    // A shared lock is refused while somebody holds the exclusive one, and ends with `file`.
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

fn path(directory: &Path) -> PathBuf {
    directory.join(LOCK_FILE)
}

/// What the file says; a pid of zero when it says nothing (the holder is just writing it).
fn read(file: &mut File) -> Holder {
    let mut note = Vec::new();
    let _ = file.take(MAX_NOTE_BYTES).read_to_end(&mut note);
    serde_json::from_slice(&note).unwrap_or(Holder { pid: 0, since: None, listen: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_holds_it() {
        let directory = tempfile::tempdir().expect("directory");
        let at = Timestamp::from_unix_ms(1_000);
        let mut first = DirectoryLock::take(directory.path(), at, None).expect("free");
        first.note_listen("127.0.0.1:8790").expect("written");
        assert!(is_held(directory.path()));
        let Err(LockError::Held(holder)) = DirectoryLock::take(directory.path(), at, None) else {
            panic!("the lock was given twice");
        };
        let listen = Some("127.0.0.1:8790".to_owned());
        assert_eq!(holder, Holder { pid: std::process::id(), since: Some(at), listen });
        drop(first);
        assert!(!is_held(directory.path()));
        assert!(DirectoryLock::take(directory.path(), at, None).is_ok());
    }
}
