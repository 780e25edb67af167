//! Stories over time, told as tables.

use std::time::Duration;

use sickbay_engine::{Assessment, NodeMemory, Override, Policy, assess, judged_readings, silence};
use sickbay_model::catalogue as metric;
use sickbay_model::{CheckResult, EventKind, Level, ProbeErrorKind, Status, Timestamp, probe};

use crate::node::{Node, process};

/// A node that is observed every 5 seconds.
pub(crate) struct Story {
    pub(crate) node: Node,
    pub(crate) memory: NodeMemory,
    pub(crate) policy: Policy,
    pub(crate) at: Timestamp,
    pub(crate) events: Vec<(EventKind, String)>,
}

impl Story {
    pub(crate) fn of(node: Node) -> Self {
        Self {
            node,
            memory: NodeMemory::default(),
            policy: Policy::default(),
            at: Timestamp::from_unix_ms(1_800_000_000_000),
            events: Vec::new(),
        }
    }

    /// Observes once, 5 seconds later.
    pub(crate) fn step(&mut self) -> Assessment {
        self.at = self.at.plus(Duration::from_secs(5));
        let verdict = assess(&self.policy, &mut self.memory, &self.node.observe(self.at));
        self.events.extend(verdict.events.iter().map(|event| {
            let resource = event.resource.as_ref().map(ToString::to_string).unwrap_or_default();
            (event.kind, format!("{resource}: {}", event.message))
        }));
        verdict
    }

    pub(crate) fn steps(&mut self, count: usize) -> Assessment {
        for _ in 1..count {
            self.step();
        }
        self.step()
    }

    pub(crate) fn minutes(&mut self, minutes: usize) -> Assessment {
        self.steps(minutes * 12)
    }

    pub(crate) fn told(&mut self) -> Vec<EventKind> {
        self.events.drain(..).map(|(kind, _)| kind).collect()
    }
}

pub(crate) fn find<'a>(
    verdict: &'a Assessment,
    check: &str,
    instance: &str,
) -> Option<&'a CheckResult> {
    verdict.checks.iter().find(|it| it.check.as_str() == check && it.instance == instance)
}

fn status(verdict: &Assessment, check: &str, instance: &str) -> Status {
    find(verdict, check, instance).unwrap_or_else(|| panic!("{check} of {instance}")).status
}

#[test]
fn a_well_node_is_well_and_says_nothing() {
    for gpus in [0, 1, 8] {
        let mut story = Story::of(Node::well(gpus));
        let verdict = story.steps(50);
        assert_eq!((verdict.score.score, verdict.level), (Some(100.0), Level::Healthy));
        assert_eq!(verdict.headline, format!("All {} checks are well.", verdict.checks.len()));
        assert!(verdict.readiness.ready);
        assert_eq!(verdict.gpus.len(), gpus as usize);
        assert!(story.told().is_empty(), "{:?}", verdict.events);
    }
}

#[test]
fn a_disk_fills_up_and_clears_with_hysteresis() {
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    // Used, steps of 5 s, then the level, the check's status, whether it is hard.
    for (used, steps, level, check, hard) in [
        (84.9, 1, Level::Healthy, Status::Healthy, false),
        (86.0, 1, Level::Healthy, Status::Degraded, false),
        (86.0, 2, Level::Degraded, Status::Degraded, true),
        (95.5, 2, Level::Degraded, Status::Critical, false),
        (95.5, 1, Level::Critical, Status::Critical, true),
        // Within the margin: stays for ever.
        (91.0, 100, Level::Critical, Status::Critical, true),
        // Below it: after a minute's hold and two results.
        (84.0, 12, Level::Critical, Status::Critical, true),
        (84.0, 2, Level::Degraded, Status::Degraded, true),
        (70.0, 12, Level::Degraded, Status::Degraded, true),
        (70.0, 2, Level::Healthy, Status::Healthy, false),
    ] {
        story.node.set_of(metric::FILESYSTEM_USED, "/data", used);
        let verdict = story.steps(steps);
        let result = find(&verdict, "filesystem_space", "/data").expect("judged");
        assert_eq!(
            (verdict.level, result.status, result.hard),
            (level, check, hard),
            "{used} % for {steps}: {}",
            result.message
        );
        if check == Status::Critical {
            assert!(result.message.contains("/data"), "{}", result.message);
            assert!(result.advice.is_some() && !result.evidence.is_empty());
        }
    }
    story.step();
    use EventKind::{HealthCheckFailed, HealthCheckPassed, LevelChanged, NodeRecovered};
    assert_eq!(
        story.told(),
        [
            HealthCheckFailed,
            LevelChanged,
            HealthCheckFailed,
            LevelChanged,
            LevelChanged,
            HealthCheckPassed,
            LevelChanged,
            NodeRecovered
        ]
    );
}

