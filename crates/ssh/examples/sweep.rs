//! What a fleet over SSH costs the one who watches: opens a session with every address of
//! 127.0.0.0/8 that is asked for, collects a few times, and prints CPU time and memory per node.
//!
//! `cargo run --release -p sickbay-ssh --example sweep -- [NODES] [COLLECTIONS]`; needs the Debian
//! packages openssh-server and openssh-client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::panic)]

#[path = "../tests/support/sshd.rs"]
mod sshd;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use sickbay_collect::{CollectContext, NodeSource as _};
use sickbay_model::{ProbeOutcome, Resource, ResourceId, SshTarget, probe};
use sickbay_runtime::{Clock, cost};
use sickbay_ssh::{Ssh, SshNode, SshSettings};
use tokio_util::sync::CancellationToken;

/// How many collections go on at once, as in the hub.
const CONCURRENT: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let nodes = arguments.next().unwrap_or(200);
    let collections = arguments.next().unwrap_or(20);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(sweep(nodes, collections));
}

async fn sweep(nodes: usize, collections: usize) {
    let lab = sshd::Lab::new();
    // Otherwise each node has the processes of all nodes, which are on one machine here.
    let alone =
        "#!/bin/sh\nexec unshare --pid --fork --mount-proc sh -c \"$SSH_ORIGINAL_COMMAND\"\n";
    let alone = lab.script("alone", alone);
    let server = match std::env::var_os("SWEEP_ALONE") {
        Some(_) => lab.sshd(&format!("ForceCommand {}", alone.display())),
        None => lab.sshd(""),
    };
    let known = lab.write("known_hosts", &format!("[127.*]:* {}", lab.public("host")));
    let settings = SshSettings {
        known_hosts: vec![known],
        user: lab.user(),
        connect_timeout: Duration::from_secs(60),
        ..SshSettings::default()
    };
    let ssh = Ssh::new(settings);
    let mut all: Vec<SshNode> = (0..nodes)
        .map(|index| {
            let target = SshTarget {
                host: format!("127.1.{}.{}", index / 250, index % 250 + 1),
                port: Some(server.port),
                identity_file: Some(lab.path("user").display().to_string()),
                ..SshTarget::default()
            };
            let id = ResourceId::node(&format!("n{index}")).expect("a name");
            let resource = Resource {
                display_name: id.to_string(),
                id,
                labels: Default::default(),
                parent: None,
            };
            ssh.node(resource, target)
        })
        .collect();
    let clock = Clock::system();
    let rss = || cost::rss_bytes(std::process::id()).unwrap_or(0);
    println!("{nodes} nodes, one sshd, {CONCURRENT} at once");
    println!("start: {} KiB", rss() / 1024);
    let before_all = rss();
    let mut warm = Duration::ZERO;
    let mut warm_wall = Duration::ZERO;
    for round in 0..=collections {
        let (cpu, wall) = (cost::process_cpu_time(), clock.monotonic());
        let (mut reached, mut spent) = (0, Duration::ZERO);
        let mut errors = Vec::new();
        let collecting = stream::iter(all.iter_mut()).map(|node| {
            let context = CollectContext {
                clock: clock.clone(),
                deadline: Duration::from_secs(60),
                cancel: CancellationToken::new(),
            };
            async move { node.collect(&context).await }
        });
        let mut collecting = Box::pin(collecting.buffer_unordered(CONCURRENT));
        while let Some(observation) = collecting.next().await {
            spent += observation.cost;
            let report = observation.probes.iter().find(|it| it.probe == probe::REACHABLE);
            match report.map(|report| &report.outcome) {
                Some(ProbeOutcome::Failed(error)) => errors.push(error.message.clone()),
                _ => reached += 1,
            }
        }
        drop(collecting);
        let cpu = cost::process_cpu_time().saturating_sub(cpu);
        let wall = clock.monotonic().saturating_sub(wall);
        let each = |whole: Duration| whole / u32::try_from(nodes.max(1)).expect("few");
        if round > 0 {
            warm += cpu;
            warm_wall += wall;
        }
        if round < 3 || round == collections {
            println!(
                "round {round}: {reached} reached in {wall:.2?}; CPU a node {:.3?} (of which counted {:.3?}); {} KiB",
                each(cpu),
                each(spent),
                rss() / 1024
            );
            if let Some(error) = errors.first() {
                println!("  {} failed, e.g. {error}", errors.len());
            }
        }
    }
    let rounds = u32::try_from((collections * nodes).max(1)).expect("few");
    println!("warm: CPU {:.3?} a collection, wall {:.3?}", warm / rounds, warm_wall / rounds);
    let connected = all.iter().filter(|node| node.is_connected()).count().max(1);
    println!(
        "memory: {} KiB a connected node; sshd's CPU: {:.2} s",
        rss().saturating_sub(before_all) / 1024 / u64::try_from(connected).expect("few"),
        server.cpu_seconds()
    );
    if std::env::var_os("SWEEP_LEAK").is_some() {
        // What a heap profiler then calls leaked is what connected nodes hold.
        drop(server);
        drop(lab);
        std::process::exit(0);
    }
}
