//! The NVIDIA collector through the real `dlopen` path, against the fake NVML library: models that
//! are well.

#[path = "support/gpu_machine.rs"]
mod gpu_machine;

use expect_test::expect;
use gpu_machine::{Machine, check, inventory, readings};
use sickbay_model::catalogue;
use sickbay_sim_nvml::fixture;

#[test]
fn an_h100_tells_everything() {
    let mut machine = Machine::with("h100x8");
    let first = machine.poll().expect("answers");
    check(
        &readings(&first, "0"),
        expect![[r#"
            0     gpu_temperature_slowdown_celsius = 92
            0     gpu_temperature_shutdown_celsius = 95
            0     gpu_clock_max_megahertz = 1980
            0     gpu_pcie_generation_max = 5
            0     gpu_pcie_width_max_lanes = 16
            0     gpu_utilization_percent = 98
            0     gpu_memory_utilization_percent = 61
            0     gpu_memory_total_bytes = 85520809984
            0     gpu_memory_used_bytes = 75822530560
            0     gpu_memory_used_percent = 88.65974325335033
            0     gpu_temperature_celsius = 58
            0     gpu_power_watts = 612.43
            0     gpu_clock_megahertz = 1935
            0     gpu_memory_clock_megahertz = 2619
            0     gpu_performance_state = 0
            0     gpu_pcie_generation = 5
            0     gpu_pcie_width_lanes = 16
            0     gpu_temperature_margin_celsius = 29
            0     gpu_throttle_reasons_mask = 4
            0     gpu_memory_temperature_celsius = 64
            0     gpu_energy_joules_total = 9123456.789
            0     gpu_pcie_replays_total = 0
            0     gpu_ecc_corrected_volatile_total = 0
            0     gpu_ecc_uncorrected_volatile_total = 0
            0     gpu_recovery_action = 0
            0     gpu_processes = 1
            0     gpu_power_limit_watts = 700
            0     gpu_ecc_corrected_aggregate_total = 3
            0     gpu_ecc_uncorrected_aggregate_total = 0
            0     gpu_remapped_rows_corrected_total = 0
            0     gpu_remapped_rows_uncorrected_total = 0
            0     gpu_row_remap_pending = 0
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
        &inventory(&first),
        expect![[r#"
        0 NVIDIA H100 80GB HBM3 GPU-a4c10000-5c1b-4d6e-9a30-0f2c7e6b0000 0000:1b:00.0 Answering
        1 NVIDIA H100 80GB HBM3 GPU-a4c10001-5c1b-4d6e-9a30-0f2c7e6b0001 0000:43:00.0 Answering
        2 NVIDIA H100 80GB HBM3 GPU-a4c10002-5c1b-4d6e-9a30-0f2c7e6b0002 0000:52:00.0 Answering
        3 NVIDIA H100 80GB HBM3 GPU-a4c10003-5c1b-4d6e-9a30-0f2c7e6b0003 0000:61:00.0 Answering
        4 NVIDIA H100 80GB HBM3 GPU-a4c10004-5c1b-4d6e-9a30-0f2c7e6b0004 0000:9d:00.0 Answering
        5 NVIDIA H100 80GB HBM3 GPU-a4c10005-5c1b-4d6e-9a30-0f2c7e6b0005 0000:c3:00.0 Answering
        6 NVIDIA H100 80GB HBM3 GPU-a4c10006-5c1b-4d6e-9a30-0f2c7e6b0006 0000:d1:00.0 Answering
        7 NVIDIA H100 80GB HBM3 GPU-a4c10007-5c1b-4d6e-9a30-0f2c7e6b0007 0000:df:00.0 Answering
    "#]],
    );
    let gpu = first.facts.gpus.as_ref().and_then(|gpus| gpus.first()).expect("one");
    assert_eq!(
        (gpu.serial.as_str(), gpu.vbios_version.as_str(), gpu.driver_version.as_str()),
        ("1651323000000", "96.00.89.00.01", "550.54.15")
    );
    let processes = first.facts.gpu_processes.expect("listed");
    assert_eq!(processes.len(), 6);
    assert_eq!((processes[5].pid, processes[5].gpu), (41_006, 5));
}

#[test]
fn other_models_tell_what_they_have_and_are_silent_about_the_rest() {
    for (scenario, expected) in [
        (
            "a100x4",
            expect![[r#"
            0     gpu_temperature_slowdown_celsius = 89
            0     gpu_temperature_shutdown_celsius = 92
            0     gpu_clock_max_megahertz = 1410
            0     gpu_pcie_generation_max = 4
            0     gpu_pcie_width_max_lanes = 16
            0     gpu_utilization_percent = 87
            0     gpu_memory_utilization_percent = 44
            0     gpu_memory_total_bytes = 85899345920
            0     gpu_memory_used_bytes = 42163240960
            0     gpu_memory_used_percent = 49.08447265625
            0     gpu_temperature_celsius = 52
            0     gpu_power_watts = 311.02
            0     gpu_clock_megahertz = 1410
            0     gpu_memory_clock_megahertz = 1593
            0     gpu_performance_state = 0
            0     gpu_pcie_generation = 4
            0     gpu_pcie_width_lanes = 16
            0     gpu_throttle_reasons_mask = 0
            0     gpu_memory_temperature_celsius = 55
            0     gpu_energy_joules_total = 4711000
            0     gpu_pcie_replays_total = 0
            0     gpu_ecc_corrected_volatile_total = 0
            0     gpu_ecc_uncorrected_volatile_total = 0
            0     gpu_processes = 1
            0     gpu_power_limit_watts = 400
            0     gpu_ecc_corrected_aggregate_total = 0
            0     gpu_ecc_uncorrected_aggregate_total = 0
            0     gpu_remapped_rows_corrected_total = 1
            0     gpu_remapped_rows_uncorrected_total = 0
            0     gpu_row_remap_pending = 0
            0     gpu_row_remap_failed = 0
            0/0   nvlink_active = 1
            0/0   nvlink_replay_errors_total = 0
            0/0   nvlink_recovery_errors_total = 0
            0/0   nvlink_crc_errors_total = 0
            0/11  nvlink_active = 1
            0/11  nvlink_replay_errors_total = 0
            0/11  nvlink_recovery_errors_total = 0
            0/11  nvlink_crc_errors_total = 0
            0     gpu_nvlinks = 12
            0     gpu_nvlinks_active = 12
        "#]],
        ),
        (
            "rtx4090",
            expect![[r#"
                0     gpu_temperature_slowdown_celsius = 97
                0     gpu_temperature_shutdown_celsius = 100
                0     gpu_clock_max_megahertz = 3105
                0     gpu_pcie_generation_max = 4
                0     gpu_pcie_width_max_lanes = 16
                0     gpu_utilization_percent = 3
                0     gpu_memory_utilization_percent = 5
                0     gpu_memory_total_bytes = 25757220864
                0     gpu_memory_used_bytes = 1184890880
                0     gpu_memory_used_percent = 4.600227975899691
                0     gpu_temperature_celsius = 41
                0     gpu_power_watts = 27.41
                0     gpu_clock_megahertz = 210
                0     gpu_memory_clock_megahertz = 405
                0     gpu_performance_state = 8
                0     gpu_pcie_generation = 1
                0     gpu_pcie_width_lanes = 16
                0     gpu_temperature_margin_celsius = 43
                0     gpu_throttle_reasons_mask = 1
                0     gpu_fan_percent = 31
                0     gpu_energy_joules_total = 812345.678
                0     gpu_pcie_replays_total = 0
                0     gpu_recovery_action = 0
                0     gpu_processes = 0
                0     gpu_power_limit_watts = 450
                0     gpu_temperature_margin_slowdown_celsius = -2
            "#]],
        ),
        (
            "l4",
            expect![[r#"
            0     gpu_temperature_slowdown_celsius = 95
            0     gpu_temperature_shutdown_celsius = 98
            0     gpu_clock_max_megahertz = 2040
            0     gpu_pcie_generation_max = 4
            0     gpu_pcie_width_max_lanes = 16
            0     gpu_utilization_percent = 76
            0     gpu_memory_utilization_percent = 38
            0     gpu_memory_total_bytes = 24152899584
            0     gpu_memory_used_bytes = 19820183552
            0     gpu_memory_used_percent = 82.06130068594251
            0     gpu_temperature_celsius = 66
            0     gpu_power_watts = 68.11
            0     gpu_clock_megahertz = 1680
            0     gpu_memory_clock_megahertz = 6251
            0     gpu_performance_state = 0
            0     gpu_pcie_generation = 4
            0     gpu_pcie_width_lanes = 16
            0     gpu_temperature_margin_celsius = 21
            0     gpu_throttle_reasons_mask = 4
            0     gpu_energy_joules_total = 52345.678
            0     gpu_pcie_replays_total = 0
            0     gpu_ecc_corrected_volatile_total = 0
            0     gpu_ecc_uncorrected_volatile_total = 0
            0     gpu_recovery_action = 0
            0     gpu_processes = 1
            0     gpu_power_limit_watts = 72
            0     gpu_ecc_corrected_aggregate_total = 0
            0     gpu_ecc_uncorrected_aggregate_total = 0
            0     gpu_remapped_rows_corrected_total = 0
            0     gpu_remapped_rows_uncorrected_total = 0
            0     gpu_row_remap_pending = 0
            0     gpu_row_remap_failed = 0
            0     gpu_temperature_margin_slowdown_celsius = -2
        "#]],
        ),
        (
            "v100-pages",
            expect![[r#"
            0     gpu_temperature_slowdown_celsius = 89
            0     gpu_temperature_shutdown_celsius = 92
            0     gpu_clock_max_megahertz = 1410
            0     gpu_pcie_generation_max = 4
            0     gpu_pcie_width_max_lanes = 16
            0     gpu_utilization_percent = 87
            0     gpu_memory_utilization_percent = 44
            0     gpu_memory_total_bytes = 34359738368
            0     gpu_memory_used_bytes = 0
            0     gpu_memory_used_percent = 0
            0     gpu_temperature_celsius = 52
            0     gpu_power_watts = 311.02
            0     gpu_clock_megahertz = 1410
            0     gpu_memory_clock_megahertz = 1593
            0     gpu_performance_state = 0
            0     gpu_pcie_generation = 4
            0     gpu_pcie_width_lanes = 16
            0     gpu_throttle_reasons_mask = 0
            0     gpu_memory_temperature_celsius = 55
            0     gpu_energy_joules_total = 4711000
            0     gpu_pcie_replays_total = 0
            0     gpu_ecc_corrected_volatile_total = 0
            0     gpu_ecc_uncorrected_volatile_total = 0
            0     gpu_processes = 1
            0     gpu_power_limit_watts = 400
            0     gpu_ecc_corrected_aggregate_total = 0
            0     gpu_ecc_uncorrected_aggregate_total = 0
            0     gpu_retired_pages_total = 3
            0/0   nvlink_active = 1
            0/0   nvlink_replay_errors_total = 0
            0/0   nvlink_recovery_errors_total = 0
            0/0   nvlink_crc_errors_total = 0
            0/11  nvlink_active = 1
            0/11  nvlink_replay_errors_total = 0
            0/11  nvlink_recovery_errors_total = 0
            0/11  nvlink_crc_errors_total = 0
            0     gpu_nvlinks = 12
            0     gpu_nvlinks_active = 12
        "#]],
        ),
    ] {
        let sample = Machine::with(scenario).poll().expect(scenario);
        check(&readings(&sample, "0"), expected);
        for gpu in sample.facts.gpus.expect("listed") {
            assert_eq!(gpu.unreadable, Vec::<String>::new(), "{scenario}");
        }
    }
}

#[test]
fn every_gpu_metric_of_the_catalogue_is_read_by_some_model() {
    let mut seen = std::collections::BTreeSet::new();
    for scenario in ["h100x8", "a100x4", "rtx4090", "v100-pages"] {
        let mut machine = Machine::with(scenario);
        for _ in 0..2 {
            let sample = machine.poll().expect(scenario);
            seen.extend(sample.readings.iter().map(|reading| reading.metric));
        }
    }
    let unread: Vec<_> = catalogue::ALL
        .iter()
        .filter(|def| (200..260).contains(&def.id.0) && !seen.contains(&def.id))
        .map(|def| def.name)
        .collect();
    assert_eq!(unread, Vec::<&str>::new());
}

#[test]
fn processes_in_mig_devices_are_found_without_privileges() {
    let mut machine = Machine::with("mig");
    let sample = machine.poll().expect("answers");
    let found: Vec<_> = sample
        .facts
        .gpu_processes
        .as_deref()
        .unwrap_or_default()
        .iter()
        .map(|process| (process.gpu, process.pid, process.memory_bytes.is_some()))
        .collect();
    assert_eq!(
        found,
        [(0, 42_001, true), (0, 42_002, true), (0, 42_003, false), (1, 41_002, true)]
    );
    check(
        &inventory(&sample),
        expect![[r#"
        0 NVIDIA H100 80GB HBM3 GPU-a4c10000-5c1b-4d6e-9a30-0f2c7e6b0000 0000:1b:00.0 Answering MIG
        1 NVIDIA H100 80GB HBM3 GPU-a4c10001-5c1b-4d6e-9a30-0f2c7e6b0001 0000:43:00.0 Answering
    "#]],
    );
}

#[test]
fn byte_counters_become_rates() {
    let mut machine = Machine::with("h100x8");
    machine.poll().expect("answers");
    machine
        .fake
        .patch(
            &fixture("h100x8"),
            serde_json::json!({"gpus": {
                "0": {"fields": {"197": 734_003_200_000_u64 + 5_000_000}},
                "1": {"fields": {"197": 7}},
            }}),
        )
        .expect("written");
    let sample = machine.poll().expect("answers");
    let rate = |gpu: &str| {
        let mut found = sample.readings.iter().filter(|one| &*one.instance == gpu);
        found.find(|one| one.metric == catalogue::GPU_PCIE_TRANSMIT).map(|one| one.value)
    };
    assert_eq!(rate("0"), Some(1_000_000.0));
    // The counter went back: the driver was reloaded or it wrapped.
    assert_eq!(rate("1"), None);
    assert_eq!(rate("2"), Some(0.0));
}

#[test]
fn what_is_seldom_news_is_asked_every_30_seconds_and_repeated_in_between() {
    let mut machine = Machine::with("h100x8");
    machine.poll().expect("answers");
    let changed = serde_json::json!({"gpus": {"0": {"power_limit_milliwatts": 500_000}}});
    machine.fake.patch(&fixture("h100x8"), changed).expect("written");
    let mut limits = Vec::new();
    for _ in 0..7 {
        let sample = machine.poll().expect("answers");
        let of_first = |one: &&sickbay_model::Reading| {
            &*one.instance == "0" && one.metric == catalogue::GPU_POWER_LIMIT
        };
        limits.push(sample.readings.iter().find(of_first).map(|one| one.value));
    }
    let old = Some(700.0);
    assert_eq!(limits, [old, old, old, old, old, Some(500.0), Some(500.0)]);
}

#[test]
fn switching_mig_learns_the_gpu_afresh() {
    let mut machine = Machine::with("mig");
    machine.poll().expect("answers");
    let off = serde_json::json!({
        "gpus": {"0": {"mig_enabled": false, "mig_devices": []}},
        "faults": [],
    });
    machine.fake.patch(&fixture("mig"), off).expect("written");
    let mut last = None;
    for _ in 0..8 {
        last = Some(machine.poll().expect("answers"));
    }
    let sample = last.expect("polled");
    assert!(!sample.facts.gpus.expect("listed")[0].mig_enabled);
    // Utilisation was not supported under MIG, and is now.
    let is_utilization = |one: &&sickbay_model::Reading| {
        &*one.instance == "0" && one.metric == catalogue::GPU_UTILIZATION
    };
    assert!(sample.readings.iter().any(|one| is_utilization(&one)));
}
