//! What one scan gathers: counts, and the few processes that are named.

use sickbay_model::{ProcessInfo, ProcessSummary};

use super::pattern::Pattern;
use super::table::ProcessTable;
use crate::parse::{ParseError, pid_cmdline, printable};

/// How many processes are named for their use of CPU, and as many for their memory.
const TOP: usize = 5;

/// How many processes in state D, and how many zombies, are named; all are counted.
const MAX_STUCK: usize = 20;

/// How many processes that match a pattern are named; all are counted.
const MAX_MATCHED: usize = 64;

/// A process's short name. Programs have 15 bytes; workers of the kernel may have more, and are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShortName {
    bytes: [u8; Self::MAX_BYTES],
    length: usize,
}

impl ShortName {
    const MAX_BYTES: usize = 32;

    pub(super) fn new(name: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_BYTES];
        let mut length = 0;
        for (to, from) in bytes.iter_mut().zip(name) {
            *to = *from;
            length += 1;
        }
        Self { bytes, length }
    }

    fn shown(&self) -> String {
        printable(self.bytes.get(..self.length).unwrap_or_default(), Self::MAX_BYTES)
    }
}

/// A process that may be named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) pid: u32,
    pub(super) name: ShortName,
    pub(super) state: char,
    pub(super) cpu_percent: f64,
    pub(super) resident_bytes: u64,
    /// The patterns that it matches, a bit each.
    pub(super) matches: u128,
}

/// What one scan gathers.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) processes: u32,
    pub(super) blocked: u32,
    pub(super) zombies: u32,
    pub(super) matched: u32,
    pub(super) malformed: u32,
    pub(super) last_malformed: String,
    /// All patterns that some process matches.
    matches: u128,
    top_cpu: Vec<Candidate>,
    top_memory: Vec<Candidate>,
    named_blocked: Vec<Candidate>,
    named_zombies: Vec<Candidate>,
    named_matched: Vec<Candidate>,
}

impl Scan {
    /// Notes that a process could not be understood.
    pub(super) fn note_malformed(&mut self, pid: u32, error: &ParseError) {
        self.malformed += 1;
        self.last_malformed = format!("process {pid}: {error}");
    }

    /// Counts a thread of the kernel that was at rest and was not read this time.
    pub(super) fn count_resting(&mut self) {
        self.processes += 1;
    }

    /// Counts a process, and keeps it if it is to be named.
    pub(super) fn count(&mut self, candidate: &Candidate, kernel_thread: bool) {
        self.processes += 1;
        match candidate.state {
            'D' => {
                self.blocked += 1;
                keep(&mut self.named_blocked, candidate, MAX_STUCK);
            }
            'Z' | 'X' => {
                self.zombies += 1;
                keep(&mut self.named_zombies, candidate, MAX_STUCK);
                // It matches nothing any more: what is looked for must be alive.
                return;
            }
            _ => {}
        }
        if kernel_thread {
            return;
        }
        keep_top(&mut self.top_cpu, candidate, |one| one.cpu_percent);
        keep_top(&mut self.top_memory, candidate, |one| one.resident_bytes as f64);
        if candidate.matches != 0 {
            self.matched += 1;
            self.matches |= candidate.matches;
            keep(&mut self.named_matched, candidate, MAX_MATCHED);
        }
    }

    /// Describes the processes that are named. Reads their command lines.
    pub(super) fn into_summary(
        self,
        patterns: &[Pattern],
        table: &ProcessTable<'_>,
        buffer: &mut Vec<u8>,
    ) -> ProcessSummary {
        let mut top = self.top_cpu;
        for candidate in self.top_memory {
            if !top.iter().any(|one| one.pid == candidate.pid) {
                top.push(candidate);
            }
        }
        top.sort_by(|left, right| {
            right
                .cpu_percent
                .total_cmp(&left.cpu_percent)
                .then(right.resident_bytes.cmp(&left.resident_bytes))
        });
        let expected = |place: usize, pattern: &Pattern| {
            (pattern.expected && self.matches & 1 << place == 0).then(|| pattern.name.clone())
        };
        let missing_patterns = patterns
            .iter()
            .enumerate()
            .filter_map(|(place, pattern)| expected(place, pattern))
            .collect();
        let expected_patterns = patterns.iter().filter(|pattern| pattern.expected).count();
        let mut describe = |candidates: Vec<Candidate>| {
            candidates.iter().map(|one| describe(one, patterns, table, buffer)).collect()
        };
        ProcessSummary {
            top: describe(top),
            blocked: describe(self.named_blocked),
            zombies: describe(self.named_zombies),
            training: describe(self.named_matched),
            missing_patterns,
            expected_patterns: u32::try_from(expected_patterns).unwrap_or(u32::MAX),
        }
    }
}

fn keep(list: &mut Vec<Candidate>, candidate: &Candidate, limit: usize) {
    if list.len() < limit {
        list.push(*candidate);
    }
}

/// Keeps the [`TOP`] largest, largest first; what uses nothing is not kept.
fn keep_top(list: &mut Vec<Candidate>, candidate: &Candidate, rank: fn(&Candidate) -> f64) {
    if rank(candidate) <= 0.0 {
        return;
    }
    let place = list.partition_point(|kept| rank(kept) >= rank(candidate));
    if place < TOP {
        list.truncate(TOP - 1);
        list.insert(place, *candidate);
    }
}

fn describe(
    candidate: &Candidate,
    patterns: &[Pattern],
    table: &ProcessTable<'_>,
    buffer: &mut Vec<u8>,
) -> ProcessInfo {
    // A process in state D may hold the very lock that its command line is read under.
    let command = match candidate.state {
        'D' => None,
        _ => table.command(candidate.pid, buffer).and_then(|bytes| pid_cmdline::parse(bytes).ok()),
    };
    let matched = patterns
        .get(candidate.matches.trailing_zeros() as usize)
        .map(|pattern| pattern.name.clone());
    ProcessInfo {
        pid: candidate.pid,
        name: candidate.name.shown(),
        command: command.unwrap_or_default(),
        state: candidate.state,
        cpu_percent: candidate.cpu_percent,
        resident_bytes: candidate.resident_bytes,
        gpus: Vec::new(),
        gpu_memory_bytes: 0,
        matched,
    }
}
