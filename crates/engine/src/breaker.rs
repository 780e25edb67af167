//! Whether a target that keeps failing is still asked.
//!
//! Closed → open after consecutive failures → half-open when its time has come (one probe) → closed
//! after a success, or open again for longer. Pure: time comes in, the state is plain data that
//! survives a restart. An open breaker does not say that the target is down: it says that we
//! stopped asking.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

/// Whether a target is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is.
    #[default]
    Closed,
    /// It is not.
    Open,
    /// One probe is let through, to find out.
    HalfOpen,
}

impl BreakerState {
    /// The word used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// When breakers move (health model; seed 2).
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Consecutive failures that open it. Default 3.
    pub failures: u32,
    /// How long it stays open at first. Default 5 min.
    pub open_for: Duration,
    /// By how much each failed probe prolongs that. Default 2.
    pub growth: f64,
    /// The longest it stays open. Default 30 min.
    pub longest: Duration,
    /// Jitter of the time it stays open, ± percent. Default 10.
    pub jitter_percent: f64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 3,
            open_for: Duration::from_secs(300),
            growth: 2.0,
            longest: Duration::from_secs(1800),
            jitter_percent: 10.0,
        }
    }
}

/// A breaker moved.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerMove {
    /// From.
    pub from: BreakerState,
    /// To.
    pub to: BreakerState,
    /// Why, as a fragment.
    pub reason: String,
}

/// One target's breaker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breaker {
    state: BreakerState,
    /// Consecutive failures.
    failures: u32,
    /// How often it was opened without a success in between.
    openings: u32,
    /// Since when it is in this state.
    since: Timestamp,
    /// When an open breaker lets a probe through.
    probe_at: Option<Timestamp>,
    /// The last failure, in words.
    last_failure: Option<String>,
}

impl Breaker {
    /// The state.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Consecutive failures.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Since when it is in this state; the epoch before the first result.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When an open breaker lets a probe through; none unless open.
    #[must_use]
    pub fn probe_at(&self) -> Option<Timestamp> {
        self.probe_at
    }

    /// The last failure since the last success, in words.
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// The target is about to be asked: an open breaker whose time has come becomes half-open.
    /// Whether it may be asked now, and the move, if it moved.
    pub fn ask(&mut self, _policy: &BreakerPolicy, _now: Timestamp) -> (bool, Option<BreakerMove>) {
        (true, None)
    }

    /// The target answered.
    pub fn succeeded(&mut self, _now: Timestamp) -> Option<BreakerMove> {
        None
    }

    /// The target did not answer. `seed` jitters how long it stays open; it should differ from
    /// target to target and from call to call.
    pub fn failed(
        &mut self,
        _policy: &BreakerPolicy,
        _now: Timestamp,
        _reason: &str,
        _seed: u64,
    ) -> Option<BreakerMove> {
        None
    }

    /// Somebody wants the target asked again at once: closed, with no failures.
    pub fn reset(&mut self, _now: Timestamp) -> Option<BreakerMove> {
        None
    }
}
