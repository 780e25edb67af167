//! The loop with nodes of a play, a real store, and time that passes as fast as it can.

use std::sync::Mutex;

use sickbay_engine::BreakerState;
use sickbay_model::{Level, NodeOrigin, SshTarget};
use sickbay_runtime::{ManualClock, Shutdown, Supervisor};
use sickbay_store::{EventQuery, StoreOptions};
use tempfile::TempDir;

use super::*;
use crate::command::{CommandError, Commands, WhatToForget};
use crate::fleet::{FleetPublisher, FleetSnapshot, NodeEntry};
use crate::hub_status::ConfigState;
use crate::source::scripted::{Act, Stage};

mod changes;
mod failures;
mod schedule;

const START_MS: i64 = 1_800_000_000_000;

/// By how much the hub's clock moves at once; tokio's moves with it.
const TICK: Duration = Duration::from_millis(10);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn id(name: &str) -> ResourceId {
    ResourceId::node(name).expect("an id")
}

/// A node of the config, in a rack.
fn node(name: &str, rack: &str) -> NodeDefinition {
    NodeDefinition {
        name: name.to_owned(),
        target: SshTarget { host: format!("{name}.example"), ..SshTarget::default() },
        labels: [("rack".to_owned(), rack.to_owned())].into(),
        parent: None,
        expected: sickbay_model::ExpectedHardware::default(),
        origin: NodeOrigin::Config,
    }
}

/// `count` nodes in racks of forty.
fn fleet_of(count: usize) -> Vec<NodeDefinition> {
    (0..count).map(|index| node(&format!("n{index:04}"), &(index / 40).to_string())).collect()
}

/// A hub's loop on a stage.
struct Play {
    stage: Stage,
    settings: HubSettings,
    data: TempDir,
    hands: ManualClock,
    clock: Clock,
}

/// What the test holds while the loop runs.
struct Hub {
    stage: Stage,
    settings: HubSettings,
    fleet: Fleet,
    store: Store,
    status: HubStatusSource,
    commands: Commands,
    updates: mpsc::Sender<SettingsUpdate>,
}

impl Play {
    fn new(nodes: Vec<NodeDefinition>) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let (clock, hands) = Clock::manual(START_MS);
        let mut settings = HubSettings::new(data.path().to_owned());
        settings.nodes = nodes;
        Self { stage: Stage::default(), settings, data, hands, clock }
    }

    /// Runs a loop while `act` goes on, and stops it. How long stopping took, and what `act` gave.
    async fn run<T>(&self, act: impl AsyncFnOnce(&Hub) -> T) -> (T, Duration) {
        let wall = self.clock.clone();
        let (store, _) = sickbay_store::open(
            StoreOptions::new(self.data.path().join("data")),
            Arc::new(move || Timestamp::from_unix_ms(wall.now_ms())),
        )
        .expect("a store");
        let status = HubStatusSource::new(
            self.clock.clone(),
            self.data.path().to_owned(),
            Supervisor::new(Shutdown::new(), self.clock.clone()),
            store.clone(),
            ConfigState::default(),
        );
        let (publisher, fleet) = FleetPublisher::new(view::unknown_system(), 4096);
        let policy = self.settings.policy.clone();
        let judge = Judge::new(policy, self.clock.clone(), publisher, store.clone());
        let (commands, asked) = Commands::queue();
        let (updates, updates_in) = mpsc::channel(4);
        let mut sources = Sources::new(&self.settings);
        sources.stage = Some(self.stage.clone());
        let restored = Restored {
            states: store.states().expect("readable"),
            nodes: store.nodes().expect("readable"),
        };
        let stop = CancellationToken::new();
        let monitor = Monitor::new(
            self.clock.clone(),
            self.settings.clone(),
            sources,
            store.clone(),
            restored,
            judge,
            fleet.clone(),
            status.clone(),
            Inbox { updates: updates_in, commands: asked },
        );
        let running = Box::pin(monitor.run(stop.clone()));
        let hub = Hub {
            stage: self.stage.clone(),
            settings: self.settings.clone(),
            fleet,
            store: store.clone(),
            status,
            commands,
            updates,
        };
        let stopping = Mutex::new(None);
        let now = tokio::time::Instant::now;
        let acting = async {
            let given = Box::pin(act(&hub)).await;
            *stopping.lock().expect("no panic") = Some(now());
            stop.cancel();
            given
        };
        let loop_ends = async {
            running.await;
            now()
        };
        let over = CancellationToken::new();
        let metronome = async {
            while !over.is_cancelled() {
                tokio::time::sleep(TICK).await;
                self.hands.advance(TICK);
            }
        };
        let both = async {
            let (given, ended) = tokio::join!(acting, loop_ends);
            over.cancel();
            (given, ended)
        };
        let ((given, ended), ()) = tokio::join!(both, metronome);
        let began = stopping.lock().expect("no panic").expect("it was stopped");
        store.close();
        (given, ended - began)
    }
}

impl Hub {
    fn snapshot(&self) -> Arc<FleetSnapshot> {
        self.fleet.snapshot()
    }

    fn entry(&self, name: &str) -> Arc<NodeEntry> {
        Arc::clone(self.snapshot().nodes.get(&id(name)).expect("watched"))
    }

    fn breaker(&self, name: &str) -> BreakerState {
        self.entry(name).breaker.as_ref().expect("behind one").state()
    }

    fn level(&self, name: &str) -> Option<Level> {
        self.snapshot().resources.get(&id(name)).map(|detail| detail.summary.level)
    }

    /// Why what is shown of a node is not fresh.
    fn stale(&self, name: &str) -> Option<String> {
        self.snapshot().resources.get(&id(name)).and_then(|detail| detail.summary.stale.clone())
    }

    /// Kinds and resources of events since the start, oldest first.
    fn events(&self, kinds: &[EventKind]) -> Vec<(EventKind, String)> {
        assert!(self.store.flush());
        let query = EventQuery { kinds: kinds.to_vec(), limit: 10_000, ..EventQuery::default() };
        let events = self.store.events(&query).expect("readable");
        let of = |event: &Event| event.resource.as_ref().map_or("", |id| id.name()).to_owned();
        events.iter().map(|event| (event.kind, of(event))).collect()
    }

    async fn add(&self, definition: NodeDefinition) -> Result<(), CommandError> {
        self.commands.ask(|answer| Command::AddNode(Box::new(definition), answer)).await
    }

    async fn remove(&self, name: &str) -> Result<(), CommandError> {
        self.commands.ask(|answer| Command::RemoveNode(id(name), answer)).await
    }

    async fn reload(&self, edit: impl FnOnce(&mut HubSettings)) {
        let mut settings = self.settings.clone();
        edit(&mut settings);
        let (changed, needs_restart) = (vec!["nodes".to_owned()], Vec::new());
        let settings = Box::new(settings);
        let update = SettingsUpdate::Reloaded { settings, changed, needs_restart };
        self.updates.send(update).await.expect("the loop runs");
    }
}
