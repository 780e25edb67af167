//! Faults that the kernel reported, told as stories.

use std::time::Duration;

use sickbay_engine::NodeMemory;
use sickbay_model::{
    EventKind, FaultCode, FaultSighting, KernelLog, Level, LogPosition, ProbeError, ProbeErrorKind,
    ProbeOutcome, Status, Timestamp, probe,
};

use crate::node::Node;
use crate::scenarios::{Story, find};

const BOOT: &str = "b0";

/// A node with eight GPUs whose log can be written.
pub(crate) struct Logged {
    pub(crate) story: Story,
    next: u64,
}

impl Logged {
    pub(crate) fn new() -> Self {
        let mut node = Node::well(8);
        for gpu in &mut node.inventory.gpus {
            gpu.pci_address = format!("0000:{:02x}:00.0", 0x10 + gpu.index);
        }
        node.kernel_log = Some(KernelLog { boot_id: BOOT.to_owned(), ..KernelLog::default() });
        Self { story: Story::of(node), next: 1 }
    }

    pub(crate) fn says(&mut self, code: &'static str, device: &str) {
        self.says_of(code, device, &[]);
    }

    fn says_of(&mut self, code: &'static str, device: &str, facts: &[(&str, &str)]) {
        self.says_at(self.next, code, device);
        let facts = facts.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        if let Some(said) = self.log().sightings.last_mut() {
            said.facts = facts;
        }
        self.log().read_to = LogPosition(self.next);
        self.next += 1;
    }

    /// Says it at a place of the log, wherever the log was read to.
    fn says_at(&mut self, position: u64, code: &'static str, device: &str) {
        let at = self.story.at;
        self.log().sightings.push(FaultSighting {
            code: FaultCode::new(code),
            device: device.to_owned(),
            since_boot_ms: 0,
            at,
            position: LogPosition(position),
            line: format!("NVRM: {code} of {device}"),
            facts: std::collections::BTreeMap::new(),
        });
    }

    fn log(&mut self) -> &mut KernelLog {
        self.story.node.kernel_log.as_mut().expect("there is one")
    }

    /// The log is gone, and the probe ends so; absent where it does not report.
    fn loses_the_log(&mut self, ended: Option<ProbeOutcome>) {
        let lost = &mut self.story.node;
        lost.kernel_log = None;
        match ended {
            Some(ended) => lost.probes.insert(probe::KERNEL_LOG, ended),
            None => lost.probes.remove(&probe::KERNEL_LOG),
        };
    }

    pub(crate) fn reboots(&mut self, boot: &str) {
        self.story.node.inventory.host.boot_id = boot.to_owned();
        let log = KernelLog { boot_id: boot.to_owned(), ..KernelLog::default() };
        self.story.node.kernel_log = Some(log);
        self.next = 1;
    }

    fn restart(&mut self) {
        let json = serde_json::to_string(&self.story.memory).expect("serialises");
        self.story.memory = serde_json::from_str::<NodeMemory>(&json).expect("comes back");
    }
}

#[test]
fn a_fault_is_hard_at_once_and_ends_with_a_reboot() {
    let mut node = Logged::new();
    node.story.steps(5);
    node.says("xid-79", "0000:13:00.0");
    let verdict = node.story.step();
    let event = verdict.events.iter().find(|event| event.kind == EventKind::GpuFault);
    let class = event.and_then(|event| event.details.get("class")).map(String::as_str);
    assert_eq!(class, Some("reboot"));
    let check = find(&verdict, "gpu_fault", "3 xid-79").expect("judged");
    assert_eq!((check.status, check.hard), (Status::Critical, true));
    assert!(check.message.starts_with("GPU 3: GPU fell off the bus (Xid 79)"), "{}", check.message);
    assert!(check.advice.as_ref().is_some_and(|advice| advice.0.contains("reboot")));
    assert_eq!(verdict.level, Level::Critical);
    let gpu = verdict.gpus.iter().find(|gpu| gpu.index == 3).expect("listed");
    assert_eq!(gpu.level, Level::Critical);
    use EventKind::{GpuFault, HealthCheckFailed, HealthCheckPassed, LevelChanged};
    let told = node.story.told();
    assert!(told.contains(&GpuFault) && told.contains(&HealthCheckFailed), "{told:?}");
    // It stands for as long as nobody reboots, and is told no more.
    assert_eq!(node.story.minutes(60).level, Level::Critical);
    assert_eq!(node.story.told(), []);
    node.reboots("b1");
    // That it was booted is known for a while.
    assert_eq!(node.story.steps(3).level, Level::Degraded);
    let told = node.story.told();
    assert!(told.contains(&HealthCheckPassed) && told.contains(&LevelChanged), "{told:?}");
    let verdict = node.story.minutes(11);
    assert!(find(&verdict, "gpu_fault", "3 xid-79").is_none(), "it is not shown for ever");
    assert_eq!(verdict.level, Level::Healthy);
}

