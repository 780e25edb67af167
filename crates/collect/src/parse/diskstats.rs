//! `/proc/diskstats`: I/O counters per block device and partition.

use super::scan::{fields, lines};
use super::{ParseError, bounded};

const FILE: &str = "/proc/diskstats";

/// Sectors in this file are 512 bytes, whatever the device's own.
pub const SECTOR_BYTES: u64 = 512;

/// The most lines that are believed.
pub const MAX_DEVICES: usize = 16_384;

/// One device's counters since boot. Newer kernels add discards and flushes behind; they are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStats<'a> {
    /// Device number.
    pub device: (u32, u32),
    /// Kernel name (`nvme0n1`, `sda1`).
    pub name: &'a [u8],
    /// Reads completed.
    pub reads: u64,
    /// Sectors of [`SECTOR_BYTES`] read.
    pub read_sectors: u64,
    /// Time spent reading, summed over requests.
    pub read_ms: u64,
    /// Writes completed.
    pub writes: u64,
    /// Sectors of [`SECTOR_BYTES`] written.
    pub written_sectors: u64,
    /// Time spent writing, summed over requests.
    pub write_ms: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// Time in which at least one request was in flight.
    pub busy_ms: u64,
}

/// Parses `/proc/diskstats`.
///
/// # Errors
/// When a line has fewer than the 14 columns that Linux writes since 2.6.25, a column is no number
/// that fits, or there are more than [`MAX_DEVICES`] lines. An empty file is a machine without disks.
pub fn parse(bytes: &[u8]) -> Result<Vec<DiskStats<'_>>, ParseError> {
    let mut disks = Vec::with_capacity(16);
    for (number, line) in lines(bounded(FILE, bytes)?) {
        if line.is_empty() {
            continue;
        }
        if disks.len() == MAX_DEVICES {
            let what = format!("more than {MAX_DEVICES} devices");
            return Err(ParseError::line(FILE, number, what));
        }
        disks.push(disk(number, line)?);
    }
    Ok(disks)
}

fn disk(number: usize, line: &[u8]) -> Result<DiskStats<'_>, ParseError> {
    let mut words = fields(line);
    let major = small(words.number(FILE, number, "major number")?, number)?;
    let minor = small(words.number(FILE, number, "minor number")?, number)?;
    let name = words.text(FILE, number, "name")?;
    let mut columns = [0_u64; 11];
    for column in &mut columns {
        *column = words.number(FILE, number, "a column")?;
    }
    let [
        reads,
        _,
        read_sectors,
        read_ms,
        writes,
        _,
        written_sectors,
        write_ms,
        in_flight,
        busy_ms,
        _,
    ] = columns;
    Ok(DiskStats {
        device: (major, minor),
        name,
        reads,
        read_sectors,
        read_ms,
        writes,
        written_sectors,
        write_ms,
        in_flight,
        busy_ms,
    })
}

fn small(value: u64, line: usize) -> Result<u32, ParseError> {
    u32::try_from(value)
        .map_err(|_| ParseError::line(FILE, line, format!("{value} is no device number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_of_the_format_is_read() {
        for line in [
            &b"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11"[..],
            b"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
            b"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
            b"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 new\n",
        ] {
            let disk = parse(line).unwrap()[0];
            assert_eq!((disk.device, disk.name), ((8, 0), &b"sda"[..]));
            assert_eq!((disk.reads, disk.read_sectors, disk.read_ms), (1, 3, 4));
            assert_eq!((disk.writes, disk.written_sectors, disk.write_ms), (5, 7, 8));
            assert_eq!((disk.in_flight, disk.busy_ms), (9, 10));
        }
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (input, expected) in [
            (&b"8 0 sda 1 2 3"[..], "/proc/diskstats, line 1: a column is missing"),
            (b"8", "/proc/diskstats, line 1: minor number is missing"),
            (b"4294967296 0 a", "/proc/diskstats, line 1: 4294967296 is no device number"),
            (
                b"\n8 0 a 1 2 3 4 5 -6",
                "/proc/diskstats, line 2: a column is not a number that fits: \"-6\"",
            ),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
