//! Nodes in trouble, nodes that lie, nodes that are none: one clear state each.

use sickbay_model::{GpuCondition, ProbeErrorKind, catalogue, probe};

use super::*;
use crate::local::recorded::copy;

/// A tree with one NVIDIA GPU on its bus.
fn gpu_machine(root: &Path) {
    let device = root.join("sys/bus/pci/devices/0000:17:00.0");
    std::fs::create_dir_all(&device).unwrap();
    std::fs::write(device.join("vendor"), "0x10de\n").unwrap();
    std::fs::write(device.join("class"), "0x030200\n").unwrap();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/host/virtual-machine");
    copy(&tree, root);
}

fn recorded(machine: &str, file: &str) -> String {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gpu/nvidia-smi");
    all.join(machine).join(file).to_str().unwrap().to_owned()
}

/// One collection of a machine with a GPU and this `nvidia-smi`.
fn with_nvidia_smi(script: &str) -> (Observation, Conversation) {
    let (root, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    gpu_machine(root.path());
    if !script.is_empty() {
        programs(tools.path(), &[("nvidia-smi", script)]);
    }
    let packed = program::packed(root.path().to_str().unwrap(), 900, 780);
    let settings = RemoteSettings { probe_timeout: Duration::from_secs(2), ..settings() };
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    let start = || {
        Node::start("dash", &packed, |command| {
            command.env("PATH", &path);
        })
    };
    let mut talk = Talk::new(settings, start);
    let observation = talk.collect();
    (observation, talk.conversation)
}

#[test]
fn nvidia_smi_in_every_state() {
    let help = recorded("h100x8", "help.txt");
    let gpus = recorded("h100x8", "gpus.txt");
    let apps = recorded("h100x8", "apps.txt");
    let well = |query: &str| {
        format!(
            "case $1 in --help*) cat {help} ;; --query-gpu*) {query} ;; --query-c*) cat {apps} ;; esac"
        )
    };
    let failed = |kind| Err((kind, ""));
    for (state, script, expected) in [
        ("well", well(&format!("cat {gpus}")), Ok(8)),
        ("not there", String::new(), Err((ProbeErrorKind::Absent, "no nvidia-smi"))),
        ("hangs at once", "exec sleep 1000".to_owned(), Err((ProbeErrorKind::Late, "nvidia-smi"))),
        ("hangs later", well("exec sleep 1000"), Err((ProbeErrorKind::Late, "nvidia-smi"))),
        (
            "an error on its output",
            "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18".to_owned(),
            Err((ProbeErrorKind::Failed, "")),
        ),
        (
            "an error on its errors",
            well(
                "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA \
                 driver.\" >&2; exit 9",
            ),
            failed(ProbeErrorKind::Absent),
        ),
        ("garbage", well("head -c 3000 /dev/urandom"), failed(ProbeErrorKind::Malformed)),
        ("nothing", "exit 1".to_owned(), failed(ProbeErrorKind::Malformed)),
        ("a flood", well("yes 0, GPU-1"), failed(ProbeErrorKind::Malformed)),
        (
            "cut in the middle",
            well(&format!("head -c 700 {gpus}")),
            failed(ProbeErrorKind::Malformed),
        ),
        ("cannot be run", "exit 126".to_owned(), failed(ProbeErrorKind::Malformed)),
    ] {
        let (observation, _) = with_nvidia_smi(&script);
        // Whatever it does, the rest of the node is seen.
        assert_eq!(*outcome(&observation, &probe::CPU), ProbeOutcome::Answered, "{state}");
        assert_eq!(*outcome(&observation, &probe::REACHABLE), ProbeOutcome::Answered, "{state}");
        match (outcome(&observation, &probe::NVIDIA), expected) {
            (ProbeOutcome::Answered, Ok(count)) => {
                let gpus = &observation.inventory.gpus;
                assert_eq!(gpus.len(), count, "{state}");
                assert!(gpus.iter().all(|gpu| gpu.condition == GpuCondition::Answering));
            }
            (ProbeOutcome::Failed(error), Err((kind, part))) => {
                assert_eq!(error.kind, kind, "{state}: {}", error.message);
                assert!(error.message.contains(part), "{state}: {}", error.message);
                assert!(!error.message.chars().any(char::is_control), "{state}");
            }
            (outcome, expected) => panic!("{state}: {outcome:?}, not {expected:?}"),
        }
    }
}

#[test]
fn limits_of_temperature_are_asked_for_beside_the_rest() {
    let file = |name| recorded("a100x4", name);
    let well = |details: &str| {
        format!(
            "case $* in --help*) cat {} ;; --query-gpu*) cat {} ;; --query-c*) cat {} ;; \
             '-q -d TEMPERATURE,ECC') {details} ;; esac",
            file("help.txt"),
            file("gpus.txt"),
            file("apps.txt")
        )
    };
    let told = format!("cat {}", file("details.txt"));
    for (answer, expected) in
        [(told.as_str(), Some(89.0)), ("exit 1", None), ("exec sleep 1000", None)]
    {
        let (observation, _) = with_nvidia_smi(&well(answer));
        assert_eq!(*outcome(&observation, &probe::NVIDIA), ProbeOutcome::Answered, "{answer}");
        assert_eq!(observation.inventory.gpus.len(), 4, "{answer}");
        let limit = observation.frame.get_instance(catalogue::GPU_TEMPERATURE_SLOWDOWN, "2");
        assert_eq!(limit, expected, "{answer}");
    }
}

#[test]
fn no_shell_behind_the_login() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    programs(
        home.path(),
        &[
            ("greeter", "echo Only SFTP here.\nexit 1"),
            ("silent", "exit 0"),
            ("loud", "yes 'motd'"),
        ],
    );
    let loud = write("loud.sh", "yes | head -c 10000000\n");
    let noisy = write("noisy.sh", "echo 'Welcome to gpu-07!'\nprintf '\\033[31m\\036N end\\n'\n");
    write(".tcshrc", "echo Welcome\n");
    write("fish/config.fish", "echo Welcome\n");
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    for (shell, variable, value, expected) in [
        ("/usr/sbin/nologin".to_owned(), "A", "", Err("This account is currently not available")),
        (at("greeter"), "A", "", Err("Only SFTP here.")),
        (at("silent"), "A", "", Err("it ended")),
        (at("loud"), "A", "", Err("more than 65536 bytes before it runs anything")),
        ("bash".to_owned(), "BASH_ENV", loud.to_str().unwrap(), Err("more than 65536 bytes")),
        ("bash".to_owned(), "BASH_ENV", noisy.to_str().unwrap(), Ok("Welcome to gpu-07!")),
        ("tcsh".to_owned(), "A", "", Ok("Welcome")),
        ("fish".to_owned(), "XDG_CONFIG_HOME", home.path().to_str().unwrap(), Ok("Welcome")),
    ] {
        let mut node = Node::login(&shell, |command| {
            command.env("HOME", home.path()).env(variable, value);
        });
        let mut conversation = conversation(settings());
        let now = Duration::from_secs(1);
        let question = conversation.questions(now).pop().unwrap();
        let ended = node.ask(question);
        match (&ended, expected) {
            (Ok(reader), Ok(noise)) => {
                assert!(reader.noise().starts_with(noise), "{shell}: {}", reader.noise());
            }
            (Err(error), Err(part)) => {
                assert!(error.message.contains(part), "{shell}: {}", error.message);
                assert!(error.message.len() < 1000, "{shell}: {}", error.message.len());
            }
            (ended, expected) => panic!("{shell}: {ended:?}, not {expected:?}"),
        }
        let failed = ended.is_err();
        conversation.take(Lane::Host, ended, now, now, Timestamp::EPOCH);
        let reached = Reached { round_trip: None, opened_in: None };
        let observation = conversation.observe(Ok(reached), Timestamp::EPOCH, Duration::ZERO);
        let cpu = outcome(&observation, &probe::CPU);
        assert_eq!(matches!(cpu, ProbeOutcome::Failed(_)), failed, "{shell}: {cpu:?}");
    }
}

