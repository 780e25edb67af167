//! CPU: shares of time, the busiest cores, load, and the scheduler's counters.

use std::time::Duration;

use sickbay_model::catalogue::{
    CONTEXT_SWITCHES, CPU_BUSIEST_CORE, CPU_CORES, CPU_IOWAIT, CPU_SATURATED_CORES, CPU_STEAL,
    CPU_SYSTEM, CPU_USED, CPU_USER, FORKS, INTERRUPTS, LOAD_1M, LOAD_5M, LOAD_15M,
};
use sickbay_model::{ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::rate::{Previous, growth, per_second, seconds_between};
use super::read::KernelFile;
use crate::parse::cpu_stat::{CoreTimes, CpuStat, CpuTimes};
use crate::parse::{cpu_stat, cpuinfo, loadavg};
use crate::{Files, Roots, Sample};

/// A core at least this busy counts as saturated.
const SATURATED_PERCENT: f64 = 90.0;

/// How much of `/proc/cpuinfo` is read: the first core's lines, on any machine seen.
const CPUINFO_BYTES: usize = 16 * 1024;

/// Collects CPU and load.
#[derive(Debug)]
pub(super) struct Cpu {
    stat_file: KernelFile,
    loadavg_file: KernelFile,
    current: CpuStat,
    previous: Option<Previous<Counters>>,
    model: Option<String>,
}

impl Default for Cpu {
    fn default() -> Self {
        Self {
            stat_file: KernelFile::new("stat"),
            loadavg_file: KernelFile::new("loadavg"),
            current: CpuStat::default(),
            previous: None,
            model: None,
        }
    }
}

impl LocalCollector for Cpu {
    fn probe(&self) -> ProbeId {
        probe::CPU
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let parsed = cpu_stat::parse_into(self.stat_file.read(roots)?, &mut self.current);
        parsed.map_err(|error| self.stat_file.malformed(roots, &error))?;
        if let Some(previous) = &self.previous {
            put_shares(&previous.counters, &self.current, out);
            put_rates(previous, &self.current, monotonic, out);
        }
        let model = self.model(roots);
        put_facts(&self.current, model, out);
        let room = self.previous.take().map(|previous| previous.counters.cores);
        let counters = Counters::of(&self.current, room.unwrap_or_default());
        self.previous = Some(Previous { at: monotonic, counters });
        if matches!(roots.files, Files::Fetched(_)) {
            // Of many nodes with many cores each is looked at in turn: none keeps this room.
            self.current.cores = Vec::new();
        }

        let load = self.put_load(roots, out);
        out.part(load);
        Ok(())
    }
}

impl Cpu {
    fn put_load(&mut self, roots: &Roots, out: &mut Sample) -> Result<(), ProbeError> {
        let load = loadavg::parse(self.loadavg_file.read(roots)?)
            .map_err(|error| self.loadavg_file.malformed(roots, &error))?;
        out.put(LOAD_1M, "", load.one_minute);
        out.put(LOAD_5M, "", load.five_minutes);
        out.put(LOAD_15M, "", load.fifteen_minutes);
        Ok(())
    }

    /// Read once: it cannot change while the machine runs, and the kernel works hard to write it.
    fn model(&mut self, roots: &Roots) -> String {
        self.model
            .get_or_insert_with(|| {
                let mut buffer = Vec::new();
                roots
                    .files
                    .read_start(&roots.proc.join("cpuinfo"), &mut buffer, CPUINFO_BYTES)
                    .ok()
                    .and_then(|bytes| cpuinfo::parse(bytes).ok())
                    .map(|info| info.model)
                    .unwrap_or_default()
            })
            .clone()
    }
}

fn put_facts(stat: &CpuStat, model: String, out: &mut Sample) {
    // Some containers show the summary line only.
    if let Some(cores) = u32::try_from(stat.cores.len()).ok().filter(|cores| *cores > 0) {
        out.put(CPU_CORES, "", f64::from(cores));
        out.facts.host.cpu_count = cores;
    }
    out.facts.host.cpu_model = model;
}

/// What is kept of a reading until the next one: small, because a hub keeps it for every node.
#[derive(Debug)]
struct Counters {
    total: CpuTimes,
    cores: Vec<CoreTicks>,
    interrupts: Option<u64>,
    context_switches: Option<u64>,
    forks: Option<u64>,
}

/// One core's time in clock ticks, modulo 2³²: between two readings there passes less, for that
/// would take more than a year.
#[derive(Clone, Copy, Debug)]
struct CoreTicks {
    core: u32,
    used: u32,
    idle: u32,
    iowait: u32,
}

impl Counters {
    fn of(stat: &CpuStat, mut room: Vec<CoreTicks>) -> Self {
        room.clear();
        room.reserve_exact(stat.cores.len());
        room.extend(stat.cores.iter().map(CoreTicks::of));
        let CpuStat { total, interrupts, context_switches, forks, .. } = *stat;
        Self { total, cores: room, interrupts, context_switches, forks }
    }
}

impl CoreTicks {
    fn of(core: &CoreTimes) -> Self {
        let CpuTimes { user, nice, system, idle, iowait, irq, softirq, steal } = core.times;
        let used = [nice, system, irq, softirq, steal].into_iter().fold(user, u64::wrapping_add);
        Self { core: core.core, used: used as u32, idle: idle as u32, iowait: iowait as u32 }
    }

    /// The share of the time since an earlier reading that was used, in percent; `None` when no tick
    /// passed or a counter went back.
    fn used_percent(self, earlier: Self) -> Option<f64> {
        let grown = |before: u32, now: u32| {
            let grown = now.wrapping_sub(before);
            (grown <= i32::MAX.unsigned_abs()).then(|| f64::from(grown))
        };
        let (used, idle) = (grown(earlier.used, self.used)?, grown(earlier.idle, self.idle)?);
        // As for all cores together: of all columns this one may shrink.
        let total = used + idle + grown(earlier.iowait, self.iowait).unwrap_or(0.0);
        (total > 0.0).then(|| 100.0 * used / total)
    }
}

fn put_shares(earlier: &Counters, later: &CpuStat, out: &mut Sample) {
    if let Some(shares) = Shares::between(&earlier.total, &later.total) {
        out.put(CPU_USED, "", shares.used);
        out.put(CPU_USER, "", shares.user);
        out.put(CPU_SYSTEM, "", shares.system);
        out.put(CPU_IOWAIT, "", shares.iowait);
        out.put(CPU_STEAL, "", shares.steal);
    }
    // Both lists ascend by core; a core that was offline at one of the two readings has no share.
    let mut before = earlier.cores.iter().peekable();
    let (mut busiest, mut saturated) = (None::<f64>, 0_u32);
    for core in later.cores.iter().map(CoreTicks::of) {
        while before.next_if(|old| old.core < core.core).is_some() {}
        let Some(old) = before.next_if(|old| old.core == core.core) else { continue };
        let Some(used) = core.used_percent(*old) else { continue };
        busiest = Some(busiest.map_or(used, |most| most.max(used)));
        saturated += u32::from(used >= SATURATED_PERCENT);
    }
    if let Some(busiest) = busiest {
        out.put(CPU_BUSIEST_CORE, "", busiest);
        out.put(CPU_SATURATED_CORES, "", f64::from(saturated));
    }
}

fn put_rates(previous: &Previous<Counters>, stat: &CpuStat, monotonic: Duration, out: &mut Sample) {
    let seconds = seconds_between(previous.at, monotonic);
    let earlier = &previous.counters;
    for (metric, earlier, later) in [
        (CONTEXT_SWITCHES, earlier.context_switches, stat.context_switches),
        (FORKS, earlier.forks, stat.forks),
        (INTERRUPTS, earlier.interrupts, stat.interrupts),
    ] {
        if let (Some(earlier), Some(later)) = (earlier, later) {
            out.put_some(metric, "", per_second(earlier, later, seconds));
        }
    }
}

/// Shares of the time between two readings, in percent.
struct Shares {
    used: f64,
    user: f64,
    system: f64,
    iowait: f64,
    steal: f64,
}

impl Shares {
    /// `None` when no tick passed or a counter went back.
    fn between(earlier: &CpuTimes, later: &CpuTimes) -> Option<Self> {
        let user = growth(earlier.user, later.user)? + growth(earlier.nice, later.nice)?;
        let system = growth(earlier.system, later.system)?
            + growth(earlier.irq, later.irq)?
            + growth(earlier.softirq, later.softirq)?;
        let steal = growth(earlier.steal, later.steal)?;
        let idle = growth(earlier.idle, later.idle)?;
        // proc(5): of all columns this one may shrink. Nobody waited then, as far as one can tell.
        let iowait = growth(earlier.iowait, later.iowait).unwrap_or(0.0);
        let total = user + system + steal + idle + iowait;
        (total > 0.0).then(|| {
            let share = |part: f64| 100.0 * part / total;
            Self {
                // Waiting for I/O is idle time: another task could run.
                used: share(user + system + steal),
                user: share(user),
                system: share(system),
                iowait: share(iowait),
                steal: share(steal),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_used_by_what_grew_whatever_its_counters_stood_at() {
        let wrap = u64::from(u32::MAX);
        let at = |user, idle, iowait| CoreTimes {
            core: 0,
            times: CpuTimes { user, idle, iowait, ..CpuTimes::default() },
        };
        for (earlier, later, expected) in [
            (at(10, 10, 0), at(40, 20, 0), Some(75.0)),
            (at(10, 10, 5), at(40, 20, 25), Some(50.0)),
            // Waiting for I/O may shrink; nothing else may.
            (at(10, 10, 5), at(40, 20, 0), Some(75.0)),
            (at(10, 10, 0), at(9, 20, 0), None),
            (at(10, 10, 0), at(40, 9, 0), None),
            (at(10, 10, 0), at(10, 10, 0), None),
            // Counters beyond what is kept of them.
            (at(wrap - 10, 3 * wrap, 0), at(wrap + 20, 3 * wrap + 10, 0), Some(75.0)),
            (at(wrap + 20, 0, 0), at(wrap - 10, 10, 0), None),
        ] {
            let used = CoreTicks::of(&later).used_percent(CoreTicks::of(&earlier));
            assert_eq!(used, expected, "{earlier:?} {later:?}");
        }
    }
}
