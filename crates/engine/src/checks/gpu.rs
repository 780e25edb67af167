//! Each GPU: does it answer, is it too hot, does it work, is its memory free.
//!
//! What a card does not support is not judged. Errors and links are in [`super::gpu_errors`]. Rules
//! over longer stretches (throttling for minutes, growing error counts) are not here.

use sickbay_model::{Status, Unit};

use super::gpu_errors;
use crate::checks::CheckKind;
use crate::input::{GpuColumn, GpuRow, Input, Job, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU, Slot};
use crate::memory::{GpuMemory, NodeFacts};
use crate::text::{self, Quantity};

/// One GPU with what is remembered of it.
pub(super) struct Card<'a, 'b> {
    pub(super) row: &'b GpuRow<'a>,
    index: u16,
    name: &'b str,
}

impl Card<'_, '_> {
    pub(super) fn get(&self, column: GpuColumn) -> Option<f64> {
        self.row.get(column)
    }

    pub(super) fn open(&self, judge: &mut Judge<'_>, kind: CheckKind) -> Option<Slot> {
        let feed = ProbeSlot::of_vendor(self.row.device.vendor);
        judge.open_instance(kind, self.name, feed, self.index)
    }

    pub(super) fn label(&self) -> String {
        format!("GPU {}", self.name)
    }
}

/// Every GPU that a driver lists.
pub(super) fn gpus(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    for row in &input.gpus {
        if !input.probes.vendor(row.device.vendor).answered() {
            continue;
        }
        let index = row.device.index;
        let decimal;
        let name = match text::small_index(index) {
            Some(name) => name,
            None => {
                decimal = index.to_string();
                &decimal
            }
        };
        let card = Card { row, index: u16::try_from(index).unwrap_or(NO_GPU), name };
        let links = gpu_errors::peers_links(facts, &row.device.model);
        let vendor = row.device.vendor;
        let memory = facts
            .gpus
            .iter_mut()
            .find(|gpu| gpu.index == index && gpu.vendor == vendor && gpu.missing_since.is_none());
        present(&card, judge);
        if !row.answers {
            continue;
        }
        temperature(&card, memory.as_deref(), judge);
        gpu_errors::errors(&card, judge);
        gpu_errors::nvlink(&card, links, judge);
        activity(input, &card, memory, judge);
        card_memory(input, &card, judge);
    }
}

fn present(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(slot) = card.open(judge, CheckKind::GpuAnswers) else { return };
    if card.row.answers {
        judge.close(slot, Answer::healthy("it answers"));
        return;
    }
    let unreadable = &card.row.device.unreadable;
    let why =
        if unreadable.is_empty() { String::new() } else { format!(": {}", unreadable.join(", ")) };
    let label = card.label();
    let answer =
        Answer::finding(Status::Critical, format!("{label} is listed but answers nothing{why}"))
            .points(0.0)
            .advice("look for Xid lines in dmesg; drain and reset the GPU, or reboot");
    judge.close(slot, answer);
}

