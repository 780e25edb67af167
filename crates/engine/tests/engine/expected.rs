//! A node that is not what it was defined to be.

use sickbay_engine::{Assessment, ReadinessOutcome};
use sickbay_model::catalogue as metric;
use sickbay_model::{
    EventKind, ExpectedHardware, Level, ProbeErrorKind, ProbeOutcome, Status, check_id, probe,
};

use crate::node::Node;
use crate::scenarios::{Story, find};

fn expecting(gpus: Option<u32>, model: Option<&str>, gigabytes: Option<u64>) -> ExpectedHardware {
    ExpectedHardware {
        gpus,
        gpu_model: model.map(str::to_owned),
        memory_bytes: gigabytes.map(|gigabytes| gigabytes * 1_000_000_000),
    }
}

fn said(verdict: &Assessment, check: &str, instance: &str) -> Option<(Status, String)> {
    find(verdict, check, instance).map(|it| (it.status, it.message.to_string()))
}

#[test]
fn less_than_expected_is_a_finding() {
    use Status::{Critical, Degraded, Healthy};
    type Change = fn(&mut Node);
    /// What is expected, what the node is, and the answer of a check and instance, if it is asked.
    type Row =
        (ExpectedHardware, Change, &'static str, &'static str, Option<(Status, &'static str)>);
    let as_it_is: Change = |_| ();
    let rows: &[Row] = &[
        (
            expecting(Some(8), None, None),
            as_it_is,
            "gpu_count",
            "",
            Some((Healthy, "as many GPUs answer as are expected")),
        ),
        (
            expecting(Some(9), None, None),
            as_it_is,
            "gpu_count",
            "",
            Some((Critical, "8 of 9 GPUs answer")),
        ),
        (
            expecting(Some(8), None, None),
            |n| {
                n.lose_gpu(5);
            },
            "gpu_count",
            "",
            Some((Critical, "7 of 8 GPUs answer")),
        ),
        (
            expecting(Some(4), None, None),
            as_it_is,
            "gpu_count",
            "",
            Some((Healthy, "as many GPUs answer as are expected")),
        ),
        (
            expecting(Some(8), None, None),
            |n| {
                n.probes.insert(probe::NVIDIA, ProbeOutcome::NotApplicable("no driver".into()));
                (0..8).for_each(|index| _ = n.lose_gpu(index));
            },
            "gpu_count",
            "",
            Some((Critical, "0 of 8 GPUs answer")),
        ),
        // How many there are is unknown; that the driver does not answer is said elsewhere.
        (
            expecting(Some(8), None, None),
            |n| {
                n.fail(probe::NVIDIA, ProbeErrorKind::Late, "no answer for 5 s");
            },
            "gpu_count",
            "",
            None,
        ),
        (expecting(None, None, None), as_it_is, "gpu_count", "", None),
        (
            expecting(None, Some("h100"), None),
            as_it_is,
            "gpu_model",
            "3",
            Some((Healthy, "it is of the expected model")),
        ),
        (
            expecting(None, Some("H200"), None),
            as_it_is,
            "gpu_model",
            "3",
            Some((Degraded, "GPU 3 is H100, not H200")),
        ),
        (
            expecting(None, None, Some(1000)),
            |n| {
                n.set(metric::MEMORY_TOTAL, 972e9);
            },
            "memory_size",
            "",
            Some((Healthy, "it has as much memory as is expected")),
        ),
        (
            expecting(None, None, Some(1000)),
            |n| {
                n.set(metric::MEMORY_TOTAL, 969e9);
            },
            "memory_size",
            "",
            Some((Degraded, "it has 969 GB of 1 TB of memory")),
        ),
        (
            expecting(None, None, Some(1000)),
            |n| n.inventory.host.memory_bytes = 500_000_000_000,
            "memory_size",
            "",
            Some((Degraded, "it has 500 GB of 1 TB of memory")),
        ),
        (expecting(None, None, None), as_it_is, "memory_size", "", None),
    ];
    for (expected, change, check, instance, answer) in rows {
        let mut node = Node::well(8);
        change(&mut node);
        let mut story = Story::of(node);
        story.memory.expect(expected.clone());
        let verdict = story.steps(3);
        let answer = answer.map(|(status, message)| (status, message.to_owned()));
        assert_eq!(said(&verdict, check, instance), answer, "{check} of {expected:?}");
        let level = match answer.map(|it| it.0) {
            Some(Critical) => Level::Critical,
            Some(Degraded) => Level::Degraded,
            Some(_) => Level::Healthy,
            None => continue,
        };
        assert_eq!(verdict.level, level, "{check} of {expected:?}");
    }
}

#[test]
fn readiness_asks_for_as_many_gpus_as_are_expected() {
    for (expected, answering, outcome, message) in [
        (Some(8), 7, ReadinessOutcome::Failed, "7 of 8 GPUs answer"),
        (Some(8), 8, ReadinessOutcome::Passed, "every expected GPU answers"),
        (Some(4), 7, ReadinessOutcome::Passed, "every expected GPU answers"),
        (Some(1), 0, ReadinessOutcome::Failed, "0 of 1 GPUs answer"),
        (None, 0, ReadinessOutcome::NotApplicable, "this node never had a GPU"),
    ] {
        let mut story = Story::of(Node::well(answering));
        // What is expected of the node wins over what is expected of all.
        story.policy.readiness.expected_gpus = expected.map(|_| 99);
        story.memory.expect(expecting(expected, None, None));
        let verdict = story.steps(2);
        let check = verdict.readiness.checks.iter().find(|it| it.check == check_id::GPU_AVAILABLE);
        let check = check.expect("is asked");
        assert_eq!((check.outcome, &*check.message), (outcome, message));
    }
}

#[test]
fn a_lost_card_is_told_once_and_what_is_not_expected_any_more_is_forgotten() {
    let mut story = Story::of(Node::well(8));
    story.memory.expect(expecting(Some(8), Some("H100"), Some(1)));
    story.node.set(metric::MEMORY_TOTAL, 2e9);
    story.steps(3);
    assert_eq!(story.told(), []);
    story.node.lose_gpu(5);
    let verdict = story.steps(3);
    assert_eq!(said(&verdict, "gpu_count", "").map(|it| it.0), Some(Status::Critical));
    assert_eq!(said(&verdict, "gpu_missing", "GPU-0005").map(|it| it.0), Some(Status::Critical));
    let told = story.told();
    let failed = told.iter().filter(|kind| **kind == EventKind::HealthCheckFailed).count();
    assert_eq!(failed, 1, "the count follows from the card: {told:?}");
    // Seven are right from now on.
    story.memory.expect(expecting(Some(7), None, None));
    let verdict = story.steps(4);
    assert_eq!(verdict.level, Level::Healthy, "{}", verdict.headline);
    story.memory.expect(ExpectedHardware::default());
    let verdict = story.step();
    for check in ["gpu_count", "gpu_model", "memory_size"] {
        assert!(verdict.checks.iter().all(|it| it.check.as_str() != check), "{check}");
    }
}

#[test]
fn what_is_expected_survives_a_restart() {
    let mut story = Story::of(Node::well(2));
    story.memory.expect(expecting(Some(4), None, None));
    story.steps(3);
    let json = serde_json::to_string(&story.memory).expect("serialises");
    story.memory = serde_json::from_str(&json).expect("reads back");
    assert_eq!(
        said(&story.step(), "gpu_count", ""),
        Some((Status::Critical, "2 of 4 GPUs answer".to_owned()))
    );
}