#[test]
fn a_line_counts_once_whoever_restarts() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("xid-48", "0000:10:00.0");
    node.story.step();
    node.story.told();
    for _ in 0..3 {
        node.restart();
        let verdict = node.story.steps(3);
        let check = find(&verdict, "gpu_fault", "0 xid-48").expect("it stands");
        assert!(!check.message.contains("times"), "{}", check.message);
    }
    assert!(!node.story.told().contains(&EventKind::GpuFault));
    node.says("xid-48", "0000:10:00.0");
    let verdict = node.story.step();
    let check = find(&verdict, "gpu_fault", "0 xid-48").expect("it stands");
    assert!(check.message.ends_with("2 times"), "{}", check.message);
    assert!(check.advice.as_ref().is_some_and(|it| it.0.contains("again within a week")));
}

#[test]
fn what_was_there_before_it_was_watched_counts_only_where_it_still_is_so() {
    let mut node = Logged::new();
    node.says("xid-79", "0000:10:00.0");
    for _ in 0..5 {
        node.says("xid-31", "0000:11:00.0");
    }
    let verdict = node.story.steps(3);
    let check = find(&verdict, "gpu_fault", "0 xid-79").expect("it is off the bus still");
    assert!(check.evidence.iter().any(|fact| fact.value.contains("before it was watched")));
    assert!(find(&verdict, "gpu_fault", "1 xid-31").is_none(), "that application is long gone");
}

#[test]
fn an_application_that_fails_is_shown_and_lowers_nothing() {
    let mut node = Logged::new();
    let well = node.story.steps(3).score.score;
    node.story.events.clear();
    for _ in 0..3 {
        // One failure, three lines.
        let facts = [("pid", "41003"), ("process", "python")];
        node.says_of("xid-13", "0000:12:00.0", &facts);
    }
    for looks in 1..4 {
        let verdict = node.story.step();
        let check = find(&verdict, "gpu_fault", "2 xid-13").expect("named");
        assert_eq!((check.status, check.hard), (Status::Degraded, true), "{looks}");
        assert!(check.message.contains("by python (pid 41003)"), "{}", check.message);
        let advice = check.advice.as_ref().map(|it| it.0.as_ref());
        assert!(advice.is_some_and(|it| it.contains("restart the application")), "{advice:?}");
        assert_eq!((verdict.level, verdict.score.score), (Level::Healthy, well));
        assert!(verdict.score.caps.is_empty() && verdict.readiness.ready);
        assert!(verdict.gpus.iter().all(|gpu| gpu.level == Level::Healthy));
    }
    node.restart();
    assert_eq!(node.story.minutes(10).level, Level::Healthy);
    let verdict = node.story.minutes(10);
    let check = find(&verdict, "gpu_fault", "2 xid-13");
    assert!(check.is_none_or(sickbay_model::CheckResult::is_healthy), "it passes by itself");
    assert_eq!(node.story.told(), [EventKind::GpuFault], "one event for all of it");
}

#[test]
fn an_application_that_fails_again_on_the_same_gpu_is_the_gpu_s_trouble() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says_of("xid-31", "0000:12:00.0", &[("pid", "1")]);
    node.story.minutes(16);
    node.says_of("xid-31", "0000:12:00.0", &[("pid", "2")]);
    let verdict = node.story.step();
    let check = find(&verdict, "gpu_fault", "2 xid-31").expect("twice in a day on one GPU");
    assert!(check.advice.as_ref().is_some_and(|it| it.0.contains("run diagnostics")));
    let verdict = node.story.minutes(30);
    let check = find(&verdict, "gpu_fault", "2 xid-31").expect("it does not pass any more");
    assert_eq!((check.status, verdict.level), (Status::Degraded, Level::Degraded));
    // A day later it is over.
    node.story.at = node.story.at.plus(Duration::from_secs(25 * 3600));
    let verdict = node.story.steps(3);
    assert!(find(&verdict, "gpu_fault", "2 xid-31").is_none_or(|it| it.is_healthy()));
    assert_eq!(verdict.level, Level::Healthy);
}

