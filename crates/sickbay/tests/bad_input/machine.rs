//! Absurd content in `/proc` and `/sys`, and a host name with odd bytes.

use crate::support::{errors, json, text};
use crate::world::{Hub, checks, in_own_world, own_worlds_work, place};

/// Files of `/proc` that are read at every look, and the check that is judged by each.
const FILES: &[&str] = &[
    "stat",
    "meminfo",
    "loadavg",
    "vmstat",
    "diskstats",
    "uptime",
    "sys/fs/file-nr",
    "pressure/cpu",
];

#[test]
fn absurd_files_of_the_kernel_are_named_and_stop_nothing() {
    if !own_worlds_work() {
        return;
    }
    let noise: Vec<u8> = (0..=255_u8).rev().cycle().take(5000).collect();
    let huge =
        b"cpu  99999999999999999999 -5 1e400 NaN\nMemTotal: 99999999999999999999 kB\n".to_vec();
    let long = vec![b'7'; 3 << 20];
    for (name, content) in
        [("nothing", Vec::new()), ("noise", noise), ("huge", huge), ("long", long)]
    {
        let place = place("");
        let bad = place.dir.path().join("bad");
        std::fs::write(&bad, content).unwrap();
        let bad = bad.display();
        let script: String =
            FILES.iter().map(|file| format!("mount --bind {bad} /proc/{file} || :\n")).collect();
        let sensors = "mount -t tmpfs none /sys/class/hwmon && mkdir /sys/class/hwmon/hwmon0 && \
            echo -99999999999999999999 > /sys/class/hwmon/hwmon0/temp1_input || :";
        let hub =
            Hub::start_by(&place, in_own_world(&place, &format!("{script}{sensors}"), &["up"]));
        let node =
            hub.node_until("what is not known is not well", |node| node["level"] != "healthy");
        let told = node["checks"].to_string() + &node["probes"].to_string();
        assert!(
            told.contains("/proc/stat") || told.contains("proc/stat"),
            "{name}: {:#}",
            node["probes"]
        );
        for check in ["cpu", "memory"] {
            let found = checks(&node, check);
            assert!(found.iter().all(|check| check["status"] != "healthy"), "{name}: {found:#?}");
        }
        // What was not spoiled is judged as ever.
        let spaces = checks(&node, "filesystem_space");
        assert!(spaces.iter().any(|check| check["status"] == "healthy"), "{name}: {spaces:#?}");
        let metrics = hub.get("/metrics").body;
        let readings = metrics.lines().filter(|line| line.starts_with("sickbay_node_"));
        for line in readings {
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value.is_finite() && value < 1e19, "{name}: {line}");
        }
        hub.assert_quick(name);
        hub.stop();
    }
}

#[test]
fn a_host_name_with_odd_bytes_becomes_a_plain_one_everywhere() {
    if !own_worlds_work() {
        return;
    }
    let place = place("");
    let script = r"printf '\033[31mgpu\377 \007/07' > /proc/sys/kernel/hostname";
    let hub = Hub::start_by(&place, in_own_world(&place, script, &["up"]));
    hub.await_event("HUB_STARTED", "");
    let node = hub.node();
    let id = node["id"].as_str().unwrap();
    let name = id.strip_prefix("node/").unwrap();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    assert!(name.chars().all(plain) && name.contains("gpu") && name.contains("07"), "{id:?}");
    assert_eq!(hub.json(&format!("/api/v1/resources/{id}"))["id"], id, "it can be asked for");
    let control = |text: &str| text.chars().find(|&c| c.is_control() && c != '\n');
    for arguments in [&["health"][..], &["explain"], &["events"], &["explain", name]] {
        let output = hub.ask(&place, arguments);
        let shown = text(&output) + &errors(&output);
        assert!(shown.contains(name) || arguments[0] == "events", "{arguments:?}: {shown:?}");
        assert_eq!(control(&shown), None, "{arguments:?}: {shown:?}");
    }
    for path in ["/metrics", "/status"] {
        assert_eq!(control(&hub.get(path).body.replace('\t', "")), None, "{path}");
    }
    assert_eq!(control(&hub.said()), None, "{:?}", hub.said());
    hub.stop();
    let live = in_own_world(&place, script, &["check", "--json"]).output().unwrap();
    assert_eq!(json::<serde_json::Value>(&live)["items"][0]["id"], id, "{}", errors(&live));
}
