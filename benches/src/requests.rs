//! Start to ready, and how fast pages are answered.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::Options;
use crate::hub::{Client, Hub};
use crate::table::Row;

const REQUESTS: usize = 5_000;

/// Requests are spread over this many connections so as not to meet one client's rate limit of the
/// long run; the pause keeps below it.
const PAUSE: Duration = Duration::from_millis(11);

/// Measures.
pub fn run(_: &Options) -> Result<Vec<Row>> {
    let hub = Hub::start()?;
    let mut rows =
        vec![Row::new("`up` → `/ready`", format!("{} ms", hub.ready_after.as_millis()), "≤ 1 s")];
    // The second collection brings the rates; a page without them would be a smaller one.
    std::thread::sleep(Duration::from_secs(3));
    let node = format!("/api/v1/resources/{}", node_id(&hub)?);
    for (name, path, requests) in [
        ("`/status`", "/status", REQUESTS / 5),
        ("resource page", node.as_str(), REQUESTS / 5),
        ("`/metrics`", "/metrics", REQUESTS / 10),
    ] {
        let mut times = latencies(&hub, path, requests)?;
        times.sort_unstable();
        let at =
            |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        rows.push(Row::new(
            &format!("{name}, p50 / p99 of {requests}"),
            format!("{:.2} / {:.2} ms", at(0.5), at(0.99)),
            "p99 ≤ 2 ms",
        ));
    }
    let stopped = hub.process.stop()?;
    rows.push(Row::new("SIGTERM → gone", format!("{} ms", stopped.as_millis()), "≤ 2 s"));
    Ok(rows)
}

fn node_id(hub: &Hub) -> Result<String> {
    let (_, body) = crate::hub::get(hub.addr, "/api/v1/resources?kind=node")?;
    let page: serde_json::Value = serde_json::from_slice(&body)?;
    let id = page["items"][0]["id"].as_str().unwrap_or_default();
    ensure!(!id.is_empty(), "the hub knows no node");
    Ok(id.to_owned())
}

fn latencies(hub: &Hub, path: &str, requests: usize) -> Result<Vec<Duration>> {
    let mut client = Client::connect(hub.addr)?;
    let mut times = Vec::with_capacity(requests);
    while times.len() < requests {
        let started = Instant::now();
        let (status, body) = client.get(path)?;
        times.push(started.elapsed());
        ensure!(status == 200, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
        std::thread::sleep(PAUSE);
    }
    Ok(times)
}
