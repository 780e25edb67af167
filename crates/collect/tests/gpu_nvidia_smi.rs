//! What is told of machines by what their `nvidia-smi` prints, and beside it what NVML tells.
#![expect(clippy::expect_used, reason = "helpers of tests")]

#[path = "support/gpu_machine.rs"]
mod gpu_machine;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expect_test::{expect, expect_file};
use gpu_machine::{Machine, check, inventory};
use sickbay_collect::gpu::nvidia_smi::{Answers, NvidiaSmi, needs_remapped_rows, wanted_fields};
use sickbay_collect::{Fetched, Roots, Sample};
use sickbay_model::catalogue;

const MACHINES: [&str; 6] = ["h100x8", "a100x4", "rtx4090", "t4", "h100-mig", "gpu-lost"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gpu/nvidia-smi").join(name)
}

/// What is told of a machine, and with which fields it was asked.
fn sample(asked: &mut NvidiaSmi, machine: &str) -> (Vec<&'static str>, Sample) {
    let file = |name: &str| std::fs::read(fixture(machine).join(name)).ok();
    let fields = wanted_fields(&file("help.txt").expect("help"));
    let remapped = file("remapped.txt");
    assert!(remapped.is_none() || needs_remapped_rows(&fields));
    let (gpus, apps) = (file("gpus.txt").expect("GPUs"), file("apps.txt"));
    let details = file("details.txt");
    let answers = Answers {
        fields: &fields,
        gpus: &gpus,
        apps: apps.as_deref(),
        remapped_rows: remapped.as_deref(),
        details: details.as_deref(),
    };
    let mut sample = Sample::default();
    let roots = Roots::fetched(Fetched::new());
    asked.sample(&roots, &answers, &mut sample).expect("answers");
    assert_eq!((sample.refused, sample.missed.len()), (0, 0));
    (fields, sample)
}

fn readings(sample: &Sample) -> BTreeMap<(String, &'static str), f64> {
    let named = sample.readings.iter().map(|reading| {
        let def = catalogue::find(reading.metric).expect("in the catalogue");
        assert!(def.accepts(reading.value), "{reading:?}");
        ((reading.instance.to_string(), def.name), reading.value)
    });
    let all: BTreeMap<_, _> = named.collect();
    assert_eq!(all.len(), sample.readings.len(), "no reading is put twice");
    all
}

#[test]
fn what_is_told_of_machines() {
    for machine in MACHINES {
        let (fields, sample) = sample(&mut NvidiaSmi::default(), machine);
        let mut text = String::new();
        writeln!(text, "asked for {}", fields.join(",")).expect("written");
        for gpu in sample.facts.gpus.as_deref().unwrap_or_default() {
            let gpu = serde_json::to_string(gpu).expect("serialises");
            writeln!(text, "{gpu}").expect("written");
        }
        for process in sample.facts.gpu_processes.as_deref().unwrap_or_default() {
            writeln!(text, "{process:?}").expect("written");
        }
        for ((gpu, name), value) in readings(&sample) {
            writeln!(text, "{gpu} {name} = {value}").expect("written");
        }
        expect_file![fixture(machine).join("expected.txt")].assert_eq(&text);
    }
}

#[test]
fn nvml_tells_the_same_and_some_more() {
    let mut only_nvml = BTreeSet::new();
    for (machine, world) in
        [("h100x8", "h100x8"), ("a100x4", "a100x4"), ("rtx4090", "rtx4090"), ("h100-mig", "mig")]
    {
        let (_, printed) = sample(&mut NvidiaSmi::default(), machine);
        let asked = Machine::with(world).poll().expect("answers");
        let (ours, theirs) = (readings(&printed), readings(&asked));
        for (of, value) in &ours {
            // The fan that is printed is one of several.
            if of.1 != "gpu_fan_percent" {
                assert_eq!(theirs.get(of), Some(value), "{machine}: {of:?}");
            }
        }
        only_nvml.extend(theirs.keys().filter(|of| !ours.contains_key(*of)).map(|(_, name)| *name));
        assert_eq!(inventory(&printed), inventory(&asked), "{machine}");
        assert_eq!(printed.facts.gpu_processes, asked.facts.gpu_processes, "{machine}");
        let mut devices = asked.facts.gpus.expect("an inventory");
        for device in &mut devices {
            if machine == "h100-mig" {
                "580.173.02".clone_into(&mut device.driver_version);
            }
        }
        assert_eq!(printed.facts.gpus, Some(devices), "{machine}");
    }
    let only_nvml: Vec<_> = only_nvml.into_iter().collect();
    check(
        &only_nvml.join("\n"),
        expect![[r#"
            gpu_ecc_sram_threshold_exceeded
            gpu_energy_joules_total
            gpu_nvlinks
            gpu_nvlinks_active
            gpu_pcie_replays_total
            gpu_temperature_margin_slowdown_celsius
            gpu_temperature_shutdown_celsius
            gpu_temperature_slowdown_celsius
            nvlink_active
            nvlink_crc_errors_total
            nvlink_recovery_errors_total
            nvlink_replay_errors_total"#]],
    );
}

#[test]
fn a_gpu_that_was_there_is_told_as_lost_and_then_as_gone() {
    let mut asked = NvidiaSmi::default();
    let (_, well) = sample(&mut asked, "h100x8");
    let (_, lost) = sample(&mut asked, "gpu-lost");
    check(
        &inventory(&lost),
        expect![[r#"
        0 NVIDIA H100 80GB HBM3 GPU-a4c10000-5c1b-4d6e-9a30-0f2c7e6b0000 0000:1b:00.0 Answering
        1 NVIDIA H100 80GB HBM3 GPU-a4c10001-5c1b-4d6e-9a30-0f2c7e6b0001 0000:43:00.0 Answering
        2 NVIDIA H100 80GB HBM3 GPU-a4c10002-5c1b-4d6e-9a30-0f2c7e6b0002 0000:52:00.0 Answering
        3 NVIDIA H100 80GB HBM3 GPU-a4c10003-5c1b-4d6e-9a30-0f2c7e6b0003 0000:61:00.0 Lost
          ! the GPU is lost: an internal driver error occurred
        4 NVIDIA H100 80GB HBM3 GPU-a4c10004-5c1b-4d6e-9a30-0f2c7e6b0004 0000:9d:00.0 Answering
        5 NVIDIA H100 80GB HBM3 GPU-a4c10005-5c1b-4d6e-9a30-0f2c7e6b0005 0000:c3:00.0 Answering
          ! its infoROM is corrupted
        6 NVIDIA H100 80GB HBM3 GPU-a4c10006-5c1b-4d6e-9a30-0f2c7e6b0006 0000:d1:00.0 Answering
        7 NVIDIA H100 80GB HBM3 GPU-a4c10007-5c1b-4d6e-9a30-0f2c7e6b0007 0000:df:00.0 Answering
    "#]],
    );
    let name = |sample: &Sample| sample.facts.gpus.as_ref().map(|gpus| gpus[3].uuid.clone());
    assert_eq!(name(&lost), name(&well), "who it is is known from before");
    let (_, other) = sample(&mut asked, "h100-mig");
    let gone = other.facts.gpus.expect("an inventory");
    assert_eq!(gone.len(), 8);
}
