//! The config file as it is written: every field optional, unknown ones refused.
//!
//! Names, meaning, type and range of a field are written here and nowhere else; the schema, the
//! reference and the checks are generated from this. Defaults are *not* here: they belong to the
//! parts that the settings are for, and [`super::bind`] reads them from there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sickbay_hub::Secret;

pub use super::raw_faults::{RawFaultEntry, RawFaults};
pub use super::raw_fleet::{RawBreaker, RawDoubt, RawExpected, RawNode, RawSsh};
pub use super::raw_outlier::RawOutlier;
pub use super::raw_policy::{
    RawHysteresis, RawOverride, RawReadiness, RawSchedule, RawState, RawSystemWeights,
    RawThreshold, RawThresholds, RawWeights,
};
use super::units::{DurationText, PathText, ProgramText, SizeText, TargetText, UrlText};

/// Declares a section: every field optional, left out of the output while not set.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $( $(#[$field_meta:meta])* $field:ident: $type:ty, )* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }
    };
}

pub(super) use section;

section! {
    /// Everything that can be configured. The file is optional, and so is every field in it.
    RawConfig {
        /// Where the API and the page are served, and for whom.
        listen: RawListen,
        /// Where history and state are kept: `~/.local/state/sickbay` as a user, `/var/lib/sickbay` as root. A change takes effect at the next start.
        data_dir: PathText,
        /// The log.
        log: RawLog,
        /// Machines that are watched over SSH, besides this one. Others can be added while the hub runs: `sickbay add node`.
        #[schemars(length(max = 20000))]
        nodes: Vec<RawNode>,
        /// How nodes are reached over SSH.
        ssh: RawSsh,
        /// How often a node is looked at.
        schedule: RawSchedule,
        /// How this machine is looked at.
        probes: RawProbes,
        /// Round-trip times.
        latency: RawLatency,
        /// Processes of interest. A process on a GPU counts as training without being listed.
        #[schemars(length(max = 256))]
        processes: Vec<RawProcess>,
        /// Whether `import torch` works, as part of readiness.
        torch: RawTorch,
        /// Weights of a node's score; they sum to 100. A part that does not apply hands its weight to the others.
        weights: RawWeights,
        /// Weights of the whole system's score; they sum to 100.
        system_weights: RawSystemWeights,
        /// The lines between well and not well.
        thresholds: RawThresholds,
        /// Other lines for single checks or instances; the first that matches holds.
        #[schemars(length(max = 256))]
        overrides: Vec<RawOverride>,
        /// How a raised threshold clears: a margin away from the line, and for a while.
        hysteresis: RawHysteresis,
        /// How findings are confirmed, cleared and damped.
        state: RawState,
        /// When a node that keeps failing is not asked for a while.
        breaker: RawBreaker,
        /// When the hub doubts itself rather than its nodes.
        doubt: RawDoubt,
        /// When a GPU or node departs from those that do the same work.
        outlier: RawOutlier,
        /// Faults of a kernel's log, besides those that are known (`sickbay faults`) or instead of them.
        faults: RawFaults,
        /// May work be started on a node?
        readiness: RawReadiness,
        /// History and its limits.
        store: RawStore,
        /// Rented cloud workers. Accepted and checked, but nothing watches them yet.
        workers: RawWorkers,
    }
}

section! {
    /// Where the API and the page are served, and for whom. Changes take effect at the next start.
    RawListen {
        /// Address and port. Any address that is not loopback needs `token_file` or `token`.
        #[schemars(extend("format" = "socket-address"))]
        address: String,
        /// A file whose first line is the token that a client must show (`Authorization: Bearer TOKEN`).
        token_file: PathText,
        /// The token itself. Better kept in a file of its own: see `token_file`.
        token: SecretText,
        /// `off`: plain HTTP. `self_signed`: with a certificate that the hub makes for itself. `files`: with `tls_certificate` and `tls_key`.
        tls: RawTlsMode,
        /// PEM file with the certificate chain.
        tls_certificate: PathText,
        /// PEM file with the private key.
        tls_key: PathText,
        /// Names, besides its addresses and `localhost`, by which clients may address the hub.
        #[schemars(length(max = 64))]
        host_names: Vec<String>,
    }
}

/// A secret as it is written in the config. Printed, it is `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretText(pub Secret);

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "secret", "minLength": 8 })
    }
}

