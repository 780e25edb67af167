//! What one cause explains, told as stories.

use sickbay_engine::{Assessment, Incident};
use sickbay_model::catalogue as metric;
use sickbay_model::{ProbeErrorKind, Status, probe};

use crate::kernel_faults::Logged;
use crate::node::Node;
use crate::scenarios::{Story, find};

/// Each member by check and instance, the root first.
fn members<'a>(verdict: &'a Assessment, incident: &Incident) -> Vec<(&'a str, &'a str)> {
    let places = std::iter::once(&incident.root).chain(&incident.evidence);
    let checks = places.map(|place| &verdict.checks[*place]);
    checks.map(|check| (check.check.as_str(), &*check.instance)).collect()
}

fn gathers(verdict: &Assessment, check: &str, instance: &str) -> bool {
    let mut incidents = verdict.incidents.iter();
    incidents.any(|incident| members(verdict, incident).contains(&(check, instance)))
}

#[test]
fn what_is_unknown_is_no_cause_and_nothing_that_one_explains() {
    let mut story = Story::of(Node::well(2));
    story.steps(3);
    // Nobody knows whether the file server answers; that blames it for nothing.
    story.node.fail(probe::REMOTE_FILESYSTEM, ProbeErrorKind::Late, "no answer in time");
    story.node.set(metric::PRESSURE_IO_FULL, 99.0);
    let verdict = story.minutes(10);
    let pressure = find(&verdict, "pressure_io", "").expect("judged");
    assert!(pressure.hard && pressure.status == Status::Degraded, "{pressure:?}");
    assert!(verdict.findings().any(|it| it.check.as_str() == "filesystem_answers"));
    assert_eq!(verdict.incidents, []);
    // Nor does a link that is down explain what is not known.
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    story.node.set_of(metric::NETWORK_LINK_UP, "eth0", 0.0);
    story.node.fail(probe::LATENCY, ProbeErrorKind::Failed, "no socket");
    let verdict = story.steps(10);
    assert!(find(&verdict, "interface_link", "eth0").is_some_and(|it| it.hard));
    assert!(!gathers(&verdict, "latency", "") && !gathers(&verdict, "latency", "192.0.2.1"));
}

#[test]
fn what_is_only_suspected_makes_no_incident_until_it_is_confirmed() {
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    story.node.set_of(metric::NETWORK_LINK_UP, "eth0", 0.0);
    story.node.set_of(metric::LATENCY, "192.0.2.1", 500.0);
    let verdict = story.step();
    assert!(find(&verdict, "latency", "192.0.2.1").is_some_and(|it| !it.hard));
    assert_eq!(verdict.incidents, []);
    let verdict = story.steps(4);
    let [incident] = verdict.incidents.as_slice() else { panic!("{:?}", verdict.incidents) };
    assert_eq!(incident.rule, "link-down");
    assert!(members(&verdict, incident).contains(&("latency", "192.0.2.1")));
}

#[test]
fn an_incident_stays_the_same_when_a_member_gets_worse() {
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    story.node.set_of(metric::NETWORK_LINK_UP, "eth0", 0.0);
    story.node.set_of(metric::LATENCY, "192.0.2.1", 500.0);
    let verdict = story.steps(5);
    let [before] = verdict.incidents.clone().try_into().expect("one incident");
    let names = members(&verdict, &before);
    story.minutes(10);
    story.node.set_of(metric::LATENCY, "192.0.2.1", 5000.0);
    // While the worse status is not confirmed, too.
    for _ in 0..10 {
        let verdict = story.step();
        let [now] = verdict.incidents.as_slice() else { panic!("{:?}", verdict.incidents) };
        assert_eq!((now.rule, &now.title, now.since), (before.rule, &before.title, before.since));
        assert_eq!(members(&verdict, now), names);
    }
    let verdict = story.step();
    let latency = find(&verdict, "latency", "192.0.2.1").expect("judged");
    assert_eq!((latency.status, latency.hard), (Status::Critical, true));
    // When it is over and comes again it is another one.
    story.node.set_of(metric::NETWORK_LINK_UP, "eth0", 1.0);
    story.node.set_of(metric::LATENCY, "192.0.2.1", 0.4);
    assert_eq!(story.minutes(5).incidents, []);
    story.node.set_of(metric::NETWORK_LINK_UP, "eth0", 0.0);
    story.node.set_of(metric::LATENCY, "192.0.2.1", 500.0);
    assert!(story.steps(5).incidents.iter().all(|now| now.since > before.since));
}

#[test]
fn a_gpu_is_blamed_only_for_what_is_its_own_or_the_whole_node_s() {
    let mut node = Logged::new();
    node.story.steps(5);
    node.says("pcie-link-down", "0000:99:00.0");
    node.says("aer-fatal", "0000:13:00.1");
    node.says("hung-task", "");
    node.says("xid-79", "0000:13:00.0");
    let verdict = node.story.steps(2);
    let [incident] = verdict.incidents.as_slice() else { panic!("{:?}", verdict.incidents) };
    assert_eq!(incident.title, "GPU 3 fell off the bus");
    assert!(!gathers(&verdict, "kernel_fault", "0000:99:00.0 pcie-link-down"), "of another slot");
    assert!(gathers(&verdict, "kernel_fault", "0000:13:00.1 aer-fatal"), "a function of the card");
    assert!(gathers(&verdict, "kernel_fault", "hung-task"), "the rule says node-wide");
}

#[test]
fn a_card_that_nobody_knows_gathers_what_is_at_its_address() {
    let mut node = Logged::new();
    node.story.steps(5);
    node.says("xid-79", "0000:99:00.0");
    node.says("xid-48", "0000:99:00.0");
    node.says("xid-48", "0000:13:00.0");
    let verdict = node.story.steps(2);
    assert!(gathers(&verdict, "gpu_fault", "0000:99:00.0 xid-48"), "{:?}", verdict.incidents);
    assert!(!gathers(&verdict, "gpu_fault", "3 xid-48"), "{:?}", verdict.incidents);
}

#[test]
fn of_causes_that_are_seen_together_the_rule_says_which_came_first() {
    let mut node = Logged::new();
    node.story.steps(5);
    node.says("gpu-fallen-off", "0000:13:00.0");
    node.says("xid-79", "0000:13:00.0");
    let verdict = node.story.steps(2);
    let [incident] = verdict.incidents.as_slice() else { panic!("{:?}", verdict.incidents) };
    let expected = [("gpu_fault", "3 xid-79"), ("gpu_fault", "3 gpu-fallen-off")];
    assert_eq!(members(&verdict, incident), expected);
}
