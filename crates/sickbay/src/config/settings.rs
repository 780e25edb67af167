//! What a valid configuration is: the settings of every part, by their own types.

use std::path::PathBuf;
use std::time::Duration;

use sickbay_hub::HubSettings;

use super::locate::default_data_dir;
use super::raw::{RawLogFormat, RawLogLevel};
use super::ssh_defaults::ssh_defaults;
use crate::environment::Environment;

/// Everything that the binary needs to know. Made only by [`super::load`], so it is valid.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub and everything in it.
    pub hub: HubSettings,
    /// The log.
    pub log: LogSettings,
    /// Rented cloud workers.
    pub workers: WorkerSettings,
}

impl Settings {
    /// The defaults of somebody with this environment.
    #[must_use]
    pub fn defaults(environment: &Environment, root: bool) -> Self {
        let mut settings = Self::new(default_data_dir(environment, root));
        settings.hub.ssh = ssh_defaults(environment, root);
        settings
    }

    /// The defaults of nobody in particular, keeping data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            hub: HubSettings::new(data_dir),
            log: LogSettings::default(),
            workers: WorkerSettings::default(),
        }
    }

    /// The file that the log goes to.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.log.file.clone().unwrap_or_else(|| self.hub.data_dir.join("log").join("sickbay.log"))
    }
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severity that is written.
    pub level: RawLogLevel,
    /// How a line looks.
    pub format: RawLogFormat,
    /// Where it goes besides standard error; none means the data directory.
    pub file: Option<PathBuf>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: RawLogLevel::Info, format: RawLogFormat::Text, file: None }
    }
}

/// Rented cloud workers; the defaults are seed 5's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Whether they are watched.
    pub monitoring: bool,
    /// How often they are asked.
    pub poll_interval: Duration,
    /// Who is told of their troubles.
    pub webhooks: Vec<String>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { monitoring: true, poll_interval: Duration::from_secs(300), webhooks: Vec::new() }
    }
}
