//! Processes: how many, which are stuck, which use most, which are looked for.
//!
//! One short file is read per process. Command lines are read only of processes that are new or
//! changed their name while patterns are configured, and of the few that are named in the result:
//! reading one needs the process's memory lock and can hang, so this runs in the killable child.
//! Environments are never read.

use std::time::Duration;

use sickbay_model::catalogue::{
    PROCESSES, PROCESSES_BLOCKED, PROCESSES_TRAINING, PROCESSES_ZOMBIE,
};
use sickbay_model::{ProbeError, ProbeErrorKind, ProbeId, probe};

use super::LocalCollector;
use super::rate::{growth, seconds_between};
use super::read::read_error;
use crate::parse::pid_stat;
use crate::parse::pid_stat::PidStat;
use crate::{ProcessPattern, Roots, Sample};

mod known;
mod pattern;
mod scan;
mod table;

use known::{Earlier, KnownProcesses};
use pattern::Pattern;
use scan::{Candidate, Scan, ShortName};
use table::ProcessTable;

/// The most patterns that are looked for; a process's matches are kept as a mask of so many bits.
const MAX_PATTERNS: usize = 128;

/// The most processes that are looked at in one scan; Linux's own limit is 4 Mi.
const MAX_PROCESSES: usize = 1 << 18;

/// In what Linux counts CPU time for programs (`USER_HZ`): a hundredth of a second on every
/// architecture that it still runs GPUs on, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// A thread of the kernel that was found at rest is read again every so many scans: there are
/// thousands on large machines, and reading them was most of a scan's cost.
const RESTING_THREAD_SCANS: u64 = 4;

/// Scans the processes.
#[derive(Debug)]
pub(super) struct Processes {
    patterns: Vec<Pattern>,
    known: KnownProcesses,
    /// Threads of the kernel that were at rest when they were read last, ascending.
    resting: Vec<u32>,
    scans: u64,
    previous_at: Option<Duration>,
    page_bytes: u64,
    stat_buffer: Vec<u8>,
    command_buffer: Vec<u8>,
}

impl Processes {
    /// A scanner that looks for these.
    pub(super) fn new(patterns: &[ProcessPattern]) -> Self {
        if patterns.len() > MAX_PATTERNS {
            tracing::warn!(limit = MAX_PATTERNS, "more process patterns than are looked for");
        }
        Self {
            patterns: patterns.iter().take(MAX_PATTERNS).map(Pattern::new).collect(),
            known: KnownProcesses::default(),
            resting: Vec::new(),
            scans: 0,
            previous_at: None,
            page_bytes: 0,
            stat_buffer: Vec::new(),
            command_buffer: Vec::new(),
        }
    }
}

impl LocalCollector for Processes {
    fn probe(&self) -> ProbeId {
        probe::PROCESSES
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let unreadable = |error: std::io::Error| read_error(&roots.proc, &error);
        let table = ProcessTable::open(roots).map_err(unreadable)?;
        let pids = table.pids(MAX_PROCESSES).map_err(unreadable)?;
        let seconds = self.previous_at.and_then(|at| seconds_between(at, monotonic));
        self.scans += 1;
        self.page_bytes = roots.files.page_bytes();
        let mut scan = Scan::default();
        let mut buffer = std::mem::take(&mut self.stat_buffer);
        let rested = std::mem::take(&mut self.resting);
        let mut known = self.known.next();
        for pid in pids {
            // Spread over the scans by their number.
            let due = (u64::from(pid) + self.scans).is_multiple_of(RESTING_THREAD_SCANS);
            if !due && rested.binary_search(&pid).is_ok() {
                self.resting.push(pid);
                scan.count_resting();
                continue;
            }
            // A process that ended since it was listed is no news.
            match table.stat(pid, &mut buffer).map(pid_stat::parse) {
                Some(Ok(stat)) => self.look_at(&stat, seconds, &table, &mut known, &mut scan),
                Some(Err(error)) => scan.note_malformed(pid, &error),
                None => {}
            }
        }
        self.stat_buffer = buffer;
        known.shrink_to_fit();
        self.known = known;
        self.resting.shrink_to_fit();
        self.previous_at = Some(monotonic);
        if scan.processes == 0 {
            return Err(nothing_seen(&scan, roots));
        }
        out.put(PROCESSES, "", f64::from(scan.processes));
        out.put(PROCESSES_BLOCKED, "", f64::from(scan.blocked));
        out.put(PROCESSES_ZOMBIE, "", f64::from(scan.zombies));
        // Those that only a GPU's driver knows of are added where the two are brought together.
        out.put(PROCESSES_TRAINING, "", f64::from(scan.matched));
        out.facts.processes =
            Some(scan.into_summary(&self.patterns, &table, &mut self.command_buffer));
        Ok(())
    }
}

fn nothing_seen(scan: &Scan, roots: &Roots) -> ProbeError {
    let shown = roots.proc.display();
    let (kind, message) = match scan.malformed {
        0 => (ProbeErrorKind::Absent, format!("there is not one process in {shown}")),
        count => {
            let last = &scan.last_malformed;
            let message = format!(
                "none of {count} processes in {shown} could be understood; the last: {last}"
            );
            (ProbeErrorKind::Malformed, message)
        }
    };
    ProbeError { kind, message, advice: None }
}

