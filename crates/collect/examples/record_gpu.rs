//! Prints everything that the NVIDIA collector says of this machine, as JSON, and what it costs.
//!
//! `cargo run --release -p sickbay-collect --example record_gpu > fixtures/gpu/recorded/MODEL.json`
//!
//! Serial numbers and unique ids are masked. With `--library PATH` another NVML is asked, such as
//! the fake one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use sickbay_collect::gpu::NvidiaCollector;
use sickbay_collect::local::LocalCollector as _;
use sickbay_collect::{Roots, Sample};
use sickbay_model::catalogue;
use sickbay_runtime::{Clock, cost};

/// Time between the two recorded polls: rates need some.
const PAUSE: Duration = Duration::from_secs(2);
/// How many polls are timed.
const TIMED_POLLS: u32 = 100;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let library = match (args.next().as_deref(), args.next()) {
        (Some("--library"), Some(path)) => Some(PathBuf::from(path)),
        (None, _) => None,
        _ => {
            let _ = writeln!(std::io::stderr(), "usage: record_gpu [--library PATH]");
            return ExitCode::from(2);
        }
    };
    let clock = Clock::system();
    let mut collector = NvidiaCollector::new(library);
    let mut poll = || {
        let mut sample = Sample::default();
        let result = collector.collect(&Roots::default(), clock.monotonic(), &mut sample);
        (result, sample)
    };
    let (first, sample) = poll();
    let mut answer = json!({ "first": describe(&first, sample) });
    if first.is_ok() {
        std::thread::sleep(PAUSE);
        let (second, sample) = poll();
        answer["second"] = describe(&second, sample);
        let (cpu, wall) = (cost::own_cpu_time(), clock.monotonic());
        for _ in 0..TIMED_POLLS {
            let _ = poll();
        }
        let per_poll = |spent: Duration| (spent / TIMED_POLLS).as_micros();
        answer["cost"] = json!({
            "polls": TIMED_POLLS,
            "cpu_microseconds_per_poll": per_poll(cost::own_cpu_time().saturating_sub(cpu)),
            "wall_microseconds_per_poll": per_poll(clock.monotonic().saturating_sub(wall)),
        });
    }
    let _ = writeln!(std::io::stdout(), "{answer:#}");
    if first.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn describe(result: &Result<(), sickbay_model::ProbeError>, mut sample: Sample) -> Value {
    if let Err(error) = result {
        return json!({ "error": error });
    }
    for gpu in sample.facts.gpus.iter_mut().flatten() {
        mask(&mut gpu.uuid);
        mask(&mut gpu.serial);
    }
    let readings: serde_json::Map<String, Value> = sample
        .readings
        .iter()
        .map(|reading| {
            let name = catalogue::find(reading.metric).map_or("?", |def| def.name);
            (format!("{name}{{{}}}", reading.instance), json!(reading.value))
        })
        .collect();
    json!({
        "not_applicable": sample.not_applicable,
        "gpus": sample.facts.gpus,
        "processes": sample.facts.gpu_processes.map(|processes| processes.len()),
        "readings": readings,
    })
}

/// Keeps the form and the last two characters, so that GPUs can still be told apart.
fn mask(text: &mut String) {
    let keep = text.chars().count().saturating_sub(2);
    let masked = |(at, character): (usize, char)| {
        if at < keep && character.is_ascii_hexdigit() { '0' } else { character }
    };
    *text = text.chars().enumerate().map(masked).collect();
}
