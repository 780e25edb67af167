//! Who is on call: rotations and calendars in layers, and exceptions from them.
//!
//! The answer is a function of the time alone: nobody writes down who was told to be on call. Handovers
//! are at local times, so that a shift is an hour shorter or longer when the clock is set.

pub mod ical;
mod rotation;

use sickbay_model::Timestamp;

use crate::{Calendar, Stretch};
use ical::Events;

pub use rotation::{NewRotation, Rotation};

/// What is wrong with an on-call schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleMistake {
    /// Nobody takes part, or too many do.
    #[error("a rotation has 1 to {} participants, each with a name", Rotation::MAX_PARTICIPANTS)]
    Participants,
    /// The first day is none.
    #[error("`{0}` is no day to start on: write 2026-11-30")]
    Starts(String),
    /// The handover is no time of day.
    #[error("`{0}` is no time of day for a handover: write 09:00")]
    Handover(String),
    /// The length is none, or none that can be.
    #[error("`{0}` is no length of a shift: write 1w, 1d or 12h; an hour at least, a year at most")]
    Length(String),
    /// Nobody knows the zone.
    #[error(
        "`{0}` is no time zone that this machine knows: write an IANA name such as Europe/Berlin"
    )]
    Zone(String),
    /// There is too much of it.
    #[error(
        "a schedule may have {} layers and {} overrides",
        Schedule::MAX_LAYERS,
        Schedule::MAX_OVERRIDES
    )]
    TooMany,
}

/// Where a layer has its turns from.
#[derive(Clone, Debug, PartialEq)]
pub enum Turns {
    /// People in turn.
    Rotation(Rotation),
    /// The events of a calendar.
    Events(Events),
}

impl Turns {
    fn on_call(&self, now: Timestamp) -> Vec<&str> {
        match self {
            Self::Rotation(rotation) => rotation.on_call(now).into_iter().collect(),
            Self::Events(events) => events.on_call(now),
        }
    }

    /// The next instant at which somebody begins or ends.
    fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rotation(rotation) => rotation.next_handover(now),
            Self::Events(events) => events.next_boundary(now),
        }
    }
}

/// One layer of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Whose turn it is.
    pub turns: Turns,
    /// When it applies; always, if there is none.
    pub only: Option<Calendar>,
}

/// Somebody takes over for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Who.
    pub who: String,
    /// From when until when.
    pub stretch: Stretch,
}

/// Who is on call when.
///
/// An override wins over all layers, and the later of two over the earlier. Of the layers, the last one
/// that has somebody on call wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    layers: Vec<Layer>,
    overrides: Vec<Override>,
}

impl Schedule {
    /// The most layers.
    pub const MAX_LAYERS: usize = 20;
    /// The most overrides.
    pub const MAX_OVERRIDES: usize = 1000;
    /// How many begins and ends are looked at for one that changes who is on call.
    const MAX_BOUNDARIES: usize = 20;

    /// A schedule of these layers and overrides.
    ///
    /// # Errors
    /// There are too many.
    pub fn new(layers: Vec<Layer>, overrides: Vec<Override>) -> Result<Self, ScheduleMistake> {
        if layers.len() > Self::MAX_LAYERS || overrides.len() > Self::MAX_OVERRIDES {
            return Err(ScheduleMistake::TooMany);
        }
        Ok(Self { layers, overrides })
    }

    /// Who is on call, each once. Empty: nobody is.
    #[must_use]
    pub fn on_call(&self, now: Timestamp) -> Vec<&str> {
        let mut overrides = self.overrides.iter().rev();
        if let Some(now_on_call) = overrides.find(|it| it.stretch.covers(now)) {
            return vec![&now_on_call.who];
        }
        let applies = |layer: &&Layer| layer.only.as_ref().is_none_or(|only| only.covers(now));
        let layers = self.layers.iter().rev().filter(applies);
        layers.map(|layer| layer.turns.on_call(now)).find(|who| !who.is_empty()).unwrap_or_default()
    }

    /// When to ask again: the next instant at which somebody else is on call. (After twenty begins and
    /// ends that change nothing, the last of those.) None: it stays so.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let current = self.on_call(now);
        let mut at = self.next_boundary(now)?;
        for _ in 0..Self::MAX_BOUNDARIES {
            if self.on_call(at) != current {
                return Some(at);
            }
            at = self.next_boundary(at)?;
        }
        Some(at)
    }

    fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let overrides = self.overrides.iter().flat_map(|it| [it.stretch.from, it.stretch.until]);
        let only = self.layers.iter().filter_map(|it| it.only.as_ref()?.next_change(now));
        let turns = self.layers.iter().filter_map(|it| it.turns.next_boundary(now));
        overrides.chain(only).chain(turns).filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests;
