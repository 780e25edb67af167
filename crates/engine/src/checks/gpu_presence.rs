//! Whether the drivers answer, and whether every GPU that ever answered still does.
//!
//! Loss of telemetry is a signal: a GPU that answered before and is missing now is critical, not
//! "one GPU fewer", also after a restart of the monitor. It counts as proof, since a driver that
//! answers does not forget a card by accident. A card that was swapped for another is no loss.

use std::borrow::Cow;

use sickbay_model::{Advice, GpuDevice, GpuVendor, ProbeError, ProbeErrorKind, Status, Timestamp};

use crate::checks::CheckKind;
use crate::input::{GpuColumn, GpuRow, Input, ProbeSlot, ProbeState};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::{GpuMemory, MAX_GPUS, NodeFacts};
use crate::text;
use crate::window::MinuteMarks;

const VENDORS: [(GpuVendor, &str); 2] = [(GpuVendor::Nvidia, "nvidia"), (GpuVendor::Amd, "amd")];

/// Each vendor's driver answers, where there is one.
pub(super) fn drivers(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    for (vendor, name) in VENDORS {
        let probe = input.probes.vendor(vendor);
        if !probe.applies() {
            continue;
        }
        let feed = ProbeSlot::of_vendor(vendor);
        let Some(slot) = judge.open_always(CheckKind::GpuDriver, name, feed, NO_GPU) else {
            continue;
        };
        match probe.state {
            ProbeState::Answered => judge.close(slot, Answer::healthy("the driver answers")),
            ProbeState::Failed(error) if !is_all_silent(input, error) => {
                judge.close(slot, driver_failed(name, error));
            }
            _ => {
                let reason = probe.no_answer_reason(feed).unwrap_or_default();
                judge.close_unknown(slot, reason, None);
            }
        }
    }
}

/// Whether the machine as a whole does not answer: where not even the kernel's own counters come, no
/// driver is to blame.
fn is_all_silent(input: &Input<'_>, error: &ProbeError) -> bool {
    let silent = |error: &ProbeError| {
        use ProbeErrorKind::{Late, Stuck, Unreachable};
        matches!(error.kind, Late | Stuck | Unreachable)
    };
    let cpu = input.probes.at(ProbeSlot::CPU).state;
    silent(error) && matches!(cpu, ProbeState::Failed(other) if silent(other))
}

fn driver_failed(name: &str, error: &ProbeError) -> Answer {
    let usual = match error.kind {
        ProbeErrorKind::Late | ProbeErrorKind::Stuck => {
            "look for Xid lines in dmesg and processes in state D; a driver that hangs needs a reboot"
        }
        ProbeErrorKind::Denied => {
            "let the monitor's user read the GPU devices (/dev/nvidia*, /dev/dri), by group or udev rule"
        }
        ProbeErrorKind::Absent => "install the driver's library, or name it in the config",
        ProbeErrorKind::Malformed
        | ProbeErrorKind::Failed
        | ProbeErrorKind::Unreachable
        | ProbeErrorKind::Untrusted => {
            "compare the versions of kernel module and library (nvidia-smi); after an update, reboot"
        }
    };
    let mut answer = Answer::finding(
        Status::Critical,
        format!("the {name} driver does not answer: {}", error.message),
    )
    .points(0.0)
    .evidence("probe", error.kind.as_str().to_owned(), None);
    answer.advice = Some(error.advice.clone().unwrap_or(Advice(usual.into())));
    answer
}

/// GPUs that answered before and are missing now.
pub(super) fn missing(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    facts.answering_gpus = 0;
    if input.gpus.is_empty() && facts.gpus.is_empty() {
        return;
    }
    for (vendor, _) in VENDORS {
        let probe = input.probes.vendor(vendor);
        // A failing driver says nothing about single cards.
        if probe.answered() || !probe.applies() {
            recognise(input, vendor, &mut facts.gpus);
        }
    }
    let answering = input.gpus.iter().filter(|row| answers(input, row)).count();
    facts.answering_gpus = u32::try_from(answering).unwrap_or(u32::MAX);
    let enough =
        super::expected_gpus(input, facts).is_some_and(|expected| facts.answering_gpus >= expected);
    for gpu in &facts.gpus {
        let feed = ProbeSlot::of_vendor(gpu.vendor);
        let known = input.probes.at(feed).answered() || !input.probes.at(feed).applies();
        if !gpu.was_missing || !known {
            continue;
        }
        // The vendor's probe may not apply any more; the finding is the host's then.
        let feed = if input.probes.at(feed).answered() { feed } else { ProbeSlot::HOST };
        let Some(slot) = judge.open_always(CheckKind::GpuMissing, &gpu.key, feed, NO_GPU) else {
            continue;
        };
        let answer = match gpu.missing_since {
            Some(since) if !enough => gone(gpu, since, input.at),
            Some(_) => Answer::healthy("as many GPUs answer as the config expects"),
            None => Answer::healthy("it answers again"),
        };
        judge.close(slot, answer);
    }
}

