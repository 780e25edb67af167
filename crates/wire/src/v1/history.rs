//! What was measured, and what happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sickbay_model::{EventKind, InstanceKind, MetricKind, Timestamp, Unit};
use utoipa::ToSchema;

/// The newest value of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadingView {
    /// The metric's catalogue name.
    pub metric: String,
    /// Which instance; empty if there is just one.
    pub instance: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    #[schema(value_type = String)]
    pub unit: Unit,
}

/// One entry of the metric catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricView {
    /// Unique name.
    pub name: String,
    /// Unit.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// The unit's short form.
    pub symbol: String,
    /// Gauge or counter.
    #[schema(value_type = String)]
    pub kind: MetricKind,
    /// What its instances are.
    #[schema(value_type = String)]
    pub instance: InstanceKind,
    /// Meaning.
    pub help: String,
}

/// History of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The resource that was asked for.
    pub resource: String,
    /// The metric.
    pub metric: String,
    /// The instance.
    pub instance: String,
    /// Unit.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Start, inclusive.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// End, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Width of one point; 0 for raw readings.
    pub step_seconds: f64,
    /// What was read: `raw`, `minute` or `hour`.
    pub resolution: String,
    /// The points, oldest first. Where nothing was measured there is no point.
    pub points: Vec<HistoryPoint>,
}

/// One point of a history.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPoint {
    /// Start of the step.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Smallest value.
    pub min: f64,
    /// Mean value.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
    /// How many readings.
    pub count: u32,
}

/// A series that has history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeriesView {
    /// The metric's catalogue name.
    pub metric: String,
    /// Which instance; empty if there is just one.
    pub instance: String,
    /// Its unit.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Its first reading; the readings themselves may have been deleted since, by retention.
    #[schema(value_type = String, format = DateTime)]
    pub first: Timestamp,
    /// Its last reading.
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its place in the log.
    pub id: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What.
    #[schema(value_type = String)]
    pub kind: EventKind,
    /// To what; none for the hub itself.
    pub resource: Option<String>,
    /// One sentence.
    pub message: String,
    /// More, by name.
    pub details: BTreeMap<String, String>,
}
