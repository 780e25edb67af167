//! Links, errors that grow, reboots, and parts that were there before.

use sickbay_engine::{Assessment, NodeMemory};
use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, ProbeOutcome, Status, probe};

use crate::node::Node;
use crate::scenarios::{Story, find};

const RATE: f64 = 5e10;

pub(crate) fn with_ports(count: u32) -> Story {
    let mut node = Node::well(0);
    node.set(metric::MEMORY_TOTAL, 2e12);
    for number in 0..count {
        let name = format!("mlx5_{number}/1");
        for (metric, value) in [
            (metric::INFINIBAND_STATE, 4.0),
            (metric::INFINIBAND_PHYSICAL_STATE, 5.0),
            (metric::INFINIBAND_RATE, RATE),
            (metric::INFINIBAND_PEERS_RATE, RATE),
            (metric::INFINIBAND_LINK_DOWNED, 4.0),
            (metric::INFINIBAND_SYMBOL_ERRORS, 40.0),
            (metric::INFINIBAND_BUFFER_OVERRUNS, 0.0),
            (metric::INFINIBAND_INTEGRITY_ERRORS, 0.0),
            (metric::INFINIBAND_RETRIES_EXCEEDED, 0.0),
            (metric::INFINIBAND_ACK_TIMEOUTS, 7.0),
        ] {
            node.set_of(metric, &name, value);
        }
    }
    Story::of(node)
}

pub(crate) fn port(story: &mut Story, name: &str, active: bool) {
    let (state, physical) = if active { (4.0, 5.0) } else { (1.0, 2.0) };
    story.node.set_of(metric::INFINIBAND_STATE, name, state);
    story.node.set_of(metric::INFINIBAND_PHYSICAL_STATE, name, physical);
}

pub(crate) fn add(story: &mut Story, metric: MetricId, name: &str, by: f64) {
    let before = story.node.readings.get(&(metric, name.to_owned())).copied().unwrap_or(0.0);
    story.node.set_of(metric, name, before + by);
}

/// The confirmed status of a check; healthy where it is not asked.
fn confirmed(verdict: &Assessment, check: &str, instance: &str) -> Status {
    find(verdict, check, instance).filter(|it| it.hard).map_or(Status::Healthy, |it| it.status)
}

pub(crate) fn reboot(story: &mut Story, id: &str, uptime: f64) {
    story.node.inventory.host.boot_id = id.to_owned();
    story.node.set(metric::UPTIME, uptime);
}

#[test]
fn a_port_that_was_active_and_is_down_is_degraded_then_critical() {
    let mut story = with_ports(2);
    story.steps(3);
    port(&mut story, "mlx5_1/1", false);
    let link = |verdict: &Assessment| confirmed(verdict, "infiniband_link", "mlx5_1/1");
    assert_eq!(link(&story.step()), Status::Healthy, "one look proves nothing");
    assert_eq!(link(&story.minutes(1)), Status::Degraded);
    let verdict = story.minutes(4);
    assert_eq!(link(&verdict), Status::Critical);
    assert_eq!(confirmed(&verdict, "infiniband_link", "mlx5_0/1"), Status::Healthy);
    port(&mut story, "mlx5_1/1", true);
    assert_eq!(link(&story.steps(5)), Status::Healthy);
}

#[test]
fn a_port_that_was_never_active_is_no_fault() {
    let mut story = with_ports(2);
    port(&mut story, "mlx5_1/1", false);
    assert!(story.minutes(20).findings().next().is_none());
}

#[test]
fn three_flaps_in_twelve_hours_are_degraded() {
    let mut story = with_ports(1);
    story.steps(3);
    for (seconds, flaps) in [(10, 0), (40, 1), (40, 2), (40, 3)] {
        port(&mut story, "mlx5_0/1", false);
        story.steps(seconds / 5);
        port(&mut story, "mlx5_0/1", true);
        let verdict = story.minutes(5);
        let expected = if flaps >= 3 { Status::Degraded } else { Status::Healthy };
        assert_eq!(confirmed(&verdict, "infiniband_link", "mlx5_0/1"), expected, "{flaps}");
    }
    assert_eq!(
        confirmed(&story.minutes(13 * 60), "infiniband_link", "mlx5_0/1"),
        Status::Healthy,
        "it is long ago"
    );
}

