//! What an expression is evaluated against, and how it ends.

use std::fmt;

use sickbay_model::{CheckResult, Frame, Level, MetricId, Status, Timestamp, catalogue};

use crate::Labels;

/// One node at one time: everything that an expression can name. Borrowed, and made once for all rules.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The readings.
    pub frame: &'a Frame,
    /// The node's labels.
    pub labels: &'a Labels,
    /// The answers of its checks.
    pub checks: &'a Checks<'a>,
    /// What its score means.
    pub level: Level,
    /// Its score, if it could be judged.
    pub score: Option<f64>,
    /// Whether a job runs on it, if that is known.
    pub job_active: Option<bool>,
    /// Whether work may be started on it, if that is known.
    pub ready: Option<bool>,
    /// The time of day where the rule's author lives.
    pub now: Now,
}

/// A time as a person reads it off a clock and a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 1 (Monday) to 7 (Sunday), as ISO 8601 counts.
    pub weekday: u8,
}

impl Now {
    /// What clock and calendar show at an instant in a time zone.
    #[must_use]
    pub fn at(instant: Timestamp, zone: &jiff::tz::TimeZone) -> Self {
        let instant = jiff::Timestamp::from_millisecond(instant.as_unix_ms());
        let local = zone.to_datetime(instant.unwrap_or_default());
        Self {
            hour: local.hour().unsigned_abs(),
            minute: local.minute().unsigned_abs(),
            weekday: local.weekday().to_monday_one_offset().unsigned_abs(),
        }
    }
}

/// The answer of one check of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckState<'a> {
    /// Which check.
    pub check: &'a str,
    /// Of which instance; empty if the node has just one.
    pub instance: &'a str,
    /// The answer.
    pub status: Status,
}

impl<'a> From<&'a CheckResult> for CheckState<'a> {
    fn from(result: &'a CheckResult) -> Self {
        Self { check: result.check.as_str(), instance: &result.instance, status: result.status }
    }
}

/// The answers of a node's checks, arranged for being looked up.
#[derive(Clone, Debug, Default)]
pub struct Checks<'a>(Vec<CheckState<'a>>);

impl<'a> FromIterator<CheckState<'a>> for Checks<'a> {
    fn from_iter<I: IntoIterator<Item = CheckState<'a>>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|state| (state.check, state.instance));
        Self(all)
    }
}

impl Checks<'_> {
    /// The status of a check. With an instance: of that one, else of the whole node if the check has
    /// no instances. Without: the worst of all instances.
    #[must_use]
    pub fn status(&self, check: &str, instance: Option<&str>) -> Option<Status> {
        let start = self.0.partition_point(|state| state.check < check);
        let its = self.0.iter().skip(start).take_while(|state| state.check == check);
        let relevant = its.filter(|state| match instance {
            Some(instance) => state.instance.is_empty() || state.instance == instance,
            None => true,
        });
        relevant.map(|state| state.status).max_by_key(|status| status.severity())
    }
}

/// How an expression ends. What is not known is never taken for false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'e> {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// It cannot be said, because this is missing.
    NoData(Missing<'e>),
}

impl<'e> From<Result<bool, Missing<'e>>> for Outcome<'e> {
    fn from(result: Result<bool, Missing<'e>>) -> Self {
        match result {
            Ok(true) => Self::True,
            Ok(false) => Self::False,
            Err(missing) => Self::NoData(missing),
        }
    }
}

/// What an expression needed and did not find; of several the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing<'e> {
    /// No value of this metric (of the instance, if it is about one).
    Metric(MetricId),
    /// No answer of this check.
    Check(&'e str),
    /// The node has no score.
    Score,
    /// It is not known whether a job runs.
    JobActive,
    /// It is not known whether work may be started.
    Ready,
    /// A rule for each instance was evaluated without one.
    Instance,
    /// A division by zero, or a result beyond all numbers.
    Undefined,
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => {
                let name = catalogue::find(*metric).map_or("a metric", |def| def.name);
                write!(f, "no value of {name}")
            }
            Self::Check(check) => write!(f, "no answer of check {check}"),
            Self::Score => f.write_str("no score"),
            Self::JobActive => f.write_str("not known whether a job runs"),
            Self::Ready => f.write_str("not known whether the node is ready"),
            Self::Instance => f.write_str("no instance was given"),
            Self::Undefined => f.write_str("a calculation without a result"),
        }
    }
}
