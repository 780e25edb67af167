//! From the engine's verdict to what a client sees: pure conversions, the only ones there are.
//!
//! The API and `sickbay check` both come through here, so that they cannot disagree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{Assessment, GpuAssessment};
use sickbay_model::{
    CheckResult, Event, Frame, GpuDevice, Inventory, Kind, Level, MetricId, Observation,
    ProbeOutcome, ProbeReport, ProcessSummary, Resource, catalogue,
};
use sickbay_wire::v1;

mod fleet;
mod inventory;
mod silence;
mod stragglers;

pub use fleet::{NodeLine, breaker, fleet_node, watched_node};
pub(crate) use fleet::{count_breaker, count_level, shown_nodes};
use inventory::{inventory, processes};
pub(crate) use silence::{empty_observation, silence_summary};
pub use silence::{never_collected, silenced};
pub(crate) use stragglers::{Compared, not_compared_yet, stragglers};

/// Labels of a node.
pub(crate) type Labels = BTreeMap<String, String>;

/// A verdict on a node, and what it was drawn from: all that its details are made of.
#[derive(Clone, Copy)]
pub(crate) struct Drawn<'a> {
    pub(crate) resource: &'a Resource,
    /// Its labels, which the summaries of the node and of its GPUs share.
    pub(crate) labels: &'a Arc<Labels>,
    pub(crate) assessment: &'a Assessment,
    pub(crate) inventory: &'a Inventory,
    pub(crate) processes: &'a ProcessSummary,
    pub(crate) probes: &'a [ProbeReport],
    /// The readings; the verdict's own columns among them are not shown as such.
    pub(crate) frame: &'a Frame,
    pub(crate) interval: Duration,
}

/// A node and its GPUs, as a client sees them after an assessment; the node comes first.
#[must_use]
pub fn node_details(
    resource: &Resource,
    assessment: &Assessment,
    observation: &Observation,
    interval: Duration,
) -> Vec<v1::ResourceDetail> {
    let labels = Arc::new(resource.labels.clone());
    let drawn = Drawn::of(resource, &labels, assessment, observation, interval);
    let gpus = assessment.gpus.iter().map(|gpu| drawn.gpu_detail(gpu));
    std::iter::once(drawn.node_detail()).chain(gpus).collect()
}

impl<'a> Drawn<'a> {
    fn of(
        resource: &'a Resource,
        labels: &'a Arc<Labels>,
        assessment: &'a Assessment,
        observation: &'a Observation,
        interval: Duration,
    ) -> Self {
        Self {
            resource,
            labels,
            assessment,
            inventory: &observation.inventory,
            processes: &observation.processes,
            probes: &observation.probes,
            frame: &observation.frame,
            interval,
        }
    }

    pub(crate) fn node_summary(&self) -> v1::ResourceSummary {
        let Self { resource, assessment, .. } = *self;
        v1::ResourceSummary {
            id: resource.id.to_string(),
            kind: Kind::Node,
            display_name: resource.display_name.clone(),
            parent: resource.parent.as_ref().map(ToString::to_string),
            labels: Arc::clone(self.labels),
            level: assessment.level,
            since: assessment.level_since,
            score: assessment.score.score,
            ready: Some(assessment.readiness.ready),
            finding_count: count_findings(assessment.checks.iter()),
            headline: assessment.headline.clone(),
            last_check: Some(assessment.at),
            stale: None,
        }
    }

    pub(crate) fn node_detail(&self) -> v1::ResourceDetail {
        let Self { resource, assessment, .. } = *self;
        v1::ResourceDetail {
            summary: self.node_summary(),
            score_card: score_card(&assessment.score),
            readiness: Some(readiness(&assessment.readiness)),
            checks: assessment.checks.iter().map(check).collect(),
            incidents: assessment
                .incidents
                .iter()
                .map(|incident| incident_view(incident, &assessment.checks))
                .collect(),
            readings: readings(self.frame, |_, _| true),
            inventory: Some(inventory(self.inventory)),
            processes: Some(processes(self.processes)),
            probes: self.probes.iter().map(probe).collect(),
            children: assessment
                .gpus
                .iter()
                .map(|gpu| gpu.resource(&resource.id).to_string())
                .collect(),
            interval_seconds: self.interval.as_secs_f64(),
            active: assessment.active,
            breaker: None,
        }
    }