#[test]
fn counters_of_a_port_are_judged_by_their_growth() {
    type Change = fn(&mut Story, usize);
    let rows: &[(&str, Change, Status)] = &[
        ("old counts", |_, _| (), Status::Healthy),
        (
            "cleared",
            |story, step| {
                if step == 3 {
                    story.node.set_of(metric::INFINIBAND_LINK_DOWNED, "mlx5_0/1", 0.0);
                }
            },
            Status::Healthy,
        ),
        (
            "lost its link once",
            |story, step| {
                if step == 3 {
                    add(story, metric::INFINIBAND_LINK_DOWNED, "mlx5_0/1", 1.0);
                }
            },
            Status::Unhealthy,
        ),
        (
            "overruns",
            |story, _| {
                add(story, metric::INFINIBAND_BUFFER_OVERRUNS, "mlx5_0/1", 1.0);
            },
            Status::Unhealthy,
        ),
        (
            "few symbol errors",
            |story, step| {
                if step % 20 == 0 {
                    add(story, metric::INFINIBAND_SYMBOL_ERRORS, "mlx5_0/1", 1.0);
                }
            },
            Status::Healthy,
        ),
        (
            "one burst of symbol errors",
            |story, step| {
                if step == 3 {
                    add(story, metric::INFINIBAND_SYMBOL_ERRORS, "mlx5_0/1", 5000.0);
                }
            },
            Status::Healthy,
        ),
        (
            "many symbol errors",
            |story, _| {
                add(story, metric::INFINIBAND_SYMBOL_ERRORS, "mlx5_0/1", 50.0);
            },
            Status::Degraded,
        ),
        (
            "acknowledge timeouts",
            |story, _| {
                add(story, metric::INFINIBAND_ACK_TIMEOUTS, "mlx5_0/1", 50.0);
            },
            Status::Healthy,
        ),
        (
            "counts of the first minutes after a boot",
            |story, step| match step {
                2 => {
                    reboot(story, "b1", 30.0);
                    story.node.set_of(metric::INFINIBAND_LINK_DOWNED, "mlx5_0/1", 0.0);
                }
                4 => add(story, metric::INFINIBAND_LINK_DOWNED, "mlx5_0/1", 1.0),
                5 => {
                    story.node.set(metric::UPTIME, 300.0);
                }
                _ => (),
            },
            Status::Healthy,
        ),
    ];
    for (what, change, expected) in rows {
        let mut story = with_ports(1);
        let mut worst = Status::Healthy;
        for step in 0..60 {
            change(&mut story, step);
            let now = confirmed(&story.step(), "infiniband_errors", "mlx5_0/1");
            if now.severity() > worst.severity() {
                worst = now;
            }
        }
        assert_eq!(worst, *expected, "{what}");
    }
}

#[test]
fn a_port_slower_than_its_peers_is_degraded() {
    let mut story = with_ports(3);
    story.node.set_of(metric::INFINIBAND_RATE, "mlx5_2/1", RATE / 2.0);
    let verdict = story.steps(4);
    assert_eq!(confirmed(&verdict, "infiniband_rate", "mlx5_2/1"), Status::Degraded);
    assert_eq!(confirmed(&verdict, "infiniband_rate", "mlx5_0/1"), Status::Healthy);
    port(&mut story, "mlx5_2/1", false);
    let verdict = story.step();
    assert_eq!(confirmed(&verdict, "infiniband_rate", "mlx5_2/1"), Status::Healthy, "it is down");
}

