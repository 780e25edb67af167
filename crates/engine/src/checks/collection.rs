//! Whether the node can be asked at all, and what could not be asked.

use crate::checks::CheckKind;
use crate::input::{Input, ProbeSlot, ProbeState};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::NodeFacts;
use sickbay_model::Status;

/// A session to the node opens.
pub(crate) fn reachable(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let probe = input.probes.at(ProbeSlot::REACHABLE);
    if !probe.applies() {
        return;
    }
    let Some(slot) = judge.open_always(CheckKind::Reachable, "", ProbeSlot::REACHABLE, NO_GPU)
    else {
        return;
    };
    match probe.state {
        ProbeState::Answered => judge.close(slot, Answer::healthy("a session opens")),
        ProbeState::Failed(error) => {
            let mut answer = Answer::finding(Status::Critical, error.message.clone()).points(0.0);
            answer.advice.clone_from(&error.advice);
            judge.close(slot, answer);
        }
        _ => {
            let reason = probe.no_answer_reason(ProbeSlot::REACHABLE).unwrap_or_default();
            judge.close_unknown(slot, reason, None);
        }
    }
}

/// The check that stands for a probe as a whole, while the probe does not answer.
const STANDS_FOR: &[(ProbeSlot, CheckKind)] = &[
    (ProbeSlot::CPU, CheckKind::Cpu),
    (ProbeSlot::PRESSURE, CheckKind::PressureMemory),
    (ProbeSlot::MEMORY, CheckKind::Memory),
    (ProbeSlot::FILESYSTEM, CheckKind::FilesystemSpace),
    (ProbeSlot::REMOTE_FILESYSTEM, CheckKind::FilesystemAnswers),
    (ProbeSlot::DISK, CheckKind::DiskIo),
    (ProbeSlot::NETWORK, CheckKind::InterfaceErrors),
    (ProbeSlot::LATENCY, CheckKind::Latency),
    (ProbeSlot::SENSORS, CheckKind::Temperature),
    (ProbeSlot::HOST, CheckKind::FileHandles),
    (ProbeSlot::PROCESSES, CheckKind::ProcessBlocked),
];

/// Checks that must have readings where their probe answers. CPU use is a difference, which the
/// first observation cannot have.
const MUST_DELIVER: &[CheckKind] = &[CheckKind::Cpu, CheckKind::Memory];

/// Says what could not be asked: a probe that failed, said nothing, or answered too long ago leaves
/// its check unknown, also on a node where it never answered. A probe that answered in part counts
/// with what it said; what it did not say is a finding of its own.
pub(super) fn unanswered(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let links = (input.probes.links(), CheckKind::InterfaceLink);
    for &(slot, kind) in STANDS_FOR.iter().chain(&[links]) {
        let probe = input.probes.at(slot);
        let reason = match probe.no_answer_reason(slot) {
            Some(reason) => reason,
            // A report of earlier that is repeated need not bring its readings along: it stands.
            None if probe.answered()
                && probe.fresh
                && MUST_DELIVER.contains(&kind)
                && !input.first =>
            {
                if judge.is_answered(kind) {
                    continue;
                }
                format!("the probe {} answered without it", slot.name())
            }
            None => continue,
        };
        let advice = match probe.state {
            ProbeState::Failed(error) => error.advice.clone(),
            _ => None,
        };
        if let Some(open) = judge.open_always(kind, "", slot, NO_GPU) {
            judge.close_unknown(open, reason, advice);
        }
    }
    // A mount that is silent is a finding of its own.
    let missed = input.probes.missed().filter(|(slot, _)| *slot != ProbeSlot::REMOTE_FILESYSTEM);
    for (slot, missed) in missed {
        if let Some(open) = judge.open_always(CheckKind::ProbeParts, slot.name(), slot, NO_GPU) {
            judge.close_unknown(open, missed.message.clone(), missed.advice.clone());
        }
    }
    if judge.beyond_limit() > 0
        && let Some(open) =
            judge.open_always(CheckKind::JudgementLimit, "", ProbeSlot::HOST, NO_GPU)
    {
        let more = judge.beyond_limit();
        let reason = format!(
            "{more} more than the {} checks that are judged on one node",
            crate::memory::MAX_CHECKS
        );
        judge.close_unknown(open, reason, None);
    }
}
