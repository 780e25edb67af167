//! Questions to the store, and their answers.

use std::time::Duration;

use sickbay_model::{EventId, EventKind, MetricId, ResourceId, Timestamp};

/// The most points that one history query returns, whatever it asks for.
pub const MAX_POINTS: usize = 20_000;
/// The most rows that one query of events or check changes returns, whatever it asks for.
pub const MAX_ROWS: usize = 10_000;

/// Which readings are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// Of what.
    pub resource: ResourceId,
    /// Which metric.
    pub metric: MetricId,
    /// Which instance; empty for metrics with one value per node.
    pub instance: String,
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// The length that one point stands for. `None`: raw readings where they are few enough, else
    /// the smallest round step that needs no more than `max_points`.
    pub step: Option<Duration>,
    /// The most points wanted; at most [`MAX_POINTS`]. A step that needs more is made longer.
    pub max_points: usize,
}

/// What a history answer was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// Readings as they were collected.
    Raw,
    /// One-minute rollups.
    Minute,
    /// One-hour rollups.
    Hour,
}

impl Resolution {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Minute => 1,
            Self::Hour => 2,
        }
    }

    /// Milliseconds that one stored point stands for; 0 for raw readings.
    pub(crate) const fn step_ms(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// One point of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoryPoint {
    /// Start of the step; for a raw reading, its time.
    pub at: Timestamp,
    /// Smallest value in the step.
    pub min: f64,
    /// Mean of the readings in the step.
    pub mean: f64,
    /// Largest value in the step.
    pub max: f64,
    /// How many readings.
    pub count: u32,
}

/// Points in ascending order of time. Where nothing was measured there is no point.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryAnswer {
    /// What it was read from.
    pub resolution: Resolution,
    /// The length that one point stands for; `None` for raw readings.
    pub step: Option<Duration>,
    /// The points.
    pub points: Vec<HistoryPoint>,
}

/// A series that has history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesSpan {
    /// Which metric.
    pub metric: MetricId,
    /// Which instance.
    pub instance: String,
    /// Its first reading. The readings themselves may have been deleted since, by retention.
    pub first: Timestamp,
    /// Its last reading.
    pub last: Timestamp,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only ids above this one.
    pub after: Option<EventId>,
    /// Only ids below this one.
    pub before: Option<EventId>,
    /// Only at or after this time.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
    /// Only these kinds; all if empty.
    pub kinds: Vec<EventKind>,
    /// Only of this resource.
    pub resource: Option<ResourceId>,
    /// The most rows wanted; at most [`MAX_ROWS`], and 0 means that.
    pub limit: usize,
    /// Newest first (and, with a limit, the newest).
    pub newest_first: bool,
}

/// Which check changes are wanted. Newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckQuery {
    /// Only of this resource.
    pub resource: Option<ResourceId>,
    /// Only of this check.
    pub check: Option<String>,
    /// Only at or after this time.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
    /// The most rows wanted; at most [`MAX_ROWS`], and 0 means that.
    pub limit: usize,
}

/// A question that could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database did not answer.
    #[error("reading {what} from the store failed")]
    Database {
        /// What was read.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Refused(String),
}
