//! Pressure stalls: the share of time in which tasks waited for CPU, memory or I/O.

use std::time::Duration;

use sickbay_model::catalogue::{
    PRESSURE_CPU_SOME, PRESSURE_IO_FULL, PRESSURE_IO_SOME, PRESSURE_MEMORY_FULL,
    PRESSURE_MEMORY_SOME,
};
use sickbay_model::{MetricId, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::read::KernelFile;
use crate::parse::pressure;
use crate::{Roots, Sample};

/// Collects pressure stalls.
#[derive(Debug)]
pub(super) struct Pressures {
    files: [Stall; 3],
}

/// A file with the metric of its `some` line and that of its `full` line.
#[derive(Debug)]
struct Stall(KernelFile, MetricId, Option<MetricId>);

impl Stall {
    /// Writes its readings; returns whether the file is there.
    fn put(&mut self, roots: &Roots, out: &mut Sample) -> Result<bool, ProbeError> {
        let Self(file, some, full) = self;
        let Some(bytes) = file.read_if_there(roots)? else { return Ok(false) };
        let parsed = pressure::parse(bytes);
        let got = parsed.map_err(|error| file.malformed(roots, &error))?;
        out.put(*some, "", got.some_avg10);
        if let (Some(metric), Some(value)) = (*full, got.full_avg10) {
            out.put(metric, "", value);
        }
        Ok(true)
    }
}

impl Default for Pressures {
    fn default() -> Self {
        Self {
            files: [
                // CPU's `full` has no meaning for a whole machine; the kernel writes zeros.
                Stall(KernelFile::new("pressure/cpu"), PRESSURE_CPU_SOME, None),
                Stall(
                    KernelFile::new("pressure/memory"),
                    PRESSURE_MEMORY_SOME,
                    Some(PRESSURE_MEMORY_FULL),
                ),
                Stall(KernelFile::new("pressure/io"), PRESSURE_IO_SOME, Some(PRESSURE_IO_FULL)),
            ],
        }
    }
}

impl LocalCollector for Pressures {
    fn probe(&self) -> ProbeId {
        probe::PRESSURE
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let (mut answered, mut failed) = (false, None);
        for stall in &mut self.files {
            match stall.put(roots, out) {
                Ok(was_there) => answered |= was_there,
                Err(error) => {
                    failed.get_or_insert_with(|| error.clone());
                    out.part(Err(error));
                }
            }
        }
        if !answered {
            if let Some(error) = failed {
                return Err(error);
            }
            out.set_not_applicable(
                "this kernel has no pressure stall information (Linux 4.20 with CONFIG_PSI, not psi=0)",
            );
        }
        Ok(())
    }
}
