//! This machine, asked for real, and machines made of files that hang, lie or are not there.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own machinery")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sickbay_collect::{
    CollectContext, LatencyTarget, LocalNode, LocalSettings, NodeSource, Roots, TorchMode,
    TorchSettings,
};
use sickbay_model::catalogue::{
    CPU_CORES, CPU_USED, FILESYSTEM_SIZE, LOAD_1M, MEMORY_TOTAL, PROCESSES,
};
use sickbay_model::{Observation, ProbeErrorKind, ProbeId, ProbeOutcome, probe};
use sickbay_runtime::{ChildCommand, Clock, ManualClock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const HELPER: &str = env!("CARGO_BIN_EXE_sickbay-probe-test");

fn helper() -> Option<ChildCommand> {
    Some(ChildCommand { program: HELPER.into(), args: Vec::new(), env: Vec::new() })
}

/// A child that runs this script; `$1` is the kind of probe, `$HELPER` the real child.
fn scripted(script: &str) -> Option<ChildCommand> {
    Some(ChildCommand {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into(), "sh".into()],
        env: vec![("HELPER".into(), HELPER.into())],
    })
}

fn settings(child: Option<ChildCommand>) -> LocalSettings {
    LocalSettings {
        child,
        torch: TorchSettings { mode: TorchMode::Never, ..TorchSettings::default() },
        ..LocalSettings::default()
    }
}

fn context(clock: &Clock) -> CollectContext {
    CollectContext {
        clock: clock.clone(),
        deadline: Duration::from_secs(20),
        cancel: CancellationToken::new(),
    }
}

fn clock() -> (Clock, ManualClock) {
    Clock::manual(1_795_253_400_000)
}

fn outcome<'a>(observation: &'a Observation, id: &ProbeId) -> &'a ProbeOutcome {
    let found = observation.probe(id);
    &found.unwrap_or_else(|| panic!("{id} is missing: {:?}", observation.probes)).outcome
}

fn kind(observation: &Observation, id: &ProbeId) -> Option<ProbeErrorKind> {
    match outcome(observation, id) {
        ProbeOutcome::Failed(error) | ProbeOutcome::Partial(error) => Some(error.kind),
        _ => None,
    }
}

fn message(observation: &Observation, id: &ProbeId) -> String {
    match outcome(observation, id) {
        ProbeOutcome::Failed(error) | ProbeOutcome::Partial(error) => error.message.clone(),
        other => panic!("{id}: {other:?}"),
    }
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z") && !stat.contains(") X"))
}

/// The kernel's files of this machine, with some of them replaced.
struct Machine {
    tree: tempfile::TempDir,
}

impl Machine {
    /// Real `/proc`, and a `/sys` without anything.
    fn new() -> Self {
        let tree = tempfile::tempdir().expect("a directory");
        for directory in ["sys", "dev", "etc", "proc"] {
            std::fs::create_dir_all(tree.path().join(directory)).expect("made");
        }
        for entry in std::fs::read_dir("/proc").expect("proc") {
            let name = entry.expect("an entry").file_name();
            if name != "self" {
                let to = tree.path().join("proc").join(&name);
                std::os::unix::fs::symlink(Path::new("/proc").join(&name), to).expect("linked");
            }
        }
        Self { tree }
    }

    fn roots(&self) -> Roots {
        Roots::under(self.tree.path())
    }

    fn path(&self, file: &str) -> PathBuf {
        let path = self.tree.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        if path.symlink_metadata().is_ok() {
            std::fs::remove_file(&path).expect("removed");
        }
        path
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).expect("written");
    }

    /// A file whose reader waits for ever.
    fn hang(&self, file: &str) -> PathBuf {
        let path = self.path(file);
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        path
    }

    fn sensor(&self, temperature: Option<&str>) -> Option<PathBuf> {
        self.write("sys/class/hwmon/hwmon0/name", "chip\n");
        let file = "sys/class/hwmon/hwmon0/temp1_input";
        match temperature {
            Some(text) => {
                self.write(file, text);
                None
            }
            None => Some(self.hang(file)),
        }
    }
}

