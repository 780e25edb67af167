//! Other machines over SSH, by a real OpenSSH server.

use sickbay_model::Level;
use sickbay_wire::v1::{Page, ResourceDetail};

use crate::sshd::{Lab, Sshd};
use crate::support::{Place, errors, json, text, until};

/// What the machine that runs the tests may be short of is not judged: a live look counts at once
/// what a hub confirms first.
const UNJUDGED: &str = "\
overrides:
  - {check: cpu}
  - {check: memory}
  - {check: pressure_cpu}
  - {check: pressure_io}
  - {check: pressure_memory}
  - {check: filesystem_space}
  - {check: filesystem_inodes}
";

/// A home whose `~/.ssh` reaches a server as `box`, `twin` and `stranger`; the last one's key is
/// not known.
fn home(lab: &Lab, sshd: &Sshd) -> Place {
    let place = Place::new();
    std::fs::write(place.dir.path().join("config.yaml"), UNJUDGED).unwrap();
    let ssh = place.dir.path().join(".ssh");
    std::fs::create_dir(&ssh).unwrap();
    let mut config =
        String::from("Host *.example !x\n  User nobody\nHost github.com\n  User git\n");
    for (alias, address) in [("box", "127.0.0.1"), ("twin", "127.0.0.2"), ("stranger", "127.0.0.3")]
    {
        config.push_str(&format!(
            "Host {alias}\n  HostName {address}\n  Port {}\n  User {}\n  IdentityFile {}\n",
            sshd.port,
            lab.user(),
            lab.path("user").display()
        ));
    }
    std::fs::write(ssh.join("config"), config).unwrap();
    let known = format!("{}\n{}\n", lab.known("127.0.0.1", sshd), lab.known("127.0.0.2", sshd));
    std::fs::write(ssh.join("known_hosts"), known).unwrap();
    place
}

#[test]
fn a_node_is_found_added_and_judged_alike_live_and_by_the_hub() {
    let lab = Lab::new();
    let sshd = lab.sshd("");
    let place = home(&lab, &sshd);

    let discovered = place.run(&["nodes", "discover"]);
    assert_eq!(
        text(&discovered),
        "sickbay add node box\nsickbay add node twin\nsickbay add node stranger\n",
        "{}",
        errors(&discovered)
    );
    let stranger = place.run(&["add", "node", "stranger"]);
    let said = errors(&stranger);
    assert_eq!(stranger.status.code(), Some(69), "{said}");
    assert!(said.contains("SHA256:") && said.contains("--accept-new"), "{said}");
    let added = place.run(&["add", "node", "box", "--label", "rack=7"]);
    assert!(added.status.success(), "{} {}", text(&added), errors(&added));
    assert!(text(&added).starts_with("node/box"), "says what it found: {}", text(&added));
    assert!(text(&added).contains("added node/box"), "{}", text(&added));

    let output = place.run(&["check", "box", "--json"]);
    let live: Page<ResourceDetail> = json(&output);
    let live = &live.items[0];
    assert_eq!(live.summary.labels["rack"], "7");
    assert_ne!(live.summary.level, Level::Unknown, "{:#?}", live.summary);
    assert_eq!(output.status.code(), Some(i32::from(live.summary.level.exit_code())));
    assert!(live.checks.iter().any(|check| check.check == "cpu"), "rates exist: two looks");

    let gate = text(&place.run(&["check", "--gate", "box"]));
    assert!(gate.contains(" node/box: ") && gate.ends_with("; looked at now\n"), "{gate}");
    let gate = place.run(&["check", "--gate", "stranger"]);
    assert_eq!(gate.status.code(), Some(3), "{}", text(&gate));
    assert!(text(&gate).starts_with("UNKNOWN node/stranger: "), "{}", text(&gate));

    let diagnosed = place.run(&["diagnose", "box", "--no-bundle", "--json"]);
    let view: serde_json::Value = json(&diagnosed);
    let kernel = view["questions"].as_array().and_then(|all| all.first()).unwrap();
    assert_eq!(kernel["end"]["exited"], 0, "{kernel}");
    assert!(view["cut"].is_null(), "{view}");
    let refused = place.run(&["diagnose", "stranger", "--no-bundle"]);
    assert_eq!(refused.status.code(), Some(3), "{}", errors(&refused));

    let table = place.run(&["check", "box", "twin", "stranger"]);
    let said = text(&table);
    assert_eq!(table.status.code(), Some(3), "{said}");
    for word in ["NODE", "box", "twin", "3 nodes:", "no answer from 1 node", "stranger"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    let _hub = place.up();
    let cached = || -> ResourceDetail { json(&place.run(&["health", "box", "--json"])) };
    let judged = until(|| {
        let node = place.run(&["health", "box", "--json"]);
        matches!(node.status.code(), Some(0..=3)) && cached().checks.len() >= live.checks.len()
    });
    assert!(judged, "{:#?}", cached().summary);
    // A hub confirms what it sees before it counts; what is seen is the same.
    let verdicts = |detail: &ResourceDetail| {
        let mut verdicts: Vec<_> =
            detail.checks.iter().map(|it| (it.check.clone(), it.instance.clone())).collect();
        verdicts.sort();
        verdicts
    };
    assert_eq!(verdicts(&cached()), verdicts(live));
    let agree = until(|| cached().summary.level == live.summary.level);
    assert!(agree, "hub: {:?}, live: {:?}", cached().summary, live.summary);
    let rows = text(&place.run(&["health", "--label", "rack=7"]));
    let again = text(&place.run(&["check", "box", "twin"]));
    let word = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("box ")).map(str::to_owned);
        line.and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
    };
    assert_eq!(word(&rows), word(&again), "{rows}{again}");
}

#[test]
fn a_check_that_is_interrupted_says_what_it_knows() {
    let lab = Lab::new();
    let sshd = lab.sshd("");
    let place = home(&lab, &sshd);
    // Accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = place.dir.path().join(".ssh/config");
    let mut text_of = std::fs::read_to_string(&config).unwrap();
    text_of.push_str(&format!("Host mute\n  HostName 127.0.0.1\n  Port {port}\n"));
    std::fs::write(&config, text_of).unwrap();
    std::fs::write(place.config_file(), "torch: {mode: never}\nssh: {connect_timeout: 1m}\n")
        .unwrap();
    let mut command = place.command(&["check", "box", "mute"]);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Long enough for the one that answers; its end does not change what is tested.
    std::thread::sleep(std::time::Duration::from_secs(8));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said} {}", errors(&output));
    assert!(errors(&output).contains("what is known so far"), "{}", errors(&output));
    assert!(said.contains("the check was stopped") && said.contains("2 nodes:"), "{said}");
    let limited = place.run(&["check", "mute", "--timeout", "1s"]);
    assert!(text(&limited).contains("no answer from 1 node"), "{}", text(&limited));
}
