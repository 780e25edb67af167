//! Times of iCalendar: dates, local times, zones and durations (RFC 5545, 3.3).

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Time};
use sickbay_model::Timestamp;

use super::lines::Line;
use crate::calendar::{Repeated, Zone, offset_seconds};

/// A point in time as an event gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub local: DateTime,
    pub zone: Zone,
    /// It is a day without a time.
    pub is_day: bool,
}

impl Moment {
    pub(super) fn instant(&self) -> Timestamp {
        self.zone.instant(self.local, Repeated::First)
    }

    /// The local time of it on another clock.
    pub(super) fn local_in(&self, zone: &Zone) -> DateTime {
        if self.zone == *zone { self.local } else { zone.local(self.instant()) }
    }
}

/// How long an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Length {
    /// By the clock.
    pub local_seconds: i64,
    /// In time that passes, after that.
    pub exact_seconds: i64,
}

/// The zones that a calendar names, and what they are taken for.
pub(super) struct Zones<'a> {
    /// Of times and days that have none.
    floating: Zone,
    /// What the calendar itself says of its zones, by `TZID`.
    defined: BTreeMap<&'a str, Defined>,
    found: BTreeMap<String, Option<Zone>>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// What a `VTIMEZONE` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Defined {
    /// `X-LIC-LOCATION`.
    pub location: Option<String>,
    /// The `TZOFFSETTO` of its standard time.
    pub standard_seconds: Option<i32>,
}

impl<'a> Zones<'a> {
    const MAX_NOTES: usize = 20;

    pub(super) fn new(floating: Zone, defined: BTreeMap<&'a str, Defined>) -> Self {
        Self { floating, defined, found: BTreeMap::new(), notes: Vec::new() }
    }

    /// The zone of this `TZID`: IANA's, Windows's name for one, or a fixed offset as the calendar
    /// defines it.
    fn named(&mut self, id: &str) -> Option<Zone> {
        if let Some(found) = self.found.get(id) {
            return found.clone();
        }
        let zone = iana(id).or_else(|| self.defined(id));
        self.found.insert(id.to_owned(), zone.clone());
        zone
    }

    fn defined(&mut self, id: &str) -> Option<Zone> {
        let defined = self.defined.get(id)?;
        if let Some(zone) = defined.location.as_deref().and_then(iana) {
            return Some(zone);
        }
        let zone = Zone::fixed(defined.standard_seconds?)?;
        if self.notes.len() < Self::MAX_NOTES {
            let id: String = id.chars().take(64).collect();
            self.notes.push(format!(
                "the time zone `{id}` is unknown: its times are read at {zone} all year"
            ));
        }
        Some(zone)
    }

    /// The first time of a line, or why there is none.
    pub(super) fn moment(&mut self, line: &Line) -> Result<Moment, String> {
        self.moment_of(line, &line.value)
    }

    /// One of the times of a line.
    pub(super) fn moment_of(&mut self, line: &Line, text: &str) -> Result<Moment, String> {
        let text = text.trim();
        let wrong = || format!("{} `{}` is no time", line.name, shown(text));
        let utc = text.strip_suffix(['Z', 'z']);
        let (local, is_day) = local_time(utc.unwrap_or(text)).ok_or_else(wrong)?;
        let zone = match (utc, line.parameter("TZID")) {
            (Some(_), _) => Zone::utc(),
            (None, Some(id)) if !is_day => {
                self.named(id).ok_or_else(|| format!("its time zone `{}` is unknown", shown(id)))?
            }
            _ => self.floating.clone(),
        };
        Ok(Moment { local, zone, is_day })
    }
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A zone by the name that calendars give it: IANA's, also behind a prefix
/// (`/freeassociation.sourceforge.net/Europe/Berlin`), or Windows's.
pub(super) fn iana(id: &str) -> Option<Zone> {
    let id = id.trim();
    let windows = || WINDOWS.iter().find(|(name, _)| name.eq_ignore_ascii_case(id));
    let known = Zone::named(id).or_else(|| Zone::named(windows()?.1));
    if known.is_some() || !id.starts_with('/') || id.len() > 256 {
        return known;
    }
    let starts = id.match_indices('/').map(|(at, _)| at + 1);
    starts.filter_map(|start| id.get(start..)).filter(|it| it.contains('/')).find_map(Zone::named)
}

/// `20261130T090000` or `20261130`; whether it is a day only.
pub(super) fn local_time(text: &str) -> Option<(DateTime, bool)> {
    let (day, time) =
        text.split_once(['T', 't']).map_or((text, None), |(day, time)| (day, Some(time)));
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|it| it.is_ascii_digit());
    if !digits(day, 8) {
        return None;
    }
    let part = |text: &str, at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let date = Date::new(day.get(..4)?.parse().ok()?, part(day, 4)?, part(day, 6)?).ok()?;
    let Some(time) = time else { return Some((date.at(0, 0, 0, 0), true)) };
    if !digits(time, 6) {
        return None;
    }
    // Second 60 is a leap second.
    let time = Time::new(part(time, 0)?, part(time, 2)?, part(time, 4)?.min(59), 0).ok()?;
    Some((date.to_datetime(time), false))
}

