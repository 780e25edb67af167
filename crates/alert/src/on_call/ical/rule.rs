//! Recurrence rules (RFC 5545, 3.3.10): on which days an event comes back.
//!
//! Days only: the time of day is the event's. Rules that repeat within a day, or ask for days of the
//! year or weeks by number, are refused by name.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Weekday};

use super::times::{local_time, shown};
use crate::calendar::Zone;

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A rule, which begins on the day of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    frequency: Frequency,
    interval: i64,
    /// Which of such weekdays of the month or the year, or all of them (0).
    weekdays: Vec<(i16, Weekday)>,
    month_days: Vec<i8>,
    months: Vec<i8>,
    places: Vec<i16>,
    week_starts: Weekday,
    count: Option<u64>,
    /// The last local time at which an occurrence may begin.
    pub until: Option<DateTime>,
}

/// What looking for occurrences may still cost: a unit is about a day that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub u64);

/// What an event may cost when it is asked for a time.
pub(super) const QUERY_UNITS: u64 = 5000;

impl Budget {
    fn pay(&mut self, units: u64) -> Option<()> {
        self.0 = self.0.checked_sub(units)?;
        Some(())
    }
}

impl Rule {
    /// What counting one rule may cost: about 500 years.
    const COUNTING_UNITS: u64 = 200_000;

    /// Reads a rule of an event that begins at a local time of a zone; `UNTIL` in UTC becomes local.
    pub(super) fn parse(text: &str, start: DateTime, zone: &Zone) -> Result<Self, String> {
        let mut rule = Self {
            frequency: Frequency::Daily,
            interval: 1,
            weekdays: Vec::new(),
            month_days: Vec::new(),
            months: Vec::new(),
            places: Vec::new(),
            week_starts: Weekday::Monday,
            count: None,
            until: None,
        };
        let mut frequency = None;
        for part in text.trim().split(';').filter(|part| !part.is_empty()) {
            let wrong = || format!("its RRULE has `{}`, which cannot be read", shown(part));
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            match name.trim().to_ascii_uppercase().as_str() {
                "FREQ" => frequency = Some(self::frequency(value).ok_or_else(wrong)?),
                "INTERVAL" => rule.interval = within(value, 1, 10_000).ok_or_else(wrong)?,
                "COUNT" => rule.count = Some(within(value, 1, u64::MAX).ok_or_else(wrong)?),
                "UNTIL" => rule.until = Some(until(value, zone).ok_or_else(wrong)?),
                "WKST" => rule.week_starts = weekday(value).ok_or_else(wrong)?,
                "BYDAY" => rule.weekdays = list(value, numbered_weekday).ok_or_else(wrong)?,
                "BYMONTHDAY" => {
                    rule.month_days = list(value, |it| signed(it, 31)).ok_or_else(wrong)?;
                }
                "BYMONTH" => {
                    rule.months = list(value, |it| within(it, 1, 12)).ok_or_else(wrong)?;
                }
                "BYSETPOS" => rule.places = list(value, |it| signed(it, 366)).ok_or_else(wrong)?,
                "BYHOUR" if value.parse() == Ok(start.hour()) => {}
                "BYMINUTE" if value.parse() == Ok(start.minute()) => {}
                "BYSECOND" if value.parse() == Ok(start.second()) => {}
                name if name.starts_with("X-") => {}
                _ => return Err(wrong()),
            }
        }
        rule.frequency = frequency.ok_or_else(|| "its RRULE has no FREQ".to_owned())?;
        let by_place = rule.weekdays.iter().any(|(place, _)| *place != 0);
        if by_place && matches!(rule.frequency, Frequency::Daily | Frequency::Weekly) {
            return Err("its RRULE numbers weekdays, which only months and years have".to_owned());
        }
        Ok(rule)
    }

    /// Gives a rule that counts the end that it comes to, and refuses one that comes back so rarely that
    /// looking for it costs too much.
    pub(super) fn settle(&mut self, start: DateTime, budget: &mut Budget) -> Result<(), String> {
        let second = self.walk(start.date(), 2, QUERY_UNITS, budget);
        second.ok_or_else(|| "its RRULE comes back too rarely, or never".to_owned())?;
        let Some(count) = self.count.take() else { return Ok(()) };
        let last = self.walk(start.date(), count, Self::COUNTING_UNITS, budget);
        let last = last.ok_or_else(|| "its RRULE counts too far".to_owned())?;
        let last = last.to_datetime(start.time());
        self.until = Some(self.until.map_or(last, |until| until.min(last)));
        Ok(())
    }

