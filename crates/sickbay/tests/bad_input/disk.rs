//! A disk without space.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::until;
use crate::world::{Hub, in_own_world, own_worlds_work, place};

/// Fills a filesystem to its last byte.
fn fill(filler: &Path) {
    let mut file = std::fs::File::create(filler).unwrap();
    for size in [1 << 16, 1 << 12, 1 << 9, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_stops_neither_judging_nor_serving_and_costs_no_event() {
    if !own_worlds_work() {
        return;
    }
    let place = place("store: {commit_interval: 100ms}\n");
    let data = place.data_dir();
    let script = format!("mkdir {0}; mount -t tmpfs -o size=8m none {0}", data.display());
    let mut hub = Hub::begin(&place, in_own_world(&place, &script, &["up"]));
    hub.await_ready();
    let store = |hub: &Hub| hub.json("/api/v1/hub")["store"].clone();
    assert_eq!(store(&hub)["status"], "healthy");
    let filler = hub.inside(&data).join("filler");
    fill(&filler);

    let mut status = Value::Null;
    let told = until(|| {
        // What little was freed meanwhile (a log that was folded in) is taken too.
        if let Ok(mut file) = std::fs::OpenOptions::new().append(true).open(&filler) {
            while file.write_all(b"x").is_ok() {}
        }
        status = store(&hub);
        status["status"] != "healthy"
    });
    assert!(told, "{status:#}");
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("disk is full") && message.contains("free space"),
        "what to do: {message}"
    );
    assert!(until(|| hub.said().contains("COORDINATOR_UNHEALTHY")), "{}", hub.said());
    hub.await_look();
    hub.assert_quick("with a full disk");
    assert_eq!(hub.get("/readyz").status, 200, "it can be asked");
    // Something worth an event happens just now.
    hub.signal("-HUP");
    assert!(until(|| hub.said().contains("CONFIG_RELOADED")), "{}", hub.said());

    std::fs::remove_file(&filler).unwrap();
    assert!(until(|| store(&hub)["status"] == "healthy"), "{:#}", store(&hub));
    for kind in ["COORDINATOR_UNHEALTHY", "CONFIG_RELOADED", "COORDINATOR_HEALTHY"] {
        hub.await_event(kind, "");
    }
    let ids: Vec<_> = hub.events().iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1] + 1), "none is missing: {ids:?}");
    assert_eq!(hub.get("/readyz").status, 200);
    hub.stop();
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said_and_stops_nothing() {
    if !own_worlds_work() {
        return;
    }
    let place = place("");
    let data = place.data_dir();
    let script = format!(
        "mkdir {0}; mount -t tmpfs -o size=64k none {0}; cat /dev/zero > {0}/filler 2> /dev/null || :",
        data.display()
    );
    let hub = Hub::start_by(&place, in_own_world(&place, &script, &["up"]));
    let store = hub.json("/api/v1/hub")["store"].clone();
    assert_ne!(store["status"], "healthy", "{store:#}");
    hub.await_event("COORDINATOR_UNHEALTHY", "Nothing is kept on disk");
    hub.await_look();
    hub.stop();
}

#[test]
fn a_disk_that_cannot_be_written_is_said_and_stops_nothing() {
    if !own_worlds_work() {
        return;
    }
    let place = place("");
    let data = place.data_dir();
    let script = format!("mkdir {0}; mount -t tmpfs -o ro none {0}", data.display());
    let hub = Hub::start_by(&place, in_own_world(&place, &script, &["up"]));
    let event = hub.await_event("COORDINATOR_UNHEALTHY", "Nothing is kept on disk");
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("Read-only") && message.contains("data"), "why, on what: {message}");
    assert!(hub.said().contains("log"), "{}", hub.said());
    hub.await_look();
    hub.stop();
}