#[test]
fn a_flood_of_one_fault_is_few_events() {
    let mut node = Logged::new();
    node.story.steps(3);
    for step in 0..400 {
        node.says("xid-13", "0000:12:00.0");
        if step % 4 == 0 {
            node.story.step();
        }
    }
    node.story.step();
    let faults = node.story.told().into_iter().filter(|kind| *kind == EventKind::GpuFault);
    assert_eq!(faults.count(), 3, "at 1, 10 and 100");
}

#[test]
fn a_repeat_after_two_reboots_escalates() {
    let mut node = Logged::new();
    node.story.steps(3);
    for boot in ["b1", "b2", "b3"] {
        node.reboots(boot);
        node.story.steps(3);
        node.says("xid-46", "0000:10:00.0");
        node.story.steps(3);
    }
    let verdict = node.story.step();
    let check = find(&verdict, "gpu_fault", "0 xid-46").expect("it stands");
    assert_eq!(check.status, Status::Critical);
    assert!(check.advice.as_ref().is_some_and(|it| it.0.contains("after two reboots")));
}

#[test]
fn gpus_are_told_by_where_they_are_on_the_bus() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("xid-79", "0000:13:00.0");
    node.story.step();
    // Off the bus: the driver does not list it any more, and the others are renumbered.
    node.story.node.lose_gpu(3);
    let verdict = node.story.step();
    assert!(find(&verdict, "gpu_fault", "3 xid-79").is_some(), "the card is still known");
    // One that nobody knows is named by its address.
    node.says("xid-79", "0000:99:00.0");
    let verdict = node.story.step();
    assert!(find(&verdict, "gpu_fault", "0000:99:00.0 xid-79").is_some());
}

#[test]
fn other_parts_have_their_own_checks() {
    for (code, device, check, component_level) in [
        ("nvme-down", "nvme0", "kernel_fault", Level::Critical),
        ("mlx5-health", "0000:81:00.0", "network_fault", Level::Critical),
        ("nfs-not-responding", "filer-2", "kernel_fault", Level::Unhealthy),
        ("sxid-22003", "0000:c1:00.0", "gpu_fault", Level::Critical),
    ] {
        let mut node = Logged::new();
        node.story.steps(3);
        node.says(code, device);
        let verdict = node.story.step();
        assert_eq!(verdict.level, component_level, "{code}");
        assert!(find(&verdict, check, &format!("{device} {code}")).is_some(), "{code}");
    }
}

#[test]
fn a_log_that_cannot_be_read_says_nothing_and_one_that_stops_is_unknown() {
    let mut node = Logged::new();
    let denied = ProbeOutcome::NotApplicable("it may not be read".into());
    node.story.node.probes.insert(probe::KERNEL_LOG, denied);
    node.story.node.kernel_log = None;
    assert_eq!(node.story.steps(5).level, Level::Healthy);
    assert_eq!(node.story.told(), []);
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("xid-79", "0000:13:00.0");
    node.story.step();
    node.loses_the_log(Some(failed(ProbeErrorKind::Failed)));
    let verdict = node.story.steps(3);
    let check = find(&verdict, "gpu_fault", "3 xid-79").expect("it stands");
    assert_eq!(check.status, Status::Critical);
    let says_so = |fact: &sickbay_model::Evidence| fact.value.contains("read failed");
    assert!(check.evidence.iter().any(says_so), "{:?}", check.evidence);
}

fn failed(kind: ProbeErrorKind) -> ProbeOutcome {
    ProbeOutcome::Failed(ProbeError { kind, message: "read failed".to_owned(), advice: None })
}

/// The ways in which a log can be lost.
fn lost() -> [Option<ProbeOutcome>; 6] {
    let not_applicable = ProbeOutcome::NotApplicable("it may not be read".into());
    use ProbeErrorKind::{Absent, Denied, Failed, Late};
    let [denied, absent, late, broken] = [Denied, Absent, Late, Failed].map(failed);
    [Some(not_applicable), Some(denied), Some(absent), Some(late), Some(broken), None]
}

