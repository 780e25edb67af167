//! Whether a node is what it was defined to be: GPUs and memory.
//!
//! What is not expected is not asked. A card that never answered since the node is watched is found
//! missing here alone; one that answered before is [`super::gpu_presence`]'s finding too, which names
//! it, and the count then follows from that without an event of its own.

use sickbay_model::catalogue as metric;
use sickbay_model::{ExpectedHardware, GpuVendor, Status, Unit};

use crate::checks::CheckKind;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::NodeFacts;
use crate::text;

/// By how much the memory may fall short, in percent: the kernel keeps some for itself (ours).
const MEMORY_TOLERANCE_PERCENT: f64 = 3.0;

/// Whether a check of this kind is asked at all.
pub(crate) fn is_asked(kind: CheckKind, expected: &ExpectedHardware) -> bool {
    match kind {
        CheckKind::GpuCount => expected.gpus.is_some(),
        CheckKind::GpuModel => expected.gpu_model.is_some(),
        CheckKind::MemorySize => expected.memory_bytes.is_some(),
        _ => true,
    }
}

/// How many GPUs must answer, if that is said: of this node, else of all.
pub(crate) fn gpus(input: &Input<'_>, facts: &NodeFacts) -> Option<u32> {
    facts.expected.gpus.or(input.policy.readiness.expected_gpus)
}

/// The node has as many GPUs as it should.
pub(super) fn gpu_count(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(expected) = facts.expected.gpus else { return };
    let vendors = [GpuVendor::Nvidia, GpuVendor::Amd].map(ProbeSlot::of_vendor);
    // A driver that does not answer is a finding of its own; how many there are is then unknown.
    if vendors.iter().any(|&slot| input.probes.at(slot).no_answer_reason(slot).is_some()) {
        return;
    }
    let feed = vendors.into_iter().find(|&slot| input.probes.at(slot).answered());
    let feed = feed.unwrap_or(ProbeSlot::HOST);
    let Some(slot) = judge.open_instance(CheckKind::GpuCount, "", feed, NO_GPU) else { return };
    let answering = facts.answering_gpus;
    if answering >= expected {
        judge.close_well(slot, "as many GPUs answer as are expected");
        return;
    }
    let listed = u32::try_from(input.gpus.len()).unwrap_or(u32::MAX);
    let missing = facts.gpus.iter().filter(|gpu| gpu.missing_since.is_some()).count();
    let known = listed.saturating_add(u32::try_from(missing).unwrap_or(u32::MAX));
    let message = format!("{answering} of {expected} GPUs answer");
    let mut answer = Answer::finding(Status::Critical, message)
        .points(0.0)
        .advice("compare with lspci; a card that is not listed there is off the bus or not seated: reboot, then look at the slot; or correct what is expected of the node")
        .evidence("gpus", answering.to_string(), Some(expected.to_string()));
    // A driver that answers does not forget a card by accident; one that lists a card which gives no
    // readings may have had a bad moment.
    answer.proof = listed < expected;
    answer.follows = listed < expected && known >= expected;
    judge.close(slot, answer);
}

/// Each GPU is of the model that it should be.
pub(super) fn gpu_model(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(expected) = &facts.expected.gpu_model else { return };
    let wanted = expected.to_lowercase();
    for row in &input.gpus {
        let (device, feed) = (row.device, ProbeSlot::of_vendor(row.device.vendor));
        let name = text::index(device.index);
        let gpu = u16::try_from(device.index).unwrap_or(NO_GPU);
        let Some(slot) = judge.open_instance(CheckKind::GpuModel, &name, feed, gpu) else {
            continue;
        };
        let answer = if device.model.to_lowercase().contains(&wanted) {
            Answer::healthy("it is of the expected model")
        } else {
            let model = if device.model.is_empty() { "of no known model" } else { &device.model };
            Answer::finding(Status::Degraded, format!("GPU {name} is {model}, not {expected}"))
                .proof()
                .advice("another card was put in, or the node is another one: correct what is expected of it")
                .evidence("gpu_model", model.to_owned(), Some(expected.clone()))
        };
        judge.close(slot, answer);
    }
}

/// The node has as much memory as it should.
#[expect(clippy::cast_precision_loss, reason = "no memory has 2^53 bytes")]
pub(super) fn memory_size(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(expected) = facts.expected.memory_bytes else { return };
    let listed = Some(input.inventory.host.memory_bytes as f64).filter(|&bytes| bytes > 0.0);
    let Some(total) = input.frame.get(metric::MEMORY_TOTAL).or(listed) else { return };
    let Some(slot) = judge.open(CheckKind::MemorySize) else { return };
    let expected = expected as f64;
    if total >= expected * (1.0 - MEMORY_TOLERANCE_PERCENT / 100.0) {
        judge.close_well(slot, "it has as much memory as is expected");
        return;
    }
    let (total, expected) = (text::number(total, Unit::Bytes), text::number(expected, Unit::Bytes));
    let answer =
        Answer::finding(Status::Degraded, format!("it has {total} of {expected} of memory"))
            .advice("a module has failed or is not seated (dmidecode -t memory, ipmitool sel); or correct what is expected of the node")
            .evidence("memory_total_bytes", total, Some(expected));
    judge.close(slot, answer);
}
