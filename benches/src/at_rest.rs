//! What the hub costs while nothing happens, beside what peers cost.

use std::time::Duration;

use anyhow::Result;

use crate::Options;
use crate::hub::Hub;
use crate::peers;
use crate::process::{Measured, Usage, mebibytes};
use crate::table::Row;

/// Start-up is not rest.
const SETTLE: Duration = Duration::from_secs(10);

/// Measures.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let watch = Duration::from_secs_f64(options.minutes * 60.0);
    let hub = Hub::start()?;
    let netdata = peers::netdata();
    std::thread::sleep(SETTLE);
    let (before, peer_before) = (hub.process.usage(), netdata.as_ref().map(Measured::usage));
    let resident_before = hub.process.resident_bytes();
    std::thread::sleep(watch);
    let (after, peer_after) = (hub.process.usage(), netdata.as_ref().map(Measured::usage));
    let resident_after = hub.process.resident_bytes();

    let peer_cpu = match (peer_before, peer_after) {
        (Some(before), Some(after)) => {
            format!("netdata at 1 s: {}", core_share(before, after, watch))
        }
        _ => peers::ABSENT_NETDATA.to_owned(),
    };
    let peer_memory = peer_after.map_or_else(
        || peers::ABSENT_NETDATA.to_owned(),
        |after| format!("netdata: {}", mebibytes(after.resident_bytes)),
    );
    Ok(vec![
        Row::new(
            &format!("hub at rest for {:.0} s: CPU, children included", watch.as_secs_f64()),
            core_share(before, after, watch),
            "≤ 0.3 % of a core",
        )
        .beside(peer_cpu),
        Row::new("hub at rest: resident memory of the hub", mebibytes(resident_after), "≤ 25 MiB")
            .beside(peer_memory),
        Row::new(
            "hub at rest: resident memory with its probe children",
            mebibytes(after.resident_bytes),
            "–",
        ),
        Row::new(
            "hub at rest: growth of resident memory while watched",
            format!("{:+.1} MiB", (resident_after as f64 - resident_before as f64) / 1_048_576.0),
            "flat",
        ),
    ])
}

fn core_share(before: Usage, after: Usage, watch: Duration) -> String {
    let used = after.cpu.saturating_sub(before.cpu);
    format!("{:.3} % of a core", 100.0 * used.as_secs_f64() / watch.as_secs_f64())
}
