//! The newest readings of each node, by their catalogue names in base units.

use std::sync::OnceLock;

use sickbay_model::catalogue::{ALL, READINESS, SCORE};
use sickbay_model::{InstanceKind, MetricDef, MetricKind, Unit};

use super::encoder::{Encoder, Family, Type, label};
use super::groups::{Group, Plan};

/// How a metric of the catalogue is exposed.
struct Exposed {
    metric: &'static MetricDef,
    name: String,
    unit: Option<&'static str>,
    kind: Type,
    scale: Scale,
}

/// From the catalogue's unit to the base unit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Times(f64),
    /// Division by a power of ten rounds better than multiplication by its inverse.
    Divided(f64),
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Times(factor) => value * factor,
            Self::Divided(divisor) => value / divisor,
        }
    }
}

/// How many series [`write`] writes of a group.
pub(super) fn count(group: &Group<'_>) -> usize {
    let shown = |metric| ![SCORE, READINESS].contains(&metric);
    group.frame.map_or(0, |frame| frame.iter().filter(|(series, _)| shown(series.metric)).count())
}

/// Writes the readings of nodes.
pub(super) fn write(out: &mut Encoder, plan: &Plan<'_>) {
    let nodes: Vec<_> = plan
        .verdicts
        .iter()
        .take(plan.whole)
        .filter_map(|group| {
            let mut labels = String::new();
            label(&mut labels, "node", group.id.name());
            Some((labels, group.frame?))
        })
        .collect();
    let mut labels = String::new();
    for exposed in exposed() {
        out.family(&Family {
            name: &exposed.name,
            kind: exposed.kind,
            unit: exposed.unit,
            help: exposed.metric.help,
        });
        for (node, frame) in &nodes {
            for (instance, value) in frame.instances(exposed.metric.id) {
                labels.clear();
                labels.push_str(node);
                if let Some(name) = exposed.metric.instance.label() {
                    labels.push(',');
                    label(&mut labels, name, instance);
                }
                out.sample_escaped(&labels, exposed.scale.apply(value));
            }
        }
    }
}

/// Every metric of the catalogue but the verdicts, which have families of their own.
fn exposed() -> &'static [Exposed] {
    static EXPOSED: OnceLock<Vec<Exposed>> = OnceLock::new();
    EXPOSED.get_or_init(|| {
        ALL.iter().filter(|metric| ![SCORE, READINESS].contains(&metric.id)).map(expose).collect()
    })
}

fn expose(metric: &'static MetricDef) -> Exposed {
    let (ours, theirs, scale) = base_unit(metric.unit);
    let mut stem = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    stem = stem.strip_suffix(ours).unwrap_or(stem).trim_end_matches('_');
    let of_gpu = matches!(metric.instance, InstanceKind::Gpu | InstanceKind::NvLink);
    let prefix = if of_gpu { "sickbay_gpu_" } else { "sickbay_node_" };
    let stem = if of_gpu { stem.strip_prefix("gpu_").unwrap_or(stem) } else { stem };
    let mut name = format!("{prefix}{stem}");
    if !theirs.is_empty() {
        name.push('_');
        name.push_str(theirs);
    }
    Exposed {
        metric,
        name,
        unit: (!theirs.is_empty()).then_some(theirs),
        kind: match metric.kind {
            MetricKind::Gauge => Type::Gauge,
            MetricKind::Counter => Type::Counter,
        },
        scale,
    }
}

/// The word that the catalogue's names end in, the base unit, and the way there.
fn base_unit(unit: Unit) -> (&'static str, &'static str, Scale) {
    match unit {
        Unit::Count | Unit::Boolean => ("", "", Scale::Times(1.0)),
        Unit::Percent => ("percent", "ratio", Scale::Divided(100.0)),
        Unit::Bytes => ("bytes", "bytes", Scale::Times(1.0)),
        Unit::BytesPerSecond => ("bytes_per_second", "bytes_per_second", Scale::Times(1.0)),
        Unit::PerSecond => ("per_second", "per_second", Scale::Times(1.0)),
        Unit::Seconds => ("seconds", "seconds", Scale::Times(1.0)),
        Unit::Milliseconds => ("ms", "seconds", Scale::Divided(1000.0)),
        Unit::Celsius => ("celsius", "celsius", Scale::Times(1.0)),
        Unit::Watts => ("watts", "watts", Scale::Times(1.0)),
        Unit::Joules => ("joules", "joules", Scale::Times(1.0)),
        Unit::Megahertz => ("megahertz", "hertz", Scale::Times(1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_units_and_scales() {
        for (metric, name, unit, value, expected) in [
            ("cpu_used_percent", "sickbay_node_cpu_used_ratio", Some("ratio"), 12.3, 0.123),
            ("latency_ms", "sickbay_node_latency_seconds", Some("seconds"), 2.5, 0.0025),
            ("oom_kills_total", "sickbay_node_oom_kills", None, 3.0, 3.0),
            ("gpu_clock_megahertz", "sickbay_gpu_clock_hertz", Some("hertz"), 1_980.0, 1.98e9),
            ("gpu_energy_joules_total", "sickbay_gpu_energy_joules", Some("joules"), 7.5, 7.5),
            ("nvlink_active", "sickbay_gpu_nvlink_active", None, 1.0, 1.0),
            (
                "disk_read_bytes_per_second",
                "sickbay_node_disk_read_bytes_per_second",
                Some("bytes_per_second"),
                7.0,
                7.0,
            ),
        ] {
            let exposed = expose(sickbay_model::catalogue::by_name(metric).expect(metric));
            assert_eq!((exposed.name.as_str(), exposed.unit), (name, unit));
            let given = exposed.scale.apply(value);
            assert!((given - expected).abs() < f64::EPSILON, "{metric}: {given}");
        }
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let names: BTreeSet<_> = exposed().iter().map(|exposed| &exposed.name).collect();
        assert_eq!(names.len(), exposed().len());
    }
}