fn lose(story: &mut Story, name: &str) {
    story
        .node
        .readings
        .retain(|(metric, instance), _| !(120..140).contains(&metric.0) || instance != name);
}

#[test]
fn an_adapter_that_was_there_is_missed_but_not_while_a_boot_settles() {
    let mut story = with_ports(2);
    story.steps(3);
    lose(&mut story, "mlx5_1/1");
    reboot(&mut story, "b1", 60.0);
    let gone = |verdict: &Assessment| confirmed(verdict, "hardware_changed", "mlx5_1");
    assert_eq!(gone(&story.step()), Status::Healthy);
    story.node.set(metric::UPTIME, 200.0);
    assert_eq!(gone(&story.step()), Status::Critical);
    // Also when all are gone, and across a restart of the monitor.
    lose(&mut story, "mlx5_0/1");
    story.node.probes.insert(probe::INFINIBAND, ProbeOutcome::NotApplicable("none".into()));
    let stored = serde_json::to_string(&story.memory).expect("serialises");
    story.memory = serde_json::from_str(&stored).expect("reads");
    let verdict = story.step();
    assert_eq!(gone(&verdict), Status::Critical);
    assert_eq!(confirmed(&verdict, "hardware_changed", "mlx5_0"), Status::Critical);
    story.memory.forget(Some("hardware_changed"), None);
    assert_eq!(gone(&story.step()), Status::Healthy, "it was taken out on purpose");
}

#[test]
fn a_boot_is_a_finding_for_a_while_and_three_are_a_loop() {
    let mut story = with_ports(0);
    let status = |verdict: &Assessment| confirmed(verdict, "reboots", "");
    assert_eq!(status(&story.steps(3)), Status::Healthy, "the first look knows no other boot");
    reboot(&mut story, "b1", 30.0);
    assert_eq!(status(&story.step()), Status::Degraded);
    assert_eq!(status(&story.minutes(11)), Status::Healthy);
    reboot(&mut story, "b2", 30.0);
    assert_eq!(status(&story.minutes(11)), Status::Healthy);
    reboot(&mut story, "b3", 30.0);
    assert_eq!(status(&story.step()), Status::Unhealthy);
    assert_eq!(status(&story.minutes(70)), Status::Healthy);
}

#[test]
fn less_memory_after_a_boot_than_before_is_missed() {
    let mut story = with_ports(0);
    story.steps(3);
    let memory = |verdict: &Assessment| confirmed(verdict, "hardware_changed", "memory");
    story.node.set(metric::MEMORY_TOTAL, 1.5e12);
    assert_eq!(memory(&story.step()), Status::Healthy, "taken away while it ran");
    reboot(&mut story, "b1", 30.0);
    assert_eq!(memory(&story.step()), Status::Healthy, "no less than before the boot");
    story.node.set(metric::MEMORY_TOTAL, 1e12);
    reboot(&mut story, "b2", 30.0);
    assert_eq!(memory(&story.step()), Status::Degraded);
    story.node.set(metric::MEMORY_TOTAL, 1.5e12);
    reboot(&mut story, "b3", 30.0);
    assert_eq!(memory(&story.steps(3)), Status::Healthy);
    "vmware".clone_into(&mut story.node.inventory.host.virtualization);
    story.node.set(metric::MEMORY_TOTAL, 1e12);
    reboot(&mut story, "b4", 30.0);
    assert_eq!(memory(&story.steps(3)), Status::Healthy, "a virtual machine was made smaller");
}