impl Processes {
    fn look_at(
        &mut self,
        stat: &PidStat<'_>,
        seconds: Option<f64>,
        table: &ProcessTable<'_>,
        known: &mut KnownProcesses,
        scan: &mut Scan,
    ) {
        let mut candidate = Candidate {
            pid: stat.pid,
            name: ShortName::new(stat.name),
            state: stat.state,
            cpu_percent: 0.0,
            resident_bytes: stat.resident_pages.saturating_mul(self.page_bytes),
            matches: 0,
        };
        // Threads of the kernel run no program: they are counted, and named when they are stuck.
        if !stat.kernel_thread {
            self.remember(stat, seconds, table, known, &mut candidate);
        }
        if stat.kernel_thread && matches!(stat.state, 'S' | 'I') {
            self.resting.push(stat.pid);
        }
        scan.count(&candidate, stat.kernel_thread);
    }

    /// Fills in what needs the previous scan, and keeps what the next one needs.
    fn remember(
        &mut self,
        stat: &PidStat<'_>,
        seconds: Option<f64>,
        table: &ProcessTable<'_>,
        known: &mut KnownProcesses,
        candidate: &mut Candidate,
    ) {
        let earlier = self.known.find(stat.pid, stat.start_ticks);
        if let (Some(Earlier { cpu_ticks, .. }), Some(seconds)) = (&earlier, seconds)
            && let Some(ticks) = growth(*cpu_ticks, stat.cpu_ticks)
        {
            candidate.cpu_percent = 100.0 * ticks / TICKS_PER_SECOND / seconds;
        }
        known.push(stat.pid, stat.start_ticks, stat.cpu_ticks);
        if self.patterns.is_empty() {
            return;
        }
        let same_program = |(name, _): &&(ShortName, u128)| *name == candidate.name;
        let remembered = earlier.and_then(|earlier| earlier.program).filter(same_program);
        candidate.matches = match remembered {
            Some((_, matches)) => *matches,
            None => Self::matches(&self.patterns, &mut self.command_buffer, stat, table),
        };
        known.push_program(candidate.name, candidate.matches);
    }

    /// Which patterns the command line matches, as a mask.
    fn matches(
        patterns: &[Pattern],
        buffer: &mut Vec<u8>,
        stat: &PidStat<'_>,
        table: &ProcessTable<'_>,
    ) -> u128 {
        let Some(command) = table.command(stat.pid, buffer) else { return 0 };
        let mut line = command.strip_suffix(b"\0").unwrap_or(command).to_vec();
        for byte in &mut line {
            if *byte == 0 {
                *byte = b' ';
            }
        }
        // Programs may clear it; the short name is then all there is.
        let line = if line.is_empty() { stat.name } else { &line };
        patterns
            .iter()
            .enumerate()
            .filter(|(_, pattern)| pattern.matches(line))
            .fold(0, |mask, (place, _)| mask | 1 << place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/proc/PID/stat` of a thread of the kernel, or of a program.
    fn stat(pid: u32, state: char, kernel_thread: bool) -> String {
        let flags = if kernel_thread { 0x0020_0000 } else { 0 };
        format!(
            "{pid} (t) {state} 2 0 0 0 -1 {flags} 0 0 0 0 1 1 0 0 20 0 1 0 7 0 9 {}",
            "0 ".repeat(28)
        )
    }

    #[test]
    fn resting_threads_of_the_kernel_are_read_rarely_and_never_lost() {
        let tree = tempfile::tempdir().unwrap();
        let roots = Roots::under(tree.path());
        let write = |pid: u32, state, kernel_thread| {
            let directory = roots.proc.join(pid.to_string());
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("stat"), stat(pid, state, kernel_thread)).unwrap();
        };
        for pid in 2..10 {
            write(pid, if pid % 2 == 0 { 'I' } else { 'S' }, true);
        }
        write(100, 'S', false);
        let mut scanner = Processes::new(&[]);
        let mut at = 0;
        let mut scan = || {
            at += 15;
            let mut sample = Sample::default();
            scanner.collect(&roots, Duration::from_secs(at), &mut sample).unwrap();
            let value = |metric| {
                let mut readings = sample.readings.iter();
                readings.find(|reading| reading.metric == metric).unwrap().value
            };
            (value(PROCESSES), value(PROCESSES_BLOCKED))
        };
        assert_eq!(scan(), (9.0, 0.0));
        // All become stuck at once: the program is seen at once, each thread in its turn.
        for pid in 2..10 {
            write(pid, 'D', true);
        }
        write(100, 'D', false);
        let seen = [scan().1, scan().1, scan().1, scan().1];
        assert_eq!(seen, [3.0, 5.0, 7.0, 9.0], "and what is stuck stays in sight");
        // Woken, they are seen to be so at once; one that is gone is not counted.
        for pid in 2..10 {
            write(pid, 'S', true);
        }
        std::fs::remove_dir_all(roots.proc.join("9")).unwrap();
        assert_eq!(scan(), (8.0, 1.0));
    }
}
