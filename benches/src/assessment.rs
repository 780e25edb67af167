//! The engine's verdict on one node with eight GPUs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sickbay_engine::{NodeMemory, Policy, assess};
use sickbay_model::{
    FrameBuilder, GpuCondition, GpuDevice, GpuVendor, InstanceKind, Inventory, Level, Observation,
    ProbeId, ProbeOutcome, ProbeReport, ResourceId, Timestamp, Unit, catalogue, probe,
};

use crate::Options;
use crate::table::Row;

const ROUNDS: u32 = 20_000;
const GPUS: u32 = 8;

/// Measures.
pub fn run(_: &Options) -> Result<Vec<Row>> {
    let policy = Policy::default();
    let mut memory = NodeMemory::default();
    let mut observation = observation()?;
    let series = observation.frame.len();
    let first = assess(&policy, &mut memory, &observation);
    ensure!(first.level == Level::Healthy, "the measured node is to be well: {}", first.headline);
    let finding = first.findings().next().map(|check| format!("{} {}", check.check, check.message));
    ensure!(finding.is_none(), "the measured node is to be without findings: {finding:?}");
    let started = Instant::now();
    for _ in 0..ROUNDS {
        observation.at = observation.at.plus(Duration::from_secs(5));
        observation.frame.at = observation.at;
        for report in &mut observation.probes {
            report.at = observation.at;
        }
        black_box(assess(&policy, &mut memory, black_box(&observation)));
    }
    let each = started.elapsed() / ROUNDS;
    Ok(vec![Row::new(
        &format!(
            "assessment of a node with {GPUS} GPUs, {series} readings, {} checks",
            first.checks.len()
        ),
        format!("{:.1} µs", each.as_secs_f64() * 1e6),
        "≤ 10 µs",
    )])
}

fn observation() -> Result<Observation> {
    let at = Timestamp::from_unix_ms(1_800_000_000_000);
    let mut builder = FrameBuilder::new();
    for metric in catalogue::ALL.iter().filter(|metric| metric.id < catalogue::SCORE) {
        for instance in instances(metric.instance) {
            builder.put(metric.id, &instance, typical(metric));
        }
    }
    let answering = [
        probe::REACHABLE,
        probe::CPU,
        probe::PRESSURE,
        probe::MEMORY,
        probe::FILESYSTEM,
        probe::DISK,
        probe::NETWORK,
        probe::NETWORK_LINKS,
        probe::LATENCY,
        probe::SENSORS,
        probe::HOST,
        probe::PROCESSES,
        probe::NVIDIA,
    ];
    let absent = [probe::AMD, probe::REMOTE_FILESYSTEM, probe::TORCH];

    Ok(Observation {
        resource: ResourceId::node("bench")?,
        at,
        frame: builder.finish(at).0,
        inventory: Arc::new(inventory()),
        probes: answering
            .into_iter()
            .map(|probe| report(probe, ProbeOutcome::Answered, at))
            .chain(
                absent
                    .into_iter()
                    .map(|probe| report(probe, ProbeOutcome::NotApplicable("".into()), at)),
            )
            .collect(),
        processes: Arc::default(),
        torch: None,
        kernel_log: None,
        refused_readings: 0,
        refused: Vec::new(),
        cost: Duration::ZERO,
    })
}

fn report(probe: ProbeId, outcome: ProbeOutcome, at: Timestamp) -> ProbeReport {
    ProbeReport { probe, outcome, at, took: Duration::from_millis(1) }
}

fn instances(kind: InstanceKind) -> Vec<String> {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    match kind {
        InstanceKind::Node => names(&[""]),
        InstanceKind::Filesystem => names(&["/", "/data"]),
        InstanceKind::Disk => names(&["nvme0n1", "nvme1n1"]),
        InstanceKind::Interface => names(&["eth0", "eth1"]),
        InstanceKind::Sensor => names(&["coretemp/Package 0", "coretemp/Package 1"]),
        InstanceKind::Gpu => (0..GPUS).map(|gpu| gpu.to_string()).collect(),
        InstanceKind::NvLink | InstanceKind::Port | InstanceKind::PciDevice => Vec::new(),
        InstanceKind::Target => names(&["10.0.0.1"]),
    }
}

/// A value of a node that is well.
fn typical(metric: &sickbay_model::MetricDef) -> f64 {
    match metric.id {
        catalogue::GPU_PCIE_WIDTH | catalogue::GPU_PCIE_WIDTH_MAX => 16.0,
        catalogue::GPU_PCIE_GENERATION | catalogue::GPU_PCIE_GENERATION_MAX => 5.0,
        catalogue::GPU_TEMPERATURE_MARGIN_SLOWDOWN => -2.0,
        catalogue::GPU_TEMPERATURE_SLOWDOWN | catalogue::GPU_TEMPERATURE_SHUTDOWN => 90.0,
        catalogue::TEMPERATURE_CRITICAL => 100.0,
        catalogue::FILESYSTEM_READ_ONLY => 0.0,
        catalogue::NETWORK_LINK_UP => 1.0,
        catalogue::FILESYSTEM_FREE | catalogue::FILESYSTEM_SIZE => 1e12,
        catalogue::CPU_CORES => 128.0,
        catalogue::LATENCY_LOSS
        | catalogue::PRESSURE_MEMORY_FULL
        | catalogue::PRESSURE_IO_FULL
        | catalogue::PRESSURE_MEMORY_SOME
        | catalogue::PRESSURE_IO_SOME
        | catalogue::PRESSURE_CPU_SOME
        | catalogue::SWAP_USED => 0.0,
        _ => match metric.unit {
            Unit::Percent => 30.0,
            Unit::Celsius => 40.0,
            Unit::Watts => 300.0,
            Unit::Joules => 1e6,
            Unit::Bytes => 1e10,
            Unit::Seconds => 1e6,
            Unit::Milliseconds => 1.0,
            Unit::Megahertz => 1500.0,
            Unit::BytesPerSecond => 1e6,
            Unit::PerSecond | Unit::Count | Unit::Boolean => 0.0_f64.max(metric.min),
        },
    }
}

fn inventory() -> Inventory {
    let gpus = (0..GPUS).map(|index| GpuDevice {
        index,
        vendor: GpuVendor::Nvidia,
        uuid: format!("GPU-{index}"),
        model: "NVIDIA H100 80GB HBM3".to_owned(),
        serial: String::new(),
        pci_address: format!("0000:{index:02x}:00.0"),
        driver_version: "550.54.15".to_owned(),
        vbios_version: String::new(),
        memory_bytes: 80 << 30,
        mig_enabled: false,
        condition: GpuCondition::Answering,
        unreadable: Vec::new(),
    });
    Inventory { gpus: gpus.collect(), ..Inventory::default() }
}