#[test]
fn errors_of_a_card_that_are_normal_one_by_one_are_judged_by_their_number() {
    let rows = [
        (metric::GPU_ECC_CORRECTED_VOLATILE, "0", 30.0, "gpu_ecc_corrected", Status::Degraded),
        (metric::GPU_ECC_CORRECTED_VOLATILE, "0", 0.1, "gpu_ecc_corrected", Status::Healthy),
        (metric::NVLINK_CRC_ERRORS, "0/7", 100.0, "gpu_nvlink_errors", Status::Degraded),
        (metric::NVLINK_CRC_ERRORS, "0/7", 0.1, "gpu_nvlink_errors", Status::Healthy),
        (metric::GPU_PCIE_REPLAYS, "0", 200.0, "gpu_pcie_replay", Status::Degraded),
        (metric::GPU_PCIE_REPLAYS, "0", 0.05, "gpu_pcie_replay", Status::Healthy),
        (metric::MEMORY_ERRORS_CORRECTED, "", 100.0, "memory_errors", Status::Degraded),
        (metric::MEMORY_ERRORS_CORRECTED, "", 0.1, "memory_errors", Status::Healthy),
    ];
    for (counter, instance, by, check, expected) in rows {
        let mut story = Story::of(Node::well(1));
        story.node.set_of(counter, instance, 412.0);
        story.step();
        for _ in 0..36 {
            add(&mut story, counter, instance, by);
            story.step();
        }
        let verdict = story.step();
        let name = if check == "memory_errors" { "" } else { "0" };
        assert_eq!(confirmed(&verdict, check, name), expected, "{check} by {by}");
    }
}

#[test]
fn a_slow_pcie_link_is_judged_only_under_load() {
    let mut story = Story::of(Node::well(1));
    story.node.set_of(metric::GPU_PCIE_GENERATION, "0", 1.0);
    let verdict = story.steps(5);
    assert_eq!(confirmed(&verdict, "gpu_pcie_generation", "0"), Status::Healthy, "idle");
    story.node.job(true).set_of(metric::GPU_UTILIZATION, "0", 97.0);
    let verdict = story.minutes(1);
    assert_eq!(confirmed(&verdict, "gpu_pcie_generation", "0"), Status::Healthy, "a burst");
    let verdict = story.minutes(2);
    assert_eq!(confirmed(&verdict, "gpu_pcie_generation", "0"), Status::Degraded);
}

#[test]
fn a_gpu_that_is_slowed_down_most_of_the_time_is_unhealthy() {
    let mut story = Story::of(Node::well(2));
    let throttle = |verdict: &Assessment| confirmed(verdict, "gpu_throttle", "1");
    let slowed = |story: &mut Story, reasons: f64| {
        story.node.set_of(metric::GPU_THROTTLE_REASONS, "1", reasons);
        story.minutes(1)
    };
    for minute in 0..4 {
        assert_eq!(throttle(&slowed(&mut story, 64.0)), Status::Degraded, "{minute}");
    }
    // Not just now, but in six of ten minutes.
    assert_eq!(throttle(&slowed(&mut story, 4.0)), Status::Healthy);
    let verdict = slowed(&mut story, 128.0);
    assert_eq!(throttle(&verdict), Status::Unhealthy);
    let says = find(&verdict, "gpu_throttle", "1").expect("a finding").message.clone();
    let expected =
        "GPU 1 was slowed down by the power supply (power brake) in 7 of the last 10 minutes";
    assert_eq!(says, expected);
    assert_eq!(throttle(&slowed(&mut story, 4.0)), Status::Unhealthy);
    // The power cap is what a card works under.
    for _ in 0..5 {
        slowed(&mut story, 4.0);
    }
    assert_eq!(throttle(&slowed(&mut story, 4.0)), Status::Healthy);
    assert_eq!(confirmed(&story.step(), "gpu_throttle", "0"), Status::Healthy);
}

#[test]
fn a_memory_of_before_there_was_all_this_is_read() {
    let old = r#"{"assessments": 7, "facts": {"oom_kills": 2.0}, "verdict": {"boot_id": "b0"}}"#;
    let memory: NodeMemory = serde_json::from_str(old).expect("reads");
    assert_eq!(memory.assessments(), 7);
}

const NIC: &str = "0000:17:00.0";

