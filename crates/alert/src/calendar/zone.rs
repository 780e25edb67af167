//! Time zones, and which instant a local time is.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use sickbay_model::Timestamp;

/// A time zone: one that IANA names, UTC, or a fixed offset such as `+05:45`.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// Which occurrence is meant of a local time that a clock set back shows twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeated {
    First,
    Last,
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Zone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The zone of this name: `UTC`, `Z`, IANA's (`Europe/Berlin`, in any case), `+05:45`. None: it is
    /// no name, or the machine's time zone database does not have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if ["UTC", "Z", "Etc/UTC", "GMT"].iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
            return Some(Self::utc());
        }
        if let Some(seconds) = offset_seconds(name) {
            return Self::fixed(seconds);
        }
        if name.len() > 64 || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        let zone = TimeZone::get(name).ok()?;
        Some(Self { name: zone.iana_name()?.to_owned(), zone })
    }

    /// A zone that is always this far east of UTC.
    pub(crate) fn fixed(seconds: i32) -> Option<Self> {
        if seconds == 0 {
            return Some(Self::utc());
        }
        let offset = Offset::from_seconds(seconds).ok()?;
        let (sign, away) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
        let mut name = format!("{sign}{:02}:{:02}", away / 3600, away / 60 % 60);
        if away % 60 > 0 {
            name.push_str(&format!(":{:02}", away % 60));
        }
        Some(Self { name, zone: TimeZone::fixed(offset) })
    }

    /// What a clock on the wall shows.
    pub(crate) fn local(&self, at: Timestamp) -> DateTime {
        let at = jiff::Timestamp::from_millisecond(at.as_unix_ms());
        self.zone.to_datetime(at.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// When a clock on the wall shows this. A time that it skips is the moment of the skip; of one
    /// that it shows twice, the first or the last time.
    pub(crate) fn instant(&self, local: DateTime, repeated: Repeated) -> Timestamp {
        let at = |offset: Offset| offset.to_timestamp(local).ok().map(from_jiff);
        let found = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, .. } if repeated == Repeated::First => at(before),
            AmbiguousOffset::Fold { after, .. } => at(after),
            AmbiguousOffset::Gap { before, after } => self.skip(local, before, after),
        };
        // Only beyond the years that a timestamp can have.
        let extreme = if local.year() > 0 { i64::MAX } else { i64::MIN };
        found.unwrap_or(Timestamp::from_unix_ms(extreme))
    }

    /// When the clock was set forward over this local time.
    fn skip(&self, local: DateTime, before: Offset, after: Offset) -> Option<Timestamp> {
        let (earlier, later) = (after.to_timestamp(local).ok()?, before.to_timestamp(local).ok()?);
        let mut transitions = self.zone.following(earlier);
        let skip = transitions.find(|it| it.offset() == after || it.timestamp() > later);
        let skip = skip.map(|it| it.timestamp()).filter(|at| *at <= later);
        Some(from_jiff(skip.unwrap_or(later)))
    }
}

/// `+05:45`, `-03:00`, `+0545`, `+05:45:30`.
pub(crate) fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    (hours <= 18 && minutes < 60 && seconds < 60)
        .then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// Rounded down to the millisecond.
fn from_jiff(at: jiff::Timestamp) -> Timestamp {
    Timestamp::from_unix_ms(at.as_millisecond())
}

#[cfg(test)]
impl Zone {
    /// The next time that the clock is set.
    pub(super) fn transition_after(&self, at: jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.zone.following(at).next().map(|it| it.timestamp())
    }
}
