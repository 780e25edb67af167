//! What changed: events from the difference to the last verdict.
//!
//! The first verdict on a node changes nothing, so it tells of findings only. A change is told once.
//! A device is missed only where its probe answered. Of a node that could not be reached nothing is
//! told until that is confirmed, and nothing of its parts at all; one that comes and goes is told of
//! once.

use std::collections::BTreeMap;

use sickbay_model::{
    Event, EventId, EventKind, GpuCondition, Level, ResourceId, Timestamp, check_id,
};

use crate::assessment::{Assessment, ReadinessOutcome};
use crate::checks::gpu_key;
use crate::input::{Input, Job, ProbeSlot, ProbeState};
use crate::judge::Reach;
use crate::memory::{NodeFacts, VerdictMemory};
use crate::text::sentence;

/// Tells what changed, and sets since when levels are what they are.
pub(crate) fn tell(
    input: &Input<'_>,
    reach: Reach,
    facts: &mut NodeFacts,
    verdict: &mut VerdictMemory,
    assessment: &mut Assessment,
    events: &mut Vec<Event>,
) {
    let node = &input.observation.resource;
    let mut tell = |kind, resource: &ResourceId, message: String, details: &[(&str, String)]| {
        let details: BTreeMap<String, String> =
            details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let resource = Some(resource.clone());
        events.push(Event { id: EventId(0), at: input.at, kind, resource, message, details });
    };
    if !reach.lost {
        reboot(input, verdict, &mut tell);
        inventory(input, verdict, &mut tell);
        job(input, verdict, &mut tell);
    }
    level(input, reach, verdict, assessment, &mut tell);
    if !reach.lost || reach.hard {
        recovery(input, verdict, assessment, &mut tell);
    } else {
        verdict.well_streak = 0;
    }
    for gpu in &mut assessment.gpus {
        let missing = gpu.checks.is_empty();
        let card = facts.gpus.iter_mut().find(|card| {
            card.index == gpu.index
                && (missing || card.missing_since.is_none() || gpu.level == Level::Critical)
        });
        let Some(card) = card else { continue };
        gpu.level_since = since(card.level, card.level_since, gpu.level, input.at);
        if reach.lost {
            // It has no say of its own; unknown it is for as long as its node.
            let unknown = gpu.level == Level::Unknown;
            gpu.level_since = if unknown { assessment.level_since } else { gpu.level_since };
            continue;
        }
        if let Some(before) = card.level.filter(|before| *before != gpu.level) {
            let (message, details) = level_change(before, gpu.level, &gpu.headline);
            tell(EventKind::LevelChanged, &ResourceId::gpu(node, gpu.index), message, &details);
        }
        (card.level, card.level_since) = (Some(gpu.level), gpu.level_since);
    }
    ready(input, reach, verdict, assessment, &mut tell);
}

type Tell<'a> = dyn FnMut(EventKind, &ResourceId, String, &[(&str, String)]) + 'a;

/// Since when a level is what it is; never in the future, even if the clock was set back.
fn since(before: Option<Level>, since: Timestamp, now: Level, at: Timestamp) -> Timestamp {
    if before == Some(now) { since.min(at) } else { at }
}

