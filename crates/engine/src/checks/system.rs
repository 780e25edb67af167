//! CPU, stalls, file handles, temperatures, disks.

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Unit};

use crate::checks::CheckKind;
use crate::checks::memory::job_explains;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Judge, Slot};
use crate::memory::NodeFacts;
use crate::text::Quantity;
use crate::window::MeanWindow;

/// CPU use, mean over the window: a spike is not a finding, and neither is a running job.
pub(super) fn cpu(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(used) = input.frame.get(metric::CPU_USED) else { return };
    let Some(slot) = judge.open(CheckKind::Cpu) else { return };
    let value = windowed(input, ProbeSlot::CPU, &mut facts.cpu, used, judge, slot);
    let line = &input.policy.thresholds.pressure_cpu;
    if job_explains(input, facts, metric::PRESSURE_CPU_SOME, line) {
        judge.close_well(slot, "CPU use is the running job's, and nothing stalls");
        return;
    }
    let quantity = Quantity {
        subject: "CPU used, mean over the window",
        of: "",
        metric: "cpu_used_percent",
        unit: Unit::Percent,
        far_end: 100.0,
        well: "enough CPU time is free",
        advice: Some("see which processes use it (top of the process list)"),
    };
    judge.close_threshold(slot, value, &quantity);
}

/// The mean that a value is judged by. To raise, use must be proven for the window; to clear, it
/// must have been watched to be low: time that nobody watched does neither.
fn windowed(
    input: &Input<'_>,
    probe: ProbeSlot,
    window: &mut MeanWindow,
    value: f64,
    judge: &Judge<'_>,
    slot: Slot,
) -> f64 {
    let stretch = input.policy.thresholds.mean_window;
    if input.probes.at(probe).fresh {
        window.push(input.at, value, stretch);
    }
    match window.mean(stretch) {
        Some(mean) if judge.is_raised(slot) => mean.observed,
        Some(mean) => mean.proven,
        None => value,
    }
}

/// Pressure stalls: CPU, memory, disks.
pub(super) fn pressure(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    stall(
        input,
        judge,
        metric::PRESSURE_CPU_SOME,
        CheckKind::PressureCpu,
        Some(&mut facts.pressure_cpu),
    );
    stall(input, judge, metric::PRESSURE_MEMORY_FULL, CheckKind::PressureMemory, None);
    stall(
        input,
        judge,
        metric::PRESSURE_IO_FULL,
        CheckKind::PressureIo,
        Some(&mut facts.pressure_io),
    );
}

fn stall(
    input: &Input<'_>,
    judge: &mut Judge<'_>,
    reading: MetricId,
    kind: CheckKind,
    window: Option<&mut MeanWindow>,
) {
    let Some(value) = input.frame.get(reading) else { return };
    let Some(slot) = judge.open(kind) else { return };
    let value = match window {
        Some(window) => windowed(input, ProbeSlot::PRESSURE, window, value, judge, slot),
        None => value,
    };
    let (subject, metric, well, advice) = match kind {
        CheckKind::PressureCpu => (
            "time in which tasks waited for CPU, mean over the window",
            "pressure_cpu_some_percent",
            "tasks hardly wait for CPU",
            "more runs than the cores can serve; run less at once",
        ),
        CheckKind::PressureMemory => (
            "time in which everything waited for memory",
            "pressure_memory_full_percent",
            "tasks do not wait for memory",
            "the node is thrashing; end or limit what holds memory",
        ),
        _ => (
            "time in which everything waited for disks, mean over the window",
            "pressure_io_full_percent",
            "tasks hardly wait for disks",
            "find what reads or writes so much, or a disk that has become slow",
        ),
    };
    let of = "";
    let (unit, far_end, advice) = (Unit::Percent, 100.0, Some(advice));
    let quantity = Quantity { subject, of, metric, unit, far_end, well, advice };
    judge.close_threshold(slot, value, &quantity);
}

/// File handles of the whole system.
pub(super) fn file_handles(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(used) = input.frame.get(metric::FILE_HANDLES_USED) else { return };
    let Some(slot) = judge.open(CheckKind::FileHandles) else { return };
    let quantity = Quantity {
        subject: "file handles used",
        of: "",
        metric: "file_handles_used_percent",
        unit: Unit::Percent,
        far_end: 100.0,
        well: "enough file handles are free",
        advice: Some("find the process that leaks them (ls /proc/*/fd), or raise fs.file-max"),
    };
    judge.close_threshold(slot, used, &quantity);
}

/// The highest limit of a sensor that is believed, in degrees: chips report 255 or 65261 for "none".
const HIGHEST_SENSOR_LIMIT: f64 = 200.0;

/// The sensor nearest to its own critical limit.
pub(super) fn temperature(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let mut nearest: Option<(f64, f64, f64, &str)> = None;
    let mut hot_seen = false;
    let limits = input.frame.layout.slots(metric::TEMPERATURE_CRITICAL);
    let mut sensors = input.frame.layout.slots(metric::TEMPERATURE).iter();
    let series = input.frame.layout.series();
    for &limit_slot in limits {
        let (Some(limit), Some(named)) =
            (input.frame.at_slot(limit_slot), series.get(limit_slot.0 as usize))
        else {
            continue;
        };
        if !(0.0..=HIGHEST_SENSOR_LIMIT).contains(&limit) || limit == 0.0 {
            continue;
        }
        // Both metrics list their sensors in the same order, mostly.
        let same = |slot: &&sickbay_model::SeriesSlot| {
            series.get(slot.0 as usize).is_some_and(|it| it.instance == named.instance)
        };
        let value = match sensors.find(same) {
            Some(&slot) => input.frame.at_slot(slot),
            None => {
                sensors = input.frame.layout.slots(metric::TEMPERATURE).iter();
                input.frame.get_instance(metric::TEMPERATURE, &named.instance)
            }
        };
        let Some(value) = value else { continue };
        hot_seen |= facts.hot_sensor.as_deref() == Some(&*named.instance);
        let left = limit - value;
        if nearest.is_none_or(|(least, ..)| left < least) {
            nearest = Some((left, value, limit, &*named.instance));
        }
    }
    let lost = facts.hot_sensor.is_some() && !hot_seen;
    // Without any reading, or without the one that the finding is about, the sweep says unknown.
    let Some((left, value, limit, sensor)) = nearest.filter(|_| !lost) else { return };
    let Some(slot) = judge.open(CheckKind::Temperature) else { return };
    let quantity = Quantity {
        subject: "degrees left to the hottest sensor's limit",
        of: "",
        metric: "temperature_celsius",
        unit: Unit::Celsius,
        far_end: -20.0,
        well: "every sensor is below its limit",
        advice: Some("check fans, air flow and the room's temperature"),
    };
    let Some(mut answer) = judge.threshold_finding(slot, left, &quantity) else {
        facts.hot_sensor = None;
        judge.close_well(slot, quantity.well);
        return;
    };
    answer.message = format!("{sensor} is at {value:.0} °C, its limit is {limit:.0} °C").into();
    facts.hot_sensor = Some(sensor.to_owned());
    judge.close(slot, answer);
}

/// Disk counters: their latency and use are information; what is judged is that they are read.
pub(super) fn disks(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    if !input.probes.at(ProbeSlot::DISK).answered() {
        return;
    }
    let Some(slot) = judge.open(CheckKind::DiskIo) else { return };
    judge.close_well(slot, "disk counters are read");
}
