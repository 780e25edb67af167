//! Each GPU: does it answer, is it too hot, does it work, is its memory free.
//!
//! What a card does not support is not judged. Errors and links are in [`super::gpu_errors`]. What
//! grows over a stretch is in [`super::gpu_growth`].

use sickbay_model::{GpuCondition, Status, Unit};

use super::{gpu_errors, gpu_growth};
use crate::checks::CheckKind;
use crate::input::{GpuColumn, GpuRow, Input, Job, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU, Slot};
use crate::memory::{GpuMemory, NodeFacts};
use crate::text::{self, Quantity};

/// The most of a driver's refusals that a message lists.
const UNREADABLE_LISTED: usize = 3;

/// One GPU with what is remembered of it.
pub(super) struct Card<'a, 'b> {
    pub(super) row: &'b GpuRow<'a>,
    index: u16,
    pub(super) name: &'b str,
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
    let nvlinks = gpu_growth::nvlinks(input);
    let mut peers: Option<(&str, f64)> = None;
    for row in &input.gpus {
        if !input.probes.vendor(row.device.vendor).answered() {
            continue;
        }
        let index = row.device.index;
        let name = &*text::index(index);
        let card = Card { row, index: u16::try_from(index).unwrap_or(NO_GPU), name };
        let model = &*row.device.model;
        let links = match peers {
            Some((same, links)) if same == model => links,
            _ => gpu_errors::peers_links(facts, model),
        };
        peers = Some((model, links));
        let vendor = row.device.vendor;
        let mut memory = facts
            .gpus
            .iter_mut()
            .find(|gpu| gpu.index == index && gpu.vendor == vendor && gpu.missing_since.is_none());
        present(&card, judge);
        if !row.answers {
            continue;
        }
        temperature(&card, memory.as_deref(), judge);
        gpu_errors::errors(input, &card, memory.as_deref_mut(), judge);
        gpu_errors::nvlink(&card, links, judge);
        let own = memory.as_deref_mut();
        gpu_growth::errors(input, &mut facts.growths, &card, &nvlinks, own, judge);
        activity(input, &card, memory, judge);
        card_memory(input, &card, judge);
    }
    // Only now: cards are held against what was seen before, not against each other's news.
    for gpu in facts.gpus.iter_mut().filter(|gpu| gpu.missing_since.is_none()) {
        let row = input
            .gpus
            .iter()
            .find(|row| row.device.index == gpu.index && row.device.vendor == gpu.vendor);
        let active = row.and_then(|row| row.get(GpuColumn::LinksActive)).unwrap_or(0.0);
        gpu.most_links = gpu.most_links.max(active);
    }
}

fn present(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(slot) = card.open(judge, CheckKind::GpuAnswers) else { return };
    let device = card.row.device;
    let (says, advice) = match device.condition {
        GpuCondition::Answering | GpuCondition::Missing if card.row.answers => {
            judge.close_well(slot, "it answers");
            return;
        }
        GpuCondition::ResetRequired => {
            ("must be reset before it can be used", "drain and reset it")
        }
        GpuCondition::Lost => (
            "is listed by the driver but does not answer it",
            "look for Xid 79 in dmesg; drain and reboot; lost again → replace the card",
        ),
        _ => (
            "is listed but answers nothing",
            "look for Xid lines in dmesg; drain and reset the GPU, or reboot",
        ),
    };
    let mut message = format!("{} {says}", card.label());
    for why in device.unreadable.iter().take(UNREADABLE_LISTED) {
        message.push_str("; ");
        message.push_str(why);
    }
    let mut answer = Answer::finding(Status::Critical, message).points(0.0).advice(advice);
    // What the driver itself says of a card is no sample.
    answer.proof = device.condition != GpuCondition::Answering;
    judge.close(slot, answer);
}

/// The margin that the card tells, else its own limits, else the policy's lines.
fn temperature(card: &Card<'_, '_>, memory: Option<&GpuMemory>, judge: &mut Judge<'_>) {
    const ADVICE: &str =
        "check fans, air flow and the power cap; move load away while it is this hot";
    if let Some(margin) = card.get(GpuColumn::TemperatureMargin) {
        let Some(slot) = card.open(judge, CheckKind::GpuTemperatureMargin) else { return };
        let line = memory.and_then(|gpu| gpu.margin_limit).unwrap_or(0.0);
        if margin > line {
            judge.close_well(slot, "below the limit at which it slows down");
            return;
        }
        let value = text::number(margin, Unit::Celsius);
        let message = format!("{} is too hot and slows down: its margin is {value}", card.label());
        let answer = Answer::finding(Status::Unhealthy, message).advice(ADVICE).evidence(
            "gpu_temperature_margin_celsius",
            value,
            Some(text::number(line, Unit::Celsius)),
        );
        judge.close(slot, answer);
        return;
    }
    let Some(value) = card.get(GpuColumn::Temperature) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuTemperature) else { return };
    let slowdown = memory.and_then(|gpu| gpu.slowdown_limit).filter(|limit| *limit > 0.0);
    let shutdown = memory.and_then(|gpu| gpu.shutdown_limit).filter(|limit| *limit > 0.0);
    if slowdown.is_none() && shutdown.is_none() {
        let quantity = Quantity {
            subject: "GPU temperature",
            of: "",
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
            judge.close_well(slot, "below its own limits");
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
        judge.close_well(slot, "its power fits its use");
        return;
    };
    if !suspicious {
        memory.hang_since = None;
        judge.close_well(slot, "its power fits its use");
        return;
    }
    let since = memory.hang_since.map_or(input.at, |since| since.min(input.at));
    memory.hang_since = Some(since);
    let lasted = input.at.since(since);
    if lasted < thresholds.gpu_hang_after {
        judge.close_well(slot, "busy at low power, not for long");
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

/// Memory in use, which is context while a process is on the card. Where nobody tells which processes
/// are on it (AMD's driver does not), memory in use means nothing.
fn card_memory(input: &Input<'_>, card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(used) = card.get(GpuColumn::MemoryUsed) else { return };
    let Some(processes) = card.get(GpuColumn::Processes) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuMemory) else { return };
    if processes > 0.0 || input.job == Job::Active {
        judge.close_well(slot, "memory use is the running job's");
        return;
    }
    let quantity = Quantity {
        subject: "GPU memory used though no process is on the card",
        of: "",
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
