//! Filesystems that are reached over a network or through a user-space daemon.
//!
//! Asking one of these for its space can hang for ever, so each mount has a child of its own: one
//! that hangs is named and killed, and disturbs no other. Which mounts there are is read from
//! `mountinfo`, which the kernel writes from memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use sickbay_model::{Filesystem, ProbeError, ProbeErrorKind, ProbeId, probe};

use crate::local::LocalCollector;
use crate::local::filesystem::{MAX_PATH_CHARACTERS, describe, select};
use crate::parse::{mountinfo, printable};
use crate::{Files, Roots, Sample, Space};

/// The most remote mounts that are asked; more are listed as not asked.
pub(crate) const MAX_REMOTE_MOUNTS: usize = 64;

/// A remote mount.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RemoteMount {
    pub(crate) path: PathBuf,
    /// Device number of the filesystem.
    pub(crate) device: (u32, u32),
    pub(crate) facts: Filesystem,
}

/// The remote mounts, by mount point.
pub(crate) fn remote_mounts(roots: &Roots) -> Result<BTreeMap<PathBuf, RemoteMount>, ProbeError> {
    let path = roots.proc.join("self/mountinfo");
    let read = match &roots.files {
        Files::Here => std::fs::read(&path),
        Files::Fetched(fetched) => fetched.content(&path).map(<[u8]>::to_vec),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        // A system without this file, or a recorded tree without it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(ProbeError {
                kind: ProbeErrorKind::Denied,
                message: format!("cannot read {}: {error}", path.display()),
                advice: None,
            });
        }
    };
    let mounts = mountinfo::parse(&bytes).map_err(|error| ProbeError {
        kind: ProbeErrorKind::Malformed,
        message: error.to_string(),
        advice: None,
    })?;
    let described = select(mounts).into_iter().map(|mount| {
        let path = PathBuf::from(OsString::from_vec(mount.mount_point.to_vec()));
        let facts = describe(&mount);
        (path.clone(), RemoteMount { path, device: mount.device, facts })
    });
    Ok(described.filter(|(_, mount)| mount.facts.remote).collect())
}

/// Asks one mount for its space. Runs in a child.
#[derive(Debug)]
pub(crate) struct MountCollector {
    path: PathBuf,
    mount_point: String,
}

impl MountCollector {
    pub(crate) fn new(path: PathBuf) -> Self {
        let mount_point = printable(path.as_os_str().as_bytes(), MAX_PATH_CHARACTERS);
        Self { path, mount_point }
    }
}

impl LocalCollector for MountCollector {
    fn probe(&self) -> ProbeId {
        probe::REMOTE_FILESYSTEM
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        // Only here is it sure to be current.
        let answer = match &roots.recorded_space {
            Some(record) => Space::recorded(record, &self.path),
            None => Space::ask(&self.path),
        };
        put_space(answer, &self.mount_point, out)
    }
}

/// Puts what a mount said of its space, or says what its failure means.
pub(crate) fn put_space(
    answer: io::Result<Space>,
    mount_point: &str,
    out: &mut Sample,
) -> Result<(), ProbeError> {
    match answer {
        Ok(space) => {
            space.put(mount_point, space.read_only, out);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            out.set_not_applicable("another user's mount, which this user may not ask");
            Ok(())
        }
        Err(error) => Err(ProbeError {
            kind: ProbeErrorKind::Failed,
            message: format!("cannot ask for its space: {error}"),
            advice: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use sickbay_model::catalogue::{FILESYSTEM_FREE, FILESYSTEM_SIZE};

    use super::*;

    #[test]
    fn the_uppermost_mount_counts() {
        let tree = tempfile::tempdir().expect("a directory");
        let roots = Roots::under(tree.path());
        assert_eq!(remote_mounts(&roots), Ok(BTreeMap::new()), "no mountinfo at all");
        std::fs::create_dir_all(roots.proc.join("self")).expect("made");
        let lines = "\
            22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 0:40 / /data rw - nfs4 server:/data rw\n\
            31 22 0:41 / /a\\040b ro - fuse.sshfs host:/ rw\n\
            32 22 0:42 / /over rw - nfs4 server:/over rw\n\
            33 32 8:2 / /over rw - ext4 /dev/sdb rw\n";
        std::fs::write(roots.proc.join("self/mountinfo"), lines).expect("written");
        let mounts = remote_mounts(&roots).expect("parses");
        let found: Vec<_> = mounts
            .values()
            .map(|mount| (mount.facts.mount_point.as_str(), mount.facts.read_only))
            .collect();
        assert_eq!(found, [("/a b", true), ("/data", false)]);
    }

    #[test]
    fn a_mount_tells_its_space() {
        let mut out = Sample::default();
        let mut collector = MountCollector::new("/".into());
        collector.collect(&Roots::default(), Duration::ZERO, &mut out).expect("answers");
        let value = |metric| {
            out.readings.iter().find(|reading| reading.metric == metric).map(|found| found.value)
        };
        assert!(value(FILESYSTEM_SIZE) > Some(0.0));
        assert!(value(FILESYSTEM_FREE) <= value(FILESYSTEM_SIZE));

        let mut collector = MountCollector::new("/no/such/mount".into());
        let error = collector.collect(&Roots::default(), Duration::ZERO, &mut out);
        assert!(error.expect_err("not there").message.contains("No such file"));
    }
}
