//! Which reading a check judges, and by which lines: what a table of readings shows beside a value.
//!
//! Only readings that are judged as they are: a check over a sum, a margin or a card's own limits has
//! no line that could be drawn through one reading.

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Status};

use crate::Policy;
use crate::assessment::Assessment;
use crate::checks::CheckKind;

/// The checks that judge one reading as it is, each with its metric; a check's instance is the
/// reading's.
const JUDGED: &[(CheckKind, MetricId)] = &[
    (CheckKind::Cpu, metric::CPU_USED),
    (CheckKind::Memory, metric::MEMORY_USED),
    (CheckKind::Swap, metric::SWAP_USED),
    (CheckKind::PressureCpu, metric::PRESSURE_CPU_SOME),
    (CheckKind::PressureMemory, metric::PRESSURE_MEMORY_FULL),
    (CheckKind::PressureIo, metric::PRESSURE_IO_FULL),
    (CheckKind::FilesystemSpace, metric::FILESYSTEM_USED),
    (CheckKind::FilesystemInodes, metric::FILESYSTEM_INODES_USED),
    (CheckKind::FileHandles, metric::FILE_HANDLES_USED),
    (CheckKind::Latency, metric::LATENCY),
    (CheckKind::LatencyLoss, metric::LATENCY_LOSS),
    (CheckKind::ProcessZombies, metric::PROCESSES_ZOMBIE),
    (CheckKind::GpuMemory, metric::GPU_MEMORY_USED),
];

/// How one reading is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedReading<'a> {
    /// Which metric.
    pub metric: MetricId,
    /// Which instance; empty for metrics with one value per node.
    pub instance: &'a str,
    /// Where degraded begins, in the metric's unit; overrides considered.
    pub warning: Option<f64>,
    /// Where critical begins.
    pub critical: Option<f64>,
    /// What its check says now: with hysteresis and context, so not what the lines alone would say.
    pub status: Status,
}

/// The readings that an assessment judged by lines, in the order of its checks.
pub fn judged_readings<'a>(
    policy: &'a Policy,
    assessment: &'a Assessment,
) -> impl Iterator<Item = JudgedReading<'a>> {
    assessment.checks.iter().filter_map(move |check| {
        let &(kind, metric) = JUDGED.iter().find(|(kind, _)| check.check == kind.id())?;
        let threshold = crate::judge::threshold_of(policy, kind, &check.instance)?;
        let (warning, critical) = (threshold.warning, threshold.critical);
        Some(JudgedReading {
            metric,
            instance: &check.instance,
            warning,
            critical,
            status: check.status,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::catalogue;

    #[test]
    fn every_judged_check_has_lines_and_a_metric_of_the_catalogue() {
        for (kind, metric) in JUDGED {
            assert!(kind.threshold(&Policy::default()).is_some(), "{}", kind.name());
            assert!(catalogue::find(*metric).is_some(), "{}", kind.name());
        }
    }
}
