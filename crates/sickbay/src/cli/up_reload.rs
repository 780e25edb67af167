//! Taking over a changed config while the hub runs.

use std::time::Duration;

use sickbay_hub::{HubSettings, SettingsUpdate};
use sickbay_runtime::telemetry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Loaded, Settings, Sources, compare, load, reload, watch};

/// Waits for changes and hands valid ones to the hub.
pub(crate) struct Reload {
    sources: Sources,
    /// What was last read and valid: changes are told against it.
    newest: Settings,
    /// What the hub runs with, in what a restart is needed for.
    started: HubSettings,
    updates: mpsc::Sender<SettingsUpdate>,
    log: Option<telemetry::Guard>,
    rejected: bool,
}

enum Cause {
    FileChanged,
    Asked,
    Stop,
}

impl Reload {
    pub(crate) fn new(
        sources: Sources,
        loaded: Loaded,
        updates: mpsc::Sender<SettingsUpdate>,
        log: Option<telemetry::Guard>,
    ) -> Self {
        let started = loaded.settings.hub.clone();
        Self { sources, newest: loaded.settings, started, updates, log, rejected: false }
    }

    /// Runs until the stop. Keeps the log alive as long.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::warn!("SIGHUP cannot be received; the config is read again after a restart");
            stop.cancelled().await;
            return;
        };
        let watched = self.sources.config_file().map(|file| watch(&file));
        let (_watcher, mut changes) = match watched {
            Some(Ok((watcher, changes))) => (Some(watcher), Some(changes)),
            Some(Err(error)) => {
                tracing::warn!(%error, "the config file cannot be watched; SIGHUP still works");
                (None, None)
            }
            None => (None, None),
        };
        loop {
            match next_cause(&mut hangup, changes.as_mut(), &stop).await {
                Cause::Stop => break,
                Cause::Asked => self.reload(true).await,
                Cause::FileChanged => self.reload(false).await,
            }
        }
    }

    async fn reload(&mut self, asked: bool) {
        let update = match load(&self.sources) {
            Ok(loaded) => match self.accept(loaded, asked) {
                Some(update) => update,
                None => return,
            },
            Err(mistakes) => {
                self.rejected = true;
                let error = mistakes.to_string();
                tracing::error!("the new configuration is refused, the old one stays: {error}");
                SettingsUpdate::Rejected { error }
            }
        };
        // The hub is stopping.
        let _ = self.updates.send(update).await;
    }

    /// The update for the hub; none if there is nothing new.
    fn accept(&mut self, loaded: Loaded, asked: bool) -> Option<SettingsUpdate> {
        // What was made absolute or added at the start is not a change.
        let mut new = loaded.settings;
        new.hub.data_dir = std::path::absolute(&new.hub.data_dir).unwrap_or(new.hub.data_dir);
        new.hub.local.child.clone_from(&self.started.local.child);
        let changes = compare(&self.newest, &new);
        if changes.changed.is_empty() && !self.rejected && !asked {
            return None;
        }
        self.rejected = false;
        if let Some(log) = &self.log
            && new.log.level != self.newest.log.level
            && let Err(error) = log.set_level(new.log.level.as_str())
        {
            tracing::warn!(%error, "the log's level stays");
        }
        self.newest = new.clone();
        // What needs a restart stays as it was started, so that the hub never shows what is not so.
        let settings = HubSettings {
            listen: self.started.listen.clone(),
            data_dir: self.started.data_dir.clone(),
            store: sickbay_store::StoreOptions {
                path: self.started.store.path.clone(),
                ..new.hub.store
            },
            ..new.hub
        };
        Some(SettingsUpdate::Reloaded {
            settings: Box::new(settings),
            changed: changes.changed,
            needs_restart: changes.needs_restart,
        })
    }
}

async fn next_cause(
    hangup: &mut tokio::signal::unix::Signal,
    changes: Option<&mut mpsc::Receiver<()>>,
    stop: &CancellationToken,
) -> Cause {
    let changed = async {
        if let Some(changes) = changes
            && changes.recv().await.is_some()
        {
            return calm(changes).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        () = stop.cancelled() => Cause::Stop,
        _ = hangup.recv() => Cause::Asked,
        () = changed => Cause::FileChanged,
    }
}

/// Waits until the file was left alone for a moment, at most for a while.
async fn calm(changes: &mut mpsc::Receiver<()>) {
    const LONGEST: Duration = Duration::from_secs(3);
    let quiet = async {
        while tokio::time::timeout(reload::DEBOUNCE, changes.recv())
            .await
            .is_ok_and(|it| it.is_some())
        {}
    };
    // Busy all the time: read it as it is.
    let _ = tokio::time::timeout(LONGEST, quiet).await;
}
