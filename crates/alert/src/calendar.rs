//! Recurring stretches of time: business hours, maintenance windows, quiet hours.
//!
//! Local times are of a named zone and follow its clock: a stretch that begins at a local time which
//! the clock skips begins with the skip, and one whose begin or end the clock shows twice goes from the
//! first showing of its begin to the last showing of its end. A stretch that is skipped whole is left
//! out. No clock is read here; the zones' rules come from the machine's time zone database.

mod days;
mod text;
mod zone;

use std::fmt;

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

pub use days::{Days, Hours, Repeating};
pub use text::CalendarMistake;
pub(crate) use text::duration;

pub use zone::Zone;
pub(crate) use zone::{Repeated, offset_seconds};

/// From an instant (which is in it) until another (which is not).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stretch {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Stretch {
    /// All time that a timestamp can tell.
    pub const ALWAYS: Self =
        Self { from: Timestamp::from_unix_ms(i64::MIN), until: Timestamp::from_unix_ms(i64::MAX) };

    /// Whether an instant lies in it.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.from, self.until)
    }
}

impl fmt::Debug for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One part of a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// On certain days of the week or the month.
    Repeating(Repeating),
    /// Once.
    Once(Stretch),
}

impl Part {
    /// The first stretch that ends after an instant.
    fn ending_after(&self, at: Timestamp) -> Option<Stretch> {
        match self {
            Self::Repeating(repeating) => repeating.ending_after(at),
            Self::Once(stretch) => (stretch.until > at).then_some(*stretch),
        }
    }

    /// The last stretch that starts before an instant.
    fn starting_before(&self, at: Timestamp) -> Option<Stretch> {
        match self {
            Self::Repeating(repeating) => repeating.starting_before(at),
            Self::Once(stretch) => (stretch.from < at).then_some(*stretch),
        }
    }
}

/// When something holds: all the stretches of its parts. Stretches that touch or overlap are one.
///
/// Its text form is read with [`Calendar::parse`] and printed by `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar(Vec<Part>);

impl Calendar {
    /// The most parts that one calendar may have.
    pub const MAX_PARTS: usize = 32;
    /// What goes on for longer than this has no end; in days.
    const ENDLESS_DAYS: u64 = 370;

    /// A calendar of these parts; more than [`Calendar::MAX_PARTS`] are refused.
    ///
    /// # Errors
    /// There are too many, or none.
    pub fn new(parts: Vec<Part>) -> Result<Self, CalendarMistake> {
        match parts.len() {
            0 => Err(CalendarMistake::Empty),
            1..=Self::MAX_PARTS => Ok(Self(parts)),
            _ => Err(CalendarMistake::TooMany),
        }
    }

    /// Its parts, in the order in which they were written.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether an instant lies in one of its stretches.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        let mut next = self.0.iter().filter_map(|part| part.ending_after(at));
        next.any(|stretch| stretch.covers(at))
    }

    /// The stretch that holds at an instant, else the next one. What goes on for more than a year is
    /// taken to have begun, or to end, never: see [`Stretch::ALWAYS`].
    #[must_use]
    pub fn current_or_next(&self, now: Timestamp) -> Option<Stretch> {
        let next = self.0.iter().filter_map(|part| part.ending_after(now));
        let mut whole = next.min_by_key(|stretch| stretch.from)?;
        let away = std::time::Duration::from_secs(Self::ENDLESS_DAYS * 86_400);
        let (early, late) = (whole.from.minus(away), whole.until.plus(away));
        while let Some(until) = self.end_beyond(whole.until) {
            whole.until = if until > late { Stretch::ALWAYS.until } else { until };
        }
        while let Some(from) = self.begin_before(whole.from) {
            whole.from = if from < early { Stretch::ALWAYS.from } else { from };
        }
        Some(whole)
    }

    /// When the stretch that holds now ends. None: none holds, or it does not end.
    #[must_use]
    pub fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        let current = self.current_or_next(now).filter(|stretch| stretch.covers(now))?;
        Some(current.until).filter(|until| *until < Stretch::ALWAYS.until)
    }

    /// The next instant at which [`Calendar::covers`] answers otherwise than now. None: never.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let stretch = self.current_or_next(now)?;
        let change = if stretch.from > now { stretch.from } else { stretch.until };
        Some(change).filter(|at| *at < Stretch::ALWAYS.until)
    }

    /// The end of a stretch that holds at the end of another, or begins with it.
    fn end_beyond(&self, end: Timestamp) -> Option<Timestamp> {
        let next = self.0.iter().filter_map(|part| part.ending_after(end));
        next.filter(|stretch| stretch.from <= end).map(|stretch| stretch.until).max()
    }

    /// The begin of a stretch that holds just before another begins, or ends with its begin.
    fn begin_before(&self, begin: Timestamp) -> Option<Timestamp> {
        let last = self.0.iter().filter_map(|part| part.starting_before(begin));
        last.filter(|stretch| stretch.until >= begin).map(|stretch| stretch.from).min()
    }
}

#[cfg(test)]
mod tests;
