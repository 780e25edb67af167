//! What is said of a machine from afar is what is said of it on the machine.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sickbay_model::catalogue::{self, MEMORY_TOTAL, PROCESSES};
use sickbay_model::probe;
use sickbay_runtime::Clock;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::local::recorded::copy;
use crate::{CollectContext, LocalNode, LocalSettings, NodeSource, Roots, TorchMode};

/// Asked on the machine, this often with five seconds in between by the clock.
async fn local(roots: Roots, between: &dyn Fn()) -> Vec<Observation> {
    let torch = TorchSettings { mode: TorchMode::Never, ..TorchSettings::default() };
    let (clock, hand) = Clock::manual(1_795_253_400_000);
    let mut node = LocalNode::new(LocalSettings { roots, torch, ..LocalSettings::default() });
    let context = CollectContext { clock, deadline: PATIENCE, cancel: CancellationToken::new() };
    let first = node.collect(&context).await;
    hand.advance(Duration::from_secs(5));
    between();
    vec![first, node.collect(&context).await]
}

/// Waits until the kernel counted time on every core: shares need some.
fn some_ticks() {
    let uptime = || -> f64 {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let end = uptime() + 0.1;
    while uptime() < end {
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 })).unwrap();
    }
}

/// Which series there are; round trips are measured elsewhere.
fn series(observation: &Observation) -> BTreeSet<(&'static str, String)> {
    let not_both = [catalogue::LATENCY, catalogue::LATENCY_LOSS, catalogue::KERNEL_LOG_DROPPED];
    let series = observation.frame.iter();
    let series = series.filter(|(series, _)| !not_both.contains(&series.metric));
    let name = |metric| catalogue::find(metric).map_or("unknown", |def| def.name);
    series.map(|(series, _)| (name(series.metric), series.instance.to_string())).collect()
}

/// How the probes ended that both ask.
fn outcomes(observation: &Observation, root: &str) -> Vec<String> {
    // The log is that of the kernel which runs the test, not a file of the tree.
    let not_both =
        [probe::REACHABLE, probe::LATENCY, probe::NVIDIA, probe::TORCH, probe::KERNEL_LOG];
    let reports = observation.probes.iter().filter(|report| !not_both.contains(&report.probe));
    let mut told: Vec<_> = reports
        .map(|report| format!("{}: {:?}", report.probe, report.outcome).replace(root, ""))
        .collect();
    told.sort();
    told
}

/// A directory of programs in which busybox stands for all.
fn busybox_programs() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for program in ["head", "sleep", "stat", "ls", "grep", "sed", "uname", "printf"] {
        std::os::unix::fs::symlink("/bin/busybox", directory.path().join(program)).unwrap();
    }
    directory
}

#[tokio::test]
async fn this_machine_in_every_shell_as_on_the_machine() {
    let busybox = busybox_programs();
    let mut path = std::ffi::OsString::from(busybox.path());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let here = local(Roots::default(), &some_ticks).await;
    for sh in SHELLS {
        for tools in [None, Some(&path)] {
            let mut talk = Talk::new(settings(), || {
                Node::start(sh, program(), |command| {
                    tools.map(|path| command.env("PATH", path));
                })
            });
            let first = talk.collect();
            some_ticks();
            let there = [first, talk.collect_after(Duration::from_secs(5))];
            for (here, there) in here.iter().zip(&there) {
                assert_eq!(outcomes(there, ""), outcomes(here, ""), "{sh} {tools:?}");
                let mut host = there.inventory.host.clone();
                // On the machine the gateway is known by what measures round trips, too.
                host.default_gateway.clone_from(&here.inventory.host.default_gateway);
                assert_eq!(host, here.inventory.host, "{sh}");
                assert_eq!(there.inventory.disks, here.inventory.disks, "{sh}");
                assert_eq!(there.inventory.filesystems, here.inventory.filesystems, "{sh}");
                assert_eq!(there.inventory.interfaces, here.inventory.interfaces, "{sh}");
                for metric in [MEMORY_TOTAL, catalogue::FILESYSTEM_SIZE, catalogue::CPU_CORES] {
                    assert_eq!(there.frame.get(metric), here.frame.get(metric), "{sh} {metric:?}");
                }
                let processes = there.frame.get(PROCESSES).unwrap();
                assert!(processes > 1.0 && !there.processes.top.is_empty(), "{sh}");
                let named = |summary: &sickbay_model::ProcessSummary| {
                    summary.top.iter().filter(|one| !one.command.is_empty()).count()
                };
                assert!(named(&there.processes) > 0, "{sh}: {:?}", there.processes.top);
                assert_eq!(there.refused_readings, 0, "{sh}");
            }
            let [first, second] = &there;
            assert_eq!(series(first), series(&here[0]), "{sh} {tools:?}");
            // Whether an idle disk has a mean latency is chance.
            let mut wanted = series(&here[1]);
            let mut found = series(second);
            for all in [&mut wanted, &mut found] {
                all.retain(|(name, _)| *name != "disk_latency_ms");
            }
            assert_eq!(found, wanted, "{sh} {tools:?}");
            assert_eq!(talk.questions, 2, "one question a collection");
        }
    }
}

