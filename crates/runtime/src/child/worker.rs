//! A persistent child that answers requests, one JSON line each.

use std::process::ExitStatus;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::process::{Pipes, Process};
use super::{CallError, ChildCommand, ChildLimits};

/// A persistent child process. It is started by the first call, and again by the next call after
/// it died or was killed.
#[derive(Debug)]
pub struct WorkerChild {
    name: String,
    command: ChildCommand,
    limits: ChildLimits,
    state: State,
    starts: u64,
    line: Vec<u8>,
}

#[derive(Debug)]
enum State {
    NotRunning,
    Running {
        process: Process,
        pipes: Pipes,
        /// A request was sent and its answer not read: set while a call is under way, so that a
        /// call whose future was dropped is noticed by the next one.
        answer_owed: bool,
    },
    Stuck {
        process: Process,
        since: Instant,
    },
}

impl WorkerChild {
    /// A child that is not started yet; the name is for logs.
    #[must_use]
    pub fn new(name: String, command: ChildCommand, limits: ChildLimits) -> Self {
        Self { name, command, limits, state: State::NotRunning, starts: 0, line: Vec::new() }
    }

    /// Sends a request and waits for the line that answers it, which is valid JSON.
    ///
    /// # Errors
    /// Whatever keeps the answer from coming; a child that is late or talks nonsense is killed,
    /// and the next call starts another.
    pub async fn call(
        &mut self,
        request: &(impl Serialize + Sync),
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        self.call_line(request, deadline).await?;
        let checked = serde_json::from_slice::<serde::de::IgnoredAny>(&self.line);
        match checked {
            Ok(_) => Ok(self.line.clone()),
            Err(error) => Err(self.refuse(&error).await),
        }
    }

    /// As [`WorkerChild::call`], with the answer parsed.
    ///
    /// # Errors
    /// As [`WorkerChild::call`].
    pub async fn call_parsed<Answer: DeserializeOwned>(
        &mut self,
        request: &(impl Serialize + Sync),
        deadline: Duration,
    ) -> Result<Answer, CallError> {
        self.call_line(request, deadline).await?;
        match serde_json::from_slice(&self.line) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.refuse(&error).await),
        }
    }

    /// Closes the child's stdin, waits shortly, and kills it if it is still there.
    pub async fn stop(&mut self) {
        let grace = self.limits.kill_grace;
        if let State::Running { mut process, pipes, .. } =
            std::mem::replace(&mut self.state, State::NotRunning)
        {
            drop(pipes);
            if process.reap_within(grace).await.is_none() {
                self.bury(process).await;
            }
        }
    }

    /// The process that runs now, a stuck one included.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.state {
            State::NotRunning => None,
            State::Running { process, .. } | State::Stuck { process, .. } => process.pid(),
        }
    }

    /// For how long a killed child has refused to go, if one does.
    #[must_use]
    pub fn stuck_for(&self) -> Option<Duration> {
        match &self.state {
            State::Stuck { since, .. } => Some(since.elapsed()),
            _ => None,
        }
    }

    /// How often a child was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Leaves the answer's line, without its end, in `self.line`.
    async fn call_line(
        &mut self,
        request: &(impl Serialize + Sync),
        deadline: Duration,
    ) -> Result<(), CallError> {
        let mut request = serde_json::to_vec(request).map_err(CallError::Request)?;
        request.push(b'\n');
        let end = Instant::now() + deadline;
        self.be_ready().await?;
        let State::Running { pipes, answer_owed, .. } = &mut self.state else {
            return Err(CallError::Pipe(std::io::Error::other("the child is not running")));
        };
        *answer_owed = true;
        let limit = self.limits.max_line_bytes;
        let exchanged = timeout_at(end, exchange(pipes, &request, &mut self.line, limit)).await;
        match exchanged {
            Ok(Ok(Exchange::Answered)) => {
                *answer_owed = false;
                Ok(())
            }
            Ok(Ok(Exchange::TooLong)) => {
                self.kill().await;
                Err(CallError::TooLong { limit })
            }
            Ok(Ok(Exchange::Closed)) => Err(self.post_mortem().await),
            Ok(Err(error)) => {
                self.kill().await;
                Err(CallError::Pipe(error))
            }
            Err(_) => Err(self.kill_late(deadline).await),
        }
    }

    /// Makes sure that a child runs which owes no answer.
    async fn be_ready(&mut self) -> Result<(), CallError> {
        if let State::Stuck { process, since } = &mut self.state {
            if process.try_reap().is_none() {
                let (pid, age) = (process.pid().unwrap_or(0), since.elapsed());
                return Err(CallError::Stuck { pid, age });
            }
            tracing::info!(child = self.name, "the stuck child is gone");
            self.state = State::NotRunning;
        }
        if let State::Running { process, answer_owed, .. } = &mut self.state {
            if *answer_owed {
                self.kill().await;
            } else if let Some(status) = process.try_reap() {
                tracing::warn!(child = self.name, %status, "the child ended while idle");
                self.state = State::NotRunning;
            }
        }
        if let Some(age) = self.stuck_for() {
            return Err(CallError::Stuck { pid: self.pid().unwrap_or(0), age });
        }
        if let State::NotRunning = self.state {
            let (process, pipes) = Process::start(&self.command)?;
            tracing::debug!(child = self.name, pid = process.pid(), "started a child");
            self.starts += 1;
            self.state = State::Running { process, pipes, answer_owed: false };
        }
        Ok(())
    }

    async fn refuse(&mut self, error: &serde_json::Error) -> CallError {
        // Whoever answers nonsense once cannot be trusted to be in step.
        self.kill().await;
        CallError::Malformed { reason: error.to_string() }
    }

    async fn kill_late(&mut self, deadline: Duration) -> CallError {
        self.kill().await;
        match self.stuck_for() {
            Some(age) => CallError::Stuck { pid: self.pid().unwrap_or(0), age },
            None => CallError::Late { after: deadline },
        }
    }

    async fn kill(&mut self) {
        if let State::Running { process, .. } =
            std::mem::replace(&mut self.state, State::NotRunning)
        {
            self.bury(process).await;
        }
    }

    /// Kills the group and waits for its leader; what does not go is remembered as stuck.
    async fn bury(&mut self, process: Process) -> Option<ExitStatus> {
        let since = Instant::now();
        process.kill_group();
        // Kept in the state while waiting: if this future is dropped, the child is not forgotten.
        self.state = State::Stuck { process, since };
        let State::Stuck { process, .. } = &mut self.state else { return None };
        let status = process.reap_within(self.limits.kill_grace).await;
        if status.is_some() {
            self.state = State::NotRunning;
        } else {
            tracing::warn!(child = self.name, pid = self.pid(), "a killed child does not end");
        }
        status
    }

    /// The child closed its stdout: finds out how it ended.
    async fn post_mortem(&mut self) -> CallError {
        let State::Running { mut process, mut pipes, .. } =
            std::mem::replace(&mut self.state, State::NotRunning)
        else {
            return CallError::Pipe(std::io::Error::other("the child is not running"));
        };
        let stderr_tail = pipes.stderr.finish().await;
        let ended = process.reap_within(self.limits.kill_grace).await;
        let status = match ended {
            Some(status) => Some(status),
            None => self.bury(process).await,
        };
        match (status, self.stuck_for()) {
            (Some(status), _) => CallError::Exited { status, stderr_tail },
            (None, age) => {
                CallError::Stuck { pid: self.pid().unwrap_or(0), age: age.unwrap_or_default() }
            }
        }
    }
}

