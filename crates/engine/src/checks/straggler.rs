//! Whether a member of a job keeps up with its peers.
//!
//! The comparison is made elsewhere, over the whole fleet ([`crate::outlier`]); here its outcome is
//! answered like any reading: once a comparison, however often the node is asked in between. It ends
//! with the job, and where there is nobody to be compared with any more.

use sickbay_model::Status;

use crate::checks::CheckKind;
use crate::input::{Input, Job, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::{NodeFacts, PeerComparison};
use crate::outlier::{evidence, sentence};
use crate::text;

/// Answers for every member that was compared.
pub(super) fn stragglers(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let policy = &input.policy.outlier;
    let old = |at| input.at.since(at) > policy.window;
    if !policy.enabled || input.job == Job::Idle || facts.compared_at.is_none_or(old) {
        facts.compared.clear();
        facts.compared_at = None;
        return;
    }
    let fresh = std::mem::take(&mut facts.compared_anew);
    for comparison in &facts.compared {
        let PeerComparison { gpu, .. } = *comparison;
        let (kind, feed, index, name, subject) = match gpu {
            None => {
                let feed = ProbeSlot::PROCESSES;
                (CheckKind::Straggler, feed, NO_GPU, "".into(), "the node".to_owned())
            }
            Some(index) => {
                let listed = |it: &&crate::input::GpuRow<'_>| it.device.index == u32::from(index);
                let Some(row) = input.gpus.iter().find(listed) else { continue };
                let name = text::index(u32::from(index));
                let subject = format!("GPU {name}");
                (
                    CheckKind::GpuStraggler,
                    ProbeSlot::of_vendor(row.device.vendor),
                    index,
                    name,
                    subject,
                )
            }
        };
        let Some(slot) = judge.open_instance(kind, &name, feed, index) else { continue };
        let found = fresh.then(|| answer(&subject, comparison));
        judge.close_own(slot, found);
    }
}

fn answer(subject: &str, comparison: &PeerComparison) -> Answer {
    let PeerComparison { cause, departures, throttled_percent, .. } = comparison;
    let Some(cause) = *cause else { return Answer::healthy("it keeps up with its peers") };
    let message = sentence(subject, cause, departures, *throttled_percent);
    let mut answer = Answer::finding(Status::Degraded, message).advice(cause.advice());
    answer.evidence.extend(departures.iter().map(evidence));
    answer
}
