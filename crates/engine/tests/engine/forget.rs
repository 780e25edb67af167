//! What an operator tells to forget: taken out, unplugged or repaired on purpose.

use sickbay_engine::{Assessment, Forgotten, NodeMemory};
use sickbay_model::catalogue as metric;
use sickbay_model::{EventKind, Status};

use crate::hardware::{port, reboot, with_ports};
use crate::kernel_faults::Logged;
use crate::node::Node;
use crate::scenarios::{Story, find};

fn names(forgotten: &[Forgotten]) -> Vec<String> {
    let name = |it: &Forgotten| format!("{} {}", it.check, it.instance).trim_end().to_owned();
    let mut names: Vec<_> = forgotten.iter().map(name).collect();
    names.sort();
    names
}

fn findings(verdict: &Assessment) -> Vec<String> {
    verdict.findings().map(|it| format!("{} {}", it.check, it.instance)).collect()
}

fn restart(story: &mut Story) {
    let json = serde_json::to_string(&story.memory).expect("serialises");
    story.memory = serde_json::from_str::<NodeMemory>(&json).expect("comes back");
}

#[test]
fn what_a_node_had_and_has_no_more_is_forgotten_at_once_and_nothing_else() {
    let mut story = Story::of(Node::well(8));
    let readings = with_ports(3).node.readings.into_iter();
    story.node.readings.extend(readings.filter(|((_, name), _)| name.starts_with("mlx5_")));
    story.node.set(metric::MEMORY_TOTAL, 2e12);
    story.steps(4);
    // A GPU, an adapter, a cable and a module are taken out, and its disks are too busy.
    reboot(&mut story, "b1", 3000.0);
    story.node.lose_gpu(7);
    story.node.set(metric::MEMORY_TOTAL, 1e12);
    story.node.readings.retain(|(_, name), _| name != "mlx5_2/1");
    port(&mut story, "mlx5_1/1", false);
    story.node.set_of(metric::NETWORK_LINK_UP, "eth1", 0.0);
    story.node.set(metric::PRESSURE_IO_FULL, 99.0);
    // Longer than a boot is a finding.
    let before = findings(&story.minutes(15));
    restart(&mut story);
    let forgotten = story.memory.forget(None, None);
    let gone = names(&forgotten);
    let expected = [
        "gpu_missing",
        "hardware_changed memory",
        "hardware_changed mlx5_2",
        "infiniband_link mlx5_1/1",
        "interface_link eth1",
    ];
    assert_eq!(gone.len(), expected.len(), "{gone:?} of {before:?}");
    assert!(gone[0].starts_with("gpu_missing "), "{gone:?}");
    assert_eq!(gone[1..], expected[1..]);
    restart(&mut story);
    for _ in 0..5 {
        let left = findings(&story.step());
        assert_eq!(left, ["pressure_io "]);
    }
    assert_eq!(story.memory.forget(None, None), []);
}

#[test]
fn what_comes_back_is_watched_again() {
    let mut story = with_ports(2);
    story.steps(3);
    port(&mut story, "mlx5_1/1", false);
    story.minutes(5);
    assert_eq!(names(&story.memory.forget(None, None)), ["infiniband_link mlx5_1/1"]);
    assert!(story.minutes(5).findings().next().is_none(), "it is not cabled");
    port(&mut story, "mlx5_1/1", true);
    story.steps(3);
    port(&mut story, "mlx5_1/1", false);
    let verdict = story.minutes(5);
    let link = find(&verdict, "infiniband_link", "mlx5_1/1").expect("judged");
    assert_eq!(link.status, Status::Critical);
}

#[test]
fn a_check_or_one_instance_of_it_is_forgotten_by_name() {
    let mut story = with_ports(2);
    story.steps(3);
    for name in ["mlx5_0/1", "mlx5_1/1"] {
        port(&mut story, name, false);
    }
    story.minutes(5);
    assert_eq!(story.memory.forget(Some("infiniband_link"), Some("mlx5_9/1")), []);
    let forgotten = story.memory.forget(Some("infiniband_link"), Some("mlx5_0/1"));
    assert_eq!(names(&forgotten), ["infiniband_link mlx5_0/1"]);
    let left = findings(&story.step());
    assert_eq!(left, ["infiniband_link mlx5_1/1"]);
    assert!(NodeMemory::is_check("infiniband_link") && !NodeMemory::is_check("nonsense"));
}

#[test]
fn a_fault_that_was_repaired_without_a_boot_is_forgotten_until_it_comes_again() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("xid-48", "0000:13:00.0");
    node.says("xid-48", "0000:14:00.0");
    node.story.steps(3);
    let forgotten = node.story.memory.forget(Some("gpu_fault"), Some("3 xid-48"));
    assert_eq!(names(&forgotten), ["gpu_fault 3 xid-48"]);
    node.story.told();
    for _ in 0..3 {
        restart(&mut node.story);
        let verdict = node.story.step();
        assert!(find(&verdict, "gpu_fault", "3 xid-48").is_none(), "its line was judged");
        assert!(find(&verdict, "gpu_fault", "4 xid-48").is_some(), "another card's");
    }
    assert!(!node.story.told().contains(&EventKind::GpuFault));
    node.says("xid-48", "0000:13:00.0");
    let verdict = node.story.step();
    let fault = find(&verdict, "gpu_fault", "3 xid-48").expect("it came again");
    assert_eq!(fault.status, Status::Critical);
    assert!(node.story.told().contains(&EventKind::GpuFault));
}
