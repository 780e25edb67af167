//! The NVIDIA collector through the real `dlopen` path, against the fake NVML library: what goes
//! wrong.

#[path = "support/gpu_machine.rs"]
mod gpu_machine;

use std::time::Duration;

use expect_test::expect;
use gpu_machine::{Machine, check, counts, inventory, readings};
use sickbay_collect::gpu::NvidiaCollector;
use sickbay_collect::local::LocalCollector as _;
use sickbay_collect::{Roots, Sample};
use sickbay_model::{FrameBuilder, GpuCondition, ProbeErrorKind, Timestamp, catalogue};
use sickbay_sim_nvml::fixture;

#[test]
fn a_library_that_does_not_answer_says_why_and_what_to_do() {
    for (scenario, kind, expected) in [
        (
            "fault-driver-not-loaded",
            ProbeErrorKind::Absent,
            expect![[r#"
            the NVIDIA driver is not loaded
            → load it with `modprobe nvidia`; if that fails, `dmesg` says why: often a kernel update without a rebuilt module (`dkms autoinstall`), or Secure Boot
        "#]],
        ),
        (
            "fault-version-mismatch",
            ProbeErrorKind::Failed,
            expect![[r#"
            the NVIDIA driver that is loaded and its library have different versions
            → the driver was upgraded while it was loaded: reboot, or stop everything that uses a GPU and reload the driver's modules
        "#]],
        ),
        (
            "fault-no-permission",
            ProbeErrorKind::Denied,
            expect![[r#"
            the NVIDIA driver refuses this user
            → give the user that runs sickbay access to /dev/nvidiactl and /dev/nvidia0, /dev/nvidia1, …
        "#]],
        ),
    ] {
        let mut machine = Machine::with(scenario);
        let error = machine.poll().expect_err(scenario);
        assert_eq!(error.kind, kind, "{scenario}");
        let advice = error.advice.map(|advice| advice.0.into_owned()).unwrap_or_default();
        check(&format!("{}\n→ {advice}\n", error.message), expected);
        // It is not held against the machine once it is mended.
        machine.becomes("h100x8");
        assert_eq!(machine.poll().expect(scenario).facts.gpus.map(|gpus| gpus.len()), Some(8));
    }
}

#[test]
fn a_missing_or_foreign_library_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let roots = Roots::under(directory.path());
    let nowhere = directory.path().join("libnvidia-ml.so.1");
    let mut sample = Sample::default();
    let mut collect = |path: &std::path::Path| {
        NvidiaCollector::new(Some(path.to_owned()))
            .collect(&roots, Duration::ZERO, &mut sample)
            .expect_err("no library")
    };
    let error = collect(&nowhere);
    assert_eq!(error.kind, ProbeErrorKind::Absent);
    assert!(error.message.contains("cannot load"), "{}", error.message);
    std::fs::write(&nowhere, "not a library").expect("written");
    assert_eq!(collect(&nowhere).kind, ProbeErrorKind::Absent);
}

#[test]
fn without_hardware_there_is_nothing_to_ask_and_without_a_driver_there_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let roots = Roots::under(directory.path());
    let mut sample = Sample::default();
    let mut collector = NvidiaCollector::new(None);
    collector.collect(&roots, Duration::ZERO, &mut sample).expect("nothing to ask");
    assert_eq!(sample.not_applicable.as_deref(), Some("this machine has no NVIDIA GPU"));

    let device = roots.sys.join("bus/pci/devices/0000:17:00.0");
    std::fs::create_dir_all(&device).expect("made");
    std::fs::write(device.join("vendor"), "0x10de\n").expect("written");
    std::fs::write(device.join("class"), "0x030200\n").expect("written");
    sample.clear();
    // Believed for a while, then looked at again.
    collector.collect(&roots, Duration::from_secs(30), &mut sample).expect("believed");
    assert!(sample.not_applicable.is_some());
    sample.clear();
    match collector.collect(&roots, Duration::from_secs(60), &mut sample) {
        Err(error) => {
            assert_eq!(error.kind, ProbeErrorKind::Absent);
            let advice = error.advice.expect("advice").0;
            assert!(advice.contains("NVIDIA driver"), "{advice}");
        }
        // This machine has a real NVML; that it was asked is what matters here.
        Ok(()) => assert!(sample.not_applicable.is_none()),
    }
}

/// A container sees the host's PCI bus, whether or not it was given the GPUs.
#[test]
fn gpus_that_a_container_was_not_given_are_not_missing() {
    for (files, withheld) in [
        (&[".dockerenv"][..], Some("docker")),
        (&["run/.containerenv"], Some("podman")),
        // On the host itself, the driver is missing.
        (&[], None),
        // It was given devices, but not the library.
        (&[".dockerenv", "dev/nvidia3"], None),
        (&[".dockerenv", "dev/nvidiactl"], None),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let roots = Roots::under(directory.path());
        let device = roots.sys.join("bus/pci/devices/0000:17:00.0");
        for folder in [&device, &roots.dev, &roots.etc, &directory.path().join("run")] {
            std::fs::create_dir_all(folder).expect("made");
        }
        std::fs::write(device.join("vendor"), "0x10de\n").expect("written");
        std::fs::write(device.join("class"), "0x030200\n").expect("written");
        for file in files {
            std::fs::write(directory.path().join(file), "").expect("written");
        }
        let mut collector = NvidiaCollector::new(None);
        // What was found once is believed for a while.
        for seconds in [0, 5] {
            let mut sample = Sample::default();
            let ended = collector.collect(&roots, Duration::from_secs(seconds), &mut sample);
            match (withheld, ended, &sample.not_applicable) {
                (Some(container), Ok(()), Some(why)) => {
                    assert!(why.contains("the host has NVIDIA GPUs (1)"), "{why}");
                    assert!(why.contains(container) && why.contains("--gpus all"), "{why}");
                }
                (None, Err(error), None) => assert_eq!(error.kind, ProbeErrorKind::Absent),
                // This machine has a real NVML, which answers.
                (_, Ok(()), None) => {}
                (_, ended, why) => panic!("{files:?}: {ended:?} {why:?}"),
            }
        }
    }
}

#[test]
fn a_gpu_in_trouble_is_marked_and_hides_no_other() {
    for (scenario, at, condition, expected) in [
        (
            "fault-gpu-lost",
            3,
            GpuCondition::Lost,
            expect![[r#"
                39 39 39 0 39 39 39 39 
                the GPU is lost: it fell off the bus or does not respond
            "#]],
        ),
        (
            "fault-gpu-lost-late",
            3,
            GpuCondition::Lost,
            expect![[r#"
                39 39 39 11 39 39 39 39 
                the GPU is lost: it fell off the bus or does not respond
            "#]],
        ),
        (
            "fault-reset-required",
            5,
            GpuCondition::ResetRequired,
            expect![[r#"
                39 39 39 39 39 32 39 39 
                the GPU must be reset before it can be used again
            "#]],
        ),
        (
            "fault-unknown",
            2,
            GpuCondition::Answering,
            expect![[r#"
                39 39 37 39 39 39 39 39 
                power: an internal driver error occurred
                field 82: an internal driver error occurred
            "#]],
        ),
        (
            "fault-strange-code",
            2,
            GpuCondition::Answering,
            expect![[r#"
                39 39 38 39 39 39 39 39 
                temperature: the driver answered 4242, which NVML does not define
            "#]],
        ),
        (
            "fault-no-permission-processes",
            0,
            GpuCondition::Answering,
            expect![[r#"
                38 38 38 38 38 38 38 38 
                processes: the current user does not have permission to perform this operation
            "#]],
        ),
    ] {
        let mut machine = Machine::with("h100x8");
        let well = machine.poll().expect("well");
        machine.becomes(scenario);
        let ill = machine.poll().expect(scenario);
        let gpus = ill.facts.gpus.as_ref().expect("listed");
        assert_eq!(gpus.len(), 8, "{scenario}");
        let known = well.facts.gpus.as_ref().expect("listed");
        for (gpu, before) in gpus.iter().zip(known) {
            assert_eq!((&gpu.uuid, gpu.index), (&before.uuid, before.index), "{scenario}");
        }
        assert_eq!(gpus[at].condition, condition, "{scenario}");
        check(&format!("{}\n{}\n", counts(&ill), gpus[at].unreadable.join("\n")), expected);
        machine.becomes("h100x8");
        let again = machine.poll().expect("well again");
        let gpus = again.facts.gpus.as_ref().expect("listed");
        assert!(gpus.iter().all(|gpu| gpu.condition == GpuCondition::Answering), "{scenario}");
    }
}

#[test]
fn a_gpu_that_was_lost_from_the_start_is_listed_by_its_index() {
    let sample = Machine::with("fault-gpu-lost").poll().expect("answers");
    let gpus = sample.facts.gpus.as_ref().expect("listed");
    assert_eq!((gpus[3].index, gpus[3].uuid.as_str()), (3, ""));
    assert_eq!(gpus[3].condition, GpuCondition::Lost);
}

#[test]
fn a_gpu_that_is_listed_no_more_stays_visible() {
    let mut machine = Machine::with("h100x8");
    machine.poll().expect("well");
    machine.becomes("fault-gpu-missing");
    let sample = machine.poll().expect("seven answer");
    check(
        &inventory(&sample),
        expect![[r#"
        0 NVIDIA H100 80GB HBM3 GPU-a4c10000-5c1b-4d6e-9a30-0f2c7e6b0000 0000:1b:00.0 Answering
        1 NVIDIA H100 80GB HBM3 GPU-a4c10001-5c1b-4d6e-9a30-0f2c7e6b0001 0000:43:00.0 Answering
        2 NVIDIA H100 80GB HBM3 GPU-a4c10002-5c1b-4d6e-9a30-0f2c7e6b0002 0000:52:00.0 Answering
        3 NVIDIA H100 80GB HBM3 GPU-a4c10004-5c1b-4d6e-9a30-0f2c7e6b0004 0000:9d:00.0 Answering
        4 NVIDIA H100 80GB HBM3 GPU-a4c10005-5c1b-4d6e-9a30-0f2c7e6b0005 0000:c3:00.0 Answering
        5 NVIDIA H100 80GB HBM3 GPU-a4c10006-5c1b-4d6e-9a30-0f2c7e6b0006 0000:d1:00.0 Answering
        6 NVIDIA H100 80GB HBM3 GPU-a4c10007-5c1b-4d6e-9a30-0f2c7e6b0007 0000:df:00.0 Answering
        7 NVIDIA H100 80GB HBM3 GPU-a4c10003-5c1b-4d6e-9a30-0f2c7e6b0003 0000:61:00.0 Missing
          ! the driver lists it no more; it was GPU 3 when last seen
    "#]],
    );
    machine.becomes("h100x8");
    let back = machine.poll().expect("eight answer");
    let gpus = back.facts.gpus.as_ref().expect("listed");
    assert!(gpus.iter().all(|gpu| gpu.condition == GpuCondition::Answering));
    assert_eq!(gpus.len(), 8);
}

#[test]
fn all_gpus_gone_is_not_no_gpus() {
    let mut machine = Machine::with("h100x8");
    machine.poll().expect("well");
    machine.becomes("fault-no-gpus");
    let sample = machine.poll().expect("the library answers");
    let gpus = sample.facts.gpus.expect("listed");
    assert!(gpus.len() == 8 && gpus.iter().all(|gpu| gpu.condition == GpuCondition::Missing));
}

#[test]
fn the_driver_lists_none_but_the_bus_has_one() {
    let mut machine = Machine::with("fault-no-gpus");
    let device = machine.directory.path().join("sys/bus/pci/devices/0000:17:00.0");
    std::fs::create_dir_all(&device).expect("made");
    std::fs::write(device.join("vendor"), "0x10de\n").expect("written");
    std::fs::write(device.join("class"), "0x030200\n").expect("written");
    let error = machine.poll().expect_err("a GPU that is not listed");
    check(&error.message, expect!["the NVIDIA driver lists no GPU, but the PCI bus has 1"]);
}

#[test]
fn a_driver_that_was_reloaded_is_initialised_again() {
    let mut machine = Machine::with("h100x8");
    machine.poll().expect("well");
    machine
        .fake
        .patch(
            &fixture("h100x8"),
            serde_json::json!({"driver_epoch": 1, "driver_version": "550.90.07"}),
        )
        .expect("written");
    let sample = machine.poll().expect("well, without a failed poll between");
    let gpus = sample.facts.gpus.as_ref().expect("listed");
    assert!(gpus.len() == 8 && gpus.iter().all(|gpu| gpu.driver_version == "550.90.07"));
}

#[test]
fn while_a_gpu_is_lost_nvml_is_initialised_afresh_now_and_then() {
    let mut machine = Machine::with("h100x8");
    machine.poll().expect("well");
    let lost = fixture("fault-gpu-lost");
    machine.fake.patch(&lost, serde_json::json!({"driver_version": "550.90.07"})).expect("written");
    let mut versions = Vec::new();
    for _ in 0..14 {
        let sample = machine.poll().expect("seven answer");
        let gpus = sample.facts.gpus.expect("listed");
        versions.push(gpus[0].driver_version.clone());
        // The lost one keeps its name through the fresh start.
        assert!(gpus[3].uuid.starts_with("GPU-a4c10003"), "{}", gpus[3].uuid);
    }
    // 60 s after the first poll, which is eleven polls later.
    let fresh = versions.iter().position(|version| version == "550.90.07");
    assert_eq!(fresh, Some(11), "{versions:?}");
}

#[test]
fn what_a_fault_shows_is_read() {
    let mut machine = Machine::with("fault-corrected-errors");
    let sample = machine.poll().expect("answers");
    let of = |metric, instance: &str| {
        let found =
            sample.readings.iter().find(|one| one.metric == metric && &*one.instance == instance);
        found.map(|reading| reading.value)
    };
    for (metric, instance, expected) in [
        (catalogue::GPU_ECC_UNCORRECTED_VOLATILE, "4", Some(2.0)),
        (catalogue::GPU_ECC_CORRECTED_AGGREGATE, "4", Some(5107.0)),
        (catalogue::GPU_REMAP_PENDING, "4", Some(1.0)),
        (catalogue::GPU_REMAP_FAILED, "4", Some(0.0)),
        (catalogue::GPU_RECOVERY_ACTION, "4", Some(4.0)),
        (catalogue::GPU_THROTTLE_REASONS, "4", Some(72.0)),
        (catalogue::GPU_TEMPERATURE_MARGIN, "4", Some(-2.0)),
        (catalogue::GPU_TEMPERATURE_MARGIN_SLOWDOWN, "4", Some(-2.0)),
        (catalogue::GPU_PCIE_WIDTH, "4", Some(8.0)),
        (catalogue::GPU_PCIE_WIDTH_MAX, "4", Some(16.0)),
        (catalogue::GPU_NVLINKS, "4", Some(18.0)),
        (catalogue::GPU_NVLINKS_ACTIVE, "4", Some(17.0)),
        (catalogue::NVLINK_ACTIVE, "4/7", Some(0.0)),
        (catalogue::NVLINK_CRC_ERRORS, "4/2", Some(90_211.0)),
        (catalogue::GPU_NVLINKS_ACTIVE, "3", Some(18.0)),
    ] {
        assert_eq!(of(metric, instance), expected, "{metric:?} {instance}");
    }
}

#[test]
fn lies_are_refused_by_the_frame_and_never_clamped() {
    let mut machine = Machine::with("fault-lies");
    machine.poll().expect("answers");
    let sample = machine.poll().expect("answers");
    check(
        &readings(&sample, "0"),
        expect![[r#"
            0     gpu_temperature_slowdown_celsius = 92
            0     gpu_temperature_shutdown_celsius = 95
            0     gpu_clock_max_megahertz = 1980
            0     gpu_pcie_generation_max = 5
            0     gpu_pcie_width_max_lanes = 16
            0     gpu_utilization_percent = 300
            0     gpu_memory_utilization_percent = 4294967295
            0     gpu_memory_total_bytes = 0
            0     gpu_memory_used_bytes = 18446744073709552000
            0     gpu_temperature_celsius = 4294967040
            0     gpu_power_watts = 4294967.295
            0     gpu_clock_megahertz = 1935
            0     gpu_memory_clock_megahertz = 2619
            0     gpu_pcie_generation = 200
            0     gpu_pcie_width_lanes = 4000000
            0     gpu_temperature_margin_celsius = 29
            0     gpu_throttle_reasons_mask = 511
            0     gpu_pcie_replays_total = -5
            0     gpu_ecc_corrected_volatile_total = 0
            0     gpu_ecc_uncorrected_volatile_total = 0
            0     gpu_recovery_action = 4000
            0     gpu_pcie_transmit_bytes_per_second = 0
            0     gpu_pcie_receive_bytes_per_second = 0
            0     gpu_processes = 1
            0     gpu_power_limit_watts = 700
            0     gpu_ecc_corrected_aggregate_total = 3
            0     gpu_ecc_uncorrected_aggregate_total = 0
            0     gpu_remapped_rows_corrected_total = 0
            0     gpu_remapped_rows_uncorrected_total = 0
            0     gpu_row_remap_pending = 7
            0     gpu_row_remap_failed = 0
            0     gpu_temperature_margin_slowdown_celsius = -2
            0     gpu_ecc_sram_threshold_exceeded = 0
            0/0   nvlink_active = 1
            0/0   nvlink_replay_errors_total = 0
            0/0   nvlink_recovery_errors_total = 0
            0/0   nvlink_crc_errors_total = 0
            0/11  nvlink_active = 1
            0/11  nvlink_replay_errors_total = 0
            0/11  nvlink_recovery_errors_total = 0
            0/11  nvlink_crc_errors_total = 0
            0/17  nvlink_active = 1
            0/17  nvlink_replay_errors_total = 0
            0/17  nvlink_recovery_errors_total = 0
            0/17  nvlink_crc_errors_total = 0
            0     gpu_nvlinks = 18
            0     gpu_nvlinks_active = 18
        "#]],
    );
    check(
        &inventory(&sample),
        expect![[r#"
            0 H100?[2J?? evil GPU-a4c10000-5c1b-4d6e-9a30-0f2c7e6b0000 0000:1b:00.0 Answering
              ! performance state: the driver answered 7777, which NVML does not define
              ! field 82: NaN is no number
              ! field 83: inf is no number
            1  GPU-a4c10001-5c1b-4d6e-9a30-0f2c7e6b0001 0000:43:00.0 Answering
              ! name: could not interpret string as utf-8
            2 NVIDIA H100 80GB HBM3 GPU-a4c10002-5c1b-4d6e-9a30-0f2c7e6b0002 0000:52:00.0 Answering
            3 NVIDIA H100 80GB HBM3 GPU-a4c10003-5c1b-4d6e-9a30-0f2c7e6b0003 0000:61:00.0 Answering
            4 NVIDIA H100 80GB HBM3 GPU-a4c10004-5c1b-4d6e-9a30-0f2c7e6b0004 0000:9d:00.0 Answering
            5 NVIDIA H100 80GB HBM3 GPU-a4c10005-5c1b-4d6e-9a30-0f2c7e6b0005 0000:c3:00.0 Answering
            6 NVIDIA H100 80GB HBM3 GPU-a4c10006-5c1b-4d6e-9a30-0f2c7e6b0006 0000:d1:00.0 Answering
            7 NVIDIA H100 80GB HBM3 GPU-a4c10007-5c1b-4d6e-9a30-0f2c7e6b0007 0000:df:00.0 Answering
        "#]],
    );
    let mut frame = FrameBuilder::new();
    for reading in &sample.readings {
        frame.put_reading(reading);
    }
    let (frame, refused) = frame.finish(Timestamp::EPOCH);
    let kept = |metric, gpu: &str| frame.instances(metric).find(|(at, _)| *at == gpu);
    for metric in [
        catalogue::GPU_UTILIZATION,
        catalogue::GPU_TEMPERATURE,
        catalogue::GPU_POWER,
        catalogue::GPU_MEMORY_TEMPERATURE,
        catalogue::GPU_ENERGY,
        catalogue::GPU_RECOVERY_ACTION,
        catalogue::GPU_REMAP_PENDING,
        catalogue::GPU_PCIE_GENERATION,
        catalogue::GPU_PERFORMANCE_STATE,
    ] {
        assert_eq!(kept(metric, "0"), None, "{metric:?}");
        assert!(kept(metric, "2").is_some(), "{metric:?}");
    }
    assert!(refused >= 10, "{refused}");
}

#[test]
fn what_is_not_supported_is_silent() {
    let sample = Machine::with("fault-not-supported").poll().expect("answers");
    for gpu in sample.facts.gpus.as_deref().expect("listed") {
        assert_eq!(gpu.unreadable, Vec::<String>::new());
        assert!(!gpu.uuid.is_empty());
    }
}

#[test]
fn a_driver_that_does_not_know_the_number_of_links_is_not_at_fault() {
    let mut machine = Machine::with("h100x8");
    let unknown = serde_json::json!({"faults": [
        {"function": "nvmlDeviceGetFieldValues", "field": 91, "answer": "invalid_argument"},
    ]});
    machine.fake.patch(&fixture("h100x8"), unknown).expect("written");
    let sample = machine.poll().expect("answers");
    assert!(!sample.readings.iter().any(|one| one.metric == catalogue::GPU_NVLINKS));
    for gpu in sample.facts.gpus.expect("listed") {
        assert_eq!(gpu.unreadable, Vec::<String>::new());
    }
}
