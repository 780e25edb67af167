//! The example fleet: two nodes, one of them with two GPUs and findings, and awkward names.

#![allow(dead_code, reason = "each suite uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_engine::{Breaker, BreakerPolicy};
use sickbay_hub::NodeEntry;
use sickbay_model::catalogue as metric;
use sickbay_model::{
    Component, Frame, FrameBuilder, Kind, Level, NodeOrigin, ResourceId, Status, Timestamp,
};
use sickbay_wire::v1::{
    Check, Contribution, EvidenceView, NodeSpec, ProbeView, Readiness, ReadinessCheck,
    ReadinessOutcome, ResourceDetail, ResourceSummary, ScoreCard,
};

/// When everything was judged.
pub(crate) const JUDGED_MS: i64 = 1_795_253_400_123;

/// A filesystem whose name needs every escape.
pub(crate) const AWKWARD_MOUNT: &str = "/data \"new\"\\old\nline\u{e9}";

/// Every resource of the example.
pub(crate) fn example() -> Vec<ResourceDetail> {
    vec![
        detail("node/calm", Level::Healthy, Some(100.0)),
        ResourceDetail {
            children: vec!["gpu/gpu-07/0".to_owned(), "gpu/gpu-07/1".to_owned()],
            ..detail("node/gpu-07", Level::Degraded, Some(71.5))
        },
        part("gpu/gpu-07/0", "node/gpu-07", Level::Healthy, Some(98.0)),
        part("gpu/gpu-07/1", "node/gpu-07", Level::Critical, Some(12.0)),
        detail("node/silent", Level::Unknown, None),
    ]
}

fn part(id: &str, parent: &str, level: Level, score: Option<f64>) -> ResourceDetail {
    let mut part = detail(id, level, score);
    part.summary.parent = Some(parent.to_owned());
    part.summary.ready = None;
    part.readiness = None;
    part
}

/// A resource with this verdict.
pub(crate) fn detail(id: &str, level: Level, score: Option<f64>) -> ResourceDetail {
    let parsed: ResourceId = id.parse().expect("an id");
    let at = Timestamp::from_unix_ms(JUDGED_MS);
    let healthy = level == Level::Healthy;
    let labels = [("rack", "r12"), ("zone", if healthy { "a" } else { "b c" })];
    let summary = ResourceSummary {
        id: id.to_owned(),
        kind: parsed.kind(),
        display_name: parsed.name().to_owned(),
        parent: None,
        labels: std::sync::Arc::new(
            labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ),
        level,
        since: at,
        score,
        ready: (parsed.kind() == Kind::Node).then_some(healthy),
        finding_count: u32::from(!healthy),
        headline: if healthy { "all is well" } else { "/data is 91 % full" }.to_owned(),
        last_check: Some(at),
        stale: (level == Level::Unknown).then(|| "not collected since the restart".to_owned()),
    };
    ResourceDetail {
        incidents: Vec::new(),
        score_card: ScoreCard {
            score,
            level,
            uncapped: score.unwrap_or(0.0),
            contributions: vec![Contribution {
                component: Component::System,
                nominal_weight: 30.0,
                weight: 100.0,
                points: score,
                contribution: score.unwrap_or(0.0),
                note: "the worst check counts".to_owned(),
            }],
            caps: Vec::new(),
            unknown_reason: score.is_none().then(|| "nothing was collected".to_owned()),
        },
        readiness: Some(Readiness {
            ready: healthy,
            pass_rate_percent: if healthy { 100.0 } else { 75.0 },
            required_percent: 90.0,
            checks: vec![ReadinessCheck {
                check: "disk_ready".to_owned(),
                outcome: ReadinessOutcome::Passed,
                message: "enough space".to_owned(),
            }],
        }),
        checks: checks(if healthy { Status::Healthy } else { Status::Degraded }, at),
        readings: Vec::new(),
        inventory: None,
        processes: None,
        probes: vec![
            probe("reachable", "answered", at),
            probe("host", "answered", at),
            probe("nvidia", "late", at),
            probe("amd", "not_applicable", at),
        ],
        children: Vec::new(),
        interval_seconds: 5.0,
        active: false,
        breaker: None,
        summary,
    }
}

