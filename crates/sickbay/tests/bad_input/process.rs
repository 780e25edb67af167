//! How a hub ends: signals, and `kill -9`.

use serde_json::Value;
use sickbay_sim_nvml::{FakeNvml, fixture};

use crate::support::{json, until};
use crate::world::{FAST, Hub, place};

#[test]
fn nothing_that_was_told_is_lost_by_kill_9() {
    let place = place("");
    // A driver that will hang lets the test see the hub before its first look ends.
    let fake = FakeNvml::install(place.dir.path(), &fixture("h100x8")).unwrap();
    let library = fake.library().display().to_string();
    let more = format!(
        "probes: {{timeout: 3s, nvml_library: {library}}}\nstore: {{commit_interval: 100ms}}\n"
    );
    std::fs::write(place.config_file(), format!("{FAST}{more}")).unwrap();
    let mut hub = Hub::start(&place);
    hub.await_event("HUB_STARTED", "");
    let id = hub.node()["id"].as_str().unwrap().to_owned();
    let points = |hub: &Hub| {
        let output = hub.ask(&place, &["history", &id, "memory_used_percent", "--json"]);
        if !output.status.success() {
            return Vec::new();
        }
        json::<Value>(&output)["points"].as_array().cloned().unwrap_or_default()
    };
    assert!(until(|| points(&hub).len() >= 2), "{}", hub.said());
    let (events, history) = (hub.events(), points(&hub));
    let children = hub.children();
    hub.signal("-KILL");
    hub.wait();
    let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(until(|| children.iter().all(gone)), "children outlived their hub: {children:?}");

    fake.set(&fixture("fault-hang-init")).unwrap();
    let mut hub = Hub::begin(&place, place.command(&["up"]));
    let restored = hub.json(&format!("/api/v1/resources/{id}"));
    let stale = restored["stale"].as_str().unwrap_or_else(|| panic!("{restored:#}"));
    assert!(stale.contains("before the hub was started"), "{stale}");
    assert!(restored["score"].is_number(), "what was known is shown: {restored:#}");
    hub.await_ready();
    hub.node_until("it is looked at anew", |node| node["stale"].is_null());
    hub.await_event("HUB_CRASHED", "");
    let after = hub.events();
    for event in &events {
        assert!(after.contains(event), "{event} is lost");
    }
    let kept = points(&hub);
    for point in history.iter().take(history.len() - 1) {
        let at = |other: &&Value| other["at"] == point["at"];
        assert!(kept.iter().any(|other| at(&other)), "{point} is lost: {kept:?}");
    }
    hub.stop();
    let hub = Hub::begin(&place, place.command(&["up"]));
    let crashes = hub.events().iter().filter(|event| event["kind"] == "HUB_CRASHED").count();
    assert_eq!(crashes, 1, "a clean stop is no crash");
    hub.stop();
}

#[test]
fn signals_mean_what_they_always_mean() {
    for (signal, reason) in [("-TERM", "SIGTERM"), ("-INT", "Ctrl-C")] {
        let place = place("");
        let hub = Hub::start(&place);
        // Not an end: a config that is read again, changed or not.
        hub.signal("-HUP");
        hub.await_event("CONFIG_RELOADED", "");
        hub.signal("-WINCH");
        let said = hub.stop_by(signal);
        assert!(said.contains(reason), "{signal}: {said}");
        let hub = Hub::start(&place);
        hub.await_event("HUB_STOPPED", reason);
        hub.stop();
    }
}

#[test]
fn a_closed_terminal_does_not_end_it() {
    let place = place("");
    let mut command = place.command(&["up"]);
    command.env("SICKBAY_LISTEN", "127.0.0.1:0");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 16];
    std::io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut first).unwrap();
    drop(child.stderr.take());
    let log = place.data_dir().join("log");
    let written = || {
        let files = std::fs::read_dir(&log).into_iter().flatten().flatten();
        files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect::<String>()
    };
    assert!(until(|| written().contains("HUB_STARTED")), "{}", written());
    let pid = child.id().to_string();
    let kill = |signal: &str| {
        std::process::Command::new("kill").args([signal, pid.as_str()]).status().unwrap()
    };
    assert!(kill("-HUP").success());
    assert!(until(|| written().contains("CONFIG_RELOADED")), "it goes on: {}", written());
    assert!(kill("-TERM").success());
    assert!(child.wait().unwrap().success(), "{}", written());
}
