//! What is known of each resource, kept small.
//!
//! A whole [`ResourceDetail`] is hundreds of texts, and hardly ever asked for. What is kept instead
//! is what it is made of: the node's verdict and what that was drawn from, once for the node and all
//! of its GPUs, and each one's summary. Lists, counts and metrics need no more than that; a detail is
//! made where somebody asks for it, always by [`view`](crate::view), so that it is the same one
//! wherever it comes from.
//!
//! What must hold: nothing here changes once it is made.

use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{Assessment, Silenced};
use sickbay_model::{
    CheckResult, Frame, Inventory, Observation, ProbeReport, ProcessSummary, Resource, ResourceId,
    Status,
};
use sickbay_wire::v1::{ResourceDetail, ResourceSummary};

use crate::view::{self, Drawn, Labels};

/// What is known of a resource: its summary, and what its detail is made of.
#[derive(Debug)]
pub struct KnownResource {
    /// How it is, in one line.
    pub summary: ResourceSummary,
    /// Whether a job is active on it.
    pub active: bool,
    /// Time from the last collection to the next, as planned, in seconds.
    pub interval_seconds: f64,
    /// How many GPUs are its parts.
    pub gpus: u32,
    /// Share of the readiness checks that pass, 0 to 100; none where readiness is not judged.
    pub pass_rate_percent: Option<f64>,
    basis: Basis,
}

/// What a detail is made of.
#[derive(Debug)]
enum Basis {
    /// A node's verdict: of the node itself, or of the GPU at this place in it.
    Judged(Arc<Judged>, Option<usize>),
    /// What was known before nothing was heard any more.
    Silenced(Arc<KnownResource>, Arc<Silenced>),
    /// It was made elsewhere: by an earlier hub, or of nothing.
    Told(Arc<ResourceDetail>),
}

/// A verdict on a node, and what it was drawn from.
#[derive(Debug)]
pub(crate) struct Judged {
    resource: Resource,
    labels: Arc<Labels>,
    assessment: Assessment,
    inventory: Arc<Inventory>,
    processes: Arc<ProcessSummary>,
    probes: Vec<ProbeReport>,
    frame: Arc<Frame>,
    interval: Duration,
}

impl Judged {
    /// `frame` may have the verdict's own columns beside the observation's.
    pub(crate) fn new(
        resource: &Resource,
        mut assessment: Assessment,
        observation: &Observation,
        frame: Arc<Frame>,
        interval: Duration,
    ) -> Self {
        // It is kept, and will not grow.
        assessment.checks.shrink_to_fit();
        Self {
            labels: Arc::new(resource.labels.clone()),
            resource: Resource { labels: Labels::new(), ..resource.clone() },
            assessment,
            inventory: Arc::clone(&observation.inventory),
            processes: Arc::clone(&observation.processes),
            probes: observation.probes.clone(),
            frame,
            interval,
        }
    }

    fn drawn(&self) -> Drawn<'_> {
        Drawn {
            resource: &self.resource,
            labels: &self.labels,
            assessment: &self.assessment,
            inventory: &self.inventory,
            processes: &self.processes,
            probes: &self.probes,
            frame: &self.frame,
            interval: self.interval,
        }
    }

    /// The node, then its GPUs.
    pub(crate) fn resources(self) -> Vec<(ResourceId, Arc<KnownResource>)> {
        let judged = Arc::new(self);
        let drawn = judged.drawn();
        let gpus = judged.assessment.gpus.iter().enumerate().map(|(place, gpu)| {
            let id = gpu.resource(&judged.resource.id);
            let summary = drawn.gpu_summary(gpu);
            (id, KnownResource::judged(&judged, Some(place), summary))
        });
        let node = KnownResource::judged(&judged, None, drawn.node_summary());
        std::iter::once((judged.resource.id.clone(), node))
            .chain(gpus)
            .map(|(id, known)| (id, Arc::new(known)))
            .collect()
    }
}

/// What is told of a check apart from its explanation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CheckLine<'k> {
    pub(crate) check: &'k str,
    pub(crate) instance: &'k str,
    pub(crate) status: Status,
    pub(crate) hard: bool,
}

/// What is told of a probe apart from its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ProbeLine<'k> {
    pub(crate) probe: &'k str,
    /// The word of its outcome.
    pub(crate) outcome: &'k str,
    pub(crate) took_ms: f64,
}

