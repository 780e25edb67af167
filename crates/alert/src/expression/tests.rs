//! What all tests share: a node, and mistakes as a person reads them.

use sickbay_model::{Frame, FrameBuilder, InstanceKind, Level, Status, Timestamp, catalogue};

use super::*;
use crate::Labels;

mod evaluation;
mod mistakes;
mod properties;
mod text;

/// Readings of a node with four GPUs, of which one says less, and two filesystems.
fn readings() -> Vec<(&'static str, &'static str, f64)> {
    vec![
        ("cpu_used_percent", "", 12.5),
        ("cpu_cores", "", 64.0),
        ("memory_available_bytes", "", 2.5e11),
        ("load_1m", "", 0.0),
        ("gpu_temperature_celsius", "0", 60.0),
        ("gpu_temperature_celsius", "1", 91.0),
        ("gpu_temperature_celsius", "2", 61.0),
        ("gpu_utilization_percent", "0", 100.0),
        ("gpu_utilization_percent", "1", 2.0),
        ("gpu_utilization_percent", "2", 98.0),
        ("gpu_utilization_percent", "3", 0.0),
        ("gpu_power_watts", "3", 80.0),
        ("gpu_row_remap_pending", "0", 0.0),
        ("gpu_row_remap_pending", "1", 1.0),
        ("filesystem_used_percent", "/", 40.0),
        ("filesystem_used_percent", "/data", 93.0),
        ("filesystem_read_only", "/", 0.0),
        ("filesystem_read_only", "/data", 0.0),
    ]
}

fn frame(readings: &[(&str, &str, f64)]) -> Frame {
    let mut builder = FrameBuilder::new();
    for (name, instance, value) in readings {
        let def = catalogue::by_name(name).expect(name);
        assert!(builder.put(def.id, instance, *value), "{name}");
    }
    builder.finish(Timestamp::EPOCH).0
}

fn checks() -> Checks<'static> {
    let state = |check, instance, status| CheckState { check, instance, status };
    [
        state("gpu_ecc", "0", Status::Healthy),
        state("gpu_ecc", "1", Status::Critical),
        state("gpu_ecc", "2", Status::Unknown),
        state("memory", "", Status::Degraded),
        state("cpu", "", Status::Unknown),
    ]
    .into_iter()
    .collect()
}

fn labels() -> Labels {
    [("rack", "r7"), ("site", "Zürich")].into_iter().collect()
}

/// Evaluates against a frame.
fn on(frame: &Frame, expression: &Expression, instance: Option<(&str, usize)>) -> String {
    let (labels, checks) = (labels(), checks());
    match expression.evaluate(&scope(frame, &labels, &checks), instance) {
        Outcome::True => "true".to_owned(),
        Outcome::False => "false".to_owned(),
        Outcome::NoData(missing) => missing.to_string(),
    }
}

fn scope<'a>(frame: &'a Frame, labels: &'a Labels, checks: &'a Checks<'a>) -> Scope<'a> {
    let now = Now { hour: 23, minute: 5, weekday: 6 };
    let (score, job_active, ready) = (Some(59.0), Some(true), None);
    Scope { frame, labels, checks, level: Level::Unhealthy, score, job_active, ready, now }
}

fn compiled(text: &str, each: Option<InstanceKind>) -> Expression {
    Expression::compile(text, each)
        .unwrap_or_else(|mistakes| panic!("{text}: {}", told(text, &mistakes)))
}

/// Mistakes as they are shown to a person.
fn told(text: &str, mistakes: &[Mistake]) -> String {
    let one = |mistake: &Mistake| {
        let at = text.get(mistake.at.clone()).expect("a part of the text");
        format!("  {}: {at:?}: {}\n", mistake.at.start, mistake.message)
    };
    mistakes.iter().map(one).collect()
}
