//! What was judged: scores, levels, readiness, checks, and how the collection went.

use sickbay_model::probe::REACHABLE;
use sickbay_model::{Kind, Level, Status};

use super::encoder::{Encoder, Family, Type};
use super::groups::{Group, Plan};
use crate::known::{KnownResource, ProbeLine};

const STATUSES: [Status; 5] =
    [Status::Healthy, Status::Degraded, Status::Unhealthy, Status::Critical, Status::Unknown];

/// A gauge with one value per resource.
struct PerResource {
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    value: fn(&KnownResource) -> Option<f64>,
}

/// Every gauge with one value per resource.
const PER_RESOURCE: [PerResource; 8] = [
    PerResource {
        name: "sickbay_resource_score",
        unit: None,
        help: "Health score, 0 to 100; absent while unknown.",
        value: |detail| detail.summary.score,
    },
    PerResource {
        name: "sickbay_resource_ready",
        unit: None,
        help: "1 while work may be started on it; absent where readiness is not judged.",
        value: |detail| detail.summary.ready.map(flag),
    },
    PerResource {
        name: "sickbay_resource_readiness_ratio",
        unit: Some("ratio"),
        help: "Share of the applicable readiness checks that pass.",
        value: |detail| Some(detail.pass_rate_percent? / 100.0),
    },
    PerResource {
        name: "sickbay_resource_findings",
        unit: None,
        help: "Checks that are not healthy.",
        value: |detail| Some(f64::from(detail.summary.finding_count)),
    },
    PerResource {
        name: "sickbay_resource_active",
        unit: None,
        help: "1 while a job is active on it.",
        value: |detail| Some(flag(detail.active)),
    },
    PerResource {
        name: "sickbay_resource_stale",
        unit: None,
        help: "1 while what is known of it is not fresh; its readings are left out then.",
        value: |detail| Some(flag(detail.summary.stale.is_some())),
    },
    PerResource {
        name: "sickbay_resource_last_check_timestamp_seconds",
        unit: Some("seconds"),
        help: "When it was last collected, in seconds since the Unix epoch.",
        value: |detail| Some(detail.summary.last_check?.as_unix_seconds()),
    },
    PerResource {
        name: "sickbay_resource_interval_seconds",
        unit: Some("seconds"),
        help: "Time from the last collection to the next, as planned.",
        value: |detail| Some(detail.interval_seconds),
    },
];

/// States of a breaker.
const BREAKERS: [&str; 3] = ["closed", "open", "half_open"];

/// How many series [`write_own`] writes of a group.
pub(super) fn count_own(group: &Group<'_>) -> usize {
    let verdicts = group.own.map_or(0, |own| count_verdicts(own));
    if group.id.kind() != Kind::Node {
        return verdicts;
    }
    let checked = group.own.is_some_and(|own| own.summary.last_check.is_some());
    let breaker = group.entry.is_some_and(|entry| entry.breaker.is_some());
    verdicts + 1 + usize::from(checked) + if breaker { BREAKERS.len() } else { 0 }
}

/// How many series the verdicts of a resource are.
fn count_verdicts(detail: &KnownResource) -> usize {
    let gauges = PER_RESOURCE.iter().filter(|gauge| (gauge.value)(detail).is_some());
    Level::ALL.len() + gauges.count()
}

/// How many series [`write`] writes of a group, beside those of [`count_own`], if it is whole.
pub(super) fn count_rest(group: &Group<'_>) -> usize {
    let parts: usize = group.parts.iter().map(|(_, detail)| count_verdicts(detail)).sum();
    let fresh = group.fresh().map(|(_, detail)| {
        let probes = detail.probes().count() + applicable(detail).count();
        detail.checks().count() * STATUSES.len() + probes
    });
    parts + fresh.sum::<usize>()
}

