//! People in turn.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use sickbay_model::Timestamp;

use super::ScheduleMistake;
use crate::calendar::{Repeated, Zone, duration};

/// A rotation as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRotation<'a> {
    /// Who takes part, in the order of their turns.
    pub participants: Vec<String>,
    /// The day of the first handover: `2026-11-30`.
    pub starts: &'a str,
    /// The time of day of handovers: `09:00`.
    pub handover: &'a str,
    /// How long a shift is: `1w`, `1d`, `12h`. By the clock: a day's shift ends at the same time of day.
    pub shift: &'a str,
    /// By whose clock: `Europe/Berlin`.
    pub zone: &'a str,
}

/// People in turn, from a first handover on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    participants: Vec<String>,
    starts: DateTime,
    shift_seconds: i64,
    zone: Zone,
}

impl Rotation {
    /// The most participants.
    pub const MAX_PARTICIPANTS: usize = 100;
    const HOUR: i64 = 3600;
    const YEAR: i64 = 366 * 86_400;

    /// A rotation.
    ///
    /// # Errors
    /// The first thing that is wrong, with what to write.
    pub fn new(new: NewRotation<'_>) -> Result<Self, ScheduleMistake> {
        let NewRotation { participants, starts, handover, shift, zone } = new;
        let named = participants.iter().all(|name| !name.trim().is_empty());
        if !named || !(1..=Self::MAX_PARTICIPANTS).contains(&participants.len()) {
            return Err(ScheduleMistake::Participants);
        }
        let day: Date = starts.parse().map_err(|_| ScheduleMistake::Starts(starts.to_owned()))?;
        let time = format!("{handover:0>5}").parse::<Time>();
        let time = time.map_err(|_| ScheduleMistake::Handover(handover.to_owned()))?;
        let seconds = duration(shift).and_then(|length| i64::try_from(length.as_secs()).ok());
        let possible = seconds.filter(|it| (Self::HOUR..=Self::YEAR).contains(it));
        let shift_seconds = possible.ok_or_else(|| ScheduleMistake::Length(shift.to_owned()))?;
        let zone = Zone::named(zone).ok_or_else(|| ScheduleMistake::Zone(zone.to_owned()))?;
        Ok(Self { participants, starts: day.to_datetime(time), shift_seconds, zone })
    }

    /// Whose turn it is; nobody's before the first handover.
    #[must_use]
    pub fn on_call(&self, now: Timestamp) -> Option<&str> {
        let turn = usize::try_from(self.turn(now)?).ok()?;
        self.participants.get(turn % self.participants.len()).map(String::as_str)
    }

    /// When the next turn begins.
    #[must_use]
    pub fn next_handover(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.turn(now).map_or(0, |turn| turn + 1);
        Some(self.begin(next)).filter(|at| *at > now)
    }

    /// How many handovers there were before the one that the present turn began with.
    fn turn(&self, now: Timestamp) -> Option<i64> {
        let passed = self.zone.local(now).duration_since(self.starts).as_secs();
        let guess = passed.div_euclid(self.shift_seconds);
        // Off by what the clock was set, which is a day at most.
        let margin = 2 * 86_400 / self.shift_seconds + 1;
        let possible = (0..=guess.saturating_add(margin)).rev();
        possible.take_while(|turn| *turn >= guess - margin).find(|turn| self.begin(*turn) <= now)
    }

    /// When a turn begins.
    fn begin(&self, turn: i64) -> Timestamp {
        let away = SignedDuration::from_secs(turn.saturating_mul(self.shift_seconds));
        self.zone.instant(self.starts.saturating_add(away), Repeated::First)
    }
}
