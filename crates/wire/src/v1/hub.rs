//! The hub itself, and the whole system at one glance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sickbay_model::{Level, Status, Timestamp};
use utoipa::ToSchema;

use super::fleet::FleetTotals;
use super::resources::ResourceSummary;

/// What one signs in with, at `POST /api/v1/session`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The hub's token.
    pub token: String,
}

impl std::fmt::Debug for SessionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionRequest { token: *** }")
    }
}

/// Whether one must sign in, and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Whether the hub wants a token at all.
    pub token_required: bool,
    /// Whether this client's requests are answered.
    pub signed_in: bool,
}

/// `/status`: everything at one glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusReport {
    /// Score of the whole system (seed 3's weights 40/25/20/15).
    pub system: SystemScore,
    /// Every resource.
    pub resources: Vec<ResourceSummary>,
    /// How many resources have each level.
    pub level_counts: BTreeMap<String, u32>,
    /// The nodes in numbers; none from a hub that is older than this.
    #[serde(default)]
    pub fleet: Option<FleetTotals>,
    /// The hub itself.
    pub hub: HubStatus,
}

/// Score of the whole system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemScore {
    /// 0 to 100; none while unknown.
    pub score: Option<f64>,
    /// What the score means.
    #[schema(value_type = String)]
    pub level: Level,
    /// The parts: `node_availability`, `circuit_health`, `error_rate`, `recovery`.
    pub parts: Vec<SystemPart>,
}

/// One part of the system's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemPart {
    /// Its name.
    pub name: String,
    /// Weight by the health model.
    pub nominal_weight: f64,
    /// Weight in force.
    pub weight: f64,
    /// 0 to 100; none if it does not apply.
    pub points: Option<f64>,
    /// What it adds.
    pub contribution: f64,
    /// Why.
    pub note: String,
}

/// The hub itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HubStatus {
    /// Version of the binary.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// How long it has been running.
    pub uptime_seconds: f64,
    /// Where it keeps its data.
    pub data_dir: String,
    /// The config file in force; none if there is none.
    pub config_file: Option<String>,
    /// Why the newest config was refused, while an older one is in force.
    pub config_error: Option<String>,
    /// Whether it is ready, and why not.
    pub ready: bool,
    /// What readiness waits for; empty while ready.
    pub not_ready_reasons: Vec<String>,
    /// Its tasks.
    pub tasks: Vec<TaskView>,
    /// Its store.
    pub store: StoreView,
    /// Its schedule.
    pub schedule: ScheduleView,
    /// What it costs.
    pub cost: CostView,
}

/// One supervised task of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its name.
    pub name: String,
    /// `running`, `restarting`, `finished` or `failed`.
    pub state: String,
    /// How often it was started again.
    pub restarts: u32,
    /// Why it last ended.
    pub last_error: Option<String>,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoreView {
    /// Whether what comes in is kept on disk.
    #[schema(value_type = String)]
    pub status: Status,
    /// Why not, or what is well.
    pub message: String,
    /// File size with its log, in bytes.
    pub file_bytes: u64,
    /// Writes waiting.
    pub queued: u64,
    /// Writes given up because the queue was full.
    pub dropped: u64,
    /// Readings kept raw.
    pub samples: u64,
    /// Bytes that history takes.
    pub history_bytes: u64,
}

/// The schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// Targets watched.
    pub targets: u32,
    /// Collections started.
    pub started_total: u64,
    /// Collections skipped because the last one was still under way.
    pub skipped_total: u64,
    /// Collections under way now.
    #[serde(default)]
    pub running: u32,
    /// Targets that are due and wait for a place among the collections under way.
    #[serde(default)]
    pub waiting: u32,
    /// How late the last collection started.
    pub lag_ms: f64,
}

/// What the monitor itself costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostView {
    /// CPU time since start, children included.
    pub cpu_seconds_total: f64,
    /// Share of one core since start.
    pub cpu_percent: f64,
    /// Resident memory of the hub, in bytes.
    pub resident_bytes: u64,
    /// Resident memory of its probe children, in bytes.
    pub children_resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
}

/// `/livez`, `/readyz` and their kin, in the shape of `application/health+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthDocument {
    /// `pass`, `warn` or `fail`.
    pub status: String,
    /// Version of the binary.
    pub version: String,
    /// Human-readable summary.
    pub output: String,
    /// Single answers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Vec<HealthDocumentCheck>>,
}

/// One answer within a health document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthDocumentCheck {
    /// `pass`, `warn` or `fail`.
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}