enum Exchange {
    Answered,
    TooLong,
    Closed,
}

/// How much is read from a child at once, in bytes: one pipe's worth.
const CHUNK_BYTES: usize = 64 << 10;

/// How much memory is kept between calls for the answer, in bytes.
const KEPT_LINE_BYTES: usize = 256 << 10;

/// Writes the request and reads the line that answers it, while stderr is kept flowing.
async fn exchange(
    pipes: &mut Pipes,
    request: &[u8],
    line: &mut Vec<u8>,
    limit: usize,
) -> std::io::Result<Exchange> {
    line.clear();
    line.shrink_to(KEPT_LINE_BYTES);
    let Pipes { stdin, stdout, stderr } = pipes;
    let talk = async {
        match stdin.write_all(request).await {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Ok(Exchange::Closed);
            }
            written => written?,
        }
        loop {
            let before = line.len();
            line.reserve(4096);
            // A child that closed its stdout is gone, or as good as.
            if (&mut *stdout).take(CHUNK_BYTES as u64).read_buf(line).await? == 0 {
                return Ok(Exchange::Closed);
            }
            let fresh = line.get(before..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|&byte| byte == b'\n') {
                // Nothing may follow the line: one request, one line.
                let end = before + at;
                let clean = end + 1 == line.len();
                line.truncate(end);
                return Ok(if line.len() > limit {
                    Exchange::TooLong
                } else if clean {
                    Exchange::Answered
                } else {
                    return Err(std::io::Error::other("it sent more than one line"));
                });
            }
            if line.len() > limit {
                return Ok(Exchange::TooLong);
            }
        }
    };
    tokio::select! {
        biased;
        ended = talk => ended,
        () = stderr.drain() => Ok(Exchange::Closed),
    }
}

#[cfg(test)]
mod tests;