/// How connections are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RawTlsMode {
    /// Plain HTTP.
    Off,
    /// A certificate of the hub's own making.
    SelfSigned,
    /// A certificate from files.
    Files,
}

section! {
    /// The log.
    RawLog {
        /// The least severity that is written.
        level: RawLogLevel,
        /// How a line looks.
        format: RawLogFormat,
        /// A file that gets the log too; it is rotated daily. The default is `log/sickbay.log` in the data directory. A change takes effect at the next start.
        file: PathText,
    }
}

/// The least severity that is written.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RawLogLevel {
    /// Only failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

impl RawLogLevel {
    /// The word in the file and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl RawLogFormat {
    /// The word in the file and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// How a line of the log looks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RawLogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

section! {
    /// How this machine is looked at.
    RawProbes {
        /// How long one probe may take before it is killed. Also `SICKBAY_HEALTH_CHECK_TIMEOUT`, in seconds.
        #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
        timeout: DurationText,
        /// How often processes are scanned.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        process_interval: DurationText,
        /// How often temperature sensors are read.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        sensor_interval: DurationText,
        /// How often filesystems are asked for their space.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        filesystem_interval: DurationText,
        /// NVIDIA's NVML library, where the loader does not find it by itself.
        nvml_library: ProgramText,
    }
}

section! {
    /// Round-trip times.
    RawLatency {
        /// Where to: HOST, HOST:PORT, icmp:HOST or tcp:HOST:PORT. None means the default gateway.
        #[schemars(length(max = 32))]
        targets: Vec<TargetText>,
        /// How often.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
        interval: DurationText,
    }
}

/// A process of interest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RawProcess {
    /// What a person calls it.
    pub name: String,
    /// What its command line must contain; with `*` or `?` a pattern for the whole line.
    pub pattern: String,
    /// Whether it is a finding when no such process runs.
    #[serde(default)]
    pub expected: bool,
}

section! {
    /// Whether `import torch` works.
    RawTorch {
        /// `auto`: asked, but does not count where there is neither a GPU nor torch. `always`: counts always. `never`: not asked.
        mode: RawTorchMode,
        /// The Python interpreter. The default is that of the active virtual environment, else `python3`.
        interpreter: ProgramText,
        /// How long the import may take.
        #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10m"))]
        timeout: DurationText,
        /// How long an answer is good for.
        #[schemars(extend("x-minimum" = "1m", "x-maximum" = "7d"))]
        refresh: DurationText,
    }
}

/// Whether torch is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RawTorchMode {
    /// Where it makes sense.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

section! {
    /// History and its limits. What is met first, age or size, deletes.
    RawStore {
        /// How long readings are kept as they came.
        #[schemars(extend("x-minimum" = "1h", "x-maximum" = "10y"))]
        raw_age: DurationText,
        /// How long one-minute means are kept.
        #[schemars(extend("x-minimum" = "1h", "x-maximum" = "20y"))]
        minute_age: DurationText,
        /// How long one-hour means are kept.
        #[schemars(extend("x-minimum" = "1d", "x-maximum" = "50y"))]
        hour_age: DurationText,
        /// How long events are kept.
        #[schemars(extend("x-minimum" = "1d", "x-maximum" = "50y"))]
        event_age: DurationText,
        /// How long changes of checks are kept.
        #[schemars(extend("x-minimum" = "1d", "x-maximum" = "50y"))]
        check_age: DurationText,
        /// The most that the database file may hold; when it is met, the oldest readings go first.
        #[schemars(extend("x-minimum" = "16MiB", "x-maximum" = "100TB"))]
        max_size: SizeText,
        /// How long readings may wait in memory before they are written; what a power cut can lose.
        #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1m"))]
        commit_interval: DurationText,
    }
}

section! {
    /// Rented cloud workers. Accepted and checked, but nothing watches them yet.
    RawWorkers {
        /// Whether they are watched. Also `SICKBAY_WORKER_MONITORING_ENABLED`.
        monitoring: bool,
        /// How often they are asked. Also `SICKBAY_WORKER_METRICS_POLL_INTERVAL`, in seconds.
        #[schemars(extend("x-minimum" = "10s", "x-maximum" = "1d"))]
        poll_interval: DurationText,
        /// Who is told of their troubles. Also `SICKBAY_WORKER_NOTIFICATION_WEBHOOKS`, separated by commas.
        #[schemars(length(max = 32))]
        webhooks: Vec<UrlText>,
    }
}
