//! Asking a fleet over SSH, beside clush and parallel-ssh, against one real OpenSSH server that
//! listens on as many addresses of 127.0.0.0/8 as there are nodes.
//!
//! Each client is a process of its own, so that its CPU time is its own and all of it; the
//! server's is counted apart. The peers run `cat` over the same files of `/proc` that Sickbay asks
//! for at every poll.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sickbay_collect::{CollectContext, NodeSource as _};
use sickbay_model::{ProbeOutcome, Resource, ResourceId, SshTarget, probe};
use sickbay_runtime::{Clock, cost};
use sickbay_ssh::{Ssh, SshNode, SshSettings};
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::simulated::Simulated;
use crate::sshd::Lab;
use crate::table::Row;

/// This program's hidden name for the client under measurement.
pub const SWEEP_COMMAND: &str = "__sweep";

/// Nodes of the sweep (the goals speak of 200).
const NODES: usize = 200;
/// How many are asked at once, by everybody.
const AT_ONCE: usize = 64;
/// Warm rounds that are averaged.
const WARM_ROUNDS: u32 = 20;
/// Nodes and their distance where concurrency is compared with one after the other.
const DISTANT_NODES: usize = 64;
const DISTANCE_MS: u64 = 10;

/// What the peers run on each node: the files that are asked for at every poll.
const PEER_COMMAND: &str = "cat /proc/stat /proc/loadavg /proc/pressure/cpu /proc/pressure/memory \
     /proc/pressure/io /proc/meminfo /proc/vmstat /proc/diskstats /proc/net/dev /proc/net/snmp \
     /proc/sys/fs/file-nr /proc/uptime";

/// Measures the sweep of 200 nodes, cold and warm.
pub fn run(_options: &Options) -> Result<Vec<Row>> {
    let lab = Lab::new();
    let server = lab.sshd("");
    let known = lab.write("known_hosts", &format!("[127.*]:* {}", lab.public("host")));
    let hosts: Vec<_> = (0..NODES).map(address).collect();
    let config = lab.write(
        "ssh_config",
        &format!(
            "Host *\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {}\n  LogLevel ERROR\n",
            server.port,
            lab.user(),
            lab.path("user").display(),
            known.display()
        ),
    );
    let host_file = lab.write("hosts", &(hosts.join("\n") + "\n"));

    let before = server.cpu_seconds();
    let ours = sweep(&config, &hosts, AT_ONCE, WARM_ROUNDS)?;
    let server_cpu = server.cpu_seconds() - before;
    let peers = [
        peer("clush", &clush(&config, &hosts)),
        peer("parallel-ssh", &parallel_ssh(&config, &host_file)),
    ];
    let each = |whole: Duration| whole.as_secs_f64() * 1e3 / NODES as f64;
    let beside = |pick: fn(&Peer) -> String| {
        peers
            .iter()
            .map(|one| one.as_ref().map_or_else(Clone::clone, pick))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let fastest = peers.iter().flatten().map(|peer| peer.wall).min();
    let ratio = fastest.map_or_else(String::new, |wall| {
        format!(" ({:.1}× faster)", wall.as_secs_f64() / ours.cold_wall.as_secs_f64())
    });
    Ok(vec![
        Row::new(
            &format!("SSH sweep of {NODES} nodes, cold: wall time, {AT_ONCE} at once"),
            format!("{:.2} s{ratio}", ours.cold_wall.as_secs_f64()),
            "≥ 20× faster, or limited by the server",
        )
        .beside(beside(|peer| format!("{}: {:.2} s", peer.name, peer.wall.as_secs_f64()))),
        Row::new(
            "SSH sweep, cold: the client's CPU a node",
            format!("{:.2} ms", each(ours.cold_cpu)),
            "≤ 3 ms",
        )
        .beside(beside(|peer| {
            format!("{}: {:.1} ms", peer.name, peer.cpu.as_secs_f64() * 1e3 / NODES as f64)
        })),
        Row::new(
            "SSH sweep, warm (sessions kept): the client's CPU a node",
            format!("{:.3} ms", each(ours.warm_cpu)),
            "≤ 0.3 ms",
        )
        .beside("they keep no sessions".to_owned()),
        Row::new(
            "SSH sweep, warm: wall time",
            format!("{:.0} ms", ours.warm_wall.as_secs_f64() * 1e3),
            "–",
        )
        .beside("they keep no sessions".to_owned()),
        Row::new(
            "SSH sweep: CPU of sshd and what it ran, one cold and all warm rounds",
            format!("{server_cpu:.1} s"),
            "–",
        ),
    ])
}

/// Measures what concurrency is worth where nodes are far away.
pub fn distance(_options: &Options) -> Result<Vec<Row>> {
    let fleet = Simulated::start(DISTANT_NODES, &["--round-trip-ms", &DISTANCE_MS.to_string()])?;
    let hosts: Vec<_> = fleet.names();
    let alone = sweep(&fleet.ssh_config(), &hosts, 1, 0)?;
    let together = sweep(&fleet.ssh_config(), &hosts, AT_ONCE, 0)?;
    let ratio = alone.cold_wall.as_secs_f64() / together.cold_wall.as_secs_f64();
    Ok(vec![Row::new(
        &format!("{DISTANT_NODES} nodes {DISTANCE_MS} ms away: concurrent over sequential"),
        format!(
            "{ratio:.1}× ({:.2} s, {:.2} s)",
            together.cold_wall.as_secs_f64(),
            alone.cold_wall.as_secs_f64()
        ),
        "≥ 6.7×",
    )])
}

/// What a sweep took.
struct Swept {
    cold_wall: Duration,
    cold_cpu: Duration,
    /// Of one round.
    warm_wall: Duration,
    warm_cpu: Duration,
}

/// Runs the client in a process of its own.
fn sweep(config: &Path, hosts: &[String], at_once: usize, warm: u32) -> Result<Swept> {
    let output = Command::new(std::env::current_exe()?)
        .arg(SWEEP_COMMAND)
        .arg(config)
        .args([at_once.to_string(), warm.to_string()])
        .args(hosts)
        .stderr(Stdio::inherit())
        .output()
        .context("starting the client")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[failed, cold_wall, cold_cpu, warm_wall, warm_cpu] = numbers.as_slice() else {
        bail!("the client said {text:?}");
    };
    if failed > 0.0 {
        bail!("{failed} of {} nodes were not reached", hosts.len());
    }
    let seconds = Duration::from_secs_f64;
    Ok(Swept {
        cold_wall: seconds(cold_wall),
        cold_cpu: seconds(cold_cpu),
        warm_wall: seconds(warm_wall),
        warm_cpu: seconds(warm_cpu),
    })
}

/// The client: `CONFIG AT_ONCE WARM_ROUNDS HOST…`; prints how many failed, then seconds of wall and CPU.
pub fn sweep_main(arguments: &[String]) -> Result<()> {
    let [config, at_once, warm, hosts @ ..] = arguments else { bail!("too few arguments") };
    let (at_once, warm): (usize, u32) = (at_once.parse()?, warm.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let settings = SshSettings {
            config_files: vec![PathBuf::from(config)],
            connect_timeout: Duration::from_secs(60),
            ..SshSettings::default()
        };
        let ssh = Ssh::new(settings);
        let mut nodes = Vec::with_capacity(hosts.len());
        for host in hosts {
            let resource = Resource {
                id: ResourceId::node(host)?,
                display_name: host.clone(),
                labels: std::collections::BTreeMap::new(),
                parent: None,
            };
            nodes
                .push(ssh.node(resource, SshTarget { host: host.clone(), ..SshTarget::default() }));
        }
        let failed = round(&mut nodes, at_once).await;
        let (cold_wall, cold_cpu) = (began.elapsed(), cost::process_cpu_time());
        // The second round learns what the first found out; the rest is the steady state.
        let mut failed = failed;
        if warm > 0 {
            failed += round(&mut nodes, at_once).await;
        }
        let (began, cpu) = (Instant::now(), cost::process_cpu_time());
        for _ in 0..warm {
            failed += round(&mut nodes, at_once).await;
        }
        let rounds = warm.max(1);
        let warm_cpu = cost::process_cpu_time().saturating_sub(cpu) / rounds;
        let warm_wall = began.elapsed() / rounds;
        println!(
            "{failed} {} {} {} {}",
            cold_wall.as_secs_f64(),
            cold_cpu.as_secs_f64(),
            warm_wall.as_secs_f64(),
            warm_cpu.as_secs_f64()
        );
        Ok(())
    })
}