fn gone(gpu: &GpuMemory, since: Timestamp, now: Timestamp) -> Answer {
    let GpuMemory { index, model, key, .. } = gpu;
    let ago = text::duration(now.since(since));
    Answer::finding(
        Status::Critical,
        format!("GPU {index} ({model}) answered before and is gone, for {ago}"),
    )
    .points(0.0)
    .proof()
    .advice(
        "look for Xid 79 and PCIe errors in dmesg; drain and reboot; gone again → replace the card",
    )
    .evidence("gpu", key.clone(), None)
}

fn answers(input: &Input<'_>, row: &GpuRow<'_>) -> bool {
    row.answers && input.probes.vendor(row.device.vendor).answered()
}

/// What tells a card from others and survives renumbering, where the driver gives it.
pub(crate) fn key(device: &GpuDevice) -> Cow<'_, str> {
    if !device.uuid.is_empty() {
        Cow::Borrowed(&device.uuid)
    } else if !device.pci_address.is_empty() {
        Cow::Borrowed(&device.pci_address)
    } else {
        Cow::Owned(format!("index {}", device.index))
    }
}

fn is(gpu: &GpuMemory, device: &GpuDevice) -> bool {
    gpu.key == key(device)
}

/// Brings the memory of a vendor's cards up to date with what its driver lists.
fn recognise(input: &Input<'_>, vendor: GpuVendor, gpus: &mut Vec<GpuMemory>) {
    let rows = || input.gpus.iter().filter(|row| row.device.vendor == vendor);
    let settled = rows().count() == gpus.iter().filter(|gpu| gpu.vendor == vendor).count()
        && rows().zip(gpus.iter().filter(|gpu| gpu.vendor == vendor)).all(|(row, gpu)| {
            gpu.missing_since.is_none() && gpu.index == row.device.index && is(gpu, row.device)
        });
    if !settled {
        reconcile(input, vendor, gpus);
    }
    for gpu in gpus.iter_mut().filter(|gpu| gpu.vendor == vendor) {
        let Some(row) = rows().find(|row| row.device.index == gpu.index) else { continue };
        if gpu.missing_since.is_none() {
            if gpu.pci_address != row.device.pci_address {
                gpu.pci_address.clone_from(&row.device.pci_address);
            }
            gpu.slowdown_limit = row.get(GpuColumn::TemperatureSlowdown).or(gpu.slowdown_limit);
            gpu.shutdown_limit = row.get(GpuColumn::TemperatureShutdown).or(gpu.shutdown_limit);
            gpu.margin_limit = row.get(GpuColumn::MarginSlowdown).or(gpu.margin_limit);
        }
    }
}

fn reconcile(input: &Input<'_>, vendor: GpuVendor, gpus: &mut Vec<GpuMemory>) {
    let rows = || input.gpus.iter().filter(|row| row.device.vendor == vendor);
    let known = gpus.iter().filter(|gpu| gpu.vendor == vendor).count();
    for gpu in gpus.iter_mut().filter(|gpu| gpu.vendor == vendor) {
        match rows().find(|row| is(gpu, row.device)) {
            Some(row) => {
                gpu.index = row.device.index;
                gpu.missing_since = None;
            }
            None => {
                gpu.missing_since = gpu.missing_since.or(Some(input.at));
                gpu.was_missing = true;
            }
        }
    }
    for row in rows() {
        if gpus.len() < MAX_GPUS && !gpus.iter().any(|gpu| is(gpu, row.device)) {
            gpus.push(first_seen(row.device));
        }
    }
    if rows().count() >= known {
        // As many cards as before: the absent ones were swapped.
        gpus.retain(|gpu| gpu.vendor != vendor || gpu.missing_since.is_none());
    }
    gpus.sort_by_key(|gpu| (gpu.missing_since.is_some(), gpu.index));
}

fn first_seen(device: &GpuDevice) -> GpuMemory {
    GpuMemory {
        key: key(device).into_owned(),
        index: device.index,
        vendor: device.vendor,
        model: device.model.clone(),
        pci_address: device.pci_address.clone(),
        slowdown_limit: None,
        shutdown_limit: None,
        margin_limit: None,
        most_links: 0.0,
        hang_since: None,
        slowed: MinuteMarks::default(),
        slow_link_since: None,
        missing_since: None,
        was_missing: false,
        level: None,
        level_since: Timestamp::EPOCH,
    }
}
