//! Whether the loop itself keeps up: what it cannot do in time it must not blame on others.

use std::time::Duration;

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
    fn a_gap_in_the_turns_starts_the_wakefulness_anew() {
        let mut awake = Wakefulness::starting(s(0));
        for (now, expected) in [(s(10), s(10)), (s(20), s(20)), (s(60), s(0)), (s(70), s(10))] {
            assert_eq!(awake.turn(now), expected, "at {now:?}");
        }
    }
}
