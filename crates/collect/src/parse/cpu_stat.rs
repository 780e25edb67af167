//! `/proc/stat`: CPU time per core, and the kernel's counters of switches, forks and interrupts.

use super::scan::{Fields, fields, lines, unsigned};
use super::{ParseError, bounded};

const FILE: &str = "/proc/stat";

/// The most cores one machine is believed to have.
pub const MAX_CORES: usize = 65_536;

/// CPU time by kind, in clock ticks since boot. Guest time is part of `user` and `nice`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In user space, not niced.
    pub user: u64,
    /// In user space, niced.
    pub nice: u64,
    /// In the kernel.
    pub system: u64,
    /// Doing nothing.
    pub idle: u64,
    /// Doing nothing while I/O is outstanding. The kernel does not promise that it only grows.
    pub iowait: u64,
    /// Serving interrupts.
    pub irq: u64,
    /// Serving soft interrupts.
    pub softirq: u64,
    /// Taken by the hypervisor for other guests.
    pub steal: u64,
}

/// One core's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreTimes {
    /// The kernel's number of the core; numbers may have gaps where cores are offline.
    pub core: u32,
    /// Its time.
    pub times: CpuTimes,
}

/// What `/proc/stat` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuStat {
    /// All cores together.
    pub total: CpuTimes,
    /// Each core online.
    pub cores: Vec<CoreTimes>,
    /// Interrupts served since boot.
    pub interrupts: Option<u64>,
    /// Context switches since boot.
    pub context_switches: Option<u64>,
    /// Processes created since boot.
    pub forks: Option<u64>,
}

/// Parses `/proc/stat`.
///
/// # Errors
/// When the summary line is missing, a known line holds no number where one belongs, or there are
/// more than [`MAX_CORES`] cores.
pub fn parse(bytes: &[u8]) -> Result<CpuStat, ParseError> {
    let mut stat = CpuStat::default();
    parse_into(bytes, &mut stat)?;
    Ok(stat)
}

/// As [`parse`], into a value whose room is used again. After an error its content means nothing.
///
/// # Errors
/// As [`parse`].
pub fn parse_into(bytes: &[u8], stat: &mut CpuStat) -> Result<(), ParseError> {
    stat.cores.clear();
    stat.interrupts = None;
    stat.context_switches = None;
    stat.forks = None;
    let mut total = None;
    for (number, line) in lines(bounded(FILE, bytes)?) {
        let mut words = fields(line);
        match words.next() {
            Some(b"cpu") => total = Some(times(&mut words, number)?),
            Some(b"intr") => stat.interrupts = Some(words.number(FILE, number, "interrupts")?),
            Some(b"ctxt") => {
                stat.context_switches = Some(words.number(FILE, number, "context switches")?);
            }
            Some(b"processes") => stat.forks = Some(words.number(FILE, number, "forks")?),
            Some(name) => {
                let Some(core) = name.strip_prefix(b"cpu").and_then(unsigned) else { continue };
                let core = u32::try_from(core)
                    .map_err(|_| ParseError::number(FILE, number, "core", name))?;
                if stat.cores.len() == MAX_CORES {
                    let what = format!("more than {MAX_CORES} cores");
                    return Err(ParseError::line(FILE, number, what));
                }
                stat.cores.push(CoreTimes { core, times: times(&mut words, number)? });
            }
            None => {}
        }
    }
    stat.total = total
        .ok_or_else(|| ParseError::whole(FILE, "there is no line that starts with \"cpu \""))?;
    Ok(())
}

/// The first four columns are as old as the file; the others came with Linux 2.6.
fn times(words: &mut Fields<'_>, line: usize) -> Result<CpuTimes, ParseError> {
    let mut times = CpuTimes {
        user: words.number(FILE, line, "user time")?,
        nice: words.number(FILE, line, "nice time")?,
        system: words.number(FILE, line, "system time")?,
        idle: words.number(FILE, line, "idle time")?,
        ..CpuTimes::default()
    };
    for (column, name) in [
        (&mut times.iowait, "iowait time"),
        (&mut times.irq, "irq time"),
        (&mut times.softirq, "softirq time"),
        (&mut times.steal, "steal time"),
    ] {
        let Some(field) = words.next() else { break };
        *column = unsigned(field).ok_or_else(|| ParseError::number(FILE, line, name, field))?;
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_counters_are_read_and_unknown_lines_stepped_over() {
        let stat = parse(
            b"cpu  10 1 2 80 3 1 2 1 9 9\ncpu0 5 1 1 40 3 1 2 1 0 0 77\ncpu7 5 0 1 40\n\
              intr 301584 0 0 12\nctxt 442185\nbtime 1795302656\nprocesses 12483\n\
              cpufoo what\nsoftirq\n\xff\xfe new thing\n",
        )
        .unwrap();
        assert_eq!(stat.total.user, 10);
        assert_eq!((stat.total.iowait, stat.total.steal), (3, 1));
        assert_eq!(stat.cores.iter().map(|core| core.core).collect::<Vec<_>>(), [0, 7]);
        assert_eq!(
            stat.cores[1].times,
            CpuTimes { user: 5, system: 1, idle: 40, ..CpuTimes::default() }
        );
        assert_eq!(
            (stat.interrupts, stat.context_switches, stat.forks),
            (Some(301_584), Some(442_185), Some(12_483))
        );
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_its_place() {
        for (input, expected) in [
            (&b""[..], "/proc/stat: there is no line that starts with \"cpu \""),
            (b"cpu 1 2 3", "/proc/stat, line 1: idle time is missing"),
            (
                b"cpu 1 2 3 4\ncpu0 1 -2 3 4",
                "/proc/stat, line 2: nice time is not a number that fits: \"-2\"",
            ),
            (
                b"cpu 1 2 3 4 99999999999999999999",
                "/proc/stat, line 1: iowait time is not a number that fits: \"99999999999999999999\"",
            ),
            (b"cpu 1 2 3 4\nctxt\n", "/proc/stat, line 2: context switches is missing"),
            (
                b"cpu4294967296 1 2 3 4",
                "/proc/stat, line 1: core is not a number that fits: \"cpu4294967296\"",
            ),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
