//! May work be started here? The five questions of seed 1.
//!
//! A question that does not arise leaves the denominator; one that could not be asked has failed.
//! The answer is of now: nothing is confirmed or held, because what starts here would start now.

use std::borrow::Cow;

use sickbay_model::catalogue as metric;
use sickbay_model::{CheckId, Filesystem, Unit, check_id};

use crate::assessment::{Readiness, ReadinessCheck, ReadinessOutcome};
use crate::checks::expected_gpus;
use crate::input::{Input, ProbeSlot, ProbeState};
use crate::memory::NodeFacts;
use crate::text;

/// How one question ended, with what was found.
struct Outcome(ReadinessOutcome, Cow<'static, str>);

impl Outcome {
    fn passed(message: impl Into<Cow<'static, str>>) -> Self {
        Self(ReadinessOutcome::Passed, message.into())
    }

    fn failed(message: impl Into<Cow<'static, str>>) -> Self {
        Self(ReadinessOutcome::Failed, message.into())
    }

    fn not_applicable(message: impl Into<Cow<'static, str>>) -> Self {
        Self(ReadinessOutcome::NotApplicable, message.into())
    }
}

/// One question.
type Question = fn(&Input<'_>, &NodeFacts) -> Outcome;

pub(crate) fn readiness(input: &Input<'_>, facts: &NodeFacts) -> Readiness {
    const QUESTIONS: [(CheckId, Question); 5] = [
        (check_id::REACHABLE, reachable),
        (check_id::GPU_AVAILABLE, gpu_available),
        (check_id::TORCH_READY, torch_ready),
        (check_id::DISK_READY, disk_ready),
        (check_id::LATENCY_READY, latency_ready),
    ];
    let mut checks = Vec::with_capacity(QUESTIONS.len());
    let (mut applicable, mut passed) = (0_u32, 0_u32);
    let lost = input.probes.is_lost();
    let lost = lost.then(|| input.probes.at(ProbeSlot::REACHABLE)).and_then(|probe| {
        let reason = probe.no_answer_reason(ProbeSlot::REACHABLE)?;
        Some(format!("could not be asked: {reason}"))
    });
    for (check, ask) in QUESTIONS {
        let Outcome(mut outcome, mut message) = ask(input, facts);
        if let Some(lost) = &lost
            && check != check_id::REACHABLE
            && outcome != ReadinessOutcome::NotApplicable
        {
            // What lies around from earlier is no answer of now.
            (outcome, message) = (ReadinessOutcome::Failed, lost.clone().into());
        }
        applicable += u32::from(outcome != ReadinessOutcome::NotApplicable);
        passed += u32::from(outcome == ReadinessOutcome::Passed);
        checks.push(ReadinessCheck { check, outcome, message });
    }
    let pass_rate_percent =
        if applicable == 0 { 0.0 } else { 100.0 * f64::from(passed) / f64::from(applicable) };
    let required_percent = input.policy.readiness.required_percent;
    let ready = applicable > 0 && pass_rate_percent >= required_percent;
    Readiness { ready, pass_rate_percent, required_percent, checks }
}

fn reachable(input: &Input<'_>, _facts: &NodeFacts) -> Outcome {
    let probe = input.probes.at(ProbeSlot::REACHABLE);
    match probe.no_answer_reason(ProbeSlot::REACHABLE) {
        Some(reason) => Outcome::failed(reason),
        None if probe.applies() => Outcome::passed("a session opens"),
        None => Outcome::not_applicable("there is no session to open"),
    }
}

/// The driver answers, and as many GPUs as are expected: of this node, else of all, else as many as
/// ever answered here.
fn gpu_available(input: &Input<'_>, facts: &NodeFacts) -> Outcome {
    let vendors = [ProbeSlot::NVIDIA, ProbeSlot::AMD];
    let failing = vendors.into_iter().find_map(|slot| {
        let probe = input.probes.at(slot);
        probe.no_answer_reason(slot)
    });
    if let Some(reason) = failing {
        return Outcome::failed(reason);
    }
    let known = u32::try_from(facts.gpus.len()).unwrap_or(u32::MAX);
    let expected = expected_gpus(input, facts).unwrap_or(known);
    let answering = facts.answering_gpus;
    if expected == 0 && answering == 0 {
        Outcome::not_applicable("this node never had a GPU")
    } else if answering >= expected {
        Outcome::passed("every expected GPU answers")
    } else {
        Outcome::failed(format!("{answering} of {expected} GPUs answer"))
    }
}

/// `import torch` succeeds, and where there are GPUs it sees them all.
fn torch_ready(input: &Input<'_>, facts: &NodeFacts) -> Outcome {
    let probe = input.probes.at(ProbeSlot::TORCH);
    if let ProbeState::NotApplicable(why) = probe.state {
        return Outcome::not_applicable(why.to_owned());
    }
    if let Some(reason) = probe.no_answer_reason(ProbeSlot::TORCH) {
        return Outcome::failed(reason);
    }
    let Some(torch) = input.observation.torch.as_deref() else {
        return Outcome::failed("torch was asked but its answer is missing");
    };
    let gpus = facts.answering_gpus;
    if gpus > 0 && !torch.cuda_available {
        Outcome::failed(format!("torch {} does not see the GPUs", torch.version))
    } else if torch.gpu_count < gpus {
        Outcome::failed(format!("torch sees {} of {gpus} GPUs", torch.gpu_count))
    } else if gpus > 0 {
        Outcome::passed("torch sees every GPU")
    } else {
        Outcome::passed("torch can be imported")
    }
}

/// Free space on the filesystems that hold the watched paths.
fn disk_ready(input: &Input<'_>, _facts: &NodeFacts) -> Outcome {
    let policy = &input.policy.readiness;
    if policy.watched_paths.is_empty() {
        return Outcome::not_applicable("no path is watched");
    }
    for path in &policy.watched_paths {
        let Some(filesystem) = holds(&input.inventory.filesystems, path) else {
            return Outcome::failed(format!("the filesystem of {path} is not known"));
        };
        let mount = &filesystem.mount_point;
        let slot =
            if filesystem.remote { ProbeSlot::REMOTE_FILESYSTEM } else { ProbeSlot::FILESYSTEM };
        if let Some(reason) = input.probes.at(slot).no_answer_reason(slot) {
            return Outcome::failed(reason);
        }
        if let Some(why) = &filesystem.unanswered {
            return Outcome::failed(format!("{mount} does not answer: {why}"));
        }
        let Some(free) = input.frame.get_instance(metric::FILESYSTEM_FREE, mount) else {
            return Outcome::failed(format!("the free space of {path} is not known"));
        };
        if free < policy.disk_free_bytes {
            let free = text::number(free, Unit::Bytes);
            let least = text::number(policy.disk_free_bytes, Unit::Bytes);
            return Outcome::failed(format!("{path} has {free} free, {least} are needed"));
        }
    }
    Outcome::passed("enough space is free on the watched paths")
}

/// The filesystem that a path is on: the one mounted nearest above it.
fn holds<'a>(filesystems: &'a [Filesystem], path: &str) -> Option<&'a Filesystem> {
    filesystems
        .iter()
        .filter(|filesystem| is_above(&filesystem.mount_point, path))
        .max_by_key(|filesystem| filesystem.mount_point.len())
}

