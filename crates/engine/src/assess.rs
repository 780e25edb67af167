//! One observation in, one verdict out.

use std::borrow::Cow;
use std::time::Duration;

use sickbay_model::{Frame, Observation, Status};

use crate::assessment::{Assessment, Cap, GpuAssessment};
use crate::checks::{self, CheckKind};
use crate::input::{Input, Job, ProbeSlot};
use crate::judge::{Found, Judge, NO_GPU, Reach, Tally};
use crate::memory::{GpuMemory, NodeFacts, NodeMemory};
use crate::readiness::readiness;
use crate::{Policy, causes, score, text, transitions};

/// Judges one observation of a node, given what is remembered of it.
///
/// Deterministic: equal policy, memory and observation give an equal verdict. Never panics, whatever
/// the observation holds and however its clock jumps. A result counts towards confirmation only if
/// its probe was asked anew since the last assessment (`ProbeReport::at` moved).
#[must_use]
pub fn assess(policy: &Policy, memory: &mut NodeMemory, observation: &Observation) -> Assessment {
    let NodeMemory { assessments, checks, probe_times, facts, verdict, begun_anew } = memory;
    *assessments = assessments.saturating_add(1);
    let at = observation.at;
    let age = at.since(observation.frame.at);
    let empty;
    let frame = if age > policy.state.stale_after {
        empty = Frame::empty(observation.frame.at);
        &empty
    } else {
        &observation.frame
    };
    let first = *begun_anew || *assessments == 1;
    let input = Input::new(policy, observation, frame, probe_times, first);
    let mut judge =
        Judge::new(policy, &input.probes, &observation.resource, at, *assessments, checks);
    let unheard = verdict.heard_at.map(|heard| at.since(heard));
    judge.reach = Reach { lost: input.probes.is_lost(), unheard, ..Reach::default() };
    if judge.reach.lost {
        // Nothing was asked, so nothing is to be learned from what is not there.
        checks::reachable(&input, facts, &mut judge);
    } else {
        verdict.heard_at = Some(at);
        *begun_anew = false;
        for check in checks::ALL {
            check(&input, facts, &mut judge);
        }
    }
    judge.sweep(&input, facts);
    let Judge { mut findings, healthy, healthy_gpus, tallies, caps, mut events, reach, .. } = judge;
    findings.sort_by(|a, b| badness(a).cmp(&badness(b)).then(points(a).total_cmp(&points(b))));

    let incidents = causes::incidents(facts, &findings);
    let unknown = unknown_reason(&input, age, reach);
    let node_caps = caps.iter().map(|(cap, _)| cap.clone()).collect();
    let card = score::node_card(&policy.weights, &tallies, node_caps, unknown);
    let unasked = card.unknown_reason.as_deref().filter(|_| reach.lost);
    let gpus = gpus(facts, &findings, &healthy, &healthy_gpus, &caps, unasked);
    let readiness = readiness(&input, facts);
    let headline = headline(card.unknown_reason.as_deref(), &findings, &incidents, healthy.len());
    let active = match input.job {
        Job::Active if !reach.lost => true,
        Job::Idle if !reach.lost => false,
        _ => verdict.active.unwrap_or(false),
    };
    let mut results = Vec::new();
    if findings.is_empty() {
        results = healthy;
    } else {
        results.reserve(findings.len() + healthy.len());
        results.extend(findings.into_iter().map(|found| found.result));
        results.extend(healthy);
    }
    let mut assessment = Assessment {
        resource: observation.resource.clone(),
        at,
        level: card.level,
        level_since: at,
        score: card,
        checks: results,
        incidents,
        readiness,
        gpus,
        active,
        headline,
        events: Vec::new(),
    };
    transitions::tell(&input, reach, facts, verdict, &mut assessment, &mut events);
    assessment.events = events;
    assessment
}

/// Worst first; among equals, what is confirmed.
fn badness(found: &Found) -> (std::cmp::Reverse<u8>, bool) {
    (std::cmp::Reverse(found.result.status.severity()), !found.result.hard)
}

fn points(found: &Found) -> f64 {
    found.result.points
}

/// Why the node cannot be judged at all, if it cannot.
fn unknown_reason(input: &Input<'_>, age: Duration, reach: Reach) -> Option<String> {
    let reachable = input.probes.at(ProbeSlot::REACHABLE);
    let reason = reachable.no_answer_reason(ProbeSlot::REACHABLE);
    if reach.lost {
        // Until it is confirmed that the node cannot be reached its last verdict stands.
        let known = reach.unheard.is_some_and(|age| age <= input.policy.state.stale_after);
        return reason.filter(|_| reach.hard || !known);
    }
    if let Some(reason) = reason {
        return Some(reason);
    }
    if reach.hard {
        return Some("it has just answered again, which is yet to be confirmed".to_owned());
    }
    if age > input.policy.state.stale_after {
        let age = text::duration(age);
        return Some(format!("the newest readings are {age} old"));
    }
    (!input.probes.any_answered()).then(|| "no probe answered".to_owned())
}