#[test]
fn a_spike_does_not_confirm_itself_by_its_hold() {
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    // Round trip in milliseconds, steps of 5 s, then the level, the check's status, whether it is
    // hard.
    for (latency, steps, level, check, hard) in [
        (250.0, 1, Level::Healthy, Status::Degraded, false),
        // Back, but within the margin: it may be a line that is grazed again and again.
        (96.0, 1, Level::Healthy, Status::Degraded, false),
        (0.5, 1, Level::Healthy, Status::Healthy, false),
        (0.5, 20, Level::Healthy, Status::Healthy, false),
        (250.0, 3, Level::Degraded, Status::Degraded, true),
        // What is confirmed is held, and a spike on top of it is not.
        (2000.0, 1, Level::Degraded, Status::Critical, false),
        (250.0, 1, Level::Degraded, Status::Degraded, true),
        (0.5, 12, Level::Degraded, Status::Degraded, true),
        (0.5, 2, Level::Healthy, Status::Healthy, false),
    ] {
        story.node.set_of(metric::LATENCY, "192.0.2.1", latency);
        let verdict = story.steps(steps);
        let result = find(&verdict, "latency", "192.0.2.1").expect("judged");
        let found = (verdict.level, result.status, result.hard);
        assert_eq!(found, (level, check, hard), "{latency} ms for {steps}: {}", result.message);
    }
}

#[test]
fn a_check_that_only_stood_for_its_probe_goes_when_that_answers_again() {
    let mut story = Story::of(Node::well(0));
    for sensor in ["coretemp/Package id 0", "coretemp/Package id 1", "nvme/Composite"] {
        story.node.unset_of(metric::TEMPERATURE_CRITICAL, sensor);
    }
    let verdict = story.steps(5);
    assert!(find(&verdict, "temperature", "").is_none(), "no sensor has a limit here");
    story.node.fail(probe::SENSORS, ProbeErrorKind::Late, "no answer within 4s");
    assert_eq!(status(&story.steps(5), "temperature", ""), Status::Unknown);
    story.node.answer(probe::SENSORS);
    let verdict = story.step();
    assert!(find(&verdict, "temperature", "").is_none());
    assert_eq!(story.steps(2).level, Level::Healthy);
}

#[test]
fn a_cpu_spike_is_nothing_but_five_minutes_are() {
    let mut story = Story::of(Node::well(0));
    story.minutes(6);
    story.node.set(metric::CPU_USED, 100.0);
    assert_eq!(status(&story.minutes(2), "cpu", ""), Status::Healthy);
    story.node.set(metric::CPU_USED, 5.0);
    assert_eq!(status(&story.minutes(6), "cpu", ""), Status::Healthy);
    story.node.set(metric::CPU_USED, 100.0);
    assert_eq!(status(&story.minutes(5), "cpu", ""), Status::Critical);
    assert_eq!(story.step().level, Level::Critical);
    story.node.set(metric::CPU_USED, 5.0);
    assert_eq!(status(&story.minutes(1), "cpu", ""), Status::Critical, "still in the mean");
    assert_eq!(status(&story.minutes(5), "cpu", ""), Status::Healthy);
}