fn is_above(mount: &str, path: &str) -> bool {
    let mount = mount.trim_end_matches('/');
    path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every target's median round trip is short enough; a target that does not answer has none.
fn latency_ready(input: &Input<'_>, _facts: &NodeFacts) -> Outcome {
    let probe = input.probes.at(ProbeSlot::LATENCY);
    if let ProbeState::NotApplicable(why) = probe.state {
        return Outcome::not_applicable(why.to_owned());
    }
    if let Some(reason) = probe.no_answer_reason(ProbeSlot::LATENCY) {
        return Outcome::failed(reason);
    }
    let limit = input.policy.readiness.latency_ms;
    let mut targets = 0;
    for (target, milliseconds) in input.frame.instances(metric::LATENCY) {
        targets += 1;
        if milliseconds > limit {
            let shown = text::number(milliseconds, Unit::Milliseconds);
            let limit = text::number(limit, Unit::Milliseconds);
            return Outcome::failed(format!(
                "{target} answers in {shown}, at most {limit} are fine"
            ));
        }
    }
    for (target, loss) in input.frame.instances(metric::LATENCY_LOSS) {
        if loss >= 100.0 {
            return Outcome::failed(format!("{target} does not answer"));
        }
    }
    if targets == 0 {
        return Outcome::failed("no round trip was measured");
    }
    Outcome::passed("round trips are short enough")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_nearest_mount_above_it() {
        for (mount, path, above) in [
            ("/", "/", true),
            ("/", "/home/me", true),
            ("/data", "/data", true),
            ("/data", "/data/run", true),
            ("/data", "/database", false),
            ("/data/", "/data/run", true),
            ("/data", "/", false),
        ] {
            assert_eq!(is_above(mount, path), above, "{mount} {path}");
        }
    }
}