/// The worst finding, or what explains it; the rest as numbers.
fn headline(
    unknown: Option<&str>,
    findings: &[Found],
    incidents: &[causes::Incident],
    healthy: usize,
) -> String {
    let of_worst = |it: &&causes::Incident| it.root == 0 || it.evidence.contains(&0);
    if unknown.is_none()
        && let Some(incident) = incidents.iter().find(of_worst)
    {
        let explained = text::count(incident.evidence.len() + 1, "finding");
        let more = findings.len().saturating_sub(incident.evidence.len() + 1);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let title = &incident.title;
        return text::sentence(&format!("{title}, which explains {explained}{more}"));
    }
    match (unknown, findings) {
        (Some(reason), _) => format!("Cannot be judged: {reason}."),
        (None, []) if healthy == 1 => "The one check is well.".to_owned(),
        (None, []) => format!("All {healthy} checks are well."),
        (None, [worst]) => text::sentence(&worst.result.message),
        (None, [worst, more @ ..]) => {
            text::sentence(&format!("{}; and {} more", worst.result.message, more.len()))
        }
    }
}

/// What one GPU's results add up to.
#[derive(Default)]
struct GpuTally {
    tally: Tally,
    checks: Vec<usize>,
}

/// Each GPU as a resource of its own: those that answer, and those that should.
fn gpus(
    facts: &NodeFacts,
    findings: &[Found],
    healthy: &[sickbay_model::CheckResult],
    healthy_gpus: &[u16],
    caps: &[(Cap, u16)],
    unasked: Option<&str>,
) -> Vec<GpuAssessment> {
    let cards = &facts.gpus;
    if cards.is_empty() {
        return Vec::new();
    }
    let mut tallies: Vec<GpuTally> = cards
        .iter()
        .map(|_| GpuTally { checks: Vec::with_capacity(16), ..GpuTally::default() })
        .collect();
    let results = findings
        .iter()
        .map(|found| (&found.result, found.gpu))
        .chain(healthy.iter().zip(healthy_gpus.iter().copied()));
    let mut hint = 0;
    for (place, (result, gpu)) in results.enumerate() {
        let owner = if gpu == NO_GPU {
            if result.check != CheckKind::GpuMissing.id() {
                continue;
            }
            cards
                .iter()
                .position(|card| card.missing_since.is_some() && card.key == result.instance)
        } else {
            let is_hint = cards.get(hint).is_some_and(|card| is_owner(card, gpu));
            if is_hint { Some(hint) } else { cards.iter().position(|card| is_owner(card, gpu)) }
        };
        let Some(owner) = owner else { continue };
        hint = owner;
        if let Some(sum) = tallies.get_mut(owner) {
            sum.tally.lost += 100.0 - result.points;
            sum.tally.checks += 1;
            sum.tally.findings += u32::from(!result.is_healthy());
            sum.tally.unknown += u32::from(result.status == Status::Unknown);
            sum.checks.push(place);
        }
    }
    let mut all = Vec::with_capacity(cards.len());
    for (card, sum) in cards.iter().zip(tallies) {
        let renumbered =
            card.missing_since.is_some() && cards.iter().any(|it| is_owner(it, short(card.index)));
        if !renumbered {
            all.push(gpu(card, sum, findings, caps, unasked));
        }
    }
    all
}

fn short(index: u32) -> u16 {
    u16::try_from(index).unwrap_or(NO_GPU)
}

fn is_owner(card: &GpuMemory, index: u16) -> bool {
    card.missing_since.is_none() && card.index == u32::from(index)
}

/// `unasked` is why nothing was asked of the whole node, if so.
fn gpu(
    card: &GpuMemory,
    sum: GpuTally,
    findings: &[Found],
    caps: &[(Cap, u16)],
    unasked: Option<&str>,
) -> GpuAssessment {
    let GpuTally { tally, checks } = sum;
    let gone = card.missing_since.is_some();
    let own = |(cap, gpu): &&(Cap, u16)| {
        if gone {
            cap.check == CheckKind::GpuMissing.id() && cap.instance == card.key
        } else {
            *gpu != NO_GPU && u32::from(*gpu) == card.index
        }
    };
    let caps = caps.iter().filter(own).map(|(cap, _)| cap.clone()).collect();
    let worst = checks.first().and_then(|&place| findings.get(place)).map(|found| &found.result);
    let unknown = match (unasked, worst) {
        (Some(reason), _) => Some(reason.to_owned()),
        (None, _) if tally.unknown != tally.checks => None,
        (None, Some(worst)) => Some(worst.message.clone().into_owned()),
        (None, None) => Some("nothing of it could be judged".to_owned()),
    };
    let score = score::gpu_card(&tally, caps, unknown);
    let headline = match (unasked, worst) {
        (Some(reason), _) => format!("Cannot be judged: {reason}.").into(),
        (None, Some(worst)) => text::sentence(&worst.message).into(),
        (None, None) => Cow::Borrowed("All checks are well."),
    };
    let level = score.level;
    let (index, level_since) = (card.index, card.level_since);
    GpuAssessment { index, score, level, level_since, checks, headline }
}
