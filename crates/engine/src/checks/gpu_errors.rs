//! Each GPU's errors, throttling and links.

use sickbay_model::{Status, Unit};

use super::gpu::Card;
use crate::checks::CheckKind;
use crate::input::{GpuColumn, Input};
use crate::judge::{Answer, Judge};
use crate::memory::{GpuMemory, NodeFacts};
use crate::text;

/// Hardware slowdown, hardware thermal slowdown, power brake (NVML's nvmlClocksEventReasons). Idle
/// (0x1) and the power cap (0x4) are normal.
const HARDWARE_THROTTLE: u64 = 0x8 | 0x40 | 0x80;

/// Everything that a card reports about its own faults.
pub(super) fn errors(
    input: &Input<'_>,
    card: &Card<'_, '_>,
    memory: Option<&mut GpuMemory>,
    judge: &mut Judge<'_>,
) {
    throttle(input, card, memory, judge);
    ecc(card, judge);
    sram(card, judge);
    row_remap(card, judge);
    pcie_width(card, judge);
    recovery_action(card, judge);
}

/// The card slows itself down for heat or for its power supply: degraded while it does, unhealthy
/// once it did in most of the last minutes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; a mask")]
fn throttle(
    input: &Input<'_>,
    card: &Card<'_, '_>,
    memory: Option<&mut GpuMemory>,
    judge: &mut Judge<'_>,
) {
    let Some(mask) = card.get(GpuColumn::ThrottleReasons) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuThrottle) else { return };
    let bits = mask as u64 & HARDWARE_THROTTLE;
    let policy = &input.policy.hardware;
    let minutes = memory.map_or(0, |memory| {
        if input.probes.vendor(card.row.device.vendor).fresh {
            memory.slowed.note(input.at, bits != 0);
        }
        memory.slowed.count(policy.throttle_of_minutes)
    });
    let lasts = minutes >= policy.throttle_minutes;
    if bits == 0 && !lasts {
        judge.close_well(slot, "the hardware does not slow it down");
        return;
    }
    let reason = match bits {
        bits if bits & 0x40 != 0 => " by heat",
        bits if bits & 0x80 != 0 => " by the power supply (power brake)",
        0 => "",
        _ => " by heat or power (hardware slowdown)",
    };
    let label = card.label();
    let (status, says) = if lasts {
        let of = policy.throttle_of_minutes;
        let says = format!("{label} was slowed down{reason} in {minutes} of the last {of} minutes");
        (Status::Unhealthy, says)
    } else {
        (Status::Degraded, format!("{label} is slowed down{reason}"))
    };
    let answer = Answer::finding(status, says)
        .advice("check fans, air flow and power supplies")
        .evidence("gpu_throttle_reasons_mask", format!("0x{bits:x}"), Some("0".to_owned()));
    judge.close(slot, answer);
}

fn ecc(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(errors) = card.get(GpuColumn::EccUncorrected) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuEcc) else { return };
    if errors <= 0.0 {
        judge.close_well(slot, "no uncorrected memory errors");
        return;
    }
    let (label, count) = (card.label(), text::number(errors, Unit::Count));
    let message = format!(
        "{label} has {count} memory errors that ECC could not correct since the driver was loaded"
    );
    let answer = Answer::finding(Status::Unhealthy, message)
        .proof()
        .advice("drain the node and reset the GPU; if they come back, replace the card")
        .evidence("gpu_ecc_uncorrected_volatile_total", count, Some("0".to_owned()));
    judge.close(slot, answer);
}

/// What the driver itself counts towards a replacement.
fn sram(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(exceeded) = card.get(GpuColumn::SramExceeded) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuEccSram) else { return };
    if exceeded <= 0.0 {
        judge.close_well(slot, "errors of its SRAM are below its maker's threshold");
        return;
    }
    let label = card.label();
    let message = format!(
        "{label} had more errors of its SRAM that ECC could not correct than its maker's threshold allows"
    );
    let answer = Answer::finding(Status::Unhealthy, message)
        .proof()
        .advice("drain the node and have the card replaced")
        .evidence("gpu_ecc_sram_threshold_exceeded", "1".to_owned(), Some("0".to_owned()));
    judge.close(slot, answer);
}

