//! Thresholds that do not chatter.
//!
//! A threshold is raised at its line and at once; it clears only when the value has come back over
//! the line by a margin **and** stayed there for the hold. What must hold: for the same memory, a
//! worse value never gives a better status. A clock that is set back restarts the hold, so that it
//! ends one hold later at the latest; a clock that leaps ahead ends it early, which the
//! confirmation of recoveries ([`crate::state`]) absorbs.

use serde::{Deserialize, Serialize};
use sickbay_model::{Status, Timestamp};

use crate::policy::{Hysteresis, Threshold};

/// What a threshold remembers: how far it is raised, and since when it is clearing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThresholdState {
    raised: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    clearing_since: Option<Timestamp>,
}

impl Default for ThresholdState {
    fn default() -> Self {
        Self { raised: Status::Healthy, clearing_since: None }
    }
}

impl ThresholdState {
    /// How far it is raised now.
    #[must_use]
    pub fn raised(&self) -> Status {
        self.raised
    }

    /// Whether it is raised now.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.raised != Status::Healthy
    }

    /// Judges a value: healthy, degraded (from the warning line on) or critical.
    pub fn judge(
        &mut self,
        threshold: &Threshold,
        hysteresis: &Hysteresis,
        value: f64,
        now: Timestamp,
    ) -> Status {
        let entered = threshold.status(value);
        if !self.is_raised() || entered.severity() >= self.raised.severity() {
            self.raised = entered;
            self.clearing_since = None;
            return entered;
        }
        let remains = threshold.status_moved(value, hysteresis.margin_percent / 100.0);
        if remains.severity() >= self.raised.severity() {
            self.clearing_since = None;
            return self.raised;
        }
        let since = *self.clearing_since.get_or_insert(now);
        if since > now {
            self.clearing_since = Some(now);
        } else if now.since(since) >= hysteresis.hold {
            self.raised = remains;
            self.clearing_since = None;
        }
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1000)
    }

    /// Judges a story of (second, value) and expects these statuses, as their first letters.
    fn check(threshold: Threshold, story: &[(i64, f64)], expect: &str) {
        let mut state = ThresholdState::default();
        let got: String = story
            .iter()
            .map(|&(second, value)| {
                let status = state.judge(&threshold, &Hysteresis::default(), value, at(second));
                status.as_str().chars().next().unwrap_or('?')
            })
            .collect();
        assert_eq!(got, expect, "{story:?}");
    }

    #[test]
    fn rises_at_once_and_clears_below_the_margin_after_the_hold() {
        let disk = Threshold::above(85.0, 95.0);
        for (story, expect) in [
            (&[(0, 84.9), (5, 85.0), (10, 95.0)][..], "hdc"),
            // Below the line but within the margin (80.75): stays, however long.
            (&[(0, 86.0), (60, 82.0), (600, 81.0)], "ddd"),
            // Below the margin: only after 60 s.
            (&[(0, 86.0), (10, 80.0), (69, 80.0), (70, 80.0)], "dddh"),
            // A relapse restarts the hold.
            (&[(0, 86.0), (10, 80.0), (60, 82.0), (80, 80.0), (139, 80.0), (140, 80.0)], "dddddh"),
            // Critical clears to degraded first, where the value is still above that line.
            (&[(0, 96.0), (10, 90.0), (70, 90.0), (80, 70.0), (140, 70.0)], "ccddh"),
            // Critical may clear to healthy directly.
            (&[(0, 96.0), (10, 10.0), (70, 10.0)], "cch"),
            // The clock is set back by a day: the hold starts again and ends.
            (&[(90_000, 96.0), (90_010, 1.0), (3_600, 1.0), (3_659, 1.0), (3_660, 1.0)], "cccch"),
            // The clock leaps ahead: no panic, no eternal hold.
            (&[(0, 96.0), (10, 1.0), (9_000_000, 1.0)], "cch"),
        ] {
            check(disk, story, expect);
        }
    }

    #[test]
    fn works_downwards_for_free_space() {
        let free = Threshold::below(20.0, 10.0);
        check(free, &[(0, 21.0), (1, 20.0), (2, 10.0), (3, 10.4), (63, 10.4)], "hdccc");
        check(free, &[(0, 9.0), (1, 11.0), (61, 11.0), (62, 21.5), (122, 21.5)], "ccddh");
    }
}