fn checks(status: Status, at: Timestamp) -> Vec<Check> {
    ["/", AWKWARD_MOUNT]
        .into_iter()
        .map(|mount| Check {
            check: "filesystem_space".to_owned(),
            instance: mount.to_owned(),
            component: Component::System,
            status,
            points: 60.0,
            message: format!("{mount} is 91 % full"),
            evidence: vec![EvidenceView {
                what: "filesystem_used_percent".to_owned(),
                value: "91 %".to_owned(),
                threshold: Some("85 %".to_owned()),
            }],
            advice: Some("delete old checkpoints".to_owned()),
            since: at,
            at,
            took_ms: 0.4,
            hard: true,
        })
        .collect()
}

fn probe(name: &str, outcome: &str, at: Timestamp) -> ProbeView {
    let message = (outcome != "answered").then(|| "no answer".to_owned());
    let (probe, outcome) = (name.to_owned(), outcome.to_owned());
    ProbeView { probe, outcome, message, at, took_ms: 1.5 }
}

/// A node over SSH with these labels, whose breaker has seen so many failures in a row.
pub(crate) fn watched(name: &str, labels: &[(&str, &str)], failures: u32) -> NodeEntry {
    let policy = BreakerPolicy::default();
    let at = Timestamp::from_unix_ms(JUDGED_MS);
    let mut breaker = Breaker::default();
    for _ in 0..failures {
        breaker.failed(&policy, at, "connection refused", 7);
    }
    let spec = NodeSpec {
        name: name.to_owned(),
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..NodeSpec::default()
    };
    let definition = spec.into_definition(NodeOrigin::Config);
    NodeEntry { definition: Some(Arc::new(definition)), breaker: Some(breaker) }
}

/// The newest readings of the example's nodes.
pub(crate) fn frames() -> BTreeMap<ResourceId, Frame> {
    ["node/gpu-07", "node/calm", "node/silent"]
        .into_iter()
        .map(|id| (id.parse().expect("an id"), frame(JUDGED_MS, 12.3)))
        .collect()
}

/// Readings of every shape, with the CPU used as told.
pub(crate) fn frame(at_ms: i64, cpu_used_percent: f64) -> Frame {
    let mut builder = FrameBuilder::new();
    for (id, instance, value) in [
        (metric::CPU_USED, "", cpu_used_percent),
        (metric::LOAD_1M, "", 0.5),
        (metric::OOM_KILLS, "", 2.0),
        (metric::UPTIME, "", 86_400.5),
        (metric::MEMORY_TOTAL, "", 1.6e10),
        (metric::FILESYSTEM_USED, "/", 40.0),
        (metric::FILESYSTEM_USED, AWKWARD_MOUNT, 91.0),
        (metric::DISK_LATENCY, "nvme0n1", 0.25),
        (metric::NETWORK_LINK_UP, "eth0", 1.0),
        (metric::LATENCY, "10.0.0.1", 0.9),
        (metric::TEMPERATURE, "k10temp/Tctl", 51.5),
        (metric::GPU_TEMPERATURE, "0", 61.0),
        (metric::GPU_TEMPERATURE, "1", 62.0),
        (metric::GPU_CLOCK, "0", 1980.0),
        (metric::GPU_ENERGY, "0", 123_456.5),
        (metric::NVLINK_CRC_ERRORS, "0/3", 7.0),
        (metric::SCORE, "", 71.5),
    ] {
        assert!(builder.put(id, instance, value), "{id:?}");
    }
    builder.finish(Timestamp::from_unix_ms(at_ms)).0
}
