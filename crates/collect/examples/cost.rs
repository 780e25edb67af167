//! What one collection of this machine costs: CPU time of this process and of its children.
//!
//! `cargo run --release -p sickbay-collect --example cost [COLLECTIONS]` runs collections back to
//! back on a clock that is moved by five seconds each, so that slow probes run as often as they do
//! in a hub.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::Duration;

use sickbay_collect::{
    CollectContext, LocalNode, LocalSettings, NodeSource, TorchMode, TorchSettings,
};
use sickbay_runtime::{ChildCommand, Clock, cost};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some("__probe") {
        let kind = args.get(1..).unwrap_or_default();
        std::process::exit(i32::from(
            sickbay_collect::probe_main(kind) != std::process::ExitCode::SUCCESS,
        ));
    }
    let rounds: u32 = args.first().and_then(|text| text.parse().ok()).unwrap_or(200);
    let settings = LocalSettings {
        child: ChildCommand::this_program(vec!["__probe".into()]).ok(),
        torch: TorchSettings { mode: TorchMode::Never, ..TorchSettings::default() },
        ..LocalSettings::default()
    };
    let (clock, hand) = Clock::manual(0);
    let context = CollectContext {
        clock,
        deadline: Duration::from_secs(20),
        cancel: CancellationToken::new(),
    };
    let mut node = LocalNode::new(settings);
    let first = node.collect(&context).await;
    println!("first collection: {:?}, {} readings", first.cost, first.frame.len());
    for report in &first.probes {
        println!("  {:<18} {:>10.1?} {:?}", report.probe.as_str(), report.took, report.outcome);
    }
    let own_before = cost::process_cpu_time();
    let children_before: Duration = node.pids().into_iter().filter_map(child_cpu).sum();
    let mut reported = Duration::ZERO;
    for _ in 0..rounds {
        hand.advance(Duration::from_secs(5));
        reported += node.collect(&context).await.cost;
    }
    let own = cost::process_cpu_time() - own_before;
    let children: Duration = node.pids().into_iter().filter_map(child_cpu).sum();
    let children = children.saturating_sub(children_before);
    println!("per collection, mean of {rounds}:");
    println!("  as reported      {:?}", reported / rounds);
    println!("  this process     {:?}", own / rounds);
    println!("  its children     {:?}", children / rounds);
    println!("  together         {:?}", (own + children) / rounds);
    println!("memory: own {:?} bytes", cost::rss_bytes(std::process::id()));
    for pid in node.pids() {
        println!("memory: child {pid} {:?} bytes", cost::rss_bytes(pid));
    }
    node.shutdown().await;
}

/// CPU time of a process with one thread, as the scheduler counts it.
fn child_cpu(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(Duration::from_nanos(text.split_ascii_whitespace().next()?.parse().ok()?))
}
