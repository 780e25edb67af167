//! Calendars as people write them, in the config and on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sickbay_model::Timestamp;

use super::{Calendar, Days, Hours, Part, Repeated, Repeating, Stretch, Zone};

/// What is wrong with the text of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarMistake {
    /// There is no part.
    #[error("a calendar needs a stretch of time, such as `mon-fri 09:00-18:00 Europe/Berlin`")]
    Empty,
    /// There are too many parts, or the text is too long.
    #[error("a calendar may have {} parts and {} bytes", Calendar::MAX_PARTS, MAX_TEXT)]
    TooMany,
    /// The days are none.
    #[error(
        "`{0}` are no days: write daily, mon-fri, sat,sun, `first tue`, `last fri`, `day 15` or \
         `last day`"
    )]
    Days(String),
    /// Days of no month or week.
    #[error("there are no days: write daily, mon-fri, `first tue` or `day 15`")]
    NoDays,
    /// The hours are none.
    #[error("`{0}` are no hours: write from 00:00 until 24:00, such as 09:00-18:00 or 22:00-06:00")]
    Hours(String),
    /// Begin and end are the same.
    #[error("`{0}` has no length: for a whole day write 00:00-24:00")]
    NoLength(String),
    /// Nobody knows the zone.
    #[error(
        "`{0}` is no time zone that this machine knows: write an IANA name such as Europe/Berlin, \
         UTC, or an offset such as +01:00"
    )]
    Zone(String),
    /// Some parts name a zone, others do not.
    #[error("some parts name a time zone and others do not: write it in each part")]
    ZoneMissing,
    /// A part goes on after its zone.
    #[error("`{0}` is left over: write days, hours and time zone; separate parts with `;`")]
    LeftOver(String),
    /// Neither begin and end, nor a begin and a duration.
    #[error(
        "`{0}` is no stretch of time: write begin/end or begin/duration, such as \
         2026-12-24T18:00+01:00/2026-12-27T08:00+01:00 or 2026-12-24T18:00+01:00/2h"
    )]
    Once(String),
    /// The end is not after the begin.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
    /// A duration where nobody knows from when.
    #[error("`{0}` needs a begin here: write begin/duration, such as 2026-12-24T18:00+01:00/{0}")]
    NoBegin(String),
}

/// The longest text of a calendar, in bytes.
const MAX_TEXT: usize = 4096;

const WEEKDAYS: [(&str, &str, Weekday); 7] = [
    ("mon", "monday", Weekday::Monday),
    ("tue", "tuesday", Weekday::Tuesday),
    ("wed", "wednesday", Weekday::Wednesday),
    ("thu", "thursday", Weekday::Thursday),
    ("fri", "friday", Weekday::Friday),
    ("sat", "saturday", Weekday::Saturday),
    ("sun", "sunday", Weekday::Sunday),
];

const PLACES: [(&str, &str, i8); 6] = [
    ("first", "1st", 1),
    ("second", "2nd", 2),
    ("third", "3rd", 3),
    ("fourth", "4th", 4),
    ("fifth", "5th", 5),
    ("last", "-1", -1),
];

impl Calendar {
    /// Reads a calendar: parts separated by `;`, each of
    ///
    /// - days, hours and time zone: `mon-fri 09:00-18:00 Europe/Berlin`, `daily 22:00-06:00`,
    ///   `first tue 02:00-04:00 UTC`, `-2 fri`, `day 1,15 00:00-06:00`, `last day`;
    /// - begin and end, or begin and duration: `2026-12-24T18:00+01:00/2026-12-27T08:00+01:00`,
    ///   `2026-12-24T18:00/2h Europe/Berlin`;
    /// - a duration from `now`, where there is one: `2h`.
    ///
    /// Without hours it is the whole day. Without a zone it is `zone`.
    ///
    /// # Errors
    /// The first thing that is wrong, with what to write.
    pub fn parse(text: &str, zone: &Zone, now: Option<Timestamp>) -> Result<Self, CalendarMistake> {
        if text.len() > MAX_TEXT {
            return Err(CalendarMistake::TooMany);
        }
        let (mut parts, mut named) = (Vec::new(), Vec::new());
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            if parts.len() >= Self::MAX_PARTS {
                return Err(CalendarMistake::TooMany);
            }
            let mut words = Words { words: part.split_whitespace().collect(), zone, named: None };
            parts.push(words.part(now)?);
            named.extend(words.named);
        }
        if named.iter().any(|it| Some(it) != named.first()) {
            return Err(CalendarMistake::ZoneMissing);
        }
        Self::new(parts)
    }
}

impl FromStr for Calendar {
    type Err = CalendarMistake;

    /// With UTC where no zone is named.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, &Zone::utc(), None)
    }
}

