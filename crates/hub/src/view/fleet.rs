//! Nodes as they stand in the fleet: one line each, their definitions and their breakers.

use std::sync::Arc;

use sickbay_engine::{Breaker, BreakerState};
use sickbay_model::{Kind, Level, NodeOrigin, ResourceId, Timestamp};
use sickbay_wire::v1;

use super::count_gpus;
use crate::fleet::{FleetSnapshot, NodeEntry};
use crate::known::KnownResource;

/// What is said of a node of which nothing is known yet.
const NOT_COLLECTED: &str = "not collected yet";

/// A breaker as a client sees it.
#[must_use]
pub fn breaker(breaker: &Breaker) -> v1::BreakerView {
    v1::BreakerView {
        state: breaker.state().as_str().to_owned(),
        failures: breaker.failures(),
        since: Some(breaker.since()).filter(|since| *since != Timestamp::EPOCH),
        probe_at: breaker.probe_at(),
        last_failure: breaker.last_failure().map(str::to_owned),
    }
}

/// A node's definition and breaker as a client sees them.
#[must_use]
pub fn watched_node(id: &ResourceId, entry: &NodeEntry) -> v1::NodeView {
    let definition = entry.definition.as_deref();
    let origin = match definition.map(|definition| definition.origin) {
        None => "local",
        Some(NodeOrigin::Config) => "config",
        Some(NodeOrigin::Added) => "added",
    };
    v1::NodeView {
        id: id.to_string(),
        spec: definition.map(v1::NodeSpec::of),
        origin: origin.to_owned(),
        breaker: entry.breaker.as_ref().map(breaker),
    }
}

/// What a node's line in the fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct NodeLine<'a> {
    summary: &'a v1::ResourceSummary,
    gpus: u32,
    active: bool,
}

impl<'a> From<&'a v1::ResourceDetail> for NodeLine<'a> {
    fn from(detail: &'a v1::ResourceDetail) -> Self {
        Self { summary: &detail.summary, gpus: count_gpus(detail), active: detail.active }
    }
}

impl<'a> From<&'a KnownResource> for NodeLine<'a> {
    fn from(known: &'a KnownResource) -> Self {
        Self { summary: &known.summary, gpus: known.gpus, active: known.active }
    }
}

/// A node in one line: what was judged of it, and how it is watched. A node without a verdict is
/// unknown.
#[must_use]
pub fn fleet_node(
    id: &ResourceId,
    line: Option<NodeLine<'_>>,
    entry: Option<&NodeEntry>,
) -> v1::FleetNode {
    let breaker = entry.and_then(|entry| entry.breaker.as_ref());
    let breaker = breaker.map(|breaker| breaker.state().as_str().to_owned());
    let definition = entry.and_then(|entry| entry.definition.as_deref());
    let Some(NodeLine { summary, gpus, active }) = line else {
        return v1::FleetNode {
            id: id.to_string(),
            display_name: id.name().to_owned(),
            level: Level::Unknown,
            since: Timestamp::EPOCH,
            score: None,
            ready: false,
            finding_count: 0,
            headline: format!("Cannot be judged: {NOT_COLLECTED}."),
            last_check: None,
            stale: Some(NOT_COLLECTED.to_owned()),
            labels: definition.map(|it| Arc::new(it.labels.clone())).unwrap_or_default(),
            parent: definition.and_then(|it| parent_of(it.parent.as_deref())),
            breaker,
            gpus: 0,
            active: false,
        };
    };
    v1::FleetNode {
        id: summary.id.clone(),
        display_name: summary.display_name.clone(),
        level: summary.level,
        since: summary.since,
        score: summary.score,
        ready: summary.ready == Some(true),
        finding_count: summary.finding_count,
        headline: summary.headline.clone(),
        last_check: summary.last_check,
        stale: summary.stale.clone(),
        labels: summary.labels.clone(),
        parent: summary
            .parent
            .clone()
            .or_else(|| definition.and_then(|it| parent_of(it.parent.as_deref()))),
        breaker,
        gpus,
        active,
    }
}

fn parent_of(name: Option<&str>) -> Option<String> {
    name.and_then(|name| ResourceId::node(name).ok()).map(|id| id.to_string())
}

/// The nodes among the resources. They stand together: ids sort by kind.
pub(crate) fn shown_nodes(
    snapshot: &FleetSnapshot,
) -> impl Iterator<Item = (&ResourceId, &Arc<KnownResource>)> {
    // No name's first byte sorts before this one.
    let first = ResourceId::node("-").ok();
    let all = first.map(|first| snapshot.resources.range(first..));
    all.into_iter().flatten().take_while(|(id, _)| id.kind() == Kind::Node)
}

/// Counts a breaker's state.
pub(crate) fn count_breaker(counts: &mut v1::BreakerCounts, state: BreakerState) {
    match state {
        BreakerState::Closed => counts.closed += 1,
        BreakerState::HalfOpen => counts.half_open += 1,
        BreakerState::Open => counts.open += 1,
    }
}

/// Counts a node's level.
pub(crate) fn count_level(counts: &mut v1::LevelCounts, level: Level) {
    match level {
        Level::Healthy => counts.healthy += 1,
        Level::Degraded => counts.degraded += 1,
        Level::Unhealthy => counts.unhealthy += 1,
        Level::Critical => counts.critical += 1,
        Level::Unknown => counts.unknown += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_verdict_is_unknown_and_never_healthy() {
        let id = ResourceId::node("gpu-07").expect("an id");
        let entry = NodeEntry { definition: None, breaker: Some(Breaker::default()) };
        let node = fleet_node(&id, None, Some(&entry));
        assert_eq!((node.level, node.score, node.ready), (Level::Unknown, None, false));
        assert_eq!(node.breaker.as_deref(), Some("closed"));
        assert_eq!(breaker(&Breaker::default()).since, None, "nothing was tried yet");
    }
}
