//! What a hub needs to know to run: valid by construction, made by the binary from its config.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sickbay_collect::LocalSettings;
use sickbay_engine::Policy;
use sickbay_model::NodeDefinition;
use sickbay_ssh::SshSettings;
use sickbay_store::StoreOptions;

/// Everything that a hub can be told.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Where it listens, and for whom.
    pub listen: ListenSettings,
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// By which numbers it judges.
    pub policy: Policy,
    /// How it collects from this machine.
    pub local: LocalSettings,
    /// The nodes that the config names.
    pub nodes: Vec<NodeDefinition>,
    /// How nodes are reached over SSH.
    pub ssh: SshSettings,
    /// Collections under way at once. Default 256.
    pub concurrent_collections: usize,
    /// How it remembers.
    pub store: StoreOptions,
    /// The config file these settings came from, if any; shown, never read here.
    pub config_file: Option<PathBuf>,
}

impl HubSettings {
    /// The defaults, keeping data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            listen: ListenSettings::default(),
            store: StoreOptions::new(data_dir.clone()),
            data_dir,
            policy: Policy::default(),
            local: LocalSettings::default(),
            nodes: Vec::new(),
            ssh: SshSettings::default(),
            concurrent_collections: 256,
            config_file: None,
        }
    }

    /// What one collection may take as a whole: a probe's own timeout and a little more, so that a
    /// slow probe ends as that probe's outcome and not as the node's.
    #[must_use]
    pub fn collect_deadline(&self) -> Duration {
        self.local.probe_timeout + COLLECT_GRACE
    }
}

/// What a collection gets on top of a probe's own timeout before it is given up as a whole.
const COLLECT_GRACE: Duration = Duration::from_secs(2);

/// Where the hub listens, and for whom.
#[derive(Clone, Debug)]
pub struct ListenSettings {
    /// Address and port; seed 3's port on loopback by default.
    pub addr: SocketAddr,
    /// What a client must show; required on any address that is not loopback.
    pub token: Option<Secret>,
    /// Encryption; none means plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Host names under which clients may address the hub besides its addresses and `localhost`;
    /// anything else is refused, so that a web page elsewhere cannot reach a hub on loopback.
    pub host_names: Vec<String>,
    /// What one client may use.
    pub limits: Limits,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            token: None,
            tls: None,
            host_names: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Seed 3's port.
pub const DEFAULT_PORT: u16 = 8790;

/// How connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSettings {
    /// With a certificate from PEM files.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// With a certificate that the hub makes for itself and keeps in its data directory.
    SelfSigned,
}

/// The server's limits. Each is enforced and each refusal is an answer or a log line.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Body of a request, in bytes; more is 413.
    pub body_bytes: usize,
    /// Header of a request, in bytes; more is 431.
    pub header_bytes: usize,
    /// Time for a client to send its request's header.
    pub header_time: Duration,
    /// Time for a handler to answer; later is 503.
    pub request_time: Duration,
    /// Requests a client address may make in a burst.
    pub burst_requests: u32,
    /// Requests a client address may make per second in the long run; more is 429.
    pub requests_per_second: u32,
    /// Client addresses whose rate is remembered.
    pub rate_clients: usize,
    /// Live streams at once; more is 503.
    pub streams: usize,
    /// Messages that wait for a slow stream before it is told to start afresh.
    pub stream_backlog: usize,
    /// Series in one answer of `/metrics`; the rest is cut and counted.
    pub exposition_series: usize,
    /// Store reads at once.
    pub store_reads: usize,
    /// Points in one answer of history.
    pub history_points: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            body_bytes: 1024 * 1024,
            header_bytes: 32 * 1024,
            header_time: Duration::from_secs(5),
            request_time: Duration::from_secs(10),
            burst_requests: 200,
            requests_per_second: 100,
            rate_clients: 4096,
            streams: 64,
            // A second's changes of a fleet of a thousand nodes, and their first sweep's bursts.
            stream_backlog: 4096,
            exposition_series: 100_000,
            store_reads: 4,
            history_points: 5_000,
        }
    }
}

/// A text that must not be shown: prints as `***` wherever it is formatted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for comparing and sending only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
