//! Whole collections of nodes behind real OpenSSH servers.

use std::time::Duration;

use sickbay_collect::{CollectContext, NodeSource as _};
use sickbay_model::{Observation, ProbeOutcome, Resource, ResourceId, SshTarget, catalogue, probe};
use sickbay_runtime::Clock;
use tokio_util::sync::CancellationToken;

use super::SshNode;
use crate::session::tests::{knows, settings, shown, sshd, target, write_home};
use crate::{Ssh, SshSettings};
use sshd::Lab;

fn context(deadline: Duration) -> CollectContext {
    CollectContext { clock: Clock::system(), deadline, cancel: CancellationToken::new() }
}

fn node(ssh: &Ssh, target: &SshTarget) -> SshNode {
    let id = ResourceId::node("n").expect("a name");
    let resource = Resource {
        display_name: "n".to_owned(),
        id,
        labels: std::collections::BTreeMap::new(),
        parent: None,
    };
    ssh.node(resource, target.clone())
}

async fn collect(node: &mut SshNode) -> Observation {
    node.collect(&context(Duration::from_secs(20))).await
}

/// How a probe ended.
fn ended(observation: &Observation, probe: &sickbay_model::ProbeId) -> String {
    let report = observation.probes.iter().find(|report| report.probe == *probe);
    match report.map(|report| &report.outcome) {
        None => "not reported".to_owned(),
        Some(ProbeOutcome::Failed(error)) => shown(error),
        Some(ProbeOutcome::Partial(error)) => format!("partial {}", shown(error)),
        Some(ProbeOutcome::NotApplicable(why)) => format!("not applicable: {why}"),
        Some(ProbeOutcome::Answered) => "answered".to_owned(),
    }
}

fn reached(observation: &Observation) -> String {
    ended(observation, &probe::REACHABLE)
}

