//! One living child: start, kill with its group, reap, and the end of its stderr.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{CallError, ChildCommand, STDERR_TAIL_BYTES};

/// A started child, leader of its own process group. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: Option<Pid>,
    /// Tests only: the child is treated as if the kernel held it.
    #[cfg(test)]
    pub(super) held: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

/// The pipes of a started child.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: StderrTail,
}

impl Process {
    /// Starts the program in a process group of its own, with the root as its directory so that it
    /// keeps no mount busy.
    pub(super) fn start(command: &ChildCommand) -> Result<(Self, Pipes), CallError> {
        let failed = |source| CallError::Spawn { program: command.program.clone(), source };
        let mut program = Command::new(&command.program);
        if let Some(name) = command.shown_as() {
            program.arg0(name);
        }
        let mut child = program
            .args(&command.args)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let Some(((stdin, stdout), stderr)) = pipes else {
            return Err(failed(std::io::Error::other("the system gave no pipes")));
        };
        let process = Self {
            child,
            pid,
            #[cfg(test)]
            held: std::sync::Arc::default(),
        };
        Ok((process, Pipes { stdin, stdout, stderr: StderrTail::new(stderr) }))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.pid.map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Asks without waiting whether it is gone.
    pub(super) fn try_reap(&mut self) -> Option<ExitStatus> {
        #[cfg(test)]
        if self.held.load(std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it is gone, at most for `grace`.
    pub(super) async fn reap_within(&mut self, grace: Duration) -> Option<ExitStatus> {
        #[cfg(test)]
        if self.held.load(std::sync::atomic::Ordering::Relaxed) {
            tokio::time::sleep(grace).await;
            return None;
        }
        timeout(grace, self.child.wait()).await.ok()?.ok()
    }

    /// Kills it and everything that it started, unless these left its group.
    pub(super) fn kill_group(&self) {
        // The group's leader is this child and was not reaped while `child` still has its id (a
        // group whose leader was reaped may bear a reused number).
        if let (Some(pid), Some(_)) = (self.pid, self.child.id()) {
            // The only failure is that nobody is left in the group, which is what is wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Reads a child's stderr so that it never blocks on it, and keeps the end.
#[derive(Debug)]
pub(super) struct StderrTail {
    pipe: Option<ChildStderr>,
    tail: VecDeque<u8>,
}

impl StderrTail {
    fn new(pipe: ChildStderr) -> Self {
        Self { pipe: Some(pipe), tail: VecDeque::new() }
    }

    /// Reads until the child closes its stderr; never ends after that. Safe to drop at any point.
    pub(super) async fn drain(&mut self) {
        let mut chunk = [0; 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(count) => self.keep(chunk.get(..count).unwrap_or_default()),
            }
        }
        std::future::pending().await
    }

    /// Reads what is left after the child is gone, without waiting for grandchildren that hold the
    /// pipe; returns the tail, made printable.
    pub(super) async fn finish(&mut self) -> String {
        let _ = timeout(Duration::from_millis(20), async {
            let mut chunk = [0; 1024];
            while let Some(pipe) = &mut self.pipe {
                match pipe.read(&mut chunk).await {
                    Ok(0) | Err(_) => self.pipe = None,
                    Ok(count) => self.keep(chunk.get(..count).unwrap_or_default()),
                }
            }
        })
        .await;
        printable(self.tail.make_contiguous())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(STDERR_TAIL_BYTES);
        self.tail.drain(..excess);
    }
}

/// Text without control characters and without the white space around it; newlines become ` | `.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push_str(" | ");
        }
        out.extend(line.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stderr_becomes_one_printable_line() {
        for (raw, text) in [
            (&b""[..], ""),
            (b"  one\n\n two\r\n", "one | two"),
            (b"\x1b[31mred\x00\n", "\u{fffd}[31mred\u{fffd}"),
            (b"caf\xc3\xa9 \xff", "caf\u{e9} \u{fffd}"),
        ] {
            assert_eq!(printable(raw), text);
        }
    }
}