#[test]
fn a_fault_stands_until_its_own_end_when_the_log_is_lost() {
    for ended in lost() {
        let mut node = Logged::new();
        node.story.steps(3);
        node.says("xid-79", "0000:13:00.0");
        node.says("nfs-not-responding", "filer-2");
        node.story.step();
        node.restart();
        node.story.memory.collectors_begin_anew();
        node.loses_the_log(ended.clone());
        node.story.told();
        for _ in 0..20 {
            let verdict = node.story.step();
            let check = find(&verdict, "gpu_fault", "3 xid-79").expect("nobody rebooted");
            assert_eq!((check.status, check.hard), (Status::Critical, true), "{ended:?}");
            assert_eq!(verdict.level, Level::Critical, "{ended:?}");
        }
        let told = node.story.told();
        assert!(!told.contains(&EventKind::HealthCheckPassed), "{ended:?}: {told:?}");
        // What ends by itself does so still: its hold, not the loss of the log, is what ends it.
        let verdict = node.story.minutes(16);
        let check = find(&verdict, "kernel_fault", "filer-2 nfs-not-responding");
        assert!(check.is_none_or(|it| it.status != Status::Unhealthy), "{ended:?}: {check:?}");
        // And a reboot shows without the log.
        node.story.node.inventory.host.boot_id = "b1".to_owned();
        let verdict = node.story.steps(5);
        let check = find(&verdict, "gpu_fault", "3 xid-79");
        assert!(check.is_none_or(|it| it.status != Status::Critical), "{ended:?}: {check:?}");
    }
}

#[test]
fn a_fault_that_ends_where_the_log_may_not_be_read_is_told_as_over() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("xid-79", "0000:13:00.0");
    node.story.step();
    node.loses_the_log(Some(ProbeOutcome::NotApplicable("it may not be read".into())));
    node.story.steps(3);
    node.story.told();
    node.story.node.inventory.host.boot_id = "b1".to_owned();
    let verdict = node.story.steps(5);
    let check = find(&verdict, "gpu_fault", "3 xid-79");
    assert!(check.is_none_or(|it| it.status == Status::Healthy), "{check:?}");
    assert!(node.story.told().contains(&EventKind::HealthCheckPassed));
}

#[test]
fn a_line_beyond_what_was_read_counts_once() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says_at(1000, "xid-48", "0000:10:00.0");
    for read_to in 1..20 {
        node.log().read_to = LogPosition(read_to);
        node.story.step();
        node.restart();
    }
    let verdict = node.story.step();
    let check = find(&verdict, "gpu_fault", "0 xid-48").expect("it stands");
    assert!(!check.message.contains("times"), "{}", check.message);
}

#[test]
fn a_line_that_comes_behind_a_later_one_counts_once() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says_at(1000, "xid-48", "0000:10:00.0");
    node.log().read_to = LogPosition(1000);
    node.story.step();
    // Earlier by its stamp, and of the same stamp; nothing else was said since.
    node.says_at(990, "xid-79", "0000:13:00.0");
    node.says_at(1000, "xid-79", "0000:14:00.0");
    node.story.told();
    for step in 0..30 {
        let verdict = node.story.step();
        for gpu in ["3", "4"] {
            let check = find(&verdict, "gpu_fault", &format!("{gpu} xid-79"));
            let check = check.expect("a line that comes late is a line");
            assert!(!check.message.contains("times"), "{}", check.message);
        }
        node.log().read_to = LogPosition(1000 + step);
        node.restart();
    }
    let faults = node.story.told().into_iter().filter(|kind| *kind == EventKind::GpuFault);
    assert_eq!(faults.count(), 2);
}

