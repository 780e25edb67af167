//! Stretches on certain days of the week or the month.

use jiff::civil::{Date, Weekday};
use sickbay_model::Timestamp;

use super::zone::{Repeated, Zone};
use super::{CalendarMistake, Stretch};

/// On which days a stretch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Of the week.
    Weekly(Vec<Weekday>),
    /// Of the month: 1 is the first, -1 the last. A month without that day has none.
    Monthly(Vec<i8>),
    /// The first (1), second, last (-1), … such weekday of the month. A month without it has none.
    MonthlyWeekday(Vec<i8>, Weekday),
}

impl Days {
    /// Whether a day is one of them.
    fn has(&self, day: Date) -> bool {
        let (from_start, from_end) = (day.day(), day.day() - day.days_in_month() - 1);
        match self {
            Self::Weekly(weekdays) => weekdays.contains(&day.weekday()),
            Self::Monthly(days) => days.contains(&from_start) || days.contains(&from_end),
            Self::MonthlyWeekday(places, weekday) => {
                let (place, from_end) = ((from_start - 1) / 7 + 1, (from_end + 1) / 7 - 1);
                day.weekday() == *weekday && (places.contains(&place) || places.contains(&from_end))
            }
        }
    }

    /// What is wrong with them, if anything is.
    fn check(&self) -> Result<(), CalendarMistake> {
        let within = |all: &[i8], limit: i8| {
            let wrong =
                all.iter().find(|day| **day == 0 || day.unsigned_abs() > limit.unsigned_abs());
            wrong.map_or(Ok(()), |day| Err(CalendarMistake::Days(day.to_string())))
        };
        match self {
            Self::Weekly(weekdays) if weekdays.is_empty() => Err(CalendarMistake::NoDays),
            Self::Monthly(all) | Self::MonthlyWeekday(all, _) if all.is_empty() => {
                Err(CalendarMistake::NoDays)
            }
            Self::Weekly(_) => Ok(()),
            Self::Monthly(days) => within(days, 31),
            Self::MonthlyWeekday(places, _) => within(places, 5),
        }
    }

    /// In order, each once.
    fn tidied(self) -> Self {
        let tidy = |mut all: Vec<i8>| {
            all.sort_by_key(|day| (*day < 0, *day));
            all.dedup();
            all
        };
        match self {
            Self::Weekly(mut weekdays) => {
                weekdays.sort_by_key(|day| day.to_monday_zero_offset());
                weekdays.dedup();
                Self::Weekly(weekdays)
            }
            Self::Monthly(days) => Self::Monthly(tidy(days)),
            Self::MonthlyWeekday(places, weekday) => Self::MonthlyWeekday(tidy(places), weekday),
        }
    }
}

/// From when until when, in minutes since local midnight. An end that is not after the begin is on the
/// next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: i16,
    until: i16,
}

impl Hours {
    /// Minutes of a day.
    pub const DAY: u16 = 24 * 60;
    /// The whole day.
    pub const ALL: Self = Self { from: 0, until: 24 * 60 };

    /// From a minute of the day (below [`Hours::DAY`]) until another (at most [`Hours::DAY`], which is
    /// the next midnight).
    ///
    /// # Errors
    /// One is beyond the day, or both are the same.
    pub fn new(from: u16, until: u16) -> Result<Self, CalendarMistake> {
        if from >= Self::DAY || until > Self::DAY {
            return Err(CalendarMistake::Hours(format!("{}-{}", clock(from), clock(until))));
        }
        if from == until {
            return Err(CalendarMistake::NoLength(format!("{}-{}", clock(from), clock(until))));
        }
        let minute = |minute: u16| i16::try_from(minute).unwrap_or_default();
        Ok(Self { from: minute(from), until: minute(until) })
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", clock(self.from.unsigned_abs()), clock(self.until.unsigned_abs()))
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// The same hours on certain days, by the clock of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeating {
    days: Days,
    hours: Hours,
    zone: Zone,
}

impl Repeating {
    /// How far to look for the next such day: from one fifth Monday to the next are four months.
    const HORIZON_DAYS: usize = 400;
    /// A stretch that holds now may have begun a day before, a zone's clock may have been set by a day
    /// (Samoa left out 2011-12-30), and one to spare.
    const MARGIN_DAYS: i64 = 3;

    /// These hours on these days.
    ///
    /// # Errors
    /// There is no day, or one that no month has.
    pub fn new(days: Days, hours: Hours, zone: Zone) -> Result<Self, CalendarMistake> {
        days.check()?;
        Ok(Self { days: days.tidied(), hours, zone })
    }

    /// On which days.
    #[must_use]
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// From when until when.
    #[must_use]
    pub fn hours(&self) -> Hours {
        self.hours
    }

    /// By whose clock.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The stretch that begins on a day; none if the clock skipped it.
    fn on(&self, day: Date) -> Option<Stretch> {
        let Hours { from, until } = self.hours;
        let last =
            if until <= from || until == Hours::ALL.until { day.tomorrow().ok()? } else { day };
        let at = |day: Date, minute: i16, repeated| {
            let minute = minute % Hours::ALL.until;
            let hour = i8::try_from(minute / 60).unwrap_or_default();
            let minute = i8::try_from(minute % 60).unwrap_or_default();
            self.zone.instant(day.at(hour, minute, 0, 0), repeated)
        };
        let from = at(day, from, Repeated::First);
        let until = at(last, until, Repeated::Last);
        (from < until).then_some(Stretch { from, until })
    }

    /// Whether it has no end, and no begin.
    fn is_always(&self) -> bool {
        self.hours == Hours::ALL && matches!(&self.days, Days::Weekly(days) if days.len() == 7)
    }

    /// The first stretch that ends after an instant.
    pub(super) fn ending_after(&self, at: Timestamp) -> Option<Stretch> {
        if self.is_always() {
            return Some(Stretch::ALWAYS).filter(|stretch| stretch.until > at);
        }
        let margin = jiff::Span::new().days(Self::MARGIN_DAYS);
        let first = self.zone.local(at).date().saturating_sub(margin);
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok());
        let mut stretches = self.stretches(days);
        stretches.find(|stretch| stretch.until > at)
    }

    /// The last stretch that starts before an instant.
    pub(super) fn starting_before(&self, at: Timestamp) -> Option<Stretch> {
        if self.is_always() {
            return Some(Stretch::ALWAYS).filter(|stretch| stretch.from < at);
        }
        let margin = jiff::Span::new().days(Self::MARGIN_DAYS);
        let last = self.zone.local(at).date().saturating_add(margin);
        let days = std::iter::successors(Some(last), |day| day.yesterday().ok());
        let mut stretches = self.stretches(days);
        stretches.find(|stretch| stretch.from < at)
    }

    fn stretches(&self, days: impl Iterator<Item = Date>) -> impl Iterator<Item = Stretch> {
        let near = days.take(Self::HORIZON_DAYS).filter(|day| self.days.has(*day));
        near.filter_map(|day| self.on(day))
    }
}

#[cfg(test)]
impl Hours {
    /// Whether a clock that shows a minute of the day is within, on the day of the begin.
    pub(super) fn shows(self, minute: u16) -> bool {
        let minute = i16::try_from(minute).expect("of a day");
        self.from <= minute && (minute < self.until || self.until <= self.from)
    }
}

#[cfg(test)]
impl Days {
    pub(super) fn includes(&self, day: Date) -> bool {
        self.has(day)
    }
}
