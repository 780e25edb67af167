//! One local collection, beside one scrape of node_exporter.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sickbay_collect::{CollectContext, LocalNode, LocalSettings, NodeSource as _};
use sickbay_runtime::{ChildCommand, Clock};
use tokio_util::sync::CancellationToken;

use crate::table::Row;
use crate::{Options, hub, peers};

/// The hidden first argument by which this program is its own probe child.
pub const PROBE_COMMAND: &str = "__probe";

const COLLECTIONS: u32 = 60;

/// Measures. The interval is shortened; the slow clocks of the expensive probes are not, so each
/// collection is what the hub does every five seconds while a job runs.
pub fn run(_: &Options) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ours, readings) = runtime.block_on(local())?;
    let mut row = Row::new(
        &format!("one local collection ({readings} readings): CPU, children included"),
        milliseconds(ours),
        "≤ 1 ms",
    );
    row = row.beside(match node_exporter()? {
        Some(cpu) => format!("node_exporter, one scrape: {}", milliseconds(cpu)),
        None => "prometheus-node-exporter is not installed".to_owned(),
    });
    Ok(vec![row])
}

async fn local() -> Result<(Duration, usize)> {
    let program = std::env::current_exe().context("finding this program")?;
    let child = ChildCommand { program, args: vec![PROBE_COMMAND.to_owned()], env: Vec::new() };
    let mut node = LocalNode::new(LocalSettings { child: Some(child), ..LocalSettings::default() });
    let context = CollectContext {
        clock: Clock::system(),
        deadline: Duration::from_secs(10),
        cancel: CancellationToken::new(),
    };
    // The first collections start the children and fill caches.
    for _ in 0..3 {
        node.collect(&context).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut total = Duration::ZERO;
    let mut readings = 0;
    for _ in 0..COLLECTIONS {
        let observation = node.collect(&context).await;
        total += observation.cost;
        readings = observation.frame.len();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    node.shutdown().await;
    Ok((total / COLLECTIONS, readings))
}

fn node_exporter() -> Result<Option<Duration>> {
    let addr = hub::free_address()?;
    let Some(process) = peers::node_exporter(&addr.to_string()) else { return Ok(None) };
    for _ in 0..100 {
        if hub::get(addr, "/metrics").is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = process.usage().cpu;
    for _ in 0..COLLECTIONS {
        hub::get(addr, "/metrics")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Some(process.usage().cpu.saturating_sub(before) / COLLECTIONS))
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}