    /// Its last day, if there are no more than so many, else the one of that number. None: it costs too
    /// much.
    fn walk(&self, start: Date, count: u64, units: u64, budget: &mut Budget) -> Option<Date> {
        let granted = budget.0.min(units);
        let mut own = Budget(granted);
        let mut days = self.days(start, start, &mut own);
        let (mut left, mut last) = (count, None);
        while left > 0 {
            let Some(day) = days.next() else { break };
            (left, last) = (left - 1, Some(day));
        }
        let is_spent = days.is_spent;
        budget.0 -= granted - own.0;
        last.filter(|_| left == 0 || !is_spent)
    }

    /// The days from one on, of an event that begins on a day. That day is the first of them, whatever
    /// the rule says.
    pub(super) fn days<'a>(
        &'a self,
        start: Date,
        from: Date,
        budget: &'a mut Budget,
    ) -> Occurrences<'a> {
        let next_period = self.period_of(start, from).saturating_sub(1).max(0);
        let first = (from <= start).then_some(start);
        Occurrences {
            rule: self,
            start,
            from,
            budget,
            next_period,
            found: first.into_iter().collect::<Vec<_>>().into_iter(),
            is_spent: false,
        }
    }

    /// How many intervals after the first one a day is in.
    fn period_of(&self, start: Date, day: Date) -> i64 {
        let months = |day: Date| i64::from(day.year()) * 12 + i64::from(day.month());
        let days = |from: Date, to: Date| (to - from).get_days();
        let passed = match self.frequency {
            Frequency::Daily => i64::from(days(start, day)),
            Frequency::Weekly => {
                i64::from(days(self.week_of(start), self.week_of(day))).div_euclid(7)
            }
            Frequency::Monthly => months(day) - months(start),
            Frequency::Yearly => i64::from(day.year()) - i64::from(start.year()),
        };
        passed.div_euclid(self.interval)
    }

    /// The first day of a day's week.
    fn week_of(&self, day: Date) -> Date {
        let back = day.weekday().since(self.week_starts);
        plus_days(day, -i64::from(back)).unwrap_or(Date::MIN)
    }

    /// What looking through one interval costs.
    fn units(&self) -> u64 {
        match self.frequency {
            Frequency::Daily => 1,
            Frequency::Weekly => 7,
            Frequency::Monthly => 31,
            Frequency::Yearly => 366,
        }
    }

    /// The days of an interval, in order; none: time is at its end.
    fn days_of(&self, start: Date, period: i64) -> Option<Vec<Date>> {
        let away = period.checked_mul(self.interval)?;
        let (first, length) = match self.frequency {
            Frequency::Daily => (plus_days(start, away)?, 1),
            Frequency::Weekly => (plus_days(self.week_of(start), away.checked_mul(7)?)?, 7),
            Frequency::Monthly => {
                let month = i64::from(start.year()) * 12 + i64::from(start.month()) - 1 + away;
                let year = i16::try_from(month.div_euclid(12)).ok()?;
                let month = i8::try_from(month.rem_euclid(12)).ok()?;
                let first = Date::new(year, month + 1, 1).ok()?;
                (first, i64::from(first.days_in_month()))
            }
            Frequency::Yearly => {
                let first = Date::new(i16::try_from(i64::from(start.year()) + away).ok()?, 1, 1);
                let first = first.ok()?;
                (first, i64::from(first.days_in_year()))
            }
        };
        let days = (0..length).map_while(|away| plus_days(first, away));
        let days: Vec<Date> = days.filter(|day| self.has(start, *day)).collect();
        Some(if self.places.is_empty() { days } else { self.placed(&days) })
    }

    /// Those of an interval's days that `BYSETPOS` names.
    fn placed(&self, days: &[Date]) -> Vec<Date> {
        let count = days.len();
        let place = |place: &i16| {
            let away = usize::from(place.unsigned_abs());
            let at = if *place > 0 { away.checked_sub(1)? } else { count.checked_sub(away)? };
            days.get(at).copied()
        };
        let mut placed: Vec<Date> = self.places.iter().filter_map(place).collect();
        placed.sort();
        placed.dedup();
        placed
    }

    /// Whether a day of an interval is one of those that the rule asks for.
    fn has(&self, start: Date, day: Date) -> bool {
        let (by_day, by_month_day) = (!self.weekdays.is_empty(), !self.month_days.is_empty());
        let month = self.months.is_empty() || self.months.contains(&day.month());
        let from_end = day.day() - day.days_in_month() - 1;
        let month_day = !by_month_day
            || self.month_days.contains(&day.day())
            || self.month_days.contains(&from_end);
        let weekday = !by_day || self.weekdays.iter().any(|it| self.is_weekday(*it, day));
        let implied = match self.frequency {
            _ if by_day || by_month_day => true,
            Frequency::Daily => true,
            Frequency::Weekly => day.weekday() == start.weekday(),
            Frequency::Monthly => day.day() == start.day(),
            Frequency::Yearly => {
                let same_month = !self.months.is_empty() || day.month() == start.month();
                same_month && day.day() == start.day()
            }
        };
        month && month_day && weekday && implied
    }

    /// Whether a day is such a weekday of its month, or of its year where a yearly rule names no month.
    fn is_weekday(&self, (place, weekday): (i16, Weekday), day: Date) -> bool {
        let of_year = self.frequency == Frequency::Yearly && self.months.is_empty();
        let (at, of) = if of_year {
            (day.day_of_year(), day.days_in_year())
        } else {
            (i16::from(day.day()), i16::from(day.days_in_month()))
        };
        let (from_start, from_end) = ((at - 1) / 7 + 1, -((of - at) / 7 + 1));
        day.weekday() == weekday && (place == 0 || place == from_start || place == from_end)
    }
}

