//! The process table: `/proc/PID/…`, on this machine without allocating per process.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::{Mode, OFlags, RawDir};

use crate::parse::scan::unsigned;
use crate::{Fetched, Files, Roots};

/// How much of the directory is listed at once.
#[cfg(target_os = "linux")]
const LISTING_BYTES: usize = 32 * 1024;

/// The most that is read of `/proc/PID/stat`: twice what the longest can be.
const STAT_BYTES: usize = 2048;

/// The most that is read of a command line.
const COMMAND_BYTES: usize = 4096;

/// The process table of this machine or of another.
#[derive(Debug)]
pub(super) enum ProcessTable<'a> {
    /// An open `/proc`.
    #[cfg(target_os = "linux")]
    Here(OwnedFd),
    /// Copies, and where `/proc` is among them.
    Fetched(&'a Fetched, &'a Path),
}

impl<'a> ProcessTable<'a> {
    /// Opens it.
    pub(super) fn open(roots: &'a Roots) -> io::Result<Self> {
        match &roots.files {
            #[cfg(not(target_os = "linux"))]
            Files::Here => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(target_os = "linux")]
            Files::Here => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(Self::Here(rustix::fs::open(&roots.proc, flags, Mode::empty())?))
            }
            Files::Fetched(fetched) => Ok(Self::Fetched(fetched, &roots.proc)),
        }
    }

    /// The ids of all processes, ascending, at most so many.
    pub(super) fn pids(&self, limit: usize) -> io::Result<Vec<u32>> {
        let mut pids: Vec<u32> = match self {
            #[cfg(target_os = "linux")]
            Self::Here(directory) => list_here(directory, limit)?,
            Self::Fetched(fetched, proc) => {
                let names = fetched.list(proc, usize::MAX)?;
                names.iter().filter_map(|name| pid(name.as_bytes())).collect()
            }
        };
        if pids.len() > limit {
            tracing::warn!(limit, "more processes than are looked at");
            pids.truncate(limit);
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// `/proc/PID/stat`; `None` when the process is gone.
    pub(super) fn stat<'b>(&'b self, pid: u32, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        self.read(pid, b"/stat", buffer, STAT_BYTES)
    }

    /// The beginning of `/proc/PID/cmdline`; `None` when the process is gone. Can hang.
    pub(super) fn command<'b>(&'b self, pid: u32, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        self.read(pid, b"/cmdline", buffer, COMMAND_BYTES)
    }

    #[cfg_attr(
        not(target_os = "linux"),
        expect(unused_variables, reason = "copies need no buffer")
    )]
    fn read<'b>(
        &'b self,
        pid: u32,
        part: &[u8],
        buffer: &'b mut Vec<u8>,
        limit: usize,
    ) -> Option<&'b [u8]> {
        let mut path = [0_u8; 24];
        let path = write_path(pid, part, &mut path)?;
        match self {
            #[cfg(target_os = "linux")]
            Self::Here(directory) => read_here(directory, path, buffer, limit),
            Self::Fetched(fetched, proc) => {
                let content = fetched.content(&proc.join(OsStr::from_bytes(path))).ok()?;
                Some(content.get(..limit).unwrap_or(content))
            }
        }
    }
}

/// What the name of a directory of `/proc` says, where it is a process's.
fn pid(name: &[u8]) -> Option<u32> {
    unsigned(name).and_then(|pid| u32::try_from(pid).ok())
}

#[cfg(target_os = "linux")]
/// One more than the limit where there are more.
fn list_here(directory: &OwnedFd, limit: usize) -> io::Result<Vec<u32>> {
    let mut pids = Vec::with_capacity(512);
    let mut listing = Vec::with_capacity(LISTING_BYTES);
    let mut entries = RawDir::new(directory, listing.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let name = entry?;
        if let Some(pid) = pid(name.file_name().to_bytes()) {
            pids.push(pid);
            if pids.len() > limit {
                break;
            }
        }
    }
    Ok(pids)
}

#[cfg(target_os = "linux")]
fn read_here<'a>(
    directory: &OwnedFd,
    path: &[u8],
    buffer: &'a mut Vec<u8>,
    limit: usize,
) -> Option<&'a [u8]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, path, flags, Mode::empty()).ok()?;
    if buffer.len() < limit {
        buffer.resize(limit, 0);
    }
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..limit).filter(|room| !room.is_empty()) {
        match rustix::io::read(&file, room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            // The process ended in between.
            Err(_) => return None,
        }
        // The kernel writes these files in one piece.
        if filled < limit && path.ends_with(b"/stat") {
            break;
        }
    }
    buffer.get(..filled)
}

/// `PID` in decimal and the part behind it.
fn write_path<'a>(pid: u32, part: &[u8], room: &'a mut [u8; 24]) -> Option<&'a [u8]> {
    let mut start = room.len().checked_sub(part.len())?;
    room.get_mut(start..)?.copy_from_slice(part);
    let mut rest = pid;
    loop {
        start = start.checked_sub(1)?;
        *room.get_mut(start)? = b'0' + u8::try_from(rest % 10).ok()?;
        rest /= 10;
        if rest == 0 {
            return room.get(start..);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_without_allocating() {
        for (pid, expected) in
            [(0, "0/cmdline"), (7, "7/cmdline"), (u32::MAX, "4294967295/cmdline")]
        {
            let mut room = [0; 24];
            assert_eq!(write_path(pid, b"/cmdline", &mut room), Some(expected.as_bytes()));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_very_process_is_in_the_table() {
        let roots = Roots::default();
        let table = ProcessTable::open(&roots).unwrap();
        let mine = std::process::id();
        assert!(table.pids(usize::MAX).unwrap().contains(&mine));
        let mut buffer = Vec::new();
        let stat = table.stat(mine, &mut buffer).unwrap();
        assert_eq!(crate::parse::pid_stat::parse(stat).unwrap().pid, mine);
        assert!(table.command(mine, &mut buffer).is_some_and(|command| !command.is_empty()));
        assert_eq!(table.stat(u32::MAX, &mut buffer), None);
    }
}
