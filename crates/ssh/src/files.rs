//! What is read from disk for a connection, kept until it changes.
//!
//! **Must hold**: a file is read again when it changed, looked at no more often than every
//! [`LOOK_AGAIN_AFTER`]; nothing here is called from an asynchronous task but on a thread for
//! blocking work: a home may lie on a network.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sickbay_model::{ProbeError, SshTarget};
use sickbay_runtime::Clock;

use crate::SshSettings;
use crate::config::{Config, ConfigError, ConfigFiles};
use crate::keys::{self, KeyFile};
use crate::known_hosts::{self, KnownHosts};
use crate::route::{self, Hop, Route};
use crate::trouble;

/// How long what was read counts without another look.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long a config counts: it may include other files, so all of it is read again.
const CONFIG_KEPT_FOR: Duration = Duration::from_secs(10);
/// How many files are kept.
const MAX_KEPT: usize = 1024;

/// A hop with what is known of its keys.
#[derive(Clone, Debug)]
pub(crate) struct PreparedHop {
    pub(crate) hop: Hop,
    pub(crate) known_hosts: Vec<Arc<KnownHosts>>,
    pub(crate) keys: Vec<(PathBuf, Arc<KeyFile>)>,
}

/// Everything on disk that a connection needs.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) jumps: Vec<PreparedHop>,
    pub(crate) target: PreparedHop,
}

/// The files read so far.
#[derive(Debug)]
pub(crate) struct KeptFiles {
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    config: Option<(Duration, Result<Arc<Config>, ConfigError>)>,
    told: Vec<String>,
    known_hosts: HashMap<PathBuf, Entry<KnownHosts>>,
    keys: HashMap<PathBuf, Entry<KeyFile>>,
}

#[derive(Debug)]
struct Entry<T> {
    looked: Duration,
    /// Of the file and of those beside it.
    stamp: Vec<Option<Stamp>>,
    value: Arc<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    changed: Option<SystemTime>,
    /// When its owner or mode changed, too: seconds and nanoseconds.
    altered: (i64, i64),
    inode: u64,
}

impl KeptFiles {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::system(), kept: Mutex::default() }
    }

    /// The wall clock, in seconds since 1970.
    pub(crate) fn now_unix_s(&self) -> u64 {
        u64::try_from(self.clock.now_ms() / 1000).unwrap_or(0)
    }

    /// A span that differs from call to call, up to `limit`.
    pub(crate) fn jitter(&self, limit: Duration) -> Duration {
        let nanoseconds = u64::from(self.clock.monotonic().subsec_nanos());
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(nanoseconds.wrapping_mul(2_654_435_761) % limit)
    }

    /// Reads what a connection to a target needs. Blocks.
    ///
    /// # Errors
    /// When the config cannot be read or has a mistake that concerns the target.
    pub(crate) fn prepare(
        &self,
        target: &SshTarget,
        settings: &SshSettings,
    ) -> Result<Prepared, ProbeError> {
        let Route { jumps, target } = self.route(target, settings)?;
        Ok(Prepared {
            jumps: jumps.into_iter().map(|hop| self.hop(hop)).collect(),
            target: self.hop(target),
        })
    }

    /// The way to a target. Blocks.
    pub(crate) fn route(
        &self,
        target: &SshTarget,
        settings: &SshSettings,
    ) -> Result<Route, ProbeError> {
        let config = self
            .config(settings)
            .map_err(|error| trouble::failed(format!("the SSH config cannot be used: {error}")))?;
        route::resolve(target, &config, settings)
    }

    /// The config. Blocks.
    pub(crate) fn config(&self, settings: &SshSettings) -> Result<Arc<Config>, ConfigError> {
        let now = self.clock.monotonic();
        if let Some((read, config)) = &self.lock().config
            && now < *read + CONFIG_KEPT_FOR
        {
            return config.clone();
        }
        let config = read_config(settings).map(Arc::new);
        let mut kept = self.lock();
        if let Ok(config) = &config {
            for notice in &config.notices {
                // Once, not at every reading.
                if !kept.told.contains(notice) && kept.told.len() < MAX_KEPT {
                    tracing::warn!("{notice}");
                    kept.told.push(notice.clone());
                }
            }
        }
        kept.config = Some((now, config.clone()));
        config
    }

    /// A key was written to a file of known hosts: it is to be read again at once.
    pub(crate) fn forget_known_hosts(&self, file: &Path) {
        self.lock().known_hosts.remove(file);
    }

    fn hop(&self, hop: Hop) -> PreparedHop {
        let known_hosts = hop.trust.files.iter().map(|file| {
            let load = || KnownHosts::parse(file.clone(), &read_known_hosts(file));
            self.kept(file, |kept| &mut kept.known_hosts, &[], load)
        });
        let known_hosts = known_hosts.collect();
        let keys = hop.keys.files.iter().map(|file| (file.clone(), self.key(file)));
        let keys = keys.collect();
        PreparedHop { hop, known_hosts, keys }
    }

    fn key(&self, file: &Path) -> Arc<KeyFile> {
        let beside = keys::BESIDE.map(|suffix| keys::beside(file, suffix));
        self.kept(file, |kept| &mut kept.keys, &beside, || KeyFile::load(file))
    }

    /// What a file, and those beside it, were loaded into.
    fn kept<T>(
        &self,
        file: &Path,
        map: impl Fn(&mut Kept) -> &mut HashMap<PathBuf, Entry<T>>,
        beside: &[PathBuf],
        load: impl FnOnce() -> T,
    ) -> Arc<T> {
        let now = self.clock.monotonic();
        if let Some(entry) = map(&mut self.lock()).get(file)
            && now < entry.looked + LOOK_AGAIN_AFTER
        {
            return Arc::clone(&entry.value);
        }
        let stamp = std::iter::once(file).chain(beside.iter().map(PathBuf::as_path));
        let stamp: Vec<_> = stamp.map(Stamp::of).collect();
        if let Some(entry) = map(&mut self.lock()).get_mut(file)
            && entry.stamp == stamp
        {
            entry.looked = now;
            return Arc::clone(&entry.value);
        }
        let value = Arc::new(load());
        let mut kept = self.lock();
        let map = map(&mut kept);
        if map.len() >= MAX_KEPT {
            map.clear();
        }
        map.insert(file.to_owned(), Entry { looked: now, stamp, value: Arc::clone(&value) });
        value
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            length: metadata.len(),
            changed: metadata.modified().ok(),
            altered: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        })
    }
}

