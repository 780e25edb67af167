//! Schedules from iCalendar (RFC 5545): what Google Calendar, Outlook, PagerDuty and Opsgenie export.
//!
//! Read are events with their begin and end, who is named in them, and how they come back. What an event
//! has besides is ignored. An event that cannot be read is left out and named: a schedule with a hole
//! that is known is better than none. The calendar as a whole is refused when it is none, is cut short
//! or is too large.

mod event;
mod lines;
mod rule;
mod times;

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_model::Timestamp;

use super::{Layer, Schedule, Turns};
use crate::Zone;
use event::{Event, Excluded, Lines};
use lines::{Line, lines};
use rule::Budget;
use times::{Defined, Zones};

/// The largest calendar, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most events of one calendar.
pub const MAX_EVENTS: usize = 10_000;
/// How many of the events that cannot be read are named.
pub const MAX_NAMED: usize = 20;
/// How deep components may be nested.
const MAX_DEPTH: usize = 16;
/// What all the rules that count may cost together: half a second at worst.
const COUNTING_UNITS: u64 = 4_000_000;

/// Why a calendar is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcalMistake {
    /// It is something else: a page that asks for a login, by custom.
    #[error("this is no iCalendar: it does not begin with BEGIN:VCALENDAR")]
    NotCalendar,
    /// Its end is missing.
    #[error("the calendar is cut short: {0} has no end")]
    CutShort(String),
    /// It is too large.
    #[error("the calendar has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Nobody nests so deep.
    #[error("the calendar has parts within parts, more than {MAX_DEPTH} deep")]
    TooDeep,
    /// It has too many events.
    #[error("the calendar has more than {MAX_EVENTS} events")]
    TooManyEvents,
}

/// A calendar that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What the calendar calls itself (`X-WR-CALNAME`).
    pub name: Option<String>,
    /// Who is on call, by its events.
    pub schedule: Schedule,
    /// How many events were read.
    pub events: usize,
    /// How many were not.
    pub unread: usize,
    /// The first of those that were not, at most [`MAX_NAMED`].
    pub mistakes: Vec<Unread>,
    /// What is worth knowing: zones that had to be guessed.
    pub notes: Vec<String>,
}

/// An event that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its summary, else its UID.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, `{}`: {}", self.line, self.what, self.why)
    }
}

/// The events of a calendar, as the turns of a layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events(Vec<Event>);

impl Events {
    /// Who is named in an event that holds now, each once.
    pub(super) fn on_call(&self, now: Timestamp) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for person in self.0.iter().filter(|it| it.covers(now)).flat_map(|it| &it.people) {
            if !all.contains(&person.as_str()) {
                all.push(person);
            }
        }
        all
    }

    /// When an event begins or ends next.
    pub(super) fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|event| event.next_boundary(now)).min()
    }
}

/// Reads a calendar. Days, and times without a zone, are of the calendar's own zone
/// (`X-WR-TIMEZONE`), else of `zone`.
///
/// # Errors
/// It is no calendar, or too large. Events that cannot be read are no errors: see [`Imported::unread`].
pub fn parse(text: &str, zone: &Zone) -> Result<Imported, IcalMistake> {
    if text.len() > MAX_BYTES {
        return Err(IcalMistake::TooLarge);
    }
    let lines = lines(text);
    let parts = Parts::of(&lines)?;
    let named = |name: &str| parts.own.iter().find(|line| line.name == name).map(|it| it.text());
    let own_zone = named("X-WR-TIMEZONE");
    let floating = own_zone.as_deref().map_or_else(|| Some(zone.clone()), times::iana);
    let unknown = floating.is_none();
    let mut zones = Zones::new(floating.unwrap_or_else(|| zone.clone()), defined(&parts.zones));
    if unknown {
        let own_zone = times::shown(&own_zone.unwrap_or_default());
        zones.notes.push(format!("the time zone `{own_zone}` is unknown: days are read at {zone}"));
    }
    let mut reading = Reading::default();
    reading.read(&parts.events, &mut zones);
    let Reading { events, unread, mistakes } = reading;
    let count = events.len();
    let layer = Layer { turns: Turns::Events(Events(events)), only: None };
    let schedule = Schedule::new(vec![layer], Vec::new()).unwrap_or_default();
    let name = named("X-WR-CALNAME").map(|name| name.chars().take(256).collect());
    Ok(Imported { name, schedule, events: count, unread, mistakes, notes: zones.notes })
}

/// What a calendar consists of.
#[derive(Default)]
struct Parts<'a> {
    own: Vec<&'a Line>,
    zones: Vec<&'a [Line]>,
    events: Vec<Body<'a>>,
}

/// The lines of an event, without those of what is in it, such as alarms.
struct Body<'a> {
    /// Where it begins.
    line: usize,
    own: Vec<&'a Line>,
}

impl<'a> Body<'a> {
    fn of(lines: &'a [Line]) -> Self {
        let (mut depth, mut own) = (0_usize, Vec::new());
        for line in lines {
            match line.name.as_str() {
                "BEGIN" => depth += 1,
                "END" => depth = depth.saturating_sub(1),
                _ if depth == 1 => own.push(line),
                _ => {}
            }
        }
        Self { line: lines.first().map_or(0, |line| line.number), own }
    }
}