#[test]
fn a_busy_job_is_well_unless_something_stalls() {
    let mut node = Node::well(1);
    node.job(true).set(metric::CPU_USED, 100.0).set(metric::MEMORY_USED, 97.0);
    node.set_of(metric::GPU_UTILIZATION, "0", 100.0).set_of(metric::GPU_POWER, "0", 690.0);
    node.set_of(metric::GPU_MEMORY_USED, "0", 99.0);
    let mut story = Story::of(node);
    let verdict = story.minutes(20);
    assert_eq!((verdict.score.score, verdict.active), (Some(100.0), true));
    // Memory stalls: now it counts.
    story.node.set(metric::PRESSURE_MEMORY_FULL, 30.0);
    let verdict = story.steps(3);
    assert_eq!(status(&verdict, "memory", ""), Status::Critical);
    assert_eq!(status(&verdict, "pressure_memory", ""), Status::Degraded);
    assert_eq!(verdict.level, Level::Critical);
    story.node.set(metric::PRESSURE_MEMORY_FULL, 0.0);
    assert_eq!(story.minutes(3).level, Level::Healthy);
    // A kill counts for ten minutes.
    story.node.set(metric::OOM_KILLS, 3.0);
    let verdict = story.step();
    assert_eq!(status(&verdict, "oom_kills", ""), Status::Degraded);
    assert_eq!(verdict.level, Level::Degraded, "a kill is proof");
    story.minutes(9);
    assert_eq!(story.minutes(3).level, Level::Healthy);
    // What cannot be read excuses nothing.
    story.node.fail(probe::PRESSURE, ProbeErrorKind::Malformed, "no number in /proc/pressure");
    assert_eq!(status(&story.steps(3), "memory", ""), Status::Critical);
}

#[test]
fn a_gpu_that_disappears_is_critical_at_once_also_after_a_restart() {
    let mut story = Story::of(Node::well(8));
    story.steps(5);
    story.node.lose_gpu(3);
    let json = serde_json::to_string(&story.memory).expect("serialises");
    story.memory = serde_json::from_str(&json).expect("reads back");
    let verdict = story.step();
    assert_eq!((verdict.level, verdict.gpus.len()), (Level::Critical, 8));
    assert_eq!(status(&verdict, "gpu_missing", "GPU-0003"), Status::Critical);
    let gpu = verdict.gpus.iter().find(|gpu| gpu.index == 3).expect("remembered");
    assert_eq!(gpu.level, Level::Critical);
    assert!(!verdict.readiness.ready);
    use EventKind::{HealthCheckFailed, InventoryChanged, LevelChanged, ReadinessChanged};
    assert_eq!(
        story.told(),
        [HealthCheckFailed, InventoryChanged, LevelChanged, LevelChanged, ReadinessChanged]
    );
    // It stays critical, and comes back confirmed.
    assert_eq!(story.minutes(60).level, Level::Critical);
    assert!(story.told().is_empty());
    let well = Node::well(8);
    story.node.inventory.gpus = well.inventory.gpus.clone();
    story.node.readings = well.readings;
    assert_eq!(story.step().level, Level::Critical);
    assert_eq!(story.step().level, Level::Healthy);
    assert_eq!(story.step().events.len(), 1, "NODE_RECOVERED");
    // Taken out on purpose.
    story.node.lose_gpu(7);
    assert_eq!(story.step().level, Level::Critical);
    assert_eq!(story.memory.forget(None, None).len(), 1);
    story.step();
    assert_eq!(story.step().level, Level::Healthy);
    // Swapped for another: an event, no finding.
    story.told();
    story.node.inventory.gpus[0].uuid = "GPU-new".to_owned();
    assert_eq!(story.steps(3).level, Level::Healthy);
    assert_eq!(story.told(), [InventoryChanged]);
}

