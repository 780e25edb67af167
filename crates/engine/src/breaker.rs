//! Whether a target that keeps failing is still asked.
//!
//! Closed → open after consecutive failures → half-open when its time has come (one probe) → closed
//! after a success, or open again for longer. Pure: time comes in, the state is plain data that
//! survives a restart. An open breaker does not say that the target is down: it says that we
//! stopped asking.
//!
//! **Must hold**: an open breaker is not asked before its time, and always some time later, at the
//! latest after [`BreakerPolicy::longest_wait`]: also if the clock was set back, if the result of
//! its probe was lost (a restart), and if its stored state makes no sense.
//!
//! # In your own daemon
//! ```
//! use std::time::Duration;
//! use sickbay_engine::{Breaker, BreakerPolicy, BreakerState};
//! use sickbay_model::Timestamp;
//!
//! let policy = BreakerPolicy { jitter_percent: 0.0, ..BreakerPolicy::default() };
//! let mut breaker = Breaker::default();
//! let mut now = Timestamp::from_unix_ms(1_800_000_000_000);
//! let (mut asked, mut opened) = (0, 0);
//! // A mail server that is down for half an hour, and is to be asked every 5 seconds.
//! for _ in 0..360 {
//!     now = now.plus(Duration::from_secs(5));
//!     let (may_ask, _) = breaker.ask(&policy, now);
//!     if may_ask {
//!         asked += 1;
//!         let moved = breaker.failed(&policy, now, "connection refused", 7);
//!         opened += i32::from(moved.is_some_and(|moved| moved.to == BreakerState::Open));
//!     }
//! }
//! // Three failures, then probes after 5 and 10 minutes; the next would be due after 20 more.
//! assert_eq!((asked, opened), (5, 3));
//! assert_eq!(breaker.last_failure(), Some("connection refused"));
//!
//! now = now.plus(Duration::from_secs(1200));
//! assert!(breaker.ask(&policy, now).0, "one probe is let through");
//! assert!(!breaker.ask(&policy, now).0, "and no second one before it has ended");
//! breaker.succeeded(now);
//! assert_eq!(breaker.state(), BreakerState::Closed);
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

use crate::pace::unit_interval;
use crate::policy::seconds;

/// The most bytes kept of a failure's reason.
const MAX_REASON: usize = 256;
/// The jitter that is applied at most, in percent: with all of it an open breaker would not wait.
const MOST_JITTER_PERCENT: f64 = 50.0;
/// The least and the most that a breaker waits, whatever the policy says.
const WAIT_LIMITS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(7 * 24 * 3600));

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// Consecutive failures that open it: 3 (seed 2).
    pub failures: u32,
    /// How long it stays open at first: 5 min (seed 2).
    #[serde(with = "seconds", rename = "open_for_seconds")]
    pub open_for: Duration,
    /// Factor by which each failed probe prolongs that: 2 (ours; "backs off exponentially").
    pub growth: f64,
    /// The longest it stays open, before jitter: 30 min (ours: a node that was repaired is seen
    /// within a coffee break).
    #[serde(with = "seconds", rename = "longest_seconds")]
    pub longest: Duration,
    /// How far the time it stays open is moved at random, in percent either way: 10 (ours), at
    /// most 50.
    pub jitter_percent: f64,
}

