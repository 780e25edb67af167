//! What an assessment says: score, level, readiness, checks, events.
//!
//! Everything a person needs to retrace the verdict is in here: the contributions add up to
//! `uncapped`, `score` is that or the smallest cap, and each cap names the check that set it. These
//! types are the engine's own and free to change; what is sent or stored has its types elsewhere.

use std::borrow::Cow;

use sickbay_model::{CheckId, CheckResult, Component, Event, Level, ResourceId, Status, Timestamp};

use crate::Policy;
use crate::causes::Incident;
use crate::pace::Busy;

/// The verdict on one node at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The node.
    pub resource: ResourceId,
    /// When it was judged: the observation's time.
    pub at: Timestamp,
    /// How the score came about.
    pub score: ScoreCard,
    /// What the score means; the same as `score.level`.
    pub level: Level,
    /// Since when the level is what it is.
    pub level_since: Timestamp,
    /// Every check, worst first.
    pub checks: Vec<CheckResult>,
    /// Findings that one cause explains, the worst first.
    pub incidents: Vec<Incident>,
    /// May work be started here?
    pub readiness: Readiness,
    /// Each GPU as a resource of its own, by the driver's index.
    pub gpus: Vec<GpuAssessment>,
    /// Whether a training job runs on the node; the last known answer while processes cannot be
    /// listed.
    pub active: bool,
    /// The worst finding in a sentence, or that all is well.
    pub headline: String,
    /// What changed with this assessment; ids are given by the store.
    pub events: Vec<Event>,
}

impl Assessment {
    /// The checks that are not healthy, worst first.
    pub fn findings(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().take_while(|result| !result.is_healthy())
    }

    /// What decides the pace of polling: a node with a finding that is yet to be confirmed or
    /// cleared is asked at the short interval, like one that is not healthy.
    #[must_use]
    pub fn busy(&self, watched: bool) -> Busy {
        let finding = self.checks.first().is_some_and(|result| !result.is_healthy());
        Busy {
            active_job: self.active,
            not_healthy: finding || self.level != Level::Healthy,
            watched,
        }
    }
}

/// The verdict on one GPU of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuAssessment {
    /// The driver's index.
    pub index: u32,
    /// How its score came about: one contribution of weight 100, and its own findings' caps.
    pub score: ScoreCard,
    /// What the score means.
    pub level: Level,
    /// Since when the level is what it is.
    pub level_since: Timestamp,
    /// Its checks, as places in [`Assessment::checks`], worst first.
    pub checks: Vec<usize>,
    /// The worst finding in a sentence, or that all is well.
    pub headline: Cow<'static, str>,
}

impl GpuAssessment {
    /// The GPU's own resource id.
    #[must_use]
    pub fn resource(&self, node: &ResourceId) -> ResourceId {
        ResourceId::gpu(node, self.index)
    }
}

/// How a score came about. `score` is `uncapped` or the smallest cap, whichever is less.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreCard {
    /// 0 to 100, one decimal; none while unknown.
    pub score: Option<f64>,
    /// What the score means.
    pub level: Level,
    /// The sum of the contributions, before caps.
    pub uncapped: f64,
    /// The parts, heaviest first.
    pub contributions: Vec<Contribution>,
    /// Limits set by confirmed findings, smallest first.
    pub caps: Vec<Cap>,
    /// Why there is no score, while the level is unknown.
    pub unknown_reason: Option<String>,
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// Which part.
    pub component: Component,
    /// Its weight by the policy, in points of 100.
    pub nominal_weight: f64,
    /// Its weight after parts that do not apply handed theirs over, one decimal; 0 if it does not
    /// apply itself. The weights of a node add up to 100.
    pub weight: f64,
    /// How well the part is, 0 to 100: the mean of its checks; none if it does not apply.
    pub points: Option<f64>,
    /// What it adds to the score: weight × points / 100, rounded to one decimal.
    pub contribution: f64,
    /// Why it has these points, in one sentence.
    pub note: Cow<'static, str>,
}

/// A limit that a confirmed finding sets on the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Cap {
    /// The most that the score may be.
    pub limit: f64,
    /// The check that sets it.
    pub check: CheckId,
    /// Its instance, empty if there is just one.
    pub instance: Cow<'static, str>,
    /// The status that sets it: the confirmed one. For a check that cannot be judged now but was
    /// bad when last measured, that last status.
    pub status: Status,
}

/// May work be started here?
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// The answer.
    pub ready: bool,
    /// Share of the applicable checks that pass, 0 to 100.
    pub pass_rate_percent: f64,
    /// Share that must pass.
    pub required_percent: f64,
    /// The five checks.
    pub checks: Vec<ReadinessCheck>,
}

/// One readiness check.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadinessCheck {
    /// Which one.
    pub check: CheckId,
    /// How it ended.
    pub outcome: ReadinessOutcome,
    /// What was found.
    pub message: Cow<'static, str>,
}

/// How a readiness check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadinessOutcome {
    /// Passed.
    Passed,
    /// Failed, or could not be asked.
    Failed,
    /// Does not count here.
    NotApplicable,
}

/// What to show for a node that was never collected, or whose collection is not to be trusted:
/// level unknown, no score, not ready, and the reason.
#[must_use]
pub fn unknown_assessment(
    policy: &Policy,
    resource: &ResourceId,
    at: Timestamp,
    reason: &str,
) -> Assessment {
    Assessment {
        resource: resource.clone(),
        at,
        score: ScoreCard::unknown(Vec::new(), reason.to_owned()),
        level: Level::Unknown,
        level_since: at,
        checks: Vec::new(),
        incidents: Vec::new(),
        readiness: Readiness {
            ready: false,
            pass_rate_percent: 0.0,
            required_percent: policy.readiness.required_percent,
            checks: Vec::new(),
        },
        gpus: Vec::new(),
        active: false,
        headline: reason.to_owned(),
        events: Vec::new(),
    }
}

impl ScoreCard {
    pub(crate) fn unknown(contributions: Vec<Contribution>, reason: String) -> Self {
        Self {
            score: None,
            level: Level::Unknown,
            uncapped: 0.0,
            contributions,
            caps: Vec::new(),
            unknown_reason: Some(reason),
        }
    }
}
