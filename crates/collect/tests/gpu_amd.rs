//! The AMD collector over trees in the form of real machines' sysfs.
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect;
use sickbay_collect::gpu::{AMD_INDEX_BASE_MIXED, AmdCollector};
use sickbay_collect::local::LocalCollector as _;
use sickbay_collect::{Fetched, Roots, Sample};
use sickbay_model::{FrameBuilder, GpuCondition, ProbeErrorKind, Timestamp, catalogue};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gpu/amd").join(name)
}

fn collect(collector: &mut AmdCollector, root: &Path) -> Sample {
    let mut sample = Sample::default();
    collector.collect(&Roots::under(root), Duration::from_secs(100), &mut sample).expect("answers");
    sample
}

/// Copies a tree, so that a test can change it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("copied");
        }
    }
}

fn describe(sample: &Sample) -> String {
    let mut text = String::new();
    for gpu in sample.facts.gpus.as_deref().unwrap_or_default() {
        let _ = writeln!(
            text,
            "{} {} | {} | {} | {} | {} | {} | {:?} {:?}",
            gpu.index,
            gpu.model,
            gpu.uuid,
            gpu.serial,
            gpu.vbios_version,
            gpu.pci_address,
            gpu.driver_version,
            gpu.condition,
            gpu.unreadable,
        );
        for reading in &sample.readings {
            if *reading.instance == *gpu.index.to_string() {
                let name = catalogue::find(reading.metric).map_or("?", |def| def.name);
                let _ = writeln!(text, "  {name} = {}", reading.value);
            }
        }
    }
    text
}

/// Puts a tree's files among the copies, at the paths that they would have on their machine.
fn fetch(from: &Path, at: &Path, to: &mut Fetched) {
    for entry in std::fs::read_dir(from).expect("listed").flatten() {
        let (from, at) = (entry.path(), at.join(entry.file_name()));
        if from.is_dir() {
            fetch(&from, &at, to);
        } else {
            let content = std::fs::read(&from).expect("read");
            to.put(at.as_os_str().as_encoded_bytes(), &content);
        }
    }
}

#[test]
fn copies_of_their_files_say_the_same() {
    for name in ["absurd", "apu", "mi210", "mi300x", "rx7900xtx"] {
        let mut fetched = Fetched::new();
        fetch(&fixture(name), Path::new("/"), &mut fetched);
        let mut sample = Sample::default();
        let roots = Roots::fetched(fetched);
        let mut collector = AmdCollector::default();
        collector.collect(&roots, Duration::from_secs(100), &mut sample).expect("answers");
        let here = collect(&mut AmdCollector::default(), &fixture(name));
        assert!(!sample.readings.is_empty(), "{name}");
        assert_eq!(describe(&sample), describe(&here), "{name}");
    }
}

