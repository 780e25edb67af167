//! When silence becomes `unknown`.
//!
//! A node that is not collected any more is not well: nobody knows. Until then its last verdict
//! stands. An observer that was away itself (stopped, suspended) cannot tell silence from its own
//! absence, so it counts only the time for which it was awake.

use std::collections::BTreeMap;
use std::time::Duration;

use sickbay_model::{Event, EventId, EventKind, Level, ResourceId, Timestamp};

use crate::checks::CheckKind;
use crate::doubt::Excuse;
use crate::memory::NodeMemory;
use crate::{text, transitions};

/// Planned intervals that may pass without a collection before a node is unknown: 3 (ours: one may
/// be lost, one may be late).
pub const MISSED_INTERVALS: u32 = 3;

/// How long nothing was heard of a node, and what was to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Time since the last collection ended, or since the node is watched.
    pub unheard: Duration,
    /// Time for which the observer itself has been awake without a gap.
    pub awake: Duration,
    /// Time planned from the last collection to the next.
    pub interval: Duration,
    /// What a collection may take.
    pub deadline: Duration,
}

impl Silence {
    /// How much silence is still normal.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.interval.saturating_mul(MISSED_INTERVALS).saturating_add(self.deadline)
    }

    /// Whether what is known of the node has become worthless.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.unheard.min(self.awake) > self.limit()
    }
}

/// What is to be shown and told of a node that fell silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Silenced {
    /// Why it is unknown, as a fragment: "no collection has ended for 40 s".
    pub reason: String,
    /// Since when it is unknown.
    pub since: Timestamp,
    /// The level and the readiness that changed, of the node alone: its parts have no say of their
    /// own behind a silent node.
    pub events: Vec<Event>,
}

/// Makes a node unknown for lack of collections. The next assessment tells of the way back.
#[must_use]
pub fn silence(
    memory: &mut NodeMemory,
    node: &ResourceId,
    at: Timestamp,
    unheard: Duration,
) -> Silenced {
    let reason = format!("no collection has ended for {}", text::duration(unheard));
    let verdict = &mut memory.verdict;
    let mut events = Vec::new();
    let mut tell = |kind, message, details: &[(&str, String)]| {
        let details: BTreeMap<String, String> =
            details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        events.push(Event {
            id: EventId(0),
            at,
            kind,
            resource: Some(node.clone()),
            message,
            details,
        });
    };
    let before = verdict.level.replace(Level::Unknown);
    let shown = verdict.shown.replace(Level::Unknown).or(before);
    if shown != Some(Level::Unknown) {
        verdict.level_since = at;
    }
    if let Some(before) = before.filter(|before| *before != Level::Unknown) {
        let (message, details) = transitions::level_change(before, Level::Unknown, &reason);
        tell(EventKind::LevelChanged, message, &details);
    }
    verdict.troubled = true;
    verdict.well_streak = 0;
    if verdict.ready.replace(false) == Some(true) {
        let message = format!("No longer ready for work: {reason}.");
        tell(EventKind::ReadinessChanged, message, &[("ready", "false".to_owned())]);
    }
    Silenced { reason, since: verdict.level_since, events }
}

/// Makes a node unknown that did not answer, when that is not its fault; to be called in place of
/// [`crate::assess`]. Nothing is told of the node alone, neither now nor when it comes back as it
/// was; its other states stay as they were. The failure is not counted against it, and neither are
/// those just before that were not confirmed: they had the same cause.
///
/// A node that is down for long is confirmed down, and stays so: only what is shown changes.
#[must_use]
pub fn excuse(
    memory: &mut NodeMemory,
    _node: &ResourceId,
    at: Timestamp,
    excuse: &Excuse,
) -> Silenced {
    let reason = match excuse {
        Excuse::Parent(parent) => format!("(parent) {parent} cannot be reached"),
        Excuse::Observer(why) => format!("(observer) {why}"),
    };
    for entry in memory.checks.iter_mut().filter(|entry| entry.kind == CheckKind::Reachable) {
        entry.state.forgive();
    }
    let verdict = &mut memory.verdict;
    let shown = verdict.shown.replace(Level::Unknown).or(verdict.level);
    if shown != Some(Level::Unknown) || verdict.level_since > at {
        verdict.level_since = at;
    }
    Silenced { reason, since: verdict.level_since, events: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_too_long_after_three_intervals_and_the_deadline() {
        for (unheard, awake, interval, deadline, too_long) in [
            (s(0), s(100), s(5), s(7), false),
            (s(22), s(100), s(5), s(7), false),
            (s(23), s(100), s(5), s(7), true),
            // An idle node is asked once a minute.
            (s(180), s(900), s(60), s(7), false),
            (s(188), s(900), s(60), s(7), true),
            // The observer was stopped for an hour and has just come back.
            (s(3600), s(1), s(5), s(7), false),
            (s(3623), s(23), s(5), s(7), true),
            (Duration::MAX, Duration::MAX, Duration::MAX, s(7), false),
        ] {
            let silence = Silence { unheard, awake, interval, deadline };
            assert_eq!(silence.is_too_long(), too_long, "{silence:?}");
        }
    }
}
