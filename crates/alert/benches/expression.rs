//! How long it takes to evaluate a rule. The goal is 5,000 rules on 1,000 nodes in a second: 200 ns each.
//!
//! 1,000 different rules on one frame of about 300 series: microseconds of an iteration are nanoseconds
//! of an evaluation. A rule for each GPU is evaluated for one of them.

#![expect(clippy::expect_used, reason = "made for the bench")]

use divan::Bencher;
use divan::counter::ItemsCount;
use sickbay_alert::{CheckState, Checks, Expression, Labels, Now, Outcome, Scope};
use sickbay_model::{Frame, FrameBuilder, InstanceKind, Level, Status, Timestamp, catalogue};

fn main() {
    divan::main();
}

const GPUS: usize = 8;
const RULES: usize = 1000;

/// A node with eight GPUs, all well.
fn frame() -> Frame {
    let mut builder = FrameBuilder::new();
    for def in catalogue::ALL {
        let value = (def.min + (def.max - def.min) * 0.4).clamp(0.0, 40.0);
        match def.instance {
            InstanceKind::Node => {
                builder.put(def.id, "", value);
            }
            InstanceKind::Gpu if builder_has_room(def.id.0) => {
                for gpu in 0..GPUS {
                    builder.put(def.id, &gpu.to_string(), value);
                }
            }
            InstanceKind::Filesystem => {
                for mount in ["/", "/data", "/var"] {
                    builder.put(def.id, mount, value);
                }
            }
            _ => {}
        }
    }
    builder.finish(Timestamp::EPOCH).0
}

/// Enough of them for 300 series.
fn builder_has_room(metric: u16) -> bool {
    metric < 228
}

/// Rules like those that people write, none like another.
fn rules(family: &str, count: usize) -> Vec<Expression> {
    let (each, texts): (_, &[&str]) = match family {
        "node" => {
            (None, &["memory_used_percent > # && load_1m > cpu_cores * 2", "swap_used_percent > #"])
        }
        "each_gpu" => (
            Some(InstanceKind::Gpu),
            &[
                "gpu_temperature_celsius > # && gpu_utilization_percent < 5",
                "gpu_power_watts > gpu_power_limit_watts * 0.95 && gpu_clock_megahertz > #",
            ],
        ),
        "over_8_gpus" => (
            None,
            &[
                "max(gpu_temperature_celsius) > #",
                "any(gpu_memory_used_percent > # && gpu_utilization_percent < 5)",
            ],
        ),
        "labels_and_checks" => (
            None,
            &[
                "labels.rack == \"r#\" && check.gpu_ecc == \"critical\"",
                "check.memory in [\"unhealthy\", \"critical\"] && labels.site.startsWith(\"z#\")",
            ],
        ),
        _ => {
            let all = ["node", "each_gpu", "over_8_gpus", "labels_and_checks"]
                .map(|family| rules(family, count));
            return (0..count).map(|at| all[at % 4][at].clone()).collect();
        }
    };
    let one = |at: usize| {
        let text = texts[at % texts.len()].replace('#', &(50 + at).to_string());
        Expression::compile(&text, each).expect(&text)
    };
    (0..count).map(one).collect()
}

/// Calls this with what the rules of a node are evaluated against.
fn with_scope(frame: &Frame, run: impl FnOnce(&Scope<'_>, &[String])) {
    assert!((280..=320).contains(&frame.len()), "{}", frame.len());
    let labels = [("rack", "r7"), ("site", "zurich"), ("job", "train-17")];
    let labels: Labels = labels.into_iter().collect();
    let names: Vec<String> = (0..60).map(|at| format!("check_{at}")).collect();
    let gpus: Vec<String> = (0..GPUS).map(|gpu| gpu.to_string()).collect();
    let status = Status::Healthy;
    let alone = names.iter().map(String::as_str).chain(["memory"]);
    let alone = alone.map(|check| CheckState { check, instance: "", status });
    let of_gpus = gpus.iter().map(|gpu| CheckState { check: "gpu_ecc", instance: gpu, status });
    let checks: Checks<'_> = alone.chain(of_gpus).collect();
    let scope = Scope {
        frame,
        labels: &labels,
        checks: &checks,
        level: Level::Healthy,
        score: Some(97.0),
        job_active: Some(true),
        ready: Some(true),
        now: Now { hour: 12, minute: 30, weekday: 3 },
    };
    run(&scope, &gpus);
}

fn evaluate_all(rules: &[Expression], scope: &Scope<'_>, gpus: &[String]) {
    for (turn, rule) in rules.iter().enumerate() {
        let gpu = turn % GPUS;
        let outcome = rule.evaluate(scope, Some((&gpus[gpu], gpu)));
        assert_eq!(divan::black_box(outcome), Outcome::False);
    }
}

#[divan::bench(args = ["node", "each_gpu", "over_8_gpus", "labels_and_checks", "all_of_them"])]
fn a_thousand_evaluations(bencher: Bencher<'_, '_>, family: &str) {
    let rules = rules(family, RULES);
    with_scope(&frame(), |scope, gpus| {
        let bencher = bencher.counter(ItemsCount::new(RULES));
        bencher.bench_local(|| evaluate_all(&rules, scope, gpus));
    });
}

/// A fleet's turn, scaled down: neither rules nor frames stay in the processor's nearest caches. A
/// hundredth of the goal's work: 10 ms.
#[divan::bench(sample_count = 30)]
fn five_thousand_rules_on_ten_nodes(bencher: Bencher<'_, '_>) {
    let rules = rules("all_of_them", 5000);
    let frames: Vec<Frame> = (0..10).map(|_| frame()).collect();
    bencher.counter(ItemsCount::new(5000 * frames.len())).bench_local(|| {
        for frame in &frames {
            with_scope(frame, |scope, gpus| evaluate_all(&rules, scope, gpus));
        }
    });
}

/// What it takes to read a rule.
#[divan::bench]
fn compiling() -> Expression {
    let text =
        "gpu_temperature_celsius > 85 && gpu_utilization_percent < 5 && labels.rack == \"r1\"";
    Expression::compile(text, Some(InstanceKind::Gpu)).expect("a rule")
}
