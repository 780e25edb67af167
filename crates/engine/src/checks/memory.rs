//! Memory: use, swap, kills, hardware errors.

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Status, Unit};

use super::growth;
use crate::checks::CheckKind;
use crate::input::{Input, Job, ProbeSlot};
use crate::judge::{Answer, Judge};
use crate::memory::NodeFacts;
use crate::policy::Threshold;
use crate::text::{self, Quantity};

/// Processes killed for lack of memory: a finding for a while after the count grew. The count alone
/// is history.
pub(super) fn oom_kills(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(kills) = input.frame.get(metric::OOM_KILLS) else { return };
    let before = facts.oom_kills.replace(kills);
    if before.is_some_and(|before| kills > before) {
        facts.oom_grew_at = Some(input.at);
    }
    let Some(slot) = judge.open(CheckKind::OomKills) else { return };
    match recently_killed(input, facts) {
        None => judge.close(slot, Answer::healthy("no process was killed for lack of memory")),
        Some(ago) => {
            let answer = Answer::finding(Status::Degraded, format!("the kernel killed a process for lack of memory {ago} ago"))
                .proof()
                .advice("find what used the memory (dmesg names the victim); give the job less or the node more")
                .evidence("oom_kills_total", text::number(kills, Unit::Count), None);
            judge.close(slot, answer);
        }
    }
}

/// How long ago a process was killed, while that counts.
fn recently_killed(input: &Input<'_>, facts: &mut NodeFacts) -> Option<String> {
    let grew_at = facts.oom_grew_at.as_mut()?;
    // The clock was set back: count from now, so that it ends.
    *grew_at = (*grew_at).min(input.at);
    let ago = input.at.since(*grew_at);
    (ago < input.policy.thresholds.oom_recent).then(|| text::duration(ago))
}

/// Whether a running job explains full CPUs or memory: it runs for certain, and for certain nothing
/// stalls and nothing was killed. What cannot be read excuses nothing.
pub(super) fn job_explains(
    input: &Input<'_>,
    facts: &NodeFacts,
    stall: MetricId,
    line: &Threshold,
) -> bool {
    let pressure = input.probes.at(ProbeSlot::PRESSURE);
    let quiet = !pressure.applies()
        || (pressure.answered()
            && input.frame.get(stall).is_some_and(|value| line.status(value) == Status::Healthy));
    let memory_known = facts.oom_kills.is_none() || input.frame.get(metric::OOM_KILLS).is_some();
    let killed = facts
        .oom_grew_at
        .is_some_and(|grew| input.at.since(grew) < input.policy.thresholds.oom_recent);
    input.job == Job::Active && quiet && memory_known && !killed
}

/// Memory use.
pub(super) fn memory(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(used) = input.frame.get(metric::MEMORY_USED) else { return };
    let Some(slot) = judge.open(CheckKind::Memory) else { return };
    let line = &input.policy.thresholds.pressure_memory;
    if job_explains(input, facts, metric::PRESSURE_MEMORY_FULL, line) {
        judge.close_well(slot, "memory use is the running job's, and nothing stalls");
        return;
    }
    let quantity = Quantity {
        subject: "memory used",
        of: "",
        metric: "memory_used_percent",
        unit: Unit::Percent,
        far_end: 100.0,
        well: "enough memory is available",
        advice: Some("see which processes hold it (top of the process list) and end or limit them"),
    };
    judge.close_threshold(slot, used, &quantity);
}

/// Swap use; a node without swap has no such check.
pub(super) fn swap(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(used) = input.frame.get(metric::SWAP_USED) else {
        // Swap that was turned off is not a loss of data.
        if input.frame.get(metric::SWAP_TOTAL) == Some(0.0)
            && judge.remembers(CheckKind::Swap, "")
            && let Some(slot) = judge.open(CheckKind::Swap)
        {
            judge.retire(slot);
        }
        return;
    };
    let Some(slot) = judge.open(CheckKind::Swap) else { return };
    let quantity = Quantity {
        subject: "swap used",
        of: "",
        metric: "swap_used_percent",
        unit: Unit::Percent,
        far_end: 100.0,
        well: "swap is hardly used",
        advice: Some("more is asked of memory than there is; end or limit what holds it"),
    };
    judge.close_threshold(slot, used, &quantity);
}

/// Memory errors that could not be corrected since boot: proof of bad memory. Those that were are
/// what ECC is for, unless they come in number.
pub(super) fn hardware_errors(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let corrected = input.frame.get(metric::MEMORY_ERRORS_CORRECTED);
    let corrected = corrected.map(|count| {
        growth::of(input, &mut facts.growths, metric::MEMORY_ERRORS_CORRECTED, "", count, 1)
    });
    let Some(errors) = input.frame.get(metric::MEMORY_ERRORS_UNCORRECTED) else { return };
    let Some(slot) = judge.open(CheckKind::MemoryErrors) else { return };
    if errors > 0.0 {
        let count = text::number(errors, Unit::Count);
        let answer = Answer::finding(
            Status::Unhealthy,
            format!("{count} memory errors since boot could not be corrected"),
        )
        .proof()
        .advice("drain the node, find the module (edac-util, ipmitool sel) and replace it")
        .evidence("memory_errors_uncorrected_total", count, Some("0".to_owned()));
        judge.close(slot, answer);
        return;
    }
    let steady = |grown| {
        let what = "memory_errors_corrected_total";
        let answer = growth::steady(input, grown, what, |count, window| {
            format!("{count} memory errors were corrected within {window}")
        })?;
        let advice = "find the module (edac-util, ipmitool sel) and replace it at the next drain";
        Some(answer.advice(advice))
    };
    let answer = corrected
        .and_then(steady)
        .unwrap_or_else(|| Answer::healthy("no uncorrected memory errors since boot"));
    judge.close(slot, answer);
}
