//! Processes that are measured: started here, stopped here.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A started program that is killed when it goes out of scope.
pub struct Measured(Child);

impl Measured {
    /// Starts a program with its output thrown away.
    pub fn start(program: &str, arguments: &[&str]) -> Result<Self> {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
            .with_context(|| format!("starting {program}"))
    }

    /// CPU time and resident memory of the process and all its descendants.
    pub fn usage(&self) -> Usage {
        family(self.0.id()).into_iter().map(usage_of).fold(Usage::default(), Usage::plus)
    }

    /// Resident memory of the process alone, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        usage_of(self.0.id()).resident_bytes
    }

    /// Asks the process to end and waits for it.
    pub fn stop(mut self) -> Result<Duration> {
        let started = std::time::Instant::now();
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.0.wait()?;
        Ok(started.elapsed())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time since it started.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
}

impl Usage {
    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            resident_bytes: self.resident_bytes + other.resident_bytes,
        }
    }
}

/// A process and its descendants.
fn family(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        next += 1;
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    family
}

/// CPU time from `schedstat` (nanoseconds), which `stat`'s ticks of 10 ms would round away.
fn usage_of(pid: u32) -> Usage {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanoseconds +=
            text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 =
        statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Usage {
        cpu: Duration::from_nanos(nanoseconds),
        resident_bytes: pages * rustix::param::page_size() as u64,
    }
}

/// Mebibytes, for a table.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}
