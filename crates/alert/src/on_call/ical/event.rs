//! One event: who is named, and when.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use sickbay_model::Timestamp;

use super::lines::Line;
use super::rule::{Budget, QUERY_UNITS, Rule, plus_days};
use super::times::{Length, Moment, Zones, length, shown};
use crate::calendar::{Repeated, Stretch, Zone};

/// An event that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub people: Vec<String>,
    /// Those that are told one by one.
    single: Vec<Stretch>,
    repeating: Option<Repeating>,
}

#[derive(Clone, Debug, PartialEq)]
struct Repeating {
    rule: Rule,
    start: DateTime,
    zone: Zone,
    length: Length,
    /// By `EXDATE`.
    excluded: Excluded,
    /// By events that stand for one of it.
    moved: Arc<Excluded>,
}

/// Begins that do not take place, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Excluded {
    pub instants: Vec<Timestamp>,
    pub days: Vec<Date>,
}

impl Excluded {
    fn has(&self, begin: Timestamp, day: Date) -> bool {
        self.instants.binary_search(&begin).is_ok() || self.days.binary_search(&day).is_ok()
    }

    pub(super) fn tidy(&mut self) {
        self.instants.sort();
        self.days.sort();
    }
}

/// The longest event that comes back, in days.
const MAX_DAYS: i64 = 366;
/// The most people that one event names, and the longest name, in characters.
const MAX_PEOPLE: usize = 50;
const MAX_NAME: usize = 256;

/// The lines of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a>(pub &'a [&'a Line]);

impl<'a> Lines<'a> {
    pub(super) fn first(self, name: &'a str) -> Option<&'a Line> {
        self.all(name).next()
    }

    pub(super) fn all(self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.0.iter().copied().filter(move |line| line.name == name)
    }

    pub(super) fn is_cancelled(self) -> bool {
        self.first("STATUS").is_some_and(|it| it.value.trim().eq_ignore_ascii_case("CANCELLED"))
    }

    /// Who is named: those who are invited and did not decline, else the summary.
    fn people(self) -> Result<Vec<String>, String> {
        let mut invited = self.all("ATTENDEE").filter(|it| is_person(it)).peekable();
        let people: Vec<String> = if invited.peek().is_some() {
            let present = invited.filter(|it| !it.says("PARTSTAT", "DECLINED"));
            present.filter_map(|it| name(address(&it.value))).collect()
        } else {
            let summary = self.first("SUMMARY").map(Line::text).unwrap_or_default();
            who(&summary).split([',', '\n']).filter_map(name).collect()
        };
        match people.len() {
            0 if self.first("ATTENDEE").is_some() => Err("everybody declined".to_owned()),
            0 => Err("it names nobody, neither as ATTENDEE nor as SUMMARY".to_owned()),
            1..=MAX_PEOPLE => Ok(people),
            _ => Err(format!("it names more than {MAX_PEOPLE} people")),
        }
    }
}

/// Neither a room nor somebody who is only told.
fn is_person(line: &Line) -> bool {
    !line.says("CUTYPE", "ROOM")
        && !line.says("CUTYPE", "RESOURCE")
        && !line.says("ROLE", "NON-PARTICIPANT")
}

fn address(value: &str) -> &str {
    let scheme = value.get(..7).filter(|it| it.eq_ignore_ascii_case("mailto:"));
    scheme.map_or(value, |scheme| value.get(scheme.len()..).unwrap_or_default())
}

/// Of PagerDuty's `On Call - Jane Doe - Primary`, and of `On call: Jane Doe`, Jane Doe; else all of it.
fn who(summary: &str) -> &str {
    if let Some(rest) = summary.strip_prefix("On Call - ") {
        return rest.split_once(" - ").map_or(rest, |(who, _)| who);
    }
    summary.rsplit_once(": ").map_or(summary, |(_, who)| who)
}

fn name(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().filter(|it| !it.is_control()).take(MAX_NAME).collect())
}

impl Event {
    /// Reads an event; `moved` are the begins that other events stand for.
    pub(super) fn read(
        lines: Lines<'_>,
        zones: &mut Zones<'_>,
        moved: Arc<Excluded>,
        budget: &mut Budget,
    ) -> Result<Self, String> {
        let people = lines.people()?;
        if let Some(line) = lines.first("RECURRENCE-ID") {
            zones.moment(line)?;
            if line.says("RANGE", "THISANDFUTURE") {
                return Err("it moves all that follow (RANGE=THISANDFUTURE)".to_owned());
            }
        }
        let start = lines.first("DTSTART").ok_or_else(|| "it has no DTSTART".to_owned())?;
        let start = zones.moment(start)?;
        let length = event_length(lines, &start, zones)?;
        let excluded = excluded(lines, &start, zones)?;
        let single = single(lines, &start, length, zones)?;
        let of_single = |(begin, stretch): (Moment, Stretch)| {
            let day = begin.local_in(&start.zone).date();
            let is_left_out = excluded.has(stretch.from, day) || moved.has(stretch.from, day);
            (!is_left_out && stretch.from < stretch.until).then_some(stretch)
        };
        let single = single.into_iter().filter_map(of_single).collect();
        let Some(rule) = rule(lines, &start, budget)? else {
            return Ok(Self { people, single, repeating: None });
        };
        if length.local_seconds + length.exact_seconds > MAX_DAYS * 86_400 {
            return Err(format!("it comes back and is longer than {MAX_DAYS} days"));
        }
        let Moment { local, zone, .. } = start;
        let repeating = Repeating { rule, start: local, zone, length, excluded, moved };
        Ok(Self { people, single, repeating: Some(repeating) })
    }

