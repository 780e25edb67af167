//! Whether a directory lies on a network filesystem.
//!
//! SQLite's locks and the shared memory of its write-ahead log are not safe there
//! (<https://www.sqlite.org/wal.html>, "does not work over a network filesystem").

use std::path::Path;

/// Filesystem magic numbers (`statfs(2)`, `linux/magic.h`) and their names.
#[cfg(target_os = "linux")]
const NETWORK_FILESYSTEMS: &[(u32, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x00c3_6400, "CephFS"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x1983_0326, "BeeGFS"),
    (0xaad7_aaea, "PanFS"),
    (0x2030_528d, "OrangeFS"),
];

/// The name of the network filesystem that the directory lies on, if it lies on one. A directory
/// that cannot be asked counts as local: opening it will say what is wrong.
#[cfg(target_os = "linux")]
pub(crate) fn network_filesystem(path: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(path).ok()?;
    // The kernel's type is wider than the magic numbers on 64 bits, and signed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "magic numbers have 32 bits"
    )]
    name_of(found.f_type as u32)
}

/// Elsewhere there is no such list.
#[cfg(not(target_os = "linux"))]
pub(crate) fn network_filesystem(_path: &Path) -> Option<&'static str> {
    None
}

#[cfg(target_os = "linux")]
fn name_of(magic: u32) -> Option<&'static str> {
    NETWORK_FILESYSTEMS.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_told_from_local_ones() {
        let ext4 = 0xef53;
        let tmpfs = 0x0102_1994;
        for (magic, name) in [
            (0x6969, Some("NFS")),
            (0xff53_4d42, Some("CIFS")),
            (0x6573_5546, Some("FUSE")),
            (ext4, None),
            (tmpfs, None),
        ] {
            assert_eq!(name_of(magic), name, "{magic:#x}");
        }
        assert_eq!(network_filesystem(Path::new("/proc")), None);
        assert_eq!(network_filesystem(Path::new("/no/such/directory")), None);
    }
}
