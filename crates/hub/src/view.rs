//! From the engine's verdict to what a client sees: pure conversions, the only ones there are.
//!
//! The API and `sickbay check` both come through here, so that they cannot disagree.

use std::time::Duration;

use sickbay_engine::{Assessment, GpuAssessment};
use sickbay_model::{
    CheckResult, Event, Frame, GpuDevice, Kind, Level, Observation, ProbeOutcome, ProbeReport,
    Resource, ResourceId, Status, catalogue,
};
use sickbay_wire::v1;

mod fleet;
mod inventory;
mod silence;

pub use fleet::{breaker, fleet_node, watched_node};
pub(crate) use fleet::{count_breaker, count_level, shown_nodes};
use inventory::{inventory, processes};
pub(crate) use silence::empty_observation;
pub use silence::{never_collected, silenced};

/// A node and its GPUs, as a client sees them after an assessment; the node comes first.
#[must_use]
pub fn node_details(
    resource: &Resource,
    assessment: &Assessment,
    observation: &Observation,
    interval: Duration,
) -> Vec<v1::ResourceDetail> {
    let node = node_detail(resource, assessment, observation, interval);
    let gpus = assessment
        .gpus
        .iter()
        .map(|gpu| gpu_detail(resource, assessment, gpu, observation, interval));
    std::iter::once(node).chain(gpus).collect()
}

fn node_detail(
    resource: &Resource,
    assessment: &Assessment,
    observation: &Observation,
    interval: Duration,
) -> v1::ResourceDetail {
    v1::ResourceDetail {
        summary: v1::ResourceSummary {
            id: resource.id.to_string(),
            kind: Kind::Node,
            display_name: resource.display_name.clone(),
            parent: resource.parent.as_ref().map(ToString::to_string),
            labels: resource.labels.clone(),
            level: assessment.level,
            since: assessment.level_since,
            score: assessment.score.score,
            ready: Some(assessment.readiness.ready),
            finding_count: count_findings(&assessment.checks),
            headline: assessment.headline.clone(),
            last_check: Some(assessment.at),
            stale: None,
        },
        score_card: score_card(&assessment.score),
        readiness: Some(readiness(&assessment.readiness)),
        checks: assessment.checks.iter().map(check).collect(),
        readings: readings(&observation.frame, |_, _| true),
        inventory: Some(inventory(&observation.inventory)),
        processes: Some(processes(&observation.processes)),
        probes: observation.probes.iter().map(probe).collect(),
        children: assessment
            .gpus
            .iter()
            .map(|gpu| ResourceId::gpu(&resource.id, gpu.index).to_string())
            .collect(),
        interval_seconds: interval.as_secs_f64(),
        active: assessment.active,
        breaker: None,
    }
}

fn gpu_detail(
    node: &Resource,
    assessment: &Assessment,
    gpu: &GpuAssessment,
    observation: &Observation,
    interval: Duration,
) -> v1::ResourceDetail {
    let device = observation.inventory.gpus.iter().find(|device| device.index == gpu.index);
    let instance = gpu.index.to_string();
    let checks: Vec<v1::Check> =
        gpu.checks.iter().filter_map(|&at| assessment.checks.get(at)).map(check).collect();
    let finding_count = checks.iter().filter(|check| check.status != Status::Healthy).count();
    v1::ResourceDetail {
        summary: v1::ResourceSummary {
            id: ResourceId::gpu(&node.id, gpu.index).to_string(),
            kind: Kind::Gpu,
            display_name: gpu_name(gpu.index, device),
            parent: Some(node.id.to_string()),
            labels: node.labels.clone(),
            level: gpu.level,
            since: gpu.level_since,
            score: gpu.score.score,
            ready: None,
            finding_count: u32::try_from(finding_count).unwrap_or(u32::MAX),
            headline: gpu.headline.to_string(),
            last_check: Some(assessment.at),
            stale: None,
        },
        score_card: score_card(&gpu.score),
        readiness: None,
        checks,
        readings: readings(&observation.frame, |metric, of| {
            (metric.name.starts_with("gpu_") && of == instance)
                || (metric.name.starts_with("nvlink_")
                    && of.split_once('/').is_some_and(|(gpu, _)| gpu == instance))
        }),
        inventory: None,
        processes: None,
        probes: Vec::new(),
        children: Vec::new(),
        interval_seconds: interval.as_secs_f64(),
        active: assessment.active,
        breaker: None,
    }
}

fn gpu_name(index: u32, device: Option<&GpuDevice>) -> String {
    match device.map(|device| device.model.as_str()) {
        Some(model) if !model.is_empty() => format!("GPU {index} · {model}"),
        _ => format!("GPU {index}"),
    }
}

