use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use sickbay_hub::{Limits, ListenSettings};
use sickbay_model::{Level, Timestamp};

use super::openmetrics::{self, Samples};
use crate::client::{get, get_with};
use crate::{fleet, hub};

const ACCEPT_OPEN_METRICS: (&str, &str) =
    ("Accept", "application/openmetrics-text; version=1.0.0, text/plain;version=0.0.4;q=0.5");

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    samples.get(&(name.to_owned(), labels)).copied()
}

#[tokio::test]
async fn openmetrics_by_the_letter() {
    let hub = hub::start().await;
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    hub.put_node("never", Some(fleet::watched("never", &[], 0)));
    hub.status.schedule().running.store(3, std::sync::atomic::Ordering::Relaxed);
    let reply = get_with(hub.addr, "/metrics", &[ACCEPT_OPEN_METRICS]).await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let samples = openmetrics::read(reply.text());
    let node = ("node", "gpu-07");
    for (name, labels, expected) in [
        ("sickbay_node_cpu_used_ratio", vec![node], 0.123),
        ("sickbay_node_oom_kills_total", vec![node], 2.0),
        ("sickbay_node_disk_latency_seconds", vec![node, ("device", "nvme0n1")], 0.000_25),
        (
            "sickbay_node_filesystem_used_ratio",
            vec![node, ("mountpoint", fleet::AWKWARD_MOUNT)],
            0.91,
        ),
        ("sickbay_gpu_temperature_celsius", vec![node, ("gpu", "1")], 62.0),
        ("sickbay_gpu_clock_hertz", vec![node, ("gpu", "0")], 1.98e9),
        ("sickbay_gpu_nvlink_crc_errors_total", vec![node, ("link", "0/3")], 7.0),
        ("sickbay_resource_score", vec![("resource", "node/gpu-07"), ("kind", "node")], 71.5),
        (
            "sickbay_resource_level",
            vec![
                ("resource", "gpu/gpu-07/1"),
                ("kind", "gpu"),
                ("sickbay_resource_level", "critical"),
            ],
            1.0,
        ),
        ("sickbay_resource_ready", vec![("resource", "node/gpu-07"), ("kind", "node")], 0.0),
        (
            "sickbay_check_status",
            vec![
                ("resource", "node/gpu-07"),
                ("check", "filesystem_space"),
                ("check_instance", fleet::AWKWARD_MOUNT),
                ("sickbay_check_status", "degraded"),
            ],
            1.0,
        ),
        ("sickbay_probe_answered", vec![("resource", "node/calm"), ("probe", "nvidia")], 0.0),
        ("sickbay_node_up", vec![node], 1.0),
        ("sickbay_node_up", vec![("node", "silent")], 0.0),
        ("sickbay_node_last_check_timestamp_seconds", vec![node], 1_795_253_400.123),
        ("sickbay_node_breaker_state", vec![node, ("sickbay_node_breaker_state", "open")], 1.0),
        ("sickbay_node_breaker_state", vec![node, ("sickbay_node_breaker_state", "closed")], 0.0),
        ("sickbay_fleet_nodes", vec![("level", "degraded")], 1.0),
        ("sickbay_fleet_nodes", vec![("level", "critical")], 0.0),
        ("sickbay_fleet_nodes", vec![("level", "unknown")], 2.0),
        ("sickbay_fleet_breakers", vec![("state", "open")], 1.0),
        ("sickbay_fleet_breakers", vec![("state", "half_open")], 0.0),
        ("sickbay_fleet_ready_nodes", vec![], 1.0),
        ("sickbay_fleet_doubt", vec![], 0.0),
        ("sickbay_schedule_collections_running", vec![], 3.0),
        ("sickbay_schedule_targets_waiting", vec![], 0.0),
        ("sickbay_exposition_cut_nodes", vec![], 0.0),
        ("sickbay_build_info", vec![("version", env!("CARGO_PKG_VERSION"))], 1.0),
        ("sickbay_hub_ready", vec![], 1.0),
        ("sickbay_exposition_cut_series", vec![], 0.0),
    ] {
        let given = value(&samples, name, &labels).unwrap_or_else(|| panic!("{name} {labels:?}"));
        assert!((given - expected).abs() < 1e-9, "{name}: {given} instead of {expected}");
    }
    for (name, labels) in [
        // What is unknown has no score, and old readings are not shown as new ones.
        ("sickbay_resource_score", vec![("resource", "node/silent"), ("kind", "node")]),
        ("sickbay_node_cpu_used_ratio", vec![("node", "silent")]),
        ("sickbay_resource_ready", vec![("resource", "gpu/gpu-07/0"), ("kind", "gpu")]),
        ("sickbay_probe_answered", vec![("resource", "node/calm"), ("probe", "amd")]),
        (
            "sickbay_node_breaker_state",
            vec![("node", "calm"), ("sickbay_node_breaker_state", "open")],
        ),
        ("sickbay_node_last_check_timestamp_seconds", vec![("node", "never")]),
    ] {
        assert_eq!(value(&samples, name, &labels), None, "{name}");
    }
}

#[tokio::test]
async fn the_older_format_passes_promtool() {
    let hub = hub::start().await;
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    for accept in ["*/*", "text/plain", "text/plain; version=0.0.4"] {
        let reply = get_with(hub.addr, "/metrics", &[("Accept", accept)]).await;
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8"),
            "{accept}"
        );
        assert!(!reply.text().contains("# EOF") && !reply.text().contains("# UNIT"));
        assert!(reply.text().contains("# TYPE sickbay_node_oom_kills_total counter"));
    }
    let text = get(hub.addr, "/metrics").await;
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        assert!(
            std::env::var_os("CI").is_none(),
            "promtool is missing; install the package `prometheus`"
        );
        eprintln!("NOT CHECKED: promtool is missing; install the package `prometheus`");
        return;
    };
    promtool.stdin.take().expect("a pipe").write_all(&text.body).expect("written");
    let checked = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test]
