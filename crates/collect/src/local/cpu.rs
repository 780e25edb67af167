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
use crate::parse::cpu_stat::{CpuStat, CpuTimes};
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
    previous: Option<Previous<CpuStat>>,
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
        if let Some(previous) = &self.previous
            && self.current.cores.capacity() == 0
        {
            self.current.cores.reserve_exact(previous.counters.cores.len());
        }
        let parsed = cpu_stat::parse_into(self.stat_file.read(roots)?, &mut self.current);
        parsed.map_err(|error| self.stat_file.malformed(roots, &error))?;
        if let Some(previous) = &self.previous {
            put_shares(&previous.counters, &self.current, out);
            put_rates(previous, &self.current, monotonic, out);
        }
        let model = self.model(roots);
        put_facts(&self.current, model, out);
        // The two swap places, so that neither list of cores is ever allocated again; but of many
        // nodes with many cores one list each is enough.
        let recycled = match &roots.files {
            Files::Here => self.previous.take().map(|previous| previous.counters),
            Files::Fetched(_) => None,
        };
        let mut counters = std::mem::replace(&mut self.current, recycled.unwrap_or_default());
        counters.cores.shrink_to_fit();
        self.previous = Some(Previous { at: monotonic, counters });

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

fn put_shares(earlier: &CpuStat, later: &CpuStat, out: &mut Sample) {
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
    for core in &later.cores {
        while before.next_if(|old| old.core < core.core).is_some() {}
        let Some(old) = before.next_if(|old| old.core == core.core) else { continue };
        let Some(shares) = Shares::between(&old.times, &core.times) else { continue };
        busiest = Some(busiest.map_or(shares.used, |most| most.max(shares.used)));
        saturated += u32::from(shares.used >= SATURATED_PERCENT);
    }
    if let Some(busiest) = busiest {
        out.put(CPU_BUSIEST_CORE, "", busiest);
        out.put(CPU_SATURATED_CORES, "", f64::from(saturated));
    }
}

fn put_rates(previous: &Previous<CpuStat>, stat: &CpuStat, monotonic: Duration, out: &mut Sample) {
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
