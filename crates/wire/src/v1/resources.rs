//! A resource, its score and its checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sickbay_model::{Component, Kind, Level, Status, Timestamp};
use utoipa::ToSchema;

use super::fleet::BreakerView;
use super::history::ReadingView;
use super::inventory::{InventoryView, ProcessesView};

/// One resource in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceSummary {
    /// `kind/name`.
    pub id: String,
    /// Its kind.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// What a person calls it.
    pub display_name: String,
    /// What it is part of.
    pub parent: Option<String>,
    /// Key–value pairs; a node's GPUs share them with it.
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: Arc<BTreeMap<String, String>>,
    /// How well it is.
    #[schema(value_type = String)]
    pub level: Level,
    /// Since when it has this level.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// 0 to 100; none while unknown.
    pub score: Option<f64>,
    /// Whether work may be started on it; none where readiness is not judged (a GPU).
    pub ready: Option<bool>,
    /// Checks that are not healthy.
    pub finding_count: u32,
    /// The worst finding in one sentence, or what is well.
    pub headline: String,
    /// When it was last collected; none before the first time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_check: Option<Timestamp>,
    /// Set while what is shown is not fresh, and why (restored after a restart, collection late).
    pub stale: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// One resource, with the whole explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: ResourceSummary,
    /// How the score came about.
    pub score_card: ScoreCard,
    /// May work be started here; none where it is not judged.
    pub readiness: Option<Readiness>,
    /// Every check, worst first.
    pub checks: Vec<Check>,
    /// Findings that one cause explains, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<IncidentView>,
    /// Newest values.
    pub readings: Vec<ReadingView>,
    /// What a node consists of; none for other kinds.
    pub inventory: Option<InventoryView>,
    /// Processes; none for other kinds than node.
    pub processes: Option<ProcessesView>,
    /// How each probe of the last collection ended.
    pub probes: Vec<ProbeView>,
    /// Ids of what is part of it.
    pub children: Vec<String>,
    /// Seconds until the next collection is due, as planned after the last one.
    pub interval_seconds: f64,
    /// Whether a job is active on it.
    pub active: bool,
    /// Its breaker; none for what is behind none: parts, and the hub's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerView>,
}

/// Findings that one cause explains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// The causal rule that found it.
    pub rule: String,
    /// What happened, as a fragment: "GPU 3 fell off the bus".
    pub title: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What to do about the cause.
    pub advice: String,
    /// The finding that is the cause.
    pub root: CheckRef,
    /// What it explains, in the order in which it was found.
    pub evidence: Vec<CheckRef>,
}

/// Names one of a resource's checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckRef {
    /// The check's name.
    pub check: String,
    /// Its instance, empty if there is just one.
    pub instance: String,
}

/// How a score came about. `score` is the sum of the contributions, or the smallest cap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreCard {
    /// 0 to 100, one decimal; none while unknown.
    pub score: Option<f64>,
    /// What the score means.
    #[schema(value_type = String)]
    pub level: Level,
    /// The sum of the contributions, before caps.
    pub uncapped: f64,
    /// The parts.
    pub contributions: Vec<Contribution>,
    /// Limits set by findings, smallest first.
    pub caps: Vec<Cap>,
    /// Why there is no score, while the level is unknown.
    pub unknown_reason: Option<String>,
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Contribution {
    /// Which part (`gpu`, `system`, …).
    #[schema(value_type = String)]
    pub component: Component,
    /// Its weight by the health model.
    pub nominal_weight: f64,
    /// Its weight after parts that do not apply handed theirs over; 0 if it does not apply.
    pub weight: f64,
    /// How well the part is, 0 to 100; none if it does not apply.
    pub points: Option<f64>,
    /// What it adds to the score: weight × points / 100, rounded to one decimal.
    pub contribution: f64,
    /// Why it has these points, in one sentence.
    pub note: String,
}

/// A limit that a finding sets on the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cap {
    /// The most that the score may be.
    pub limit: f64,
    /// The check that sets it.
    pub check: String,
    /// Its instance, empty if there is just one.
    pub instance: String,
    /// The check's status.
    #[schema(value_type = String)]
    pub status: Status,
}

/// May work be started here?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// The answer.
    pub ready: bool,
    /// Share of the applicable checks that pass, 0 to 100.
    pub pass_rate_percent: f64,
    /// Share that must pass.
    pub required_percent: f64,
    /// The five checks.
    pub checks: Vec<ReadinessCheck>,
}

/// One readiness check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessCheck {
    /// Its name.
    pub check: String,
    /// `passed`, `failed` or `not_applicable`.
    pub outcome: ReadinessOutcome,
    /// What was found.
    pub message: String,
}

/// How a readiness check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessOutcome {
    /// Passed.
    Passed,
    /// Failed, or could not be asked.
    Failed,
    /// Does not count here.
    NotApplicable,
}

/// One check and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Its name.
    pub check: String,
    /// Of which instance; empty if there is just one.
    pub instance: String,
    /// The part of the score it belongs to.
    #[schema(value_type = String)]
    pub component: Component,
    /// The answer.
    #[schema(value_type = String)]
    pub status: Status,
    /// How well it is, 0 to 100.
    pub points: f64,
    /// What was found.
    pub message: String,
    /// The facts behind it.
    pub evidence: Vec<EvidenceView>,
    /// What to do.
    pub advice: Option<String>,
    /// Since when the status is what it is.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it was answered.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long the answer took to get.
    pub took_ms: f64,
    /// Whether a non-healthy status is confirmed.
    pub hard: bool,
}

/// One measured fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceView {
    /// What was measured.
    pub what: String,
    /// Its value, unit included.
    pub value: String,
    /// What it was held against.
    pub threshold: Option<String>,
}

/// How one probe ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeView {
    /// Its name.
    pub probe: String,
    /// `answered`, `not_applicable`, or an error kind (`late`, `denied`, …).
    pub outcome: String,
    /// Why, unless it answered.
    pub message: Option<String>,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took.
    pub took_ms: f64,
}