async fn what_is_beyond_the_limit_is_cut_and_counted() {
    let limits = Limits { exposition_series: 20, ..hub::wide() };
    let hub = hub::start_with(ListenSettings { limits, ..ListenSettings::default() }).await;
    let reply = get_with(hub.addr, "/metrics", &[ACCEPT_OPEN_METRICS]).await;
    let samples = openmetrics::read(reply.text());
    let own = |name: &str| value(&samples, name, &[]).expect(name);
    assert!(own("sickbay_exposition_series") <= 20.0);
    assert!(own("sickbay_exposition_cut_series") > 50.0);
    let (written, resident) =
        (own("sickbay_exposition_series"), own("sickbay_hub_resident_memory_bytes"));
    assert!(written > 10.0 && resident > 0.0, "the hub's own figures are never cut");
}

#[tokio::test]
async fn a_new_revision_shows_at_once() {
    let hub = hub::start().await;
    let score = |text: &str| {
        let samples = openmetrics::read(text);
        value(&samples, "sickbay_resource_score", &[("resource", "node/calm"), ("kind", "node")])
    };
    let ask = || get_with(hub.addr, "/metrics", &[ACCEPT_OPEN_METRICS]);
    assert_eq!(score(ask().await.text()), Some(100.0));
    let mut worse = fleet::detail("node/calm", Level::Critical, Some(3.5));
    worse.summary.last_check = Some(Timestamp::EPOCH);
    hub.put(worse);
    assert_eq!(score(ask().await.text()), Some(3.5));
}

#[tokio::test]
async fn what_is_not_fresh_has_no_answers_of_checks() {
    let hub = hub::start().await;
    let checks = |text: &str, id: &str| {
        let label = format!("resource=\"{id}\"");
        text.lines()
            .filter(|line| line.starts_with("sickbay_check_status") && line.contains(&label))
            .count()
    };
    let reply = get(hub.addr, "/metrics").await;
    assert!(checks(reply.text(), "node/gpu-07") > 0);
    let mut silent = fleet::example().remove(0);
    let id = silent.summary.id.clone();
    silent.summary.stale = Some("no collection has ended for 40 s".to_owned());
    hub.put(silent);
    let reply = get(hub.addr, "/metrics").await;
    assert_eq!(checks(reply.text(), &id), 0, "{id}");
}

#[tokio::test]
async fn nodes_are_shown_whole_or_by_their_verdicts_alone() {
    let nodes = 20_u32;
    let full = {
        let hub = with_nodes(nodes, 1_000_000).await;
        openmetrics::read(get_with(hub.addr, "/metrics", &[ACCEPT_OPEN_METRICS]).await.text())
    };
    let own = |samples: &Samples, name: &str| value(samples, name, &[]).expect(name);
    let all = own(&full, "sickbay_exposition_series");
    assert!((own(&full, "sickbay_exposition_cut_series")).abs() < 0.5);
    for limit in [0_u32, 7, 100, 300, 500, 1_000, 1_300] {
        let hub = with_nodes(nodes, limit as usize).await;
        let reply = get_with(hub.addr, "/metrics", &[ACCEPT_OPEN_METRICS]).await;
        let samples = openmetrics::read(reply.text());
        let (written, cut) = (
            own(&samples, "sickbay_exposition_series"),
            own(&samples, "sickbay_exposition_cut_series"),
        );
        assert!(written <= f64::from(limit), "{limit}: {written}");
        assert!((written + cut - all).abs() < 0.5, "{limit}: {written} + {cut} is not {all}");
        let (mut whole, mut with_verdicts) = (0, 0);
        for node in 0..nodes {
            let name = format!("n{node:02}");
            let about = |samples: &Samples| {
                let is_it = |labels: &BTreeMap<String, String>| {
                    labels.get("node") == Some(&name)
                        || labels.get("resource") == Some(&format!("node/{name}"))
                };
                samples.keys().filter(|(_, labels)| is_it(labels)).count()
            };
            let (here, there) = (about(&samples), about(&full));
            let up = value(&samples, "sickbay_node_up", &[("node", &name)]).is_some();
            let read = value(&samples, "sickbay_node_cpu_used_ratio", &[("node", &name)]).is_some();
            assert!(up || !read, "{limit} {name}: verdicts come first");
            assert!(!read || here == there, "{limit} {name}: {here} of {there}, half a node");
            with_verdicts += u32::from(up);
            whole += u32::from(read);
        }
        let verdicts_everywhere = with_verdicts == nodes;
        assert!(
            whole == 0 || verdicts_everywhere,
            "{limit}: {whole} whole, {with_verdicts} judged"
        );
        let cut_nodes = own(&samples, "sickbay_exposition_cut_nodes");
        assert!(cut_nodes >= f64::from(nodes - whole), "{limit}: {cut_nodes}");
        assert!(own(&samples, "sickbay_fleet_ready_nodes") > 0.0, "sums are never cut");
    }
}

async fn with_nodes(nodes: u32, limit: usize) -> hub::TestHub {
    let limits = Limits { exposition_series: limit, ..hub::wide() };
    let hub = hub::start_with(ListenSettings { limits, ..ListenSettings::default() }).await;
    for node in 0..nodes {
        let name = format!("n{node:02}");
        let id = format!("node/{name}");
        hub.put(fleet::detail(&id, Level::Healthy, Some(99.0)));
        hub.put_node(&name, Some(fleet::watched(&name, &[], node % 4)));
        hub.put_frame(&id.parse().expect("an id"), fleet::frame(fleet::JUDGED_MS, 1.0));
    }
    hub
}