#[test]
fn an_answer_that_is_cut_off_fails_once_and_the_next_one_counts() {
    let mut talk = Talk::new(settings(), || Node::start("dash", program(), |_| {}));
    assert_eq!(*outcome(&talk.collect(), &probe::CPU), ProbeOutcome::Answered);
    // The node's shell is killed between two questions: the connection of a lane broke.
    let node = talk.lanes.get_mut(&Lane::Host).unwrap();
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    node.stdin = None;
    let observation = talk.collect_after(Duration::from_secs(5));
    assert!(matches!(outcome(&observation, &probe::CPU), ProbeOutcome::Failed(_)));
    assert!(matches!(outcome(&observation, &probe::FILESYSTEM), ProbeOutcome::Answered));
    let observation = talk.collect_after(Duration::from_secs(5));
    assert_eq!(*outcome(&observation, &probe::CPU), ProbeOutcome::Answered);
}

#[test]
fn a_lost_node_has_no_reading_and_old_reports() {
    let mut talk = Talk::new(settings(), || Node::start("dash", program(), |_| {}));
    let seen = talk.collect();
    talk.conversation.session_lost();
    let at = Timestamp::from_unix_ms(1_795_253_500_000);
    let lost = failed("no route to host".to_owned());
    let observation = talk.conversation.observe(Err(lost.clone()), at, Duration::ZERO);
    assert!(observation.frame.is_empty());
    assert_eq!(*outcome(&observation, &probe::REACHABLE), ProbeOutcome::Failed(lost));
    for report in observation.probes.iter().filter(|report| report.probe != probe::REACHABLE) {
        let before = seen.probe(&report.probe).unwrap();
        assert_eq!((report.at, &report.outcome), (before.at, &before.outcome), "{}", report.probe);
    }
    assert_eq!(observation.inventory, seen.inventory, "what it is made of is still known");
    // Nor is what was read before read again when the next answer is missing.
    let reached = Reached { round_trip: None, opened_in: None };
    let observation = talk.conversation.observe(Ok(reached), at, Duration::ZERO);
    assert_eq!(observation.frame.get(sickbay_model::catalogue::LOAD_1M), None);
}

