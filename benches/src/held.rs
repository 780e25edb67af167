//! A thousand nodes held by one hub: memory over time, and what idle saves.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::Options;
use crate::hub::{Hub, get};
use crate::process::mebibytes;
use crate::simulated::Simulated;
use crate::table::Row;

/// Nodes, each with eight GPUs.
const NODES: usize = 1000;

/// After this everything was asked at every pace once.
const SETTLE: Duration = Duration::from_secs(90);

/// What it takes from active polling to idle (5, 10, 20, 40, 60 s), and a round more.
const CALM_DOWN: Duration = Duration::from_secs(240);

/// How long idle is measured: two rounds.
const IDLE_WATCH: Duration = Duration::from_secs(120);

/// Measures; `--minutes` says how long the active fleet is held.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let mut fleet = Simulated::start(NODES, &[])?;
    let started = Instant::now();
    let hub = Hub::start_with(Some(&fleet.nodes_config()))?;
    while known(&hub)? <= NODES as u64 {
        if started.elapsed() > Duration::from_secs(120) {
            bail!("the hub did not know {NODES} nodes within two minutes");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let all_known = started.elapsed();
    std::thread::sleep(SETTLE);

    let watch = Duration::from_secs_f64(options.minutes * 60.0);
    let resident_before = hub.process.resident_bytes();
    let active = cpu_share(&hub, watch);
    let resident_after = hub.process.resident_bytes();
    let fleet_answer = hub.slowest_of_99("/api/v1/fleet?limit=1000", 100)?;
    fleet.tell(&format!("idle 0..{NODES}"))?;
    std::thread::sleep(CALM_DOWN);
    let idle = cpu_share(&hub, IDLE_WATCH);
    let saved = 100.0 * (1.0 - idle / active);
    Ok(vec![
        Row::new(
            &format!("{NODES} nodes with 8 GPUs each over SSH: from start to all known"),
            format!("{:.1} s", all_known.as_secs_f64()),
            "–",
        ),
        Row::new(
            &format!("{NODES} nodes held for {:.0} min: resident memory", options.minutes),
            format!(
                "{} ({:+.1} MiB while watched)",
                mebibytes(resident_after),
                (resident_after as f64 - resident_before as f64) / 1_048_576.0
            ),
            "≤ 150 MB, flat",
        ),
        Row::new(
            &format!("{NODES} active nodes, each polled every 5 s: CPU"),
            format!("{:.1} % of a core", 100.0 * active),
            "–",
        ),
        Row::new(
            &format!("{NODES} idle nodes, each polled every 60 s: CPU"),
            format!("{:.1} % of a core ({saved:.0} % less)", 100.0 * idle),
            "≥ 85 % less than active",
        ),
        Row::new(
            &format!("/api/v1/fleet with {NODES} nodes: p99 of 100"),
            format!("{:.2} ms", fleet_answer.as_secs_f64() * 1e3),
            "≤ 5 ms (at 10,000)",
        ),
    ])
}

/// How many nodes are not unknown.
fn known(hub: &Hub) -> Result<u64> {
    let (_, body) = get(hub.addr, "/api/v1/fleet?limit=1")?;
    let fleet: Value = serde_json::from_slice(&body)?;
    let total = fleet["total"].as_u64().unwrap_or(0);
    Ok(total.saturating_sub(fleet["levels"]["unknown"].as_u64().unwrap_or(0)))
}

/// CPU time of the hub and its children over a while, as a share of one core.
fn cpu_share(hub: &Hub, watch: Duration) -> f64 {
    let before = hub.process.usage().cpu;
    std::thread::sleep(watch);
    (hub.process.usage().cpu - before).as_secs_f64() / watch.as_secs_f64()
}
