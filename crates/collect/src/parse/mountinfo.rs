//! `/proc/self/mountinfo`: what is mounted where.

use std::borrow::Cow;

use super::scan::{lines, unsigned};
use super::{ParseError, bounded};

const FILE: &str = "/proc/self/mountinfo";

/// One mount, as proc(5) describes its line. Names are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Device number of the filesystem: equal for two mounts of the same one.
    pub device: (u32, u32),
    /// Which part of the filesystem is mounted; not `/` for a bind mount or a subvolume.
    pub root: Cow<'a, [u8]>,
    /// Where.
    pub mount_point: Cow<'a, [u8]>,
    /// Kernel type (`ext4`, `nfs4`, `fuse.sshfs`).
    pub kind: Cow<'a, [u8]>,
    /// What (`/dev/sda1`, `server:/export`).
    pub source: Cow<'a, [u8]>,
    /// Whether this mount is read-only: someone mounted it so.
    pub mount_read_only: bool,
    /// Whether the filesystem under it is read-only. Where the mount is not, the kernel stopped
    /// writing by itself, after an error.
    pub filesystem_read_only: bool,
}

/// Parses `/proc/self/mountinfo`.
///
/// # Errors
/// When the file is empty or a line lacks one of the fields that every kernel writes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Mount<'_>>, ParseError> {
    let mut mounts = Vec::new();
    for (number, line) in lines(bounded(FILE, bytes)?) {
        if !line.is_empty() {
            mounts.push(mount(number, line)?);
        }
    }
    if mounts.is_empty() {
        return Err(ParseError::whole(FILE, "there is not one mount"));
    }
    Ok(mounts)
}

fn mount(number: usize, line: &[u8]) -> Result<Mount<'_>, ParseError> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let mut words = split(line);
    let mut next = |name: &'static str| {
        words.next().ok_or_else(|| ParseError::line(FILE, number, format!("{name} is missing")))
    };
    next("mount id")?;
    next("parent id")?;
    let device_field = next("device")?;
    let device = device(device_field)
        .ok_or_else(|| ParseError::number(FILE, number, "device", device_field))?;
    let root = unescape(next("root")?);
    let mount_point = unescape(next("mount point")?);
    let options = next("options")?;
    while next("the separator \"-\"")? != b"-" {}
    let kind = unescape(next("type")?);
    // The source may be empty, and the options behind it are then the last word.
    let source = unescape(next("source")?);
    let super_options = next("options of the filesystem").unwrap_or_default();
    let mount_read_only = is_read_only(options);
    let filesystem_read_only = is_read_only(super_options);
    Ok(Mount { device, root, mount_point, kind, source, mount_read_only, filesystem_read_only })
}

/// Split at single blanks: a field can be empty, and every other blank is escaped by the kernel.
fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ')
}

fn device(field: &[u8]) -> Option<(u32, u32)> {
    let colon = field.iter().position(|&byte| byte == b':')?;
    let major = unsigned(field.get(..colon)?)?;
    let minor = unsigned(field.get(colon + 1..)?)?;
    Some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

fn is_read_only(options: &[u8]) -> bool {
    options.split(|&byte| byte == b',').any(|option| option == b"ro")
}

/// Undoes the kernel's `\040` for blanks, tabs, newlines and backslashes. A backslash that starts
/// no three octal digits stands for itself.
pub(crate) fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &[u8]) -> Mount<'_> {
        parse(line).unwrap().remove(0)
    }

    #[test]
    fn fields_escapes_and_options() {
        let mount = one(b"36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime master:1 shared:7 - ext3 /dev/root ro,errors=continue\n");
        assert_eq!(mount.device, (98, 0));
        assert_eq!((&*mount.root, &*mount.mount_point), (&b"/mnt1"[..], &b"/mnt 2\\x"[..]));
        assert_eq!((&*mount.kind, &*mount.source), (&b"ext3"[..], &b"/dev/root"[..]));
        assert!(!mount.mount_read_only && mount.filesystem_read_only);

        for (line, read_only) in [
            (&b"1 1 0:5 / /x rw - tmpfs  rw"[..], false),
            (b"1 1 0:5 / /x ro,nosuid - ext4 /dev/sda rw", true),
            (b"1 1 0:5 / /x rw,errors=ro - ext4 /dev/sda rw,rootcontext=ro", false),
            (b"1 1 0:5 / /x rw - ext4 none", false),
        ] {
            assert_eq!(one(line).mount_read_only, read_only, "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(&*one(b"1 1 0:5 / /\xff\\9\\04 rw - 9p \\040 rw").mount_point, b"/\xff\\9\\04");
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (input, expected) in [
            (&b""[..], "/proc/self/mountinfo: there is not one mount"),
            (b"1 2 3:4 / /", "/proc/self/mountinfo, line 1: options is missing"),
            (
                b"1 2 3 / / rw - a b c",
                "/proc/self/mountinfo, line 1: device is not a number that fits: \"3\"",
            ),
            (
                b"1 2 3:4294967296 / / rw - a b c",
                "/proc/self/mountinfo, line 1: device is not a number that fits: \"3:4294967296\"",
            ),
            (
                b"1 2 3:4 / / rw shared:1",
                "/proc/self/mountinfo, line 1: the separator \"-\" is missing",
            ),
            (b"1 2 3:4 / / rw - ext4", "/proc/self/mountinfo, line 1: source is missing"),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