    fn gpu_checks(&self, gpu: &'a GpuAssessment) -> impl Iterator<Item = &'a CheckResult> {
        let checks = &self.assessment.checks;
        gpu.checks.iter().filter_map(|&at| checks.get(at))
    }

    pub(crate) fn gpu_summary(&self, gpu: &'a GpuAssessment) -> v1::ResourceSummary {
        let node = self.resource;
        let device = self.inventory.gpus.iter().find(|device| device.index == gpu.index);
        v1::ResourceSummary {
            id: gpu.resource(&node.id).to_string(),
            kind: Kind::Gpu,
            display_name: gpu_name(gpu.index, device),
            parent: Some(node.id.to_string()),
            labels: Arc::clone(self.labels),
            level: gpu.level,
            since: gpu.level_since,
            score: gpu.score.score,
            ready: None,
            finding_count: count_findings(self.gpu_checks(gpu)),
            headline: gpu.headline.to_string(),
            last_check: Some(self.assessment.at),
            stale: None,
        }
    }

    pub(crate) fn gpu_detail(&self, gpu: &'a GpuAssessment) -> v1::ResourceDetail {
        let instance = gpu.index.to_string();
        v1::ResourceDetail {
            summary: self.gpu_summary(gpu),
            score_card: score_card(&gpu.score),
            readiness: None,
            checks: self.gpu_checks(gpu).map(check).collect(),
            incidents: Vec::new(),
            readings: readings(self.frame, |metric, of| {
                (metric.name.starts_with("gpu_") && of == instance)
                    || (metric.name.starts_with("nvlink_")
                        && of.split_once('/').is_some_and(|(gpu, _)| gpu == instance))
            }),
            inventory: None,
            processes: None,
            probes: Vec::new(),
            children: Vec::new(),
            interval_seconds: self.interval.as_secs_f64(),
            active: self.assessment.active,
            breaker: None,
        }
    }
}

fn gpu_name(index: u32, device: Option<&GpuDevice>) -> String {
    match device.map(|device| device.model.as_str()) {
        Some(model) if !model.is_empty() => format!("GPU {index} · {model}"),
        _ => format!("GPU {index}"),
    }
}

fn count_findings<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> u32 {
    u32::try_from(checks.filter(|check| !check.is_healthy()).count()).unwrap_or(u32::MAX)
}

/// How many GPUs are parts of a node.
pub(crate) fn count_gpus(detail: &v1::ResourceDetail) -> u32 {
    let gpus = detail.children.iter().filter(|child| child.starts_with("gpu/")).count();
    u32::try_from(gpus).unwrap_or(u32::MAX)
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

fn incident_view(incident: &sickbay_engine::Incident, checks: &[CheckResult]) -> v1::IncidentView {
    let named = |place: &usize| {
        let check = checks.get(*place)?;
        let (check, instance) = (check.check.to_string(), check.instance.to_string());
        Some(v1::CheckRef { check, instance })
    };
    let nothing = || v1::CheckRef { check: String::new(), instance: String::new() };
    v1::IncidentView {
        rule: incident.rule.to_owned(),
        title: incident.title.clone(),
        since: incident.since,
        advice: incident.advice.to_owned(),
        root: named(&incident.root).unwrap_or_else(nothing),
        evidence: incident.evidence.iter().filter_map(named).collect(),
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

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// What was judged is told as such, not among the readings.
const VERDICT_METRICS: [MetricId; 2] = [catalogue::SCORE, catalogue::READINESS];

fn readings(
    frame: &Frame,
    wanted: impl Fn(&sickbay_model::MetricDef, &str) -> bool,
) -> Vec<v1::ReadingView> {
    frame
        .iter()
        .filter(|(series, _)| !VERDICT_METRICS.contains(&series.metric))
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

/// How a probe ended, in a word.
pub(crate) fn outcome_word(outcome: &ProbeOutcome) -> &'static str {
    match outcome {
        ProbeOutcome::Answered => "answered",
        ProbeOutcome::Partial(_) => "partial",
        ProbeOutcome::NotApplicable(_) => "not_applicable",
        ProbeOutcome::Failed(error) => error.kind.as_str(),
    }
}

fn probe(report: &ProbeReport) -> v1::ProbeView {
    let message = match &report.outcome {
        ProbeOutcome::Answered => None,
        ProbeOutcome::NotApplicable(why) => Some(why.to_string()),
        ProbeOutcome::Partial(error) | ProbeOutcome::Failed(error) => Some(error.message.clone()),
    };
    v1::ProbeView {
        probe: report.probe.to_string(),
        outcome: outcome_word(&report.outcome).to_owned(),
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