fn assert_reached(observation: &Observation) {
    assert_eq!(reached(observation), "answered");
    for probe in [probe::CPU, probe::MEMORY, probe::HOST, probe::LATENCY] {
        assert_eq!(ended(observation, &probe), "answered", "{probe}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_asked_over_one_session() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let target = knows(&lab, &server);
    let ssh = Ssh::new(settings(&lab));
    let mut node = node(&ssh, &target);
    assert!(!node.is_connected());
    let first = collect(&mut node).await;
    assert_reached(&first);
    assert!(node.is_connected());
    let count = first.frame.len();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = collect(&mut node).await;
    assert_reached(&second);
    assert!(second.frame.len() > count, "rates come with the second look");
    let round_trip = second.frame.get_instance(catalogue::LATENCY, "ssh").expect("measured");
    assert!((0.0..2_000.0).contains(&round_trip), "{round_trip} ms");
    assert!(second.cost > Duration::ZERO);
    node.shutdown().await;
    assert!(!node.is_connected());
    sshd::wait_until("nothing is left there", || server.sessions().is_empty());
    assert_reached(&collect(&mut node).await);
    drop(node);
    sshd::wait_until("nothing is left there", || server.sessions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_of_every_kind() {
    let lab = Lab::new();
    let original = "exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"";
    let noisy = format!(
        "#!/bin/sh\necho Welcome to the machine\nprintf '\\033[31mno newline'\n{original}\n"
    );
    let noisy = lab.script("noisy", &noisy);
    let slow = lab.script("slow", "#!/bin/sh\nexec sleep 60\n");
    let flood = lab.script("flood", "#!/bin/sh\nexec cat /dev/zero\n");
    let cut = lab.script("cut", "#!/bin/sh\necho half; kill -9 $PPID; sleep 60\n");
    let gone =
        lab.script("gone", "#!/bin/sh\necho 'This account is currently not available.'\nexit 1\n");
    let with = |shell: &str| {
        lab.script(shell, &format!("#!/bin/sh\nexec {shell} -c \"$SSH_ORIGINAL_COMMAND\"\n"))
    };
    let mut cases = vec![
        (noisy, "answered"),
        (
            gone,
            "denied: the login on USER works, but its shell ended at once (exit status 1); it said \"This account is currently not available.\"",
        ),
        (
            "/bin/false".into(),
            "its shell ended at once (exit status 1) → give that user a login shell",
        ),
        ("/no/such/shell".into(), "its shell ended at once (exit status 127)"),
        (flood, "answered"),
        (cut, "unreachable: the session with 127.0.0.1"),
        (slow, "answered"),
    ];
    for shell in ["bash", "dash", "fish", "zsh", "tcsh", "ksh"] {
        let found =
            std::process::Command::new("sh").args(["-c", &format!("command -v {shell}")]).output();
        if found.is_ok_and(|found| found.status.success()) {
            cases.push((with(shell), "answered"));
        } else {
            println!("not installed, not tested: {shell}");
        }
    }
    for (command, expected) in cases {
        let name = command.file_name().and_then(|name| name.to_str());
        // Only those that never answer are given up soon: a loaded machine is no reason for another answer.
        let seconds = if matches!(name, Some("slow" | "flood")) { 3 } else { 30 };
        let server = lab.sshd(&format!("ForceCommand {}", command.display()));
        let target = knows(&lab, &server);
        let mut settings = settings(&lab);
        let remote = sickbay_collect::remote::RemoteSettings {
            probe_timeout: Duration::from_secs(seconds),
            ..Default::default()
        };
        settings.remote = remote.into();
        let mut node = node(&Ssh::new(settings), &target);
        let observation = collect(&mut node).await;
        let address = format!("{}@127.0.0.1:{}", lab.user(), server.port);
        let found = reached(&observation).replace(&address, "USER");
        assert!(found.contains(expected), "{}: {found}", command.display());
        // The machine is there; its shell says nothing, or does not stop.
        let kind = match name {
            Some("slow") => "late: ",
            Some("flood") => "malformed: ",
            _ => continue,
        };
        let found = ended(&observation, &probe::CPU);
        assert!(found.starts_with(kind), "{}: {found}", command.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_channel_is_enough() {
    let lab = Lab::new();
    for most in [1, 2] {
        let server = lab.sshd(&format!("MaxSessions {most}"));
        let target = knows(&lab, &server);
        let mut node = node(&Ssh::new(settings(&lab)), &target);
        for _ in 0..3 {
            assert_reached(&collect(&mut node).await);
        }
    }
    let server = lab.sshd("MaxSessions 0");
    let target = knows(&lab, &server);
    let found = reached(&collect(&mut node(&Ssh::new(settings(&lab)), &target)).await);
    assert!(found.contains("lets us in and opens no channel"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_between_two_collections_is_mended_in_the_next() {
    let lab = Lab::new();
    let mut server = lab.sshd("");
    let target = knows(&lab, &server);
    let mut node = node(&Ssh::new(settings(&lab)), &target);
    assert_reached(&collect(&mut node).await);
    // The session.
    server.signal_sessions("KILL");
    assert_reached(&collect(&mut node).await);
    // The server.
    server.kill();
    let found = reached(&collect(&mut node).await);
    assert!(found.starts_with("unreachable: ") && found.contains("refuses"), "{found}");
    server.start();
    assert_reached(&collect(&mut node).await);
    // The shells alone.
    let shells = server.sessions();
    let shells: Vec<String> = shells
        .iter()
        .filter(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim() == "sh"
        })
        .map(ToString::to_string)
        .collect();
    assert!(!shells.is_empty());
    let _ = std::process::Command::new("kill").arg("-9").args(&shells).output();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_reached(&collect(&mut node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_machine_is_unreachable_not_late() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let target = knows(&lab, &server);
    let mut node = node(&Ssh::new(settings(&lab)), &target);
    assert_reached(&collect(&mut node).await);
    server.signal_sessions("STOP");
    let observation = node.collect(&context(Duration::from_secs(2))).await;
    let found = reached(&observation);
    assert!(found.starts_with("unreachable: ") && found.contains("no sign of life"), "{found}");
    assert_eq!(observation.frame.len(), 0, "nothing old is shown as new");
    server.signal_sessions("CONT");
    assert_reached(&collect(&mut node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_end_in_time() {
    let lab = Lab::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = listener.local_addr().expect("an address").port();
    let ssh = Ssh::new(SshSettings { connect_timeout: Duration::from_secs(30), ..settings(&lab) });
    let mut node = node(&ssh, &target(&lab, port));
    let start = tokio::time::Instant::now();
    let found = reached(&node.collect(&context(Duration::from_millis(200))).await);
    assert!(found.contains("no session with 127.0.0.1 within"), "{found}");
    let cancelled = context(Duration::from_secs(30));
    cancelled.cancel.cancel();
    let found = reached(&node.collect(&cancelled).await);
    assert!(found.starts_with("unreachable: "), "{found}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_behind_one_jump() {
    let lab = Lab::new();
    let (gate, inner) = (lab.sshd(""), lab.sshd(""));
    let known: String = (1..=16).map(|i| lab.known(&format!("127.0.0.{i}"), &inner)).collect();
    write_home(&lab, "known_hosts", &format!("{known}{}", lab.known("127.0.0.1", &gate)));
    let key = lab.path("user").display().to_string();
    write_home(&lab, "config", &format!("IdentityFile {key}\n"));
    let ssh = Ssh::new(SshSettings { connect_timeout: Duration::from_secs(30), ..settings(&lab) });
    let mut nodes: Vec<SshNode> = (1..=16)
        .map(|i| {
            let target = SshTarget {
                host: format!("127.0.0.{i}"),
                port: Some(inner.port),
                proxy_jump: Some(format!("127.0.0.1:{}", gate.port)),
                ..SshTarget::default()
            };
            node(&ssh, &target)
        })
        .collect();
    for _ in 0..2 {
        let context = context(Duration::from_secs(60));
        let all = nodes.iter_mut().map(|node| node.collect(&context));
        for observation in futures_util::future::join_all(all).await {
            assert_reached(&observation);
        }
    }
    drop(nodes);
    sshd::wait_until("nothing is left", || {
        gate.sessions().is_empty() && inner.sessions().is_empty()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_hangs_in_the_kernel_holds_up_a_node_no_longer_than_it_lasts() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("bin")).expect("made");
    let (mended, hanging) = (lab.path("mended"), lab.path("hanging"));
    // Nobody's clock stands beside the reads from memory on the node: the channel is given up.
    let head = format!(
        "#!/bin/sh\ncase $* in *proc/stat*) [ -e {} ] || {{ echo $$ >>{}; exec sleep 600; }} ;; esac\n\
         exec /usr/bin/head \"$@\"\n",
        mended.display(),
        hanging.display()
    );
    lab.script("bin/head", &head);
    let shell = format!(
        "#!/bin/sh\nexport PATH={}:$PATH\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n",
        lab.path("bin").display()
    );
    let shell = lab.script("shell", &shell);
    let server = lab.sshd(&format!("ForceCommand {}", shell.display()));
    let target = knows(&lab, &server);
    let remote = sickbay_collect::remote::RemoteSettings {
        probe_timeout: Duration::from_secs(2),
        ..Default::default()
    };
    let ssh = Ssh::new(SshSettings { remote: remote.into(), ..settings(&lab) });
    let mut node = node(&ssh, &target);
    let start = tokio::time::Instant::now();
    let observation = collect(&mut node).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // The machine answers; its kernel does not.
    assert_eq!(reached(&observation), "answered");
    let found = ended(&observation, &probe::CPU);
    assert!(found.starts_with("late: ") && found.contains("did not answer within 3"), "{found}");
    std::fs::write(&mended, "").expect("written");
    let mut last = observation;
    for _ in 0..100 {
        last = collect(&mut node).await;
        if ended(&last, &probe::CPU) == "answered" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_reached(&last);
    let pids = std::fs::read_to_string(&hanging).expect("it hung");
    let _ = std::process::Command::new("kill").arg("-9").args(pids.split_whitespace()).output();
}