#[tokio::test]
async fn this_machine_is_asked_everything() {
    let clock = Clock::system();
    let mut node = LocalNode::new(settings(helper()));
    let first = node.collect(&context(&clock)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = node.collect(&context(&clock)).await;

    let all = [
        probe::REACHABLE,
        probe::CPU,
        probe::PRESSURE,
        probe::MEMORY,
        probe::FILESYSTEM,
        probe::REMOTE_FILESYSTEM,
        probe::DISK,
        probe::NETWORK,
        probe::LATENCY,
        probe::SENSORS,
        probe::HOST,
        probe::PROCESSES,
        probe::NVIDIA,
        probe::AMD,
        probe::TORCH,
    ];
    // The first observation waits for every probe: what it does not know would look like a change.
    for observation in [&first, &second] {
        for id in &all {
            let reports = observation.probes.iter().filter(|report| report.probe == *id).count();
            assert_eq!(reports, 1, "{id}: {:?}", observation.probes);
        }
    }
    for id in [probe::CPU, probe::MEMORY, probe::FILESYSTEM, probe::HOST, probe::PROCESSES] {
        assert_eq!(outcome(&first, &id), &ProbeOutcome::Answered, "{id}");
    }
    for metric in [CPU_CORES, MEMORY_TOTAL, PROCESSES] {
        assert!(first.frame.get(metric) > Some(0.0), "{metric:?}");
    }
    assert!(first.frame.instances(FILESYSTEM_SIZE).count() > 0);
    assert_eq!(first.frame.get(CPU_USED), None, "a rate needs two collections");
    assert!(second.frame.get(CPU_USED).is_some());
    assert!(!second.processes.top.is_empty() && !second.inventory.host.boot_id.is_empty());
    assert_eq!((first.refused_readings, second.refused_readings), (0, 0));
    assert!(second.cost > Duration::ZERO && second.cost < Duration::from_millis(100));
    assert_eq!(node.resource().id, second.resource);

    // What was not due is repeated, with the time it is of.
    let scanned = |observation: &Observation| observation.probe(&probe::PROCESSES).map(|r| r.at);
    assert_eq!(scanned(&first), scanned(&second));
    assert!(std::sync::Arc::ptr_eq(&first.processes, &second.processes));

    let pids = node.pids();
    assert!(!pids.is_empty() && pids.iter().all(|&pid| alive(pid)), "{pids:?}");
    node.shutdown().await;
    assert!(node.pids().is_empty() && !pids.iter().any(|&pid| alive(pid)));
}

#[tokio::test]
async fn without_a_child_everything_runs_here() {
    let clock = Clock::system();
    let mut node = LocalNode::new(settings(None));
    let observation = node.collect(&context(&clock)).await;
    for id in [probe::CPU, probe::FILESYSTEM, probe::PROCESSES] {
        assert_eq!(outcome(&observation, &id), &ProbeOutcome::Answered, "{id}");
    }
    assert!(node.pids().is_empty());
}

#[tokio::test]
async fn a_sensor_that_hangs_is_named_and_costs_one_delay() {
    let machine = Machine::new();
    machine.sensor(None);
    let limit = Duration::from_millis(300);
    let mut node = LocalNode::new(LocalSettings {
        roots: machine.roots(),
        probe_timeout: limit,
        ..settings(helper())
    });
    let (clock, hand) = clock();
    let began = Instant::now();
    let first = node.collect(&context(&clock)).await;
    assert!(began.elapsed() >= limit);
    assert_eq!(kind(&first, &probe::SENSORS), Some(ProbeErrorKind::Late));
    assert!(message(&first, &probe::SENSORS).contains("asked again in 2s"));
    for id in [probe::CPU, probe::AMD, probe::PROCESSES] {
        assert_eq!(kind(&first, &id), None, "{id}");
    }

    // From now on nobody waits for it: neither when it is left alone nor when it is asked again.
    let mut grown = false;
    for _ in 0..40 {
        hand.advance(Duration::from_secs(3));
        let began = Instant::now();
        let next = node.collect(&context(&clock)).await;
        assert!(began.elapsed() < limit, "{:?}", began.elapsed());
        assert_eq!(kind(&next, &probe::SENSORS), Some(ProbeErrorKind::Late));
        assert_eq!(kind(&next, &probe::PROCESSES), None);
        grown = message(&next, &probe::SENSORS).contains("asked again in 10s");
        if grown {
            break;
        }
        tokio::time::sleep(limit / 2).await;
    }
    assert!(grown, "the pause grows");

    // It answers again: in the background first, then with the others.
    machine.sensor(Some("41000\n"));
    let mut recovered = false;
    for _ in 0..100 {
        hand.advance(Duration::from_secs(21));
        let next = node.collect(&context(&clock)).await;
        recovered |= outcome(&next, &probe::SENSORS) == &ProbeOutcome::Answered;
        if recovered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(recovered);
    let pids = node.pids();
    assert_eq!(pids.len(), 1, "one host child is left");
    node.shutdown().await;
}

#[tokio::test]
async fn a_bad_part_is_named_and_the_rest_of_its_probe_counts() {
    let machine = Machine::new();
    machine.write("proc/loadavg", "many\n");
    let settings = LocalSettings { roots: machine.roots(), ..settings(helper()) };
    let (clock, _) = clock();
    let mut node = LocalNode::new(settings);
    let observation = node.collect(&context(&clock)).await;
    let ProbeOutcome::Partial(missed) = outcome(&observation, &probe::CPU) else {
        panic!("{:?}", outcome(&observation, &probe::CPU))
    };
    assert_eq!(missed.kind, ProbeErrorKind::Malformed);
    assert!(missed.message.contains("proc/loadavg"), "{}", missed.message);
    assert!(observation.frame.get(CPU_CORES).is_some());
    assert_eq!(observation.frame.get(LOAD_1M), None);
    node.shutdown().await;
}

#[tokio::test]
async fn a_kernel_file_that_hangs_leaves_the_node_reporting() {
    let machine = Machine::new();
    let pipe = machine.hang("proc/meminfo");
    let limit = Duration::from_millis(300);
    let mut node = LocalNode::new(LocalSettings {
        roots: machine.roots(),
        probe_timeout: limit,
        ..settings(helper())
    });
    let (clock, hand) = clock();
    let first = node.collect(&context(&clock)).await;
    assert_eq!(kind(&first, &probe::MEMORY), Some(ProbeErrorKind::Late));
    assert_eq!(outcome(&first, &probe::CPU), &ProbeOutcome::Answered);
    assert_eq!(outcome(&first, &probe::HOST), &ProbeOutcome::Answered);
    hand.advance(Duration::from_secs(5));
    let began = Instant::now();
    let second = node.collect(&context(&clock)).await;
    assert!(began.elapsed() < limit);
    assert_eq!(kind(&second, &probe::MEMORY), Some(ProbeErrorKind::Stuck));
    assert_eq!(outcome(&second, &probe::CPU), &ProbeOutcome::Answered);
    node.shutdown().await;
    // Lets the thread go, so that the test can end.
    std::fs::write(pipe, "").expect("written");
}

const MOUNTS: &str = "\
    22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
    30 22 0:40 / /tmp rw - nfs4 good:/data rw\n\
    31 22 0:41 / /silent rw - nfs4 silent:/home rw\n";

#[tokio::test]
async fn a_mount_that_hangs_is_named_and_the_other_answers() {
    let machine = Machine::new();
    machine.write("proc/self/mountinfo", MOUNTS);
    let limit = Duration::from_millis(500);
    let script = r#"case "$1$SICKBAY_PROBE_SETTINGS" in
        mount*115,105,108,101,110,116*) sleep 1000;;
        *) exec "$HELPER" "$@";;
    esac"#;
    let mut node = LocalNode::new(LocalSettings {
        roots: machine.roots(),
        probe_timeout: limit,
        ..settings(scripted(script))
    });
    let (clock, hand) = clock();
    let first = node.collect(&context(&clock)).await;
    assert_eq!(kind(&first, &probe::REMOTE_FILESYSTEM), Some(ProbeErrorKind::Late));
    assert!(matches!(outcome(&first, &probe::REMOTE_FILESYSTEM), ProbeOutcome::Partial(_)));
    assert!(message(&first, &probe::REMOTE_FILESYSTEM).starts_with("/silent: "));
    assert!(first.frame.get_instance(FILESYSTEM_SIZE, "/tmp").is_some());
    assert!(first.frame.get_instance(FILESYSTEM_SIZE, "/").is_some());
    let unanswered: BTreeMap<_, _> = first
        .inventory
        .filesystems
        .iter()
        .map(|found| (found.mount_point.as_str(), found.unanswered.as_deref()))
        .collect();
    assert_eq!(
        unanswered,
        BTreeMap::from([("/", None), ("/silent", Some("late")), ("/tmp", None)])
    );

    hand.advance(Duration::from_secs(5));
    let began = Instant::now();
    let second = node.collect(&context(&clock)).await;
    assert!(began.elapsed() < limit, "nobody waits for it again");
    assert!(std::sync::Arc::ptr_eq(&first.inventory, &second.inventory));

    // Unmounted: nothing is left of it.
    machine.write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    hand.advance(Duration::from_secs(15));
    let third = node.collect(&context(&clock)).await;
    assert!(matches!(outcome(&third, &probe::REMOTE_FILESYSTEM), ProbeOutcome::NotApplicable(_)));
    assert_eq!(third.inventory.filesystems.len(), 1);
    assert_eq!(node.pids().len(), 1, "only the host child");
    node.shutdown().await;
}