#[test]
fn a_driver_that_hangs_is_the_finding() {
    let mut story = Story::of(Node::well(2));
    story.steps(5);
    let message = "nvidia: no answer for 5 s; 2 processes in state D";
    story.node.fail(probe::NVIDIA, ProbeErrorKind::Late, message);
    story.node.readings.retain(|(metric, _), _| metric.0 < 200);
    let verdict = story.step();
    assert_eq!(status(&verdict, "gpu_driver", "nvidia"), Status::Critical);
    assert!(find(&verdict, "gpu_driver", "nvidia").is_some_and(|it| !it.hard));
    assert_eq!(status(&verdict, "gpu_ecc", "1"), Status::Unknown);
    let verdict = story.steps(2);
    assert_eq!(verdict.level, Level::Critical);
    assert!(verdict.headline.contains(message), "{}", verdict.headline);
    assert!(
        verdict.gpus.iter().all(|gpu| gpu.level == Level::Unknown && gpu.score.score.is_none())
    );
    assert!(!verdict.readiness.ready);
    let since = find(&verdict, "gpu_ecc", "1").map(|it| it.since);
    assert_eq!(find(&story.steps(10), "gpu_ecc", "1").map(|it| it.since), since);
    // Two of its processes hang for five scans: the driver is named.
    story.node.processes.blocked = vec![process(77, "nvidia-smi", 'D')];
    let verdict = story.steps(5);
    assert_eq!(status(&verdict, "process_blocked", ""), Status::Critical);
    // It comes back.
    story.node = Node::well(2);
    assert_eq!(story.steps(3).level, Level::Healthy);
}

#[test]
fn where_nothing_answers_no_driver_is_blamed() {
    for (name, asked) in [("nvidia", probe::NVIDIA), ("amd", probe::AMD)] {
        let mut story = Story::of(Node::well(1));
        let late = ProbeErrorKind::Late;
        story.node.fail(asked.clone(), late, "no answer within 4s");
        story.node.fail(probe::CPU, late, "no answer within 4s");
        assert_eq!(status(&story.steps(3), "gpu_driver", name), Status::Unknown);
        story.node.answer(probe::CPU);
        assert_eq!(status(&story.steps(3), "gpu_driver", name), Status::Critical);
    }
}

#[test]
fn one_look_that_brought_nothing_in_time_changes_no_verdict() {
    let late = |story: &mut Story| {
        // The session opens; the shell behind it is late with all that it was asked.
        let kernel = [probe::CPU, probe::PRESSURE, probe::MEMORY, probe::DISK, probe::NETWORK];
        for asked in kernel.into_iter().chain([probe::HOST, probe::FILESYSTEM, probe::PROCESSES]) {
            story.node.fail(asked, ProbeErrorKind::Late, "no answer within 4s");
        }
    };
    let mut story = Story::of(Node::well(1));
    story.steps(5);
    late(&mut story);
    let verdict = story.steps(2);
    assert_eq!(verdict.level, Level::Healthy, "{}", verdict.headline);
    let finding = verdict.checks.first().expect("there is one");
    assert_eq!((finding.check.as_str(), finding.hard), ("reachable", false));
    assert!(verdict.busy(false).not_healthy, "it is asked again soon");
    story.node = Node::well(1);
    assert_eq!(story.steps(3).level, Level::Healthy);
    assert_eq!(story.told(), []);
    // What lasts is believed, one look later than without a lost one before: nothing is known then.
    late(&mut story);
    let verdict = story.steps(4);
    assert_eq!(verdict.level, Level::Unknown, "{}", verdict.headline);
    assert!(verdict.headline.contains("no answer within 4s"), "{}", verdict.headline);
    use EventKind::{HealthCheckFailed, LevelChanged, ReadinessChanged};
    assert_eq!(story.told(), [HealthCheckFailed, LevelChanged, ReadinessChanged]);
}

#[test]
fn a_flapping_link_is_one_finding_and_few_events() {
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    for step in 0..200 {
        story.node.set_of(metric::NETWORK_LINK_UP, "eth1", f64::from(step % 2));
        story.step();
    }
    let verdict = story.step();
    let result = find(&verdict, "interface_link", "eth1").expect("judged");
    assert!(result.message.contains("flapping"), "{}", result.message);
    assert_eq!((result.status, result.hard), (Status::Degraded, true));
    assert_eq!(verdict.level, Level::Degraded);
    assert_eq!(story.told(), [EventKind::HealthCheckFailed, EventKind::LevelChanged]);
    story.node.set_of(metric::NETWORK_LINK_UP, "eth1", 1.0);
    assert_eq!(story.minutes(2).level, Level::Healthy);
    use EventKind::{HealthCheckPassed, LevelChanged, NodeRecovered};
    assert_eq!(story.told(), [HealthCheckPassed, LevelChanged, NodeRecovered]);
}