impl KnownResource {
    fn judged(judged: &Arc<Judged>, gpu: Option<usize>, summary: ResourceSummary) -> Self {
        let verdict = &judged.assessment;
        let (gpus, pass_rate_percent) = match gpu {
            None => (verdict.gpus.len(), Some(verdict.readiness.pass_rate_percent)),
            Some(_) => (0, None),
        };
        Self {
            summary,
            active: verdict.active,
            interval_seconds: judged.interval.as_secs_f64(),
            gpus: u32::try_from(gpus).unwrap_or(u32::MAX),
            pass_rate_percent,
            basis: Basis::Judged(Arc::clone(judged), gpu),
        }
    }

    /// What is known of it once its node fell silent.
    pub(crate) fn silenced(last: &Arc<Self>, silenced: &Arc<Silenced>) -> Self {
        let mut summary = last.summary.clone();
        view::silence_summary(&mut summary, silenced);
        Self {
            summary,
            active: last.active,
            interval_seconds: last.interval_seconds,
            gpus: last.gpus,
            pass_rate_percent: last.pass_rate_percent.map(|_| 0.0),
            basis: Basis::Silenced(Arc::clone(last), Arc::clone(silenced)),
        }
    }

    /// The whole explanation. Made for each who asks, in some tens of microseconds.
    #[must_use]
    pub fn detail(&self) -> Arc<ResourceDetail> {
        match &self.basis {
            Basis::Told(detail) => Arc::clone(detail),
            Basis::Silenced(last, silenced) => Arc::new(view::silenced(&last.detail(), silenced)),
            Basis::Judged(judged, gpu) => {
                let gpu = gpu.and_then(|place| judged.assessment.gpus.get(place));
                Arc::new(match gpu {
                    Some(gpu) => judged.drawn().gpu_detail(gpu),
                    None => judged.drawn().node_detail(),
                })
            }
        }
    }

    /// Its checks, worst first.
    pub(crate) fn checks(&self) -> Box<dyn Iterator<Item = CheckLine<'_>> + '_> {
        match &self.basis {
            Basis::Silenced(last, _) => last.checks(),
            Basis::Told(detail) => Box::new(detail.checks.iter().map(|check| CheckLine {
                check: &check.check,
                instance: &check.instance,
                status: check.status,
                hard: check.hard,
            })),
            Basis::Judged(judged, None) => {
                Box::new(judged.assessment.checks.iter().map(CheckLine::of))
            }
            Basis::Judged(judged, Some(gpu)) => {
                let places = judged.assessment.gpus.get(*gpu).map(|gpu| gpu.checks.iter());
                let results = places.into_iter().flatten();
                let results = results.filter_map(|&at| judged.assessment.checks.get(at));
                Box::new(results.map(CheckLine::of))
            }
        }
    }

    /// How its probes ended; a node's alone.
    pub(crate) fn probes(&self) -> Box<dyn Iterator<Item = ProbeLine<'_>> + '_> {
        match &self.basis {
            Basis::Silenced(last, _) => last.probes(),
            Basis::Told(detail) => Box::new(detail.probes.iter().map(|probe| ProbeLine {
                probe: &probe.probe,
                outcome: &probe.outcome,
                took_ms: probe.took_ms,
            })),
            Basis::Judged(judged, None) => Box::new(judged.probes.iter().map(|report| ProbeLine {
                probe: report.probe.as_str(),
                outcome: view::outcome_word(&report.outcome),
                took_ms: view::milliseconds(report.took),
            })),
            Basis::Judged(_, Some(_)) => Box::new(std::iter::empty()),
        }
    }
}

impl From<ResourceDetail> for KnownResource {
    /// A detail that was made elsewhere.
    fn from(detail: ResourceDetail) -> Self {
        Self {
            summary: detail.summary.clone(),
            active: detail.active,
            interval_seconds: detail.interval_seconds,
            gpus: view::count_gpus(&detail),
            pass_rate_percent: detail.readiness.as_ref().map(|it| it.pass_rate_percent),
            basis: Basis::Told(Arc::new(detail)),
        }
    }
}

impl<'k> CheckLine<'k> {
    fn of(result: &'k CheckResult) -> Self {
        Self {
            check: result.check.as_str(),
            instance: &result.instance,
            status: result.status,
            hard: result.hard,
        }
    }
}