    pub(super) fn covers(&self, now: Timestamp) -> bool {
        let mut recurring = self.repeating.iter().flat_map(|it| it.near(now));
        self.single.iter().any(|it| it.covers(now)) || recurring.any(|it| it.covers(now))
    }

    /// When it begins or ends next.
    pub(super) fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let recurring = self.repeating.iter().flat_map(|it| it.near(now));
        let all = self.single.iter().copied().chain(recurring);
        all.flat_map(|it| [it.from, it.until]).filter(|at| *at > now).min()
    }
}

impl Repeating {
    /// The stretches that may hold, and the first one that begins later.
    fn near(&self, now: Timestamp) -> Vec<Stretch> {
        let local = self.zone.local(now).date();
        let days = (self.length.local_seconds + self.length.exact_seconds) / 86_400 + 3;
        let from = plus_days(local, -days).unwrap_or(Date::MIN);
        let mut near = Vec::new();
        let mut budget = Budget(QUERY_UNITS);
        for day in self.rule.days(self.start.date(), from, &mut budget) {
            let begin = day.to_datetime(self.start.time());
            if self.rule.until.is_some_and(|until| begin > until) {
                break;
            }
            let stretch = stretch(begin, &self.zone, self.length);
            let is_left_out =
                self.excluded.has(stretch.from, day) || self.moved.has(stretch.from, day);
            if is_left_out || stretch.from >= stretch.until {
                continue;
            }
            if stretch.until > now {
                near.push(stretch);
            }
            if stretch.from > now {
                break;
            }
        }
        near
    }
}

/// The begins that `EXDATE` leaves out; a day leaves out what begins on it.
fn excluded(lines: Lines<'_>, start: &Moment, zones: &mut Zones<'_>) -> Result<Excluded, String> {
    let mut excluded = Excluded::default();
    for line in lines.all("EXDATE") {
        for text in line.value.split(',') {
            let moment = zones.moment_of(line, text)?;
            if moment.is_day && !start.is_day {
                excluded.days.push(moment.local.date());
            } else {
                excluded.instants.push(moment.instant());
            }
        }
    }
    excluded.tidy();
    Ok(excluded)
}

fn stretch(begin: DateTime, zone: &Zone, length: Length) -> Stretch {
    let end = begin.saturating_add(SignedDuration::from_secs(length.local_seconds));
    let exact = std::time::Duration::from_secs(length.exact_seconds.unsigned_abs());
    let until = zone.instant(end, Repeated::First).plus(exact);
    Stretch { from: zone.instant(begin, Repeated::First), until }
}

/// From begin to end by the clock, so that who follows begins when it ends, also when the clock is set.
/// (RFC 5545 would keep the time that passes.)
fn event_length(lines: Lines<'_>, start: &Moment, zones: &mut Zones<'_>) -> Result<Length, String> {
    if let Some(line) = lines.first("DURATION") {
        let wrong = || format!("DURATION `{}` is no duration", shown(&line.value));
        return length(&line.value).ok_or_else(wrong);
    }
    let local_seconds = match lines.first("DTEND") {
        Some(line) => {
            let end = zones.moment(line)?.local_in(&start.zone);
            end.duration_since(start.local).as_secs()
        }
        None if start.is_day => 86_400,
        None => 0,
    };
    if local_seconds <= 0 {
        return Err("it ends when it begins, or before".to_owned());
    }
    Ok(Length { local_seconds, exact_seconds: 0 })
}

fn rule(lines: Lines<'_>, start: &Moment, budget: &mut Budget) -> Result<Option<Rule>, String> {
    let mut all = lines.all("RRULE");
    let Some(line) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err("it has more than one RRULE".to_owned());
    }
    let mut rule = Rule::parse(&line.value, start.local, &start.zone)?;
    rule.settle(start.local, budget)?;
    Ok(Some(rule))
}

/// The stretches that are told one by one, with their begins: the event itself unless a rule begins with
/// it, and those of `RDATE`.
fn single(
    lines: Lines<'_>,
    start: &Moment,
    length: Length,
    zones: &mut Zones<'_>,
) -> Result<Vec<(Moment, Stretch)>, String> {
    let mut all = Vec::new();
    if lines.first("RRULE").is_none() {
        all.push((start.clone(), stretch(start.local, &start.zone, length)));
    }
    for line in lines.all("RDATE") {
        for text in line.value.split(',') {
            all.push(added(line, text, start, length, zones)?);
        }
    }
    Ok(all)
}

/// One of `RDATE`: a begin, or `begin/end`, or `begin/duration`.
fn added(
    line: &Line,
    text: &str,
    start: &Moment,
    usual: Length,
    zones: &mut Zones<'_>,
) -> Result<(Moment, Stretch), String> {
    let (begin, end) = text.split_once('/').map_or((text, None), |(begin, end)| (begin, Some(end)));
    let begin = zones.moment_of(line, begin)?;
    let local = begin.local_in(&start.zone);
    let stretch = match end {
        None => stretch(local, &start.zone, usual),
        Some(end) => match length(end) {
            Some(length) => stretch(local, &start.zone, length),
            None => Stretch { from: begin.instant(), until: zones.moment_of(line, end)?.instant() },
        },
    };
    Ok((begin, stretch))
}
