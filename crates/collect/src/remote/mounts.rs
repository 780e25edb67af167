//! Filesystems over a network, on the node: each is asked on its own and has its own deadline.
//!
//! What must hold: one that hangs is named, is asked with growing pauses, and holds no other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sickbay_model::{Filesystem, ProbeError, ProbeReport, Timestamp, probe};

use super::late_on_node;
use super::reader::Reader;
use super::tree;
use crate::asked::{Asked, Ended, Kept, hang_pause};
use crate::local_node::{marked, report_of, unasked};
use crate::parse::mountinfo;
use crate::remote_filesystem::{MAX_REMOTE_MOUNTS, RemoteMount, put_space, remote_mounts};
use crate::{Fetched, Roots, Sample, Space};

/// The most bytes of an answer: the longest list of mounts.
pub(super) const MAX_ANSWER_BYTES: usize = 6 << 20;

/// The node's mounts of this kind.
pub(super) struct Mounts {
    interval: Duration,
    mounts: BTreeMap<PathBuf, One>,
    /// Mounts beyond the limit.
    unasked: Vec<Filesystem>,
    /// The list of mounts itself could not be understood.
    error: Option<ProbeError>,
    listed_at: Option<Timestamp>,
    due: Duration,
    hangs: u32,
}

struct One {
    mount: RemoteMount,
    asked: Asked,
    under_way: bool,
}

impl Mounts {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            mounts: BTreeMap::new(),
            unasked: Vec::new(),
            error: None,
            listed_at: None,
            due: Duration::ZERO,
            hangs: 0,
        }
    }

    /// Takes in the node's list of mounts.
    pub(super) fn list(&mut self, roots: &Roots, at: Timestamp) {
        self.listed_at = Some(at);
        let mut found = match remote_mounts(roots) {
            Ok(found) => found,
            Err(error) => {
                self.error = Some(error);
                return;
            }
        };
        self.error = None;
        self.mounts.retain(|path, one| found.remove(path).is_some_and(|new| new == one.mount));
        self.unasked.clear();
        for (path, mount) in found {
            if self.mounts.len() >= MAX_REMOTE_MOUNTS {
                self.unasked.push(unasked(mount.facts));
                continue;
            }
            let asked = Asked::new(probe::REMOTE_FILESYSTEM, self.interval);
            self.mounts.insert(path, One { mount, asked, under_way: false });
        }
    }

    /// The words of a question, if a mount is due: the numbers of those that are not.
    /// What answered is left alone for `rest`.
    pub(super) fn words(&mut self, now: Duration, rest: Duration) -> Option<String> {
        if self.due > now {
            return None;
        }
        let mut passed_over = Vec::new();
        for one in self.mounts.values_mut() {
            one.under_way = one.asked.is_due(now, rest);
            if !one.under_way {
                let (major, minor) = one.mount.device;
                passed_over.push(format!("{major}:{minor}"));
            }
        }
        let any = self.mounts.values().any(|one| one.under_way);
        any.then(|| passed_over.join(","))
    }

    /// Whether a collection waits for the answer: not for mounts that hung.
    pub(super) fn awaited(&self) -> bool {
        self.hangs == 0 && !self.mounts.values().any(|one| one.under_way && one.asked.hangs > 0)
    }

    /// Takes in how the question ended.
    pub(super) fn take(
        &mut self,
        ended: Result<Reader, ProbeError>,
        took: Duration,
        now: Duration,
        at: Timestamp,
    ) {
        let mut files = Fetched::new();
        let mut late = Vec::new();
        let error = match ended {
            Ok(reader) => {
                (self.hangs, self.due) = (0, Duration::ZERO);
                let told = tree::load(reader.sections(), &mut files);
                late = told.late_mounts.iter().map(|path| unescaped(path)).collect();
                None
            }
            Err(error) => {
                self.due = now + hang_pause(self.hangs);
                self.hangs = self.hangs.saturating_add(1);
                Some(error)
            }
        };
        let files = Roots::fetched(files).files;
        for (path, one) in self.mounts.iter_mut().filter(|(_, one)| one.under_way) {
            one.under_way = false;
            let hung = late.contains(path);
            let mut sample = Sample::default();
            let result = match &error {
                Some(error) => Err(error.clone()),
                None if hung => Err(late_on_node("the filesystem", took)),
                None => {
                    let read_only = one.mount.facts.read_only;
                    let space = files.space(path).map(|space| Space { read_only, ..space });
                    put_space(space, &one.mount.facts.mount_point, &mut sample).map(|()| sample)
                }
            };
            one.asked.end(Ended { result, hung, took }, now, at);
        }
    }

    /// The session is gone, and the question under way with it.
    pub(super) fn forget_question(&mut self) {
        for one in self.mounts.values_mut() {
            one.under_way = false;
        }
    }

    fn kept(&self) -> impl Iterator<Item = (&Filesystem, Option<&Kept>)> + Clone {
        self.mounts.values().map(|one| (&one.mount.facts, one.asked.last.as_ref()))
    }

    /// All of them, those that do not answer marked.
    pub(super) fn filesystems(&self) -> impl Iterator<Item = Filesystem> {
        self.kept().map(marked).chain(self.unasked.iter().cloned())
    }

    /// What those that answered brought.
    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.kept().filter_map(|(_, kept)| kept.map(|kept| &kept.sample))
    }

    /// One report for all; none before the node listed them, or before one that it listed ended.
    pub(super) fn report(&self) -> Option<ProbeReport> {
        let listed_at = self.listed_at?;
        let waits = !self.mounts.is_empty() && self.kept().all(|(_, kept)| kept.is_none());
        (!waits).then(|| report_of(self.kept(), self.error.clone(), listed_at))
    }
}

/// A mount point as the kernel escapes it.
fn unescaped(path: &[u8]) -> PathBuf {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(OsString::from_vec(mountinfo::unescape(path).into_owned()))
}