#[test]
fn real_forms_are_read() {
    for (name, expected) in [
        (
            "mi300x",
            expect![[r#"
            0 AMD Instinct MI300X OAM | GPU-9f2a7c51e03b4d10 | 692341000000 | 113-M3000100-102 | 0000:05:00.0 | 6.10.5 | Answering []
              gpu_utilization_percent = 97
              gpu_memory_utilization_percent = 34
              gpu_memory_total_bytes = 206141652992
              gpu_memory_used_bytes = 171798691840
              gpu_memory_used_percent = 83.34011556930089
              gpu_temperature_celsius = 71
              gpu_temperature_slowdown_celsius = 100
              gpu_temperature_shutdown_celsius = 105
              gpu_memory_temperature_celsius = 62
              gpu_power_watts = 698
              gpu_power_limit_watts = 750
              gpu_clock_megahertz = 2100
              gpu_clock_max_megahertz = 2100
              gpu_memory_clock_megahertz = 1300
              gpu_pcie_generation = 5
              gpu_pcie_generation_max = 5
              gpu_pcie_width_lanes = 16
              gpu_pcie_width_max_lanes = 16
              gpu_pcie_replays_total = 0
              gpu_ecc_uncorrected_volatile_total = 0
              gpu_ecc_corrected_volatile_total = 0
            1 AMD Instinct MI300X OAM | GPU-9f2a7c51e03b4d11 | 692341000001 | 113-M3000100-102 | 0000:26:00.0 | 6.10.5 | Answering []
              gpu_utilization_percent = 97
              gpu_memory_utilization_percent = 34
              gpu_memory_total_bytes = 206141652992
              gpu_memory_used_bytes = 171798691840
              gpu_memory_used_percent = 83.34011556930089
              gpu_temperature_celsius = 71
              gpu_temperature_slowdown_celsius = 100
              gpu_temperature_shutdown_celsius = 105
              gpu_memory_temperature_celsius = 62
              gpu_power_watts = 698
              gpu_power_limit_watts = 750
              gpu_clock_megahertz = 2100
              gpu_clock_max_megahertz = 2100
              gpu_memory_clock_megahertz = 1300
              gpu_pcie_generation = 5
              gpu_pcie_generation_max = 5
              gpu_pcie_width_lanes = 16
              gpu_pcie_width_max_lanes = 16
              gpu_pcie_replays_total = 0
              gpu_ecc_uncorrected_volatile_total = 0
              gpu_ecc_corrected_volatile_total = 3
        "#]],
        ),
        (
            "mi210",
            expect![[r#"
            0 Instinct MI210 | GPU-2ab3c9d4e5f60718 | 692221000011 | 113-D67301-059 | 0000:63:00.0 |  | Answering []
              gpu_utilization_percent = 0
              gpu_memory_utilization_percent = 0
              gpu_memory_total_bytes = 68702699520
              gpu_memory_used_bytes = 11100160
              gpu_memory_used_percent = 0.016156803266178264
              gpu_temperature_celsius = 41
              gpu_temperature_slowdown_celsius = 100
              gpu_temperature_shutdown_celsius = 105
              gpu_memory_temperature_celsius = 44
              gpu_power_watts = 39
              gpu_power_limit_watts = 300
              gpu_energy_joules_total = 81234.56789
              gpu_clock_megahertz = 800
              gpu_clock_max_megahertz = 1700
              gpu_memory_clock_megahertz = 400
              gpu_pcie_generation = 4
              gpu_pcie_generation_max = 4
              gpu_pcie_width_lanes = 8
              gpu_pcie_width_max_lanes = 16
              gpu_pcie_replays_total = 12
              gpu_ecc_uncorrected_volatile_total = 1
              gpu_ecc_corrected_volatile_total = 204
        "#]],
        ),
        (
            "rx7900xtx",
            expect![[r#"
            0 AMD GPU 0x744c |  |  | 113-D7020100-102 | 0000:03:00.0 |  | Answering []
              gpu_utilization_percent = 12
              gpu_memory_utilization_percent = 3
              gpu_memory_total_bytes = 25753026560
              gpu_memory_used_bytes = 2147483648
              gpu_memory_used_percent = 8.338762214983714
              gpu_temperature_celsius = 52
              gpu_temperature_slowdown_celsius = 110
              gpu_temperature_shutdown_celsius = 115
              gpu_memory_temperature_celsius = 62
              gpu_power_watts = 58
              gpu_power_limit_watts = 303
              gpu_fan_percent = 22.484848484848484
              gpu_clock_megahertz = 19
              gpu_clock_max_megahertz = 3220
              gpu_memory_clock_megahertz = 96
              gpu_pcie_generation = 4
              gpu_pcie_generation_max = 4
              gpu_pcie_width_lanes = 16
              gpu_pcie_width_max_lanes = 16
        "#]],
        ),
        (
            "apu",
            expect![[r#"
            0 AMD GPU 0x15bf |  |  | 113-PHXGENERIC-001 | 0000:c4:00.0 |  | Answering []
              gpu_utilization_percent = 4
              gpu_memory_total_bytes = 536870912
              gpu_memory_used_bytes = 201326592
              gpu_memory_used_percent = 37.5
              gpu_temperature_celsius = 48
              gpu_power_watts = 9.035
              gpu_clock_megahertz = 800
              gpu_clock_max_megahertz = 2700
              gpu_memory_clock_megahertz = 1000
              gpu_pcie_generation = 4
              gpu_pcie_generation_max = 4
              gpu_pcie_width_lanes = 16
              gpu_pcie_width_max_lanes = 16
        "#]],
        ),
        (
            "absurd",
            expect![[r#"
            0 ?[31mevil? |  |  |  | 0000:03:00.0 |  | Answering []
              gpu_utilization_percent = 300
              gpu_memory_utilization_percent = -5
              gpu_memory_total_bytes = 0
              gpu_temperature_celsius = 999999999.999
              gpu_power_watts = -0.000001
              gpu_memory_clock_megahertz = 99999999999
              gpu_pcie_width_lanes = 255
              gpu_ecc_uncorrected_volatile_total = 18446744073709552000
        "#]],
        ),
    ] {
        let sample = collect(&mut AmdCollector::default(), &fixture(name));
        expected.assert_eq(&describe(&sample));
    }
}

#[test]
fn absurd_values_are_refused_by_the_frame_and_never_clamped() {
    let sample = collect(&mut AmdCollector::default(), &fixture("absurd"));
    let mut builder = FrameBuilder::new();
    for reading in &sample.readings {
        builder.put_reading(reading);
    }
    let (frame, refused) = builder.finish(Timestamp::EPOCH);
    assert!(refused >= 5, "{refused}");
    for metric in [catalogue::GPU_UTILIZATION, catalogue::GPU_TEMPERATURE, catalogue::GPU_POWER] {
        assert_eq!(frame.instances(metric).count(), 0, "{metric:?}");
    }
}

#[test]
fn a_file_that_fails_stops_no_other() {
    let tree = tempfile::tempdir().expect("a directory");
    copy(&fixture("mi210"), tree.path());
    let device = tree.path().join("sys/class/drm/card0/device");
    // Reading a directory fails with EISDIR, for root too; it stands for EIO.
    std::fs::remove_file(device.join("gpu_busy_percent")).expect("removed");
    std::fs::create_dir(device.join("gpu_busy_percent")).expect("made");
    std::fs::remove_file(device.join("hwmon/hwmon5/power1_average")).expect("removed");
    let sample = collect(&mut AmdCollector::default(), tree.path());
    let has = |metric| sample.readings.iter().any(|reading| reading.metric == metric);
    assert!(!has(catalogue::GPU_UTILIZATION) && !has(catalogue::GPU_POWER));
    assert!(has(catalogue::GPU_TEMPERATURE) && has(catalogue::GPU_ECC_CORRECTED_VOLATILE));
    let gpus = sample.facts.gpus.expect("listed");
    assert_eq!(gpus[0].unreadable.len(), 1, "{:?}", gpus[0].unreadable);
    assert!(gpus[0].unreadable[0].starts_with("gpu_busy_percent: "));
}

#[test]
fn a_card_that_goes_is_told_and_one_that_sleeps_is_let_sleep() {
    let tree = tempfile::tempdir().expect("a directory");
    copy(&fixture("mi300x"), tree.path());
    let mut collector = AmdCollector::default();
    collect(&mut collector, tree.path());
    let drm = tree.path().join("sys/class/drm");

    std::fs::create_dir(drm.join("card1/device/power")).expect("made");
    std::fs::write(drm.join("card1/device/power/runtime_status"), "suspended\n").expect("written");
    let sample = collect(&mut collector, tree.path());
    let gpus = sample.facts.gpus.as_ref().expect("listed");
    assert_eq!(gpus[0].condition, GpuCondition::Answering);
    assert!(!sample.readings.iter().any(|reading| &*reading.instance == "0"));

    std::fs::remove_dir_all(drm.join("card1")).expect("removed");
    let sample = collect(&mut collector, tree.path());
    let gpus = sample.facts.gpus.as_ref().expect("listed");
    let seen: Vec<_> =
        gpus.iter().map(|gpu| (gpu.index, gpu.pci_address.as_str(), gpu.condition)).collect();
    assert_eq!(
        seen,
        [(0, "0000:26:00.0", GpuCondition::Answering), (1, "0000:05:00.0", GpuCondition::Missing)]
    );
}

#[test]
fn beside_nvidia_the_numbers_do_not_collide_and_do_not_move() {
    let tree = tempfile::tempdir().expect("a directory");
    copy(&fixture("mi300x"), tree.path());
    let nvidia = tree.path().join("sys/bus/pci/devices/0000:01:00.0");
    std::fs::create_dir_all(&nvidia).expect("made");
    std::fs::write(nvidia.join("vendor"), "0x10de\n").expect("written");
    std::fs::write(nvidia.join("class"), "0x030000\n").expect("written");
    let mut collector = AmdCollector::default();
    for _ in 0..2 {
        let sample = collect(&mut collector, tree.path());
        let indices: Vec<_> =
            sample.facts.gpus.expect("listed").iter().map(|gpu| gpu.index).collect();
        assert_eq!(indices, [AMD_INDEX_BASE_MIXED, AMD_INDEX_BASE_MIXED + 1]);
        // The NVIDIA card falls off the bus: the numbers stay.
        let _ = std::fs::remove_dir_all(&nvidia);
    }
}

#[test]
fn without_hardware_not_applicable_and_without_a_driver_a_failure() {
    let tree = tempfile::tempdir().expect("a directory");
    let roots = Roots::under(tree.path());
    let mut sample = Sample::default();
    AmdCollector::default().collect(&roots, Duration::ZERO, &mut sample).expect("nothing to ask");
    assert_eq!(sample.not_applicable.as_deref(), Some("this machine has no AMD GPU"));

    let device = tree.path().join("sys/bus/pci/devices/0000:03:00.0");
    std::fs::create_dir_all(&device).expect("made");
    std::fs::write(device.join("vendor"), "0x1002\n").expect("written");
    std::fs::write(device.join("class"), "0x038000\n").expect("written");
    let error = AmdCollector::default()
        .collect(&roots, Duration::ZERO, &mut Sample::default())
        .expect_err("no driver");
    assert_eq!(error.kind, ProbeErrorKind::Absent);
    assert!(error.advice.expect("advice").0.contains("modprobe amdgpu"));
    // Held by a virtual machine: not ours.
    symlink("../../drivers/vfio-pci", device.join("driver")).expect("linked");
    let mut sample = Sample::default();
    AmdCollector::default().collect(&roots, Duration::ZERO, &mut sample).expect("not ours");
    assert!(sample.not_applicable.is_some());
}

#[test]
fn a_card_of_which_nothing_can_be_read_is_lost() {
    let tree = tempfile::tempdir().expect("a directory");
    copy(&fixture("apu"), tree.path());
    let mut collector = AmdCollector::default();
    collect(&mut collector, tree.path());
    let device = tree.path().join("sys/class/drm/card1/device");
    for entry in std::fs::read_dir(&device).expect("listed").flatten() {
        let path = entry.path();
        let keep = path.ends_with("vendor") || path.ends_with("uevent");
        if path.is_file() && !keep {
            std::fs::remove_file(&path).expect("removed");
            std::fs::create_dir(&path).expect("made");
        }
    }
    std::fs::set_permissions(&device, std::fs::Permissions::from_mode(0o755)).expect("set");
    std::fs::remove_dir_all(device.join("hwmon")).expect("removed");
    let sample = collect(&mut collector, tree.path());
    let gpus = sample.facts.gpus.expect("listed");
    assert_eq!((gpus.len(), gpus[0].condition), (1, GpuCondition::Lost));
    assert_eq!(gpus[0].pci_address, "0000:c4:00.0");
}