/// Writes the verdicts of what there is room for.
pub(super) fn write(out: &mut Encoder, plan: &Plan<'_>) {
    write_nodes(out, plan);
    let whole = plan.verdicts.get(..plan.whole).unwrap_or_default();
    // Parts stand beside their nodes: a family is written in one piece.
    let parts = whole.iter().flat_map(|group| group.parts.iter().copied());
    let own = plan.verdicts.iter().filter_map(|group| Some((group.id, group.own?)));
    let shown: Vec<_> = own.chain(parts).collect();
    let levels = Level::ALL.map(Level::as_str);
    out.family(&Family {
        name: "sickbay_resource_level",
        kind: Type::StateSet,
        unit: None,
        help: "How well it is.",
    });
    for (id, detail) in &shown {
        let labels = [("resource", id.as_str()), ("kind", id.kind().as_str())];
        out.states(&labels, &levels, detail.summary.level.as_str());
    }
    for gauge in &PER_RESOURCE {
        let PerResource { name, unit, help, value } = *gauge;
        out.family(&Family { name, kind: Type::Gauge, unit, help });
        for (id, detail) in &shown {
            if let Some(value) = value(detail) {
                out.sample(&[("resource", id.as_str()), ("kind", id.kind().as_str())], value);
            }
        }
    }
    write_probes(out, whole);
    write_checks(out, whole);
}

/// What is said of nodes alone: whether they answer, and whether they are asked.
fn write_nodes(out: &mut Encoder, plan: &Plan<'_>) {
    let nodes: Vec<_> =
        plan.verdicts.iter().filter(|group| group.id.kind() == Kind::Node).collect();
    out.family(&Family {
        name: "sickbay_node_up",
        kind: Type::Gauge,
        unit: None,
        help: "1 if the last collection reached the node and is fresh.",
    });
    for group in &nodes {
        out.sample(&[("node", group.id.name())], flag(is_up(group)));
    }
    out.family(&Family {
        name: "sickbay_node_last_check_timestamp_seconds",
        kind: Type::Gauge,
        unit: Some("seconds"),
        help: "When the node was last collected, in seconds since the Unix epoch.",
    });
    for group in &nodes {
        if let Some(at) = group.own.and_then(|own| own.summary.last_check) {
            out.sample(&[("node", group.id.name())], at.as_unix_seconds());
        }
    }
    out.family(&Family {
        name: "sickbay_node_breaker_state",
        kind: Type::StateSet,
        unit: None,
        help: "Whether the node is asked; absent for the hub's own machine.",
    });
    for group in &nodes {
        if let Some(breaker) = group.entry.and_then(|entry| entry.breaker.as_ref()) {
            out.states(&[("node", group.id.name())], &BREAKERS, breaker.state().as_str());
        }
    }
}

fn is_up(group: &Group<'_>) -> bool {
    group.own.is_some_and(|own| {
        let reached = own.probes().any(|probe| {
            probe.probe == REACHABLE.as_str() && ["answered", "partial"].contains(&probe.outcome)
        });
        reached && own.summary.stale.is_none()
    })
}

fn write_checks(out: &mut Encoder, whole: &[Group<'_>]) {
    let statuses = STATUSES.map(Status::as_str);
    out.family(&Family {
        name: "sickbay_check_status",
        kind: Type::StateSet,
        unit: None,
        help: "The answer of a check; absent while what is known of its resource is not fresh.",
    });
    for (id, detail) in whole.iter().flat_map(Group::fresh) {
        for check in detail.checks() {
            let labels = [
                ("resource", id.as_str()),
                ("check", check.check),
                // `instance` is the scraper's own label.
                ("check_instance", check.instance),
            ];
            out.states(&labels, &statuses, check.status.as_str());
        }
    }
}

fn write_probes(out: &mut Encoder, whole: &[Group<'_>]) {
    out.family(&Family {
        name: "sickbay_probe_duration_seconds",
        kind: Type::Gauge,
        unit: Some("seconds"),
        help: "Time that a probe of the last collection took.",
    });
    for (id, detail) in whole.iter().flat_map(Group::fresh) {
        for probe in detail.probes() {
            let labels = [("resource", id.as_str()), ("probe", probe.probe)];
            out.sample(&labels, probe.took_ms / 1000.0);
        }
    }
    out.family(&Family {
        name: "sickbay_probe_answered",
        kind: Type::Gauge,
        unit: None,
        help: "1 if a probe of the last collection answered; absent where it does not apply.",
    });
    for (id, detail) in whole.iter().flat_map(Group::fresh) {
        for probe in applicable(detail) {
            let labels = [("resource", id.as_str()), ("probe", probe.probe)];
            out.sample(&labels, flag(probe.outcome == "answered"));
        }
    }
}

fn applicable(detail: &KnownResource) -> impl Iterator<Item = ProbeLine<'_>> {
    detail.probes().filter(|probe| probe.outcome != "not_applicable")
}

pub(super) fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}
