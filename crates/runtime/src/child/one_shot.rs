//! A plain program that is run to its end, or killed.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::time::{Instant, timeout_at};

use super::process::Process;
use super::{CallError, ChildCommand, ChildLimits};

/// Runs a plain program to its end, never two at once.
#[derive(Debug)]
pub struct OneShot {
    command: ChildCommand,
    limits: ChildLimits,
    stuck: Option<(Process, Instant)>,
}

/// What a program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The end of what it wrote to stderr, made printable.
    pub stderr_tail: String,
}

impl OneShot {
    /// A program that is not run yet; `max_line_bytes` limits the whole of its output.
    #[must_use]
    pub fn new(command: ChildCommand, limits: ChildLimits) -> Self {
        Self { command, limits, stuck: None }
    }

    /// Runs it, with an empty stdin. Dropping the future kills it.
    ///
    /// # Errors
    /// When it cannot be started, does not end in time, or writes too much. A failing exit status
    /// is no error.
    pub async fn run(&mut self, deadline: Duration) -> Result<ProgramOutput, CallError> {
        self.run_with(&[], deadline).await
    }

    /// Runs it with this on its stdin, which it may leave unread. Dropping the future kills it.
    ///
    /// # Errors
    /// As [`OneShot::run`].
    pub async fn run_with(
        &mut self,
        input: &[u8],
        deadline: Duration,
    ) -> Result<ProgramOutput, CallError> {
        if let Some((process, since)) = &mut self.stuck {
            if process.try_reap().is_none() {
                let (pid, age) = (process.pid().unwrap_or(0), since.elapsed());
                return Err(CallError::Stuck { pid, age });
            }
            self.stuck = None;
        }
        let end = Instant::now() + deadline;
        let (mut process, mut pipes) = Process::start(&self.command)?;
        let limit = self.limits.max_line_bytes;
        let mut stdout = Vec::new();
        let read = async {
            let mut bounded = pipes.stdout.take(limit as u64 + 1);
            // To the end of both: who closes its stdout early may still be reading.
            let talk = async {
                tokio::join!(bounded.read_to_end(&mut stdout), feed(pipes.stdin, input)).0
            };
            tokio::select! {
                biased;
                read = talk => read,
                () = pipes.stderr.drain() => Ok(0),
            }
        };
        let read = timeout_at(end, read).await;
        let remaining = end.saturating_duration_since(Instant::now());
        let failed = match read {
            Ok(Ok(_)) if stdout.len() <= limit => match process.reap_within(remaining).await {
                Some(status) => {
                    let stderr_tail = pipes.stderr.finish().await;
                    return Ok(ProgramOutput { status, stdout, stderr_tail });
                }
                None => CallError::Late { after: deadline },
            },
            Ok(Ok(_)) => CallError::TooLong { limit },
            Ok(Err(error)) => CallError::Pipe(error),
            Err(_) => CallError::Late { after: deadline },
        };
        Err(self.bury(process, failed).await)
    }

    async fn bury(&mut self, process: Process, failed: CallError) -> CallError {
        process.kill_group();
        let (process, since) = self.stuck.insert((process, Instant::now()));
        if process.reap_within(self.limits.kill_grace).await.is_some() {
            self.stuck = None;
            return failed;
        }
        CallError::Stuck { pid: process.pid().unwrap_or(0), age: since.elapsed() }
    }

    /// The process that is stuck, if one is.
    #[must_use]
    pub fn stuck_pid(&self) -> Option<u32> {
        self.stuck.as_ref().and_then(|(process, _)| process.pid())
    }
}

/// Writes the input and closes the pipe.
async fn feed(mut stdin: ChildStdin, input: &[u8]) {
    // A program that does not want its input is none the worse for it.
    let _ = stdin.write_all(input).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> OneShot {
        let args = vec!["-c".into(), script.into()];
        let command = ChildCommand { program: "/bin/sh".into(), args, env: vec![] };
        let limits = ChildLimits { max_line_bytes: 1_000, ..ChildLimits::default() };
        OneShot::new(command, limits)
    }

    #[tokio::test]
    async fn a_program_runs_to_its_end() {
        let output = shell("echo out; echo err >&2; exit 3").run(AMPLE).await.expect("ends");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((&output.stdout[..], &*output.stderr_tail), (&b"out\n"[..], "err"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_or_writes_too_much_is_killed() {
        let soon = Duration::from_millis(200);
        for (script, deadline, message) in [
            ("sleep 1000", soon, "no answer after 200.0ms; it was killed"),
            ("exec >&- 2>&-; sleep 1000", soon, "no answer after 200.0ms; it was killed"),
            ("yes", AMPLE, "its answer is longer than 1000 bytes"),
        ] {
            let began = Instant::now();
            let mut program = shell(script);
            let error = program.run(deadline).await.expect_err(script);
            assert_eq!(error.to_string(), message, "{script}");
            assert!(began.elapsed() < AMPLE && program.stuck_pid().is_none());
        }
    }

    #[tokio::test]
    async fn a_program_reads_its_input_or_leaves_it() {
        let input = "x".repeat(300_000);
        for (script, answer) in [
            ("wc -c", "300000\n"),
            ("echo ready", "ready\n"),
            ("echo ready; exec >&-; test $(wc -c) = 300000", "ready\n"),
        ] {
            let output = shell(script).run_with(input.as_bytes(), AMPLE).await.expect(script);
            let text = String::from_utf8_lossy(&output.stdout).trim_start().to_owned();
            assert_eq!((text.as_str(), output.status.success()), (answer, true), "{script}");
        }
        let output = shell("cat").run(AMPLE).await.expect("ends");
        assert_eq!(output.stdout, b"");
    }

    #[tokio::test]
    async fn noise_on_stderr_does_not_block_it() {
        let script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo done";
        let output = shell(script).run(AMPLE).await.expect("ends");
        assert_eq!(output.stdout, b"done\n");
        assert_eq!(output.stderr_tail.len(), super::super::STDERR_TAIL_BYTES);
    }
}
