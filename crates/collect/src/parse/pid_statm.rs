//! `/proc/PID/statm`: one process's memory, in pages.

use super::scan::fields;
use super::{ParseError, bounded};

const FILE: &str = "/proc/PID/statm";

/// Memory of one process, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidStatm {
    /// Address space.
    pub virtual_pages: u64,
    /// Resident.
    pub resident_pages: u64,
    /// Resident and backed by a file or shared.
    pub shared_pages: u64,
}

/// Parses `/proc/PID/statm`.
///
/// # Errors
/// When one of the first three numbers is missing or does not fit.
pub fn parse(bytes: &[u8]) -> Result<PidStatm, ParseError> {
    let mut words = fields(bounded(FILE, bytes)?);
    Ok(PidStatm {
        virtual_pages: words.number(FILE, 1, "virtual pages")?,
        resident_pages: words.number(FILE, 1, "resident pages")?,
        shared_pages: words.number(FILE, 1, "shared pages")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_or_an_error() {
        let got = parse(b"1000 256 100 1 0 50 0\n").unwrap();
        assert_eq!((got.virtual_pages, got.resident_pages, got.shared_pages), (1000, 256, 100));
        assert_eq!(
            parse(b"1 2").unwrap_err().to_string(),
            "/proc/PID/statm, line 1: shared pages is missing"
        );
        assert!(parse(b"1 -2 3").is_err());
    }
}
