//! Single findings, as a table: what is changed on a well node, and what is said of it.

use std::time::Duration;

use sickbay_engine::{
    Assessment, NodeMemory, Override, Policy, ReadinessOutcome, assess, unknown_assessment,
};
use sickbay_model::catalogue as metric;
use sickbay_model::{
    EventKind, Level, ProbeError, ProbeErrorKind, ProbeOutcome, ResourceId, Status, Timestamp,
    check_id, probe,
};

use crate::node::{Node, process};

const START: i64 = 1_800_000_000_000;

/// Three well observations, then the change for as many as needed to confirm it.
fn judged(change: impl Fn(&mut Node), times: i64) -> Assessment {
    let (policy, mut memory) = (Policy::default(), NodeMemory::default());
    let mut node = Node::well(2);
    let mut last = None;
    for step in 0..3 + times {
        if step == 3 {
            change(&mut node);
        }
        let at = Timestamp::from_unix_ms(START + step * 5_000);
        last = Some(assess(&policy, &mut memory, &node.observe(at)));
    }
    last.expect("observed")
}

#[test]
fn findings() {
    type Change = fn(&mut Node);
    use Status::{Critical, Degraded, Unhealthy, Unknown};
    let proof: &[(&str, &str, Status, Change)] = &[
        ("gpu_ecc", "1", Unhealthy, |n| {
            n.set_of(metric::GPU_ECC_UNCORRECTED_VOLATILE, "1", 1.0);
        }),
        ("gpu_row_remap", "0", Degraded, |n| {
            n.set_of(metric::GPU_REMAP_PENDING, "0", 1.0);
        }),
        ("gpu_row_remap_failed", "0", Critical, |n| {
            n.set_of(metric::GPU_REMAP_FAILED, "0", 1.0);
        }),
        ("gpu_ecc_sram", "0", Unhealthy, |n| {
            n.set_of(metric::GPU_ECC_SRAM_EXCEEDED, "0", 1.0);
        }),
        ("gpu_recovery_action", "0", Unhealthy, |n| {
            n.set_of(metric::GPU_RECOVERY_ACTION, "0", 1.0);
        }),
        ("gpu_recovery_action", "0", Critical, |n| {
            n.set_of(metric::GPU_RECOVERY_ACTION, "0", 2.0);
        }),
        ("memory_errors", "", Unhealthy, |n| {
            n.set(metric::MEMORY_ERRORS_UNCORRECTED, 1.0);
        }),
        ("filesystem_read_only", "/", Critical, |n| n.inventory.filesystems[0].read_only = true),
    ];
    let samples: &[(&str, &str, Status, Change)] = &[
        ("gpu_temperature_margin", "0", Unhealthy, |n| {
            n.set_of(metric::GPU_TEMPERATURE_MARGIN, "0", 0.0);
        }),
        ("gpu_throttle", "0", Degraded, |n| {
            n.set_of(metric::GPU_THROTTLE_REASONS, "0", 64.0);
        }),
        ("gpu_pcie_width", "0", Degraded, |n| {
            n.set_of(metric::GPU_PCIE_WIDTH, "0", 8.0);
        }),
        ("gpu_nvlink", "0", Unhealthy, |n| {
            n.set_of(metric::GPU_NVLINKS_ACTIVE, "0", 17.0);
        }),
        ("gpu_memory", "0", Critical, |n| {
            n.set_of(metric::GPU_MEMORY_USED, "0", 96.0);
        }),
        ("gpu_answers", "1", Critical, |n| {
            n.readings.retain(|(metric, of), _| metric.0 < 200 || of != "1")
        }),
        ("filesystem_inodes", "/data", Critical, |n| {
            n.set_of(metric::FILESYSTEM_INODES_USED, "/data", 99.0);
        }),
        ("filesystem_answers", "/shared", Critical, |n| {
            n.inventory.filesystems[3].unanswered = Some("no answer for 34 s".into())
        }),
        ("filesystem_space", "/data", Unknown, |n| {
            n.unset_of(metric::FILESYSTEM_USED, "/data");
        }),
        ("filesystem_space", "/shared", Unknown, |n| {
            n.fail(probe::REMOTE_FILESYSTEM, ProbeErrorKind::Stuck, "statvfs hangs");
        }),
        ("interface_link", "eth1", Unhealthy, |n| {
            n.set_of(metric::NETWORK_LINK_UP, "eth1", 0.0);
        }),
        ("interface_errors", "eth0", Degraded, |n| {
            n.set_of(metric::NETWORK_RECEIVE_ERRORS, "eth0", 2.0);
        }),
        ("default_route", "", Critical, |n| n.inventory.interfaces[0].default_route = false),
        ("latency", "192.0.2.1", Degraded, |n| {
            n.set_of(metric::LATENCY, "192.0.2.1", 150.0);
        }),
        ("latency_loss", "192.0.2.1", Critical, |n| {
            n.set_of(metric::LATENCY_LOSS, "192.0.2.1", 60.0);
        }),
        ("memory", "", Critical, |n| {
            n.set(metric::MEMORY_USED, 96.0);
        }),
        ("swap", "", Degraded, |n| {
            n.set(metric::SWAP_USED, 90.0);
        }),
        ("file_handles", "", Degraded, |n| {
            n.set(metric::FILE_HANDLES_USED, 81.0);
        }),
        ("temperature", "", Critical, |n| {
            n.set_of(metric::TEMPERATURE, "nvme/Composite", 96.0);
        }),
        ("process_zombies", "", Degraded, |n| {
            n.set(metric::PROCESSES_ZOMBIE, 60.0);
        }),
        ("process_expected", "", Unhealthy, |n| {
            n.processes.expected_patterns = 1;
            n.processes.missing_patterns = vec!["trainer".into()];
        }),
        ("cpu", "", Unknown, |n| {
            n.fail(probe::CPU, ProbeErrorKind::Malformed, "odd /proc/stat");
        }),
        ("cpu", "", Unknown, |n| {
            n.probes.remove(&probe::CPU);
        }),
        ("gpu_driver", "nvidia", Critical, |n| {
            n.fail(probe::NVIDIA, ProbeErrorKind::Denied, "no permission");
        }),
    ];
    let rows = proof.iter().map(|row| (1, row)).chain(samples.iter().map(|row| (3, row)));
    for (times, (check, instance, status, change)) in rows {
        let verdict = judged(change, times);
        let result = verdict
            .checks
            .iter()
            .find(|it| it.check.as_str() == *check && it.instance == *instance)
            .unwrap_or_else(|| panic!("{check} of {instance} is not among the checks"));
        assert_eq!((result.status, result.hard), (*status, true), "{check}: {}", result.message);
        let cap = Level::cap(*status).expect("a finding has a cap");
        assert!(verdict.score.score.is_some_and(|score| score <= cap), "{check}");
        assert!(verdict.level != Level::Healthy, "{check}");
        assert!(verdict.score.caps.iter().any(|cap| cap.check == result.check), "{check}");
    }
    for (check, instance, _, change) in samples {
        let level = judged(change, 1).level;
        let driver = *check == "gpu_driver";
        assert!(driver || level == Level::Healthy, "{check} of {instance}: {level} at first sight");
    }
}

