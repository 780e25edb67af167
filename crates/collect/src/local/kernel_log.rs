//! The kernel's log: follows `/dev/kmsg`, and keeps what is in the fault catalogue.
//!
//! What must hold: reading never waits; a kernel that writes faster than this reads costs a bounded
//! time a collection, and what was overwritten meanwhile is counted; each collection brings every
//! sighting that is known of this boot, so that one that is lost loses none. Of another machine the
//! log comes as text, filtered there.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::catalogue::KERNEL_LOG_DROPPED;
use sickbay_model::{FaultSighting, KernelLog, LogPosition, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::read::{SMALL_LIMIT, is_denied, malformed, read_error};
use crate::fault_matcher::FaultMatcher;
use crate::parse::kernel_log::{self, Line, Parsed};
use crate::parse::{boot_id, uptime};
use crate::{Files, Roots, Sample};

/// The most lines that are read in one collection: the rest comes with the next one.
const MAX_LINES: usize = 20_000;

/// One record has less than this: the kernel's limit is 1 KiB of text and some properties.
const BUFFER_BYTES: usize = 16 << 10;

/// The most bytes of a log that another machine sent.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Why there is nothing to read where it is not allowed.
const DENIED: &str = "the kernel's log may not be read by this user: run as root, or add \
     CAP_SYSLOG (`setcap cap_syslog+ep`), or set kernel.dmesg_restrict=0";

/// Follows the log.
#[derive(Debug)]
pub(super) struct KernelLogReader {
    faults: Arc<FaultMatcher>,
    opened: Option<(PathBuf, File)>,
    /// What was read of a line that is not complete.
    rest: Vec<u8>,
    boot_id: String,
    sightings: VecDeque<FaultSighting>,
    read_to: LogPosition,
    /// The number of the record that was read last.
    last_sequence: Option<u64>,
    dropped: u64,
    /// Whether it could be read before: that it cannot be now is then a finding.
    worked: bool,
}

impl KernelLogReader {
    pub(super) fn new(faults: &Arc<FaultMatcher>) -> Self {
        Self {
            faults: Arc::clone(faults),
            opened: None,
            rest: Vec::new(),
            boot_id: String::new(),
            sightings: VecDeque::new(),
            read_to: LogPosition::default(),
            last_sequence: None,
            dropped: 0,
            worked: false,
        }
    }
}

impl LocalCollector for KernelLogReader {
    fn probe(&self) -> ProbeId {
        probe::KERNEL_LOG
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let path = roots.dev.join("kmsg");
        if !self.worked && !roots.files.exists(&path) {
            out.set_not_applicable("there is no /dev/kmsg here (a container without it)");
            return Ok(());
        }
        let boot_id = boot(roots)?;
        if boot_id != self.boot_id {
            *self = Self { worked: self.worked, boot_id, ..Self::new(&self.faults) };
        }
        let ended = match &roots.files {
            Files::Here => self.follow(&path),
            Files::Fetched(_) => self.take_text(roots, &path),
        };
        match ended {
            Ok(()) => self.worked = true,
            Err(error) if !self.worked && is_denied(&error) => {
                out.set_not_applicable(DENIED);
                return Ok(());
            }
            Err(error) => {
                self.opened = None;
                return Err(read_error(&path, &error));
            }
        }
        let mut buffer = Vec::new();
        let uptime_path = roots.proc.join("uptime");
        let bytes = roots.files.read_start(&uptime_path, &mut buffer, SMALL_LIMIT);
        let bytes = bytes.map_err(|error| read_error(&uptime_path, &error))?;
        let seconds = uptime::parse(bytes).map_err(|error| malformed(&uptime_path, &error))?;
        let uptime = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if self.last_sequence.is_some() {
            out.put(KERNEL_LOG_DROPPED, "", self.dropped as f64);
        }
        out.facts.kernel_log = Some(KernelLog {
            boot_id: self.boot_id.clone(),
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            sightings: self.sightings.iter().cloned().collect(),
            read_to: self.read_to,
            dropped: self.dropped,
        });
        Ok(())
    }
}

impl KernelLogReader {
    /// Reads what is new in the log of this machine.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        if self.opened.as_ref().is_none_or(|(opened, _)| opened != path) {
            let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
            let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
            self.rest.clear();
            self.opened = Some((path.to_owned(), file));
        }
        let mut buffer = [0; BUFFER_BYTES];
        let mut lines = 0;
        while lines < MAX_LINES {
            let Some((_, file)) = &mut self.opened else { break };
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    lines += self.take_records(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Overwritten before it was read: the next record tells by its number how many.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in whole lines, and keeps the rest for the next read. Returns how many there were.
    fn take_records(&mut self, bytes: &[u8]) -> usize {
        let mut pending = std::mem::take(&mut self.rest);
        pending.extend_from_slice(bytes);
        let mut lines = 0;
        let mut from = 0;
        while let Some(end) =
            pending.get(from..).and_then(|rest| crate::remote::find_byte(rest, b'\n'))
        {
            let record = pending.get(from..from + end).unwrap_or_default();
            self.take_record(record);
            lines += 1;
            from += end + 1;
        }
        pending.drain(..from);
        if pending.len() > BUFFER_BYTES {
            pending.clear();
        }
        self.rest = pending;
        lines
    }

    fn take_record(&mut self, record: &[u8]) {
        let (sequence, line) = match kernel_log::kmsg(record) {
            Parsed::Kernel(line) => (line.sequence, Some(line)),
            Parsed::Foreign(sequence) => (sequence, None),
            Parsed::Nothing => return,
        };
        let Some(sequence) = sequence.filter(|&sequence| self.is_new(sequence)) else { return };
        if let Some(line) = line {
            self.look_at(&line, LogPosition(sequence));
        }
    }

    /// Notes the number of a record; those between it and the one before were overwritten.
    fn is_new(&mut self, sequence: u64) -> bool {
        if let Some(last) = self.last_sequence {
            let Some(missed) = sequence.checked_sub(last.saturating_add(1)) else { return false };
            self.dropped = self.dropped.saturating_add(missed);
        }
        self.last_sequence = Some(sequence);
        self.read_to = LogPosition(sequence);
        true
    }

    /// Takes in the lines that another machine sent: all of this boot that may be faults, each time.
    fn take_text(&mut self, roots: &Roots, path: &Path) -> io::Result<()> {
        let mut buffer = Vec::new();
        let text = roots.files.read_start(path, &mut buffer, MAX_TEXT_BYTES)?;
        if text.starts_with(b"!denied") {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        for line in text.split(|&byte| byte == b'\n') {
            // Copies of records are numbered, and those that were read before are passed over.
            if line.first().is_some_and(u8::is_ascii_digit) {
                self.take_record(line);
                continue;
            }
            let Parsed::Kernel(line) = kernel_log::text(line) else { continue };
            let position = LogPosition(line.since_boot_us);
            // Processors' clocks differ a little, so a line may come behind a later one.
            let known = self.sightings.iter().rev().any(|known| {
                known.position == position && known.line.as_bytes() == shown(&line).as_bytes()
            });
            if !known {
                self.look_at(&line, position);
            }
            self.read_to = self.read_to.max(position);
        }
        Ok(())
    }

    fn look_at(&mut self, line: &Line<'_>, position: LogPosition) {
        let found = self.faults.find(line.message, line.since_boot_us, position);
        let Some(sighting) = found else { return };
        if self.sightings.len() >= KernelLog::MAX_SIGHTINGS {
            self.sightings.pop_front();
        }
        self.sightings.push_back(sighting);
    }
}

/// A line as it is kept in a sighting.
fn shown(line: &Line<'_>) -> String {
    crate::parse::printable(line.message, FaultSighting::MAX_LINE)
}

fn boot(roots: &Roots) -> Result<String, ProbeError> {
    let path = roots.proc.join("sys/kernel/random/boot_id");
    let mut buffer = Vec::new();
    let bytes = roots.files.read_start(&path, &mut buffer, SMALL_LIMIT);
    let bytes = bytes.map_err(|error| read_error(&path, &error))?;
    Ok(boot_id::parse(bytes).map_err(|error| malformed(&path, &error))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "5b2f0a5e-7d5f-4d4b-9d2a-0c7a3f1f2a11";

    struct Machine {
        root: tempfile::TempDir,
        reader: KernelLogReader,
    }

    impl Machine {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("proc/sys/kernel/random")).unwrap();
            std::fs::create_dir_all(root.path().join("dev")).unwrap();
            let machine = Self { root, reader: KernelLogReader::new(&FaultMatcher::embedded()) };
            machine.write("proc/uptime", "100.50 200.00\n");
            machine.write("proc/sys/kernel/random/boot_id", &format!("{BOOT}\n"));
            machine
        }

        fn write(&self, path: &str, content: &str) {
            std::fs::write(self.root.path().join(path), content).unwrap();
        }

        fn append(&self, records: &str) {
            use std::io::Write as _;
            let path = self.root.path().join("dev/kmsg");
            let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
            file.write_all(records.as_bytes()).unwrap();
        }

        fn read(&mut self) -> Sample {
            let mut sample = Sample::default();
            let roots = Roots::under(self.root.path());
            self.reader.collect(&roots, Duration::ZERO, &mut sample).unwrap();
            sample
        }

        fn log(&mut self) -> KernelLog {
            self.read().facts.kernel_log.expect("read")
        }
    }

    fn codes(log: &KernelLog) -> Vec<&str> {
        log.sightings.iter().map(|sighting| sighting.code.as_str()).collect()
    }

    #[test]
    fn the_log_is_followed_and_all_of_this_boot_is_brought_each_time() {
        let mut machine = Machine::new();
        machine.append(
            "4,10,1000000,-;NVRM: loading NVIDIA UNIX x86_64 Kernel Module\n SUBSYSTEM=pci\n",
        );
        machine.append("3,11,2000000,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fal");
        assert_eq!(codes(&machine.log()), [""; 0], "half a record is none yet");
        machine.append("len off the bus.\n");
        // Forged: user space wrote these, and the kernel says so.
        machine.append("12,12,3000000,-;NVRM: Xid (PCI:0000:5e:00): 79, forged\n");
        let log = machine.log();
        assert_eq!((codes(&log), log.dropped, log.read_to), (vec!["xid-79"], 0, LogPosition(12)));
        assert_eq!((log.uptime_ms, log.sightings[0].since_boot_ms), (100_500, 2000));
        machine.append("3,20,4000000,-;NVRM: Xid (PCI:0000:3b:00): 999, x\n");
        let log = machine.log();
        assert_eq!(codes(&log), ["xid-79", "xid-unknown"]);
        assert_eq!(log.dropped, 7, "the numbers have a gap");
    }

    #[test]
    fn another_boot_begins_anew() {
        let mut machine = Machine::new();
        machine.append("3,11,2000000,-;NVRM: Xid (PCI:0000:3b:00): 79, x\n");
        assert_eq!(codes(&machine.log()), ["xid-79"]);
        machine.write("proc/sys/kernel/random/boot_id", "00000000-7d5f-4d4b-9d2a-0c7a3f1f2a11\n");
        std::fs::remove_file(machine.root.path().join("dev/kmsg")).unwrap();
        machine.append("6,1,1,-;Linux version\n");
        let log = machine.log();
        assert_eq!((codes(&log).len(), log.read_to), (0, LogPosition(1)));
    }

    #[test]
    fn a_flood_is_read_in_bounded_parts_and_the_newest_sightings_are_kept() {
        let mut machine = Machine::new();
        let mut records = String::new();
        for number in 0..MAX_LINES + 5000 {
            records.push_str(&format!(
                "3,{number},{number},-;NVRM: Xid (PCI:0000:3b:00): 13, pid={number}\n"
            ));
        }
        machine.append(&records);
        let log = machine.log();
        assert!(log.read_to.0 < MAX_LINES as u64 + 1000, "{:?}", log.read_to);
        assert_eq!(log.sightings.len(), KernelLog::MAX_SIGHTINGS);
        let log = machine.log();
        assert_eq!((log.read_to.0, log.dropped), (MAX_LINES as u64 + 4999, 0));
    }

    #[test]
    fn without_a_log_there_is_nothing_to_ask_unless_there_was_one() {
        let mut machine = Machine::new();
        assert!(machine.read().not_applicable.is_some());
        machine.append("6,1,1,-;Linux version\n");
        machine.log();
        std::fs::remove_file(machine.root.path().join("dev/kmsg")).unwrap();
        machine.reader.opened = None;
        let roots = Roots::under(machine.root.path());
        let mut sample = Sample::default();
        assert!(machine.reader.collect(&roots, Duration::ZERO, &mut sample).is_err());
    }

    #[test]
    fn the_text_that_another_machine_sends_is_counted_once() {
        let mut machine = Machine::new();
        let text = "<3>[   50.000001] NVRM: Xid (PCI:0000:3b:00): 79, x\n\
             <12>[   51.000001] NVRM: Xid (PCI:0000:5e:00): 79, forged\n";
        let collect = |text: &str, reader: &mut KernelLogReader| {
            let mut files = crate::Fetched::new();
            for (path, content) in [
                ("/proc/uptime", "100.50 1.0\n"),
                ("/proc/sys/kernel/random/boot_id", BOOT),
                ("/dev/kmsg", text),
            ] {
                files.put(path.as_bytes(), content.as_bytes());
            }
            let mut sample = Sample::default();
            let ended = reader.collect(&Roots::fetched(files), Duration::ZERO, &mut sample);
            ended.map(|()| sample)
        };
        for _ in 0..3 {
            let sample = collect(text, &mut machine.reader).unwrap();
            let log = sample.facts.kernel_log.expect("read");
            assert_eq!((codes(&log), log.read_to), (vec!["xid-79"], LogPosition(50_000_001)));
        }
        let later = format!("{text}<3>[   60.0] NVRM: Xid (PCI:0000:3b:00): 79, x\n");
        let log = collect(&later, &mut machine.reader).unwrap().facts.kernel_log.expect("read");
        assert_eq!(codes(&log), ["xid-79", "xid-79"]);
        let denied =
            collect("!denied\n", &mut KernelLogReader::new(&FaultMatcher::embedded())).unwrap();
        assert!(denied.not_applicable.is_some_and(|why| why.contains("may not be read")));
    }
}
