//! A hub's home with other machines in its `~/.ssh`.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::sshd::{Lab, Sshd};
use crate::support::Place;

/// A home, and the keys and servers that it knows.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) lab: Lab,
}

/// Looks at nodes every second, so that a test need not wait long; doubts no schedule and judges no
/// load, for the machine that runs the tests may be busy.
pub(crate) const QUICK: &str = "\
schedule: {active_interval: 1s, idle_interval: 1s}
probes: {timeout: 3s, filesystem_interval: 1s, process_interval: 2s}
breaker: {open_for: 20m}
doubt: {lag: 1h}
readiness: {disk_free: 1MB, latency_ms: 60000}
store: {commit_interval: 100ms}
overrides:
  - {check: cpu}
  - {check: memory}
  - {check: pressure_cpu}
  - {check: pressure_io}
  - {check: pressure_memory}
  - {check: latency}
  - {check: filesystem_space}
  - {check: filesystem_inodes}
  - {check: file_handles}
  - {check: process_zombies}
";

impl Site {
    /// A home whose config is quick, and what else is given.
    pub(crate) fn new(config: &str) -> Self {
        let site = Self { place: Place::new(), lab: Lab::new() };
        std::fs::write(site.place.dir.path().join("config.yaml"), format!("{QUICK}{config}"))
            .unwrap();
        std::fs::create_dir(site.place.dir.path().join(".ssh")).unwrap();
        site
    }

    /// A file of `~/.ssh`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.dir.path().join(".ssh").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut all = std::fs::read_to_string(self.file(name)).unwrap_or_default();
        all.push_str(text);
        std::fs::write(self.file(name), all).unwrap();
    }

    /// Makes an alias for a server whose host key is known.
    pub(crate) fn knows(&self, alias: &str, address: &str, sshd: &Sshd) {
        self.names(alias, address, sshd.port, "");
        self.append("known_hosts", &format!("{}\n", self.lab.known(address, sshd).trim_end()));
    }

    /// Makes an alias, and knows no key of it.
    pub(crate) fn names(&self, alias: &str, address: &str, port: u16, more: &str) {
        let (user, key) = (self.lab.user(), self.lab.path("user"));
        let mut block = format!("Host {alias}\n  HostName {address}\n  Port {port}\n");
        let _ = writeln!(block, "  User {user}\n  IdentityFile {}\n{more}", key.display());
        self.append("config", &block);
    }

    /// Judges the space of filesystems after all: for hosts whose disks are played.
    pub(crate) fn judge_space(&self) {
        let file = self.place.config_file();
        let config = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, config.replace("  - {check: filesystem_space}\n", "")).unwrap();
    }

    /// Adds to the config file.
    pub(crate) fn configure(&self, text: &str) {
        let file = self.place.config_file();
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, before + text).unwrap();
    }
}
