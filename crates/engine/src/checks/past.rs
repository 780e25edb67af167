//! What a node's own past tells: that it was booted, and that it had more memory before.

use sickbay_model::catalogue as metric;
use sickbay_model::{BlockDevice, Status, Unit};

use crate::checks::CheckKind;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::{LearnedDisks, LearnedMemory, MAX_BOOTS, MAX_DISK_KINDS, NodeFacts};
use crate::text;

/// The instances of [`CheckKind::HardwareChanged`] that are no adapters.
pub(crate) const MEMORY: &str = "memory";
pub(crate) const DISKS: &str = "disks";

/// A boot that was seen. Whether it was planned nobody says; several in an hour never are.
pub(super) fn reboots(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let boot_id = &input.inventory.host.boot_id;
    if boot_id.is_empty() || !input.probes.at(ProbeSlot::HOST).answered() {
        return;
    }
    let policy = &input.policy.hardware;
    let boots = &mut facts.boots;
    if boots.boot_id != *boot_id {
        if !boots.boot_id.is_empty() {
            if boots.seen.len() >= MAX_BOOTS {
                boots.seen.remove(0);
            }
            boots.seen.push(input.at);
            facts.growths.begin_anew();
        }
        boots.boot_id.clone_from(boot_id);
    }
    let kept = policy.reboot_loop_window.max(policy.reboot_recent);
    boots.seen.retain(|at| *at <= input.at && input.at.since(*at) <= kept);
    let Some(slot) = judge.open(CheckKind::Reboots) else { return };
    let within = |window| boots.seen.iter().filter(|at| input.at.since(**at) <= window).count();
    let in_loop = within(policy.reboot_loop_window);
    let advice = "look at what came before (journalctl -b -1, ipmitool sel); if it was planned, nothing is to be done";
    let answer = if u32::try_from(in_loop).unwrap_or(u32::MAX) >= policy.reboot_loop {
        let window = text::duration(policy.reboot_loop_window);
        Answer::finding(Status::Unhealthy, format!("the node was booted {in_loop} times within {window}"))
            .advice("take it out of use; look at what comes before each boot (journalctl -b -1, ipmitool sel)")
            .proof()
            .evidence("boots", in_loop.to_string(), Some(policy.reboot_loop.to_string()))
    } else if within(policy.reboot_recent) > 0 {
        let uptime = input.frame.get(metric::UPTIME);
        let ago = uptime.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
        let when =
            ago.map_or_else(|| "lately".to_owned(), |ago| format!("{} ago", text::duration(ago)));
        // An event of its own tells it.
        let follows = true;
        let answer = Answer::finding(Status::Degraded, format!("the node was booted {when}"))
            .proof()
            .advice(advice)
            .evidence("boot_id", boot_id.clone(), None);
        Answer { follows, ..answer }
    } else {
        Answer::healthy("it was not booted lately")
    };
    judge.close(slot, answer);
}

/// Less memory after a boot than before it. A virtual machine may be given less on purpose, and
/// where it is said what is expected that is judged instead.
pub(super) fn memory(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let host = &input.inventory.host;
    let is_asked = facts.expected.memory_bytes.is_none() && input.is_metal();
    let total = input.frame.get(metric::MEMORY_TOTAL).filter(|total| *total > 0.0);
    let (Some(total), false) = (total.filter(|_| is_asked), host.boot_id.is_empty()) else {
        return;
    };
    let policy = &input.policy.hardware;
    let known = facts.memory.get_or_insert_with(|| LearnedMemory {
        bytes: total,
        boot_id: host.boot_id.clone(),
        less_since: None,
    });
    let enough = total >= known.bytes * (1.0 - policy.memory_lost_percent / 100.0);
    let since = known.less_since.map_or(input.at, |since| since.min(input.at));
    let (kind, name) = (CheckKind::HardwareChanged, MEMORY);
    // Within one boot memory is taken away on purpose; after a week the node is what it is.
    if enough || known.boot_id == host.boot_id || input.at.since(since) > policy.missed_for {
        *known = LearnedMemory { bytes: total, boot_id: host.boot_id.clone(), less_since: None };
        if judge.remembers(kind, name)
            && let Some(slot) = judge.open_instance(kind, name, ProbeSlot::MEMORY, NO_GPU)
        {
            judge.close_well(slot, "it has as much memory as before");
        }
        return;
    }
    known.less_since = Some(since);
    let (now, before) = (text::number(total, Unit::Bytes), text::number(known.bytes, Unit::Bytes));
    let Some(slot) = judge.open_instance(kind, name, ProbeSlot::MEMORY, NO_GPU) else { return };
    let answer = Answer::finding(
        Status::Degraded,
        format!("it has {now} of memory, and had {before} before it was booted"),
    )
    .proof()
    .advice("a module has failed or is not seated (dmidecode -t memory, ipmitool sel)")
    .evidence("memory_total_bytes", now, Some(before));
    judge.close(slot, answer);
}

