//! Telling systemd how it goes: ready, status, and that the work loop progresses.
//!
//! What must hold: `WATCHDOG=1` is sent only when the loop moved since the last time, so that a hub
//! that hangs is started again. Without `NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use sickbay_hub::{Fleet, FleetSnapshot, HubStatusSource};
use sickbay_model::Kind;
use sickbay_wire::v1::{ResourceSummary, SystemScore};
use tokio_util::sync::CancellationToken;

/// How often the status line is refreshed where there is no watchdog.
const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// How often, and how long, it is looked whether the first verdict is whole.
const SETTLE_POLL: Duration = Duration::from_millis(500);
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether the hub is ready.
const READY_POLL: Duration = Duration::from_millis(50);

/// Waits until the hub is ready; returns whether it is (else a stop came first).
pub async fn until_ready(status: &HubStatusSource, stop: &CancellationToken) -> bool {
    while status.readiness().is_err() {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(READY_POLL) => {}
        }
    }
    true
}

/// Whether every node was looked at often enough to be judged: the hub's own machine in full (some
/// readings are differences, and some probes take a while), the others once.
#[must_use]
pub fn is_settled(snapshot: &FleetSnapshot) -> bool {
    let mut nodes =
        snapshot.resources.iter().filter(|(_, known)| known.summary.kind == Kind::Node).peekable();
    nodes.peek().is_some()
        && nodes.all(|(id, known)| {
            let entry = snapshot.nodes.get(id);
            if entry.is_some_and(|entry| entry.definition.is_some()) {
                return known.summary.last_check.is_some();
            }
            let node = known.detail();
            let probed = |name: &str| node.probes.iter().any(|probe| probe.probe == name);
            let cpu = node.readings.iter().any(|reading| reading.metric == "cpu_used_percent");
            probed("latency") && probed("torch") && cpu
        })
}

/// Tells systemd that the hub is ready, then how it goes, until the stop. The first verdict is told
/// once it is settled: some readings are differences, and until then it is no better than a guess.
pub async fn keep_telling(fleet: Fleet, status: HubStatusSource, stop: CancellationToken) {
    if !until_ready(&status, &stop).await {
        return;
    }
    tell(&[NotifyState::Ready, NotifyState::Status("looking at the machine for the first time")]);
    let first_verdict = async {
        let settled = async {
            while !is_settled(&fleet.snapshot()) {
                tokio::time::sleep(SETTLE_POLL).await;
            }
        };
        // Later than this, what is known is told.
        let _ = tokio::time::timeout(SETTLE_PATIENCE, settled).await;
        tell(&[NotifyState::Status(&status_line(&fleet.snapshot()))]);
    };
    tokio::select! {
        () = stop.cancelled() => {}
        // The watchdog must not wait for a verdict.
        () = async { tokio::join!(first_verdict, keep_alive(&fleet, &status)); } => {}
    }
    tell(&[NotifyState::Stopping]);
}

/// Tells systemd that the work loop moves, as long as it does.
async fn keep_alive(fleet: &Fleet, status: &HubStatusSource) {
    // Twice within the time, as systemd recommends.
    let interval = sd_notify::watchdog_enabled().map_or(STATUS_INTERVAL, |limit| limit / 2);
    let mut seen = 0;
    loop {
        tokio::time::sleep(interval).await;
        let snapshot = fleet.snapshot();
        if is_settled(&snapshot) {
            tell(&[NotifyState::Status(&status_line(&snapshot))]);
        }
        let progress = status.progress();
        if progress == seen {
            tracing::error!("the work loop has not moved; systemd is not told that all is well");
        } else {
            seen = progress;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd how it goes");
    }
}

/// The line that `systemctl status` shows. Nothing in it comes from elsewhere: a line end would
/// begin another message to systemd.
fn status_line(snapshot: &FleetSnapshot) -> String {
    let resources = snapshot.resources.values().map(|detail| &detail.summary);
    let nodes: Vec<_> = resources.filter(|summary| summary.kind == Kind::Node).collect();
    describe(&nodes, &snapshot.system)
}

fn describe(nodes: &[&ResourceSummary], system: &SystemScore) -> String {
    let score = |score: Option<f64>| {
        score.map_or_else(|| "no score".to_owned(), |score| format!("score {score:.1}"))
    };
    match nodes {
        // What the system adds to one node is whether work may start on it.
        [node] => {
            let ready = if node.ready == Some(true) { "ready" } else { "not ready" };
            format!("{}, {}, {ready} for work", node.level, score(node.score))
        }
        nodes => {
            let ready = nodes.iter().filter(|node| node.ready == Some(true)).count();
            let of = nodes.len();
            format!(
                "{}, {}, {ready} of {of} nodes ready for work",
                system.level,
                score(system.score)
            )
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use sickbay_model::{Level, Timestamp};

    fn node(level: Level, score: f64, ready: bool) -> ResourceSummary {
        ResourceSummary {
            id: "node/a".to_owned(),
            kind: Kind::Node,
            display_name: "a\nMAINPID=1".to_owned(),
            parent: None,
            labels: std::sync::Arc::default(),
            level,
            since: Timestamp::EPOCH,
            score: Some(score),
            ready: Some(ready),
            finding_count: 0,
            headline: "well\nMAINPID=1".to_owned(),
            last_check: None,
            stale: None,
        }
    }

    #[test]
    fn one_node_is_described_by_its_own_verdict() {
        // The system's score also falls where a node is well and not ready for work.
        let system = SystemScore { score: Some(33.3), level: Level::Critical, parts: Vec::new() };
        let (well, dead) = (node(Level::Healthy, 100.0, false), node(Level::Critical, 12.0, false));
        let ready = node(Level::Healthy, 99.8, true);
        assert_eq!(describe(&[&well], &system), "healthy, score 100.0, not ready for work");
        assert_eq!(describe(&[&ready], &system), "healthy, score 99.8, ready for work");
        let many = describe(&[&ready, &dead], &system);
        assert_eq!(many, "critical, score 33.3, 1 of 2 nodes ready for work");
    }
}