#[tokio::test]
async fn login_shells_of_any_kind_start_it() {
    for shell in ["dash", "bash", "fish", "tcsh", "ksh", "mksh", "busybox sh"] {
        let mut talk = Talk::new(settings(), || Node::login(shell, |_| {}));
        let observation = talk.collect();
        assert_eq!(*outcome(&observation, &probe::CPU), ProbeOutcome::Answered, "{shell}");
        assert_eq!(*outcome(&observation, &probe::PROCESSES), ProbeOutcome::Answered, "{shell}");
    }
}

fn fixture(tree: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(tree)
}

#[tokio::test]
async fn recorded_machines_as_on_the_machine() {
    for tree in [
        "host/virtual-machine",
        "host/gpu-server",
        "host/kernel-3.10",
        "host/arm64",
        "host/container",
        "gpu/amd/mi210",
        "gpu/amd/mi300x",
        "gpu/amd/rx7900xtx",
        "gpu/amd/apu",
        "gpu/amd/absurd",
    ] {
        let recorded = fixture(tree);
        let root = tempfile::tempdir().unwrap();
        let later = || {
            if recorded.join("later").is_dir() {
                copy(&recorded.join("later"), root.path());
            }
            // The node's own clock goes on, too.
            let uptime = root.path().join("proc/uptime");
            if let Ok(before) = std::fs::read_to_string(&uptime) {
                let seconds: f64 = before.split(' ').next().unwrap().parse().unwrap();
                std::fs::write(&uptime, format!("{:.2} 1.00\n", seconds + 5.0)).unwrap();
            }
        };
        copy(&recorded, root.path());
        std::fs::create_dir_all(root.path().join("proc")).unwrap();
        let here = local(Roots::under(root.path()), &later).await;
        copy(&recorded, root.path());
        for sh in ["dash", "busybox sh"] {
            copy(&recorded, root.path());
            let shown = root.path().to_str().unwrap();
            let packed = program::packed(shown, 900, 780);
            let mut talk = Talk::new(settings(), || Node::start(sh, &packed, |_| {}));
            let first = talk.collect();
            later();
            let second = talk.collect_after(Duration::from_secs(5));
            for (here, there) in here.iter().zip([&first, &second]) {
                assert_eq!(outcomes(there, shown), outcomes(here, shown), "{tree} {sh}");
                assert_eq!(series(there), series(here), "{tree} {sh}");
                assert_eq!(there.inventory.gpus, here.inventory.gpus, "{tree} {sh}");
                assert_eq!(there.inventory.disks, here.inventory.disks, "{tree} {sh}");
                assert_eq!(there.inventory.interfaces, here.inventory.interfaces, "{tree} {sh}");
                assert_eq!(there.inventory.filesystems, here.inventory.filesystems, "{tree}");
                assert_eq!(there.processes.top.len(), here.processes.top.len(), "{tree} {sh}");
            }
        }
    }
}
