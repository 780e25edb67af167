//! The names of the language, and what was probably meant by others.

use sickbay_model::{InstanceKind, MetricDef, catalogue};

/// Names that stand alone, beside the metrics.
pub(super) const VALUES: [&str; 5] = ["instance", "level", "score", "job_active", "ready"];

/// Names that need a field or a key.
pub(super) const OWNERS: [&str; 3] = ["labels", "check", "now"];

pub(super) const NOW: [&str; 3] = ["hour", "minute", "weekday"];

pub(super) const FUNCTIONS: [&str; 11] =
    ["min", "max", "avg", "sum", "count", "any", "all", "abs", "round", "size", "has"];

pub(super) const METHODS: [&str; 5] = ["startsWith", "endsWith", "contains", "matches", "size"];

/// What checks and levels are.
pub(super) const STATUSES: [&str; 5] = ["healthy", "degraded", "unhealthy", "critical", "unknown"];

/// How a kind of instance is written in a rule's `each`, and what one is called.
pub(super) const fn kind_words(kind: InstanceKind) -> (&'static str, &'static str) {
    match kind {
        InstanceKind::Node => ("node", "node"),
        InstanceKind::Filesystem => ("filesystem", "filesystem"),
        InstanceKind::Disk => ("disk", "disk"),
        InstanceKind::Interface => ("interface", "network interface"),
        InstanceKind::Sensor => ("sensor", "sensor"),
        InstanceKind::Gpu => ("gpu", "GPU"),
        InstanceKind::NvLink => ("nv_link", "NVLink"),
        InstanceKind::Target => ("target", "latency target"),
        InstanceKind::Port => ("port", "port"),
        InstanceKind::PciDevice => ("pci_device", "PCIe device"),
    }
}

/// Every metric with instances of a kind.
pub(super) fn metrics_of(kind: InstanceKind) -> impl Iterator<Item = &'static MetricDef> {
    catalogue::ALL.iter().filter(move |def| def.instance == kind)
}

/// `; did you mean …?` where one of these is like what was written, else nothing.
pub(super) fn suggestion<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    /// Below this they have little to do with each other.
    const ALIKE: f64 = 0.85;
    // A text may be long, and comparing takes time.
    if written.len() > 128 {
        return String::new();
    }
    let written = written.to_ascii_lowercase();
    let like = |name: &str| strsim::jaro_winkler(&written, &name.to_ascii_lowercase());
    let candidates = names.into_iter().map(|name| (like(name), name));
    let nearest = candidates.filter(|it| it.0 >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// For a name that stands alone.
pub(super) fn value_suggestion(written: &str) -> String {
    let metrics = catalogue::ALL.iter().map(|def| def.name);
    suggestion(written, metrics.chain(VALUES).chain(OWNERS))
}
