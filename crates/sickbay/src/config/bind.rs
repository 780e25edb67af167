//! Ties each field of the file to the setting that it is for, in one place for both directions.
//!
//! Downwards, what was written replaces the default; upwards, the settings in force (or the
//! defaults) are shown as a file. So a default is never written here, and the two directions cannot
//! disagree.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sickbay_collect::{LatencyTarget, LocalSettings, ProcessPattern, TorchMode};
use sickbay_hub::{ListenSettings, Secret, TlsSettings};
use sickbay_store::StoreOptions;

use super::raw::{RawConfig, RawListen, RawProcess, RawTlsMode, RawTorchMode, SecretText};
use super::settings::{LogSettings, Settings, WorkerSettings};
use super::units::{DurationText, PathText, ProgramText, SizeText, TargetText, UrlText};

/// Which way values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the file to the settings.
    Apply,
    /// From the settings to the file.
    Show,
}

/// The settings that a checked file means, over what `settings` held.
pub(super) fn apply(raw: &RawConfig, settings: &mut Settings) {
    tie_all(Direction::Apply, &mut raw.clone(), settings);
    // One directory for all, wherever it came from.
    settings.hub.store.path.clone_from(&settings.hub.data_dir);
}

/// Settings as a file with every field that has a value.
#[must_use]
pub(super) fn show(settings: &Settings) -> RawConfig {
    let mut raw = RawConfig::default();
    tie_all(Direction::Show, &mut raw, &mut settings.clone());
    raw
}

/// How a setting is written in the file. Neither way panics: a value that does not convert was
/// refused by the check before, and is left alone here.
pub(super) trait Written<T>: Sized {
    fn show(value: &T) -> Option<Self>;
    fn read(&self) -> Option<T>;
}

pub(super) fn tie<R: Written<T>, T>(direction: Direction, raw: &mut Option<R>, value: &mut T) {
    match direction {
        Direction::Apply => {
            if let Some(read) = raw.as_ref().and_then(Written::read) {
                *value = read;
            }
        }
        Direction::Show => *raw = R::show(value),
    }
}

/// Ties the fields of a section; shown, the section is there even if it holds nothing.
pub(super) fn section<R: Default>(
    direction: Direction,
    raw: &mut Option<R>,
    tie: impl FnOnce(&mut R),
) {
    match direction {
        Direction::Apply => {
            if let Some(raw) = raw {
                tie(raw);
            }
        }
        Direction::Show => tie(raw.get_or_insert_default()),
    }
}

fn tie_all(way: Direction, raw: &mut RawConfig, settings: &mut Settings) {
    let hub = &mut settings.hub;
    tie(way, &mut raw.data_dir, &mut hub.data_dir);
    section(way, &mut raw.listen, |raw| tie_listen(way, raw, &mut hub.listen));
    section(way, &mut raw.log, |raw| {
        let LogSettings { level, format, file } = &mut settings.log;
        tie(way, &mut raw.level, level);
        tie(way, &mut raw.format, format);
        tie(way, &mut raw.file, file);
    });
    tie_local(way, raw, &mut hub.local);
    super::bind_fleet::tie_fleet(way, raw, hub);
    super::bind_policy::tie_policy(way, raw, &mut hub.policy);
    super::raw_faults::tie_faults(way, &mut raw.faults, hub);
    super::bind_fleet::tie_silence(way, raw, &mut hub.policy);
    section(way, &mut raw.schedule, |raw| {
        tie(way, &mut raw.concurrency, &mut hub.concurrent_collections);
    });
    // Where space is judged is where it must be measured.
    if way == Direction::Apply {
        let watched = hub.policy.readiness.watched_paths.iter();
        hub.local.watched_paths = watched.map(PathBuf::from).collect();
        // Of what is asked rarely, one answer may be lost before the last one is stale.
        let remote = Arc::make_mut(&mut hub.ssh.remote);
        remote.longest_interval = hub.policy.state.stale_after * 3 / 5;
    }
    section(way, &mut raw.store, |raw| {
        let StoreOptions { retention, commit_interval, .. } = &mut hub.store;
        tie(way, &mut raw.raw_age, &mut retention.raw_age);
        tie(way, &mut raw.minute_age, &mut retention.minute_age);
        tie(way, &mut raw.hour_age, &mut retention.hour_age);
        tie(way, &mut raw.event_age, &mut retention.event_age);
        tie(way, &mut raw.check_age, &mut retention.check_age);
        tie(way, &mut raw.max_size, &mut retention.max_bytes);
        tie(way, &mut raw.commit_interval, commit_interval);
    });
    section(way, &mut raw.workers, |raw| {
        let WorkerSettings { monitoring, poll_interval, webhooks } = &mut settings.workers;
        tie(way, &mut raw.monitoring, monitoring);
        tie(way, &mut raw.poll_interval, poll_interval);
        tie(way, &mut raw.webhooks, webhooks);
    });
}