pub(crate) fn level_change(
    before: Level,
    now: Level,
    why: &str,
) -> (String, [(&'static str, String); 2]) {
    let now_word = now.as_str();
    let message = sentence(&format!("{now_word}, was {before}. {}", sentence(why)));
    (message, [("from", before.as_str().to_owned()), ("to", now.as_str().to_owned())])
}

fn level(
    input: &Input<'_>,
    reach: Reach,
    verdict: &mut VerdictMemory,
    assessment: &mut Assessment,
    tell: &mut Tell<'_>,
) {
    let now = assessment.level;
    let shown = verdict.shown.or(verdict.level);
    assessment.level_since = since(shown, verdict.level_since, now, input.at);
    (verdict.shown, verdict.level_since) = (Some(now), assessment.level_since);
    if is_quiet(input, reach, verdict.level) {
        return;
    }
    if let Some(before) = verdict.level.replace(now).filter(|before| *before != now) {
        let (message, details) = level_change(before, now, &assessment.headline);
        tell(EventKind::LevelChanged, &assessment.resource, message, &details);
    }
}

/// Whether a change of the level is not to be told: a collection that may just be lost, or a node
/// that comes and goes, once that was told. One that stays away is down and does not flap: half the
/// time after which readings are too old tells that.
fn is_quiet(input: &Input<'_>, reach: Reach, told: Option<Level>) -> bool {
    let away = input.policy.state.stale_after / 2;
    let stays_away = reach.lost && reach.unheard.is_none_or(|unheard| unheard > away);
    if reach.flapping && stays_away {
        return false;
    }
    let is_told = told.is_some_and(|told| told != Level::Healthy);
    (reach.lost && !reach.hard) || (reach.flapping && is_told)
}

/// A node that was in trouble has recovered once it was healthy for as many assessments in a row as
/// a check needs.
fn recovery(
    input: &Input<'_>,
    verdict: &mut VerdictMemory,
    assessment: &Assessment,
    tell: &mut Tell<'_>,
) {
    if assessment.level != Level::Healthy {
        verdict.troubled = true;
        verdict.well_streak = 0;
        return;
    }
    verdict.well_streak = verdict.well_streak.saturating_add(1);
    if verdict.troubled && verdict.well_streak >= input.policy.state.recover {
        verdict.troubled = false;
        let message = format!("Healthy again. {}", assessment.headline);
        tell(EventKind::NodeRecovered, &assessment.resource, message, &[]);
    }
}

/// Not ready only because probes on slow clocks (torch takes seconds) were not asked yet is shown,
/// not told: every start of the hub would otherwise tell of a loss and a return. It is told once it
/// lasts.
fn ready(
    input: &Input<'_>,
    reach: Reach,
    verdict: &mut VerdictMemory,
    assessment: &Assessment,
    tell: &mut Tell<'_>,
) {
    let now = assessment.readiness.ready;
    // Losses and returns are told once they are confirmed, and while it flaps just the loss.
    if (reach.lost && !reach.hard) || (now && (reach.hard || reach.flapping)) {
        return;
    }
    if !now && is_awaited(input, assessment) {
        let since = *verdict.ready_awaited_since.get_or_insert(input.at);
        if input.at.since(since) <= input.policy.state.stale_after {
            return;
        }
    } else {
        verdict.ready_awaited_since = None;
    }
    if verdict.ready.replace(now).is_some_and(|before| before != now) {
        let message = if now {
            "Ready for work.".to_owned()
        } else {
            let failed = assessment.readiness.checks.iter();
            let failed: Vec<_> = failed
                .filter(|check| check.outcome == ReadinessOutcome::Failed)
                // All else follows from that the node cannot be reached.
                .filter(|check| !reach.lost || check.check == check_id::REACHABLE)
                .map(|check| format!("{} ({})", check.check, check.message))
                .collect();
            format!("No longer ready for work: {}.", failed.join(", "))
        };
        let details = [("ready", now.to_string())];
        tell(EventKind::ReadinessChanged, &assessment.resource, message, &details);
    }
}

/// Whether all that stands against readiness are probes that have not reported yet.
fn is_awaited(input: &Input<'_>, assessment: &Assessment) -> bool {
    let fed_by = [
        (check_id::TORCH_READY, ProbeSlot::TORCH),
        (check_id::LATENCY_READY, ProbeSlot::LATENCY),
        (check_id::GPU_AVAILABLE, ProbeSlot::NVIDIA),
        (check_id::DISK_READY, ProbeSlot::REMOTE_FILESYSTEM),
    ];
    let silent = |slot| input.probes.at(slot).state == ProbeState::Silent;
    let mut failed = assessment
        .readiness
        .checks
        .iter()
        .filter(|check| check.outcome == ReadinessOutcome::Failed)
        .peekable();
    failed.peek().is_some()
        && failed.all(|check| fed_by.iter().any(|(id, slot)| *id == check.check && silent(*slot)))
}

fn reboot(input: &Input<'_>, verdict: &mut VerdictMemory, tell: &mut Tell<'_>) {
    let boot_id = &input.inventory.host.boot_id;
    if boot_id.is_empty() || *boot_id == verdict.boot_id {
        return;
    }
    if !verdict.boot_id.is_empty() {
        let uptime = input.frame.get(sickbay_model::catalogue::UPTIME);
        let ago = uptime.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
        let message = match ago {
            Some(ago) => format!("Booted {} ago.", crate::text::duration(ago)),
            None => "Booted since it was last seen.".to_owned(),
        };
        let details = [("from", verdict.boot_id.clone()), ("to", boot_id.clone())];
        tell(EventKind::NodeRebooted, &input.observation.resource, message, &details);
    }
    verdict.boot_id.clone_from(boot_id);
}

fn job(input: &Input<'_>, verdict: &mut VerdictMemory, tell: &mut Tell<'_>) {
    let now = match input.job {
        Job::Active => true,
        Job::Idle => false,
        Job::Unknown => return,
    };
    let node = &input.observation.resource;
    match (verdict.active.replace(now), now) {
        (Some(false), true) => {
            let training = &input.observation.processes.training;
            let message = match training.first() {
                Some(process) => format!("Training began: {} ({}).", process.name, process.pid),
                None => "Training began.".to_owned(),
            };
            tell(EventKind::JobStarted, node, message, &[]);
        }
        (Some(true), false) => {
            tell(EventKind::JobFinished, node, "The last training process ended.".to_owned(), &[]);
        }
        _ => {}
    }
}

/// Devices that appeared or went away, by kind.
fn inventory(input: &Input<'_>, verdict: &mut VerdictMemory, tell: &mut Tell<'_>) {
    let inventory = input.inventory;
    let node = &input.observation.resource;
    let gpu_probes = [ProbeSlot::NVIDIA, ProbeSlot::AMD].map(|slot| input.probes.at(slot));
    if gpu_probes.iter().all(|probe| probe.no_answer_reason(ProbeSlot::NVIDIA).is_none()) {
        let now = inventory.gpus.iter().filter(|gpu| gpu.condition != GpuCondition::Missing);
        compare(&mut verdict.gpus, now, gpu_key, "GPU", node, tell);
    }
    if input.probes.at(input.probes.links()).answered() {
        let now = inventory.interfaces.iter().filter(|interface| interface.physical);
        compare(&mut verdict.interfaces, now, |it| (&*it.name).into(), "interface", node, tell);
    }
    if input.probes.at(ProbeSlot::DISK).answered() {
        let now = inventory.disks.iter();
        compare(&mut verdict.disks, now, |it| (&*it.name).into(), "disk", node, tell);
    }
}

fn compare<'a, T: 'a>(
    known: &mut Option<Vec<String>>,
    now: impl Iterator<Item = &'a T> + Clone,
    name: impl Fn(&'a T) -> std::borrow::Cow<'a, str>,
    kind: &str,
    node: &ResourceId,
    tell: &mut Tell<'_>,
) {
    let Some(known) = known else {
        *known = Some(now.map(|it| name(it).into_owned()).collect());
        return;
    };
    if now.clone().map(&name).eq(known.iter().map(String::as_str)) {
        return;
    }
    let now: Vec<String> = now.map(|it| name(it).into_owned()).collect();
    let list = |these: &[String], those: &[String]| {
        let only: Vec<&str> =
            these.iter().filter(|it| !those.contains(it)).map(String::as_str).collect();
        only.join(", ")
    };
    let (came, went) = (list(&now, known), list(known, &now));
    *known = now;
    let message = match (came.is_empty(), went.is_empty()) {
        (true, true) => return,
        (false, true) => format!("New {kind}: {came}."),
        (true, false) => sentence(&format!("{kind} gone: {went}")),
        (false, false) => sentence(&format!("{kind} replaced: {went} by {came}")),
    };
    let details = [("kind", kind.to_owned()), ("came", came), ("went", went)];
    tell(EventKind::InventoryChanged, node, message, &details);
}
