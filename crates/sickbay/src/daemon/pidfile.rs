//! Which process is ours: its number and when it started.
//!
//! A number alone is not enough: numbers are given again, and a process must never be killed
//! because it happens to have an old number of ours.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

/// The pidfile's name in the data directory.
pub const FILE_NAME: &str = "sickbay.pid";

/// The largest pidfile that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4096;

/// A process, told apart from any later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot; elsewhere than on Linux, a hash of the
    /// start time that `ps` prints.
    pub start_ticks: u64,
    /// When we started it, for people.
    pub started_at: Timestamp,
}

impl ProcessIdentity {
    /// The identity of a running process.
    #[must_use]
    pub fn of(pid: u32, started_at: Timestamp) -> Option<Self> {
        Some(Self { pid, start_ticks: start_ticks(pid)?, started_at })
    }

    /// Whether that very process still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }

    /// Sends a signal to that very process.
    ///
    /// # Errors
    /// When it is gone, or the signal is not permitted.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the process is gone");
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        self.signal_if_alive(pid, signal)?.ok_or_else(gone)
    }

    /// None if the process is gone.
    #[cfg(target_os = "linux")]
    fn signal_if_alive(&self, pid: Pid, signal: Signal) -> io::Result<Option<()>> {
        use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
        // The descriptor holds on to one process: if that one has our start time now, the signal
        // cannot reach another.
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        if !self.is_alive() {
            return Ok(None);
        }
        pidfd_send_signal(process, signal)?;
        Ok(Some(()))
    }

    /// None if the process is gone. There is a moment between the look and the signal here.
    #[cfg(not(target_os = "linux"))]
    fn signal_if_alive(&self, pid: Pid, signal: Signal) -> io::Result<Option<()>> {
        if !self.is_alive() {
            return Ok(None);
        }
        rustix::process::kill_process(pid, signal)?;
        Ok(Some(()))
    }
}

/// Field 22 of `/proc/PID/stat`; none for a process that is gone or a zombie.
#[cfg(target_os = "linux")]
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_start_ticks(&stat)
}

/// A hash of the start time that `ps` prints; none for a process that is gone or a zombie.
#[cfg(not(target_os = "linux"))]
fn start_ticks(pid: u32) -> Option<u64> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let arguments = ["-o", "stat=", "-o", "lstart=", "-p"];
    let output = std::process::Command::new("ps").args(arguments).arg(pid.to_string()).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    if state.starts_with('Z') {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    started.trim().hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(any(target_os = "linux", test))]
fn parse_start_ticks(stat: &[u8]) -> Option<u64> {
    // The name stands in parentheses and may hold anything, parentheses included.
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    // The state was field 3; the start is field 22.
    fields.nth(18)?.parse().ok()
}

/// Where the pidfile is.
#[must_use]
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE_NAME)
}

/// The process named by the pidfile, if it still runs.
#[must_use]
pub fn running(data_dir: &Path) -> Option<ProcessIdentity> {
    let file = path(data_dir);
    if std::fs::metadata(&file).ok()?.len() > MAX_FILE_BYTES {
        return None;
    }
    let identity: ProcessIdentity = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    identity.is_alive().then_some(identity)
}

/// Writes the pidfile, whole or not at all.
///
/// # Errors
/// When the directory cannot be written.
pub fn write(data_dir: &Path, identity: &ProcessIdentity) -> io::Result<()> {
    let file = path(data_dir);
    let fresh = file.with_extension("pid.new");
    std::fs::write(&fresh, serde_json::to_vec(identity).map_err(io::Error::other)?)?;
    std::fs::rename(fresh, file)
}

/// Removes the pidfile.
pub fn remove(data_dir: &Path) {
    // Gone already is as good.
    let _ = std::fs::remove_file(path(data_dir));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_parse() {
        let line = |state: &str, start: u64| {
            format!("42 (a) b (c) {state} 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 {start} 1 1\n")
        };
        assert_eq!(parse_start_ticks(line("S", 12345).as_bytes()), Some(12345));
        assert_eq!(parse_start_ticks(line("Z", 12345).as_bytes()), None, "a zombie does not run");
        for broken in ["", "42 (x", "42 (x) S 1 2", "42 (x) S \u{ff}"] {
            assert_eq!(parse_start_ticks(broken.as_bytes()), None, "{broken:?}");
        }
    }

    #[test]
    fn a_number_given_again_is_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let own = ProcessIdentity::of(std::process::id(), Timestamp::EPOCH).unwrap();
        write(dir.path(), &own).unwrap();
        assert_eq!(running(dir.path()), Some(own.clone()));
        let earlier = ProcessIdentity { start_ticks: own.start_ticks - 1, ..own };
        write(dir.path(), &earlier).unwrap();
        assert_eq!(running(dir.path()), None);
        assert!(earlier.signal(Signal::TERM).is_err(), "and is not signalled");
    }

    #[test]
    fn nonsense_is_no_process() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()), None);
        for text in ["", "12345", "{}", &"x".repeat(10_000)] {
            std::fs::write(path(dir.path()), text).unwrap();
            assert_eq!(running(dir.path()), None, "{text:.20}");
        }
    }
}
