//! What is shown of those of which nothing is heard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{Policy, Silenced, unknown_assessment};
use sickbay_model::{Frame, Level, Observation, Resource, ResourceId, Timestamp};
use sickbay_wire::v1;

use super::Drawn;

/// What is shown of a resource once its node fell silent: its last checks, marked as old, and no
/// verdict drawn from them.
#[must_use]
pub fn silenced(last: &v1::ResourceDetail, silenced: &Silenced) -> v1::ResourceDetail {
    let reason = &silenced.reason;
    let mut detail = last.clone();
    silence_summary(&mut detail.summary, silenced);
    detail.score_card.score = None;
    detail.score_card.level = Level::Unknown;
    detail.score_card.unknown_reason = Some(reason.clone());
    if let Some(readiness) = &mut detail.readiness {
        readiness.ready = false;
        readiness.pass_rate_percent = 0.0;
        for check in &mut readiness.checks {
            if check.outcome == v1::ReadinessOutcome::Passed {
                // What could not be asked has failed.
                check.outcome = v1::ReadinessOutcome::Failed;
                check.message.clone_from(reason);
            }
        }
    }
    detail
}

/// A resource in one line once its node fell silent.
pub(crate) fn silence_summary(summary: &mut v1::ResourceSummary, silenced: &Silenced) {
    let reason = &silenced.reason;
    summary.level = Level::Unknown;
    summary.since = silenced.since;
    summary.score = None;
    summary.ready = summary.ready.map(|_| false);
    summary.headline = format!("Cannot be judged: {reason}.");
    summary.stale = Some(reason.clone());
}

/// What is shown of a node that was never collected.
#[must_use]
pub fn never_collected(
    policy: &Policy,
    node: &ResourceId,
    at: Timestamp,
    reason: &str,
) -> v1::ResourceDetail {
    let resource = Resource {
        id: node.clone(),
        display_name: node.name().to_owned(),
        labels: BTreeMap::new(),
        parent: None,
    };
    let assessment = unknown_assessment(policy, node, at, reason);
    let observation = empty_observation(node, at);
    let mut detail =
        Drawn::of(&resource, &Arc::default(), &assessment, &observation, Duration::ZERO)
            .node_detail();
    detail.summary.last_check = None;
    (detail.inventory, detail.processes) = (None, None);
    detail
}

/// An observation in which no probe reported.
pub(crate) fn empty_observation(node: &ResourceId, at: Timestamp) -> Observation {
    Observation {
        resource: node.clone(),
        at,
        frame: Frame::empty(at),
        inventory: Arc::default(),
        probes: Vec::new(),
        processes: Arc::default(),
        torch: None,
        kernel_log: None,
        refused_readings: 0,
        refused: Vec::new(),
        cost: Duration::ZERO,
    }
}
