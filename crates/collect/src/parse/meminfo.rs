//! `/proc/meminfo`: memory and swap.

use super::scan::{fields, lines, unsigned};
use super::{ParseError, bounded};

const FILE: &str = "/proc/meminfo";

/// What `/proc/meminfo` says, in bytes. What a kernel does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Usable by the kernel.
    pub total: u64,
    /// Unused.
    pub free: Option<u64>,
    /// Can be given to programs without swapping; since Linux 3.14.
    pub available: Option<u64>,
    /// Cache of block devices.
    pub buffers: Option<u64>,
    /// Page cache, shared memory included.
    pub cached: Option<u64>,
    /// Shared memory and tmpfs: counted as cache, but cannot be dropped.
    pub shared: Option<u64>,
    /// Kernel memory that can be reclaimed.
    pub slab_reclaimable: Option<u64>,
    /// Kernel memory that cannot be reclaimed.
    pub slab_unreclaimable: Option<u64>,
    /// Waiting to be written to disk.
    pub dirty: Option<u64>,
    /// Swap configured.
    pub swap_total: Option<u64>,
    /// Swap unused.
    pub swap_free: Option<u64>,
}

impl MemoryInfo {
    /// What can be given to programs without swapping: the kernel's own figure, or on kernels
    /// before 3.14 an estimate (free, buffers, page cache and reclaimable slab, less shared memory),
    /// never more than the total.
    #[must_use]
    pub fn available_or_estimate(&self) -> Option<u64> {
        let available = match self.available {
            Some(available) => available,
            None => [self.buffers, self.cached, self.slab_reclaimable]
                .into_iter()
                .flatten()
                .fold(self.free?, u64::saturating_add)
                .saturating_sub(self.shared.unwrap_or(0)),
        };
        Some(available.min(self.total))
    }
}

/// Parses `/proc/meminfo`.
///
/// # Errors
/// When `MemTotal` is missing or zero, or a known line holds no number that fits.
pub fn parse(bytes: &[u8]) -> Result<MemoryInfo, ParseError> {
    let mut info = MemoryInfo::default();
    let mut total = None;
    for (number, line) in lines(bounded(FILE, bytes)?) {
        let mut words = fields(line);
        let (column, name) = match words.next() {
            Some(b"MemTotal:") => (&mut total, "MemTotal"),
            Some(b"MemFree:") => (&mut info.free, "MemFree"),
            Some(b"MemAvailable:") => (&mut info.available, "MemAvailable"),
            Some(b"Buffers:") => (&mut info.buffers, "Buffers"),
            Some(b"Cached:") => (&mut info.cached, "Cached"),
            Some(b"Shmem:") => (&mut info.shared, "Shmem"),
            Some(b"SReclaimable:") => (&mut info.slab_reclaimable, "SReclaimable"),
            Some(b"SUnreclaim:") => (&mut info.slab_unreclaimable, "SUnreclaim"),
            Some(b"Dirty:") => (&mut info.dirty, "Dirty"),
            Some(b"SwapTotal:") => (&mut info.swap_total, "SwapTotal"),
            Some(b"SwapFree:") => (&mut info.swap_free, "SwapFree"),
            _ => continue,
        };
        let field = words.text(FILE, number, name)?;
        // The unit is always kB, whatever the page size; without one the number is bytes.
        let factor = if words.next() == Some(b"kB") { 1024 } else { 1 };
        *column = match unsigned(field).and_then(|value| value.checked_mul(factor)) {
            Some(value) => Some(value),
            None => return Err(ParseError::number(FILE, number, name, field)),
        };
    }
    info.total = match total {
        Some(0) => return Err(ParseError::whole(FILE, "MemTotal is 0")),
        Some(total) => total,
        None => return Err(ParseError::whole(FILE, "MemTotal is missing")),
    };
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_unknown_lines_are_stepped_over() {
        let info = parse(
            b"MemTotal:       24684092 kB\nMemFree:  10 kB\nMemAvailable:  20 kB\nHugePages_Total: 0\n\
              Weird\n\xff: 1\nSwapTotal: 0 kB\nDirty: 76 kB extra\n",
        )
        .unwrap();
        assert_eq!(info.total, 24_684_092 * 1024);
        assert_eq!(info.available_or_estimate(), Some(20 * 1024));
        assert_eq!((info.swap_total, info.swap_free, info.dirty), (Some(0), None, Some(76 * 1024)));
    }

    #[test]
    fn an_old_kernel_gets_an_estimate_that_never_exceeds_the_total() {
        for (input, expected) in [
            (&b"MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\nShmem: 8 kB\nSReclaimable: 3 kB\n"[..], Some(30 * 1024)),
            (b"MemTotal: 100 kB\nMemFree: 90 kB\nCached: 50 kB\n", Some(100 * 1024)),
            (b"MemTotal: 100 kB\nMemFree: 1 kB\nShmem: 50 kB\n", Some(0)),
            (b"MemTotal: 100 kB\n", None),
        ] {
            assert_eq!(parse(input).unwrap().available_or_estimate(), expected);
        }
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (input, expected) in [
            (&b""[..], "/proc/meminfo: MemTotal is missing"),
            (b"MemTotal: 0 kB", "/proc/meminfo: MemTotal is 0"),
            (b"MemTotal:", "/proc/meminfo, line 1: MemTotal is missing"),
            (
                b"MemTotal: 18446744073709551615 kB",
                "/proc/meminfo, line 1: MemTotal is not a number that fits: \"18446744073709551615\"",
            ),
            (
                b"MemTotal: 5 kB\nMemFree: -3 kB",
                "/proc/meminfo, line 2: MemFree is not a number that fits: \"-3\"",
            ),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