/// Fewer NVMe disks of a kind than there were. A virtual machine's come and go, and so do disks on
/// other buses; where a model is not told, a disk cannot be known again.
pub(super) fn disks(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let probe = input.probes.at(ProbeSlot::DISK);
    let is_told = probe.answered() || !probe.applies();
    if !is_told || !input.is_metal() {
        return;
    }
    let known = &mut facts.disks;
    let (check, name) = (CheckKind::HardwareChanged, DISKS);
    let is_same = |counted: &Vec<(String, u64)>| {
        counted.iter().map(|(model, size)| (model.as_str(), *size)).eq(judged_disks(input))
    };
    if known.fewer_since.is_none() && known.counted.as_ref().is_some_and(is_same) {
        all_there(judge, check, name);
        return;
    }
    let kinds = disk_kinds(input);
    let now = |kind: &str| kinds.iter().find(|(it, _)| it == kind).map_or(0, |(_, count)| *count);
    let lost: Vec<_> = known
        .kinds
        .iter()
        .filter(|(kind, before)| now(kind) < *before)
        .map(|(kind, before)| format!("{} of {before} {kind}", before - now(kind)))
        .collect();
    let since = known.fewer_since.map_or(input.at, |since| since.min(input.at));
    if lost.is_empty() || input.at.since(since) > input.policy.hardware.missed_for {
        let counted = judged_disks(input).map(|(model, size)| (model.to_owned(), size)).collect();
        *known = LearnedDisks { kinds, fewer_since: None, counted: Some(counted) };
        all_there(judge, check, name);
        return;
    }
    known.fewer_since = Some(since);
    if input.is_settling() && !judge.remembers(check, name) {
        return;
    }
    let feed = if probe.answered() { ProbeSlot::DISK } else { ProbeSlot::HOST };
    let Some(slot) = judge.open_always(check, name, feed, NO_GPU) else { return };
    let answer = Answer::finding(
        Status::Unhealthy,
        format!("NVMe disks were there and are gone: {}", lost.join(", ")),
    )
    .advice("compare with nvme list and lspci; look for nvme lines in dmesg; reseat or replace the disk")
    .evidence("gone", lost.join(", "), Some("none".to_owned()));
    judge.close(slot, answer);
}

fn all_there(judge: &mut Judge<'_>, check: CheckKind, name: &str) {
    if judge.remembers(check, name)
        && let Some(slot) = judge.open_always(check, name, ProbeSlot::HOST, NO_GPU)
    {
        judge.close_well(slot, "it has as many disks as before");
    }
}

/// The NVMe disks that there are: their models and sizes.
fn judged_disks<'a>(input: &Input<'a>) -> impl Iterator<Item = (&'a str, u64)> {
    let is_judged = |disk: &&'a BlockDevice| {
        // Volumes of a cloud are attached and detached at will, also to a machine of its own.
        let is_volume = disk.model.starts_with("Amazon Elastic Block Store");
        disk.name.starts_with("nvme") && !disk.model.is_empty() && !is_volume
    };
    let disks = input.inventory.disks.iter().filter(is_judged);
    disks.map(|disk| (disk.model.as_str(), disk.size_bytes))
}

/// How many NVMe disks there are, by model and size.
fn disk_kinds(input: &Input<'_>) -> Vec<(String, u32)> {
    let mut kinds: Vec<(String, u32)> = Vec::new();
    for (model, size) in judged_disks(input) {
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let size = text::number(size as f64, Unit::Bytes);
        let kind = format!("{model} ({size})");
        if let Some((_, count)) = kinds.iter_mut().find(|(it, _)| *it == kind) {
            *count = count.saturating_add(1);
        } else if kinds.len() < MAX_DISK_KINDS {
            kinds.push((kind, 1));
        }
    }
    kinds
}
