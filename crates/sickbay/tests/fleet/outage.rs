//! Servers that die and come back: whose fault it is, who is told, and what a restart remembers.

use std::time::Duration;

use serde_json::Value;

use crate::site::Site;
use crate::support::text;
use crate::watch::{detail, is_fresh, row, told, wait, wait_fresh, wait_row};
use crate::world::{Hub, checks};

const CHANGES: &[&str] =
    &["BREAKER_MOVED", "LEVEL_CHANGED", "READINESS_CHANGED", "HEALTH_CHECK_FAILED"];

/// How a node's reachability stands: its status, whether it is confirmed, and its breaker.
fn reach(hub: &Hub, name: &str) -> (String, bool, String) {
    let detail = detail(hub, name);
    let check = checks(&detail, "reachable").first().copied().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let breaker = word(&detail["breaker"]["state"]);
    (word(&check["status"]), check["hard"] == true, breaker)
}

#[test]
fn a_dead_server_is_soft_then_hard_behind_its_breaker_and_comes_back() {
    let site = Site::new("torch: {mode: never}\n");
    let mut servers = [(); 3].map(|()| site.lab.sshd(""));
    let names = ["alpha", "beta", "gamma"];
    for (name, server) in names.iter().zip(&servers) {
        site.knows(name, "127.0.0.1", server);
    }
    site.configure("nodes: [{name: alpha}, {name: beta}, {name: gamma}]\n");
    let mut hub = Hub::start(&site.place);
    for name in names {
        wait_row(&hub, name, "is judged", is_fresh);
    }
    let before = told(&hub, CHANGES).len();

    servers[1].kill();
    let mut seen = vec![reach(&hub, "beta")];
    wait(&hub, "the breaker opens", || reach(&hub, "beta"), |now| now.2 == "open");
    // What is read between two collections is what a person would see.
    seen.push(reach(&hub, "beta"));
    let hard = ("critical".to_owned(), true, "open".to_owned());
    assert_eq!(seen.last(), Some(&hard), "{seen:?}");
    let down = wait_row(&hub, "beta", "is unknown", |row| row["level"] == "unknown");
    assert!(down["headline"].as_str().unwrap().contains("refuses"), "{down:#}");
    assert_eq!(detail(&hub, "beta")["breaker"]["failures"], 3);
    for name in ["alpha", "gamma"] {
        wait_fresh(&hub, name);
    }
    let events = told(&hub, CHANGES).split_off(before);
    assert!(events.iter().all(|(_, of, _)| of == "beta"), "the others: {events:#?}");
    let moved: Vec<_> = events.iter().filter(|(kind, ..)| kind == "BREAKER_MOVED").collect();
    assert_eq!(moved.len(), 1, "{events:#?}");
    assert!(moved[0].2.contains("open"), "{moved:?}");
    let listed = text(&hub.ask(&site.place, &["breaker", "list"]));
    assert!(listed.contains("beta") && listed.contains("open"), "{listed}");

    // It is back, but nobody asks; not after a crash of the hub either.
    servers[1].start();
    wait(
        &hub,
        "what was told is on disk",
        || told(&hub, &["BREAKER_MOVED"]),
        |all| !all.is_empty(),
    );
    std::thread::sleep(Duration::from_millis(300));
    hub.signal("-KILL");
    let _ = hub.wait();
    drop(hub);
    let hub = Hub::begin(&site.place, site.place.command(&["up"]));
    let restored = row(&hub, "beta");
    assert_eq!(restored["breaker"], "open", "{restored:#}");
    let restored = detail(&hub, "beta");
    let stale = restored["stale"].as_str().unwrap_or_default();
    assert!(stale.contains("before the hub was started"), "{restored:#}");
    for name in ["alpha", "gamma"] {
        wait_row(&hub, name, "is fresh again", is_fresh);
    }
    assert_eq!(servers[1].sessions(), [0_u32; 0], "an open breaker is not asked");
    assert_eq!(row(&hub, "beta")["breaker"], "open");

    let reset = hub.ask(&site.place, &["breaker", "reset", "beta"]);
    assert!(reset.status.success(), "{}", text(&reset));
    wait_row(&hub, "beta", "recovers", |row| is_fresh(row) && row["breaker"] == "closed");
    let recovered = |all: &Vec<(String, String, String)>| all.iter().any(|(_, of, _)| of == "beta");
    wait(&hub, "it is told", || told(&hub, &["NODE_RECOVERED"]), recovered);
    hub.stop();
}

#[test]
fn a_failure_is_soft_until_it_was_seen_three_times() {
    // Slower, so that a person could read along.
    let site = Site::new("torch: {mode: never}\n");
    let config = site.place.config_file();
    let slower = std::fs::read_to_string(&config).unwrap().replace("interval: 1s", "interval: 3s");
    std::fs::write(&config, slower).unwrap();
    let mut server = site.lab.sshd("");
    site.knows("slow", "127.0.0.1", &server);
    site.configure("nodes: [{name: slow}]\n");
    let hub = Hub::start(&site.place);
    wait_row(&hub, "slow", "is judged", is_fresh);
    let level = row(&hub, "slow")["level"].clone();
    server.kill();
    let soft = |now: &(String, bool, String)| now.0 == "critical";
    let now = wait(&hub, "a failure shows", || reach(&hub, "slow"), soft);
    assert_eq!((now.1, now.2.as_str()), (false, "closed"), "soft at first");
    assert_eq!(row(&hub, "slow")["level"], level, "its last verdict stands");
    wait(&hub, "and hard at last", || reach(&hub, "slow"), |now| now.1);
    wait_row(&hub, "slow", "is unknown", |row| row["level"] == "unknown");
    hub.stop();
}

#[test]
fn what_is_behind_a_dead_jump_host_is_unknown_and_not_to_blame() {
    let site = Site::new("torch: {mode: never}\n");
    let (mut gate, inner) = (site.lab.sshd(""), site.lab.sshd(""));
    site.knows("gate", "127.0.0.1", &gate);
    site.knows("inner", "127.0.0.2", &inner);
    let config = site.file("config");
    let text_of = std::fs::read_to_string(&config).unwrap();
    let behind = text_of.replace("Host inner\n", "Host inner\n  ProxyJump gate\n");
    std::fs::write(&config, behind).unwrap();
    site.configure("nodes: [{name: gate}, {name: inner}]\n");
    let hub = Hub::start(&site.place);
    for name in ["gate", "inner"] {
        wait_row(&hub, name, "is judged", is_fresh);
    }
    let before = told(&hub, CHANGES).len();
    gate.kill();
    wait_row(&hub, "gate", "is given up", |row| row["breaker"] == "open");
    let behind = wait_row(&hub, "inner", "is excused", |row| row["level"] == "unknown");
    let why = behind["stale"].as_str().unwrap_or_default();
    assert!(why.contains("(parent)") && why.contains("gate"), "{behind:#}");
    assert_eq!(behind["breaker"], "closed", "{behind:#}");
    let events = told(&hub, CHANGES).split_off(before);
    assert!(events.iter().all(|(_, of, _)| of == "gate"), "one cause, one story: {events:#?}");
    gate.start();
    assert!(hub.ask(&site.place, &["breaker", "reset", "gate"]).status.success());
    for name in ["gate", "inner"] {
        wait_row(&hub, name, "is back", is_fresh);
    }
    let events = told(&hub, CHANGES).split_off(before);
    assert!(events.iter().all(|(_, of, _)| of == "gate"), "back in silence: {events:#?}");
    hub.stop();
}
