//! Real servers, watched: found, judged, and judged alike by whoever looks.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::site::Site;
use crate::support::{json, text};
use crate::watch::{detail, figure, rows, wait, wait_row};
use crate::world::Hub;

/// An interpreter with a torch of its own.
const TORCH: &str = "\
#!/bin/sh
printf '\\nsickbay-torch:{\"version\":\"2.9.0\",\"cuda_available\":false,\"gpu_count\":0}\\n'
";

/// What of a verdict must not depend on who looks: level, readiness, and what is wrong.
#[derive(Debug, PartialEq)]
struct Verdict {
    level: Value,
    ready: Value,
    readiness: BTreeMap<String, String>,
    findings: Vec<(String, String, String)>,
}

fn verdict(detail: &Value) -> Verdict {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = detail["checks"].as_array().cloned().unwrap_or_default();
    let unwell = checks.iter().filter(|check| check["status"] != "healthy");
    let mut findings: Vec<_> = unwell
        .map(|check| (word(&check["check"]), word(&check["instance"]), word(&check["status"])))
        .collect();
    findings.sort();
    let asked = detail["readiness"]["checks"].as_array().cloned().unwrap_or_default();
    let readiness = asked.iter().map(|it| (word(&it["check"]), word(&it["outcome"]))).collect();
    let (level, ready) = (detail["level"].clone(), detail["ready"].clone());
    Verdict { level, ready, readiness, findings }
}

fn score(detail: &Value) -> f64 {
    detail["score"].as_f64().unwrap_or(-1.0)
}

#[test]
fn servers_are_found_scored_and_judged_alike_live_and_by_the_hub() {
    let site = Site::new("");
    let python = site.lab.script("python", TORCH).display().to_string();
    site.configure(&format!("torch: {{mode: always, interpreter: {python}}}\n"));
    let servers = [(); 3].map(|()| site.lab.sshd(""));
    for (name, server) in ["one", "two", "three"].iter().zip(&servers) {
        site.knows(name, "127.0.0.1", server);
    }
    let found = text(&site.place.run(&["nodes", "discover"]));
    for name in ["one", "two", "three"] {
        assert!(found.contains(&format!("sickbay add node {name}\n")), "{found}");
    }
    site.configure(
        "nodes:\n  - {name: one, labels: {rack: a}}\n  - {name: two, labels: {rack: a}}\n  \
         - {name: three, labels: {rack: b}, expected: {gpus: 2}}\n",
    );
    let hub = Hub::start(&site.place);
    // The five, and how each ends: three has not the GPUs that it should.
    let expect = |gpu: &str| {
        [("reachable", "passed"), ("gpu_available", gpu), ("torch_ready", "passed")]
            .into_iter()
            .chain([("disk_ready", "passed"), ("latency_ready", "passed")])
            .map(|(check, outcome)| (check.to_owned(), outcome.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    for (name, gpu, ready) in [
        ("one", "not_applicable", true),
        ("two", "not_applicable", true),
        ("three", "failed", false),
    ] {
        let all_five =
            |detail: &Value| verdict(detail).readiness == expect(gpu) && detail["ready"] == ready;
        wait(&hub, &format!("{name} is judged"), || detail(&hub, name), all_five);
        let output = site.place.run(&["check", name, "--json"]);
        let live: Value = json::<Value>(&output)["items"][0].clone();
        let cached = || -> Value {
            let hub_says = hub.ask(&site.place, &["health", name, "--json"]);
            json(&hub_says)
        };
        // A hub confirms what it sees before it counts; in the end both say the same.
        let alike = |cached: &Value| {
            verdict(cached) == verdict(&live) && (score(cached) - score(&live)).abs() <= 5.0
        };
        let cached = wait(&hub, "live and cached agree", cached, alike);
        assert!(score(&cached) >= 0.0, "{cached:#}");
        assert_eq!(output.status.code() == Some(0), live["level"] == "healthy", "{live:#}");
    }
    assert!(detail(&hub, "three").to_string().contains("0 of 2 GPUs"), "says what is missing");

    let fleet = hub.json("/api/v1/fleet");
    assert_eq!(
        (&fleet["total"], &fleet["breakers"]["closed"]),
        (&4.into(), &3.into()),
        "{fleet:#}"
    );
    assert_eq!(fleet["labels"]["rack"], serde_json::json!({"a": 2, "b": 1}));
    let parts = fleet["system"]["parts"].as_array().unwrap();
    let weights: Vec<_> = parts.iter().map(|part| part["nominal_weight"].as_f64()).collect();
    assert_eq!(weights, [Some(40.0), Some(25.0), Some(20.0), Some(15.0)]);
    let sum: f64 = parts.iter().filter_map(|part| part["contribution"].as_f64()).sum();
    let total = fleet["system"]["score"].as_f64().unwrap();
    assert!((sum - total).abs() < 0.2, "{sum} {total}: the parts add up");
    assert_eq!(rows(&hub)["three"]["labels"]["rack"], "b");
    let rack = hub.json("/api/v1/fleet?label=rack=a");
    assert_eq!(rack["nodes"].as_array().map(Vec::len), Some(2), "{rack:#}");

    let closed = "sickbay_fleet_breakers{state=\"closed\"}";
    assert_eq!(figure(&hub, closed), Some(3.0));
    for name in ["one", "two", "three"] {
        let up = format!("sickbay_node_up{{node=\"{name}\"");
        assert_eq!(figure(&hub, &up), Some(1.0), "{}", hub.get("/metrics").body);
    }
    hub.stop();
    for server in &servers {
        crate::sshd::wait_until("no session is left", || server.sessions().is_empty());
    }
}

#[test]
fn nodes_come_and_go_while_the_hub_runs_and_stay_over_a_restart() {
    let site = Site::new("torch: {mode: never}\n");
    let (kept, dropped) = (site.lab.sshd(""), site.lab.sshd(""));
    site.knows("kept", "127.0.0.1", &kept);
    site.knows("dropped", "127.0.0.1", &dropped);
    let hub = Hub::start(&site.place);
    for name in ["kept", "dropped"] {
        let added = hub.ask(&site.place, &["add", "node", name, "--label", "rack=7"]);
        assert!(added.status.success(), "{}", crate::support::errors(&added));
        wait_row(&hub, name, "is judged", crate::watch::is_fresh);
    }
    let listed = text(&hub.ask(&site.place, &["list", "nodes", "--label", "rack=7"]));
    assert!(listed.contains("kept") && listed.contains("dropped"), "{listed}");
    assert!(hub.ask(&site.place, &["remove", "node", "dropped"]).status.success());
    assert!(!rows(&hub).contains_key("dropped"));
    crate::sshd::wait_until("its session is ended", || dropped.sessions().is_empty());
    // No time to save anything: it is on disk since the answer came.
    hub.signal("-KILL");
    drop(hub);
    let hub = Hub::start(&site.place);
    assert!(!rows(&hub).contains_key("dropped"));
    wait_row(&hub, "kept", "is judged", crate::watch::is_fresh);
    assert_eq!(rows(&hub)["kept"]["labels"]["rack"], "7");
    hub.stop();
}