fn with_pcie() -> Story {
    let mut node = Node::well(1);
    node.inventory.gpus[0].pci_address = "0000:18:00.0".to_owned();
    for (metric, value) in [
        (metric::PCIE_WIDTH, 16.0),
        (metric::PCIE_WIDTH_MAX, 16.0),
        (metric::PCIE_GENERATION, 5.0),
        (metric::PCIE_GENERATION_MAX, 5.0),
    ] {
        node.set_of(metric, NIC, value);
    }
    for device in [NIC, "0000:18:00.0"] {
        for (metric, value) in [
            (metric::PCIE_ERRORS_CORRECTED, 830.0),
            (metric::PCIE_ERRORS_NONFATAL, 1.0),
            (metric::PCIE_ERRORS_FATAL, 0.0),
        ] {
            node.set_of(metric, device, value);
        }
    }
    Story::of(node)
}

#[test]
fn a_narrow_or_slow_link_is_degraded_but_not_in_a_virtual_machine() {
    for (metric, value) in [(metric::PCIE_WIDTH, 8.0), (metric::PCIE_GENERATION, 3.0)] {
        let link = |verdict: &Assessment| confirmed(verdict, "pcie_link", NIC);
        let mut story = with_pcie();
        assert_eq!(link(&story.steps(4)), Status::Healthy);
        story.node.set_of(metric, NIC, value);
        assert_eq!(link(&story.steps(4)), Status::Degraded, "{metric:?}");
        let mut guest = with_pcie();
        guest.node.set_of(metric, NIC, value);
        "kvm".clone_into(&mut guest.node.inventory.host.virtualization);
        assert_eq!(link(&guest.steps(4)), Status::Healthy, "{metric:?}");
    }
}

#[test]
fn errors_of_a_pcie_link_are_judged_by_their_growth() {
    type Growth = fn(usize) -> f64;
    let rows: &[(&str, MetricId, Growth, Status)] = &[
        ("old counts", metric::PCIE_ERRORS_CORRECTED, |_| 0.0, Status::Healthy),
        (
            "one",
            metric::PCIE_ERRORS_CORRECTED,
            |step| f64::from(u8::from(step == 9)),
            Status::Healthy,
        ),
        (
            "a burst",
            metric::PCIE_ERRORS_CORRECTED,
            |step| if step == 9 { 5000.0 } else { 0.0 },
            Status::Healthy,
        ),
        ("a storm", metric::PCIE_ERRORS_CORRECTED, |_| 20.0, Status::Degraded),
        (
            "not corrected",
            metric::PCIE_ERRORS_NONFATAL,
            |step| f64::from(u8::from(step == 9)),
            Status::Degraded,
        ),
        (
            "fatal",
            metric::PCIE_ERRORS_FATAL,
            |step| f64::from(u8::from(step == 9)),
            Status::Unhealthy,
        ),
        (
            "cleared",
            metric::PCIE_ERRORS_CORRECTED,
            |step| if step == 9 { -830.0 } else { 0.0 },
            Status::Healthy,
        ),
    ];
    for device in [NIC, "0000:18:00.0"] {
        for (what, counter, growth, expected) in rows {
            let mut story = with_pcie();
            let mut worst = Status::Healthy;
            for step in 0..40 {
                add(&mut story, *counter, device, growth(step));
                let now = confirmed(&story.step(), "pcie_errors", device);
                if now.severity() > worst.severity() {
                    worst = now;
                }
            }
            assert_eq!(worst, *expected, "{what} of {device}");
        }
    }
}

