//! Doubt of the observer: when most of a fleet falls silent at once, the hub suspects itself.
//!
//! Pure; fed with how each collection ended. While in doubt, a node that does not answer is unknown
//! (observer) and nobody is told of it alone; one event tells of the hub. Timeouts stretch.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{ResourceId, Timestamp};

/// When the observer doubts itself (health model).
#[derive(Clone, Debug, PartialEq)]
pub struct DoubtPolicy {
    /// Share of the asked nodes that must fail within the window, in percent. Default 50 ("most of
    /// the fleet").
    pub failed_percent: f64,
    /// With fewer nodes than this there is no fleet to compare with. Default 5.
    pub least_nodes: u32,
    /// The window that counts as one sweep. Default 30 s.
    pub window: Duration,
    /// The hub's own lag that makes it doubt. Default 10 s.
    pub lag: Duration,
    /// How far timeouts are stretched at most. Default 8.
    pub longest_stretch: f64,
}

impl Default for DoubtPolicy {
    fn default() -> Self {
        Self {
            failed_percent: 50.0,
            least_nodes: 5,
            window: Duration::from_secs(30),
            lag: Duration::from_secs(10),
            longest_stretch: 8.0,
        }
    }
}

/// Why a silent node is not blamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    /// The node behind which it is cannot be reached.
    Parent(ResourceId),
    /// The hub doubts itself; why, as a fragment.
    Observer(String),
}

/// The observer's doubt began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct DoubtMove {
    /// Whether it doubts now.
    pub doubting: bool,
    /// Why, as a fragment.
    pub reason: String,
}

/// What the observer remembers in order to doubt itself.
#[derive(Clone, Debug, Default)]
pub struct Doubt {}

impl Doubt {
    /// A collection of one node ended: whether the node was reached. `node` is any number that
    /// stands for the node.
    pub fn note(&mut self, _node: u64, _now: Timestamp, _reached: bool) {}

    /// A node is not watched any more.
    pub fn forget(&mut self, _node: u64) {}

    /// Looks at what was noted. `nodes` is how many are watched and asked (not local, breaker not
    /// open), `lag` how late the hub runs.
    pub fn look(
        &mut self,
        _policy: &DoubtPolicy,
        _now: Timestamp,
        _nodes: u32,
        _lag: Duration,
    ) -> Option<DoubtMove> {
        None
    }

    /// Why the hub doubts itself now, as a fragment; none if it does not.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        None
    }

    /// By how much timeouts are to be stretched now: 1 without doubt.
    #[must_use]
    pub fn stretch(&self, _policy: &DoubtPolicy) -> f64 {
        1.0
    }
}
