//! A question asked of a resource, and its answer.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::Advice;
use crate::time::Timestamp;

/// The answer of a check, ordered from well to worst; `Unknown` stands apart from the order of
/// badness (see [`Status::severity`]).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Healthy,
    /// Works, with less margin than it should have.
    Degraded,
    /// Does not do its work properly.
    Unhealthy,
    /// Broken, or about to break what depends on it.
    Critical,
    /// Could not be judged. Never counts as healthy.
    Unknown,
}

impl Status {
    /// The word used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// How bad it is, for sorting and for taking the worst: unknown ranks between degraded and
    /// unhealthy, as in the Nagios tradition of putting it above a warning.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Unknown => 2,
            Self::Unhealthy => 3,
            Self::Critical => 4,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a check; with an instance where a node has several of the thing
/// (`filesystem_space` of `/data`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckId(pub Cow<'static, str>);

impl CheckId {
    /// A check known at compile time.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The five readiness checks, by the names seed 1 gave them.
pub mod check_id {
    use super::CheckId;

    /// A session opens.
    pub const REACHABLE: CheckId = CheckId::new("reachable");
    /// The driver answers and as many GPUs answer as expected.
    pub const GPU_AVAILABLE: CheckId = CheckId::new("gpu_available");
    /// `import torch` succeeds and sees the GPUs.
    pub const TORCH_READY: CheckId = CheckId::new("torch_ready");
    /// Enough free space on the watched paths.
    pub const DISK_READY: CheckId = CheckId::new("disk_ready");
    /// Round trips are short enough.
    pub const LATENCY_READY: CheckId = CheckId::new("latency_ready");
}

/// The parts of a node's score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// GPUs (weight 40).
    Gpu,
    /// CPU, memory, disks (weight 30).
    System,
    /// Latency, errors, links (weight 20).
    Network,
    /// Training processes, stuck processes (weight 10).
    Process,
}

impl Component {
    /// All parts, heaviest first.
    pub const ALL: [Self; 4] = [Self::Gpu, Self::System, Self::Network, Self::Process];

    /// The word used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::System => "system",
            Self::Network => "network",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One measured fact behind an answer, with the line that it crossed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was measured; a metric's name, a probe's name or a short phrase.
    pub what: Cow<'static, str>,
    /// The value as a person reads it, unit included.
    pub value: String,
    /// The threshold it was held against, unit included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
}

/// The answer to a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Which question.
    pub check: CheckId,
    /// Of which instance (mount point, GPU index, interface); empty if the node has just one.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub instance: Cow<'static, str>,
    /// Which part of the score it belongs to.
    pub component: Component,
    /// The answer.
    pub status: Status,
    /// How well it is, 0 to 100: the answer's share in its component.
    pub points: f64,
    /// One sentence: what was found.
    pub message: Cow<'static, str>,
    /// The facts behind it; empty while healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What to do; none while healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// When it was answered.
    pub at: Timestamp,
    /// How long the answer took to get.
    pub took: Duration,
    /// Whether a non-healthy status was confirmed (hard) or is yet a first sighting (soft).
    pub hard: bool,
}

impl CheckResult {
    /// Whether it is as it should be. `Unknown` is not.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.status == Status::Healthy
    }
}
