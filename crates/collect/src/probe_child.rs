//! Probe children: the collectors that can hang, in a process that can be killed.
//!
//! The parent sends one request per line, naming one collector; the child answers with one line.
//! Both ends are the same binary, so the lines carry no version. What the child must know of the
//! settings comes in its environment, because a fresh child must know it without being told again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{ProbeError, ProbeErrorKind};
use sickbay_runtime::{ChildCommand, Clock, cost, serve_worker};

use crate::gpu::{AmdCollector, NvidiaCollector};
use crate::local::LocalCollector;
use crate::local::registry;
use crate::remote_filesystem::MountCollector;
use crate::{LocalSettings, ProcessPattern, Roots, Sample};

/// The environment variable that carries [`ChildSettings`].
const SETTINGS_VARIABLE: &str = "SICKBAY_PROBE_SETTINGS";

/// Which collectors a child runs: the word after `__probe`, and for `mount` one more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildKind {
    /// The host's collectors that can hang, and AMD GPUs.
    Host,
    /// NVIDIA GPUs.
    Nvidia,
    /// One mount.
    Mount(PathBuf),
}

impl ChildKind {
    fn args(&self) -> Vec<String> {
        match self {
            Self::Host => vec!["host".to_owned()],
            Self::Nvidia => vec!["nvidia".to_owned()],
            Self::Mount(_) => vec!["mount".to_owned()],
        }
    }

    /// Its collectors, freshly made. Parent and child make the same list, so a place in it names a
    /// collector.
    pub(crate) fn collectors(&self, settings: &ChildSettings) -> Vec<Box<dyn LocalCollector>> {
        match self {
            Self::Host => {
                let entries = registry::host_child(&settings.patterns).into_iter();
                let mut collectors: Vec<_> = entries.map(|entry| entry.collector).collect();
                collectors.push(Box::new(AmdCollector::default()));
                collectors
            }
            Self::Nvidia => vec![Box::new(NvidiaCollector::new(settings.nvml_library.clone()))],
            Self::Mount(path) => vec![Box::new(MountCollector::new(path.clone()))],
        }
    }
}

/// What a child must know of the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChildSettings {
    pub(crate) roots: Roots,
    pub(crate) patterns: Vec<ProcessPattern>,
    pub(crate) nvml_library: Option<PathBuf>,
    /// The mount of a child of that kind: not an argument, because paths need not be UTF-8.
    #[serde(default, with = "path_bytes")]
    pub(crate) mount: PathBuf,
}

impl ChildSettings {
    pub(crate) fn of(settings: &LocalSettings) -> Self {
        Self {
            roots: settings.roots.clone(),
            patterns: settings.process_patterns.clone(),
            nvml_library: settings.nvml_library.clone(),
            mount: PathBuf::new(),
        }
    }

    /// How to start a child of a kind.
    pub(crate) fn command(
        &self,
        base: &ChildCommand,
        kind: &ChildKind,
    ) -> Result<ChildCommand, ProbeError> {
        let mut settings = self.clone();
        if let ChildKind::Mount(path) = kind {
            settings.mount.clone_from(path);
        }
        let text = serde_json::to_string(&settings).map_err(|error| {
            failed(format!("cannot tell the probe's settings to a child: {error}"))
        })?;
        let mut command = base.clone();
        command.args.extend(kind.args());
        command.env.push((SETTINGS_VARIABLE.to_owned(), text));
        Ok(command)
    }
}

/// Paths as bytes: JSON has no other way to carry those that are not UTF-8.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
        Ok(PathBuf::from(OsString::from_vec(Vec::deserialize(d)?)))
    }
}

/// One request: the place of a collector in the child's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) collect: usize,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) result: Result<Sample, ProbeError>,
    pub(crate) took: Duration,
    /// CPU time of the child since it began.
    pub(crate) cpu: Duration,
}

/// Runs a probe child: `host`, `nvidia`, `amd` or `mount [PATH]`. Returns when its stdin ends.
#[must_use]
pub fn probe_main(args: &[String]) -> ExitCode {
    let mut settings = std::env::var(SETTINGS_VARIABLE)
        .ok()
        .and_then(|text| serde_json::from_str::<ChildSettings>(&text).ok())
        .unwrap_or_default();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut collectors = match words.as_slice() {
        ["host"] => ChildKind::Host.collectors(&settings),
        ["nvidia"] => ChildKind::Nvidia.collectors(&settings),
        ["amd"] => vec![Box::new(AmdCollector::default()) as Box<dyn LocalCollector>],
        ["mount", path @ ..] => {
            if let Some(path) = path.first() {
                settings.mount = PathBuf::from(path);
            }
            ChildKind::Mount(settings.mount.clone()).collectors(&settings)
        }
        _ => {
            tracing::error!(?args, "not a probe; use host, nvidia, amd or mount PATH");
            return ExitCode::from(2);
        }
    };
    let clock = Clock::system();
    serve_worker(|line| {
        let result = match serde_json::from_slice::<Request>(line) {
            Ok(request) => answer(&mut collectors, request, &settings.roots, &clock),
            Err(error) => Answer {
                result: Err(failed(format!("the probe child was asked nonsense: {error}"))),
                took: Duration::ZERO,
                cpu: Duration::ZERO,
            },
        };
        serde_json::to_vec(&result).unwrap_or_default()
    })
}

fn answer(
    collectors: &mut [Box<dyn LocalCollector>],
    request: Request,
    roots: &Roots,
    clock: &Clock,
) -> Answer {
    let before = clock.monotonic();
    let result = match collectors.get_mut(request.collect) {
        Some(collector) => collect_one(&mut **collector, roots, before),
        None => Err(failed(format!("the probe child has no collector {}", request.collect))),
    };
    Answer { result, took: clock.monotonic() - before, cpu: cost::process_cpu_time() }
}

/// Asks one collector.
pub(crate) fn collect_one(
    collector: &mut dyn LocalCollector,
    roots: &Roots,
    monotonic: Duration,
) -> Result<Sample, ProbeError> {
    let mut sample = Sample::default();
    collector.collect(roots, monotonic, &mut sample)?;
    Ok(sample)
}

pub(crate) fn failed(message: String) -> ProbeError {
    ProbeError { kind: ProbeErrorKind::Failed, message, advice: None }
}

/// Holds whatever a child writes, and whatever it is asked; for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn any_line(bytes: &[u8]) {
    let _ = serde_json::from_slice::<Request>(bytes);
    let _ = serde_json::from_slice::<ChildSettings>(bytes);
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        let line = serde_json::to_vec(&answer).unwrap_or_default();
        assert_eq!(serde_json::from_slice(&line).ok(), Some(answer), "it crosses the pipe again");
    }
}
