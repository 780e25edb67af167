//! Chains as a person would tell them: what happened, and what came of it. Each row of a chain is a
//! check and its instance, the cause first.

use sickbay_engine::Assessment;
use sickbay_model::catalogue as metric;

use crate::hardware::{add, port, reboot, with_ports};
use crate::kernel_faults::Logged;
use crate::scenarios::Story;

const NIC: &str = "0000:5e:00.0";
const DISK: &str = "0000:99:00.0";

/// A node with eight GPUs, two ports, and the error counters of their slots.
fn machine() -> Logged {
    let mut machine = Logged::new();
    let readings = with_ports(2).node.readings.into_iter();
    let ports = readings.filter(|((_, name), _)| name.starts_with("mlx5_"));
    machine.story.node.readings.extend(ports);
    machine.story.node.set(metric::MEMORY_TOTAL, 2e12);
    for address in [NIC, DISK, "0000:13:00.0"] {
        for counter in [metric::PCIE_ERRORS_CORRECTED, metric::PCIE_ERRORS_NONFATAL] {
            machine.story.node.set_of(counter, address, 1.0);
        }
        for (metric, value) in [(metric::PCIE_WIDTH, 16.0), (metric::PCIE_WIDTH_MAX, 16.0)] {
            machine.story.node.set_of(metric, address, value);
        }
    }
    machine.story.steps(4);
    machine
}

fn misses_its_job(story: &mut Story) {
    story.node.processes.expected_patterns = 1;
    story.node.processes.missing_patterns = vec!["train".to_owned()];
}

/// Every incident: its title, then its chain.
fn told(verdict: &Assessment) -> Vec<(&str, Vec<String>)> {
    let name = |place: &usize| {
        let check = &verdict.checks[*place];
        format!("{} {}", check.check, check.instance).trim_end().to_owned()
    };
    let incidents = verdict.incidents.iter();
    incidents
        .map(|it| (&*it.title, std::iter::once(&it.root).chain(&it.evidence).map(name).collect()))
        .collect()
}

#[track_caller]
fn tells(verdict: &Assessment, title: &str, chain: &[&str]) {
    let told = told(verdict);
    let of_title: Vec<_> = told.iter().filter(|(it, _)| *it == title).collect();
    let [(_, found)] = of_title.as_slice() else { panic!("{title}: {told:#?}") };
    assert_eq!(found, chain, "{title}");
}

#[test]
fn a_port_that_fails_explains_its_errors_and_the_file_server_behind_it() {
    let mut node = machine();
    port(&mut node.story, "mlx5_1/1", false);
    add(&mut node.story, metric::INFINIBAND_LINK_DOWNED, "mlx5_1/1", 1.0);
    node.story.steps(3);
    node.says("lustre-lost", "lustre-OST0001");
    // The other port's trouble is its own.
    add(&mut node.story, metric::INFINIBAND_BUFFER_OVERRUNS, "mlx5_0/1", 9.0);
    let verdict = node.story.steps(3);
    let chain = [
        "infiniband_link mlx5_1/1",
        "infiniband_errors mlx5_1/1",
        "kernel_fault lustre-OST0001 lustre-lost",
    ];
    tells(&verdict, "port mlx5_1/1 of a network adapter fails", &chain);
    assert_eq!(verdict.incidents.len(), 1, "{:#?}", told(&verdict));
}

#[test]
fn errors_that_came_before_a_link_went_down_are_its_cause() {
    let mut node = machine();
    for _ in 0..36 {
        add(&mut node.story, metric::INFINIBAND_SYMBOL_ERRORS, "mlx5_0/1", 100.0);
        node.story.step();
    }
    node.story.node.set_of(metric::INFINIBAND_RATE, "mlx5_0/1", 2.5e10);
    let verdict = node.story.steps(4);
    let chain = ["infiniband_errors mlx5_0/1", "infiniband_rate mlx5_0/1"];
    tells(&verdict, "port mlx5_0/1 of a network adapter fails", &chain);
}

#[test]
fn a_bad_cable_that_the_adapter_names_explains_its_port() {
    let mut node = machine();
    node.says("mlx5-cable", NIC);
    port(&mut node.story, "mlx5_1/1", false);
    let verdict = node.story.steps(3);
    let chain = [&*format!("network_fault {NIC} mlx5-cable"), "infiniband_link mlx5_1/1"];
    tells(&verdict, "a network cable or module is bad", &chain);
}

#[test]
fn an_adapter_that_is_gone_takes_its_port_and_leaves_others_alone() {
    let mut node = machine();
    node.says("pcie-link-down", NIC);
    node.says("mlx5-fatal", NIC);
    node.says("aer-nonfatal", DISK);
    node.says("aer-nonfatal", "0000:13:00.0");
    let names: Vec<_> = node.story.node.readings.keys().cloned().collect();
    for (metric, name) in names.into_iter().filter(|(_, name)| name == "mlx5_1/1") {
        node.story.node.unset_of(metric, &name);
    }
    let verdict = node.story.steps(4);
    let chain = [
        &*format!("network_fault {NIC} mlx5-fatal"),
        "hardware_changed mlx5_1",
        &format!("kernel_fault {NIC} pcie-link-down"),
    ];
    tells(&verdict, "a network adapter failed", &chain);
    assert_eq!(verdict.incidents.len(), 1, "{:#?}", told(&verdict));
}

