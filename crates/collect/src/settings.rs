//! What local collection needs to know. Sensible without any configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_runtime::ChildCommand;

use crate::{FaultMatcher, Fetched, Files};

/// Settings of [`crate::LocalNode`].
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// Where the kernel's files are; another place in tests.
    pub roots: Roots,
    /// How to start this binary's hidden `__probe` command; the kind of probe is appended to its
    /// arguments. `None` runs everything in this process, where a hang cannot be killed: for tests
    /// and for those who use the crate without the binary.
    pub child: Option<ChildCommand>,
    /// Free space is judged on the filesystems of these paths. Nothing is asked for them alone: every
    /// filesystem is measured, and the engine picks theirs.
    pub watched_paths: Vec<PathBuf>,
    /// Where round trips are measured to; empty means the default gateway.
    pub latency_targets: Vec<LatencyTarget>,
    /// Which processes are named by the configuration.
    pub process_patterns: Vec<ProcessPattern>,
    /// When and how torch is asked.
    pub torch: TorchSettings,
    /// NVML's shared library; `None` lets the loader search.
    pub nvml_library: Option<PathBuf>,
    /// How long one probe may take before it is killed. Default 5 s (the health model's timeout).
    pub probe_timeout: Duration,
    /// How often processes are scanned. Default 15 s.
    pub process_scan_interval: Duration,
    /// How often temperature sensors are read: some chips take milliseconds. Default 30 s.
    pub sensor_interval: Duration,
    /// How often filesystems are asked for their space. Default 15 s.
    pub filesystem_interval: Duration,
    /// How often round trips are measured. Default 5 s.
    pub latency_interval: Duration,
    /// What recognises faults in the kernel's log. Default: the catalogue that comes with the program.
    pub faults: Arc<FaultMatcher>,
}

/// Default of [`LocalSettings::probe_timeout`].
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Default of [`LocalSettings::process_scan_interval`].
const PROCESS_SCAN_INTERVAL: Duration = Duration::from_secs(15);
/// Default of [`LocalSettings::sensor_interval`].
const SENSOR_INTERVAL: Duration = Duration::from_secs(30);
/// Default of [`LocalSettings::filesystem_interval`].
const FILESYSTEM_INTERVAL: Duration = Duration::from_secs(15);
/// Default of [`LocalSettings::latency_interval`].
const LATENCY_INTERVAL: Duration = Duration::from_secs(5);

impl Default for LocalSettings {
    fn default() -> Self {
        Self {
            roots: Roots::default(),
            child: None,
            watched_paths: vec![PathBuf::from("/")],
            latency_targets: Vec::new(),
            process_patterns: Vec::new(),
            torch: TorchSettings::default(),
            nvml_library: None,
            probe_timeout: PROBE_TIMEOUT,
            process_scan_interval: PROCESS_SCAN_INTERVAL,
            sensor_interval: SENSOR_INTERVAL,
            filesystem_interval: FILESYSTEM_INTERVAL,
            latency_interval: LATENCY_INTERVAL,
            faults: FaultMatcher::embedded(),
        }
    }
}

/// Where the kernel's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/etc`.
    pub etc: PathBuf,
    /// Whether these are directories of this machine, or copies of another's files.
    #[serde(skip)]
    pub files: Files,
    /// Of a recorded tree: the file that says what `statvfs` answers, because its mounts are not
    /// there to be asked. See [`crate::Space::recorded`].
    #[serde(default)]
    pub recorded_space: Option<PathBuf>,
}

impl Default for Roots {
    fn default() -> Self {
        Self::under(Path::new("/"))
    }
}

impl Roots {
    /// The root of another machine, of whose files these are copies.
    #[must_use]
    pub fn fetched(files: Fetched) -> Self {
        Self { files: Files::Fetched(Arc::new(files)), ..Self::default() }
    }

    /// What the filesystem on which this path lies says of its space, be it recorded. Can hang.
    ///
    /// # Errors
    /// What `statvfs` answers.
    pub fn space(&self, path: &Path) -> std::io::Result<crate::Space> {
        match &self.recorded_space {
            Some(record) => crate::Space::recorded(record, path),
            None => self.files.space(path),
        }
    }

    /// All four under another root: a recorded tree.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self {
            proc: root.join("proc"),
            sys: root.join("sys"),
            dev: root.join("dev"),
            etc: root.join("etc"),
            files: Files::Here,
            recorded_space: None,
        }
    }
}