/// Collects every node once; returns how many were not reached.
async fn round(nodes: &mut [SshNode], at_once: usize) -> usize {
    use futures_util::{StreamExt as _, stream};
    let clock = Clock::system();
    let collecting = stream::iter(nodes.iter_mut()).map(|node| {
        let context = CollectContext {
            clock: clock.clone(),
            deadline: Duration::from_secs(60),
            cancel: CancellationToken::new(),
        };
        async move {
            let observation = node.collect(&context).await;
            let reached = observation.probe(&probe::REACHABLE).map(|report| &report.outcome);
            if let Some(ProbeOutcome::Failed(error)) = reached {
                eprintln!("{}: {}", observation.resource, error.message);
            }
            matches!(reached, Some(ProbeOutcome::Answered))
        }
    });
    let failed =
        collecting.buffer_unordered(at_once).filter(|reached| std::future::ready(!reached));
    Box::pin(failed).count().await
}

fn address(number: usize) -> String {
    format!("127.88.{}.{}", number / 250, number % 250 + 1)
}

/// What a peer took, with all that it started.
struct Peer {
    name: &'static str,
    wall: Duration,
    cpu: Duration,
}

/// Runs a peer to its end; in words, why there is no figure.
fn peer(name: &'static str, command: &[String]) -> std::result::Result<Peer, String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(format!("{name} is not installed"));
    };
    let (began, before) = (Instant::now(), children_cpu());
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => {
            let cpu = children_cpu().saturating_sub(before);
            Ok(Peer { name, wall: began.elapsed(), cpu })
        }
        Ok(status) => Err(format!("{name} failed ({status})")),
        Err(_) => Err(format!("{name} is not installed")),
    }
}

/// CPU time of children that ended and were waited for, with theirs.
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    // Fields 16 and 17 of stat(5), counted from the one behind the name; in ticks of 10 ms.
    let ticks: u64 =
        rest.split_whitespace().skip(13).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn clush(config: &Path, hosts: &[String]) -> Vec<String> {
    let options = format!("-F {}", config.display());
    let words: [&str; 11] = [
        "clush",
        "-q",
        "-S",
        "-f",
        "64",
        "-o",
        &options,
        "-w",
        &hosts.join(","),
        "-b",
        PEER_COMMAND,
    ];
    words.map(str::to_owned).to_vec()
}

fn parallel_ssh(config: &Path, hosts: &Path) -> Vec<String> {
    let (config, hosts) = (config.display().to_string(), hosts.display().to_string());
    let words: [&str; 11] = [
        "parallel-ssh",
        "-h",
        &hosts,
        "-p",
        "64",
        "-t",
        "120",
        "-x",
        &format!("-F {config}"),
        "-i",
        PEER_COMMAND,
    ];
    words.map(str::to_owned).to_vec()
}