#[tokio::test]
async fn a_child_that_crashes_or_lies_fails_its_probes_and_no_others() {
    for (script, expected, text) in [
        ("read -r l; echo boom >&2; exit 3", ProbeErrorKind::Failed, "it said: boom"),
        ("kill -SEGV $$", ProbeErrorKind::Failed, "signal: 11"),
        ("read -r l; echo '{\"result\":42}'", ProbeErrorKind::Malformed, "no JSON"),
        ("read -r l; yes | tr -d '\\n'", ProbeErrorKind::Malformed, "longer than"),
    ] {
        let (clock, _) = clock();
        let mut node = LocalNode::new(settings(scripted(script)));
        let observation = node.collect(&context(&clock)).await;
        for id in [probe::FILESYSTEM, probe::SENSORS, probe::PROCESSES, probe::AMD] {
            assert_eq!(kind(&observation, &id), Some(expected), "{script}: {id}");
            assert!(message(&observation, &id).contains(text), "{}", message(&observation, &id));
        }
        assert_eq!(outcome(&observation, &probe::CPU), &ProbeOutcome::Answered, "{script}");
        node.shutdown().await;
    }

    let missing = ChildCommand { program: "/no/such".into(), args: vec![], env: vec![] };
    let (clock, _) = clock();
    let mut node = LocalNode::new(settings(Some(missing)));
    let observation = node.collect(&context(&clock)).await;
    assert_eq!(kind(&observation, &probe::FILESYSTEM), Some(ProbeErrorKind::Absent));
    assert!(message(&observation, &probe::FILESYSTEM).contains("/no/such"));
}