#[test]
fn a_card_that_is_busy_at_idle_power_hangs() {
    let mut node = Node::well(1);
    node.job(true).set_of(metric::GPU_UTILIZATION, "0", 100.0);
    let mut story = Story::of(node);
    assert_eq!(status(&story.minutes(4), "gpu_activity", "0"), Status::Healthy);
    let verdict = story.minutes(2);
    assert_eq!(status(&verdict, "gpu_activity", "0"), Status::Unhealthy);
    assert_eq!(verdict.level, Level::Unhealthy);
}

#[test]
fn memory_of_a_card_means_nothing_where_its_processes_are_not_told() {
    let mut node = Node::well(1);
    node.set_of(metric::GPU_MEMORY_USED, "0", 90.0).set_of(metric::GPU_PROCESSES, "0", 0.0);
    assert_eq!(status(&Story::of(node.clone()).steps(5), "gpu_memory", "0"), Status::Degraded);
    node.unset_of(metric::GPU_PROCESSES, "0");
    let verdict = Story::of(node).steps(5);
    assert!(find(&verdict, "gpu_memory", "0").is_none(), "{}", verdict.headline);
    assert_eq!(verdict.level, Level::Healthy);
}

#[test]
fn jobs_and_reboots_are_told_once() {
    let mut story = Story::of(Node::well(1));
    story.steps(3);
    story.node.job(true);
    story.steps(3);
    // Processes cannot be listed for a moment: nobody knows, nothing is told.
    story.node.fail(probe::PROCESSES, ProbeErrorKind::Late, "no answer for 5 s");
    assert!(story.step().active);
    story.node.answer(probe::PROCESSES);
    story.steps(2);
    story.node.job(false);
    story.steps(3);
    story.node.inventory.host.boot_id = "b1".to_owned();
    story.steps(3);
    use EventKind::{JobFinished, JobStarted, LevelChanged, NodeRebooted};
    assert_eq!(story.told(), [JobStarted, JobFinished, NodeRebooted, LevelChanged]);
}

#[test]
fn a_probe_on_a_slow_clock_is_counted_once_and_its_answer_stands() {
    let mut story = Story::of(Node::well(0));
    story.steps(3);
    story.node.set_of(metric::TEMPERATURE, "nvme/Composite", 99.0);
    story.step();
    for _ in 0..5 {
        // The sensors are not due: their last report is repeated, without readings.
        let mut observation = story.node.observe(story.at.plus(Duration::from_secs(5)));
        for report in &mut observation.probes {
            if report.probe == probe::SENSORS {
                report.at = story.at;
            }
        }
        let verdict = assess(&story.policy, &mut story.memory, &observation);
        let result = find(&verdict, "temperature", "").expect("judged");
        assert_eq!((result.status, result.hard), (Status::Critical, false));
    }
    let verdict = story.steps(2);
    assert!(find(&verdict, "temperature", "").is_some_and(|it| it.hard));
}

#[test]
fn a_probe_that_was_not_asked_yet_is_no_event() {
    let mut story = Story::of(Node::well(1));
    let torch = story.node.probes.remove(&probe::TORCH).expect("asked");
    let silent = |story: &mut Story| {
        story.node.probes.remove(&probe::TORCH);
    };
    // The first start: not ready until torch has answered, and nothing to tell.
    assert!(!story.steps(2).readiness.ready);
    story.node.probes.insert(probe::TORCH, torch.clone());
    assert!(story.step().readiness.ready);
    assert_eq!(story.told(), []);
    // The hub is started again.
    silent(&mut story);
    assert!(!story.step().readiness.ready);
    story.node.probes.insert(probe::TORCH, torch.clone());
    assert!(story.step().readiness.ready);
    assert_eq!(story.told(), []);
    // It does not report for good: told, after as long as an answer may be old.
    silent(&mut story);
    story.minutes(5);
    assert_eq!(story.told(), []);
    story.steps(3);
    assert_eq!(story.told(), [EventKind::ReadinessChanged]);
    // Torch that fails is told at once.
    story.node.probes.insert(probe::TORCH, torch);
    story.step();
    story.node.fail(probe::TORCH, ProbeErrorKind::Failed, "import torch failed");
    story.step();
    assert_eq!(story.told(), [EventKind::ReadinessChanged, EventKind::ReadinessChanged]);
}