#[test]
fn a_bad_pcie_link_gathers_what_is_told_of_its_device() {
    let mut node = machine();
    node.story.steps(3);
    for step in 0..36 {
        add(&mut node.story, metric::PCIE_ERRORS_CORRECTED, "0000:13:00.0", 50.0);
        add(&mut node.story, metric::GPU_PCIE_REPLAYS, "3", 200.0);
        if step == 30 {
            node.story.node.set_of(metric::GPU_PCIE_WIDTH, "3", 8.0);
            node.story.node.set_of(metric::GPU_PCIE_WIDTH, "4", 8.0);
        }
        node.story.step();
    }
    let verdict = node.story.steps(3);
    let chain = ["pcie_errors 0000:13:00.0", "gpu_pcie_replay 3", "gpu_pcie_width 3"];
    let told_of = told(&verdict);
    let (title, mut found) = told_of.first().cloned().expect("one incident");
    found.sort();
    let mut sorted = chain.map(str::to_owned);
    sorted.sort();
    assert_eq!((title, found), ("the PCIe link of GPU 3 is bad", sorted.to_vec()));
    assert_eq!(told_of.len(), 1, "GPU 4 is another: {told_of:#?}");
    // And of what is no GPU.
    let mut node = machine();
    node.says("aer-nonfatal", DISK);
    node.story.node.set_of(metric::PCIE_WIDTH, DISK, 4.0);
    node.story.node.set_of(metric::PCIE_WIDTH, NIC, 8.0);
    let verdict = node.story.steps(4);
    let chain = [&*format!("kernel_fault {DISK} aer-nonfatal"), &format!("pcie_link {DISK}")];
    tells(&verdict, "the PCIe link of 0000:99:00 is bad", &chain);
    assert_eq!(verdict.incidents.len(), 1, "{:#?}", told(&verdict));
}

#[test]
fn a_boot_explains_that_the_job_is_gone() {
    let mut node = machine();
    reboot(&mut node.story, "b1", 30.0);
    misses_its_job(&mut node.story);
    let verdict = node.story.steps(4);
    tells(&verdict, "the node was booted", &["reboots", "process_expected"]);
    // What is missing since long before is another matter.
    let mut node = machine();
    misses_its_job(&mut node.story);
    node.story.minutes(30);
    reboot(&mut node.story, "b1", 30.0);
    assert_eq!(told(&node.story.steps(4)), []);
}

#[test]
fn a_part_that_is_away_after_a_boot_is_what_the_boot_is_told_for() {
    let mut node = machine();
    reboot(&mut node.story, "b1", 30.0);
    node.story.node.lose_gpu(3);
    misses_its_job(&mut node.story);
    let verdict = node.story.minutes(4);
    let told = told(&verdict);
    let title = "the node was booted, and parts of it did not come back";
    let (_, chain) = told.iter().find(|(it, _)| *it == title).expect("told");
    assert_eq!(chain[0], "reboots", "{told:#?}");
    assert!(chain.iter().any(|it| it.starts_with("gpu_missing")), "{told:#?}");
    assert!(chain.iter().any(|it| it == "process_expected"), "{told:#?}");
    // A boot after which all is there again, and only the job is not, is no such one.
    let mut node = machine();
    reboot(&mut node.story, "b1", 30.0);
    misses_its_job(&mut node.story);
    assert!(self::told(&node.story.minutes(4)).iter().all(|(it, _)| *it != title));
}

#[test]
fn memory_that_is_away_after_a_boot_is_why_it_was_booted() {
    let mut node = machine();
    node.reboots("b1");
    node.story.node.set(metric::MEMORY_TOTAL, 1.5e12);
    node.says("mce-uncorrected", "");
    let verdict = node.story.steps(3);
    let told = told(&verdict);
    let (title, chain) = told.first().expect("one incident");
    assert_eq!(*title, "a memory module of the host fails", "{told:#?}");
    assert_eq!(chain[0], "hardware_changed memory");
    assert!(chain.iter().any(|it| it == "reboots"), "{told:#?}");
    assert!(chain.iter().any(|it| it == "kernel_fault mce-uncorrected"), "{told:#?}");
}

#[test]
fn a_hardware_error_explains_the_boot() {
    let mut node = machine();
    node.reboots("b1");
    node.says("bert-record", "");
    node.story.step();
    misses_its_job(&mut node.story);
    let verdict = node.story.steps(4);
    let chain = ["kernel_fault bert-record", "reboots", "process_expected"];
    tells(&verdict, "the machine itself failed", &chain);
}

#[test]
fn errors_that_grow_on_an_nvlink_are_the_beginning_of_its_failure() {
    let mut node = machine();
    node.story.node.set_of(metric::NVLINK_CRC_ERRORS, "3/7", 4.0);
    node.story.steps(3);
    for _ in 0..36 {
        add(&mut node.story, metric::NVLINK_CRC_ERRORS, "3/7", 100.0);
        node.story.step();
    }
    node.says("xid-74", "0000:13:00.0");
    node.says("xid-74", "0000:14:00.0");
    let verdict = node.story.steps(3);
    tells(&verdict, "an NVLink of GPU 3 failed", &["gpu_nvlink_errors 3", "gpu_fault 3 xid-74"]);
    assert_eq!(verdict.incidents.len(), 1, "{:#?}", told(&verdict));
}

#[test]
fn memory_errors_that_grow_and_rows_that_wait_are_wear() {
    let mut node = machine();
    for _ in 0..36 {
        add(&mut node.story, metric::GPU_ECC_CORRECTED_VOLATILE, "2", 30.0);
        node.story.step();
    }
    node.story.node.set_of(metric::GPU_REMAP_PENDING, "2", 1.0);
    let verdict = node.story.steps(3);
    let chain = ["gpu_ecc_corrected 2", "gpu_row_remap 2"];
    tells(&verdict, "the memory of GPU 2 wears out", &chain);
}