/// Two checks, so that a card that stops telling one of them is not well for the other's sake.
fn row_remap(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    if let Some(failed) = card.get(GpuColumn::RemapFailed)
        && let Some(slot) = card.open(judge, CheckKind::GpuRowRemapFailed)
    {
        if failed <= 0.0 {
            judge.close_well(slot, "every bad memory row was remapped");
        } else {
            let message = format!("{} could not remap a bad memory row", card.label());
            let answer = Answer::finding(Status::Critical, message)
                .points(0.0)
                .proof()
                .advice("replace the card")
                .evidence("gpu_row_remap_failed", "1".to_owned(), Some("0".to_owned()));
            judge.close(slot, answer);
        }
    }
    if let Some(pending) = card.get(GpuColumn::RemapPending)
        && let Some(slot) = card.open(judge, CheckKind::GpuRowRemap)
    {
        if pending <= 0.0 {
            judge.close_well(slot, "no row waits to be remapped");
        } else {
            let message = format!("{} waits for a reset to remap a bad memory row", card.label());
            let answer = Answer::finding(Status::Degraded, message)
                .proof()
                .advice("reset the GPU at the next drain")
                .evidence("gpu_row_remap_pending", "1".to_owned(), Some("0".to_owned()));
            judge.close(slot, answer);
        }
    }
}

fn pcie_width(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let (Some(lanes), Some(most)) =
        (card.get(GpuColumn::PcieWidth), card.get(GpuColumn::PcieWidthMax))
    else {
        return;
    };
    let Some(slot) = card.open(judge, CheckKind::GpuPcieWidth) else { return };
    if lanes >= most {
        judge.close_well(slot, "all PCIe lanes are in use");
        return;
    }
    let (label, lanes) = (card.label(), text::number(lanes, Unit::Count));
    let most = text::number(most, Unit::Count);
    let answer =
        Answer::finding(Status::Degraded, format!("{label} runs on {lanes} of {most} PCIe lanes"))
            .advice("reseat the card or its riser at the next drain")
            .evidence("gpu_pcie_width_lanes", lanes, Some(most));
    judge.close(slot, answer);
}

fn recovery_action(card: &Card<'_, '_>, judge: &mut Judge<'_>) {
    let Some(action) = card.get(GpuColumn::RecoveryAction) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuRecoveryAction) else { return };
    if action <= 0.0 {
        judge.close_well(slot, "the driver asks for nothing");
        return;
    }
    let (status, asks, advice) = if action < 1.5 {
        (Status::Unhealthy, "a reset", "drain the node and reset the GPU")
    } else if action < 2.5 {
        (Status::Critical, "a reboot", "drain the node and reboot it")
    } else if action < 3.5 {
        (
            Status::Unhealthy,
            "a drain of peer-to-peer traffic",
            "drain peer-to-peer traffic, then reset",
        )
    } else {
        (Status::Unhealthy, "a drain and a reset", "drain the node and reset the GPU")
    };
    let answer = Answer::finding(status, format!("{}: the driver asks for {asks}", card.label()))
        .proof()
        .advice(advice)
        .evidence("gpu_recovery_action", text::number(action, Unit::Count), Some("0".to_owned()));
    judge.close(slot, answer);
}

/// The most NVLinks that were ever active on a card of this model: learned from the node's own
/// past, so that a peer that stops answering does not lower what is expected.
pub(super) fn peers_links(facts: &NodeFacts, model: &str) -> f64 {
    facts.gpus.iter().filter(|gpu| gpu.model == model).map(|gpu| gpu.most_links).fold(0.0, f64::max)
}

/// A link that is inactive on a card whose peers have it.
pub(super) fn nvlink(card: &Card<'_, '_>, expected: f64, judge: &mut Judge<'_>) {
    let Some(active) = card.get(GpuColumn::LinksActive) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuNvlink) else { return };
    if active >= expected {
        judge.close_well(slot, "as many NVLinks as its peers have");
        return;
    }
    let (label, active) = (card.label(), text::number(active, Unit::Count));
    let expected = text::number(expected, Unit::Count);
    let answer = Answer::finding(
        Status::Unhealthy,
        format!("{label} has {active} active NVLinks where its peers have {expected}"),
    )
    .advice("drain and reset the GPUs; if the link stays down, check the bridge or the board")
    .evidence("gpu_nvlinks_active", active, Some(expected));
    judge.close(slot, answer);
}
