//! What is handed to the store for writing.

use sickbay_model::{CheckId, Event, Frame, MetricId, ResourceId, Status, Timestamp};

/// A check's answer that differs from its last one.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckChange {
    /// Of what.
    pub resource: ResourceId,
    /// Which question.
    pub check: CheckId,
    /// Of which instance; empty if the resource has just one.
    pub instance: String,
    /// The answer.
    pub status: Status,
    /// Whether the answer is confirmed. A confirmed answer that is not healthy opens a row in
    /// `health_alerts`; a healthy one resolves it.
    pub hard: bool,
    /// One sentence: what was found.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// More, as one JSON object (evidence, advice), if any. What is no JSON is kept as a JSON text.
    pub details: Option<String>,
}

/// How a series is judged: what `health_metrics` shows beside the value. Sent when it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricJudgement {
    /// Of what.
    pub resource: ResourceId,
    /// Which metric.
    pub metric: MetricId,
    /// Which instance; empty for metrics with one value per node.
    pub instance: String,
    /// Where degraded begins.
    pub warning: Option<f64>,
    /// Where critical begins.
    pub critical: Option<f64>,
    /// What the engine says of it now. `None`: the view derives it from the two thresholds.
    pub status: Option<Status>,
}

/// A node that was added at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNode {
    /// Its name: there is one of each.
    pub name: String,
    /// How it is defined: JSON that the hub versions.
    pub definition: String,
    /// When it was added.
    pub added_at: Timestamp,
}

/// A small record of a part of the hub; of each kind and key there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose (`alert`, `notice`).
    pub kind: &'static str,
    /// Which.
    pub key: String,
    /// JSON that the hub versions; none: it is to be forgotten.
    pub content: Option<String>,
}

/// Work for the writer. Everything in a batch is written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// Readings. Of several with the same resource and time, the first is kept.
    pub frames: Vec<(ResourceId, Frame)>,
    /// The newest state of resources: when it was judged, and JSON that the hub versions.
    pub states: Vec<(ResourceId, Timestamp, Vec<u8>)>,
    /// Resources no longer watched: their state is forgotten, their history stays.
    pub removed: Vec<ResourceId>,
    /// Check results that changed.
    pub checks: Vec<CheckChange>,
    /// Events with ids given by the hub, ascending. An id that is stored already is left as it is.
    pub events: Vec<Event>,
    /// Thresholds and statuses of series that changed.
    pub judgements: Vec<MetricJudgement>,
    /// Nodes that were added or defined anew.
    pub nodes_put: Vec<StoredNode>,
    /// Names of added nodes that are to be forgotten; within a batch this comes after
    /// `nodes_put`.
    pub nodes_removed: Vec<String>,
    /// Records that changed, or are to be forgotten.
    pub records: Vec<Record>,
}

impl WriteBatch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
            && self.states.is_empty()
            && self.removed.is_empty()
            && self.checks.is_empty()
            && self.events.is_empty()
            && self.judgements.is_empty()
            && self.nodes_put.is_empty()
            && self.nodes_removed.is_empty()
            && self.records.is_empty()
    }
}

/// What could not be taken because the queue to the writer is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store's queue is full: dropped {frames} frames of readings, {checks} check changes and \
     {events} events; the disk is full, damaged or too slow (see the store's health)"
)]
pub struct Dropped {
    /// Frames of readings, the oldest waiting ones first.
    pub frames: u64,
    /// Check changes, the oldest waiting ones first.
    pub checks: u64,
    /// Events, the oldest waiting ones first.
    pub events: u64,
}

impl Dropped {
    /// Whether nothing was dropped.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.frames = self.frames.saturating_add(other.frames);
        self.checks = self.checks.saturating_add(other.checks);
        self.events = self.events.saturating_add(other.events);
    }
}