#[test]
fn a_silent_node_is_unknown_and_comes_back() {
    let mut story = Story::of(Node::well(1));
    story.steps(3);
    let node = story.node.observe(story.at).resource;
    let at = story.at.plus(Duration::from_secs(40));
    let silenced = silence(&mut story.memory, &node, at, Duration::from_secs(40));
    assert_eq!(
        (silenced.reason.as_str(), silenced.since),
        ("no collection has ended for 40 s", at)
    );
    let told: Vec<_> =
        silenced.events.iter().map(|event| (event.kind, event.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (EventKind::LevelChanged, "Unknown, was healthy. No collection has ended for 40 s."),
            (
                EventKind::ReadinessChanged,
                "No longer ready for work: no collection has ended for 40 s."
            ),
        ]
    );
    // Told once, and unknown since the first time.
    let later = at.plus(Duration::from_secs(10));
    let again = silence(&mut story.memory, &node, later, Duration::from_secs(50));
    assert_eq!((again.events.len(), again.since), (0, at));
    story.at = later;
    assert_eq!(story.steps(2).level, Level::Healthy);
    use EventKind::{LevelChanged, NodeRecovered, ReadinessChanged};
    assert_eq!(story.told(), [LevelChanged, ReadinessChanged, NodeRecovered]);
}

#[test]
fn what_tells_of_a_change_is_a_sentence() {
    let mut story = Story::of(Node::well(2));
    story.steps(3);
    story.node.set_of(metric::FILESYSTEM_USED, "/data", 97.0).set(metric::PROCESSES_ZOMBIE, 80.0);
    story.node.job(true).lose_gpu(1);
    let verdict = story.steps(4);
    let headlines = verdict.gpus.iter().map(|gpu| gpu.headline.to_string());
    let headlines: Vec<_> = headlines.chain([verdict.headline.clone()]).collect();
    story.node = Node::well(2);
    story.minutes(5);
    let messages: Vec<_> = story
        .events
        .iter()
        .map(|(_, message)| message.split_once(": ").expect("of a resource").1.to_owned())
        .collect();
    assert!(messages.len() > 8, "{messages:#?}");
    for message in messages.iter().chain(&headlines) {
        assert!(message.ends_with('.') && !message.ends_with(".."), "{message}");
        assert!(message.starts_with(char::is_uppercase), "{message}");
    }
    // Checks speak in fragments.
    for check in &verdict.checks {
        assert!(!check.message.ends_with('.'), "{}", check.message);
    }
}

#[test]
fn a_judged_reading_has_its_lines_and_its_status() {
    let mut story = Story::of(Node::well(1));
    story.policy.overrides.push(Override {
        check: "filesystem_space".into(),
        instance: Some("/data".to_owned()),
        warning: Some(60.0),
        critical: None,
    });
    story.node.set_of(metric::FILESYSTEM_USED, "/data", 70.0);
    let verdict = story.steps(3);
    let of = |metric, instance: &str| {
        judged_readings(&story.policy, &verdict)
            .find(|it| it.metric == metric && it.instance == instance)
            .map(|it| (it.warning, it.critical, it.status))
    };
    for (metric, instance, expected) in [
        (metric::CPU_USED, "", Some((Some(80.0), Some(95.0), Status::Healthy))),
        (metric::MEMORY_USED, "", Some((Some(80.0), Some(95.0), Status::Healthy))),
        (metric::FILESYSTEM_USED, "/", Some((Some(85.0), Some(95.0), Status::Healthy))),
        (metric::FILESYSTEM_USED, "/data", Some((Some(60.0), None, Status::Degraded))),
        (metric::UPTIME, "", None),
    ] {
        assert_eq!(of(metric, instance), expected, "{metric:?} of {instance}");
    }
}
