//! Remote filesystems where the kernel has no `mountinfo`: none are told apart, none are asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sickbay_model::{Filesystem, ProbeError, ProbeId, probe};

use crate::local::LocalCollector;
use crate::{Roots, Sample};

/// The most remote mounts that are asked.
pub(crate) const MAX_REMOTE_MOUNTS: usize = 64;

/// A remote mount.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RemoteMount {
    pub(crate) path: PathBuf,
    pub(crate) device: (u32, u32),
    pub(crate) facts: Filesystem,
}

/// The remote mounts, by mount point: on this system, none are known.
pub(crate) fn remote_mounts(_roots: &Roots) -> Result<BTreeMap<PathBuf, RemoteMount>, ProbeError> {
    Ok(BTreeMap::new())
}

/// Asks one mount for its space.
#[derive(Debug)]
pub(crate) struct MountCollector;

impl MountCollector {
    pub(crate) fn new(_path: PathBuf) -> Self {
        Self
    }
}

impl LocalCollector for MountCollector {
    fn probe(&self) -> ProbeId {
        probe::REMOTE_FILESYSTEM
    }

    fn collect(
        &mut self,
        _roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        out.set_not_applicable("remote filesystems are only told apart on Linux");
        Ok(())
    }
}