#[test]
fn what_is_normal_is_no_finding() {
    type Change = fn(&mut Node);
    let rows: &[(&str, Change)] = &[
        ("power cap and idle are normal", |n| {
            n.set_of(metric::GPU_THROTTLE_REASONS, "0", 5.0);
        }),
        ("a snap is full by design", |n| {
            n.inventory.filesystems[1].read_only = true;
            n.inventory.filesystems[1].read_only_by_design = true;
            n.set_of(metric::FILESYSTEM_USED, "/boot", 100.0);
        }),
        ("an interface was taken down", |n| {
            n.inventory.interfaces[1].administratively_up = false;
            n.set_of(metric::NETWORK_LINK_UP, "eth1", 0.0);
        }),
        ("a mount was unmounted", |n| {
            n.inventory.filesystems.remove(2);
            n.readings.retain(|(_, of), _| of != "/data");
        }),
        ("swap was turned off", |n| {
            n.set(metric::SWAP_TOTAL, 0.0).unset_of(metric::SWAP_USED, "");
        }),
        ("a passing process in state D", |n| n.processes.blocked = vec![process(9, "dd", 'D')]),
    ];
    for (what, change) in rows {
        let verdict = judged(change, 2);
        assert_eq!(verdict.score.score, Some(100.0), "{what}: {}", verdict.headline);
    }
}

