//! Memory and swap.

use std::time::Duration;

use sickbay_model::catalogue::{
    MEMORY_AVAILABLE, MEMORY_CACHED, MEMORY_DIRTY, MEMORY_SLAB_UNRECLAIMABLE, MEMORY_TOTAL,
    MEMORY_USED, OOM_KILLS, SWAP_IN, SWAP_OUT, SWAP_TOTAL, SWAP_USED,
};
use sickbay_model::{ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::rate::{Previous, per_second, seconds_between};
use super::read::KernelFile;
use crate::parse::meminfo::MemoryInfo;
use crate::parse::vmstat::VmStat;
use crate::parse::{meminfo, vmstat};
use crate::{Roots, Sample};

/// Collects memory and swap.
#[derive(Debug)]
pub(super) struct Memory {
    meminfo_file: KernelFile,
    vmstat_file: KernelFile,
    previous: Option<Previous<VmStat>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            meminfo_file: KernelFile::new("meminfo"),
            vmstat_file: KernelFile::new("vmstat"),
            previous: None,
        }
    }
}

impl LocalCollector for Memory {
    fn probe(&self) -> ProbeId {
        probe::MEMORY
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let info = meminfo::parse(self.meminfo_file.read(roots)?)
            .map_err(|error| self.meminfo_file.malformed(roots, &error))?;
        put_memory(&info, out);
        out.facts.host.memory_bytes = info.total;
        let ended = self.put_paging(roots, monotonic, out);
        out.part(ended);
        Ok(())
    }
}

impl Memory {
    fn put_paging(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        // Some containers hide it; nothing but swapping and kills is lost with it.
        let Some(bytes) = self.vmstat_file.read_if_there(roots)? else {
            self.previous = None;
            return Ok(());
        };
        let parsed = vmstat::parse(bytes);
        let counters = parsed.map_err(|error| self.vmstat_file.malformed(roots, &error))?;
        out.put_some(OOM_KILLS, "", counters.oom_kills.map(|kills| kills as f64));
        if let Some(previous) = &self.previous {
            let seconds = seconds_between(previous.at, monotonic);
            let earlier = previous.counters;
            for (metric, earlier, later) in [
                (SWAP_IN, earlier.swap_in_pages, counters.swap_in_pages),
                (SWAP_OUT, earlier.swap_out_pages, counters.swap_out_pages),
            ] {
                if let (Some(earlier), Some(later)) = (earlier, later) {
                    out.put_some(metric, "", per_second(earlier, later, seconds));
                }
            }
        }
        self.previous = Some(Previous { at: monotonic, counters });
        Ok(())
    }
}

fn put_memory(info: &MemoryInfo, out: &mut Sample) {
    out.put(MEMORY_TOTAL, "", info.total as f64);
    if let Some(available) = info.available_or_estimate() {
        out.put(MEMORY_AVAILABLE, "", available as f64);
        out.put(MEMORY_USED, "", 100.0 * (1.0 - available as f64 / info.total as f64));
    }
    let cached = match (info.cached, info.buffers) {
        (None, None) => None,
        (cached, buffers) => Some(cached.unwrap_or(0).saturating_add(buffers.unwrap_or(0))),
    };
    for (metric, value) in [
        (MEMORY_CACHED, cached),
        (MEMORY_DIRTY, info.dirty),
        (MEMORY_SLAB_UNRECLAIMABLE, info.slab_unreclaimable),
        (SWAP_TOTAL, info.swap_total),
    ] {
        out.put_some(metric, "", value.map(|bytes| bytes as f64));
    }
    if let (Some(total), Some(free)) = (info.swap_total, info.swap_free)
        && total > 0
        && let Some(used) = total.checked_sub(free)
    {
        out.put(SWAP_USED, "", 100.0 * used as f64 / total as f64);
    }
}
