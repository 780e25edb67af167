//! Filesystems: space, inodes, writability, and whether remote ones answer.

use sickbay_model::catalogue as metric;
use sickbay_model::{Filesystem, MetricId, Status, Unit};

use crate::checks::CheckKind;
use crate::checks::file_servers::mounts_of;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::NodeFacts;
use crate::text::Quantity;

/// Every filesystem of the inventory. One that is read-only by design is full by design, too.
pub(super) fn filesystems(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    for filesystem in &input.inventory.filesystems {
        let probe =
            if filesystem.remote { ProbeSlot::REMOTE_FILESYSTEM } else { ProbeSlot::FILESYSTEM };
        if !input.probes.at(probe).answered() {
            continue;
        }
        if filesystem.remote {
            answers(input, facts, filesystem, judge);
        }
        if !filesystem.read_only_by_design {
            used(input, filesystem, probe, CheckKind::FilesystemSpace, judge);
            used(input, filesystem, probe, CheckKind::FilesystemInodes, judge);
            read_only(input, filesystem, probe, judge);
        }
    }
}

/// A remote mount that hangs is critical for everything that touches it.
fn answers(input: &Input<'_>, facts: &NodeFacts, filesystem: &Filesystem, judge: &mut Judge<'_>) {
    let (probe, mount) = (ProbeSlot::REMOTE_FILESYSTEM, &filesystem.mount_point);
    let Some(slot) = judge.open_instance(CheckKind::FilesystemAnswers, mount, probe, NO_GPU) else {
        return;
    };
    let answer = match &filesystem.unanswered {
        None => Answer::healthy("it answers"),
        Some(why) => {
            let source = &filesystem.source;
            let message = format!("{mount} ({source}) does not answer: {why}");
            let answer = Answer::finding(Status::Critical, message)
                .points(0.0)
                .advice("check the server and the network to it; processes that touch the mount hang until it answers")
                .evidence("unanswered", why.clone(), None);
            let standing = facts.faults.known().iter().filter(|fault| fault.ended.is_none());
            let mut said = standing.filter(|fault| {
                mounts_of(fault, input.inventory).any(|it| it.mount_point == *mount)
            });
            match said.next_back() {
                Some(fault) => answer.evidence("kernel", fault.line.clone(), None),
                None => answer,
            }
        }
    };
    judge.close(slot, answer);
}

fn used(
    input: &Input<'_>,
    filesystem: &Filesystem,
    probe: ProbeSlot,
    kind: CheckKind,
    judge: &mut Judge<'_>,
) {
    let mount = &*filesystem.mount_point;
    let space = kind == CheckKind::FilesystemSpace;
    let reading: MetricId =
        if space { metric::FILESYSTEM_USED } else { metric::FILESYSTEM_INODES_USED };
    let Some(used) = input.frame.get_instance(reading, mount) else {
        // Space must be told, unless it is already a finding that the mount does not answer.
        if space
            && filesystem.unanswered.is_none()
            && !judge.remembers(kind, mount)
            && let Some(slot) = judge.open_instance(kind, mount, probe, NO_GPU)
        {
            judge.close_unknown(slot, format!("the space of {mount} was not told"), None);
        }
        return;
    };
    let Some(slot) = judge.open_instance(kind, mount, probe, NO_GPU) else { return };
    let quantity = if space {
        Quantity {
            subject: "space used on",
            of: mount,
            metric: "filesystem_used_percent",
            unit: Unit::Percent,
            far_end: 100.0,
            well: "enough space is free",
            advice: Some("delete or move old checkpoints, logs and caches, or grow the filesystem"),
        }
    } else {
        Quantity {
            subject: "inodes used on",
            of: mount,
            metric: "filesystem_inodes_used_percent",
            unit: Unit::Percent,
            far_end: 100.0,
            well: "enough inodes are free",
            advice: Some("find and delete the directory with very many small files"),
        }
    };
    judge.close_threshold(slot, used, &quantity);
}

/// A filesystem that lost its writability: the kernel found damage, or someone remounted it.
fn read_only(input: &Input<'_>, filesystem: &Filesystem, probe: ProbeSlot, judge: &mut Judge<'_>) {
    let (kind, mount) = (CheckKind::FilesystemReadOnly, &*filesystem.mount_point);
    let Some(slot) = judge.open_instance(kind, mount, probe, NO_GPU) else { return };
    let reading = input.frame.get_instance(metric::FILESYSTEM_READ_ONLY, mount);
    if judge.note(slot, reading.is_some()) && reading.is_none() {
        judge.close_unknown(slot, format!("whether {mount} is writable was not told"), None);
        return;
    }
    if !filesystem.read_only && reading.is_none_or(|value| value <= 0.0) {
        judge.close_well(slot, "it is writable");
        return;
    }
    let answer = Answer::finding(Status::Critical, format!("{mount} is mounted read-only"))
        .points(0.0)
        .proof()
        .advice("look for disk errors in dmesg; drain, check the filesystem, then remount it")
        .evidence("filesystem_read_only", "1".to_owned(), Some("0".to_owned()));
    judge.close(slot, answer);
}
