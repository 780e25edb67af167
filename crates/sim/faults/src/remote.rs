//! The SSH form: the real conversation with a machine, answered as its shell would.
//!
//! The program that a node runs is a shell script; here its answers are made of the same files, in its
//! format. What must hold: what [`Shell`] says of a machine is what the program says of it; a test
//! holds the two against each other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sickbay_collect::remote::{Conversation, Lane, Progress, Reached, RemoteSettings};
use sickbay_collect::{TorchMode, TorchSettings};
use sickbay_model::{Observation, ProbeError, ProbeErrorKind, Resource, Timestamp};

use crate::machine::Machine;
use crate::scenario::Session;

mod shell;
pub use shell::Shell;

/// A machine that is asked over a session.
pub struct Remote {
    conversation: Conversation,
    shells: [Shell; 4],
    now: Duration,
    start_ms: i64,
    was_lost: bool,
    boots: u32,
}

impl Remote {
    /// Before the first collection; `start_ms` is the wall clock then.
    #[must_use]
    pub fn new(resource: Resource, machine: &Machine, start_ms: i64) -> Self {
        let settings = RemoteSettings {
            torch: TorchSettings { mode: TorchMode::Never, ..TorchSettings::default() },
            process_patterns: crate::local::patterns(machine),
            ..RemoteSettings::default()
        };
        Self {
            conversation: Conversation::new(resource, Arc::new(settings)),
            shells: Default::default(),
            now: Duration::from_secs(1),
            start_ms,
            was_lost: false,
            boots: 0,
        }
    }

    /// Collects, so many seconds after the last time.
    ///
    /// # Errors
    /// When the conversation asks what no shell answers.
    pub fn collect(&mut self, machine: &Machine, seconds: u64) -> Result<Observation> {
        self.now += Duration::from_secs(seconds);
        let elapsed = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX) - 1000;
        let at = Timestamp::from_unix_ms(self.start_ms + elapsed);
        if machine.session != Session::Back {
            if !self.was_lost {
                self.conversation.session_lost();
            }
            self.was_lost = true;
            let error = ProbeError {
                kind: ProbeErrorKind::Unreachable,
                message: "cannot connect to 10.0.0.7:22: no route to host".to_owned(),
                advice: None,
            };
            return Ok(self.conversation.observe(Err(error), at, Duration::ZERO));
        }
        if std::mem::take(&mut self.was_lost) || self.boots != machine.boots() {
            self.boots = machine.boots();
            self.conversation.session_lost();
            self.shells = Default::default();
        }
        let mut tree = machine.tree();
        if let Some(log) = machine.log.dmesg() {
            tree.put("dmesg", log);
        }
        if let Some(log) = machine.log.kmsg() {
            tree.put("dev/kmsg", log);
        }
        // An answer tells what there is, and so what is asked next; it ends, as for the real session.
        for _ in 0..16 {
            let questions = self.conversation.questions(self.now);
            if questions.is_empty() {
                break;
            }
            for question in questions {
                let (lane, mut reader) = (question.lane, question.reader);
                let text =
                    String::from_utf8(question.text).context("a question that is no text")?;
                let Some(shell) = self.shells.get_mut(lane as usize) else {
                    bail!("no lane {lane:?}")
                };
                let ended = match shell.answer(&tree, machine, &text)? {
                    Some(answer) => match reader.feed(&answer) {
                        Progress::Complete => Ok(reader),
                        Progress::Refused(error) => Err(error),
                        Progress::More => bail!("an answer that does not end: {text}"),
                    },
                    None => Err(late(lane)),
                };
                let took = Duration::from_millis(if ended.is_ok() { 12 } else { 5000 });
                self.conversation.take(lane, ended, took, self.now, at);
            }
        }
        let round_trip = Duration::try_from_secs_f64(machine.round_trip_ms / 1000.0)?;
        let reached = Reached { round_trip: Some(round_trip), opened_in: None };
        Ok(self.conversation.observe(Ok(reached), at, Duration::ZERO))
    }
}

fn late(lane: Lane) -> ProbeError {
    ProbeError {
        kind: ProbeErrorKind::Late,
        message: format!("the {lane:?} lane gave no answer in time"),
        advice: None,
    }
}
