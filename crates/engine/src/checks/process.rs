//! Processes: the expected ones are there, none hangs, few are dead.

use sickbay_model::catalogue as metric;
use sickbay_model::{ProcessSummary, Status, Unit};

use crate::checks::CheckKind;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge};
use crate::memory::{BlockedProcess, MAX_BLOCKED, NodeFacts};
use crate::text::{self, Quantity};

/// The most names that a message lists.
const NAMES_LISTED: usize = 5;

/// The processes that the config expects. Without any, no check.
pub(super) fn expected(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let processes = &input.observation.processes;
    if !input.probes.at(ProbeSlot::PROCESSES).answered() {
        return;
    }
    let kind = CheckKind::ProcessExpected;
    if !any_expected(processes) {
        return;
    }
    let Some(slot) = judge.open(kind) else { return };
    let missing = &processes.missing_patterns;
    if missing.is_empty() {
        judge.close_well(slot, "the expected processes run");
        return;
    }
    let names =
        missing.iter().take(NAMES_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let answer =
        Answer::finding(Status::Unhealthy, format!("not running though expected: {names}"))
            .points(0.0)
            .advice("start it, or take it out of the expected processes")
            .evidence(
                "missing",
                missing.len().to_string(),
                Some(format!("{} expected", processes.expected_patterns)),
            );
    judge.close(slot, answer);
}

/// Whether the config expects any process; if not any more, the check is gone.
pub(crate) fn any_expected(processes: &ProcessSummary) -> bool {
    processes.expected_patterns > 0 || !processes.missing_patterns.is_empty()
}

/// Processes that stay in uninterruptible sleep from scan to scan. A passing one is normal I/O; one
/// of the NVIDIA driver means that the driver is hung (gpud's rule).
pub(super) fn blocked(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let probe = input.probes.at(ProbeSlot::PROCESSES);
    if !probe.answered() {
        return;
    }
    if probe.fresh {
        count_scans(input, facts);
    }
    let Some(slot) = judge.open(CheckKind::ProcessBlocked) else { return };
    let thresholds = &input.policy.thresholds;
    let driver = facts.blocked.iter().find(|process| {
        process.name.starts_with("nvidia") && process.scans >= thresholds.blocked_driver_scans
    });
    if let Some(process) = driver {
        let (name, pid) = (&process.name, process.pid);
        let answer = Answer::finding(
            Status::Critical,
            format!("the NVIDIA driver is hung: {name} ({pid}) stays in uninterruptible sleep"),
        )
        .points(0.0)
        .advice("drain the node and reboot it; a hung driver does not come back")
        .evidence(
            "scans in state D",
            process.scans.to_string(),
            Some(thresholds.blocked_driver_scans.to_string()),
        );
        judge.close(slot, answer);
        return;
    }
    let stuck = || facts.blocked.iter().filter(|process| process.scans >= thresholds.blocked_scans);
    let count = stuck().count();
    if count == 0 {
        judge.close_well(slot, "no process stays in uninterruptible sleep");
        return;
    }
    let names = stuck()
        .take(NAMES_LISTED)
        .map(|process| format!("{} ({})", process.name, process.pid))
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!(
        "{} in uninterruptible sleep from scan to scan: {names}",
        text::count(count, "process")
    );
    let answer = Answer::finding(Status::Degraded, message.replace("processs", "processes"))
        .advice("find what they wait for (cat /proc/PID/stack as root): a disk, a network mount, a driver")
        .evidence("blocked", count.to_string(), Some("0".to_owned()));
    judge.close(slot, answer);
}

/// Counts for each blocked process in how many scans in a row it was blocked.
fn count_scans(input: &Input<'_>, facts: &mut NodeFacts) {
    let now = &input.observation.processes.blocked;
    if now.is_empty() {
        facts.blocked.clear();
        return;
    }
    let before = std::mem::take(&mut facts.blocked);
    facts.blocked = now
        .iter()
        .take(MAX_BLOCKED)
        .map(|process| {
            let same = |it: &&BlockedProcess| it.pid == process.pid && it.name == process.name;
            let scans = before.iter().find(same).map_or(0, |process| process.scans);
            let (pid, name) = (process.pid, process.name.clone());
            BlockedProcess { pid, name, scans: scans.saturating_add(1) }
        })
        .collect();
}

/// Zombies: a few are normal, many mean a parent that does not look after its children.
pub(super) fn zombies(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let Some(count) = input.frame.get(metric::PROCESSES_ZOMBIE) else { return };
    let Some(slot) = judge.open(CheckKind::ProcessZombies) else { return };
    let quantity = Quantity {
        subject: "zombie processes",
        of: "",
        metric: "processes_zombie",
        unit: Unit::Count,
        far_end: 100_000.0,
        well: "few or no zombie processes",
        advice: Some("restart the parent that does not collect them (ps -o ppid= -p PID)"),
    };
    judge.close_threshold(slot, count, &quantity);
}