/// The words of one part, those that are read taken from the front.
struct Words<'a> {
    words: std::collections::VecDeque<&'a str>,
    zone: &'a Zone,
    /// Whether the part names its zone, if it needs one.
    named: Option<bool>,
}

impl Words<'_> {
    fn part(&mut self, now: Option<Timestamp>) -> Result<Part, CalendarMistake> {
        let first = self.words.front().copied().unwrap_or_default();
        if first.contains('/') {
            self.words.pop_front();
            return self.once(first).map(Part::Once);
        }
        if let Some(length) = duration(first).filter(|_| self.words.len() == 1) {
            let from = now.ok_or_else(|| CalendarMistake::NoBegin(shown(first)))?;
            return stretch(first, from, from.plus(length)).map(Part::Once);
        }
        let days = self.days()?;
        let hours = self.hours()?;
        let zone = self.zone()?;
        Repeating::new(days, hours, zone).map(Part::Repeating)
    }

    fn days(&mut self) -> Result<Days, CalendarMistake> {
        let mut next = || self.words.pop_front().unwrap_or_default().to_ascii_lowercase();
        let first = next();
        if first == "daily" {
            return Ok(Days::Weekly(WEEKDAYS.map(|(.., day)| day).to_vec()));
        }
        if first == "day" {
            let numbers = next();
            let wrong = || CalendarMistake::Days(shown(&format!("day {numbers}")));
            return days_of_month(&numbers).map(Days::Monthly).ok_or_else(wrong);
        }
        if let Some(weekdays) = weekdays(&first) {
            return Ok(Days::Weekly(weekdays));
        }
        let wrong = || CalendarMistake::Days(shown(&first));
        let places: Option<Vec<i8>> = first.split(',').map(place).collect();
        let places = places.ok_or_else(wrong)?;
        let second = next();
        let wrong = || CalendarMistake::Days(shown(format!("{first} {second}").trim_end()));
        if second == "day" {
            return Ok(Days::Monthly(places));
        }
        let weekday = weekday(&second).ok_or_else(wrong)?;
        let known = places.iter().all(|place| (1..=5).contains(&place.unsigned_abs()));
        if known { Ok(Days::MonthlyWeekday(places, weekday)) } else { Err(wrong()) }
    }

    fn hours(&mut self) -> Result<Hours, CalendarMistake> {
        let is_hours = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        let Some(word) = self.words.front().copied().filter(is_hours) else {
            return Ok(Hours::ALL);
        };
        self.words.pop_front();
        let wrong = || CalendarMistake::Hours(shown(word));
        let (from, until) = word.split_once('-').ok_or_else(wrong)?;
        let from = minute(from).ok_or_else(wrong)?;
        Hours::new(from, minute(until).ok_or_else(wrong)?)
    }

    /// The zone, which is the last word.
    fn zone(&mut self) -> Result<Zone, CalendarMistake> {
        let word = self.words.pop_front();
        self.named = Some(word.is_some());
        let zone = match word {
            Some(word) => Zone::named(word).ok_or_else(|| CalendarMistake::Zone(shown(word)))?,
            None => self.zone.clone(),
        };
        self.end().map(|()| zone)
    }

    fn end(&self) -> Result<(), CalendarMistake> {
        self.words.front().map_or(Ok(()), |word| Err(CalendarMistake::LeftOver(shown(word))))
    }

    /// `begin/end` or `begin/duration`, whose zone may follow.
    fn once(&mut self, text: &str) -> Result<Stretch, CalendarMistake> {
        let wrong = || CalendarMistake::Once(shown(text));
        let (begin, end) = text.split_once('/').ok_or_else(wrong)?;
        let instants = (begin.parse(), end.parse(), duration(end));
        match instants {
            (Ok(from), Ok(until), _) => self.end().and_then(|()| stretch(text, from, until)),
            (Ok(from), _, Some(length)) => {
                self.end().and_then(|()| stretch(text, from, from.plus(length)))
            }
            _ => {
                let zone = self.zone()?;
                let at = |text, repeated| moment(text, &zone, repeated).ok_or_else(wrong);
                let from = at(begin, Repeated::First)?;
                match duration(end) {
                    Some(length) => stretch(text, from, from.plus(length)),
                    None => stretch(text, from, at(end, Repeated::Last)?),
                }
            }
        }
    }
}

fn stretch(text: &str, from: Timestamp, until: Timestamp) -> Result<Stretch, CalendarMistake> {
    let backwards = || CalendarMistake::Backwards(shown(text));
    (from < until).then_some(Stretch { from, until }).ok_or_else(backwards)
}

