//! GPUs from the driver's library to every place where a person sees them, with the fake NVML: the
//! library is loaded by the real program's real probe child.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by them, says by them what it cannot test, and measures real time"
)]

#[allow(dead_code, reason = "each program uses a part")]
#[path = "cli/support.rs"]
mod support;
#[allow(dead_code, reason = "each program uses a part")]
#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use serde_json::Value;
use sickbay_sim_nvml::{FakeNvml, fixture};
use support::{Place, errors, json, text, until};
use world::{Hub, checks};

/// A machine with these GPUs.
fn machine(scenario: &str) -> (Place, FakeNvml) {
    let place = world::place("");
    let fake = FakeNvml::install(place.dir.path(), &fixture(scenario)).unwrap();
    let library = fake.library().display().to_string();
    let config = place.config_file();
    let probes = format!("probes: {{timeout: 2s, nvml_library: {library}}}\n");
    std::fs::write(&config, format!("{}{probes}", world::FAST)).unwrap();
    (place, fake)
}

fn gpus(hub: &Hub) -> Vec<Value> {
    hub.json("/api/v1/resources?kind=gpu")["items"].as_array().unwrap().clone()
}

#[test]
fn eight_healthy_gpus_are_everywhere() {
    let (place, _fake) = machine("h100x8");
    let hub = Hub::start(&place);
    let node = hub.node_until("GPUs are known", |node| !checks(node, "gpu_answers").is_empty());
    assert_eq!(checks(&node, "gpu_answers").len(), 8);
    let unwell = |check: &&Value| check["status"] != "healthy";
    let all = node["checks"].as_array().unwrap();
    let unwell: Vec<_> = all
        .iter()
        .filter(|check| check["check"].as_str().unwrap().starts_with("gpu_"))
        .filter(unwell)
        .collect();
    assert!(unwell.is_empty(), "{unwell:#?}");
    assert_eq!(node["inventory"]["gpus"].as_array().map(Vec::len), Some(8), "{node:#}");

    let gpus = gpus(&hub);
    assert_eq!(gpus.len(), 8);
    for gpu in &gpus {
        assert_eq!((&gpu["level"], &gpu["score"]), (&"healthy".into(), &100.0.into()), "{gpu}");
        let detail = hub.json(&format!("/api/v1/resources/{}", gpu["id"].as_str().unwrap()));
        assert!(detail["summary"].is_null() || detail["summary"]["id"] == gpu["id"], "{detail}");
        assert!(detail.to_string().contains("gpu_temperature"), "{detail:#}");
    }
    let status = hub.json("/status");
    assert_eq!(status["level_counts"]["critical"], 0, "{status}");

    let metrics = hub.get("/metrics").body;
    let temperatures =
        metrics.lines().filter(|line| line.starts_with("sickbay_gpu_temperature_celsius{"));
    assert_eq!(temperatures.count(), 8);
    for name in [
        "sickbay_gpu_power_watts{",
        "sickbay_gpu_utilization_ratio{",
        "sickbay_gpu_memory_used_bytes{",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    assert!(
        metrics.contains("sickbay_gpu_utilization_ratio") && metrics.contains(" 0.98"),
        "a ratio"
    );
    // History of a GPU is kept under its own name.
    let name = gpus[0]["id"].as_str().unwrap().to_owned();
    let points = || {
        let reply = hub.ask(&place, &["history", &name, "gpu_temperature_celsius", "--json"]);
        if reply.status.success() {
            json::<Value>(&reply)["points"].as_array().map_or(0, Vec::len)
        } else {
            0
        }
    };
    assert!(
        until(|| points() > 0),
        "{}",
        errors(&hub.ask(&place, &["history", &name, "gpu_temperature_celsius"]))
    );
    assert!(
        until(|| hub.said().contains("NVIDIA H100 80GB HBM3")),
        "the summary names them: {}",
        hub.said()
    );
    hub.stop();

    // The same without a hub.
    let live: Value = json(&place.run(&["check", "--json"]));
    let items = live["items"].as_array().unwrap();
    assert_eq!(
        items.iter().filter(|item| item["kind"] == "gpu" && item["level"] == "healthy").count(),
        8,
        "{live:#}"
    );
    let table = place.run(&["check"]);
    assert!(text(&table).contains("GPU"), "{}", text(&table));
}

#[test]
fn a_driver_that_hangs_is_a_finding_and_its_mending_too() {
    let (place, fake) = machine("h100x8");
    let hub = Hub::start(&place);
    hub.node_until("GPUs are known", |node| checks(node, "gpu_answers").len() == 8);

    fake.set(&fixture("fault-hang")).unwrap();
    let node = hub.node_until("the hang is a confirmed finding", |node| {
        checks(node, "gpu_driver").iter().any(|check| check["status"] == "critical")
            && node["level"] == "critical"
    });
    let driver = checks(&node, "gpu_driver")[0];
    let said = driver["message"].as_str().unwrap();
    assert!(said.contains("nvidia") && said.contains("killed"), "what and on what: {driver}");
    assert!(driver["advice"].as_str().is_some_and(|advice| advice.contains("dmesg")), "{driver}");
    assert_eq!(node["ready"], false, "{node:#}");
    // No GPU is believed to be well, and none is forgotten.
    assert_eq!(gpus(&hub).len(), 8);
    for gpu in gpus(&hub) {
        assert!(gpu["level"] != "healthy" && gpu["score"].is_null(), "{gpu}");
    }
    // Everything else goes on, on time.
    hub.await_look();
    let node = hub.node();
    for check in ["cpu", "memory", "filesystem_space"] {
        let found = checks(&node, check);
        assert!(found.iter().all(|check| check["status"] != "unknown"), "{check}: {found:?}");
    }
    assert!(!checks(&node, "memory").is_empty());
    hub.assert_quick("while the driver hangs");

    fake.set(&fixture("h100x8")).unwrap();
    hub.node_until("mended", |node| {
        checks(node, "gpu_driver").iter().all(|check| check["status"] == "healthy")
            && checks(node, "gpu_answers").iter().all(|check| check["status"] == "healthy")
    });
    assert!(until(|| gpus(&hub).iter().all(|gpu| gpu["level"] == "healthy")), "{:#?}", gpus(&hub));
    hub.await_event("HEALTH_CHECK_PASSED", "gpu_driver");
    hub.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_driver_that_hangs() {
    let (place, fake) = machine("h100x8");
    let config = std::fs::read_to_string(place.config_file()).unwrap();
    std::fs::write(place.config_file(), config.replace("timeout: 2s", "timeout: 60s")).unwrap();
    let mut hub = Hub::begin(&place, place.command(&["up"]));
    hub.await_ready();
    hub.node_until("GPUs are known", |node| checks(node, "gpu_answers").len() == 8);
    fake.set(&fixture("fault-hang")).unwrap();
    // A look is under way that will not end for a minute, and somebody listens.
    let mut stream = hub.connect();
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nHost: {}\r\n\r\n", hub.address);
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut first = [0; 64];
    std::io::Read::read_exact(&mut stream, &mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
    let held = || hub.json("/api/v1/hub")["schedule"]["started_total"].clone();
    let mut last = held();
    let stands = until(|| {
        std::thread::sleep(Duration::from_millis(1500));
        let now = held();
        std::mem::replace(&mut last, now.clone()) == now
    });
    assert!(stands, "no look hangs");
    let children = hub.children();
    assert!(!children.is_empty());
    hub.stop();
    let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(until(|| children.iter().all(gone)), "a child outlived its hub: {children:?}");
}

#[test]
fn every_failure_of_the_driver_says_what_and_what_to_do() {
    let (place, fake) = machine("h100x8");
    for (scenario, check, instance, word, advice) in [
        ("fault-driver-not-loaded", "gpu_driver", "nvidia", "not loaded", "modprobe"),
        ("fault-version-mismatch", "gpu_driver", "nvidia", "different versions", "reboot"),
        ("fault-no-permission", "gpu_driver", "nvidia", "refuses this user", "/dev/nvidia"),
        ("fault-hang-init", "gpu_driver", "nvidia", "no answer", "dmesg"),
        ("fault-gpu-lost", "gpu_answers", "", "is lost", "reboot"),
    ] {
        fake.set(&fixture(scenario)).unwrap();
        let output = place.run(&["explain", "--live", "--json"]);
        let node: Value = json(&output);
        let found = checks(&node, check);
        let found = found
            .iter()
            .find(|found| {
                found["status"] == "critical"
                    && (instance.is_empty() || found["instance"] == instance)
            })
            .unwrap_or_else(|| panic!("{scenario}: {:#?}", checks(&node, check)));
        let told = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        assert!(told("message").contains(word), "{scenario}: {found:#}");
        assert!(told("advice").contains(advice), "{scenario}: {found:#}");
        assert_eq!(node["level"], "critical", "{scenario}: {node:#}");
        assert_eq!(output.status.code(), Some(2), "{scenario}: Nagios' critical");
        assert_eq!(node["ready"], false, "{scenario}");
        assert!(!checks(&node, "memory").is_empty(), "{scenario}: the rest is looked at");
    }
}

#[test]
fn a_lost_gpu_hides_no_other_and_its_return_is_seen() {
    let (place, fake) = machine("h100x8");
    let hub = Hub::start(&place);
    hub.node_until("GPUs are known", |node| checks(node, "gpu_answers").len() == 8);
    fake.set(&fixture("fault-gpu-lost-late")).unwrap();
    let lost = |check: &&Value| check["status"] == "critical";
    let node = hub.node_until("one is lost", |node| {
        checks(node, "gpu_answers").iter().any(lost) && node["level"] == "critical"
    });
    let answers = checks(&node, "gpu_answers");
    let lost: Vec<_> = answers.into_iter().filter(lost).collect();
    assert_eq!(lost.len(), 1, "{lost:#?}");
    let of = |level: &str| gpus(&hub).iter().filter(|gpu| gpu["level"] == level).count();
    assert!(until(|| (of("healthy"), of("critical")) == (7, 1)), "{:#?}", gpus(&hub));
    hub.stop();
}

#[test]
fn a_lie_is_refused_and_never_healthy() {
    // After the truth was known, and from the start.
    for first in ["truth", "lie"] {
        let (place, fake) = machine("h100x8");
        let lie = || {
            let gpu = serde_json::json!({"0": {"utilization": {"gpu": 300, "memory": 20}}});
            fake.patch(&fixture("h100x8"), serde_json::json!({ "gpus": gpu })).unwrap();
        };
        if first == "lie" {
            lie();
        }
        let hub = Hub::start(&place);
        hub.node_until("GPUs are known", |node| checks(node, "gpu_answers").len() == 8);
        lie();
        let node = hub.node_until("the lie is named", |node| {
            node["level"] != "healthy" && node["checks"].to_string().contains("cannot be true")
        });
        let all = checks(&node, "gpu_activity");
        let of_liar = all.iter().find(|check| check["instance"] == "0");
        assert!(of_liar.is_none_or(|check| check["status"] == "unknown"), "{first}: {all:#?}");
        let metrics = hub.get("/metrics").body;
        let told =
            metrics.lines().filter(|line| line.starts_with("sickbay_gpu_utilization_ratio{"));
        assert_eq!(told.count(), 7, "{first}");
        let of_others = all.iter().filter(|check| check["status"] == "healthy").count();
        assert_eq!(of_others, 7, "{first}: a lie costs only the liar");
        hub.stop();
    }
}
