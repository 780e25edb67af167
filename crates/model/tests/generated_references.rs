//! The references in docs/reference/ that come from this crate's data. `cargo xtask generate`
//! rewrites them; this fails when they are not what the code says.

use std::fmt::Write as _;

use expect_test::expect_file;
use sickbay_model::{EventKind, InstanceKind, MetricKind, catalogue};

#[test]
fn generated_metrics() {
    let mut text = String::from(
        "# Metrics\n\nGenerated from the metric catalogue by `cargo xtask generate`. Values outside the \
         range cannot be true: they are refused and counted.\n\n\
         | metric | unit | per | range | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in catalogue::ALL {
        let unit = match (metric.unit.symbol(), metric.kind) {
            ("", MetricKind::Counter) => "count, only up",
            ("", MetricKind::Gauge) => "–",
            (symbol, _) => symbol,
        };
        let per = match metric.instance {
            InstanceKind::Node => "node",
            InstanceKind::Filesystem => "mount point",
            InstanceKind::Disk => "disk",
            InstanceKind::Interface => "interface",
            InstanceKind::Sensor => "sensor",
            InstanceKind::Gpu => "GPU",
            InstanceKind::NvLink => "NVLink",
            InstanceKind::Target => "target",
            InstanceKind::Port => "port",
            InstanceKind::PciDevice => "PCIe device",
        };
        let _ = writeln!(
            text,
            "| `{}` | {unit} | {per} | {} … {} | {} |",
            metric.name,
            number(metric.min),
            number(metric.max),
            metric.help.trim()
        );
    }
    expect_file!["../../../docs/reference/metrics.md"].assert_eq(&text);
}

fn number(value: f64) -> String {
    if value.abs() >= 1e6 { format!("{value:e}") } else { value.to_string() }
}

#[test]
fn generated_events() {
    let mut text = String::from(
        "# Events\n\nGenerated from the list of event kinds by `cargo xtask generate`. Events are kept in \
         order and never edited.\n\n| event | meaning |\n|---|---|\n",
    );
    for kind in EventKind::ALL {
        let _ = writeln!(text, "| `{kind}` | {} |", kind.help().trim());
    }
    expect_file!["../../../docs/reference/events.md"].assert_eq(&text);
}