fn tie_listen(way: Direction, raw: &mut RawListen, listen: &mut ListenSettings) {
    tie(way, &mut raw.address, &mut listen.addr);
    tie(way, &mut raw.token, &mut listen.token);
    tie(way, &mut raw.host_names, &mut listen.host_names);
    match way {
        Direction::Apply => {
            listen.tls = match raw.tls {
                None | Some(RawTlsMode::Off) => None,
                Some(RawTlsMode::SelfSigned) => Some(TlsSettings::SelfSigned),
                Some(RawTlsMode::Files) => match (&raw.tls_certificate, &raw.tls_key) {
                    (Some(certificate), Some(key)) => Some(TlsSettings::Files {
                        certificate: certificate.0.clone(),
                        key: key.0.clone(),
                    }),
                    _ => None,
                },
            };
        }
        Direction::Show => match &listen.tls {
            None => raw.tls = Some(RawTlsMode::Off),
            Some(TlsSettings::SelfSigned) => raw.tls = Some(RawTlsMode::SelfSigned),
            Some(TlsSettings::Files { certificate, key }) => {
                raw.tls = Some(RawTlsMode::Files);
                raw.tls_certificate = Some(PathText(certificate.clone()));
                raw.tls_key = Some(PathText(key.clone()));
            }
        },
    }
}

fn tie_local(way: Direction, raw: &mut RawConfig, local: &mut LocalSettings) {
    section(way, &mut raw.probes, |raw| {
        tie(way, &mut raw.timeout, &mut local.probe_timeout);
        tie(way, &mut raw.process_interval, &mut local.process_scan_interval);
        tie(way, &mut raw.sensor_interval, &mut local.sensor_interval);
        tie(way, &mut raw.filesystem_interval, &mut local.filesystem_interval);
        tie(way, &mut raw.nvml_library, &mut local.nvml_library);
    });
    section(way, &mut raw.latency, |raw| {
        tie(way, &mut raw.targets, &mut local.latency_targets);
        tie(way, &mut raw.interval, &mut local.latency_interval);
    });
    tie(way, &mut raw.processes, &mut local.process_patterns);
    section(way, &mut raw.torch, |raw| {
        tie(way, &mut raw.mode, &mut local.torch.mode);
        tie(way, &mut raw.interpreter, &mut local.torch.interpreter);
        tie(way, &mut raw.timeout, &mut local.torch.timeout);
        tie(way, &mut raw.refresh, &mut local.torch.refresh);
    });
}

macro_rules! written_as_itself {
    ($($type:ty),*) => { $(
        impl Written<$type> for $type {
            fn show(value: &$type) -> Option<Self> {
                Some(value.clone())
            }

            fn read(&self) -> Option<$type> {
                Some(self.clone())
            }
        }
    )* };
}

written_as_itself!(bool, super::raw::RawLogLevel, super::raw::RawLogFormat);

macro_rules! written_as_number {
    ($($type:ty),*) => { $(
        impl Written<$type> for $type {
            fn show(value: &$type) -> Option<Self> {
                Some(*value)
            }

            fn read(&self) -> Option<$type> {
                Some(*self)
            }
        }

        impl Written<Option<$type>> for $type {
            fn show(value: &Option<$type>) -> Option<Self> {
                *value
            }

            fn read(&self) -> Option<Option<$type>> {
                Some(Some(*self))
            }
        }
    )* };
}

written_as_number!(u32, f64);

macro_rules! written_as_newtype {
    ($($written:ident($type:ty)),*) => { $(
        impl Written<$type> for $written {
            fn show(value: &$type) -> Option<Self> {
                Some(Self(value.clone()))
            }

            fn read(&self) -> Option<$type> {
                Some(self.0.clone())
            }
        }

        impl Written<Option<$type>> for $written {
            fn show(value: &Option<$type>) -> Option<Self> {
                value.clone().map(Self)
            }

            fn read(&self) -> Option<Option<$type>> {
                Some(Some(self.0.clone()))
            }
        }
    )* };
}

written_as_newtype!(
    DurationText(Duration),
    SizeText(u64),
    PathText(PathBuf),
    ProgramText(PathBuf),
    SecretText(Secret),
    TargetText(LatencyTarget),
    UrlText(String)
);

macro_rules! written_as_text {
    ($($type:ty),*) => { $(
        impl Written<$type> for String {
            fn show(value: &$type) -> Option<Self> {
                Some(value.to_string())
            }

            fn read(&self) -> Option<$type> {
                self.parse().ok()
            }
        }
    )* };
}

written_as_text!(String, SocketAddr);

impl<R: Written<T>, T> Written<Vec<T>> for Vec<R> {
    fn show(values: &Vec<T>) -> Option<Self> {
        Some(values.iter().filter_map(R::show).collect())
    }

    fn read(&self) -> Option<Vec<T>> {
        Some(self.iter().filter_map(R::read).collect())
    }
}

impl Written<ProcessPattern> for RawProcess {
    fn show(value: &ProcessPattern) -> Option<Self> {
        let ProcessPattern { name, pattern, expected } = value.clone();
        Some(Self { name, pattern, expected })
    }

    fn read(&self) -> Option<ProcessPattern> {
        let Self { name, pattern, expected } = self.clone();
        Some(ProcessPattern { name, pattern, expected })
    }
}

impl Written<TorchMode> for RawTorchMode {
    fn show(value: &TorchMode) -> Option<Self> {
        Some(match value {
            TorchMode::Auto => Self::Auto,
            TorchMode::Always => Self::Always,
            TorchMode::Never => Self::Never,
        })
    }

    fn read(&self) -> Option<TorchMode> {
        Some(match self {
            Self::Auto => TorchMode::Auto,
            Self::Always => TorchMode::Always,
            Self::Never => TorchMode::Never,
        })
    }
}
