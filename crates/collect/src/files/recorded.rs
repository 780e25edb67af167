//! What `statvfs` answers of the mounts of a recorded tree.
//!
//! A tree's files can be read from a copy, its mounts cannot be asked. What must hold: nothing here is
//! reached unless a root names such a record.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::Space;

/// How often a mount that hangs looks whether it still does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a record says of one mount.
enum Recorded {
    Answer(io::Result<Space>),
    Hangs,
}

impl Space {
    /// What a record says of the mount at this path. A line is `BLOCK_BYTES BLOCKS FREE AVAILABLE
    /// INODES FREE_INODES PATH`, `error NUMBER PATH`, or `hang PATH`: that one does not return until
    /// the record says something else.
    ///
    /// # Errors
    /// What `statvfs` answered; also where the record has nothing of this path.
    pub fn recorded(record: &Path, path: &Path) -> io::Result<Self> {
        loop {
            match look(&std::fs::read(record)?, path) {
                Some(Recorded::Answer(answer)) => return answer,
                Some(Recorded::Hangs) => std::thread::sleep(LOOK_AGAIN),
                None => return Err(io::ErrorKind::NotFound.into()),
            }
        }
    }
}

fn look(record: &[u8], path: &Path) -> Option<Recorded> {
    let wanted = path.as_os_str().as_bytes();
    record.split(|&byte| byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(wanted)?.strip_suffix(b" ")?;
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let first = words.next()?;
        match first {
            "hang" => return Some(Recorded::Hangs),
            "error" => {
                let number = words.next()?.parse().ok()?;
                return Some(Recorded::Answer(Err(io::Error::from_raw_os_error(number))));
            }
            _ => {}
        }
        let mut number = || words.next()?.parse::<u64>().ok();
        Some(Recorded::Answer(Ok(Space {
            block_bytes: first.parse().ok()?,
            blocks: number()?,
            free_blocks: number()?,
            available_blocks: number()?,
            inodes: number()?,
            free_inodes: number()?,
            read_only: false,
        })))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_answers_for_its_mounts() {
        let directory = tempfile::tempdir().unwrap();
        let record = directory.path().join("statvfs");
        std::fs::write(&record, "4096 10 5 4 100 50 /\nerror 116 /home\n512 1 1 1 0 0 /a b\n")
            .unwrap();
        let ask = |path: &str| Space::recorded(&record, Path::new(path));
        assert_eq!(ask("/").unwrap().available_blocks, 4);
        assert_eq!(ask("/a b").unwrap().block_bytes, 512);
        assert_eq!(ask("/home").unwrap_err().raw_os_error(), Some(116));
        assert_eq!(ask("/nowhere").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
