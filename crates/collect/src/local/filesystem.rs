//! Filesystems: space, inodes, and whether they can be written.
//!
//! Local ones are asked here, one after the other; since a failing disk can hold the question for
//! ever, this runs in the killable child. Remote ones are only listed: each of them is asked by a
//! child of its own.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use sickbay_model::catalogue::{
    FILESYSTEM_FREE, FILESYSTEM_INODES_USED, FILESYSTEM_READ_ONLY, FILESYSTEM_SIZE, FILESYSTEM_USED,
};
use sickbay_model::{Filesystem, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::read::KernelFile;
use crate::parse::mountinfo::Mount;
use crate::parse::{mountinfo, printable};
use crate::{Roots, Sample, Space};

/// The most filesystems that are reported; more are left out, and said so in the log.
pub(crate) const MAX_FILESYSTEMS: usize = 512;

/// The longest mount point and source that are kept, in characters.
pub(crate) const MAX_PATH_CHARACTERS: usize = 512;

/// Types that hold no data of their own: windows into the kernel, and `autofs`, which mounts the
/// real thing when touched.
pub(crate) const PSEUDO_KINDS: [&[u8]; 30] = [
    b"autofs",
    b"bdev",
    b"binder",
    b"binfmt_misc",
    b"bpf",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"cpuset",
    b"debugfs",
    b"devpts",
    b"devtmpfs",
    b"efivarfs",
    b"fuse.gvfsd-fuse",
    b"fuse.lxcfs",
    b"fuse.portal",
    b"fusectl",
    b"hugetlbfs",
    b"mqueue",
    b"nsfs",
    b"proc",
    b"pstore",
    b"ramfs",
    b"resctrl",
    b"rpc_pipefs",
    b"securityfs",
    b"selinuxfs",
    b"smackfs",
    b"sysfs",
    b"tracefs",
];

/// Types that are reached over a network or through another process, so that asking can hang; all
/// whose name starts with `fuse` are too.
pub(crate) const REMOTE_KINDS: [&[u8]; 24] = [
    b"9p",
    b"acfs",
    b"afs",
    b"beegfs",
    b"ceph",
    b"cifs",
    b"coda",
    b"daos",
    b"davfs",
    b"gfs2",
    b"glusterfs",
    b"gpfs",
    b"lustre",
    b"ncpfs",
    b"nfs",
    b"nfs4",
    b"ocfs2",
    b"orangefs",
    b"panfs",
    b"pvfs2",
    b"smb3",
    b"smbfs",
    b"virtiofs",
    b"wekafs",
];

/// Types that cannot be written.
const READ_ONLY_KINDS: [&[u8]; 5] = [b"cramfs", b"erofs", b"iso9660", b"romfs", b"squashfs"];

/// Where filesystems in memory matter to programs: training's data loaders need the first.
pub(crate) const KEPT_TMPFS: [&[u8]; 3] = [b"/dev/shm", b"/tmp", b"/var/tmp"];

/// Under these stand the mounts of containers, pods and the kernel: many, passing, and copies of
/// what is mounted elsewhere.
pub(crate) const SKIPPED_BELOW: [&[u8]; 9] = [
    b"/dev/",
    b"/proc/",
    b"/run/credentials/",
    b"/run/user/",
    b"/sys/",
    b"/var/lib/containers/storage/",
    b"/var/lib/docker/",
    b"/var/lib/kubelet/",
    b"/run/containerd/",
];

/// Single files that a container runtime mounts into its containers.
pub(crate) const CONTAINER_FILES: [&[u8]; 4] =
    [b"/etc/hostname", b"/etc/hosts", b"/etc/resolv.conf", b"/dev/termination-log"];

impl Space {
    /// Writes the readings of a mounted filesystem. A filesystem without blocks has none.
    pub(crate) fn put(&self, mount_point: &str, read_only: bool, out: &mut Sample) {
        out.put(FILESYSTEM_READ_ONLY, mount_point, if read_only { 1.0 } else { 0.0 });
        if self.blocks == 0 {
            return;
        }
        let bytes = |blocks: u64| blocks as f64 * self.block_bytes as f64;
        out.put(FILESYSTEM_SIZE, mount_point, bytes(self.blocks));
        out.put(FILESYSTEM_FREE, mount_point, bytes(self.available_blocks));
        // As df: of what unprivileged programs can have, what is taken.
        if let Some(used) = self.blocks.checked_sub(self.free_blocks) {
            let reachable = used as f64 + self.available_blocks as f64;
            if reachable > 0.0 {
                out.put(FILESYSTEM_USED, mount_point, 100.0 * used as f64 / reachable);
            }
        }
        if let Some(used) = self.inodes.checked_sub(self.free_inodes).filter(|_| self.inodes > 0) {
            out.put(FILESYSTEM_INODES_USED, mount_point, 100.0 * used as f64 / self.inodes as f64);
        }
    }
}

/// Collects local filesystems and lists remote ones.
#[derive(Debug)]
pub(super) struct Filesystems {
    file: KernelFile,
    ask: fn(&Roots, &Path) -> io::Result<Space>,
    overflow_said: bool,
}

impl Default for Filesystems {
    fn default() -> Self {
        Self::asking(Roots::space)
    }
}

impl Filesystems {
    /// With another way to ask for space: recorded mounts are not there to be asked.
    pub(super) fn asking(ask: fn(&Roots, &Path) -> io::Result<Space>) -> Self {
        Self { file: KernelFile::new("self/mountinfo"), ask, overflow_said: false }
    }
}

impl LocalCollector for Filesystems {
    fn probe(&self) -> ProbeId {
        probe::FILESYSTEM
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let parsed = mountinfo::parse(self.file.read(roots)?);
        let mounts = match parsed {
            Ok(mounts) => select(mounts),
            Err(error) => return Err(self.file.malformed(roots, &error)),
        };
        if mounts.len() > MAX_FILESYSTEMS && !std::mem::replace(&mut self.overflow_said, true) {
            tracing::warn!(limit = MAX_FILESYSTEMS, "more filesystems than are reported");
        }
        let mut filesystems = Vec::with_capacity(mounts.len());
        for mount in mounts.iter().take(MAX_FILESYSTEMS) {
            let mut filesystem = describe(mount);
            if !filesystem.remote {
                match (self.ask)(roots, Path::new(OsStr::from_bytes(&mount.mount_point))) {
                    Ok(space) => {
                        space.put(&filesystem.mount_point, filesystem.read_only, out);
                    }
                    Err(error) => filesystem.unanswered = Some(error.to_string()),
                }
            }
            filesystems.push(filesystem);
        }
        out.facts.filesystems = Some(filesystems);
        Ok(())
    }
}

pub(crate) fn describe(mount: &Mount<'_>) -> Filesystem {
    let kind = &*mount.kind;
    Filesystem {
        mount_point: printable(&mount.mount_point, MAX_PATH_CHARACTERS),
        kind: printable(kind, MAX_PATH_CHARACTERS),
        source: printable(&mount.source, MAX_PATH_CHARACTERS),
        remote: is_remote(kind),
        read_only: mount.mount_read_only || mount.filesystem_read_only,
        // Whoever mounts something read-only marks the mount itself. After an error the kernel marks
        // only the filesystem: that was nobody's design.
        read_only_by_design: mount.mount_read_only || READ_ONLY_KINDS.contains(&kind),
        unanswered: None,
    }
}

fn is_remote(kind: &[u8]) -> bool {
    REMOTE_KINDS.contains(&kind) || kind.starts_with(b"fuse")
}

/// The mounts that are reported, in the order of their mount points: no pseudo filesystems, one
/// mount per filesystem, and of several at one place the one on top.
pub(crate) fn select(mounts: Vec<Mount<'_>>) -> Vec<Mount<'_>> {
    let mut by_point: HashMap<Vec<u8>, usize> = HashMap::with_capacity(mounts.len());
    for (place, mount) in mounts.iter().enumerate() {
        by_point.insert(mount.mount_point.to_vec(), place);
    }
    let mut kept: Vec<_> = mounts
        .into_iter()
        .enumerate()
        .filter(|(place, mount)| by_point.get(&*mount.mount_point) == Some(place))
        .map(|(_, mount)| mount)
        .filter(is_real)
        .collect();
    // Of the mounts of one filesystem: the whole before a part, then the shorter path.
    kept.sort_by(|left, right| {
        let rank =
            |mount: &Mount<'_>| (mount.device, &*mount.root != b"/", mount.mount_point.len());
        rank(left).cmp(&rank(right)).then_with(|| left.mount_point.cmp(&right.mount_point))
    });
    kept.dedup_by_key(|mount| mount.device);
    kept.sort_by(|left, right| left.mount_point.cmp(&right.mount_point));
    kept
}

fn is_real(mount: &Mount<'_>) -> bool {
    let (kind, point) = (&*mount.kind, &*mount.mount_point);
    match kind {
        b"tmpfs" => return KEPT_TMPFS.contains(&point),
        // A container's own root is one; the others are containers' roots seen from their host.
        b"overlay" | b"aufs" | b"rootfs" => return point == b"/",
        _ => {}
    }
    !PSEUDO_KINDS.contains(&kind)
        && !SKIPPED_BELOW.iter().any(|prefix| point.starts_with(prefix))
        && !CONTAINER_FILES.contains(&point)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(mountinfo: &str) -> Vec<String> {
        select(mountinfo::parse(mountinfo.as_bytes()).unwrap())
            .iter()
            .map(|mount| String::from_utf8_lossy(&mount.mount_point).into_owned())
            .collect()
    }

    #[test]
    fn one_mount_per_real_filesystem() {
        for (mountinfo, expected) in [
            ("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /proc rw - proc proc rw", &["/"][..]),
            // A bind mount of a part, and one of the whole at a longer path.
            (
                "1 0 8:1 /a /a rw - ext4 x rw\n2 0 8:1 / /long/path rw - ext4 x rw\n3 0 8:1 / /mnt rw - ext4 x rw",
                &["/mnt"],
            ),
            // Mounted over: only the upper one can be reached.
            (
                "1 0 0:23 / /dev/shm rw - tmpfs a rw\n2 1 0:27 / /dev/shm rw - tmpfs b rw",
                &["/dev/shm"],
            ),
            ("1 0 8:1 / /x rw - ext4 a rw\n2 1 0:5 / /x rw - proc proc rw", &[]),
            (
                "1 0 0:9 / / rw - overlay overlay rw\n2 1 0:10 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n3 1 8:1 /d/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n4 1 8:1 /vol /data rw - ext4 /dev/sda1 rw",
                &["/", "/data"],
            ),
            ("1 0 0:9 / /run rw - tmpfs tmpfs rw\n2 0 0:10 / /tmp rw - tmpfs tmpfs rw", &["/tmp"]),
            (
                "1 0 0:44 / /home rw - autofs systemd-1 rw\n2 1 0:45 / /home/a rw - nfs4 s:/a rw",
                &["/home/a"],
            ),
        ] {
            assert_eq!(points(mountinfo), expected, "{mountinfo}");
        }
    }

    #[test]
    fn space_is_counted_as_df_does() {
        let space = Space {
            block_bytes: 4096,
            blocks: 100,
            free_blocks: 40,
            available_blocks: 35,
            inodes: 10,
            free_inodes: 1,
            read_only: false,
        };
        let mut out = Sample::default();
        space.put("/", false, &mut out);
        let got: Vec<_> =
            out.readings.iter().map(|reading| (reading.metric, reading.value)).collect();
        assert_eq!(
            got,
            [
                (FILESYSTEM_READ_ONLY, 0.0),
                (FILESYSTEM_SIZE, 409_600.0),
                (FILESYSTEM_FREE, 143_360.0),
                (FILESYSTEM_USED, 100.0 * 60.0 / 95.0),
                (FILESYSTEM_INODES_USED, 90.0),
            ]
        );
        for (space, expected) in [
            (Space { inodes: 0, free_inodes: 0, ..space }, 4),
            (Space { blocks: 0, ..space }, 1),
            (Space { free_blocks: 101, free_inodes: 11, ..space }, 3),
            (Space { free_blocks: 100, available_blocks: 0, inodes: 0, ..space }, 3),
        ] {
            let mut out = Sample::default();
            space.put("/", true, &mut out);
            assert_eq!(out.readings.len(), expected, "{space:?}");
        }
    }

    #[test]
    fn who_made_it_read_only_can_be_told() {
        for (line, read_only, by_design) in [
            ("1 0 8:1 / / rw - ext4 x rw", false, false),
            ("1 0 8:1 / / ro - ext4 x ro", true, true),
            ("1 0 8:1 / / ro - ext4 x rw", true, true),
            ("1 0 8:1 / / rw - ext4 x ro,errors=remount-ro", true, false),
            ("1 0 8:1 / / rw - squashfs x rw", false, true),
        ] {
            let mounts = mountinfo::parse(line.as_bytes()).unwrap();
            let got = describe(&mounts[0]);
            assert_eq!((got.read_only, got.read_only_by_design), (read_only, by_design), "{line}");
        }
    }
}