#[test]
fn counts_of_pcie_errors_begin_anew_with_a_boot_and_a_device_that_is_gone_is_forgotten() {
    let mut story = with_pcie();
    story.steps(3);
    reboot(&mut story, "b1", 20.0);
    story.steps(2);
    add(&mut story, metric::PCIE_ERRORS_NONFATAL, NIC, 3.0);
    story.node.set(metric::UPTIME, 30.0);
    assert_eq!(confirmed(&story.step(), "pcie_errors", NIC), Status::Healthy, "drivers load");
    story.node.set(metric::UPTIME, 400.0);
    add(&mut story, metric::PCIE_ERRORS_NONFATAL, NIC, 3.0);
    assert_eq!(confirmed(&story.step(), "pcie_errors", NIC), Status::Degraded);
    story.node.readings.retain(|(_, instance), _| instance != NIC);
    let verdict = story.steps(4);
    assert!(find(&verdict, "pcie_errors", NIC).is_none());
    assert!(find(&verdict, "pcie_link", NIC).is_none());
}

#[test]
fn a_port_slower_than_it_was_is_degraded() {
    let mut story = with_ports(1);
    story.node.readings.retain(|(metric, _), _| *metric != metric::INFINIBAND_PEERS_RATE);
    let rate = |verdict: &Assessment| confirmed(verdict, "infiniband_rate", "mlx5_0/1");
    assert_eq!(rate(&story.steps(4)), Status::Healthy);
    story.node.set_of(metric::INFINIBAND_RATE, "mlx5_0/1", RATE / 4.0);
    assert_eq!(rate(&story.steps(4)), Status::Degraded);
    let stored = serde_json::to_string(&story.memory).expect("serialises");
    story.memory = serde_json::from_str(&stored).expect("reads");
    assert_eq!(rate(&story.steps(4)), Status::Degraded, "across a restart of the monitor");
    story.memory.forget(Some("infiniband_rate"), Some("mlx5_0/1"));
    assert_eq!(rate(&story.steps(4)), Status::Healthy, "it is meant to be so");
}

fn disk(story: &mut Story, name: &str, model: &str) {
    story.node.inventory.disks.push(sickbay_model::BlockDevice {
        name: name.to_owned(),
        model: model.to_owned(),
        size_bytes: 3_840_755_982_336,
        rotational: false,
    });
}

#[test]
fn an_nvme_disk_that_was_there_is_missed() {
    const MODEL: &str = "SAMSUNG MZQL23T8HCLS";
    let disks = |verdict: &Assessment| confirmed(verdict, "hardware_changed", "disks");
    let mut story = with_ports(0);
    story.node.inventory.disks.clear();
    for name in ["nvme0n1", "nvme1n1"] {
        disk(&mut story, name, MODEL);
    }
    disk(&mut story, "sdx", "USB stick");
    disk(&mut story, "nvme2n1", "Amazon Elastic Block Store");
    assert_eq!(disks(&story.steps(3)), Status::Healthy);
    story.node.inventory.disks.retain(|disk| !["sdx", "nvme2n1"].contains(&&*disk.name));
    assert_eq!(disks(&story.steps(4)), Status::Healthy, "these come and go");
    // Names change with a boot.
    for disk in story.node.inventory.disks.iter_mut().filter(|disk| disk.name == "nvme1n1") {
        "nvme5n1".clone_into(&mut disk.name);
    }
    assert_eq!(disks(&story.steps(4)), Status::Healthy);
    story.node.inventory.disks.retain(|disk| disk.name != "nvme0n1");
    reboot(&mut story, "b1", 30.0);
    assert_eq!(disks(&story.steps(4)), Status::Healthy, "parts come up");
    story.node.set(metric::UPTIME, 400.0);
    let verdict = story.steps(4);
    assert_eq!(disks(&verdict), Status::Unhealthy);
    let message = &find(&verdict, "hardware_changed", "disks").expect("there").message;
    assert!(message.contains("1 of 2 SAMSUNG"), "{message}");
    disk(&mut story, "nvme0n1", MODEL);
    assert_eq!(disks(&story.steps(4)), Status::Healthy, "it is back");
    story.node.inventory.disks.clear();
    assert_eq!(disks(&story.steps(4)), Status::Unhealthy);
    story.memory.forget(Some("hardware_changed"), None);
    assert_eq!(disks(&story.steps(4)), Status::Healthy, "they were taken out on purpose");
}
