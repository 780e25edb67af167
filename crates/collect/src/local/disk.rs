//! Block devices: traffic, how busy they are, how long a request takes.
//!
//! Whole devices only: partitions repeat what their disk says, and loop and RAM devices are no disks.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sickbay_model::catalogue::{
    DISK_BUSY, DISK_IN_FLIGHT, DISK_LATENCY, DISK_READ, DISK_READS, DISK_WRITE, DISK_WRITES,
};
use sickbay_model::{BlockDevice, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::rate::{growth, per_second, percent_of, seconds_between};
use super::read::{KernelFile, small_fact};
use crate::parse::diskstats::{DiskStats, SECTOR_BYTES};
use crate::parse::{diskstats, printable, sysfs};
use crate::{Roots, Sample};

/// The most disks that are reported.
const MAX_DISKS: usize = 1024;

/// The longest device name and model that are kept, in characters.
const MAX_NAME_CHARACTERS: usize = 64;

/// Device names that are no disks: loop, RAM, compressed RAM, floppy, optical, network block
/// devices (which appear by the dozen without being used).
const NO_DISKS: [&[u8]; 6] = [b"loop", b"ram", b"zram", b"fd", b"sr", b"nbd"];

/// Collects block device counters.
#[derive(Debug)]
pub(super) struct Disks {
    file: KernelFile,
    known: HashMap<Box<[u8]>, Known>,
    previous_at: Option<Duration>,
}

impl Default for Disks {
    fn default() -> Self {
        Self { file: KernelFile::new("diskstats"), known: HashMap::new(), previous_at: None }
    }
}

/// What is remembered of a line of the file.
#[derive(Debug)]
struct Known {
    device: (u32, u32),
    /// `None`: not a whole disk.
    disk: Option<Box<(BlockDevice, Counters)>>,
    seen: bool,
}

/// The counters that rates are made of.
#[derive(Clone, Copy, Debug)]
struct Counters {
    reads: u64,
    read_sectors: u64,
    writes: u64,
    written_sectors: u64,
    waited_ms: u64,
    busy_ms: u64,
}

impl LocalCollector for Disks {
    fn probe(&self) -> ProbeId {
        probe::DISK
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let Some(bytes) = self.file.read_if_there(roots)? else {
            out.set_not_applicable("this kernel has no /proc/diskstats");
            return Ok(());
        };
        let parsed = diskstats::parse(bytes);
        let lines = match parsed {
            Ok(lines) => lines,
            Err(error) => return Err(self.file.malformed(roots, &error)),
        };
        let seconds = self.previous_at.and_then(|at| seconds_between(at, monotonic));
        let mut disks = Vec::new();
        for line in &lines {
            let is_same = |known: &&mut Known| known.device == line.device;
            if let Some(known) = self.known.get_mut(line.name).filter(is_same) {
                known.seen = true;
                if let Some((disk, counters)) = known.disk.as_deref_mut() {
                    put(disk, counters, line, seconds, out);
                    disks.push(disk.clone());
                }
                continue;
            }
            let disk = (disks.len() < MAX_DISKS).then(|| describe(roots, line)).flatten();
            if let Some(disk) = &disk {
                out.put(DISK_IN_FLIGHT, &disk.name, line.in_flight as f64);
                disks.push(disk.clone());
            }
            let disk = disk.map(|disk| Box::new((disk, Counters::of(line))));
            self.known.insert(line.name.into(), Known { device: line.device, disk, seen: true });
        }
        self.known.retain(|_, known| std::mem::take(&mut known.seen));
        self.previous_at = Some(monotonic);
        if disks.is_empty() {
            out.set_not_applicable("no block devices are visible here");
        }
        out.facts.disks = Some(disks);
        Ok(())
    }
}

impl Counters {
    fn of(line: &DiskStats<'_>) -> Self {
        Self {
            reads: line.reads,
            read_sectors: line.read_sectors,
            writes: line.writes,
            written_sectors: line.written_sectors,
            waited_ms: line.read_ms.saturating_add(line.write_ms),
            busy_ms: line.busy_ms,
        }
    }
}

fn put(
    disk: &BlockDevice,
    previous: &mut Counters,
    line: &DiskStats<'_>,
    seconds: Option<f64>,
    out: &mut Sample,
) {
    let later = Counters::of(line);
    let earlier = std::mem::replace(previous, later);
    let name = &disk.name;
    out.put(DISK_IN_FLIGHT, name, line.in_flight as f64);
    for (metric, earlier, later, factor) in [
        (DISK_READ, earlier.read_sectors, later.read_sectors, SECTOR_BYTES as f64),
        (DISK_WRITE, earlier.written_sectors, later.written_sectors, SECTOR_BYTES as f64),
        (DISK_READS, earlier.reads, later.reads, 1.0),
        (DISK_WRITES, earlier.writes, later.writes, 1.0),
    ] {
        out.put_some(metric, name, per_second(earlier, later, seconds).map(|rate| rate * factor));
    }
    let busy = growth(earlier.busy_ms, later.busy_ms)
        .zip(seconds)
        .and_then(|(busy_ms, seconds)| percent_of(busy_ms, seconds * 1000.0));
    out.put_some(DISK_BUSY, name, busy);
    let finished = growth(earlier.reads, later.reads)
        .zip(growth(earlier.writes, later.writes))
        .map(|(reads, writes)| reads + writes);
    // Without a finished request there is no mean.
    if let (Some(finished), Some(waited_ms)) =
        (finished.filter(|count| *count > 0.0), growth(earlier.waited_ms, later.waited_ms))
        && seconds.is_some()
    {
        out.put(DISK_LATENCY, name, waited_ms / finished);
    }
}

/// The facts of a whole disk; `None` for anything else. Asked once per device.
fn describe(roots: &Roots, line: &DiskStats<'_>) -> Option<BlockDevice> {
    if NO_DISKS.iter().any(|kind| is_numbered(line.name, kind)) {
        return None;
    }
    let name = printable(line.name, MAX_NAME_CHARACTERS);
    let all = roots.sys.join("block");
    let directory = device_directory(&all, line.name);
    let files = &roots.files;
    if !files.is_dir(&directory) {
        // Where /sys is not visible at all, the name decides.
        let guessed = !files.is_dir(&all) && !looks_like_partition(line.name);
        return guessed.then(|| BlockDevice {
            name,
            model: String::new(),
            size_bytes: 0,
            rotational: false,
        });
    }
    let mut buffer = Vec::new();
    let mut number = |file: &str| {
        small_fact(files, &directory.join(file), &mut buffer, |bytes| {
            sysfs::parse_unsigned("a file of /sys/block", bytes).ok()
        })
        .flatten()
    };
    // One path of a multipath NVMe device; the device itself has its own line.
    if number("hidden") == Some(1) {
        return None;
    }
    let size_bytes = number("size").and_then(|size| size.checked_mul(SECTOR_BYTES)).unwrap_or(0);
    let rotational = number("queue/rotational") == Some(1);
    let mut text = |file: &str| {
        small_fact(files, &directory.join(file), &mut buffer, |bytes| {
            sysfs::text(bytes, MAX_NAME_CHARACTERS)
        })
    };
    // Partitions that the device mapper makes carry this in their id.
    if text("dm/uuid").is_some_and(|uuid| uuid.starts_with("part")) {
        return None;
    }
    let model = text("device/model").or_else(|| text("dm/name")).unwrap_or_default();
    Some(BlockDevice { name, model, size_bytes, rotational })
}

/// `/sys/block/NAME`; a slash in a name (`cciss/c0d0`) is an exclamation mark there.
fn device_directory(all: &Path, name: &[u8]) -> PathBuf {
    let file: Vec<u8> = name.iter().map(|&byte| if byte == b'/' { b'!' } else { byte }).collect();
    all.join(std::ffi::OsStr::from_bytes(&file))
}

/// Whether `name` is `kind` followed by digits.
fn is_numbered(name: &[u8], kind: &[u8]) -> bool {
    name.strip_prefix(kind)
        .is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
}

/// By its name alone: `sda1`, `vdb2`, `nvme0n1p1`, `mmcblk0p2`, `md0p1`.
fn looks_like_partition(name: &[u8]) -> bool {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(stem) = name.get(..name.len() - digits) else { return false };
    if digits == 0 {
        return false;
    }
    match stem.split_last() {
        Some((b'p', before)) => before.last().is_some_and(u8::is_ascii_digit),
        _ => [&b"sd"[..], b"hd", b"vd", b"xvd"].iter().any(|kind| {
            stem.strip_prefix(*kind)
                .is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_lowercase))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_disks_are_told_from_partitions_by_name_where_nothing_else_helps() {
        for (name, partition) in [
            (&b"sda"[..], false),
            (b"sda1", true),
            (b"sdaa12", true),
            (b"nvme0n1", false),
            (b"nvme0n1p2", true),
            (b"mmcblk0", false),
            (b"mmcblk0p1", true),
            (b"vda", false),
            (b"xvda1", true),
            (b"dm-3", false),
            (b"md127", false),
            (b"md127p1", true),
            (b"", false),
            (b"7", false),
            (b"p1", false),
        ] {
            assert_eq!(looks_like_partition(name), partition, "{}", String::from_utf8_lossy(name));
        }
        for (name, skipped) in
            [(&b"loop0"[..], true), (b"loop", false), (b"ramdisk", false), (b"fd0", true)]
        {
            assert_eq!(NO_DISKS.iter().any(|kind| is_numbered(name, kind)), skipped);
        }
    }
}