/// The days of a rule, in order.
pub(super) struct Occurrences<'a> {
    rule: &'a Rule,
    start: Date,
    from: Date,
    budget: &'a mut Budget,
    next_period: i64,
    found: std::vec::IntoIter<Date>,
    /// It ended because there was nothing left to pay with.
    pub is_spent: bool,
}

impl Iterator for Occurrences<'_> {
    type Item = Date;

    fn next(&mut self) -> Option<Date> {
        loop {
            if let Some(day) = self.found.next() {
                return Some(day);
            }
            if self.budget.pay(self.rule.units()).is_none() {
                self.is_spent = true;
                return None;
            }
            let mut days = self.rule.days_of(self.start, self.next_period)?;
            days.retain(|day| *day > self.start && *day >= self.from);
            self.found = days.into_iter();
            self.next_period = self.next_period.checked_add(1)?;
        }
    }
}

pub(super) fn plus_days(day: Date, days: i64) -> Option<Date> {
    day.checked_add(SignedDuration::from_secs(days.checked_mul(86_400)?)).ok()
}

fn frequency(text: &str) -> Option<Frequency> {
    match text.trim().to_ascii_uppercase().as_str() {
        "DAILY" => Some(Frequency::Daily),
        "WEEKLY" => Some(Frequency::Weekly),
        "MONTHLY" => Some(Frequency::Monthly),
        "YEARLY" => Some(Frequency::Yearly),
        _ => None,
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    match text.trim().to_ascii_uppercase().as_str() {
        "MO" => Some(Weekday::Monday),
        "TU" => Some(Weekday::Tuesday),
        "WE" => Some(Weekday::Wednesday),
        "TH" => Some(Weekday::Thursday),
        "FR" => Some(Weekday::Friday),
        "SA" => Some(Weekday::Saturday),
        "SU" => Some(Weekday::Sunday),
        _ => None,
    }
}

/// `MO`, `1MO`, `-1FR`.
fn numbered_weekday(text: &str) -> Option<(i16, Weekday)> {
    let text = text.trim();
    let name_at = text.len().checked_sub(2)?;
    let (place, name) = (text.get(..name_at)?, text.get(name_at..)?);
    let place = if place.is_empty() { 0 } else { signed(place, 53)? };
    Some((place, weekday(name)?))
}

/// A date holds for its whole day.
fn until(text: &str, zone: &Zone) -> Option<DateTime> {
    let text = text.trim();
    let utc = text.strip_suffix(['Z', 'z']);
    let (local, is_day) = local_time(utc.unwrap_or(text))?;
    Some(match utc {
        _ if is_day => local.date().at(23, 59, 59, 999_999_999),
        Some(_) => zone.local(Zone::utc().instant(local, crate::calendar::Repeated::First)),
        None => local,
    })
}

/// A list of at most as many as a year has days.
fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let all: Vec<T> = text.split(',').take(367).map(one).collect::<Option<_>>()?;
    (all.len() <= 366).then_some(all)
}

fn within<T: std::str::FromStr + PartialOrd>(text: &str, least: T, most: T) -> Option<T> {
    text.trim().parse().ok().filter(|number| (least..=most).contains(number))
}

/// Neither nothing nor farther from it than a limit.
fn signed<T: std::str::FromStr + TryInto<i64> + Copy>(text: &str, limit: i64) -> Option<T> {
    let number: T = text.trim().parse().ok()?;
    let value: i64 = number.try_into().ok()?;
    (value != 0 && (-limit..=limit).contains(&value)).then_some(number)
}