#[tokio::test]
async fn a_machine_without_any_file_is_unknown_and_never_healthy() {
    let tree = tempfile::tempdir().expect("a directory");
    let (clock, _) = clock();
    let mut node =
        LocalNode::new(LocalSettings { roots: Roots::under(tree.path()), ..settings(helper()) });
    let observation = node.collect(&context(&clock)).await;
    for id in [probe::CPU, probe::MEMORY, probe::DISK, probe::NETWORK] {
        assert!(outcome(&observation, &id) != &ProbeOutcome::Answered, "{id}");
    }
    assert_eq!(observation.frame.get(CPU_CORES), None);
    node.shutdown().await;
}

#[tokio::test]
async fn a_collection_ends_at_its_deadline_or_when_it_is_cancelled() {
    let machine = Machine::new();
    machine.sensor(None);
    let (clock, _) = clock();
    let new = || LocalNode::new(LocalSettings { roots: machine.roots(), ..settings(helper()) });

    let mut node = new();
    let deadline = Duration::from_millis(700);
    let began = Instant::now();
    let observation = node.collect(&CollectContext { deadline, ..context(&clock) }).await;
    assert!(began.elapsed() < deadline + Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(outcome(&observation, &probe::CPU), &ProbeOutcome::Answered);
    assert_eq!(kind(&observation, &probe::SENSORS), Some(ProbeErrorKind::Late));

    let mut node = new();
    let cancelled = context(&clock);
    let cancel = cancelled.cancel.clone();
    let (observation, ()) = tokio::join!(node.collect(&cancelled), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    assert!(observation.probe(&probe::SENSORS).is_none(), "it has no end yet");
    // The next collection is not disturbed by the one that was cut off.
    let observation = node.collect(&CollectContext { deadline, ..context(&clock) }).await;
    assert_eq!(kind(&observation, &probe::SENSORS), Some(ProbeErrorKind::Late));
}

#[tokio::test]
async fn latency_and_torch_reach_the_observation() {
    use std::os::unix::fs::PermissionsExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let target: LatencyTarget = format!("tcp:127.0.0.1:{port}").parse().expect("a target");
    let directory = tempfile::tempdir().expect("a directory");
    let interpreter = directory.path().join("python");
    let answer = r#"{"version": "2.9", "cuda_available": false, "gpu_count": 0}"#;
    std::fs::write(&interpreter, format!("#!/bin/sh\nsleep 0.3; echo 'sickbay-torch:{answer}'\n"))
        .expect("written");
    std::fs::set_permissions(&interpreter, std::fs::Permissions::from_mode(0o755)).expect("set");
    let torch = TorchSettings { interpreter: Some(interpreter), ..TorchSettings::default() };
    let (clock, _) = clock();
    let new = || {
        LocalNode::new(LocalSettings {
            latency_targets: vec![target.clone()],
            torch: torch.clone(),
            ..settings(helper())
        })
    };

    let mut node = new();
    let hurried = node.collect(&context(&clock)).await;
    assert_eq!(outcome(&hurried, &probe::LATENCY), &ProbeOutcome::Answered);
    let latency = sickbay_model::catalogue::LATENCY;
    assert!(hurried.frame.get_instance(latency, target.as_str()).is_some());
    assert!(hurried.probe(&probe::TORCH).is_none(), "nobody waits for torch");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let later = node.collect(&context(&clock)).await;
    assert_eq!(outcome(&later, &probe::TORCH), &ProbeOutcome::Answered);
    node.shutdown().await;

    // Who brings as much time as torch may take wants to know.
    let mut node = new();
    let patient = CollectContext { deadline: torch.timeout, ..context(&clock) };
    let observation = node.collect(&patient).await;
    assert_eq!(observation.torch.map(|report| report.version.clone()).as_deref(), Some("2.9"));
    node.shutdown().await;
}