/// Whoever may write a config chooses whose keys count. As with `ssh`, it has to be ours or root's;
/// that a group may write it is left to who made the group.
fn trusted(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    let (owner, mode) = (metadata.uid(), metadata.mode());
    if mode & 0o002 != 0 && metadata.is_file() {
        let what = format!("others may write it (mode {:04o}): chmod go-w it", mode & 0o7777);
        return Err(std::io::Error::other(what));
    }
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(std::io::Error::other("it belongs to another user, who could change it"));
    }
    Ok(())
}

fn read_config(settings: &SshSettings) -> Result<Config, ConfigError> {
    let read = |path: &Path| match std::fs::File::open(path) {
        Ok(file) => {
            trusted(&file)?;
            let mut bytes = Vec::new();
            // One byte more than is taken shows that there is more.
            file.take(crate::config::MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let list = |directory: &Path| -> Vec<OsString> {
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
    };
    let files = ConfigFiles { read: &read, list: &list, home: settings.home.as_deref() };
    Config::parse(&settings.config_files, &files)
}

/// A file that cannot be read holds nobody's key: hosts are unknown then, and that is said.
fn read_known_hosts(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let limit = known_hosts::MAX_FILE_BYTES as u64;
    let read =
        std::fs::File::open(file).and_then(|open| open.take(limit + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > limit => {
            tracing::warn!("{} is longer than {limit} bytes: the rest is not read", file.display());
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!("cannot read {}: {error}", file.display()),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    fn keygen(arguments: &[&str], file: &Path) {
        let made = Command::new("ssh-keygen").arg("-q").args(arguments).arg(file).output();
        let made = made.expect("ssh-keygen runs: install openssh-client");
        assert!(made.status.success(), "{made:?}");
    }

    #[test]
    fn what_changes_about_a_key_is_seen() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        keygen(&["-t", "ed25519", "-N", "", "-f"], &path("authority"));
        keygen(&["-t", "ed25519", "-N", "", "-f"], &path("key"));
        let authority = path("authority").display().to_string();
        let sign = |id: &str| keygen(&["-s", &authority, "-I", id, "-n", "me"], &path("key.pub"));
        let allow = |mode: u32| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path("key"), permissions).expect("set");
        };
        let (clock, hands) = Clock::manual(0);
        let files = KeptFiles { clock, kept: Mutex::default() };
        let look = || {
            hands.advance(LOOK_AGAIN_AFTER);
            match &*files.key(&path("key")) {
                KeyFile::Ready { certificate, .. } => match certificate {
                    Some(certificate) => format!("certified {}", certificate.key_id()),
                    None => "ready".to_owned(),
                },
                other => format!("{other:?}"),
            }
        };
        assert_eq!(look(), "ready");
        sign("first");
        assert_eq!(look(), "certified first");
        // Certificates live for hours: the key stays the same.
        sign("other");
        assert_eq!(look(), "certified other");
        std::fs::remove_file(path("key-cert.pub")).expect("removed");
        assert_eq!(look(), "ready");
        // Who follows the advice is believed.
        allow(0o644);
        assert!(look().contains("chmod 600"));
        allow(0o600);
        assert_eq!(look(), "ready");
        std::fs::remove_file(path("key")).expect("removed");
        assert!(look().starts_with("Locked"));
        std::fs::remove_file(path("key.pub")).expect("removed");
        assert_eq!(look(), "Absent");
    }
}
