//! A hub without collection: a fleet filled by hand, a real store, a real listening server.

#![allow(dead_code, reason = "each suite uses its part")]

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sickbay_hub::api::{self, ApiContext};
use sickbay_hub::server::{self, HttpCounters, ServeOptions, tls};
use sickbay_hub::{
    Change, Command, CommandError, Commands, ConfigState, Fleet, FleetPublisher, FleetSnapshot,
    HubStatusSource, KnownResource, Limits, ListenSettings, NodeEntry, TlsSettings,
};
use sickbay_model::{Event, EventId, EventKind, Frame, Level, ResourceId, Timestamp};
use sickbay_runtime::{Clock, Shutdown, Supervisor};
use sickbay_store::{Store, StoreOptions, WriteBatch};
use sickbay_wire::v1::{ResourceDetail, SystemScore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fleet;

/// A running hub without collection.
pub(crate) struct TestHub {
    pub(crate) addr: SocketAddr,
    pub(crate) context: ApiContext,
    pub(crate) fleet: Fleet,
    pub(crate) store: Store,
    pub(crate) status: HubStatusSource,
    pub(crate) data_dir: TempDir,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinSet<std::io::Result<()>>,
    /// What the API asked of the monitor loop; a test answers in its place.
    pub(crate) asked: Mutex<Option<mpsc::Receiver<Command>>>,
    publisher: Mutex<FleetPublisher>,
}

/// Limits that tests of other things never meet.
pub(crate) fn wide() -> Limits {
    Limits { burst_requests: 1_000_000, requests_per_second: 1_000_000, ..Limits::default() }
}

/// A hub on loopback with wide limits, ready, holding the example fleet.
pub(crate) async fn start() -> TestHub {
    start_with(ListenSettings { limits: wide(), ..ListenSettings::default() }).await
}

/// A hub as told, ready, holding the example fleet.
pub(crate) async fn start_with(listen: ListenSettings) -> TestHub {
    let data_dir = tempfile::tempdir().expect("a directory");
    let clock = Clock::system();
    let wall = clock.clone();
    let (store, _) = sickbay_store::open(
        StoreOptions::new(data_dir.path()),
        Arc::new(move || Timestamp::from_unix_ms(wall.now_ms())),
    )
    .expect("a store");
    let supervisor = Supervisor::new(Shutdown::new(), clock.clone());
    let status = HubStatusSource::new(
        clock.clone(),
        data_dir.path().to_owned(),
        supervisor,
        store.clone(),
        ConfigState::default(),
    );
    status.schedule().first_sweep_done.store(true, Ordering::Release);
    let unknown = SystemScore { score: None, level: Level::Unknown, parts: Vec::new() };
    let (publisher, fleet) = FleetPublisher::new(unknown, listen.limits.stream_backlog);
    let counters = HttpCounters::default();
    let (commands, asked) = Commands::queue();
    let context = ApiContext::new(
        fleet.clone(),
        store.clone(),
        status.clone(),
        clock,
        &listen,
        counters.clone(),
        commands,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let encryption = listen
        .tls
        .as_ref()
        .map(|settings: &TlsSettings| tls::load(settings, data_dir.path(), &[]).expect("TLS"));
    let options = ServeOptions { limits: listen.limits.clone(), tls: encryption, counters };
    let stop = CancellationToken::new();
    let mut serving = JoinSet::new();
    let router = api::router(context.clone());
    serving.spawn(server::serve(listener, router, options, stop.clone()));
    let hub = TestHub {
        addr,
        context,
        fleet,
        store,
        status,
        data_dir,
        stop,
        serving,
        asked: Mutex::new(Some(asked)),
        publisher: Mutex::new(publisher),
    };
    for detail in fleet::example() {
        hub.put(detail);
    }
    for (id, frame) in fleet::frames() {
        hub.put_frame(&id, frame);
    }
    hub
}

impl TestHub {
    /// Publishes a resource, as the monitor loop does.
    pub(crate) fn put(&self, detail: ResourceDetail) {
        let id: ResourceId = detail.summary.id.parse().expect("an id");
        let known = Arc::new(KnownResource::from(detail));
        let change = Change::Resource(Arc::clone(&known));
        self.publisher.lock().expect("no panic").publish(
            |next| {
                next.resources.insert(id, known);
            },
            [change],
        );
    }

    /// Publishes how a node is watched.
    pub(crate) fn put_node(&self, name: &str, entry: Option<NodeEntry>) {
        let id = ResourceId::node(name).expect("an id");
        self.edit(|next| {
            let nodes = Arc::make_mut(&mut next.nodes);
            match entry {
                Some(entry) => nodes.insert(id, Arc::new(entry)),
                None => nodes.remove(&id),
            };
        });
    }

    /// Publishes a change of the snapshot that no message tells of.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut FleetSnapshot)) {
        self.publisher.lock().expect("no panic").publish(edit, []);
    }

    /// Answers the next command in the monitor loop's place, and gives it back as text.
    pub(crate) async fn obey(&self, answer: Result<(), CommandError>) -> String {
        let mut asked = self.asked.lock().expect("no panic").take().expect("nobody else answers");
        let command = asked.recv().await.expect("a command");
        let (text, to) = match command {
            Command::AddNode(definition, to) => {
                if answer.is_ok() {
                    let breaker = Some(sickbay_engine::Breaker::default());
                    let entry =
                        NodeEntry { definition: Some((*definition).clone().into()), breaker };
                    self.put_node(&definition.name, Some(entry));
                }
                (format!("add {} at {}", definition.name, definition.target.host), to)
            }
            Command::RemoveNode(id, to) => (format!("remove {id}"), to),
            Command::ResetBreaker(id, to) => (format!("reset {id}"), to),
            Command::Forget(id, what, to) => {
                let forgotten = sickbay_engine::Forgotten {
                    check: sickbay_model::CheckId::new("hardware_changed"),
                    instance: what.instance.clone().unwrap_or_else(|| "mlx5_1".to_owned()).into(),
                };
                *self.asked.lock().expect("no panic") = Some(asked);
                to.send(answer.map(|()| vec![forgotten])).expect("the handler waits");
                return format!("forget {:?} {:?} of {id}", what.check, what.instance);
            }
        };
        *self.asked.lock().expect("no panic") = Some(asked);
        to.send(answer).expect("the handler waits");
        text
    }

    /// Publishes readings.
    pub(crate) fn put_frame(&self, id: &ResourceId, frame: Frame) {
        self.publisher.lock().expect("no panic").publish(
            |next| {
                next.frames.insert(id.clone(), Arc::new(frame));
            },
            [],
        );
    }

    /// Forgets a resource.
    pub(crate) fn remove(&self, id: &str) {
        let parsed: ResourceId = id.parse().expect("an id");
        self.publisher.lock().expect("no panic").publish(
            |next| {
                next.resources.remove(&parsed);
            },
            [Change::Removed(id.parse().expect("an id"))],
        );
    }

    /// Stores events, and tells streams of them if `live`.
    pub(crate) fn add_events(&self, ids: std::ops::RangeInclusive<u64>, live: bool) {
        let events = self.submit_events(ids);
        assert!(self.store.flush(), "events are written");
        if live {
            self.publisher.lock().expect("no panic").send(events.iter().map(Change::event));
        }
    }

    /// Hands events to the store without waiting until they are written.
    pub(crate) fn submit_events(&self, ids: std::ops::RangeInclusive<u64>) -> Vec<Event> {
        let events: Vec<Event> = ids.map(event).collect();
        let batch = WriteBatch { events: events.clone(), ..WriteBatch::default() };
        self.store.submit(batch).expect("room");
        events
    }

    /// Ends the server; how long it took.
    pub(crate) async fn shut_down(&mut self) -> Duration {
        let before = tokio::time::Instant::now();
        self.stop.cancel();
        self.serving.join_next().await.expect("a server").expect("no panic").expect("served");
        before.elapsed()
    }
}

/// When the example events happened: one a second.
pub(crate) const EVENTS_BEGIN_MS: i64 = 1_795_253_400_000;

fn event(id: u64) -> Event {
    let kind = if id.is_multiple_of(2) { EventKind::LevelChanged } else { EventKind::JobStarted };
    Event {
        id: EventId(id),
        at: Timestamp::from_unix_ms(EVENTS_BEGIN_MS + i64::try_from(id).expect("small") * 1000),
        kind,
        resource: Some("node/gpu-07".parse().expect("an id")),
        message: format!("event {id}"),
        details: std::collections::BTreeMap::new(),
    }
}