#[test]
fn what_is_remembered_of_a_log_is_bounded_and_counts_nothing_twice() {
    let mut node = Logged::new();
    node.story.steps(3);
    for round in 1..=4_u64 {
        for _ in 0..KernelLog::MAX_SIGHTINGS {
            node.says("xid-13", "0000:12:00.0");
        }
        let log = node.log();
        let too_many = log.sightings.len().saturating_sub(KernelLog::MAX_SIGHTINGS);
        log.sightings.drain(..too_many);
        for _ in 0..3 {
            let verdict = node.story.step();
            let check = find(&verdict, "gpu_fault", "2 xid-13").expect("it stands");
            let times = format!("{} times", round * 512);
            assert!(check.message.ends_with(&times), "{} in {round}", check.message);
            node.restart();
        }
        let json = serde_json::to_string(&node.story.memory).expect("serialises");
        assert!(json.len() < 64 << 10, "{} bytes", json.len());
    }
    // Nor is what was said long before them counted once more.
    let verdict = node.story.step();
    let check = find(&verdict, "gpu_fault", "2 xid-13").expect("it stands");
    assert!(check.message.ends_with("2048 times"), "{}", check.message);
}

#[test]
fn each_new_fault_is_told_once_whatever_is_forgotten_meanwhile() {
    // The first one is remembered, over, for a month; the second comes when that ends.
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("nfs-not-responding", "filer-1");
    node.story.step();
    node.story.at = node.story.at.plus(Duration::from_secs(3600));
    node.story.step();
    node.story.at = node.story.at.plus(Duration::from_secs(31 * 24 * 3600));
    node.says("xid-79", "0000:13:00.0");
    node.story.told();
    node.story.steps(3);
    let faults = node.story.told().into_iter().filter(|kind| *kind == EventKind::GpuFault);
    assert_eq!(faults.count(), 1);
    // And where more come at once than are remembered, each is told all the same.
    let mut node = Logged::new();
    node.story.steps(2);
    for number in 0..100 {
        node.says("io-error", &format!("disk{number:03}"));
    }
    node.story.steps(3);
    let told = node.story.events.iter().filter(|(kind, _)| *kind == EventKind::KernelFault);
    let told: Vec<_> = told.map(|(_, message)| message.clone()).collect();
    assert_eq!(told.len(), 100);
    for number in 0..100 {
        let name = format!("disk{number:03}");
        assert_eq!(told.iter().filter(|it| it.contains(&name)).count(), 1, "{name}");
    }
}

#[test]
fn any_number_of_faults_is_bounded() {
    let mut node = Logged::new();
    node.story.steps(2);
    for number in 0..300 {
        node.says("io-error", &format!("sd{number}"));
    }
    let verdict = node.story.step();
    let faults = verdict.checks.iter().filter(|it| it.check.as_str() == "kernel_fault").count();
    assert!(faults <= 64, "{faults}");
    // A clock that goes back breaks nothing.
    node.story.at = Timestamp::from_unix_ms(1_000);
    node.says("io-error", "sda");
    node.story.steps(3);
}

#[test]
fn a_gpu_off_the_bus_is_one_incident_with_its_evidence() {
    let mut node = Logged::new();
    node.story.steps(5);
    node.says("aer-fatal", "0000:13:00.1");
    node.says("xid-79", "0000:13:00.0");
    node.story.step();
    node.story.node.lose_gpu(3);
    let verdict = node.story.steps(3);
    let [incident] = verdict.incidents.as_slice() else { panic!("{:?}", verdict.incidents) };
    assert_eq!((incident.rule, incident.title.as_str()), ("gpu-off-bus", "GPU 3 fell off the bus"));
    let name = |place: usize| verdict.checks[place].check.as_str();
    assert_eq!(name(incident.root), "gpu_fault");
    let evidence: Vec<_> = incident.evidence.iter().map(|place| name(*place)).collect();
    assert!(
        evidence.contains(&"kernel_fault") && evidence.contains(&"gpu_missing"),
        "{evidence:?}"
    );
    assert!(
        verdict.headline.starts_with("GPU 3 fell off the bus, which explains"),
        "{}",
        verdict.headline
    );
    // What another card has is not this one's.
    node.says("xid-48", "0000:15:00.0");
    let verdict = node.story.steps(2);
    let of_card = |place: &usize| verdict.checks[*place].instance == "5 xid-48";
    assert!(!verdict.incidents.iter().any(|it| it.evidence.iter().any(of_card)));
}