#[test]
fn readiness_asks_five_questions() {
    use ReadinessOutcome::{Failed, NotApplicable, Passed};
    type Change = fn(&mut Node);
    let rows: &[(&str, ReadinessOutcome, Change)] = &[
        ("disk_ready", Passed, |_| ()),
        ("disk_ready", Failed, |n| {
            n.set_of(metric::FILESYSTEM_FREE, "/", 9e9);
        }),
        ("disk_ready", Failed, |n| {
            n.unset_of(metric::FILESYSTEM_FREE, "/");
        }),
        ("latency_ready", Passed, |n| {
            n.set_of(metric::LATENCY, "192.0.2.1", 100.0);
        }),
        ("latency_ready", Failed, |n| {
            n.set_of(metric::LATENCY, "192.0.2.1", 101.0);
        }),
        ("latency_ready", Failed, |n| {
            n.unset_of(metric::LATENCY, "192.0.2.1");
        }),
        ("latency_ready", NotApplicable, |n| {
            n.probes.insert(
                probe::LATENCY,
                sickbay_model::ProbeOutcome::NotApplicable("no gateway".into()),
            );
        }),
        ("torch_ready", Failed, |n| n.torch = None),
        ("torch_ready", Failed, |n| n.torch.as_mut().expect("torch").gpu_count = 1),
        ("torch_ready", Failed, |n| {
            n.probes.remove(&probe::TORCH);
        }),
        ("gpu_available", Failed, |n| {
            n.lose_gpu(1);
        }),
        ("gpu_available", Failed, |n| {
            n.fail(probe::NVIDIA, ProbeErrorKind::Late, "hangs");
        }),
        ("reachable", Failed, |n| {
            n.fail(probe::REACHABLE, ProbeErrorKind::Unreachable, "refused");
        }),
    ];
    for (check, outcome, change) in rows {
        let readiness = judged(change, 1).readiness;
        let found = readiness.checks.iter().find(|it| it.check.as_str() == *check);
        let found = found.expect("all five are told");
        assert_eq!(found.outcome, *outcome, "{check}: {}", found.message);
        assert_eq!(readiness.ready, *outcome != Failed, "{check}: 4 of 5 are 80 %");
    }
    let node = Node::well(0).observe(Timestamp::from_unix_ms(START));
    let verdict = assess(&Policy::default(), &mut NodeMemory::default(), &node);
    let gpu = verdict.readiness.checks.iter().find(|it| it.check == check_id::GPU_AVAILABLE);
    assert_eq!(gpu.map(|it| it.outcome), Some(NotApplicable));
    assert!(verdict.readiness.ready);
}

#[test]
fn a_probe_that_answers_in_part_counts_and_what_is_missing_is_named() {
    let missed = || ProbeError {
        kind: ProbeErrorKind::Malformed,
        message: "cannot understand /proc/loadavg".to_owned(),
        advice: None,
    };
    let verdict = judged(
        |node| {
            node.probes.insert(probe::CPU, ProbeOutcome::Partial(missed()));
            node.set(metric::CPU_USED, 97.0);
        },
        1,
    );
    let find = |check: &str, instance: &str| {
        let mut checks = verdict.checks.iter();
        checks.find(|it| it.check.as_str() == check && it.instance == instance).cloned()
    };
    let part = find("probe_parts", "cpu").expect("what is missing is a finding");
    assert_eq!(part.status, Status::Unknown);
    assert!(part.message.contains("/proc/loadavg"), "{}", part.message);
    let cpu = find("cpu", "").expect("what was answered is judged");
    assert_ne!(cpu.status, Status::Unknown, "{}", cpu.message);

    let mended = judged(
        |node| {
            node.answer(probe::CPU);
        },
        1,
    );
    assert!(!mended.checks.iter().any(|it| it.check.as_str() == "probe_parts"));
}

/// Looks at one node over time: what it says after each change, applied for four looks.
fn story(changes: &[fn(&mut Node)]) -> Vec<Assessment> {
    let (policy, mut memory) = (Policy::default(), NodeMemory::default());
    let mut node = Node::well(2);
    let mut step = 0;
    let mut verdicts = Vec::new();
    for change in changes {
        change(&mut node);
        let mut last = None;
        for _ in 0..4 {
            step += 1;
            let at = Timestamp::from_unix_ms(START + step * 5_000);
            last = Some(assess(&policy, &mut memory, &node.observe(at)));
        }
        verdicts.push(last.expect("observed"));
    }
    verdicts
}