#[test]
fn torch_is_asked_with_the_nodes_own_interpreter() {
    let tools = tempfile::tempdir().unwrap();
    let answer = r#"{"version": "2.9.0", "cuda_available": false, "gpu_count": 0}"#;
    for (script, expected) in [
        (format!("echo hello; echo 'sickbay-torch:{answer}'"), "Answered"),
        ("echo 'no such library' >&2; exit 3".to_owned(), "no such library"),
        ("exec sleep 1000".to_owned(), "import torch gave no answer"),
        ("yes | head -c 2000000".to_owned(), "more than 524288 bytes"),
        ("exit 126".to_owned(), "may not run it"),
    ] {
        programs(tools.path(), &[("python 3", &script)]);
        let torch = TorchSettings {
            mode: crate::TorchMode::Always,
            // A path with a blank.
            interpreter: Some(tools.path().join("python 3")),
            timeout: Duration::from_secs(1),
            ..TorchSettings::default()
        };
        let mut talk = Talk::new(RemoteSettings { torch, ..settings() }, || {
            Node::start("dash", program(), |_| {})
        });
        let observation = talk.collect();
        let told = format!("{:?}", outcome(&observation, &probe::TORCH));
        assert!(told.contains(expected), "{script}: {told}");
        assert_eq!(observation.torch.is_some(), expected == "Answered");
    }
}

#[test]
fn a_node_that_was_started_anew_begins_anew() {
    let root = tempfile::tempdir().unwrap();
    gpu_machine(root.path());
    let packed = program::packed(root.path().to_str().unwrap(), 900, 780);
    let mut talk = Talk::new(settings(), || Node::start("dash", &packed, |_| {}));
    let proc = root.path().join("proc");
    let later = |uptime: &str| std::fs::write(proc.join("uptime"), uptime).unwrap();
    let rates = |observation: &Observation| {
        observation.frame.get(sickbay_model::catalogue::CONTEXT_SWITCHES).is_some()
    };
    later("1000.00 1\n");
    let first = talk.collect();
    later("1005.00 1\n");
    assert!(!rates(&first) && rates(&talk.collect_after(Duration::from_secs(5))));
    let boot_id = "11111111-2222-3333-4444-555555555555";
    std::fs::write(proc.join("sys/kernel/random/boot_id"), format!("{boot_id}\n")).unwrap();
    later("9.00 1\n");
    // A boot ends the session.
    talk.lanes.clear();
    talk.conversation.session_lost();
    let booted = talk.collect_after(Duration::from_secs(60));
    assert_eq!(booted.inventory.host.boot_id, boot_id);
    assert_eq!(booted.inventory.host.os, first.inventory.host.os);
    assert!(!rates(&booted), "no rate over a boot");
    later("14.00 1\n");
    assert!(rates(&talk.collect_after(Duration::from_secs(5))));
}

