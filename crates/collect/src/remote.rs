//! Another machine as one node: what is asked of it, and what its answers mean.
//!
//! No I/O: a [`Conversation`] says which [`Question`]s are due, somebody carries them to a POSIX
//! shell on the node and feeds what comes back to the question's [`Reader`], and the conversation
//! makes an observation of the answers. The shell runs [`program`], which [`BOOTSTRAP`] reads from
//! its first line of input; the same collectors and parsers as for the local machine understand
//! what it sends.
//!
//! What must hold: a node's answer is never trusted: bounded, parsed, never executed. Nothing is
//! written on the node. At most one question a lane is under way; a lane that hangs holds no other.

use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
use sickbay_model::Timestamp;
use sickbay_model::{Advice, ProbeError, ProbeErrorKind};

use crate::{FaultMatcher, ProcessPattern, TorchSettings};

mod program;

mod reader;
pub use reader::Reader;
pub(crate) use reader::find_byte;

mod conversation;
pub use conversation::Conversation;
pub use program::{LIMITED, packed_line, quoted};

mod host;
mod mounts;
mod nvidia;
mod torch;
mod tree;

/// What is asked of remote nodes, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteSettings {
    /// How long one probe may take, on the node too. Default 5 s.
    pub probe_timeout: Duration,
    /// How often processes are scanned. Default 30 s.
    pub process_scan_interval: Duration,
    /// How often temperature sensors are read. Default 60 s.
    pub sensor_interval: Duration,
    /// How often filesystems are asked. Default 30 s.
    pub filesystem_interval: Duration,
    /// How often the kernel's log is asked for. Default 15 s.
    pub kernel_log_interval: Duration,
    /// How often GPUs are asked: `nvidia-smi` is not free. Default 10 s.
    pub gpu_interval: Duration,
    /// While a node is polled more and more rarely, what is asked less often than at every poll is
    /// asked at every third one, but at least this often. Default 180 s: well within the time after
    /// which the health model calls an answer stale.
    pub longest_interval: Duration,
    /// Which processes are named by the configuration.
    pub process_patterns: Vec<ProcessPattern>,
    /// When and how torch is asked.
    pub torch: TorchSettings,
    /// What recognises faults in the kernel's log. Default: the catalogue that comes with the program.
    pub faults: Arc<FaultMatcher>,
}

/// At every how many polls the slow parts are asked where polls themselves are rare.
const RESTING_POLLS: u32 = 3;

impl RemoteSettings {
    /// How long what answered is left alone on a node that is polled so often.
    fn rest(&self, between_polls: Duration) -> Duration {
        between_polls.saturating_mul(RESTING_POLLS).min(self.longest_interval)
    }
}

impl Default for RemoteSettings {
    fn default() -> Self {
        Self {
            probe_timeout: Duration::from_secs(5),
            process_scan_interval: Duration::from_secs(30),
            sensor_interval: Duration::from_secs(60),
            filesystem_interval: Duration::from_secs(30),
            kernel_log_interval: Duration::from_secs(15),
            gpu_interval: Duration::from_secs(10),
            longest_interval: Duration::from_secs(180),
            process_patterns: Vec::new(),
            torch: TorchSettings::default(),
            faults: FaultMatcher::embedded(),
        }
    }
}

/// What is executed on the node; it reads [`program`] and then questions, line by line, until its
/// input ends. Any login shell understands it.
pub const BOOTSTRAP: &str = r#"exec /bin/sh -c 'IFS= read -r p && eval "$p"'"#;

/// The program in one line, with the line's end, for the catalogue of faults that comes with it.
/// [`Question::program`] is the one that is to be sent.
#[must_use]
pub fn program() -> Arc<[u8]> {
    program::line(&FaultMatcher::embedded())
}

/// What runs apart from the rest on the node, each in a shell of its own, because it may hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Everything that the kernel answers from memory, local filesystems, sensors, processes.
    Host,
    /// `nvidia-smi`.
    Nvidia,
    /// Filesystems over a network.
    Mounts,
    /// `import torch`.
    Torch,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Host, Self::Nvidia, Self::Mounts, Self::Torch];
}

/// Something to be asked now.
#[derive(Debug)]
pub struct Question {
    /// Over which lane.
    pub lane: Lane,
    /// The program that answers it: sent in front of the first question over each new channel.
    pub program: Arc<[u8]>,
    /// The line to send.
    pub text: Vec<u8>,
    /// How long the answer may take, beyond which the lane's channel is to be closed.
    pub limit: Duration,
    /// Whether the observation waits for it. What it does not wait for is under way beside it.
    pub awaited: bool,
    /// What understands the answer.
    pub reader: Reader,
}

/// How far an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    More,
    /// It is complete.
    Complete,
    /// It cannot be used; the lane's channel is to be closed.
    Refused(ProbeError),
}

/// How a node was reached, for this collection.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Round trip of the session, measured now.
    pub round_trip: Option<Duration>,
    /// How long the session took to open, if it was opened now.
    pub opened_in: Option<Duration>,
}

/// The error of something that was given up on the node itself.
fn late_on_node(what: &str, took: Duration) -> ProbeError {
    ProbeError {
        kind: ProbeErrorKind::Late,
        message: format!("{what} gave no answer on the node and was given up after {took:.1?}"),
        advice: Some(Advice(
            "look at the node's kernel log (dmesg) and at processes in state D (ps) for what it \
             waits for"
                .into(),
        )),
    }
}

#[cfg(any(test, feature = "fuzzing"))]
mod any;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use any::any_answer;

#[cfg(test)]
mod tests;
