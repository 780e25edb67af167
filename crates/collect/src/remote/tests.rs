//! The real program in real shells, over pipes, as an SSH session would drive it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sickbay_model::{Observation, ProbeId, ProbeOutcome, Resource, ResourceId};

use tokio::time::Instant;

use super::*;

mod bad_input;
mod ends;
mod rest;
mod same_as_local;

/// Longer than anything here should take; whoever waits so long fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shell that runs the program: what a channel of a session is.
pub(super) struct Node {
    pub(super) child: Child,
    pub(super) stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    pub(super) bytes: usize,
}

impl Node {
    /// Started as sshd starts a login shell: `SHELL -c BOOTSTRAP`. `sh` says which shell stands for
    /// `/bin/sh`.
    pub(super) fn start(
        sh: &str,
        program: impl AsRef<[u8]>,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let mut words = sh.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let bootstrap = BOOTSTRAP.strip_prefix("exec /bin/sh -c ").unwrap();
        let inner = bootstrap.trim_matches('\'');
        command.args(words).arg("-c").arg(inner);
        Self::spawn(command, program, prepare)
    }

    /// Through a login shell, word for word.
    pub(super) fn login(shell: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut words = shell.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("-c").arg(BOOTSTRAP);
        Self::spawn(command, program(), prepare)
    }

    fn spawn(
        mut command: Command,
        program: impl AsRef<[u8]>,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        // A shell that ends at once takes no program.
        let _ = stdin.as_mut().unwrap().write_all(program.as_ref());
        Self { child, stdin, stdout, bytes: 0 }
    }

    /// Asks one question, until its answer ends.
    pub(super) fn ask(&mut self, question: Question) -> Result<Reader, ProbeError> {
        let Question { text, mut reader, .. } = question;
        self.send(&text);
        let end = Instant::now() + PATIENCE;
        loop {
            match self.read(end) {
                None => return Err(failed(format!("no answer in time; {}", reader.noise()))),
                Some(bytes) if bytes.is_empty() => {
                    return Err(failed(format!("it ended; {}", reader.noise())));
                }
                Some(bytes) => match reader.feed(&bytes) {
                    Progress::More => {}
                    Progress::Complete => return Ok(reader),
                    Progress::Refused(error) => return Err(error),
                },
            }
        }
    }

    pub(super) fn send(&mut self, text: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(text);
        }
    }

    /// What comes next; empty at the end, `None` when it is too late.
    pub(super) fn read(&mut self, end: Instant) -> Option<Vec<u8>> {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut waiting = [PollFd::new(&self.stdout, PollFlags::IN)];
        if poll(&mut waiting, Some(&left)).unwrap() == 0 {
            return None;
        }
        let mut bytes = vec![0; 32 << 10];
        let count = self.stdout.read(&mut bytes).unwrap();
        self.bytes += count;
        bytes.truncate(count);
        Some(bytes)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn failed(message: String) -> ProbeError {
    ProbeError { kind: ProbeErrorKind::Unreachable, message, advice: None }
}

pub(super) fn conversation(settings: RemoteSettings) -> Conversation {
    let resource = Resource {
        id: ResourceId::node("remote").unwrap(),
        display_name: "remote".to_owned(),
        labels: BTreeMap::new(),
        parent: None,
    };
    Conversation::new(resource, std::sync::Arc::new(settings))
}

/// Settings without torch, which is slow to ask where it is installed.
pub(super) fn settings() -> RemoteSettings {
    let torch = TorchSettings { mode: crate::TorchMode::Never, ..TorchSettings::default() };
    RemoteSettings { torch, ..RemoteSettings::default() }
}

/// A conversation with nodes that a closure starts, one a lane.
pub(super) struct Talk<Start> {
    pub(super) conversation: Conversation,
    pub(super) lanes: BTreeMap<Lane, Node>,
    pub(super) now: Duration,
    pub(super) questions: usize,
    start: Start,
}

impl<Start: FnMut() -> Node> Talk<Start> {
    pub(super) fn new(settings: RemoteSettings, start: Start) -> Self {
        let conversation = conversation(settings);
        let now = Duration::from_secs(1);
        Self { conversation, lanes: BTreeMap::new(), now, questions: 0, start }
    }

    /// One collection.
    pub(super) fn collect(&mut self) -> Observation {
        let at = Timestamp::from_unix_ms(1_795_253_400_000 + self.now.as_millis() as i64);
        loop {
            let questions = self.conversation.questions(self.now);
            if questions.is_empty() {
                break;
            }
            for question in questions {
                self.questions += 1;
                let lane = question.lane;
                let node = self.lanes.entry(lane).or_insert_with(&mut self.start);
                let ended = node.ask(question);
                if ended.is_err() || lane == Lane::Torch {
                    self.lanes.remove(&lane);
                }
                self.conversation.take(lane, ended, Duration::from_millis(5), self.now, at);
            }
        }
        let reached = Reached { round_trip: Some(Duration::from_millis(3)), opened_in: None };
        self.conversation.observe(Ok(reached), at, Duration::ZERO)
    }

    /// One collection some time after the last one.
    pub(super) fn collect_after(&mut self, pause: Duration) -> Observation {
        self.now += pause;
        self.collect()
    }
}

pub(super) fn outcome<'a>(observation: &'a Observation, id: &ProbeId) -> &'a ProbeOutcome {
    let found = observation.probe(id);
    &found.unwrap_or_else(|| panic!("{id} is missing: {:?}", observation.probes)).outcome
}

/// The shells that stand for `/bin/sh`.
pub(super) const SHELLS: [&str; 6] = ["dash", "bash --posix", "bash", "busybox sh", "ksh", "mksh"];

/// A directory of programs for a `PATH`.
pub(super) fn programs(directory: &Path, scripts: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt;
    for (name, script) in scripts {
        let path = directory.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Prints the packed program, for trying it by hand.
#[test]
#[ignore = "a tool, not a test"]
fn print_the_program() {
    use std::io::stdout;
    stdout().write_all(&program()).unwrap();
}