#[test]
fn a_finding_belongs_to_one_incident_and_alone_to_none() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("xid-79", "0000:13:00.0");
    assert_eq!(node.story.step().incidents, [], "there is nothing that it explains");
    for (code, device) in [
        ("nvme-down", "nvme0"),
        ("io-error", "nvme0n1"),
        ("filesystem-readonly", "nvme0n1p2"),
        ("nfs-not-responding", "filer"),
        ("hung-task", ""),
        ("mlx5-health", "0000:81:00.0"),
    ] {
        node.says(code, device);
    }
    let verdict = node.story.steps(2);
    let mut places: Vec<_> = verdict.incidents.iter().map(|incident| incident.root).collect();
    places.extend(verdict.incidents.iter().flat_map(|incident| incident.evidence.iter().copied()));
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), count);
    assert!(verdict.incidents.len() >= 2, "{:?}", verdict.incidents);
    assert!(places.iter().all(|place| !verdict.checks[*place].is_healthy()));
}

#[test]
fn the_kernel_itself_says_that_it_is_over() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("nfs-not-responding", "elsewhere");
    node.says("nfs-not-responding", "nfs01");
    let verdict = node.story.step();
    assert!(find(&verdict, "kernel_fault", "nfs01 nfs-not-responding").is_some());
    node.says("nfs-ok", "nfs01");
    let verdict = node.story.steps(2);
    let check = find(&verdict, "kernel_fault", "nfs01 nfs-not-responding").expect("its end");
    assert_eq!(check.status, Status::Healthy);
    let check = find(&verdict, "kernel_fault", "elsewhere nfs-not-responding").expect("stands");
    assert_eq!(check.status, Status::Unhealthy);
    node.says("nfs-not-responding", "nfs01");
    let verdict = node.story.step();
    let check = find(&verdict, "kernel_fault", "nfs01 nfs-not-responding").expect("again");
    assert_eq!(check.status, Status::Unhealthy, "what was said before does not end it");
}

#[test]
fn a_server_that_was_slow_for_a_moment_is_no_finding() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("nfs-not-responding", "nfs01");
    node.says("nfs-ok", "nfs01");
    assert_eq!(node.story.steps(3).level, Level::Healthy);
}

#[test]
fn a_line_about_a_file_server_is_about_its_mount() {
    let mut node = Logged::new();
    node.story.steps(3);
    node.says("nfs-not-responding", "store");
    let shared = node.story.node.inventory.filesystems.iter_mut().find(|it| it.remote);
    shared.expect("one is remote").unanswered = Some("late".to_owned());
    let partial = ProbeOutcome::Partial(sickbay_model::ProbeError {
        kind: sickbay_model::ProbeErrorKind::Late,
        message: "/shared: no answer".to_owned(),
        advice: None,
    });
    node.story.node.probes.insert(probe::REMOTE_FILESYSTEM, partial);
    let verdict = node.story.steps(3);
    let check = find(&verdict, "kernel_fault", "/shared nfs-not-responding").expect("of it");
    assert!(check.message.starts_with("/shared (store): NFS server"), "{}", check.message);
    let check = find(&verdict, "filesystem_answers", "/shared").expect("judged");
    assert_eq!((check.status, check.hard), (Status::Critical, true));
    assert!(check.evidence.iter().any(|fact| fact.what == "kernel"), "{:?}", check.evidence);
    assert!(find(&verdict, "probe_parts", "remote_filesystem").is_none(), "said already");
}

#[test]
fn a_line_counts_as_often_as_it_says() {
    let mut node = Logged::new();
    node.story.steps(2);
    node.says("edac-corrected", "MC1");
    let count = |verdict: &sickbay_engine::Assessment| {
        let all = verdict.findings().find(|it| it.check.as_str() == "kernel_fault");
        all.map(|it| (it.status, it.message.clone()))
    };
    assert_eq!(count(&node.story.step()), None, "one is nothing");
    for (times, finding) in [("0", None), ("22 and more", None), ("400", Some("403 times"))] {
        node.says("edac-corrected", "MC1");
        let sightings = &mut node.story.node.kernel_log.as_mut().expect("there is one").sightings;
        let last = sightings.last_mut().expect("it was said");
        last.facts.insert("times".to_owned(), times.to_owned());
        let found = count(&node.story.step());
        match finding {
            None => assert_eq!(found, None, "{times}"),
            Some(says) => {
                let (status, message) = found.expect("a finding");
                assert_eq!(status, Status::Degraded);
                assert!(message.contains(says), "{message}");
            }
        }
    }
    node.restart();
    assert!(count(&node.story.step()).is_some(), "the memory of it is stored");
}