impl BreakerPolicy {
    /// The longest that any open breaker waits for its next probe.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.wait(u32::MAX, 1.0)
    }

    /// How long a breaker stays open that was opened this often in a row; `jitter` from -1 to 1.
    fn wait(&self, openings: u32, jitter: f64) -> Duration {
        let (least, most) = WAIT_LIMITS;
        let first = self.open_for.clamp(least, most).as_secs_f64();
        let longest = self.longest.clamp(least, most).as_secs_f64().max(first);
        let growth = if self.growth >= 1.0 { self.growth } else { 1.0 };
        let steps = i32::try_from(openings.saturating_sub(1)).unwrap_or(i32::MAX);
        // `min` takes the other one of a NaN, and infinity is cut.
        let grown = (first * growth.powi(steps)).min(longest);
        let percent = self.jitter_percent.abs().min(MOST_JITTER_PERCENT);
        let moved = grown * (1.0 + jitter.clamp(-1.0, 1.0) * percent / 100.0);
        Duration::try_from_secs_f64(moved).unwrap_or(self.longest).clamp(least, most)
    }
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
    ///
    /// Whoever is let through owes a result. One that never comes is given up after
    /// [`BreakerPolicy::open_for`], and another probe is let through.
    pub fn ask(&mut self, policy: &BreakerPolicy, now: Timestamp) -> (bool, Option<BreakerMove>) {
        match self.state {
            BreakerState::Closed => (true, None),
            BreakerState::Open => {
                self.mind_the_clock(policy, now);
                if self.probe_at.is_some_and(|probe_at| now < probe_at) {
                    return (false, None);
                }
                let reason = "its time has come: one probe is let through".to_owned();
                (true, self.go(BreakerState::HalfOpen, now, reason))
            }
            BreakerState::HalfOpen => {
                // The clock was set back: count from now.
                self.since = self.since.min(now);
                let lost = now.since(self.since) >= policy.wait(1, 0.0);
                if lost {
                    self.since = now;
                }
                (lost, None)
            }
        }
    }

    /// The target answered.
    pub fn succeeded(&mut self, now: Timestamp) -> Option<BreakerMove> {
        (self.failures, self.openings, self.last_failure) = (0, 0, None);
        self.go(BreakerState::Closed, now, "it answered".to_owned())
    }

    /// The target did not answer. `seed` jitters how long it stays open; it should differ from
    /// target to target and from call to call.
    pub fn failed(
        &mut self,
        policy: &BreakerPolicy,
        now: Timestamp,
        reason: &str,
        seed: u64,
    ) -> Option<BreakerMove> {
        self.failed_softly(reason);
        let opens = match self.state {
            BreakerState::Closed => self.failures >= policy.failures.max(1),
            BreakerState::HalfOpen => true,
            // A result that was under way when it opened: the wait is as it is.
            BreakerState::Open => false,
        };
        if !opens {
            return None;
        }
        self.openings = self.openings.saturating_add(1);
        let wait = policy.wait(self.openings, unit_interval(seed));
        let kept = self.last_failure.as_deref().unwrap_or_default();
        let reason = match self.failures {
            1 => format!("it failed: {kept}"),
            failures => format!("{failures} failures in a row, the last: {kept}"),
        };
        let moved = self.go(BreakerState::Open, now, reason);
        self.probe_at = Some(now.plus(wait));
        moved
    }

    /// The target did not answer, but nobody believes yet that it is down: counted, and asked on.
    /// For a caller that confirms failures by itself and wants to ask until they are confirmed.
    pub fn failed_softly(&mut self, reason: &str) {
        self.failures = self.failures.saturating_add(1);
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.last_failure = reason.get(..end).map(str::to_owned);
    }

    /// The probe that was let through came to nothing, by no fault of the target (its parent or the
    /// observer could not reach anything): open again for as long as it was, no failure counted.
    pub fn excused(
        &mut self,
        policy: &BreakerPolicy,
        now: Timestamp,
        seed: u64,
    ) -> Option<BreakerMove> {
        if self.state != BreakerState::HalfOpen {
            return None;
        }
        let wait = policy.wait(self.openings, unit_interval(seed));
        let moved = self.go(BreakerState::Open, now, "the probe could not be made".to_owned());
        self.probe_at = Some(now.plus(wait));
        moved
    }

    /// Somebody wants the target asked again at once: closed, with no failures.
    pub fn reset(&mut self, now: Timestamp) -> Option<BreakerMove> {
        (self.failures, self.openings, self.last_failure) = (0, 0, None);
        self.go(BreakerState::Closed, now, "it was reset".to_owned())
    }

    fn go(&mut self, to: BreakerState, now: Timestamp, reason: String) -> Option<BreakerMove> {
        self.probe_at = None;
        let from = std::mem::replace(&mut self.state, to);
        if from == to {
            return None;
        }
        self.since = now;
        Some(BreakerMove { from, to, reason })
    }

    /// Brings the wait back into bounds where the clock was set back since it began.
    fn mind_the_clock(&mut self, policy: &BreakerPolicy, now: Timestamp) {
        if now < self.since {
            let planned = self.probe_at.map(|probe_at| probe_at.since(self.since));
            self.probe_at = planned.map(|planned| now.plus(planned));
            self.since = now;
        }
        let latest = now.plus(policy.longest_wait());
        self.probe_at = self.probe_at.map(|probe_at| probe_at.min(latest));
    }
}

#[cfg(test)]
mod tests;
