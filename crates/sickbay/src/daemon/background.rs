//! A process of our own in the background, for where systemd does not run.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sickbay_model::Timestamp;

use super::pidfile::{self, ProcessIdentity};

/// The option by which `up` learns that it is to leave the terminal.
pub const DETACHED_FLAG: &str = "--detached";

/// How much of what a failed start wrote is shown, in bytes.
const TAIL_BYTES: usize = 2_000;

/// What a process says before its log begins, and when it dies.
#[must_use]
pub fn startup_log(data_dir: &Path) -> PathBuf {
    data_dir.join("log").join("startup.log")
}

/// Starts `up` in the background and writes the pidfile.
///
/// # Errors
/// When the directory cannot be written or the program not started.
pub fn start(data_dir: &Path, arguments: &[String], now: Timestamp) -> io::Result<Child> {
    let log = startup_log(data_dir);
    if let Some(directory) = log.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let errors = File::create(&log)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("up")
        .arg(DETACHED_FLAG)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()?;
    let Some(identity) = ProcessIdentity::of(child.id(), now) else {
        // It ended at once; its log says why.
        return Ok(child);
    };
    if let Err(error) = pidfile::write(data_dir, &identity) {
        // Without a pidfile nobody would find it again.
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    Ok(child)
}

/// The end of what a failed start wrote.
#[must_use]
pub fn tail(data_dir: &Path) -> String {
    let bytes = std::fs::read(startup_log(data_dir)).unwrap_or_default();
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).trim().to_owned()
}

/// Leaves the terminal: becomes the leader of a session of its own.
///
/// # Errors
/// When the process leads a group already.
pub fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    // The directory it was started in must not be kept from being unmounted.
    std::env::set_current_dir("/")
}