#[test]
fn a_mount_that_hangs_is_named_and_holds_no_other() {
    let (root, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    gpu_machine(root.path());
    let mountinfo = "\
        22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        23 22 8:2 / /over rw - ext4 /dev/sdb1 rw\n\
        24 23 0:39 / /over rw - nfs4 server:/over rw\n\
        30 22 0:40 / /good\\040one rw shared:1 master:2 - nfs4 server:/good rw\n\
        31 22 0:41 / /hangs rw - nfs4 server:/hangs rw\n\
        32 22 0:42 / /private rw - fuse.sshfs host:/ rw\n\
        33 22 0:43 / /stale ro - nfs server:/stale ro\n\
        34 22 0:44 / /* rw - nfs4 server:/star rw\n";
    std::fs::write(root.path().join("proc/self/mountinfo"), mountinfo).unwrap();
    // What `stat` says of the last place that it is given.
    let stat = "for place; do :; done
        no() { echo \"stat: cannot read file system information for '$place': $1\" >&2; exit 1; }
        case $place in
        /hangs) exec sleep 1000 ;;
        /private) no 'Permission denied' ;;
        /stale) no 'Stale file handle' ;;
        *) echo \"4096 1000 400 350 100 75 $place\" ;;
        esac";
    programs(tools.path(), &[("stat", stat)]);
    let packed = program::packed(root.path().to_str().unwrap(), 900, 780);
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    for sh in ["dash", "bash --posix", "ksh", "mksh"] {
        let settings = RemoteSettings { probe_timeout: Duration::from_secs(2), ..settings() };
        let mut talk = Talk::new(settings, || {
            Node::start(sh, &packed, |command| {
                command.env("PATH", &path);
            })
        });
        let observation = talk.collect();
        let ProbeOutcome::Partial(error) = outcome(&observation, &probe::REMOTE_FILESYSTEM) else {
            panic!("{sh}: {:?}", observation.probes)
        };
        assert_eq!(error.kind, ProbeErrorKind::Late, "{sh}: {}", error.message);
        for part in ["/hangs: the filesystem gave no answer", "/stale: cannot ask", "Stale"] {
            assert!(error.message.contains(part), "{sh}: {}", error.message);
        }
        let told: Vec<_> = observation
            .inventory
            .filesystems
            .iter()
            .map(|one| (one.mount_point.as_str(), one.unanswered.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("/", None),
                ("/*", None),
                ("/good one", None),
                ("/hangs", Some("late")),
                ("/over", None),
                ("/private", None),
                ("/stale", Some("cannot ask for its space: Stale file handle (os error 116)")),
            ],
            "{sh}"
        );
        let size = sickbay_model::catalogue::FILESYSTEM_SIZE;
        let sizes: Vec<_> = observation.frame.instances(size).map(|(point, _)| point).collect();
        let mut expected = ["/", "/*", "/good one", "/over"].to_vec();
        expected.sort_unstable();
        let mut sizes = sizes;
        sizes.sort_unstable();
        assert_eq!(sizes, expected, "{sh}");
        // The one that hangs has a pause of its own, and the others theirs.
        talk.now += Duration::from_secs(3);
        let questions = talk.conversation.questions(talk.now);
        let mounts = questions.iter().find(|one| one.lane == Lane::Mounts).unwrap();
        let text = String::from_utf8_lossy(&mounts.text).into_owned();
        let mut passed_over: Vec<_> = text.trim().split(' ').nth(3).unwrap().split(',').collect();
        passed_over.sort_unstable();
        assert_eq!(passed_over, ["0:39", "0:40", "0:42", "0:43", "0:44"], "{sh}: {text}");
        assert!(!mounts.awaited, "nobody waits for what hung");
    }
}

/// What a log reader is told to print: the kernel's line, and one that somebody else wrote.
const KERNELS: &str = "NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.";
const FORGED: &str = "NVRM: Xid (PCI:0000:5e:00): 79, forged";

#[test]
fn only_what_the_kernel_said_is_a_fault_whatever_tool_reads_its_log() {
    // As util-linux prints it: the level alone, so that it must be asked for the kernel's.
    let util_linux = format!(
        "case \"$*\" in *'-f kern'*) ;; *) echo '<3>[   10.000001] {FORGED}' ;; esac\n\
         echo '<3>[   11.000001] {KERNELS}'"
    );
    // As busybox: knows no facility to be asked for, and tells both in the number.
    let busybox = format!(
        "case \"$*\" in *-f*) exit 1 ;; esac\n\
         echo '<11>[   10.000001] {FORGED}'\necho '<3>[   11.000001] {KERNELS}'"
    );
    let denied = "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1";
    let journal = format!(
        "case \"$*\" in *SYSLOG_FACILITY=0*) ;; *) exit 1 ;; esac\n\
         echo '[   11.000001] gpu-07 kernel: {KERNELS}'"
    );
    let answers = |dmesg: &str, journal: &str| {
        let (root, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        gpu_machine(root.path());
        programs(tools.path(), &[("dmesg", dmesg), ("journalctl", journal)]);
        let packed = program::packed(root.path().to_str().unwrap(), 900, 780);
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        ["dash", "bash", "busybox sh"].map(|sh| {
            let start = || {
                Node::start(sh, &packed, |command| {
                    command.env("PATH", &path);
                })
            };
            Talk::new(settings(), start).collect()
        })
    };
    for (dmesg, journal) in
        [(util_linux.as_str(), "exit 1"), (busybox.as_str(), "exit 1"), (denied, journal.as_str())]
    {
        for observation in answers(dmesg, journal) {
            let log = observation.kernel_log.as_deref().expect("it was read");
            let found: Vec<_> = log.sightings.iter().map(|it| it.device.as_str()).collect();
            assert_eq!(found, ["0000:17:00.0"], "{dmesg}");
        }
    }
    for observation in answers(denied, "exit 1") {
        let told = format!("{:?}", outcome(&observation, &probe::KERNEL_LOG));
        assert!(told.contains("may not be read"), "{told}");
        assert_eq!(observation.kernel_log, None);
    }
}
