//! How long the judgement of one node takes. The goal is 10 µs for 8 GPUs.

#[path = "../tests/engine/node.rs"]
#[expect(dead_code, clippy::expect_used, reason = "made for the tests, which use more of it")]
mod node;

use std::time::Duration;

use divan::Bencher;
use sickbay_engine::{NodeMemory, Policy, assess};
use sickbay_model::{BlockDevice, Observation, ProbeErrorKind, Timestamp, catalogue, probe};

use node::Node;

fn main() {
    divan::main();
}

/// The same node every 5 seconds, long enough for every window to be full.
fn observations(node: &Node) -> Vec<Observation> {
    let start = Timestamp::from_unix_ms(1_800_000_000_000);
    let first = node.observe(start);
    (0..200)
        .map(|step| {
            let at = start.plus(Duration::from_secs(5 * step));
            let mut next = first.clone();
            next.at = at;
            next.frame.at = at;
            for report in &mut next.probes {
                report.at = at;
            }
            next
        })
        .collect()
}

fn run(bencher: Bencher<'_, '_>, node: &Node) {
    let (policy, mut memory) = (Policy::default(), NodeMemory::default());
    let all = observations(node);
    for observation in &all {
        let _ = assess(&policy, &mut memory, observation);
    }
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 1) % all.len();
        assess(&policy, &mut memory, &all[turn])
    });
}

/// 8 GPUs, about 300 series, all well.
#[divan::bench]
fn well_with_8_gpus(bencher: Bencher<'_, '_>) {
    let node = Node::well(8);
    run(bencher, &node);
}

/// An HGX with its fabric: 8 GPUs of 18 NVLinks, 8 InfiniBand ports, 10 NVMe disks, error counters
/// of every PCIe device; about 900 series.
#[divan::bench]
fn well_hgx(bencher: Bencher<'_, '_>) {
    let mut node = Node::well(8);
    for (gpu, link) in (0..8).flat_map(|gpu| (0..18).map(move |link| (gpu, link))) {
        for counter in [
            catalogue::NVLINK_REPLAY_ERRORS,
            catalogue::NVLINK_RECOVERY_ERRORS,
            catalogue::NVLINK_CRC_ERRORS,
        ] {
            node.set_of(counter, &format!("{gpu}/{link}"), 0.0);
        }
    }
    for adapter in 0..8 {
        let port = format!("mlx5_{adapter}/1");
        for (metric, value) in [
            (catalogue::INFINIBAND_STATE, 4.0),
            (catalogue::INFINIBAND_PHYSICAL_STATE, 5.0),
            (catalogue::INFINIBAND_RATE, 5e10),
            (catalogue::INFINIBAND_LINK_DOWNED, 0.0),
            (catalogue::INFINIBAND_BUFFER_OVERRUNS, 0.0),
            (catalogue::INFINIBAND_INTEGRITY_ERRORS, 0.0),
            (catalogue::INFINIBAND_RETRIES_EXCEEDED, 0.0),
            (catalogue::INFINIBAND_SYMBOL_ERRORS, 12.0),
        ] {
            node.set_of(metric, &port, value);
        }
    }
    node.inventory.disks = (0..10)
        .map(|disk| BlockDevice {
            name: format!("nvme{disk}n1"),
            model: "SAMSUNG MZ1L21T9HCLS-00A07".to_owned(),
            size_bytes: 1_920_383_410_176,
            rotational: false,
        })
        .collect();
    for device in 0..18 {
        let address = format!("0000:{:02x}:00.0", 0x18 + device);
        for (metric, value) in [
            (catalogue::PCIE_WIDTH, 16.0),
            (catalogue::PCIE_WIDTH_MAX, 16.0),
            (catalogue::PCIE_GENERATION, 5.0),
            (catalogue::PCIE_GENERATION_MAX, 5.0),
            (catalogue::PCIE_ERRORS_CORRECTED, 0.0),
            (catalogue::PCIE_ERRORS_NONFATAL, 0.0),
            (catalogue::PCIE_ERRORS_FATAL, 0.0),
        ] {
            node.set_of(metric, &address, value);
        }
    }
    run(bencher, &node);
}

/// A laptop.
#[divan::bench]
fn well_without_gpus(bencher: Bencher<'_, '_>) {
    run(bencher, &Node::well(0));
}

/// 8 GPUs, one of them faulty, a full disk.
#[divan::bench]
fn three_findings(bencher: Bencher<'_, '_>) {
    let mut node = Node::well(8);
    node.set_of(catalogue::GPU_ECC_UNCORRECTED_VOLATILE, "3", 2.0);
    node.set_of(catalogue::GPU_PCIE_WIDTH, "5", 8.0);
    node.set_of(catalogue::FILESYSTEM_USED, "/data", 97.0);
    run(bencher, &node);
}

/// The driver hangs: every GPU check is unknown.
#[divan::bench]
fn driver_hangs(bencher: Bencher<'_, '_>) {
    let mut node = Node::well(8);
    node.fail(probe::NVIDIA, ProbeErrorKind::Late, "no answer for 5 s");
    run(bencher, &node);
}

/// The first look at a node.
#[divan::bench]
fn first_look_at_8_gpus(bencher: Bencher<'_, '_>) {
    let (policy, node) = (Policy::default(), Node::well(8));
    let observation = node.observe(Timestamp::from_unix_ms(0));
    bencher
        .with_inputs(NodeMemory::default)
        .bench_local_values(|mut memory| assess(&policy, &mut memory, &observation));
}
