//! Devices on PCIe: is the link as wide and fast as it can be, and does it make errors.
//!
//! How fast a GPU's link is, its driver tells: see [`super::gpu_errors`] and [`super::gpu_growth`]. Links
//! of a virtual machine mean nothing.

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Status, Unit};

use super::growth;
use crate::checks::CheckKind;
use crate::growth::Grown;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::{MAX_PCI_DEVICES, NodeFacts};
use crate::text;

/// Metrics that say that a device is there.
const THERE: [MetricId; 2] = [metric::PCIE_WIDTH, metric::PCIE_ERRORS_CORRECTED];

/// Counters, and by which name evidence tells them.
const CORRECTED: (MetricId, &str) = (metric::PCIE_ERRORS_CORRECTED, "pcie_errors_corrected_total");
const NONFATAL: (MetricId, &str) = (metric::PCIE_ERRORS_NONFATAL, "pcie_errors_nonfatal_total");
const FATAL: (MetricId, &str) = (metric::PCIE_ERRORS_FATAL, "pcie_errors_fatal_total");

/// Every device.
pub(super) fn devices(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let probe = input.probes.at(ProbeSlot::PCIE);
    if !probe.answered() || !input.is_metal() {
        return;
    }
    let there = there(input);
    let known = &mut facts.pci_devices;
    let is_same = known.iter().map(|known| &**known).eq(there.iter().copied());
    if !is_same {
        if probe.fresh && probe.missed.is_none() {
            known.retain(|known| there.contains(&&**known));
        }
        for &address in &there {
            if known.len() < MAX_PCI_DEVICES && !known.iter().any(|known| **known == *address) {
                known.push(address.into());
            }
        }
    }
    for (place, address) in there.into_iter().enumerate() {
        if is_same || facts.pci_devices.iter().any(|known| **known == *address) {
            link(input, address, place, judge);
            errors(input, facts, address, place, judge);
        }
    }
}

/// The devices that anything is told of.
fn there<'a>(input: &Input<'a>) -> Vec<&'a str> {
    let mut there: Vec<&str> = Vec::with_capacity(input.frame.layout.slots(THERE[0]).len());
    for metric in THERE {
        for (place, (address, _)) in input.frame.instances(metric).enumerate() {
            let is_listed = there.get(place) == Some(&address) || there.contains(&address);
            if !is_listed && there.len() < MAX_PCI_DEVICES {
                there.push(address);
            }
        }
    }
    there
}

fn link(input: &Input<'_>, address: &str, place: usize, judge: &mut Judge<'_>) {
    let get = |metric| input.frame.get_near(metric, address, place);
    let lanes = get(metric::PCIE_WIDTH).zip(get(metric::PCIE_WIDTH_MAX));
    let generations = get(metric::PCIE_GENERATION).zip(get(metric::PCIE_GENERATION_MAX));
    if lanes.is_none() && generations.is_none() {
        return;
    }
    let kind = CheckKind::PcieLink;
    let Some(slot) = judge.open_instance(kind, address, ProbeSlot::PCIE, NO_GPU) else { return };
    let number = |value| text::number(value, Unit::Count);
    let narrow = lanes.filter(|(now, most)| now < most);
    let slow = generations.filter(|(now, most)| now < most);
    let message = match (narrow, slow) {
        (Some((now, most)), _) => {
            format!("PCIe device {address} runs on {} of {} lanes", number(now), number(most))
        }
        (None, Some((now, most))) => format!(
            "PCIe device {address} runs at generation {}, and could at {}",
            number(now),
            number(most)
        ),
        (None, None) => {
            judge.close_well(slot, "its PCIe link is as wide and fast as it can be");
            return;
        }
    };
    let mut answer = Answer::finding(Status::Degraded, message).advice(
        "reseat the device or its riser at the next drain (lspci -vv -s ADDRESS, LnkSta); if it stays so, replace the riser, then the device",
    );
    if let Some((now, most)) = narrow {
        answer = answer.evidence("pcie_width_lanes", number(now), Some(number(most)));
    }
    if let Some((now, most)) = slow {
        answer = answer.evidence("pcie_generation", number(now), Some(number(most)));
    }
    judge.close(slot, answer);
}

fn errors(
    input: &Input<'_>,
    facts: &mut NodeFacts,
    address: &str,
    place: usize,
    judge: &mut Judge<'_>,
) {
    let [corrected, nonfatal, fatal] = [CORRECTED, NONFATAL, FATAL]
        .map(|(counter, _)| growth::settled(input, &mut facts.growths, counter, address, place));
    if [corrected, nonfatal, fatal].iter().all(Option::is_none) {
        return;
    }
    let kind = CheckKind::PcieErrors;
    let Some(slot) = judge.open_instance(kind, address, ProbeSlot::PCIE, NO_GPU) else { return };
    let policy = &input.policy.hardware;
    let some = |grown: Option<Grown>| grown.filter(|grown| grown.by > 0.0);
    let steady = corrected.filter(|grown| grown.is_steady(policy));
    let (status, grown, what, says, limit) = match (some(fatal), some(nonfatal), steady) {
        (Some(grown), ..) => (Status::Unhealthy, grown, FATAL.1, "fatal errors", 0.0),
        (None, Some(grown), _) => {
            (Status::Degraded, grown, NONFATAL.1, "errors that were not corrected", 0.0)
        }
        (None, None, Some(grown)) => {
            (Status::Degraded, grown, CORRECTED.1, "corrected errors", policy.error_growth)
        }
        (None, None, None) => {
            judge.close_well(slot, "its PCIe link makes hardly any errors");
            return;
        }
    };
    let card = facts.gpus.iter().find(|gpu| gpu.pci_address.eq_ignore_ascii_case(address));
    let subject = card.map_or_else(
        || format!("PCIe device {address}"),
        |gpu| format!("GPU {} ({address})", gpu.index),
    );
    let (count, limit) = (text::number(grown.by, Unit::Count), text::number(limit, Unit::Count));
    let window = text::duration(policy.error_window);
    let message = format!("{subject} had {count} {says} on its PCIe link within {window}");
    let answer = Answer::finding(status, message)
        .proof()
        .advice("reseat the device or its riser at the next drain; if it goes on, replace the riser or cable, then the device")
        .evidence(what, format!("+{count}"), Some(limit));
    judge.close(slot, answer);
}
