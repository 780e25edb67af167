//! What was judged: scores, levels, readiness, checks, and how the collection went.

use std::sync::Arc;

use sickbay_model::{Level, ResourceId, Status};
use sickbay_wire::v1::ResourceDetail;

use super::encoder::{Encoder, Family, Type};
use crate::fleet::FleetSnapshot;

const STATUSES: [Status; 5] =
    [Status::Healthy, Status::Degraded, Status::Unhealthy, Status::Critical, Status::Unknown];

/// A gauge with one value per resource.
struct PerResource {
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    value: fn(&ResourceDetail) -> Option<f64>,
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
        value: |detail| Some(detail.readiness.as_ref()?.pass_rate_percent / 100.0),
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

/// Writes the verdicts of every resource.
pub(super) fn write(out: &mut Encoder, snapshot: &FleetSnapshot) {
    write_system(out, snapshot);
    let levels = Level::ALL.map(Level::as_str);
    out.family(&Family {
        name: "sickbay_resource_level",
        kind: Type::StateSet,
        unit: None,
        help: "How well it is.",
    });
    for (id, detail) in &snapshot.resources {
        let labels = [("resource", id.as_str()), ("kind", id.kind().as_str())];
        out.states(&labels, &levels, detail.summary.level.as_str());
    }
    for gauge in &PER_RESOURCE {
        let PerResource { name, unit, help, value } = *gauge;
        out.family(&Family { name, kind: Type::Gauge, unit, help });
        for (id, detail) in &snapshot.resources {
            if let Some(value) = value(detail) {
                out.sample(&[("resource", id.as_str()), ("kind", id.kind().as_str())], value);
            }
        }
    }
    write_probes(out, snapshot);
    write_checks(out, snapshot);
}

fn write_system(out: &mut Encoder, snapshot: &FleetSnapshot) {
    out.family(&Family {
        name: "sickbay_system_score",
        kind: Type::Gauge,
        unit: None,
        help: "Health score of the whole system, 0 to 100; absent while unknown.",
    });
    if let Some(score) = snapshot.system.score {
        out.sample(&[], score);
    }
    out.family(&Family {
        name: "sickbay_system_level",
        kind: Type::StateSet,
        unit: None,
        help: "How well the whole system is.",
    });
    out.states(&[], &Level::ALL.map(Level::as_str), snapshot.system.level.as_str());
}

fn write_checks(out: &mut Encoder, snapshot: &FleetSnapshot) {
    let statuses = STATUSES.map(Status::as_str);
    out.family(&Family {
        name: "sickbay_check_status",
        kind: Type::StateSet,
        unit: None,
        help: "The answer of a check; absent while what is known of its resource is not fresh.",
    });
    for (id, detail) in fresh(snapshot) {
        for check in &detail.checks {
            let labels = [
                ("resource", id.as_str()),
                ("check", check.check.as_str()),
                // `instance` is the scraper's own label.
                ("check_instance", check.instance.as_str()),
            ];
            out.states(&labels, &statuses, check.status.as_str());
        }
    }
}

fn write_probes(out: &mut Encoder, snapshot: &FleetSnapshot) {
    out.family(&Family {
        name: "sickbay_probe_duration_seconds",
        kind: Type::Gauge,
        unit: Some("seconds"),
        help: "Time that a probe of the last collection took.",
    });
    for (id, detail) in fresh(snapshot) {
        for probe in &detail.probes {
            let labels = [("resource", id.as_str()), ("probe", probe.probe.as_str())];
            out.sample(&labels, probe.took_ms / 1000.0);
        }
    }
    out.family(&Family {
        name: "sickbay_probe_answered",
        kind: Type::Gauge,
        unit: None,
        help: "1 if a probe of the last collection answered; absent where it does not apply.",
    });
    for (id, detail) in fresh(snapshot) {
        for probe in detail.probes.iter().filter(|probe| probe.outcome != "not_applicable") {
            let labels = [("resource", id.as_str()), ("probe", probe.probe.as_str())];
            out.sample(&labels, flag(probe.outcome == "answered"));
        }
    }
}

/// What was found some time ago must not pass for what is: only fresh resources.
fn fresh(snapshot: &FleetSnapshot) -> impl Iterator<Item = (&ResourceId, &Arc<ResourceDetail>)> {
    snapshot.resources.iter().filter(|(_, detail)| detail.summary.stale.is_none())
}

pub(super) fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}