impl<'a> Parts<'a> {
    fn of(lines: &'a [Line]) -> Result<Self, IcalMistake> {
        let mut parts = Self::default();
        let mut open: Vec<(String, usize)> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let component = line.value.trim().to_ascii_uppercase();
            match line.name.as_str() {
                "BEGIN" if open.len() >= MAX_DEPTH => return Err(IcalMistake::TooDeep),
                "BEGIN" => open.push((component, at)),
                "END" => parts.end(&component, &mut open, lines, at)?,
                _ if open.len() == 1 => parts.own.push(line),
                _ if open.is_empty() && at == 0 => return Err(IcalMistake::NotCalendar),
                _ => {}
            }
            if open.first().is_some_and(|(name, _)| name != "VCALENDAR") {
                return Err(IcalMistake::NotCalendar);
            }
        }
        match open.pop() {
            Some((name, _)) => Err(IcalMistake::CutShort(times::shown(&name))),
            None if lines.is_empty() => Err(IcalMistake::NotCalendar),
            None => Ok(parts),
        }
    }

    /// Takes in the component that ends here, with what was opened in it and has no end.
    fn end(
        &mut self,
        component: &str,
        open: &mut Vec<(String, usize)>,
        lines: &'a [Line],
        at: usize,
    ) -> Result<(), IcalMistake> {
        let Some(depth) = open.iter().rposition(|(name, _)| name == component) else {
            return Ok(());
        };
        let begin = open.get(depth).map_or(at, |(_, begin)| *begin);
        open.truncate(depth);
        let body = lines.get(begin..at).unwrap_or_default();
        match component {
            "VEVENT" if depth == 1 => self.events.push(Body::of(body)),
            "VTIMEZONE" if depth == 1 => self.zones.push(body),
            _ => {}
        }
        if self.events.len() > MAX_EVENTS { Err(IcalMistake::TooManyEvents) } else { Ok(()) }
    }
}

/// What the calendar says of its zones.
fn defined<'a>(zones: &[&'a [Line]]) -> BTreeMap<&'a str, Defined> {
    let mut all = BTreeMap::new();
    for body in zones {
        let (mut id, mut zone, mut in_standard) = (None, Defined::default(), false);
        for line in *body {
            match line.name.as_str() {
                "BEGIN" => in_standard = line.value.trim().eq_ignore_ascii_case("STANDARD"),
                "TZID" => id = Some(line.value.trim()),
                "X-LIC-LOCATION" => zone.location = Some(line.value.clone()),
                "TZOFFSETTO" if in_standard || zone.standard_seconds.is_none() => {
                    zone.standard_seconds = times::offset(&line.value).or(zone.standard_seconds);
                }
                _ => {}
            }
        }
        all.extend(id.map(|id| (id, zone)));
    }
    all
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    events: Vec<Event>,
    unread: usize,
    mistakes: Vec<Unread>,
}

impl Reading {
    fn read(&mut self, bodies: &[Body<'_>], zones: &mut Zones<'_>) {
        let mut budget = Budget(COUNTING_UNITS);
        let moved = moved(bodies, zones);
        for body in bodies {
            let lines = Lines(&body.own);
            if lines.is_cancelled() {
                continue;
            }
            let is_moved = lines.first("RECURRENCE-ID").is_some();
            let moved = uid(lines).filter(|_| !is_moved).and_then(|uid| moved.get(uid));
            match Event::read(lines, zones, moved.cloned().unwrap_or_default(), &mut budget) {
                Ok(event) => self.events.push(event),
                Err(why) => self.refuse(body, why),
            }
        }
    }

    fn refuse(&mut self, body: &Body<'_>, why: String) {
        self.unread += 1;
        if self.mistakes.len() < MAX_NAMED {
            let lines = Lines(&body.own);
            let named = lines.first("SUMMARY").or_else(|| lines.first("UID"));
            let what = named.map(|line| line.text()).unwrap_or_default();
            self.mistakes.push(Unread { line: body.line, what: times::shown(&what), why });
        }
    }
}

/// The begins that events with a `RECURRENCE-ID` stand for, by UID.
fn moved(bodies: &[Body<'_>], zones: &mut Zones<'_>) -> BTreeMap<String, Arc<Excluded>> {
    let mut moved: BTreeMap<String, Excluded> = BTreeMap::new();
    for body in bodies {
        let lines = Lines(&body.own);
        let (Some(line), Some(uid)) = (lines.first("RECURRENCE-ID"), uid(lines)) else { continue };
        // One that cannot be read is named when its event is.
        let Ok(moment) = zones.moment(line) else { continue };
        let excluded = moved.entry(uid.to_owned()).or_default();
        excluded.instants.push(moment.instant());
        excluded.days.extend(moment.is_day.then(|| moment.local.date()));
    }
    let tidied = |(uid, mut excluded): (String, Excluded)| {
        excluded.tidy();
        (uid, Arc::new(excluded))
    };
    moved.into_iter().map(tidied).collect()
}

fn uid<'a>(lines: Lines<'a>) -> Option<&'a str> {
    lines.first("UID").map(|line| line.value.trim())
}

#[cfg(test)]
mod tests;