/// An instant, or a local time or date.
fn moment(text: &str, zone: &Zone, repeated: Repeated) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let local = match text.parse::<Date>() {
        Ok(date) if !text.contains(['T', 't', ' ']) => date.at(0, 0, 0, 0),
        _ => text.parse::<DateTime>().ok()?,
    };
    Some(zone.instant(local, repeated))
}

/// `90s`, `30m`, `2h`, `1d`, `1w` or several: `1h30m`. A day has 24 hours.
/// None: it is no duration, or none that is longer than nothing and at most a hundred years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut number) = (0_u64, None::<u64>);
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            let digit = u64::from(byte - b'0');
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let seconds = match byte {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 7 * 86_400,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(seconds)?)?;
    }
    let possible = number.is_none() && (1..=100 * 366 * 86_400).contains(&total);
    possible.then(|| Duration::from_secs(total))
}

/// `9:30` in minutes; 24:00 is the next midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(hour) && digits(minute) && (1..=2).contains(&hour.len()) && minute.len() == 2) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= Hours::DAY).then_some(all)
}

fn weekday(text: &str) -> Option<Weekday> {
    let found = WEEKDAYS.iter().find(|(short, long, _)| [*short, *long].contains(&text));
    found.map(|(.., day)| *day)
}

/// `mon-fri,sun`; a range may pass the end of the week.
fn weekdays(text: &str) -> Option<Vec<Weekday>> {
    let mut all = Vec::new();
    for piece in text.split(',') {
        let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
        let (mut day, last) = (weekday(first)?, weekday(last)?);
        all.push(day);
        while day != last {
            day = day.next();
            all.push(day);
        }
        if all.len() > MAX_TEXT {
            return None;
        }
    }
    Some(all)
}

/// `1,15,-1` or `1-7`.
fn days_of_month(text: &str) -> Option<Vec<i8>> {
    let mut all = Vec::new();
    for piece in text.split(',') {
        let known = |day: &i8| (1..=31).contains(&day.unsigned_abs());
        match piece.get(1..).and_then(|rest| rest.find('-')) {
            Some(at) => {
                let (first, last) = (piece.get(..=at)?, piece.get(at + 2..)?);
                let (first, last): (i8, i8) = (first.parse().ok()?, last.parse().ok()?);
                let known = known(&first) && known(&last) && first <= last;
                all.extend((known && (first > 0) == (last > 0)).then_some(first..=last)?);
            }
            None => all.push(piece.parse().ok().filter(known)?),
        }
    }
    Some(all)
}

/// `first`, `2nd`, `last`, `-2`.
fn place(text: &str) -> Option<i8> {
    let found = PLACES.iter().find(|(word, short, _)| [*word, *short].contains(&text));
    let number = || text.parse().ok().filter(|place: &i8| (-31..=-1).contains(place));
    found.map(|(.., place)| *place).or_else(number)
}

/// The begin of a text, for a message.
fn shown(text: &str) -> String {
    if text.chars().count() <= 64 {
        return text.to_owned();
    }
    text.chars().take(63).chain(['…']).collect()
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts().iter().enumerate() {
            let separator = if at > 0 { "; " } else { "" };
            write!(f, "{separator}{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once(stretch) => fmt::Display::fmt(stretch, f),
            Self::Repeating(it) => write!(f, "{} {} {}", it.days(), it.hours(), it.zone()),
        }
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekly(weekdays) if weekdays.len() == 7 => f.write_str("daily"),
            Self::Weekly(weekdays) => f.write_str(&runs(weekdays)),
            Self::Monthly(days) => {
                let days: Vec<String> = days.iter().map(i8::to_string).collect();
                write!(f, "day {}", days.join(","))
            }
            Self::MonthlyWeekday(places, weekday) => {
                let word = |place: &i8| {
                    let found = PLACES.iter().find(|(.., it)| it == place);
                    found.map_or_else(|| place.to_string(), |(word, ..)| (*word).to_owned())
                };
                let places: Vec<String> = places.iter().map(word).collect();
                write!(f, "{} {}", places.join(","), short(*weekday))
            }
        }
    }
}

fn short(day: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(.., it)| *it == day).map_or("", |(short, ..)| short)
}

/// `mon-fri,sun`: three in a row and more are a range.
fn runs(weekdays: &[Weekday]) -> String {
    let follows = |one: &Weekday, other: &Weekday| {
        one.to_monday_zero_offset() + 1 == other.to_monday_zero_offset()
    };
    let pieces = weekdays.chunk_by(follows).map(|run| match run {
        [first, _, .., last] => format!("{}-{}", short(*first), short(*last)),
        _ => run.iter().map(|day| short(*day)).collect::<Vec<_>>().join(","),
    });
    pieces.collect::<Vec<_>>().join(",")
}

impl Serialize for Calendar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Calendar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