#[test]
fn a_reading_that_cannot_be_true_is_named_and_costs_only_the_liar() {
    let truth: fn(&mut Node) = |node| {
        node.set_of(metric::GPU_UTILIZATION, "0", 0.0).set(metric::FILE_HANDLES_USED, 2.0);
    };
    let gpu_lies: fn(&mut Node) = |node| {
        node.set_of(metric::GPU_UTILIZATION, "0", 300.0);
    };
    let host_lies: fn(&mut Node) = |node| {
        node.set(metric::FILE_HANDLES_USED, -5.0);
    };
    for from_the_start in [true, false] {
        let first = if from_the_start { gpu_lies } else { truth };
        let verdicts = story(&[first, gpu_lies, truth]);
        let lying = &verdicts[1];
        let levels: Vec<_> = lying.gpus.iter().map(|gpu| gpu.level).collect();
        assert_eq!(levels, [Level::Degraded, Level::Healthy], "{from_the_start}");
        assert_ne!(lying.level, Level::Healthy);
        let finding = lying.checks.iter().find(|it| it.check.as_str() == "gpu_readings_refused");
        let finding = finding.expect("it is named");
        assert_eq!((finding.status, &*finding.instance), (Status::Unknown, "0"));
        assert!(finding.message.contains("gpu_utilization_percent"), "{}", finding.message);
        assert_eq!(verdicts[2].level, Level::Healthy, "{}", verdicts[2].headline);
        assert!(verdicts[2].gpus.iter().all(|gpu| gpu.level == Level::Healthy));
    }
    let verdicts = story(&[host_lies, truth]);
    let named = verdicts[0].checks.iter().find(|it| it.check.as_str() == "readings_refused");
    assert!(named.is_some_and(|it| it.message.contains("file_handles_used_percent")));
    assert_ne!(verdicts[0].level, Level::Healthy);
    assert_eq!(verdicts[1].level, Level::Healthy, "{}", verdicts[1].headline);
}

#[test]
fn what_was_never_known_is_not_healthy_at_the_first_look() {
    let mut node = Node::well(0);
    for probe in [probe::CPU, probe::MEMORY] {
        node.fail(probe, ProbeErrorKind::Malformed, "it is empty");
    }
    let mut memory = NodeMemory::default();
    for look in 1..=4 {
        let at = Timestamp::from_unix_ms(START + look * 5_000);
        let verdict = assess(&Policy::default(), &mut memory, &node.observe(at));
        assert_ne!(verdict.level, Level::Healthy, "look {look}: {}", verdict.headline);
    }
}

#[test]
fn a_driver_that_fails_is_told_once_and_not_for_every_gpu() {
    let (policy, mut memory) = (Policy::default(), NodeMemory::default());
    let mut node = Node::well(8);
    let mut told = Vec::new();
    for look in 1..=24 {
        match look {
            5 => {
                node.fail(probe::NVIDIA, ProbeErrorKind::Late, "no answer after 5 s");
            }
            15 => {
                node.answer(probe::NVIDIA);
            }
            _ => {}
        }
        let at = Timestamp::from_unix_ms(START + look * 5_000);
        let verdict = assess(&policy, &mut memory, &node.observe(at));
        if look == 10 {
            let unknown = verdict.checks.iter().filter(|it| it.status == Status::Unknown).count();
            assert!(unknown > 8, "each is shown as unknown: {unknown}");
        }
        let checks = verdict.events.into_iter().filter_map(|it| it.details.get("check").cloned());
        told.extend(checks);
    }
    assert_eq!(told, ["gpu_driver", "gpu_driver"], "its failure and its recovery");
}

#[test]
fn a_job_does_not_end_because_the_driver_cannot_tell_of_it() {
    let (policy, mut memory) = (Policy::default(), NodeMemory::default());
    let mut node = Node::well(2);
    node.job(true);
    let mut told = Vec::new();
    let mut active = Vec::new();
    for look in 1..=8 {
        match look {
            4 => {
                node.fail(probe::NVIDIA, ProbeErrorKind::Late, "no answer after 5 s").job(false);
            }
            6 => {
                node.answer(probe::NVIDIA);
            }
            _ => {}
        }
        let at = Timestamp::from_unix_ms(START + look * 5_000);
        let verdict = assess(&policy, &mut memory, &node.observe(at));
        active.push(verdict.active);
        let jobs = [EventKind::JobStarted, EventKind::JobFinished];
        told.extend(verdict.events.iter().filter(|it| jobs.contains(&it.kind)).map(|_| look));
    }
    assert_eq!(active, [true, true, true, true, true, false, false, false]);
    assert_eq!(told, [6], "it ended when the driver could tell");
}

