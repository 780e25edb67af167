//! What a hub says of its fleet, and waiting until it does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::Hub;

/// How long anything may take that a machine under load does late.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const STEP: Duration = Duration::from_millis(50);

/// Every node's line, by its name.
pub(crate) fn rows(hub: &Hub) -> BTreeMap<String, Value> {
    let fleet = hub.json("/api/v1/fleet?limit=10000");
    let nodes = fleet["nodes"].as_array().cloned().unwrap_or_default();
    nodes.into_iter().map(|row| (name(&row), row)).collect()
}

fn name(row: &Value) -> String {
    row["id"].as_str().unwrap().trim_start_matches("node/").to_owned()
}

/// A node's line; null while it has none.
pub(crate) fn row(hub: &Hub, name: &str) -> Value {
    rows(hub).remove(name).unwrap_or_default()
}

/// All that is known of a node; null while nothing is.
pub(crate) fn detail(hub: &Hub, name: &str) -> Value {
    let reply = hub.get(&format!("/api/v1/resources/node/{name}"));
    serde_json::from_str(&reply.body).unwrap_or_default()
}

/// Waits until something holds; how it was in the end is told where it does not.
pub(crate) fn wait<T: std::fmt::Debug>(
    hub: &Hub,
    what: &str,
    mut look: impl FnMut() -> T,
    holds: impl Fn(&T) -> bool,
) -> T {
    let began = Instant::now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        if began.elapsed() > PATIENCE {
            panic!("not within {PATIENCE:?}: {what}: {seen:#?}\n{}", hub.said());
        }
        std::thread::sleep(STEP);
    }
}

/// Waits until a node's line is as wanted.
pub(crate) fn wait_row(hub: &Hub, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait(hub, &format!("{name}: {what}"), || row(hub, name), holds)
}

/// Waits until a node was judged by a collection that began from now on.
pub(crate) fn wait_fresh(hub: &Hub, name: &str) -> Value {
    let before = row(hub, name)["last_check"].clone();
    wait_row(hub, name, "is looked at", |row| is_fresh(row) && row["last_check"] != before)
}

/// Whether a line is of now.
pub(crate) fn is_fresh(row: &Value) -> bool {
    row["last_check"].is_string() && row["stale"].is_null() && row["level"] != "unknown"
}

/// All events of these kinds, oldest first: what they are and of whom.
pub(crate) fn told(hub: &Hub, kinds: &[&str]) -> Vec<(String, String, String)> {
    let path = format!("/api/v1/events?limit=1000&order=asc&kind={}", kinds.join(","));
    let page = hub.json(&path);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = page["items"].as_array().cloned().unwrap_or_default();
    let of = |resource: &Value| text(resource).trim_start_matches("node/").to_owned();
    events
        .iter()
        .map(|event| (text(&event["kind"]), of(&event["resource"]), text(&event["message"])))
        .collect()
}

/// A figure of `/metrics`, by the beginning of its line.
pub(crate) fn figure(hub: &Hub, series: &str) -> Option<f64> {
    let text = hub.get("/metrics").body;
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}
