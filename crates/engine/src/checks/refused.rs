//! Readings that were refused because they cannot be true.
//!
//! A sensor that lies must not look healthy: what it should have told is unknown, and the lie is
//! named. Of a GPU it is the GPU's own finding, of anything else the node's. Temperature sensors of
//! mainboards are left out: ones that are not wired tell nonsense on many a sound machine.

use sickbay_model::{Advice, GpuVendor, InstanceKind, Series, catalogue};

use crate::checks::CheckKind;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Judge, NO_GPU};
use crate::memory::NodeFacts;

/// How many refused readings a message names.
const NAMED: usize = 3;

const ADVICE: &str = "look at what the driver or sensor itself says (nvidia-smi -q, /sys/class/hwmon); \
                      if it says the same, the driver, firmware or sensor is broken";

/// Names the refused readings of each GPU, and those of the node.
pub(super) fn refused(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let refused = &input.observation.refused;
    if refused.is_empty() {
        return;
    }
    let listed = |index| input.gpus.iter().any(|row| row.device.index == index);
    for row in &input.gpus {
        let index = row.device.index;
        let own: Vec<&Series> = refused.iter().filter(|one| gpu_of(one) == Some(index)).collect();
        if own.is_empty() {
            continue;
        }
        let feed = ProbeSlot::of_vendor(row.device.vendor);
        let gpu = u16::try_from(index).unwrap_or(NO_GPU);
        let kind = CheckKind::GpuReadingsRefused;
        if let Some(slot) = judge.open_always(kind, &index.to_string(), feed, gpu) {
            let reason = format!("GPU {index}: {}", names(&own));
            judge.close_unknown(slot, reason, Some(Advice(ADVICE.into())));
        }
    }
    let rest: Vec<&Series> = refused
        .iter()
        .filter(|one| !is_board_sensor(one))
        .filter(|one| !gpu_of(one).is_some_and(listed))
        .collect();
    if rest.is_empty() {
        return;
    }
    // Which probe told them is not known here; a lie about a GPU that is not listed is its driver's.
    let feed = match rest.first().and_then(|one| gpu_of(one)) {
        Some(_) => ProbeSlot::of_vendor(GpuVendor::Nvidia),
        None => ProbeSlot::HOST,
    };
    if let Some(slot) = judge.open_always(CheckKind::ReadingsRefused, "", feed, NO_GPU) {
        judge.close_unknown(slot, names(&rest), Some(Advice(ADVICE.into())));
    }
}

fn is_board_sensor(series: &Series) -> bool {
    catalogue::find(series.metric).is_some_and(|metric| metric.instance == InstanceKind::Sensor)
}

/// The index of the GPU that a series is about.
fn gpu_of(series: &Series) -> Option<u32> {
    let index = match catalogue::find(series.metric)?.instance {
        InstanceKind::Gpu => &*series.instance,
        InstanceKind::NvLink => series.instance.split_once('/')?.0,
        _ => return None,
    };
    index.parse().ok()
}

fn names(refused: &[&Series]) -> String {
    let name = |series: &&Series| {
        let metric = catalogue::find(series.metric).map_or("a metric", |metric| metric.name);
        match &*series.instance {
            "" => metric.to_owned(),
            instance => format!("{metric} of {instance}"),
        }
    };
    let listed: Vec<_> = refused.iter().take(NAMED).map(name).collect();
    let more = match refused.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("what was measured cannot be true and was refused: {}{more}", listed.join(", "))
}
