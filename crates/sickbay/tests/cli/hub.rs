//! A hub from start to stop, and what the commands make of it.

use std::time::{Duration, Instant};

use sickbay_wire::v1::{EventView, History, Page, ResourceDetail, ResourceSummary, StatusReport};

use crate::support::{Place, errors, json, text, until};

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a stop takes is what is tested")]
fn a_hub_is_asked_and_stops_cleanly() {
    let place = Place::new();
    let mut hub = place.up();
    let status: StatusReport = json(&place.run(&["health", "--json"]));
    let node: ResourceSummary = status.resources[0].clone();
    let name = node.id.strip_prefix("node/").unwrap().to_owned();
    let detail: ResourceDetail = json(&place.run(&["explain", &name, "--json"]));
    assert_eq!(detail.summary.id, node.id);
    assert!(text(&place.run(&["explain"])).contains("May work be started here?"));
    assert!(text(&place.run(&["health"])).contains(&node.id));

    let history = || place.run(&["history", &name, "score", "--json"]);
    assert!(until(|| {
        let output = history();
        output.status.success() && !json::<History>(&output).points.is_empty()
    }));
    assert!(
        text(&place.run(&["history", &name, "score", "--csv"]))
            .starts_with("time,min,mean,max,count\n")
    );
    assert!(text(&place.run(&["history", &name, "score"])).contains('┤'));
    assert!(text(&place.run(&["history", &name])).contains("cpu_cores"));
    let unknown = place.run(&["health", "no-such-node"]);
    assert_eq!(unknown.status.code(), Some(66), "{}", errors(&unknown));

    let events: Page<EventView> = json(&place.run(&["events", "--json"]));
    assert!(events.items.iter().any(|event| event.kind.as_str() == "HUB_STARTED"));
    assert!(text(&place.run(&["db", "stats"])).contains("yes, by a hub"));
    let copy = place.dir.path().join("copy.db").display().to_string();
    let backup = place.run(&["db", "backup", &copy]);
    assert!(backup.status.success(), "{}", errors(&backup));
    assert_eq!(place.run(&["db", "cleanup"]).status.code(), Some(75), "the hub holds it");

    let stopping = Instant::now();
    hub.signal("-TERM");
    let ended = hub.child.wait().unwrap();
    assert!(ended.success(), "{ended}: {}", hub.said());
    assert!(stopping.elapsed() < Duration::from_secs(2), "{:?}", stopping.elapsed());
    let said = hub.said();
    assert!(said.contains(&format!("http://{}/", place.address)), "{said}");

    for arguments in [&["db", "cleanup"][..], &["db", "optimize"], &["db", "restore", &copy]] {
        let output = place.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn a_gate_takes_the_hubs_fresh_verdict_and_looks_itself_without_one() {
    let place = Place::new();
    let line = |arguments: &[&str]| {
        let output = place.run(arguments);
        let said = text(&output);
        assert_eq!(said.lines().count(), 1, "{said} {}", errors(&output));
        let code = match said.split(' ').next().unwrap() {
            "PASS" => 0,
            "REFUSE" => 2,
            "UNKNOWN" => 3,
            other => panic!("{other}"),
        };
        assert_eq!(output.status.code(), Some(code), "{said}");
        (said, errors(&output))
    };
    let (said, errors) = line(&["check", "--gate"]);
    assert!(said.ends_with("; looked at now\n"), "{said}");
    assert_eq!(errors, "", "a machine without a hub is usual");

    let hub = place.up();
    let (said, _) = line(&["check", "--gate"]);
    assert!(said.contains("; the hub saw it "), "{said}");
    let (said, errors) = line(&["check", "--gate", "--max-age", "1ms"]);
    assert!(said.ends_with("; looked at now\n"), "{said}");
    assert!(errors.contains("too long ago: looking now"), "{errors}");
    // Neither a hub that hangs nor a configuration that is wrong makes a machine a broken one.
    hub.signal("-STOP");
    let (said, errors) = line(&["check", "--gate"]);
    assert!(said.ends_with("; looked at now\n"), "{said}");
    assert!(errors.contains("did not answer in time"), "{errors}");
    hub.signal("-CONT");
    let (said, _) = line(&["check", "--gate", "--timeout", "1ms"]);
    assert!(said.starts_with("UNKNOWN ") && said.contains("within 1"), "{said}");
    std::fs::write(place.config_file(), "no_such_key: 1\n").unwrap();
    let (said, errors) = line(&["check", "--gate"]);
    assert!(said.contains("; the hub saw it "), "{said}");
    assert!(errors.contains("config check"), "{errors}");
    let two = place.run(&["check", "--gate", "a", "b"]);
    assert_eq!(two.status.code(), Some(64));
}

#[test]
fn a_second_hub_learns_who_was_first() {
    let place = Place::new();
    let hub = place.up();
    let second = place.command(&["up", "--listen", "127.0.0.1:0"]).output().unwrap();
    let said = errors(&second);
    assert_eq!(second.status.code(), Some(75), "{said}");
    assert!(said.contains(&hub.child.id().to_string()) && said.contains(&place.address), "{said}");

    let elsewhere = place.dir.path().join("other").display().to_string();
    let same_port = place.command(&["up", "--data-dir", &elsewhere]).output().unwrap();
    let said = errors(&same_port);
    assert_eq!(same_port.status.code(), Some(75), "{said}");
    assert!(said.contains("--listen"), "says how to choose another: {said}");
    assert!(said.contains(&format!("process {} ", hub.child.id())), "says who: {said}");
}

#[test]
fn a_changed_config_is_taken_over_and_a_bad_one_refused() {
    let place = Place::new();
    let hub = place.up();
    let happened = |kind: &str, word: &str| {
        until(|| {
            let output = hub.place.run(&["events", "--json", "--kind", kind]);
            output.status.success()
                && json::<Page<EventView>>(&output).items.iter().any(|event| {
                    event.message.contains(word) || format!("{:?}", event.details).contains(word)
                })
        })
    };
    let file = place.config_file();
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, "torch: {mode: never}\nthresholds: {cpu_used: {warning: 70}}\n")
        .unwrap();
    std::fs::rename(&fresh, &file).unwrap();
    assert!(happened("CONFIG_RELOADED", "thresholds.cpu_used.warning"), "by itself");
    std::fs::write(&file, "lisen: 1\n").unwrap();
    assert!(happened("CONFIG_REJECTED", "lisen"));
    // The commands that ask go on asking, and say what they noticed.
    let status = place.run(&["daemon", "status"]);
    assert!(text(&status).contains("refused"), "{}", text(&status));
    assert!(errors(&status).contains("1 mistake"), "{}", errors(&status));
    std::fs::write(&file, "torch: {mode: never}\nstate: {confirm: 4}\n").unwrap();
    hub.signal("-HUP");
    assert!(happened("CONFIG_RELOADED", "state.confirm"), "on SIGHUP");
}
