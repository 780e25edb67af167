//! Version 1 of the API's types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sickbay_model::{
    Component, EventKind, GpuVendor, InstanceKind, Kind, Level, MetricKind, Status, Timestamp, Unit,
};
use utoipa::ToSchema;

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
    /// Key–value pairs.
    pub labels: BTreeMap<String, String>,
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

/// What a node consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InventoryView {
    /// Host name.
    pub hostname: String,
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Architecture.
    pub architecture: String,
    /// CPU model.
    pub cpu_model: String,
    /// Logical CPUs.
    pub cpu_count: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Boot id.
    pub boot_id: String,
    /// What it runs on, if virtual.
    pub virtualization: String,
    /// GPUs.
    pub gpus: Vec<GpuView>,
    /// Filesystems.
    pub filesystems: Vec<FilesystemView>,
    /// Disks: name and model.
    pub disks: Vec<DiskView>,
    /// Interfaces.
    pub interfaces: Vec<InterfaceView>,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuView {
    /// Driver's index.
    pub index: u32,
    /// Maker.
    #[schema(value_type = String)]
    pub vendor: GpuVendor,
    /// Model.
    pub model: String,
    /// Unique id.
    pub uuid: String,
    /// PCI address.
    pub pci_address: String,
    /// Driver version.
    pub driver_version: String,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// One filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilesystemView {
    /// Where it is mounted.
    pub mount_point: String,
    /// Kernel type.
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Reached over a network.
    pub remote: bool,
    /// Mounted read-only.
    pub read_only: bool,
    /// Why it did not answer.
    pub unanswered: Option<String>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskView {
    /// Kernel name.
    pub name: String,
    /// Model.
    pub model: String,
    /// Size, in bytes.
    pub size_bytes: u64,
    /// Whether it spins.
    pub rotational: bool,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InterfaceView {
    /// Name.
    pub name: String,
    /// Kernel's state.
    pub operational_state: String,
    /// A device stands behind it.
    pub physical: bool,
    /// The default route leaves through it.
    pub default_route: bool,
}

/// What the process scan found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessesView {
    /// Largest consumers.
    pub top: Vec<ProcessView>,
    /// In uninterruptible sleep.
    pub blocked: Vec<ProcessView>,
    /// Zombies.
    pub zombies: Vec<ProcessView>,
    /// Training processes.
    pub training: Vec<ProcessView>,
    /// Expected patterns that nothing matched.
    pub missing_patterns: Vec<String>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessView {
    /// Process id.
    pub pid: u32,
    /// Short name.
    pub name: String,
    /// Command line, cut.
    pub command: String,
    /// Kernel's state letter.
    pub state: String,
    /// Share of one CPU.
    pub cpu_percent: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// GPUs it uses.
    pub gpus: Vec<u32>,
    /// GPU memory it holds, in bytes.
    pub gpu_memory_bytes: u64,
    /// Pattern it matched.
    pub matched: Option<String>,
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

/// `/status`: everything at one glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusReport {
    /// Score of the whole system (seed 3's weights 40/25/20/15).
    pub system: SystemScore,
    /// Every resource.
    pub resources: Vec<ResourceSummary>,
    /// How many resources have each level.
    pub level_counts: BTreeMap<String, u32>,
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

/// What the stream at `/api/v1/stream` sends. The SSE `event` field is the variant's name in
/// snake case (`resource`, `removed`, `event`, `hub`), `data` is the value as JSON, and `id` is set on `event`
/// messages alone, so that `Last-Event-ID` resumes the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamMessage {
    /// A resource was judged anew.
    Resource(Box<ResourceDetail>),
    /// A resource is no longer watched; its id.
    Removed(String),
    /// Something happened.
    Event(EventView),
    /// The hub's own status, about every 10 s.
    Hub(Box<HubStatus>),
}
