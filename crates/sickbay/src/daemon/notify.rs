//! Telling systemd how it goes: ready, status, and that the work loop progresses.
//!
//! What must hold: `WATCHDOG=1` is sent only when the loop moved since the last time, so that a hub
//! that hangs is started again. Without `NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use sickbay_hub::{Fleet, HubStatusSource};
use tokio_util::sync::CancellationToken;

/// How often the status line is refreshed where there is no watchdog.
const STATUS_INTERVAL: Duration = Duration::from_secs(30);

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

/// Tells systemd that the hub is ready, then how it goes, until the stop.
pub async fn keep_telling(fleet: Fleet, status: HubStatusSource, stop: CancellationToken) {
    if !until_ready(&status, &stop).await {
        return;
    }
    let line = status_line(&fleet);
    tell(&[NotifyState::Ready, NotifyState::Status(&line)]);
    // Twice within the time, as systemd recommends.
    let interval = sd_notify::watchdog_enabled().map_or(STATUS_INTERVAL, |limit| limit / 2);
    let mut seen = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(interval) => {}
        }
        let progress = status.progress();
        let line = status_line(&fleet);
        if progress == seen {
            tracing::error!("the work loop has not moved; systemd is not told that all is well");
            tell(&[NotifyState::Status(&line)]);
        } else {
            seen = progress;
            tell(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
        }
    }
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd how it goes");
    }
}

fn status_line(fleet: &Fleet) -> String {
    let snapshot = fleet.snapshot();
    let system = &snapshot.system;
    let score =
        system.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score:.1}"));
    format!("{}, {score}, {} resources", system.level, snapshot.resources.len())
}
