//! Whether the loop itself keeps up: what it cannot do in time it must not blame on others.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::targets::TargetIndex;

/// Lateness beyond which the hub says that it lags, and for how long none may be as late before it
/// may say so again.
const LAG_ALARM: Duration = Duration::from_secs(2);
const LAG_CLEAR: Duration = Duration::from_secs(60);

/// A turn that comes this much later than the upkeep would have made it means that the hub was
/// stopped or suspended.
const WAKEFUL_GAP: Duration = Duration::from_secs(15);

/// Tells of a lag once, until the schedule was kept for a while.
#[derive(Debug, Default)]
pub(super) struct LagAlarm {
    last_late: Option<Duration>,
}

impl LagAlarm {
    /// Whether this lag is news.
    pub(super) fn notice(&mut self, now: Duration, lag: Duration) -> bool {
        if lag <= LAG_ALARM {
            return false;
        }
        let before = self.last_late.replace(now);
        before.is_none_or(|last| now.saturating_sub(last) > LAG_CLEAR)
    }
}

/// For how long the loop has been turning without a gap: who was away cannot tell silence.
#[derive(Debug)]
pub(super) struct Wakefulness {
    since: Duration,
    last_turn: Duration,
}

impl Wakefulness {
    pub(super) fn starting(now: Duration) -> Self {
        Self { since: now, last_turn: now }
    }

    /// Takes note of a turn; for how long the loop has been awake then.
    pub(super) fn turn(&mut self, now: Duration) -> Duration {
        let last = std::mem::replace(&mut self.last_turn, now);
        if now.saturating_sub(last) > WAKEFUL_GAP {
            self.since = now;
        }
        self.duration(now)
    }

    pub(super) fn duration(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }
}

/// Whether every node was tried once: until then the hub is not ready to be asked. It waits for its
/// own machine, and for the others no longer than a session may take to open.
#[derive(Debug)]
pub(super) struct FirstSweep {
    local: Option<TargetIndex>,
    others: BTreeSet<TargetIndex>,
    until: Duration,
    over: bool,
}

impl FirstSweep {
    pub(super) fn ending(until: Duration) -> Self {
        Self { local: None, others: BTreeSet::new(), until, over: false }
    }

    /// A target that is to be tried; later ones do not count.
    pub(super) fn expect(&mut self, target: TargetIndex, is_local: bool) {
        if self.over {
        } else if is_local {
            self.local = Some(target);
        } else {
            self.others.insert(target);
        }
    }

    /// A target was tried, is not to be asked, or is not there any more.
    pub(super) fn tried(&mut self, target: TargetIndex) {
        if self.local == Some(target) {
            self.local = None;
        }
        self.others.remove(&target);
    }

    pub(super) fn is_done(&mut self, now: Duration) -> bool {
        if !self.over && self.local.is_none() && (self.others.is_empty() || now >= self.until) {
            self.over = true;
            self.others.clear();
        }
        self.over
    }

    /// When it ends at the latest, as long as that is what it waits for.
    pub(super) fn until(&self) -> Option<Duration> {
        (!self.over && self.local.is_none()).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn lag_is_told_once_until_the_schedule_was_kept_for_a_while() {
        let mut alarm = LagAlarm::default();
        for (now, lag, told) in [
            (s(0), s(0), false),
            (s(5), s(3), true),
            // Still behind, or only for a moment not: nothing new.
            (s(10), s(4), false),
            (s(15), s(0), false),
            (s(20), s(3), false),
            (s(25), s(0), false),
            (s(86), s(0), false),
            // On time for a minute: the next one is news.
            (s(90), s(9), true),
        ] {
            assert_eq!(alarm.notice(now, lag), told, "at {now:?}");
        }
    }

    #[test]
    fn the_first_sweep_waits_for_the_own_machine_and_a_while_for_the_others() {
        let [here, one, two] = [0, 1, 2].map(TargetIndex);
        let mut sweep = FirstSweep::ending(s(5));
        sweep.expect(here, true);
        sweep.expect(one, false);
        sweep.expect(two, false);
        sweep.tried(one);
        assert!(!sweep.is_done(s(9)), "the own machine is a must");
        assert_eq!(sweep.until(), None);
        sweep.tried(here);
        assert!(!sweep.is_done(s(4)));
        assert_eq!(sweep.until(), Some(s(5)));
        assert!(sweep.is_done(s(5)));
        // Once over it stays over.
        sweep.expect(TargetIndex(3), false);
        assert!(sweep.is_done(s(6)) && sweep.until().is_none());
        let mut sweep = FirstSweep::ending(s(5));
        sweep.expect(here, true);
        sweep.expect(one, false);
        sweep.tried(here);
        sweep.tried(one);
        assert!(sweep.is_done(s(1)), "all were tried");
    }

    #[test]
    fn a_gap_in_the_turns_starts_the_wakefulness_anew() {
        let mut awake = Wakefulness::starting(s(0));
        for (now, expected) in [(s(10), s(10)), (s(20), s(20)), (s(60), s(0)), (s(70), s(10))] {
            assert_eq!(awake.turn(now), expected, "at {now:?}");
        }
    }
}