#[test]
fn what_was_missing_of_an_answer_and_came_is_over() {
    let verdicts = story(&[
        |node| {
            let missed = ProbeError {
                kind: ProbeErrorKind::Malformed,
                message: "cannot understand /proc/loadavg".to_owned(),
                advice: None,
            };
            node.probes.insert(probe::CPU, ProbeOutcome::Partial(missed));
        },
        |node| {
            node.answer(probe::CPU);
        },
    ]);
    let parts = |verdict: &Assessment| {
        verdict.checks.iter().filter(|it| it.check.as_str() == "probe_parts").count()
    };
    assert_eq!((parts(&verdicts[0]), parts(&verdicts[1])), (1, 0));
    assert_eq!(verdicts[1].level, Level::Healthy);
}

#[test]
fn nothing_to_judge_is_unknown_with_the_reason() {
    type Change = fn(&mut Node);
    let rows: &[(&str, i64, Change)] = &[
        // Once it is confirmed: one collection may be lost.
        ("connection refused", 3, |n| {
            n.fail(probe::REACHABLE, ProbeErrorKind::Unreachable, "connection refused");
        }),
        ("the probe reachable did not report", 1, |n| n.probes.clear()),
        ("no probe answered", 1, |n| {
            n.probes.retain(|probe, _| *probe == probe::REACHABLE);
        }),
    ];
    for (reason, times, change) in rows {
        let verdict = judged(change, *times);
        assert_eq!((verdict.level, verdict.score.score), (Level::Unknown, None), "{reason}");
        assert_eq!(verdict.score.unknown_reason.as_deref(), Some(*reason));
    }
    let mut observation = Node::well(1).observe(Timestamp::from_unix_ms(START));
    observation.at = observation.at.plus(Duration::from_secs(3600));
    let verdict = assess(&Policy::default(), &mut NodeMemory::default(), &observation);
    assert_eq!(verdict.level, Level::Unknown, "readings of an hour ago");
    let node = ResourceId::node("x").expect("valid");
    let never = unknown_assessment(&Policy::default(), &node, Timestamp::EPOCH, "never collected");
    assert_eq!((never.level, never.readiness.ready), (Level::Unknown, false));
}

#[test]
fn overrides_move_the_line_of_one_instance() {
    let mut node = Node::well(0);
    node.set_of(metric::FILESYSTEM_USED, "/data", 97.0);
    node.set_of(metric::FILESYSTEM_USED, "/", 97.0);
    let mut policy = Policy::default().for_single_look();
    policy.overrides.push(Override {
        check: "filesystem_space".into(),
        instance: Some("/data".into()),
        warning: Some(98.0),
        critical: None,
    });
    assert!(policy.validate().is_empty());
    let observation = node.observe(Timestamp::from_unix_ms(START));
    let verdict = assess(&policy, &mut NodeMemory::default(), &observation);
    let found: Vec<_> = verdict.findings().map(|it| it.instance.as_ref()).collect();
    assert_eq!(found, ["/"]);
    assert_eq!(verdict.level, Level::Critical, "a single look confirms at once");
}

/// A hub that was started again has no rates at its first look: nothing is wrong with the node.
#[test]
fn new_collectors_have_no_rates_yet_and_that_is_no_finding() {
    let policy = Policy::default();
    for (anew, unknown) in [(false, true), (true, false)] {
        let mut memory = NodeMemory::default();
        let mut node = Node::well(0);
        let at = |step: i64| Timestamp::from_unix_ms(START + step * 5_000);
        for step in 0..4 {
            let _ = assess(&policy, &mut memory, &node.observe(at(step)));
        }
        let stored = serde_json::to_vec(&memory).expect("plain data");
        let mut memory: NodeMemory = serde_json::from_slice(&stored).expect("read back");
        if anew {
            memory.collectors_begin_anew();
        }
        node.unset_of(metric::CPU_USED, "");
        let first = assess(&policy, &mut memory, &node.observe(at(4)));
        let is_unknown = |assessment: &Assessment| {
            assessment.findings().any(|found| found.status == Status::Unknown)
        };
        assert_eq!(is_unknown(&first), unknown, "anew: {anew}");
        assert!(first.events.is_empty(), "{:?}", first.events);
        // From the second look on it must be there.
        let second = assess(&policy, &mut memory, &node.observe(at(5)));
        assert!(is_unknown(&second));
    }
}