/// Which processes are of interest, by their command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPattern {
    /// What a person calls it.
    pub name: String,
    /// What the command line must contain; with `*` or `?` it is a glob over the whole line.
    pub pattern: String,
    /// Whether a missing match is a finding.
    pub expected: bool,
}

/// Whether torch is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TorchMode {
    /// Asked; not applicable where there is no GPU and torch cannot be imported.
    #[default]
    Auto,
    /// Asked; a failure is always a failure.
    Always,
    /// Not asked.
    Never,
}

/// When and how torch is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorchSettings {
    /// Whether.
    pub mode: TorchMode,
    /// The Python interpreter; `None` means `$VIRTUAL_ENV/bin/python`, else `python3` in `PATH`.
    pub interpreter: Option<PathBuf>,
    /// How long `import torch` may take. Default 30 s (seed 1).
    pub timeout: Duration,
    /// How long an answer is good for. Default 15 min; a GPU event asks again at once.
    pub refresh: Duration,
}

impl Default for TorchSettings {
    fn default() -> Self {
        Self {
            mode: TorchMode::Auto,
            interpreter: None,
            timeout: Duration::from_secs(30),
            refresh: Duration::from_secs(15 * 60),
        }
    }
}

/// Where a round trip is measured to.
///
/// `icmp:HOST` sends echo requests, `tcp:HOST:PORT` opens a connection, a bare `HOST` means echo
/// requests, and `HOST:PORT` means echo requests where these are permitted and answered, else a
/// connection. IPv6 addresses with a port stand in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LatencyTarget {
    text: String,
    host: String,
    port: Option<u16>,
    echo: bool,
}

/// The longest host name that DNS allows, in bytes.
const MAX_HOST_BYTES: usize = 253;

impl LatencyTarget {
    /// As configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one is given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether echo requests may be used.
    #[must_use]
    pub fn may_echo(&self) -> bool {
        self.echo
    }
}

impl fmt::Display for LatencyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for LatencyTarget {
    type Err = ParseLatencyTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseLatencyTargetError(text.to_owned());
        let (echo, connect, address) = match text.split_once(':') {
            Some(("icmp", rest)) => (true, false, rest),
            Some(("tcp", rest)) => (false, true, rest),
            _ => (true, true, text),
        };
        let (host, port) = split_port(address).ok_or_else(refuse)?;
        let host_valid = !host.is_empty()
            && host.len() <= MAX_HOST_BYTES
            && host.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%')
            });
        // A port makes no sense for echo requests alone, and a connection needs one.
        let port_valid = match port {
            Some(port) => connect && port != 0,
            None => echo,
        };
        if host_valid && port_valid {
            Ok(Self { text: text.to_owned(), host: host.to_owned(), port, echo })
        } else {
            Err(refuse())
        }
    }
}

/// Splits `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT` and a bare IPv6 address.
fn split_port(address: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    match address.split_once(':') {
        None => Some((address, None)),
        // More than one colon without brackets: an IPv6 address.
        Some((_, rest)) if rest.contains(':') => Some((address, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
    }
}

/// A text that is no latency target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a latency target; write HOST, HOST:PORT, icmp:HOST or tcp:HOST:PORT, an IPv6 \
     address with a port in brackets"
)]
pub struct ParseLatencyTargetError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_targets_parse() {
        for (text, host, port, echo) in [
            ("gpu-07", "gpu-07", None, true),
            ("10.0.0.1:22", "10.0.0.1", Some(22), true),
            ("icmp:10.0.0.1", "10.0.0.1", None, true),
            ("tcp:db.example:5432", "db.example", Some(5432), false),
            ("fe80::1%eth0", "fe80::1%eth0", None, true),
            ("[::1]:443", "::1", Some(443), true),
            ("tcp:[::1]:443", "::1", Some(443), false),
            ("icmp:::1", "::1", None, true),
        ] {
            let target: LatencyTarget = text.parse().expect(text);
            assert_eq!(
                (target.host(), target.port(), target.may_echo(), target.as_str()),
                (host, port, echo, text)
            );
        }
        for text in [
            "",
            ":",
            ":80",
            "a b",
            "host:",
            "host:0",
            "host:65536",
            "host:http",
            "tcp:host",
            "icmp:host:80",
            "[::1",
            "[::1]x",
            "-\n",
            "ho\u{308}st",
        ] {
            assert!(text.parse::<LatencyTarget>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn roots_follow_one_root() {
        let roots = Roots::under(Path::new("/recorded"));
        assert_eq!(roots.proc, Path::new("/recorded/proc"));
        assert_eq!(Roots::default().sys, Path::new("/sys"));
    }
}
