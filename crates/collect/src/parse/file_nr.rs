//! `/proc/sys/fs/file-nr`: file handles of the whole system.

use super::scan::fields;
use super::{ParseError, bounded};

const FILE: &str = "/proc/sys/fs/file-nr";

/// File handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHandles {
    /// Open now.
    pub open: u64,
    /// The most that may be open; so large that it means none where the administrator lifted it.
    pub limit: u64,
}

/// Parses `/proc/sys/fs/file-nr`.
///
/// # Errors
/// When one of its three numbers is missing or does not fit.
pub fn parse(bytes: &[u8]) -> Result<FileHandles, ParseError> {
    let mut words = fields(bounded(FILE, bytes)?);
    let allocated = words.number(FILE, 1, "allocated handles")?;
    let unused = words.number(FILE, 1, "unused handles")?;
    let limit = words.number(FILE, 1, "limit")?;
    let open = allocated
        .checked_sub(unused)
        .ok_or_else(|| ParseError::line(FILE, 1, "more handles are unused than allocated"))?;
    Ok(FileHandles { open, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_is_allocated_less_unused() {
        assert_eq!(
            parse(b"1184\t84\t9223372036854775807\n").unwrap(),
            FileHandles { open: 1100, limit: i64::MAX as u64 }
        );
        for (input, expected) in [
            (&b""[..], "/proc/sys/fs/file-nr, line 1: allocated handles is missing"),
            (b"1 2 3", "/proc/sys/fs/file-nr, line 1: more handles are unused than allocated"),
            (b"1 0 -1", "/proc/sys/fs/file-nr, line 1: limit is not a number that fits: \"-1\""),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