fn count_findings(checks: &[CheckResult]) -> u32 {
    u32::try_from(checks.iter().filter(|check| !check.is_healthy()).count()).unwrap_or(u32::MAX)
}

/// How a score came about.
#[must_use]
pub fn score_card(card: &sickbay_engine::ScoreCard) -> v1::ScoreCard {
    v1::ScoreCard {
        score: card.score,
        level: card.level,
        uncapped: card.uncapped,
        contributions: card
            .contributions
            .iter()
            .map(|part| v1::Contribution {
                component: part.component,
                nominal_weight: part.nominal_weight,
                weight: part.weight,
                points: part.points,
                contribution: part.contribution,
                note: part.note.to_string(),
            })
            .collect(),
        caps: card
            .caps
            .iter()
            .map(|cap| v1::Cap {
                limit: cap.limit,
                check: cap.check.to_string(),
                instance: cap.instance.to_string(),
                status: cap.status,
            })
            .collect(),
        unknown_reason: card.unknown_reason.clone(),
    }
}

fn readiness(readiness: &sickbay_engine::Readiness) -> v1::Readiness {
    use sickbay_engine::ReadinessOutcome as Outcome;
    v1::Readiness {
        ready: readiness.ready,
        pass_rate_percent: readiness.pass_rate_percent,
        required_percent: readiness.required_percent,
        checks: readiness
            .checks
            .iter()
            .map(|check| v1::ReadinessCheck {
                check: check.check.to_string(),
                outcome: match check.outcome {
                    Outcome::Passed => v1::ReadinessOutcome::Passed,
                    Outcome::Failed => v1::ReadinessOutcome::Failed,
                    Outcome::NotApplicable => v1::ReadinessOutcome::NotApplicable,
                },
                message: check.message.to_string(),
            })
            .collect(),
    }
}

fn check(result: &CheckResult) -> v1::Check {
    v1::Check {
        check: result.check.to_string(),
        instance: result.instance.to_string(),
        component: result.component,
        status: result.status,
        points: result.points,
        message: result.message.to_string(),
        evidence: result
            .evidence
            .iter()
            .map(|fact| v1::EvidenceView {
                what: fact.what.to_string(),
                value: fact.value.clone(),
                threshold: fact.threshold.clone(),
            })
            .collect(),
        advice: result.advice.as_ref().map(|advice| advice.0.to_string()),
        since: result.since,
        at: result.at,
        took_ms: milliseconds(result.took),
        hard: result.hard,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn readings(
    frame: &Frame,
    wanted: impl Fn(&sickbay_model::MetricDef, &str) -> bool,
) -> Vec<v1::ReadingView> {
    frame
        .iter()
        .filter_map(|(series, value)| Some((catalogue::find(series.metric)?, series, value)))
        .filter(|(metric, series, _)| wanted(metric, &series.instance))
        .map(|(metric, series, value)| v1::ReadingView {
            metric: metric.name.to_owned(),
            instance: series.instance.to_string(),
            value,
            unit: metric.unit,
        })
        .collect()
}

fn probe(report: &ProbeReport) -> v1::ProbeView {
    let (outcome, message) = match &report.outcome {
        ProbeOutcome::Answered => ("answered", None),
        ProbeOutcome::Partial(missed) => ("partial", Some(missed.message.clone())),
        ProbeOutcome::NotApplicable(why) => ("not_applicable", Some(why.to_string())),
        ProbeOutcome::Failed(error) => (error.kind.as_str(), Some(error.message.clone())),
    };
    v1::ProbeView {
        probe: report.probe.to_string(),
        outcome: outcome.to_owned(),
        message,
        at: report.at,
        took_ms: milliseconds(report.took),
    }
}

/// The system's score as a client sees it.
#[must_use]
pub fn system_score(score: &sickbay_engine::SystemScore) -> v1::SystemScore {
    v1::SystemScore {
        score: score.score,
        level: score.level,
        parts: score
            .parts
            .iter()
            .map(|part| v1::SystemPart {
                name: part.name.to_string(),
                nominal_weight: part.nominal_weight,
                weight: part.weight,
                points: part.points,
                contribution: part.contribution,
                note: part.note.to_string(),
            })
            .collect(),
    }
}

/// The system's score before anything was judged.
#[must_use]
pub fn unknown_system() -> v1::SystemScore {
    v1::SystemScore { score: None, level: Level::Unknown, parts: Vec::new() }
}

/// An event as a client sees it.
#[must_use]
pub fn event(event: &Event) -> v1::EventView {
    v1::EventView {
        id: event.id.0,
        at: event.at,
        kind: event.kind,
        resource: event.resource.as_ref().map(ToString::to_string),
        message: event.message.clone(),
        details: event.details.clone(),
    }
}