/// `P1W`, `P1DT12H`, `PT30M`: days by the clock, the rest as it passes.
pub(super) fn length(text: &str) -> Option<Length> {
    let text = Some(text.trim()).filter(|text| text.len() <= 64)?;
    let text = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let (mut length, mut number, mut in_time) = (Length::default(), None::<i64>, false);
    for next in text.bytes() {
        if next.is_ascii_digit() {
            let more = number.unwrap_or(0).checked_mul(10)?.checked_add(i64::from(next - b'0'))?;
            number = Some(more).filter(|number| *number < 1_000_000_000);
            number?;
            continue;
        }
        if next == b'T' && number.is_none() {
            in_time = true;
            continue;
        }
        let number = number.take()?;
        match (next, in_time) {
            (b'W', false) => length.local_seconds += number * 7 * 86_400,
            (b'D', false) => length.local_seconds += number * 86_400,
            (b'H', true) => length.exact_seconds += number * 3600,
            (b'M', true) => length.exact_seconds += number * 60,
            (b'S', true) => length.exact_seconds += number,
            _ => return None,
        }
    }
    (number.is_none() && length != Length::default()).then_some(length)
}

/// `+0100`, of `TZOFFSETTO`.
pub(super) fn offset(text: &str) -> Option<i32> {
    offset_seconds(text.trim())
}

/// Windows's names of time zones, which Outlook writes, and IANA's: CLDR, `windowsZones.xml`, territory
/// 001.
const WINDOWS: &[(&str, &str)] = &[
    ("AUS Eastern Standard Time", "Australia/Sydney"),
    ("Alaskan Standard Time", "America/Anchorage"),
    ("Arab Standard Time", "Asia/Riyadh"),
    ("Arabian Standard Time", "Asia/Dubai"),
    ("Argentina Standard Time", "America/Buenos_Aires"),
    ("Atlantic Standard Time", "America/Halifax"),
    ("Canada Central Standard Time", "America/Regina"),
    ("Cen. Australia Standard Time", "Australia/Adelaide"),
    ("Central America Standard Time", "America/Guatemala"),
    ("Central Europe Standard Time", "Europe/Budapest"),
    ("Central European Standard Time", "Europe/Warsaw"),
    ("Central Standard Time", "America/Chicago"),
    ("Central Standard Time (Mexico)", "America/Mexico_City"),
    ("China Standard Time", "Asia/Shanghai"),
    ("E. Africa Standard Time", "Africa/Nairobi"),
    ("E. Australia Standard Time", "Australia/Brisbane"),
    ("E. South America Standard Time", "America/Sao_Paulo"),
    ("Eastern Standard Time", "America/New_York"),
    ("Egypt Standard Time", "Africa/Cairo"),
    ("FLE Standard Time", "Europe/Kiev"),
    ("GMT Standard Time", "Europe/London"),
    ("GTB Standard Time", "Europe/Bucharest"),
    ("Greenwich Standard Time", "Atlantic/Reykjavik"),
    ("Hawaiian Standard Time", "Pacific/Honolulu"),
    ("India Standard Time", "Asia/Calcutta"),
    ("Israel Standard Time", "Asia/Jerusalem"),
    ("Korea Standard Time", "Asia/Seoul"),
    ("Mountain Standard Time", "America/Denver"),
    ("Nepal Standard Time", "Asia/Katmandu"),
    ("New Zealand Standard Time", "Pacific/Auckland"),
    ("Newfoundland Standard Time", "America/St_Johns"),
    ("Pacific SA Standard Time", "America/Santiago"),
    ("Pacific Standard Time", "America/Los_Angeles"),
    ("Pakistan Standard Time", "Asia/Karachi"),
    ("Romance Standard Time", "Europe/Paris"),
    ("Russian Standard Time", "Europe/Moscow"),
    ("SA Pacific Standard Time", "America/Bogota"),
    ("SE Asia Standard Time", "Asia/Bangkok"),
    ("Singapore Standard Time", "Asia/Singapore"),
    ("South Africa Standard Time", "Africa/Johannesburg"),
    ("Taipei Standard Time", "Asia/Taipei"),
    ("Tokyo Standard Time", "Asia/Tokyo"),
    ("Turkey Standard Time", "Europe/Istanbul"),
    ("US Mountain Standard Time", "America/Phoenix"),
    ("W. Australia Standard Time", "Australia/Perth"),
    ("W. Central Africa Standard Time", "Africa/Lagos"),
    ("W. Europe Standard Time", "Europe/Berlin"),
];