/// The margin that the card tells, else its own limits, else the policy's lines.
fn temperature(card: &Card<'_, '_>, memory: Option<&GpuMemory>, judge: &mut Judge<'_>) {
    const ADVICE: &str =
        "check fans, air flow and the power cap; move load away while it is this hot";
    if let Some(margin) = card.get(GpuColumn::TemperatureMargin) {
        let Some(slot) = card.open(judge, CheckKind::GpuTemperatureMargin) else { return };
        let answer = if margin > 0.0 {
            Answer::healthy("below the limit at which it slows down")
        } else {
            let label = card.label();
            let value = text::number(margin, Unit::Celsius);
            Answer::finding(
                Status::Unhealthy,
                format!("{label} is too hot: {value} left until it slows down"),
            )
            .advice(ADVICE)
            .evidence("gpu_temperature_margin_celsius", value, Some("0 °C".to_owned()))
        };
        judge.close(slot, answer);
        return;
    }
    let Some(value) = card.get(GpuColumn::Temperature) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuTemperature) else { return };
    let slowdown = memory.and_then(|gpu| gpu.slowdown_limit).filter(|limit| *limit > 0.0);
    let shutdown = memory.and_then(|gpu| gpu.shutdown_limit).filter(|limit| *limit > 0.0);
    if slowdown.is_none() && shutdown.is_none() {
        let quantity = Quantity {
            subject: "GPU temperature".into(),
            metric: "gpu_temperature_celsius",
            unit: Unit::Celsius,
            far_end: 110.0,
            well: "not too hot",
            advice: Some(ADVICE),
        };
        judge.close_threshold(slot, value, &quantity);
        return;
    }
    let over = |limit: Option<f64>| limit.filter(|limit| value >= *limit);
    let (status, limit) = match (over(shutdown), over(slowdown)) {
        (Some(limit), _) => (Status::Critical, limit),
        (None, Some(limit)) => (Status::Unhealthy, limit),
        (None, None) => {
            judge.close(slot, Answer::healthy("below its own limits"));
            return;
        }
    };
    let (label, shown) = (card.label(), text::number(value, Unit::Celsius));
    let limit = text::number(limit, Unit::Celsius);
    let answer =
        Answer::finding(status, format!("{label} is at {shown}, its own limit is {limit}"))
            .advice(ADVICE)
            .evidence("gpu_temperature_celsius", shown, Some(limit));
    judge.close(slot, answer);
}

/// A card that claims to be busy at idle power, and keeps doing so, makes no progress. High
/// utilisation by itself is what a card is for.
fn activity(
    input: &Input<'_>,
    card: &Card<'_, '_>,
    memory: Option<&mut GpuMemory>,
    judge: &mut Judge<'_>,
) {
    let (Some(busy), Some(power), Some(limit)) = (
        card.get(GpuColumn::Utilization),
        card.get(GpuColumn::Power),
        card.get(GpuColumn::PowerLimit),
    ) else {
        return;
    };
    let Some(slot) = card.open(judge, CheckKind::GpuActivity) else { return };
    let thresholds = &input.policy.thresholds;
    let idle_power = limit * thresholds.gpu_hang_power_percent / 100.0;
    let suspicious = busy >= thresholds.gpu_hang_utilization_percent && power <= idle_power;
    let Some(memory) = memory else {
        judge.close(slot, Answer::healthy("its power fits its use"));
        return;
    };
    if !suspicious {
        memory.hang_since = None;
        judge.close(slot, Answer::healthy("its power fits its use"));
        return;
    }
    let since = memory.hang_since.map_or(input.at, |since| since.min(input.at));
    memory.hang_since = Some(since);
    let lasted = input.at.since(since);
    if lasted < thresholds.gpu_hang_after {
        judge.close(slot, Answer::healthy("busy at low power, not for long"));
        return;
    }
    let (label, lasted) = (card.label(), text::duration(lasted));
    let (busy, power) = (text::number(busy, Unit::Percent), text::number(power, Unit::Watts));
    let message = format!("{label} looks hung: {busy} busy at only {power}, for {lasted}");
    let answer = Answer::finding(Status::Unhealthy, message)
        .advice("check that the job makes progress; if not, restart it; if it hangs again, reset the GPU")
        .evidence("gpu_power_watts", power, Some(text::number(idle_power, Unit::Watts)))
        .evidence("gpu_utilization_percent", busy, None);
    judge.close(slot, answer);
}

/// Memory in use, which is context while a process is on the card.
fn card_memory(input: &Input<'_>, card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(used) = card.get(GpuColumn::MemoryUsed) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuMemory) else { return };
    let in_use = card.get(GpuColumn::Processes).is_some_and(|count| count > 0.0);
    if in_use || input.job == Job::Active {
        judge.close(slot, Answer::healthy("memory use is the running job's"));
        return;
    }
    let quantity = Quantity {
        subject: "GPU memory used though no process is on the card".into(),
        metric: "gpu_memory_used_percent",
        unit: Unit::Percent,
        far_end: 100.0,
        well: "enough memory is free",
        advice: Some(
            "find what holds it (fuser -v /dev/nvidia*); a killed process may linger; else reset the GPU",
        ),
    };
    judge.close_threshold(slot, used, &quantity);
}
