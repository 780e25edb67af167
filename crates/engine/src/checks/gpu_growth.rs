//! Each GPU's errors that are normal one by one, and the speed of its PCIe link under load.

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Status, Unit};

use super::gpu::Card;
use super::growth;
use crate::checks::CheckKind;
use crate::growth::{Grown, Growths};
use crate::input::{GpuColumn, Input, parse_index};
use crate::judge::{Answer, Judge};
use crate::memory::GpuMemory;
use crate::text;

/// Transfer rate of a lane by PCIe generation, in GT/s (PCI Express specification).
const TRANSFERS: [f64; 6] = [2.5, 5.0, 8.0, 16.0, 32.0, 64.0];

/// What is added up of each NVLink.
const NVLINK_ERRORS: [MetricId; 3] =
    [metric::NVLINK_REPLAY_ERRORS, metric::NVLINK_RECOVERY_ERRORS, metric::NVLINK_CRC_ERRORS];

/// Errors of all NVLinks of a GPU together, and of how many counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkErrors {
    gpu: u32,
    errors: f64,
    counters: u32,
}

/// The sums of all GPUs.
pub(super) fn nvlinks(input: &Input<'_>) -> Vec<LinkErrors> {
    let mut sums: Vec<LinkErrors> = Vec::new();
    for counter in NVLINK_ERRORS {
        for (link, errors) in input.frame.instances(counter) {
            let gpu = match link.as_bytes() {
                [digit @ b'0'..=b'9', b'/', ..] => Some(u32::from(digit - b'0')),
                _ => link.split('/').next().and_then(parse_index),
            };
            let Some(gpu) = gpu else { continue };
            match sums.iter_mut().find(|sum| sum.gpu == gpu) {
                Some(sum) => {
                    sum.errors += errors;
                    sum.counters += 1;
                }
                None => sums.push(LinkErrors { gpu, errors, counters: 1 }),
            }
        }
    }
    sums
}

/// All of them.
pub(super) fn errors(
    input: &Input<'_>,
    growths: &mut Growths,
    card: &Card<'_, '_>,
    nvlinks: &[LinkErrors],
    memory: Option<&mut GpuMemory>,
    judge: &mut Judge<'_>,
) {
    let mut grown =
        |metric, value, parts| growth::of(input, growths, metric, card.name, value, parts);
    if let Some(count) = card.get(GpuColumn::EccCorrected) {
        ecc(input, card, grown(metric::GPU_ECC_CORRECTED_VOLATILE, count, 1), judge);
    }
    if let Some(count) = card.get(GpuColumn::PcieReplays) {
        replays(input, card, grown(metric::GPU_PCIE_REPLAYS, count, 1), judge);
    }
    if let Some(sum) = nvlinks.iter().find(|sum| sum.gpu == card.row.device.index) {
        let grown = grown(metric::NVLINK_CRC_ERRORS, sum.errors, sum.counters);
        nvlink(input, card, grown, judge);
    }
    generation(input, card, memory, judge);
}

fn ecc(input: &Input<'_>, card: &Card<'_, '_>, grown: Grown, judge: &mut Judge<'_>) {
    let Some(slot) = card.open(judge, CheckKind::GpuEccCorrected) else { return };
    let answer = growth::steady(input, grown, "gpu_ecc_corrected_volatile_total", |count, window| {
        format!("ECC of {} corrected {count} memory errors within {window}", card.label())
    })
    .map(|answer| answer.advice("run the memory diagnostics (dcgmi diag -r 3) at the next drain; if it goes on, have the card replaced"));
    match answer {
        None => judge.close_well(slot, "ECC does not correct much of its memory"),
        Some(finding) => judge.close(slot, finding),
    }
}

fn nvlink(input: &Input<'_>, card: &Card<'_, '_>, grown: Grown, judge: &mut Judge<'_>) {
    let Some(slot) = card.open(judge, CheckKind::GpuNvlinkErrors) else { return };
    let answer = growth::steady(input, grown, "nvlink_errors_total", |count, window| {
        format!("the NVLinks of {} made {count} errors within {window}", card.label())
    })
    .map(|answer| answer.advice("see which link it is (nvidia-smi nvlink -e); drain and reset the GPUs; if it goes on, check the bridge or the board"));
    match answer {
        None => judge.close_well(slot, "its NVLinks make no errors"),
        Some(finding) => judge.close(slot, finding),
    }
}

/// Packets that are sent again, held against what a link of this speed and width may.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; an index")]
fn replays(input: &Input<'_>, card: &Card<'_, '_>, grown: Grown, judge: &mut Judge<'_>) {
    let (Some(generation), Some(lanes)) =
        (card.get(GpuColumn::PcieGeneration), card.get(GpuColumn::PcieWidth))
    else {
        return;
    };
    let transfers = TRANSFERS.get((generation as usize).saturating_sub(1));
    let Some(transfers) = transfers.copied().filter(|_| lanes > 0.0) else { return };
    let Some(slot) = card.open(judge, CheckKind::GpuPcieReplay) else { return };
    let policy = &input.policy.hardware;
    let limit = transfers * policy.pcie_replay_share * lanes;
    let minutes = grown.over.as_secs_f64() / 60.0;
    let rate = grown.by / minutes.max(1.0);
    if rate <= limit || grown.steps < policy.error_steps {
        judge.close_well(slot, "hardly a packet is sent again over PCIe");
        return;
    }
    let (rate, limit) = (text::number(rate, Unit::Count), text::number(limit, Unit::Count));
    let label = card.label();
    let answer = Answer::finding(
        Status::Degraded,
        format!("{label} sends {rate} packets a minute again over PCIe; {limit} are normal"),
    )
    .proof()
    .advice("reseat the card or its riser at the next drain; if it goes on, replace the riser, then the card")
    .evidence("gpu_pcie_replays_total", format!("{rate} per minute"), Some(limit));
    judge.close(slot, answer);
}

/// The link of a card that is busy for a while is awake: one that is slow then is slow for a reason.
fn generation(
    input: &Input<'_>,
    card: &Card<'_, '_>,
    memory: Option<&mut GpuMemory>,
    judge: &mut Judge<'_>,
) {
    let (Some(now), Some(most), Some(busy)) = (
        card.get(GpuColumn::PcieGeneration),
        card.get(GpuColumn::PcieGenerationMax),
        card.get(GpuColumn::Utilization),
    ) else {
        return;
    };
    let Some(slot) = card.open(judge, CheckKind::GpuPcieGeneration) else { return };
    let policy = &input.policy.hardware;
    let is_slow = now < most && busy >= policy.pcie_load_percent;
    let since = memory.and_then(|memory| {
        let since = memory.slow_link_since.map_or(input.at, |since| since.min(input.at));
        memory.slow_link_since = is_slow.then_some(since);
        memory.slow_link_since
    });
    let lasted = since.is_some_and(|since| input.at.since(since) >= policy.pcie_slow_for);
    if !is_slow || !lasted {
        judge.close_well(slot, "its PCIe link is fast while it is busy");
        return;
    }
    let (label, now) = (card.label(), text::number(now, Unit::Count));
    let most = text::number(most, Unit::Count);
    let answer = Answer::finding(
        Status::Degraded,
        format!("{label} is busy over a PCIe link of generation {now}, and could have {most}"),
    )
    .advice("reseat the card or its riser at the next drain; look for a firmware setting that limits the slot")
    .evidence("gpu_pcie_generation", now, Some(most));
    judge.close(slot, answer);
}
