//! Killable children: what can hang is asked in a process of its own.
//!
//! What must hold: a call ends at its deadline, whatever the child does; a child is killed with
//! its whole process group; it does not outlive this process; a child that even `SIGKILL` does not
//! end (state D in the kernel) is remembered, and no second one is started beside it.
//!
//! It does not know what is asked: a request and an answer are one line of JSON each.

mod process;

mod worker;
pub use worker::WorkerChild;

mod one_shot;
pub use one_shot::{OneShot, ProgramOutput};

mod serve;
pub use serve::serve_worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// How to start a child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
}

/// The link to the program that this process runs: it works also after the file was replaced by an
/// upgrade or taken away, and what it starts is then still the program of old.
const OWN_PROGRAM: &str = "/proc/self/exe";

impl ChildCommand {
    /// This very program again, with these arguments, whatever has become of its file.
    ///
    /// # Errors
    /// Where neither the system's link to the program nor the program's path can be found.
    pub fn this_program(args: Vec<String>) -> std::io::Result<Self> {
        let link = PathBuf::from(OWN_PROGRAM);
        // The link is missing where there is no /proc: in some sandboxes, and outside of Linux.
        let program = if link.exists() { link } else { std::env::current_exe()? };
        Ok(Self { program, args, env: Vec::new() })
    }

    /// What the child is called in lists of processes, where its program's path says nothing.
    fn shown_as(&self) -> Option<OsString> {
        if self.program.as_os_str() != OWN_PROGRAM {
            return None;
        }
        std::env::args_os().next().filter(|name| !name.is_empty())
    }
}

/// What a child may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// The longest answer, in bytes. Default 8 MiB.
    pub max_line_bytes: usize,
    /// How long a killed child may take to be gone before it counts as stuck, and how long
    /// [`WorkerChild::stop`] waits for a polite end. Default 500 ms.
    pub kill_grace: Duration,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self { max_line_bytes: 8 << 20, kill_grace: Duration::from_millis(500) }
    }
}

/// How much of what a child wrote to its stderr is kept, in bytes: the end of it.
pub const STDERR_TAIL_BYTES: usize = 4 << 10;

/// Why a child gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It did not answer in time and was killed.
    #[error("no answer after {after:.1?}; it was killed")]
    Late {
        /// The deadline.
        after: Duration,
    },
    /// It was killed and is not gone: the kernel holds it, mostly in a call to a driver or a
    /// network filesystem. Nothing new is asked until it is.
    #[error("process {pid} hangs in the kernel for {age:.0?} and cannot be killed")]
    Stuck {
        /// The process.
        pid: u32,
        /// For how long it has been.
        age: Duration,
    },
    /// It could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended instead of answering.
    #[error("it ended with {status}{}", tail_text(stderr_tail))]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr, made printable.
        stderr_tail: String,
    },
    /// What came is no JSON.
    #[error("its answer is no JSON: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is longer than the limit.
    #[error("its answer is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The request cannot be written as JSON.
    #[error("the request cannot be written: {0}")]
    Request(#[source] serde_json::Error),
    /// The pipe to it failed in an unexpected way.
    #[error("talking to it failed: {0}")]
    Pipe(#[source] std::io::Error),
}

fn tail_text(tail: &str) -> String {
    if tail.is_empty() { String::new() } else { format!("; it said: {tail}") }
}
